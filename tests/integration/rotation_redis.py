#!/usr/bin/python3
"""Rotation by vaultd at a real Redis, with the rights of docs/redis-least-privilege.txt and no others.

    tests/integration/rotation_redis.py ['part of a case name']

Each strategy that the driver has: rotated, the new password tried with redis-cli (REDISCLI_AUTH), the
old one refused afterwards, and back again; vaultd and the server killed in the middle.
"""
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
from driven import Driven, Planted, story  # noqa: E402
from keyturn import Report, Vault, contains, equal  # noqa: E402
from redis import Monitor, Redis, sha256  # noqa: E402

class Secret(Driven):
    """A secret that rotates at the scene's server: user NAME, and NAME_b when alternating."""

    def __init__(self, test, name, strategy="overlap"):
        super().__init__(test, "db/" + name)
        self.redis = test.redis
        first = test.value()
        self.redis.root("ACL", "SETUSER", name, "on", "#" + sha256(first), "~*", "+@all", "-@admin")
        accounts = [name]
        if strategy == "alternate":
            accounts.append(name + "_b")
            self.redis.root("ACL", "SETUSER", name + "_b", "off", "~*", "+@all", "-@admin")
        self.redis.root("ACL", "SAVE")
        self.begin({"username": name, "password": first}, target="cache", strategy=strategy, accounts=accounts)

    def login(self, number):
        return self.redis.login(*self.version(number))

    def alone(self, number):
        """The server accepts this version and nothing else for the user."""
        user, password = self.version(number)
        equal(self.redis.hashes(user), [sha256(password)], "the hashes of " + user)


class Test(Planted):
    def __init__(self, vault, redis):
        super().__init__(redis.admin_password)
        self.vault, self.redis = vault, redis
        redis.least_privilege(self.value())
        vault.ok("POST", "rotation/targets/cache", {
            "driver": "redis", "host": "127.0.0.1", "port": redis.port, "sslmode": "disable",
            "admin_username": "keyturn", "admin_password": redis.admin_password, "probe_spacing": 0,
            "settle": 0})

    def check(self):
        answer = self.vault.ok("POST", "rotation/targets/cache/check", {}).data
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

    def alternate(self):
        secret = Secret(self, "two", "alternate")
        for current in (2, 3):
            secret.done()
            equal(secret.answers(current, current - 1), "AR", "the new and the old")
            secret.alone(current)
        equal(secret.version(2)[0], "two_b", "the user in turn")

    def both_meanwhile(self):
        """Until the overlap is over both are accepted; going back leaves the old one."""
        secret = Secret(self, "mean")
        run_id = secret.held()
        equal((secret.answers(1), len(self.redis.hashes("mean"))), ("A", 2), "the old one, and passwords")
        secret.cancelled(run_id)
        secret.alone(1)

    def both_killed(self):
        """vaultd and the server are killed while both passwords are accepted."""
        secret = Secret(self, "kill")
        run_id = secret.held()
        self.redis.restart()
        equal(len(self.redis.hashes("kill")), 2, "passwords, after the server came up again")
        equal(secret.answers(1), "A", "the old one")
        secret.vault.kill()
        secret.vault.start()
        secret.vault.unseal()
        secret.cancelled(run_id)
        self.redis.restart()
        secret.alone(1)

    def server_away(self):
        """The server is away when the old password is to be ended: the run goes on when it is back."""
        secret = Secret(self, "away")
        run_id = secret.held()
        self.redis.stop()
        secret.version(2)
        secret.reached(run_id, "revoking")
        self.redis.start()
        secret.ends(run_id, "done")
        equal(secret.answers(2, 1), "AR", "the new and the old")

    def stranger(self):
        secret = Secret(self, "open")
        other = self.value()
        self.redis.root("ACL", "SETUSER", "open", "#" + sha256(other))
        run = secret.done()
        steps = " ".join(s["text"] for s in run["steps"])
        contains(steps, "accepts passwords that the vault does not have as current: 1")
        equal(sha256(other)[:8] in steps, False, "a piece of its hash in the report")
        contains(steps, "besides the two of this run")
        equal(self.redis.login("open", other), "R", "the stranger's password")

    def nopass(self):
        secret = Secret(self, "any")
        self.redis.root("ACL", "SETUSER", "any", "nopass")
        run = secret.ends(secret.start(), "frozen")
        contains(str(run["frozen"]), "KT-R-012")
        contains(str(run["frozen"]), "nopass")

    def forgetful(self):
        """A server that writes its users nowhere: nothing is changed."""
        with Redis(users="") as volatile:
            first = self.value()
            volatile.least_privilege(first)
            self.vault.ok("POST", "rotation/targets/volatile", {
                "driver": "redis", "host": "127.0.0.1", "port": volatile.port, "sslmode": "disable",
                "admin_username": "keyturn", "admin_password": volatile.admin_password})
            secret = Driven(self, "db/volatile")
            secret.begin({"username": "app", "password": first}, target="volatile", strategy="overlap",
                         accounts=["app"])
            run = secret.ends(secret.start(), "cancelled")
            contains(story(run), "set aclfile")
            equal(volatile.hashes("app"), [sha256(first)], "the hashes")

    def never_shown(self):
        secret = Secret(self, "shown")
        with Monitor(self.redis) as monitor:
            run = secret.done()
        secret.version(2)
        self.nowhere((("MONITOR", monitor.text()), ("the server's log", self.redis.log()),
                      ("vaultd's log", self.vault.log_text()), ("the run", str(run)),
                      ("ACL LOG", self.redis.root("ACL", "LOG"))))


def main():
    report = Report()
    with Redis() as redis, Vault() as vault:
        vault.ready()
        test = Test(vault, redis)
        for name, case in (
                ("the target is checked", test.check),
                ("overlap", test.overlap),
                ("alternate", test.alternate),
                ("overlap: both are accepted meanwhile, and back", test.both_meanwhile),
                ("overlap: vaultd and the server are killed meanwhile", test.both_killed),
                ("overlap: the server is away when the old one is to be ended", test.server_away),
                ("a password that the vault does not have is told, and ended", test.stranger),
                ("a user without a password freezes the run", test.nopass),
                ("a server that forgets is not touched", test.forgetful),
                ("no password is in MONITOR or in a log", test.never_shown)):
            report.case(name, case)
    report.end()


if __name__ == "__main__":
    main()
