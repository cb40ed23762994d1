"""The benches of single parts: programs of their own beside this file."""
import json
import os
import subprocess
import tempfile

from common import BENCH, QUICK, SHIM, heading, row


def measure():
    for name in ("barrier",) if QUICK else ("barrier", "audit", "store"):
        heading("tests/bench/%s" % name)
        with tempfile.TemporaryDirectory(prefix="kt-bench-") as folder:
            done = subprocess.run([os.path.join(BENCH, name)], cwd=folder, capture_output=True, text=True,
                                  env=dict(os.environ, KT_SHIM=SHIM))
        if done.returncode != 0:
            raise RuntimeError("tests/bench/%s failed: %s" % (name, done.stderr[-500:]))
        print(done.stdout.rstrip(), flush=True)
    done = subprocess.run([os.path.join(BENCH, "pipeline"), "50000" if QUICK else "300000"],
                          capture_output=True, text=True)
    if done.returncode != 0:
        raise RuntimeError("tests/bench/pipeline failed: " + done.stderr[-500:])
    row("pipeline, a read without HTTP", "%.2f us" % (json.loads(done.stdout)["ns_per_read"] / 1000))
