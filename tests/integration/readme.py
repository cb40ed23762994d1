#!/usr/bin/env python3
"""What README and docs tell a person to type, typed as it stands there, by a user who has nothing yet.

    tests/integration/readme.py ['part of a case name']

Only the addresses, and the folder of an export, are others.
"""
import os
import re
import shutil
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
from keyturn import BIN, DEADLINE, ROOT, Report, Vault, contains, equal, free_port  # noqa: E402

report = Report()
scratch = tempfile.mkdtemp(prefix="kt-readme-")


def lines_of(file, begin, end):
    """The commands of a part: what is indented by four."""
    with open(os.path.join(ROOT, file)) as f:
        text = f.read()
    part = text[text.index(begin):]
    part = part[:part.index(end, len(begin))]
    return [line[4:] for line in part.splitlines() if line.startswith("    ")]


def shell(lines, **env):
    """In one shell that ends with the first that fails; what it printed."""
    done = subprocess.run(["bash", "-euc", "\n".join(lines)], text=True, capture_output=True, timeout=DEADLINE,
                          cwd=scratch, stdin=subprocess.DEVNULL,
                          env=dict({k: v for k, v in os.environ.items() if not k.startswith("VAULT_")},
                                   HOME=scratch, PATH=BIN + ":" + os.environ["PATH"], **env))
    equal(done.returncode, 0, "%s\n%s" % (done.stdout, done.stderr))
    return done.stdout


def five_minutes():
    address = "127.0.0.1:%d" % free_port()
    lines = lines_of("README.md", "## Five minutes", "## Where things are")
    equal(lines[:2], ["make deps all", "export PATH=$PWD/build/bin:$PATH VAULT_ADDR=http://127.0.0.1:8200"])
    lines = ["export VAULT_ADDR=http://" + address, "trap 'kill %1' EXIT"] + lines[2:]
    at = lines.index("vaultd --dev --dev-root-token-id=root &")
    lines[at] = lines[at].replace(" &", " -dev-listen-address=%s > dev.log 2>&1 &" % address)
    lines.insert(at + 1, "until (: < /dev/tcp/%s) 2> dev.null; do :; done" % address.replace(":", "/"))
    lines = [line.replace("/tmp/log", os.path.join(scratch, "log")) for line in lines if "vault.example" not in line]
    said = shell(lines)
    for text in ("s3cret", "6 characters", "DONE  secret/app/db", "GOOD  All ", "yes   read secret/data/app/db: the deciding pattern grants it"):
        contains(said, text)
    equal(len(re.findall(r"^hvs\.\w+", said, re.M)), 1, said)


def logging_in():
    """docs/login.md"""
    with Vault().ready() as vault:
        env = {k: v for k, v in vault.environment().items() if k.startswith("VAULT_")}
        lines = lines_of("docs/login.md", "## Who is who", "## What a token gets")
        said = shell(lines, **env)
        contains(said, "anna")
        contains(said, "team-a")


CASES = [("five minutes", five_minutes), ("who is who", logging_in)]


def main():
    try:
        for name, function in CASES:
            report.case(name, function)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    report.end()


main()
