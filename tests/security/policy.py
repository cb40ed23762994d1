#!/usr/bin/python3
"""Advisories of Vault and OpenBao about policies, each over all its sibling entry points.

    tests/security/policy.py ['part of a case name']

Which advisories there are, and which test shows the others: advisories.txt.
"""
import os
import re
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
from keyturn import Vault  # noqa: E402
from tap import Tap, equal, true  # noqa: E402
from wire import Wire, error, serve, wants  # noqa: E402

tap = Tap("tests/security/policy.py")
vault = Vault()
wire = Wire(vault)

ALL = '["create", "read", "update", "patch", "delete", "list", "sudo"]'


def rule(pattern, capabilities=ALL):
    return 'path "%s" { capabilities = %s }\n' % (pattern, capabilities)


def holder(*rules):
    """A token of these rules alone."""
    return wire.token("".join(rules), "advisory", no_default_policy=True)


# Folders, each below the pattern that is allowed: names in them must not be told.
FOLDERS = [("secret/*", "secret/metadata/db"), ("secret/metadata/*", "secret/metadata/db"), ("kv1/*", "kv1/db"),
           ("rotation/*", "rotation/secrets/secret"), ("rotation/*", "rotation/targets"),
           ("rotation/*", "rotation/runs"), ("fleet/*", "fleet/consumers/web1"), ("fleet/*", "fleet/agents"),
           ("sys/*", "sys/policies/acl"), ("sys/*", "sys/policy"), ("auth/*", "auth/token/accessors"),
           ("cubbyhole/*", "cubbyhole/db"), ("*", "secret/metadata/db")]


@tap.case("CVE-2026-12624, GHSA-xp3c-3jw3-4vcr: a narrower deny holds for lists, with and without the slash")
def _():
    for allowed, folder in FOLDERS:
        parent = folder.rsplit("/", 1)[0]
        for denied in (folder, folder + "/", folder + "*", folder + "/*", parent + "/+", parent + "/+/"):
            token = holder(rule(allowed), rule(denied, '["deny"]'))
            for method, path in (("LIST", folder), ("LIST", folder + "/"), ("GET", folder + "?list=true"),
                                 ("GET", folder + "/?list=true")):
                equal(403, wire.ask(method, path, token=token).status, "deny %s: %s %s" % (denied, method, path))
        # What makes the refusals mean something.
        token = holder(rule(allowed))
        true(wire.ask("LIST", folder, token=token).status != 403, "%s lets %s through" % (allowed, folder))


@tap.case("CVE-2026-12624: what is read obeys the deny of its own path alone, in each form")
def _():
    for denied, status in (("secret/data/db/orders", 403), ("secret/data/db/*", 403), ("secret/data/db/+", 403),
                           ("secret/+/db/orders", 403), ("secret/data/db/orders/", 200), ("secret/data/db", 200)):
        token = holder(rule("secret/*"), rule(denied, '["deny"]'))
        equal(status, wire.ask("GET", "secret/data/db/orders", token=token).status, denied)


@tap.case("GHSA-fg5x-7whg-6c28: a name that is lowered is judged as what it becomes")
def _():
    before = wire.ok("GET", "sys/policies/acl/kept").data["policy"]
    asks = [("PUT", {"policy": "# mine"}), ("POST", {"policy": "# mine"}), ("GET", None), ("DELETE", None)]
    for family in ("sys/policies/acl/", "sys/policy/"):
        for denied in (family + "kept", family + "k*", family + "+"):
            token = holder(rule(family + "*"), rule(denied, '["deny"]'))
            for spelt in ("kept", "Kept", "KEPT", "kepT", "%4bept", "%4Bept", "KEP%54"):
                for method, body in asks:
                    wants(wire.ask(method, family + spelt, body, token=token), 403)
        # Where nothing is said of kept, what was typed decides.
        token = holder(rule(family + "*"))
        wants(wire.ask("PUT", family + "Kept", {"policy": before}, token=token), 200, "converted to kept")
        token = holder(rule(family + "kept"))
        wants(wire.ask("PUT", family + "Kept", {"policy": "# mine"}, token=token), 403)
        # These are other names, or none.
        token = holder(rule(family + "*"), rule(family + "kept", '["deny"]'))
        for spelt in ("%20kept", "kept%20", "kept/", "kept%09", "%c2%a0kept", "k%c4%b1pt", "%e2%84%aaept"):
            for method, body in asks:
                wire.ask(method, family + spelt, body, token=token)
            equal(before, wire.ok("GET", "sys/policies/acl/kept").data["policy"], spelt)


@tap.case("GHSA-fg5x-7whg-6c28: other names differ in their case, for the policy and for what is kept")
def _():
    for family, body in (("secret/data/", {"data": {"k": "v"}}), ("kv1/", {"k": "v"}), ("cubbyhole/", {"k": "v"})):
        wire.ok("POST", family + "kept", body)
        token = holder(rule(family + "*"), rule(family + "kept", '["deny"]'))
        for spelt in ("Kept", "KEPT"):
            wants(wire.ask("GET", family + spelt, token=token), 404)
            wants(wire.ask("DELETE", family + spelt, token=token), 204)
        wants(wire.ask("GET", family + "kept", token=token), 403)
        if family != "cubbyhole/":
            wire.ok("GET", family + "kept")


# Spellings of "below db, up again": nothing of it may be repaired into another path.
CROOKED = ["db/../other", "db/%2e%2e/other", "db/%2E./other", "db/./orders", "db/%2e/orders", "db//orders", "./orders",
           "../data/other", "%2e%2e/data/other", "db/..%2fother", "db/%2e%2e%2fother", "db/..", "db/.",
           "db/orders%00"]


@tap.case("CVE-2026-3605: no path climbs out of what a policy grants")
def _():
    families = ["secret/data/", "secret/metadata/", "secret/delete/", "secret/undelete/", "secret/destroy/",
                "secret/subkeys/", "kv1/", "cubbyhole/", "rotation/secrets/", "rotation/rotate/", "rotation/targets/",
                "fleet/consumers/", "fleet/watch/", "sys/policies/acl/", "sys/policy/", "sys/mounts/", "sys/audit-hash/",
                "sys/internal/ui/mounts/", "auth/token/"]
    token = holder(*[rule(family + "db/*") for family in families], rule("+/+/db/*"))
    for family in families:
        for crooked in CROOKED:
            for method, body in (("GET", None), ("LIST", None), ("POST", {}), ("PUT", {}), ("PATCH", {}), ("DELETE", None)):
                reply = wire.ask(method, family + crooked, body, token=token, by_library=True)
                equal(400, reply.status, "%s %s%s" % (method, family, crooked))
        for strange in ("db%5c..%5cother", "db/%2500", "db/%252e%252e"):  # decoded once: one segment, a strange name
            reply = wire.ask("DELETE", family + strange, token=token)
            true(reply.status < 500, str(reply))
    equal("v", wire.ok("GET", "secret/data/other").data["data"]["k"])


@tap.case("GHSA-mjch-vcw3-hhmf: no name of a policy is taken for another, or for several")
def _():
    wire.policy("a", rule("secret/data/other", '["read"]'))
    wire.policy("b", rule("secret/metadata/other", '["read"]'))
    for names, may in ((["a", "b"], (200, 200)), (["a"], (200, 403)), (["b"], (403, 200)), (["a,b"], (403, 403)),
                       (["a b"], (403, 403)), (["a\nb"], (403, 403)), (["a/b"], (403, 403)), (["../a"], (403, 403)),
                       (["a/../b"], (403, 403)), (["ab"], (403, 403)), (["b", "a"], (200, 200)), (["A", "B"], (200, 200)),
                       (["a*"], (403, 403)), (["+"], (403, 403))):
        reply = wire.ask("POST", "auth/token/create", {"policies": names, "no_default_policy": True, "ttl": "1h"})
        if reply.status == 400:
            continue
        token = wants(reply, 200).auth["client_token"]
        got = tuple(wire.ask("GET", path, token=token).status for path in ("secret/data/other", "secret/metadata/other"))
        equal(may, got, str(names))
    for path in ("sys/policies/acl/", "sys/policy/"):
        for name in ("..", "../a", "a/..", "%2e%2e", "a%2f..%2fb", "a%00b"):
            true(wire.ask("PUT", path + name, {"policy": rule("*")}).status in (400, 404), path + name)


@tap.case("CVE-2022-30689: what was denied and limited stays so, sealed and after a restart")
def _():
    weak = holder(rule("secret/*"), rule("secret/data/other", '["deny"]'))
    twice = wire.token(rule("secret/data/db/*", '["read"]'), "twice", num_uses=3)
    bound = wire.token('path "secret/data/db/*" { capabilities = ["create", "update"] allowed_parameters = {"data" = []} '
                       'required_parameters = ["data"] max_wrapping_ttl = "60s" }', "bound")
    wants(wire.ask("GET", "secret/data/db/orders", token=twice), 200)

    def look():
        wants(wire.ask("GET", "secret/data/other", token=weak), 403)
        wants(wire.ask("GET", "secret/data/db/orders", token=weak), 200)
        wants(wire.ask("POST", "secret/data/db/x", {"data": {}, "options": {}}, token=bound), 403)
        wants(wire.ask("POST", "secret/data/db/x", {"data": {}}, token=bound, headers={"X-Vault-Wrap-TTL": "61"}), 403)
        wants(wire.ask("GET", "secret/data/db/orders", token=None), 403)

    look()
    wire.ok("PUT", "sys/seal")
    for token in (weak, twice, bound, wire.root):
        equal(503, wire.ask("GET", "secret/data/db/orders", token=token).status)
    vault.unseal()
    look()
    wire.close()
    vault.restart()
    look()
    wants(wire.ask("GET", "secret/data/db/orders", token=twice), 200)
    wants(wire.ask("GET", "secret/data/db/orders", token=twice), 200)
    wants(wire.ask("GET", "secret/data/db/orders", token=twice), 403)


def resident_kib():
    with open("/proc/%d/status" % vault.process.pid) as f:
        return int(re.search(r"VmRSS:\s+(\d+)", f.read()).group(1))


@tap.case("CVE-2023-5954: asking policies costs no memory")
def _():
    token = holder(*[rule("secret/data/x%d/*" % i) for i in range(50)], rule("secret/data/db/+", '["read"]'),
                   'path "secret/data/db/o*" { capabilities = ["read", "update"] allowed_parameters = {"data" = []} }\n')

    def ask(times):
        for _ in range(times):
            wire.ask("GET", "secret/data/db/orders", token=token)
            wire.ask("GET", "secret/data/other", token=token)
            wire.ask("POST", "secret/data/db/orders", {"data": {}, "no": 1}, token=token)

    ask(700)
    before = resident_kib()
    ask(1400)
    # 4,200 requests: what each would leave behind, were it 256 bytes, is 1 MiB.
    true(resident_kib() - before < 1024, "as much memory as before, got %d KiB more" % (resident_kib() - before))


def load():
    wire.mount_all()
    wire.policy("kept", "# " + "kept" * 8 + "\n")
    for path in ("secret/data/db/orders", "secret/data/other"):
        wire.ok("POST", path, {"data": {"k": "v"}})
    for path in ("kv1/db/orders", "cubbyhole/db/orders"):
        wire.ok("POST", path, {"k": "v"})
    error(wire.ask("GET", "secret/data/other", token=holder(rule("none"))), 403, "permission denied")


sys.exit(serve(tap, wire, load))
