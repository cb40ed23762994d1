#!/usr/bin/python3
"""Rotation by vaultd at a real slapd, with the rights of docs/ldap-least-privilege.ldif and no others.

    tests/integration/rotation_ldap.py ['part of a case name']

The server's password policy locks an account after three refusals. Each strategy that the driver has:
rotated, the new password tried with ldapwhoami (from a file), the old one refused afterwards, and back again;
vaultd and the server killed in the middle.
"""
import os
import select
import socket
import sys
import threading

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
from driven import Driven, Planted, story  # noqa: E402
from keyturn import Report, Vault, equal, wait_for  # noqa: E402
from slapd import ADMIN, POLICY, Slapd, fits  # noqa: E402

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


class Secret(Driven):
    """A secret that rotates at the scene's server: entry NAME, and NAME_b when alternating."""

    def __init__(self, test, name, strategy="overlap", target="directory", server=None):
        super().__init__(test, "dir/" + name)
        self.slapd = server or test.slapd
        self.dn = self.slapd.dn(name)
        first = test.value()
        self.slapd.account(name, first)
        accounts = [self.dn]
        if strategy == "alternate":
            accounts.append(self.slapd.dn(name + "_b"))
            self.slapd.account(name + "_b")
        self.begin({"username": self.dn, "password": first}, target=target, strategy=strategy, accounts=accounts)

    def login(self, number):
        return self.slapd.login(*self.version(number))

    def alone(self, number):
        """The entry has this version's hash and nothing else."""
        user, password = self.version(number)
        values = self.slapd.read(user, "userPassword")
        equal((len(values), fits(values[0], password)), (1, True), "the values of " + user)


class Test(Planted):
    def __init__(self, vault, slapd):
        super().__init__(slapd.admin_password)
        self.vault, self.slapd = vault, slapd
        slapd.least_privilege()
        self.target("directory", slapd)

    def target(self, name, server, **more):
        self.vault.ok("POST", "rotation/targets/" + name, {
            "driver": "ldap", "host": "127.0.0.1", "port": server.port, "sslmode": "disable",
            "admin_username": ADMIN, "admin_password": server.admin_password, "probe_spacing": 0,
            "settle": 0, "max_refusals_per_hour": 0, **more})

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
        secret.cancelled(run_id)
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
        equal(secret.answers(1), "A", story(secret.ends(run_id, "rolled_back")))

    def server_away(self):
        """The server is away when the old password is to be ended: the run goes on when it is back."""
        secret = Secret(self, "away")
        run_id = secret.held()
        self.slapd.stop()
        secret.version(2)
        secret.reached(run_id, "revoking")
        self.slapd.start()
        secret.ends(run_id, "done")
        equal(secret.answers(2, 1), "AR", "the new and the old")

    def answer_lost(self):
        """It was done, and nobody was told: the target is asked, and what is in place is not lost."""
        between = Swallow(self.slapd, 2)  # of the new one's coming, and of the old one's end
        self.target("lossy", self.slapd, port=between.port)
        secret = Secret(self, "lost", target="lossy")
        secret.done()
        equal((between.swallowed, secret.answers(2, 1)), (2, "AR"), "answers lost; the new and the old")
        secret.alone(2)

    def expired(self):
        """Each look uses up a login that the policy still grants: who asks first is told, and so is the run."""
        secret = Secret(self, "late")
        self.slapd.set(POLICY, "pwdMaxAge", "86400")
        self.slapd.set(POLICY, "pwdGraceAuthNLimit", "9")
        self.slapd.root("dn: %s\nchangetype: modify\nreplace: pwdChangedTime\npwdChangedTime: 20200101000000Z\n" %
                        secret.dn, relax=True)
        try:
            tried = str(self.vault.ok("POST", "rotation/dry-run/" + secret.path, {}).data)
            equal("8 logins are left" in tried, True, tried)
            run = secret.done()
            equal("7 logins are left" in str(run["steps"]), True, run["steps"])
            equal(secret.answers(2, 1), "AR", "the new and the old")
        finally:
            self.slapd.set(POLICY, "pwdGraceAuthNLimit", "0")
            self.slapd.set(POLICY, "pwdMaxAge", "0")

    def reconciled(self):
        """Somebody set another password: the stored one is put in its place, and is the only one again."""
        secret = Secret(self, "mend")
        strangers = self.value()
        self.slapd.set(secret.dn, "userPassword", strangers)
        secret.done("reconcile")
        secret.alone(1)
        equal((secret.answers(1), self.slapd.login(secret.dn, strangers)), ("A", "R"), "the stored one, the stranger's")

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
        secret.ends(run_id, "done")

    def never_shown(self):
        secret = Secret(self, "shown")
        run = secret.done()
        secret.version(2)
        self.nowhere((("the server's log", self.slapd.log()), ("vaultd's log", self.vault.log_text()),
                      ("the run", str(run))), *self.slapd.passwords("shown"))


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
                ("the old password has expired", test.expired),
                ("somebody set another password: reconciled", test.reconciled),
                ("a server that cannot check our hashes", test.no_sha2),
                ("a locked account", test.locked),
                ("no password and no hash is in a log", test.never_shown)):
            report.case(name, case)
    report.end()


if __name__ == "__main__":
    main()
