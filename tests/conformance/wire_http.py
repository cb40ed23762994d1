#!/usr/bin/python3
"""The HTTP side of Vault's API: envelope, methods, bodies, paths, headers, limits, order of checks.

    tests/conformance/wire_http.py ['part of a case name']
"""
import json
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
from keyturn import Vault  # noqa: E402
from tap import Mismatch, Tap, equal, true  # noqa: E402
from wire import ENVELOPE, Wire, error, serve, wants  # noqa: E402

tap = Tap("tests/conformance/wire_http.py")
vault = Vault()
wire = Wire(vault)
UNSUPPORTED = "unsupported operation"


# ---- envelope and media type ---------------------------------------------------------------------

@tap.case("a read has the whole envelope, in Vault's order")
def _():
    wire.ok("POST", "secret/data/env", {"data": {"k": "v"}})
    got = wire.ok("GET", "secret/data/env").json
    equal(ENVELOPE + ["mount_type"], list(got))
    equal({"k": "v"}, got["data"]["data"])
    equal("", got["lease_id"])
    for key in ("wrap_info", "warnings", "auth"):
        equal(None, got[key], key)
    equal((False, 0, "kv"), (got["renewable"], got["lease_duration"], got["mount_type"]))
    equal(36, len(got["request_id"]))


@tap.case("two answers have two request ids")
def _():
    first, second = (wire.ok("GET", "sys/mounts").json["request_id"] for _ in range(2))
    true(first != second, "different ids")


@tap.case("media type and no-store on every kind of answer")
def _():
    # check_always() in ask() does the work; this only visits every kind.
    for method, path, body, status in [
            ("GET", "sys/mounts", None, 200), ("PUT", "sys/policies/acl/x", {"policy": "# none"}, 204),
            ("GET", "secret/data/none", None, 404), ("GET", "sys/nope", None, 404),
            ("FOO", "sys/mounts", None, 405), ("GET", "sys/health", None, 200),
            ("GET", "sys/seal-status", None, 200), ("GET", "sys/leader", None, 200),
            ("GET", "sys/init", None, 200), ("GET", "sys/mounts?help=1", None, 200),
            ("PATCH", "sys/mounts", {}, 405), ("DELETE", "secret/data/none", None, 204)]:
        wants(wire.ask(method, path, body), status)
    wants(wire.ask("GET", "sys/mounts", token=None), 403)
    wants(wire.ask("GET", "sys/mounts", token="nonsense"), 403)


@tap.case("old and new places of lifted data agree")
def _():
    for path in ("sys/mounts", "sys/auth", "sys/policy", "sys/key-status", "sys/policy/default",
                 "sys/mounts/secret", "sys/mounts/secret/tune"):
        got = wire.ok("GET", path).json
        for key, value in got["data"].items():
            equal(value, got.get(key), "%s %s" % (path, key))
    got = wire.ok("POST", "sys/capabilities-self", {"paths": ["a"]}).json
    equal(["root"], got["capabilities"])
    got = wire.ok("GET", "sys/policies/acl/default").json
    true("policy" not in got, "sys/policies/acl not lifted")


@tap.case("characters that need escapes come back equal")
def _():
    data = {"html": "<a&b>", "quote": "\"\\/", "unicode": "ä€\U0001f511", "control": "\t\n\u0001",
            "line": "\u2028\u2029", "key <&> ü": 1}
    wire.ok("POST", "secret/data/chars", {"data": data})
    equal(data, wire.ok("GET", "secret/data/chars").data["data"])


@tap.case("numbers keep every digit")
def _():
    text = b'{"data":{"a":12345678901234567890,"b":1.0,"c":1e3,"d":-0.10,"e":0.1e-7}}'
    wants(wire.ask("POST", "secret/data/numbers", raw=text), 200)
    wants(wire.ask("GET", "secret/data/numbers"), 200, text[8:-1].decode())


# ---- methods -------------------------------------------------------------------------------------

@tap.case("PUT and POST are the same")
def _():
    for method in ("PUT", "POST"):
        wants(wire.ask(method, "secret/data/m", {"data": {}}), 200)
        wants(wire.ask(method, "secret/metadata/m", {"max_versions": 3}), 204)
        wants(wire.ask(method, "secret/delete/m", {"versions": [1]}), 204)
        wants(wire.ask(method, "secret/undelete/m", {"versions": [1]}), 204)
        wants(wire.ask(method, "secret/destroy/m", {"versions": [99]}), 204)
        wants(wire.ask(method, "secret/config", {"max_versions": 0}), 204)
        wants(wire.ask(method, "sys/policies/acl/m", {"policy": "# none"}), 204)
        wants(wire.ask(method, "sys/policy/m", {"policy": "# none"}), 204)
        wants(wire.ask(method, "sys/capabilities-self", {"paths": "x"}), 200)
        wants(wire.ask(method, "auth/token/create", {"policies": ["default"]}), 200)
        wants(wire.ask(method, "auth/token/lookup-self"), 200)
        wants(wire.ask(method, "sys/unseal", {"key": vault.shares[0]}, token=None), 200)
        wants(wire.ask(method, "cubbyhole/m", {"a": 1}), 204)


@tap.case("every spelling of a list")
def _():
    wire.ok("POST", "secret/data/list/b", {"data": {}})
    wire.ok("POST", "secret/data/list/a/c", {"data": {}})
    for method, path in [("LIST", "secret/metadata/list"), ("LIST", "secret/metadata/list/"),
                         ("GET", "secret/metadata/list?list=true"),
                         ("GET", "secret/metadata/list/?list=true"),
                         ("GET", "secret/metadata/list?list=1"), ("GET", "secret/metadata/list?list=t"),
                         ("GET", "secret/metadata/list?list=True"),
                         ("GET", "secret/metadata/list?list=TRUE")]:
        equal(["a/", "b"], wire.ok(method, path).data["keys"], "%s %s" % (method, path))
    for word in ("yes", "2", "", "tRUE"):
        error(wire.ask("GET", "secret/metadata/list?list=" + word), 400)
    for word in ("false", "0", "F"):
        wants(wire.ask("GET", "secret/metadata/list/b?list=" + word), 200, "current_version")


@tap.case("an empty folder is 404 without a text")
def _():
    error(wire.ask("LIST", "secret/metadata/no/such"), 404)
    error(wire.ask("LIST", "cubbyhole/empty/"), 404)
    wire.ok("POST", "secret/data/gone/x", {"data": {}})
    wire.ok("DELETE", "secret/metadata/gone/x")
    error(wire.ask("LIST", "secret/metadata/gone"), 404)


@tap.case("methods that a path does not have")
def _():
    for method, path in [("DELETE", "sys/health"), ("POST", "sys/health"), ("POST", "sys/seal-status"),
                         ("GET", "sys/unseal"), ("DELETE", "sys/init"), ("POST", "sys/leader")]:
        error(wire.ask(method, path), 405)
    for method in ("FOO", "OPTIONS", "TRACE", "get", "SCAN"):
        error(wire.ask(method, "sys/mounts"), 405)
    for method, path in [("LIST", "secret/data/a"), ("GET", "sys/policies/acl"), ("DELETE", "sys/mounts"),
                         ("GET", "auth/token/create"), ("POST", "sys/key-status"), ("GET", "sys/seal"),
                         ("LIST", "sys/policies/acl/default"), ("GET", "sys/capabilities-self"),
                         ("PATCH", "sys/policies/acl/default"), ("DELETE", "auth/token/lookup-self"),
                         ("GET", "secret/delete/a"), ("LIST", "secret/subkeys/a")]:
        error(wire.ask(method, path, {} if method in ("POST", "PATCH") else None), 405, UNSUPPORTED)


@tap.case("HEAD is for health alone")
def _():
    wants(wire.ask("HEAD", "sys/health"), 200)
    wants(wire.ask("HEAD", "sys/health", token=None), 200)
    wants(wire.ask("HEAD", "sys/health?activecode=299"), 299)
    wire.ok("POST", "secret/data/head", {"data": {}})
    wants(wire.ask("HEAD", "secret/data/head"), 405)
    able = wire.token('path "secret/*" { capabilities = ["read", "list", "sudo"] }', "head")
    wants(wire.ask("HEAD", "secret/data/head", token=able), 403)
    wants(wire.ask("HEAD", "secret/data/head", token=None), 403)


@tap.case("help needs a token and no right")
def _():
    none = wire.token('path "none" { capabilities = ["read"] }', "helpless")
    for question in [("GET", "sys/mounts?help=1"), ("HELP", "sys/mounts"),
                     ("POST", "sys/seal?help=x"), ("GET", "secret/?help=1"),
                     ("GET", "auth/token/create?help=1"), ("GET", "sys?help=1")]:
        got = wants(wire.ask(*question, token=none), 200).json
        true(isinstance(got["help"], str) and got["help"], "a help text")
        true("request_id" not in got, "no envelope")
    error(wire.ask("GET", "sys/mounts?help=1", token=None), 403, "permission denied")
    wants(wire.ask("GET", "sys/mounts?help="), 200, "request_id")
    wants(wire.ask("GET", "sys/health?help=1", token=None), 200, '"help"')


# ---- bodies --------------------------------------------------------------------------------------

@tap.case("a JSON body works with every media type but a real form")
def _():
    for kind in ("application/x-www-form-urlencoded", "text/plain", "application/json", "", "x/y;z=1"):
        for text in (b'{"data":{"k":"v"}}', b' \n{"data":{"k":"v"}} \n'):
            wants(wire.ask("POST", "secret/data/type", raw=text, headers={"Content-Type": kind}), 200)
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    error(wire.ask("POST", "secret/data/type", raw=b"data=secretword&k=w", headers=form), 400,
          "form body", "secretword")


@tap.case("bodies that are no object are refused without their content")
def _():
    for text in (b"[1]", b'"secretword"', b"17", b"true", b'{"data":', b'{"data":{"k":"secretword"}',
                 b'{"data":{}}x', b'{"data":{}}{}', b"{'a':1}", b'{"a":01}', b'{"a":"\x01"}',
                 b'{"a":"\xff"}', b'{"a":1,}', b'{"a":NaN}', b'\xef\xbb\xbf{}', b'{"a":"\\ud800"}',
                 b'{"secretword":1,"secretword":2}', b'{"data":{"a":1,"b":{"secretword":1,"secretword":2}}}',
                 b'{"data":{"a":1,"\\u0061":2}}', b'{"a":"\\u0000"}', b"{" * 100):
        error(wire.ask("POST", "secret/data/bad", raw=text), 400, "failed to decode JSON input",
              "secretword")
    for text in (b"", b"null", b" null\n", b"{}"):
        error(wire.ask("POST", "secret/data/bad", raw=text), 400, "no data provided")
    wants(wire.ask("GET", "secret/data/bad"), 404)


@tap.case("bodies beyond the limits of JSON name the limit")
def _():
    deep = b'{"data":' * 70 + b"1" + b"}" * 70
    many = json.dumps({"data": {"k": list(range(20001))}}).encode()
    wide = json.dumps({"data": {"k%d" % i: 1 for i in range(1100)}}).encode()
    long = json.dumps({"data": {"k": "x" * (1024 * 1024 + 1)}}).encode()
    digits = b'{"data":{"k":' + b"1" * 65 + b"}}"
    for text, limit in ((deep, "64"), (many, "20000"), (wide, "1024"), (long, "1048576"), (digits, "64")):
        error(wire.ask("POST", "secret/data/big", raw=text), 400, limit)
    large = json.dumps({"data": {"k%d" % i: "x" * 1000 for i in range(600)}}).encode()
    error(wire.ask("POST", "secret/data/big", raw=large), 400, "512 KiB")
    fits = json.dumps({"data": {"k%d" % i: "x" * 1000 for i in range(500)}}).encode()
    wants(wire.ask("POST", "secret/data/big", raw=fits), 200)


@tap.case("a body of 33 MiB is 413")
def _():
    begin = ("POST /v1/secret/data/a HTTP/1.1\r\nHost: x\r\nX-Vault-Token: %s\r\n" % vault.token).encode()
    said = "http: request body too large"
    reply = wire.lines(begin + b"Content-Length: %d\r\n\r\n" % (33 << 20))
    error(reply, 413, said)
    chunk = b"%x\r\n" % (1 << 20) + b" " * (1 << 20) + b"\r\n"
    reply = wire.lines(begin + b"Transfer-Encoding: chunked\r\n\r\n" + chunk * 33 + b"0\r\n\r\n")
    error(reply, 413, said)
    reply = wire.lines(begin + b"Content-Length: %d\r\n\r\n" % (3 << 20) + b" " * (3 << 20))
    error(reply, 413, said)
    wants(wire.ask("GET", "sys/health"), 200)


@tap.case("a chunked body is a body")
def _():
    text = b'{"data":{"k":"chunks"}}'
    lines = ("POST /v1/secret/data/chunked HTTP/1.1\r\nHost: x\r\nX-Vault-Token: %s\r\n"
             "Transfer-Encoding: chunked\r\n\r\n" % vault.token).encode()
    lines += b"5\r\n" + text[:5] + b"\r\n%x\r\n" % (len(text) - 5) + text[5:] + b"\r\n0\r\n\r\n"
    wants(wire.lines(lines), 200)
    equal("chunks", wire.ok("GET", "secret/data/chunked").data["data"]["k"])


@tap.case("wrong types name the field and never the value")
def _():
    for path, field, value in [
            ("auth/token/create", "ttl", "secretword"), ("auth/token/create", "ttl", {"a": "secretword"}),
            ("auth/token/create", "ttl", 1.5), ("auth/token/create", "num_uses", "secretword"),
            ("auth/token/create", "num_uses", "1h"), ("auth/token/create", "num_uses", 5.5),
            ("auth/token/create", "num_uses", ["secretword"]),
            ("auth/token/create", "renewable", "secretword"), ("auth/token/create", "renewable", 2),
            ("auth/token/create", "policies", {"secretword": 1}),
            ("auth/token/create", "policies", [["secretword"]]),
            ("auth/token/create", "meta", "secretword"), ("auth/token/create", "meta", 5),
            ("auth/token/create", "meta", {"k": ["secretword"]}),
            ("auth/token/create", "display_name", ["secretword"]),
            ("auth/token/create", "period", True), ("auth/token/create", "explicit_max_ttl", "-1h"),
            ("secret/data/a", "data", "secretword"), ("secret/data/a", "data", ["secretword"]),
            ("secret/metadata/a", "max_versions", "secretword"),
            ("secret/metadata/a", "cas_required", "secretword"),
            ("secret/metadata/a", "delete_version_after", "secretword"),
            ("secret/metadata/a", "custom_metadata", "secretword"),
            ("secret/metadata/a", "custom_metadata", {"k": {"a": "secretword"}}),
            ("secret/delete/a", "versions", "secretword"), ("secret/delete/a", "versions", [{}]),
            ("secret/config", "max_versions", [1]), ("sys/mounts/types", "type", ["secretword"]),
            ("sys/policies/acl/types", "policy", {"secretword": 1}),
            ("sys/capabilities-self", "paths", {"secretword": 1}),
            ("auth/token/lookup", "token", ["secretword"]),
            ("auth/token/lookup-accessor", "accessor", {"secretword": 1})]:
        error(wire.ask("POST", path, {field: value}), 400, field, "secretword")
    error(wire.ask("POST", "secret/data/a", {"data": {}, "options": "secretword"}), 400, "options",
          "secretword")
    error(wire.ask("POST", "secret/data/a", {"data": {}, "options": {"cas": "secretword"}}), 400,
          "check-and-set", "secretword")


@tap.case("types are converted as leniently as Vault does")
def _():
    for fields, lease in [({"ttl": 90}, 90), ({"ttl": "90"}, 90), ({"ttl": "1m30s"}, 90),
                          ({"ttl": "1.5m"}, 90), ({"ttl": "1d"}, 86400), ({"lease": "90s"}, 90),
                          ({"ttl": "", "lease": "5"}, 2764800), ({"ttl": None}, 2764800),
                          ({"ttl": "90500ms"}, 90)]:
        got = wire.ok("POST", "auth/token/create", dict(fields, policies="default")).auth
        equal(lease, got["lease_duration"], str(fields))
    for fields, uses in [({"num_uses": "7"}, 7), ({"num_uses": ""}, 0), ({"num_uses": None}, 0),
                         ({"num_uses": True}, 1), ({"num_uses": "0x10"}, 16), ({"num_uses": "010"}, 8)]:
        got = wire.ok("POST", "auth/token/create", dict(fields, policies="default")).auth
        equal(uses, got["num_uses"], str(fields))
    for value, renewable in [("true", True), ("F", False), (0, False), (1, True), ("", False),
                             (None, True)]:
        got = wire.ok("POST", "auth/token/create", {"renewable": value, "policies": "default"}).auth
        equal(renewable, got["renewable"], str(value))
    for value, meta in [({"k": "v"}, {"k": "v"}), ("k=v", {"k": "v"}), (["k=v", "l=w"], {"k": "v", "l": "w"}),
                        ({"k": 5, "l": True}, {"k": "5", "l": "1"}), (None, None), ({}, None)]:
        got = wire.ok("POST", "auth/token/create", {"meta": value, "policies": "default"}).auth
        equal(meta, got["metadata"], str(value))


@tap.case("unknown fields are a warning, if there is a body to say it in")
def _():
    got = wire.ok("POST", "auth/token/create", {"policies": ["default"], "zz": 1, "bogus": 2})
    true("Endpoint ignored these unrecognized parameters: [bogus zz]" in got.warnings, "the warning")
    wants(wire.ask("POST", "secret/metadata/u", {"max_versions": 1, "bogus": 1}), 204)
    got = wire.ok("POST", "auth/token/create", {"policies": ["default"], "a": 1, "b" * 500: 1, "c" * 350: 1})
    true("Endpoint ignored these unrecognized parameters: [a ...]" in got.warnings, "a warning that is cut")
    got = wire.ok("POST", "secret/data/u", {"data": {}, "bogus": 1})
    true("Endpoint ignored these unrecognized parameters: [bogus]" in got.warnings, "the warning")


@tap.case("PATCH wants its media type")
def _():
    wire.ok("POST", "secret/data/patch", {"data": {"a": 1}})
    body = {"data": {"b": 2}}
    said = "PATCH requires Content-Type of application/merge-patch+json"
    error(wire.ask("PATCH", "secret/data/patch", body, headers={"Content-Type": "application/json"}),
          415, said)
    error(wire.ask("PATCH", "secret/data/patch", body, headers={"Content-Type": None}), 400, said)
    error(wire.ask("PATCH", "secret/data/patch", body, headers={"Content-Type": ""}), 400, said)
    for kind in ("application/merge-patch+json; charset=utf-8", "Application/Merge-Patch+JSON"):
        wants(wire.ask("PATCH", "secret/data/patch", body, headers={"Content-Type": kind}), 200)


@tap.case("the query of a write is not read, that of a read is data")
def _():
    wire.ok("POST", "secret/data/query?cas=5&data=x&list=yes", {"data": {"v": 1}})
    wire.ok("POST", "secret/data/query", {"data": {"v": 2}})
    equal(1, wire.ok("GET", "secret/data/query?version=1").data["data"]["v"])
    equal(1, wire.ok("GET", "secret/data/query?version=%31").data["data"]["v"])
    error(wire.ask("GET", "secret/data/query?version=1&version=2"), 400, "version")
    error(wire.ask("GET", "secret/data/query?version=x"), 400, "version")
    wants(wire.ask("GET", "secret/data/query?version=%zz"), 400)
    wants(wire.ask("DELETE", "secret/data/query", {"ignored": 1}), 204)


# ---- paths ---------------------------------------------------------------------------------------

@tap.case("unknown paths and mounts")
def _():
    lacking = wire.token('path "none" { capabilities = ["read"] }', "lacking")
    error(wire.ask("GET", "sys/nope"), 404, "unsupported path")
    error(wire.ask("GET", "nope/x"), 404, 'no handler for route "nope/x"')
    error(wire.ask("GET", "auth/nope/x"), 404, "no handler for route")
    for path in ("sys/nope", "nope/x", "secret/nope", "auth/token/nope"):
        error(wire.ask("GET", path, token=lacking), 403, "permission denied", "invalid token")
        error(wire.ask("GET", path, token=None), 403, "permission denied")
    for prefix in ("/", "/v2/", "/v1", "/V1/", "/v1%2f", ""):
        if prefix:
            error(wire.ask("GET", "" if prefix in ("/", "/v1") else "sys/health", prefix=prefix,
                           token=None), 404)


def left_out():
    """Methods and paths of left_out.txt, which docs/compatibility.md is written from."""
    here = os.path.dirname(os.path.abspath(__file__))
    for line in open(os.path.join(here, "left_out.txt")):
        if line.startswith("path "):
            yield line.split(" | ")[0].split()[1:]


@tap.case("what is left out answers as absent")
def _():
    for method, path in left_out():
        wants(wire.ask(method, path, {} if method in ("PUT", "POST") else None), 404)


@tap.case("OpenBao's scans and pages of lists: refused, or all at once and told")
def _():
    for name in "ab":
        wire.ok("POST", "secret/data/pages/" + name, {"data": {"k": 1}})
    wants(wire.ask("SCAN", "secret/metadata/pages"), 405)
    wants(wire.ask("GET", "secret/metadata/pages?scan=true"), 404)
    for word in ("after=a", "limit=1"):
        for method, path in (("LIST", "secret/metadata/pages?"), ("GET", "secret/metadata/pages?list=true&")):
            got = wants(wire.ask(method, path + word), 200).json
            equal(["a", "b"], got["data"]["keys"])
            true(word.split("=")[0] in str(got["warnings"]), got["warnings"])


@tap.case("what is not built answers as absent")
def _():
    for method, path in [("GET", "sys/rotate/root/init"), ("PUT", "sys/raw/x"),
                         ("GET", "sys/replication/status"), ("GET", "sys/license/status"),
                         ("GET", "sys/monitor")]:
        error(wire.ask(method, path, {} if method in ("PUT", "POST") else None), 404, "unsupported path")
    error(wire.ask("POST", "auth/userpass/login/u", {"password": "p"}), 404, "no handler for route")
    wants(wire.ask("LIST", "secret/metadata", headers={"X-Vault-Wrap-TTL": "0"}), 200)
    error(wire.ask("GET", "secret/data/a", headers={"X-Vault-Wrap-TTL": "x"}), 400,
          "error parsing X-Vault-Wrap-TTL header")


@tap.case("an escaped slash separates, and only once")
def _():
    wire.ok("POST", "secret/data/esc%2Fone", {"data": {"n": 1}})
    equal(1, wire.ok("GET", "secret/data/esc/one").data["data"]["n"])
    equal(1, wire.ok("GET", "secret%2Fdata%2fesc%2Fone").data["data"]["n"])
    equal(["one"], wire.ok("LIST", "secret/metadata/esc").data["keys"])
    error(wire.ask("GET", "secret/data/esc%252Fone"), 404)
    wire.ok("POST", "secret/data/esc%252Ftwo", {"data": {"n": 2}})
    equal(2, wire.ok("GET", "secret/data/esc%252ftwo".replace("2ftwo", "2Ftwo")).data["data"]["n"])
    equal(["one"], wire.ok("LIST", "secret/metadata/esc").data["keys"])
    # The policy sees what the router sees.
    barred = wire.token('path "secret/data/*" { capabilities = ["read"] }'
                        'path "secret/data/esc/one" { capabilities = ["deny"] }', "barred")
    for path in ("secret/data/esc/one", "secret/data/esc%2Fone", "secret/data/%65sc/one",
                 "secret%2fdata/esc%2Fone", "secret/data/esc/on%65"):
        error(wire.ask("GET", path, token=barred), 403, "permission denied")


@tap.case("paths that are not canonical are refused")
def _():
    for path in ("secret/data/%2e%2e/x", "secret/data/../x", "secret/data/./x", "secret/data/%2e/x",
                 "secret/data/x/..", "secret/data/.", "..", "%2e%2e/%2e%2e/etc/passwd",
                 "secret/data/a%2F..%2Fb", "secret/data/a/%2e%2e%2fb"):
        error(wire.ask("GET", path), 400, "relative paths not supported")
    for path in ("secret/data//x", "secret//data/x", "/secret/data/x", "secret/data/a%2F%2Fb",
                 "secret/data/a%2F/b", "secret/data/x//"):
        error(wire.ask("GET", path), 400, "empty path segments")
    for path in ("secret/data/a%00b", "secret/data/%00", "secret/data/a%0ab", "secret/data/a%7f",
                 "secret/data/%1f", "secret/data/a%c2%80", "secret/data/%ff", "secret/data/%c3",
                 "secret/data/%c0%af", "secret/data/%ed%a0%80", "secret/data/%f8%88%80%80",
                 "secret/data/a%zz", "secret/data/a%2", "secret/data/a%"):
        error(wire.ask("GET", path), 400, "the path")
    for path in ("secret/data/" + "x" * 256, "secret/data/" + "/".join("x" * 50)):
        error(wire.ask("GET", path), 400, "the path is too deep")
    wants(wire.ask("GET", "secret/data/" + "x" * 6000), 414)
    # Also without a token, and always before the token is looked at.
    error(wire.ask("GET", "secret/data/../x", token=None), 400, "relative paths")
    wants(wire.ask("GET", "secret/data/" + "x" * 255), 404)


@tap.case("names with spaces, plus, umlauts and other marks")
def _():
    for sent, name in [("sp%20ace", "sp ace"), ("pl+us", "pl+us"), ("u%C3%B6", "uö"), ("%F0%9F%94%91", "\U0001f511"),
                       ("a%3Fb", "a?b"), ("a%23b", "a#b"), ("a%25b", "a%b"), ("star*", "star*"),
                       ("...", "..."), (".x", ".x"), ("a%22%5Cb", 'a"\\b'), ("a:@!$&'()b", "a:@!$&'()b")]:
        wire.ok("POST", "secret/data/names/" + sent, {"data": {"name": name}})
        equal(name, wire.ok("GET", "secret/data/names/" + sent).data["data"]["name"])
        true(name in wire.ok("LIST", "secret/metadata/names").data["keys"], "%r listed" % name)


@tap.case("a write to a path ending in a slash, before the token is looked at")
def _():
    said = "cannot write to a path ending in '/'"
    for token in ("", None, "nonsense"):
        for method in ("POST", "PUT", "PATCH"):
            error(wire.ask(method, "secret/data/a/", {"data": {}}, token=token), 400, said)
    error(wire.ask("POST", "nope/", {}, token=None), 400, said)
    wants(wire.ask("DELETE", "secret/data/nothing/"), 204)


@tap.case("a mount is reached without its slash")
def _():
    error(wire.ask("GET", "secret", token=None), 403, "permission denied")
    wants(wire.ask("GET", "secret"), 404)
    wire.ok("POST", "cubbyhole/named", {"a": 1})
    for method in ("POST", "PUT"):
        true(wire.ask(method, "cubbyhole", {"a": 1}).status in (400, 404, 405), "no write to a mount's root")
    true(wire.ask("POST", "secret", {"a": 1}).status in (400, 404, 405), "no write to a mount's root")
    true("" not in wire.ok("LIST", "cubbyhole").data["keys"], "no nameless entry")


# ---- headers -------------------------------------------------------------------------------------

@tap.case("where the token may stand")
def _():
    path = "auth/token/lookup-self"
    wants(wire.ask("GET", path, headers={"Authorization": "Bearer bad"}), 200)
    wants(wire.ask("GET", path, token=None, headers={"Authorization": "Bearer " + vault.token}), 200)
    wants(wire.ask("GET", path, token="", headers={"x-vault-request": "true"}), 200)
    wants(wire.ask("GET", path, token=None, headers={"x-vault-token": vault.token}), 200)
    wants(wire.ask("GET", path, token=None, headers={"X-Vault-Token": "",
                                                     "Authorization": "Bearer " + vault.token}), 200)
    for value in ("bearer ", "BEARER ", "Bearer", "Basic ", "Token "):
        error(wire.ask("GET", path, token=None, headers={"Authorization": value + vault.token}), 403,
              "permission denied")


@tap.case("two tokens that differ are 400, the same twice is one")
def _():
    def twice(first, second):
        return wire.lines(("GET /v1/auth/token/lookup-self HTTP/1.1\r\nHost: x\r\nX-Vault-Token: %s\r\n"
                           "X-Vault-Token: %s\r\nConnection: close\r\n\r\n" % (first, second)).encode())
    error(twice(vault.token, "other"), 400, "X-Vault-Token")
    error(twice("other", vault.token), 400, "X-Vault-Token")
    wants(twice(vault.token, vault.token), 200)


@tap.case("namespaces: only root's")
def _():
    for value in ("", "/", "root", "root/", "/root/"):
        got = wants(wire.ask("GET", "secret/metadata?list=1", headers={"X-Vault-Namespace": value}), 200)
        equal([value] if value else [], got.header("X-Vault-Namespace"), "echo of %r" % value)
    for value in ("ns1", "ns1/", "/ns1/", "root/ns1"):
        error(wire.ask("GET", "secret/data/env", headers={"X-Vault-Namespace": value}), 404, "namespace")


@tap.case("lengths that leave doubt end the connection")
def _():
    head = ("POST /v1/secret/data/smuggle HTTP/1.1\r\nHost: x\r\nX-Vault-Token: %s\r\n" % vault.token).encode()
    body = b'{"data":{}}'
    hidden = b"GET /v1/sys/mounts HTTP/1.1\r\nHost: x\r\n\r\n"
    for lines in (b"Content-Length: 11\r\nContent-Length: 11\r\n", b"Content-Length: 11\r\nContent-Length: 0\r\n",
                  b"Content-Length: 11\r\nTransfer-Encoding: chunked\r\n", b"Content-Length: +11\r\n",
                  b"Content-Length: 0x0b\r\n", b"Content-Length: 11, 11\r\n",
                  b"Transfer-Encoding: gzip, chunked\r\n", b"Transfer-Encoding: identity\r\n",
                  b"Content-Length : 11\r\n"):
        reply = wire.lines(head + lines + b"\r\n" + body + hidden, by_library=True)
        if reply is not None and reply.status != 400:
            raise Mismatch("expected 400 or an end for %r, got %s" % (lines, reply))
    wants(wire.ask("GET", "secret/data/smuggle"), 404)


@tap.case("a NUL in the request line")
def _():
    reply = wire.lines(("GET /v1/sys/mounts\0/x HTTP/1.1\r\nHost: x\r\nX-Vault-Token: %s\r\n\r\n"
                        % vault.token).encode(), by_library=True)
    true(reply is None or reply.status == 400, "400 or an end, not %s" % reply)


@tap.case("header limits")
def _():
    wants(wire.ask("GET", "sys/mounts", token="x" * 2048), 403)
    wants(wire.ask("GET", "sys/mounts", token="x" * 9000, by_library=True), 431)
    wants(wire.ask("GET", "sys/mounts", headers={"X-H%d" % i: "1" for i in range(90)}), 200)
    wants(wire.ask("GET", "sys/mounts", headers={"X-H%d" % i: "1" for i in range(300)}, by_library=True), 431)


# ---- order of checks -----------------------------------------------------------------------------

@tap.case("refusals come in Vault's order")
def _():
    lacking = wire.token('path "none" { capabilities = ["read"] }', "order")
    error(wire.ask("GET", "secret/data/../x", token="nonsense"), 400, "relative")
    error(wire.ask("POST", "secret/data/x/", token="nonsense"), 400, "ending in '/'")
    error(wire.ask("GET", "nope/x", token="nonsense"), 403, "invalid token")
    error(wire.ask("FOO", "nope/x", token="nonsense"), 405)
    error(wire.ask("LIST", "secret/data/x", token=lacking), 403, "permission denied", "invalid token")
    error(wire.ask("POST", "secret/data/x", {"x": 1}, token=lacking), 403, "permission denied")
    error(wire.ask("GET", "sys/health", token="nonsense", headers={"X-Vault-Namespace": "ns1"}), 404,
          "namespace")


sys.exit(serve(tap, wire))
