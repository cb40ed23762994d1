"""From the last key share to the first answered read: a full store against an empty one."""
import statistics
import time

import big
from common import QUICK, bar_row, cpu_seconds, ready, row, spread


def unseal_ms(vault, path):
    """Restarts; measures the last share and one read: how long, and vaultd's processor time."""
    vault.stop()
    vault.start()
    for share in vault.shares[:vault.threshold - 1]:
        vault.call("PUT", "sys/unseal", {"key": share})
    begun, spent = time.monotonic(), cpu_seconds(vault.process.pid)
    last = vault.call("PUT", "sys/unseal", {"key": vault.shares[vault.threshold - 1]})
    first = vault.call("GET", path, token=vault.client)
    took = (time.monotonic() - begun) * 1000
    spent = (cpu_seconds(vault.process.pid) - spent) * 1000
    if last.status != 200 or last.json["sealed"] or first.status != 200:
        raise RuntimeError("not unsealed: %r %r" % (last, first))
    return took, spent


def measure():
    full, empty = big.vault(), ready()
    try:
        empty.ok("POST", "secret/data/app/0/1", {"data": {"k": "v"}})
        path = "secret/data/app/0/1"
        times = {full: [], empty: []}
        for _ in range(5 if QUICK else 9):
            for vault in (empty, full):
                times[vault].append(unseal_ms(vault, path))
        for vault, what in ((empty, "an empty store"), (full, "%d secrets and schedules" % big.SECRETS)):
            took, spent = zip(*times[vault])
            row("unseal to first answer, " + what, "%.1f ms" % statistics.median(took),
                note="%s, %.1f ms of CPU" % (spread(took), statistics.median(spent)))
        longer = [a[0] - b[0] for a, b in zip(times[full], times[empty])]
        bar_row("the full store takes longer by", statistics.median(longer), 25, "ms",
                note="%s, %d tokens in it, too" % (spread(longer), big.TOKENS))
    finally:
        empty.remove()
