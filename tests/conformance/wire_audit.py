#!/usr/bin/python3
"""The audit records as Vault's tools read them: one file device, its lines, their hashes; fail-closed.

    tests/conformance/wire_audit.py ['part of a case name']
"""
import json
import os
import re
import shutil
import sys
import tempfile

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
from keyturn import Vault, wait_for  # noqa: E402
from tap import Mismatch, Tap, equal, true  # noqa: E402
from wire import Wire, error, wants  # noqa: E402

tap = Tap("tests/conformance/wire_audit.py")
folder = tempfile.mkdtemp(prefix="kt-audit-")
os.chmod(folder, 0o755)
device = os.path.join(folder, "log", "audit.json")
vault = Vault(config='audit "file" { path = "%s" timeout = "60s" }' % device)
wire = Wire(vault)
HASH = re.compile(r"hmac-sha256:[0-9a-f]{64}")


def lines():
    with open(device) as f:
        return [json.loads(line) for line in f]


def of(reply):
    """The records of one answered request; a refusal before the envelope has no id: the last ones."""
    request_id = reply.json["request_id"]
    return [r for r in lines() if r.get("request", {}).get("id") == request_id]


def last(path, kind="response"):
    found = [r for r in lines() if r.get("request", {}).get("path") == path and r["type"] == kind]
    if not found:
        raise Mismatch("expected a record of %s, got none" % path)
    return found[-1]


def hash_of(text):
    return wire.ok("POST", "sys/audit-hash/file", {"input": text}).data["hash"]


@tap.case("a write has its attempt and its outcome")
def _():
    reply = wire.ok("POST", "secret/data/w", {"data": {"password": "planted-value", "n": 5, "t": True}})
    wait_for("the outcome's copy", lambda: len(of(reply)) == 2)  # it may come behind the answer
    records = of(reply)
    equal({"request", "response"}, {r["type"] for r in records})
    request = [r for r in records if r["type"] == "request"][0]["request"]
    equal(("create", "secret/data/w", "secret/", "kv"), tuple(request[k] for k in (
        "operation", "path", "mount_point", "mount_type")))
    equal({"data": {"password": hash_of("planted-value"), "n": 5, "t": True}}, request["data"])
    true(request["remote_address"] == "127.0.0.1" and request["remote_port"] > 0, "the peer")
    times = [r["time"] for r in records]
    true(all(re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z", t) for t in times), "RFC 3339")


@tap.case("a checkpoint on demand has its attempt and its result")
def _():
    reply = wire.ok("POST", "sys/audit-log/checkpoint")
    records = of(reply)
    equal([("request", None), ("response", 200)], [(r["type"], r.get("status")) for r in records])
    equal("sys/audit-log/checkpoint", records[1]["request"]["path"])


@tap.case("a read has its result, hashed")
def _():
    wire.ok("POST", "secret/data/r", {"data": {"password": "planted-read", "list": ["planted-item", 1]}})
    reply = wire.ok("GET", "secret/data/r")
    response = [r for r in of(reply) if r["type"] == "response"][0]["response"]
    equal({"password": hash_of("planted-read"), "list": [hash_of("planted-item"), 1]}, response["data"]["data"])
    equal(1, response["data"]["metadata"]["version"])


@tap.case("who it was: token and accessor as hashes, names in clear")
def _():
    made = wire.ok("POST", "auth/token/create", {"policies": ["default"], "meta": {"app": "orders"},
                                                 "display_name": "ci"}).auth
    reply = wire.ok("GET", "auth/token/lookup-self", token=made["client_token"])
    auth = of(reply)[-1]["auth"]
    equal((hash_of(made["client_token"]), hash_of(made["accessor"]), "token-ci", ["default"], {"app": "orders"}),
          tuple(auth[k] for k in ("client_token", "accessor", "display_name", "policies", "metadata")))


@tap.case("refusals are there, with their reason")
def _():
    weak = wire.token('path "none" { capabilities = ["read"] }', "weak")
    error(wire.ask("GET", "secret/data/forbidden", token=weak), 403, "permission denied")
    record = last("secret/data/forbidden")
    true("permission denied" in record["error"], "the reason")
    equal(hash_of(weak), record["auth"]["client_token"])
    error(wire.ask("GET", "secret/data/unknown-token", token="hvs.planted-wrong-token"), 403, "invalid token")
    true("invalid token" in last("secret/data/unknown-token")["error"], "the reason")
    error(wire.ask("GET", "secret/data/no-token", token=None), 403, "permission denied")
    last("secret/data/no-token")
    error(wire.ask("POST", "secret/data/bad", {"x": 1}), 400, "no data provided")
    equal("no data provided", last("secret/data/bad")["error"])
    error(wire.ask("GET", "nope/x"), 404, "no handler")
    last("nope/x")


@tap.case("the public status paths are not recorded")
def _():
    before = len(lines())
    for path in ("sys/health", "sys/seal-status", "sys/leader", "sys/init"):
        wants(wire.ask("GET", path, token=None), 200)
    equal(before, len(lines()))


@tap.case("nothing planted is in clear anywhere")
def _():
    made = wire.ok("POST", "auth/token/create", {"policies": ["default"]}).auth
    wire.ok("POST", "auth/token/renew", {"token": made["client_token"]})
    wire.ok("POST", "auth/token/lookup", {"token": made["client_token"]})
    wire.ok("POST", "cubbyhole/x", {"k": "planted-cubby"}, token=made["client_token"])
    wire.ok("PATCH", "secret/data/w", {"data": {"password": "planted-patched"}})
    wire.ok("POST", "secret/metadata/w", {"custom_metadata": {"k": "planted-meta"}})
    wire.ok("GET", "secret/data/w")
    with open(device) as f:
        text = f.read()
    for word in ("planted-", made["client_token"], vault.token, vault.shares[0]):
        true(word not in text, "no %r in the device" % word[:12])
    true(len(HASH.findall(text)) > 20, "hashes in their place")
    exported = wire.ask("GET", "sys/audit-log/export", by_library=True).body.decode()
    for word in ("planted-", made["client_token"], vault.token, vault.shares[0]):
        true(word not in exported, "no %r in the export" % word[:12])


@tap.case("a device that was moved away is followed anew after SIGHUP")
def _():
    import signal
    os.rename(device, device + ".1")
    vault.process.send_signal(signal.SIGHUP)
    wait_for("the new file", lambda: os.path.exists(device))
    reply = wire.ok("GET", "sys/mounts")
    wait_for("its record", lambda: of(reply))
    os.rename(device + ".1", device + ".kept")


@tap.case("without a device that can be written nothing is done and nothing told")
def _():
    with Vault(config='audit "file" { path = "/dev/full" }') as closed:
        closed.start().init()
        own = Wire(closed)
        own.root = closed.token
        for share in closed.shares[:3]:
            reply = own.ask("PUT", "sys/unseal", {"key": share}, token=None)
        if reply.status == 200 and not reply.json["sealed"]:
            for method, path, body in [("POST", "sys/mounts/secret", {"type": "kv-v2"}), ("GET", "sys/mounts", None),
                                       ("GET", "auth/token/lookup-self", None)]:
                reply = own.ask(method, path, body)
                true(reply.status in (500, 503) and "data" not in reply.json, "a refusal, not %s" % reply)
            wants(own.ask("GET", "sys/health", token=None), 200)
        else:
            true(reply.status >= 400, "a refusal, not %s" % reply)
        own.close()


@tap.case("one of two devices is enough")
def _():
    good = os.path.join(folder, "log", "second.json")
    with Vault(config='audit "file" { path = "/dev/full" }\naudit "file" { path = "%s" }' % good) as two:
        two.ready()
        two.ok("POST", "secret/data/a", {"data": {"k": "v"}})
        with open(good) as f:
            true("secret/data/a" in f.read(), "the record in the good one")


def main():
    try:
        os.mkdir(os.path.dirname(device), 0o700)
        if os.getuid() == 0:
            shutil.chown(os.path.dirname(device), "keyturn", "keyturn")
        vault.ready()
        wire.root = vault.token
        return tap.run(sys.argv[1:])
    finally:
        wire.close()
        vault.remove()
        shutil.rmtree(folder, ignore_errors=True)


sys.exit(main())
