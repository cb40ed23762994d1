#!/usr/bin/env python3
"""The postgresql driver against a real server: vaultd-worker, run as vaultd-spawn would run it.

    tests/integration/postgresql_driver.py ['part of a case name' ...]

Programs come from $KT_BIN, else build/bin.
"""

import ctypes
import hashlib
import os
import secrets
import socket
import subprocess
import sys
import tempfile
import threading

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
from driver import Worker, run_step, scram_verifier, worker_path  # noqa: E402
from pki import Authority  # noqa: E402
from postgres import HBA, Postgres  # noqa: E402
from tap import Tap, equal, main, true  # noqa: E402

tap = Tap("tests/integration/postgresql_driver.py")
pg = Postgres(tls=True, settings={"track_activity_query_size": "4096"})

ADMIN = ("kt_vault", "vault-" + secrets.token_hex(12))
planted = [ADMIN[1]]  # no log may hold one of these


def password():
    """What the generator makes: 128 bits and more, ASCII."""
    planted.append(secrets.token_urlsafe(24))
    return planted[-1]


def step(op, **more):
    base = {"driver": "postgresql", "op": op, "host": "127.0.0.1", "port": pg.port,
            "database": "orders", "sslmode": "disable", "timeout_ms": 30000, "settle_ms": 20,
            "logins": {"admin": ADMIN}, "run": "01test", "attempt": 1}
    base.update(more)
    if "public_part" in base:
        base.setdefault("digest", hashlib.sha256(base["public_part"].encode()).hexdigest())
    return base


def run(op, **more):
    return run_step(step(op, **more))


def run_ok(op, **more):
    result = run(op, **more)
    equal("ok", result["class"], f"{op}: {result['code']} {result['text']}")
    return result


def apply(account, value, group="app", op="apply", **more):
    return run_ok(op, account=account, group=group, public_part=scram_verifier(value), **more)


def probe(**logins):
    more = {k: logins.pop(k) for k in list(logins) if not isinstance(logins[k], tuple)}
    result = run("probe", **{**more, "logins": {"admin": ADMIN, **logins}})
    return result, {who: reply["answer"] for who, reply in result["replies"].items()}


def refused(account):
    """A value that was never issued."""
    return (account, secrets.token_urlsafe(24))


def set_up():
    pg.start()
    pg.psql(f"""
        CREATE DATABASE orders;
        CREATE ROLE kt_vault LOGIN CREATEROLE PASSWORD '{scram_verifier(ADMIN[1])}';
        GRANT pg_signal_backend TO kt_vault;
        CREATE ROLE solo LOGIN PASSWORD '{scram_verifier("solo-first-value-0")}';
    """)
    pg.psql("GRANT CREATE, CONNECT ON DATABASE orders TO PUBLIC")
    pg.psql("CREATE SCHEMA shop", db="orders")


set_up()

# ---- the whole way, two accounts ----------------------------------------------------------------


@tap.case("create makes group and accounts that cannot log in")
def _():
    for account in ("app_a", "app_b"):
        for _ in range(2):  # it may be repeated
            run_ok("create", account=account, group="app")
    equal([["app", "f"], ["app_a", "f"], ["app_b", "f"]],
          pg.rows("SELECT rolname, rolcanlogin FROM pg_roles WHERE rolname LIKE 'app%' ORDER BY 1"))
    pg.psql("GRANT ALL ON SCHEMA shop TO app", db="orders")


@tap.case("apply, verify, probe and revoke, alternating")
def _():
    first, second = password(), password()
    result = apply("app_a", first)
    digest = pg.rows("SELECT shobj_description('app_a'::regrole, 'pg_authid')")[0][0]
    equal(digest, result["comment"], "comment read back")
    true(digest.startswith("keyturn run=01test attempt=1 sha256="), f"our comment in {digest!r}")
    verified = run_ok("verify", group="app", logins={"new": ("app_a", first)})
    equal(("app_a", "app"), (verified["session_user"], verified["current_user"]))
    apply("app_b", second)
    _, answers = probe(control=refused("app_b"), new=("app_b", second), old=("app_a", first))
    equal({"admin": "accepted", "control": "refused", "new": "accepted", "old": "accepted"}, answers)
    for who in ("new", "old"):
        result = run("revoke", account="app_a", group="app", logins={"admin": ADMIN, who: refused("app_b")})
        equal(("unreach", "stays"), (result["class"], result["code"]), "the one that stays is asked first")
        equal(True, pg.accepts("app_a", first, db="orders"), "nothing was ended")
    result = run_ok("revoke", account="app_a", group="app", logins={"admin": ADMIN, "new": ("app_b", second)})
    equal(0, result["sessions"])
    equal([["f", ""]], pg.rows("SELECT rolcanlogin, rolpassword FROM pg_authid WHERE rolname = 'app_a'"),
          "closed, for whoever needs no password, too")
    result, answers = probe(control=refused("app_b"), new=("app_b", second), old=("app_a", first))
    equal({"admin": "accepted", "control": "refused", "new": "accepted", "old": "refused"}, answers)
    equal("28P01", result["replies"]["old"]["code"])
    for _ in range(2):  # revoking what is revoked
        run_ok("revoke", account="app_a", group="app")
    apply("app_a", first)  # and it may come back
    equal(True, pg.accepts("app_a", first, db="orders"))


@tap.case("in place: apply, then restore the verifier of the version before")
def _():
    old, new = "solo-first-value-0", password()
    kept = scram_verifier(old)
    apply("solo", new, group="")
    _, answers = probe(control=refused("solo"), new=("solo", new), old=("solo", old))
    equal(("accepted", "refused"), (answers["new"], answers["old"]))
    run_ok("verify", logins={"new": ("solo", new)})
    for _ in range(2):
        run_ok("restore", account="solo", public_part=kept)
    _, answers = probe(control=refused("solo"), new=("solo", new), old=("solo", old))
    equal(("refused", "accepted"), (answers["new"], answers["old"]))


@tap.case("what one account creates the other can alter")
def _():
    a, b = password(), password()
    apply("app_a", a)
    apply("app_b", b)
    pg.psql("CREATE TABLE shop.made_by_a (n int)", db="orders", user="app_a", password=a)
    pg.psql("ALTER TABLE shop.made_by_a ADD COLUMN m int; DROP TABLE shop.made_by_a", db="orders",
            user="app_b", password=b)


@tap.case("verify refuses an account that does not start as the group")
def _():
    value = password()
    pg.psql("CREATE ROLE app_c LOGIN IN ROLE app")
    apply("app_c", value)
    result = run("verify", group="app", logins={"new": ("app_c", value)})
    equal(("permanent", "role"), (result["class"], result["code"]))
    pg.psql("DROP ROLE app_c")


@tap.case("inspect does not let begin what verify would refuse")
def _():
    value = password()
    run_ok("create", account="app_d", group="app")
    apply("app_d", value)
    pg.psql("REVOKE app FROM app_d; ALTER ROLE app_d RESET role")
    made = (("", "'app_d' is not in 'app': GRANT app TO app_d"),
            ("CREATE ROLE between IN ROLE app; GRANT between TO app_d", "ALTER ROLE app_d SET role = 'app'"),
            ("ALTER ROLE app_d SET role = 'app_x'", "ALTER ROLE app_d SET role = 'app'"),
            ("ALTER ROLE app_d SET role = 'app'; ALTER ROLE app_d IN DATABASE orders SET role = 'none'",
             "ALTER ROLE app_d SET role = 'app'"),
            ("ALTER ROLE app_d RESET ALL; ALTER ROLE app_d IN DATABASE orders RESET ALL;"
             "ALTER DATABASE orders SET role = 'app'", ""),
            ("ALTER DATABASE orders RESET ALL; ALTER ROLE app_d SET role = 'app'", ""))
    for sql, mends in made:
        if sql:
            pg.psql(sql)
        looked = run("inspect", account="app_d", group="app")
        verified = run("verify", group="app", logins={"new": ("app_d", value)})
        equal("permanent" if mends else "ok", looked["class"], looked["text"])
        equal(verified["class"], looked["class"], "verify says the same")
        equal("unfit" if mends else "", looked["code"])
        true(mends in looked["text"], looked["text"])
    pg.psql("DROP ROLE app_d; DROP ROLE between")


@tap.case("verify with a wrong password is refused")
def _():
    result = run("verify", group="app", logins={"new": refused("app_a")})
    equal(("refused", "28P01"), (result["class"], result["code"]))


@tap.case("revoke ends the sessions of the account")
def _():
    value = password()
    apply("app_a", value)
    env = {**pg.environment(), "PGPASSWORD": value}
    psql = subprocess.Popen([os.path.join(pg.bin, "psql"), "-XqAt", "-h", pg.host, "-p",
                             str(pg.port), "-U", "app_a", "-d", "orders"], env=env, text=True,
                            stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                            stderr=subprocess.DEVNULL)
    psql.stdin.write("SELECT 'in';\n")
    psql.stdin.flush()
    equal("in\n", psql.stdout.readline())
    result = run_ok("revoke", account="app_a", group="app")
    equal((1, 0), (result["ended_sessions"], result["sessions"]))
    psql.communicate("SELECT 'still';\n", timeout=20)
    true(psql.returncode != 0, "the session's end")


@tap.case("revoke says when it may not end sessions")
def _():
    value = password()
    apply("app_a", value)
    pg.psql("REVOKE pg_signal_backend FROM kt_vault")
    psql = subprocess.Popen([os.path.join(pg.bin, "psql"), "-XqAt", "-h", pg.host, "-p",
                             str(pg.port), "-U", "app_a", "-d", "orders"],
                            env={**pg.environment(), "PGPASSWORD": value}, text=True,
                            stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    psql.stdin.write("SELECT 'in';\n")
    psql.stdin.flush()
    psql.stdout.readline()
    result = run("revoke", account="app_a", group="app")
    psql.communicate(timeout=20)
    pg.psql("GRANT pg_signal_backend TO kt_vault")
    equal(("permanent", "42501"), (result["class"], result["code"]))
    true("cannot log in any more" in result["text"], f"what holds already in {result['text']!r}")


@tap.case("revoke of a role that is not there has nothing to do")
def _():
    run_ok("revoke", account="nobody_knows", group="app")


# ---- evidence -----------------------------------------------------------------------------------

MALFORMED = {
    "wrong key length": lambda v: v[:-2] + "=",
    "dollar for colon": lambda v: v.replace(":", "$"),
    "lower-case scheme": lambda v: v.replace("SCRAM-SHA-256", "scram-sha-256"),
    "leading blank": lambda v: " " + v,
    "trailing blank": lambda v: v + " ",
    "trailing newline": lambda v: v + "\n",
    "iteration count 0": lambda v: v.replace("$4096:", "$0:"),
    "md5 in capitals": lambda v: "md5" + "A" * 32,
    "plain text": lambda v: "just a password",
    "nothing": lambda v: "",
}

for kind, spoil in MALFORMED.items():
    @tap.case(f"a malformed verifier is never sent, {kind}")
    def _(spoil=spoil):
        mark = pg.mark()
        result = run("apply", account="app_a", group="app", digest="00",
                     public_part=spoil(scram_verifier(password())))
        equal(("permanent", "verifier"), (result["class"], result["code"]))
        equal("", pg.log_since(mark), "the server's log")


@tap.case("NOLOGIN with a right password is barred, with a wrong one refused")
def _():
    value = password()
    apply("app_a", value)
    pg.psql("ALTER ROLE app_a NOLOGIN")
    result, answers = probe(new=("app_a", value), old=refused("app_a"))
    reply = result["replies"]["new"]
    equal(("unknown", True, "28000"), (reply["answer"], reply["barred"], reply["code"]))
    equal("refused", answers["old"])


@tap.case("a database that is not there bars a right password")
def _():
    value = password()
    apply("app_a", value)
    result, _ = probe(database="missing", new=("app_a", value))
    equal("skipped", result["replies"]["new"]["code"])  # the administrator cannot get in either
    reply = result["replies"]["admin"]
    equal(("unknown", True, "3D000"), (reply["answer"], reply["barred"], reply["code"]))


@tap.case("no free connection for the role bars a right password")
def _():
    value = password()
    apply("app_a", value)
    pg.psql("ALTER ROLE app_a CONNECTION LIMIT 0")
    result, _ = probe(new=("app_a", value), old=refused("app_a"))
    pg.psql("ALTER ROLE app_a CONNECTION LIMIT -1")
    reply = result["replies"]["new"]
    equal(("unknown", True, "53300"), (reply["answer"], reply["barred"], reply["code"]))
    equal("refused", result["replies"]["old"]["answer"])


@tap.case("a trust line: the control is accepted and nothing more is tried")
def _():
    pg.hba("host all app_a 127.0.0.1/32 trust", *HBA)
    result, answers = probe(control=refused("app_a"), new=refused("app_a"))
    verified = run("verify", group="app", logins={"new": refused("app_a")})
    pg.hba()
    equal("accepted", answers["control"])
    equal(True, result["replies"]["control"]["unasked"])
    equal("skipped", result["replies"]["new"]["code"])
    true("accepts anything" in result["text"], f"the reason in {result['text']!r}")
    equal(("permanent", "unasked"), (verified["class"], verified["code"]))


@tap.case("a trust line is found behind TLS, too")
def _():
    with open(pg.ca, encoding="ascii") as ca:
        tls = {"sslmode": "verify-full", "ca": ca.read()}
    pg.hba("host all app_a 127.0.0.1/32 trust", *HBA)
    result, answers = probe(control=refused("app_a"), **tls)
    pg.hba()
    equal("accepted", answers["control"], result["text"])


@tap.case("pg_hba.conf that names only the other account is no refusal")
def _():
    value = password()
    apply("app_b", value)
    pg.hba("host all kt_vault 127.0.0.1/32 scram-sha-256", "host all app_a 127.0.0.1/32 scram-sha-256")
    result, _ = probe(new=("app_b", value))
    pg.hba()
    reply = result["replies"]["new"]
    equal(("unknown", False, "28000"), (reply["answer"], reply["barred"], reply["code"]))


@tap.case("a wrong administrative password is refused and the rest not tried")
def _():
    wrong = (ADMIN[0], secrets.token_hex(8))
    result = run("apply", account="app_a", group="app", logins={"admin": wrong},
                 public_part=scram_verifier(password()))
    equal(("refused", "28P01"), (result["class"], result["code"]))
    true("logging in as 'kt_vault'" in result["text"], f"the login in {result['text']!r}")
    result = run("probe", logins={"admin": wrong, "new": refused("app_a")})
    equal("refused", result["class"])
    equal(("refused", "skipped"), (result["replies"]["admin"]["answer"],
                                   result["replies"]["new"]["code"]))


@tap.case("an administrator without the privilege is told so, permanently")
def _():
    value = password()
    pg.psql(f"CREATE ROLE weak LOGIN PASSWORD '{scram_verifier(value)}'")
    result = run("apply", account="app_a", group="app", logins={"admin": ("weak", value)},
                 public_part=scram_verifier(password()))
    pg.psql("DROP ROLE weak")
    equal(("permanent", "42501"), (result["class"], result["code"]))


@tap.case("a role that is not there is told so, permanently")
def _():
    result = run("apply", account="ghost", group="app", public_part=scram_verifier(password()))
    equal(("permanent", "42704"), (result["class"], result["code"]))


@tap.case("a server with another system identifier is left alone")
def _():
    value = password()
    mine = run_ok("inspect", account="app_a", group="app")["server_id"]
    apply("app_a", value, server_id=mine)
    result = run("apply", account="app_a", group="app", server_id="7000000000000000000",
                 public_part=scram_verifier(password()))
    equal(("wrong-server", mine), (result["class"], result["server_id"]))
    equal(True, pg.accepts("app_a", value, db="orders"))
    result, answers = probe(server_id="7000000000000000000", new=("app_a", value))
    equal(("wrong-server", "unknown"), (result["class"], answers["new"]))


@tap.case("a role whose connections are read-only can be probed")
def _():
    value = password()
    apply("app_a", value)
    pg.psql("ALTER ROLE app_a SET default_transaction_read_only = on")
    _, answers = probe(new=("app_a", value))
    pg.psql("ALTER ROLE app_a RESET default_transaction_read_only")
    equal("accepted", answers["new"])


# CVE-2026-39946: a name that the database gave went into a statement as it was.
@tap.case("names that need quoting")
def _():
    value = password()
    account, group = "o'brien \"x\" \\ ä", "the group; --"
    run_ok("create", account=account, group=group)
    apply(account, value, group=group)
    result, answers = probe(control=refused(account), new=(account, value))
    equal(("refused", "accepted"), (answers["control"], answers["new"]), result["text"])
    run_ok("verify", group=group, logins={"new": (account, value)})
    run_ok("revoke", account=account, group=group)


# ---- trouble ------------------------------------------------------------------------------------


@tap.case("eight at once on one role: all succeed, one verifier is in place")
def _():
    values = [password() for _ in range(8)]
    verifiers = [scram_verifier(value) for value in values]
    for _ in range(3):
        workers = [Worker(step("apply", account="app_a", group="app", public_part=verifier),
                          worker_path()) for verifier in verifiers]
        results = [worker.result() for worker in workers]
        equal(["ok"] * 8, [result["class"] for result in results],
              "; ".join(result["text"] for result in results))
    equal(1, sum(pg.accepts("app_a", value, db="orders") for value in values))


@tap.case("somebody else changing the role at the same time is waited for")
def _():
    stop = threading.Event()

    def disturb():
        while not stop.is_set():
            pg.psql("ALTER ROLE app_a CONNECTION LIMIT 50;" * 40, check=False)

    others = [threading.Thread(target=disturb) for _ in range(2)]
    for other in others:
        other.start()
    try:
        classes = [run("apply", account="app_a", group="app",
                       public_part=scram_verifier(password()))["class"] for _ in range(10)]
    finally:
        stop.set()
        for other in others:
            other.join()
        pg.psql("ALTER ROLE app_a CONNECTION LIMIT -1")
    true("permanent" not in classes and "refused" not in classes, f"no final answer in {classes}")
    true("ok" in classes, f"some success in {classes}")


@tap.case("a lock that somebody holds is waited for, and then unreach")
def _():
    holder = subprocess.Popen([os.path.join(pg.bin, "psql"), "-XqAt", "-h", pg.socket_folder, "-p", str(pg.port), "-U",
                               "postgres"], env=pg.environment(), text=True,
                              stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    holder.stdin.write("BEGIN; ALTER ROLE app_a CONNECTION LIMIT -1; SELECT 'held';\n")
    holder.stdin.flush()
    equal("held\n", holder.stdout.readline())
    result = run("apply", account="app_a", group="app", statement_timeout_ms=300,
                 public_part=scram_verifier(password()))
    holder.communicate("ROLLBACK;\n", timeout=20)
    equal(("unreach", "57014"), (result["class"], result["code"]))


@tap.case("a server that is down is unreach")
def _():
    pg.stop()
    result = run("apply", account="app_a", group="app", public_part=scram_verifier(password()))
    probed, answers = probe(new=refused("app_a"))
    pg.start()
    equal(("unreach", "connect"), (result["class"], result["code"]))
    equal(("unreach", "unknown", "unknown"), (probed["class"], answers["admin"], answers["new"]))


@tap.case("a host that has no address is unreach")
def _():
    result = run("inspect", account="app_a", host="no-such-host.invalid")
    equal(("unreach", "resolve"), (result["class"], result["code"]))


@tap.case("a server that speaks something else is unreach")
def _():
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen()
        server.settimeout(60)
        port = server.getsockname()[1]

        def talk():
            client = server.accept()[0]
            client.recv(4096)
            client.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n" + b"<html>" * 2000)
            client.close()

        thread = threading.Thread(target=talk)
        thread.start()
        result = run("inspect", account="app_a", port=port)
        thread.join()
    equal("unreach", result["class"], result["text"])


def fake_server(*answers):
    """Speaks the protocol's first words with any password, then sends each answer in turn."""
    server = socket.socket()
    server.bind(("127.0.0.1", 0))
    server.listen()
    server.settimeout(60)

    def message(letter, body):
        return letter + (len(body) + 4).to_bytes(4, "big") + body

    def talk():
        client = server.accept()[0]
        client.recv(4096)
        client.sendall(message(b"R", b"\0\0\0\0") + message(b"S", b"server_version\x0015.1\0") +
                       message(b"S", b"in_hot_standby\0off\0") +
                       message(b"S", b"standard_conforming_strings\0on\0") +
                       message(b"Z", b"I"))
        for letter, body in answers:
            client.recv(65536)
            client.sendall(message(letter, body))
        try:
            while client.recv(65536):
                pass
        except OSError:
            pass
        client.close()

    thread = threading.Thread(target=talk)
    thread.start()
    return server, thread


@tap.case("a server's text with a planted value comes out without it")
def _():
    value = password()
    text = f"SERROR\0VERROR\0C42601\0Msyntax \x1b[31m near {value}\n and {ADMIN[1]}\0\0"
    server, thread = fake_server((b"E", text.encode()))
    result = run("verify", port=server.getsockname()[1],
                 logins={"admin": ADMIN, "new": ("app_a", value)}, timeout_ms=1000)
    thread.join()
    server.close()
    for secret in (value, ADMIN[1], "\x1b", "\n"):
        true(secret not in result["text"], f"a clean text in {result['text']!r}")


@tap.case("a server that sends without end costs the step's time")
def _():
    server, thread = fake_server((b"H", b"\0\0\0"), (b"d", b"x" * 1000))
    result = run("verify", port=server.getsockname()[1], timeout_ms=1500,
                 logins={"new": refused("app_a")})
    thread.join()
    server.close()
    equal("unreach", result["class"], result["text"])


# ---- TLS ----------------------------------------------------------------------------------------


def ca():
    with open(pg.ca, encoding="ascii") as file:
        return file.read()


@tap.case("TLS with the target's CA: the whole way, bound to the session")
def _():
    tls = {"sslmode": "verify-full", "ca": ca(), "host": "localhost"}
    value = password()
    apply("app_a", value, **tls)
    result, answers = probe(control=refused("app_a"), new=("app_a", value), **tls)
    equal(("refused", "accepted"), (answers["control"], answers["new"]), result["text"])


@tap.case("TLS with another CA is unreach, not refused")
def _():
    result = run("inspect", account="app_a", sslmode="verify-full", host="localhost")
    equal(("unreach", "tls"), (result["class"], result["code"]), result["text"])


@tap.case("TLS with a name that is not in the certificate is unreach")
def _():
    with open("/etc/hostname", encoding="ascii") as file:
        name = file.read().strip()
    try:
        addresses = {info[4][0] for info in socket.getaddrinfo(name, None)}
    except OSError:
        addresses = set()
    if "127.0.0.1" not in addresses:
        name = "127.1"  # reaches 127.0.0.1, and is not written so in the certificate
    result = run("inspect", account="app_a", sslmode="verify-full", ca=ca(), host=name)
    equal(("unreach", "tls"), (result["class"], result["code"]), result["text"])


@tap.case("TLS with a certificate that is over, or not yet valid: since when, or from when on, is said")
def _():
    was = {name: pg.settings[name] for name in ("ssl_cert_file", "ssl_key_file")}
    with tempfile.TemporaryDirectory() as folder:
        issuer = Authority(folder, "root")
        try:
            for name, dates, text in (
                    ("over", ("20200101000000Z", "20200201000000Z"),
                     "the certificate of localhost expired at 2020-02-01T00:00:00Z: give the server a new one"),
                    ("early", ("20400101000000Z", "20410101000000Z"),
                     "the certificate of localhost is not valid before 2040-01-01T00:00:00Z: compare the clocks"),
                    ("good", None, None)):
                made = issuer.issue(name, "extendedKeyUsage=serverAuth\nsubjectAltName=DNS:localhost", dates=dates)
                pg.show(made.crt, made.key)
                result = run("inspect", account="app_a", sslmode="verify-full", ca=issuer.pem, host="localhost")
                if text is None:
                    equal("ok", result["class"], result["text"])
                else:
                    equal(("unreach", "tls"), (result["class"], result["code"]), result["text"])
                    true(text in result["text"], result["text"])
        finally:
            pg.set(**was)


@tap.case("md5 behind TLS is not answered")
def _():
    value = password()
    pg.psql(f"SET password_encryption = 'md5'; CREATE ROLE old_way LOGIN PASSWORD '{value}'")
    planted.remove(value)  # the superuser's own statement has just put it into the log
    pg.hba("host all old_way 127.0.0.1/32 md5", *HBA)
    result = run("verify", sslmode="require", logins={"new": ("old_way", value)})
    pg.hba()
    pg.psql("DROP ROLE old_way")
    equal(("permanent", "binding"), (result["class"], result["code"]), result["text"])


@tap.case("the socket folder works without TLS")
def _():
    value = password()
    apply("app_a", value, host=pg.socket_folder, sslmode="verify-full")
    _, answers = probe(host=pg.socket_folder, control=refused("app_a"), new=("app_a", value))
    equal(("refused", "accepted"), (answers["control"], answers["new"]))


# ---- few privileges -----------------------------------------------------------------------------


def set_up_functions():
    path = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "docs",
                        "postgresql-least-privilege.sql")
    with open(path, encoding="utf-8") as file:
        pg.psql(file.read(), db="orders")
    value = password()
    pg.psql(f"ALTER ROLE kt_small LOGIN PASSWORD '{scram_verifier(value)}'", db="orders")
    pg.psql("INSERT INTO keyturn.managed VALUES ('app_a'), ('app_b')", db="orders")
    return {"admin": ("kt_small", value)}


@tap.case("an administrator with EXECUTE alone: the whole way, nothing in the log")
def _():
    admin = set_up_functions()
    value = password()
    verifier = scram_verifier(value)
    mark = pg.mark()
    result = run_ok("apply", account="app_a", group="app", public_part=verifier, logins=admin)
    true(result["comment"].startswith("keyturn run="), "a comment through keyturn.note")
    log = pg.log_since(mark)
    true("ALTER ROLE" not in log, "no statement with the verifier in the log")
    equal(True, pg.accepts("app_a", value, db="orders"))
    result = run("apply", account="solo", public_part=verifier, logins=admin)
    equal("permanent", result["class"], result["text"])
    run_ok("revoke", account="app_a", group="app", logins=admin)
    equal(False, pg.accepts("app_a", value, db="orders"))


@tap.case("functions of somebody without privileges are passed by")
def _():
    pg.psql("CREATE DATABASE trap; GRANT CREATE ON DATABASE trap TO PUBLIC; "
            "CREATE ROLE trapper LOGIN")
    pg.psql("""
        SET SESSION AUTHORIZATION trapper;
        CREATE SCHEMA keyturn;
        CREATE FUNCTION keyturn.set_verifier(text, text) RETURNS void LANGUAGE sql
            AS $$ CREATE ROLE planted SUPERUSER $$;
        CREATE FUNCTION keyturn.note(text, text) RETURNS void LANGUAGE sql SECURITY DEFINER
            AS $$ SELECT 1/0 $$;
        GRANT USAGE ON SCHEMA keyturn TO PUBLIC;
    """, db="trap", check=False)
    value = password()
    apply("app_a", value, database="trap")
    equal(True, pg.accepts("app_a", value, db="orders"))
    equal([], pg.rows("SELECT 1 FROM pg_roles WHERE rolname = 'planted'"))


# ---- inspect ------------------------------------------------------------------------------------


@tap.case("inspect finds nothing where all is well")
def _():
    value = password()
    run_ok("create", account="app_a", group="app")
    run_ok("create", account="app_b", group="app")
    apply("app_a", value)
    result = run_ok("inspect", account="app_a", other_account="app_b", group="app")
    equal([], [finding for finding in result["findings"] if "own" in finding or "differ" in finding])
    true(result["comment"].startswith("keyturn run=01test"), "the comment")
    true(result["server_version"].startswith(pg.bin.split("/")[-2]), "the version")


@tap.case("inspect names what is amiss")
def _():
    value = password()
    apply("app_a", value)
    pg.psql("""ALTER ROLE app_b RESET role; ALTER ROLE app_b SET work_mem = '8MB';
               ALTER ROLE app_a CONNECTION LIMIT 3; CREATE ROLE stray LOGIN IN ROLE app;
               ALTER ROLE app_a VALID UNTIL '2040-01-01'""")
    pg.psql("CREATE TABLE public.owned_by_a (n int); ALTER TABLE public.owned_by_a OWNER TO app_a",
            db="orders")
    result = run_ok("inspect", account="app_a", other_account="app_b", group="app")
    found = "\n".join(result["findings"])
    for part in ("'app_b' does not start as 'app'", "connection limits differ", "settings differ",
                 "'stray' can log in and is in 'app'", "'app_a' owns 1 objects",
                 "valid until 2040-01-01"):
        true(part in found, f"{part!r} in {found!r}")
    pg.psql("DROP TABLE public.owned_by_a", db="orders")
    pg.psql("DROP ROLE stray; ALTER ROLE app_a CONNECTION LIMIT -1; ALTER ROLE app_b RESET work_mem;"
            "ALTER ROLE app_b SET role = 'app'; ALTER ROLE app_a VALID UNTIL 'infinity'")


# ---- what is left behind ------------------------------------------------------------------------


@tap.case("the sandbox lacks no layer that this kernel has")
def _():
    abi = ctypes.CDLL(None).syscall(444, None, 0, 1)  # landlock_create_ruleset(.., VERSION)
    layers = ((0, 0), (1, 1), (2, 3), (3, 4), (4, 6))  # bit of lib/sandbox.h, the ABI it needs
    expected = sum(1 << bit for bit, needed in layers if abi < needed)
    result = run_ok("inspect", account="app_a", group="app")
    equal(expected, result["missing_layers"], "missing layers")


@tap.case("a name that the server would cut is refused")
def _():
    result = run("apply", account="a" * 64, public_part=scram_verifier(password()))
    equal(("permanent", "step"), (result["class"], result["code"]))


@tap.case("synchronous_commit=off at the server does not lose a change in a crash")
def _():
    value = password()
    pg.set(synchronous_commit="off", fsync="on", wal_writer_delay="10s")
    pg.restart()
    apply("app_a", value)
    pg.restart("immediate")
    equal(True, pg.accepts("app_a", value, db="orders"))
    pg.set(synchronous_commit="on", fsync="off")
    pg.restart()


@tap.case("no password is in the server's log, its roles or its statistics")
def _():
    log = pg.log()
    dump = pg._as_server(os.path.join(pg.bin, "pg_dumpall"), "--roles-only", "-h",
                         pg.socket_folder, "-p", str(pg.port), "-U", "postgres").stdout
    shown = pg.psql("SELECT query FROM pg_stat_activity").stdout
    true("ALTER ROLE" in log and "SCRAM-SHA-256" in dump, "statements in the log")
    for where, text in (("log", log), ("pg_dumpall", dump), ("pg_stat_activity", shown)):
        true(not any(value in text for value in planted), f"no planted value in the {where}")


main(tap)
