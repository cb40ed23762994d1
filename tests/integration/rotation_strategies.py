#!/usr/bin/python3
"""What a rotation can be: in-place, generated only, gone back; and when it starts by itself.

    tests/integration/rotation_strategies.py ['part of a case name']
"""
import collections
import http.server
import itertools
import os
import re
import signal
import subprocess
import sys
import threading
import time
from datetime import datetime, timedelta, timezone

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
from keyturn import DEADLINE, Report, contains, equal, program, wait_for  # noqa: E402
from libpq import login as pg_login  # noqa: E402
from pgbouncer import PgBouncer  # noqa: E402
from rotation import Scene, make_postgres, story, together  # noqa: E402


def parse(time_text):
    return datetime.fromisoformat(re.sub(r"\.(\d+)Z$", lambda m: "." + m.group(1).ljust(6, "0") +
                                         "+00:00", time_text).replace("Z", "+00:00"))


class Generated:
    """A secret without a target."""

    def __init__(self, scene, name, **settings):
        self.scene, self.path, self.inner = scene, "secret/gen/" + name, "gen/" + name
        scene.vault.ok("POST", "secret/data/" + self.inner, {"data": {"password": "first", "n": 1}})
        scene.vault.ok("POST", "rotation/secrets/" + self.path,
                       dict({"strategy": "generate"}, **settings))

    def set(self, **settings):
        self.scene.vault.ok("POST", "rotation/secrets/" + self.path, settings)

    def state(self):
        return self.scene.vault.ok("GET", "rotation/secrets/" + self.path).data["state"]

    def runs(self):
        answer = self.scene.vault.call("LIST", "rotation/runs?secret=" + self.path)
        if answer.status != 200:
            return []
        return [self.scene.vault.ok("GET", "rotation/runs/" + key).data
                for key in answer.data["keys"]][::-1]

    def values(self):
        return {v["number"]: v["data"] for v in self.scene.peek(self.inner)["versions"]
                if v.get("data")}


class Slow:
    """A service that answers over HTTP after a time that its version decides: {version: seconds}."""

    # Far from what a busy machine adds: twice as slow is more than a second slower as well.
    HEALTH = """
  health "http" {
    url            = "http://127.0.0.1:%d/"
    interval       = "20ms"
    timeout        = "30s"
    samples        = 10
    pass           = 1
    window         = "90s"
    latency_factor = 2
    latency_floor  = "1s"
  }"""

    def __init__(self, scene, secret, takes):
        self.takes, self.asked = takes, collections.Counter()
        service = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                version = secret.agents[0].version()
                service.asked[version] += 1
                time.sleep(service.takes[version])
                self.send_response(200)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True).start()
        self.agent = scene.agent(secret, health=self.HEALTH % self.server.server_address[1])

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.agent.stop()
        self.server.shutdown()
        self.server.server_close()


class Test:
    def __init__(self, scene):
        self.scene = scene
        self.numbers = itertools.count(1)

    def secret(self, strategy="alternate", **more):
        return self.scene.secret("s%d" % next(self.numbers), strategy, **more)

    # ---- a pool in between ----

    def a_pool(self):
        """28: PgBouncer keeps a connection that nobody uses: it is gone before the run is done."""
        secret = self.secret()
        old, password = secret.value(1)
        with PgBouncer(self.scene.pg, "orders", [(old, password)]) as pool:
            equal(pg_login("127.0.0.1", pool.port, old, password, "orders"), "A", "through the pool")
            equal(self.scene.place.sessions(old), 1, "connections that the pool keeps")
            run = secret.ended(secret.rotate())
            equal(run["state"], "done", story(run))
            equal(self.scene.place.sessions(old), 0, "connections of the old account")
            pg_login("127.0.0.1", pool.port, old, password, "orders")  # the pool lets in, and cannot go on
            equal(self.scene.place.sessions(old), 0, "connections of the old account, asked for again")
        secret.agrees(run["id"])

    # ---- in-place ----

    def in_place(self):
        secret = self.secret("in-place")
        agent = self.scene.agent(secret)
        with self.scene.watch(secret):
            for _ in range(3):
                run = secret.ended(secret.rotate())
                equal(run["state"], "done", story(run))
                current = secret.agrees(run["id"])
        equal(current, 4, "current")
        equal(secret.stored()["previous"], 0, "previous: there is none in-place")
        equal(agent.told()["version"], 4, "the version that the agent acknowledged")
        contains(secret.one_report(run["id"])["text"], "new connections failed for up to")

    def in_place_goes_back(self):
        """The health check fails with the new version: the old password is set again."""
        secret = self.secret("in-place")
        agent = self.scene.agent(secret)
        before = secret.value(1)
        verifier = "select rolpassword from pg_authid where rolname = '%s'" % secret.accounts[0]
        agent.write("broken", "1")
        with self.scene.watch(secret):
            run = secret.ended(secret.rotate())
        equal(run["state"], "rolled_back", story(run))
        equal(secret.agrees(run["id"]), 1, "current")
        why = self.scene.vault.ctl("run", "why", secret.path).stdout
        for part in ("\nnewest  rolled_back 2", "\nwhy     ", "not healthy", "\nreport  secretctl run report " + run["id"]):
            contains(why, part)
        equal("rolled_back" in why.split("last  ")[1].split("\n")[0], False, "the result beside another time")
        equal(secret.value(1), before, "the value")
        equal(secret.accepted(2), False, "version 2 is accepted")
        equal(secret.value(2) is None, False, "the value stays, should the target forget the last change")
        os.unlink(agent.path("broken"))
        set_again = self.scene.pg.rows(verifier)
        run = secret.ended(secret.rotate())
        equal(run["state"], "done", story(run))
        equal(self.scene.pg.rows(verifier) == set_again, False, "the same verifier")
        secret.agrees(run["id"])

    def in_place_cancelled(self):
        secret = self.secret("in-place")
        agent = self.scene.agent(secret)
        agent.process.send_signal(signal.SIGSTOP)
        with self.scene.watch(secret):
            run_id = secret.rotate()
            secret.reached(run_id, "acking")
            self.scene.vault.ctl("run", "cancel", run_id)
            run = secret.ended(run_id)
        agent.process.send_signal(signal.SIGCONT)
        equal(run["state"], "rolled_back", story(run))
        equal(secret.agrees(run_id), 1, "current")

    # ---- the administrative login ----

    def admin_rotates(self):
        """It is a secret's, which rotates at the very target: two logins with the rights of one role."""
        admin = self.secret()
        self.scene.pg.psql("alter role {0} createrole; grant pg_signal_backend to {0}".format(admin.name))
        self.scene.target(admin.target, admin_secret=admin.path, admin_username="", admin_password="")
        app = self.secret(target=admin.target)
        for secret in admin, app:
            with self.scene.watch(admin, app):
                run = secret.ended(secret.rotate())
            equal(run["state"], "done", story(run))
            secret.agrees(run["id"])
        contains(self.scene.vault.ctl("target", "check", admin.target).stdout, "accepted")
        contains(self.scene.vault.ctl("target", "show", admin.target).stdout, admin.path)

    # ---- as one ----

    def as_one(self):
        first, other = self.secret(), self.secret("in-place")
        first.set(together=[other.path])
        agent = self.scene.agent(other)
        agent.write("broken", "1")
        with self.scene.watch(first, other):
            run = first.ended(first.rotate())
            equal(run["state"], "rolled_back", story(run))
            contains(run["why"], other.path)
            equal(other.ended(other.runs()[0])["state"], "rolled_back")
            os.unlink(agent.path("broken"))
            run = other.ended(other.rotate())
            equal(run["state"], "done", story(run))
            done = first.ended(first.runs()[0])
            equal(done["state"], "done", story(done))
        contains(first.one_report(done["id"])["text"], "from here on none goes back")
        equal((first.agrees(done["id"]), other.agrees(run["id"])), (3, 3), "current")

    # ---- after the acknowledgement ----

    def sick_during_soak(self, strategy):
        """Acknowledged, and then not healthy any more: it goes back."""
        secret = self.secret(strategy, settings={"soak": "30s"})
        agent = self.scene.agent(secret)
        with self.scene.watch(secret):
            run_id = secret.rotate()
            secret.reached(run_id, "overlapping")
            agent.write("broken", "1")
            run = secret.ended(run_id)
        equal(run["state"], "rolled_back", story(run))
        contains(secret.one_report(run_id)["text"], "not healthy on v2")
        equal(secret.agrees(run_id), 1, "current")

    def too_slow(self):
        """26: a little slower with the new version is well; more than twice as slow is not."""
        secret = self.secret()
        with Slow(self.scene, secret, {1: 0.02, 2: 0.03, 3: 3}) as service, self.scene.watch(secret):
            run = secret.ended(secret.rotate())
            equal(run["state"], "done", story(run))
            report = secret.one_report(run["id"])
            told = report["report"]["consumers"][0]
            equal((told["baseline_p95_ms"] >= 20, told["p95_ms"] >= 30), (True, True), "%r" % told)
            contains(report["text"], "| 2 | healthy | %d ms | %d ms |" % (
                told["p95_ms"], told["baseline_p95_ms"]))
            run = secret.ended(secret.rotate())
            equal(run["state"], "rolled_back", story(run))
            equal(secret.agrees(run["id"]), 2, "current")
        text = secret.one_report(run["id"])["text"]
        said = re.search(r"is not healthy on v3: p95 (\d+) ms, before (\d+) ms", text)
        equal(said is not None, True, "latency against the baseline in " + text)
        now, before = int(said[1]), int(said[2])
        equal((now >= 3000, before >= 30, now > 2 * before), (True, True, True), said[0])
        contains(text, "| 2 | healthy | - | - |")  # its last word measured nothing
        equal(secret.accepted(3), False, "version 3 is accepted")
        equal(service.asked[3], 1, "requests that the slow version had")

    def sick_for_good(self):
        """Neither version helps: it is back on the old one, and that is said."""
        secret = self.secret(settings={"soak": "30s"})
        agent = self.scene.agent(secret)
        run_id = secret.rotate()
        secret.reached(run_id, "overlapping")
        agent.write("broken", "0")
        run = secret.ended(run_id)
        equal(run["state"], "rolled_back", story(run))
        equal(secret.agrees(run_id), 1, "current")
        told = agent.told()
        equal((told["version"], told["state"]), (1, "unhealthy"), "what the vault knows")
        os.unlink(agent.path("broken"))
        wait_for("it to be well again", agent.healthy)

    def dies_during_soak(self):
        """The program fails with the new version after its acknowledgement: that is no consumer less."""
        secret = self.secret(settings={"soak": "30s"})
        agent = self.scene.agent(secret)
        run_id = secret.rotate()
        secret.reached(run_id, "overlapping")
        os.kill(agent.child(), signal.SIGKILL)
        agent.process.wait(DEADLINE)
        secret.reached(run_id, "rolling_back")
        told = agent.told()
        equal((told["version"], told["state"]), (2, "unhealthy"), "what the vault knows")
        contains(told["detail"], "signal 9")
        agent.start()
        run = secret.ended(run_id)
        equal(run["state"], "rolled_back", story(run))
        contains(secret.one_report(run_id)["text"], "not healthy on v2: the service ended with signal 9")
        equal(secret.agrees(run_id), 1, "current")
        # Without a rotation, or with exit status 0, it is gone.
        os.kill(agent.child(), signal.SIGKILL)
        agent.process.wait(DEADLINE)
        wait_for("it to be gone", lambda: agent.told() is None)
        agent.start()

    # ---- generated only ----

    def generated(self):
        for kind, form in (("password", r"[A-Za-z][A-Za-z0-9]{27}"), ("hex", r"[0-9a-f]{64}"),
                           ("base64", r"[A-Za-z0-9+/]{43}="),
                           ("uuid", r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")):
            secret = Generated(self.scene, kind, generator={"type": kind})
            for expected in (2, 3):
                answer = self.scene.vault.ok("POST", "rotation/rotate/" + secret.path, {}).data
                equal(answer["state"], "done")
                value = secret.values()[expected]
                equal(value["n"], 1, "the member that is not rotated")
                if not re.fullmatch(form, value["password"]):
                    raise AssertionError("%s: the value has the form %r" % (
                        kind, re.sub(r"\w", "x", value["password"])))
            equal(len({v["password"] for v in secret.values().values()}), 3, "different values")
            equal(secret.state()["current"], 3, "current")
            contains(self.scene.vault.ctl("run", "report", secret.path).stdout, "DONE")

    # ---- going back ----

    def back_before(self):
        secret = self.secret()
        agent = self.scene.agent(secret)
        agent.process.send_signal(signal.SIGSTOP)
        run_id = secret.rotate()
        secret.reached(run_id, "acking")
        back = subprocess.Popen([program("secretctl"), "rotate", "--back", secret.path], text=True,
                                stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                stderr=subprocess.STDOUT, env=self.scene.vault.environment())
        secret.reached(run_id, "rolling_back", "rolled_back")
        agent.process.send_signal(signal.SIGCONT)
        said, _ = back.communicate(timeout=DEADLINE)
        equal(back.returncode, 2, said)
        contains(said, "ROLLED BACK")
        equal(secret.runs(), [run_id], "runs: the same one went back")
        equal(secret.agrees(run_id), 1, "current")

    def back_after(self, strategy):
        """A new run, with the value before the last one."""
        secret = self.secret(strategy)
        self.scene.agent(secret)
        first = secret.value(1)
        equal(secret.ended(secret.rotate())["state"], "done")
        with self.scene.watch(secret):
            said = self.scene.vault.ctl("rotate", "--back", "--reason=too new", secret.path)
        contains(said.stdout, "DONE")
        run = secret.run(secret.runs()[0])
        equal((run["trigger"], run["from"], run["to"], run["reason"]), ("back", 2, 3, "too new"))
        equal(secret.value(3), first, "the value of version 1")
        # agrees() would ask for version 1 to be refused: it is the same value as version 3.
        equal((secret.stored()["current"], secret.accepted(3), secret.accepted(2)), (3, True, False),
              "current, accepted")

    def back_from_nothing(self):
        secret = self.secret()
        said = self.scene.vault.ctl("rotate", "--back", secret.path, check=False)
        equal(said.returncode, 2, said.stdout + said.stderr)
        contains(said.stderr, "KT-R-006")
        equal(secret.accepted(1), True, "version 1 is accepted")

    # ---- when ----

    def cron_with_seconds(self):
        secret = Generated(self.scene, "cron", cron="*/2 * * * * *")
        wait_for("three runs in a row at even seconds", lambda: self.punctual(secret.runs()))
        secret.set(cron="", period="10h")
        for run in secret.runs()[:3]:
            equal((run["state"], run["trigger"]), ("done", "schedule"))

    @staticmethod
    def punctual(runs):
        """Three in a row, each within a second of its even second. A busy machine may be late for some."""
        starts = [parse(run["started"]).timestamp() for run in runs]
        return any(max(start % 2 for start in three) < 1 and
                   [round((b - a) / 2) for a, b in zip(three, three[1:])] == [1, 1]
                   for three in (starts[i:i + 3] for i in range(len(starts) - 2)))

    def period_after_success(self):
        secret = Generated(self.scene, "period", period="2s")
        wait_for("two runs", lambda: len(secret.runs()) >= 2)
        secret.set(period="10h")
        first, second = [parse(run["started"]).timestamp() for run in secret.runs()[:2]]
        if second - first < 2:
            raise AssertionError("the second came %.2f s after the first" % (second - first))

    def closed_window(self):
        now = datetime.now(timezone.utc)
        opens = now + timedelta(hours=2)
        window = "%s-%s" % (opens.strftime("%H:00"), (opens + timedelta(hours=1)).strftime("%H:00"))
        secret = Generated(self.scene, "window", cron="*/2 * * * * *", window=window)
        time.sleep(2.5)
        equal(secret.runs(), [], "runs outside of the window")
        due = parse(secret.state()["next_due"])
        equal(due.strftime("%H:%M"), opens.strftime("%H:00"), "due when the window opens")
        # max_age is due in spite of it.
        secret.set(max_age="1s")
        run = wait_for("a run", lambda: (secret.runs() or [None])[0])
        secret.set(max_age="100d")
        equal((run["state"], run["trigger"]), ("done", "max_age"))

    def open_window(self):
        now = datetime.now(timezone.utc)
        window = "%s-%s" % ((now - timedelta(hours=1)).strftime("%H:%M"),
                            (now + timedelta(hours=1)).strftime("%H:%M"))
        secret = Generated(self.scene, "open", cron="*/2 * * * * *", window=window)
        wait_for("a run", lambda: secret.runs())
        secret.set(cron="", window="", period="10h")

    def catch_up(self):
        """vaultd is away for several fires: they become one run, and then the schedule goes on."""
        secret = Generated(self.scene, "catchup", cron="*/5 * * * * *")
        wait_for("a run", lambda: secret.runs())
        self.scene.vault.kill()
        before = time.time()
        away = 15 - (before % 5) + 1  # back one second after a fire
        time.sleep(away)
        self.scene.again()

        def since():
            return [s for s in (parse(r["started"]).timestamp() for r in secret.runs()) if s > before]

        wait_for("the run of after the downtime", since)
        next_fire = (int(since()[0]) // 5 + 1) * 5
        wait_for("the next fire", lambda: since()[-1] >= next_fire)
        secret.set(cron="", period="10h")
        meanwhile = [start for start in since() if start < next_fire]
        equal(len(meanwhile), 1, "runs between the start and the next fire, %.0f s away" % away)

    def settings_of_the_start(self):
        """What is changed during a run applies from the next one."""
        secret = self.secret()
        agent = self.scene.agent(secret)
        agent.process.send_signal(signal.SIGSTOP)
        run_id = secret.rotate()
        secret.reached(run_id, "acking")
        secret.set(overlap="300s")
        agent.process.send_signal(signal.SIGCONT)
        run = secret.ended(run_id)
        equal(run["state"], "done", story(run))
        secret.agrees(run_id)

    # ---- many, and unwilling targets ----

    def many_at_once(self):
        secrets = [self.secret() for _ in range(6)]
        ids = [secret.rotate() for secret in secrets]
        for secret, run_id in zip(secrets, ids):
            run = secret.ended(run_id, 90)
            equal(run["state"], "done", story(run))
            secret.agrees(run_id)

    def breaker(self):
        """Three failures in a row at a target: its schedules rest until a run by hand gets through."""
        secret = self.secret()
        agent = self.scene.agent(secret)
        agent.write("broken", "1")
        for _ in range(3):
            equal(secret.ended(secret.rotate())["state"], "rolled_back")
        os.unlink(agent.path("broken"))
        other = self.secret(target=secret.target, settings={"period": "1s"})
        time.sleep(3)
        equal(other.runs(), [], "scheduled runs at a target where three failed")
        due = self.scene.vault.ok("GET", "rotation/due").data["due"]
        blocked = [row["blocked_by"] for row in due if row["secret"] == other.path]
        if not blocked or not blocked[0]:
            raise AssertionError("nothing says why it is blocked: %r" % due)
        equal(secret.ended(secret.rotate())["state"], "done")
        wait_for("the schedule to go on", lambda: other.runs())
        other.set(period="10h")
        other.ended(other.runs()[0])

    def sessions_start_as_another(self):
        """An account that does not act as the group: found before anything is changed."""
        secret = self.secret()
        account = secret.accounts[1]
        self.scene.pg.psql("alter role %s reset role" % account)
        mends = "ALTER ROLE %s SET role" % account
        dry = self.scene.vault.ctl("rotate", secret.path, "--dry-run", check=False)
        equal(dry.returncode, 2, "the exit code of the dry run")
        contains(dry.stdout, "NOT READY")
        contains(dry.stdout, mends)
        run = secret.ended(secret.rotate())
        equal(run["state"], "cancelled", story(run))
        equal([s for s in run["steps"] if s["kind"] == "intent"], [], "intents")
        contains(secret.one_report(run["id"])["text"], mends)
        equal(secret.agrees(run["id"]), 1, "current")

    def hba_names_one_account(self):
        """pg_hba.conf lets in only the first account: nothing is changed."""
        pg = make_postgres()
        with Scene(pg=pg) as scene:
            secret = scene.secret("narrow")
            pg.hba("host all %s 127.0.0.1/32 scram-sha-256" % scene.admin[0],
                   "host all narrow_a 127.0.0.1/32 scram-sha-256")
            run_id = secret.rotate()
            wait_for("the run to have tried twice", lambda: len(
                [s for s in secret.run(run_id)["steps"] if s["kind"] == "probe"]) >= 2)
            run = secret.run(run_id)
            equal([s for s in run["steps"] if s["kind"] == "intent"], [], "intents")
            contains(scene.vault.ctl("run", "why", secret.path).stdout, "pg_hba.conf")
            scene.vault.ctl("run", "cancel", run_id)
            equal(secret.ended(run_id)["state"], "cancelled")
            equal(secret.accepted(1), True, "version 1 is accepted")
        pg.remove()


def main():
    report = Report()
    with Scene() as scene:
        test = Test(scene)
        together(report, [
            ("a pool in between", test.a_pool),
            ("in-place", test.in_place),
            ("in-place goes back", test.in_place_goes_back),
            ("in-place is cancelled", test.in_place_cancelled),
            ("alternate: unhealthy during the soak", test.sick_during_soak, "alternate"),
            ("in-place: unhealthy during the soak", test.sick_during_soak, "in-place"),
            ("too slow with the new version", test.too_slow),
            ("unhealthy with either version", test.sick_for_good),
            ("the program fails during the soak", test.dies_during_soak),
            ("generated only", test.generated),
            ("back before the old one is ended", test.back_before),
            ("back afterwards: alternate", test.back_after, "alternate"),
            ("back afterwards: in-place", test.back_after, "in-place"),
            ("back from nothing", test.back_from_nothing),
            ("cron with seconds", test.cron_with_seconds),
            ("period after the last success", test.period_after_success),
            ("a closed window, and max_age", test.closed_window),
            ("an open window", test.open_window),
            ("settings are those of the start", test.settings_of_the_start),
            ("three failures hold a target's schedules", test.breaker),
            ("the administrative login rotates", test.admin_rotates),
            ("two rotate as one", test.as_one),
            ("an account that does not act as the group", test.sessions_start_as_another),
            ("pg_hba.conf names one account", test.hba_names_one_account),
        ])
        report.case("many at once", test.many_at_once)
        report.case("missed fires become one run", test.catch_up)
    report.end()


main()
