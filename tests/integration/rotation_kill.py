#!/usr/bin/python3
"""Never a lost credential: vaultd ends at random moments of rotations.

    tests/integration/rotation_kill.py [--rounds N] [--seed S] ['part of a case name']

Two secrets, one for each strategy, each with an agent. Most rounds end vaultd with SIGKILL, some with
SIGTERM, some seal it; some more than once. In some rounds the service's health check fails with the new
version, in some somebody cancels. At every moment a value in the durable store is accepted by PostgreSQL;
each run ends as it has to, with store, PostgreSQL and agent agreeing; none is stuck.
"""
import argparse
import os
import random
import signal
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
from keyturn import Report, wait_for  # noqa: E402
from rotation import Scene, story  # noqa: E402


LENGTH = {"alternate": 2.2, "in-place": 0.8}  # of an undisturbed run, in seconds


class Round:
    """What one round does, all of it from the seed."""

    def __init__(self, rng, number):
        self.strategy = ("alternate", "alternate", "in-place")[number % 3]
        # Ending sessions takes half of a run: half of the moments are spread over what is before.
        self.moment = rng.uniform(0, LENGTH[self.strategy] * rng.choice((0.4, 1)))
        self.how = rng.choices(("kill", "stop", "seal"), (8, 1, 1))[0]
        self.again = [rng.uniform(0, 0.4) for _ in range(rng.choices((0, 1, 2), (12, 3, 1))[0])]
        self.trouble = rng.choices(("", "unhealthy", "cancel"), (6, 2, 1))[0]
        self.cancel_after = rng.uniform(0, self.moment)

    def allowed(self):
        return {"": ("done",), "unhealthy": ("rolled_back",),
                "cancel": ("done", "rolled_back", "cancelled")}[self.trouble]

    def __str__(self):
        return "%s%s after %.2f s%s" % (
            self.trouble + ", " if self.trouble else "", self.how, self.moment,
            ", %d times more" % len(self.again) if self.again else "")


class Test:
    def __init__(self, scene):
        self.scene = scene
        self.secrets = {"alternate": scene.secret("orders"),
                        "in-place": scene.secret("stock", strategy="in-place")}
        for secret in self.secrets.values():
            scene.agent(secret)

    def undisturbed(self, strategy):
        secret = self.secrets[strategy]
        begun = time.monotonic()
        run = secret.ended(secret.rotate())
        took = time.monotonic() - begun
        if run["state"] != "done":
            raise AssertionError(story(run))
        secret.agrees(run["id"])
        print("#   %s: %.2f s" % (strategy, took), flush=True)

    def end_vaultd(self, this):
        vault = self.scene.vault
        if this.how == "seal":
            vault.ok("PUT", "sys/seal")
            vault.unseal()
        else:
            vault.kill(signal.SIGKILL if this.how == "kill" else signal.SIGTERM)
            self.scene.again()
        for moment in this.again:
            time.sleep(moment)
            vault.kill()
            self.scene.again()

    def wait_and_cancel(self, secret, run_id, this):
        if this.trouble != "cancel":
            time.sleep(this.moment)
            return
        time.sleep(this.cancel_after)
        # Too late is an answer, too.
        answer = self.scene.vault.call("POST", "rotation/runs/%s/cancel" % run_id)
        if answer.status != 200 and "KT-R-008" not in answer.body:
            raise AssertionError("cancel: %r" % answer)
        time.sleep(this.moment - this.cancel_after)

    def round(self, this):
        secret = self.secrets[this.strategy]
        broken = secret.agents[0].path("broken")
        if this.trouble == "unhealthy":
            secret.agents[0].write("broken", str(secret.stored()["current"]))
        run_id = secret.rotate()
        self.wait_and_cancel(secret, run_id, this)
        states = [s["name"] for s in secret.run(run_id)["steps"] if s["kind"] == "state"]
        self.end_vaultd(this)
        run = secret.ended(run_id)
        print("#   %s in %s: %s" % (this, states[-1] if states else "planned", run["state"]),
              flush=True)
        if run["state"] not in this.allowed():
            raise AssertionError(story(run))
        if os.path.exists(broken):
            os.unlink(broken)
        secret.agrees(run_id)

    def a_loss_is_seen(self):
        """The watcher itself works: a password changed by somebody else is seen."""
        secret = self.scene.secret("lost")
        watcher = self.scene.watch(secret)
        with watcher:
            wait_for("some looks", lambda: watcher.samples >= 3 or watcher.error)
            watcher.check()
            self.scene.pg.psql("alter role %s password 'stolen'" % secret.accounts[0])
            wait_for("the loss to be seen", lambda: watcher.false or watcher.error)
            watcher.stop()  # it sees the loss again at each look
            seen, watcher.false = watcher.false, []
        if not seen:
            raise AssertionError("the watcher did not see it")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=int(os.environ.get("KT_ROUNDS", "10")))
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("only", nargs="?")
    args = parser.parse_args()
    report = Report(args.only or "")
    print("# seed %d: %s --seed %d --rounds %d" % (args.seed, sys.argv[0], args.seed, args.rounds),
          flush=True)
    rng = random.Random(args.seed)
    with Scene() as scene:
        test = Test(scene)
        with scene.watch(*test.secrets.values()) as watcher:
            for strategy in test.secrets:
                report.case("%s, undisturbed" % strategy, test.undisturbed, strategy)
            for number in range(args.rounds):
                this = Round(rng, number)
                report.case("ended %d of %d times: %s" % (number + 1, args.rounds, this.strategy),
                            scene.alive, test.round, this)
                if report.failed:
                    break
            report.case("at every moment a stored value is accepted", watcher.check)
        print("#   %d looks, %d without an answer of the target" % (watcher.samples,
                                                                    watcher.unknown), flush=True)
        for strategy in test.secrets:
            report.case("%s rotates afterwards" % strategy, test.undisturbed, strategy)
        report.case("a loss is seen", test.a_loss_is_seen)
    report.end()


main()
