#!/usr/bin/python3
"""Advisories of Vault and OpenBao about rekeying and root tokens, each over all its sibling entry points.

    tests/security/key_holders.py ['part of a case name']

GHSA-q74w-hv5x-6hxf (a result that was told although the audit log had failed) is what
unit/fault_requests_test shows, with every call failing in turn, in its rows "rekey, ..." and "root token, ...".
"""
import json
import os
import shutil
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
from keyturn import Vault, program  # noqa: E402
from tap import Tap, equal, true  # noqa: E402
from wire import Wire, error, serve, wants  # noqa: E402

tap = Tap("tests/security/key_holders.py")
vault = Vault()
SOCKET = os.path.join(vault.folder, "run", "vaultd.sock")
os.mkdir(os.path.dirname(SOCKET), 0o755)
if os.getuid() == 0:
    shutil.chown(os.path.dirname(SOCKET), "keyturn", "keyturn")
vault.extra = 'listener "unix" { path = "%s" mode = "0666" }' % SOCKET
vault.write_config()
wire = Wire(vault)

PLAN = {"secret_shares": 3, "secret_threshold": 2, "require_verification": True}
# Begin, status, cancel, and where shares go.
SIBLINGS = [
    ("sys/rekey/init", PLAN, "sys/rekey/update"),
    ("sys/generate-root/attempt", {}, "sys/generate-root/update"),
    ("sys/generate-root", {}, "sys/generate-root/update"),
]


def begin(path, body):
    return wants(wire.ask("PUT", path, body), 200).json["nonce"]


def give(path, nonce, share, token=None, source=wire):
    return source.ask("PUT", path, {"key": share, "nonce": nonce}, token=token)


def records():
    """Paths and operations of the log's records."""
    return [(r.get("request", {}).get("operation"), r.get("request", {}).get("path"), r["type"]) for r in
            map(json.loads, wire.ask("GET", "sys/audit-log/export", by_library=True).body.decode().splitlines())]


@tap.case("CVE-2026-5807, 0.5.0 (2016): nobody begins one without the right to, and so keeps others from it")
def _():
    weak = wire.token('path "sys/*" { capabilities = ["create", "read", "update", "delete", "list"] }', "weak")
    for path, body, _update in SIBLINGS:
        for method in ("PUT", "POST"):
            for token in (None, "nonsense", weak):
                error(wire.ask(method, path, body, token=token), 403, "permission denied")
        equal(False, wants(wire.ask("GET", path, token=None), 200).json["started"])


@tap.case("CVE-2025-4656, CVE-2025-52894: nobody cancels one, or what was gathered, without the right to")
def _():
    weak = wire.token('path "sys/*" { capabilities = ["update", "delete"] }', "weak")
    for path, body, update in SIBLINGS:
        nonce = begin(path, body)
        wants(give(update, nonce, vault.shares[0]), 200)
        for token in (None, "nonsense", weak):
            error(wire.ask("DELETE", path, token=token), 403, "permission denied")
            error(wire.ask("DELETE", "sys/rekey/verify", token=token), 403, "permission denied")
        got = wants(wire.ask("GET", path, token=None), 200).json
        equal((nonce, 1), (got["nonce"], got["progress"]))
        error(wire.ask("DELETE", path + "?nonce=another"), 400, "incorrect nonce")
        wants(wire.ask("DELETE", path + "?nonce=" + nonce), 204)


@tap.case("CVE-2026-5807: a stranger's false shares do not take away what the holders have given")
def _():
    holder = wire.token('path "none" { capabilities = ["read"] }', "holder")
    for path, body, update in SIBLINGS:
        nonce = begin(path, body)
        for i in (0, 1):
            wants(give(update, nonce, vault.shares[i], token=holder), 200)
            for number in (1, 2, 3, 4, 5):
                give(update, nonce, "%064x%02x" % (number + 9, number))
        equal(2, wants(wire.ask("GET", path, token=None), 200).json["progress"])
        got = wants(give(update, nonce, vault.shares[4], token=holder), 200).json
        equal(True, got["complete"])
        if path == "sys/rekey/init":
            wants(wire.ask("DELETE", path), 204)


@tap.case("CVE-2026-5807: nor does he go on for ever")
def _():
    stranger = Wire(vault, "127.0.0.9")
    nonce = begin("sys/rekey/init", PLAN)
    codes = [give("sys/rekey/update", nonce, "%064x%02x" % (i, i % 2 + 1), source=stranger).status
             for i in range(1, 30)]
    equal(429, codes[-1])
    true(codes.count(429) >= 10, "refusals after a budget")
    for i in (0, 1):
        wants(give("sys/rekey/update", nonce, vault.shares[i], token=wire.root), 200)
    wants(wire.ask("DELETE", "sys/rekey/init"), 204)
    stranger.close()


@tap.case("CVE-2025-52894: each step of each is in the audit log, cancels too")
def _():
    for path, body, update in SIBLINGS:
        before = records()
        nonce = begin(path, body)
        wants(give(update, nonce, vault.shares[0], token=wire.root), 200)
        error(give(update, nonce, vault.shares[0], token=wire.root), 400, "already been provided")
        wants(wire.ask("DELETE", path), 204)
        after = records()
        for operation, at, least in (("update", path, 2), ("update", update, 4), ("delete", path, 2)):
            new = [r for r in after if r[:2] == (operation, at)]
            old = [r for r in before if r[:2] == (operation, at)]
            true(len(new) - len(old) >= least, "an attempt and a result of %s %s" % (operation, at))
    body = wire.ask("GET", "sys/audit-log/export", by_library=True).body.decode()
    for share in vault.shares:
        true(share not in body, "no share in the log")


@tap.case("who owns the process needs no token, on its socket; nobody else gets by there")
def _():
    if os.getuid() != 0:
        print("# skipped: only root can be root")
        return
    address = "unix://" + SOCKET

    def ctl(*words, **more):
        env = {"PATH": os.environ["PATH"], "HOME": "/nonexistent", "VAULT_ADDR": address}
        return subprocess.run([program("secretctl"), "operator", *words], env=env, text=True,
                              capture_output=True, **more)

    for command in ("rekey", "generate-root"):
        done = ctl(command, "-init")
        equal(0, done.returncode)
        refused = ctl(command, "-cancel", user="nobody")
        true(refused.returncode == 2 and "permission denied" in refused.stderr, refused.stderr)
        equal(0, ctl(command, "-status", user="nobody").returncode)
        equal(0, ctl(command, "-cancel").returncode)
        refused = ctl(command, "-init", user="keyturn")  # as a worker that a target took over
        true(refused.returncode == 2 and "permission denied" in refused.stderr, refused.stderr)
    equal(2, ctl("seal").returncode)


sys.exit(serve(tap, wire, kv=False))
