"""A real PostgreSQL server in a folder of its own, for tests and for the demonstration.

    with Postgres() as pg:                      # initdb, start on 127.0.0.1 and a socket folder
        pg.psql("CREATE ROLE app LOGIN")        # as the superuser, over the socket, without a password
        rows = pg.rows("SELECT 1, 'x'")         # [["1", "x"]]
        mark = pg.mark()
        pg.hba("host all all 127.0.0.1/32 trust")
        print(pg.log_since(mark))

Everything a server logs with log_statement=all is in pg.log(). Nothing sleeps: starting and stopping
wait with `pg_ctl -w`, hba() until new connections see the new lines. The server runs as the system
user postgres when this process is root, as this user otherwise. Its folder is removed at the end,
also when the script ends by an exception; keep=True leaves server and folder.
"""

import atexit
import glob
import os
import pwd
import shutil
import subprocess
import tempfile
import time

from keyturn import free_port

HBA = [
    "host all all 127.0.0.1/32 scram-sha-256",
    "host all all ::1/128 scram-sha-256",
    "local all all scram-sha-256",
]

SETTINGS = {
    "log_statement": "all",
    "log_connections": "on",
    "log_min_messages": "info",
    "log_line_prefix": "'%m [%p] %u@%d %a '",
    "password_encryption": "scram-sha-256",
    "max_connections": "100",
    "shared_buffers": "16MB",
    "fsync": "off",  # a test that pulls the plug sets it on
}


def bin_folder():
    """The newest server on this machine."""
    found = glob.glob("/usr/lib/postgresql/*/bin/pg_ctl")
    if not found:
        raise RuntimeError("no PostgreSQL server found: apt-get install postgresql")
    newest = max(found, key=lambda path: float(path.split("/")[4]))
    return os.path.dirname(newest)


class PostgresError(Exception):
    pass


class Postgres:
    def __init__(self, settings=None, hba=None, tls=False, keep=False, parent="/tmp"):
        self.bin = bin_folder()
        self.settings = {**SETTINGS, **(settings or {})}
        self.tls = tls
        self.keep = keep
        self.user = "postgres" if os.geteuid() == 0 else pwd.getpwuid(os.geteuid()).pw_name
        self.folder = tempfile.mkdtemp(prefix="keyturn-pg.", dir=parent)
        self.data = os.path.join(self.folder, "data")
        self.socket_folder = os.path.join(self.folder, "run")
        self.log_path = os.path.join(self.folder, "log")
        self.ca = os.path.join(self.folder, "ca.pem")
        self.host = "127.0.0.1"
        self.port = 0
        self.running = False
        self._hba = list(hba if hba is not None else HBA)
        atexit.register(self.remove)
        try:
            self._initdb()
        except BaseException:
            self.remove()
            raise

    # ---- life ------------------------------------------------------------------------------------

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *_):
        self.remove()

    def _as_server(self, *argv, check=True, timeout=120):
        if os.geteuid() == 0:
            argv = ("runuser", "-u", self.user, "--", *argv)
        done = subprocess.run(argv, cwd="/", stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, text=True, errors="replace",
                              timeout=timeout, check=False)
        if check and done.returncode != 0:
            raise PostgresError(f"{' '.join(argv)}: {done.stdout}")
        return done

    def _own(self, path, mode):
        os.chmod(path, mode)
        if os.geteuid() == 0:
            entry = pwd.getpwnam(self.user)
            os.chown(path, entry.pw_uid, entry.pw_gid)

    def _initdb(self):
        self._own(self.folder, 0o755)
        os.mkdir(self.socket_folder)
        self._own(self.socket_folder, 0o755)
        self._as_server(os.path.join(self.bin, "initdb"), "-D", self.data, "-U", "postgres",
                        "--auth-local=peer", "--auth-host=scram-sha-256", "--no-sync",
                        "--encoding=UTF8", "--locale=C")
        self._write("pg_ident.conf", "keyturn root postgres\nkeyturn postgres postgres\n"
                    f"keyturn {self.user} postgres\n")
        if self.tls:
            self._make_certificates()

    def _write(self, name, text):
        path = os.path.join(self.data, name)
        fresh = path + ".new"
        with open(fresh, "w", encoding="utf-8") as out:
            out.write(text)
        self._own(fresh, 0o600)
        os.rename(fresh, path)

    def _make_certificates(self):
        """A CA (pg.ca) and a certificate for localhost and 127.0.0.1."""
        def openssl(*argv):
            subprocess.run(("openssl", *argv), cwd=self.folder, check=True,
                           stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
                "-keyout", "ca.key", "-out", "ca.pem", "-days", "2", "-subj", "/CN=keyturn test CA")
        openssl("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout",
                "server.key", "-out", "server.csr", "-subj", "/CN=localhost")
        with open(os.path.join(self.folder, "ext"), "w", encoding="utf-8") as out:
            out.write("subjectAltName=DNS:localhost,IP:127.0.0.1\n")
        openssl("x509", "-req", "-in", "server.csr", "-CA", "ca.pem", "-CAkey", "ca.key",
                "-CAcreateserial", "-out", "server.pem", "-days", "2", "-extfile", "ext")
        for name in ("server.key", "server.pem"):
            self._own(os.path.join(self.folder, name), 0o600)
        os.chmod(self.ca, 0o644)
        self.settings.update({"ssl": "on",
                              "ssl_cert_file": f"'{self.folder}/server.pem'",
                              "ssl_key_file": f"'{self.folder}/server.key'"})

    def show(self, crt, key):
        """TLS with this certificate and key, from now on; None: with none."""
        files = {"ssl_cert_file": crt, "ssl_key_file": key}
        for setting, path in files.items() if crt else ():
            copy = os.path.join(self.folder, setting)
            shutil.copy(path, copy)
            self._own(copy, 0o600)
            self.settings[setting] = f"'{copy}'"
        self.set(ssl="on" if crt else "off")

    def _configure(self):
        lines = {"listen_addresses": "'127.0.0.1'", "port": str(self.port),
                 "unix_socket_directories": f"'{self.socket_folder}'",
                 "logging_collector": "off", **self.settings}
        self._write("postgresql.auto.conf", "".join(f"{k} = {v}\n" for k, v in lines.items()))
        self._write_hba()

    def _write_hba(self):
        first = "local all postgres peer map=keyturn"
        self._write("pg_hba.conf", "\n".join([first, *self._hba]) + "\n")

    def _pg_ctl(self, *argv, check=True):
        return self._as_server(os.path.join(self.bin, "pg_ctl"), "-D", self.data, "-t", "60", *argv,
                               check=check)

    def start(self):
        """On the port it had, or a free one; another is tried when somebody was faster."""
        for attempt in range(5):
            if self.port == 0 or attempt > 0:
                self.port = free_port()
            self._configure()
            mark = self.mark()
            done = self._pg_ctl("-w", "-l", self.log_path, "start", check=False)
            if done.returncode == 0:
                self.running = True
                return
            said = self.log_since(mark)
            if "Address already in use" not in said:
                raise PostgresError(f"{done.stdout}\n{said}")
        raise PostgresError("no free port found")

    def stop(self, mode="fast"):
        """mode: smart, fast, immediate (as a crash)."""
        if self.running:
            self.running = False
            self._pg_ctl("-w", "-m", mode, "stop")

    def restart(self, mode="fast"):
        self.stop(mode)
        self.start()

    def set(self, **settings):
        """Settings that a reload is enough for."""
        self.settings.update(settings)
        self._configure()
        self.reload()

    def reload(self):
        """Until new connections have the new settings."""
        before = self.rows("SELECT pg_conf_load_time()")
        self._pg_ctl("reload")
        deadline = time.monotonic() + 30
        while self.rows("SELECT pg_conf_load_time()") == before:
            if time.monotonic() > deadline:
                raise PostgresError("the server did not reload its settings")

    def hba(self, *lines):
        """The lines of pg_hba.conf behind the superuser's own; none: the default ones."""
        self._hba = list(lines or HBA)
        self._write_hba()
        self.reload()

    def remove(self):
        atexit.unregister(self.remove)
        if self.keep:
            return
        try:
            if self.running or os.path.exists(os.path.join(self.data, "postmaster.pid")):
                self.running = False
                self._pg_ctl("-w", "-m", "immediate", "stop", check=False)
        finally:
            shutil.rmtree(self.folder, ignore_errors=True)

    # ---- statements ------------------------------------------------------------------------------

    def environment(self):
        return {"PATH": os.environ.get("PATH", "/usr/bin:/bin"), "PGCONNECT_TIMEOUT": "20",
                "LC_ALL": "C.UTF-8"}

    def psql(self, sql, db="postgres", user="postgres", password=None, check=True):
        """Runs statements; as the superuser over the socket, or as a user with a password over TCP.
        The completed process: returncode, stdout, stderr."""
        env = self.environment()
        if password is not None:
            env["PGPASSWORD"] = password
        host = self.socket_folder if user == "postgres" else self.host
        done = subprocess.run([os.path.join(self.bin, "psql"), "-XqAt", "-F", "\t", "-v",
                               "ON_ERROR_STOP=1", "-v", "VERBOSITY=verbose", "-w", "-h", host, "-p",
                               str(self.port), "-U", user, "-d", db, "-f", "-"], input=sql, env=env,
                              capture_output=True, text=True, errors="replace", timeout=60,
                              check=False)
        if check and done.returncode != 0:
            raise PostgresError(f"psql as {user}: {done.stderr.strip()}")
        return done

    def rows(self, sql, **how):
        return [line.split("\t") for line in self.psql(sql, **how).stdout.splitlines()]

    def accepts(self, user, password, db="postgres"):
        """Can this user log in with this password? Errors other than a refusal raise."""
        done = self.psql("SELECT 1", db=db, user=user, password=password, check=False)
        if done.returncode == 0:
            return True
        if "authentication failed" in done.stderr or "not permitted to log in" in done.stderr:
            return False
        raise PostgresError(done.stderr.strip())

    # ---- the server's log ------------------------------------------------------------------------

    def log(self):
        return self.log_since(0)

    def mark(self):
        return os.path.getsize(self.log_path) if os.path.exists(self.log_path) else 0

    def log_since(self, mark):
        if not os.path.exists(self.log_path):
            return ""
        with open(self.log_path, "rb") as log:
            log.seek(mark)
            return log.read().decode("utf-8", "replace")
