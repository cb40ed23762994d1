#!/usr/bin/env python3
"""The units' exposure as systemd itself scores it, and what they must not lose.

    tests/integration/systemd_units.py ['part of a case name']
"""
import os
import re
import shutil
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
from keyturn import ROOT, Report, contains  # noqa: E402

report = Report()
# unit, highest exposure, lines it must have
UNITS = [
    ("vaultd.service", 1.5, ["Type=notify", "User=keyturn", "WatchdogSec=", "LimitCORE=0",
                             "MemorySwapMax=0", "StateDirectoryMode=0700"]),
    ("vaultd-pam.service", 1.0, ["CapabilityBoundingSet=\n", "NoNewPrivileges=yes", "LimitCORE=0",
                                 "MemorySwapMax=0", "PrivateNetwork=yes"]),
]


def scored(unit, limit, lines):
    path = os.path.join(ROOT, "systemd", unit)
    with open(path) as f:
        text = f.read()
    for line in lines:
        contains(text, line)
    # Peer uids on the Unix socket must be the real ones.
    if re.search(r"^PrivateUsers=(yes|true|1)", text, re.M):
        raise AssertionError("PrivateUsers is on: peers would all look like 65534")
    if shutil.which("systemd-analyze") is None:
        return
    done = subprocess.run(["systemd-analyze", "security", "--offline=true", path],
                          capture_output=True, text=True, timeout=60)
    score = re.search(r"Overall exposure level for \S+: ([0-9.]+)", done.stdout)
    if score is None:
        raise AssertionError("no score: %s%s" % (done.stdout[-500:], done.stderr[-500:]))
    if float(score.group(1)) > limit:
        raise AssertionError("exposure %s, at most %.1f" % (score.group(1), limit))


for unit, limit, lines in UNITS:
    report.case("exposure of " + unit, scored, unit, limit, lines)
report.end()
