#!/usr/bin/python3
"""No failed request: rotations by schedule and by hand, under pgbench -C, whose every transaction
opens a new connection with what the agent rendered; five of them, or every tenth, with vaultd killed
in the middle.

    tests/integration/rotation_load.py [--rotations N] ['part of a case name']
"""
import argparse
import os
import re
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
from keyturn import DEADLINE, Report, equal, wait_for  # noqa: E402
from rotation import TERMINAL, Scene, story  # noqa: E402

SERVICE = "orders"
# Where vaultd is killed: in one of these states, or as soon after as is seen.
KILLS = ("preflight", "applying", "acking", "overlapping", "revoking")
LEAST = len(KILLS) + 4
MIDDLE = ("preflight", "generated", "applying", "applied", "verifying", "promoted", "acking",
          "overlapping", "revoking", "confirming")


class Load:
    """pgbench, again and again, as the program of secret-agent run."""

    def __init__(self, scene, secret):
        self.script = """
            cd {folder}
            while [ ! -e stop ]; do
                pgbench -C -n -S -c 4 -j 2 -P 5 -T 10 service=main || {{ echo ENDED $? >&2; exit 9; }}
            done
        """
        self.scene, self.secret = scene, secret

    def start(self):
        pg = self.scene.pg
        pg.psql("grant %s to postgres" % self.secret.name)
        os.environ["PGPASSWORD"] = self.secret.first
        try:
            done = os.spawnlp(os.P_WAIT, "pgbench", "pgbench", "-i", "-q", "-h", "127.0.0.1", "-p",
                              str(pg.port), "-U", self.secret.accounts[0], "orders")
        finally:
            del os.environ["PGPASSWORD"]
        equal(done, 0, "pgbench -i")
        self.agent = self.scene.agent(self.secret, service=SERVICE,
                                      command=("sh", "{folder}/load"), wait=False,
                                      files={"load": self.script})
        wait_for("the service to be healthy", self.agent.healthy)

    def text(self):
        with open(self.agent.path("out")) as out, open(self.agent.log_path) as log:
            return out.read() + log.read()

    def no_failure(self):
        if self.agent.process.poll() is not None:
            raise AssertionError("the service ended: " + self.text()[-3000:])
        text = self.text()
        failed = sum(int(n) for n in re.findall(r"(\d+) failed", text))
        failed += sum(int(n) for n in re.findall(r"failed transactions: (\d+)", text))
        errors = re.findall(r"pgbench: error.*|.*aborted.*|ENDED.*", text)
        equal((failed, errors), (0, []), "failed transactions, errors")

    def finish(self):
        """Lets the last pgbench end by itself; returns the number of transactions."""
        self.agent.write("stop", "")
        self.agent.process.wait(DEADLINE)
        text = self.text()
        equal(self.agent.process.returncode, 0, "the service's exit code: " + text[-2000:])
        done = re.findall(r"number of transactions actually processed: (\d+)", text)
        failed = re.findall(r"number of failed transactions: (\d+)", text)
        equal([int(n) for n in failed], [0] * len(done), "failed transactions")
        equal(re.findall(r"pgbench: error.*|.*aborted.*", text), [], "errors of pgbench")
        return sum(int(n) for n in done)


class Test:
    def __init__(self, scene, rotations):
        self.scene, self.rotations = scene, rotations
        self.kills = [KILLS[i % len(KILLS)] for i in range(max(len(KILLS), rotations // 10))]
        self.scheduled = (rotations - len(self.kills)) // 2
        self.secret = scene.secret("orders", settings={"overlap": "1s"})
        scene.pg.psql("grant create on schema public to orders", db="orders")
        self.load = Load(scene, self.secret)
        self.runs = []

    def by_schedule(self):
        self.secret.set(period="1s")
        wait_for("%d scheduled rotations" % self.scheduled,
                 lambda: len(self.secret.runs()) >= self.scheduled, 3 * DEADLINE * max(1, self.scheduled // 7), pause=0.1)
        self.secret.set(period="10h")
        for run_id in self.secret.runs()[::-1]:
            run = self.secret.ended(run_id)
            equal((run["state"], run["trigger"]), ("done", "schedule"), story(run))
            self.runs.append(run)
        self.load.no_failure()

    def by_hand(self):
        run_id = self.secret.rotate()
        run = self.secret.ended(run_id)
        equal((run["state"], run["trigger"]), ("done", "operator"), story(run))
        self.runs.append(run)
        self.load.no_failure()

    def by_secretctl(self):
        done = self.scene.vault.ctl("rotate", self.secret.path)
        run = self.secret.run(self.secret.runs()[0])
        equal(run["state"], "done", done.stdout)
        self.runs.append(run)
        self.load.no_failure()

    def until_in(self, states):
        """Rotates until a run is seen in one of the states: on a slow machine a short one is missed."""
        for _ in range(5):
            run_id = self.secret.rotate()
            run = wait_for("run %s to be in %s" % (run_id, states[0]), lambda: (
                lambda r: r if r["state"] in states + TERMINAL else None)(self.secret.run(run_id)))
            if run["state"] in states:
                return run_id, run["state"]
            equal(run["state"], "done", story(run))
            self.runs.append(run)
        raise AssertionError("no run was seen in %s" % (states,))

    def killed(self, state):
        run_id, seen = self.until_in(MIDDLE[MIDDLE.index(state):])
        self.scene.vault.kill()
        self.scene.again()
        run = self.secret.ended(run_id)
        if run["state"] not in ("done", "rolled_back"):
            raise AssertionError(story(run))
        print("#   killed in %s, ended %s" % (seen, run["state"]), flush=True)
        self.runs.append(run)
        self.secret.agrees(run_id)
        self.load.no_failure()

    def acknowledged_first(self):
        """In every run that is done the agent had acknowledged before the old password was ended."""
        done = [run for run in self.runs if run["state"] == "done"]
        if len(done) < self.rotations - len(self.kills):
            raise AssertionError("only %d of %d runs are done" % (len(done), len(self.runs)))
        for run in done:
            acks = [s["seq"] for s in run["steps"] if s["kind"] == "ack" and s["ok"]]
            revoke = [s["seq"] for s in run["steps"]
                      if s["kind"] == "intent" and s["name"] == "revoke"]
            if not acks or not revoke or acks[0] > revoke[0]:
                raise AssertionError("acknowledged %r, revoked %r: %s" % (acks, revoke, story(run)))

    def end(self):
        if len(self.runs) < self.rotations:
            raise AssertionError("only %d rotations" % len(self.runs))
        self.secret.agrees(self.runs[-1]["id"])
        transactions = self.load.finish()
        if transactions < 50 * self.rotations:
            raise AssertionError("pgbench made only %d transactions" % transactions)
        print("#   %d rotations, %d transactions, each with a connection of its own, 0 failed" % (
            len(self.runs), transactions), flush=True)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--rotations", type=int, default=10)
    parser.add_argument("only", nargs="?")
    args = parser.parse_args()
    if args.rotations < LEAST:
        parser.error("--rotations must be at least %d: one of each kind" % LEAST)
    report = Report(args.only or "")
    with Scene(tls=True) as scene:
        test = Test(scene, args.rotations)
        test.load.start()
        with scene.watch(test.secret) as watcher:
            report.case("%d rotations by schedule, no transaction fails" % test.scheduled,
                        test.by_schedule)
            for i in range(args.rotations - test.scheduled - len(test.kills)):
                report.case("rotation by hand %d" % (i + 1), test.by_hand if i % 2 else test.by_secretctl)
            for state in test.kills:
                report.case("vaultd is killed in %s" % state, test.killed, state)
            report.case("at every moment a stored value is accepted", watcher.check)
        print("#   %d looks, %d without an answer of the target" % (watcher.samples,
                                                                    watcher.unknown), flush=True)
        if not args.only:
            report.case("the agent acknowledged before each revocation", test.acknowledged_first)
            report.case("%d rotations, 0 failed transactions" % args.rotations, test.end)
    report.end()


main()
