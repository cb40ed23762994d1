#!/usr/bin/python3
"""Logging in over the Unix socket with the users and groups that processes really have.

    tests/integration/unix_login.py ['part of a case name']
"""
import json
import os
import shutil
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
from keyturn import Report, Vault, contains, equal, program  # noqa: E402

ROOT = os.getuid() == 0
BOB, TEAM, MORE, MANY = 471100, 471200, 471300, 480000  # nobody's on this host

vault = Vault()
folder = os.path.join(vault.folder, "socket")
os.mkdir(folder, 0o755)
if ROOT:
    shutil.chown(folder, "keyturn", "keyturn")
SOCKET = os.path.join(folder, "s")
vault.extra = 'listener "unix" { path = "%s" mode = "0666" }' % SOCKET
vault.write_config()


def login(address="unix://" + SOCKET, words=(), **who):
    env = {"PATH": os.environ["PATH"], "HOME": "/nonexistent", "VAULT_ADDR": address}
    return subprocess.run([program("secretctl"), "login", "-method=unix", "-no-store", "-o", "json", *words],
                          env=env, text=True, capture_output=True, stdin=subprocess.DEVNULL, **who)


def policies(done):
    equal(done.returncode, 0, done.stderr)
    return json.loads(done.stdout)["auth"]["token_policies"]


def allow(kind, number, *names):
    vault.ok("POST", "auth/unix/%s/%d" % (kind, number), {"policies": list(names)})


def own():
    """Whoever runs this test."""
    allow("users", os.getuid(), "me")
    equal(policies(login()), ["default", "me"])
    vault.ok("DELETE", "auth/unix/users/%d" % os.getuid())
    done = login()
    equal(done.returncode, 2)
    contains(done.stderr, "neither user %d nor a group of his may log in here" % os.getuid())


def over_tcp():
    allow("users", os.getuid(), "me")
    done = login(vault.address)
    equal(done.returncode, 2)
    contains(done.stderr, "the vault's Unix socket alone")
    contains(done.stderr, "VAULT_ADDR")


def groups():
    """The first one and the others, as the process has them; not those of the user's name."""
    allow("users", BOB, "bob")
    allow("groups", TEAM, "team")
    allow("groups", MORE, "more")
    bob = {"user": BOB, "group": BOB}
    equal(policies(login(extra_groups=[], **bob)), ["bob", "default"])
    equal(policies(login(extra_groups=[TEAM, MORE], **bob)), ["bob", "default", "more", "team"])
    equal(policies(login(user=BOB + 1, group=TEAM, extra_groups=[])), ["default", "team"])
    equal(login(user=BOB + 1, group=BOB, extra_groups=[]).returncode, 2)


def many_groups():
    """The kernel's list is read whole, or the login is refused: a group that is not seen could be one
    whose policies deny something."""
    allow("groups", MANY + 900, "last")
    bob = {"user": BOB, "group": BOB}
    equal(policies(login(extra_groups=range(MANY, MANY + 901), **bob)), ["bob", "default", "last"])
    done = login(extra_groups=range(MANY, MANY + 1200), **bob)
    equal(done.returncode, 2)
    contains(done.stderr, "the groups of this process are not known")


def who_connected():
    """The one who connected counts, and not the one who has the socket afterwards."""
    script = ("import os, socket, http.client as h\n"
              "c = h.HTTPConnection('vault'); c.sock = socket.socket(socket.AF_UNIX)\n"
              "c.sock.connect('%s'); os.setgroups([]); os.setgid(%d); os.setuid(%d)\n"
              "c.request('POST', '/v1/auth/unix/login'); print(c.getresponse().read().decode())\n"
              % (SOCKET, BOB, BOB))
    allow("users", 0, "host")
    allow("users", BOB, "bob")
    done = subprocess.run([sys.executable, "-c", script], text=True, capture_output=True)
    equal(json.loads(done.stdout)["auth"]["token_policies"], ["default", "host"], done.stderr)


report = Report()
try:
    vault.ready()
    vault.ok("POST", "sys/auth/unix", {"type": "unix"})
    report.case("whoever runs this", own)
    report.case("not over TCP", over_tcp)
    if ROOT:
        report.case("groups that a process has", groups)
        report.case("many groups", many_groups)
        report.case("who connected counts", who_connected)
    else:
        print("# skipped: only root can be somebody else")
finally:
    vault.remove()
report.end()
