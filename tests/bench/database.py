"""The store's file: bounded under writes, its free pages reused, compacted and re-encrypted meanwhile."""
import time

import big
from common import (KEYS, LONG, QUICK, SECRET, bar_row, end_load, heading, load, ready, row, spread,
                    start_load, tails, tails_row, wait_for)

WRITES = 20000 if QUICK else 1000000 if LONG else 100000
SECRETS = min(1000, WRITES // 100)
MIB = 1 << 20


def storage(vault):
    return vault.ok("GET", "sys/storage").data


def write(vault, count):
    load(vault.port, "/v1/secret/data/app/%d", vault.client, method="POST", walk=True, keys=SECRETS,
         count=count, body=SECRET)


def finish(vault, work):
    def look():
        status = vault.ok("GET", "sys/storage/" + work).data
        if status["error"]:
            raise RuntimeError(work + ": " + status["error"])
        return None if status["active"] else status
    return wait_for("the end of " + work, look, 1800)


def run(vault, work):
    vault.ok("POST", "sys/storage/" + work)
    return finish(vault, work)


def emptied(vault, entries):
    """What destroy and delete leave is removed by the housekeeper; what the store keeps of the last
    writes for the audit log goes with the folds after the log's next sync, some of it with each."""
    wait_for("the housekeeper", lambda: storage(vault)["entries"] <= entries, 600)
    used = [storage(vault)["bytes_used"]]
    while len(used) < 3 or (used[-1] < used[-3] and len(used) < 30):
        vault.ok("POST", "sys/audit-log/checkpoint")
        used.append(storage(vault)["bytes_used"])
    return storage(vault)


def bounded():
    """WRITES in ten parts on SECRETS secrets of which ten versions are kept; then half of them lose
    every version to destroy, and all of them go."""
    vault = ready()
    try:
        before, files = storage(vault)["entries"], []
        for _ in range(10):
            write(vault, WRITES // 10)
            files.append(storage(vault)["bytes_file"])
        full = storage(vault)
        row("file after %d writes, 10 versions kept" % WRITES, "%.1f MiB" % (files[-1] / MIB),
            "after a fifth: %.1f MiB" % (files[1] / MIB), files[-1] / files[1], 1.25, least=False,
            note="%.1f MiB in use" % (full["bytes_used"] / MIB))
        newest = WRITES // SECRETS
        versions = ",".join(str(n) for n in range(max(1, newest - 9), newest + 1))
        load(vault.port, "/v1/secret/destroy/app/%d", vault.token, method="POST", walk=True,
             keys=SECRETS // 2, count=SECRETS // 2, body='{"versions":[%s]}' % versions, expect=2)
        load(vault.port, "/v1/secret/metadata/app/%d", vault.token, method="DELETE", walk=True,
             keys=SECRETS, count=SECRETS, expect=2)
        empty = emptied(vault, before + 20)
        row("in use after all was destroyed and deleted", "%.2f MiB" % (empty["bytes_used"] / MIB),
            "before: %.1f MiB" % (full["bytes_used"] / MIB),
            empty["bytes_used"] / full["bytes_used"], 0.1, least=False,
            note="of a file of %.1f MiB" % (empty["bytes_file"] / MIB))
        write(vault, WRITES // 5)
        again = storage(vault)
        row("file after %d writes more" % (WRITES // 5), "%.1f MiB" % (again["bytes_file"] / MIB),
            "before: %.1f MiB" % (empty["bytes_file"] / MIB),
            again["bytes_file"] / empty["bytes_file"], 1.05, least=False, note="free pages are reused")
        load(vault.port, "/v1/secret/metadata/app/%d", vault.token, method="DELETE", walk=True,
             keys=SECRETS, count=SECRETS, expect=2)
        emptied(vault, before + 20)
        run(vault, "reencrypt")
        end = run(vault, "compact")
        row("file after re-encrypting and compacting", "%.2f MiB" % (end["bytes_after"] / MIB),
            "before: %.1f MiB" % (end["bytes_before"] / MIB), note="%d ms" % end["took_ms"])
    finally:
        vault.remove()


def while_compacting():
    """On the large vault: the longest that a write waits, and everybody's reads."""
    vault = big.vault()
    waits, offered = [], []
    for _ in range(3 if QUICK else 5):
        vault.ok("POST", "sys/storage/compact")
        writer = start_load(vault.port, "/v1/secret/data/app/%t/%d", vault.client, method="POST", rate=200,
                            keys=KEYS, connections=16, seconds=5 if QUICK else 20, body=SECRET)
        status = finish(vault, "compact")
        waits.append(status["write_wait_us"] / 1000)
        offered.append(end_load(writer)["max_us"] / 1000)
    bar_row("the store thread kept by a compaction, at most", max(waits), 500, "ms",
            note="%.0f MiB copied in %.1f s" % (status["bytes_after"] / MIB, status["took_ms"] / 1000))
    bar_row("longest write of 200/s while compacting", max(offered), 500, "ms", note=spread(offered))

    def disturb(work):
        def start(_seconds):
            vault.ok("POST", "sys/storage/" + work)
            return lambda: finish(vault, work)
        return start
    tails_row("reads' p99 while compacting",
              *tails(vault, "/v1/secret/data/app/%t/%d", disturb("compact")))
    begun = time.monotonic()
    tails_row("reads' p99 while re-encrypting",
              *tails(vault, "/v1/secret/data/app/%t/%d", disturb("reencrypt"), rounds=1 if QUICK else 2))
    status = vault.ok("GET", "sys/storage/reencrypt").data
    row("re-encrypted", "%d entries" % status["rewritten"], "",
        note="%.0f s with the reads" % (time.monotonic() - begun))


def measure():
    heading("the database's file")
    bounded()
    while_compacting()
