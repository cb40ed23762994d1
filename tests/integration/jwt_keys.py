#!/usr/bin/python3
"""Key sets that vaultd fetches by its worker, from a real server over TLS: what is taken, and from whom.

    tests/integration/jwt_keys.py ['part of a case name']
"""
import http.server
import json
import os
import ssl
import subprocess
import sys
import tempfile
import threading
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
from jwt_signer import Signer  # noqa: E402
from keyturn import Vault  # noqa: E402
from tap import Tap, equal, true  # noqa: E402
from wire import Wire, error, wants  # noqa: E402

tap = Tap("tests/integration/jwt_keys.py")
vault = Vault()
wire = Wire(vault)
signer = Signer("RS256")
folder = tempfile.TemporaryDirectory(prefix="keyturn-issuer-")
SET = {"keys": [signer.jwk(kid="k")]}
release = threading.Event()


class Handler(http.server.BaseHTTPRequestHandler):
    asked = []

    def log_message(self, *args):
        pass

    def do_GET(self):
        Handler.asked.append((self.path, dict(self.headers)))
        status, body, more = 200, json.dumps(SET).encode(), {}
        if self.path == "/moved":
            status, more = 302, {"Location": address("/set")}
        elif self.path == "/broken":
            status = 500
        elif self.path == "/large":
            body = body + b" " * 70000
        elif self.path == "/hangs":
            release.wait(60)
        elif self.path.endswith("/.well-known/openid-configuration"):
            body = json.dumps({"issuer": address("/issuer"), "jwks_uri": address("/set")}).encode()
        self.send_response(status)
        for name, value in {"Content-Length": str(len(body)), **more}.items():
            self.send_header(name, value)
        self.end_headers()
        try:
            self.wfile.write(body)
        except OSError:
            pass


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, *args):
        pass


def certificate(name, *more):
    """Its key and itself; it is its own CA."""
    key, cert = os.path.join(folder.name, name + ".key"), os.path.join(folder.name, name + ".pem")
    subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=" + name, "-days", "2",
                    "-addext", "subjectAltName=IP:127.0.0.1", *more, "-keyout", key, "-out", cert], check=True,
                   stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    return key, cert


def serve(name, *more):
    key, cert = certificate(name, *more)
    server = Server(("127.0.0.1", 0), Handler)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(cert, key)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server.server_address[1], open(cert).read()


port, ca = serve("issuer")
stranger_ca = open(certificate("stranger")[1]).read()


def address(path):
    return "https://127.0.0.1:%d%s" % (port, path)


def trust(**config):
    wants(wire.ask("POST", "auth/jwt/config", config), 204)


def away(why):
    """A login that has no keys; strangers are not told why, the log is."""
    before = len(vault.log_text())
    reply = login()
    error(reply, 400, "could not be fetched")
    true(why in vault.log_text()[before:], "%r in %s" % (why, vault.log_text()[before:]))
    true(why.encode() not in reply.body, "the stranger is told")


def login(token=None):
    return wire.ask("POST", "auth/jwt/login", {"role": "r", "jwt": token or signer.token(kid="k")}, token=None)


@tap.case("a set at an address: fetched over TLS by a worker, once, with nothing of the vault's along")
def _():
    trust(jwks_url=address("/set"), jwks_ca_pem=ca)
    wants(login(), 200)
    wants(login(), 200)
    equal(["/set"], [path for path, _ in Handler.asked])
    headers = {name.lower() for name in Handler.asked[0][1]}
    true(headers <= {"host", "user-agent", "accept"}, "only these: %s" % headers)
    error(login(Signer("RS256").token(kid="k")), 400, "the signature is not")


@tap.case("an issuer that says where its set is")
def _():
    trust(oidc_discovery_url=address("/issuer"), oidc_discovery_ca_pem=ca)
    wants(login(signer.token({"iss": address("/issuer")}, kid="k")), 200)
    error(login(), 400, "iss claim")
    trust(oidc_discovery_url=address("/another"), oidc_discovery_ca_pem=ca)
    error(login(signer.token({"iss": address("/another")}, kid="k")), 400, "could not be fetched")


@tap.case("CVE-2026-5052: from nobody else: another CA, the system's, no TLS, the own link, a redirect")
def _():
    for config, why in (({"jwks_ca_pem": stranger_ca}, "certificate"), ({}, "certificate"), ({"jwks_ca_pem": "x"}, "ertificate")):
        trust(jwks_url=address("/set"), **config)
        away(why)
    clients_port, clients_ca = serve("client", "-addext", "extendedKeyUsage=clientAuth")
    Handler.asked.clear()
    trust(jwks_url="https://127.0.0.1:%d/set" % clients_port, jwks_ca_pem=clients_ca)
    away("lacks serverAuth")
    equal([], Handler.asked)
    for url, why in (("https://169.254.169.254/set", "own link"), ("https://[fe80::1]/set", "own link"),
                     ("https://0.0.0.0:%d/set" % port, "own link"), ("https://[::ffff:169.254.169.254]/set", "own link"),
                     ("https://2852039166/set", "own link"), ("https://0xa9fea9fe/set", "own link"),
                     ("https://keyturn.invalid/set", "name of the server"), ("https://127.0.0.1:1/set", "onnect")):
        trust(jwks_url=url, jwks_ca_pem=ca)
        away(why)
    error(wire.ask("POST", "auth/jwt/config", {"jwks_url": "http://127.0.0.1:%d/set" % port}), 400, "https")
    for path, why in (("/moved", "redirects are not followed"), ("/broken", "status 500"), ("/large", "too long")):
        Handler.asked.clear()
        trust(jwks_url=address(path), jwks_ca_pem=ca)
        away(why)
        equal([path], [asked for asked, _ in Handler.asked])


@tap.case("a server that hangs: the login waits for a bounded time, and holds up nobody")
def _():
    trust(jwks_url=address("/hangs"), jwks_ca_pem=ca)
    answers = []

    def one():
        own = Wire(vault)
        answers.append(own.ask("POST", "auth/jwt/login", {"role": "r", "jwt": signer.token(kid="k")}, token=None))
        own.close()

    began = time.monotonic()
    threads = [threading.Thread(target=one) for _ in range(50)]
    for thread in threads:
        thread.start()
    reads = 0
    while any(thread.is_alive() for thread in threads):
        wants(wire.ask("GET", "sys/mounts"), 200)
        reads += 1
    release.set()
    equal(50, len(answers))
    for answer in answers:
        error(answer, 400, "could not be fetched")
    true(time.monotonic() - began < 60, "a bounded time")
    true(reads > 50, "others are served: %d reads" % reads)


def main():
    try:
        vault.ready()
        wire.root = vault.token
        wants(wire.ask("POST", "sys/auth/jwt", {"type": "jwt"}), 204)
        wants(wire.ask("POST", "auth/jwt/role/r", {"role_type": "jwt", "user_claim": "sub", "bound_audiences": ["vault"]}), 204)
        return tap.run(sys.argv[1:])
    finally:
        release.set()
        wire.close()
        vault.remove()


sys.exit(main())
