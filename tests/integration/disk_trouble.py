#!/usr/bin/python3
"""A disk that is full, and a disk that fails at a sync.

    tests/integration/disk_trouble.py [--seed S] ['part of a case name']

Full: writes are refused with the reason and the way on, deleting and revoking still work, reads go on
until the audit log cannot grow (then nothing is answered that could not be recorded); with room again
all goes on by itself; a vault that starts on the full disk loses nothing.
Failing: whatever sync fails, the process says so and ends; after a restart everything acknowledged is
there, and the audit log verifies.
"""
import argparse
import http.client
import os
import random
import shutil
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
import auditlog  # noqa: E402
from keyturn import DEADLINE, Report, Vault, contains, equal, shim, wait_for  # noqa: E402
from workload import Workload  # noqa: E402

SHIM = shim("sync_shim.so")


# ---- a small disk --------------------------------------------------------------------------------

class SmallDisk:
    """A tmpfs with a vault's data folder in it."""

    def __init__(self, megabytes=48):
        self.folder = tempfile.mkdtemp(prefix="kt-small-")
        os.chmod(self.folder, 0o755)
        self.data = os.path.join(self.folder, "data")
        os.mkdir(self.data)
        owner = ",uid=keyturn,gid=keyturn" if os.getuid() == 0 else ""
        done = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=%dm,mode=0700%s" % (
            megabytes, owner), "none", self.data], capture_output=True, text=True)
        self.mounted = done.returncode == 0
        self.why = done.stderr.strip()
        self.filler = os.path.join(self.data, "filler")

    def left(self):
        st = os.statvfs(self.data)
        return st.f_bavail * st.f_frsize

    def fill(self, leave):
        with open(self.filler, "ab", buffering=0) as f:
            while self.left() > leave:
                f.write(bytes([1]) * min(65536, self.left() - leave))

    def free(self):
        os.unlink(self.filler)

    def remove(self):
        if self.mounted:
            subprocess.run(["umount", "-l", self.data], check=False)
        shutil.rmtree(self.folder, ignore_errors=True)


def unexpected(load, *allowed):
    """Refusals that are none of those texts."""
    return [key for key in load.refusals if not any(text in key[1] for text in allowed)]


def check_all(vault, load):
    load.check()
    log = auditlog.fetch(vault)
    log.verify()
    load.check_log(log)


def full_database(disk, seed):
    vault = Vault(folder=disk.folder)
    try:
        vault.ready()
        load = Workload(vault, seed)
        load.run(0.3)
        vault.ok("POST", "secret/data/kept", {"data": {"a": "1"}})
        token = vault.ok("POST", "auth/token/create", {}).json["auth"]["client_token"]
        disk.fill(128 << 10)
        end = time.monotonic() + DEADLINE
        refused = []
        while not refused and time.monotonic() < end:
            load.run(1)
            refused = [key for key in load.refusals if "the store is full: nothing was changed" in key[1]]
        if not refused:
            raise AssertionError("nothing was refused: %r" % load.refusals)
        contains(refused[0][1], "make room on the data folder's disk")
        equal(unexpected(load, "the store is full: nothing was changed"), [], "other refusals")
        contains(vault.log_text(), "<3>store_full")
        # What makes room still works, and so does reading.
        equal(vault.call("GET", "secret/data/kept").status, 200)
        equal(vault.call("DELETE", "secret/metadata/kept").status, 204)
        equal(vault.call("POST", "auth/token/revoke", {"token": token}).status, 204)
        equal(vault.call("GET", "sys/health").status, 200)
        # A kill and a start on the full disk.
        disk.fill(0)
        vault.kill()
        vault.start()
        vault.unseal()
        load.check()
        equal(vault.call("GET", "secret/data/kept").status, 404)
        equal(vault.call("GET", "auth/token/lookup-self", token=token).status, 403)
        # Room again: everything goes on without a restart.
        disk.fill(0)
        load.refusals.clear()
        load.run(0.5)
        disk.free()
        wait_for("writes to be accepted", lambda: vault.call(
            "POST", "secret/data/again", {"data": {"a": "1"}}).status == 200)
        contains(vault.log_text(), "store_has_room")
        load.refusals.clear()
        load.run(0.3)
        equal(dict(load.refusals), {}, "refusals with room again")
        check_all(vault, load)
        equal(vault.stop(), 0, "exit code")
        vault.start().unseal()
        check_all(vault, load)
    except OSError as error:
        raise AssertionError("%s; it said: %s" % (error, vault.log_text()[-600:])) from error
    finally:
        vault.kill()


def full_log(disk, seed):
    vault = Vault(folder=disk.folder)
    try:
        vault.ready()
        load = Workload(vault, seed)
        load.run(0.3)
        disk.fill(0)
        refused = read_until_refused(vault)
        equal(refused[0], 503, "status of %r" % (refused,))
        if "no room for the next segment" not in refused[1]:  # where the one in use was full just then
            contains(refused[1], "no room for the audit log")
        contains(refused[1], "requests go on by themselves as soon as the audit log can grow")
        contains(vault.log_text(), "<3>audit-log-full")
        # These are not recorded and answer all the same.
        for path in ("sys/health", "sys/seal-status", "sys/leader", "sys/init"):
            equal(vault.call("GET", path).status, 200, path)
        disk.free()
        wait_for("requests to go on", lambda: vault.call("GET", "secret/data/" + LONG).status == 404)
        wait_for("it to be said", lambda: "audit-log-recovered" in vault.log_text())
        load.run(0.3)
        check_all(vault, load)
        vault.restart()
        check_all(vault, load)
    finally:
        vault.kill()


LONG = "/".join(["p" * 250] * 14)


def read_until_refused(vault):
    """Each leaves a long record: the log's segments fill."""
    connection = http.client.HTTPConnection("127.0.0.1", vault.port, timeout=60)
    for i in range(10000):
        connection.request("GET", "/v1/secret/data/%s%d" % (LONG, i),
                           headers={"X-Vault-Token": vault.root})
        answer = connection.getresponse()
        text = answer.read().decode()
        if answer.status != 404:
            return answer.status, text
    raise AssertionError("10,000 reads were recorded without room")


# ---- a failing sync ------------------------------------------------------------------------------

class Failing:
    def __init__(self, seed):
        self.rng = random.Random(seed)
        self.vault = Vault().ready()
        self.load = Workload(self.vault, seed, clients=4)

    def one(self, folder, number):
        """Returns what happened at the number-th sync below that folder of the data folder."""
        vault, load = self.vault, self.load
        vault.stop()
        vault.env = {"LD_PRELOAD": SHIM, "KT_SYNC_DIR": os.path.join(vault.data, folder).rstrip("/"),
                     "KT_SYNC_FAIL_AT": str(number)}
        mark = len(vault.log_text())
        what = "ended while serving"
        try:
            vault.start()
            for share in vault.shares[:3]:
                answer = vault.call("PUT", "sys/unseal", {"key": share})
        except AssertionError:
            what = "not started"
        except (OSError, http.client.HTTPException):
            what = "ended while unsealing"
        if what == "ended while serving" and answer.status != 200:
            contains(answer.body, "Input/output error")
            # Nothing was admitted and nothing is lost: it stays up, and the next attempt goes through.
            what = "not unsealed at first"
            equal(vault.call("GET", "sys/seal-status").json["sealed"], True, "sealed")
            vault.unseal()
            vault.kill()
        elif what == "ended while serving":
            load.start(DEADLINE)
            wait_for("the process to end by itself", lambda: vault.process.poll() is not None)
            load.finish()
        if vault.process.returncode == 0:
            raise AssertionError("%s, with exit code 0" % what)
        contains(vault.log_text()[mark:], "<3>", "what it says: ")
        vault.env = {}
        vault.start().unseal()
        check_all(vault, load)
        return what

    def all(self, folder, numbers):
        seen = {}
        for number in numbers:
            try:
                what = self.one(folder, number)
            except Exception as error:
                raise AssertionError("sync %d of '%s': %s" % (number, folder, error)) from error
            seen[what] = seen.get(what, 0) + 1
        print("#   %s" % ", ".join("%s: %d" % item for item in sorted(seen.items())), flush=True)
        return seen


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("only", nargs="?")
    args = parser.parse_args()
    report = Report(args.only or "")
    print("# seed %d: %s --seed %d" % (args.seed, sys.argv[0], args.seed), flush=True)
    for name, function in (("a full disk refuses writes and loses nothing", full_database),
                           ("a full disk stops what cannot be recorded", full_log)):
        disk = SmallDisk()
        if disk.mounted:
            report.case(name, function, disk, args.seed)
        else:
            print("[  SKIPPED ] %s: a small disk cannot be mounted: %s" % (name, disk.why))
        disk.remove()
    failing = Failing(args.seed)
    rng = failing.rng

    def everything():
        seen = failing.all("", list(range(1, 16)) + [rng.randrange(16, 300) for _ in range(5)])
        if not seen.get("ended while serving", 0) >= 5:
            raise AssertionError("it did not fail while serving: %r" % seen)

    def log_alone():
        seen = failing.all("audit", range(8, 13))
        if not seen.get("ended while serving"):
            raise AssertionError("it did not fail while serving: %r" % seen)

    report.case("any sync may fail: it ends loudly and loses nothing", everything)
    report.case("a sync of the audit log may fail: the same", log_alone)
    failing.vault.remove()
    report.end()


main()
