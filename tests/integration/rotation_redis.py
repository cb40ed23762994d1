#!/usr/bin/python3
"""Rotation by vaultd at a real Redis, with the rights of docs/redis-least-privilege.txt and no others.

    tests/integration/rotation_redis.py ['part of a case name']

Each strategy that the driver has: rotated, the new password tried with redis-cli (REDISCLI_AUTH), the
old one refused afterwards, and back again; vaultd and the server killed in the middle.
"""
import os
import secrets as random_secrets
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
from keyturn import Report, Vault, contains, equal, wait_for  # noqa: E402
from redis import Monitor, Redis, sha256  # noqa: E402

ENDED = ("done", "rolled_back", "cancelled", "frozen")
LOW = {"overlap": "0s", "soak": "0s", "drain": "0s", "period": "10h", "max_overlap": "10m",
       "loose_readers": "ignore"}  # the test reads each version


def story(run):
    return "; ".join("%s %s: %s" % (s["kind"], s["name"], s["text"]) for s in run["steps"][-10:])


class Secret:
    """A secret that rotates at the scene's server: user NAME, and NAME_b when alternating."""

    def __init__(self, test, name, strategy="overlap", **settings):
        self.test, self.vault, self.redis = test, test.vault, test.redis
        self.name, self.inner, self.path = name, "db/" + name, "secret/db/" + name
        first = test.value()
        self.vault.ok("POST", "secret/data/" + self.inner, {
            "data": {"username": name, "password": first, "note": "stays"}})
        self.redis.root("ACL", "SETUSER", name, "on", "#" + sha256(first), "~*", "+@all", "-@admin")
        accounts = [name]
        if strategy == "alternate":
            accounts.append(name + "_b")
            self.redis.root("ACL", "SETUSER", name + "_b", "off", "~*", "+@all", "-@admin")
        self.redis.root("ACL", "SAVE")
        self.vault.ok("POST", "rotation/secrets/" + self.path, dict(
            LOW, target="cache", strategy=strategy, accounts=accounts, **settings))

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

    def version(self, number):
        data = self.vault.ok("GET", "secret/data/%s?version=%d" % (self.inner, number)).data["data"]
        self.test.planted.append(data["password"])
        equal(data["note"], "stays", "the member that is not rotated")
        return data["username"], data["password"]

    def answers(self, *numbers):
        """What redis-cli gets with these versions."""
        return "".join(self.redis.login(*self.version(number)) for number in numbers)

    def alone(self, number):
        """The server accepts this version and nothing else for the user."""
        user, password = self.version(number)
        equal(self.redis.hashes(user), [sha256(password)], "the hashes of " + user)


class Test:
    def __init__(self, vault, redis):
        self.vault, self.redis = vault, redis
        self.planted = [redis.admin_password]
        redis.least_privilege(self.value())
        vault.ok("POST", "rotation/targets/cache", {
            "driver": "redis", "host": "127.0.0.1", "port": redis.port, "sslmode": "disable",
            "admin_username": "keyturn", "admin_password": redis.admin_password, "probe_spacing": 0,
            "settle": 0})

    def value(self):
        self.planted.append(random_secrets.token_hex(14))
        return self.planted[-1]

    def check(self):
        answer = self.vault.ok("POST", "rotation/targets/cache/check", {}).data
        equal(answer["ok"], True, answer)

    def overlap(self):
        secret = Secret(self, "one")
        for current in (2, 3):
            run = secret.rotate()
            equal(run["state"], "done", story(run))
            equal(secret.answers(current, current - 1), "AR", "the new and the old")
            secret.alone(current)
        run = secret.rotate(back=True)
        equal((run["state"], secret.version(4)[1]), ("done", secret.version(2)[1]), story(run))
        equal(secret.answers(4, 3), "AR", "after going back")

    def alternate(self):
        secret = Secret(self, "two", "alternate")
        for current in (2, 3):
            run = secret.rotate()
            equal(run["state"], "done", story(run))
            equal(secret.answers(current, current - 1), "AR", "the new and the old")
            secret.alone(current)
        equal(secret.version(2)[0], "two_b", "the user in turn")

    def both_meanwhile(self):
        """Until the overlap is over both are accepted; going back leaves the old one."""
        secret = Secret(self, "mean")
        run_id = secret.held()
        equal((secret.answers(1), len(self.redis.hashes("mean"))), ("A", 2), "the old one, and passwords")
        self.vault.ok("POST", "rotation/runs/%s/cancel" % run_id, {"reason": "test"})
        run = secret.reached(run_id)
        equal(run["state"], "rolled_back", story(run))
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
        self.vault.ok("POST", "rotation/runs/%s/cancel" % run_id, {"reason": "test"})
        run = secret.reached(run_id)
        equal(run["state"], "rolled_back", story(run))
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
        run = secret.reached(run_id)
        equal(run["state"], "done", story(run))
        equal(secret.answers(2, 1), "AR", "the new and the old")

    def stranger(self):
        secret = Secret(self, "open")
        other = self.value()
        self.redis.root("ACL", "SETUSER", "open", "#" + sha256(other))
        run = secret.rotate()
        equal(run["state"], "done", story(run))
        steps = " ".join(s["text"] for s in run["steps"])
        contains(steps, "accepts passwords that the vault does not have as current: 1")
        equal(sha256(other)[:8] in steps, False, "a piece of its hash in the report")
        contains(steps, "besides the two of this run")
        equal(self.redis.login("open", other), "R", "the stranger's password")

    def nopass(self):
        secret = Secret(self, "any")
        self.redis.root("ACL", "SETUSER", "any", "nopass")
        run = secret.rotate()
        equal(run["state"], "frozen", story(run))
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
            self.vault.ok("POST", "secret/data/db/volatile", {
                "data": {"username": "app", "password": first}})
            self.vault.ok("POST", "rotation/secrets/secret/db/volatile", dict(
                LOW, target="volatile", strategy="overlap", accounts=["app"]))
            run_id = self.vault.ok("POST", "rotation/rotate/secret/db/volatile", {"reason": "test"}).data["run"]
            run = wait_for("the run to end", lambda: (
                lambda r: r if r["state"] in ENDED else None)(self.vault.ok("GET", "rotation/runs/" + run_id).data), 90)
            equal(run["state"], "cancelled", story(run))
            contains(story(run), "set aclfile")
            equal(volatile.hashes("app"), [sha256(first)], "the hashes")

    def never_shown(self):
        secret = Secret(self, "shown")
        with Monitor(self.redis) as monitor:
            run = secret.rotate()
        equal(run["state"], "done", story(run))
        secret.version(2)
        for where, text in (("MONITOR", monitor.text()), ("the server's log", self.redis.log()),
                            ("vaultd's log", self.vault.log_text()), ("the run", str(run)),
                            ("ACL LOG", self.redis.root("ACL", "LOG"))):
            for value in self.planted:
                equal(value in text, False, "a password in " + where)


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
