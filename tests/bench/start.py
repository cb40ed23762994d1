"""From the last key share to the first answered read: a full store against an empty one."""
import statistics
import time

import big
from common import QUICK, Vault, bar_row, row, ready


def unseal_ms(vault, path):
    """Restarts; measures the last share and one read."""
    vault.stop()
    vault.start()
    for share in vault.shares[:vault.threshold - 1]:
        vault.call("PUT", "sys/unseal", {"key": share})
    begun = time.monotonic()
    last = vault.call("PUT", "sys/unseal", {"key": vault.shares[vault.threshold - 1]})
    first = vault.call("GET", path, token=vault.client)
    took = (time.monotonic() - begun) * 1000
    if last.status != 200 or last.json["sealed"] or first.status != 200:
        raise RuntimeError("not unsealed: %r %r" % (last, first))
    return took


def measure():
    full, empty = big.vault(), ready()
    try:
        empty.ok("POST", "secret/data/app/0/1", {"data": {"k": "v"}})
        path = "secret/data/app/0/1"
        times = {full: [], empty: []}
        for _ in range(5 if QUICK else 9):
            for vault in (empty, full):
                times[vault].append(unseal_ms(vault, path))
        middle = {vault: statistics.median(got) for vault, got in times.items()}
        row("unseal to first answer, empty store", "%.1f ms" % middle[empty],
            note="(%.1f to %.1f)" % (min(times[empty]), max(times[empty])))
        row("unseal to first answer, full store", "%.1f ms" % middle[full],
            note="(%.1f to %.1f), %d secrets, %d schedules, %d tokens" % (
                min(times[full]), max(times[full]), big.SECRETS, big.SCHEDULES, big.TOKENS))
        bar_row("the full store takes longer by", middle[full] - middle[empty], 25, "ms")
    finally:
        empty.remove()
