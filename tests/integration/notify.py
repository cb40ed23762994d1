#!/usr/bin/python3
"""Who is told: real messages over TLS, signed, from vaultd by its worker; to a receiver that is away, over kills.

    tests/integration/notify.py ['part of a case name']
"""
import email
import email.policy
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
    answer = b""

    def log_message(self, *args):
        pass

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        status = 503 if Handler.away else 200
        if status == 200:
            Handler.got.append((self.path, dict(self.headers), body))
        self.send_response(status)
        self.send_header("Content-Length", str(len(Handler.answer)))
        self.end_headers()
        self.wfile.write(Handler.answer)


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


def stand_in():
    """A program that takes mail as sendmail does, and keeps it: or does not, while a file says so."""
    path, box = os.path.join(folder.name, "mailer"), os.path.join(folder.name, "box")
    os.mkdir(box, 0o700)
    if os.getuid() == 0:
        shutil.chown(box, "keyturn", "keyturn")
    with open(path, "w") as file:
        file.write("#!/bin/sh\n[ ! -e %s/away ] || exit 75\necho \"$@\" > %s/words; env > %s/env\n"
                   "cat > %s/$$.new && mv %s/$$.new %s/$$.eml\n" % ((box,) * 6))
    os.chmod(path, 0o755)
    return path, box


os.chmod(folder.name, 0o755)
port, ca = serve()
mailer, box = stand_in()
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
notify "mail" {
  mail = ["ops@example.com", "dba@example.org"]
  from = "keyturn@example.com"
  program = "mailer"
}
driver_program "mailer" {
  command = ["%s", "-t"]
  write = ["%s"]
}
""" % (port, SECRET_PART, ca, port, ca, port, mailer, box)
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


@tap.case("a receiver that answers at length has got it")
def _():
    Handler.answer = b"x" * 500000
    result = ctl("notify", "test", "chat")
    Handler.answer = b""
    equal(result.returncode, 0, result.stdout + result.stderr)
    Handler.got[:] = [got for got in Handler.got if got[0] != "/chat"]


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


def mails(text=""):
    found = []
    for name in sorted(os.listdir(box)):
        if name.endswith(".eml"):
            with open(os.path.join(box, name), "rb") as file:
                message = email.message_from_binary_file(file, policy=email.policy.default)
            if text in message["Subject"]:
                found.append(message)
    return found


@tap.case("mail: a program of the configuration takes it, as sendmail would; what is not taken is kept and tried again")
def _():
    away = os.path.join(box, "away")
    open(away, "w").close()
    message = vault.ok("POST", "rotation/notify/mail/test", {}).data["id"]
    wait_for("a try", lambda: channel("mail")["failed"] > 0)
    equal(channel("mail")["error"], "the program ended with status 75")
    os.unlink(away)
    wait_for("it to arrive", lambda: mails("TEST"))
    mail, = mails("TEST")
    equal((mail["To"], mail["From"], mail["X-Keyturn-Id"]),
          ("ops@example.com, dba@example.org", "keyturn@example.com", message))
    equal(mail["Message-ID"], "<%s@keyturn.invalid>" % message)
    equal(mail.defects, [], "what the mail's form lacks")
    true("next         secretctl notify list" in mail.get_content(), mail.get_content())
    true(abs(mail["Date"].datetime.timestamp() - time.time()) < 600, mail["Date"])
    with open(os.path.join(box, "words")) as file:
        equal(file.read(), "-t\n", "the words of its command")
    with open(os.path.join(box, "env")) as file:
        true("CREDENTIALS" not in file.read(), "its environment")
    equal((channel("mail")["host"], channel("mail")["kind"]), ("example.com, example.org", "mail"))


@tap.case("the program that mails is no target's: it would be given passwords")
def _():
    reply = vault.call("POST", "rotation/targets/evil", {"driver": "exec", "program": "mailer"})
    equal(reply.status, 400)


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


@tap.case("mail: what a person wrote stands in the text, and in no line of the header")
def _():
    vault.ok("POST", "rotation/pause", {"reason": "m\u00fcde | To: evil@example.net"})
    wait_for("the mail", lambda: mails("m\u00fcde"))
    mail, = mails("m\u00fcde")
    equal(" ".join(mail["Subject"].split()), "PAUSED all rotations; by root: m\u00fcde | To: evil@example.net")
    equal(mail.get_all("To"), ["ops@example.com, dba@example.org"])
    vault.ok("DELETE", "rotation/pause")


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
