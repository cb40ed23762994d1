#!/usr/bin/env python3
"""Certificates that the vault signs, in the hands of openssl, curl and a TLS server.

    tests/integration/certificates.py ['part of a case name']
"""
import base64
import json
import os
import shutil
import socket
import ssl
import subprocess
import sys
import tempfile
import threading
from datetime import datetime
from http.server import BaseHTTPRequestHandler, HTTPServer

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
from keyturn import BIN, DEADLINE, Report, Vault, contains, equal, free_port, wait_for  # noqa: E402
from sshd import Sshd  # noqa: E402

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


def a_pair_at_any_time():
    """Whoever reads while it is rotated has the key of the certificate beside it."""
    stop = threading.Event()

    def rotate():
        for _ in range(6):
            good("rotate", "secret/tls/app")
        stop.set()

    thread = threading.Thread(target=rotate)
    thread.start()
    seen = set()
    while not stop.is_set() or len(seen) == 0:
        data = value("secret/tls/app")
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(*pair("any", data))
        seen.add(data["serial_number"])
    thread.join()
    wrong = dict(data, private_key=made["root"]["private_key"])
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(*pair("wrong", wrong))
    except ssl.SSLError:
        return
    raise AssertionError("openssl took a pair that does not match")


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
    def __init__(self, files, root, crl=None):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*files)
        context.verify_mode = ssl.CERT_REQUIRED
        context.load_verify_locations(cadata=root)
        if crl is not None:
            context.load_verify_locations(file("lists.pem", crl))
            context.verify_flags |= ssl.VERIFY_CRL_CHECK_LEAF
        self.http = HTTPServer(("127.0.0.1", 0), Handler)
        self.http.handle_error = lambda *args: None
        self.http.socket = context.wrap_socket(self.http.socket, server_side=True)
        self.thread = threading.Thread(target=self.http.serve_forever, args=(0.02,), daemon=True)

    def __enter__(self):
        self.thread.start()
        return "https://127.0.0.1:%d/" % self.http.server_address[1]

    def __exit__(self, *_):
        self.http.shutdown()
        self.http.server_close()
        self.thread.join()


class Shows:
    """A TLS server of OpenSSL's own; to read its files anew it is started again."""
    def __init__(self, name, data, at="127.0.0.1", port=None):
        self.name, self.at, self.port, self.process = name, at, port or free_port(), None
        self.load(data)

    def load(self, data):
        self.stop()
        crt, key = pair(self.name, data)
        self.process = subprocess.Popen(
            ["openssl", "s_server", "-accept", "%s:%d" % (self.at, self.port), "-cert", crt, "-key", key, "-quiet", "-www"],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        wait_for(self.name + " to listen", self.listens)

    def listens(self):
        with socket.socket() as s:
            return s.connect_ex((self.at, self.port)) == 0

    def stop(self):
        if self.process is not None:
            self.process.kill()
            self.process.wait()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()


def served_by_name(port, data, addresses=2):
    """Asks for a name that has so many addresses, in a mount namespace of its own. (exit code, output)"""
    hosts = file("hosts", "".join("127.0.0.%d pair.example\n" % (i + 1) for i in range(addresses)))
    done = run("unshare", "--mount", "sh", "-ec", 'mount --bind "$0" /etc/hosts; exec "$@"', hosts,
               os.path.join(BIN, "secretctl"), "certificate", "served", "-", "pair.example:%d" % port,
               input=data["certificate"])
    return done.returncode, done.stdout + done.stderr


def each_server_shows_it():
    """Files that are new change nothing until a server reads them: which of them did not is said."""
    authorities()
    old = issue("secret/tls/shown", type="x509", issuer="secret/ca/web", names="app.example.com")
    with Shows("one", old) as one, Shows("two", old) as two:
        places = ["127.0.0.1:%d" % server.port for server in (one, two)]
        files = ("certificate", "served", file("old.crt", old["certificate"] + old["ca_chain"]), *places)
        contains(said(0, *files)[0], "SERVED: 2 of 2 show serial " + old["serial_number"])
        good("rotate", "secret/tls/shown")
        new = value("secret/tls/shown")
        files = ("certificate", "served", "-", *places)
        one.load(new)
        with Shows("other", old, at="127.0.0.2", port=one.port) as other:  # a name is served where all its addresses are
            code, text = served_by_name(one.port, new)
            equal(code, 2, text)
            contains(text, "NOT SERVED: 1 of 2 show serial " + new["serial_number"])
            contains(text, "pair.example:%d at 127.0.0.2:%d    it shows ANOTHER one" % (one.port, one.port))
            other.load(new)
            code, text = served_by_name(one.port, new)
            equal(code, 0, text)
            code, text = served_by_name(one.port, new, addresses=17)
            equal(code, 2, text)
            contains(text, "it has more than 16 addresses")
        text = said(2, *files, input=new["certificate"])[0]
        contains(text, "NOT SERVED: 1 of 2 show serial " + new["serial_number"])
        contains(text.splitlines()[2], places[1] + "    it shows ANOTHER one: serial " + old["serial_number"])
        contains(text, "next    reload")
        answer = json.loads(said(2, "certificate", "served", "-o", "json", "-", *places, input=new["certificate"])[0])
        equal([step["ok"] for step in answer["steps"]], [True, False], answer)
        two.load(new)
        said(0, *files, input=new["certificate"])
        two.stop()
        contains(said(2, *files, input=new["certificate"])[0], "was not reached")
    with Server(pair("mutual", new), new["root_certificate"]) as url:  # it wants to know who comes, which is not told
        said(0, "certificate", "served", "-server-name=app.example.com", "-", url.split("/")[2], input=new["certificate"])
    contains(said(1, "certificate", "served", "-", *places, input="no certificate")[1], "no certificate in PEM")


def rotation(secret):
    return json.loads(good("rotate", "-detach", "-o", "json", secret))["data"]["run"]


def story(run):
    return json.loads(good("run", "show", "-o", "json", run))["data"]


def comes_to_say(run, text):
    wait_for("the run to say " + text, lambda: text in json.dumps(story(run)))


def a_run_waits_for_its_servers():
    """A worker asks: who reads its files late holds the run; who never does has it go back."""
    authorities()
    old = issue("secret/tls/waits", type="x509", issuer="secret/ca/web", names="app.example.com")
    with Shows("first", old) as one, Shows("second", old) as two:
        places = ["127.0.0.1:%d" % one.port, "127.0.0.1:%d" % two.port]
        good("schedule", "set", "secret/tls/waits", "served_at=" + ",".join(places), "served_name=app.example.com",
             "on_ack_timeout=hold")
        began = rotation("secret/tls/waits")
        new = value("secret/tls/waits")
        equal(new["serial_number"] == old["serial_number"], False)
        one.load(new)
        comes_to_say(began, places[0] + " shows it (SHA-256 ")
        comes_to_say(began, places[1] + " shows the certificate of before (SHA-256 ")
        equal(story(began)["state"], "acking")
        waits = "waits   for listeners 1/2 to show v2: " + places[1]
        wait_for("run why to say " + waits, lambda: waits in good("run", "why", "secret/tls/waits"))
        contains(said(2, "kv", "put", "secret/tls/waits", "-", input="{\"a\": \"b\"}")[1], "KT-R-005")
        vault.kill()  # what was seen is looked at again
        vault.start()
        vault.unseal()
        two.load(new)
        good("run", "watch", began)
        contains(good("run", "report", began), "v2 is current; 2 of 2 listeners show it.")
        good("schedule", "set", "secret/tls/waits", "on_ack_timeout=rollback", "ack_timeout=1")
        began = rotation("secret/tls/waits")
        said(2, "run", "watch", began)
        text = good("run", "report", began)
        contains(text, "# ROLLED BACK  secret/tls/waits: v2 is current again; v3 lasts until it ends or is revoked.")
        contains(text, places[0] + " shows the certificate of before (SHA-256 ")
        equal(value("secret/tls/waits"), new)
        for server in (one, two):  # nobody was cut off
            said(0, "certificate", "served", "-", "127.0.0.1:%d" % server.port, input=new["certificate"])


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
    good("rotate", "secret/tls/own")
    renewed = value("secret/tls/own")
    equal(renewed["serial_number"] == leaf["serial_number"], False)
    equal(run("openssl", "x509", "-noout", "-pubkey", input=renewed["certificate"]).stdout,
          run("openssl", "pkey", "-in", key, "-pubout").stdout)
    equal("evil" in shown(leaf["certificate"]), False)
    lines = text.splitlines()
    lines[-3] = lines[-3][:4] + ("A" if lines[-3][4] != "A" else "B") + lines[-3][5:]
    _, err = said(2, "schedule", "set", "secret/tls/own", "generator.type=x509", "generator.issuer=secret/ca/web",
                  "generator.names=own.example.com", "generator.request=" + "\n".join(lines) + "\n")
    contains(err, "request: ")


# ---- revoked ----

def revoked():
    authorities()
    leaf = issue("secret/tls/lost", type="x509", issuer="secret/ca/web", names="lost.example.com")
    kept = issue("secret/tls/kept", type="x509", issuer="secret/ca/web", names="kept.example.com")
    contains(said(0, "certificate", "revoke", "secret/tls/kept", "--reason=nobody is told")[1], "so nobody is told")
    crl = issue("secret/ca/web-crl", type="x509-crl", issuer="secret/ca/web", life="24h")
    data = json.loads(good("schedule", "show", "-o", "json", "secret/ca/web-crl"))["data"]
    equal((data["period"], data["jitter"], data["max_age"]), ("12h0m0s", "1h0m0s", "18h0m0s"))

    def checked(data, crl, *more):
        return verify(data, "-crl_check", "-CRLfile", file("crl.pem", crl["crl"]), *more)

    contains(checked(kept, crl).stderr, "certificate revoked")
    equal(checked(leaf, crl).returncode, 0, checked(leaf, crl).stderr)
    good("rotate", "secret/tls/lost")
    contains(good("certificate", "revoke", "secret/tls/lost", "--version=1", "--reason=key was in a backup"),
             "secret/ca/web-crl is made anew now")
    newer = wait_for("the list to be made anew", lambda: [v for v in [value("secret/ca/web-crl")] if v["revoked"] == 2])[0]
    equal(newer["crl_number"] > crl["crl_number"], True)
    contains(checked(leaf, newer).stderr, "certificate revoked")
    equal(checked(value("secret/tls/lost"), newer).returncode, 0)
    shown_list = good("certificate", "revoked", "secret/ca/web")
    for word in (leaf["serial_number"], kept["serial_number"], "secret/tls/lost", "key was in a backup"):
        contains(shown_list, word)
    # Past its next update a list says nothing any more: who checks refuses everybody.
    end = datetime.fromisoformat(newer["next_update"].replace("Z", "+00:00")).timestamp()
    contains(checked(value("secret/tls/lost"), newer, "-attime", str(int(end) + 2)).stderr, "CRL has expired")


def revoked_of(issuer):
    return json.loads(good("certificate", "revoked", "-o", "json", issuer))["data"]["revoked"]


def revoking_what_is_anothers():
    authorities()
    other = issue("secret/tls/other", type="x509", issuer="secret/ca/web", names="other.example.com")
    issue("secret/tls/mine", type="x509", issuer="secret/ca/web", names="mine.example.com")
    mine = value("secret/tls/mine")
    good("kv", "put", "secret/tls/mine", "-", input=json.dumps(dict(mine, certificate=other["certificate"])))
    contains(said(2, "certificate", "revoke", "secret/tls/mine")[1], "is not its own")
    contains(said(2, "certificate", "revoke", "secret/ca/root")[1], "no certificate that an issuer signed")
    contains(said(2, "certificate", "revoke", "secret/tls/mine", "--version=9")[1], "no version 9")
    contains(said(2, "certificate", "revoke", "secret/tls/none")[1], "secret/tls/none")
    good("schedule", "set", "secret/tls/other", "generator.type=x509", "generator.issuer=secret/ca/root",
         "generator.names=other.example.com")
    contains(said(2, "certificate", "revoke", "secret/tls/other")[1], "no version of the issuer 'secret/ca/root'")


def a_server_that_reads_the_list():
    """Who was let in before is refused once his certificate is on the list; everybody is when it has ended."""
    authorities()
    server, client = value("secret/tls/app"), issue("secret/tls/leaver", type="x509", issuer="secret/ca/web",
                                                    names="orders.example.com", usage="client")
    stays = issue("secret/tls/stays", type="x509", issuer="secret/ca/web", names="orders.example.com", usage="client")

    def comes(data):
        crt, key = pair("comes", data)
        with Server(pair("server", server), server["root_certificate"], value("secret/ca/web-crl")["crl"]) as url:
            return run("curl", "-sS", "--max-time", "20", "--cacert", file("trust.pem", server["root_certificate"]),
                       "--cert", crt, "--key", key, url).returncode == 0

    equal((comes(client), comes(stays)), (True, True))
    before = value("secret/ca/web-crl")["crl_number"]
    good("certificate", "revoke", "secret/tls/leaver", "--reason=left")
    wait_for("the list to be made anew", lambda: value("secret/ca/web-crl")["crl_number"] > before)
    equal((comes(client), comes(stays)), (False, True))
    first = [row for row in revoked_of("secret/ca/web") if row["secret"] == "secret/tls/leaver"]
    contains(said(0, "certificate", "revoke", "secret/tls/leaver", "--reason=really left")[1], "it was revoked before")
    again = [row for row in revoked_of("secret/ca/web") if row["secret"] == "secret/tls/leaver"]
    equal([dict(row, reason="really left") for row in first], again)


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


def at_a_real_sshd():
    """TrustedUserCAKeys, HostCertificate and RevokedKeys, all from the vault; the list as ssh-keygen reads it, too."""
    ssh_authority()
    krl = issue("secret/ca/ssh-krl", type="ssh-krl", issuer="secret/ca/ssh")
    users = {name: issue("secret/ssh/" + name, type="ssh-cert", issuer="secret/ca/ssh", names="deploy")
             for name in ("leaver", "stays")}
    sshd = Sshd()
    host = issue("secret/ssh/here", type="ssh-cert", issuer="secret/ca/ssh", names="127.0.0.1", usage="host",
                 request=sshd.host_key.public)

    def put(name, content):
        path = os.path.join(sshd.folder, name)
        with open(path + ".new", "wb") as f:
            f.write(content)
        os.chmod(path + ".new", 0o644)
        os.rename(path + ".new", path)
        return path

    def key_of(name):
        key = sshd.key(private=users[name]["private_key"])
        with open(key.path + "-cert.pub", "w") as f:
            f.write(users[name]["certificate"] + "\n")
        return key

    def revoked_by(path, key):
        done = run("ssh-keygen", "-Q", "-f", path, key.path + "-cert.pub")
        equal("REVOKED" in done.stdout, done.returncode != 0, done.stdout + done.stderr)
        return done.returncode != 0

    try:
        for account in ("deploy", "other"):
            sshd.account(account)
        keys = {name: key_of(name) for name in users}
        bare = sshd.key(private=users["stays"]["private_key"])
        path = put("revoked", base64.b64decode(krl["krl"]))
        sshd.settings = "\n".join((
            "TrustedUserCAKeys " + put("authority", users["stays"]["root_certificate"].encode() + b"\n"),
            "HostCertificate " + put("host-cert.pub", host["certificate"].encode() + b"\n"), "RevokedKeys " + path))
        sshd.start()

        def comes(key, user="deploy", trusted=host["root_certificate"]):
            return sshd.login(user, key, trusted=trusted)

        equal([comes(keys["leaver"]), comes(keys["stays"]), comes(bare), comes(keys["stays"], "other")],
              ["A", "A", "R", "R"])
        contains(comes(keys["stays"], trusted=bare.public), "Host key verification failed")
        equal([revoked_by(path, keys[name]) for name in ("leaver", "stays")], [False, False])
        contains(good("certificate", "revoke", "secret/ssh/leaver", "--reason=left"), "secret/ca/ssh-krl is made anew now")
        newer = wait_for("the list to be made anew", lambda: [v for v in [value("secret/ca/ssh-krl")] if v["revoked"] == 1])[0]
        put("revoked", base64.b64decode(newer["krl"]))
        equal([revoked_by(path, keys[name]) for name in ("leaver", "stays")], [True, False])
        equal([comes(keys["leaver"]), comes(keys["stays"])], ["R", "A"])
        equal([row["serial_number"] for row in revoked_of("secret/ca/ssh")], [users["leaver"]["serial_number"]])
    finally:
        sshd.remove()
    issue("secret/ssh/foreign", type="ssh-cert", issuer="secret/ca/ssh", names="deploy")
    stolen = dict(value("secret/ssh/foreign"), certificate=users["stays"]["certificate"])
    good("kv", "put", "secret/ssh/foreign", "-", input=json.dumps(stolen))
    contains(said(2, "certificate", "revoke", "secret/ssh/foreign")[1], "is not its own")


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
    contains(said(2, *words, token=token)[1], "the issuer may not sign for an authority")


def outside_of_its_names():
    authorities()
    why = "version 1 of the issuer 'secret/ca/web': the issuer may not sign for the name 'example.org'"
    words = ["schedule", "set", "secret/tls/out", "generator.type=x509", "generator.issuer=secret/ca/web"]
    contains(said(2, *words, "generator.names=example.org")[1], why)
    # An issuer that changes afterwards.
    issue("secret/ca/moves", type="x509-ca", common_name="Moves", names="example.com")
    words[-1] = "generator.issuer=secret/ca/moves"
    good(*words, "generator.names=a.example.com")
    issue("secret/ca/moves", type="x509-ca", common_name="Moves", names="example.org")
    why = "version 2 of the issuer 'secret/ca/moves': the issuer may not sign for the name 'a.example.com'"
    contains(good("run", "why", "secret/tls/out"), "cannot  " + why)
    contains(said(2, "rotate", "secret/tls/out")[1], why)
    contains(said(2, "rotate", "secret/tls/out", "--dry-run")[0], why)


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
    words = ["generator.type=x509", "generator.issuer=secret/plain", "generator.names=a.de"]
    contains(said(2, "schedule", "set", "secret/tls/x", *words)[1], "reading the issuer's")


CASES = [
    ("a chain", a_chain),
    ("only while it lasts", only_while_it_lasts),
    ("each has its own key", each_has_its_own_key),
    ("a pair, at any time", a_pair_at_any_time),
    ("each server shows it", each_server_shows_it),
    ("a run waits for its servers", a_run_waits_for_its_servers),
    ("Ed25519", ed25519),
    ("server and client", server_and_client),
    ("a request", a_request),
    ("revoked", revoked),
    ("revoking what is another's", revoking_what_is_anothers),
    ("a server that reads the list", a_server_that_reads_the_list),
    ("SSH, a user", ssh_user),
    ("SSH, a host by its key", ssh_host_by_its_key),
    ("SSH, at a real sshd", at_a_real_sshd),
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
