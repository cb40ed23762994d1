#!/usr/bin/python3
"""Rotation by vaultd of an account's SSH key at a real sshd, with the rights of docs/ssh-least-privilege.txt.

    tests/integration/rotation_ssh.py ['part of a case name']

Rotated, the new key tried with OpenSSH's ssh, the old one refused afterwards, and back again; cancelled;
vaultd and the server killed in the middle; the host's own key changed.
"""
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
from driven import LOW, Driven, story  # noqa: E402
from keyturn import Report, Vault, contains, equal, wait_for  # noqa: E402
from sshd import Sshd  # noqa: E402

class Secret(Driven):
    """An account of the host, whose key is rotated; a target of its own, since the account logs in itself."""

    def __init__(self, test, name, options=""):
        super().__init__(test, "ssh/" + name)
        self.sshd, self.name = test.sshd, name
        first = test.sshd.key()
        self.account = test.sshd.account(name, options + first.public + "\n")
        test.target(name)
        self.begin({"username": name, "private_key": first.private}, target=name, strategy="overlap",
                   accounts=[name], password_field="private_key")

    def version(self, number):
        data = self.data(number)
        equal(data["username"], self.name, "the account")
        return self.sshd.key(private=data["private_key"])

    def login(self, number):
        return self.sshd.login(self.name, self.version(number))


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
                LOW, target=name, strategy="overlap", accounts=[name], generator=generator,
                password_field="private_key"))
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
        secret.set(public_field="public_key")
        for current in (2, 3):
            secret.done()
            equal(secret.answers(current, current - 1), "AR", "the new and the old")
            contains(secret.account.read(), 'restrict,from="127.0.0.1" %s keyturn:' % secret.version(current).public)
            equal(len(secret.account.read().splitlines()), 1, "lines")
            equal(secret.data(current)["public_key"], secret.version(current).public, "the public half")
        secret.done(back=True)
        equal(secret.version(4).public, secret.version(2).public, "the key of before")
        equal(secret.answers(4, 3), "AR", "after going back")

    def both_meanwhile(self):
        """Until the overlap is over both are accepted; cancelling leaves the old one."""
        secret = Secret(self, "mean")
        run_id = secret.held()
        equal(secret.answers(1), "A", "the old one")
        equal(len(secret.account.read().splitlines()), 2, "lines")
        secret.cancelled(run_id)
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
        secret.ends(run_id, "done")
        equal(secret.answers(2, 1), "AR", "the new and the old")

    def server_away(self):
        """The server is away when the old key is to be taken out: the run goes on when it is back."""
        secret = Secret(self, "away")
        run_id = secret.held()
        self.sshd.stop()
        secret.version(2)
        secret.reached(run_id, "revoking")
        self.sshd.start()
        secret.ends(run_id, "done")
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
        secret.done()
        after = secret.account.read()
        mark = after.split()[-1].rsplit(":", 1)[0]
        secret.account.write(before.rstrip("\n") + " %s\n" % mark)
        equal(secret.answers(2), "R", "the stored one")
        secret.done("reconcile")
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
        run = secret.ends(run_id, "frozen")
        contains(str(run["frozen"]), "KT-R-013")
        contains(str(run["frozen"]), name())
        equal("userauth-request" in self.sshd.log()[before:], False, "a key was offered")
        self.vault.ok("POST", "rotation/targets/moved", {"server_id": name()})
        self.vault.ok("POST", "rotation/runs/%s/thaw" % run_id, {"reason": "test"})
        secret.ends(run_id, "rolled_back")
        equal(secret.answers(1), "A", "the old one")
        self.sshd.host_key = old
        self.sshd.restart()

    def never_shown(self):
        """No line of a private key is in a log, a run or the server's debug output."""
        secret = Secret(self, "shown")
        run = secret.done()
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
