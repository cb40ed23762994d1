"""Redis servers that are one target, whose users are not replicated, and a secret that all of them have.

    test.servers = [Redis(), Redis()]
    secret = SharedSecret(test, "one")              # of the user "one" at target "pair"
    secret.at_each(2)                               # "AR": accepted at the first, refused at the second

    with RedisGroup() as group:                     # a primary, two replicas, three Sentinels
        group.servers, group.sentinels
        group.fail_over()                           # the second one is the primary
"""
from driven import Driven
from keyturn import wait_for
from redis import Redis, Sentinel, sha256

MASTER = "caches"


class SharedSecret(Driven):
    """A secret of one user that all servers have."""

    def __init__(self, test, name, strategy="overlap", target="pair", **settings):
        super().__init__(test, "db/" + name)
        self.name, self.servers = name, test.servers
        self.first = test.value()
        for server in self.servers:
            self.made(server, name, self.first)
        accounts = [name]
        if strategy == "alternate":
            accounts.append(name + "_b")
            for server in self.servers:
                self.made(server, name + "_b", None)
        self.begin({"username": name, "password": self.first}, target=target, strategy=strategy, accounts=accounts,
                   **settings)

    @staticmethod
    def made(server, name, password):
        server.root("ACL", "SETUSER", name, *(["on", "#" + sha256(password)] if password else ["off"]), "~*", "+@all",
                    "-@admin")
        server.root("ACL", "SAVE")

    def at_each(self, number):
        """What the servers say to a version, in their order: "AR" """
        return "".join(server.login(*self.version(number)) for server in self.servers)

    def current(self):
        return self.vault.ok("GET", "secret/data/" + self.inner).data["metadata"]["version"]

    def put_back(self, server):
        """As from a backup: the first password, and nothing else."""
        server.root("ACL", "SETUSER", self.name, "resetpass", "#" + sha256(self.first))
        server.root("ACL", "SAVE")

    def said(self, run_id, *words):
        """Waits for a step whose text has the words."""
        def look():
            texts = [s["text"] for s in self.run(run_id)["steps"]]
            return any(all(word in text for word in words) for text in texts) or None
        wait_for("a step that says %s" % (words,), look, 60)


class RedisGroup:
    """Three Redis with one administrative and one root login, and Sentinels that watch them. What replicas are
    announced as can be another port: a proxy's, before the last one."""

    def __init__(self, n_sentinels=3, announced=None):
        self.servers = [Redis() for _ in range(3)]
        primary = self.servers[0]
        for server in self.servers:
            server.root_password, server.admin_password = primary.root_password, primary.admin_password
            server.settings = {"masteruser": "root", "masterauth": primary.root_password,
                               "repl-diskless-sync-delay": 0}
            server.rewrite()
        self.ports = [server.port for server in self.servers]
        if announced:
            self.ports[2] = announced(self.servers[2].port)
        for server, port in list(zip(self.servers, self.ports))[1:]:
            server.settings.update({"replicaof": "127.0.0.1 %d" % primary.port, "replica-announce-port": port,
                                    "replica-priority": 100 if port == server.port else 0})
            server.rewrite()
        self.sentinels = [Sentinel(MASTER, primary) for _ in range(n_sentinels)]

    def __enter__(self):
        for server in self.servers:
            server.start()
        wait_for("the replicas to be there", lambda: self.replicas(self.servers[0]) == 2)
        for sentinel in self.sentinels:
            sentinel.start()
            wait_for("a Sentinel to know all", lambda s=sentinel: s.known() == set(self.ports))
        return self

    def __exit__(self, *_):
        for server in self.sentinels + self.servers:
            server.remove()

    @staticmethod
    def replicas(server):
        return server.root("INFO", "replication").count("state=online")

    @property
    def names(self):
        return ["127.0.0.1:%d" % port for port in self.ports]

    def roles(self):
        return [server.root("ROLE").splitlines()[0] for server in self.servers]

    def fail_over(self):
        """By a Sentinel, as it would do when the primary does not answer any more. The old primary hears of it 8 s
        later."""
        # It refuses (NOGOODSLAVE) until it is connected again to a replica that was restarted.
        wait_for("a failover", lambda: self.sentinels[0].say("SENTINEL", "FAILOVER", MASTER) == "OK", 60)
        wait_for("the other primary", lambda: self.roles()[1:] == ["master", "slave"], 60)
