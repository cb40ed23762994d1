#!/usr/bin/python3
"""Advisories of Vault and OpenBao about logging in, roles and users, each over all its sibling entry points.

    tests/security/logins.py ['part of a case name']

That an unknown user, a wrong password and one who is locked out cost the same (CVE-2025-6011,
CVE-2025-6010 = CVE-2025-54999) is what unit/timing_test counts.
"""
import json
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
from keyturn import Vault, wait_for  # noqa: E402
from pki import Authority  # noqa: E402
from tap import Tap, equal, true  # noqa: E402
from wire import Wire, error, wants  # noqa: E402

tap = Tap("tests/security/logins.py")
vault = Vault()
wire = Wire(vault)
authority = Authority(vault.folder, "pki")

# Whoever keeps policies for tokens: where it is written, with which field, and what else it needs.
JWT = {"role_type": "jwt", "user_claim": "sub", "bound_audiences": ["vault"]}
CARRIERS = [(path, field, more) for path, more in (
    ("auth/userpass/users/root%d", {"password": "p"}),
    ("auth/approle/role/root%d", {}),
    ("auth/jwt/role/root%d", JWT),
    ("auth/cert/certs/root%d", {"certificate": authority.pem}),
    ("auth/pam/users/root%d", {}),
    ("auth/pam/groups/root%d", {}),
    ("auth/unix/users/%d", {}),
    ("auth/unix/groups/%d", {}),
) for field in ("token_policies", "policies")] + [("auth/token/roles/root%d", "allowed_policies", {})]
ROOTS = ("root", "ROOT", " root", "Root\t", "a,rOOt", ["a", "root "])


def put(path, body, status=204):
    return wants(wire.ask("POST", path, body), status)


def login(name, password, **more):
    return wire.ask("POST", "auth/userpass/login/" + name, {"password": password}, token=None, **more)


def role(name, **more):
    put("auth/approle/role/" + name, more)
    return wants(wire.ask("GET", "auth/approle/role/%s/role-id" % name), 200).data["role_id"]


def secret_id(name, **more):
    return put("auth/approle/role/%s/secret-id" % name, more, 200).data


def machine(role_id, secret):
    return wire.ask("POST", "auth/approle/login", {"role_id": role_id, "secret_id": secret}, token=None)


@tap.case("CVE-2024-9180, CVE-2025-5999 = CVE-2025-54996, CVE-2025-64761: root in any letters, of anybody")
def _():
    for n, (path, field, more) in enumerate(CARRIERS):
        for name in ROOTS:
            where = path % n
            error(wire.ask("POST", where, dict(more, **{field: name})), 400, "root")
            wants(wire.ask("GET", where), 404)
            put(where, more)
            error(wire.ask("POST", where, {field: name}), 400, "root")
            wants(wire.ask("DELETE", where), 204)
    put("auth/pam/config", {"token_policies": "kept"})
    for field in ("token_policies", "policies"):
        for name in ROOTS:
            error(wire.ask("POST", "auth/pam/config", {field: name}), 400, "root")
    equal(["kept"], wire.ok("GET", "auth/pam/config").data["token_policies"])
    put("auth/pam/config", {"token_policies": []})
    put("auth/userpass/users/root", {"password": "p"})
    error(wire.ask("POST", "auth/userpass/users/root/policies", {"policies": "ROOT"}), 400, "root")
    put("auth/approle/role/root", {})
    error(wire.ask("POST", "auth/approle/role/root/policies", {"token_policies": "ROOT"}), 400, "root")
    put("auth/token/roles/any", {"allowed_policies_glob": "*"})
    weak = wire.token('path "auth/token/create/*" { capabilities = ["update", "sudo"] }', "weak")
    error(wire.ask("POST", "auth/token/create/any", {"policies": ["root"]}, token=weak), 400, "root tokens may not")


@tap.case("CVE-2025-6004 = CVE-2025-54998, CVE-2025-6013: one counter for all spellings of a name")
def _():
    put("auth/userpass/users/spelt", {"password": "right"})
    spellings = ["spelt", "SPELT", "Spelt", "sPELT", "spel%74"]
    for name in spellings:
        error(login(name, "wrong"), 400, "invalid username or password")
    for name in spellings:
        error(login(name, "right"), 403, "permission denied")
    for name in ("spelt%20", "%20spelt", "sp%C3%A9lt", "sp%D0%B5lt", "spelt%09"):
        true(login(name, "right").status in (400, 404), "no other spelling: " + name)


@tap.case("CVE-2023-3462, CVE-2020-35177: unknown, wrong and locked out are answered alike")
def _():
    put("auth/userpass/users/alike", {"password": "right"})
    known = role("alike")
    for attempt in range(7):
        answers = [login("alike", "wrong"), login("unlike", "wrong")]
        equal(1, len({(a.status, a.body) for a in answers}))
        answers = [machine(known, "wrong"), machine("unlike", "wrong")]
        equal(1, len({(a.status, a.body) for a in answers}))


def entry(name):
    """The accessor of approle's mount, and a role of one policy."""
    role(name, token_policies=name)
    return wire.ok("GET", "sys/auth").data["approle/"]["accessor"]


@tap.case("CVE-2026-5006, GHSA-59w7-v8rr-pr4p: what a secret id says of itself is text within one segment")
def _():
    accessor = entry("tenant")
    wire.policy("tenant", 'path "secret/data/{{identity.entity.aliases.%s.metadata.team}}/*" { capabilities = ["read"] }\n'
                          'path "secret/metadata/x{{identity.entity.aliases.%s.metadata.team}}" '
                          '{ capabilities = ["read"] }' % (accessor, accessor))
    role_id = wire.ok("GET", "auth/approle/role/tenant/role-id").data["role_id"]
    for team, fits in (("red", True), ("r-e.d_1", True), ("*", False), ("+", False), ("re*", False), ("red/green", False),
                       ("", False), (".", False), ("..", False), ("{{identity.entity.id}}", False), ("red,green", False),
                       ("red\u0001", False), ("red\u007f", False)):
        secret = secret_id("tenant", metadata=json.dumps({"team": team}))["secret_id"]
        token = wants(machine(role_id, secret), 200).auth["client_token"]
        equal(404 if fits else 403, wire.ask("GET", "secret/data/%s/k" % (team if fits else "red"), token=token).status, team)
        for path in ("secret/data/blue/k", "secret/data/blue/green/k", "secret/data/k", "secret/metadata/x",
                     "secret/metadata/xblue", "secret/metadata/xred/green"):
            error(wire.ask("GET", path, token=token), 403, "permission denied")
        equal(["deny"], wire.ok("POST", "sys/capabilities-self", {"paths": "secret/data/blue/k"}, token=token).data["capabilities"])


@tap.case("GHSA-hr5j-3j78-4vh2: a denial of what a secret id says holds, also where that says nothing of use")
def _():
    accessor = entry("fenced")
    wire.policy("fenced", 'path "secret/data/+" { capabilities = ["read"] }\n'
                          'path "secret/data/{{identity.entity.aliases.%s.metadata.not}}" { capabilities = ["deny"] }' % accessor)
    role_id = wire.ok("GET", "auth/approle/role/fenced/role-id").data["role_id"]
    for said, denied, free in (({"not": "mine"}, ["mine"], ["yours"]), ({}, ["mine", "yours"], []),
                               ({"not": "*"}, ["mine", "yours"], []), ({"not": "a/b"}, ["mine", "yours"], [])):
        secret = secret_id("fenced", metadata=json.dumps(said))["secret_id"]
        token = wants(machine(role_id, secret), 200).auth["client_token"]
        for name in denied:
            error(wire.ask("GET", "secret/data/" + name, token=token), 403, "permission denied")
        for name in free:
            equal(404, wire.ask("GET", "secret/data/" + name, token=token).status, name)


@tap.case("CVE-2021-43998: a template takes the alias of the mount that it names, of nobody else")
def _():
    wants(wire.ask("POST", "sys/auth/second", {"type": "userpass"}), 204)
    accessors = {path: mount["accessor"] for path, mount in wire.ok("GET", "sys/auth").data.items()
                 if path in ("userpass/", "second/")}
    wire.policy("two", "\n".join('path "secret/data/%s/{{identity.entity.aliases.%s.name}}" { capabilities = ["read"] }'
                                 % (path.rstrip("/"), accessor) for path, accessor in accessors.items()))
    put("auth/userpass/users/one", {"password": "p", "token_policies": "two"})
    put("auth/second/users/two", {"password": "p", "token_policies": "two"})
    first = wants(login("one", "p"), 200).auth
    wants(wire.ask("POST", "identity/entity-alias", {"name": "two", "mount_accessor": accessors["second/"],
                                                     "canonical_id": first["entity_id"]}), 200)
    second = wants(wire.ask("POST", "auth/second/login/two", {"password": "p"}, token=None), 200).auth
    equal(first["entity_id"], second["entity_id"])
    for token in (first["client_token"], second["client_token"]):
        for path, status in (("userpass/one", 404), ("second/two", 404), ("userpass/two", 403), ("second/one", 403)):
            equal(status, wire.ask("GET", "secret/data/" + path, token=token).status, path)


@tap.case("GHSA-fg5x-7whg-6c28: a deny rule holds for every spelling of a name")
def _():
    put("auth/userpass/users/denied", {"password": "p"})
    role("denied")
    put("auth/token/roles/denied", {})
    for path in ("auth/userpass/users/%s", "auth/approle/role/%s", "auth/approle/role/%s/role-id",
                 "auth/approle/role/%s/token-ttl", "auth/token/roles/%s"):
        token = wire.token('path "auth/*" { capabilities = ["read", "update", "create", "delete"] }\n'
                           'path "%s" { capabilities = ["deny"] }' % (path % "denied"), "spelling")
        for name in ("denied", "DENIED", "dEnied", "%44enied"):
            for method in ("GET", "POST", "DELETE"):
                error(wire.ask(method, path % name, {} if method == "POST" else None, token=token), 403,
                      "permission denied")


@tap.case("CVE-2023-24999: an accessor is of one role's secret ids")
def _():
    role("mine")
    other_id = role("other")
    theirs = secret_id("other")
    body = {"secret_id_accessor": theirs["secret_id_accessor"]}
    for tail in ("lookup", "destroy"):
        unknown = wire.ask("POST", "auth/approle/role/mine/secret-id-accessor/" + tail, {"secret_id_accessor": "none"})
        reply = wire.ask("POST", "auth/approle/role/mine/secret-id-accessor/" + tail, body)
        equal((404, unknown.data), (reply.status, reply.data))
    for method, tail in (("DELETE", "secret-id-accessor/destroy?secret_id_accessor=" + theirs["secret_id_accessor"]),
                         ("POST", "secret-id/destroy"), ("POST", "secret-id/lookup")):
        wire.ask(method, "auth/approle/role/mine/" + tail, {"secret_id": theirs["secret_id"]} if method == "POST" else None)
    wants(machine(other_id, theirs["secret_id"]), 200)


@tap.case("GHSA-7m59-mp95-w6ph: a secret id that is over is refused, tidied or not")
def _():
    role_id = role("brief")
    made = secret_id("brief", ttl="1s")
    wants(machine(role_id, made["secret_id"]), 200)
    wait_for("the secret id's end", lambda: machine(role_id, made["secret_id"]).status == 400)
    wants(wire.ask("POST", "auth/approle/role/brief/secret-id/lookup", {"secret_id": made["secret_id"]}), 204)


@tap.case("GHSA-5v22-543h-wg96: a form is no login")
def _():
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    for path, raw in (("auth/approle/login", b"role_id=a&secret_id=b"), ("auth/userpass/login/bob", b"password=p")):
        reply = wire.ask("POST", path, raw=raw, headers=form, token=None)
        equal(400, reply.status)
        true("invalid" not in reply.body.decode(), "refused for its form")


@tap.case("0.10.2 (2018): a role in mixed letters is one role")
def _():
    role_id = role("Mixed")
    made = secret_id("mIXED")
    wants(machine(role_id, made["secret_id"]), 200)
    equal([made["secret_id_accessor"]],
          wants(wire.ask("LIST", "auth/approle/role/MIXED/secret-id"), 200).data["keys"])
    wants(wire.ask("POST", "auth/approle/role/mixed/secret-id-accessor/lookup",
                   {"secret_id_accessor": made["secret_id_accessor"]}), 200)
    wants(wire.ask("DELETE", "auth/approle/role/MiXeD"), 204)
    error(machine(role_id, made["secret_id"]), 400, "invalid role or secret ID")


@tap.case("0.7.1 (2017): neither names nor what is shown stand in the database, the audit log or the vault's own log")
def _():
    put("auth/userpass/users/canaryuser", {"password": "canary-password-5157"})
    wants(login("canaryuser", "canary-password-5157"), 200)
    error(login("canaryuser", "canary-guess-5157"), 400, "invalid")
    role_id = role("canaryrole")
    made = secret_id("canaryrole", metadata='{"canary-key-5157":"canary-meta-5157"}')
    wants(machine(role_id, made["secret_id"]), 200)
    error(machine(role_id, "canary-secret-5157"), 400, "invalid")
    words = ["canaryuser", "canary-password-5157", "canary-guess-5157", "canaryrole", role_id, made["secret_id"],
             "canary-key-5157", "canary-meta-5157", "canary-secret-5157"]
    for folder, _folders, files in os.walk(vault.folder):
        for name in files:
            if not os.path.isfile(os.path.join(folder, name)):
                continue
            content = open(os.path.join(folder, name), "rb").read()
            for word in words:
                true(word.encode() not in content, "%s is in %s" % (word, name))
    export = wire.ask("GET", "sys/audit-log/export", by_library=True).body.decode()
    true("canaryuser" in export, "the path says who it was")
    for word in ("canary-password-5157", "canary-guess-5157", made["secret_id"], "canary-secret-5157"):
        true(word not in export, word + " is in the audit log")


@tap.case("1.0.2 (2019), 1.1.1: what binds a token binds what is made with it, and every way's logins")
def _():
    wire.ask("PUT", "sys/policies/acl/maker", {
        "policy": 'path "auth/token/*" { capabilities = ["update", "sudo"] }'})
    elsewhere = Wire(vault, source="127.0.0.9")
    bound = {"token_bound_cidrs": "127.0.0.1/32", "token_policies": "maker"}
    put("auth/userpass/users/bound", dict(bound, password="p"))
    role_id, made = role("bound", **bound), secret_id("bound")
    tokens = [wants(login("bound", "p"), 200).auth["client_token"],
              wants(machine(role_id, made["secret_id"]), 200).auth["client_token"]]
    for path in ("auth/token/create", "auth/token/create-orphan"):
        tokens += [wants(wire.ask("POST", path, {}, token=t), 200).auth["client_token"] for t in tokens[:2]]
    for token in tokens:
        wants(wire.ask("GET", "auth/token/lookup-self", token=token), 200)
        error(elsewhere.ask("GET", "auth/token/lookup-self", token=token), 403, "permission denied")
    # From elsewhere the right words are as wrong as any.
    error(elsewhere.ask("POST", "auth/userpass/login/bound", {"password": "p"}, token=None), 400,
          "invalid username or password")
    error(elsewhere.ask("POST", "auth/approle/login", {"role_id": role_id, "secret_id": made["secret_id"]}, token=None),
          400, "invalid role or secret ID")
    # What is bound later binds who is in already, as soon as he renews.
    put("auth/userpass/users/free", {"password": "p", "token_period": "1h"})
    free = wants(elsewhere.ask("POST", "auth/userpass/login/free", {"password": "p"}, token=None), 200).auth["client_token"]
    put("auth/userpass/users/free", {"token_bound_cidrs": "127.0.0.1/32"})
    error(elsewhere.ask("POST", "auth/token/renew-self", {}, token=free), 403, "permission denied")
    elsewhere.close()


@tap.case("CVE-2021-32923, GHSA-gf3j-hm38-jhh5: a renewal asks who it is, and never gives for ever")
def _():
    put("auth/userpass/users/renew", {"password": "p", "token_max_ttl": "2s"})
    token = wants(login("renew", "p"), 200).auth["client_token"]

    def over():
        reply = wire.ask("POST", "auth/token/renew-self", {"increment": "1h"}, token=token)
        if reply.status == 200:
            true(0 < reply.auth["lease_duration"] <= 2, "what is left of two seconds")
        return reply.status == 403
    wait_for("the token's end", over)
    put("auth/userpass/users/gone", {"password": "p", "token_ttl": "1h"})
    reply = wants(login("gone", "p"), 200).auth
    wants(wire.ask("DELETE", "auth/userpass/users/gone"), 204)
    for path, body, own in (("renew-self", {}, reply["client_token"]), ("renew", {"token": reply["client_token"]}, ""),
                            ("renew-accessor", {"accessor": reply["accessor"]}, "")):
        wants(wire.ask("POST", "auth/token/" + path, dict(body, increment="5h"), token=own), 204)
    left = wants(wire.ask("GET", "auth/token/lookup-self", token=reply["client_token"]), 200).data["ttl"]
    true(left <= 3600, "not renewed")


@tap.case("CVE-2020-25594, CVE-2021-3024: what is enabled is told to nobody")
def _():
    for token in (None, "nonsense"):
        answers = {(r.status, r.body) for r in (
            wire.ask("GET", "auth/%s/users/bob" % way, token=token) for way in ("userpass", "approle", "none"))}
        equal(1, len(answers))


@tap.case("0.6.4 (2016): a child has \"default\" only if its maker has")
def _():
    put("sys/policies/acl/maker", {"policy": 'path "auth/token/*" { capabilities = ["update"] }'})
    put("auth/userpass/users/plain", {"password": "p", "policies": "maker", "token_no_default_policy": True})
    token = wants(login("plain", "p"), 200).auth["client_token"]
    put("auth/token/roles/open", {})
    for path in ("create", "create-orphan", "create/open"):
        equal(["maker"], wants(wire.ask("POST", "auth/token/" + path, {}, token=token), 200).auth["policies"])


def main():
    try:
        vault.ready()
        wire.root = vault.token
        for kind in ("userpass", "approle", "jwt", "cert", "pam", "unix"):
            put("sys/auth/" + kind, {"type": kind})
        return tap.run(sys.argv[1:])
    finally:
        wire.close()
        vault.remove()


sys.exit(main())
