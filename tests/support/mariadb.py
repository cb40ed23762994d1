"""A real MariaDB server in a folder of its own, for tests.

    with MariaDB() as db:                       # mariadb-install-db, start on 127.0.0.1 and a socket
        db.sql("CREATE DATABASE orders")        # as root, over the socket, without a password
        rows = db.rows("SELECT 1, 'x'")         # [["1", "x"]]
        db.accepts("app_a", "secret")           # True, False; anything else raises

Every statement is in db.log() (the general log). Nothing sleeps: starting waits until the server
answers, stopping until its process has ended. It runs as this user; where that is root, as the system
user nobody. Its folder is removed at the end, also when the script ends by an exception.
"""

import atexit
import glob
import hashlib
import os
import pwd
import shutil
import subprocess
import tempfile
import threading
import time

from keyturn import free_port


def native_hash(password):
    return "*" + hashlib.sha1(hashlib.sha1(password.encode()).digest()).hexdigest().upper()


class MariaDBError(Exception):
    pass


class MariaDB:
    def __init__(self, tls=False, options=(), parent="/tmp"):
        plugins = os.environ.get("KT_MARIADB_PLUGINS", "/usr/lib/mysql/plugin")
        self.user = "nobody" if os.geteuid() == 0 else pwd.getpwuid(os.geteuid()).pw_name
        self.folder = tempfile.mkdtemp(prefix="keyturn-maria.", dir=parent)
        self.data = os.path.join(self.folder, "data")
        self.socket = os.path.join(self.folder, "mysqld.sock")
        self.log_path = os.path.join(self.folder, "general.log")
        self.error_path = os.path.join(self.folder, "error.log")
        self.ca = os.path.join(self.folder, "ca.pem")
        self.tls, self.options = tls, [f"--plugin-dir={plugins}", *options]
        self.port, self.process, self.files = 0, None, 0
        atexit.register(self.remove)
        try:
            self._own(self.folder, 0o755)
            done = subprocess.run(
                ["mariadb-install-db", "--no-defaults", f"--datadir={self.data}",
                 f"--user={self.user}", "--auth-root-authentication-method=socket",
                 "--skip-test-db", "--force"], cwd="/", env=self.environment, stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=120, check=False)
            if done.returncode != 0:
                raise MariaDBError(done.stdout)
            if tls:
                self._make_certificates()
        except BaseException:
            self.remove()
            raise

    @property
    def environment(self):
        """A server that starts removes temporary tables of others that it finds in a folder they share."""
        return {**os.environ, "TMPDIR": self.folder}

    # ---- life ------------------------------------------------------------------------------------

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *_):
        self.remove()

    def _own(self, path, mode):
        os.chmod(path, mode)
        if os.geteuid() == 0:
            entry = pwd.getpwnam(self.user)
            os.chown(path, entry.pw_uid, entry.pw_gid)

    def _make_certificates(self):
        """A CA (self.ca) and a certificate for localhost, but not for 127.0.0.1."""
        def openssl(*argv):
            subprocess.run(("openssl", *argv), cwd=self.folder, check=True,
                           stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
                "-keyout", "ca.key", "-out", "ca.pem", "-days", "2", "-subj", "/CN=keyturn test CA")
        openssl("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout",
                "server.key", "-out", "server.csr", "-subj", "/CN=localhost")
        with open(os.path.join(self.folder, "ext"), "w", encoding="utf-8") as out:
            out.write("subjectAltName=DNS:localhost\n")
        openssl("x509", "-req", "-in", "server.csr", "-CA", "ca.pem", "-CAkey", "ca.key",
                "-CAcreateserial", "-out", "server.pem", "-days", "2", "-extfile", "ext")
        for name in ("server.key", "server.pem"):
            self._own(os.path.join(self.folder, name), 0o600)
        os.chmod(self.ca, 0o644)
        self.options += [f"--ssl-cert={self.folder}/server.pem", f"--ssl-key={self.folder}/server.key"]

    def start(self):
        if self.port == 0:
            self.port = free_port()
        program = shutil.which("mariadbd") or "/usr/sbin/mariadbd"
        with open(self.error_path, "ab") as log:
            self.process = subprocess.Popen(
                [program, "--no-defaults", f"--datadir={self.data}", f"--user={self.user}",
                 "--bind-address=127.0.0.1", f"--port={self.port}", f"--socket={self.socket}",
                 f"--pid-file={self.folder}/pid", "--general-log=1",
                 f"--general-log-file={self.log_path}", "--innodb-buffer-pool-size=16M",
                 "--innodb-flush-log-at-trx-commit=2", "--log-bin", "--binlog-format=MIXED",
                 "--skip-name-resolve", *self.options],
                cwd="/", env=self.environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        deadline = time.monotonic() + 60
        while self.sql("SELECT 1", check=False).returncode != 0:
            if self.process.poll() is not None or time.monotonic() > deadline:
                with open(self.error_path, encoding="utf-8", errors="replace") as log:
                    raise MariaDBError("the server does not start: " + log.read()[-3000:])
            time.sleep(0.05)

    def stop(self, crash=False):
        if self.process is not None:
            (self.process.kill if crash else self.process.terminate)()
            self.process.wait(60)
            self.process = None

    def remove(self):
        atexit.unregister(self.remove)
        self.stop(crash=True)
        shutil.rmtree(self.folder, ignore_errors=True)

    # ---- statements ------------------------------------------------------------------------------

    def client(self, user, password, *more):
        """argv of the server's own client; the password is in an option file, never in argv."""
        self.files += 1
        path = os.path.join(self.folder, f"client.{self.files}.{threading.get_ident()}.cnf")
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as out:
            out.write(f'[client]\nuser="{user}"\npassword="{password}"\n')
        return ["mariadb", f"--defaults-file={path}", "-h", "127.0.0.1", "-P", str(self.port),
                "--protocol=tcp", "-BN", *more]

    def sql(self, statements, db=None, user=None, password=None, check=True):
        """As root over the socket, or as a user with a password over TCP: returncode, stdout, stderr."""
        argv = ["mariadb", "--no-defaults", "-S", self.socket, "-u", "root", "-BN"]
        if user is not None:
            argv = self.client(user, password)
        done = subprocess.run(argv + ([db] if db else []), input=statements, capture_output=True,
                              text=True, errors="replace", timeout=60, check=False)
        if check and done.returncode != 0:
            raise MariaDBError(f"{user or 'root'}: {done.stderr.strip()}")
        return done

    def rows(self, statements, **how):
        return [line.split("\t") for line in self.sql(statements, **how).stdout.splitlines()]

    def accepts(self, user, password, db=None):
        done = self.sql("SELECT 1", db=db, user=user, password=password, check=False)
        if done.returncode == 0:
            return True
        if "ERROR 1045" in done.stderr:
            return False
        raise MariaDBError(done.stderr.strip())

    # ---- what it wrote down ----------------------------------------------------------------------

    def log(self):
        with open(self.log_path, encoding="utf-8", errors="replace") as log:
            return log.read()

    def binlogs(self):
        """What replicas get, as it is in the files: statements stand there in clear."""
        texts = []
        for path in sorted(glob.glob(os.path.join(self.data, "*-bin.[0-9]*"))):
            with open(path, "rb") as log:
                texts.append(log.read().decode("utf-8", "replace"))
        return "".join(texts)
