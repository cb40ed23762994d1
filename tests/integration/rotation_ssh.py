#!/usr/bin/python3
"""Rotation by vaultd of an account's SSH key at a real sshd, with the rights of docs/ssh-least-privilege.txt.

    tests/integration/rotation_ssh.py ['part of a case name']

Rotated, the new key tried with OpenSSH's ssh, the old one refused afterwards, and back again; cancelled;
vaultd and the server killed in the middle; the host's own key changed.
"""
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
from keyturn import Report, Vault, contains, equal, wait_for  # noqa: E402
from sshd import Sshd  # noqa: E402

ENDED = ("done", "rolled_back", "cancelled", "frozen")
LOW = {"overlap": "0s", "soak": "0s", "drain": "0s", "period": "10h", "max_overlap": "10m",
       "loose_readers": "ignore", "password_field": "private_key"}  # the test reads each version


def story(run):
    return "; ".join("%s %s: %s" % (s["kind"], s["name"], s["text"]) for s in run["steps"][-10:])


class Secret:
    """An account of the host, whose key is rotated; a target of its own, since the account logs in itself."""

    def __init__(self, test, name, options=""):
        self.test, self.vault, self.sshd, self.name = test, test.vault, test.sshd, name
        self.inner, self.path = "ssh/" + name, "secret/ssh/" + name
        first = test.sshd.key()
        self.account = test.sshd.account(name, options + first.public + "\n")
        test.target(name)
        self.vault.ok("POST", "secret/data/" + self.inner, {
            "data": {"username": name, "private_key": first.private, "note": "stays"}})
        self.vault.ok("POST", "rotation/secrets/" + self.path, dict(
            LOW, target=name, strategy="overlap", accounts=[name]))

    def held(self):
        """A run that overlaps until somebody, who has the old version, reads the new one."""
        self.vault.ok("POST", "rotation/secrets/" + self.path, {"loose_readers": "hold"})
        self.vault.ok("GET", "secret/data/" + self.inner)
        run_id = self.start()
        self.reached(run_id, "overlapping")
        return run_id

    def start(self, what="rotate", **body):
        return self.vault.ok("POST", "rotation/%s/%s" % (what, self.path), dict({"reason": "test"}, **body)).data["run"]

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

    def data(self, number):
        return self.vault.ok("GET", "secret/data/%s?version=%d" % (self.inner, number)).data["data"]

    def version(self, number):
        data = self.data(number)
        equal((data["note"], data["username"]), ("stays", self.name), "the members that are not rotated")
        return self.sshd.key(private=data["private_key"])

    def answers(self, *numbers):
        """What ssh gets with these versions."""
        return "".join(self.sshd.login(self.name, self.version(number)) for number in numbers)


class Test:
    def __init__(self, vault, sshd):
        self.vault, self.sshd = vault, sshd

    def target(self, name, **more):
        self.vault.ok("POST", "rotation/targets/" + name, dict({
            "driver": "ssh-key", "host": "127.0.0.1", "port": self.sshd.port, "server_id": self.sshd.fingerprint(),
            "admin_username": name, "admin_password": self.sshd.admin.private, "probe_spacing": 0}, **more))

    def check(self):
        """The host's key is shown, and nothing is believed before somebody named it."""
        self.sshd.account("checked")
        self.target("checked", server_id="")
        answer = self.vault.ok("POST", "rotation/targets/checked/check", {}).data
        equal((answer["ok"], [s["name"] for s in answer["steps"]]), (False, ["reach", "server"]), answer)
        contains(answer["next"], "secretctl target set checked server_id=" + self.sshd.fingerprint())
        equal(self.vault.ok("GET", "rotation/targets/checked").data["server_id"], "", "what it learned")
        self.target("checked")
        answer = self.vault.ok("POST", "rotation/targets/checked/check", {}).data
        equal(answer["ok"], True, answer)

    def refused_settings(self):
        name, key = "odd", self.sshd.key()
        self.sshd.account(name, key.public + "\n")
        for change, part in (({"sslmode": "disable"}, "no TLS"), ({"server_id": "yes"}, "fingerprint"),
                             ({"admin_password": "secret"}, "private key"), ({"keys_file": "../x"}, "keys_file")):
            body = {"driver": "ssh-key", "host": "127.0.0.1", "port": self.sshd.port, "admin_username": name,
                    "admin_password": self.sshd.admin.private}
            answer = self.vault.call("POST", "rotation/targets/odd", dict(body, **change))
            equal(answer.status, 400, answer)
            contains(str(answer.body), part)
        self.target(name)
        for value, generator, part in (("no key", {}, "private key"),
                                       (key.private, {"type": "password"}, "generator.type=ssh-ed25519")):
            self.vault.ok("POST", "secret/data/ssh/odd", {"data": {"username": name, "private_key": value}})
            answer = self.vault.call("POST", "rotation/secrets/secret/ssh/odd", dict(
                LOW, target=name, strategy="overlap", accounts=[name], generator=generator))
            equal(answer.status, 400, answer)
            contains(str(answer.body), part)

    def generated(self):
        """Without a target: a new key pair in the vault."""
        body = {"strategy": "generate", "period": "10h", "password_field": "key", "public_field": "pub",
                "generator": {"type": "ssh-ed25519"}}
        for change, part in (({"public_field": "key"}, "of its own"), ({"generator": {}}, "generator.type")):
            answer = self.vault.call("POST", "rotation/secrets/secret/ssh/pair", dict(body, **change))
            equal(answer.status, 400, answer)
            contains(str(answer.body), part)
        self.vault.ok("POST", "rotation/secrets/secret/ssh/pair", body)
        self.vault.ok("POST", "rotation/rotate/secret/ssh/pair", {"reason": "test"})
        data = wait_for("the first version", lambda: (
            lambda a: a.data["data"] if a.status == 200 else None)(self.vault.call("GET", "secret/data/ssh/pair")))
        equal(self.sshd.key(private=data["key"]).public, data["pub"], "what ssh-keygen makes of it")

    def overlap(self):
        secret = Secret(self, "one", 'restrict,from="127.0.0.1" ')
        self.vault.ok("POST", "rotation/secrets/" + secret.path, {"public_field": "public_key"})
        for current in (2, 3):
            run = secret.rotate()
            equal(run["state"], "done", story(run))
            equal(secret.answers(current, current - 1), "AR", "the new and the old")
            contains(secret.account.read(), 'restrict,from="127.0.0.1" %s keyturn:' % secret.version(current).public)
            equal(len(secret.account.read().splitlines()), 1, "lines")
            equal(secret.data(current)["public_key"], secret.version(current).public, "the public half")
        run = secret.rotate(back=True)
        equal((run["state"], secret.version(4).public), ("done", secret.version(2).public), story(run))
        equal(secret.answers(4, 3), "AR", "after going back")

    def both_meanwhile(self):
        """Until the overlap is over both are accepted; cancelling leaves the old one."""
        secret = Secret(self, "mean")
        run_id = secret.held()
        equal(secret.answers(1), "A", "the old one")
        equal(len(secret.account.read().splitlines()), 2, "lines")
        self.vault.ok("POST", "rotation/runs/%s/cancel" % run_id, {"reason": "test"})
        run = secret.reached(run_id)
        equal(run["state"], "rolled_back", story(run))
        equal(secret.answers(1), "A", "the old one")
        equal([line.split()[1] for line in secret.account.read().splitlines()], [secret.version(1).public.split()[1]],
              "the one key")

    def both_killed(self):
        """vaultd and the server are killed while both keys are accepted."""
        secret = Secret(self, "kill")
        run_id = secret.held()
        self.sshd.restart()
        secret.vault.kill()
        secret.vault.start()
        secret.vault.unseal()
        equal(secret.answers(1, 2), "AA", "both")
        run = secret.reached(run_id)
        equal(run["state"], "done", story(run))
        equal(secret.answers(2, 1), "AR", "the new and the old")

    def server_away(self):
        """The server is away when the old key is to be taken out: the run goes on when it is back."""
        secret = Secret(self, "away")
        run_id = secret.held()
        self.sshd.stop()
        secret.version(2)
        secret.reached(run_id, "revoking")
        self.sshd.start()
        run = secret.reached(run_id)
        equal(run["state"], "done", story(run))
        equal(secret.answers(2, 1), "AR", "the new and the old")

    def link(self):
        """Preflight finds what the driver does not write through: nothing is changed."""
        secret = Secret(self, "link")
        real = os.path.join(secret.account.home, "elsewhere")
        os.rename(secret.account.path, real)
        os.symlink(real, secret.account.path)
        run = secret.rotate()
        equal(run["state"], "cancelled", story(run))
        contains(story(run), "is a symbolic link")
        equal(secret.answers(1), "A", "the key")

    def reconciled(self):
        """Somebody put an older file back: the stored key is let in again."""
        secret = Secret(self, "drift", "restrict ")
        before = secret.account.read()
        run = secret.rotate()
        equal(run["state"], "done", story(run))
        after = secret.account.read()
        mark = after.split()[-1].rsplit(":", 1)[0]
        secret.account.write(before.rstrip("\n") + " %s\n" % mark)
        equal(secret.answers(2), "R", "the stored one")
        run = secret.reached(secret.start("reconcile"))
        equal(run["state"], "done", story(run))
        equal(secret.answers(2, 1), "AR", "the stored one, and the older one")
        contains(secret.account.read(), "restrict " + secret.version(2).public)

    def host_key(self):
        """Another host key in the middle: nothing more is done there until somebody says that it was meant."""
        secret = Secret(self, "moved")
        old, name = self.sshd.host_key, self.sshd.fingerprint
        run_id = secret.held()
        self.sshd.host_key = self.sshd.new_host_key()
        self.sshd.restart()
        before = len(self.sshd.log())
        self.vault.ok("POST", "rotation/runs/%s/cancel" % run_id, {"reason": "test"})
        run = secret.reached(run_id)
        equal(run["state"], "frozen", story(run))
        contains(str(run["frozen"]), "KT-R-013")
        contains(str(run["frozen"]), name())
        equal("userauth-request" in self.sshd.log()[before:], False, "a key was offered")
        self.vault.ok("POST", "rotation/targets/moved", {"server_id": name()})
        self.vault.ok("POST", "rotation/runs/%s/thaw" % run_id, {"reason": "test"})
        run = secret.reached(run_id)
        equal(run["state"], "rolled_back", story(run))
        equal(secret.answers(1), "A", "the old one")
        self.sshd.host_key = old
        self.sshd.restart()

    def never_shown(self):
        """No line of a private key is in a log, a run or the server's debug output."""
        secret = Secret(self, "shown")
        run = secret.rotate()
        equal(run["state"], "done", story(run))
        privates = [secret.version(n).private for n in (1, 2)] + [self.sshd.admin.private]
        contains(self.sshd.log(), "userauth-request")
        for where, text in (("sshd's log", self.sshd.log()), ("vaultd's log", self.vault.log_text()),
                            ("the run", str(run)), ("the target", str(self.vault.ok("GET", "rotation/targets/shown").body))):
            for private in privates:
                for line in private.splitlines()[1:-1]:
                    equal(line in text, False, "a line of a key in " + where)


def main():
    report = Report()
    with Sshd() as sshd, Vault() as vault:
        vault.ready()
        test = Test(vault, sshd)
        for name, case in (
                ("the target is checked, and the host's key shown", test.check),
                ("settings that cannot be meant are refused", test.refused_settings),
                ("a pair without a target", test.generated),
                ("overlap, and back", test.overlap),
                ("both are accepted meanwhile, and cancelled", test.both_meanwhile),
                ("vaultd and the server are killed meanwhile", test.both_killed),
                ("the server is away when the old one is to be ended", test.server_away),
                ("42: a link is refused before anything is changed", test.link),
                ("an older file is put back, and reconciled", test.reconciled),
                ("another host key freezes the run", test.host_key),
                ("no private key is in a log", test.never_shown)):
            report.case(name, case)
    report.end()


if __name__ == "__main__":
    main()
