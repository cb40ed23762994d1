#!/usr/bin/python3
"""Hard to lie to: who may say that a service runs a version, and whose word counts.

    tests/integration/rotation_lie.py ['part of a case name']

Consumers are played here over the API, so that they can lie.
"""
import itertools
import os
import sys
import threading
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
from keyturn import Report, contains, equal  # noqa: E402
from rotation import Scene, story, together  # noqa: E402

BEFORE_REVOKING = ("promoted", "acking", "overlapping")
# Long enough for a slow machine to say something meanwhile.
OVERLAP, BEYOND_OVERLAP = "8s", 8.5
MAX_OVERLAP = 10


class Voice:
    """An identity that says things about a service."""

    def __init__(self, scene, secret, host, service="main", token=None):
        self.scene, self.secret, self.host, self.service = scene, secret, host, service
        self.token = token or scene.agent_token(host)

    def say(self, state, version, host=None):
        return self.scene.vault.call("POST", "fleet/consumers/%s/%s" % (
            host or self.host, self.secret.path), {
                "service": self.service, "version": version, "state": state, "instance": "test:1:1",
                "evidence": "healthcheck"}, token=self.token)

    def read(self, version=None):
        path = "secret/data/" + self.secret.inner
        answer = self.scene.vault.call(
            "GET", path + ("?version=%d" % version if version else ""), token=self.token)
        equal(answer.status, 200, "reading")
        return answer.data["metadata"]["version"]

    def runs(self, version):
        """Reads, registers and acknowledges, as an honest agent does."""
        self.read(version)
        for state in ("registered", "healthy"):
            equal(self.say(state, version).status, 200, state)
        return self


def stays(secret, run_id, seconds=1.5):
    """The old password must not be ended yet, and is not."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        run = secret.run(run_id)
        if run["state"] not in BEFORE_REVOKING:
            raise AssertionError("it went on: " + story(run))
        time.sleep(0.1)
    equal(secret.accepted(run["from"]), True, "the old password is accepted")
    return run


def refused(answer, status, *words):
    equal(answer.status, status, "status of %r" % answer)
    for word in words:
        contains(answer.body, word)


class Test:
    def __init__(self, scene):
        self.scene = scene
        self.numbers = itertools.count(1)

    def secret(self, **settings):
        return self.scene.secret("lie%d" % next(self.numbers), settings=settings)

    def token(self, policy):
        name = "p%d" % next(self.numbers)
        self.scene.vault.ok("PUT", "sys/policies/acl/" + name, {"policy": policy})
        return self.scene.vault.ok("POST", "auth/token/create-orphan", {
            "policies": [name], "period": "1h"}).json["auth"]["client_token"]

    def reader(self):
        return self.token('path "secret/data/*" { capabilities = ["read"] }')

    def waiting_for_acks(self, secret):
        """A run that waits for the consumer that is returned."""
        honest = Voice(self.scene, secret, "h-" + secret.name).runs(1)
        run_id = secret.rotate()
        run = secret.reached(run_id, "acking")
        return honest, run_id, run["to"]

    # ---- who may speak ----

    def without_capability(self):
        secret = self.secret()
        liar = Voice(self.scene, secret, "h1", token=self.reader())
        liar.read()
        for state in ("registered", "healthy", "gone"):
            refused(liar.say(state, 1), 403, "permission denied")
        equal(self.scene.vault.call("GET", "fleet/consumers/h1/" + secret.path).status, 404,
              "consumers after the refusals")

    def for_another_host(self):
        secret = self.secret()
        agent = Voice(self.scene, secret, "mine")
        agent.read()
        refused(agent.say("registered", 1, host="other"), 403, "permission denied")
        equal(agent.say("registered", 1).status, 200, "its own host")

    def without_token(self):
        secret = self.secret()
        answer = self.scene.vault.call("POST", "fleet/consumers/h/" + secret.path,
                                       {"service": "main", "version": 1, "state": "healthy"},
                                       token="")
        refused(answer, 403)

    # ---- whose word counts ----

    def never_read_it(self):
        secret = self.secret()
        honest, run_id, to = self.waiting_for_acks(secret)
        refused(honest.say("healthy", to), 400, "KT-F-002",
                "read version %d of %s first" % (to, secret.path))
        run = stays(secret, run_id)
        equal([c["version"] for c in run["consumers"]], [1], "what the vault thinks it runs")
        # That somebody else read it does not help.
        Voice(self.scene, secret, "elsewhere", token=self.reader()).read(to)
        refused(honest.say("healthy", to), 400, "KT-F-002")
        refused(Voice(self.scene, secret, honest.host, token=self.scene.vault.root).say("healthy", to),
                400, "KT-F-002")
        stays(secret, run_id, 0.5)
        honest.read(to)
        equal(honest.say("healthy", to).status, 200, "after reading")
        equal(secret.ended(run_id)["state"], "done")
        secret.agrees(run_id)

    def a_version_that_is_not(self):
        secret = self.secret()
        honest, run_id, to = self.waiting_for_acks(secret)
        refused(honest.say("healthy", to + 5), 400)
        stays(secret, run_id, 0.5)
        honest.runs(to)
        equal(secret.ended(run_id)["state"], "done")

    def went_back_to_the_old_one(self):
        """Acknowledged, then started again with what it had kept: its word is withdrawn."""
        secret = self.secret(overlap=OVERLAP)
        honest, run_id, to = self.waiting_for_acks(secret)
        honest.runs(to)
        secret.reached(run_id, "overlapping")
        equal(honest.say("registered", 1).status, 200, "registering with the old version")
        secret.reached(run_id, "acking")
        stays(secret, run_id, BEYOND_OVERLAP)
        honest.runs(to)
        equal(secret.ended(run_id)["state"], "done")

    def late_comer(self):
        """One that shows up with the old version during the overlap is waited for."""
        secret = self.secret(overlap=OVERLAP)
        honest, run_id, to = self.waiting_for_acks(secret)
        honest.runs(to)
        secret.reached(run_id, "overlapping")
        late = Voice(self.scene, secret, "late-" + secret.name).runs(1)
        secret.reached(run_id, "acking")
        stays(secret, run_id, BEYOND_OVERLAP)
        late.runs(to)
        equal(secret.ended(run_id)["state"], "done")

    # ---- who says no each time ----

    def says_no(self, secret, liar, honest):
        """One run, in which it says that the new version does not do; its report."""
        run_id = secret.rotate()
        run = secret.reached(run_id, "acking")
        liar.read(run["to"])
        equal(liar.say("unhealthy", run["to"]).status, 200, "saying no")
        secret.reached(run_id, "rolling_back", "rolled_back")
        for voice in (liar, honest):
            voice.runs(run["from"])
        equal(secret.ended(run_id)["state"], "rolled_back")
        return secret.one_report(run_id)

    def vetoes_each_time(self):
        """It lies: it would be well. The second time it is named, put aside it holds nothing up."""
        secret = self.secret()
        liar = Voice(self.scene, secret, "liar-" + secret.name).runs(1)
        honest = Voice(self.scene, secret, "h-" + secret.name).runs(1)
        told = "main@%s kept 2 runs in a row" % liar.host
        for n, expected in ((1, False), (2, True)):
            report = self.says_no(secret, liar, honest)
            equal(told in report["text"], expected, "run %d names it" % n)
        contains(report["text"], "secretctl consumer quarantine main@%s %s" % (liar.host, secret.path))
        refused(self.scene.vault.call("POST", "rotation/quarantine/%s/%s" % (honest.host, secret.path), {
            "service": "main", "reason": "a lie"}, token=liar.token), 403)
        aside = "rotation/quarantine/%s/%s" % (liar.host, secret.path)
        self.scene.vault.ok("POST", aside, {"service": "main", "reason": "ticket 4711"})
        run_id = secret.rotate()
        to = secret.reached(run_id, "acking")["to"]
        liar.read(to)
        equal(liar.say("unhealthy", to).status, 200, "saying no again")
        stays(secret, run_id, 0.5)
        honest.runs(to)
        equal(secret.ended(run_id)["state"], "done")
        secret.agrees(run_id)
        report = secret.one_report(run_id)
        contains(report["text"], "nobody waited for main@%s" % liar.host)
        contains(report["text"], "ticket 4711")
        self.scene.vault.ok("DELETE", aside + "?service=main")
        liar.runs(to)
        self.says_no(secret, liar, honest)

    # ---- readers that are no agents ----

    def loose(self, **settings):
        secret = self.secret(**settings)
        honest = Voice(self.scene, secret, "h-" + secret.name).runs(1)
        reader = Voice(self.scene, secret, "", token=self.reader())
        reader.read()
        run_id = secret.rotate()
        to = secret.reached(run_id, "acking")["to"]
        honest.runs(to)
        secret.reached(run_id, "overlapping")
        run = stays(secret, run_id)
        equal(len(run["readers"]), 1, "readers of the old version")
        contains(run["waits_for"], "reader")
        return secret, reader, run_id, to

    def reads_the_new_one(self):
        secret, reader, run_id, to = self.loose()
        reader.read(to)
        equal(secret.ended(run_id)["state"], "done")
        secret.agrees(run_id)

    def its_token_ends(self):
        secret, reader, run_id, _ = self.loose()
        self.scene.vault.ok("POST", "auth/token/revoke", {"token": reader.token})
        equal(secret.ended(run_id)["state"], "done")
        secret.agrees(run_id)

    def max_overlap(self):
        begun = time.monotonic()
        secret, _, run_id, _ = self.loose(max_overlap="%ds" % MAX_OVERLAP)
        equal(secret.ended(run_id)["state"], "done")
        if time.monotonic() - begun < MAX_OVERLAP:
            raise AssertionError("it did not wait for max_overlap")
        report = secret.one_report(run_id)
        contains(report["text"], "reader")

    def it_still_holds_after_a_kill(self):
        secret, reader, run_id, to = self.loose()
        self.scene.again()
        stays(secret, run_id)
        reader.read(to)
        equal(secret.ended(run_id)["state"], "done")

    def ignored_if_so_set(self):
        secret = self.secret(loose_readers="ignore")
        Voice(self.scene, secret, "", token=self.reader()).read()
        equal(secret.ended(secret.rotate())["state"], "done")

    # ---- its watch ----

    def watch_ends_with_its_token(self):
        secret = self.secret()
        agent = Voice(self.scene, secret, "w-" + secret.name).runs(1)
        first = self.scene.vault.ok("GET", "fleet/watch/%s" % agent.host, token=agent.token).data
        equal([(s["secret"], s["want"]) for s in first["secrets"]], [(secret.path, 1)])
        got = []
        poll = threading.Thread(target=lambda: got.append(self.scene.vault.call(
            "GET", "fleet/watch/%s?since=%s&wait=60" % (agent.host, first["cursor"]),
            token=agent.token)))
        poll.start()
        time.sleep(0.3)
        begun = time.monotonic()
        self.scene.vault.ok("POST", "auth/token/revoke", {"token": agent.token})
        poll.join(120)
        equal(poll.is_alive(), False, "the watch of a revoked token goes on")
        refused(got[0], 403)
        if time.monotonic() - begun > 25:  # by itself it looks again after 30 s
            raise AssertionError("the watch ended only after %.1f s" % (time.monotonic() - begun))


def main():
    report = Report()
    with Scene() as scene:
        test = Test(scene)
        together(report, [
            ("registering and acknowledging without the capability", test.without_capability),
            ("speaking for another host", test.for_another_host),
            ("speaking without a token", test.without_token),
            ("an acknowledgement of a version never read", test.never_read_it),
            ("an acknowledgement of a version that is not", test.a_version_that_is_not),
            ("an acknowledgement is withdrawn by the old version", test.went_back_to_the_old_one),
            ("a late consumer is waited for", test.late_comer),
            ("who says no each time is named, and put aside", test.vetoes_each_time),
            ("a loose reader holds until it reads the new version", test.reads_the_new_one),
            ("a loose reader holds until its token ends", test.its_token_ends),
            ("a loose reader holds until max_overlap", test.max_overlap),
            ("loose readers are ignored if so set", test.ignored_if_so_set),
            ("revoking a token ends its watch", test.watch_ends_with_its_token),
        ])
        report.case("a loose reader holds after vaultd was killed", test.it_still_holds_after_a_kill)
    report.end()


main()
