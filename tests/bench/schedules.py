"""Schedules: what is due next among very many, and bursts of runs that have no target."""
import datetime
import statistics
import time

import big
from common import QUICK, bar_row, fill, load, ready, row, tails, tails_row, wait_for

BURST = 2000 if QUICK else 10000
GROUPS = 1 if QUICK else 3
GAP_S = 40


def next_due():
    vault = big.vault()
    got = load(vault.port, "/v1/rotation/due?limit=1", vault.token, connections=1, count=500)
    bar_row("next due among %d schedules" % big.SCHEDULES, got["p50_us"] / 1000, 1, "ms",
            note="p99 %.2f ms, over HTTP" % (got["p99_us"] / 1000), form="%.2f")


def first_due(vault):
    """Seconds of the wall clock."""
    text = vault.ok("GET", "rotation/due?limit=1").data["due"][0]["next_due"]
    return datetime.datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp()


def bursts():
    """Groups of runs that are due at the same moment; each is one round."""
    vault = ready()
    try:
        _, said = fill(vault, due=BURST * GROUPS, due_in=40 + GROUPS * 5, due_groups=GROUPS,
                       due_gap=GAP_S, secrets=20000)
        begins = [said["due_ms"] / 1000 + GAP_S * i for i in range(GROUPS)]
        if time.time() > begins[0] - 1:
            raise RuntimeError("filling took until the first burst was due")
        took = []

        def burst(_):
            begin = begins[len(took)]
            time.sleep(max(0, begin - 0.3 - time.time()))  # the moment was planned by the filler

            def end():
                wait_for("the burst to be done", lambda: first_due(vault) > begin, pause=0.02)
                took.append(time.time() - begin)
            return end
        found = tails(vault, "/v1/secret/data/app/%t/%d", burst, rounds=GROUPS)
        rates = [BURST / seconds for seconds in took]
        row("a burst of %d due runs" % BURST, "%.0f /s" % statistics.median(rates), "at least 1000 /s",
            statistics.median(rates) / 1000, 1.0, note="(%.0f to %.0f) /s" % (min(rates), max(rates)))
        tails_row("reads' p99 during it", *found)
    finally:
        vault.remove()


def measure():
    next_due()
    bursts()
