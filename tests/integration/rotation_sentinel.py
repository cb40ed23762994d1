#!/usr/bin/python3
"""Real Redis servers, a primary and its replicas, with Sentinels: one target whose users are not replicated.

    tests/integration/rotation_sentinel.py [--all] ['part of a case name']

Whichever of them is the primary, each has to accept the new one before anybody gets it, and to refuse the old one
before that is called dead.
"""
import os
import shutil
import socket
import sys
import threading

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
from cutproxy import CutProxy  # noqa: E402
from driven import Planted, story  # noqa: E402
from driver import run_step  # noqa: E402
from keyturn import Report, Vault, contains, equal, wait_for  # noqa: E402
from redis import Redis, Sentinel, sha256  # noqa: E402
from several import MASTER, RedisGroup, SharedSecret  # noqa: E402

SETS = r"SETUSER(?!.*resetpass)"


class Canned:
    """Answers as a Sentinel: with (host, port, flags) of the master and of the replicas, or with other bytes."""

    def __init__(self, *answers):
        self.answers = [a if isinstance(a, bytes) else self.reply(a) for a in answers]
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self.serve, daemon=True).start()

    @classmethod
    def reply(cls, what):
        if isinstance(what, list):
            return b"*%d\r\n" % len(what) + b"".join(cls.reply(one) for one in what)
        words = [b"ip", what[0].encode(), b"port", b"%d" % what[1], b"flags", what[2].encode()]
        return b"*6\r\n" + b"".join(b"$%d\r\n%s\r\n" % (len(w), w) for w in words)

    def serve(self):
        with self.listener, self.listener.accept()[0] as client:
            for answer in self.answers:
                if not client.recv(65536):
                    return
                client.sendall(answer)
            while client.recv(65536):
                pass


class Test(Planted):
    def __init__(self, vault, group, proxy):
        super().__init__(group.servers[0].admin_password, group.servers[0].root_password)
        self.vault, self.group, self.servers, self.proxy = vault, group, group.servers, proxy
        for server in self.servers:
            server.least_privilege(self.value())
        vault.ok("POST", "rotation/targets/caches", {
            "driver": "redis", "hosts": group.names, "sslmode": "disable", "admin_username": "keyturn",
            "admin_password": self.servers[0].admin_password, "probe_spacing": 0, "settle": 0, "connect_timeout": 1,
            "sentinels": ["127.0.0.1:%d" % s.port for s in group.sentinels], "sentinel_master": MASTER})

    def secret(self, name, **settings):
        return SharedSecret(self, name, target="caches", **settings)

    def target(self, **settings):
        self.vault.ok("POST", "rotation/targets/caches", settings)

    def check(self):
        return self.vault.ok("POST", "rotation/targets/caches/check", {}).data

    @staticmethod
    def asked(servers, port, master=MASTER, **more):
        result = run_step({"driver": "redis", "op": "inspect", "host": "127.0.0.1", "port": port, "sslmode": "disable",
                           "timeout_ms": 20000, "servers": ",".join(servers), "sentinel_master": master, **more})
        return result, (result["class"], result["code"])

    def understood(self):
        """What a Sentinel may answer, and what is no answer."""
        one, two, three = ("10.0.0.1", 7, "master"), ("10.0.0.2", 7, "slave"), ("10.0.0.3", 7, "slave,s_down")
        both, well, unfit = ["10.0.0.1:7", "10.0.0.2:7"], ("ok", ""), ("permanent", "unfit")
        for servers, answers, outcome, text in (
                (both, (one, [two]), well, "names all"),
                # The primary changed between the two answers.
                (both, (one, [two, one]), well, "names all"),
                (both, (one, [two, three]), unfit, "knows 10.0.0.3:7 (down), not named"),
                (both, (one, [("10.0.0.%d" % i, 7, "slave") for i in range(1, 80)]), unfit, "10.0.0.5:7 and more, not"),
                (both, (("10.0.0.1", 8, ""), [two]), unfit, "10.0.0.1:8"),
                (["[fd::1]:7", "10.0.0.2:7"], (("fd:0::1", 7, ""), [two]), well, "names all"),
                # By name, where names are what it announces.
                (["REDIS1.invalid:7", "10.0.0.2:7"], (("redis1.invalid", 7, ""), [two]), well, "names all"),
                (both, (one, [two, ("redis3.invalid", 7, "")]), unfit, "redis3.invalid:7"),
                # One of them is never connected to.
                (["localhost:7", "10.0.0.2:7"], (("127.0.0.1", 7, ""), [two, ("localhost", 7, "")]), unfit,
                 "names localhost:7, which is several"),
                (both, (b"-NOAUTH Authentication required.\r\n",), ("permanent", "noauth"), "wants a login"),
                (both, (b"-WRONGPASS no\r\n",), ("permanent", "wrongpw"), "WRONGPASS"),
                (both, (b"-LOADING it\r\n",), ("unreach", "loading"), "loading"),
                (both, (b"+PONG\r\n",), ("permanent", "protocol"), "SENTINEL MASTER is not understood"),
                (both, (one, b"+PONG\r\n"), ("permanent", "protocol"), "SENTINEL REPLICAS is not understood"),
                (both, (one,), ("unreach", "timeout"), "no answer"),
                (both, (b"HTTP/1.1 200 OK\r\n",), ("unreach", "protocol"), "")):
            short = {"statement_timeout_ms": 300} if outcome[1] == "timeout" else {}
            result, got = self.asked(servers, Canned(*answers).port, **short)
            equal(got, outcome, result["text"])
            contains(result["text"], text)

    def compared(self):
        """One Sentinel's answer about several lists of servers, each in a worker."""
        names, one = self.group.names, self.group.sentinels[0]
        lost = "the Sentinel knows %s, not named in hosts=" % names[2]
        for servers, port, master, outcome, text in (
                (names, one.port, MASTER, ("ok", ""), "names all"),
                ([n.replace("127.0.0.1", "localhost") for n in names], one.port, MASTER, ("ok", ""), "names all"),
                (names + ["127.0.0.1:1"], one.port, MASTER, ("ok", ""), "names all"),
                (names[:2], one.port, MASTER, ("permanent", "unfit"), lost),
                (names[:2] + ["nowhere.invalid:1"], one.port, MASTER, ("unreach", "resolve"), "nowhere.invalid:1"),
                (names, one.port, "other", ("permanent", "nomaster"), "'other'"),
                (names, self.group.ports[1], MASTER, ("permanent", "command"), "no Sentinel"),
                (names, 1, MASTER, ("unreach", "connect"), "no connection")):
            result, got = self.asked(servers, port, master)
            equal(got, outcome, result["text"])
            contains(result["text"], text)
            alone = ["hosts= names 127.0.0.1:1, which the Sentinel does not know"]
            equal(result["findings"], alone if "127.0.0.1:1" in servers else [], "what only hosts= names")
        # Only asked, and sent nothing.
        result, got = self.asked(names, one.port, op="apply", account="a", public_part=sha256("x"),
                                 logins={"admin": ("keyturn", self.value())})
        equal(got, ("permanent", "step"), result["text"])

    def protected(self):
        """A Sentinel behind TLS is believed as a server of the target would be."""
        with Redis(tls=True) as mine, Redis(tls=True) as other, Sentinel(MASTER, self.servers[0], mine) as sentinel:
            wait_for("it to know all", lambda: sentinel.known() == set(self.group.ports))
            with open(mine.ca) as a, open(other.ca) as b:
                ca, strange = a.read(), b.read()
            for more, outcome in (({"sslmode": "verify-full", "ca": ca}, ("ok", "")),
                                  ({"sslmode": "verify-full", "ca": strange}, ("unreach", "tls")),
                                  ({"sslmode": "verify-full", "ca": ca, "host": "localhost"}, ("unreach", "tls")),
                                  ({"sslmode": "disable"}, ("unreach", "closed"))):
                result, got = self.asked(self.group.names, sentinel.port, **more)
                equal(got, outcome, result["text"])

    def left_out(self):
        """A server that the Sentinels know and hosts= does not: nothing is changed, and it is named."""
        secret = self.secret("lost")
        self.target(hosts=self.group.names[:2])
        run = secret.rotate()
        answer = self.check()
        equal((run["state"], secret.current()), ("cancelled", 1), story(run))
        contains(story(run), self.group.names[2])
        equal(answer["ok"], False, answer)
        contains(answer["steps"][-1]["text"], self.group.names[2])
        contains(answer["next"], "secretctl target set caches hosts=")
        equal(secret.at_each(1), "AAA", "the old one at each")
        # The others still answer where one is away.
        self.group.sentinels[0].stop()
        self.target(hosts=self.group.names)
        answer = self.check()
        equal(answer["ok"], True, answer)
        contains(answer["steps"][-1]["text"], "127.0.0.1:%d" % self.group.sentinels[1].port)
        secret.done()
        self.turned_over(secret)
        self.group.sentinels[0].start()

    def away(self):
        """A replica dies with the change on its way: nobody gets the new one before it has it."""
        secret = self.secret("late")
        held = self.proxy.hold(SETS)
        run_id = secret.start()
        held.wait_until_there()
        self.servers[2].stop()
        held.go_on()
        secret.said(run_id, self.group.names[2], "done at " + self.group.names[0])
        run = secret.run(run_id)
        equal((run["state"], secret.current()), ("applying", 1), story(run))
        equal([s.login("late", secret.first) for s in self.servers[:2]], ["A", "A"], "the old one")
        self.servers[2].start()
        secret.ends(run_id, "done")
        self.turned_over(secret)

    def turned_over(self, secret):
        equal((secret.at_each(2), secret.at_each(1)), ("AAA", "RRR"), "the new one and the old one at each")
        for server in self.servers:
            equal(server.hashes(secret.name), [sha256(secret.version(2)[1])], "all that is accepted")

    def unsaved(self):
        """A replica starts again with the users that it had before the change, as one that did not save it."""
        secret = self.secret("unsaved")
        replica = self.servers[1]
        shutil.copy(replica.acl, replica.acl + ".before")
        run_id = secret.held()
        replica.stop()
        shutil.copy(replica.acl + ".before", replica.acl)
        replica.start()
        equal(secret.at_each(2), "ARA", "the new one at each after the restart")
        secret.ends(run_id, "done")
        self.turned_over(secret)

    def killed(self):
        """The primary dies before the old one is ended: a replica takes over, and nothing is called dead before the old
        primary is back and refuses it, too."""
        secret = self.secret("killed")
        run_id = secret.held()
        primary = self.servers[self.group.roles().index("master")]
        at = self.servers.index(primary)
        others = [s for s in self.servers if s is not primary]
        # After a failover Sentinels leave the same primary alone for twice its time limit, three minutes of their own.
        for name, value in (("down-after-milliseconds", "2000"), ("failover-timeout", "10000")):
            for sentinel in self.group.sentinels:
                equal(sentinel.say("SENTINEL", "SET", MASTER, name, value), "OK", "SENTINEL SET")
        primary.stop()
        wait_for("another primary", lambda: any(s.root("ROLE").startswith("master") for s in others), 90)
        secret.version(2)
        # Only a proof at each lets it end the old one anywhere.
        secret.said(run_id, self.group.names[at])
        equal((secret.run(run_id)["state"], [s.login("killed", secret.first) for s in others]), ("revoking", ["A", "A"]),
              "while the old primary is away")
        primary.start()
        secret.ends(run_id, "done")
        self.turned_over(secret)
        wait_for("the old primary to be a replica", lambda: primary.root("ROLE").startswith("slave"), 90)

    def failover(self):
        """The roles change between the new one and the end of the old one."""
        secret = self.secret("moved")
        run_id = secret.held()
        self.group.fail_over()
        secret.version(2)
        secret.ends(run_id, "done")
        self.turned_over(secret)


def main():
    everything = "--all" in sys.argv
    report = Report(next((a for a in sys.argv[1:] if a != "--all"), ""))
    proxies = []

    def announced(port):
        proxies.append(CutProxy(port))
        return proxies[0].port
    with RedisGroup(announced=announced) as group, Vault() as vault:
        vault.ready()
        test = Test(vault, group, proxies[0])
        cases = [("a list is compared with what a Sentinel knows", test.compared),
                 ("what a Sentinel may answer", test.understood),
                 ("a server that Sentinels know is left out", test.left_out),
                 ("a replica is away when it is to get the new one", test.away),
                 ("a replica starts again without what it did not save", test.unsaved),
                 ("the roles change in the middle", test.failover)]
        if everything:
            cases += [("a Sentinel behind TLS", test.protected),
                      ("the primary dies in the middle", test.killed)]
        for name, case in cases:
            report.case(name, case)
    report.end()


if __name__ == "__main__":
    main()
