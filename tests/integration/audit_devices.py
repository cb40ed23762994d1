#!/usr/bin/python3
"""Audit devices of a real vaultd: rotated under load, full, gone, one beside another.

    tests/integration/audit_devices.py ['part of a case name']
"""
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
import auditlog  # noqa: E402
from keyturn import Report, Vault, contains, equal, wait_for  # noqa: E402
from workload import Workload  # noqa: E402


def device(path):
    return 'audit "file" { path = "%s" timeout = "60s" }\n' % path


def folder_for(vault_user="keyturn"):
    """A folder that vaultd may write to."""
    path = tempfile.mkdtemp(prefix="kt-devices-")
    if os.getuid() == 0:
        shutil.chown(path, vault_user, vault_user)
    return path


def numbers(*paths):
    """Of the records in the files, in their order; each line must be whole."""
    found = []
    for path in paths:
        with open(path) as f:
            for line in f:
                found.append(json.loads(line)["seq"])
    return found


def lines(*paths):
    """How many; the last one may just be written."""
    count = 0
    for path in paths:
        with open(path, "rb") as f:
            count += f.read().count(b"\n")
    return count


def complete(vault, *paths):
    """The files hold every record of the log, each once, in order."""
    size = len(auditlog.fetch(vault).lines)
    wait_for("the device to have all", lambda: lines(*paths) >= size)
    got = numbers(*paths)
    equal(got, list(range(len(got))), "records")


def rotated_under_load():
    folder = folder_for()
    log = os.path.join(folder, "audit.log")
    vault = Vault(config=device(log)).ready()
    try:
        load = Workload(vault, 5)
        load.start(900)  # until it is told to end
        olds = []
        for i in range(6):
            old = "%s.%d" % (log, i)
            before = vault.log_text().count("<5>reloaded")
            os.rename(log, old)  # logrotate: move, create, postrotate
            if i % 2:
                with open(log, "w"):
                    pass
                os.chmod(log, 0o600)
                if os.getuid() == 0:
                    shutil.chown(log, "keyturn", "keyturn")
            vault.process.send_signal(signal.SIGHUP)
            wait_for("the reload", lambda: vault.log_text().count("<5>reloaded") > before)
            olds.append(old)
        # Without a signal: it is noticed.
        os.rename(log, log + ".6")
        olds.append(log + ".6")
        wait_for("it to be noticed", lambda: os.path.exists(log) and os.path.getsize(log) > 0)
        load.until = 0  # enough
        load.finish()
        equal(dict(load.refusals), {}, "refusals")
        complete(vault, *olds, log)
    finally:
        vault.remove()
        shutil.rmtree(folder)


def full_alone_and_beside_another():
    folder = folder_for()
    small = os.path.join(folder, "small")
    os.mkdir(small)
    owner = ",uid=keyturn,gid=keyturn" if os.getuid() == 0 else ""
    done = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k,mode=0700" + owner, "none", small],
                          capture_output=True, text=True)
    if done.returncode != 0:
        print("[  SKIPPED ] a small disk cannot be mounted: %s" % done.stderr.strip())
        return
    one, two = os.path.join(small, "audit.log"), os.path.join(folder, "two.log")
    vault = Vault(config=device(one)).ready()
    try:
        answer = fill(vault)
        equal(answer.status, 503)
        contains(answer.body, one)
        contains(answer.body, "No space left on device")
        contains(answer.body, "goes on by itself")
        equal(answer.headers["Retry-After"], "1")
        equal(vault.call("GET", "sys/health").status, 200, "health")
        contains(vault.log_text(), "<3>audit-device-failed")
        # logrotate makes room; nobody restarts anything.
        moved = os.path.join(folder, "moved.log")
        shutil.copy(one, moved)
        os.unlink(one)
        wait_for("it to go on", lambda: vault.call("GET", "secret/data/x").status == 404)
        wait_for("it to be said", lambda: "audit-device-works" in vault.log_text())
        vault.stop()
        # The same with another one beside it: nobody notices but the operator.
        vault.extra = device(one) + device(two)
        vault.write_config()
        mark = len(vault.log_text())
        vault.start().unseal()
        equal(fill(vault, 3000).status, 404, "reads beside a full device")
        contains(vault.log_text()[mark:], "<3>audit-device-failed")
    finally:
        vault.remove()
        subprocess.run(["umount", "-l", small], check=False)
        shutil.rmtree(folder, ignore_errors=True)


def fill(vault, reads=100000):
    for i in range(reads):
        answer = vault.call("GET", "secret/data/none%d" % i)
        if answer.status != 404:
            return answer
    return answer


def gone_and_back():
    folder = folder_for()
    below = os.path.join(folder, "below")
    os.mkdir(below)
    if os.getuid() == 0:
        shutil.chown(below, "keyturn", "keyturn")
    log = os.path.join(below, "audit.log")
    vault = Vault(config=device(log)).ready()
    try:
        os.rename(below, below + ".away")
        answer = wait_for("a refusal", lambda: (
            lambda a: a if a.status != 404 else None)(vault.call("GET", "secret/data/x")))
        equal(answer.status, 503)
        contains(answer.body, "cannot open the audit device '%s'" % log)
        contains(answer.body, "its folder must be there")
        os.rename(below + ".away", below)
        wait_for("it to go on", lambda: vault.call("GET", "secret/data/x").status == 404)
        complete(vault, log)
        # A symbolic link is not followed, whoever put it there.
        os.rename(log, log + ".1")
        elsewhere = os.path.join(folder, "elsewhere")
        os.symlink(elsewhere, log)
        answer = wait_for("a refusal", lambda: (
            lambda a: a if a.status != 404 else None)(vault.call("GET", "secret/data/x")))
        contains(answer.body, "a symbolic link is refused")
        equal(os.path.exists(elsewhere), False, "written through a link")
        os.unlink(log)
        wait_for("it to go on", lambda: vault.call("GET", "secret/data/x").status == 404)
        complete(vault, log + ".1", log)
    finally:
        vault.remove()
        shutil.rmtree(folder)


report = Report()
report.case("rotated by logrotate under load: no line is lost", rotated_under_load)
report.case("a full device: 503 with the cause; beside another nobody notices", full_alone_and_beside_another)
report.case("a device that is gone, or another thing: 503 with the cause", gone_and_back)
report.end()
