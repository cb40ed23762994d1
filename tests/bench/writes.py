"""Durable writes: against the disk's own two syncs, how far many share one commit, and what of it is
the audit outcomes'. Each ratio is the median of rounds in which both sides take turns.
"""
import os
import statistics
import time

import big
import pages
from common import (BENCH, KEYS, QUICK, SECRET, SHIM, Vault, bar_row, end_load, heading, load,
                    lone_commit_seconds, ready, row, spread, start_load, tails, tails_row, write_keys)
import powerloss

ROUNDS = 3 if QUICK else 7
SECONDS = 1 if QUICK else 2
FEW = 1000  # keys
WITHOUT = os.path.join(BENCH, "without-outcomes")


def write(vault, clients, path="/v1/secret/data/app/%d", keys=FEW, **options):
    options = options or {"seconds": SECONDS}
    return load(vault.port, path, vault.client, vault.process.pid, method="POST", keys=keys,
                body=SECRET, connections=clients, **options)


def ratios(rounds, over, under, what="rate"):
    return [r[over][what] / r[under][what] for r in rounds]


def ratio_row(what, rounds, over, under, bar):
    values = ratios(rounds, over, under)
    row(what, "%.0f /s" % statistics.median(r[over]["rate"] for r in rounds),
        "%.0f /s" % statistics.median(r[under]["rate"] for r in rounds),
        statistics.median(values), bar, note=spread(values))


def middle(rounds, clients, what):
    return statistics.median(r[clients][what] for r in rounds)


# ---- the real disk ----

def few_keys():
    """1,000 keys, all of which hold ten versions: a server with outcomes and one without take turns."""
    vault, without = ready(), ready(programs=WITHOUT)
    try:
        for server in (vault, without):
            write_keys(server, FEW)
            write(server, 64, count=FEW * (2 if QUICK else 15))
        rounds, bare, pairs = [], [], []
        for _ in range(ROUNDS):
            rounds.append({clients: write(vault, clients) for clients in (1, 64)})
            bare.append({clients: write(without, clients) for clients in (1, 64)})
            pairs.append(lone_commit_seconds()["pair"])
    finally:
        vault.remove()
        without.remove()
    for clients in (1, 64):
        values = [r[clients]["rate"] * pair for r, pair in zip(rounds, pairs)]
        row("durable writes, %d client%s, 1,000 keys" % (clients, "s" if clients > 1 else ""),
            "%.0f /s" % middle(rounds, clients, "rate"),
            "two syncs: %.0f /s" % (1 / statistics.median(pairs)), statistics.median(values),
            note="%s %.0f us of CPU each" % (spread(values), middle(rounds, clients, "server_cpu_us")))
    ratio_row("64 clients against 1, 1,000 keys", rounds, 64, 1, 10.0)
    for clients in (1, 64):
        both = [{"with": a[clients], "without": b[clients]} for a, b in zip(rounds, bare)]
        ratio_row("%d client%s against outcomes left out" % (clients, "s" if clients > 1 else ""), both,
                  "with", "without", 0.85)
        values = ratios(both, "with", "without", "server_cpu_us")
        row("  the same, CPU each", "%.0f us" % middle(rounds, clients, "server_cpu_us"),
            "%.0f us" % middle(bare, clients, "server_cpu_us"), statistics.median(values),
            note=spread(values))
    p99 = [r[64]["p99_us"] / (8 * r[1]["p50_us"] + 10000) for r in rounds]
    row("p99 at 64 clients", "%.1f ms" % (middle(rounds, 64, "p99_us") / 1000),
        "8 x %.2f + 10 ms" % (middle(rounds, 1, "p50_us") / 1000), statistics.median(p99), 1.0,
        least=False, note=spread(p99))


def many_keys():
    vault = big.vault()
    path, rounds = "/v1/secret/data/app/%t/%d", []
    write(vault, 64, path, big.SECRETS)
    for _ in range(ROUNDS):
        rounds.append({clients: write(vault, clients, path, big.SECRETS) for clients in (1, 64)})
    ratio_row("64 clients against 1, %d keys" % big.SECRETS, rounds, 64, 1, 5.5)


# ---- what a commit writes and waits for ----

def shimmed(**env):
    vault = Vault()
    vault.sync_log = os.path.join(vault.data, "shim.log")  # where its sandbox lets it write
    vault.env = dict(LD_PRELOAD=SHIM, KT_SYNC_DIR=vault.data, **env)
    return vault


def logged(vault):
    vault.env["KT_SYNC_LOG"] = vault.sync_log
    return vault


def pages_of(clients):
    """Pages of the store that a write costs; ten versions are kept, so each drops one too."""
    vault, count = logged(shimmed()), 500 if clients == 1 else 2000 if QUICK else 4000
    try:
        vault.ready()
        vault.client = vault.token
        write_keys(vault, FEW)
        write(vault, 64, count=FEW * (2 if QUICK else 15))
        begun = time.monotonic_ns()
        write(vault, clients, count=count)
        ended = time.monotonic_ns()
        vault.stop()
        written, commits = pages.written(vault.sync_log, begun, ended)
    finally:
        vault.remove()
    row("pages a write, %d client%s" % (clients, "s" if clients > 1 else ""),
        "%.2f" % (sum(written.values()) / count), note="%.1f writes a commit; %s" % (
            count / commits, ", ".join("%s %.2f" % (kind, written[kind] / count)
                                       for kind in pages.KINDS)))


def lone_write_syncs():
    """Syncs that stand in the path of a write when nothing else goes on: those of the thread that
    commits. The audit log's own, once a second, are made beside the path by another thread."""
    count = 50 if QUICK else 200
    vault = logged(shimmed())
    try:
        vault.ready()
        vault.ok("POST", "secret/data/app/1", {"data": {"k": "v"}})
        begun = time.monotonic_ns()
        load(vault.port, "/v1/secret/data/app/%d", vault.token, method="POST", connections=1,
             keys=100, count=count, body=SECRET)
        ended = time.monotonic_ns()
        vault.stop()
        syncs = [r for r in powerloss.read_log(vault.sync_log) if begun <= r.end and r.start <= ended and
                 r.kind in (powerloss.SYNC, powerloss.SYNC_DIR, powerloss.WRITE_SYNC)]
    finally:
        vault.remove()
    committers = {r.thread for r in syncs if r.kind == powerloss.WRITE_SYNC}
    in_path = sum(r.thread in committers for r in syncs)
    row("syncs of a lone write", "%.2f" % (in_path / count), "LMDB's own: 2", in_path / count / 2, 1.0,
        least=False, note="and %d beside the path of %d" % (len(syncs) - in_path, count))


def slow_syncs():
    """With syncs of 5 ms only the folding of many writes into one commit shows. Who waits for one fold
    joins the next but one at the latest, so 64 clients do at least 32 times as much as one, less the
    processor's part of a fold."""
    vault, rounds = shimmed(KT_SYNC_DELAY_US="5000"), []
    try:
        vault.ready()
        vault.client = vault.token
        write_keys(vault, FEW)
        for _ in range(ROUNDS):
            rounds.append({clients: write(vault, clients) for clients in (1, 64, 256)})
    finally:
        vault.remove()
    for clients, bar in ((64, 28.0), (256, 80.0)):
        ratio_row("each sync 5 ms longer: %d clients against 1" % clients, rounds, clients, 1, bar)


# ---- everybody else ----

def reads_meanwhile():
    vault = ready()
    try:
        write_keys(vault, KEYS)

        def disturb(seconds):
            load_ = start_load(vault.port, "/v1/secret/data/app/%d", vault.client, method="POST",
                               keys=FEW, body=SECRET, connections=64, seconds=seconds)
            return lambda: end_load(load_)
        tails_row("reads' p99 while 64 clients write", *tails(vault, "/v1/secret/data/app/%d", disturb))
    finally:
        vault.remove()


def measure():
    heading("durable writes")
    few_keys()
    lone_write_syncs()
    pages_of(1)
    pages_of(64)
    slow_syncs()
    reads_meanwhile()
    many_keys()
