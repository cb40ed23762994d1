"""Whether a refused client can tell two cases apart by time: Welch's t over interleaved samples. A
planted difference of 5 us must be seen in the same run, or the figures say nothing."""
import os
import subprocess

from common import BENCH, QUICK, heading, row

SEEN = 10  # |t| from which on a difference is real


def measure():
    heading("timing of refusals, Welch's t")
    done = subprocess.run([os.path.join(BENCH, "timing"), "5000" if QUICK else "50000"],
                          capture_output=True, text=True)
    if done.returncode != 0:
        raise RuntimeError("tests/bench/timing failed: " + done.stderr[-500:])
    for line in done.stdout.splitlines():
        name, t, a, b = line.split("\t")
        row(name, "t = %s" % t, note="%s and %s ns" % (a, b))
        if name.startswith("control") and abs(float(t)) < SEEN:
            raise RuntimeError("the planted difference was not seen: t = %s" % t)
