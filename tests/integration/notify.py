#!/usr/bin/python3
"""Who is told: real messages over TLS, signed, from vaultd by its worker; to a receiver that is away, over kills.

    tests/integration/notify.py ['part of a case name']
"""
import hashlib
import hmac
import http.server
import json
import os
import shutil
import ssl
import subprocess
import sys
import tempfile
import threading
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
from keyturn import Vault, wait_for  # noqa: E402
from tap import Tap, equal, true  # noqa: E402

tap = Tap("tests/integration/notify.py")
folder = tempfile.TemporaryDirectory(prefix="keyturn-notify-")
SECRET_PART = "part-of-the-address-that-lets-in"
KEY = os.urandom(32)


class Handler(http.server.BaseHTTPRequestHandler):
    got = []
    away = False

    def log_message(self, *args):
        pass

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        status = 503 if Handler.away else 204
        if status == 204:
            Handler.got.append((self.path, dict(self.headers), body))
        self.send_response(status)
        self.send_header("Content-Length", "0")
        self.end_headers()


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, *args):
        pass


def serve():
    key, cert = os.path.join(folder.name, "k.pem"), os.path.join(folder.name, "c.pem")
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj",
                    "/CN=hook", "-days", "2", "-addext", "subjectAltName=IP:127.0.0.1", "-keyout", key, "-out", cert],
                   check=True, capture_output=True)
    server = Server(("127.0.0.1", 0), Handler)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(cert, key)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server.server_address[1], cert


def hand_over(owner):
    """What systemd does with LoadCredential=."""
    path = os.path.join(folder.name, "credentials")
    os.mkdir(path, 0o700)
    with open(os.path.join(path, "hook-key"), "wb") as file:
        file.write(KEY)
    os.chmod(os.path.join(path, "hook-key"), 0o400)
    if os.getuid() == 0:
        for name in (path, os.path.join(path, "hook-key")):
            shutil.chown(name, owner, owner)
    return path


os.chmod(folder.name, 0o755)
port, ca = serve()
os.chmod(ca, 0o644)
CONFIG = """
notify "ops" {
  url = "https://127.0.0.1:%d/%s"
  ca_file = "%s"
  key = "hook-key"
}
notify "chat" {
  url = "https://127.0.0.1:%d/chat"
  ca_file = "%s"
  template = "{\\"text\\": \\"{{verdict}} | {{next}}\\"}"
}
notify "stranger" { url = "https://127.0.0.1:%d/stranger" }
""" % (port, SECRET_PART, ca, port, ca, port)
vault = Vault(config=CONFIG, env={"CREDENTIALS_DIRECTORY": hand_over("keyturn")})


def told(path, text=""):
    return [(headers, body) for at, headers, body in list(Handler.got)
            if at == "/" + path and text in body.decode()]


def channel(name):
    return [c for c in vault.ok("GET", "rotation/notify").data["channels"] if c["name"] == name][0]


def ctl(*words):
    return vault.ctl(*words, check=False)


@tap.case("a message arrives: signed, with its id, by TLS that was verified")
def _():
    result = ctl("notify", "test", "ops")
    equal(result.returncode, 0, result.stdout + result.stderr)
    headers, body = told(SECRET_PART)[0]
    message = json.loads(body)
    equal((message["event"], message["next"], message["id"]),
          ("test", "secretctl notify list", headers["X-Keyturn-Id"]))
    stamp, signature = [part.split("=")[1] for part in headers["X-Keyturn-Signature"].split(",")]
    equal(signature, hmac.new(KEY, stamp.encode() + b"." + body, hashlib.sha256).hexdigest(), "the signature")
    true(abs(int(stamp) - time.time()) < 600, "its time")
    equal(headers["Content-Type"], "application/json")


@tap.case("who cannot be verified gets nothing, and it is said why")
def _():
    result = ctl("notify", "test", "stranger")
    equal(result.returncode, 1, result.stdout)
    true("did not arrive" in result.stderr and "certificate" in result.stderr, result.stderr)
    equal(told("stranger"), [])
    listed = ctl("notify", "list")
    true("certificate" in listed.stdout and "127.0.0.1:%d" % port in listed.stdout, listed.stdout)
    true(SECRET_PART not in listed.stdout, "the address is shown")


@tap.case("what happens is told by all that are not named otherwise, in the template's form")
def _():
    vault.ok("POST", "rotation/pause", {"reason": 'a "reason"'})
    wait_for("both messages", lambda: told(SECRET_PART, "PAUSED") and told("chat"))
    text = json.loads(told("chat")[0][1])["text"]
    true('PAUSED  all rotations; by root: a "reason" | secretctl run resume' == text, text)
    true("X-Keyturn-Signature" not in told("chat")[0][0], "without a key nothing is signed")
    vault.ok("DELETE", "rotation/pause")
    wait_for("both to be told of the end", lambda: told(SECRET_PART, "RESUMED") and told("chat", "RESUMED"))


@tap.case("a receiver that is away: kept over a kill, sent when it is there again, once")
def _():
    Handler.away = True
    message = vault.ok("POST", "rotation/notify/chat/test", {}).data["id"]
    wait_for("a try", lambda: channel("chat")["failed"] > 0)
    true("503" in channel("chat")["error"], channel("chat")["error"])
    vault.restart()
    equal(channel("chat")["waiting"], 1, "what waits after the kill")
    before = len(told("chat"))
    Handler.away = False
    wait_for("it to arrive", lambda: told("chat", "TEST"))
    wait_for("its row to go", lambda: channel("chat")["waiting"] == 0)
    equal(len(told("chat")), before + 1, "messages")
    equal(told("chat", "TEST")[0][0]["X-Keyturn-Id"], message)


@tap.case("vaultd's log has each, and no name or address of any")
def _():
    text = vault.log_text()
    true("notice event=paused id=" in text, text[-2000:])
    true(SECRET_PART not in text, "the address is in the log")


def main():
    try:
        vault.ready(kv=False)
        return tap.run(sys.argv[1:])
    finally:
        vault.remove()


sys.exit(main())
