#!/usr/bin/python3
"""A copy of the data folder is a backup: what docs/backup.md says to do, done.

    tests/integration/backup.py ['part of a case name']
"""
import os
import shutil
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
from keyturn import Report, Vault, contains, equal  # noqa: E402
from rotation import Scene  # noqa: E402


def copy(source, target):
    shutil.rmtree(target, ignore_errors=True)
    subprocess.run(["cp", "-a", source, target], check=True)


def opens_elsewhere():
    """Copied while vaultd was stopped, it opens on another host with the same key shares."""
    with Vault() as here, Vault() as there:
        here.ready()
        here.ok("POST", "secret/data/app", {"data": {"user": "a"}})
        here.stop()
        copy(here.data, there.data)
        there.shares, there.threshold, there.token = here.shares, here.threshold, here.token
        there.start().unseal()
        equal(there.ok("GET", "secret/data/app").data["data"], {"user": "a"})
        exported = there.folder + "/log"
        there.ctl("audit", "export", exported)
        contains(there.ctl("audit", "verify", exported).stdout, "GOOD")


def rotated_since():
    """An old backup has passwords that their targets do not accept any more: found, and set again."""
    with Scene() as scene:
        secrets = [scene.secret("alternating", "alternate"), scene.secret("single", "in-place")]
        vault, backup = scene.vault, scene.vault.folder + "/backup"
        for secret in secrets:
            equal(secret.ended(secret.rotate())["state"], "done")
        vault.stop()
        copy(vault.data, backup)
        vault.start().unseal()
        for secret in secrets:
            for _ in range(2):
                equal(secret.ended(secret.rotate())["state"], "done")
        vault.stop()
        copy(backup, vault.data)
        vault.start().unseal()
        for secret in secrets:
            equal(secret.accepted(2), False, "what the backup has, before it was set again")
            tried = vault.ctl("rotate", "-dry-run", secret.path, check=False)
            equal(tried.returncode, 2, tried.stdout + tried.stderr)
            contains(tried.stdout, "secretctl reconcile " + secret.path)
            contains(vault.ctl("due", check=False).stdout, secret.path)
            vault.ctl("reconcile", secret.path)
            equal(secret.accepted(2), True, "what the backup has, set again")
            equal(secret.ended(secret.rotate())["state"], "done")
            secret.agrees(secret.runs()[0])


def main():
    report = Report()
    for case in (opens_elsewhere, rotated_since):
        report.case(case.__doc__.rstrip("."), case)
    report.end()


main()
