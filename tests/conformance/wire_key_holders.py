#!/usr/bin/python3
"""Rekeying and root tokens over raw HTTP, step-down, and when the keyring turns by itself.

    tests/conformance/wire_key_holders.py ['part of a case name']
"""
import base64
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
from keyturn import Vault  # noqa: E402
from tap import Tap, equal, true  # noqa: E402
from wire import Wire, error, serve, wants  # noqa: E402

tap = Tap("tests/conformance/wire_key_holders.py")
vault = Vault()
wire = Wire(vault)
REKEY = {"nonce", "started", "t", "n", "progress", "required", "pgp_fingerprints", "backup",
         "verification_required"}
ROOT = {"nonce", "started", "progress", "required", "complete", "encoded_token", "encoded_root_token",
        "pgp_fingerprint", "otp", "otp_length"}


def status(path="sys/rekey/init"):
    return wants(wire.ask("GET", path, token=None), 200).json


def give(path, nonce, share, code=200, method="PUT"):
    return wants(wire.ask(method, path, {"key": share, "nonce": nonce}, token=None), code).json


def begin(path, body):
    return wants(wire.ask("PUT", path, body), 200).json


def decode(encoded, pad):
    true("=" not in encoded, "no padding")
    raw = base64.b64decode(encoded + "=" * (-len(encoded) % 4))
    equal(len(pad), len(raw))
    return bytes(a ^ b for a, b in zip(raw, pad.encode())).decode()


@tap.case("generate-root: status, start, a second start, cancel")
def _():
    for path in ("sys/generate-root/attempt", "sys/generate-root"):
        got = status(path)
        equal((ROOT, False, 3, 0, "", ""), (set(got), got["started"], got["required"], got["progress"],
                                             got["nonce"], got["otp"]))
        got = begin(path, {})
        equal((True, False, ""), (got["started"], got["complete"], got["encoded_token"]))
        equal(got["otp_length"], len(got["otp"]))
        true(got["nonce"], "a nonce")
        equal(("", got["nonce"]), (status(path)["otp"], status(path)["nonce"]))
        error(wire.ask("PUT", path, {}), 400, "root generation already in progress")
        wants(wire.ask("DELETE", path), 204)
        wants(wire.ask("DELETE", path), 204)
        equal(False, status(path)["started"])
    error(wire.ask("PUT", "sys/generate-root/update", {"key": vault.shares[0], "nonce": "x"}, token=None), 400,
          "no root generation in progress")
    error(wire.ask("PUT", "sys/generate-root/attempt", {"otp": "x"}), 400, "OTP string is wrong length")
    error(wire.ask("PUT", "sys/generate-root/attempt", {"pgp_key": "x"}), 400, "PGP")


@tap.case("generate-root: the token")
def _():
    start = begin("sys/generate-root/attempt", {})
    error(wire.ask("PUT", "sys/generate-root/update", {"key": vault.shares[0], "nonce": "x"}, token=None), 400,
          "incorrect nonce supplied; nonce for this root generation operation is")
    error(wire.ask("PUT", "sys/generate-root/update", {"nonce": start["nonce"]}, token=None), 400,
          "'key' must be specified")
    error(wire.ask("PUT", "sys/generate-root/update", {"key": "zz", "nonce": start["nonce"]}, token=None), 400,
          "valid hex or base64")
    got = give("sys/generate-root/update", start["nonce"], vault.shares[0])
    equal((1, False, ROOT), (got["progress"], got["complete"], set(got)))
    error(wire.ask("PUT", "sys/generate-root/update", {"key": vault.shares[0], "nonce": start["nonce"]},
                   token=None), 400, "given key has already been provided during this generation operation")
    give("sys/generate-root/update", start["nonce"],
         base64.b64encode(bytes.fromhex(vault.shares[3])).decode(), method="POST")
    got = give("sys/generate-root/update", start["nonce"], vault.shares[1])
    equal((True, 3, True), (got["complete"], got["progress"], got["started"]))
    equal(got["encoded_token"], got["encoded_root_token"])
    token = decode(got["encoded_token"], start["otp"])
    equal(["root"], wire.ok("GET", "auth/token/lookup-self", token=token).data["policies"])
    equal(False, status("sys/generate-root/attempt")["started"])
    wants(wire.ask("POST", "auth/token/revoke-self", token=token), 204)


@tap.case("rekey: status, start, a second start, cancel")
def _():
    got = status()
    equal((REKEY, False, 0, 0, 3, None), (set(got), got["started"], got["t"], got["n"], got["required"],
                                          got["pgp_fingerprints"]))
    got = begin("sys/rekey/init", {"secret_shares": 4, "secret_threshold": 2})
    equal((True, 2, 4, 0, False), (got["started"], got["t"], got["n"], got["progress"], got["backup"]))
    error(wire.ask("PUT", "sys/rekey/init", {"secret_shares": 4, "secret_threshold": 2}), 400,
          "rekey already in progress")
    error(wire.ask("GET", "sys/rekey/backup"), 400, "no backed-up keys found")
    wants(wire.ask("DELETE", "sys/rekey/backup"), 204)
    wants(wire.ask("DELETE", "sys/rekey/init"), 204)
    wants(wire.ask("DELETE", "sys/rekey/init"), 204)
    error(wire.ask("PUT", "sys/rekey/update", {"key": vault.shares[0], "nonce": got["nonce"]}, token=None), 400,
          "no barrier rekey in progress")
    error(wire.ask("GET", "sys/rekey/verify", token=None), 400, "no rekey configuration found")
    error(wire.ask("PUT", "sys/rekey/init", {"secret_shares": 2, "secret_threshold": 3}), 400,
          "cannot be larger than shares")


@tap.case("rekey: wrong keys")
def _():
    nonce = begin("sys/rekey/init", {"secret_shares": 5, "secret_threshold": 3})["nonce"]
    for i in (1, 2):
        give("sys/rekey/update", nonce, "%064x%02x" % (7 * i, i))
    error(wire.ask("PUT", "sys/rekey/update", {"key": "%064x%02x" % (21, 3), "nonce": nonce}, token=None), 400,
          "rekey verification failed; incorrect key shares supplied")
    equal((True, 0), (status()["started"], status()["progress"]))
    wants(wire.ask("DELETE", "sys/rekey/init"), 204)


def reopen(shares):
    wants(wire.ask("PUT", "sys/seal"), 204)
    got = None
    for share in shares:
        got = wants(wire.ask("PUT", "sys/unseal", {"key": share}, token=None), 200).json
    equal(False, got["sealed"])


@tap.case("rekey: the old keys are useless afterwards")
def _():
    old = vault.shares
    nonce = begin("sys/rekey/init", {"secret_shares": 4, "secret_threshold": 2})["nonce"]
    for i in (0, 1):
        got = give("sys/rekey/update", nonce, old[i])
        equal((i + 1, REKEY), (got["progress"], set(got)))
    got = give("sys/rekey/update", nonce, old[4])
    equal((True, nonce, 4, False, None, False), (got["complete"], got["nonce"], len(got["keys"]),
                                                 got["backup"], got["pgp_fingerprints"],
                                                 got["verification_required"]))
    equal([bytes.fromhex(k) for k in got["keys"]], [base64.b64decode(k) for k in got["keys_base64"]])
    new = got["keys"]
    equal((False, 2), (status()["started"], status()["required"]))
    equal(got["key_set_id"], status("sys/seal-status")["key_set_id"])
    wants(wire.ask("PUT", "sys/seal"), 204)
    wants(wire.ask("PUT", "sys/unseal", {"key": old[0]}, token=None), 200)
    error(wire.ask("PUT", "sys/unseal", {"key": old[1]}, token=None), 400, "Unseal failed, invalid key")
    for share in (new[3], new[1]):
        got = wants(wire.ask("PUT", "sys/unseal", {"key": share}, token=None), 200).json
    equal((False, 2, 4), (got["sealed"], got["t"], got["n"]))
    vault.shares = new


@tap.case("rekey: with verification")
def _():
    old = vault.shares
    nonce = begin("sys/rekey/init", {"secret_shares": 5, "secret_threshold": 3, "require_verification": True})["nonce"]
    for share in old[:status()["required"]]:
        got = give("sys/rekey/update", nonce, share)
    equal((True, True), (got["complete"], got["verification_required"]))
    new, verify = got["keys"], got["verification_nonce"]
    equal(verify, status()["verification_nonce"])
    equal({"nonce": verify, "started": True, "t": 3, "n": 5, "progress": 0}, status("sys/rekey/verify"))
    error(wire.ask("PUT", "sys/rekey/update", {"key": old[1], "nonce": nonce}, token=None), 400,
          "verification must be performed")
    error(wire.ask("PUT", "sys/rekey/verify", {"key": new[0], "nonce": nonce}, token=None), 400, "incorrect nonce")
    equal(1, give("sys/rekey/verify", verify, new[0])["progress"])
    again = wants(wire.ask("DELETE", "sys/rekey/verify"), 200).json
    equal(0, again["progress"])
    true(again["nonce"] != verify, "a new nonce")
    for share in new[:2]:
        give("sys/rekey/verify", again["nonce"], share)
    got = give("sys/rekey/verify", again["nonce"], new[4])
    equal((True, again["nonce"]), (got["complete"], got["nonce"]))
    vault.shares = new
    reopen(new[1:4])


@tap.case("a crash in the middle leaves the old keys, one after it the new ones")
def _():
    old = vault.shares
    nonce = begin("sys/rekey/init", {"secret_shares": 5, "secret_threshold": 3, "require_verification": True})["nonce"]
    for share in old[:3]:
        got = give("sys/rekey/update", nonce, share)
    wire.close()
    vault.kill()
    vault.start()
    equal(True, status("sys/seal-status")["sealed"])
    vault.unseal()
    equal(False, status()["started"])
    nonce = begin("sys/rekey/init", {"secret_shares": 5, "secret_threshold": 3})["nonce"]
    for share in old[:3]:
        got = give("sys/rekey/update", nonce, share)
    wire.close()
    vault.kill()
    vault.start()
    equal(got["key_set_id"], status("sys/seal-status")["key_set_id"])
    vault.shares = got["keys"]
    vault.unseal()


@tap.case("who may begin and cancel")
def _():
    weak = wire.token('path "sys/*" { capabilities = ["update", "delete"] }', "weak")
    for method, path in [("PUT", "sys/rekey/init"), ("DELETE", "sys/rekey/init"), ("DELETE", "sys/rekey/verify"),
                         ("PUT", "sys/generate-root/attempt"), ("POST", "sys/generate-root"),
                         ("DELETE", "sys/generate-root/attempt"), ("DELETE", "sys/generate-root"),
                         ("PUT", "sys/step-down")]:
        for token in (None, "nonsense", weak):
            error(wire.ask(method, path, {"secret_shares": 1, "secret_threshold": 1}, token=token), 403,
                  "permission denied")


@tap.case("sealed: 503")
def _():
    wants(wire.ask("PUT", "sys/seal"), 204)
    for method, path in [("GET", "sys/rekey/init"), ("PUT", "sys/rekey/update"), ("GET", "sys/generate-root/attempt"),
                         ("PUT", "sys/generate-root/update"), ("DELETE", "sys/rekey/init")]:
        error(wire.ask(method, path, token=None), 503, "Vault is sealed")
    vault.unseal()


@tap.case("rotate/config, step-down")
def _():
    equal({"enabled": True, "interval": 0, "max_operations": 3865470566}, wire.ok("GET", "sys/rotate/config").data)
    wants(wire.ask("POST", "sys/rotate/config", {"interval": "720h", "max_operations": "2000000", "enabled": False}), 204)
    equal({"enabled": False, "interval": "720h0m0s", "max_operations": 2000000}, wire.ok("GET", "sys/rotate/config").data)
    error(wire.ask("PUT", "sys/rotate/config", {"interval": "23h"}), 400, "24h")
    error(wire.ask("PUT", "sys/rotate/config", {"max_operations": 5}), 400, "max_operations")
    wants(wire.ask("PUT", "sys/step-down"), 204)


sys.exit(serve(tap, wire, kv=False))
