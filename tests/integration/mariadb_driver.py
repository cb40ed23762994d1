#!/usr/bin/env python3
"""The mariadb driver against a real server: vaultd-worker, run as vaultd-spawn would run it.

    tests/integration/mariadb_driver.py ['part of a case name' ...]

Programs come from $KT_BIN, else build/bin. The accounts' logins are tried with the server's own client.
"""

import ctypes
import hashlib
import os
import secrets
import socket
import subprocess
import sys
import threading

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
from driver import Worker, run_step, worker_path  # noqa: E402
from mariadb import MariaDB, native_hash  # noqa: E402
from tap import Tap, equal, main, true  # noqa: E402

tap = Tap("tests/integration/mariadb_driver.py")
db = MariaDB(tls=True)
ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..")

ADMIN = ("kt_vault", "vault-" + secrets.token_hex(12))
SMALL = ("kt_small", "small-" + secrets.token_hex(12))
planted = [ADMIN[1], SMALL[1]]  # no log may hold one of these


def password():
    planted.append(secrets.token_urlsafe(24))
    return planted[-1]


def public_part(value):
    """An own reading of lib/mariadb_hash.h."""
    return f"{native_hash(value)} {key_of(value)}"


def key_of(value):
    """Ed25519 with SHA-512 of the password for a seed's hash, by libsodium."""
    sodium = ctypes.CDLL("libsodium.so.23")
    key = ctypes.create_string_buffer(32)
    sodium.crypto_scalarmult_ed25519_base(key, hashlib.sha512(value.encode()).digest()[:32])
    text = ctypes.create_string_buffer(64)
    sodium.sodium_bin2base64(text, 64, key, 32, 3)
    return text.value.decode()


def step(op, **more):
    base = {"driver": "mariadb", "op": op, "host": "127.0.0.1", "port": db.port,
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
    return run_ok(op, account=account, group=group, public_part=public_part(value), **more)


def probe(**logins):
    more = {k: logins.pop(k) for k in list(logins) if not isinstance(logins[k], tuple)}
    result = run("probe", **{**more, "logins": {"admin": ADMIN, **logins}})
    return result, {who: reply["answer"] for who, reply in result["replies"].items()}


def refused(account):
    """A value that was never issued."""
    return (account, secrets.token_urlsafe(24))


def session(user, value):
    """A session of the server's client that is open."""
    client = subprocess.Popen(db.client(user, value, "-n"), text=True, stdin=subprocess.PIPE,
                              stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    client.stdin.write("SELECT 'in';\n")
    client.stdin.flush()
    equal("in\n", client.stdout.readline(), "the session's first answer")
    return client


def few_rights():
    """As docs/mariadb-least-privilege.sql has it."""
    with open(os.path.join(ROOT, "docs/mariadb-least-privilege.sql"), encoding="utf-8") as script:
        db.sql(script.read())
    db.sql(f"""ALTER USER kt_small IDENTIFIED VIA mysql_native_password
               USING '{native_hash(SMALL[1])}' ACCOUNT UNLOCK;
               INSERT IGNORE INTO keyturn.managed VALUES ('solo'), ('low_a'), ('low_b')""")


def set_up():
    db.start()
    db.sql(f"""
        CREATE DATABASE orders;
        CREATE TABLE orders.t (n int);
        CREATE USER kt_vault IDENTIFIED VIA mysql_native_password USING '{native_hash(ADMIN[1])}';
        GRANT CREATE USER, CONNECTION ADMIN, PROCESS ON *.* TO kt_vault;
        GRANT SELECT, UPDATE ON mysql.* TO kt_vault;
        CREATE USER solo IDENTIFIED VIA mysql_native_password USING '{native_hash("solo-first-0")}';
        GRANT SELECT ON orders.* TO solo;
    """)
    for account in ("app_a", "app_b"):
        run_ok("create", account=account, group="app")
    db.sql("GRANT SELECT, INSERT ON orders.* TO app")
    few_rights()


set_up()

# ---- the whole way, two accounts ----------------------------------------------------------------


@tap.case("created accounts have the role, and let nobody in")
def _():
    for _ in range(2):  # it may be repeated
        run_ok("create", account="fresh_a", group="fresh")
    equal([["%", "fresh", "1"]], db.rows(
        "SELECT host, JSON_VALUE(priv, '$.default_role'), JSON_VALUE(priv, '$.account_locked') "
        "FROM mysql.global_priv WHERE user = 'fresh_a'"))
    for value in ("", "invalid", password()):
        equal(False, db.accepts("fresh_a", value), "the account accepts something")


@tap.case("apply, verify, probe and revoke, alternating; the server's client agrees")
def _():
    first, second = password(), password()
    apply("app_a", first)
    verified = run_ok("verify", group="app", logins={"new": ("app_a", first)})
    equal(("app_a@%", "app"), (verified["session_user"], verified["current_user"]))
    db.sql("INSERT INTO t VALUES (1)", db="orders", user="app_a", password=first)
    apply("app_b", second)
    _, answers = probe(control=refused("app_b"), new=("app_b", second), old=("app_a", first))
    equal({"admin": "accepted", "control": "refused", "new": "accepted", "old": "accepted"}, answers)
    for who in ("new", "old"):
        result = run("revoke", account="app_a", group="app", logins={"admin": ADMIN, who: refused("app_b")})
        equal(("unreach", "stays"), (result["class"], result["code"]), "the one that stays is asked first")
        equal(True, db.accepts("app_a", first, "orders"), "nothing was ended")
    result = run_ok("revoke", account="app_a", group="app", logins={"admin": ADMIN, "new": ("app_b", second)})
    equal(0, result["sessions"])
    result, answers = probe(control=refused("app_b"), new=("app_b", second), old=("app_a", first))
    equal({"admin": "accepted", "control": "refused", "new": "accepted", "old": "refused"}, answers)
    equal("1045", result["replies"]["old"]["code"])
    equal((True, False), (db.accepts("app_b", second, "orders"), db.accepts("app_a", first)))
    for _ in range(2):  # revoking what is revoked
        run_ok("revoke", account="app_a", group="app")
    apply("app_a", first)  # and it may come back
    equal(True, db.accepts("app_a", first, "orders"))


@tap.case("in place: apply, then restore the hashes of the version before")
def _():
    old, new = "solo-first-0", password()
    apply("solo", new, group="")
    _, answers = probe(control=refused("solo"), new=("solo", new), old=("solo", old))
    equal(("accepted", "refused"), (answers["new"], answers["old"]))
    run_ok("verify", logins={"new": ("solo", new)})
    for _ in range(2):
        run_ok("restore", account="solo", public_part=public_part(old))
    _, answers = probe(control=refused("solo"), new=("solo", new), old=("solo", old))
    equal(("refused", "accepted"), (answers["new"], answers["old"]))


def direct(op, **more):
    return run(op, **{**more, "logins": {"admin": ADMIN, **more.get("logins", {})}})


def two_at_once(name, using):
    """Both accepted after apply; one after revoke, whichever is kept; sessions go on."""
    old, new = password(), password()
    equal("ok", using("apply", account=name, public_part=public_part(old))["class"])
    client = session(name, old)
    for _ in range(2):  # it may be repeated
        result = using("apply", account=name, public_part=public_part(new), keep_part=public_part(old))
        equal("ok", result["class"], result["text"])
    result = using("probe", logins={"control": refused(name), "new": (name, new), "old": (name, old)})
    equal(["accepted", "refused", "accepted", "accepted"],
          [result["replies"][who]["answer"] for who in ("admin", "control", "new", "old")])
    equal((True, True), (db.accepts(name, old, "orders"), db.accepts(name, new, "orders")))
    for _ in range(2):
        equal("ok", using("revoke", account=name, keep_part=public_part(new))["class"])
    equal((False, True), (db.accepts(name, old), db.accepts(name, new, "orders")), "the old is ended")
    equal("ok", using("restore", account=name, public_part=public_part(old),
                      keep_part=public_part(new))["class"])
    equal((True, True), (db.accepts(name, old), db.accepts(name, new)), "the old is let in again")
    equal("ok", using("revoke", account=name, public_part=public_part(new), keep_part=public_part(old))["class"])
    equal((True, False), (db.accepts(name, old, "orders"), db.accepts(name, new)), "the new is ended")
    client.stdin.write("SELECT 'still';\n")
    client.stdin.flush()
    equal("still\n", client.stdout.readline(), "a session that began with the old one")
    client.communicate(timeout=20)
    equal("permanent", using("apply", account=name, public_part=public_part(new),
                             keep_part=public_part(old).lower())["class"], "a malformed part to keep")


@tap.case("overlap: two passwords on one account, and either alone")
def _():
    two_at_once("solo", direct)


@tap.case("an account with ed25519 keeps to it")
def _():
    first, second = password(), password()
    if db.sql("INSTALL SONAME 'auth_ed25519'", check=False).returncode != 0:
        print("# this server has no auth_ed25519: apt-get install mariadb-server", flush=True)
        return
    db.sql(f"CREATE USER modern IDENTIFIED VIA ed25519 USING '{key_of(first)}'")
    db.sql("GRANT SELECT ON orders.* TO modern")
    _, answers = probe(control=refused("modern"), new=("modern", first))
    equal(("refused", "accepted"), (answers["control"], answers["new"]))
    apply("modern", second, group="")
    result, answers = probe(control=refused("modern"), new=("modern", second), old=("modern", first))
    equal(("accepted", "refused"), (answers["new"], answers["old"]), result["text"])
    run_ok("revoke", account="modern")
    equal(False, db.accepts("modern", second))
    equal([["ed25519"]], db.rows("SELECT JSON_VALUE(priv, '$.plugin') FROM mysql.global_priv "
                                 "WHERE user = 'modern'"))
    apply("modern", first, group="")
    equal(True, db.accepts("modern", first, "orders"))
    two_at_once("modern", direct)


@tap.case("every host of a name is changed, and ended")
def _():
    old, new = password(), password()
    for name in ("wide", "wide@'127.0.0.1'"):
        db.sql(f"CREATE USER {name} IDENTIFIED VIA mysql_native_password USING '{native_hash(old)}'; "
               f"GRANT SELECT ON orders.* TO {name}")
    apply("wide", new, group="")
    equal((False, True), (db.accepts("wide", old), db.accepts("wide", new)))
    db.sql("DROP USER wide@'127.0.0.1'")
    equal((False, True), (db.accepts("wide", old), db.accepts("wide", new)))
    run_ok("revoke", account="wide")
    equal(False, db.accepts("wide", new))


@tap.case("a second way in that somebody planted is told, and gone after the next change")
def _():
    value, strange = password(), password()
    apply("app_a", value)
    db.sql(f"ALTER USER app_a IDENTIFIED VIA mysql_native_password USING '{native_hash(value)}' "
           f"OR mysql_native_password USING '{native_hash(strange)}'")
    equal(True, db.accepts("app_a", strange))
    found = "\n".join(run_ok("inspect", account="app_a", group="app")["findings"])
    true("'app_a'@'%' has 2 ways in" in found, f"the second in {found!r}")
    apply("app_a", value)
    equal((True, False), (db.accepts("app_a", value), db.accepts("app_a", strange)))


@tap.case("a login by another plugin is left alone")
def _():
    db.sql("CREATE USER machine IDENTIFIED VIA unix_socket; CREATE USER mixed IDENTIFIED VIA "
           "mysql_native_password USING 'invalid' OR unix_socket")
    before = db.rows("SELECT priv FROM mysql.global_priv WHERE user IN ('machine', 'mixed')")
    for account in ("machine", "mixed"):
        for op in ("apply", "revoke"):
            result = run(op, account=account, public_part=public_part(password()))
            equal(("permanent", "plugin"), (result["class"], result["code"]), f"{op} {account}")
        result = run("inspect", account=account)
        equal(("permanent", "unfit"), (result["class"], result["code"]), f"inspect {account}")
    equal(before, db.rows("SELECT priv FROM mysql.global_priv WHERE user IN ('machine', 'mixed')"))


@tap.case("an account whose sibling is left alone is unfit, before anything is done")
def _():
    db.sql("CREATE OR REPLACE USER mixed IDENTIFIED VIA mysql_native_password USING 'invalid' OR unix_socket")
    result = run("inspect", account="app_b", other_account="mixed", group="app")
    equal(("permanent", "unfit"), (result["class"], result["code"]), result["text"])
    true("its sibling logs in by something" in result["text"], result["text"])


@tap.case("a role that the administrative login may not give away is no refused login")
def _():
    db.sql("CREATE ROLE of_root; GRANT SELECT ON orders.* TO of_root")
    result = run("create", account="app_c", group="of_root")
    equal(("permanent", "1698"), (result["class"], result["code"]), result["text"])
    true("WITH ADMIN OPTION" in result["text"], result["text"])
    db.sql("GRANT of_root TO kt_vault WITH ADMIN OPTION")
    run_ok("create", account="app_c", group="of_root")


@tap.case("verify says of a locked account that it is locked, not that the password is wrong")
def _():
    value = password()
    apply("app_a", value)
    db.sql("ALTER USER app_a ACCOUNT LOCK")
    result = run("verify", group="app", logins={"new": ("app_a", value)})
    equal(("permanent", "4151"), (result["class"], result["code"]), result["text"])


@tap.case("what changed a part of an account only is not said to have changed nothing")
def _():
    value = password()
    apply("app_b", value)
    # The table has it, the server does not know of it yet: as if it were dropped after the look.
    db.sql("INSERT INTO mysql.global_priv SELECT 'ghost.example', User, Priv FROM mysql.global_priv "
           "WHERE User = 'app_b' AND Host = '%'")
    result = run("revoke", account="app_b", group="app")
    equal((False, "unreach", "1396"), (db.accepts("app_b", value), result["class"], result["code"]), result["text"])
    db.sql("DELETE FROM mysql.global_priv WHERE User = 'app_b' AND Host = 'ghost.example'")
    run_ok("revoke", account="app_b", group="app")


@tap.case("an '@' in the name of the administrative login")
def _():
    db.sql(f"""CREATE USER 'kt@x' IDENTIFIED VIA mysql_native_password USING '{native_hash(ADMIN[1])}';
               GRANT CREATE USER, CONNECTION ADMIN, PROCESS ON *.* TO 'kt@x';
               GRANT SELECT, UPDATE ON mysql.* TO 'kt@x'""")
    run_ok("revoke", account="app_b", group="app", logins={"admin": ("kt@x", ADMIN[1])})


@tap.case("verify refuses an account that does not start with the role")
def _():
    value = password()
    apply("app_a", value)
    db.sql("SET DEFAULT ROLE NONE FOR app_a; GRANT SELECT ON orders.* TO app_a")
    result = run("verify", group="app", logins={"new": ("app_a", value)})
    db.sql("SET DEFAULT ROLE app FOR app_a; REVOKE SELECT ON orders.* FROM app_a")
    equal(("permanent", "role"), (result["class"], result["code"]))


@tap.case("verify with a wrong password is refused")
def _():
    result = run("verify", group="app", logins={"new": refused("app_a")})
    equal(("refused", "1045"), (result["class"], result["code"]))


@tap.case("revoke ends the sessions of the account")
def _():
    value = password()
    apply("app_a", value)
    clients = [session("app_a", value) for _ in range(2)]
    equal(2, run_ok("inspect", account="app_a", group="app")["sessions"])
    result = run_ok("revoke", account="app_a", group="app")
    equal((2, 0), (result["ended_sessions"], result["sessions"]))
    for client in clients:
        client.communicate("SELECT 'still';\n", timeout=20)
        true(client.returncode != 0, "the session's end")


@tap.case("revoke says when it may not end sessions, and inspect when it does not see them")
def _():
    value = password()
    apply("app_a", value)
    db.sql("REVOKE CONNECTION ADMIN, PROCESS ON *.* FROM kt_vault")
    client = session("app_a", value)
    try:
        looked = run("inspect", account="app_a", group="app")
        result = run("revoke", account="app_a", group="app")
    finally:
        client.communicate(timeout=20)
        db.sql("GRANT CONNECTION ADMIN, PROCESS ON *.* TO kt_vault")
    true("sessions are not seen" in "\n".join(looked["findings"]), f"it in {looked['findings']!r}")
    equal(("permanent", "kill"), (result["class"], result["code"]))
    true("cannot log in any more" in result["text"], f"what holds already in {result['text']!r}")


# ---- evidence -----------------------------------------------------------------------------------

for kind, spoil in {
    "lower case": str.lower,
    "a quote": lambda v: v[:-1] + "'",
    "one hash": lambda v: v.split()[0],
    "a blank more": lambda v: v + " ",
    "plain text": lambda v: "just a password",
    "nothing": lambda v: "",
}.items():
    @tap.case(f"malformed hashes are never sent, {kind}")
    def _(spoil=spoil):
        before = len(db.log())
        result = run("apply", account="app_a", group="app", digest="00",
                     public_part=spoil(public_part(password())))
        equal(("permanent", "verifier"), (result["class"], result["code"]))
        true("127.0.0.1" not in db.log()[before:], "nothing in the server's log")


@tap.case("a locked account with the right password is barred, with a wrong one refused")
def _():
    value = password()
    apply("app_a", value)
    db.sql("ALTER USER app_a ACCOUNT LOCK")
    result, answers = probe(control=refused("app_a"), new=("app_a", value), old=refused("app_a"))
    reply = result["replies"]["new"]
    equal(("unknown", True, "4151"), (reply["answer"], reply["barred"], reply["code"]))
    equal("refused", answers["old"])


@tap.case("a database that is not there, or not allowed, bars a right password")
def _():
    value = password()
    apply("app_a", value)
    for database, code in (("missing", "1044"), ("mysql", "1044")):
        result, answers = probe(database=database, new=("app_a", value), old=refused("app_a"))
        reply = result["replies"]["new"]
        equal(("unknown", True, code), (reply["answer"], reply["barred"], reply["code"]), database)
        equal("refused", answers["old"])


@tap.case("a limit of connections bars a right password")
def _():
    value = password()
    apply("app_a", value)
    db.sql("ALTER USER app_a WITH MAX_USER_CONNECTIONS 1")
    client = session("app_a", value)
    result, _ = probe(new=("app_a", value), old=refused("app_a"))
    client.communicate(timeout=20)
    db.sql("ALTER USER app_a WITH MAX_USER_CONNECTIONS 0")
    reply = result["replies"]["new"]
    equal(("unknown", True, "1226"), (reply["answer"], reply["barred"], reply["code"]))
    equal("refused", result["replies"]["old"]["answer"])


@tap.case("a wrong administrative password is refused and the rest not tried")
def _():
    wrong = (ADMIN[0], secrets.token_hex(8))
    result = run("apply", account="app_a", group="app", logins={"admin": wrong},
                 public_part=public_part(password()))
    equal(("refused", "1045"), (result["class"], result["code"]))
    true("logging in as 'kt_vault'" in result["text"], f"the login in {result['text']!r}")
    result = run("probe", logins={"admin": wrong, "new": refused("app_a")})
    equal("refused", result["class"])
    equal(("refused", "skipped"), (result["replies"]["admin"]["answer"],
                                   result["replies"]["new"]["code"]))


@tap.case("an administrator without the privilege is told so, permanently")
def _():
    value = password()
    db.sql(f"CREATE USER weak IDENTIFIED VIA mysql_native_password USING '{native_hash(value)}'")
    more = {"account": "app_a", "group": "app", "logins": {"admin": ("weak", value)},
            "public_part": public_part(password())}
    blind = run("apply", **more)
    db.sql("GRANT SELECT ON mysql.global_priv TO weak")
    weak = run("apply", **more)
    db.sql("DROP USER weak")
    equal(("permanent", "1142"), (blind["class"], blind["code"]))
    equal(("permanent", "1227"), (weak["class"], weak["code"]))


@tap.case("an account that is not there is missing, and revoked already")
def _():
    result = run("apply", account="ghost", group="app", public_part=public_part(password()))
    equal(("permanent", "missing"), (result["class"], result["code"]))
    run_ok("revoke", account="ghost", group="app")


@tap.case("another server is left alone")
def _():
    value = password()
    mine = run_ok("inspect", account="app_a", group="app")["server_id"]
    true(len(mine) >= 32, f"an identifier in {mine!r}")
    apply("app_a", value, server_id=mine)
    result = run("apply", account="app_a", group="app", server_id="00" * 20,
                 public_part=public_part(password()))
    equal(("wrong-server", mine), (result["class"], result["server_id"]))
    equal(True, db.accepts("app_a", value))


@tap.case("names that need quoting")
def _():
    value = password()
    account, group = "o'brien \"x\" \\ \u00e4", "the role'; --"
    run_ok("create", account=account, group=group)
    db.sql("GRANT SELECT ON orders.* TO 'the role''; --'")
    apply(account, value, group=group)
    result, answers = probe(control=refused(account), new=(account, value))
    equal(("refused", "accepted"), (answers["control"], answers["new"]), result["text"])
    run_ok("verify", group=group, logins={"new": (account, value)})
    run_ok("revoke", account=account, group=group)
    _, answers = probe(new=(account, value))
    equal("refused", answers["new"])


@tap.case("a name that is too long is refused")
def _():
    result = run("apply", account="a" * 81, public_part=public_part(password()))
    equal(("permanent", "step"), (result["class"], result["code"]))


# ---- TLS, sockets, trouble ----------------------------------------------------------------------


def ca():
    with open(db.ca, encoding="ascii") as file:
        return file.read()


@tap.case("TLS: the name is checked, and who signed it")
def _():
    value = password()
    apply("app_a", value, host="localhost", sslmode="verify-full", ca=ca())
    db.sql("ALTER USER app_a REQUIRE SSL")
    _, answers = probe(sslmode="verify-full", ca=ca(), host="localhost", new=("app_a", value))
    db.sql("ALTER USER app_a REQUIRE NONE")
    equal("accepted", answers["new"], "a login that has to come over TLS")
    more = {"account": "app_a", "group": "app", "public_part": public_part(value)}
    before = len(db.log())
    for host, authority, sslmode in (("127.0.0.1", ca(), "verify-full"),  # not in the certificate
                                     ("localhost", "", "verify-full"), ("localhost", "", "verify-ca")):
        result = run("apply", host=host, ca=authority, sslmode=sslmode, **more)
        equal(("unreach", "tls"), (result["class"], result["code"]), f"{host} {sslmode}: {result['text']}")
    true("kt_vault" not in db.log()[before:], "nobody logged in where nobody is trusted")
    for sslmode in ("verify-ca", "require"):
        run_ok("apply", host="127.0.0.1", ca=ca(), sslmode=sslmode, **more)
    run_ok("apply", host="127.0.0.1", sslmode="require", **more)


@tap.case("TLS that the server does not offer is not gone without")
def _():
    plain = MariaDB(options=["--skip-ssl"])
    with plain:
        plain.sql(f"CREATE USER kt_vault IDENTIFIED VIA mysql_native_password "
                  f"USING '{native_hash(ADMIN[1])}'")
        for sslmode, more in (("require", {}), ("verify-ca", {"ca": ca()}),
                              ("verify-full", {"ca": ca()})):
            result = run("inspect", account="app_a", port=plain.port, sslmode=sslmode, **more)
            equal(("unreach", "tls"), (result["class"], result["code"]), sslmode)


class Liar(threading.Thread):
    """Speaks as a server does, up to a point; keeps what it was told."""

    def __init__(self, asks):
        super().__init__(daemon=True)
        self.asks, self.heard = asks, b""
        self.listening = socket.create_server(("127.0.0.1", 0))
        self.port = self.listening.getsockname()[1]
        self.start()

    def say(self, number, payload):
        self.client.sendall(len(payload).to_bytes(3, "little") + bytes([number]) + payload)

    def hear(self):
        part = self.client.recv(65536)
        self.heard += part
        return part

    def run(self):
        self.client, _ = self.listening.accept()
        self.client.settimeout(20)
        low, high = 0x828D, 0x0008  # protocol 4.1, secure connection, plugins, local files
        self.say(0, b"\x0a" + b"5.5.5-10.11.19-MariaDB\0" + bytes(4) + b"a" * 8 + b"\0" +
                 low.to_bytes(2, "little") + b"\x2d\x02\0" + high.to_bytes(2, "little") + b"\x15" +
                 bytes(10) + b"b" * 12 + b"\0mysql_native_password\0")
        try:
            self.hear()
            self.say(2, self.asks)
            while self.hear():
                if self.asks == b"\0" * 7:  # it is in: whatever it says, its file is asked for
                    self.say(1, b"\xfb" + db.ca.encode())
        except OSError:
            pass
        self.client.close()

    def end(self):
        self.join(30)
        self.listening.close()
        return self.heard


for plugin in ("mysql_clear_password", "dialog", "sha256_password", "caching_sha2_password",
               "mysql_old_password"):
    @tap.case(f"a server that asks for {plugin} does not get the password")
    def _(plugin=plugin):
        value = password()
        liar = Liar(b"\xfe" + plugin.encode() + b"\0" + b"c" * 20 + b"\0")
        result = run("inspect", account="app_a", port=liar.port, logins={"admin": ("kt_vault", value)})
        heard = liar.end()
        true(b"kt_vault" in heard and value.encode() not in heard, "a login without the password")
        true(result["class"] in ("permanent", "unreach"), f"a failure: {result['text']!r}")


@tap.case("a server that asks for a file gets none")
def _():
    liar = Liar(b"\0" * 7)
    result = run("inspect", account="app_a", port=liar.port, connect_timeout_ms=3000,
                 statement_timeout_ms=1000)
    heard = liar.end()
    true(b"SELECT" in heard and b"CERTIFICATE" not in heard, "a statement, and no file")
    equal("unreach", result["class"], result["text"])


@tap.case("over a socket, named or by its folder")
def _():
    value = password()
    os.chmod(db.folder, 0o755)
    for host in (db.socket, db.folder):
        apply("app_a", value, host=host)
        _, answers = probe(host=host, control=refused("app_a"), new=("app_a", value))
        equal(("refused", "accepted"), (answers["control"], answers["new"]))


@tap.case("eight at once on one account: all succeed, one value is in place")
def _():
    values = [password() for _ in range(8)]
    left = values
    while left:  # who waited too long for the account is told so, and comes again, as the engine does
        workers = [Worker(step("apply", account="app_a", group="app", public_part=public_part(value)),
                          worker_path()) for value in left]
        results = [worker.result() for worker in workers]
        codes = [result["code"] if result["class"] != "ok" else "ok" for result in results]
        equal(set(), set(codes) - {"ok", "busy"}, "; ".join(result["text"] for result in results))
        true("ok" in codes, "one of those who met gets on")
        left = [value for value, code in zip(left, codes) if code == "busy"]
    equal(1, sum(db.accepts("app_a", value) for value in values))


@tap.case("a read-only server is unreach")
def _():
    value = password()
    db.sql("SET GLOBAL read_only = 1")
    result = run("apply", account="app_a", group="app", public_part=public_part(value))
    db.sql("SET GLOBAL read_only = 0")
    equal(("unreach", "readonly"), (result["class"], result["code"]), result["text"])


@tap.case("a server that is down is unreach")
def _():
    db.stop()
    result = run("apply", account="app_a", group="app", public_part=public_part(password()))
    probed, answers = probe(new=refused("app_a"))
    db.start()
    equal(("unreach", "connect"), (result["class"], result["code"]))
    equal(("unreach", "unknown", "unknown"), (probed["class"], answers["admin"], answers["new"]))


@tap.case("a change that was acknowledged survives a crash of the server")
def _():
    value = password()
    apply("app_a", value)
    db.stop(crash=True)
    db.start()
    equal(True, db.accepts("app_a", value))


@tap.case("a server that asks nobody: the control is accepted and nothing more is tried")
def _():
    db.stop()
    db.options.append("--skip-grant-tables")
    db.start()
    result, answers = probe(control=refused("app_a"), new=refused("app_a"))
    db.stop()
    db.options.remove("--skip-grant-tables")
    db.start()
    equal("accepted", answers["control"])
    equal("skipped", result["replies"]["new"]["code"])
    true("accepts anything" in result["text"], f"the reason in {result['text']!r}")


# ---- few rights ---------------------------------------------------------------------------------


def small(op, **more):
    return run(op, **{**more, "logins": {**more.get("logins", {}), "admin": SMALL}})


def make_low():
    for account in ("low_a", "low_b"):
        run_ok("create", account=account, group="app")


@tap.case("few rights: the whole way of two accounts, and of one")
def _():
    make_low()
    first, second = password(), password()
    for account, value in (("low_a", first), ("low_b", second)):
        result = small("apply", account=account, group="app", public_part=public_part(value))
        equal("ok", result["class"], result["text"])
    client = session("low_a", first)
    looked = small("inspect", account="low_a", other_account="low_b", group="app")
    equal(("ok", 1, []), (looked["class"], looked["sessions"], looked["findings"]), looked["text"])
    result = small("revoke", account="low_a", group="app")
    equal(("ok", 1, 0), (result["class"], result["ended_sessions"], result["sessions"]), result["text"])
    client.communicate(timeout=20)
    result = small("probe", logins={"control": refused("low_b"), "new": ("low_b", second),
                                    "old": ("low_a", first)})
    equal(["accepted", "refused", "accepted", "refused"],
          [result["replies"][who]["answer"] for who in ("admin", "control", "new", "old")])
    two_at_once("solo", small)
    for op, value in (("apply", first), ("restore", "solo-first-0")):
        equal("ok", small(op, account="solo", public_part=public_part(value))["class"])
        equal(True, db.accepts("solo", value))


@tap.case("few rights: who is not in the list is not touched, nor is anything else")
def _():
    value = password()
    apply("app_a", value)
    equal("unfit", small("inspect", account="app_a", group="app")["code"], "before anything is done")
    for op in ("apply", "revoke", "create"):
        result = small(op, account="app_a", group="app", public_part=public_part(password()))
        equal("permanent", result["class"], f"{op}: {result['text']}")
    equal(True, db.accepts("app_a", value))
    hashes = f"'{native_hash(value)}', '{key_of(value)}', '', ''"
    for statement in (
            f"CALL keyturn.set_hashes('root', {hashes})", "CALL keyturn.retire('root')",
            "CALL keyturn.end_sessions('root')", "CALL keyturn.end_sessions('app_a')",
            f"CALL keyturn.set_hashes('app_a', {hashes})",
            "CALL keyturn.alter_all('low_a', 'x', 'y', '', '', 'UNLOCK')",
            "CALL keyturn.set_hashes('low_a', '', '', '', '')",
            f"CALL keyturn.set_hashes('low_a', '{native_hash(value)}\n', '{key_of(value)}', '', '')",
            f"CALL keyturn.set_hashes('low_a', '{native_hash(value)}', '{key_of(value)}', 'x', 'y')",
            f"ALTER USER low_a IDENTIFIED VIA mysql_native_password USING '{native_hash(value)}'",
            "INSERT INTO keyturn.managed VALUES ('root')", "SELECT * FROM mysql.global_priv",
            "SELECT * FROM keyturn.managed", "SELECT * FROM orders.t",
            "CREATE USER planted", f"SET PASSWORD FOR low_a = '{native_hash(value)}'"):
        done = db.sql(statement, user=SMALL[0], password=SMALL[1], check=False)
        true(done.returncode != 0, f"{statement} refused")
    client = session("app_a", value)
    db.sql("KILL HARD CONNECTION USER app_a", user=SMALL[0], password=SMALL[1], check=False)
    client.stdin.write("SELECT 'still';\n")
    client.stdin.flush()
    equal("still\n", client.stdout.readline(), "a session that is none of its business")
    equal("0", db.rows("SELECT keyturn.sessions('app_a')", user=SMALL[0], password=SMALL[1])[0][0])
    client.communicate(timeout=20)
    equal("0", db.rows("SELECT keyturn.sessions('root')", user=SMALL[0], password=SMALL[1])[0][0])
    shown = db.sql("SELECT * FROM keyturn.accounts", user=SMALL[0], password=SMALL[1]).stdout
    true("root" not in shown and "*" not in shown, f"no hash and nobody else in {shown!r}")


@tap.case("few rights: a list that names root does not give it away")
def _():
    before = db.rows("SELECT priv FROM mysql.global_priv WHERE user = 'root'")
    db.sql("INSERT INTO keyturn.managed VALUES ('root')")
    done = [db.sql(statement, user=SMALL[0], password=SMALL[1], check=False) for statement in (
        f"CALL keyturn.set_hashes('root', '{native_hash('x')}', '{key_of('x')}', '', '')",
        "CALL keyturn.retire('root')")]
    db.sql("DELETE FROM keyturn.managed WHERE account = 'root'")
    true(all(one.returncode != 0 for one in done), "root logs in by its socket: refused")
    equal(before, db.rows("SELECT priv FROM mysql.global_priv WHERE user = 'root'"))


@tap.case("routines that run with their caller's rights are passed by")
def _():
    make_low()
    db.sql("DROP PROCEDURE keyturn.set_hashes; CREATE PROCEDURE keyturn.set_hashes(a text, b text, c text, d text, e text) "
           "SQL SECURITY INVOKER CREATE USER planted; GRANT EXECUTE ON keyturn.* TO kt_small; "
           "GRANT CREATE USER ON *.* TO kt_small")
    result = small("apply", account="low_a", group="app", public_part=public_part(password()))
    equal(("permanent", "1142"), (result["class"], result["code"]))
    equal([], db.rows("SELECT 1 FROM mysql.global_priv WHERE user = 'planted'"))


# ---- inspect, and what is left behind ------------------------------------------------------------


@tap.case("inspect finds nothing where all is well, and names what is amiss")
def _():
    for account in ("app_a", "app_b"):
        run_ok("create", account=account, group="app")
        apply(account, password())
    result = run_ok("inspect", account="app_a", other_account="app_b", group="app")
    equal([], result["findings"])
    true("MariaDB" in result["server_version"], f"the version in {result['server_version']!r}")
    db.sql("CREATE USER app_b@'10.%' IDENTIFIED VIA mysql_native_password USING 'invalid';"
           "SET DEFAULT ROLE NONE FOR app_a; ALTER USER app_a ACCOUNT LOCK; CREATE USER ''@localhost")
    result = run("inspect", account="app_a", other_account="app_b", group="app")
    equal(("permanent", "unfit"), (result["class"], result["code"]), result["text"])
    true("SET DEFAULT ROLE" in result["text"], result["text"])
    found = "\n".join(result["findings"])
    db.sql("DROP USER app_b@'10.%'; SET DEFAULT ROLE app FOR app_a; ALTER USER app_a ACCOUNT UNLOCK;"
           "DROP USER ''@localhost")
    for part in ("'app_a'@'%' is locked", "'app_a'@'%' does not start with the role 'app'",
                 "may log in from different hosts", "nameless user ''@'localhost'"):
        true(part in found, f"{part!r} in {found!r}")


@tap.case("the sandbox lacks no layer that this kernel has")
def _():
    abi = ctypes.CDLL(None).syscall(444, None, 0, 1)  # landlock_create_ruleset(.., VERSION)
    layers = ((0, 0), (1, 1), (2, 3), (3, 4), (4, 6))  # bit of lib/sandbox.h, the ABI it needs
    expected = sum(1 << bit for bit, needed in layers if abi < needed)
    equal(expected, run_ok("inspect", account="app_a", group="app")["missing_layers"], "missing layers")


@tap.case("no password is in the server's general log, its binary log or its list of sessions")
def _():
    log, replicated = db.log(), db.binlogs()
    shown = db.sql("SELECT info FROM information_schema.PROCESSLIST").stdout
    true("ALTER USER" in log and "ALTER USER" in replicated, "statements in the logs")
    for where, text in (("general log", log), ("binary log", replicated), ("sessions", shown)):
        true(not any(value in text for value in planted), f"no planted value in the {where}")


main(tap)
