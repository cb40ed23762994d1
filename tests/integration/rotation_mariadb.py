#!/usr/bin/python3
"""Rotation by vaultd at a real MariaDB, with an administrative login that can do nothing else.

    tests/integration/rotation_mariadb.py ['part of a case name']

Each strategy that the driver has: rotated, the new one tried with the server's own client (its password
in an option file), the old one refused afterwards, and back again.
"""
import os
import secrets as random_secrets
import sys
import threading
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
from keyturn import ROOT, Report, Vault, contains, equal, wait_for  # noqa: E402
from mariadb import MariaDB, native_hash  # noqa: E402

ENDED = ("done", "rolled_back", "cancelled", "frozen")
LOW = {"overlap": "0s", "soak": "0s", "drain": "0s", "period": "10h",
       "loose_readers": "ignore"}  # the test reads each version


class Secret:
    """A secret that rotates at the scene's server."""

    def __init__(self, test, name, strategy):
        self.test, self.vault, self.db = test, test.vault, test.db
        self.inner, self.path = "db/" + name, "secret/db/" + name
        self.accounts = [name + "_a", name + "_b"] if strategy == "alternate" else [name + "_a"]
        first = test.value()
        self.vault.ok("POST", "secret/data/" + self.inner, {
            "data": {"username": name + "_a", "password": first, "note": "stays"}})
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
        self.vault.ok("POST", "rotation/secrets/" + self.path, dict(
            LOW, target="shop", strategy=strategy, accounts=self.accounts,
            **({"group": name} if strategy == "alternate" else {})))

    def rotate(self, **body):
        return self.start("rotate", **body)

    def start(self, what, **body):
        run_id = self.vault.ok("POST", "rotation/%s/%s" % (what, self.path),
                               dict({"reason": "test"}, **body)).data["run"]
        return wait_for("run %s to end" % run_id, lambda: self.ended(run_id), 90)

    def ended(self, run_id):
        run = self.vault.ok("GET", "rotation/runs/" + run_id).data
        return run if run["state"] in ENDED else None

    def version(self, number):
        data = self.vault.ok("GET", "secret/data/%s?version=%d" % (self.inner, number)).data["data"]
        self.test.planted.append(data["password"])
        return data["username"], data["password"]

    def accepted(self, number):
        return self.db.accepts(*self.version(number), "orders")


def story(run):
    return "; ".join("%s %s: %s" % (s["kind"], s["name"], s["text"]) for s in run["steps"][-10:])


class Test:
    def __init__(self, vault, db):
        self.vault, self.db = vault, db
        self.planted = []
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

    def value(self):
        self.planted.append(random_secrets.token_hex(14))
        return self.planted[-1]

    def check(self):
        answer = self.vault.ok("POST", "rotation/targets/shop/check", {}).data
        equal(answer["ok"], True, answer)

    def alternate(self):
        secret = Secret(self, "two", "alternate")
        for current in (2, 3, 4):
            run = secret.rotate()
            equal(run["state"], "done", story(run))
            equal((secret.accepted(current), secret.accepted(current - 1)), (True, False),
                  "the new and the old are accepted")
            equal(secret.version(current)[0], secret.accounts[(current - 1) % 2], "the account in turn")
        run = secret.rotate(back=True)
        equal((run["state"], secret.version(5)[1]), ("done", secret.version(3)[1]), story(run))
        equal((secret.accepted(5), secret.accepted(4)), (True, False), "after going back")

    def in_place(self):
        secret = Secret(self, "one", "in-place")
        for current in (2, 3):
            run = secret.rotate()
            equal(run["state"], "done", story(run))
            equal((secret.accepted(current), secret.accepted(current - 1)), (True, False),
                  "the new and the old are accepted")
        run = secret.rotate(back=True)
        equal((run["state"], secret.version(4)[1]), ("done", secret.version(2)[1]), story(run))
        equal((secret.accepted(4), secret.accepted(3)), (True, False), "after going back")

    def overlap(self):
        secret = Secret(self, "both", "overlap")
        for current in (2, 3):
            run = secret.rotate()
            equal(run["state"], "done", story(run))
            equal((secret.accepted(current), secret.accepted(current - 1)), (True, False),
                  "the new and the old are accepted")
        run = secret.rotate(back=True)
        equal((run["state"], secret.version(4)[1]), ("done", secret.version(2)[1]), story(run))
        equal((secret.accepted(4), secret.accepted(3)), (True, False), "after going back")
        equal([["1"]], self.db.rows("SELECT COALESCE(JSON_LENGTH(priv, '$.auth_or'), 1) FROM "
                                    "mysql.global_priv WHERE user = 'both_a'"), "ways in")

    def going_back_by_itself(self):
        """The second account lacks the role: what it could not do, nobody is made to run."""
        secret = Secret(self, "bare", "alternate")
        self.db.sql("SET DEFAULT ROLE NONE FOR bare_b; GRANT SELECT ON orders.* TO bare_b")
        run = secret.rotate()
        equal(run["state"], "rolled_back", story(run))
        contains(story(run), "role")
        equal(secret.accepted(1), True, "version 1 is accepted")
        equal([["1"]], self.db.rows("SELECT JSON_VALUE(priv, '$.account_locked') FROM mysql.global_priv "
                                    "WHERE user = 'bare_b'"), "the account that was not taken is closed")

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
            run = secret.start("reconcile")
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
        self.vault.ok("POST", "rotation/secrets/" + secret.path, {"overlap": "3s"})
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
        for where, text in (("general log", log), ("binary log", replicated)):
            equal([], [v for v in self.planted if v in text], "passwords in the " + where)


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
        report.case("an account that cannot what the other can: back", test.going_back_by_itself)
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
