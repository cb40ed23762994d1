#!/usr/bin/python3
"""Bad operations by people around rotation: one message that says what to do, and nothing is lost.

    tests/integration/rotation_people.py ['part of a case name']
"""
import os
import re
import signal
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
from driver import scram_verifier  # noqa: E402
from keyturn import DEADLINE, Report, contains, equal, program, wait_for  # noqa: E402
from cutproxy import CutProxy  # noqa: E402
from rotation import Lock, Scene, make_postgres, story  # noqa: E402


def one_error(done, *words, code=2):
    """The command was refused with one error and a way on; returns what it said."""
    said = done.stderr or done.stdout
    equal(done.returncode, code, "exit code of %r: %s" % (done.args[1:], done.stdout + done.stderr))
    equal(len(re.findall(r"^Error", said, re.M)), 1, "errors in %r" % said)
    for word in words:
        contains(said, word)
    contains(said, "next")
    return said


class Test:
    def __init__(self, scene):
        self.scene = scene
        self.count = 0

    def ctl(self, *words, **more):
        return self.scene.vault.ctl(*words, check=False, **more)

    def secret(self, strategy="alternate", **more):
        self.count += 1
        return self.scene.secret("p%d" % self.count, strategy, **more)

    def unharmed(self, secret, version=1):
        """Nothing was lost: the value is there, is current, and PostgreSQL accepts it."""
        equal(secret.stored()["current"], version, "current")
        equal(secret.accepted(version), True, "PostgreSQL accepts version %d" % version)

    # ---- settings that cannot be ----

    def never_fires(self):
        secret = self.secret()
        for cron in ("0 0 31 2 *", "0 0 30 feb *", "0 0 0 31 4 *"):
            one_error(self.ctl("schedule", "set", secret.path, "cron=" + cron, "period="), "never")
        equal(self.scene.vault.ok("GET", "rotation/secrets/" + secret.path).data["cron"], "", "cron")
        self.unharmed(secret)

    def one_account(self):
        secret = self.secret()
        one_error(self.ctl("schedule", "set", secret.path, "accounts=" + secret.accounts[0]), "two")
        one_error(self.ctl("schedule", "set", secret.path, "accounts=%s,%s" % (
            secret.accounts[0], secret.accounts[0])), "two")
        equal(secret.ended(secret.rotate())["state"], "done")

    def one_account_for_two(self):
        secret = self.secret()
        account = secret.accounts[1]
        self.scene.vault.ok("POST", "secret/data/db/thief", {"data": {"username": account,
                                                                    "password": "x"}})
        one_error(self.ctl("schedule", "set", "secret/db/thief", "target=" + secret.target,
                           "strategy=in-place", "accounts=" + account, "allow_gap=true"), "KT-R-007", account,
                  secret.path)
        self.unharmed(secret)

    def weak_generator(self):
        secret = self.secret()
        one_error(self.ctl("schedule", "set", secret.path, "generator.length=8"), "entropy",
                  "allow_weak")
        # allow_weak is meant for this; and then it is what was asked for.
        self.scene.vault.ctl("schedule", "set", secret.path, "generator.length=12",
                             "generator.allow_weak=true")
        run = secret.ended(secret.rotate())
        equal((run["state"], len(secret.value(run["to"])[1])), ("done", 12))

    def unknown_target(self):
        one_error(self.ctl("schedule", "set", "secret/db/nobody", "target=nowhere",
                           "strategy=in-place", "accounts=x"), "nowhere", "secretctl target set")

    def no_rotation(self):
        self.scene.vault.ok("POST", "secret/data/db/plain", {"data": {"a": "b"}})
        one_error(self.ctl("rotate", "secret/db/plain"), "KT-R-004", "secretctl schedule set")

    # ---- the target ----

    def admin_refused(self):
        secret = self.secret()
        self.scene.vault.ctl("target", "set", secret.target, "admin_password=-", input="wrong")
        done = self.ctl("target", "check", secret.target)
        equal(done.returncode, 2, "exit code")
        contains(done.stdout, "refused the password")
        contains(done.stdout, "secretctl target set %s admin_password=" % secret.target)
        self.unharmed(secret)

    def database_down(self):
        pg = make_postgres()
        with Scene(pg=pg) as scene:
            secret = scene.secret("away")
            pg.stop()
            done = scene.vault.ctl("target", "check", secret.target, check=False)
            equal(done.returncode, 2, "exit code")
            contains(done.stdout, "no connection")
            contains(done.stdout, "next")
            run_id = secret.rotate()
            wait_for("the run to have tried", lambda: [s for s in secret.run(run_id)["steps"]
                                                       if s["kind"] == "probe"])
            equal(secret.run(run_id)["state"], "preflight", "the state while it is away")
            why = scene.vault.ctl("run", "why", secret.path).stdout
            contains(why, "no connection")
            contains(why, "secretctl run cancel " + run_id)
            pg.start()
            equal(secret.ended(run_id)["state"], "done")
            secret.agrees(run_id)
        pg.remove()

    # ---- at the wrong moment ----

    def held(self, **settings):
        """A run that waits for a consumer which is stopped."""
        secret = self.secret(settings=settings)
        agent = self.scene.agent(secret)
        agent.process.send_signal(signal.SIGSTOP)
        run_id = secret.rotate()
        secret.reached(run_id, "acking")
        return secret, agent, run_id

    def rotate_twice(self):
        secret, agent, run_id = self.held()
        said = one_error(self.ctl("rotate", secret.path), "KT-R-003", run_id)
        contains(said, "secretctl run watch " + run_id)
        refused = self.scene.vault.call("POST", "rotation/rotate/" + secret.path, {})
        equal((refused.status, refused.data), (400, {"run": run_id}), "the API's answer")
        join = subprocess.Popen([program("secretctl"), "rotate", "--join", secret.path],
                                env=self.scene.vault.environment(), stdout=subprocess.PIPE,
                                stderr=subprocess.STDOUT, text=True)
        agent.process.send_signal(signal.SIGCONT)
        out = join.communicate(timeout=DEADLINE)[0]
        equal(join.returncode, 0, out)
        equal(len(secret.runs()), 1, "runs")
        secret.agrees(run_id)

    def write_meanwhile(self):
        """Writing, deleting, removing, and ending the rotation of a secret that is being rotated."""
        secret, agent, run_id = self.held()
        to = secret.run(run_id)["to"]
        for words in (("kv", "put", secret.path, "-"), ("kv", "destroy", "-versions=%d" % to, secret.path),
                      ("kv", "destroy", "-versions=1", secret.path), ("kv", "delete", secret.path),
                      ("kv", "delete", "-versions=1", secret.path),
                      ("kv", "metadata", "delete", "-force", secret.path)):
            one_error(self.ctl(*words, input='{"username":"x","password":"y"}'), "KT-R-005", run_id)
        # Pruning is refused as well: the version stays although only one may be kept.
        self.scene.vault.ok("POST", "secret/metadata/" + secret.inner, {"max_versions": 1})
        done = self.ctl("schedule", "remove", secret.path)
        one_error(done, run_id)
        one_error(self.ctl("target", "remove", secret.target), "secret")
        agent.process.send_signal(signal.SIGCONT)
        equal(secret.ended(run_id)["state"], "done")
        secret.agrees(run_id)

    def cancel_early(self):
        secret, agent, run_id = self.held()
        done = self.scene.vault.ctl("run", "cancel", run_id)
        contains(done.stdout + done.stderr, "goes back")
        agent.process.send_signal(signal.SIGCONT)
        run = secret.ended(run_id)
        equal(run["state"], "rolled_back", story(run))
        self.unharmed(secret)
        secret.agrees(run_id)

    def cancel_late(self):
        """Past the point of no return: refused, with the way forward."""
        secret, agent, run_id = self.held()
        with Lock(self.scene.pg, "keyturn:" + secret.name) as lock:
            agent.process.send_signal(signal.SIGCONT)
            lock.somebody_waits()
            equal(secret.run(run_id)["state"], "revoking", "the state")
            said = one_error(self.ctl("run", "cancel", run_id), "KT-R-008")
            contains(said, "secretctl run watch " + run_id)
            contains(said, "--back")
        run = secret.ended(run_id)
        equal(run["state"], "done", story(run))
        secret.agrees(run_id)

    def destroy_version_in_use(self):
        secret = self.secret()
        for words in (("kv", "destroy", "-versions=1", secret.path), ("kv", "delete", secret.path),
                      ("kv", "metadata", "delete", "-force", secret.path)):
            one_error(self.ctl(*words), "KT-R-005", "secretctl")
        self.unharmed(secret)
        equal(secret.ended(secret.rotate())["state"], "done")
        # What is dead and out of use may go.
        self.scene.vault.ctl("kv", "destroy", "-versions=1", secret.path)
        self.unharmed(secret, 2)

    def kv_rollback(self):
        secret = self.secret()
        equal(secret.ended(secret.rotate())["state"], "done")
        one_error(self.ctl("kv", "rollback", "-version=1", secret.path), "--back",
                  code=1)
        self.unharmed(secret, 2)

    # ---- frozen: the printed commands, pasted into a shell, end the run ----

    def next_commands(self, secret):
        """What `secretctl rotate` prints behind "next", as lines."""
        done = self.ctl("rotate", secret.path)
        equal(done.returncode, 2, done.stdout + done.stderr)
        contains(done.stdout, "FROZEN")
        lines = done.stdout[done.stdout.index("\nnext ") + 1:].splitlines()
        block = [lines[0][8:]]
        for line in lines[1:]:
            if not line.startswith("        "):
                break
            block.append(line[8:])
        return done.stdout, block

    def paste(self, block, stdin):
        """Runs the block as a shell would, each command with the next text as standard input."""
        folder = os.path.dirname(program("secretctl"))
        env = dict(self.scene.vault.environment(), PATH=folder + ":" + os.environ["PATH"])
        for line in block:
            done = subprocess.run(["sh", "-c", line], input=stdin, env=env, capture_output=True,
                                  text=True, timeout=90)
            equal(done.returncode, 0, "%r: %s" % (line, done.stdout + done.stderr))

    def frozen_admin(self):
        secret = self.secret()
        self.scene.admin_password("changed")
        try:
            said, block = self.next_commands(secret)
            contains(said, "KT-R-011")
            self.unharmed(secret)
            self.paste(block, "changed")
        finally:
            self.scene.admin_password(self.scene.admin[1])
        equal(secret.run(secret.runs()[0])["state"], "done")
        secret.agrees(secret.runs()[0])

    def frozen_drift(self):
        """Somebody changed the password by hand; the vault learns it, and rotates it away."""
        secret = self.secret()
        self.scene.pg.psql("alter role %s password '%s'" % (secret.accounts[0],
                                                            scram_verifier("by hand")))
        said, block = self.next_commands(secret)
        contains(said, "KT-R-010")
        self.paste(block, "by hand")
        runs = secret.runs()
        equal([secret.run(r)["state"] for r in runs], ["done", "cancelled"])
        secret.agrees(runs[0])

    def drifted(self):
        """Somebody changed the password by hand: found without a rotation, told everywhere, mended."""
        secret = self.secret()
        self.scene.pg.psql("alter role %s password '%s'" % (secret.accounts[0],
                                                            scram_verifier("by hand")))
        tried = self.ctl("rotate", "-dry-run", secret.path)
        equal(tried.returncode, 2, tried.stdout + tried.stderr)
        for word in ("NOT READY  %s: version 1 is REFUSED" % secret.path, "secretctl reconcile " + secret.path):
            contains(tried.stdout, word)
        equal(secret.runs(), [], "runs of a dry run")
        contains(self.ctl("run", "why", secret.path).stdout, "DRIFTED " + secret.path)
        contains(self.ctl("schedule", "show", secret.path).stdout, "DRIFTED since")
        contains(self.ctl("due").stdout, "secretctl reconcile " + secret.path)
        mended = self.ctl("reconcile", secret.path)
        equal(mended.returncode, 0, mended.stdout + mended.stderr)
        contains(mended.stdout, "DONE  %s: the target accepts v1." % secret.path)
        self.unharmed(secret)
        equal([secret.run(r)["trigger"] for r in secret.runs()], ["reconcile"])
        tried = self.ctl("rotate", "-dry-run", secret.path)
        equal(tried.returncode, 0, tried.stdout + tried.stderr)
        contains(tried.stdout, "READY  %s: " % secret.path)
        equal("DRIFTED" in self.ctl("run", "why", secret.path).stdout, False, "drifted still")
        equal(secret.ended(secret.rotate())["state"], "done")
        secret.agrees(secret.runs()[0])

    def drilled(self):
        """There and back on purpose, with an agent: measured, and nothing is different from before."""
        secret = self.secret(settings={"rto": "2m"})
        agent = self.scene.agent(secret)
        before = self.scene.vault.ok("GET", "rotation/secrets/" + secret.path).data["state"]
        done = self.ctl("drill", "-reason=before the release", secret.path)
        equal(done.returncode, 0, done.stdout + done.stderr)
        contains(done.stdout, "DRILLED  %s: v1 is in use, v2 is not." % secret.path)
        contains(done.stdout, "objective 2m")
        self.unharmed(secret)
        run = secret.run(secret.runs()[0])
        equal((run["trigger"], run["drill"], run["back"]["missed"]), ("drill", "good", False), story(run))
        equal([c["version"] for c in run["consumers"]], [1], "what the consumers run")
        equal(secret.accepted(2), False, "what the drill made is accepted")
        after = self.scene.vault.ok("GET", "rotation/secrets/" + secret.path).data["state"]
        for name in ("last_done", "next_due", "last_result", "failures"):
            equal(after[name], before[name], name)
        contains(self.ctl("run", "why", secret.path).stdout, "drill   ")
        contains(self.ctl("report", secret.path).stdout, "# DRILLED  ")
        contains(self.ctl("plan", secret.path).stdout, "- going back may take: 2 m")
        one_error(self.ctl("schedule", "set", secret.path, "drill=0 0 31 2 *"), "never")
        agent.process.terminate()
        in_place = self.secret("in-place")
        one_error(self.ctl("schedule", "set", in_place.path, "allow_gap=false"), "KT-R-032",
                  "strategy=alternate accounts=%s,SECOND group=GROUP" % in_place.accounts[0], "allow_gap=true")
        better = "secretctl schedule set %s strategy=alternate accounts=%s,SECOND group=GROUP" % (
            in_place.path, in_place.accounts[0])
        contains(self.ctl("run", "why", in_place.path).stdout, "gap     in-place: not measured yet\n")
        done = self.ctl("drill", in_place.path)
        equal(done.returncode, 0, done.stdout + done.stderr)
        for words, measured, instead in (
                (("run", "why"), r"gap     in-place: [\d.]+ m?s at most, there and back, ", "avoid   "),
                (("plan",), r"- gap, measured: [\d.]+ m?s at most, there and back, ", "- without a gap: "),
                (("schedule", "show"), r"last gap +[\d.]+ m?s at most, there and back, ", "without a gap")):
            said = self.ctl(*words, in_place.path).stdout
            equal(re.search(measured, said) is not None, True, said)
            contains(said, instead)
            contains(said, better)
        self.unharmed(in_place)

    def frozen_open(self):
        pg = make_postgres()
        with Scene(pg=pg) as scene:
            outer, self.scene = self.scene, scene
            try:
                secret = self.secret()
                pg.hba("host all %s 127.0.0.1/32 scram-sha-256" % scene.admin[0],
                       "host all all 127.0.0.1/32 trust")
                said, block = self.next_commands(secret)
                contains(said, "KT-R-012")
                pg.hba()
                self.paste(block, "")
                equal(secret.run(secret.runs()[0])["state"], "done")
                secret.agrees(secret.runs()[0])
            finally:
                self.scene = outer
        pg.remove()

    def frozen_server(self):
        """Another server answers at the same address."""
        other = make_postgres()
        proxy = CutProxy(self.scene.pg.port)
        target = self.scene.target("moved", port=proxy.port)
        secret = self.secret(target=target)
        equal(secret.ended(secret.rotate())["state"], "done")
        other.psql("create role %s login superuser password '%s'" % self.scene.admin)
        proxy.to = other.port
        said, block = self.next_commands(secret)
        contains(said, "KT-R-013")
        equal(other.rows("select 1 from pg_roles where rolname like '%s%%'" % secret.name), [],
              "what was made on the other server")
        run = secret.run(secret.runs()[0])
        equal([s for s in run["steps"] if s["kind"] == "intent"], [], "intents")
        # The move was not meant: it is mended by pointing to the right one again, without the first
        # command, which says so.
        contains(block[0], "only if the move was meant")
        proxy.to = self.scene.pg.port
        self.paste(block[1:], "")
        equal(secret.run(secret.runs()[0])["state"], "done")
        secret.agrees(secret.runs()[0])
        proxy.close()
        other.remove()

    def frozen_cannot_revoke(self):
        """The administrative login loses its right before the old account is closed."""
        secret, agent, run_id = self.held()
        admin = self.scene.admin[0]
        self.scene.pg.psql("alter role %s nocreaterole" % admin)
        agent.process.send_signal(signal.SIGCONT)
        run = secret.ended(run_id)
        equal((run["state"], run["frozen"]["code"]), ("frozen", "KT-R-024"), story(run))
        equal((secret.accepted(1), secret.accepted(run["to"])), (True, True), "both are accepted")
        one_error(self.ctl("run", "cancel", run_id), "KT-R-008")
        self.scene.pg.psql("alter role %s createrole" % admin)
        self.paste(run["frozen"]["next"].splitlines(), "")
        equal(secret.run(run_id)["state"], "done")
        secret.agrees(run_id)

    def cancel_when_frozen(self):
        secret = self.secret()
        self.scene.admin_password("changed")
        try:
            self.next_commands(secret)
            self.scene.vault.ctl("run", "cancel", secret.path)
            run = secret.ended(secret.runs()[0])
            wait_for("the run to be cancelled",
                     lambda: secret.run(run["id"])["state"] == "cancelled")
        finally:
            self.scene.admin_password(self.scene.admin[1])
        self.unharmed(secret)
        equal(secret.ended(secret.rotate())["state"], "done")


def main():
    report = Report()
    with Scene() as scene:
        test = Test(scene)
        for name in ("never_fires", "one_account", "one_account_for_two", "weak_generator",
                     "unknown_target", "no_rotation", "admin_refused", "database_down",
                     "rotate_twice", "write_meanwhile", "cancel_early", "cancel_late",
                     "destroy_version_in_use", "kv_rollback", "frozen_admin", "frozen_drift", "drifted", "drilled",
                     "frozen_open", "frozen_server", "frozen_cannot_revoke", "cancel_when_frozen"):
            report.case(name.replace("_", " "), getattr(test, name))
    report.end()


main()
