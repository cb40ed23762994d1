#!/usr/bin/python3
"""Nothing leaks: no plain password of any version is in what PostgreSQL logs, keeps or shows, in what
our processes log, or in their command lines and environments.

    tests/integration/rotation_leaks.py ['part of a case name']

PostgreSQL logs every statement with its parameters and duration. The only places that may have a
value are the files that an agent was told to write and the environment of the program it started.
"""
import os
import subprocess
import sys
import threading
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
from keyturn import Report, equal  # noqa: E402
from rotation import Peek, Scene, make_postgres, story  # noqa: E402

OURS = ("vaultd", "vaultd-spawn", "vaultd-worker", "secret-agent", "secretctl")
SETTINGS = {"log_statement": "all", "log_min_duration_statement": "0", "log_duration": "on",
            "log_min_error_statement": "debug5", "log_parameter_max_length_on_error": "-1",
            "shared_preload_libraries": "'pg_stat_statements'", "pg_stat_statements.track": "all"}


def read(path):
    with open(path, "rb") as f:
        return f.read()


def name_of(pid):
    return read("/proc/%s/comm" % pid).decode().strip()


class Collector:
    """Remembers every value that the store ever has, what PostgreSQL shows of its sessions, and the
    command lines and environments of our processes, as often as it can look."""

    def __init__(self, scene, secrets):
        self.scene, self.secrets = scene, secrets
        self.values = {secret.first for secret in secrets} | {scene.admin[1]}
        self.activity, self.processes = set(), set()
        self.looks = 0
        self.error = None
        self.stopping = threading.Event()

    def __enter__(self):
        self.threads = [threading.Thread(target=self.work, args=(f,), daemon=True)
                        for f in (self.look_at_store, self.look_at_sessions, self.look_at_processes)]
        self.peek = Peek(self.scene.vault)
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self.stopping.set()
        for thread in self.threads:
            thread.join(30)
        self.look_at_store()
        self.peek.close()
        if self.error:
            raise self.error

    def work(self, look):
        try:
            while not self.stopping.is_set():
                look()
        except Exception as error:  # noqa: BLE001 - reported at the end
            self.error = error

    def look_at_store(self):
        for secret in self.secrets:
            for version in self.peek(self.scene.scope, secret.inner)["versions"]:
                if version.get("data"):
                    self.values.add(version["data"]["password"])
        time.sleep(0.01)

    def look_at_sessions(self):
        # One connection, hundreds of looks.
        sql = "select query from pg_stat_activity;\n" * 200
        self.activity.update(row[0] for row in self.scene.pg.rows(sql) if row)

    def look_at_processes(self):
        for pid in filter(str.isdigit, os.listdir("/proc")):
            try:
                if name_of(pid) not in OURS:
                    continue
                seen = [(name, read("/proc/%s/%s" % (pid, name))) for name in ("cmdline", "environ")]
                if name_of(pid) not in OURS:
                    continue  # it became the wanted program just now
                self.processes.update(seen)
                self.looks += 1
            except (FileNotFoundError, ProcessLookupError):
                continue
        time.sleep(0.005)


class Test:
    def __init__(self, scene, small):
        self.scene = scene
        prefix = "small" if small else "big"
        self.secrets = [scene.secret(prefix + "_a"),
                        scene.secret(prefix + "_b", strategy="in-place")]
        for secret in self.secrets:
            scene.agent(secret)
        # One more service, which gets its value in the environment of its program.
        self.env_agent = scene.agent(self.secrets[0], service="env", env="DB_PASSWORD")
        self.said = []

    def rotate(self):
        pg = self.scene.pg
        with Collector(self.scene, self.secrets) as self.collector:
            for secret in self.secrets:
                self.good(secret)
                self.bad(secret)
            if not self.scene.small:
                self.frozen(self.secrets[0])
                self.cancelled(self.secrets[0])
        self.dump = subprocess.run([os.path.join(pg.bin, "pg_dumpall"), "--roles-only", "-h",
                                    pg.socket_folder, "-p", str(pg.port), "-U", "postgres"],
                                   env=pg.environment(), capture_output=True, text=True,
                                   check=True).stdout
        self.statements = pg.psql("select query from pg_stat_statements", db="orders").stdout
        print("#   %d values, %d looks at processes, %d queries seen" % (
            len(self.collector.values), self.collector.looks, len(self.collector.activity)),
            flush=True)
        if len(self.collector.values) < 7:
            raise AssertionError("expected at least 7 values, got %d" % len(self.collector.values))

    def keep(self, run):
        vault = self.scene.vault
        self.said.append(str(run))
        self.said.append(vault.ctl("run", "show", run["id"]).stdout)
        if run["ended"]:
            self.said.append(str(vault.ok("GET", "rotation/runs/%s/report" % run["id"]).data))

    def good(self, secret):
        done = self.scene.vault.ctl("rotate", secret.path)
        self.said.append(done.stdout + done.stderr)
        run = secret.run(secret.runs()[0])
        equal(run["state"], "done", story(run))
        self.keep(run)

    def bad(self, secret):
        agent = secret.agents[0]
        agent.write("broken", str(secret.stored()["current"]))
        done = self.scene.vault.ctl("rotate", secret.path, check=False)
        equal(done.returncode, 2, "exit code")
        self.said.append(done.stdout + done.stderr)
        os.unlink(agent.path("broken"))
        self.keep(secret.run(secret.runs()[0]))

    def frozen(self, secret):
        """The administrative login is refused, then it is set again by hand."""
        self.scene.admin_password("another-" + self.scene.admin[1][::-1])
        done = self.scene.vault.ctl("rotate", secret.path, check=False)
        equal(done.returncode, 2, "exit code")
        self.said.append(done.stdout + done.stderr)
        self.scene.admin_password(self.scene.admin[1])
        again = self.scene.vault.ctl("target", "set", secret.target, "admin_password=-",
                                     input=self.scene.admin[1])
        self.said.append(again.stdout + again.stderr)
        self.scene.vault.ctl("run", "thaw", secret.runs()[0])
        self.keep(secret.run(secret.runs()[0]))

    def cancelled(self, secret):
        agent = secret.agents[0]
        agent.process.send_signal(19)  # stopped: it does not acknowledge
        run_id = secret.rotate()
        secret.reached(run_id, "acking")
        self.scene.vault.ctl("run", "cancel", run_id)
        agent.process.send_signal(18)
        run = secret.ended(run_id)
        equal(run["state"], "rolled_back", story(run))
        self.keep(run)

    # ---- where nothing may be ----

    def clean(self, what, text):
        data = text if isinstance(text, bytes) else text.encode()
        for value in self.collector.values:
            if value.encode() in data:
                at = data.index(value.encode())
                raise AssertionError("a password is in %s: ...%r" % (
                    what, data[max(0, at - 120):at] + b"***"))

    def postgres_log(self):
        text = self.scene.pg.log()
        for word in ("ALTER ROLE", "keyturn run=") if not self.scene.small else ("set_verifier",):
            if word not in text:
                raise AssertionError("PostgreSQL logged no %r: is it logging at all?" % word)
        self.clean("PostgreSQL's log", text)

    def postgres_shows(self):
        if not any("SCRAM" in q or "set_verifier" in q for q in self.collector.activity):
            raise AssertionError("no change was ever seen in pg_stat_activity")
        self.clean("pg_stat_activity", "\n".join(self.collector.activity))
        self.clean("pg_stat_statements", self.statements)
        self.clean("pg_dumpall --roles-only", self.dump)

    def postgres_keeps(self):
        """Catalogs and write-ahead log."""
        self.scene.pg.psql("checkpoint")
        self.folder("PostgreSQL's data", self.scene.pg.data)

    def folder(self, what, path):
        files = 0
        for where, _, names in os.walk(path):
            for name in names:
                try:
                    self.clean("%s (%s)" % (what, name), read(os.path.join(where, name)))
                    files += 1
                except FileNotFoundError:
                    continue
        if files < 3:
            raise AssertionError("only %d files in %s" % (files, path))

    def our_logs(self):
        self.clean("vaultd's log", self.scene.vault.log_text())
        for agent in self.scene.agents:
            self.clean("an agent's log", read(agent.log_path))

    def data_folder(self):
        self.folder("the vault's data folder", self.scene.vault.data)

    def what_people_see(self):
        self.clean("runs, reports, the output of secretctl", "\n".join(self.said))

    def processes(self):
        names = {os.path.basename(data.split(b"\0")[0]) for name, data in self.collector.processes
                 if name == "cmdline"}
        for wanted in (b"vaultd-worker", b"secret-agent", b"secretctl"):
            if wanted not in names:
                raise AssertionError("no %r was seen: %r" % (wanted, names))
        for name, data in self.collector.processes:
            self.clean(name, data)

    def wanted_child(self):
        """The one place: the environment of the program that wanted it so."""
        current = self.secrets[0].value(self.secrets[0].stored()["current"])[1]
        child = self.env_agent.child()
        if b"DB_PASSWORD=" + current.encode() not in read("/proc/%d/environ" % child):
            raise AssertionError("the program does not have the current value")

    def a_leak_is_found(self):
        """The search works: a password that is put there on purpose is found."""
        planted = "planted-" + os.urandom(9).hex()
        self.collector.values.add(planted)
        self.scene.pg.psql("select '%s'::text" % planted)
        self.scene.pg.psql("create table planted%s as select '%s'::text as t" % (
            os.urandom(4).hex(), planted))
        for look in (self.postgres_log, self.postgres_keeps):
            try:
                look()
            except AssertionError as error:
                if "a password is in" in str(error):
                    continue
                raise
            raise AssertionError("a planted password was not found by %s" % look.__name__)


def main():
    report = Report()
    pg = make_postgres(SETTINGS)
    pg.psql("create extension pg_stat_statements", db="orders")
    for small, name in ((False, "CREATEROLE"), (True, "least privilege")):
        with Scene(pg=pg, small=small) as scene:
            test = Test(scene, small)
            report.case("%s: good, bad, frozen and cancelled runs" % name, test.rotate)
            for what in ("postgres_log", "postgres_shows", "postgres_keeps", "our_logs",
                         "data_folder", "what_people_see", "processes", "wanted_child"):
                report.case("%s: %s" % (name, what.replace("_", " ")), getattr(test, what))
            report.case("%s: a leak is found" % name, test.a_leak_is_found)
    pg.remove()
    report.end()


main()
