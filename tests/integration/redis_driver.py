#!/usr/bin/env python3
"""The redis driver against real servers: vaultd-worker, run as vaultd-spawn would run it.

    tests/integration/redis_driver.py ['part of a case name' ...]

The administrative login has the rights of docs/redis-least-privilege.txt and no others.
"""

import os
import secrets
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
from driver import run_step  # noqa: E402
from pki import Authority  # noqa: E402
from redis import Monitor, Redis, sha256  # noqa: E402
from tap import Tap, equal, main, true  # noqa: E402

tap = Tap("tests/integration/redis_driver.py")
FIRST = secrets.token_urlsafe(24)
redis = Redis()
redis.start()
redis.least_privilege(FIRST)
planted = [FIRST, redis.admin_password]


def password():
    planted.append(secrets.token_urlsafe(24))
    return planted[-1]


def step(op, server=None, **more):
    server = server or redis
    base = {"driver": "redis", "op": op, "host": "127.0.0.1", "port": server.port, "sslmode": "disable",
            "timeout_ms": 30000, "settle_ms": 20, "logins": {"admin": ("keyturn", server.admin_password)},
            "run": "01test", "digest": "00", "attempt": 1}
    base.update(more)
    return base


def run(op, **more):
    return run_step(step(op, **more))


def run_ok(op, **more):
    result = run(op, **more)
    equal("ok", result["class"], f"{op}: {result['code']} {result['text']}")
    return result


def probe(server=None, **logins):
    admin = ("keyturn", (server or redis).admin_password)
    result = run("probe", server=server, logins={"admin": admin, **logins})
    return result, {who: reply["answer"] for who, reply in result["replies"].items()}


def fresh(user="app", value=None, server=None):
    """The user with one password that is known."""
    value = value or password()
    (server or redis).root("ACL", "SETUSER", user, "resetpass", "on", "#" + sha256(value))
    return value


# ---- overlap ------------------------------------------------------------------------------------


@tap.case("overlap: both are accepted, then the new one alone; each step may be repeated")
def _():
    old, new = fresh(), password()
    for _ in range(2):
        run_ok("apply", account="app", public_part=sha256(new), keep_part=sha256(old))
    equal(sorted([sha256(old), sha256(new)]), redis.hashes("app"), "hashes")
    _, answers = probe(control=("app", "never-issued"), new=("app", new), old=("app", old))
    equal({"admin": "accepted", "control": "refused", "new": "accepted", "old": "accepted"}, answers)
    verified = run_ok("verify", logins={"new": ("app", new)})
    equal("app", verified["session_user"])
    true(verified["server_version"].startswith(("6.", "7.")), "a version")
    for _ in range(2):
        run_ok("revoke", account="app", keep_part=sha256(new))
    equal([sha256(new)], redis.hashes("app"), "hashes")
    result, answers = probe(control=("app", "never-issued"), new=("app", new), old=("app", old))
    equal(("accepted", "refused"), (answers["new"], answers["old"]))
    equal("wrongpw", result["replies"]["old"]["code"])
    equal(("A", "R"), (redis.login("app", new), redis.login("app", old)), "redis-cli")


@tap.case("overlap: going back leaves the old one alone, and sets it when it was lost")
def _():
    old, new = fresh(), password()
    run_ok("apply", account="app", public_part=sha256(new), keep_part=sha256(old))
    run_ok("revoke", account="app", public_part=sha256(new), keep_part=sha256(old))
    equal([sha256(old)], redis.hashes("app"), "hashes")
    fresh(value=new)
    run_ok("restore", account="app", public_part=sha256(old), keep_part=sha256(new))
    equal(sorted([sha256(old), sha256(new)]), redis.hashes("app"), "hashes")


@tap.case("what is set alone is alone: nothing that was accepted before is let in again")
def _():
    old, new = fresh(), password()
    run_ok("apply", account="app", public_part=sha256(new))
    equal([sha256(new)], redis.hashes("app"), "hashes")
    equal("R", redis.login("app", old))


@tap.case("what was changed is there after a crash of the server")
def _():
    old, new = fresh(), password()
    run_ok("apply", account="app", public_part=sha256(new), keep_part=sha256(old))
    redis.restart()
    equal(("A", "A"), (redis.login("app", new), redis.login("app", old)), "after apply")
    run_ok("revoke", account="app", keep_part=sha256(new))
    redis.restart()
    equal(("A", "R"), (redis.login("app", new), redis.login("app", old)), "after revoke")


@tap.case("inspect finds a password that the vault does not have, and revoke ends it")
def _():
    old, new, stranger = fresh(), password(), password()
    redis.root("ACL", "SETUSER", "app", "#" + sha256(stranger))
    result = run_ok("inspect", account="app", keep_part=sha256(old))
    told = [f for f in result["findings"] if f.endswith("does not have as current: 1")]
    equal(1, len(told), f"findings in {result['findings']}")
    true(sha256(stranger)[:8] not in str(result["findings"]), f"nothing of a hash in {result['findings']}")
    run_ok("apply", account="app", public_part=sha256(new), keep_part=sha256(old))
    equal("A", redis.login("app", stranger), "a stranger is not cut off before the end")
    result = run_ok("revoke", account="app", keep_part=sha256(new))
    true(any("besides" in f for f in result["findings"]), f"a finding in {result['findings']}")
    equal([sha256(new)], redis.hashes("app"), "hashes")
    fresh()
    equal([], run_ok("inspect", account="app", keep_part=redis.hashes("app")[0])["findings"], "findings")


# ---- alternate ----------------------------------------------------------------------------------


@tap.case("alternate: the other user is opened, the old one closed and its sessions ended")
def _():
    old, new = fresh(), password()
    redis.root("ACL", "SETUSER", "app", "allchannels")
    client = subprocess.Popen([*redis.argv("app"), "SUBSCRIBE", "nothing"], stdout=subprocess.PIPE,
                              stderr=subprocess.DEVNULL, text=True, env={**os.environ, "REDISCLI_AUTH": old})
    client.stdout.readline()
    equal(1, run_ok("inspect", account="app", other_account="app_b")["sessions"], "sessions")
    run_ok("apply", account="app_b", other_account="app", public_part=sha256(new))
    equal(("A", "A"), (redis.login("app_b", new), redis.login("app", old)), "both")
    admin = ("keyturn", redis.admin_password)
    for who in ("new", "old"):
        result = run("revoke", account="app", other_account="app_b", logins={"admin": admin, who: ("app_b", password())})
        equal(("unreach", "stays"), (result["class"], result["code"]), "the one that stays is asked first")
        equal("A", redis.login("app", old), "nothing was ended")
    result = run_ok("revoke", account="app", other_account="app_b", logins={"admin": admin, "new": ("app_b", new)})
    equal(("A", "R"), (redis.login("app_b", new), redis.login("app", old)), "the new one")
    equal((0, 1), (result["sessions"], result["ended_sessions"]), "sessions")
    client.kill()
    client.wait(60)
    redis.root("ACL", "SETUSER", "app", "resetchannels")
    redis.restart()
    equal("R", redis.login("app", old), "after a crash of the server")


@tap.case("inspect tells that siblings have different rights, and who has no password")
def _():
    fresh()
    redis.root("ACL", "SETUSER", "app_b", "+acl")
    result = run_ok("inspect", account="app", other_account="app_b")
    true(any("different rights" in f for f in result["findings"]), f"a finding in {result['findings']}")
    redis.root("ACL", "SETUSER", "app_b", "-@admin", "-@dangerous")
    redis.root("ACL", "SETUSER", "app", "nopass")
    result = run_ok("inspect", account="app", other_account="app_b")
    true(any("nopass" in f for f in result["findings"]), f"a finding in {result['findings']}")
    result, answers = probe(control=("app", "never-issued"), new=("app", "x"))
    equal(("accepted", "unknown"), (answers["control"], answers["new"]), result["text"])


@tap.case("a user that is not there is not made")
def _():
    for op in ("apply", "create"):
        result = run(op, account="nobody", public_part=sha256(password()))
        equal(("permanent", "missing"), (result["class"], result["code"]), op)
    equal(None, redis.hashes("nobody"))
    run_ok("revoke", account="nobody")
    equal(None, redis.hashes("nobody"))
    result = run("inspect", account="nobody", other_account="app")
    equal(("permanent", "unfit"), (result["class"], result["code"]), result["text"])
    true("no user 'nobody'" in result["text"], result["text"])
    result = run_ok("inspect", account="app", other_account="nobody")
    true(any("no user" in f for f in result["findings"]), f"a finding in {result['findings']}")


# ---- servers that do not do as they should --------------------------------------------------------


@tap.case("a server that writes its users nowhere is not touched")
def _():
    with Redis(users="") as volatile:
        value = secrets.token_urlsafe(16)
        volatile.least_privilege(value)
        result = run("inspect", server=volatile, account="app")
        equal(("permanent", "unfit"), (result["class"], result["code"]), result["text"])
        result = run("apply", server=volatile, account="app", public_part=sha256("new"),
                     keep_part=sha256(value))
        equal(("permanent", "save"), (result["class"], result["code"]), result["text"])
        equal([sha256(value)], volatile.hashes("app"), "hashes")


@tap.case("without an ACL file the configuration is written")
def _():
    with Redis(users="config") as server:
        old, new = secrets.token_urlsafe(16), secrets.token_urlsafe(16)
        server.least_privilege(old)
        run_ok("inspect", server=server, account="app")
        run_ok("apply", server=server, account="app", public_part=sha256(new), keep_part=sha256(old))
        run_ok("revoke", server=server, account="app", keep_part=sha256(new))
        server.restart()
        equal(("A", "R"), (server.login("app", new), server.login("app", old)), "after a crash")


@tap.case("a server that cannot write any more: nothing is changed, a revocation is not done")
def _():
    old, new = fresh(), password()
    redis.root("ACL", "SAVE")
    os.rename(redis.acl, redis.acl + ".away")
    os.mkdir(redis.acl)
    try:
        result = run("apply", account="app", public_part=sha256(new), keep_part=sha256(old))
        equal(("permanent", "save"), (result["class"], result["code"]), result["text"])
        equal([sha256(old)], redis.hashes("app"), "hashes")
        result = run("revoke", account="app", keep_part=sha256(old))
        equal(("unreach", "save"), (result["class"], result["code"]), result["text"])
    finally:
        os.rmdir(redis.acl)
        os.rename(redis.acl + ".away", redis.acl)


@tap.case("an administrator with a wrong password, or without the right, is told so")
def _():
    result = run("apply", account="app", public_part=sha256(password()),
                 logins={"admin": ("keyturn", "never-issued")})
    equal(("refused", "wrongpw"), (result["class"], result["code"]), result["text"])
    redis.root("ACL", "SETUSER", "keyturn", "-acl|setuser")
    try:
        result = run("apply", account="app", public_part=sha256(password()))
        equal(("permanent", "noperm"), (result["class"], result["code"]), result["text"])
    finally:
        redis.root("ACL", "SETUSER", "keyturn", "+acl|setuser")


@tap.case("nobody there, a replica that stands alone, no free connection: nothing is known")
def _():
    old = fresh()
    result = run("probe", port=1, logins={"admin": ("keyturn", redis.admin_password)})
    equal(("unreach", "connect"), (result["class"], result["code"]), result["text"])
    redis.root("REPLICAOF", "127.0.0.1", "1")
    try:
        result = run("apply", account="app", public_part=sha256(password()), keep_part=sha256(old))
        equal(("unreach", "replica"), (result["class"], result["code"]), result["text"])
        equal([sha256(old)], redis.hashes("app"), "hashes")
        new = password()
        several = {"servers": "127.0.0.1:%d,127.0.0.1:1" % redis.port}
        run_ok("apply", account="app", public_part=sha256(new), keep_part=sha256(old), **several)
        run_ok("verify", logins={"new": ("app", new)}, **several)
        run_ok("revoke", account="app", keep_part=sha256(new), **several)
    finally:
        redis.root("REPLICAOF", "NO", "ONE")
    equal([sha256(new)], redis.hashes("app"), "hashes")


@tap.case("a public part that is no hash is not sent")
def _():
    for bad in ("", "plain", sha256("x").upper(), sha256("x")[:-1], ">" + sha256("x")[:-1]):
        result = run("apply", account="app", public_part=bad)
        equal(("permanent", "hash"), (result["class"], result["code"]), bad)
        if bad:
            result = run("revoke", account="app", keep_part=bad)
            equal(("permanent", "hash"), (result["class"], result["code"]), bad)


# ---- TLS ------------------------------------------------------------------------------------------


@tap.case("TLS: verified by the target's CA, and not by another")
def _():
    with Redis(tls=True) as server:
        old, new = secrets.token_urlsafe(16), secrets.token_urlsafe(16)
        server.least_privilege(old)
        with open(server.ca) as f:
            ca = f.read()
        for mode in ("verify-full", "verify-ca", "require"):
            more = {"server": server, "sslmode": mode, "ca": "" if mode == "require" else ca}
            run_ok("apply", account="app", public_part=sha256(new), keep_part=sha256(old), **more)
        run_ok("revoke", account="app", keep_part=sha256(new), server=server, sslmode="verify-full", ca=ca)
        equal(("A", "R"), (server.login("app", new), server.login("app", old)), "redis-cli")
        result = run("inspect", server=server, account="app", sslmode="verify-full")
        equal(("unreach", "tls"), (result["class"], result["code"]), result["text"])
        result = run("inspect", server=server, account="app", sslmode="verify-full", ca=ca, host="localhost")
        equal(("unreach", "tls"), (result["class"], result["code"]), "another name: " + result["text"])
        with Redis(tls=True) as stranger, open(stranger.ca) as f:
            other = f.read()
        for mode in ("verify-full", "verify-ca", "require"):
            result = run("inspect", server=server, account="app", sslmode=mode, ca=other)
            equal(("unreach", "tls"), (result["class"], result["code"]), "another CA, " + mode + ": " + result["text"])
        run_ok("inspect", server=server, account="app", sslmode="require", ca=ca)
        result = run("inspect", server=server, account="app")
        equal("unreach", result["class"], "without TLS: " + result["text"])
        with tempfile.TemporaryDirectory() as folder:
            issuer = Authority(folder, "root")
            over = issuer.issue("over", "extendedKeyUsage=serverAuth\nsubjectAltName=IP:127.0.0.1",
                                dates=("20200101000000Z", "20200201000000Z"))
            server.root("CONFIG", "SET", "tls-cert-file", over.crt, "tls-key-file", over.key)
            result = run("inspect", server=server, account="app", sslmode="verify-full", ca=issuer.pem)
            equal(("unreach", "tls"), (result["class"], result["code"]), "over: " + result["text"])
            true("the certificate of 127.0.0.1 expired at 2020-02-01T00:00:00Z: give" in result["text"], result["text"])


# ---- what is left behind --------------------------------------------------------------------------


@tap.case("no password and no hash is in MONITOR, SLOWLOG, ACL LOG, the log or the files")
def _():
    redis.root("CONFIG", "SET", "slowlog-log-slower-than", "0")
    old, new, wrong = fresh(), password(), password()
    with Monitor(redis) as monitor:
        run_ok("apply", account="app", public_part=sha256(new), keep_part=sha256(old))
        probe(control=("app", wrong), new=("app", new), old=("app", old))
        run_ok("verify", logins={"new": ("app", new)})
        run_ok("revoke", account="app", keep_part=sha256(new))
        run_ok("inspect", account="app", keep_part=sha256(new))
    shown = monitor.text()
    true('"HELLO"' in shown.upper() or '"hello"' in shown, f"our commands in {shown!r}")
    with open(redis.acl) as f:
        acl = f.read()
    refusals = redis.root("ACL", "LOG")
    true("keyturn-probe" in refusals, "the probe's name at the refusals")
    for where, text in (("MONITOR", shown), ("SLOWLOG", redis.root("SLOWLOG", "GET", "100")),
                        ("ACL LOG", refusals), ("log", redis.log()), ("ACL file", acl)):
        true(not any(value in text for value in planted), f"no password in {where}")
    for hash in (sha256(old), sha256(new)):
        true(hash not in shown, "no hash in MONITOR")


@tap.case("the sandbox lacks no layer that it has for another driver")
def _():
    equal(run_ok("inspect", account="app")["missing_layers"],
          run_step(step("inspect", driver="postgresql", database="x", account="x"))["missing_layers"])


main(tap)
