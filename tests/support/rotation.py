"""A scene for tests of rotation: a target (tests/support/rotation_places.py; a PostgreSQL of its own unless
told), a vault, secrets that rotate there, agents that use them.

    with Scene() as scene:                        # fault=True: the build with failpoints
        orders = scene.secret("orders")           # alternate: roles orders, orders_a, orders_b
        agent = scene.agent(orders)               # secret-agent run, waits until it is healthy
        with scene.watch():                       # a value in the store is accepted, every 50 ms
            run = orders.rotate()
            orders.ended(run)
        orders.agrees()                           # stages, target and agents say the same

What is in the vault is looked at from outside (store_peek_test), so that a look is no read: it stands
in no ledger and holds no revocation. Waiting times are as low as they go.
"""
import collections
import concurrent.futures
import contextlib
import fcntl
import json
import os
import secrets as random_secrets
import shutil
import signal
import subprocess
import tempfile
import threading
import time

from keyturn import DEADLINE, ROOT, Vault, program, wait_for
from rotation_places import SHARED, PostgresPlace, make_postgres  # noqa: F401 - for those who import this

TERMINAL = ("done", "rolled_back", "cancelled")
# What waits for an answer is not low: a slow machine must not be taken for a silent service, and a run
# that ends because max_overlap is over must not pass for one that ended as it should.
LOW = {"overlap": "0s", "soak": "0s", "drain": "0s", "max_overlap": "10m", "ack_timeout": "5m",
       "period": "10h"}


@contextlib.contextmanager
def building():
    """One make at a time in this tree, whichever scripts run at once."""
    with open(os.path.join(ROOT, "tests/support/rotation.py")) as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def unit_program(name):
    """A program of tests/unit, built when it is not there."""
    path = os.path.join(ROOT, "build/release/unit", name)
    with building():
        if not os.path.exists(path):
            subprocess.run(["make", "-s", "-C", ROOT, "build/release/unit/" + name], check=True,
                           stdout=subprocess.DEVNULL)
    return path


def fault_programs():
    """The folder of the programs with failpoints, built when they are older than their sources."""
    with building():
        subprocess.run(["make", "-s", "-C", ROOT, "-j%d" % os.cpu_count(), "VARIANT=fault", "all"],
                       check=True, stdout=subprocess.DEVNULL)
    return os.path.join(ROOT, "build/fault/bin")


class Peek:
    """Looks into the data folder as if vaultd died now."""

    def __init__(self, vault):
        self.lock = threading.Lock()
        self.process = subprocess.Popen([unit_program("store_peek_test"), "peek", vault.data],
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
                                        bufsize=1)
        self.process.stdin.write(" ".join(vault.shares[:vault.threshold]) + "\n")

    def __call__(self, scope, path):
        with self.lock:
            self.process.stdin.write("%s %s\n" % (scope, path))
            line = self.process.stdout.readline()
        if not line:
            raise AssertionError("store_peek_test ended")
        return json.loads(line)

    def close(self):
        self.process.stdin.close()
        self.process.wait(DEADLINE)


class Watcher:
    """Every 50 ms: is there a value in the durable store that the target accepts?

    A look is false only if all values were refused twice, in both orders, and the store said the same
    before and after: one change at the target, or one commit, cannot make it so. A target that does
    not answer is no evidence; such looks are counted apart."""

    def __init__(self, scene, secrets, every=0.05):
        self.scene, self.secrets, self.every = scene, list(secrets), every
        self.samples = self.unknown = 0
        self.false = []
        self.error = None
        self.stopping = threading.Event()

    def __enter__(self):
        self.peek = Peek(self.scene.vault)
        self.thread = threading.Thread(target=self.work, daemon=True)
        self.thread.start()
        return self

    def stop(self):
        self.stopping.set()
        self.thread.join(DEADLINE)

    def __exit__(self, kind, *_):
        self.stop()
        self.peek.close()
        if kind is None:
            self.check()

    def check(self):
        if self.error:
            raise self.error
        if self.false:
            raise AssertionError("no value in the store was accepted, %d times: %s" % (
                len(self.false), self.false[:3]))
        if self.samples == 0:
            raise AssertionError("the watcher never looked")

    def work(self):
        try:
            while not self.stopping.wait(self.every):
                for secret in self.secrets:
                    self.look(secret)
        except Exception as error:  # noqa: BLE001 - reported by check()
            self.error = error

    def stored(self, secret):
        state = self.peek(self.scene.scope, secret.inner)
        if "error" in state:
            raise AssertionError("the copied store does not open: " + state["error"])
        return state

    def candidates(self, secret, state):
        first = [state["current"], state["pending"], state["previous"]]
        found = [v for v in state["versions"] if v.get("data")]
        found.sort(key=lambda v: (first.index(v["number"]) if v["number"] in first else 9,
                                  -v["number"]))
        return [(v["number"], v["data"]["username"], v["data"]["password"]) for v in found]

    def look(self, secret):
        for _ in range(20):
            state = self.stored(secret)
            values = self.candidates(secret, state)
            answers = []
            for number, user, password in values + values[::-1]:
                answer = self.scene.login(user, password)
                if answer == "A":
                    self.samples += 1
                    return
                answers.append("v%d %s" % (number, answer))
            if any(a.endswith("U") for a in answers):
                self.unknown += 1
                return
            after = self.stored(secret)
            if after["generation"] == state["generation"] or \
                    self.candidates(secret, after) == values:
                self.samples += 1
                self.false.append("%s at %.3f: current v%d, %s" % (
                    secret.name, time.time(), state["current"], ", ".join(answers)))
                return


class Secret:
    """A secret that rotates at the scene's target. NAME_a, NAME_b in NAME, or NAME_a alone."""

    def __init__(self, scene, name, strategy="alternate", target=None, settings=None, admin=None):
        self.scene, self.name, self.strategy = scene, name, strategy
        self.inner = "db/" + name
        self.path = "secret/" + self.inner
        self.agents = []
        self.first = scene.place.first()
        self.settings = dict(LOW, **(settings or {}))
        self.accounts = [scene.place.account(name + end)
                         for end in (("_a", "_b") if strategy == "alternate" else ("_a",))]
        scene.place.make_accounts(self)
        vault = scene.vault
        vault.ok("POST", "secret/data/" + self.inner,
                 {"data": {"username": self.accounts[0], "password": self.first, "note": "stays",
                           **scene.place.members(self)}})
        self.target = target or scene.target("target-" + name, admin=admin, **scene.place.declared(strategy))
        body = dict(self.settings, target=self.target, strategy=strategy, accounts=self.accounts)
        if strategy == "in-place":
            body["allow_gap"] = True
        if scene.place.group(self):
            body["group"] = scene.place.group(self)
        vault.ok("POST", "rotation/secrets/" + self.path, body)

    # ---- asking the vault ----

    def state(self):
        return self.scene.vault.ok("GET", "rotation/secrets/" + self.path).data["state"]

    def set(self, **settings):
        self.scene.vault.ok("POST", "rotation/secrets/" + self.path, settings)

    def rotate(self, **body):
        return self.scene.vault.ok("POST", "rotation/rotate/" + self.path,
                                   dict({"reason": "test"}, **body)).data["run"]

    def run(self, run_id):
        return self.scene.vault.ok("GET", "rotation/runs/" + run_id).data

    def runs(self):
        answer = self.scene.vault.call("LIST", "rotation/runs?secret=" + self.path)
        return answer.data["keys"] if answer.status == 200 else []

    def reached(self, run_id, *states, seconds=60):
        """The run, as soon as it is in one of these states."""
        def look():
            run = self.run(run_id)
            if run["state"] in states:
                return run
            if run["state"] in TERMINAL + ("frozen",):
                raise AssertionError("run %s is %s, not %s: %s" % (
                    run_id, run["state"], "/".join(states), story(run)))
            return None
        return wait_for("run %s to be %s" % (run_id, "/".join(states)), look, seconds)

    def ended(self, run_id, seconds=60):
        try:
            return wait_for("run %s to end" % run_id, lambda: (
                lambda r: r if r["state"] in TERMINAL + ("frozen",) else None)(self.run(run_id)),
                seconds)
        except AssertionError as error:
            raise AssertionError("%s: %s" % (error, story(self.run(run_id)))) from None

    # ---- looking from outside ----

    def stored(self):
        return self.scene.peek(self.inner)

    def value(self, number):
        """(username, password) of a version, or None when it is destroyed."""
        for version in self.stored()["versions"]:
            if version["number"] == number and version.get("data"):
                return version["data"]["username"], version["data"]["password"]
        return None

    def accepted(self, number):
        value = self.value(number)
        return value is not None and self.scene.login(*value) == "A"

    def agrees(self, result=None):
        """After a run: one version is current, the target accepts that one and no other, every agent
        runs it, nothing is left of a run."""
        stored, state = self.stored(), self.state()
        current = stored["current"]
        same(state["current"], current, "current in the API and in the store")
        same(bool(state["run"]), False, "a run is active")
        same(stored["pending"], 0, "pending")
        for version in stored["versions"]:
            if not version.get("data"):
                continue
            answer = self.scene.login(version["data"]["username"], version["data"]["password"])
            wanted = "A" if version["number"] == current else "R"
            same(answer, wanted, "the target's answer to v%d (current is v%d)" % (
                version["number"], current))
            same(version["data"]["note"], "stays", "the member that is not rotated")
        for agent in self.agents:
            wait_for("%s to run v%d" % (agent.service, current),
                     lambda a=agent: a.version() == current)
        if result is not None:
            self.one_report(result)
        return current

    def one_report(self, run_id):
        answer = self.scene.vault.ok("GET", "rotation/runs/%s/report" % run_id)
        again = self.scene.vault.ok("GET", "rotation/runs/%s/report" % run_id)
        same(again.data, answer.data, "the report, read twice")
        run = self.run(run_id)
        ends = [s for s in run["steps"] if s["kind"] == "state" and s["name"] in TERMINAL]
        same(len(ends), 1, "steps that end the run")
        same(answer.data["report"]["state"], run["state"], "the report's state")
        contains_word(answer.data["text"], run["state"])
        return answer.data


def same(got, wanted, what):
    if got != wanted:
        raise AssertionError("%s: expected %r, got %r" % (what, wanted, got))


def contains_word(text, word):
    if word.replace("_", " ") not in text and word not in text:
        raise AssertionError("expected %r in %r" % (word, text[:1000]))


def story(run):
    """A run in one line, for messages."""
    steps = ["%s %s%s%s" % (s["kind"], s["name"], "" if s["ok"] else " FAILED",
                            ": " + s["text"] if s["text"] and s["kind"] != "state" else "")
             for s in run["steps"][-14:]]
    frozen = run.get("frozen")
    return "state %s, waits for %r, frozen %r, steps: %s" % (
        run["state"], run.get("waits_for"), frozen, "; ".join(steps))


class Agent:
    """secret-agent run with a file, a health check that logs in, and a program that sleeps. `health`
    may also be no check at all (False), or another check's block of the configuration. `candidates`: the
    program tries two, in the file `both` or, with `env`, in the variable of that name and _NEXT behind it."""

    def __init__(self, scene, secret, service="main", command=("sleep", "infinity"), health=True,
                 wait=True, files=None, env=None, candidates=False):
        self.scene, self.secret, self.service = scene, secret, service
        self.host = "%s-%s" % (secret.name, service)
        self.folder = tempfile.mkdtemp(prefix="kt-agent-", dir="/dev/shm")
        os.chmod(self.folder, 0o711)
        self.log_path = os.path.join(self.folder, "agent.log")
        self.token = scene.agent_token(self.host)
        self.command = list(command)
        self.write_config(health, env, candidates)
        for name, text in (files or {}).items():
            self.write(name, text.format(folder=self.folder))
        self.command = [w.format(folder=self.folder) for w in self.command]
        self.process = None
        secret.agents.append(self)
        scene.agents.append(self)
        self.start(wait)

    def path(self, name):
        return os.path.join(self.folder, name)

    def write(self, name, text, mode=0o600):
        with open(self.path(name), "w") as f:
            f.write(text)
        os.chmod(self.path(name), mode)
        return self.path(name)

    def write_config(self, health, env, candidates):
        self.write("token", self.token)
        # `broken` holds the number of the last version with which the check passes.
        self.write("health", """#!/bin/sh
[ -e {0}/broken ] && [ "$(cat {0}/version)" -gt "$(cat {0}/broken)" ] && exit 1
{1}
""".format(self.folder, self.scene.place.health(self)), 0o700)
        self.write("agent.hcl", '''
host = "{host}"
vault {{
  address    = "{address}"
  {ca}
  token_file = "{folder}/token"
}}
service "{service}" {{
{files}
  file "{folder}/version" {{
    contents = "{{{{ version \\"{path}\\" }}}}"
  }}
  {activate}
  debounce = "20ms"
  {health}
}}
'''.format(host=self.host, address=self.scene.vault.address, folder=self.folder,
           ca='ca_file = "%s"' % self.scene.vault.cacert if self.scene.vault.tls else "",
           files=self.scene.place.files(self) + self.both(env) * candidates, path=self.secret.path,
           service=self.service, activate='activate = "none"' if not env else '''
  env "%s" { secret = "%s"  field = "password" }
  activate     = "restart"
  restart_gap  = "0s"
  stop_timeout = "2s"''' % (env, self.secret.path), health='''
  health "command" {
    command  = ["%s/health"]
    interval = "50ms"
    timeout  = "30s"
    samples  = 2
    pass     = 2
    fail     = 2
    window   = "90s"
    grace    = "0s"
  }''' % self.folder if health is True else health or ""))

    def both(self, env):
        path = self.secret.path
        words = ['{{ %s \\"%s\\" \\"%s\\" }}' % (word, path, field) for word in ("secret", "candidate")
                 for field in ("username", "password")]
        uses = 'file "%s/both" { contents = "%s" }' % (self.folder, "\\n".join(words))
        if env:
            uses = 'env "%s_NEXT" { secret = "%s"  field = "password"  candidate = true }' % (env, path)
        return '''
  candidates = 2
  ''' + uses

    def start(self, wait=True):
        env = {k: v for k, v in os.environ.items() if not k.startswith(("VAULT_", "PG"))}
        env.update(self.scene.place.environment(self))
        log = open(self.log_path, "ab")
        out = open(self.path("out"), "ab")
        self.process = subprocess.Popen(
            [program("secret-agent", self.scene.vault.programs), "run", "--config",
             self.path("agent.hcl"), "--service", self.service, "--", *self.command],
            stdin=subprocess.DEVNULL, stdout=out, stderr=log, env=env, start_new_session=True)
        log.close()
        out.close()
        if wait:
            wait_for("%s to be healthy" % self.service, self.healthy)

    def child(self):
        """The process id of its program."""
        with open("/proc/{0}/task/{0}/children".format(self.process.pid)) as f:
            return int(f.read().split()[0])

    def told(self):
        """What the vault knows of this service, or None."""
        answer = self.scene.vault.call("GET", "fleet/consumers/%s/%s" % (self.host, self.secret.path))
        if answer.status != 200:
            return None
        data = answer.data
        found = [c for c in data.get("services", data.get("consumers", []))
                 if c["service"] == self.service]
        return found[0] if found else None

    def healthy(self):
        if self.process.poll() is not None:
            raise AssertionError("the agent ended: " + open(self.log_path).read()[-2000:])
        told = self.told()
        return told if told and told["state"] == "healthy" else None

    def version(self):
        try:
            with open(self.path("version")) as f:
                return int(f.read())
        except (OSError, ValueError):
            return None

    def stop(self):
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(10)
            except subprocess.TimeoutExpired:
                os.killpg(self.process.pid, signal.SIGKILL)
                self.process.wait(DEADLINE)
        return self.process.returncode

    def remove(self):
        self.stop()
        shutil.rmtree(self.folder, ignore_errors=True)


class Scene:
    def __init__(self, fault=False, tls=False, pg=None, small=False, settings=None, env=None,
                 config="", place=None):
        self.agents = []
        self._peek = None
        self.vault = None
        # One server may serve several scenes.
        self.own_place = place is None
        self.place = place or PostgresPlace(pg, small, settings)
        self.pg = getattr(self.place, "pg", None)
        self.small = getattr(self.place, "small", False)
        try:
            self.admin = self.place.new_admin()
            self.vault = Vault(tls=tls, env=env, config=config + self.place.config,
                               programs=fault_programs() if fault else None)
            self.vault.ready()
            self.scope = self.vault.ok("GET", "sys/mounts").data["secret/"]["uuid"]
        except BaseException:
            self.remove()
            raise

    def admin_password(self, password):
        """Of the administrative login at the target."""
        self.place.admin_password(self.admin[0], password)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.remove()

    def remove(self):
        for agent in self.agents:
            agent.remove()
        if self._peek:
            self._peek.close()
        if self.vault:
            self.vault.remove()
        if self.own_place:
            self.place.remove()

    def secret(self, name, strategy="alternate", **more):
        return Secret(self, name, strategy, **more)

    def agent(self, secret, **more):
        return Agent(self, secret, **more)

    def watch(self, *secrets, every=0.05):
        return Watcher(self, secrets, every)

    def target(self, name, admin=None, **more):
        admin = admin or self.admin
        login = {"admin_username": admin[0], "admin_password": admin[1]} if admin else {}
        self.vault.ok("POST", "rotation/targets/" + name, {
            "driver": self.place.driver, **self.place.target(), **login, **SHARED, **more})
        return name

    def agent_token(self, host):
        text = open(os.path.join(ROOT, "policies/agent.hcl")).read().replace("HOST", host)
        self.vault.ok("PUT", "sys/policies/acl/agent-" + host, {"policy": text})
        return self.vault.ok("POST", "auth/token/create-orphan", {
            "policies": ["agent-" + host], "period": "1h", "display_name": host,
        }).json["auth"]["client_token"]

    def login(self, user, password):
        return self.place.login(user, password)

    def peek(self, path):
        """After a restart of vaultd it is still the same store."""
        if self._peek is None:
            self._peek = Peek(self.vault)
        state = self._peek(self.scope, path)
        if "error" in state:
            raise AssertionError("the copied store does not open: " + state["error"])
        return state

    def alive(self, function, *args):
        """Calls it; when vaultd does not answer, its last words are told."""
        try:
            function(*args)
        except OSError as error:
            code = self.vault.process.poll()
            last = collections.Counter(self.vault.log_text().splitlines()[-300:])
            raise AssertionError("%s; vaultd %s: %s" % (
                error, "runs" if code is None else "ended by itself (%d)" % code,
                "\n".join("%d x %s" % (n, line) for line, n in last.items())[-4000:])) from error

    def died(self, seconds=DEADLINE):
        """Waits until vaultd ended by itself (a failpoint)."""
        try:
            self.vault.process.wait(seconds)
        except subprocess.TimeoutExpired:
            raise AssertionError("vaultd lives: the failpoint was not reached") from None

    def again(self, env=None):
        """Starts vaultd once more, without failpoints, and unseals it."""
        self.vault.kill()
        self.vault.env = dict(env or {})
        self.vault.start()
        self.vault.unseal()


class Lock:
    """Holds the advisory lock that the driver takes first."""

    def __init__(self, pg, key):
        self.pg, self.key = pg, key

    def __enter__(self):
        self.process = subprocess.Popen(
            [os.path.join(self.pg.bin, "psql"), "-XqAt", "-h", self.pg.socket_folder, "-p",
             str(self.pg.port), "-U", "postgres", "-d", "orders"], env=self.pg.environment(),
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1)
        self.process.stdin.write("select 'held' from pg_advisory_lock(hashtext('%s'));\n" % self.key)
        same(self.process.stdout.readline().strip(), "held", "the lock")
        return self

    def __exit__(self, *_):
        self.process.stdin.close()
        self.process.wait(DEADLINE)

    def somebody_waits(self):
        """For this lock: other cases have theirs at the same server."""
        wait_for("a worker to wait for the lock", lambda: self.pg.rows(
            "select 1 from pg_locks where locktype = 'advisory' and not granted and objsubid = 1 and "
            "(classid::bigint << 32 | objid::bigint) = hashtext('%s')::bigint" % self.key))


def together(report, cases, threads=3):
    """Cases that do not mind each other; most of a case is waiting."""
    with concurrent.futures.ThreadPoolExecutor(threads) as pool:
        list(pool.map(lambda case: report.case(*case), cases))
