#!/usr/bin/python3
"""What a power loss leaves of a vault, after a run of vaultd with every write and sync written down.

    tests/integration/powerloss.py [--states N] [--writes N] [--seed S] ['part of a case name']

A real vaultd writes under tests/support/sync_shim.c, compacts its store again and again meanwhile, is
killed, started again, stopped, started. From
the log of what it wrote, synced and answered, tests/support/powerloss.py makes folders as the disk
might hold them:
  - for each write, at the moment at which its answer left, nothing but what completed syncs cover: the
    write and its outcome record must be there, so the syncs that cover them had returned before;
  - at random moments, with parts of what was under way.
vault_state_test opens each of them as vaultd does: none is refused, in each the log verifies (and the
checkpoints that were handed out are true of it) and holds an outcome for every acknowledged write.
"""
import argparse
import concurrent.futures
import http.client
import json
import multiprocessing
import os
import random
import re
import shutil
import subprocess
import sys
import tempfile
import threading
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
import powerloss  # noqa: E402
from keyturn import DEADLINE, ROOT, Report, Vault, equal, shim  # noqa: E402

SHIM = shim("sync_shim.so")
CHECKER = os.path.join(ROOT, "build/release/unit/vault_state_test")
CLIENTS = 8
COMPACTIONS = 4
RECENT = 24  # of so many acknowledged writes each state is asked for the values
SHARES = 2   # processes
REQUEST_ID = re.compile(rb'"request_id":"([0-9a-f-]{36})"')


# ---- the writers ---------------------------------------------------------------------------------

class Writer(threading.Thread):
    """Notes of each write what must be found of it: [request id, path, text]."""

    def __init__(self, vault, number, count, seed):
        super().__init__()
        self.vault, self.number, self.count = vault, number, count
        self.rng = random.Random(seed * 100 + number)
        self.needs, self.error = [], None

    def ask(self, method, path, body):
        headers = {"X-Vault-Token": self.vault.root}
        if method == "PATCH":
            headers["Content-Type"] = "application/merge-patch+json"
        self.connection.request(method, "/v1/" + path, json.dumps(body), headers)
        answer = self.connection.getresponse()
        text = answer.read()
        if answer.status >= 300:
            raise AssertionError("%s %s: %d %r" % (method, path, answer.status, text))
        return json.loads(text) if text else None

    def secret(self, i):
        name = "%d/%d/%d" % (self.number, self.vault.phase, i // 8)
        method = "PATCH" if i % 8 > 5 else "POST"
        text = "%d.%d.%d" % (self.number, self.vault.phase, i)
        body = {"n": text, "fill": "x" * self.rng.choice((10, 100, 3000, 20000))}
        answer = self.ask(method, "secret/data/" + name, {"data": body})
        return answer, "secret/data/%s?version=%d" % (name, answer["data"]["version"]), \
            '"n":"%s"' % text

    def token(self, i):
        meta = "%d.%d.%d" % (self.number, self.vault.phase, i)
        answer = self.ask("POST", "auth/token/create", {"ttl": "1h", "meta": {"n": meta}})
        return answer, "auth/token/lookup?token=" + answer["auth"]["client_token"], meta

    def checkpoint(self):
        answer = self.ask("POST", "sys/audit-log/checkpoint", {})
        return [answer["request_id"], None, answer["data"]["checkpoint"]]

    def run(self):
        try:
            self.connection = http.client.HTTPConnection("127.0.0.1", self.vault.port, timeout=DEADLINE)
            for i in range(self.count):
                answer, path, text = (self.token if self.rng.random() < 0.1 else self.secret)(i)
                self.needs.append([answer["request_id"], path, text])
                if self.rng.random() < 0.1:  # without a body: something under way, no need
                    self.ask("PUT", "sys/policies/acl/p%d" % self.number,
                             {"policy": 'path "a/%d" { capabilities = ["read"] }' % i})
                if self.rng.random() < 0.03:
                    self.needs.append(self.checkpoint())
        except Exception as error:  # noqa: BLE001 - reported by write()
            self.error = error


class Compactor(threading.Thread):
    """A few compactions, one after the other, until it is told to end. Each is in the log with all that it
    copies, so their number is bounded, not only their time."""

    def __init__(self, vault):
        super().__init__()
        self.vault, self.ends, self.error, self.count = vault, threading.Event(), None, 0

    def run(self):
        try:
            while not self.ends.is_set() and self.count < COMPACTIONS:
                if self.vault.ok("POST", "sys/storage/compact").data["error"]:
                    raise AssertionError("not compacted")
                while self.vault.ok("GET", "sys/storage/compact").data["active"]:
                    if self.ends.wait(0.02):
                        break
                self.count += 1
        except Exception as error:  # noqa: BLE001 - reported by write()
            self.error = error


def write(vault, count, seed, compact=False):
    writers = [Writer(vault, n, count // CLIENTS, seed) for n in range(CLIENTS)]
    compactor = Compactor(vault)
    for writer in writers + [compactor] * compact:
        writer.start()
    for writer in writers:
        writer.join()
    if compact:
        compactor.ends.set()
        compactor.join()
        print("#   %d compactions" % compactor.count, flush=True)
    for writer in writers + [compactor]:
        if writer.error:
            raise writer.error
    return [need for writer in writers for need in writer.needs]


def recorded_run(work, writes, seed):
    """Returns the vault, the log, the needs of all phases, what the kill left."""
    log = os.path.join(work, "shim.log")
    folder = os.path.join(work, "vault")
    os.mkdir(folder)
    vault = Vault(folder=folder)
    vault.env = {"LD_PRELOAD": SHIM, "KT_SYNC_DIR": vault.data, "KT_SYNC_LOG": log,
                 "KT_SYNC_ANSWERS": "1"}
    needs = []
    try:
        vault.phase = 0
        vault.ready()
        needs += write(vault, writes // 2, seed, compact=True)
        vault.kill()
        left = os.path.join(work, "left")
        shutil.copytree(vault.data, left)
        left = [(time.monotonic_ns(), left)]
        vault.phase = 1
        vault.start().unseal()
        needs += write(vault, writes // 3, seed + 1, compact=True)
        equal(vault.stop(), 0, "exit code")
        vault.phase = 2
        vault.start().unseal()
        needs += write(vault, writes // 5, seed + 2)
        vault.ok("PUT", "sys/seal")
        vault.unseal()
        needs += write(vault, CLIENTS, seed + 3)
    finally:
        vault.kill()
    return vault, log, needs, left


# ---- when did the answers leave ------------------------------------------------------------------

def departures(answers):
    """{request id: when the first byte of its answer was given to the kernel}"""
    left, head = {}, {}
    for record in answers:
        if record.error != 0:
            continue
        if record.data.startswith(b"HTTP/1.1"):
            head[record.inode] = record.start
        for request_id in REQUEST_ID.findall(record.data):
            left.setdefault(request_id.decode(), head.get(record.inode, record.start))
    return left


def write_list(path, vault, needs):
    with open(path, "w") as f:
        f.write("\t".join(["shares"] + vault.shares[:vault.threshold]) + "\n")
        f.write("token\t%s\n" % vault.root)
        for request_id, path_, text in needs:
            if path_ is None:
                f.write("note\t%s\n" % text.replace("\n", "\\n"))
            else:
                f.write("need\t%s\t%s\t%s\n" % (request_id, path_, text))


# ---- the states ----------------------------------------------------------------------------------

def check_share(share, disk, cuts, counts, mode, seed, list_path, work):
    """Every second state is this process's: (made, with writes under way, the first wrong one)."""
    out = os.path.join(work, "state%d" % share)
    checker = subprocess.Popen([CHECKER, "check", list_path, str(RECENT)], stdin=subprocess.PIPE,
                               stdout=subprocess.PIPE, text=True, bufsize=1)
    made = under_way = 0
    wrong = None
    for state in powerloss.states_at(disk, cuts, out, seed, mode, lambda n: n % SHARES == share):
        keep = os.environ.get("KT_KEEP")
        if keep:
            shutil.copytree(state.folder, state.folder + ".before", dirs_exist_ok=True)
        checker.stdin.write("%s %d\n" % (state.folder, counts[state.number]))
        answer = checker.stdout.readline().strip()
        if answer != "ok":
            wrong = "state %d, %d acknowledged: %s; chosen: %s; KT_KEEP=1 keeps %s.before" % (
                state.number, counts[state.number], answer or "the checker died",
                "; ".join(state.words[:12]), state.folder)
            break
        made += 1
        under_way += len(state.words) > 1
    checker.stdin.close()
    checker.wait()
    return made, under_way, wrong


def check(disk, cuts, counts, mode, seed, list_path, work):
    """How many states were made; raises if one is wrong."""
    with concurrent.futures.ProcessPoolExecutor(
            SHARES, multiprocessing.get_context("fork")) as pool:
        # The disk is not sent: the forked processes have it.
        global checked_disk
        checked_disk = disk
        found = list(pool.map(check_one_share, *zip(*[
            (share, cuts, counts, mode, seed, list_path, work) for share in range(SHARES)])))
    for _, _, wrong in found:
        if wrong:
            raise AssertionError(wrong)
    made = sum(f[0] for f in found)
    print("#   %d states, %d with writes under way" % (made, sum(f[1] for f in found)), flush=True)
    return made


checked_disk = None


def check_one_share(share, *arguments):
    return check_share(share, checked_disk, *arguments)


def room(folder):
    st = os.statvfs(folder)
    return st.f_bavail * st.f_frsize


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--states", type=int, default=300)
    parser.add_argument("--writes", type=int, default=400)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("only", nargs="?")
    args = parser.parse_args()
    report = Report(args.only or "")
    print("# seed %d: %s --seed %d" % (args.seed, sys.argv[0], args.seed), flush=True)
    base = "/dev/shm" if os.access("/dev/shm", os.W_OK) and room("/dev/shm") > 4 << 30 else None
    work = tempfile.mkdtemp(prefix="kt-powerloss-", dir=base)
    os.chmod(work, 0o755)
    list_path = os.path.join(work, "list")
    vault, log, needs, left = recorded_run(work, args.writes, args.seed)
    records = powerloss.read_log(log)
    disk = powerloss.Disk(records, vault.data, left=left)
    gone = departures(disk.answers)

    def all_seen():
        missing = [need for need in needs if need[0] not in gone]
        equal(missing[:3], [], "answers that were not seen leaving")

    report.case("each answer was seen leaving", all_seen)
    if report.failed:
        report.end()
    needs.sort(key=lambda need: gone[need[0]])
    write_list(list_path, vault, needs)
    times = [gone[need[0]] for need in needs]

    def synced_before():
        # At the very moment, everything lost that no completed sync covers.
        made = check(disk, times, list(range(1, len(needs) + 1)), "lost", args.seed, list_path, work)
        equal(made, len(needs), "states")
        if len([need for need in needs if need[1] is not None]) < args.writes * 9 // 10:
            raise AssertionError("only %d writes" % len(needs))

    def any_moment():
        cuts = powerloss.moments(records, args.states, random.Random(args.seed))
        counts, at = [], 0
        for cut in cuts:
            while at < len(times) and times[at] < cut:
                at += 1
            counts.append(at)
        equal(check(disk, cuts, counts, None, args.seed, list_path, work), args.states, "states")

    report.case("syncs of %d writes returned before their answers left" % len(needs), synced_before)
    report.case("%d states after a power loss are whole" % args.states, any_moment)
    if report.failed == 0:
        shutil.rmtree(work)
    report.end()


main()
