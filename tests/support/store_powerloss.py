"""Power losses under the store alone.

store_powerloss.py STORE_CRASH_TEST SYNC_SHIM COUNT [SEED]

Lets the program write under the shim, twice in a row on one folder (so that both a new store and an
old one are met), makes COUNT states that a power loss could have left, and has each one opened and
checked: every batch acknowledged by then is there, none is half there. Then, for the moment at which
each acknowledgement began to leave, the state that only completed syncs vouch for. Exits 1 on the
first that is wrong, and says how to make it again.
"""
import itertools
import os
import random
import shutil
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import powerloss  # noqa: E402

BATCHES = 120


def write(program, shim, folder, log, first):
    environment = {"LD_PRELOAD": shim, "KT_SYNC_DIR": folder, "KT_SYNC_LOG": log,
                   "KT_SYNC_ANSWERS": "1", "ASAN_OPTIONS": "verify_asan_link_order=0"}
    run = subprocess.run([program, "write", folder, str(first), str(BATCHES)], env=environment,
                         stdout=subprocess.PIPE, check=True)
    assert len(run.stdout.split()) == BATCHES, run.stdout


def acknowledged(state):
    last = 0
    for _, _, data in state.answers():
        for line in data.split():
            last = max(last, int(line))
    return last


def main():
    program, shim, count = sys.argv[1], os.path.abspath(sys.argv[2]), int(sys.argv[3])
    seed = int(sys.argv[4]) if len(sys.argv) > 4 else random.randrange(1 << 31)
    base = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
    work = tempfile.mkdtemp(prefix="kt-powerloss-", dir=base)
    folder, log = os.path.join(work, "data"), os.path.join(work, "log")
    os.mkdir(folder, 0o700)
    write(program, shim, folder, log, 1)
    write(program, shim, folder, log, BATCHES + 1)
    checker = subprocess.Popen([program, "check"], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                               text=True, bufsize=1)
    lost = 0
    out = os.path.join(work, "state")
    left = [r.start + 1 for r in powerloss.read_log(log) if r.kind == powerloss.ANSWER]
    for state in itertools.chain(
            powerloss.states(log, folder, None, out, count, seed),
            powerloss.states(log, folder, None, out, cuts=left, mode="lost")):
        need = acknowledged(state)
        checker.stdin.write("%s %d\n" % (state.folder, need))
        answer = checker.stdout.readline().strip()
        if not answer.startswith("ok "):
            print("power loss: state %d of %d, seed %d, acknowledged %d: %s\n  chosen: %s\n  kept: %s" %
                  (state.number, count, seed, need, answer, "; ".join(state.words), work))
            return 1
        lost += len(state.words) > 1
    checker.stdin.close()
    checker.wait()
    shutil.rmtree(work)
    print("    power loss: %d states, %d with writes under way, and at each of %d answers, seed %d" %
          (count, lost, len(left), seed))
    return 0


if __name__ == "__main__":
    sys.exit(main())
