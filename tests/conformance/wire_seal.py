#!/usr/bin/python3
"""Initialising, unsealing, sealing, health and the keyring over raw HTTP.

    tests/conformance/wire_seal.py ['part of a case name']

The cases go one after the other through the life of one vault; one alone runs those before it too.
"""
import base64
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
from keyturn import Vault  # noqa: E402
from tap import Tap, equal, true  # noqa: E402
from wire import Wire, error, wants  # noqa: E402

tap = Tap("tests/conformance/wire_seal.py")
vault = Vault()
wire = Wire(vault)
STATUS = {"type", "initialized", "sealed", "t", "n", "progress", "nonce", "version", "build_date",
          "migration", "recovery_seal", "storage_type"}
HEALTH = {"initialized", "sealed", "standby", "performance_standby", "replication_performance_mode",
          "replication_dr_mode", "server_time_utc", "version", "enterprise", "echo_duration_ms",
          "clock_skew_ms", "replication_primary_canary_age_ms"}
LEADER = {"ha_enabled", "is_self", "active_time", "leader_address", "leader_cluster_address",
          "performance_standby", "performance_standby_last_remote_wal"}


def status():
    return wants(wire.ask("GET", "sys/seal-status", token=None), 200).json


def unseal(body, code=200):
    return wants(wire.ask("PUT", "sys/unseal", body, token=None), code)


def raw_share(i):
    return bytes.fromhex(vault.shares[i])


@tap.case("before initialising")
def _():
    equal({"initialized": False}, wants(wire.ask("GET", "sys/init", token=None), 200).json)
    got = wants(wire.ask("GET", "sys/health", token=None), 501).json
    equal((False, True), (got["initialized"], got["sealed"]))
    wants(wire.ask("GET", "sys/health?uninitcode=299", token=None), 299)
    wants(wire.ask("HEAD", "sys/health", token=None), 501)
    got = status()
    equal((False, True, 0, 0, 0, ""), tuple(got[k] for k in ("initialized", "sealed", "t", "n", "progress",
                                                             "nonce")))
    for path in ("secret/x", "sys/mounts", "nope", "auth/token/lookup-self"):
        error(wire.ask("GET", path, token=None), 503, "Vault is sealed")
    error(wire.ask("PUT", "sys/unseal", {"key": "00" * 33}, token=None), 400, "Vault is not initialized")
    wants(wire.ask("GET", "sys/leader", token=None), 200)


@tap.case("initialising with shares that cannot be")
def _():
    for shares, threshold, why in [(5, 1, "greater than one"), (3, 5, "cannot be larger"), (0, 0, "at least one"),
                                   (None, None, "at least one"), (5, 0, "threshold must be at least one"),
                                   (256, 3, "at most 255"), (-1, 1, "at least one")]:
        body = {} if shares is None else {"secret_shares": shares, "secret_threshold": threshold}
        error(wire.ask("PUT", "sys/init", body, token=None), 400, why)
    error(wire.ask("PUT", "sys/init", {"secret_shares": "five", "secret_threshold": 3}, token=None), 400,
          "secret_shares", "five")
    error(wire.ask("PUT", "sys/init", raw=b'{"secret_shares":', token=None), 400, "failed to decode")
    equal({"initialized": False}, wire.ask("GET", "sys/init", token=None).json)


@tap.case("one share of one is a vault")
def _():
    with Vault() as small:
        small.start()
        one = Wire(small)
        got = one.ok("PUT", "sys/init", {"secret_shares": 1, "secret_threshold": 1}, token=None).json
        equal(1, len(got["keys"]))
        got = one.ok("POST", "sys/unseal", {"key": got["keys_base64"][0]}, token=None).json
        equal((False, 1, 1), (got["sealed"], got["t"], got["n"]))
        one.close()


@tap.case("initialising 3 of 5")
def _():
    got = wants(wire.ask("PUT", "sys/init", {"secret_shares": 5, "secret_threshold": 3}, token=None), 200).json
    equal({"keys", "keys_base64", "root_token"}, set(got))
    equal(5, len(set(got["keys"])))
    equal([bytes.fromhex(k) for k in got["keys"]], [base64.b64decode(k) for k in got["keys_base64"]])
    equal({33}, {len(bytes.fromhex(k)) for k in got["keys"]})
    vault.shares, vault.token, vault.threshold = got["keys"], got["root_token"], 3
    wire.root = vault.token
    error(wire.ask("PUT", "sys/init", {"secret_shares": 5, "secret_threshold": 3}, token=None), 400,
          "already initialized")
    equal({"initialized": True}, wire.ask("GET", "sys/init", token=None).json)
    got = status()
    equal((True, True, 3, 5, 0), tuple(got[k] for k in ("initialized", "sealed", "t", "n", "progress")))
    true(STATUS <= set(got), "all fields of seal-status, not without %s" % (STATUS - set(got)))
    true("cluster_id" not in got and "cluster_name" not in got, "no cluster while sealed")


@tap.case("sealed: 503 before anything else")
def _():
    got = wants(wire.ask("GET", "sys/health", token=None), 503).json
    equal((True, True), (got["initialized"], got["sealed"]))
    true(HEALTH <= set(got), "all fields of health, not without %s" % (HEALTH - set(got)))
    true("cluster_id" not in got, "no cluster_id while sealed")
    wants(wire.ask("GET", "sys/health?sealedcode=200", token=None), 200)
    wants(wire.ask("GET", "sys/health?uninitcode=299&sealedcode=299&standbycode=299&drsecondarycode=299"
                          "&performancestandbycode=299&removedcode=299", token=None), 299)
    wants(wire.ask("GET", "sys/health?standbyok=true&perfstandbyok=1", token=None), 503)
    wants(wire.ask("GET", "sys/health?standbyok", token=None), 503)
    reply = wants(wire.ask("HEAD", "sys/health", token=None), 503)
    equal(b"", reply.body)
    for word in ("sealedcode=abc", "activecode=1e3", "standbyok=maybe", "perfstandbyok=2"):
        error(wire.ask("GET", "sys/health?" + word, token=None), 400)
    for token in ("", None, "nonsense"):
        for method, path in [("GET", "secret/data/a"), ("POST", "secret/data/a"), ("GET", "sys/mounts"),
                             ("PUT", "sys/seal"), ("GET", "sys/internal/ui/mounts"), ("GET", "nope/x"),
                             ("POST", "secret/data/a/"), ("GET", "sys/key-status")]:
            got = error(wire.ask(method, path, token=token), 503, "Vault is sealed")
            equal(["Vault is sealed"], got.errors)
    error(wire.ask("GET", "secret/data/a", headers={"X-Vault-Namespace": "ns1"}), 503, "Vault is sealed")
    error(wire.ask("GET", "secret/data/../a"), 400, "relative")
    error(wire.ask("GET", "/v2/x", prefix=""), 404)
    got = wants(wire.ask("GET", "sys/leader", token=None), 200).json
    true(LEADER <= set(got), "all fields of leader, not without %s" % (LEADER - set(got)))


@tap.case("shares one by one: hex, base64, the same twice, reset")
def _():
    got = unseal({"key": vault.shares[0]}).json
    equal((1, True), (got["progress"], got["sealed"]))
    true(got["nonce"], "a nonce while unsealing")
    nonce = got["nonce"]
    equal(1, unseal({"key": vault.shares[0]}).json["progress"])
    got = unseal({"key": base64.b64encode(raw_share(1)).decode()}).json
    equal((2, nonce), (got["progress"], got["nonce"]))
    equal(2, unseal({"key": vault.shares[1].upper()}).json["progress"])
    got = unseal({"reset": True}).json
    equal((0, ""), (got["progress"], got["nonce"]))
    equal(0, status()["progress"])


@tap.case("shares that are none")
def _():
    for key in ("garbage", "", "00" * 32, "zz" * 33, vault.shares[0][:-2], vault.shares[0] + "00",
                base64.b64encode(raw_share(0)[:32]).decode()):
        error(wire.ask("PUT", "sys/unseal", {"key": key}, token=None), 400, "key", "zz")
    error(wire.ask("PUT", "sys/unseal", {}, token=None), 400, "'key' must be specified")
    error(wire.ask("PUT", "sys/unseal", {"key": ["x"]}, token=None), 400, "key")
    equal(0, status()["progress"])


@tap.case("three well-formed shares of another key")
def _():
    wrong = ["%064x%02x" % (7 * i + 1, i) for i in (1, 2, 3)]
    for i in (0, 1):
        equal(i + 1, unseal({"key": wrong[i]}).json["progress"])
    error(wire.ask("PUT", "sys/unseal", {"key": wrong[2]}, token=None), 400, "Unseal failed, invalid key")
    equal((0, True), (status()["progress"], status()["sealed"]))


@tap.case("one wrong share among right ones")
def _():
    unseal({"key": vault.shares[0]})
    unseal({"key": vault.shares[1]})
    error(wire.ask("PUT", "sys/unseal", {"key": vault.shares[2][:2] + "00" * 31 + vault.shares[2][-2:]},
                   token=None), 400, "Unseal failed, invalid key")
    equal((0, True), (status()["progress"], status()["sealed"]))


@tap.case("unsealing with any three")
def _():
    equal(1, unseal({"key": vault.shares[4]}).json["progress"])
    equal(2, unseal({"key": base64.b64encode(raw_share(2)).decode()}).json["progress"])
    got = unseal({"key": vault.shares[1]}).json
    equal((0, False, ""), (got["progress"], got["sealed"], got["nonce"]))
    true(got["cluster_name"] and got["cluster_id"], "a cluster's name and id")
    got = unseal({"key": vault.shares[0]}).json
    equal((0, False), (got["progress"], got["sealed"]))
    error(wire.ask("PUT", "sys/unseal", {"reset": True}, token=None), 400, "vault is unsealed")
    got = wants(wire.ask("GET", "sys/health", token=None), 200).json
    equal((True, False, False, "disabled"), (got["initialized"], got["sealed"], got["standby"],
                                             got["replication_performance_mode"]))
    true(got["cluster_id"], "a cluster id")
    wants(wire.ask("GET", "sys/health?activecode=299", token=None), 299)
    wants(wire.ask("GET", "sys/health?standbyok", token=None), 200)
    got = wants(wire.ask("GET", "sys/leader", token=None), 200).json
    equal((False, False), (got["ha_enabled"], "request_id" in got))
    true(LEADER <= set(got), "all fields of leader")


@tap.case("a stranger's shares are counted, and the operators' are not held up")
def _():
    with Vault() as other:
        other.start().init()
        stranger = Wire(other, "127.0.0.9")
        junk = ["%064x%02x" % (i, i) for i in (1, 2)]
        for i in range(16):  # two whole attempts, and ten
            body = {"reset": True} if i % 2 else {"key": junk[0]}
            wants(stranger.ask("PUT", "sys/unseal", body, token=None), 200)
        for body in ({"key": junk[1]}, {"reset": True}):
            reply = error(stranger.ask("PUT", "sys/unseal", body, token=None), 429,
                          "too many key shares from this address")
            true(1 <= int(reply.header("Retry-After")[0]) <= 6, "when to come again")
        error(stranger.ask("PUT", "sys/unseal", {"key": "none"}, token=None), 400, "'key' must be")
        equal(0, other.ok("GET", "sys/seal-status").json["progress"])
        other.unseal()
        other.ok("PUT", "sys/seal")
        wants(stranger.ask("PUT", "sys/unseal", {"key": junk[0]}, token=None), 200)
        stranger.close()


@tap.case("the keyring turns")
def _():
    before = wire.ok("GET", "sys/key-status").json
    equal(before["term"], before["data"]["term"])
    true(before["install_time"].endswith("Z") and isinstance(before["encryptions"], int), "time and count")
    wire.ok("POST", "sys/mounts/secret", {"type": "kv", "options": {"version": "2"}})
    wire.ok("POST", "secret/data/old", {"data": {"k": "before"}})
    wants(wire.ask("PUT", "sys/rotate"), 204)
    equal(before["term"] + 1, wire.ok("GET", "sys/key-status").data["term"])
    wants(wire.ask("POST", "sys/rotate/keyring"), 204)
    equal(before["term"] + 2, wire.ok("GET", "sys/key-status").data["term"])
    equal("before", wire.ok("GET", "secret/data/old").data["data"]["k"])
    weak = wire.token('path "sys/rotate" { capabilities = ["update"] }', "weak")
    error(wire.ask("PUT", "sys/rotate", token=weak), 403, "permission denied")
    error(wire.ask("PUT", "sys/rotate", token=None), 403, "permission denied")


@tap.case("sealing needs sudo, and then everything is sealed")
def _():
    weak = wire.token('path "sys/seal" { capabilities = ["update"] }', "weak")
    error(wire.ask("PUT", "sys/seal", token=weak), 403, "permission denied", "invalid token")
    error(wire.ask("PUT", "sys/seal", token=None), 403, "permission denied")
    able = wire.token('path "sys/seal" { capabilities = ["update", "sudo"] }', "able")
    wants(wire.ask("PUT", "sys/seal", token=able), 204)
    wants(wire.ask("GET", "sys/health", token=None), 503)
    error(wire.ask("GET", "secret/data/old"), 503, "Vault is sealed")
    error(wire.ask("PUT", "sys/seal"), 503, "Vault is sealed")
    vault.unseal()
    equal("before", wire.ok("GET", "secret/data/old").data["data"]["k"])


@tap.case("a restart is sealed and keeps what was acknowledged")
def _():
    wire.ok("POST", "secret/data/old", {"data": {"k": "after"}})
    wire.close()
    vault.kill()
    vault.start()
    equal(True, status()["sealed"])
    vault.unseal()
    equal("after", wire.ok("GET", "secret/data/old").data["data"]["k"])
    equal("before", wire.ok("GET", "secret/data/old?version=1").data["data"]["k"])


def main():
    try:
        vault.start()
        wanted = sys.argv[1:]
        # Each case stands on those before it.
        last = max([i for i, (name, _) in enumerate(tap.cases) if not wanted or
                    any(part in name for part in wanted)], default=-1)
        tap.cases = tap.cases[:last + 1]
        return tap.run()
    finally:
        wire.close()
        vault.remove()


sys.exit(main())
