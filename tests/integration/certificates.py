#!/usr/bin/env python3
"""Certificates that the vault signs, in the hands of openssl, curl and a TLS server.

    tests/integration/certificates.py ['part of a case name']
"""
import json
import os
import shutil
import ssl
import subprocess
import sys
import tempfile
import threading
from datetime import datetime
from http.server import BaseHTTPRequestHandler, HTTPServer

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
from keyturn import DEADLINE, Report, Vault, contains, equal  # noqa: E402

report = Report()
scratch = tempfile.mkdtemp(prefix="kt-certificates-")
vault = Vault()
DAY = 86400


def said(code, *words, **more):
    """Both outputs of a command that ends with the code."""
    done = vault.ctl(*words, check=False, **more)
    equal(done.returncode, code, "exit code of %s (%s%s)" % (" ".join(words), done.stdout, done.stderr))
    return done.stdout, done.stderr


def good(*words, **more):
    return said(0, *words, **more)[0]


def run(*words, input=None):
    return subprocess.run(words, capture_output=True, text=True, input=input, timeout=DEADLINE)


def file(name, text):
    path = os.path.join(scratch, name)
    with open(path, "w") as f:
        f.write(text)
    return path


def issue(secret, **generator):
    good("schedule", "set", secret, *("generator.%s=%s" % pair for pair in generator.items()))
    good("rotate", secret)
    return value(secret)


def value(secret):
    return json.loads(good("kv", "get", "-o", "json", secret))["data"]["data"]


def pair(name, data):
    """Files as a server loads them: the chain from the leaf on, the key."""
    return (file(name + ".crt", data["certificate"] + data["ca_chain"]), file(name + ".key", data["private_key"]))


def verify(data, *more, root=None):
    words = ["openssl", "verify", "-x509_strict", "-CAfile", file("root.pem", root or data["root_certificate"])]
    if data["ca_chain"]:
        words += ["-untrusted", file("chain.pem", data["ca_chain"])]
    return run(*words, *more, file("leaf.pem", data["certificate"]))


def shown(pem):
    return run("openssl", "x509", "-noout", "-text", input=pem).stdout


def authorities():
    """A root, and one below it that signs."""
    if "root" not in made:
        made["root"] = issue("secret/ca/root", type="x509-ca", common_name="Example Root")
        made["web"] = issue("secret/ca/web", type="x509-ca", common_name="Example Web", issuer="secret/ca/root",
                            names="example.com,127.0.0.1", life="365d")
    return made


made = {}


# ---- what openssl says of them ----

def a_chain():
    root, web = authorities()["root"], made["web"]
    equal(root["ca_chain"], "")
    equal(root["certificate"], root["root_certificate"])
    equal(verify(root).returncode, 0)
    equal(verify(web).returncode, 0)
    equal(web["root_certificate"], root["certificate"])
    leaf = issue("secret/tls/app", type="x509", issuer="secret/ca/web", names="app.example.com,127.0.0.1")
    equal(leaf["ca_chain"], web["certificate"])
    equal(leaf["root_certificate"], root["certificate"])
    for purpose, code in (("sslserver", 0), ("sslclient", 2)):
        equal(verify(leaf, "-purpose", purpose).returncode, code, purpose)
    equal(verify(leaf, "-verify_hostname", "app.example.com").returncode, 0)
    equal(verify(leaf, "-verify_hostname", "other.example.com").returncode, 2)
    text = shown(leaf["certificate"])
    contains(text, "DNS:app.example.com, IP Address:127.0.0.1")
    contains(text, "CA:FALSE")
    contains(text.replace(":", "").lower(), leaf["serial_number"])
    contains(shown(web["certificate"]), "CA:TRUE, pathlen:0")
    contains(shown(web["certificate"]), "Permitted:")
    equal("PRIVATE KEY" in leaf["certificate"] + leaf["ca_chain"] + leaf["root_certificate"], False)


def only_while_it_lasts():
    leaf = value("secret/tls/app")
    begin, end = (datetime.fromisoformat(leaf[name].replace("Z", "+00:00")).timestamp()
                  for name in ("not_before", "not_after"))
    equal(round(end - begin), 90 * DAY + 300)
    for time, code in ((begin + 1, 0), (end - 1, 0), (begin - 1, 2), (end + 1, 2)):
        equal(verify(leaf, "-attime", str(int(time))).returncode, code, str(time - begin))


def each_has_its_own_key():
    before = value("secret/tls/app")
    good("rotate", "secret/tls/app")
    after = value("secret/tls/app")
    for name in ("private_key", "certificate", "serial_number"):
        equal(before[name] == after[name], False, name)
    key = run("openssl", "pkey", "-pubout", input=after["private_key"]).stdout
    equal(key, run("openssl", "x509", "-noout", "-pubkey", input=after["certificate"]).stdout)
    good("rotate", "secret/tls/app", "--back")
    equal(value("secret/tls/app"), before)


def ed25519():
    root = issue("secret/ca/ed", type="x509-ca", common_name="Ed", key="ed25519")
    leaf = issue("secret/tls/ed", type="x509", issuer="secret/ca/ed", names="a.example.com", key="ed25519",
                 life="12h", usage="server,client")
    equal(verify(leaf, root=root["certificate"]).returncode, 0)
    contains(shown(leaf["certificate"]), "ED25519")
    contains(good("schedule", "show", "secret/tls/ed"), "a server and client certificate (Ed25519) for a.example.com: 12h")


# ---- in use ----

class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
        self.wfile.write(json.dumps(self.connection.getpeercert()).encode())

    def log_message(self, *args):
        pass


class Server:
    """HTTPS that shows the certificate, and wants one of who comes, signed below the root."""
    def __init__(self, files, root):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*files)
        context.verify_mode = ssl.CERT_REQUIRED
        context.load_verify_locations(cadata=root)
        self.http = HTTPServer(("127.0.0.1", 0), Handler)
        self.http.handle_error = lambda *args: None
        self.http.socket = context.wrap_socket(self.http.socket, server_side=True)
        self.thread = threading.Thread(target=self.http.serve_forever, daemon=True)

    def __enter__(self):
        self.thread.start()
        return "https://127.0.0.1:%d/" % self.http.server_address[1]

    def __exit__(self, *_):
        self.http.shutdown()
        self.http.server_close()
        self.thread.join()


def server_and_client():
    authorities()
    server = value("secret/tls/app")
    client = issue("secret/tls/client", type="x509", issuer="secret/ca/web", names="orders.example.com", usage="client")
    other = issue("secret/tls/stranger", type="x509", issuer="secret/ca/ed", names="orders.example.com", usage="client")
    root = file("trust.pem", server["root_certificate"])

    def curl(url, *more):
        return run("curl", "-sS", "--max-time", "20", *more, url)

    def as_client(name, data):
        crt, key = pair(name, data)
        return ["--cert", crt, "--key", key]

    with Server(pair("server", server), server["root_certificate"]) as url:
        done = curl(url, "--cacert", root, *as_client("client", client))
        equal(done.returncode, 0, done.stderr)
        equal(json.loads(done.stdout)["subjectAltName"], [["DNS", "orders.example.com"]])
        for what, more in (("another authority", ["--cacert", root, *as_client("stranger", other)]),
                           ("a server's certificate", ["--cacert", root, *as_client("server2", server)]),
                           ("no certificate", ["--cacert", root]),
                           ("another root", ["--cacert", file("ed.pem", other["root_certificate"]),
                                             *as_client("client", client)])):
            equal(curl(url, *more).returncode == 0, False, what)


# ---- requests ----

def a_request():
    authorities()
    key, request = os.path.join(scratch, "own.key"), os.path.join(scratch, "own.csr")
    done = run("openssl", "req", "-new", "-newkey", "rsa:2048", "-nodes", "-keyout", key, "-out", request, "-subj",
               "/CN=evil.example.com", "-addext", "subjectAltName=DNS:evil.example.com")
    equal(done.returncode, 0, done.stderr)
    with open(request) as f:
        text = f.read()
    issue("secret/tls/own", type="x509", issuer="secret/ca/web", names="own.example.com")
    leaf = issue("secret/tls/own", type="x509", issuer="secret/ca/web", names="own.example.com", request=text)
    equal("private_key" in leaf, False)
    equal(verify(leaf).returncode, 0)
    contains(shown(leaf["certificate"]), "DNS:own.example.com")
    equal("evil" in shown(leaf["certificate"]), False)
    lines = text.splitlines()
    lines[-3] = lines[-3][:4] + ("A" if lines[-3][4] != "A" else "B") + lines[-3][5:]
    _, err = said(2, "schedule", "set", "secret/tls/own", "generator.type=x509", "generator.issuer=secret/ca/web",
                  "generator.names=own.example.com", "generator.request=" + "\n".join(lines) + "\n")
    contains(err, "request: ")


# ---- SSH ----

def signs_as(principal, data, name):
    """What OpenSSH says of a signature that is made with the certificate's key."""
    at = os.path.join(scratch, name)
    os.makedirs(at, exist_ok=True)
    key, cert = os.path.join(at, "id"), os.path.join(at, "id-cert.pub")
    for path, text in ((key, data["private_key"]), (cert, data["certificate"] + "\n"),
                       (key + ".pub", data["public_key"] + "\n"), (os.path.join(at, "text"), "text")):
        with open(path, "w") as f:
            f.write(text)
        os.chmod(path, 0o600)
    allowed = file("allowed", "%s cert-authority %s\n" % (principal, data["root_certificate"]))
    done = run("ssh-agent", "sh", "-c", "ssh-add -q '%s' && ssh-keygen -q -Y sign -f '%s' -n test '%s/text'" % (key, cert, at))
    equal(done.returncode, 0, done.stderr)
    done = run("ssh-keygen", "-Y", "verify", "-f", allowed, "-I", principal, "-n", "test", "-s",
               os.path.join(at, "text.sig"), input="text")
    return done.returncode, done.stdout + done.stderr


def ssh_authority():
    key = os.path.join(scratch, "ssh-ca")
    if not os.path.exists(key):
        equal(run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", key).returncode, 0)
        with open(key) as f:
            good("kv", "put", "secret/ca/ssh", "-", input=json.dumps({"private_key": f.read()}))


def ssh_user():
    ssh_authority()
    data = issue("secret/ssh/deploy", type="ssh-cert", issuer="secret/ca/ssh", names="deploy,ops",
                 options="permit-pty;source-address=127.0.0.1/32")
    shown_text = run("ssh-keygen", "-L", "-f", "-", input=data["certificate"]).stdout
    for line in ("user certificate", "Serial: " + data["serial_number"], "secret/ssh/deploy run ", "deploy\n", "ops\n",
                 "source-address 127.0.0.1/32", "permit-pty"):
        contains(shown_text, line)
    equal("permit-port-forwarding" in shown_text, False)
    equal(data["serial_number"] == "0", False)
    equal(signs_as("deploy", data, "user")[0], 0)
    code, text = signs_as("root", data, "user")
    equal(code == 0, False, text)
    other = dict(data, root_certificate=run("ssh-keygen", "-y", "-f", os.path.join(scratch, "user", "id")).stdout.strip())
    equal(signs_as("deploy", other, "user")[0] == 0, False)
    before = data
    good("rotate", "secret/ssh/deploy")
    equal(value("secret/ssh/deploy")["public_key"] == before["public_key"], False)


def ssh_host_by_its_key():
    ssh_authority()
    key = os.path.join(scratch, "host")
    equal(run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", key).returncode, 0)
    with open(key + ".pub") as f:
        line = f.read().strip()
    data = issue("secret/ssh/web1", type="ssh-cert", issuer="secret/ca/ssh", names="web1.example.com", usage="host",
                 request=line, life="30d")
    equal("private_key" in data, False)
    shown_text = run("ssh-keygen", "-L", "-f", "-", input=data["certificate"]).stdout
    contains(shown_text, "host certificate")
    contains(shown_text, run("ssh-keygen", "-l", "-f", key + ".pub").stdout.split()[1])
    for words, why in ((["names="], "needs names"), (["names=*"], "is a pattern"), (["names=a", "usage=host", "options=permit-pty"], "no options"),
                       (["names=a", "usage=server"], "user or host"), (["names=a", "request=ssh-rsa AAAA"], "request:")):
        contains(said(2, "schedule", "set", "secret/ssh/x", "generator.type=ssh-cert", "generator.issuer=secret/ca/ssh",
                      *("generator." + word for word in words))[1], why)


# ---- who may ----

POLICY = """path "rotation/secrets/secret/team/*" { capabilities = ["create", "update", "read"] }
path "rotation/rotate/secret/team/*" { capabilities = ["update"] }
path "rotation/runs/*" { capabilities = ["read"] }
"""
ISSUER = 'path "rotation/issuers/secret/ca/web" { capabilities = ["update"] }\n'


def the_right_to_an_issuer():
    authorities()
    good("policy", "write", "team", "-", input=POLICY)
    token = good("token", "create", "-policy=team", "-ttl=1h", "-field=token").strip()
    words = ["schedule", "set", "secret/team/web", "generator.type=x509", "generator.issuer=secret/ca/web"]
    contains(said(2, *words, "generator.names=team.example.com", token=token)[1], "permission denied")
    good("policy", "write", "team", "-", input=POLICY + ISSUER)
    good(*words, "generator.names=team.example.com", token=token)
    good("rotate", "secret/team/web", token=token)
    # Taken away again: what was set stands, and nothing else can be set.
    good("policy", "write", "team", "-", input=POLICY)
    contains(said(2, *words, "generator.names=other.example.com", token=token)[1], "permission denied")
    good("schedule", "set", "secret/team/web", "owner=team", token=token)
    good("rotate", "secret/team/web", token=token)
    contains(shown(value("secret/team/web")["certificate"]), "DNS:team.example.com")
    # The right to this one is none to another, nor to read it.
    good("policy", "write", "team", "-", input=POLICY + ISSUER)
    words[-1] = "generator.issuer=secret/ca/root"
    contains(said(2, *words, "generator.names=team.example.com", token=token)[1], "permission denied")
    said(2, "kv", "get", "secret/ca/web", token=token)
    # Nor to an authority of one's own below it: whoever reads its key signs outside of the vault.
    words = ["schedule", "set", "secret/team/ca", "generator.type=x509-ca", "generator.issuer=secret/ca/web",
             "generator.common_name=team.example.com"]
    contains(said(2, *words, token=token)[1], "permission denied")
    good("policy", "write", "team", "-", input=POLICY + ISSUER.replace("issuers", "authorities"))
    good(*words, token=token)


def outside_of_its_names():
    authorities()
    good("schedule", "set", "secret/tls/out", "generator.type=x509", "generator.issuer=secret/ca/web",
         "generator.names=example.org")
    contains(said(2, "rotate", "secret/tls/out")[1], "nobody would accept this certificate")
    contains(said(2, "rotate", "secret/tls/out", "--dry-run")[0], "nobody would accept this certificate")


# ---- when ----

def renewal():
    authorities()
    issue("secret/tls/when", type="x509", issuer="secret/ca/web", names="when.example.com", life="24h")
    data = json.loads(good("schedule", "show", "-o", "json", "secret/tls/when"))["data"]
    equal((data["period"], data["jitter"], data["max_age"]), ("16h0m0s", "1h0m0s", "20h0m0s"))
    due, done = (datetime.fromisoformat(data["state"][name].replace("Z", "+00:00")).timestamp()
                 for name in ("next_due", "last_done"))
    equal(15 * 3600 <= due - done <= 17 * 3600 + 1, True, "due after %d s" % (due - done))
    # Another life moves it; a schedule that somebody chose stays.
    good("schedule", "set", "secret/tls/when", "generator.type=x509", "generator.issuer=secret/ca/web",
         "generator.names=when.example.com", "generator.life=48h")
    contains(good("schedule", "show", "-o", "json", "secret/tls/when"), '"period": "32h0m0s"')
    good("schedule", "set", "secret/tls/when", "period=1h", "jitter=")
    good("schedule", "set", "secret/tls/when", "generator.type=x509", "generator.issuer=secret/ca/web",
         "generator.names=when.example.com", "generator.life=24h")
    contains(good("schedule", "show", "-o", "json", "secret/tls/when"), '"period": "1h"')


def what_goes_wrong():
    for words, why in (
            (["type=x509", "names=a.de"], "needs issuer"),
            (["type=x509", "issuer=secret/ca/web"], "needs names"),
            (["type=x509-ca"], "needs common_name"),
            (["type=x509-ca", "common_name=x", "names=,"], "there is none in it"),
            (["type=x509-ca", "common_name=x", "names=https://a.example.com/"], "cannot be bounded by a URI"),
            (["type=x509", "issuer=secret/tls/x", "names=a.de"], "its own issuer"),
            (["type=x509", "issuer=secret/ca/web", "names=*.de"], "names: number 1 is no DNS name"),
            (["type=x509", "issuer=secret/ca/web", "names=a.de", "life=10s"], "from a minute"),
            (["type=x509", "issuer=secret/ca/web", "names=a.de", "usage=any"], "usage must be"),
            (["type=x509", "issuer=secret/ca/web", "names=a.de", "key=rsa"], "key must be"),
            (["type=x509", "issuer=secret/ca/web", "names=a.de", "length=9"], "has no length"),
            (["type=password", "names=a.de"], "names belongs to certificates"),
            (["type=x509", "issuer=nowhere/x", "names=a.de"], "is not the path of a secret")):
        contains(said(2, "schedule", "set", "secret/tls/x", *("generator." + word for word in words))[1], why)
    good("schedule", "set", "secret/tls/x", "generator.type=x509", "generator.issuer=secret/ca/none", "generator.names=a.de")
    contains(said(2, "rotate", "secret/tls/x")[1], "the issuer 'secret/ca/none' has no version to sign with")
    issue("secret/ca/short", type="x509-ca", common_name="Short", life="1h")
    good("schedule", "set", "secret/tls/x", "generator.type=x509", "generator.issuer=secret/ca/short", "generator.names=a.de")
    contains(said(2, "rotate", "secret/tls/x")[1], "the issuer ends before a certificate of this life would")
    good("kv", "put", "secret/plain", "-", input=json.dumps({"private_key": "x", "certificate": "y"}))
    good("schedule", "set", "secret/tls/x", "generator.type=x509", "generator.issuer=secret/plain", "generator.names=a.de")
    contains(said(2, "rotate", "secret/tls/x")[1], "reading the issuer's")


CASES = [
    ("a chain", a_chain),
    ("only while it lasts", only_while_it_lasts),
    ("each has its own key", each_has_its_own_key),
    ("Ed25519", ed25519),
    ("server and client", server_and_client),
    ("a request", a_request),
    ("SSH, a user", ssh_user),
    ("SSH, a host by its key", ssh_host_by_its_key),
    ("the right to an issuer", the_right_to_an_issuer),
    ("outside of its names", outside_of_its_names),
    ("renewal", renewal),
    ("what goes wrong", what_goes_wrong),
]


def main():
    try:
        vault.ready()
        for name, function in CASES:
            report.case(name, function)
    finally:
        vault.remove()
        shutil.rmtree(scratch, ignore_errors=True)
    report.end()


main()
