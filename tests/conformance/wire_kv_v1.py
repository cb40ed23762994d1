#!/usr/bin/python3
"""KV version 1 over raw HTTP: what is written comes back as it was, byte for byte.

    tests/conformance/wire_kv_v1.py ['part of a case name']
"""
import json
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
from keyturn import Vault  # noqa: E402
from tap import Tap, equal, true  # noqa: E402
from wire import Wire, error, serve, wants  # noqa: E402

tap = Tap("tests/conformance/wire_kv_v1.py")
vault = Vault()
wire = Wire(vault)
MONTH = 2764800


@tap.case("write and read")
def _():
    for method in ("POST", "PUT"):
        wants(wire.ask(method, "kv/a", {"k": method, "deep": {"x": [1, None, True]}}), 204)
        reply = wire.ok("GET", "kv/a")
        equal(({"k": method, "deep": {"x": [1, None, True]}}, "", False, MONTH, "kv"),
              (reply.data, *(reply.json[k] for k in ("lease_id", "renewable", "lease_duration", "mount_type"))))
    # All of the body is the secret: nothing is merged, nothing is an envelope.
    wants(wire.ask("POST", "kv/a", {"data": {"x": 1}, "options": {"cas": 7}}), 204)
    equal({"data": {"x": 1}, "options": {"cas": 7}}, wire.ok("GET", "kv/a").data)
    error(wire.ask("GET", "kv/none"), 404)


@tap.case("numbers and texts keep every character")
def _():
    text = b'{"a":12345678901234567890,"b":1.0,"c":1e3,"d":-0.10,"e":"<a&b>\\u2028\\u00e9 \\"q\\"","f":{"g":[]}}'
    wants(wire.ask("POST", "kv/n", raw=text), 204)
    body = wire.ok("GET", "kv/n").body
    for part in (b'"a":12345678901234567890', b'"b":1.0', b'"c":1e3', b'"d":-0.10'):
        true(part in body, "%s in %s" % (part, body))
    equal(json.loads(text), wire.ok("GET", "kv/n").data)


@tap.case("bodies that are not right")
def _():
    for raw in (None, b"", b"{}", b"null", b" "):
        error(wire.ask("POST", "kv/bad", raw=raw), 400, "missing data fields")
    error(wire.ask("POST", "kv/bad", raw=b"[1]"), 400, "failed to decode JSON input")
    error(wire.ask("POST", "kv/bad", raw=b'{"a":'), 400, "failed to decode JSON input")
    error(wire.ask("POST", "kv/bad", raw=b'{"a":1,"a":2}'), 400, "failed to decode JSON input")
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    error(wire.ask("POST", "kv/bad", raw=b"k=secretword&k=w", headers=form), 400, "form body", "secretword")
    wants(wire.ask("POST", "kv/form", raw=b'{"k":"v"}', headers=form), 204)
    equal({"k": "v"}, wire.ok("GET", "kv/form").data)
    error(wire.ask("POST", "kv/big", {"k": "x" * (513 * 1024)}), 400, "larger than 512 KiB")
    wants(wire.ask("POST", "kv/big", {"k": "x" * (3 << 20)}), 413)
    error(wire.ask("GET", "kv/bad"), 404)
    error(wire.ask("POST", "kv", {"k": 1}), 400, "missing path")
    error(wire.ask("POST", "kv/a/", {"k": 1}), 400, "cannot write to a path ending in '/'")
    error(wire.ask("PATCH", "kv/a", {"k": 1}), 405, "unsupported operation")


@tap.case("lists, and names that are file and folder")
def _():
    for path in ("ls/b", "ls/b/c", "ls/b/d/e", "ls/a", "ls/Z"):
        wants(wire.ask("POST", "kv/" + path, {"path": path}), 204)
    for method, path in (("LIST", "kv/ls"), ("LIST", "kv/ls/"), ("GET", "kv/ls?list=true"), ("GET", "kv/ls/?list=1")):
        equal(["Z", "a", "b", "b/"], wire.ok(method, path).data["keys"], path)
    equal(["c", "d/"], wire.ok("LIST", "kv/ls/b").data["keys"])
    error(wire.ask("LIST", "kv/ls/a"), 404)
    error(wire.ask("LIST", "kv/none"), 404)
    for _ in range(2):
        wants(wire.ask("DELETE", "kv/ls/b"), 204)
    equal(["Z", "a", "b/"], wire.ok("LIST", "kv/ls").data["keys"])
    equal("ls/b/c", wire.ok("GET", "kv/ls/b/c").data["path"])
    for path in ("ls/b/c", "ls/b/d/e", "ls/a", "ls/Z"):
        wants(wire.ask("DELETE", "kv/" + path), 204)
    error(wire.ask("LIST", "kv/ls"), 404)


@tap.case("when readers should look again")
def _():
    for value, seconds in (("90", 90), ("1h30m", 5400), (45, 45), ("2d", 172800), ("soon", MONTH), (-1, MONTH),
                           (1.5, MONTH), (None, MONTH), (["1h"], MONTH), (True, MONTH)):
        wants(wire.ask("POST", "kv/ttl", {"ttl": value}), 204)
        reply = wire.ok("GET", "kv/ttl")
        equal((seconds, value), (reply.json["lease_duration"], reply.data["ttl"]), str(value))
    wants(wire.ask("POST", "kv/ttl", {"lease": "10m"}), 204)
    equal(600, wire.ok("GET", "kv/ttl").json["lease_duration"])
    wants(wire.ask("POST", "kv/ttl", {"lease": "10m", "ttl": "5m"}), 204)
    equal(300, wire.ok("GET", "kv/ttl").json["lease_duration"])
    wire.ok("POST", "kv/ttl", {"k": 1})
    wants(wire.ask("POST", "sys/mounts/kv/tune", {"default_lease_ttl": "7m"}), 204)
    equal(420, wire.ok("GET", "kv/ttl").json["lease_duration"])
    wants(wire.ask("POST", "sys/mounts/kv/tune", {"default_lease_ttl": "system"}), 204)


@tap.case("create, update and what else a policy tells apart")
def _():
    token = wire.token('path "kv/p/new" { capabilities = ["create"] }\npath "kv/p/old" { capabilities = ["update"] }\n'
                       'path "kv/p/one" { capabilities = ["create", "update"] allowed_parameters = { "k" = ["a*"] } }\n'
                       'path "kv/p/" { capabilities = ["list"] }', "v1")
    wants(wire.ask("POST", "kv/p/new", {"k": 1}, token=token), 204)
    error(wire.ask("POST", "kv/p/new", {"k": 2}, token=token), 403, "permission denied")
    error(wire.ask("POST", "kv/p/old", {"k": 1}, token=token), 403, "permission denied")
    wants(wire.ask("POST", "kv/p/old", {"k": 1}), 204)
    wants(wire.ask("POST", "kv/p/old", {"k": 2}, token=token), 204)
    wants(wire.ask("POST", "kv/p/one", {"k": "abc"}, token=token), 204)
    for body in ({"k": "xyz"}, {"k": "abc", "l": 1}):
        error(wire.ask("POST", "kv/p/one", body, token=token), 403, "permission denied")
    equal({"k": "abc"}, wire.ok("GET", "kv/p/one").data)
    equal(["new", "old", "one"], wire.ok("LIST", "kv/p", token=token).data["keys"])
    error(wire.ask("GET", "kv/p/new", token=token), 403, "permission denied")
    error(wire.ask("GET", "kv/p/new", token=None), 403, "permission denied")


@tap.case("secrets outlive a restart; a new mount of the name is empty")
def _():
    wants(wire.ask("POST", "kv/stays", {"k": "v"}), 204)
    wire.close()
    vault.restart()
    equal({"k": "v"}, wire.ok("GET", "kv/stays").data)
    wants(wire.ask("DELETE", "sys/mounts/kv"), 204)
    wants(wire.ask("POST", "sys/mounts/kv", {"type": "kv"}), 204)
    error(wire.ask("GET", "kv/stays"), 404)
    error(wire.ask("LIST", "kv"), 404)


def first():
    wants(wire.ask("POST", "sys/mounts/kv", {"type": "kv"}), 204)


sys.exit(serve(tap, wire, first))
