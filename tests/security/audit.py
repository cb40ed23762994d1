#!/usr/bin/python3
"""Advisories of Vault and OpenBao about what the audit log and other output tell, and about who changes them.

    tests/security/audit.py ['part of a case name']

What is looked at is all that vaultd says: answers, its log, the audit log, the device's copy. Which advisories
there are, and which test shows the others: advisories.txt.
"""
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
from keyturn import Vault, program, wait_for  # noqa: E402
from tap import Tap, equal, true  # noqa: E402
from wire import Wire, wants  # noqa: E402

tap = Tap("tests/security/audit.py")
folder = tempfile.mkdtemp(prefix="kt-audit-")
os.chmod(folder, 0o755)
device = os.path.join(folder, "log", "audit.json")
PROXY = "kt-canary-proxy"
vault = Vault(config='audit "file" { path = "%s" timeout = "60s" }' % device,
              env={name: "http://user:%s@127.0.0.1:1" % PROXY for name in (
                  "http_proxy", "HTTP_PROXY", "https_proxy", "HTTPS_PROXY", "ALL_PROXY", "all_proxy")})
wire = Wire(vault)
CANARY = "kt-canary-5522"
KEPT = "kt-canary-6633"  # what is stored on purpose


def exported():
    """The whole audit log, which comes in pieces of 8 MiB; and the number of its last record."""
    text, last = "", -1
    while True:
        part = wire.ask("GET", "sys/audit-log/export?from=%d" % (last + 1), by_library=True).body.decode()
        text += part
        last = json.loads(part.splitlines()[-1])["seq"] if part else last
        if len(part) < 4 << 20:
            return text, last


def output():
    """All that was written by now: what is behind an answer is the device's copy alone, which is waited for."""
    log, last = exported()

    def copied():
        with open(device) as f:
            text = f.read()
        return text if '"seq":%d}' % last in text else None

    return {"the audit log": log, "the vault's log": vault.log_text(), "the device": wait_for("the copy", copied)}


def silent(*texts):
    for where, text in output().items():
        for word in texts:
            at = text.find(word)
            true(at < 0, "nothing of what was planted in %s, got %s" % (where, text[max(0, at - 200):at + 60]))


def api(method):
    """Paths of the API that have a method, each with names that may be there."""
    for path, item in wire.ask("GET", "sys/internal/specs/openapi").json["paths"].items():
        if method in item:
            yield re.sub(r"\{\w+\}", "db", path[1:])


def hash_of(text):
    return wire.ok("POST", "sys/audit-hash/file", {"input": text}).data["hash"]


@tap.case("CVE-2024-8365, CVE-2024-2877, CVE-2026-4525: of headers the log has only hashes of token and accessor")
def _():
    made = wire.ok("POST", "auth/token/create", {"policies": ["default"], "ttl": "1h"}).auth
    token, accessor = made["client_token"], made["accessor"]
    wire.ok("GET", "secret/data/db", headers={"X-Canary": CANARY, "Cookie": CANARY, "User-Agent": CANARY, "Referer": CANARY,
                                              "X-Forwarded-For": CANARY, "X-Vault-Request": CANARY, "Authorization": CANARY,
                                              "Proxy-Authorization": CANARY, "X-Vault-Inconsistent": CANARY})
    for ask in (lambda: wire.ask("GET", "auth/token/lookup-self", token=token),
                lambda: wire.ask("GET", "auth/token/lookup-self", token=None, headers={"Authorization": "Bearer " + token}),
                lambda: wire.ask("GET", "secret/data/db", token=token),
                lambda: wire.ask("POST", "auth/token/renew-self", token=token),
                lambda: wire.ask("POST", "auth/token/lookup", {"token": token}),
                lambda: wire.ask("POST", "auth/token/lookup-accessor", {"accessor": accessor}),
                lambda: wire.ask("POST", "auth/token/renew", {"token": token}),
                lambda: wire.ask("POST", "auth/token/renew-accessor", {"accessor": accessor}),
                lambda: wire.ask("POST", "sys/capabilities", {"token": token, "paths": "a"}),
                lambda: wire.ask("POST", "sys/capabilities-accessor", {"accessor": accessor, "paths": "a"}),
                lambda: wire.ask("GET", "auth/token/lookup-self", token=token + "x"),
                lambda: wire.ask("GET", "auth/token/lookup-self", token="hvs." + CANARY),
                lambda: wire.ask("POST", "sys/wrapping/unwrap", {"token": "hvs." + CANARY}),
                lambda: wire.ask("POST", "auth/token/revoke-accessor", {"accessor": accessor})):
        true(ask().status in (200, 204, 400, 403), "an answer")
    silent(CANARY, token, accessor, wire.root)
    # It is known by them all the same, by whatever way the token came (CVE-2026-46358).
    log = output()["the audit log"]
    true(log.count(hash_of(token)) >= 6 and log.count(hash_of(accessor)) >= 6, "hashes in their place")


# Malformed in each way that a parser of ours can meet, with the canary where it breaks off.
BROKEN = [b'{"data": {"k": "%s', b'{"data": "%s"', b"%s", b'{"%s": tru}', b'{"data": {"k": "%s\x01"}}', b'{"k": "%s\\x"}',
          b'{"data": %s}', b'["%s"]', b'"%s"', b'{"a": "%s"} x', b'{"a": 1, "a": "%s"}', b'\xff"%s"', b'{"k": "%s\xff"}',
          b'{"k": "\\ud800%s"}', b'<xml>%s</xml>', b'data=%s']
# A text where something else is meant, in every field that anything here reads.
FIELDS = ["ttl", "period", "num_uses", "explicit_max_ttl", "renewable", "policies", "meta", "increment", "options", "data",
          "config", "max_versions", "cas_required", "delete_version_after", "custom_metadata", "versions", "policy",
          "rules", "capability", "input", "format", "algorithm", "bytes", "source", "interval", "max_operations", "enabled",
          "secret_shares", "secret_threshold", "key", "nonce", "otp", "pgp_key", "type", "default_lease_ttl", "max_lease_ttl",
          "listing_visibility", "token_type", "from", "driver", "host", "port", "sslmode", "ca", "cron", "zone", "window",
          "period", "generator", "target", "accounts", "state", "service", "version", "instance", "evidence", "samples",
          "accept", "hmac", "allowed_origins", "no_default_policy", "lease", "entity_alias", "require_verification"]


@tap.case("GHSA-8xxq-mq9m-xmhw, CVE-2025-4166, CVE-2025-52893: no error repeats what could not be read")
def _():
    paths = [p for p in api("post") if not re.search("revoke-self|seal$|rotate|reencrypt|compact", p)]
    true(len(paths) > 40, "paths")
    for path in paths:
        for raw in BROKEN:
            reply = wire.ask("POST", path, raw=raw.replace(b"%s", CANARY.encode()))
            true(CANARY not in reply.body.decode(), str(reply))
        body = {name: "%s and not %s" % (CANARY, name) for name in FIELDS if name not in ("data", "policy", "rules", "input")}
        for name in ([None] + FIELDS if path.startswith(("sys/init", "sys/unseal")) else FIELDS):
            sent = body if name is None else {name: CANARY + " {"}
            reply = wire.ask("POST", path, sent, headers={"X-Vault-Wrap-TTL": CANARY} if name is None else None)
            # What was accepted and is kept may be told again; an error may not.
            true(reply.status < 400 or CANARY not in reply.body.decode(), str(reply))
    for path in api("get"):
        for query in ("list=" + CANARY, "version=" + CANARY, "from=" + CANARY, "depth=" + CANARY, "limit=" + CANARY,
                      "since=" + CANARY, "x=%ff" + CANARY, "%zz" + CANARY, "format=" + CANARY, "index=" + CANARY):
            reply = wire.ask("GET", path + "?" + query, by_library=True)
            true(reply.status < 400 or CANARY not in reply.body.decode("utf-8", "replace"), str(reply))
    # Of a policy, which is no secret, the word that is wrong is named, as Vault does: a capability, a key.
    for policy in ('path "a" {{ %s', '%s', '{"path": "%s"}',
                   'path "a" { capabilities = "%s" }', 'path "%s/+x" { }', 'path "a" { allowed_parameters = { "p" = %s'):
        for path in ("sys/policies/acl/x", "sys/policy/x", "sys/policies/lint", "sys/policies/explain"):
            wire.ask("PUT", path, {"policy": policy.replace("%s", CANARY)})
    silent(CANARY)


@tap.case("CVE-2025-6000, CVE-2025-54997, CVE-2026-5051: nobody names a file for the audit log over the API, nor a prefix")
def _():
    before = wire.ok("GET", "sys/audit").data
    aim = os.path.join(folder, "log", "aim")
    for option in ("file_path", "path", "FILE_PATH", "Path", "file_path ", "filepath", "address", "tag"):
        for more in ({}, {"mode": "0777"}, {"prefix": "#!/bin/sh\n"}, {"log_raw": "true"}, {"hmac_accessor": "false"},
                     {"skip_test": "true"}):
            for method in ("PUT", "POST"):
                for name in ("file", "aim", "file/", "aim/b"):
                    reply = wire.ask(method, "sys/audit/" + name, {"type": "file", "options": dict({option: aim}, **more)})
                    wants(reply, 400)
    for kind in ("syslog", "socket", "http", "FILE", ""):
        wants(wire.ask("PUT", "sys/audit/aim", {"type": kind, "options": {"file_path": aim}}), 400)
    for name in before:
        true(wire.ask("DELETE", "sys/audit/" + name.rstrip("/")).status >= 400, "no device is taken away")
    for method, path, body in (("POST", "sys/config/auditing/request-headers/x-canary", {"hmac": False}),
                               ("PUT", "sys/mounts/audit/x", {"type": "file"})):
        true(wire.ask(method, path, body).status >= 400, path)
    equal(before, wire.ok("GET", "sys/audit").data)
    equal(["audit.json"], os.listdir(os.path.join(folder, "log")))


@tap.case("CVE-2024-0831: no setting of a device writes values in clear")
def _():
    for setting in ("log_raw = true", 'log_raw = "true"', "hmac_accessor = false", 'prefix = "x"', 'mode = "0777"',
                    'elide_list_responses = true', 'raw = true'):
        path = os.path.join(folder, "strange.hcl")
        with open(vault.config_path) as f, open(path, "w") as g:
            g.write(f.read().replace("timeout =", setting + " timeout ="))
        done = subprocess.run([program("vaultd"), "--config", path, "--check"], capture_output=True, text=True)
        name = setting.split()[0]
        true(name in done.stdout + done.stderr, "%s to be named as unknown, got %s%s" % (name, done.stdout, done.stderr))


@tap.case("CVE-2020-13223: the environment's proxies are neither used nor told")
def _():
    for path in ("sys/config/state/sanitized", "sys/host-info", "sys/metrics", "sys/metrics?format=prometheus", "sys/health"):
        true(PROXY not in wire.ask("GET", path, by_library=True).body.decode(), path)
    silent(PROXY)
    done = subprocess.run([program("secretctl"), "status"], capture_output=True, text=True,
                          env=dict(vault.environment(), **vault.env))
    equal(0, done.returncode, done.stderr)
    true(PROXY not in done.stdout + done.stderr, "nothing of it")


@tap.case("CVE-2024-6104, CVE-2022-29810: an address with a password in it is not told")
def _():
    for address in ("http://user:%s@127.0.0.1:1", "https://%s@127.0.0.1:1", "http://127.0.0.1:1/?token=%s",
                    "http://user:%s@[::1", "ftp://user:%s@127.0.0.1", "http://user:%s@nowhere.invalid"):
        address = address.replace("%s", CANARY)
        for words in (["-address=" + address, "status"], ["-address=" + address, "kv", "get", "secret/db"]):
            done = subprocess.run([program("secretctl"), *words], capture_output=True, text=True, env=vault.environment())
            true(done.returncode != 0, "an error")
            true(CANARY not in done.stdout + done.stderr, done.stderr)
        done = subprocess.run([program("secret-agent"), "run", "--wait=0s", "--env", "A=secret/db#k", "--", "true"],
                              capture_output=True, text=True, env=dict(vault.environment(), VAULT_ADDR=address), timeout=120)
        true(done.returncode != 0, "an error")
        true(CANARY not in done.stdout + done.stderr, done.stderr)


@tap.case("GHSA-3237-j65r-m5rp, CVE-2022-25244: nothing that reads a setting has a secret in it")
def _():
    wire.ok("POST", "rotation/targets/db", {"driver": "postgresql", "host": "127.0.0.1", "database": "x", "sslmode": "disable",
                                            "admin_username": "admin", "admin_password": KEPT + "-admin"})
    wire.ok("POST", "secret/data/login", {"data": {"username": "u", "password": KEPT + "-login"}})
    seen = 0
    for path in list(api("get")) + ["rotation/targets/db", "secret/metadata/login", "secret/subkeys/login", "secret/config"]:
        for method in ("GET", "LIST"):
            reply = wire.ask(method, path, by_library=True)
            seen += reply.status == 200
            true(KEPT not in reply.body.decode("utf-8", "replace"), str(reply))
    true(seen > 30, "answers")
    silent(KEPT, vault.shares[0], vault.shares[1], wire.root)


@tap.case("CVE-2018-19786: of keys that do not open anything the log has nothing")
def _():
    from_elsewhere = ["%064x%02x" % (0xdeadbeef00112233 << 8 | i, i) for i in (1, 2, 3)]
    wire.close()
    vault.kill()
    vault.start()
    for share in from_elsewhere + [CANARY, vault.shares[0][:-2] + "77", CANARY * 3]:
        wire.ask("PUT", "sys/unseal", {"key": share}, token=None)
    wire.ask("PUT", "sys/unseal", {"reset": True}, token=None)
    true(vault.process.poll() is None, "still there")
    vault.unseal()
    silent(*from_elsewhere, *vault.shares, CANARY)
    for share in vault.shares:
        silent(share[:32], share[:-2])


def main():
    try:
        os.mkdir(os.path.dirname(device), 0o700)
        if os.getuid() == 0:
            shutil.chown(os.path.dirname(device), "keyturn", "keyturn")
        vault.ready()
        wire.root = vault.token
        wire.mount_all()
        wire.ok("POST", "secret/data/db", {"data": {"k": "v"}})
        wait_for("the device's first record", lambda: os.path.exists(device))
        return tap.run(sys.argv[1:])
    finally:
        wire.close()
        vault.remove()
        shutil.rmtree(folder, ignore_errors=True)


sys.exit(main())
