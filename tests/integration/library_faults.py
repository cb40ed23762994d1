#!/usr/bin/python3
"""The real vaultd with allocations failing everywhere, in libmicrohttpd and GnuTLS, too: by seed.

    tests/integration/library_faults.py [--seed S] [--seconds N] ['part of a case name']

Clients write and read over plain HTTP and TLS, each with new connections, while one allocation in so
many fails. Behind plain connections the process must live. In a TLS handshake GnuTLS 3.7 itself aborts
(its allocator for GMP) or crashes (libtasn1): then it is started again. Whatever was acknowledged must be
there; with memory again all works.
"""
import argparse
import http.client
import json
import mmap
import os
import random
import signal
import ssl
import struct
import sys
import threading
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
import auditlog  # noqa: E402
from keyturn import DEADLINE, Report, Vault, equal, shim  # noqa: E402

BY_GNUTLS = (-signal.SIGABRT, -signal.SIGSEGV)
SHIM = shim("alloc_shim.so")


class Control:
    def __init__(self, path):
        with open(path, "wb") as f:
            f.write(bytes(16))
        os.chmod(path, 0o666)
        with open(path, "r+b") as f:
            self.map = mmap.mmap(f.fileno(), 16)

    def set(self, rate, seed=1):
        self.map[0:8] = struct.pack("<II", rate, seed)

    @property
    def failed(self):
        return struct.unpack("<Q", self.map[8:16])[0]


class Client(threading.Thread):
    """One key of its own: what was acknowledged, or what an unanswered write may have left."""

    def __init__(self, vault, number, until):
        super().__init__(daemon=True)
        self.vault, self.key, self.until = vault, "secret/data/client%d" % number, until
        self.known, self.maybe, self.answers, self.error = None, [], {}, None

    def ask(self, method, body=None):
        v = self.vault
        if v.tls:
            context = ssl.create_default_context(cafile=v.cacert)
            connection = http.client.HTTPSConnection("127.0.0.1", v.port, timeout=DEADLINE, context=context)
        else:
            connection = http.client.HTTPConnection("127.0.0.1", v.port, timeout=DEADLINE)
        try:
            connection.request(method, "/v1/" + self.key, body and json.dumps(body),
                               {"X-Vault-Token": v.root})
            answer = connection.getresponse()
            return answer.status, answer.read().decode()
        except (OSError, http.client.HTTPException):
            return 0, ""  # cut off
        finally:
            connection.close()

    def run(self):
        try:
            self.write_and_read()
        except AssertionError as error:
            self.error = error

    def write_and_read(self):
        n = 0
        while time.monotonic() < self.until:
            n += 1
            status, text = self.ask("POST", {"data": {"n": n}})
            self.answers[status] = self.answers.get(status, 0) + 1
            if status == 200:
                self.known, self.maybe = n, []
            elif status == 0 or "outcome unknown" in text:
                self.maybe.append(n)
            elif status not in (500, 503):
                self.maybe.append(n)
                self.answers[text[:200]] = 1
            status, text = self.ask("GET")
            if status == 200:
                self.check(json.loads(text)["data"]["data"]["n"])

    def check(self, seen):
        if seen != self.known and seen not in self.maybe:
            raise AssertionError("%s: %r was acknowledged, there is %r" % (self.key, self.known, seen))


def under_pressure(tls, seed, seconds):
    vault = Vault(tls=tls)
    control = Control(os.path.join(vault.folder, "control"))
    vault.env = {"LD_PRELOAD": SHIM, "KT_ALLOC_CONTROL": os.path.join(vault.folder, "control")}
    rng = random.Random(seed)
    try:
        vault.ready()
        if control.failed:
            raise AssertionError("it failed before it was asked to")
        for rate in (1000, 200, 50, 20):
            clients = [Client(vault, i, time.monotonic() + seconds) for i in range(8)]
            for client in clients:  # what the round before left, while nothing fails yet
                client.known = value_of(client)
            control.set(rate, rng.randrange(1 << 32))
            for client in clients:
                client.start()
            for client in clients:
                client.join()
            control.set(0)
            if ended(vault):
                if not tls or vault.process.returncode not in BY_GNUTLS:
                    raise AssertionError("one in %d: it ended with %s: %s" % (
                        rate, vault.process.returncode, vault.log_text()[-1500:]))
                print("#   GnuTLS ended the process: %d" % vault.process.returncode, flush=True)
                vault.start().unseal()
            answers = {}
            for client in clients:
                if client.error:
                    raise client.error
                status, text = client.ask("GET")
                if client.known is not None or status == 200:
                    equal(status, 200, "with memory again: %s" % text)
                    client.check(json.loads(text)["data"]["data"]["n"])
                for key, count in client.answers.items():
                    answers[key] = answers.get(key, 0) + count
            strange = [key for key in answers if isinstance(key, str)]
            equal(strange, [], "answers")
            print("#   one in %d: %d failed, answers %s" % (rate, control.failed, dict(
                sorted(answers.items(), key=str))), flush=True)
        auditlog.fetch(vault).verify()
        equal(vault.stop(), 0, "exit code")
    finally:
        vault.remove()


def value_of(client):
    status, text = client.ask("GET")
    equal(status in (200, 404), True, "%d %s" % (status, text))
    return json.loads(text)["data"]["data"]["n"] if status == 200 else None


def ended(vault):
    """Whether the process is gone. One that no longer answers is on its way: it is waited for."""
    try:
        vault.call("GET", "sys/health")
        return False
    except (OSError, http.client.HTTPException):
        vault.process.wait(DEADLINE)
        return True


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--seconds", type=float, default=1.0)
    parser.add_argument("only", nargs="?")
    args = parser.parse_args()
    report = Report(args.only or "")
    print("# seed %d: %s --seed %d" % (args.seed, sys.argv[0], args.seed), flush=True)
    report.case("allocations fail behind plain connections", under_pressure, False, args.seed,
                args.seconds)
    report.case("allocations fail behind TLS connections", under_pressure, True, args.seed,
                args.seconds)
    report.end()


main()
