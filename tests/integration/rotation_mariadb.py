#!/usr/bin/python3
"""Rotation by vaultd at a real MariaDB, with an administrative login that can do nothing else.

    tests/integration/rotation_mariadb.py ['part of a case name']

Each strategy that the driver has: rotated, the new one tried with the server's own client (its password
in an option file), the old one refused afterwards, and back again.
"""
import os
import sys
import threading
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
from driven import Driven, Planted, story  # noqa: E402
from keyturn import ROOT, Report, Vault, contains, equal, wait_for  # noqa: E402
from mariadb import MariaDB, native_hash  # noqa: E402

class Secret(Driven):
    """A secret that rotates at the scene's server."""

    def __init__(self, test, name, strategy):
        super().__init__(test, "db/" + name)
        self.db = test.db
        self.accounts = [name + "_a", name + "_b"] if strategy == "alternate" else [name + "_a"]
        first = test.value()
        for account in self.accounts:
            password = native_hash(first) if account.endswith("_a") else "invalid"
            self.db.sql(f"CREATE USER {account} IDENTIFIED VIA mysql_native_password "
                        f"USING '{password}'; INSERT INTO keyturn.managed VALUES ('{account}')")
        if strategy == "alternate":
            self.db.sql(f"CREATE ROLE {name}; GRANT SELECT ON orders.* TO {name}")
            for account in self.accounts:
                self.db.sql(f"GRANT {name} TO {account}; SET DEFAULT ROLE {name} FOR {account}")
        else:
            self.db.sql(f"GRANT SELECT ON orders.* TO {self.accounts[0]}")
        self.begin({"username": name + "_a", "password": first}, target="shop", strategy=strategy,
                   accounts=self.accounts, allow_gap=strategy == "in-place", **({"group": name} if strategy == "alternate" else {}))

    def accepted(self, number):
        return self.db.accepts(*self.version(number), "orders")

    def login(self, number):
        return "A" if self.accepted(number) else "R"


class Test(Planted):
    def __init__(self, vault, db):
        super().__init__()
        self.vault, self.db = vault, db
        self.admin = ("kt_small", self.value())
        db.sql("CREATE DATABASE orders; CREATE TABLE orders.t (n int)")
        with open(os.path.join(ROOT, "docs/mariadb-least-privilege.sql"), encoding="utf-8") as script:
            db.sql(script.read())
        db.sql(f"ALTER USER kt_small IDENTIFIED VIA mysql_native_password "
               f"USING '{native_hash(self.admin[1])}' ACCOUNT UNLOCK")
        vault.ok("POST", "rotation/targets/shop", {
            "driver": "mariadb", "host": "127.0.0.1", "port": db.port, "database": "orders",
            "sslmode": "disable", "admin_username": self.admin[0], "admin_password": self.admin[1],
            "probe_spacing": 0, "max_refusals_per_hour": 0, "settle": 0})

    def check(self):
        answer = self.vault.ok("POST", "rotation/targets/shop/check", {}).data
        equal(answer["ok"], True, answer)

    def alternate(self):
        secret = Secret(self, "two", "alternate")
        for current in (2, 3, 4):
            secret.done()
            equal(secret.answers(current, current - 1), "AR", "the new and the old")
            equal(secret.version(current)[0], secret.accounts[(current - 1) % 2], "the account in turn")
        secret.done(back=True)
        equal(secret.version(5)[1], secret.version(3)[1], "the value of before")
        equal(secret.answers(5, 4), "AR", "the new and the old")

    def in_place(self):
        secret = Secret(self, "one", "in-place")
        for current in (2, 3):
            secret.done()
            equal(secret.answers(current, current - 1), "AR", "the new and the old")
        secret.done(back=True)
        equal(secret.version(4)[1], secret.version(2)[1], "the value of before")
        equal(secret.answers(4, 3), "AR", "the new and the old")

    def overlap(self):
        secret = Secret(self, "both", "overlap")
        for current in (2, 3):
            secret.done()
            equal(secret.answers(current, current - 1), "AR", "the new and the old")
        secret.done(back=True)
        equal(secret.version(4)[1], secret.version(2)[1], "the value of before")
        equal(secret.answers(4, 3), "AR", "the new and the old")
        equal([["1"]], self.db.rows("SELECT COALESCE(JSON_LENGTH(priv, '$.auth_or'), 1) FROM "
                                    "mysql.global_priv WHERE user = 'both_a'"), "ways in")

    def an_account_without_the_role(self):
        """The second account lacks the role: nothing is changed."""
        secret = Secret(self, "bare", "alternate")
        self.db.sql("SET DEFAULT ROLE NONE FOR bare_b; GRANT SELECT ON orders.* TO bare_b")
        run = secret.rotate()
        equal(run["state"], "cancelled", story(run))
        equal([s for s in run["steps"] if s["kind"] == "intent"], [], "intents")
        contains(story(run), "SET DEFAULT ROLE")
        equal(secret.accepted(1), True, "version 1 is accepted")

    def drift(self):
        """Changed behind the vault's back: nothing is done, and a person is asked."""
        secret = Secret(self, "moved", "in-place")
        self.db.sql(f"ALTER USER moved_a IDENTIFIED VIA mysql_native_password "
                    f"USING '{native_hash(self.value())}'")
        run = secret.rotate()
        equal(run["state"], "frozen", story(run))
        contains(str(run["frozen"]), "KT-R-010")
        equal(secret.accepted(1), False, "version 1 is accepted")
        self.vault.ctl("run", "cancel", run["id"])
        self.vault.ctl("reconcile", secret.path)
        wait_for("version 1 to be accepted again", lambda: secret.accepted(1), 60)

    def mended(self):
        """Changed behind the vault's back, then set again as it is stored, whatever the strategy."""
        for strategy in ("alternate", "in-place", "overlap"):
            secret = Secret(self, "m" + strategy[:2], strategy)
            equal(secret.rotate()["state"], "done", strategy)
            user = secret.version(2)[0]
            self.db.sql(f"ALTER USER {user} IDENTIFIED VIA mysql_native_password "
                        f"USING '{native_hash(self.value())}'")
            tried = self.vault.ok("POST", "rotation/dry-run/" + secret.path, {}).data
            equal((tried["ok"], tried["next"]), (False, "secretctl reconcile " + secret.path), tried)
            state = self.vault.ok("GET", "rotation/secrets/" + secret.path).data["state"]
            equal(state["truth"], "drifted", strategy)
            run = secret.rotate("reconcile")
            equal((run["state"], run["to"]), ("done", 0), story(run))
            equal((secret.accepted(2), secret.accepted(1)), (True, False), strategy)
            tried = self.vault.ok("POST", "rotation/dry-run/" + secret.path, {}).data
            equal(tried["ok"], True, tried)
            equal(secret.rotate()["state"], "done", strategy)
            equal((secret.accepted(3), secret.accepted(2)), (True, False), strategy)

    def not_in_the_list(self):
        secret = Secret(self, "strange", "in-place")
        self.db.sql("DELETE FROM keyturn.managed WHERE account = 'strange_a'")
        run = secret.rotate()
        equal(run["state"], "cancelled", story(run))
        contains(story(run), "not in keyturn.managed")
        equal([s for s in run["steps"] if s["kind"] == "intent"], [], "intents")
        equal(secret.accepted(1), True, "version 1 is accepted")

    def under_load(self, strategy):
        """Clients that read the secret and log in with it, again and again, while it is rotated. What was
        read is promised for the overlap: a client that the machine let wait for longer proves nothing."""
        secret = Secret(self, "busy_" + strategy[:1], strategy)
        secret.set(overlap="3s")
        stop, failed, logins = threading.Event(), [], [0, 0]

        def client(i):
            while not stop.is_set():
                began = time.monotonic()
                data = self.vault.ok("GET", "secret/data/" + secret.inner).data["data"]
                accepted = self.db.accepts(data["username"], data["password"], "orders")
                if time.monotonic() - began > 2:
                    continue
                if not accepted:
                    failed.append(data["username"])
                logins[i] += 1

        clients = [threading.Thread(target=client, args=(i,)) for i in range(2)]
        for one in clients:
            one.start()
        try:
            runs = [secret.rotate() for _ in range(3)]
            while min(logins) < 10 and len(runs) < 20:  # a busy machine
                runs.append(secret.rotate())
        finally:
            stop.set()
            for one in clients:
                one.join()
        equal({"done"}, {run["state"] for run in runs}, story(runs[-1]))
        equal([], failed, "failed logins of %d" % sum(logins))
        if min(logins) < 10:
            raise AssertionError("too few logins to say anything: %r" % logins)
        print("# %s: %d logins while it was rotated %d times" % (strategy, sum(logins), len(runs)), flush=True)

    def never_in_their_logs(self):
        log, replicated = self.db.log(), self.db.binlogs()
        contains(log, "CALL keyturn.set_hashes")
        contains(replicated, "ALTER USER")
        self.nowhere((("the general log", log), ("the binary log", replicated)))


def main():
    report = Report()
    db = MariaDB()
    db.start()
    vault = Vault()
    try:
        vault.ready()
        test = Test(vault, db)
        report.case("the target is checked", test.check)
        report.case("alternate, with few rights", test.alternate)
        report.case("in place, with few rights", test.in_place)
        report.case("overlap, with few rights", test.overlap)
        report.case("an account without the role is not begun with", test.an_account_without_the_role)
        report.case("a password changed by hand freezes the run, and is set again when it is told", test.drift)
        report.case("a password changed by hand is mended", test.mended)
        report.case("an account that is not in the list is not changed", test.not_in_the_list)
        for strategy in ("alternate", "overlap"):
            report.case(strategy + ": no login fails under load", test.under_load, strategy)
        report.case("no password is in the server's logs", test.never_in_their_logs)
    finally:
        vault.remove()
        db.remove()
    report.end()


main()
