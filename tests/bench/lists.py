"""Lists of 1,000 and 100,000 children, and what they cost everybody else's reads."""
import statistics

import big
from common import bar_row, end_load, load, start_load, tails, tails_row


def took(vault, path, count):
    got = load(vault.port, path, vault.client, vault.process.pid, method="LIST", connections=1,
               count=count)
    return [got[key] / 1000 for key in ("p50_us", "p99_us", "server_cpu_us")]


def measure():
    vault = big.vault()
    for children, path, bar, count in ((1000, "/v1/secret/metadata/app/3", 2, 200),
                                       (big.CHILDREN, "/v1/secret/metadata/many", 150, 11)):
        median, worst, cpu = took(vault, path, count)
        bar_row("list of %d children" % children, median, bar, "ms", form="%.2f",
                note="p99 %.1f ms, CPU %.2f ms" % (worst, cpu))

    def lists(seconds):
        process = start_load(vault.port, "/v1/secret/metadata/many", vault.client, method="LIST",
                             connections=1, seconds=seconds)
        return lambda: end_load(process)
    tails_row("reads' p99 while 100,000 children are listed",
              *tails(vault, "/v1/secret/data/app/%t/%d", lists))
