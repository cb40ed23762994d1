"""A real Redis server in a folder of its own, for tests.

    with Redis() as redis:                   # an ACL file, 127.0.0.1, no default user
        redis.least_privilege("app's password")
        redis.root("ACL", "LIST")            # as the test's administrator
        redis.login("app", "app's password") # "A", "R" or the server's words
"""

import hashlib
import os
import re
import secrets
import shutil
import subprocess
import threading

from keyturn import ROOT, wait_for
from pki import openssl
from server import Server

LEAST_PRIVILEGE = os.path.join(ROOT, "docs/redis-least-privilege.txt")


def sha256(password):
    return hashlib.sha256(password.encode()).hexdigest()


class RedisError(Exception):
    pass


class Redis(Server):
    """aclfile: where users are written down ("acl", "config", or "" for nowhere)."""

    def __init__(self, users="acl", tls=False, settings=None):
        super().__init__("redis")
        self.users, self.tls, self.settings = users, tls, dict(settings or {})
        self.ca = os.path.join(self.folder, "ca.pem")
        self.acl = os.path.join(self.folder, "users.acl")
        self.config = os.path.join(self.folder, "redis.conf")
        self.root_password = secrets.token_hex(16)
        self.admin_password = secrets.token_hex(16)
        self.rewrite()

    def rewrite(self):
        """The files, as what it is now says; before it was started."""
        root = "user root on #%s ~* &* +@all" % sha256(self.root_password)
        lines = ["bind 127.0.0.1", "dir " + self.folder, 'save ""', "logfile " + self.log_path,
                 "loglevel verbose"]
        if self.tls:
            self._certificate()
            lines += ["port 0", "tls-port %d" % self.port, "tls-auth-clients no",
                      "tls-ca-cert-file " + self.ca, "tls-cert-file %s/server.pem" % self.folder,
                      "tls-key-file %s/server.key" % self.folder]
        else:
            lines += ["port %d" % self.port]
        if self.users == "acl":
            lines.append("aclfile " + self.acl)
            with open(self.acl, "w") as f:
                f.write("user default off\n%s\n" % root)
        else:
            lines += ["user default off", root]
        lines += ["%s %s" % pair for pair in self.settings.items()]
        with open(self.config, "w") as f:
            f.write("\n".join(lines) + "\n")

    def _certificate(self):
        base = os.path.join(self.folder, "server")
        openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days",
                "2", "-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1", "-keyout",
                base + ".key", "-out", base + ".pem")
        shutil.copy(base + ".pem", self.ca)

    # ---- life ----

    def start(self):
        # Debian's redis-tools has the server under another name: what it is follows from the name it is
        # called by. The package redis-server would start one of its own.
        server = shutil.which("redis-server") or shutil.which("redis-check-rdb")
        argv = ["redis-server", self.config]
        if self.users == "":  # from its standard input: no file that it could write again
            argv = ["redis-server", "-"]
        with open(self.config) as config:
            self.run(argv, executable=server, stdin=config)

    def answers(self):
        try:
            return self.root("PING") == "PONG"
        except RedisError:
            return False

    # ---- redis-cli ----

    def argv(self, user):
        tls = ["--tls", "--cacert", self.ca] if self.tls else []
        return ["redis-cli", "-h", "127.0.0.1", "-p", str(self.port), "--user", user, *tls]

    def cli(self, user, password, *words, input=None):
        """What redis-cli says; the password is in the environment, as its manual has it."""
        done = subprocess.run([*self.argv(user), *words], input=input, capture_output=True, text=True,
                              timeout=60, check=False, env={**os.environ, "REDISCLI_AUTH": password})
        return (done.stdout + done.stderr).strip()

    def root(self, *words, input=None):
        said = self.cli("root", self.root_password, *words, input=input)
        if re.search(r"^(\(error\)|ERR|WRONGPASS|NOAUTH|NOPERM|Could not)", said, re.M):
            raise RedisError(said)
        return said

    def login(self, user, password):
        said = self.cli(user, password, "PING")
        if "WRONGPASS" in said:
            return "R"
        return "A" if said == "PONG" else said

    def least_privilege(self, app_password):
        """The users of docs/redis-least-privilege.txt, by its own commands."""
        with open(LEAST_PRIVILEGE) as f:
            commands = "".join(line[2:] for line in f if line.startswith("+ "))
        commands = commands.replace("ADMIN_HASH", sha256(self.admin_password))
        self.root(input=commands.replace("APP_HASH", sha256(app_password)))
        if self.users:
            self.root("ACL", "SAVE") if self.users == "acl" else self.root("CONFIG", "REWRITE")

    def hashes(self, user):
        """What the account accepts."""
        for line in self.root("ACL", "LIST").splitlines():
            if line.startswith("user %s " % user):
                return sorted(word[1:] for word in line.split() if word.startswith("#"))
        return None


class Sentinel(Server):
    """That watches a Redis and its replicas by the login root, which they have in common. certified: a Redis with
    TLS, whose certificate it shows, too."""

    def __init__(self, master, primary, certified=None):
        super().__init__("sentinel")
        self.master, self.primary = master, primary
        self.config = os.path.join(self.folder, "sentinel.conf")
        self.way = ["port %d" % self.port]
        self.tls = [] if certified is None else ["--tls", "--cacert", certified.ca]
        if certified:
            self.way = ["port 0", "tls-port %d" % self.port, "tls-auth-clients no", "tls-ca-cert-file " + certified.ca,
                        "tls-cert-file %s/server.pem" % certified.folder, "tls-key-file %s/server.key" % certified.folder]

    def start(self):
        if not os.path.exists(self.config):  # it writes there what it learns
            with open(self.config, "w") as f:
                f.write("bind 127.0.0.1\n%s\ndir %s\nsentinel monitor %s 127.0.0.1 %d 2\n"
                        "sentinel auth-user %s root\nsentinel auth-pass %s %s\n" % (
                            "\n".join(self.way), self.folder, self.master, self.primary.port, self.master, self.master,
                            self.primary.root_password))
        server = shutil.which("redis-server") or shutil.which("redis-check-rdb")
        self.run(["redis-sentinel", self.config], executable=server)

    def say(self, *words):
        done = subprocess.run(["redis-cli", "-h", "127.0.0.1", "-p", str(self.port), *self.tls, *words],
                              capture_output=True, text=True, timeout=60, check=False)
        return (done.stdout + done.stderr).strip()

    def answers(self):
        return self.say("PING") == "PONG"

    def known(self):
        """The ports of the servers that it knows."""
        lines = (self.say("SENTINEL", "MASTER", self.master) + "\n" +
                 self.say("SENTINEL", "REPLICAS", self.master)).splitlines()
        return {int(lines[i + 1]) for i, line in enumerate(lines) if line == "port"}


class Monitor:
    """Everything that MONITOR shows while this is open."""

    def __init__(self, redis):
        self.redis = redis
        self.lines = []

    def __enter__(self):
        self.process = subprocess.Popen([*self.redis.argv("root"), "MONITOR"], stdout=subprocess.PIPE,
                                        text=True, env={**os.environ,
                                                        "REDISCLI_AUTH": self.redis.root_password})
        self.thread = threading.Thread(target=lambda: self.lines.extend(self.process.stdout))
        first = self.process.stdout.readline()
        if "OK" not in first:
            raise RedisError("MONITOR: " + first)
        self.thread.start()
        return self

    def __exit__(self, *_):
        mark = secrets.token_hex(8)
        self.redis.root("ECHO", mark)
        wait_for("MONITOR to show what came before", lambda: any(mark in line for line in self.lines))
        self.process.terminate()
        self.thread.join(60)
        self.process.wait(60)

    def text(self):
        return "".join(self.lines)
