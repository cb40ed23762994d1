#!/usr/bin/python3
"""In-place at PostgreSQL under clients that log in anew each time, at once and late: where their agent gave them both
passwords before the change and they try the second when the first is refused, none fails, there and back; where it
gave them one, some do, and the report counts for how long.

    tests/integration/rotation_candidates.py [--rotations N] ['part of a case name']
"""
import argparse
import os
import sys
import threading
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
from keyturn import DEADLINE, Report, equal, wait_for  # noqa: E402
from rotation import Scene, story, together  # noqa: E402

OVERLAP_S = 1
LATENCIES = (0.0, 0.02, 0.2)  # seconds between reading the file and logging in
REST_S = 0.02                 # between two logins of a client: others compute here, too
TRIES = 20                    # more rotations while no login happened to fall between the change and the file
MOST = 0.8 * OVERLAP_S        # a client that the machine held up for longer is counted apart
SETTINGS = {"overlap": "%ds" % OVERLAP_S, "loose_readers": "ignore"}


class Clients:
    """One a latency, each in a loop: reads what the agent wrote, waits, logs in, with the second if the first is
    refused."""

    def __init__(self, scene, agent):
        self.scene, self.agent = scene, agent
        self.stopping = threading.Event()
        self.logins = self.second = self.late = 0
        self.failed = []
        self.lock = threading.Lock()
        self.threads = [threading.Thread(target=self.work, args=(s,), daemon=True) for s in LATENCIES]

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self.stopping.set()
        for thread in self.threads:
            thread.join(DEADLINE)

    def work(self, latency):
        while not self.stopping.wait(REST_S):
            begun = time.monotonic()
            with open(self.agent.path("both")) as f:
                words = f.read().split("\n")
            self.stopping.wait(latency)
            said = [self.scene.login(*words[:2])]
            if said[0] == "R" and words[2:] != words[:2]:
                said.append(self.scene.login(*words[2:]))
            with self.lock:
                self.logins += 1
                self.second += len(said) - 1
                if said[-1] == "A":
                    continue
                if time.monotonic() - begun > MOST:
                    self.late += 1
                else:
                    self.failed.append((latency, said))

    def some_more(self):
        seen = self.logins
        wait_for("logins", lambda: self.logins > seen + 2 * len(LATENCIES))

    def say(self, what):
        print("#   %s: %d logins, %d of them with the second password, %d failed, %d held up by the machine" % (
            what, self.logins, self.second, len(self.failed), self.late), flush=True)


class OneAtATime(Clients):
    """The second is left alone."""

    def work(self, latency):
        while not self.stopping.wait(REST_S):
            with open(self.agent.path("pg_service.conf")) as f:
                found = dict(line.split("=", 1) for line in f.read().split("\n") if "=" in line)
            self.stopping.wait(latency)
            said = self.scene.login(found["user"], found["password"])
            with self.lock:
                self.logins += 1
                if said == "R":
                    self.failed.append((latency, said))


def rounds(rotations, seen):
    """At least so many; then more until something was seen that one rotation need not show."""
    for i in range(rotations + TRIES):
        if i >= rotations and seen():
            return
        yield i


def report_of(scene, run_id):
    return scene.vault.ok("GET", "rotation/runs/%s/report" % run_id).data


def nobody_fails(scene, rotations):
    secret = scene.secret("two", "in-place", settings=SETTINGS)
    agent = scene.agent(secret, candidates=True)
    with Clients(scene, agent) as clients:
        for _ in rounds(rotations, lambda: clients.second):
            clients.some_more()
            run_id = secret.rotate()
            run = secret.ended(run_id)
            equal(run["state"], "done", story(run))
            report = report_of(scene, run_id)
            equal((report["report"]["gap_ms"], report["report"]["gap_until"]), (0, "held"), report["text"])
        clients.some_more()
        secret.set(soak="10m")
        run_id = secret.rotate()
        secret.reached(run_id, "overlapping")
        scene.vault.ok("POST", "rotation/runs/%s/cancel" % run_id, {"reason": "test"})
        run = secret.ended(run_id)
        equal(run["state"], "rolled_back", story(run))
        clients.some_more()
        wait_for("one password in the file", lambda: len(set(open(agent.path("both")).read().split("\n"))) == 2)
    secret.agrees(run_id)
    clients.say("candidates = 2, %d rotations and one back" % rotations)
    equal(clients.failed, [], "failed logins")
    if clients.second == 0:
        raise AssertionError("nobody had to try the second: the clients were too slow to see anything")


def some_fail(scene, rotations):
    secret = scene.secret("one", "in-place", settings=dict(SETTINGS, overlap="0s"))
    agent = scene.agent(secret)
    with OneAtATime(scene, agent) as clients:
        for _ in rounds(rotations, lambda: clients.failed):
            clients.some_more()
            run_id = secret.rotate()
            run = secret.ended(run_id)
            equal(run["state"], "done", story(run))
            report = report_of(scene, run_id)
            equal(report["report"]["gap_until"], "acknowledged", report["text"])
            if report["report"]["gap_ms"] <= 0:
                raise AssertionError(report["text"])
    clients.say("one at a time, %d rotations" % rotations)
    if not clients.failed:
        raise AssertionError("nobody failed: this test could not see that anybody does")


def environment_of(agent):
    with open("/proc/%d/environ" % agent.child(), "rb") as f:
        return dict(line.split("=", 1) for line in f.read().decode().split("\0") if "=" in line)


def in_the_environment(scene):
    """The program is started with both before the change, with the new one after it, and not once more."""
    secret = scene.secret("env", "in-place", settings=dict(SETTINGS, overlap="0s"))
    agent = scene.agent(secret, env="PW", candidates=True)
    slow = "fleet/consumers/slow/" + secret.path  # it keeps the run where it is looked at
    scene.vault.ok("POST", slow, {"service": "s", "version": 1, "state": "registered", "candidates": 2})
    first, before = secret.value(1)[1], agent.child()
    has = environment_of(agent)
    equal((has["PW"], has["PW_NEXT"]), (first, first), "the environment without a candidate")
    run_id = secret.rotate()
    wait_for("the agent to have both", lambda: (agent.told() or {}).get("holds") == 2)
    second, between = secret.value(2)[1], agent.child()
    has = environment_of(agent)
    equal((has["PW"], has["PW_NEXT"], between != before), (first, second, True), "the environment before the change")
    equal(secret.run(run_id)["state"], "generated")
    equal(scene.login(secret.accounts[0], second), "R", "the target's answer before the change")
    scene.vault.ok("DELETE", slow)
    run = secret.ended(run_id)
    equal(run["state"], "done", story(run))
    wait_for("the agent to have one", lambda: agent.told()["holds"] == 0)
    has = environment_of(agent)
    equal((has["PW"], has["PW_NEXT"], agent.child() != between), (second, first, True), "the environment after it")
    secret.agrees(run_id)


def not_well_with_both(scene):
    """A program that cannot read two is given one again, and the run waits for it, with its word for why; nothing is
    changed."""
    secret = scene.secret("ill", "in-place", settings=SETTINGS)
    agent = scene.agent(secret, candidates=True)
    agent.write("health", '#!/bin/sh\n[ "$(sed -n 2p {0}/both)" = "$(sed -n 4p {0}/both)" ]\n'.format(agent.folder), 0o700)
    run_id = secret.rotate()
    wait_for("the run to say why", lambda: secret.run(run_id)["waits_for"].startswith(
        "consumers 0/1 to have v2 beside v1; main@ill-main is healthy on v1: not well with v2 beside it: "
        "the health command failed"))
    equal((agent.told()["holds"], secret.run(run_id)["state"]), (0, "generated"))
    equal((secret.accepted(1), secret.accepted(2)), (True, False), "the first password, the second")
    scene.vault.ok("POST", "rotation/runs/%s/cancel" % run_id, {"reason": "test"})
    equal(secret.ended(run_id)["state"], "cancelled")
    wait_for("one password in the file", lambda: len(set(open(agent.path("both")).read().split("\n"))) == 2)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--rotations", type=int, default=1)
    parser.add_argument("only", nargs="?")
    args = parser.parse_args()
    report = Report(args.only or "")
    with Scene() as scene:
        together(report, [
            ("29: both passwords before the change, %d rotations and one back: no login fails" % args.rotations,
             nobody_fails, scene, args.rotations),
            ("29: one password at a time, %d rotations: some fail, and the report says for how long" % (
                2 * args.rotations), some_fail, scene, 2 * args.rotations),
            ("both in the environment", in_the_environment, scene),
            ("a program that is not well with both", not_well_with_both, scene),
        ], threads=4)
    report.end()


main()
