#!/usr/bin/python3
"""Rotation by vaultd at a real slapd, with the rights of docs/ldap-least-privilege.ldif and no others.

    tests/integration/rotation_ldap.py ['part of a case name']

The server's password policy locks an account after three refusals. Each strategy that the driver has:
rotated, the new password tried with ldapwhoami (from a file), the old one refused afterwards, and back again;
vaultd and the server killed in the middle.
"""
import os
import secrets as random_secrets
import select
import socket
import sys
import threading

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
from keyturn import Report, Vault, contains, equal, wait_for  # noqa: E402
from slapd import ADMIN, POLICY, Slapd, fits  # noqa: E402

ENDED = ("done", "rolled_back", "cancelled", "frozen")
LOW = {"overlap": "0s", "soak": "0s", "drain": "0s", "period": "10h", "max_overlap": "10m",
       "loose_readers": "ignore"}  # the test reads each version


def story(run):
    return "; ".join("%s %s: %s" % (s["kind"], s["name"], s["text"]) for s in run["steps"][-10:])


class Swallow:
    """Stands before the server, and swallows the answers to the next so many changes with their connections."""

    CHANGED = 0x67  # the tag of the answer to a modification; slapd writes the shortest lengths

    def __init__(self, server, changes):
        self.server, self.left, self.swallowed = server, changes, 0
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self.serve, daemon=True).start()

    def serve(self):
        while True:
            client, _ = self.listener.accept()
            threading.Thread(target=self.relay, args=(client,), daemon=True).start()

    def relay(self, client):
        with client, socket.create_connection(("127.0.0.1", self.server.port)) as server:
            while True:
                for ready in select.select([client, server], [], [])[0]:
                    said = ready.recv(65536)
                    if not said:
                        return
                    if ready is server and self.left > 0 and said[5] == self.CHANGED:
                        self.left -= 1
                        self.swallowed += 1
                        return
                    (client if ready is server else server).sendall(said)


class Secret:
    """A secret that rotates at the scene's server: entry NAME, and NAME_b when alternating."""

    def __init__(self, test, name, strategy="overlap", target="directory", server=None, **settings):
        self.test, self.vault, self.slapd = test, test.vault, server or test.slapd
        self.name, self.inner, self.path = name, "dir/" + name, "secret/dir/" + name
        self.dn = self.slapd.dn(name)
        first = test.value()
        self.vault.ok("POST", "secret/data/" + self.inner, {
            "data": {"username": self.dn, "password": first, "note": "stays"}})
        self.slapd.account(name, first)
        accounts = [self.dn]
        if strategy == "alternate":
            accounts.append(self.slapd.dn(name + "_b"))
            self.slapd.account(name + "_b")
        self.vault.ok("POST", "rotation/secrets/" + self.path, dict(
            LOW, target=target, strategy=strategy, accounts=accounts, **settings))

    def held(self):
        """A run that overlaps until somebody, who has the old version, reads the new one."""
        self.vault.ok("POST", "rotation/secrets/" + self.path, {"loose_readers": "hold"})
        self.vault.ok("GET", "secret/data/" + self.inner)
        run_id = self.start()
        self.reached(run_id, "overlapping")
        return run_id

    def start(self, **body):
        return self.vault.ok("POST", "rotation/rotate/" + self.path, dict({"reason": "test"}, **body)).data["run"]

    def run(self, run_id):
        return self.vault.ok("GET", "rotation/runs/" + run_id).data

    def reached(self, run_id, *states):
        def look():
            run = self.run(run_id)
            return run if run["state"] in states + ENDED else None
        run = wait_for("run %s to be %s" % (run_id, states), look, 90)
        if states and run["state"] not in states:
            raise AssertionError("it is %s: %s" % (run["state"], story(run)))
        return run

    def rotate(self, **body):
        return self.reached(self.start(**body))

    def done(self, **body):
        run = self.rotate(**body)
        equal(run["state"], "done", story(run))
        return run

    def version(self, number):
        data = self.vault.ok("GET", "secret/data/%s?version=%d" % (self.inner, number)).data["data"]
        self.test.planted.append(data["password"])
        equal(data["note"], "stays", "the member that is not rotated")
        return data["username"], data["password"]

    def answers(self, *numbers):
        """What ldapwhoami gets with these versions."""
        return "".join(self.slapd.login(*self.version(number)) for number in numbers)

    def alone(self, number):
        """The entry has this version's hash and nothing else."""
        user, password = self.version(number)
        values = self.slapd.read(user, "userPassword")
        equal((len(values), fits(values[0], password)), (1, True), "the values of " + user)


class Test:
    def __init__(self, vault, slapd):
        self.vault, self.slapd = vault, slapd
        self.planted = [slapd.admin_password]
        slapd.least_privilege()
        self.target("directory", slapd)

    def target(self, name, server, **more):
        self.vault.ok("POST", "rotation/targets/" + name, {
            "driver": "ldap", "host": "127.0.0.1", "port": server.port, "sslmode": "disable",
            "admin_username": ADMIN, "admin_password": server.admin_password, "probe_spacing": 0,
            "settle": 0, "max_refusals_per_hour": 0, **more})

    def value(self):
        self.planted.append(random_secrets.token_hex(14))
        return self.planted[-1]

    def check(self):
        answer = self.vault.ok("POST", "rotation/targets/directory/check", {}).data
        equal(answer["ok"], True, answer)

    def overlap(self):
        secret = Secret(self, "one")
        for current in (2, 3):
            secret.done()
            equal(secret.answers(current, current - 1), "AR", "the new and the old")
            secret.alone(current)
        secret.done(back=True)
        equal(secret.version(4)[1], secret.version(2)[1], "the value of before")
        equal(secret.answers(4, 3), "AR", "after going back")
        equal(self.slapd.read(secret.dn, "pwdAccountLockedTime"), [], "locked")

    def alternate(self):
        secret = Secret(self, "two", "alternate")
        for current in (2, 3):
            secret.done()
            equal(secret.answers(current, current - 1), "AR", "the new and the old")
            secret.alone(current)
            equal(self.slapd.read(secret.version(current - 1)[0], "userPassword"), [], "of the old entry")
        equal(secret.version(2)[0], self.slapd.dn("two_b"), "the entry in turn")
        secret.done(back=True)
        equal(secret.answers(4, 3), "AR", "after going back")
        for name in ("two", "two_b"):
            equal(self.slapd.read(self.slapd.dn(name), "pwdAccountLockedTime"), [], "locked: " + name)

    def over_tls(self):
        with open(self.slapd.ca) as f:
            self.target("safe", self.slapd, port=self.slapd.tls_port, sslmode="verify-full", ca=f.read())
        secret = Secret(self, "safe", target="safe")
        self.vault.ctl("schedule", "set", secret.path, "accounts=%s;" % secret.dn)
        equal(self.vault.ok("GET", "rotation/secrets/" + secret.path).data["accounts"], [secret.dn], "accounts")
        secret.done()
        equal(secret.answers(2, 1), "AR", "the new and the old")

    def history(self):
        """The policy writes the old passwords down, by the second."""
        self.slapd.set(POLICY, "pwdInHistory", "3")
        try:
            secret = Secret(self, "past")
            secret.done()
            secret.done(back=True)
            equal(secret.answers(3, 2), "AR", "after going back")
        finally:
            self.slapd.set(POLICY, "pwdInHistory", "0")

    def both_meanwhile(self):
        """Until the overlap is over both are accepted; going back leaves what was there before us."""
        secret = Secret(self, "mean")
        before = self.slapd.passwords("mean")
        run_id = secret.held()
        equal((secret.answers(1), len(self.slapd.passwords("mean"))), ("A", 2), "the old one, and values")
        self.vault.ok("POST", "rotation/runs/%s/cancel" % run_id, {"reason": "test"})
        run = secret.reached(run_id)
        equal(run["state"], "rolled_back", story(run))
        equal(self.slapd.passwords("mean"), before, "the values")

    def both_killed(self):
        """vaultd and the server are killed while both passwords are accepted."""
        secret = Secret(self, "kill")
        run_id = secret.held()
        self.slapd.restart()
        equal((len(self.slapd.passwords("kill")), secret.answers(1)), (2, "A"), "after the server came up again")
        secret.vault.kill()
        secret.vault.start()
        secret.vault.unseal()
        self.vault.ok("POST", "rotation/runs/%s/cancel" % run_id, {"reason": "test"})
        run = secret.reached(run_id)
        equal((run["state"], secret.answers(1)), ("rolled_back", "A"), story(run))

    def server_away(self):
        """The server is away when the old password is to be ended: the run goes on when it is back."""
        secret = Secret(self, "away")
        run_id = secret.held()
        self.slapd.stop()
        secret.version(2)
        secret.reached(run_id, "revoking")
        self.slapd.start()
        run = secret.reached(run_id)
        equal(run["state"], "done", story(run))
        equal(secret.answers(2, 1), "AR", "the new and the old")

    def answer_lost(self):
        """It was done, and nobody was told: the target is asked, and what is in place is not lost."""
        between = Swallow(self.slapd, 2)  # of the new one's coming, and of the old one's end
        self.target("lossy", self.slapd, port=between.port)
        secret = Secret(self, "lost", target="lossy")
        secret.done()
        equal((between.swallowed, secret.answers(2, 1)), (2, "AR"), "answers lost; the new and the old")
        secret.alone(2)

    def no_sha2(self):
        """A server without the module that checks our hashes: the run goes back, the old one works."""
        with Slapd(sha2=False) as plain:
            plain.least_privilege()
            self.target("plain", plain)
            secret = Secret(self, "plain", target="plain", server=plain)
            before = plain.passwords("plain")
            run = secret.rotate()
            equal(run["state"], "rolled_back", story(run))
            equal((plain.passwords("plain"), secret.answers(1)), (before, "A"), story(run))

    def locked(self):
        """Somebody locked the account: nothing is proven, nothing is changed."""
        secret = Secret(self, "lock")
        for _ in range(3):
            equal(self.slapd.login(secret.dn, "never-issued"), "R")
        before = self.slapd.passwords("lock")
        run_id = secret.start()
        wait_for("the run to say what it meets", lambda: "locked" in story(secret.run(run_id)), 60)
        equal(self.slapd.passwords("lock"), before, "the values")
        self.slapd.account("lock", secret.version(1)[1])
        run = secret.reached(run_id)
        equal(run["state"], "done", story(run))

    def never_shown(self):
        secret = Secret(self, "shown")
        run = secret.done()
        secret.version(2)
        for where, text in (("the server's log", self.slapd.log()), ("vaultd's log", self.vault.log_text()),
                            ("the run", str(run))):
            for value in self.planted + self.slapd.passwords("shown"):
                equal(value in text, False, "a password in " + where)


def main():
    report = Report()
    with Slapd() as slapd, Vault() as vault:
        vault.ready()
        test = Test(vault, slapd)
        for name, case in (
                ("the target is checked", test.check),
                ("overlap", test.overlap),
                ("alternate", test.alternate),
                ("overlap, over TLS", test.over_tls),
                ("overlap, with a history of passwords", test.history),
                ("overlap: both are accepted meanwhile, and back", test.both_meanwhile),
                ("overlap: vaultd and the server are killed meanwhile", test.both_killed),
                ("overlap: the server is away when the old one is to be ended", test.server_away),
                ("the answers to the changes are lost", test.answer_lost),
                ("a server that cannot check our hashes", test.no_sha2),
                ("a locked account", test.locked),
                ("no password and no hash is in a log", test.never_shown)):
            report.case(name, case)
    report.end()


if __name__ == "__main__":
    main()
