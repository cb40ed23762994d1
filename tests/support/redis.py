"""A real Redis server in a folder of its own, for tests.

    with Redis() as redis:                   # an ACL file, 127.0.0.1, no default user
        redis.least_privilege("app's password")
        redis.root("ACL", "LIST")            # as the test's administrator
        redis.login("app", "app's password") # "A", "R" or the server's words

Nothing sleeps: starting waits until the server answers. Its folder is removed at the end.
"""

import atexit
import hashlib
import os
import re
import secrets
import shutil
import socket
import subprocess
import tempfile
import threading

from keyturn import ROOT, wait_for
from pki import openssl

LEAST_PRIVILEGE = os.path.join(ROOT, "docs/redis-least-privilege.txt")
_held = []


def free_port():
    """Bound, never listening: nobody gets it by chance, and Redis may still listen there."""
    s = socket.socket()
    s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    s.bind(("127.0.0.1", 0))
    _held.append(s)
    return s.getsockname()[1]


def sha256(password):
    return hashlib.sha256(password.encode()).hexdigest()


class RedisError(Exception):
    pass


class Redis:
    """aclfile: where users are written down ("acl", "config", or "" for nowhere)."""

    def __init__(self, users="acl", tls=False, settings=None):
        self.users, self.tls, self.settings = users, tls, dict(settings or {})
        self.folder = tempfile.mkdtemp(prefix="keyturn-redis.")
        os.chmod(self.folder, 0o700)
        self.port = free_port()
        self.ca = os.path.join(self.folder, "ca.pem")
        self.acl = os.path.join(self.folder, "users.acl")
        self.config = os.path.join(self.folder, "redis.conf")
        self.log_path = os.path.join(self.folder, "log")
        self.root_password = secrets.token_hex(16)
        self.admin_password = secrets.token_hex(16)
        self.process = None
        atexit.register(self.remove)
        self._write()

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *_):
        self.remove()

    def _write(self):
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
        with open(self.config) as config, open(os.path.join(self.folder, "out"), "a") as out:
            self.process = subprocess.Popen(argv, executable=server, stdin=config, stdout=out, stderr=out)
        wait_for("redis-server to answer", self._answers, 60)

    def _answers(self):
        if self.process.poll() is not None:
            raise RedisError("redis-server ended: " + self.log())
        try:
            return self.root("PING") == "PONG"
        except RedisError:
            return False

    def stop(self):
        if self.process is not None and self.process.poll() is None:
            self.process.kill()
        if self.process is not None:
            self.process.wait(60)
        self.process = None

    def restart(self):
        """As after a crash: nothing is written on the way."""
        self.stop()
        self.start()

    def remove(self):
        self.stop()
        shutil.rmtree(self.folder, ignore_errors=True)

    def log(self):
        if not os.path.exists(self.log_path):
            return ""
        with open(self.log_path, errors="replace") as f:
            return f.read()

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
