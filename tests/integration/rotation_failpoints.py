#!/usr/bin/python3
"""The failpoint matrix: what happens to a rotation that is struck at each of its points.

    tests/integration/rotation_failpoints.py ['part of a case name']

Each case is one vault (built with failpoints), one secret at a real PostgreSQL, one agent. Within 60 s
after the mishap the run has the state that the matrix wants, store, PostgreSQL and agent agree, there
is exactly one final report, and meanwhile (every 50 ms) a value in the durable store was accepted.
"""
import itertools
import os
import signal
import sys
import threading
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
from keyturn import DEADLINE, Report, contains, equal, wait_for  # noqa: E402
from libpq import Session  # noqa: E402
from pgproxy import PgProxy  # noqa: E402
from rotation import Lock, Scene, fault_programs, make_postgres, story, together  # noqa: E402

BOTH = ("alternate", "in-place")
ALTERNATE = ("alternate",)
IN_PLACE = ("in-place",)
numbers = itertools.count(1)


class Case:
    """One row and one column of the matrix."""

    def __init__(self, pg, strategy, failpoints="", small=False):
        self.pg, self.strategy = pg, strategy
        self.scene = Scene(fault=True, pg=pg, small=small,
                           env={"KEYTURN_FAILPOINTS": failpoints} if failpoints else None)
        self.proxy = None
        self.name = "c%d" % next(numbers)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.proxy:
            self.proxy.close()
        self.scene.remove()

    def begin(self, proxied=False, **settings):
        target = None
        if proxied:
            self.proxy = PgProxy(self.pg.port)
            target = self.scene.target("proxied", port=self.proxy.port)
        self.secret = self.scene.secret(self.name, self.strategy, target=target, settings=settings)
        self.agent = self.scene.agent(self.secret)
        return self.secret

    def new_account(self):
        return self.secret.accounts[-1]

    def ended(self, run_id, *wanted):
        begun = time.monotonic()
        run = self.secret.ended(run_id, 60)
        if run["state"] not in wanted:
            raise AssertionError("expected %s, got %s" % ("/".join(wanted), story(run)))
        if run["state"] != "frozen":
            self.secret.agrees(run_id)
        self.took = time.monotonic() - begun
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


# ---- killed at a failpoint ----

def killed(pg, strategy, point):
    with Case(pg, strategy, point + "=kill@1") as case:
        secret = case.begin()
        with case.scene.watch(secret):
            run_id = secret.rotate()
            case.scene.died()
            case.scene.again()
            case.ended(run_id, "done")


# ---- nobody hears the target's answer ----

def lost_answer(pg, strategy, point):
    """The worker's answer is lost; the vault lives."""
    with Case(pg, strategy, point + "=error@1") as case:
        secret = case.begin()
        with case.scene.watch(secret):
            case.ended(secret.rotate(), "done")


APPLY, REVOKE = "LOGIN PASSWORD 'SCRAM", "NOLOGIN PASSWORD NULL"


def cut(pg, strategy, word, after):
    """The connection between worker and PostgreSQL ends before or after the COMMIT took effect. A
    session with the old password is open: where there are two accounts, it is ended with its own."""
    with Case(pg, strategy) as case:
        secret = case.begin(proxied=True)
        session = Session("127.0.0.1", pg.port, *secret.value(1), "orders")
        with case.scene.watch(secret):
            case.proxy.cut(word, after)
            case.ended(secret.rotate(), "done")
        equal(case.proxy.cuts, 1, "connections cut")
        if strategy == "alternate":
            wait_for("the last session of the old account to end", lambda: pg.rows(
                "select count(*) from pg_stat_activity where usename = '%s'" %
                secret.accounts[0]) == [["0"]])
            equal(pg.rows("select rolcanlogin, rolpassword from pg_authid where rolname = '%s'" %
                          secret.accounts[0]), [["f", ""]], "the old account")
        session.close()


def worker_killed(pg, strategy):
    """The worker dies while PostgreSQL lets its change wait for a lock."""
    with Case(pg, strategy) as case:
        secret = case.begin()
        key = "keyturn:" + (secret.name if strategy == "alternate" else secret.accounts[0])
        with case.scene.watch(secret):
            with Lock(pg, key) as lock:
                run_id = secret.rotate()
                lock.somebody_waits()
                victims = workers(case.scene.vault.process.pid)
                equal(len(victims), 1, "workers")
                os.kill(victims[0], signal.SIGKILL)
            case.ended(run_id, "done")


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


# ---- the store, time, consumers, the target ----

def outcome_not_stored(pg, strategy):
    with Case(pg, strategy, "run_outcome_commit=error@1") as case:
        secret = case.begin()
        with case.scene.watch(secret):
            case.ended(secret.rotate(), "done")


def no_room(pg, strategy, point):
    """The disk is full at one commit: nothing of it happened, and with room again it goes on."""
    with Case(pg, strategy, point + "=error@1") as case:
        secret = case.begin()
        with case.scene.watch(secret):
            case.ended(secret.rotate(), "done")
        contains(case.scene.vault.log_text(), "rotation-run")


def stalled(pg, strategy):
    """vaultd stands still for some seconds between the intent and the sending."""
    with Case(pg, strategy, "run_intent_apply=stop@1") as case:
        secret = case.begin()
        with case.scene.watch(secret):
            run_id = secret.rotate()
            case.stopped()
            time.sleep(3)
            case.go_on()
            case.ended(run_id, "done")


def unhealthy(pg, strategy):
    with Case(pg, strategy) as case:
        secret = case.begin()
        with case.scene.watch(secret):
            case.agent.write("broken", "1")
            run_id = secret.rotate()
            run = case.ended(run_id, "rolled_back")
        equal(secret.stored()["current"], run["from"], "the version that is current")
        os.unlink(case.agent.path("broken"))
        case.ended(secret.rotate(), "done")


def word_lost(pg, strategy):
    """vaultd is dead while the agent finds the new version unhealthy, and back when it finds the old one
    so, too, which the target does not accept any more: both are said then, and the run need not wait for
    its ack_timeout."""
    with Case(pg, strategy) as case:
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


def target_down(pg, strategy):
    """PostgreSQL is away until somebody is called, when the old account is to be closed: one page, and
    the run stays where it is until it is back."""
    with Case(pg, strategy, "run_intent_revoke=stop@1") as case:
        secret = case.begin()
        with case.scene.watch(secret) as watcher:
            run_id = secret.rotate()
            case.stopped()
            pg.stop()
            case.go_on()
            wait_for("a page", case.page)
            equal(secret.run(run_id)["state"], "revoking", "the state meanwhile")
            pg.start()
            case.ended(run_id, "done")
            watcher.check()
        equal(case.page(), 1, "pages")


def target_lost_it(pg, strategy):
    """PostgreSQL took the change and lost it (a fail-over to a standby that was behind)."""
    with Case(pg, strategy, "run_apply_done=stop@1") as case:
        secret = case.begin()
        before = pg.rows("select rolpassword, rolcanlogin from pg_authid where rolname = '%s'" %
                         case.new_account())[0]
        with case.scene.watch(secret):
            run_id = secret.rotate()
            case.stopped()
            pg.psql("alter role %s %s password %s" % (
                case.new_account(), "login" if before[1] == "t" else "nologin",
                "'%s'" % before[0] if before[0] else "null"))
            case.go_on()
            case.ended(run_id, "done")


def new_one_lost_before_the_end(pg, strategy):
    """The new credential is lost when the old one is about to be ended: that one is left alone until
    the new one is there again."""
    with Case(pg, strategy, "run_intent_revoke=stop@1") as case:
        secret = case.begin()
        with case.scene.watch(secret):
            run_id = secret.rotate()
            case.stopped()
            pg.psql("alter role %s nologin password null" % case.new_account())
            case.go_on()
            run = case.ended(run_id, "done")
        applied = [s for s in run["steps"] if s["kind"] == "intent" and s["name"] == "apply"]
        equal(len(applied), 2, "intents to apply: the first, and once again")


def new_one_lost_after_the_end(pg, strategy):
    """The same when the old one is gone already: the new one is set again at once, never the old one.
    The watcher cannot be asked: for a moment the target accepts nothing, and that is its own doing."""
    with Case(pg, strategy, "run_revoke_done=stop@1") as case:
        secret = case.begin()
        run_id = secret.rotate()
        case.stopped()
        pg.psql("alter role %s nologin password null" % case.new_account())
        case.go_on()
        run = case.ended(run_id, "done")
        if [s for s in run["steps"] if s["kind"] == "intent" and s["name"] == "restore_old"]:
            raise AssertionError("the old one was set again: " + story(run))


def end_lost(pg, strategy):
    """The target took the end of the old credential and lost it: it is ended again."""
    with Case(pg, strategy, "run_revoke_done=stop@1") as case:
        secret = case.begin()
        old = secret.accounts[0]
        before = pg.rows("select rolpassword from pg_authid where rolname = '%s'" % old)[0][0]
        with case.scene.watch(secret):
            run_id = secret.rotate()
            case.stopped()
            pg.psql("alter role %s login password '%s'" % (old, before))
            case.go_on()
            run = case.ended(run_id, "done")
        ended = [s for s in run["steps"] if s["kind"] == "intent" and s["name"] == "revoke"]
        equal(len(ended), 2, "intents to end it")


def crash_without_sync(pg, strategy):
    """PostgreSQL crashes with synchronous_commit=off right after it said yes."""
    pg.set(synchronous_commit="off", fsync="on")
    try:
        with Case(pg, strategy, "run_apply_done=stop@1") as case:
            secret = case.begin()
            pg.psql("checkpoint")
            with case.scene.watch(secret):
                run_id = secret.rotate()
                case.stopped()
                pg.stop("immediate")
                pg.start()
                case.go_on()
                case.ended(run_id, "done")
    finally:
        pg.set(synchronous_commit="on", fsync="off")


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
    shown = case.scene.vault.ctl("run", "show", run_id).stdout
    contains(shown, code)
    contains(shown, word)
    return run


def admin_refused(pg, strategy):
    with Case(pg, strategy) as case:
        secret = case.begin()
        with case.scene.watch(secret):
            case.scene.admin_password("another")
            run_id = secret.rotate()
            run = frozen(case, run_id, "KT-R-011", "admin")
            equal(secret.accepted(run["from"]), True, "the old password is accepted")
            case.scene.admin_password(case.scene.admin[1])
            case.scene.vault.ctl("run", "thaw", run_id)
            case.ended(run_id, "done")


def control_accepted(pg, strategy):
    with Case(pg, strategy) as case:
        secret = case.begin()
        before = pg.rows("select rolname, rolpassword from pg_authid order by 1")
        pg.hba("host all %s 127.0.0.1/32 scram-sha-256" % case.scene.admin[0],
               "host all all 127.0.0.1/32 trust")
        try:
            run_id = secret.rotate()
            run = frozen(case, run_id, "KT-R-012", "accepts")
        finally:
            pg.hba()
        equal(pg.rows("select rolname, rolpassword from pg_authid order by 1"), before,
              "PostgreSQL's passwords")
        if [s for s in run["steps"] if s["kind"] == "intent"]:
            raise AssertionError("something was sent: " + story(run))
        with case.scene.watch(secret):
            case.scene.vault.ctl("run", "thaw", run_id)
            case.ended(run_id, "done")


class Saboteur:
    """Sets other passwords as soon as the vault has set one."""

    def __init__(self, pg, accounts):
        self.pg, self.accounts = pg, accounts
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
        self.pg.psql("".join("alter role %s login password 'stolen';" % a for a in self.accounts),
                     check=False)

    def work(self):
        while not self.stopping.wait(0.01):
            self.once()


def both_refused(pg, strategy):
    """The watcher cannot be asked here: the saboteur changed the passwords, not the vault."""
    with Case(pg, strategy, "run_apply_done=stop@1") as case:
        secret = case.begin()
        run_id = secret.rotate()
        case.stopped()
        with Saboteur(pg, secret.accounts):
            case.go_on()
            run = frozen(case, run_id, "KT-R-021", "both-dead")
        applied = [s for s in run["steps"] if s["kind"] == "intent" and s["name"] == "apply"]
        equal(len(applied), 2, "intents to apply: the first, and once again")
        done = case.scene.vault.ctl("run", "thaw", run_id)
        contains(done.stdout, "done")
        run = secret.run(run_id)
        equal(run["state"], "done", story(run))
        equal(secret.accepted(run["to"]), True, "the new password is accepted")


def least_privilege(pg, strategy):
    """An administrative login that may do nothing but call the functions for accounts in a list."""
    points = "run_apply_sent=error@1" + (",run_revoke_sent=error@1" if strategy == "alternate" else "")
    with Case(pg, strategy, points, small=True) as case:
        secret = case.begin()
        denied = pg.psql("alter role %s password 'x'" % secret.accounts[0], db="orders",
                         user=case.scene.admin[0], password=case.scene.admin[1], check=False)
        contains(denied.stderr, "permission denied")
        with case.scene.watch(secret):
            case.ended(secret.rotate(), "done")
            case.agent.write("broken", "2")
            case.ended(secret.rotate(), "rolled_back")


# Row, strategies, how it is done. In-place verifies and promotes in the commit of the outcome, so that
# its "after verify" is its "outcome not stored"; and it has nothing to revoke.
ROWS = [
    ("after generate, before intent: killed", BOTH, killed, "run_generated"),
    ("after intent, before send: killed", BOTH, killed, "run_intent_apply"),
    ("sent, no reply: the answer is lost", BOTH, lost_answer, "run_apply_sent"),
    ("sent, no reply: cut before the COMMIT", BOTH, cut, APPLY, False),
    ("sent, no reply: cut after the COMMIT", BOTH, cut, APPLY, True),
    ("sent, no reply: the worker is killed", BOTH, worker_killed),
    ("effect done, outcome not stored: killed", BOTH, killed, "run_apply_done"),
    ("outcome commit fails", BOTH, outcome_not_stored),
    ("no room for the new version", BOTH, no_room, "run_full_generate"),
    ("no room for the intent", BOTH, no_room, "run_full_apply"),
    ("no room for the promotion", BOTH, no_room, "run_full_promote"),
    ("no room for the intent to revoke", ALTERNATE, no_room, "run_full_revoke"),
    ("after verify, before promote: killed", ALTERNATE, killed, "run_verified"),
    ("after promote, before fan-out: killed", BOTH, killed, "run_promoted"),
    ("consumer unhealthy", BOTH, unhealthy),
    ("consumer unhealthy, and vaultd dead meanwhile", IN_PLACE, word_lost),
    ("after intent to revoke, before send: killed", ALTERNATE, killed, "run_intent_revoke"),
    ("revoke sent, no reply: the answer is lost", ALTERNATE, lost_answer, "run_revoke_sent"),
    ("revoke sent, no reply: cut before the COMMIT", ALTERNATE, cut, REVOKE, False),
    ("revoke sent, no reply: cut after the COMMIT", ALTERNATE, cut, REVOKE, True),
    ("revoke done, outcome not stored: killed", ALTERNATE, killed, "run_revoke_done"),
    ("target loses the committed change", BOTH, target_lost_it),
    ("target loses the new one before the revocation", ALTERNATE, new_one_lost_before_the_end),
    ("target loses the new one after the revocation", ALTERNATE, new_one_lost_after_the_end),
    ("target loses the revocation", ALTERNATE, end_lost),
    ("vaultd stands still", BOTH, stalled),
    ("admin credential refused", BOTH, admin_refused),
    ("both refused", BOTH, both_refused),
]
# These do something to PostgreSQL that others would notice.
ALONE = [
    ("target down during revoke", ALTERNATE, target_down),
    ("target crashes without synchronous commit", BOTH, crash_without_sync),
    ("control probe accepted", BOTH, control_accepted),
    ("least privilege, answers lost", BOTH, least_privilege),
]


def main():
    report = Report()
    pg = make_postgres()
    fault_programs()

    def cases(rows):
        return [("%s: %s" % (strategy, name), how, pg, strategy, *more)
                for name, strategies, how, *more in rows for strategy in strategies]

    together(report, cases(ROWS))
    for case in cases(ALONE):
        report.case(*case)
    pg.remove()
    report.end()


main()
