"""The audit log when it is long: verified, proven from, opened after a crash.

The log is made by tests/bench/audit_log through the vault's own code: 1,000,000 records, 10,000,000
with --long. Verifying is measured as what a person types: one secretctl from start to end.
"""
import hashlib
import json
import os
import resource
import statistics
import subprocess
import tempfile
import time

from common import BENCH, LONG, QUICK, bar_row, heading, program, row, spread

VERIFIED = 100000 if QUICK else 1000000
TAIL = 30000  # what a second of reads appends: of these the database may not have heard
RATE = 300000  # records a second that verifying has to reach


def make(records, folder, *export):
    data = os.path.join(folder, "data")
    os.mkdir(data)
    done = subprocess.run([os.path.join(BENCH, "audit_log"), data, str(records), str(TAIL), *export],
                          capture_output=True, text=True)
    if done.returncode != 0:
        raise RuntimeError("tests/bench/audit_log failed: " + done.stderr[-500:])
    return json.loads(done.stdout)


def hash_seconds(path):
    begun = time.monotonic()
    with open(path, "rb") as file:
        hashlib.file_digest(file, "sha256")
    return time.monotonic() - begun


def verify(folder, records):
    rates, alone, cpu = [], [], []
    for _ in range(3 if QUICK else 5):
        alone.append(records / hash_seconds(os.path.join(folder, "records.jsonl")))
        used, begun = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
        done = subprocess.run([program("secretctl"), "audit", "verify", folder], capture_output=True,
                              text=True)
        rates.append(records / (time.monotonic() - begun))
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        cpu.append((after.ru_utime + after.ru_stime - used.ru_utime - used.ru_stime) / records)
        if done.returncode != 0:
            raise RuntimeError("audit verify failed: " + (done.stdout + done.stderr)[-500:])
    rate, each = statistics.median(rates), statistics.median(cpu)
    row("secretctl audit verify, %d records" % records, "%.0f /s" % rate, "%d /s" % RATE, rate / RATE,
        1.0, note="(%.0f to %.0f) %.2f us of CPU a record" % (min(rates), max(rates), each * 1e6))
    against = [r / a for r, a in zip(rates, alone)]
    row("  the same, against SHA-256 of the records alone", "%.0f /s" % rate,
        "%.0f /s" % statistics.median(alone), statistics.median(against), note=spread(against))


def long_log(got):
    size = "of %d records" % got["records"]
    row("audit log " + size, "%.2f GiB" % (got["bytes"] / 2 ** 30), "",
        note="%.0f bytes and %.0f ns of CPU a record" % (got["bytes"] / got["records"],
                                                       got["append_cpu_ns"]))
    bar_row("memory that the log took while it grew so long", got["late_kib"] - got["early_kib"], 256,
            "KiB", form="%d")
    bar_row("inclusion proof, median of 1,000", got["proof_ms"], 5, "ms", form="%.3f",
            note="p99 %.2f ms, the first with nothing in the page cache %.2f ms" % (
                got["proof_p99_ms"], got["proof_cold_ms"]))
    bar_row("opened after a crash", got["warm_ms"], 1000, "ms", form="%.0f",
            note="%d records behind what the database knew" % TAIL)
    bar_row("opened after a crash, nothing in the page cache", got["cold_ms"], 1000, "ms", form="%.0f")


def measure():
    heading("the audit log")
    with tempfile.TemporaryDirectory(prefix="kt-bench-") as folder:
        export = os.path.join(folder, "export")
        os.mkdir(export)
        got = make(VERIFIED, folder, export)
        leaves = os.path.getsize(os.path.join(export, "leaves.bin"))
        verify(export, leaves // 32)
    if LONG:
        with tempfile.TemporaryDirectory(prefix="kt-bench-") as folder:
            got = make(10000000, folder)
    long_log(got)
