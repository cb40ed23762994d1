#!/usr/bin/python3
"""What the system gives runs out: descriptors, memory that can be locked.

    tests/integration/system_limits.py ['part of a case name']
"""
import http.client
import json
import os
import socket
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
from keyturn import Report, Vault, contains, equal, wait_for  # noqa: E402
from workload import Workload  # noqa: E402


USER = ["setpriv", "--reuid=keyturn", "--regid=keyturn", "--clear-groups"]


def set_descriptors(vault, limit):
    """As vaultd's user: another one's limits are not everybody's to set."""
    argv = ["prlimit", "--pid", str(vault.process.pid), "--nofile=%d:" % limit]
    subprocess.run((USER if os.getuid() == 0 else []) + argv, check=True)


def descriptors(vault):
    return len(os.listdir("/proc/%d/fd" % vault.process.pid))


def soft_descriptors(vault):
    with open("/proc/%d/limits" % vault.process.pid) as f:
        return int([line for line in f if line.startswith("Max open files")][0].split()[3])


def out_of_descriptors():
    vault = Vault().ready()
    clients = []
    try:
        load = Workload(vault, 3)
        load.run(0.3)
        kept = http.client.HTTPConnection("127.0.0.1", vault.port, timeout=60)
        kept.request("GET", "/v1/sys/health")
        kept.getresponse().read()
        was = soft_descriptors(vault)
        limit = descriptors(vault) + 8
        set_descriptors(vault, limit)
        for _ in range(40):
            client = socket.create_connection(("127.0.0.1", vault.port), timeout=5)
            clients.append(client)
        wait_for("every descriptor to be taken", lambda: descriptors(vault) >= limit)
        # Who is in is served, and written records stay records.
        served = 0
        for i in range(50):
            kept.request("POST", "/v1/secret/data/full%d" % i, json.dumps({"data": {"n": i}}),
                         {"X-Vault-Token": vault.root})
            answer = kept.getresponse()
            text = answer.read().decode()
            served += answer.status == 200
            if answer.status != 200:
                equal(answer.status in (500, 503), True, text)
                contains(text, "Too many open files")
        equal(served >= 25, True, "%d of 50 writes were done" % served)
        equal(vault.process.poll(), None, "it ended")
        for client in clients:
            client.close()
        clients = []
        wait_for("new connections to be served", lambda: vault.call("GET", "sys/health").status == 200)
        set_descriptors(vault, was)
        load.run(0.3)
        load.check()
        vault.restart()
        load.check()
    finally:
        for client in clients:
            client.close()
        vault.remove()


def no_memory_to_lock():
    """The limit as vaultd's user has it: root could raise it."""
    if os.getuid() != 0:
        print("[  SKIPPED ] only root can start it as another user")
        return
    vault = Vault(wrap=["prlimit", "--memlock=0:0"] + USER)
    try:
        try:
            vault.start()
        except AssertionError:
            pass
        equal(vault.process.returncode, 1, "exit code")
        contains(vault.log_text(), "<3>not_started")
        contains(vault.log_text(), "memory for keys cannot be locked")
        contains(vault.log_text(), "LimitMEMLOCK")
    finally:
        vault.remove()
    # Enough to start with, not for the keys.
    vault = Vault(wrap=["prlimit", "--memlock=8192:8192"] + USER)
    try:
        try:
            vault.start()
            answer = vault.call("PUT", "sys/init", {"secret_shares": 1, "secret_threshold": 1})
            equal(answer.status, 500, "init: %s" % answer.body)
            contains(answer.body, "LimitMEMLOCK")
            equal(vault.call("GET", "sys/init").json["initialized"], False)
        except AssertionError:
            if vault.process.poll() is None:
                raise
            contains(vault.log_text(), "LimitMEMLOCK")
    finally:
        vault.remove()


report = Report()
report.case("descriptors run out: who is in is served, who waits comes in later", out_of_descriptors)
report.case("memory cannot be locked: refused, with the setting that mends it", no_memory_to_lock)
report.end()
