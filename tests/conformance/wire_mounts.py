#!/usr/bin/python3
"""Mounts over raw HTTP: adding, tuning, removing, the tables, and the preflight of Vault's command.

    tests/conformance/wire_mounts.py ['part of a case name']
"""
import os
import re
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
from keyturn import Vault  # noqa: E402
from tap import Tap, equal, true  # noqa: E402
from wire import Wire, error, serve, wants  # noqa: E402

tap = Tap("tests/conformance/wire_mounts.py")
vault = Vault()
wire = Wire(vault)
PREFLIGHT = "preflight capability check returned 403"
INFO = {"accessor", "config", "description", "external_entropy_access", "local", "options", "plugin_version",
        "running_plugin_version", "running_sha256", "seal_wrap", "type", "uuid"}
KV2 = {"type": "kv", "options": {"version": "2"}}
MONTH = 2764800


def mount(path, body=None, status=204):
    return wants(wire.ask("POST", "sys/mounts/" + path, body or KV2), status)


@tap.case("the tables of a new vault")
def _():
    got = wire.ok("GET", "sys/mounts").data
    equal({"cubbyhole/": "cubbyhole", "sys/": "system", "secret/": "kv"},
          {k: v["type"] for k, v in got.items() if k in ("cubbyhole/", "sys/", "secret/")})
    for path, info in got.items():
        true(INFO <= set(info), "all fields of %s, not without %s" % (path, INFO - set(info)))
        true(info["options"] is None or all(isinstance(v, str) for v in info["options"].values()), "texts")
        equal({"default_lease_ttl": 0, "max_lease_ttl": 0, "force_no_cache": False}, info["config"])
    equal({"version": "2"}, got["secret/"]["options"])
    true(re.fullmatch(r"kv_[0-9a-f]{8}", got["secret/"]["accessor"]), "an accessor like kv_1a2b3c4d")
    got = wire.ok("GET", "sys/auth").data
    equal(["token/"], list(got))
    equal("token", got["token/"]["type"])


@tap.case("every spelling of KV version 2")
def _():
    for i, body in enumerate([KV2, {"type": "kv", "options": {"version": 2}}, {"type": "kv-v2"},
                              {"type": "plugin", "plugin_name": "kv", "options": {"version": "2"}},
                              {"type": "kv", "options": {"version": "2"}, "description": "d", "local": False,
                               "seal_wrap": False, "external_entropy_access": False,
                               "config": {"default_lease_ttl": "1h", "max_lease_ttl": 7200,
                                          "force_no_cache": False}}]):
        mount("v%d" % i, body)
        got = wire.ok("GET", "sys/mounts/v%d" % i).data
        equal({"version": "2"}, got["options"], str(body))
        equal({"version": "2"}, wire.ok("GET", "sys/internal/ui/mounts/v%d/a" % i).data["options"])
    equal(("d", 3600, 7200), (got["description"], got["config"]["default_lease_ttl"],
                              got["config"]["max_lease_ttl"]))
    mount("slash/")
    mount("a/b/c")
    wire.ok("POST", "a/b/c/data/x", {"data": {"deep": True}})
    equal(True, wire.ok("GET", "a/b/c/data/x").data["data"]["deep"])
    error(wire.ask("GET", "a/b/data/x"), 404, "no handler for route")


@tap.case("every spelling of KV version 1")
def _():
    for i, (body, options) in enumerate([
            ({"type": "kv"}, None), ({"type": "generic"}, None), ({"type": "kv", "options": None}, None),
            ({"type": "kv", "options": {}}, None), ({"type": "kv-v1"}, {"version": "1"}),
            ({"type": "kv", "options": {"version": 1}}, {"version": "1"}),
            ({"type": "plugin", "plugin_name": "kv"}, None)]):
        mount("one%d" % i, body)
        got = wire.ok("GET", "sys/mounts/one%d" % i).data
        equal(("kv", options), (got["type"], got["options"]), str(body))
        wants(wire.ask("POST", "one%d/a" % i, {"k": "v"}), 204)
        equal({"k": "v"}, wire.ok("GET", "one%d/a" % i).data)


@tap.case("mounts that cannot be")
def _():
    mount("taken")
    error(mount("taken", status=400), 400, "path is already in use at taken/")
    error(mount("taken/sub", status=400), 400, "existing mount at taken/")
    mount("outer/inner")
    error(mount("outer", status=400), 400, "existing mount at outer/inner/")
    for path in ("sys", "sys/x", "cubbyhole", "auth/x", "auth/token", "identity", "identity/x", "audit/x"):
        wants(wire.ask("POST", "sys/mounts/" + path, KV2), 400)
    error(mount("x", {"options": {}}, 400), 400, "backend type must be specified as a string")
    error(mount("x", {"type": "bogus"}, 400), 400, "plugin not found in the catalog: bogus")
    error(mount("x", {"type": "kv", "options": {"version": "3"}}, 400), 400, "plugin not found")
    for once in ("cubbyhole", "system", "token", "identity"):
        error(mount("x", {"type": once}, 400), 400, 'mount type of "%s" is not mountable' % once)
    error(mount("x", dict(KV2, config={"max_lease_ttl": "soon"}), 400), 400, "max_lease_ttl", "soon")
    error(wire.ask("GET", "sys/mounts/x"), 400, "No secret engine mount at x/")


@tap.case("removing")
def _():
    mount("gone")
    wire.ok("POST", "gone/data/a", {"data": {"k": "v"}})
    for _ in range(2):
        wants(wire.ask("DELETE", "sys/mounts/gone"), 204)
    error(wire.ask("GET", "gone/data/a"), 404, "no handler for route")
    for path in ("sys", "cubbyhole", "auth/token"):
        error(wire.ask("DELETE", "sys/mounts/" + path), 400, "cannot unmount")
    # A new mount of the old name is empty.
    mount("gone")
    error(wire.ask("GET", "gone/data/a"), 404)
    error(wire.ask("LIST", "gone/metadata"), 404)


@tap.case("tuning")
def _():
    mount("tune", dict(KV2, description="before"))
    got = wire.ok("GET", "sys/mounts/tune/tune").data
    equal((MONTH, MONTH, False, "before"), (got["default_lease_ttl"], got["max_lease_ttl"],
                                            got["force_no_cache"], got["description"]))
    equal(0, wire.ok("GET", "sys/mounts/tune").data["config"]["default_lease_ttl"])
    wants(wire.ask("POST", "sys/mounts/tune/tune", {"default_lease_ttl": "3600s", "max_lease_ttl": "2h"}), 204)
    got = wire.ok("GET", "sys/mounts/tune/tune").data
    equal((3600, 7200, "before"), (got["default_lease_ttl"], got["max_lease_ttl"], got["description"]))
    wants(wire.ask("POST", "sys/mounts/tune/tune", {"default_lease_ttl": "system", "description": "after",
                                                    "max_lease_ttl": ""}), 204)
    got = wire.ok("GET", "sys/mounts/tune/tune").data
    equal((7200, 7200, "after"), (got["default_lease_ttl"], got["max_lease_ttl"], got["description"]))
    error(wire.ask("POST", "sys/mounts/tune/tune", {"options": {"version": "1"}}), 400, "cannot downgrade")
    wants(wire.ask("POST", "sys/mounts/tune/tune", {"options": {"version": "2"}}), 204)
    error(wire.ask("POST", "sys/mounts/tune/tune", {"max_lease_ttl": "soon"}), 400, "max_lease_ttl", "soon")
    error(wire.ask("GET", "sys/mounts/none/tune"), 400, "No secret engine mount at none/")


@tap.case("tuning: all settings, at once and at first")
def _():
    settings = {"audit_non_hmac_request_keys": ["a", "b"], "audit_non_hmac_response_keys": ["c"],
                "listing_visibility": "hidden", "passthrough_request_headers": ["X-One"],
                "allowed_response_headers": ["X-Two", "X-Three"]}
    told = mount("all", dict(KV2, config=dict(settings, force_no_cache=True)), 200).json["warnings"]
    true(len(told) == 1 and "changes nothing" in told[0], str(told))
    config = wire.ok("GET", "sys/mounts/all").data["config"]
    tune = wire.ok("GET", "sys/mounts/all/tune").data
    for name, value in settings.items():
        equal((value, value), (config[name], tune[name]), name)
    equal((True, True), (config["force_no_cache"], tune["force_no_cache"]))
    wants(wire.ask("POST", "sys/mounts/all/tune", {"audit_non_hmac_request_keys": "x,y", "listing_visibility": "",
                                                   "passthrough_request_headers": ""}), 204)
    tune = wire.ok("GET", "sys/mounts/all/tune").data
    equal((["x", "y"], ["c"]), tuple(tune["audit_non_hmac_%s_keys" % k] for k in ("request", "response")))
    true("listing_visibility" not in tune and "passthrough_request_headers" not in tune, "what is not set")
    for body in ({"listing_visibility": "secretword"}, {"token_type": "service"}, {"force_no_cache": "secretword"},
                 {"default_lease_ttl": "3h", "max_lease_ttl": "2h"}, {"allowed_response_headers": "secretword" * 20}):
        error(wire.ask("POST", "sys/mounts/all/tune", body), 400, next(iter(body)) if len(body) == 1 else "lease TTL",
              "secretword")
    error(wire.ask("POST", "sys/mounts/sys/tune", {"description": "x"}), 400, 'cannot tune "sys/"')
    error(wire.ask("POST", "sys/mounts/none/tune", {"description": "x"}), 400, "No secret engine mount at none/")


@tap.case("from KV version 1 to version 2")
def _():
    mount("up", {"type": "kv"})
    wire.ok("POST", "up/a/b", {"k": "v", "n": 1})
    reply = wire.ok("POST", "sys/mounts/up/tune", {"options": {"version": "2"}})
    equal((200, None), (reply.status, reply.data))
    true(reply.warnings[0].startswith("Upgrading mount from version 1 to version 2."), str(reply.warnings))
    got = wire.ok("GET", "up/data/a/b").data
    equal(({"k": "v", "n": 1}, 1), (got["data"], got["metadata"]["version"]))
    equal(2, wire.ok("POST", "up/data/a/b", {"data": {}, "options": {"cas": 1}}).data["version"])
    wants(wire.ask("GET", "up/a/b"), 404, "Invalid path for a versioned K/V secrets engine")
    error(wire.ask("POST", "sys/mounts/up/tune", {"options": {"version": "1"}}), 400,
          "cannot downgrade mount from version 2")


@tap.case("moving")
def _():
    mount("src", dict(KV2, description="moves"))
    wire.ok("POST", "src/data/a", {"data": {"k": "v"}})
    before = wire.ok("GET", "sys/mounts/src").data
    sudo = wire.token('path "sys/remount" { capabilities = ["update", "sudo"] }', "mover")
    without = wire.token('path "sys/remount" { capabilities = ["update"] }', "stays")
    ask = {"from": "src", "to": "dst/deep/"}
    error(wire.ask("POST", "sys/remount", ask, token=without), 403, "permission denied")
    reply = wants(wire.ask("POST", "sys/remount", ask, token=sudo), 200)
    true(reply.json["migration_id"] == reply.data["migration_id"] and reply.warnings, "lifted, with a warning")
    equal("v", wire.ok("GET", "dst/deep/data/a").data["data"]["k"])
    after = wire.ok("GET", "sys/mounts/dst/deep").data
    equal((before["accessor"], before["uuid"], "moves"), (after["accessor"], after["uuid"], after["description"]))
    error(wire.ask("GET", "src/data/a"), 404, "no handler for route")
    got = wire.ok("GET", "sys/remount/status/" + reply.data["migration_id"]).data
    equal({"migration_id": reply.data["migration_id"],
           "migration_info": {"source_mount": "src/", "target_mount": "dst/deep/", "status": "success"}}, got)
    error(wire.ask("GET", "sys/remount/status/00000000-0000-0000-0000-000000000000"), 404)
    # What the old name means now is somebody else's; what was moved knows nothing of it.
    mount("src")
    error(wire.ask("GET", "src/data/a"), 404)
    for ask, text in [({}, "both 'from' and 'to'"), ({"from": "src"}, "both 'from' and 'to'"),
                      ({"from": "nope", "to": "x"}, 'no matching mount at "nope/"'),
                      ({"from": "src", "to": "dst/deep"}, 'path already in use at "dst/deep/"'),
                      ({"from": "src", "to": "dst"}, 'path already in use at "dst/deep/"'),
                      ({"from": "sys", "to": "x"}, 'cannot remount "sys/"'),
                      ({"from": "src", "to": "cubbyhole/x"}, "cannot remount to destination"),
                      ({"from": "src", "to": "../x"}, "relative paths"), ({"from": ["src"], "to": "x"}, "from")]:
        error(wire.ask("POST", "sys/remount", ask), 400, text)


@tap.case("the preflight answers for what a token can reach, and costs nothing")
def _():
    mount("pre")
    mount("other")
    token = wire.token('path "pre/data/a" { capabilities = ["read"] }', "pre")
    for path in ("pre/data/a", "pre/data/b", "pre", "pre/", "pre/x/y"):
        got = wants(wire.ask("GET", "sys/internal/ui/mounts/" + path, token=token), 200)
        equal(("pre/", "kv", {"version": "2"}), tuple(got.data[k] for k in ("path", "type", "options")))
    for path in ("other/data/a", "other", "none/x", "none", "secret/data/a", "pred/data/a"):
        error(wire.ask("GET", "sys/internal/ui/mounts/" + path, token=token), 403, PREFLIGHT)
    # Unknown and forbidden cannot be told apart but by the path that was asked for.
    texts = {p: wire.ask("GET", "sys/internal/ui/mounts/%s/x" % p, token=token).body.replace(p.encode(), b"")
             for p in ("other", "nosuch")}
    equal(texts["other"], texts["nosuch"])
    for policy, reaches in [('path "p*" { capabilities = ["read"] }', True), ('path "+/data/a" { capabilities = ["read"] }', True),
                            ('path "*" { capabilities = ["list"] }', True), ('path "pre/*" { capabilities = ["deny"] }', False),
                            ('path "pre" { capabilities = ["read"] }', True), ('path "prex/*" { capabilities = ["read"] }', False),
                            ('path "pre/+/x" { capabilities = ["list"] }', True)]:
        token = wire.token(policy, "pre")
        wants(wire.ask("GET", "sys/internal/ui/mounts/pre/data/a", token=token), 200 if reaches else 403)
    wants(wire.ask("GET", "sys/internal/ui/mounts/pre/data/a"), 200)
    error(wire.ask("GET", "sys/internal/ui/mounts/pre/data/a", token=None), 403, "permission denied")
    error(wire.ask("GET", "sys/internal/ui/mounts/pre/data/a", token="bad"), 403, "invalid token")


@tap.case("the list of what a token can reach")
def _():
    token = wire.token('path "secret/data/a" { capabilities = ["read"] }', "ui")
    got = wire.ok("GET", "sys/internal/ui/mounts", token=token).data
    equal({"secret", "auth"}, set(got))
    true("secret/" in got["secret"] and "cubbyhole/" in got["secret"], "what default and the policy reach")
    true("pre/" not in got["secret"], "not what they do not reach")
    true("token/" in got["auth"], "auth/token")
    true({"secret/", "sys/"} <= set(wire.ok("GET", "sys/internal/ui/mounts").data["secret"]), "root's")
    got = wants(wire.ask("GET", "sys/internal/ui/mounts", token=None), 200).data
    equal({"secret": {}, "auth": {}}, got)
    mount("seen", dict(KV2, description="d", config={"listing_visibility": "unauth"}))
    got = wants(wire.ask("GET", "sys/internal/ui/mounts", token=None), 200).data
    equal({"seen/": {"type": "kv", "description": "d", "options": {"version": "2"}}}, got["secret"])
    true("accessor" in wire.ok("GET", "sys/internal/ui/mounts", token=token).data["secret"]["seen/"], "all of it")


@tap.case("what a token's policies say")
def _():
    equal({"root": True}, wire.ok("GET", "sys/internal/ui/resultant-acl").data)
    token = wire.token('path "secret/data/a" { capabilities = ["read", "update"] }\n'
                       'path "secret/*" { capabilities = ["deny"] }\npath "+/x" { capabilities = ["list"] }', "ui")
    got = wire.ok("GET", "sys/internal/ui/resultant-acl", token=token).data
    equal((False, ["read", "update"], ["deny"], ["list"], ["create", "delete", "list", "read", "update"]),
          (got["root"], got["exact_paths"]["secret/data/a"]["capabilities"], got["glob_paths"]["secret/"]["capabilities"],
           got["exact_paths"]["+/x"]["capabilities"], got["glob_paths"]["cubbyhole/"]["capabilities"]))
    error(wire.ask("GET", "sys/internal/ui/resultant-acl", token=None), 403, "permission denied")


@tap.case("mounts outlive a restart")
def _():
    mount("stays", dict(KV2, description="still"))
    wire.ok("POST", "stays/data/a", {"data": {"k": "v"}})
    accessor = wire.ok("GET", "sys/mounts/stays").data["accessor"]
    mount("away", {"type": "kv"})
    wire.ok("POST", "away/a", {"n": 1.0})
    move = wire.ok("POST", "sys/remount", {"from": "away", "to": "elsewhere"}).data["migration_id"]
    wire.close()
    vault.restart()
    equal((accessor, "still"), tuple(wire.ok("GET", "sys/mounts/stays").data[k] for k in ("accessor", "description")))
    equal("v", wire.ok("GET", "stays/data/a").data["data"]["k"])
    equal({"n": 1.0}, wire.ok("GET", "elsewhere/a").data)
    equal("success", wire.ok("GET", "sys/remount/status/" + move).data["migration_info"]["status"])


@tap.case("who may mount")
def _():
    token = wire.token('path "sys/mounts/mine" { capabilities = ["update", "delete"] }', "mounter")
    wants(wire.ask("POST", "sys/mounts/mine", KV2, token=token), 204)
    error(wire.ask("POST", "sys/mounts/yours", KV2, token=token), 403, "permission denied")
    error(wire.ask("GET", "sys/mounts", token=token), 403, "permission denied")
    wants(wire.ask("DELETE", "sys/mounts/mine", token=token), 204)


sys.exit(serve(tap, wire))
