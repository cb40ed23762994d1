#!/usr/bin/env python3
"""A CA gives certificates to clients, too: none of them is a server's, whatever its name.

    tests/integration/server_purpose.py ['part of a case name' ...]

Each driver that speaks TLS and secretctl, against servers that have a certificate with their name by the
CA that is trusted, and differ in the extended key usage. What counts is whether anything came to them.
"""
import json
import os
import secrets
import socket
import ssl
import subprocess
import sys
import tempfile
import threading

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
from driver import run_step  # noqa: E402
from keyturn import program  # noqa: E402
from pki import Authority  # noqa: E402
from tap import Tap, equal, main, true  # noqa: E402

tap = Tap("tests/integration/server_purpose.py")
folder = tempfile.TemporaryDirectory()
ca = Authority(folder.name, "ca")
NAMED = "subjectAltName=IP:127.0.0.1"
clients = ca.issue("clients", NAMED + "\nextendedKeyUsage=clientAuth")
others = {"a server's": ca.issue("servers", NAMED + "\nextendedKeyUsage=serverAuth"),
          "both": ca.issue("both", NAMED + "\nextendedKeyUsage=clientAuth,serverAuth"),
          "for nothing in particular": ca.issue("any", NAMED)}

# MariaDB 10's greeting, that offers TLS.
GREETING = (b"\x0a" + b"10.11.0-MariaDB\0" + b"\1\0\0\0" + b"saltsalt\0" + b"\xff\xff" + b"\x2d" + b"\2\0" + b"\xff\xff" +
            b"\x15" + b"\0" * 6 + b"\x1d\0\0\0" + b"saltsaltsalt\0" + b"mysql_native_password\0")


# The driver http: what is asked for first has the administrative credential.
WITH = {"method": "GET", "path": "/", "headers": {"X-Admin": "{admin}"}}
ASKED = {"admin": WITH, "test": dict(WITH, headers={"X-Key": "{value}"}), "set": dict(WITH, headers={"X-Key": "{value}"})}


def plain_start(driver, client):
    """What is said before TLS begins."""
    if driver == "postgresql":
        client.recv(8, socket.MSG_WAITALL)
        client.sendall(b"S")
    if driver == "mariadb":
        client.sendall(len(GREETING).to_bytes(3, "little") + b"\0" + GREETING)
        client.recv(36, socket.MSG_WAITALL)


class Pretender:
    """Serves one client, and hangs up on the first that it hears behind the handshake."""

    def __init__(self, certificate, driver=""):
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.load_cert_chain(*certificate.pair)
        self.driver, self.heard = driver, b""
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.listener.settimeout(60)
        self.port = self.listener.getsockname()[1]
        self.thread = threading.Thread(target=self.serve, daemon=True)
        self.thread.start()

    def serve(self):
        client, _ = self.listener.accept()
        self.listener.close()
        client.settimeout(60)
        try:
            plain_start(self.driver, client)
            with self.context.wrap_socket(client, server_side=True) as tls:
                self.heard = tls.recv(65536)
        except (ssl.SSLError, ConnectionError):
            client.close()

    def all_heard(self):
        self.thread.join(60)
        true(not self.thread.is_alive(), "an end")
        return self.heard


def step(driver, certificate, sslmode):
    server = Pretender(certificate, driver)
    result = run_step({"driver": driver, "op": "inspect", "host": "127.0.0.1", "port": server.port, "sslmode": sslmode,
                       "ca": ca.pem, "database": "x", "api": json.dumps(ASKED) if driver == "http" else "", "account": "uid=x,dc=x", "timeout_ms": 20000, "run": "01test",
                       "digest": "00", "attempt": 1, "logins": {"admin": ("cn=admin", secrets.token_hex(16))}})
    equal("unreach", result["class"], driver + ": " + result["text"])
    return server.all_heard(), result["text"]


for name in ("ldap", "redis", "postgresql", "mariadb", "http"):
    @tap.case("%s: a certificate for clients gets no login" % name)
    def _(driver=name):
        for sslmode in ("verify-full", "verify-ca"):
            heard, text = step(driver, clients, sslmode)
            equal(b"", heard, text)
            true("purpose" in text or "certificate verify failed" in text or "is not a server's" in text, "the reason in %r" % text)
        for what, certificate in others.items():
            heard, text = step(driver, certificate, "verify-full")
            true(heard, "a login for one that is %s: %s" % (what, text))


def ctl(certificate):
    server = Pretender(certificate)
    env = {**os.environ, "VAULT_ADDR": "https://127.0.0.1:%d" % server.port, "VAULT_CACERT": ca.crt,
           "VAULT_TOKEN": "hvs.canary"}
    done = subprocess.run([program("secretctl"), "read", "secret/x"], env=env, capture_output=True, text=True, timeout=60)
    true(done.returncode != 0, "no answer")
    return server.all_heard(), done.stderr


@tap.case("secretctl: a certificate for clients gets no token")
def _():
    heard, text = ctl(clients)
    equal(b"", heard, text)
    true("is not a server's: its extended key usage lacks serverAuth" in text, text)
    for what, certificate in others.items():
        heard, text = ctl(certificate)
        true(b"hvs.canary" in heard, "the token for one that is %s: %s" % (what, text))


main(tap)
