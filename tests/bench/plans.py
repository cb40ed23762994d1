"""The rotation plan of as many secrets as one plan may have: what a page costs, first and last, and what
the whole costs secretctl."""
import os
import statistics
import subprocess
import time

from common import QUICK, anonymous_kib, bar_row, fill, program, ready, row

SECRETS = 10000 if QUICK else 100000


def pages(vault):
    """Milliseconds of each, by the clock of the client."""
    took, seen, after = [], 0, ""
    while True:
        begun = time.monotonic()
        data = vault.ok("GET", "rotation/plan?limit=1000&after=" + after).data
        took.append((time.monotonic() - begun) * 1000)
        seen += len(data["secrets"])
        after = data["after"]
        if after == "":
            return took, seen


def whole(vault, *words):
    """Seconds, of them secretctl's processor time, MiB at most, MiB that it said."""
    out = os.path.join(vault.folder, "plan")
    begun = time.monotonic()
    with open(out, "wb") as file:
        process = subprocess.Popen([program("secretctl"), "plan", *words], env=vault.environment(vault.token), stdout=file)
        _, status, used = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode != 0:
        raise RuntimeError("secretctl plan ended with %d" % process.returncode)
    return time.monotonic() - begun, used.ru_utime + used.ru_stime, used.ru_maxrss / 1024, os.path.getsize(out) / 1048576


def measure():
    vault = ready()
    try:
        fill(vault, secrets=SECRETS, schedules=SECRETS)
        before = anonymous_kib(vault.process.pid)
        took, seen = pages(vault)
        if seen != SECRETS:
            raise RuntimeError("the pages have %d of %d secrets" % (seen, SECRETS))
        tenth = max(1, len(took) // 10)
        first, last = statistics.median(took[:tenth]), statistics.median(took[-tenth - 1:-1])
        row("a page of the plan of %d, the last ones" % SECRETS, "%.1f ms" % last, "first %.1f ms" % first, last / first,
            1.5, least=False, note="all %d pages %.1f s" % (len(took), sum(took) / 1000))
        for name, words in (("Markdown", ()), ("JSON", ("-o", "json"))):
            seconds, cpu, most, said = whole(vault, *words)
            row("secretctl plan of %d, %s" % (SECRETS, name), "%.1f s" % seconds,
                note="its CPU %.1f s, %.0f MiB of memory at most, %.0f MiB said" % (cpu, most, said))
        bar_row("what the plans added to vaultd's memory", (anonymous_kib(vault.process.pid) - before) / 1024, 24, "MiB")
    finally:
        vault.remove()
