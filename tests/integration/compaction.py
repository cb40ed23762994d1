#!/usr/bin/python3
"""Compaction and re-encryption of a vault that serves, killed at each of their steps.

    tests/integration/compaction.py [--seed S] [--kills N] ['part of a case name']

Meanwhile clients change secrets, policies, tokens and mounts; afterwards every one of them is in a
state that an acknowledged change, or the one that was never answered, left it in, and the audit log has
an outcome for each.
"""
import argparse
import http.client
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
import auditlog  # noqa: E402
from keyturn import Report, Vault, contains, equal, shim, wait_for  # noqa: E402
from rotation import fault_programs  # noqa: E402
from workload import Workload  # noqa: E402

SHIM = shim("sync_shim.so")
BIG = "x" * 100_000
# What a kill leaves behind: whether the new file stands in the old one's place.
COMPACT_POINTS = [("compact_begun", 1, False), ("compact_piece", 1, False), ("compact_piece", 2, False),
                  ("compact_copied", 1, False), ("compact_written", 1, False),
                  ("compact_exchanged", 1, True), ("compact_in_use", 1, True),
                  ("compact_removing", 1, True)]
REENCRYPT_POINTS = [("reencrypt_begun", 1), ("reencrypt_piece", 1), ("reencrypt_piece", 4),
                    ("reencrypt_rewritten", 1), ("reencrypt_dropped", 1)]


def new_load(vault, seed):
    load = Workload(vault, seed)
    load.clients[0].things.pop()  # the keyring's terms are ours here
    load.clients[0].weights.pop()
    return load


def fill(vault):
    """Some MiB, half of it deleted, so that there is something to copy and something to leave."""
    for i in range(60):
        vault.ok("POST", "secret/data/big/b%d" % i, {"data": {"fill": BIG}})
    for i in range(0, 60, 2):
        vault.ok("DELETE", "secret/metadata/big/b%d" % i)


def check_all(vault, load):
    load.check()
    log = auditlog.fetch(vault)
    log.verify()
    load.check_log(log)
    for i in range(1, 60, 2):
        equal(vault.ok("GET", "secret/data/big/b%d" % i).data["data"]["fill"], BIG)


def status_of(vault, work):
    return vault.ok("GET", "sys/storage/" + work).data


def ended(vault, work):
    def look():
        status = status_of(vault, work)
        return status if not status["active"] or status["error"] else None
    return wait_for("the end of " + work, look)


def done(vault, work):
    status = ended(vault, work)
    equal(status["phase"], "done", "%s, %r" % (work, status))
    return status


def dead(vault):
    vault.process.wait(60)
    equal(vault.process.returncode, -signal.SIGKILL, "killed at its failpoint")


def inode(vault):
    return os.stat(os.path.join(vault.data, "store/data.mdb")).st_ino


def one_store(vault):
    """Nothing of a second one is left."""
    equal(sorted(f for f in os.listdir(vault.data) if f.startswith("store")), ["store"])


# ---- without mishap --------------------------------------------------------------------------------

def under_load(seed):
    with Vault().ready() as vault:
        fill(vault)
        load = new_load(vault, seed)
        load.run(0.5)
        load.start(600)
        try:
            for _ in range(3):
                old = inode(vault)
                said = vault.ctl("operator", "reencrypt").stdout
                contains(said, "older keys are destroyed")
                said = vault.ctl("operator", "compact").stdout
                contains(said, "writes waited for at most")
                if inode(vault) == old:
                    raise AssertionError("the file is the old one")
        finally:
            load.until = 0
            load.finish()
        equal(dict(load.refusals), {}, "refusals")
        keys = status_of(vault, "reencrypt")
        equal(keys["oldest_term"], keys["newest_term"])
        check_all(vault, load)
        one_store(vault)
        equal(vault.stop(), 0)
        vault.start().unseal()
        check_all(vault, load)
        # What the commands print.
        table = vault.ctl("operator", "storage").stdout
        contains(table, "Free Pages In It")
        storage = json.loads(vault.ctl("operator", "storage", "-o", "json").stdout)
        for name in ("bytes_file", "bytes_used", "bytes_free", "entries"):
            if not isinstance(storage["data"][name], int):
                raise AssertionError("no %s in %r" % (name, storage))
        contains(vault.ctl("operator", "compact", "-status").stdout, "phase")
        contains(vault.ctl("operator", "compact", "-detach").stdout, "under way")
        done(vault, "compact")
        contains(vault.ctl("operator", "compact", "-stop").stderr, "no compaction is under way")


def not_by_everybody():
    with Vault().ready() as vault:
        vault.ok("PUT", "sys/policies/acl/some", {"policy": 'path "sys/storage*" '
                                                            '{ capabilities = ["read", "update"] }'})
        token = vault.ok("POST", "auth/token/create",
                         {"policies": ["some"]}).json["auth"]["client_token"]
        equal(vault.call("GET", "sys/storage", token=token).status, 200)
        equal(vault.call("POST", "sys/storage/compact", token=token).status, 403)
        equal(vault.call("POST", "sys/storage/reencrypt", token=token).status, 403)
        refused = vault.ctl("operator", "compact", token=token, check=False)
        equal(refused.returncode, 2)
        contains(refused.stderr, "permission denied")


# ---- killed ------------------------------------------------------------------------------------------

class Struck:
    """A vault with failpoints, kept over all of them: each finds what the one before left."""

    def __init__(self, seed):
        self.vault = Vault(programs=fault_programs())
        self.vault.ready()
        fill(self.vault)
        self.load = new_load(self.vault, seed)
        self.load.run(0.5)

    def begin(self, points):
        self.vault.kill()
        self.vault.env["KEYTURN_FAILPOINTS"] = points
        self.vault.start().unseal()
        self.load.check()

    def ask(self, work):
        """It may be dead before it answers."""
        try:
            self.vault.call("POST", "sys/storage/" + work)
        except (OSError, http.client.HTTPException):
            pass

    def strike(self, work):
        """Until it is dead."""
        self.load.start(120)
        self.ask(work)
        dead(self.vault)
        self.load.finish()
        self.vault.env.pop("KEYTURN_FAILPOINTS")
        self.vault.start()

    def compact(self, point, nth, in_place):
        self.begin("%s=kill@%d" % (point, nth))
        before = inode(self.vault)
        self.strike("compact")
        equal(inode(self.vault) != before, in_place, "the new file is in place")
        one_store(self.vault)
        self.vault.unseal()
        check_all(self.vault, self.load)
        self.vault.ok("POST", "sys/storage/compact")
        done(self.vault, "compact")
        check_all(self.vault, self.load)

    def reencrypt(self, point, nth):
        self.begin("%s=kill@%d" % (point, nth))
        newest = status_of(self.vault, "reencrypt")["newest_term"]
        self.strike("reencrypt")
        self.vault.unseal()
        status = done(self.vault, "reencrypt")  # it went on by itself
        equal((status["oldest_term"], status["newest_term"]), (newest + 1, newest + 1))
        check_all(self.vault, self.load)
        self.vault.restart()
        check_all(self.vault, self.load)

    def fail(self, point):
        self.begin(point + "=error@1")
        before = inode(self.vault)
        refused = self.vault.ctl("operator", "compact", check=False)
        equal(refused.returncode, 2, refused.stderr)
        contains(refused.stderr, point)
        one_store(self.vault)
        equal(inode(self.vault), before)
        check_all(self.vault, self.load)
        self.vault.ctl("operator", "compact")  # only the first time
        one_store(self.vault)
        check_all(self.vault, self.load)

    def unsynced(self):
        """The folder cannot be synced after the exchange: it ends, as after any failed sync."""
        self.begin("compact_exchanged=error")
        self.ask("compact")
        self.vault.process.wait(60)
        if self.vault.process.returncode == 0:
            raise AssertionError("it ended as if all was well")
        contains(self.vault.log_text(), "cannot sync the data folder after compacting")
        self.vault.env.pop("KEYTURN_FAILPOINTS")
        self.vault.start().unseal()
        one_store(self.vault)
        check_all(self.vault, self.load)


    def at_random(self, rng, rounds):
        """Killed whenever, while one work follows the other."""
        for _ in range(rounds):
            self.begin("")
            self.load.start(120)
            self.ask("reencrypt")
            self.ask("compact")
            end = time.monotonic() + rng.random() * 0.6
            while time.monotonic() < end:
                if not status_of(self.vault, "compact")["active"]:
                    self.ask("compact")
                if not status_of(self.vault, "reencrypt")["active"]:
                    self.ask("reencrypt")
            self.vault.kill()
            self.load.finish()
            self.vault.start()
            one_store(self.vault)
            self.vault.unseal()
            done(self.vault, "reencrypt")
            check_all(self.vault, self.load)


# ---- a disk that fails ---------------------------------------------------------------------------------

def failing_syncs(seed):
    """A sync of the copy fails: it is given up, and nothing else is touched."""
    refused = 0
    with Vault().ready() as vault:
        fill(vault)
        load = new_load(vault, seed)
        load.run(0.3)
        for number in range(1, 12):
            vault.stop()
            vault.env = {"LD_PRELOAD": SHIM, "KT_SYNC_DIR": os.path.join(vault.data, "store.compact"),
                         "KT_SYNC_FAIL_AT": str(number)}
            vault.start().unseal()
            before = inode(vault)
            vault.ok("POST", "sys/storage/compact")
            status = ended(vault, "compact")
            equal(inode(vault) == before, bool(status["error"]), "the old file, %r" % status)
            if status["error"]:
                refused += 1
                contains(status["error"], "compacting")
            one_store(vault)
            load.run(0.1)
            check_all(vault, load)
        vault.env = {}
        vault.restart()
        check_all(vault, load)
    if refused < 4:
        raise AssertionError("only %d compactions met a failing sync" % refused)


# ---- a disk without room -------------------------------------------------------------------------------

def without_room(seed):
    folder = tempfile.mkdtemp(prefix="kt-small-")
    os.chmod(folder, 0o755)
    data = os.path.join(folder, "data")
    os.mkdir(data)
    owner = ",uid=keyturn,gid=keyturn" if os.getuid() == 0 else ""
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=160m,mode=0700" + owner, "none", data],
                             capture_output=True)
    if mounted.returncode != 0:
        print("[  SKIPPED ] a small disk cannot be mounted")
        return
    vault = Vault(folder=folder)
    try:
        vault.ready()
        fill(vault)
        load = new_load(vault, seed)
        load.run(0.3)
        filler = os.path.join(data, "filler")
        with open(filler, "wb") as f:
            st = os.statvfs(data)
            os.posix_fallocate(f.fileno(), 0, st.f_bavail * st.f_frsize - (48 << 20))
        refused = vault.ctl("operator", "compact", check=False)
        equal(refused.returncode, 2)
        contains(refused.stderr, "no room to compact the store")
        contains(refused.stderr, "MiB are free")
        one_store(vault)
        load.run(0.3)
        check_all(vault, load)
        os.unlink(filler)
        vault.ctl("operator", "compact")
        check_all(vault, load)
    finally:
        vault.remove()
        subprocess.run(["umount", "-l", data], check=False)
        shutil.rmtree(folder, ignore_errors=True)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--kills", type=int, default=int(os.environ.get("KT_ROUNDS", "8")))
    parser.add_argument("only", nargs="?")
    args = parser.parse_args()
    report = Report(args.only or "")
    print("# seed %d: %s --seed %d" % (args.seed, sys.argv[0], args.seed), flush=True)
    report.case("re-encrypted and compacted under load", under_load, args.seed)
    report.case("not by everybody", not_by_everybody)
    report.case("without room on the disk", without_room, args.seed)
    vaults = []

    def struck(step, *how):
        if not vaults:
            vaults.append(Struck(args.seed))
        getattr(vaults[0], step)(*how)

    for point, nth, in_place in COMPACT_POINTS:
        report.case("killed at %s, %d" % (point, nth), struck, "compact", point, nth,
                    in_place)
    for point, nth in REENCRYPT_POINTS:
        report.case("killed at %s, %d" % (point, nth), struck, "reencrypt", point, nth)
    for point in ("compact_begun", "compact_piece", "compact_copied", "compact_written"):
        report.case("failed at " + point, struck, "fail", point)
    report.case("the folder cannot be synced", struck, "unsynced")
    report.case("killed at random moments", struck, "at_random", random.Random(args.seed), args.kills)
    report.case("a sync of the copy fails", failing_syncs, args.seed)
    for one in vaults:
        one.vault.remove()
    report.end()


main()
