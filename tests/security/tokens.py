#!/usr/bin/python3
"""Advisories of Vault and OpenBao about tokens, each over all its sibling entry points.

    tests/security/tokens.py ['part of a case name']

Which advisories there are, and which test shows the others: advisories.txt.
"""
import os
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
from keyturn import Vault, wait_for  # noqa: E402
from tap import Tap, equal, true  # noqa: E402
from wire import Wire, error, serve, wants  # noqa: E402

tap = Tap("tests/security/tokens.py")
vault = Vault()
wire = Wire(vault)

ROOTS = ["root", "ROOT", "Root", " root", "root ", "\troot", "root\n", "rOOt"]
CREATE = ["auth/token/create", "auth/token/create-orphan"]
# Whatever a policy can grant, on everything there is: it is not root.
ALMIGHTY = 'path "*" { capabilities = ["create", "read", "update", "patch", "delete", "list", "sudo"] }'


def make(path, token, **fields):
    return wire.ask("POST", path, fields, token=token)


def made(**fields):
    return wants(make(CREATE[0], wire.root, **fields), 200).auth


def dead(token):
    """Refused by every way that a token can come, and as if it had never been."""
    for headers, shown in (({}, token), ({"Authorization": "Bearer " + token}, None)):
        error(wire.ask("GET", "auth/token/lookup-self", token=shown, headers=headers), 403, "permission denied")
    for path in ("auth/token/renew", "auth/token/lookup", "auth/token/revoke-orphan"):
        reply = wire.ask("POST", path, {"token": token})
        true(400 <= reply.status < 500, str(reply))


@tap.case("CVE-2024-9180, CVE-2025-5999, CVE-2025-54996: nobody but root makes root, however it is spelt")
def _():
    almighty = wire.token(ALMIGHTY, "almighty")
    for path in CREATE:
        for spelt in ROOTS:
            for policies in ([spelt], spelt, ["almighty", spelt], [spelt, "default"]):
                for life in ({}, {"ttl": "1h"}, {"period": "1h"}):
                    wants(make(path, almighty, policies=policies, **life), 400, "parent token being root")
        for fields in ({"policies": ["almighty"], "Policies": ["root"]}, {"policies": "almighty,root"},
                       {"policies": ["almighty,root"]}, {"POLICIES": "root"}, {"policies": ["ro\u043et"]},
                       {"policies": ["\uff52oot"]}, {"policies": ["root\u0000"]}, {"policies": ["\u2003root"]}):
            reply = make(path, almighty, **fields)
            # Another name, or an unknown field: a token it may be, root it is not.
            if reply.status == 200:
                token = reply.auth["client_token"]
                true("root" not in reply.auth["policies"], str(reply))
                equal(200 if "almighty" in reply.auth["policies"] else 403,
                      wire.ask("GET", "sys/mounts", token=token).status, str(fields))
    # And a policy of that name gives nothing to anybody.
    for spelt in ("root", "ROOT", "Root"):
        for family in ("sys/policies/acl/", "sys/policy/"):
            wants(wire.ask("PUT", family + spelt, {"policy": ALMIGHTY}, token=almighty), 400)
            wants(wire.ask("DELETE", family + spelt, token=almighty), 400)


@tap.case("0.6.4 (2016): a child has no policy that its parent has not, default included")
def _():
    wire.policy("family", 'path "auth/token/create" { capabilities = ["create", "update"] }')
    wire.policy("more", ALMIGHTY)
    plain = made(policies=["family"], no_default_policy=True)["client_token"]
    equal(["family"], wire.ok("POST", "auth/token/lookup", {"token": plain}).data["policies"])
    for fields in ({}, {"policies": ["family"]}, {"policies": []}, {"no_default_policy": False},
                   {"policies": ["family"], "no_default_policy": True}):
        reply = make(CREATE[0], plain, **fields)
        equal(["family"], wants(reply, 200).auth["policies"], str(fields))
    for policies in (["default"], ["family", "default"], ["more"], ["family", "more"], ["MORE"], " more ", ["DEFAULT"]):
        wants(make(CREATE[0], plain, policies=policies), 400)
    # Its child's child neither.
    child = make(CREATE[0], plain).auth["client_token"]
    wants(make(CREATE[0], child, policies=["default"]), 400)
    equal(["family"], make(CREATE[0], child).auth["policies"])
    for fields in ({"no_parent": True}, {"id": "chosen"}, {"period": "1h"}):
        reply = make(CREATE[0], plain, **fields)
        true(reply.status in (400, 403), str(reply))
    wants(make(CREATE[1], plain), 403)


@tap.case("CVE-2021-32923, 0.10.2 (2018): a token that is over stays over, also if the vault was down meanwhile")
def _():
    wire.policy("family", 'path "auth/token/*" { capabilities = ["create", "read", "update"] }')
    parent = made(policies=["family"], explicit_max_ttl="2s")["client_token"]
    child = make(CREATE[0], parent, ttl="1h").auth["client_token"]
    periodic = made(policies=["family"], period="2s")["client_token"]
    short = made(policies=["family"], ttl="2s")["client_token"]
    wrapped = wants(wire.ask("GET", "sys/mounts", headers={"X-Vault-Wrap-TTL": "2s"}), 200).json["wrap_info"]["token"]
    begun = time.time()
    # Renewed all the time until it ends: never without an end, never beyond the maximum.
    given = []
    while time.time() < begun + 1:
        reply = wire.ask("POST", "auth/token/renew-self", {"increment": "1h"}, token=parent)
        if reply.status != 200:
            break
        given.append(reply.auth["lease_duration"])
    true(given and all(0 < ttl <= 2 for ttl in given), "a time that ends, got %s" % given)
    vault.kill()
    wire.close()
    wait_for("the end of all of them", lambda: time.time() > begun + 2.5)
    vault.start()
    vault.unseal()
    for token in (parent, child, short, periodic):
        dead(token)
    for method, path, body, token in (("POST", "sys/wrapping/unwrap", {"token": wrapped}, wire.root),
                                      ("POST", "sys/wrapping/unwrap", None, wrapped),
                                      ("POST", "sys/wrapping/rewrap", {"token": wrapped}, wire.root),
                                      ("POST", "sys/wrapping/lookup", {"token": wrapped}, wire.root)):
        wants(wire.ask(method, path, body, token=token), 400)
    wants(wire.ask("GET", "cubbyhole/response", token=wrapped), 403)


@tap.case("CVE-2021-32923: in its last seconds a renewal gives what is left, or fails; never no end")
def _():
    ways = {}
    for way in ("self", "token", "accessor"):
        one = made(policies=["family"], ttl="2s", explicit_max_ttl="2s")
        ways[way] = one["client_token"], one["accessor"], []
    end = time.time() + 2
    while time.time() < end + 0.5:
        for way, (token, accessor, seen) in ways.items():
            path, body, asker = {"self": ("renew-self", {}, token), "token": ("renew", {"token": token}, wire.root),
                                 "accessor": ("renew-accessor", {"accessor": accessor}, wire.root)}[way]
            reply = wire.ask("POST", "auth/token/" + path, dict(body, increment=7200), token=asker)
            true(reply.status == 200 or 400 <= reply.status < 500, str(reply))
            if reply.status == 200:
                seen.append(reply.auth["lease_duration"])
    for way, (token, _accessor, seen) in ways.items():
        true(seen and all(0 < ttl <= 2 for ttl in seen), "1 or 2 seconds by %s, got %s" % (way, seen))
        dead(token)


@tap.case("CVE-2026-40264: an accessor gives no more than the right to what it is asked for")
def _():
    one = made(policies=["family"])
    weak = wire.token('path "auth/token/lookup-accessor" { capabilities = ["update"] }', "weak")
    for path, status in (("lookup-accessor", 200), ("renew-accessor", 403), ("revoke-accessor", 403)):
        equal(status, wire.ask("POST", "auth/token/" + path, {"accessor": one["accessor"]}, token=weak).status, path)
    reply = wire.ask("POST", "auth/token/lookup-accessor", {"accessor": one["accessor"]}, token=weak)
    equal("", reply.data["id"])
    true(one["client_token"] not in reply.body.decode(), "no token's text")
    # An accessor is no token, a token no accessor.
    wants(wire.ask("GET", "auth/token/lookup-self", token=one["accessor"]), 403)
    for path in ("lookup-accessor", "renew-accessor", "revoke-accessor"):
        true(wire.ask("POST", "auth/token/" + path, {"accessor": one["client_token"]}).status in (400, 403, 404), path)
    wants(wire.ask("GET", "auth/token/lookup-self", token=one["client_token"]), 200)


@tap.case("GHSA-rh46-vc3j-w2w3: nothing but a method of HTTP chooses what is done")
def _():
    weak = wire.token('path "secret/data/a" { capabilities = ["read"] }', "weak")
    wire.ok("POST", "secret/data/a", {"data": {"k": "v"}})

    def count():
        return len(wire.ok("LIST", "auth/token/accessors").data["keys"])

    before = count()
    for method in ("RENEW", "REVOKE", "ROLLBACK", "CREATE", "UPDATE", "INTERNAL", "LOGIN", "ALIAS-LOOKAHEAD",
                   "HEADER", "SCAN", "COPY", "TRACE", "OPTIONS", "CONNECT", "get", "list", "post"):
        for path in ("auth/token/create", "auth/token/create-orphan", "secret/data/a", "sys/policies/acl/x"):
            reply = wire.lines(("%s /v1/%s HTTP/1.1\r\nHost: x\r\nX-Vault-Token: %s\r\nContent-Length: 2\r\n"
                                "Connection: close\r\n\r\n{}" % (method, path, weak)).encode(), by_library=True)
            true(reply is None or reply.status >= 400, "%s %s: %s" % (method, path, reply))
    for headers in ({"X-HTTP-Method-Override": "DELETE"}, {"X-Method-Override": "POST"}, {"X-HTTP-Method": "LIST"},
                    {"X-Vault-Operation": "renew"}, {"X-Vault-Inline-Auth-Path": "auth/token/create"},
                    {"X-Vault-Inline-Auth-Operation": "update"}):
        wants(wire.ask("GET", "secret/data/a", token=weak, headers=headers), 200)
        wants(wire.ask("GET", "secret/data/a", token=None, headers=headers), 403)
    for query in ("operation=create", "method=POST", "_method=DELETE", "op=update", "list=1", "help=1"):
        true(wire.ask("GET", "secret/data/a?" + query, token=weak, by_library=True).status in (200, 403, 404, 405), query)
    equal(before, count())
    equal("v", wire.ok("GET", "secret/data/a").data["data"]["k"])


sys.exit(serve(tap, wire))
