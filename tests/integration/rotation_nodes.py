#!/usr/bin/python3
"""Two servers that are one target: real Redis servers, directories, MariaDB and (--all) PostgreSQL, each strategy.

    tests/integration/rotation_nodes.py [--all] ['part of a case name']

No value is current before both servers accept it, and none is called dead before both refuse it, whichever of
them is away, was put back or was never told.
"""
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
from cutproxy import CutProxy  # noqa: E402
from driven import Driven, Planted, story  # noqa: E402
from keyturn import Report, Vault, contains, equal, wait_for  # noqa: E402
from redis import Redis, sha256  # noqa: E402
from rotation_places import LdapPlace, MariaPlace, PostgresPlace  # noqa: E402
from several import SharedSecret  # noqa: E402
from slapd import ssha512  # noqa: E402

SETS, ENDS = r"SETUSER(?!.*resetpass)", r"SETUSER.*resetpass"


class Test(Planted):
    def __init__(self, vault, servers):
        super().__init__(*[s.admin_password for s in servers])
        self.vault, self.servers = vault, servers
        self.proxy = CutProxy(servers[1].port)
        self.names = ["127.0.0.1:%d" % port for port in (servers[0].port, self.proxy.port)]
        for server in servers:
            server.admin_password = servers[0].admin_password
            server.least_privilege(self.value())
        vault.ok("POST", "rotation/targets/pair", {
            "driver": "redis", "hosts": self.names, "sslmode": "disable", "admin_username": "keyturn",
            "admin_password": servers[0].admin_password, "probe_spacing": 0, "settle": 0, "connect_timeout": 1})

    def check(self):
        answer = self.vault.ok("POST", "rotation/targets/pair/check", {}).data
        equal(answer["ok"], True, answer)
        for name in self.names:
            equal(len([s for s in answer["steps"] if s["text"].startswith(name + ": ")]), 4, "steps of " + name)
        self.servers[1].stop()
        answer = self.vault.ok("POST", "rotation/targets/pair/check", {}).data
        self.servers[1].start()
        equal(answer["ok"], False, answer)
        equal([s["ok"] for s in answer["steps"]], [True] * 4 + [False], answer)
        contains(answer["steps"][4]["text"], self.names[1])

    def there_and_back(self):
        secret = SharedSecret(self, "one")
        secret.done()
        equal((secret.at_each(2), secret.at_each(1)), ("AA", "RR"), "the new one and the old one at each")
        for server in self.servers:
            equal(server.hashes("one"), [sha256(secret.version(2)[1])], "all that is accepted")
        secret.done(back=True)
        equal((secret.at_each(3), secret.at_each(2)), ("AA", "RR"), "after going back")

    def away_at_apply(self):
        """The second server dies with the change on its way: nothing is promoted before it has the new one."""
        secret = SharedSecret(self, "late")
        held = self.proxy.hold(SETS)
        run_id = secret.start()
        held.wait_until_there()
        self.servers[1].stop()
        held.go_on()
        secret.said(run_id, self.names[1], "done at " + self.names[0])
        run = secret.run(run_id)
        equal((run["state"], secret.current()), ("applying", 1), story(run))
        equal(self.servers[0].login("late", secret.first), "A", "the old one at the first")
        self.servers[1].start()
        secret.ends(run_id, "done")
        equal((secret.at_each(2), secret.at_each(1)), ("AA", "RR"), "the new one and the old one at each")

    def away_at_revoke(self):
        """The second server dies with the end of the old one on its way: that is not dead."""
        secret = SharedSecret(self, "dying")
        run_id = secret.held()
        held = self.proxy.hold(ENDS)
        secret.version(2)
        held.wait_until_there()
        self.servers[1].stop()
        held.go_on()
        secret.said(run_id, self.names[1], "done at " + self.names[0])
        equal(self.servers[0].login("dying", secret.first), "R", "the old one at the first")
        zombies = self.vault.ok("GET", "rotation/zombies").data
        contains(str(zombies), secret.path)
        refused = self.vault.call("PUT", "secret/destroy/" + secret.inner, {"versions": [1]})
        equal(refused.status, 400, refused)
        self.servers[1].start()
        secret.ends(run_id, "done")
        equal((secret.at_each(2), secret.at_each(1)), ("AA", "RR"), "the new one and the old one at each")

    def put_back(self):
        """The second server has an old password again: told of that server, refused to a rotation, mended there."""
        secret = SharedSecret(self, "back")
        secret.done()
        secret.put_back(self.servers[1])
        equal(secret.at_each(2), "AR", "the current one at each")
        dry = self.vault.ok("POST", "rotation/dry-run/" + secret.path, {}).data
        equal(dry["ok"], False, dry)
        contains(dry["verdict"], "accepted at " + self.names[0])
        contains(dry["verdict"], "refused at " + self.names[1])
        contains(dry["next"], "secretctl reconcile " + secret.path)
        wait_for("the look to count", lambda: self.shown(secret)["truth"] == "drifted")
        contains(self.shown(secret)["look"], "refused at " + self.names[1])
        run = secret.rotate()
        equal((run["state"], secret.current()), ("frozen", 2), story(run))
        contains(str(run["frozen"]), "KT-R-010")
        self.vault.ok("POST", "rotation/runs/%s/cancel" % run["id"], {"reason": "test"})
        secret.ends(run["id"], "cancelled")
        secret.done("reconcile")
        equal((secret.at_each(2), secret.at_each(1)), ("AA", "RR"), "the current one and the old one at each")
        secret.done()
        equal((secret.at_each(3), secret.at_each(2)), ("AA", "RR"), "the new one and the old one at each")

    def third(self):
        """A server that is added has no password yet; one that is taken out is not touched any more."""
        secret = SharedSecret(self, "more")
        with Redis() as other:
            other.admin_password = self.servers[0].admin_password
            other.least_privilege(self.value())
            secret.made(other, "more", None)
            name = "127.0.0.1:%d" % other.port
            self.vault.ok("POST", "rotation/targets/pair", {"hosts": self.names + [name]})
            dry = self.vault.ok("POST", "rotation/dry-run/" + secret.path, {}).data
            contains(dry["verdict"], "refused at " + name)
            secret.done("reconcile")
            equal(other.login("more", secret.first), "A", "the stored one at the new server")
            secret.done()
            equal((secret.at_each(2), other.login(*secret.version(2))), ("AA", "A"), "the new one at each")
            self.vault.ok("POST", "rotation/targets/pair", {"hosts": self.names})
            secret.done()
            equal((secret.at_each(3), other.login(*secret.version(3))), ("AA", "R"), "the newest at each")

    def pair_of(self, kind, everything):
        """Two servers, the second of them stopped with a change on its way: each strategy ends as it has to; and with
        another one in its place a run freezes. Else only one strategy, at the end of the old one."""
        strategies = kind.strategies if everything else ["overlap"]
        places = [kind(), kind()]
        front = places[1].front()
        target = kind.driver + "s"
        try:
            name, password = self.one_admin(places)
            ports = [places[0].port(), front.proxy.port]
            hosts = ["127.0.0.1:%d" % port for port in ports]
            place = {k: v for k, v in places[0].target().items() if k not in ("host", "port")}
            self.vault.ok("POST", "rotation/targets/" + target, {
                "driver": kind.driver, "hosts": hosts, "admin_username": name, "admin_password": password,
                "probe_spacing": 0, "settle": 0, "max_refusals_per_hour": 0, "connect_timeout": 1, **place})
            for strategy in strategies:
                self.turned_over(target, places, front, hosts, strategy, everything)
            ids = [s["server_id"] for s in self.vault.ok("GET", "rotation/targets/" + target).data["servers"]]
            equal((len(set(ids)), "" in ids), (2, False), "what each says it is")
            if everything:
                # Named again they are known as before: where the second was the first one answers.
                self.vault.ok("POST", "rotation/targets/" + target, {"hosts": hosts})
                front.proxy.to = places[0].port()
                contains(story(self.frozen(self.inner(target, strategies[-1]))), hosts[1])
        finally:
            front.close()
            for place in places:
                place.remove()

    def one_admin(self, places):
        """An administrative login that both have."""
        if isinstance(places[0], LdapPlace):
            name, password = places[0].new_admin()
            places[1].slapd.set(name, "userPassword", ssha512(password))
        else:
            name, password = "kt_pair", self.value()
            for place in places:
                place.make_admin(name)
                place.admin_password(name, password)
        self.planted.append(password)
        return name, password

    @staticmethod
    def inner(target, strategy):
        return "db/%s_%s" % (target, strategy.replace("-", "_"))

    def frozen(self, inner):
        secret = Driven(self, inner)
        run = secret.ends(secret.start(), "frozen")
        contains(str(run["frozen"]), "KT-R-013")
        return run

    def turned_over(self, target, places, front, hosts, strategy, everything):
        secret = Driven(self, self.inner(target, strategy))
        secret.name, secret.strategy, secret.first = secret.inner[3:], strategy, self.value()
        names = [secret.name + "_a", secret.name + "_b"][:2 if strategy == "alternate" else 1]
        secret.accounts = [places[0].account(name) for name in names]
        for place in places:
            place.make_accounts(secret)
        group = places[0].group(secret)
        secret.begin({"username": secret.accounts[0], "password": secret.first}, target=target, strategy=strategy,
                     accounts=secret.accounts, **({"group": group} if group else {}), allow_gap=strategy == "in-place")

        def at_each(number):
            return "".join(place.login(*secret.version(number)) for place in places)
        ops = ["apply"] if everything or strategy == "in-place" else []
        for op in ops + (["revoke"] if strategy != "in-place" else []):
            before = self.vault.ok("GET", "secret/data/" + secret.inner).data["metadata"]["version"]
            held = front.hold(secret, op)
            run_id = secret.held() if op == "revoke" else secret.start()
            if op == "revoke":
                secret.version(before + 1)
            held.wait_until_there()
            places[1].stop()
            held.go_on()
            wait_for("the first server to be done alone", lambda: any(
                "done at " + hosts[0] in s["text"] for s in secret.run(run_id)["steps"]))
            equal(secret.run(run_id)["state"], "revoking" if op == "revoke" else "applying", "where it waits")
            equal(places[0].login(*secret.version(before)), "R" if op == "revoke" or strategy == "in-place" else "A",
                  "the old one at the first")
            places[1].start()
            secret.ends(run_id, "done")
            equal((at_each(before + 1), at_each(before)), ("AA", "RR"), "the new one and the old one at each")
            secret.set(loose_readers="ignore")

    def shown(self, secret):
        return self.vault.ok("GET", "rotation/secrets/" + secret.path).data["state"]


def main():
    everything = "--all" in sys.argv
    report = Report(next((a for a in sys.argv[1:] if a != "--all"), ""))
    with Redis() as one, Redis() as two, Vault() as vault:
        vault.ready()
        test = Test(vault, [one, two])
        cases = [("each server is checked", test.check),
                 ("one is away when it is to get the new one", test.away_at_apply),
                 ("one is away when it is to end the old one", test.away_at_revoke),
                 ("two directories, one of them stopped in the middle",
                  lambda: test.pair_of(LdapPlace, everything)),
                 ("two MariaDB, one of them stopped in the middle",
                  lambda: test.pair_of(MariaPlace, everything))]
        if everything:
            cases += [("there and back", test.there_and_back),
                      ("one is put back to an old password", test.put_back),
                      ("one more, and one less", test.third),
                      ("two PostgreSQL, one of them stopped in the middle",
                       lambda: test.pair_of(PostgresPlace, True))]
        for name, case in cases:
            report.case(name, case)
    report.end()


if __name__ == "__main__":
    main()
