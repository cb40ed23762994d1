#!/usr/bin/python3
"""Advisories of Vault and OpenBao about what strangers can learn and do over HTTP, at every path of the API.

    tests/security/strangers.py ['part of a case name']

Crowds, large bodies and slow ones: integration/hostile.py. Which advisories there are: advisories.txt.
"""
import os
import re
import socket
import ssl
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
from keyturn import Vault  # noqa: E402
from tap import Tap, equal, true  # noqa: E402
from wire import Wire, serve, wants  # noqa: E402

tap = Tap("tests/security/strangers.py")
vault = Vault()
wire = Wire(vault)

# Asked without a policy by anybody (unit/denied_routes_test has them all): what they say depends on no mount.
OPEN = re.compile(r"sys/(init|seal-status|unseal|health|leader|rekey/(init|update|verify)|generate-root.*|"
                  r"wrapping/.*|internal/(ui/mounts.*|specs/openapi))$|auth/\w+/login(/.*)?$")
ABSENT = ["nope", "nope/x", "secret2/data/x", "kv2/x", "auth/nope/x", "auth/userpass9/login/x", "sys/nope", "sys/nope/x",
          "secret/nope/x", "sys/mounts/nope/nope", "auth/token/nope", "database/creds/x", "identity/nope"]
KNOWN = {500: "missing password", 503: "vaultd-pam is not running"}  # so in Vault; there is none here
BODIES = [b"", b"{}", b'{"a":', b"[" * 100000, b"\xff\xfe", b'{"a":"' + b"x" * 70000 + b'"}', b'{"a":1,"a":2}', b"a=b&c=d",
          b'{"data":' * 200, b'{"n":' + b"9" * 5000 + b"}"]


def api():
    """Paths of the API, {name} filled in with what is there and what is not."""
    found = []
    for path in wire.ask("GET", "sys/internal/specs/openapi").json["paths"]:
        for name in ("db/orders", "none"):
            found.append(re.sub(r"\{\w+\}", name, path[1:]))
    return sorted(set(found))


@tap.case("CVE-2020-25594, CVE-2021-3024, CVE-2022-36129: without a token all but a closed list answers alike, mounted or not")
def _():
    paths = [path for path in api() if not OPEN.match(path)]
    true(len(paths) > 100, "paths")
    for token in (None, "", "nonsense", "hvs." + "x" * 90, "root"):
        shown = token if token != "" else None
        headers = {"X-Vault-Token": ""} if token == "" else {}
        for method in ("GET", "LIST", "POST", "PUT", "PATCH", "DELETE"):
            wanted = None
            for path in ["nope/x"] + paths + ABSENT:
                if method[0] == "P" and path.endswith("/"):
                    continue  # "cannot write to a path ending in '/'", said of every path
                reply = wire.ask(method, path, token=shown, headers=headers, by_library=True)
                wanted = wanted or (403, reply.body)
                equal(wanted, (reply.status, reply.body), "%s %s with %s" % (method, path, token))
            true(re.search(rb"\d+\.\d+\.\d+\.\d+|/work|/tmp|data\.mdb", wanted[1]) is None, "no address, no path")


@tap.case("CVE-2025-12044: what a stranger sends is not parsed before he is refused")
def _():
    for path in [path for path in api() if not OPEN.match(path) and not path.endswith("/")]:
        for method in ("POST", "PATCH"):
            bodies = {raw: wire.ask(method, path, raw=raw, token="nonsense", by_library=True) for raw in BODIES}
            equal({(403, bodies[b""].body)}, {(r.status, r.body) for r in bodies.values()}, "%s %s" % (method, path))


@tap.case("CVE-2025-6203, CVE-2025-59043: no body of a public path is large or deep, and none ends the vault")
def _():
    for path in [path for path in api() if OPEN.match(path)]:
        for raw in BODIES + [b'{"key":"' + b"a" * (1 << 20) + b'"}', b"[" + b"{}," * 300000 + b"{}]",
                             b'{"key":' + b"[" * 60 + b"]" * 60 + b"}"]:
            reply = wire.ask("PUT", path, raw=raw, token=None, by_library=True)
            known = KNOWN.get(reply.status, "?") in reply.body.decode()
            true(known or reply.status in (200, 400, 403, 405, 413, 429), "%s with %d bytes: %s" % (path, len(raw), reply))
    equal(None, vault.process.poll())


@tap.case("CVE-2025-12044, GHSA-5v22-543h-wg96: who is over his quota is not read, whatever his path and body look like")
def _():
    bodies = BODIES + [b"username=x&password=y"]
    ways = [("auth/userpass", ["auth/userpass/login/x", "auth/userpass/login/X", "auth/%75serpass/login/x", "auth/userpass/login/y"]),
            ("auth/approle", ["auth/approle/login", "auth/appro%6ce/login"]),
            ("kv1", ["kv1/db/orders", "kv1/x", "%6bv1/x"])]
    for mount, paths in ways:
        wire.ok("POST", "sys/quotas/rate-limit/tight", {"path": mount + "/", "rate": 1, "interval": "600s"})
        wire.ask("POST", paths[0], raw=b"{}", token=None, by_library=True)
        for path in paths:
            for method in ("POST", "PUT", "GET"):
                for raw in bodies if method != "GET" else [None]:
                    for headers in ({}, {"Content-Type": "application/x-www-form-urlencoded"}):
                        reply = wire.ask(method, path, raw=raw, token=None, headers=headers, by_library=True)
                        equal(429, reply.status, "%s %s: %s" % (method, path, reply.body[:100]))
        wire.ok("DELETE", "sys/quotas/rate-limit/tight")


@tap.case("CVE-2024-6468: what is no HTTP ends its own connection and nobody else's")
def _():
    for junk in (b"PROXY TCP4 1.2.3.4 5.6.7.8 1 2\r\n", b"PROXY UNKNOWN\r\n\r\n", b"\r\n\r\n\0D\nQUIT\n\x21\x11\0\x0c" + b"\x7f" * 12,
                 b"\x16\x03\x01\x02\0\x01\0\x01\xfc\x03\x03", b"SSH-2.0-x\r\n", b"\0" * 100, b"GET\r\n\r\n", b"\r\n" * 50,
                 b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"):
        with socket.create_connection(("127.0.0.1", vault.port), timeout=30) as s:
            s.sendall(junk)
            s.shutdown(socket.SHUT_WR)
            try:
                answer = b"".join(iter(lambda: s.recv(65536), b""))
            except ConnectionError:
                answer = b""
        true(not answer or re.match(rb"HTTP/1\.[01] [45]\d\d ", answer), "an error or an end for %r, not %r" % (junk, answer[:80]))
        fresh = Wire(vault)
        fresh.root = wire.root
        wants(fresh.ask("GET", "sys/health", token=None), 200)
        fresh.close()


@tap.case("CVE-2026-2808, CVE-2026-19017: no text that a caller sends is taken for a file, a program or an address")
def _():
    with open(os.path.join(vault.folder, "secret.txt"), "w") as f:
        f.write("content of a file")
    os.chmod(os.path.join(vault.folder, "secret.txt"), 0o644)
    there = os.path.join(vault.folder, "secret.txt")
    for text in ("@" + there, "file://" + there, there, "$(cat %s)" % there, "${HOME}", "{{ file \"%s\" }}" % there,
                 "http://127.0.0.1:%d/v1/sys/health" % vault.port):
        for path in ("secret/data/text", "kv1/text", "cubbyhole/text"):
            body = {"data": {"k": text}} if path.startswith("secret") else {"k": text}
            wire.ok("POST", path, body)
            data = wire.ok("GET", path).data
            equal(text, (data["data"] if path.startswith("secret") else data)["k"])
        for path, body in (("sys/policies/acl/file", {"policy": text}), ("sys/tools/hash", {"input": text}),
                           ("rotation/targets/file", {"driver": "postgresql", "host": "127.0.0.1", "database": "x", "ca": text,
                                                      "admin_username": "a", "admin_password": text}),
                           ("rotation/targets/file", {"driver": there, "host": "127.0.0.1", "database": "x",
                                                      "admin_username": "a", "admin_password": "b"}),
                           ("secret/metadata/text", {"custom_metadata": {"k": text}}),
                           ("sys/mounts/text", {"type": text}), ("sys/mounts/text", {"type": "plugin", "plugin_name": text}),
                           ("auth/token/create", {"meta": {"k": text}, "display_name": text})):
            reply = wire.ask("POST", path, body)
            true("content of a file" not in reply.body.decode(), str(reply))
        for path in ("sys/policies/acl/file", "rotation/targets/file", "secret/metadata/text"):
            true("content of a file" not in wire.ask("GET", path).body.decode(), path)
    wants(wire.ask("GET", "rotation/targets/file"), 404)
    wants(wire.ask("GET", "sys/mounts/text"), 400)


@tap.case("CVE-2020-35192: a new vault knows no token and no share by itself")
def _():
    with Vault() as new:
        other = Wire(new)
        new.start()
        for token in ("root", "", "s.root", "hvs.root", "dev", "admin", "password", "00000000-0000-0000-0000-000000000000"):
            wants(other.ask("GET", "sys/mounts", token=token or None), 503)
        new.init()
        for share in ("00" * 33, "AA==", "00" * 32):
            other.ask("PUT", "sys/unseal", {"key": share}, token=None)
        other.ask("PUT", "sys/unseal", {"reset": True}, token=None)
        new.unseal()
        for token in ("root", "", "s.root", "hvs.root", "dev", "admin", "00000000-0000-0000-0000-000000000000"):
            wants(other.ask("GET", "sys/mounts", token=token or None), 403)
        other.close()


@tap.case("CVE-2025-68121: no TLS session is taken up again")
def _():
    with Vault(tls=True) as other:
        other.start()
        for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
            context = ssl.create_default_context(cafile=other.cacert)
            context.minimum_version = context.maximum_version = version
            kept = None
            for _ in range(3):
                with socket.create_connection(("127.0.0.1", other.port), timeout=30) as s:
                    with context.wrap_socket(s, server_hostname="127.0.0.1", session=kept) as t:
                        t.sendall(b"GET /v1/sys/health HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
                        answer = b"".join(iter(lambda: t.recv(65536), b""))
                        true(answer.startswith(b"HTTP/1.1 "), "an answer over %s" % version)
                        equal(False, t.session_reused)
                        kept = t.session if t.session is not None and t.session.id else kept


def load():
    wire.mount_all()
    wire.ok("POST", "secret/data/db/orders", {"data": {"k": "v"}})
    wire.ok("POST", "kv1/db/orders", {"k": "v"})


sys.exit(serve(tap, wire, load))
