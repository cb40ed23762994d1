#!/usr/bin/python3
"""Never a lost credential: vaultd is killed at random moments of rotations.

    tests/integration/rotation_kill.py [--rounds N] [--seed S] ['part of a case name']

Two secrets, one for each strategy, each with an agent. At every moment a value in the durable store is
accepted by PostgreSQL; each run ends done or rolled back, with store, PostgreSQL and agent agreeing;
none is stuck.
"""
import argparse
import os
import random
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
from keyturn import Report  # noqa: E402
from rotation import Scene, story  # noqa: E402


class Test:
    def __init__(self, scene, rng):
        self.scene, self.rng = scene, rng
        self.secrets = {"alternate": scene.secret("orders"),
                        "in-place": scene.secret("stock", strategy="in-place")}
        for secret in self.secrets.values():
            scene.agent(secret)
        self.length = {}

    def undisturbed(self, strategy):
        """How long a run takes, so that the moments are spread over all of it."""
        secret = self.secrets[strategy]
        begun = time.monotonic()
        run = secret.ended(secret.rotate())
        self.length[strategy] = time.monotonic() - begun
        if run["state"] != "done":
            raise AssertionError(story(run))
        secret.agrees(run["id"])
        print("#   %s: %.2f s" % (strategy, self.length[strategy]), flush=True)

    def start_and_perhaps_kill_again(self):
        again = 0
        while self.rng.random() < 0.25:
            self.scene.again()
            time.sleep(self.rng.uniform(0, 0.4))
            self.scene.vault.kill()
            again += 1
        self.scene.again()
        return again

    def round(self, strategy):
        secret = self.secrets[strategy]
        # Ending sessions takes half of a run: half of the moments are spread over what is before.
        moment = self.rng.uniform(0, self.length.get(strategy, 2.0) * self.rng.choice((0.4, 1)))
        run_id = secret.rotate()
        time.sleep(moment)  # the random moment
        states = [s["name"] for s in secret.run(run_id)["steps"] if s["kind"] == "state"]
        self.scene.vault.kill()
        again = self.start_and_perhaps_kill_again()
        run = secret.ended(run_id)
        print("#   after %.2f s in %s%s: %s" % (moment, states[-1] if states else "planned",
                                               ", %d times more" % again if again else "",
                                               run["state"]), flush=True)
        if run["state"] not in ("done", "rolled_back"):
            raise AssertionError(story(run))
        secret.agrees(run_id)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=int(os.environ.get("KT_ROUNDS", "10")))
    parser.add_argument("--seed", type=int, default=random.randrange(1 << 31))
    parser.add_argument("only", nargs="?")
    args = parser.parse_args()
    report = Report(args.only or "")
    print("# seed %d: %s --seed %d --rounds %d" % (args.seed, sys.argv[0], args.seed, args.rounds),
          flush=True)
    rng = random.Random(args.seed)
    with Scene() as scene:
        test = Test(scene, rng)
        with scene.watch(*test.secrets.values()) as watcher:
            for strategy in test.secrets:
                report.case("%s, undisturbed" % strategy, test.undisturbed, strategy)
            for number in range(args.rounds):
                strategy = ("alternate", "alternate", "in-place")[number % 3]
                report.case("kill %d of %d: %s" % (number + 1, args.rounds, strategy), test.round,
                            strategy)
                if report.failed:
                    break
            report.case("at every moment a stored value is accepted", watcher.check)
        print("#   %d looks, %d without an answer of the target" % (watcher.samples,
                                                                    watcher.unknown), flush=True)
        for strategy in test.secrets:
            report.case("%s rotates afterwards" % strategy, test.undisturbed, strategy)
    report.end()


main()
