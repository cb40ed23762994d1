#!/usr/bin/python3
"""No failed request at MariaDB and Redis: rotations under clients that open a new connection for every
request, with the credential that secret-agent gave them; in every tenth rotation vaultd is killed.

    tests/integration/rotation_reconnect.py [--rotations N] [--seed S] ['part of a case name']

MariaDB's client reads an option file that the agent renders, at each start; redis-cli has the password in
REDISCLI_AUTH, which the agent sets, and is started anew with the new one. What a client was given is good
for the overlap after its agent has acknowledged: a failure counts unless the machine itself let this one
client wait for longer than that between reading and logging in; such are counted apart.
"""
import argparse
import concurrent.futures
import os
import random
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
from keyturn import DEADLINE, Report, equal, wait_for  # noqa: E402
from rotation import TERMINAL, Scene, story  # noqa: E402
from rotation_places import MariaPlace, RedisPlace  # noqa: E402

OVERLAP_S = 1
CLIENTS = 2
MOST = 0.8 * OVERLAP_S  # seconds between two readings of a client's clock, within which a failure counts

# Told to end, it lets each client finish its request: what the machine breaks off is no failure of ours.
LOOP = """
cd {folder} || exit 3
client() {{
    trap '' TERM
    while [ ! -e stop ] && [ ! -e halt.$$ ]; do
        begun=$EPOCHREALTIME
        if said=$(ONE 2>&1); then
            echo >> done.$1
        else
            echo "$begun $EPOCHREALTIME ${{said//$'\\n'/ }}" >> failed.$1
        fi
    done
}}
trap ': > halt.$$; wait; exit 0' TERM
for i in CLIENTS; do client $i & done
wait
"""


class MariaLoad:
    make_place, one, env = MariaPlace, "mariadb --defaults-file=my.cnf -BNe 'SELECT 1' orders", None


class RedisLoad:
    make_place, env = RedisPlace, "REDISCLI_AUTH"
    one = "redis-cli -h 127.0.0.1 -p PORT --user USER PING | grep -x PONG"


class Test:
    def __init__(self, kind, strategy, rng):
        self.kind, self.rng = kind, rng
        self.place = kind.make_place()
        self.scene = Scene(place=self.place)
        self.secret = self.scene.secret("orders", strategy=strategy, settings={"overlap": "%ds" % OVERLAP_S})
        self.runs, self.killed_in = [], []

    def start(self):
        one = self.kind.one.replace("PORT", str(self.place.port())).replace("USER", self.secret.accounts[0])
        loop = LOOP.replace("ONE", one).replace("CLIENTS", " ".join(map(str, range(CLIENTS))))
        self.agent = self.scene.agent(self.secret, command=("bash", "{folder}/load"), files={"load": loop},
                                      env=self.kind.env)
        wait_for("requests", lambda: self.requests() > 10)

    def lines(self, name):
        found = []
        for i in range(CLIENTS):
            path = self.agent.path("%s.%d" % (name, i))
            if os.path.exists(path):
                with open(path) as f:
                    found += f.read().splitlines()
        return found

    def requests(self):
        return sum(os.path.getsize(self.agent.path("done.%d" % i)) for i in range(CLIENTS)
                   if os.path.exists(self.agent.path("done.%d" % i)))

    def failures(self):
        """(those that count, those whose client was held up by the machine)"""
        failed = [line.split(" ", 2) for line in self.lines("failed")]
        slow = [f for f in failed if float(f[1]) - float(f[0]) > MOST]
        return [f for f in failed if f not in slow], slow

    def rotation(self, kill):
        before = self.requests()
        run_id = self.secret.rotate()
        if kill:
            state = self.rng.choice(("applying", "acking", "overlapping", "revoking"))
            run = wait_for("the run to be on its way", lambda: (
                lambda r: r if r["state"] in (state,) + TERMINAL else None)(self.secret.run(run_id)))
            self.scene.vault.kill()
            self.scene.again()
            self.killed_in.append(run["state"])
        run = self.secret.ended(run_id)
        self.runs.append(run)
        if run["state"] != "done":
            raise AssertionError(story(run))
        equal(self.failures()[0], [], "failed requests")
        wait_for("a request afterwards", lambda: self.requests() > before)

    def rotations(self, number):
        for i in range(number):
            self.rotation(kill=i % 10 == min(4, number - 1))
        self.secret.agrees(self.runs[-1]["id"])

    def acknowledged_first(self):
        for run in self.runs:
            acks = [s["seq"] for s in run["steps"] if s["kind"] == "ack" and s["ok"]]
            revoke = [s["seq"] for s in run["steps"] if (s["kind"], s["name"]) == ("intent", "revoke")]
            if not acks or not revoke or acks[0] > revoke[0]:
                raise AssertionError("acknowledged %r, revoked %r: %s" % (acks, revoke, story(run)))

    def end(self):
        self.agent.write("stop", "")
        self.agent.process.wait(DEADLINE)
        counted, slow = self.failures()
        equal(counted, [], "failed requests")
        print("#   %s: %d rotations, vaultd killed in %s, %d requests with a connection each, 0 failed, %d held up "
              "by the machine" % (self.place.driver, len(self.runs), self.killed_in or "none", self.requests(),
                                  len(slow)), flush=True)

    def remove(self):
        self.scene.remove()
        self.place.remove()


def under_load(kind, strategy, number, seed):
    test = Test(kind, strategy, random.Random(seed))
    try:
        test.start()
        with test.scene.watch(test.secret):
            test.rotations(number)
        test.acknowledged_first()
        test.end()
    finally:
        test.remove()


def overlap_counts(kind):
    """A client that has read the credential and logs in late. Within the overlap it gets in; without one
    it fails, which is what the overlap is there for."""
    place = kind.make_place()
    scene = Scene(place=place)
    try:
        for overlap, wanted in (("30s", 0), ("0s", 1)):
            secret = scene.secret("late" + overlap, strategy="overlap", settings={"overlap": overlap})
            scene.agent(secret)
            given = secret.value(1)
            run_id = secret.rotate()
            if overlap == "0s":
                equal(secret.ended(run_id)["state"], "done")
            else:
                secret.reached(run_id, "overlapping")
            failed = [place.login(*given)].count("R")
            equal(failed, wanted, "failed logins with overlap=" + overlap)
    finally:
        scene.remove()
        place.remove()


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--rotations", type=int, default=6)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("only", nargs="?")
    args = parser.parse_args()
    report = Report(args.only or "")
    print("# seed %d" % args.seed, flush=True)
    cases = [("%s: %d rotations under load, no request fails" % (name, args.rotations), under_load, kind, "overlap",
              args.rotations, args.seed) for name, kind in (("mariadb", MariaLoad), ("redis", RedisLoad))]
    cases += [("redis: a late client fails without an overlap, and not with one", overlap_counts, RedisLoad)]
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        list(pool.map(lambda case: report.case(*case), cases))
    report.end()


main()
