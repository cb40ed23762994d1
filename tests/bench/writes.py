"""Durable writes: against the disk's own two syncs, and how far many share one commit."""
import os
import time

from common import QUICK, SECRET, SHIM, Vault, load, lone_commit_seconds, ready, row, write_keys
import powerloss


def writes(pair):
    vault = ready()
    try:
        write_keys(vault, 1000)
        rates = {}
        for clients in (1, 64):
            got = load(vault.port, "/v1/secret/data/app/%d", vault.client, vault.process.pid,
                       method="POST", keys=1000, body=SECRET, connections=clients,
                       seconds=2 if QUICK else 5)
            rates[clients] = got["rate"]
            row("durable writes, %d client%s, 1,000 keys" % (clients, "s" if clients > 1 else ""),
                "%.0f /s" % got["rate"], "two syncs: %.0f /s" % (1 / pair["pair"]),
                got["rate"] * pair["pair"], note="p99 %.1f ms, %.0f us of CPU each" % (
                    got["p99_us"] / 1000, got["server_cpu_us"]))
        row("durable writes, 64 clients against 1", "%.0f /s" % rates[64], "%.0f /s" % rates[1],
            rates[64] / rates[1])
    finally:
        vault.remove()


def lone_write_syncs():
    """Syncs that stand in the path of a write when nothing else goes on: those of the thread that
    commits. The audit log's own, once a second, are made beside the path by another thread."""
    count = 50 if QUICK else 200
    vault = Vault()
    log = os.path.join(vault.data, "shim.log")  # where its sandbox lets it write
    vault.env = {"LD_PRELOAD": SHIM, "KT_SYNC_DIR": vault.data, "KT_SYNC_LOG": log}
    try:
        vault.ready()
        vault.ok("POST", "secret/data/app/1", {"data": {"k": "v"}})
        begun = time.monotonic_ns()
        load(vault.port, "/v1/secret/data/app/%d", vault.token, method="POST", connections=1,
             keys=100, count=count, body=SECRET)
        ended = time.monotonic_ns()
        vault.stop()
        syncs = [r for r in powerloss.read_log(log) if begun <= r.end and r.start <= ended and
                 r.kind in (powerloss.SYNC, powerloss.SYNC_DIR, powerloss.WRITE_SYNC)]
    finally:
        vault.remove()
    committers = {r.thread for r in syncs if r.kind == powerloss.WRITE_SYNC}
    in_path = sum(r.thread in committers for r in syncs)
    row("syncs of a lone write", "%.2f" % (in_path / count), "LMDB's own: 2", in_path / count / 2, 1.0,
        least=False, note="and %d beside the path of %d" % (len(syncs) - in_path, count))


def slow_syncs():
    """With syncs of 5 ms only the folding of many writes into one commit shows. Who waits for one fold
    joins the next but one at the latest, so 64 clients do at least 32 times as much as one."""
    vault = Vault()
    vault.env = {"LD_PRELOAD": SHIM, "KT_SYNC_DIR": vault.data, "KT_SYNC_DELAY_US": "5000"}
    try:
        vault.ready()
        rates = {}
        for clients in (1, 64):
            load(vault.port, "/v1/secret/data/app/%d", vault.token, method="POST", keys=1000,
                 body=SECRET, connections=clients, count=clients * 4)
            rates[clients] = load(vault.port, "/v1/secret/data/app/%d", vault.token, method="POST",
                                  keys=1000, body=SECRET, connections=clients,
                                  seconds=3 if QUICK else 6)["rate"]
    finally:
        vault.remove()
    ratio = rates[64] / rates[1]
    row("each sync 5 ms longer: 64 clients against 1", "%.0f /s" % rates[64],
        "%.1f /s, times 32" % rates[1], ratio, 25.0,
        note="aim 28 %s, limit 32" % ("reached" if ratio >= 28 else "missed"))


def measure():
    writes(lone_commit_seconds())
    lone_write_syncs()
    slow_syncs()
