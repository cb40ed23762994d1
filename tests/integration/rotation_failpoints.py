#!/usr/bin/python3
"""The failpoint matrix: what happens to a rotation that is struck at each of its points.

    tests/integration/rotation_failpoints.py [--all] [--resume FILE] ['part of a case name']

A row is a mishap, a column a driver with a strategy. Without --all each row is done in the columns that
stand first for it, a few in all; with it in every column that it has a meaning for, which takes long: with
--resume what passed is written into FILE, and not done again by the next call. Each case is one vault (built
with failpoints), one secret at a real server, one agent. Within 60 s after the mishap the run has the end and
has taken the way that the cell wants, store, target and agent agree, there is exactly one final report, and
meanwhile (every 50 ms) a value in the durable store was accepted. At the end stands the table of results.
"""
import argparse
import collections
import itertools
import os
import signal
import sys
import tempfile
import threading
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
from keyturn import DEADLINE, Report, contains, equal, wait_for  # noqa: E402
from pki import Authority  # noqa: E402
from rotation import Scene, fault_programs, story, together  # noqa: E402
from rotation_places import PLACES, MariaPlace, PostgresPlace  # noqa: E402
from wrong_clock import DAY, WrongClock  # noqa: E402

numbers = itertools.count(1)
COLUMNS = [(driver, strategy) for driver, place in PLACES.items() for strategy in place.strategies]
TWO = ("alternate", "overlap")  # the old one is accepted until it is ended
ANY = TWO + ("in-place",)
ENDS = {"done": "F", "rolled_back": "B", "frozen": "Z", "cancelled": "-"}


class Case:
    """One row and one column of the matrix."""

    def __init__(self, place, strategy, failpoints=""):
        self.place, self.strategy = place, strategy
        self.scene = Scene(fault=True, place=place,
                           env={"KEYTURN_FAILPOINTS": failpoints} if failpoints else None)
        self.front = None
        self.got = "?"
        self.name = "c%d" % next(numbers)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.front:
            self.front.close()
        self.scene.remove()

    def begin(self, fronted=False, target=None, **settings):
        if fronted:
            self.front = self.place.front()
            target = self.scene.target("fronted", **self.place.declared(self.strategy), **self.front.settings)
        self.secret = self.scene.secret(self.name, self.strategy, target=target, settings=settings)
        self.agent = self.scene.agent(self.secret)
        return self.secret

    def old_account(self):
        return self.secret.accounts[0]

    def new_account(self):
        return self.secret.accounts[-1]

    def ended(self, run_id, wanted="done"):
        run = self.secret.ended(run_id, 60)
        self.got = way(run)
        if run["state"] != wanted:
            raise AssertionError("expected %s, got %s" % (wanted, story(run)))
        if wanted != "frozen":
            self.secret.agrees(run_id)
        return run

    # vaultd stops itself at a failpoint (action "stop") and goes on when it is told to.

    def stopped(self):
        def look():
            with open("/proc/%d/stat" % self.scene.vault.process.pid) as f:
                return f.read().rsplit(")", 1)[1].split()[0] == "T"
        wait_for("vaultd to stop at the failpoint", look)

    def go_on(self):
        self.scene.vault.process.send_signal(signal.SIGCONT)

    def page(self):
        return self.scene.vault.log_text().count("rotation-target-away")


def count(run, kind, name):
    return sum(s["count"] for s in run["steps"] if (s["kind"], s["name"]) == (kind, name))


def way(run):
    """How the run came to its end, as the cells have it: "R F". R: an effect was sent again; A: it was found
    to have happened, and not sent again."""
    def of(kind, name, ok=True):
        return [s for s in run["steps"] if (s["kind"], s["name"], s["ok"]) == (kind, name, ok)]
    found = set()
    # Each time that it is applied has an intent of its own.
    if count(run, "intent", "apply") > 1:
        found.add("R")
    elif count(run, "intent", "apply") == 1 and not of("outcome", "apply"):
        found.add("A")
    # The end of the old one is sent again under the same intent, whether it lives or not.
    dead = [s for s in of("probe", "revoking") if "old one refused" in s["text"]]
    if count(run, "intent", "revoke") > 1 or of("outcome", "revoke", False) or dead:
        found.add("R" if of("outcome", "revoke") else "A")
    return " ".join(sorted(found) + [ENDS[run["state"]]])


def loud(case, words, *more):
    """What a person reads of a mishap: which secret, which target, where the run is, what is known of the old
    and the new one there, and what to type."""
    said = case.scene.vault.ctl("run", *words).stdout
    for part in (case.secret.inner, case.secret.target, "known", "the old one ", "next", "secretctl ") + more:
        contains(said, part)


# ---- vaultd is killed at a failpoint ----

def killed(case, point):
    secret = case.begin()
    with case.scene.watch(secret):
        run_id = secret.rotate()
        case.scene.died()
        case.scene.again()
        case.ended(run_id)


# ---- nobody hears the target's answer ----

def lost_answer(case, _point):
    """The worker's answer is lost; the vault lives."""
    secret = case.begin()
    with case.scene.watch(secret):
        case.ended(secret.rotate())


def cut(case, op, after):
    """The connection between worker and target ends before or after the change took effect. A session
    with the old password is open: where there are two accounts, it is ended with its own."""
    secret = case.begin(fronted=True)
    session = case.place.session(*secret.value(1))
    with case.scene.watch(secret):
        case.front.cut(secret, op, after)
        case.ended(secret.rotate())
    equal(case.front.cuts, 1, "connections cut")
    if case.strategy == "alternate":
        if session:
            wait_for("the last session of the old account to end",
                     lambda: case.place.sessions(case.old_account()) == 0)
        equal(case.place.closed(case.old_account()), True, "the old account is closed")
    if session:
        session.close()


def worker_killed(case, op):
    """The worker dies while its change is on the way; it arrives afterwards."""
    secret = case.begin(fronted=True)
    with case.scene.watch(secret):
        held = case.front.hold(secret, op)
        run_id = secret.rotate()
        held.wait_until_there()
        victims = workers(case.scene.vault.process.pid)
        equal(len(victims), 1, "workers")
        os.kill(victims[0], signal.SIGKILL)
        held.go_on()
        case.ended(run_id)


def workers(vaultd):
    """The driver workers below this vaultd."""
    parents, names = {}, {}
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open("/proc/%s/stat" % pid) as f:
                text = f.read()
        except OSError:
            continue
        names[int(pid)] = text[text.index("(") + 1:text.rindex(")")]
        parents[int(pid)] = int(text[text.rindex(")") + 1:].split()[1])

    def below(pid):
        while pid > 1:
            if pid == vaultd:
                return True
            pid = parents.get(pid, 0)
        return False
    return [pid for pid in names if names[pid] == "vaultd-worker" and below(pid)]


def unsaved(case, op):
    """Redis made the change; what would have it written down is cut off, and the server crashes."""
    secret = case.begin(fronted=True)
    with case.scene.watch(secret):
        case.front.proxy.cut(case.place.unsaved[case.strategy, op][0], False,
                             case.place.unsaved[case.strategy, op][1])
        run_id = secret.rotate()
        wait_for("the cut", lambda: case.front.cuts == 1)
        case.place.redis.restart()
        case.ended(run_id)
        case.place.redis.restart()
        secret.agrees()


# ---- the store, time, consumers, the target ----

def outcome_not_stored(case, _point):
    secret = case.begin()
    with case.scene.watch(secret):
        case.ended(secret.rotate())


def no_room(case, _point):
    """The disk is full at one commit: nothing of it happened, and with room again it goes on."""
    secret = case.begin()
    with case.scene.watch(secret):
        case.ended(secret.rotate())
    contains(case.scene.vault.log_text(), "rotation-run")


def stalled(case, _point):
    """vaultd stands still for some seconds."""
    secret = case.begin()
    with case.scene.watch(secret):
        run_id = secret.rotate()
        case.stopped()
        time.sleep(3)
        case.go_on()
        case.ended(run_id)


def unhealthy(case):
    secret = case.begin()
    with case.scene.watch(secret):
        case.agent.write("broken", "1")
        run_id = secret.rotate()
        run = case.ended(run_id, "rolled_back")
    equal(secret.stored()["current"], run["from"], "the version that is current")
    loud(case, ("show", run_id), "ROLLED BACK", "unhealthy")
    got = case.got
    os.unlink(case.agent.path("broken"))
    case.ended(secret.rotate())
    case.got = got


def word_lost(case):
    """vaultd is dead while the agent finds the new version unhealthy, and back when it finds the old one
    so, too, which the target does not accept any more: both are said then, and the run need not wait for
    its ack_timeout."""
    secret = case.begin()
    agent = case.agent
    with open(agent.path("health")) as f:
        check = f.read()
    agent.write("health", """#!/bin/sh
cd {0} || exit 3
stay() {{ touch at-$1; while [ ! -e pass-$1 ]; do sleep 0.05; done; }}
[ "$(cat version)" -gt 1 ] && {{ stay new; exit 1; }}
[ -e at-new ] && stay old
""".format(agent.folder) + check.split("\n", 1)[1], 0o700)
    with case.scene.watch(secret):
        run_id = secret.rotate()
        wait_for("the new version's check", lambda: os.path.exists(agent.path("at-new")))
        case.scene.vault.kill()
        agent.write("pass-new", "")
        wait_for("the old version's check", lambda: os.path.exists(agent.path("at-old")))
        case.scene.again()
        agent.write("pass-old", "")
        run = case.ended(run_id, "rolled_back")
    contains(story(run), "neither the new nor the old version is healthy")


def target_down(case, _point):
    """The target is away until somebody is called, when the old credential is to be ended: one page, and
    the run stays where it is until it is back."""
    secret = case.begin()
    with case.scene.watch(secret) as watcher:
        run_id = secret.rotate()
        case.stopped()
        case.place.stop()
        case.go_on()
        try:
            wait_for("a page", case.page)
            equal(secret.run(run_id)["state"], "revoking", "the state meanwhile")
            loud(case, ("why", secret.path), "revoking")
        finally:
            case.place.start()
        case.ended(run_id)
        watcher.check()
    equal(case.page(), 1, "pages")


def target_lost_it(case, _point):
    """The target took the change and lost it (a fail-over to a standby that was behind). Nobody has it yet:
    one that the target made itself is not made once more, the run goes back."""
    secret = case.begin()
    before = case.place.state(case.new_account())
    with case.scene.watch(secret):
        run_id = secret.rotate()
        case.stopped()
        case.place.put(case.new_account(), before)
        case.go_on()
        case.ended(run_id, "rolled_back" if case.strategy in case.place.made else "done")


def new_one_lost_before_the_end(case, _point):
    """The new credential is lost when the old one is about to be ended: that one is left alone until
    the new one is there again."""
    secret = case.begin()
    before = case.place.state(case.new_account())
    with case.scene.watch(secret):
        run_id = secret.rotate()
        case.stopped()
        case.place.put(case.new_account(), before)
        case.go_on()
        run = case.ended(run_id)
    equal(count(run, "intent", "apply"), 2, "intents to apply: the first, and once again")


def new_one_lost_after_the_end(case, _point):
    """The same when the old one is gone already: the new one is set again at once, never the old one.
    The watcher cannot be asked: for a moment the target accepts nothing, and that is its own doing."""
    secret = case.begin()
    run_id = secret.rotate()
    case.stopped()
    case.place.spoil(case.new_account())
    case.go_on()
    run = case.ended(run_id)
    equal(count(run, "intent", "restore_old"), 0, "intents to set the old one again")


def end_lost(case, _points):
    """The target took the end of the old credential and lost it: it is ended again."""
    secret = case.begin()
    with case.scene.watch(secret):
        run_id = secret.rotate()
        case.stopped()
        before = case.place.state(case.old_account())
        case.go_on()
        wait_for("the end of the old one", lambda: case.place.state(case.old_account()) != before)
        case.stopped()
        case.place.put(case.old_account(), before)
        case.go_on()
        run = case.ended(run_id)
    equal(count(run, "intent", "revoke"), 2, "intents to end it")


def crash_without_sync(case, _point):
    """PostgreSQL crashes with synchronous_commit=off right after it said yes."""
    pg = case.place.pg
    pg.set(synchronous_commit="off", fsync="on")
    try:
        secret = case.begin()
        pg.psql("checkpoint")
        with case.scene.watch(secret):
            run_id = secret.rotate()
            case.stopped()
            pg.stop("immediate")
            pg.start()
            case.go_on()
            case.ended(run_id)
    finally:
        pg.set(synchronous_commit="on", fsync="off")


def wrong_clock(case, _point):
    """The target's clock is a year ahead, and in the middle of a run a year behind: nothing of a rotation goes by it."""
    place, year = case.place, 365 * DAY

    def jump(seconds):
        clock.ahead(seconds)
        off = place.now() - time.time()
        if abs(off - seconds) > DAY:
            raise AssertionError("the server's clock is %d s ahead, not %d" % (off, seconds))
    with WrongClock() as clock:
        place.stop()
        try:
            with clock.preloaded():
                place.start()
            jump(year)
            secret = case.begin()
            with case.scene.watch(secret):
                run_id = secret.rotate()
                case.stopped()
                jump(-year)
                case.go_on()
                case.ended(run_id)
                got = case.got
                case.ended(secret.rotate())
                case.got = got
        finally:
            place.stop()
            place.start()


def certificate_over(case, _point):
    """The target's certificate is over when the new credential is to be sent: nothing is, until it has another one."""
    pg = case.place.pg
    with tempfile.TemporaryDirectory() as folder:
        issuer = Authority(folder, "root")
        names = "extendedKeyUsage=serverAuth\nsubjectAltName=DNS:localhost"
        good = issuer.issue("good", names)
        over = issuer.issue("over", names, dates=("20200101000000Z", "20200201000000Z"))
        pg.show(good.crt, good.key)
        try:
            target = case.scene.target("certified", host="localhost", sslmode="verify-full", ca=issuer.pem)
            secret = case.begin(target=target)
            before = case.place.state(case.new_account())
            with case.scene.watch(secret):
                run_id = secret.rotate()
                case.stopped()
                pg.show(over.crt, over.key)
                case.go_on()
                said = "the certificate of localhost expired at 2020-02-01T00:00:00Z: give the server a new one"
                wait_for("the run to say why it waits", lambda: said in story(secret.run(run_id)))
                why = case.scene.vault.ctl("run", "why", secret.path).stdout
                for part in (secret.inner, target, said, "secretctl run cancel " + run_id):
                    contains(why, part)
                checked = case.scene.vault.ctl("target", "check", target, check=False).stdout
                for part in (target, said, "mend the server's TLS"):
                    contains(checked, part)
                equal(case.place.state(case.new_account()), before, "the new account, meanwhile")
                pg.show(good.crt, good.key)
                case.ended(run_id)
        finally:
            pg.show(None, None)


# ---- a person has to look ----

def frozen(case, run_id, code, word):
    run = case.ended(run_id, "frozen")
    said = run["frozen"]
    equal(said["code"], code)
    for part in ("text", "known", "next"):
        if not said[part]:
            raise AssertionError("frozen without %s: %r" % (part, said))
    contains(said["next"] if isinstance(said["next"], str) else "\n".join(said["next"]),
             "secretctl run thaw " + run_id)
    loud(case, ("show", run_id), code, word)
    return run


def thawed(case, run_id):
    """It is mended, and told so; the cell stays Z."""
    got = case.got
    case.scene.vault.ctl("run", "thaw", run_id)
    case.ended(run_id)
    case.got = got


def admin_refused(case):
    secret = case.begin()
    with case.scene.watch(secret):
        case.scene.admin_password("another")
        run_id = secret.rotate()
        run = frozen(case, run_id, "KT-R-011", "admin")
        equal(secret.accepted(run["from"]), True, "the old password is accepted")
        case.scene.admin_password(case.scene.admin[1])
        thawed(case, run_id)


def control_accepted(case):
    secret = case.begin()
    before = [case.place.state(a) for a in secret.accounts]
    with case.place.open(case.scene, secret):
        run_id = secret.rotate()
        run = frozen(case, run_id, "KT-R-012", "accepts")
    equal([case.place.state(a) for a in secret.accounts], before, "what the target has of the accounts")
    if [s for s in run["steps"] if s["kind"] == "intent"]:
        raise AssertionError("something was sent: " + story(run))
    with case.scene.watch(secret):
        thawed(case, run_id)


class Saboteur:
    """Sets other passwords as soon as the vault has set one."""

    def __init__(self, place, accounts):
        self.place, self.accounts = place, accounts
        self.stopping = threading.Event()
        self.thread = threading.Thread(target=self.work, daemon=True)

    def __enter__(self):
        self.once()
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.stopping.set()
        self.thread.join(DEADLINE)

    def once(self):
        for account in self.accounts:
            self.place.spoil(account)

    def work(self):
        while not self.stopping.wait(0.01):
            self.once()


def both_refused(case, _point):
    """The watcher cannot be asked here: the saboteur changed the passwords, not the vault."""
    secret = case.begin()
    run_id = secret.rotate()
    case.stopped()
    with Saboteur(case.place, secret.accounts):
        case.go_on()
        run = frozen(case, run_id, "KT-R-021", "both-dead")
    equal(count(run, "intent", "apply"), 2, "intents to apply: the first, and once again")
    done = case.scene.vault.ctl("run", "thaw", run_id)
    contains(done.stdout, "done")
    run = secret.run(run_id)
    equal(run["state"], "done", story(run))
    equal(secret.accepted(run["to"]), True, "the new password is accepted")


def least_privilege(case, _points):
    """An administrative login that may do nothing but call the functions for accounts in a list."""
    secret = case.begin()
    equal(case.place.may_not(secret, case.scene.admin), True, "a change past the functions is denied")
    with case.scene.watch(secret):
        case.ended(secret.rotate())
        got = case.got
        case.agent.write("broken", "2")
        case.ended(secret.rotate(), "rolled_back")
        case.got = got


# What is struck (V vaultd, W worker, C connection, S store, T time, - the world), the row's name, in which
# strategies it has a meaning, what the cells want, how it is done, and with what: a failpoint is set in vaultd.
Row = collections.namedtuple("Row", "kind name strategies wanted how args drivers but")


def row(kind, name, strategies, wanted, how, *args, drivers=None, but=None):
    """but: {driver, or (driver, strategy): what its cells want instead}"""
    return Row(kind, name, strategies, wanted, how, args, drivers, but or {})


def wanted_of(this, column):
    return this.but.get(column) or this.but.get(column[0], this.wanted)


# What Redis accepts it may not have written down, and what an API made nobody has whose answer was lost: made
# again, unless it was heard.
AGAIN = {"redis": "R F", ("http", "overlap"): "R F", ("http", "alternate"): "R F"}


# In-place verifies and promotes in the commit of the outcome, so that its "after verify" is its "outcome
# not stored"; and it has nothing to revoke.
ROWS = [
    row("V", "after generate, before intent: killed", ANY, "F", killed, "run_generated=kill@1"),
    row("V", "after intent, before send: killed", ANY, "R F", killed, "run_intent_apply=kill@1"),
    row("C", "sent, no reply: the answer is lost", ANY, "A F", lost_answer, "run_apply_sent=error@1", but=AGAIN),
    row("C", "sent, no reply: cut before the effect", ANY, "R F", cut, "apply", False),
    row("C", "sent, no reply: cut after the effect", ANY, "A F", cut, "apply", True, but=AGAIN),
    row("W", "sent, no reply: the worker is killed", ANY, "A F, R F", worker_killed, "apply", but=AGAIN),
    row("V", "effect done, outcome not stored: killed", ANY, "A F", killed, "run_apply_done=kill@1", but=AGAIN),
    row("S", "outcome commit fails", ANY, "F", outcome_not_stored, "run_outcome_commit=error@1"),
    row("S", "no room for the new version", ANY, "F", no_room, "run_full_generate=error@1"),
    row("S", "no room for the intent", ANY, "F", no_room, "run_full_apply=error@1"),
    row("S", "no room for the promotion", ANY, "F", no_room, "run_full_promote=error@1"),
    row("S", "no room for the intent to revoke", TWO, "F", no_room, "run_full_revoke=error@1"),
    row("V", "after verify, before promote: killed", TWO, "F", killed, "run_verified=kill@1"),
    row("V", "after promote, before fan-out: killed", ANY, "F", killed, "run_promoted=kill@1"),
    row("-", "consumer unhealthy", ANY, "B", unhealthy),
    row("V", "consumer unhealthy, and vaultd dead meanwhile", ("in-place",), "B", word_lost),
    row("V", "after intent to revoke, before send: killed", TWO, "F", killed, "run_intent_revoke=kill@1"),
    row("C", "revoke sent, no reply: the answer is lost", TWO, "R F", lost_answer, "run_revoke_sent=error@1"),
    row("C", "revoke sent, no reply: cut before the effect", TWO, "R F", cut, "revoke", False),
    row("C", "revoke sent, no reply: cut after the effect", TWO, "R F", cut, "revoke", True),
    row("V", "revoke done, outcome not stored: killed", TWO, "R F", killed, "run_revoke_done=kill@1"),
    row("-", "target loses the committed change", ANY, "R F", target_lost_it, "run_apply_done=stop@1",
        but={("http", "overlap"): "B", ("http", "alternate"): "B"}),
    row("-", "target loses the new one before the revocation", TWO, "R F", new_one_lost_before_the_end,
        "run_intent_revoke=stop@1"),
    row("-", "target loses the new one after the revocation", TWO, "R F", new_one_lost_after_the_end,
        "run_revoke_done=stop@1"),
    row("-", "target loses the revocation", TWO, "R F", end_lost, "run_intent_revoke=stop@1,run_revoke_done=stop@1",
        drivers=("postgresql", "mariadb", "redis", "ssh-key", "exec", "http")),
    row("T", "vaultd stands still before it sends", ANY, "F", stalled, "run_intent_apply=stop@1"),
    row("T", "vaultd stands still after the effect", ANY, "F", stalled, "run_apply_done=stop@1"),
    row("T", "vaultd stands still before fan-out", ANY, "F", stalled, "run_promoted=stop@1"),
    row("T", "vaultd stands still before it revokes", TWO, "F", stalled, "run_intent_revoke=stop@1"),
    row("-", "admin credential refused", ANY, "Z", admin_refused,
        drivers=("postgresql", "mariadb", "redis", "ssh-key", "http")),
    row("-", "both refused", ANY, "R Z", both_refused, "run_apply_done=stop@1"),
]
# These do something to the server that other cases there would notice.
ALONE = [
    row("-", "target down during revoke", TWO, "F", target_down, "run_intent_revoke=stop@1"),
    row("C", "sent, no reply: cut before it was saved", TWO, "R F", unsaved, "apply", drivers=("redis",)),
    row("C", "revoke sent, no reply: cut before it was saved", TWO, "R F", unsaved, "revoke", drivers=("redis",)),
    # The driver asks for a synchronous commit of its own change: nothing is lost.
    row("-", "target crashes without synchronous commit", ANY, "F", crash_without_sync, "run_apply_done=stop@1",
        drivers=("postgresql",)),
    row("-", "control probe accepted", ANY, "Z", control_accepted,
        drivers=("postgresql", "mariadb", "redis", "ssh-key", "http")),
    row("C", "least privilege, answers lost", ANY, "A R F, A F", least_privilege,
        "run_apply_sent=error@1,run_revoke_sent=error@1", drivers=("postgresql", "mariadb")),
]
# These are left out where each row is done once: they start the server anew, or wait for what a run tries again.
LONG = [
    row("T", "the target's clock is wrong, and jumps", ANY, "F", wrong_clock, "run_apply_done=stop@1",
        drivers=("postgresql", "mariadb", "redis", "ldap")),
    row("-", "the target's certificate is over", ANY, "R F", certificate_over, "run_intent_apply=stop@1",
        drivers=("postgresql",)),
]
SMALL = {"postgresql": lambda place: PostgresPlace(place.pg, small=True),
         "mariadb": lambda place: MariaPlace(place.db, small=True)}


def meant(this, column):
    return column[1] in this.strategies and (this.drivers is None or column[0] in this.drivers)


class Passed:
    """What passed in earlier calls: a line a cell, NAME|DRIVER|STRATEGY|WAY."""

    def __init__(self, path):
        self.path = path
        self.cells = {}
        if path and os.path.exists(path):
            with open(path) as f:
                for line in f:
                    name, driver, strategy, got = line.rstrip("\n").split("|")
                    self.cells[name, (driver, strategy)] = got

    def add(self, name, column, got):
        if self.path:
            with open(self.path, "a") as f:
                f.write("|".join((name, *column, got)) + "\n")


class Matrix:
    def __init__(self, report, everything, passed):
        self.report, self.everything, self.passed = report, everything, passed
        self.places, self.lock = {}, threading.Lock()
        self.cells = dict(passed.cells)

    def place(self, driver):
        with self.lock:
            if driver not in self.places:
                self.places[driver] = PLACES[driver]()
            return self.places[driver]

    def cell(self, this, column):
        driver, strategy = column
        place = self.place(driver)
        if this.how is least_privilege:
            place = SMALL[driver](place)
        points = ",".join(a for a in this.args if isinstance(a, str) and "=" in a)
        got = "?"
        try:
            with Case(place, strategy, points) as case:
                this.how(case, *this.args)
                got = case.got
                wanted = wanted_of(this, column)
                if got not in wanted.split(", "):
                    raise AssertionError("it went %r, wanted %r" % (got, wanted))
            self.passed.add(this.name, column, got)
        except BaseException:
            got += "!"
            raise
        finally:
            self.cells[this.name, column] = got

    def chosen(self, rows):
        """[(row, column)]: all, or each row once, the columns in turn."""
        turn = 0
        for this in rows:
            columns = [c for c in COLUMNS if meant(this, c)]
            if not self.everything:
                columns = [columns[turn % len(columns)]]
                turn += 1
            for column in columns:
                if (this.name, column) not in self.passed.cells:
                    yield this, column

    def run(self):
        def case(this, column):
            return ("%s %s: %s" % (*column, this.name), self.cell, this, column)
        together(self.report, [case(*c) for c in self.chosen(ROWS)])
        for this, column in self.chosen(ALONE + (LONG if self.everything else [])):
            self.report.case(*case(this, column))

    def table(self):
        """The cells as they came out; ! behind one that is not as it has to be, . where it was not tried."""
        short = {"postgresql": "pg", "mariadb": "maria", "in-place": "in-pl"}
        heads = ["%s %s" % tuple(short.get(w, w[:5]) for w in c) for c in COLUMNS]
        print("# A found to have happened, R sent again, F done, B back, Z frozen; ! not as wanted, . not tried")
        print("#   %-48s %-9s %s" % ("", "wanted", " ".join(heads)))
        for this in ROWS + ALONE + LONG:
            cells = ["%-*s" % (len(head), self.cells.get((this.name, column), "." if meant(this, column) else ""))
                     for column, head in zip(COLUMNS, heads)]
            print("# %s %-48s %-9s %s" % (this.kind, this.name, this.wanted, " ".join(cells).rstrip()))

    def remove(self):
        for place in self.places.values():
            place.remove()


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--all", action="store_true")
    parser.add_argument("--resume", metavar="FILE")
    parser.add_argument("only", nargs="?")
    args = parser.parse_args()
    report = Report(args.only or "")
    fault_programs()
    matrix = Matrix(report, args.all or args.only is not None, Passed(args.resume))
    try:
        matrix.run()
        matrix.table()
    finally:
        matrix.remove()
    report.end()


main()
