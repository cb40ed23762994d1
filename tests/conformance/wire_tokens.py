#!/usr/bin/python3
"""Tokens over raw HTTP: making, looking up, renewing, ending, and what hangs from them.

    tests/conformance/wire_tokens.py ['part of a case name']
"""
import os
import re
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
from keyturn import Vault, wait_for  # noqa: E402
from tap import Tap, equal, true  # noqa: E402
from wire import Wire, error, serve, wants  # noqa: E402

tap = Tap("tests/conformance/wire_tokens.py")
vault = Vault()
wire = Wire(vault)
BAD = "2 errors occurred:\n\t* permission denied\n\t* invalid token\n\n"
SELF = "auth/token/lookup-self"
MONTH = 2764800


def create(token="", path="auth/token/create", **fields):
    return wire.ok("POST", path, fields, token=token).auth


def answered(reply):
    return reply if reply.status == 200 else None


def lookup(token):
    return wire.ok("GET", SELF, token=token).data


def dead(token):
    equal([BAD], error(wire.ask("GET", SELF, token=token), 403, "invalid token").errors)


# ---- refusals ------------------------------------------------------------------------------------

@tap.case("no token, bad tokens, and tokens without the right")
def _():
    equal(["permission denied"], error(wire.ask("GET", "secret/data/a", token=None), 403,
                                       "permission denied").errors)
    for text in ("nonsense", "hvs.", "s.xxxxxxxxxxxxxxxxxxxxxxxx", "x" * 2000, "ä", "a b", vault.token[:-1],
                 vault.token + "x", vault.token.upper()):
        equal([BAD], error(wire.ask("GET", "secret/data/a", token=text.encode()), 403, "invalid token").errors)
    able = wire.token('path "none" { capabilities = ["read"] }', "none")
    equal(["1 error occurred:\n\t* permission denied\n\n"],
          error(wire.ask("GET", "secret/data/a", token=able), 403, "permission denied").errors)


@tap.case("a token of another vault")
def _():
    with Vault() as other:
        other.start().init().unseal()
        stranger = Wire(other)
        stranger.root = other.token
        made = stranger.ok("POST", "auth/token/create", {"policies": ["default"]}).auth["client_token"]
        stranger.close()
        for text in (other.token, made):
            dead(text)
            error(wire.ask("POST", "auth/token/lookup", {"token": text}), 403, "bad token")
            wants(wire.ask("POST", "auth/token/revoke", {"token": text}), 204)


# ---- looking up ----------------------------------------------------------------------------------

@tap.case("root looks itself up")
def _():
    got = lookup(vault.token)
    for key, value in {"ttl": 0, "expire_time": None, "policies": ["root"], "path": "auth/token/root",
                       "orphan": True, "meta": None, "num_uses": 0, "display_name": "root", "entity_id": "",
                       "explicit_max_ttl": 0, "creation_ttl": 0, "type": "service", "renewable": False,
                       "id": vault.token}.items():
        equal(value, got[key], key)
    true(abs(got["creation_time"] - time.time()) < 600, "creation_time of now")


@tap.case("a look-up has all fields, whoever asks")
def _():
    made = create(policies=["default"], ttl="1h", meta={"k": "v"}, display_name="a b/c", num_uses=0)
    mine = lookup(made["client_token"])
    by_root = wire.ok("POST", "auth/token/lookup", {"token": made["client_token"]}).data
    by_accessor = wire.ok("POST", "auth/token/lookup-accessor", {"accessor": made["accessor"]}).data
    for data in (mine, by_root, by_accessor):
        equal({"accessor", "creation_time", "creation_ttl", "display_name", "entity_id", "expire_time",
               "explicit_max_ttl", "id", "issue_time", "meta", "num_uses", "orphan", "path", "policies",
               "renewable", "ttl", "type"}, set(data))
        equal(({"k": "v"}, "token-a-b-c", ["default"], False, 3600, True),
              tuple(data[k] for k in ("meta", "display_name", "policies", "orphan", "creation_ttl",
                                      "renewable")))
        true(3590 < data["ttl"] <= 3600, "ttl near 3600, not %d" % data["ttl"])
        true(re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z", data["expire_time"]), "RFC 3339")
    equal((made["client_token"], made["client_token"], ""), (mine["id"], by_root["id"], by_accessor["id"]))
    # Without a token in the body it is one's own, for those who may use the path.
    equal(vault.token, wire.ok("POST", "auth/token/lookup", {}).data["id"])
    error(wire.ask("POST", "auth/token/lookup", {"token": "unknown"}), 403, "bad token")
    error(wire.ask("POST", "auth/token/lookup-accessor", {"accessor": "unknown"}), 400, "invalid accessor")
    error(wire.ask("POST", "auth/token/lookup-accessor", {}), 400, "missing accessor")


# ---- making --------------------------------------------------------------------------------------

@tap.case("what create answers")
def _():
    reply = wire.ok("POST", "auth/token/create", {"policies": ["default"], "ttl": "30m"})
    equal(None, reply.data)
    for key, value in {"policies": ["default"], "token_policies": ["default"], "metadata": None,
                       "lease_duration": 1800, "renewable": True, "entity_id": "", "token_type": "service",
                       "orphan": False, "mfa_requirement": None, "num_uses": 0}.items():
        equal(value, reply.auth[key], key)
    true("identity_policies" not in reply.auth, "no empty identity_policies")
    true(reply.auth["accessor"] and reply.auth["client_token"].isprintable(), "token and accessor")
    true(len(reply.auth["client_token"]) <= 200, "a token of at most 200 characters")


@tap.case("how long tokens live")
def _():
    for fields, lease, capped in [({"ttl": "30m", "explicit_max_ttl": "5m"}, 300, True),
                                  ({"ttl": "2000h"}, MONTH, True), ({"period": "30m"}, 1800, False),
                                  ({"period": "30m", "ttl": "5m"}, 1800, False),
                                  ({"period": "30m", "explicit_max_ttl": "10m"}, 600, True),
                                  ({"explicit_max_ttl": "5m"}, 300, True), ({}, MONTH, False),
                                  ({"ttl": "5m", "explicit_max_ttl": "30m"}, 300, False)]:
        reply = wire.ok("POST", "auth/token/create", dict(fields, policies=["default"]))
        equal(lease, reply.auth["lease_duration"], str(fields))
        warned = any("exceeded the effective max_ttl" in w for w in reply.warnings or [])
        equal(capped, warned, "warning for %s in %s" % (fields, reply.warnings))
        true('"0s"' not in str(reply.warnings), "a warning that names the time, not %s" % reply.warnings)
        got = lookup(reply.auth["client_token"])
        equal(lease, got["creation_ttl"])
        equal({"5m": 300, "10m": 600, "30m": 1800, None: 0}[fields.get("explicit_max_ttl")],
              got["explicit_max_ttl"])
        equal(1800 if "period" in fields else None, got.get("period"))


@tap.case("policies of children")
def _():
    wire.policy("a", 'path "auth/token/create" { capabilities = ["update"] }')
    wire.policy("b", 'path "b" { capabilities = ["read"] }')
    parent = create(policies=["a"])["client_token"]
    error(wire.ask("POST", "auth/token/create", {"policies": ["b"]}, token=parent), 400,
          "child policies must be subset of parent")
    error(wire.ask("POST", "auth/token/create", {"policies": ["a", "root"]}, token=parent), 400,
          "child policies must be subset of parent")
    for fields, policies in [({}, ["a", "default"]), ({"policies": ["a"]}, ["a", "default"]),
                             ({"policies": ["a", "a", " A "]}, ["a", "default"]),
                             ({"policies": ["a"], "no_default_policy": True}, ["a"]),
                             ({"policies": ["default"]}, ["default"]), ({"policies": "a"}, ["a", "default"]),
                             ({"policies": []}, ["a", "default"]), ({"policies": None}, ["a", "default"])]:
        equal(policies, create(parent, **fields)["policies"], str(fields))
    without = create(policies=["a"], no_default_policy=True)["client_token"]
    equal(["a"], create(without, policies=["a"])["policies"])
    equal(["a"], create(without)["policies"])
    error(wire.ask("POST", "auth/token/create", {"policies": ["default"]}, token=without), 400, "subset")


@tap.case("what needs sudo")
def _():
    wire.policy("a", 'path "auth/token/create" { capabilities = ["update"] }')
    wire.policy("s", 'path "auth/token/create" { capabilities = ["update", "sudo"] }')
    plain, sudo = (create(policies=[p])["client_token"] for p in "as")
    for fields, why in [({"period": "30m"}, "create periodic token"), ({"id": "x"}, "specify token id"),
                        ({"no_parent": True}, "create orphan token")]:
        error(wire.ask("POST", "auth/token/create", fields, token=plain), 400,
              "root or sudo privileges required to " + why)
    made = create(sudo, period="30m", id="chosen", no_parent=True, policies=["b", "zz"])
    equal(("chosen", ["b", "default", "zz"], True, 1800),
          (made["client_token"], made["policies"], made["orphan"], made["lease_duration"]))
    # "root" needs root.
    for fields in ({}, {"ttl": "1h"}, {"policies": ["root", "s"]}, {"policies": [" ROOT "]}):
        error(wire.ask("POST", "auth/token/create", dict({"policies": ["root"], "ttl": "1h"}, **fields),
                       token=sudo), 400, "without parent token being root")


@tap.case("names of policies are not split, and may be unknown")
def _():
    equal(["a,b", "default"], create(policies="a,b")["policies"])
    reply = wire.ok("POST", "auth/token/create", {"policies": ["zz", "default"]})
    equal(['Policy "zz" does not exist'], reply.warnings)
    reply = wire.ok("POST", "auth/token/create", {"policies": ["UPPER"]})
    equal(["default", "upper"], reply.auth["policies"])
    error(wire.ask("POST", "auth/token/create", {"policies": ["response-wrapping"]}), 400, "cannot assign policy")
    equal(["root"], create(policies=["a", "root", "default"])["policies"])


@tap.case("root makes root, but an expiring one none that stays")
def _():
    forever = create()
    equal((["root"], 0, False), (forever["policies"], forever["lease_duration"], forever["renewable"]))
    short = create(ttl="1h")
    equal((["root"], 3600, True), (short["policies"], short["lease_duration"], short["renewable"]))
    error(wire.ask("POST", "auth/token/create", {}, token=short["client_token"]), 400,
          "expiring root tokens cannot create non-expiring root tokens")
    equal(1800, create(short["client_token"], ttl="30m")["lease_duration"])


@tap.case("a chosen id")
def _():
    reply = wire.ok("POST", "auth/token/create", {"id": "my-id", "policies": ["default"]})
    equal("my-id", reply.auth["client_token"])
    true(any("SHA1" in w for w in reply.warnings), "Vault's warning")
    error(wire.ask("POST", "auth/token/create", {"id": "my-id"}), 400, "duplicate ID")
    for bad in ("a.b", "a b", "a\n", "\u007f"):
        error(wire.ask("POST", "auth/token/create", {"id": bad}), 400, "cannot contain")
    error(wire.ask("POST", "auth/token/create", {"id": "x" * 5000}), 400, "longer than")
    wants(wire.ask("GET", SELF, token="my-id"), 200)


@tap.case("types and values that are refused")
def _():
    error(wire.ask("POST", "auth/token/create", {"type": "bogus"}), 400, "invalid 'token_type' value")
    error(wire.ask("POST", "auth/token/create", {"type": "batch"}), 400, "batch")
    equal("service", create(type="service", policies="default")["token_type"])
    for field in ("ttl", "period", "explicit_max_ttl"):
        error(wire.ask("POST", "auth/token/create", {field: "-1h"}), 400, "negative")
        error(wire.ask("POST", "auth/token/create", {field: -5}), 400, "negative")
    error(wire.ask("POST", "auth/token/create", {"num_uses": -1}), 400, "negative")
    error(wire.ask("POST", "auth/token/create", {"policies": ["p%d" % i for i in range(65)]}), 400, "64")


# ---- uses ----------------------------------------------------------------------------------------

@tap.case("a token of two uses")
def _():
    token = create(policies=["default"], num_uses=2)["client_token"]
    equal(1, lookup(token)["num_uses"])
    error(wire.ask("GET", "secret/data/a", token=token), 403, "permission denied", "invalid token")
    dead(token)
    error(wire.ask("POST", "auth/token/lookup", {"token": token}), 403, "bad token")


@tap.case("the last use works, whatever it is")
def _():
    token = create(policies=["default"], num_uses=1)["client_token"]
    lookup(token)
    dead(token)
    token = create(policies=["default"], num_uses=1)["client_token"]
    wants(wire.ask("POST", "auth/token/revoke-self", token=token), 204)
    dead(token)
    token = create(policies=["default"], num_uses=1)["client_token"]
    wants(wire.ask("POST", "cubbyhole/x", {"a": 1}, token=token), 204)
    dead(token)
    token = create(policies=["default"], num_uses=1)["client_token"]
    error(wire.ask("GET", "nope/x", token=token), 403, "permission denied", "invalid token")
    dead(token)
    token = create(policies=["default"], num_uses=2, ttl="1h")["client_token"]
    got = wire.ok("POST", "auth/token/renew-self", {"increment": "2h"}, token=token).auth
    equal(7200, got["lease_duration"])
    lookup(token)
    dead(token)


@tap.case("what does not cost a use")
def _():
    token = create(policies=["default"], num_uses=3)["client_token"]
    wire.ask("GET", "sys/internal/ui/mounts/secret/a", token=token)
    wire.ask("GET", "sys/internal/ui/mounts", token=token)
    wire.ask("GET", "sys/health", token=token)
    wire.ask("GET", "sys/seal-status", token=token)
    wire.ask("GET", "secret/data/../a", token=token)
    wire.ask("POST", "secret/data/a/", {}, token=token)
    equal(2, lookup(token)["num_uses"])
    equal(2, wire.ok("POST", "auth/token/lookup", {"token": token}).data["num_uses"])


@tap.case("a token of few uses has no children")
def _():
    wire.policy("a", 'path "auth/token/create*" { capabilities = ["update", "sudo"] }')
    token = create(policies=["a"], num_uses=5)["client_token"]
    error(wire.ask("POST", "auth/token/create", {}, token=token), 400,
          "restricted use token cannot generate child tokens")
    equal(3, lookup(token)["num_uses"])


@tap.case("uses counted by many at once are counted right")
def _():
    import threading
    token = create(policies=["default"], num_uses=20)["client_token"]
    good, lock = [0], threading.Lock()

    def use():
        own = Wire(vault)
        for _ in range(10):
            if own.ask("GET", SELF, token=token).status == 200:
                with lock:
                    good[0] += 1
        own.close()
    threads = [threading.Thread(target=use) for _ in range(6)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    equal(20, good[0])
    dead(token)


# ---- renewing ------------------------------------------------------------------------------------

@tap.case("renewing")
def _():
    token = create(policies=["default"], ttl="2h", explicit_max_ttl="24h")["client_token"]
    reply = wire.ok("POST", "auth/token/renew-self", {"increment": "1h"}, token=token)
    equal((None, 3600, token, True), (reply.data, reply.auth["lease_duration"], reply.auth["client_token"],
                                      reply.auth["renewable"]))
    equal(7200, wire.ok("POST", "auth/token/renew-self", {}, token=token).auth["lease_duration"])
    equal(7200, wire.ok("PUT", "auth/token/renew-self", token=token).auth["lease_duration"])
    equal(90, wire.ok("POST", "auth/token/renew", {"token": token, "increment": 90}).auth["lease_duration"])
    reply = wire.ok("POST", "auth/token/renew-self", {"increment": "48h"}, token=token)
    true(86300 < reply.auth["lease_duration"] <= 86400, "at most 24h from its creation")
    true("exceeded the effective max_ttl" in str(reply.warnings), "the warning")
    got = lookup(token)
    true("last_renewal" in got and "last_renewal_time" in got, "times of the renewal")
    true(86300 < got["ttl"] <= 86400, "the new ttl")


@tap.case("renewing by accessor, periodic ones, and those that cannot be")
def _():
    made = create(policies=["default"], ttl="1h")
    got = wire.ok("POST", "auth/token/renew-accessor", {"accessor": made["accessor"], "increment": "2h"}).auth
    equal(("", 7200), (got["client_token"], got["lease_duration"]))
    error(wire.ask("POST", "auth/token/renew-accessor", {"accessor": "x"}), 400, "invalid accessor")
    token = create(policies=["default"], period="30m")["client_token"]
    for increment in ("1h", "1s", None):
        equal(1800, wire.ok("POST", "auth/token/renew-self", {"increment": increment},
                            token=token).auth["lease_duration"])
    error(wire.ask("POST", "auth/token/renew-self", {}), 400, "invalid lease ID")
    token = create(policies=["default"], ttl="1h", renewable=False)["client_token"]
    error(wire.ask("POST", "auth/token/renew-self", {}, token=token), 400, "lease is not renewable")
    error(wire.ask("POST", "auth/token/renew", {"token": "unknown"}), 400, "token not found")
    error(wire.ask("POST", "auth/token/renew", {}), 400, "missing token")
    dead("unknown")


# ---- ending --------------------------------------------------------------------------------------

@tap.case("an expired token is refused at once, its children too")
def _():
    wire.policy("a", 'path "auth/token/create" { capabilities = ["update"] }')
    parent = create(policies=["a"], ttl="4s")
    child = create(parent["client_token"], ttl="1h")["client_token"]
    orphan = create(path="auth/token/create-orphan", policies=["default"])["client_token"]
    wait_for("the token's end", lambda: wire.ask("GET", SELF, token=parent["client_token"]).status == 403)
    dead(parent["client_token"])
    dead(child)
    lookup(orphan)
    error(wire.ask("POST", "auth/token/lookup-accessor", {"accessor": parent["accessor"]}), 400,
          "invalid accessor")
    error(wire.ask("POST", "auth/token/renew", {"token": parent["client_token"]}), 400, "token not found")


@tap.case("a token lives until its end, not shorter")
def _():
    begun = time.monotonic()
    token = create(policies=["default"], ttl="2s")["client_token"]
    wait_for("the token's end", lambda: wire.ask("GET", SELF, token=token).status == 403)
    true(1.9 < time.monotonic() - begun < 20, "an end after two seconds")


@tap.case("revoking")
def _():
    one, two, three = (create(policies=["default"]) for _ in range(3))
    wants(wire.ask("POST", "auth/token/revoke", {"token": one["client_token"]}), 204)
    wants(wire.ask("POST", "auth/token/revoke-accessor", {"accessor": two["accessor"]}), 204)
    wants(wire.ask("POST", "auth/token/revoke-self", token=three["client_token"]), 204)
    for made in (one, two, three):
        dead(made["client_token"])
        error(wire.ask("POST", "auth/token/lookup", {"token": made["client_token"]}), 403, "bad token")
        error(wire.ask("POST", "auth/token/lookup-accessor", {"accessor": made["accessor"]}), 400,
              "invalid accessor")
    wants(wire.ask("POST", "auth/token/revoke", {"token": one["client_token"]}), 204)
    wants(wire.ask("POST", "auth/token/revoke", {"token": "unknown"}), 204)
    error(wire.ask("POST", "auth/token/revoke", {}), 400, "missing token")
    error(wire.ask("POST", "auth/token/revoke-accessor", {"accessor": two["accessor"]}), 400, "invalid accessor")
    error(wire.ask("POST", "auth/token/revoke-orphan", {"token": "unknown"}), 400, "token to revoke not found")


@tap.case("a token that ends takes its waiting requests with it")
def _():
    import threading
    for end in ("revoke", "revoke-parent"):
        wire.policy("watch", 'path "fleet/watch/*" { capabilities = ["read"] }'
                             'path "auth/token/create" { capabilities = ["update"] }')
        parent = create(policies=["watch"])["client_token"]
        token = create(parent)["client_token"] if end == "revoke-parent" else parent
        own, got = Wire(vault), []
        cursor = own.ok("GET", "fleet/watch/web1", token=token).data["cursor"]

        def watch(own=own, got=got, token=token, cursor=cursor):
            begun = time.monotonic()
            got.append((own.ask("GET", "fleet/watch/web1?wait=30&since=%s" % cursor, token=token).status,
                        time.monotonic() - begun))
        thread = threading.Thread(target=watch)
        thread.start()
        thread.join(0.5)
        true(thread.is_alive(), "a watch that waits, not %s" % got)
        wants(wire.ask("POST", "auth/token/revoke", {"token": parent}), 204)
        thread.join(30)
        equal(403, got[0][0], end)
        true(got[0][1] < 20, "an end at once, not after %.1f s" % got[0][1])
        own.close()


@tap.case("parents and children")
def _():
    wire.policy("a", 'path "auth/token/create*" { capabilities = ["update", "sudo"] }')
    parent = create(policies=["a"])["client_token"]
    child = create(parent)["client_token"]
    grandchild = create(child)["client_token"]
    orphan = create(parent, path="auth/token/create-orphan")
    loose = create(parent, no_parent=True)
    equal((True, True), (orphan["orphan"], loose["orphan"]))
    equal("auth/token/create-orphan", lookup(orphan["client_token"])["path"])
    wants(wire.ask("POST", "auth/token/revoke", {"token": parent}), 204)
    for token in (parent, child, grandchild):
        dead(token)
    for made in (orphan, loose):
        lookup(made["client_token"])


@tap.case("revoke-orphan leaves the children, as orphans")
def _():
    wire.policy("a", 'path "auth/token/create*" { capabilities = ["update", "sudo"] }')
    parent = create(policies=["a"])["client_token"]
    child = create(parent)["client_token"]
    grandchild = create(child)["client_token"]
    error(wire.ask("POST", "auth/token/revoke-orphan", {"token": parent}, token=child), 403, "permission denied")
    wants(wire.ask("POST", "auth/token/revoke-orphan", {"token": parent}), 204)
    dead(parent)
    equal((True, False), (lookup(child)["orphan"], lookup(grandchild)["orphan"]))
    wants(wire.ask("POST", "auth/token/revoke", {"token": child}), 204)
    dead(grandchild)


@tap.case("a tree of 300 children and their children: refused at once, swept soon")
def _():
    wire.policy("a", 'path "auth/token/create*" { capabilities = ["update", "sudo"] }')
    keys = wire.ok("LIST", "auth/token/accessors").data["keys"]
    parent = create(policies=["a"])["client_token"]
    children = [create(parent)["client_token"] for _ in range(300)]
    grand = [create(children[i])["client_token"] for i in range(0, 300, 30)]
    equal(len(keys) + 311, len(wire.ok("LIST", "auth/token/accessors").data["keys"]))
    wants(wire.ask("POST", "auth/token/revoke", {"token": parent}), 204)
    for token in [parent] + children[::7] + grand:
        dead(token)
    wait_for("the sweep", lambda: len(wire.ok("LIST", "auth/token/accessors").data["keys"]) <= len(keys))
    lookup(vault.token)


@tap.case("accessors are listed for sudo alone")
def _():
    made = create(policies=["default"])
    true(made["accessor"] in wire.ok("LIST", "auth/token/accessors").data["keys"], "the accessor")
    for policy, status in [('path "auth/token/accessors" { capabilities = ["list"] }', 403),
                           ('path "auth/token/accessors" { capabilities = ["sudo"] }', 403),
                           ('path "auth/token/accessors" { capabilities = ["list", "sudo"] }', 200),
                           ('path "auth/token/accessors/" { capabilities = ["list", "sudo"] }', 200)]:
        token = wire.token(policy, "accessors")
        for path in ("auth/token/accessors", "auth/token/accessors/"):
            wants(wire.ask("LIST", path, token=token), status)


@tap.case("a cubbyhole is its token's own and goes with it")
def _():
    one, two = (create(policies=["default"], id=i)["client_token"] for i in ("cubby-one", "cubby-two"))
    for path in ("a", "b/c", "b/d/e"):
        wants(wire.ask("POST", "cubbyhole/" + path, {"k": "of one"}, token=one), 204)
    equal({"k": "of one"}, wire.ok("GET", "cubbyhole/b/d/e", token=one).data)
    equal(["a", "b/"], wire.ok("LIST", "cubbyhole", token=one).data["keys"])
    equal(["c", "d/"], wire.ok("LIST", "cubbyhole/b", token=one).data["keys"])
    for token in (two, ""):
        error(wire.ask("GET", "cubbyhole/a", token=token), 404)
    error(wire.ask("POST", "cubbyhole/x", {}, token=one), 500, "missing data fields")
    wants(wire.ask("DELETE", "cubbyhole/b/c", token=one), 204)
    wants(wire.ask("DELETE", "cubbyhole/none", token=one), 204)
    error(wire.ask("GET", "cubbyhole/b/c", token=one), 404)
    wants(wire.ask("POST", "auth/token/revoke", {"token": one}), 204)
    # Who gets the same id later finds nothing of it; until it is swept, nobody gets the id.
    fields = {"policies": ["default"], "id": "cubby-one"}
    first = wire.ask("POST", "auth/token/create", fields)
    if first.status != 200:
        error(first, 400, "duplicate ID")
        first = wait_for("the sweep", lambda: answered(wire.ask("POST", "auth/token/create", fields)))
    error(wire.ask("LIST", "cubbyhole", token="cubby-one"), 404)
    error(wire.ask("GET", "cubbyhole/a", token="cubby-one"), 404)


@tap.case("the text of a token is nowhere but in its answers")
def _():
    made = create(policies=["default"], meta={"k": "v"})
    with open(vault.log_path, "rb") as f:
        true(made["client_token"].encode() not in f.read(), "no token in the log")
    for name in os.listdir(vault.data):
        path = os.path.join(vault.data, name)
        if os.path.isfile(path):
            with open(path, "rb") as f:
                true(made["client_token"].encode() not in f.read(), "no token in %s" % name)


sys.exit(serve(tap, wire))
