#!/usr/bin/env python3
"""secretctl against a real vaultd: every command, on a terminal and in a pipeline.

    tests/integration/cli.py ['part of a case name']
"""
import glob
import http.server
import json
import os
import queue
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
from between import Between  # noqa: E402
from jwt_signer import Signer  # noqa: E402
from keyturn import DEADLINE, ROOT, Report, Vault, contains, equal, free_port, program, wait_for  # noqa: E402
from terminal import Terminal  # noqa: E402

report = Report()
CTL = program("secretctl")
scratch = tempfile.mkdtemp(prefix="kt-cli-")
vault = Vault(tls=True)


def ctl(*words, **more):
    return vault.ctl(*words, check=False, **more)


def good(*words, **more):
    """Its output; the exit code is 0."""
    done = ctl(*words, **more)
    equal(done.returncode, 0, "exit code of %s (%s%s)" % (" ".join(words), done.stdout, done.stderr))
    return done.stdout


def bad(code, *words, says=(), **more):
    """It fails with the code and says each of the texts, and nothing of what it was given."""
    done = ctl(*words, **more)
    equal(done.returncode, code, "exit code of %s (%s%s)" % (" ".join(words), done.stdout, done.stderr))
    for text in [says] if isinstance(says, str) else says:
        contains(done.stderr, text, "%s: " % " ".join(words))
    return done.stderr


def file(name, text):
    path = os.path.join(scratch, name)
    with open(path, "w") as f:
        f.write(text)
    return path


def at_terminal(*words, token=None, **more):
    return Terminal([CTL, *words], vault.environment(token, **more))


# ---- the vault itself ----

def init_and_unseal():
    bad(2, "operator", "init", "-status")
    bad(2, "status")
    out = good("operator", "init", "-key-shares=5", "-key-threshold=3")
    keys = re.findall(r"^Unseal Key \d: (\S+)$", out, re.M)
    equal(len(keys), 5, "keys in %r" % out)
    vault.shares, vault.threshold = keys, 3
    vault.root = vault.token = re.search(r"^Initial Root Token: (\S+)$", out, re.M).group(1)
    good("operator", "init", "-status")
    equal(json.loads(good("operator", "init", "-status", "-o", "json")), {"initialized": True})
    bad(2, "operator", "init", says="already initialized")
    equal(bad(2, "kv", "get", "secret/x").count("secretctl operator unseal"), 1, "the way on")
    equal(bad(2, "policy", "list").count("secretctl operator unseal"), 1, "the way on")
    # Two on the standard input, the same one twice; the third at a terminal.
    done = ctl("operator", "unseal", "-", input="\n%s\n%s\n%s\n" % (keys[0], keys[0], keys[1]))
    equal(done.returncode, 0)
    contains(done.stderr, "given already: 1 of 3")
    contains(done.stderr, "1 more")
    with at_terminal("operator", "unseal") as t:
        t.expect("Unseal Key (not shown): ")
        equal(t.echoes(), False, "echo")
        t.send("wrong\n")
        equal(t.end(), 2)
        contains(t.text, "44 base64 characters")
        equal("wrong" in t.text, False, "the key on the screen")
    with at_terminal("operator", "unseal") as t:
        t.expect("Unseal Key (not shown): ")
        t.send(keys[2] + "\n")
        equal(t.end(), 0)
        contains(t.text, "Sealed             false")
        equal(keys[2] in t.text, False, "the key on the screen")
    good("status")
    good("secrets", "enable", "-path=secret", "kv-v2")
    good("kv", "put", "secret/fixed", "password=-", input="geheim")


def a_key_is_no_argument():
    bad(1, "operator", "unseal", vault.shares[0], says="never an argument")


def seal_and_unseal_again():
    good("operator", "seal")
    bad(2, "status")
    good("unseal", "-", input="\n".join(vault.shares[1:4]))
    good("status")


def new_keys(out):
    keys = re.findall(r"^Unseal Key \d: (\S+)$", out, re.M)
    return keys, re.search(r"^Key Set: (\S+)$", out, re.M).group(1)


def nonce_of(*words):
    return json.loads(good("operator", *words, "-status", "-o", "json"))["nonce"]


def keys_are_made_anew():
    old = vault.shares
    bad(1, "operator", "rekey", "-", input=old[0], says="no rekey is in progress")
    contains(good("operator", "rekey", "-init", "-n", "4", "-t", "2"), "Verification Required    true")
    bad(2, "operator", "rekey", "-init", says=["already in progress", "-cancel"])
    bad(1, "operator", "rekey", "-", input=old[0], says=["-nonce=NONCE", "tells what the key is given for"])
    bad(1, "operator", "rekey", old[0], says="never an argument")
    bad(1, "operator", "rekey", "-init", "-cancel", says="one thing at a time")
    bad(1, "operator", "rekey", "-verify", "-", input=old[0], says="no new keys were handed out")
    nonce = nonce_of("rekey")
    done = ctl("operator", "rekey", "-nonce", nonce, "-", input="\n" + old[0] + "\n", token="dead")
    equal(done.returncode, 0)
    contains(done.stdout, "Progress                 1")
    bad(2, "operator", "rekey", "-nonce", nonce, "-", input=old[0], says="already been provided")
    bad(2, "operator", "rekey", "-nonce", "other", "-", input=old[1], says="incorrect nonce")
    with at_terminal("operator", "rekey") as t:
        t.expect(nonce)
        t.expect("Unseal Key (not shown): ")
        equal(t.echoes(), False, "echo")
        t.send(old[3] + "\n")
        t.expect("Unseal Key (not shown): ")
        t.send(old[1] + "\n")
        equal(t.end(), 0)
        keys, key_set = new_keys(t.text.replace("\r", ""))
        contains(t.text, "secretctl operator rekey -verify")
        equal(old[3] in t.text, False, "the key on the screen")
    equal(len(keys), 4, "new keys")
    equal(key_set in good("status"), False, "the set that has not come back yet")
    verify = nonce_of("rekey", "-verify")
    good("operator", "rekey", "-verify", "-nonce", verify, "-", input=keys[3])
    contains(good("operator", "rekey", "-verify", "-cancel"), "begin again with the first")
    verify = nonce_of("rekey", "-verify")
    done = ctl("operator", "rekey", "-verify", "-nonce", verify, "-", input=keys[3] + "\n" + keys[0])
    equal(done.returncode, 0)
    contains(done.stderr, "still opens with the old keys")
    contains(good("status"), key_set)
    good("operator", "seal")
    bad(2, "operator", "unseal", "-", input="\n".join(old[:3]), says="Unseal failed, invalid key")
    good("operator", "unseal", "-", input="\n".join(keys[1:3]))
    # And back to three of five, as the rest of these tests has it; without verification.
    done = ctl("operator", "rekey", "-init", "-verify=false", "-key-shares=5", "-key-threshold=3")
    contains(done.stderr, "nobody can unseal")
    good("operator", "rekey", "-cancel")
    good("operator", "rekey", "-init", "-verify=false", "-key-shares=5", "-key-threshold=3")
    out = good("operator", "rekey", "-nonce", nonce_of("rekey"), "-", input="\n".join(keys[:2]))
    vault.shares, _ = new_keys(out)
    equal(len(vault.shares), 5, "new keys")


class Uncertain(http.server.BaseHTTPRequestHandler):
    """A vault whose disk fails in the commit of a rekey."""

    def answer(self, status, document):
        body = json.dumps(document).encode() + b"\n"
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self):
        self.answer(200, {"nonce": "n", "started": True, "progress": 2, "required": 3})

    def do_PUT(self):
        self.rfile.read(int(self.headers["Content-Length"]))
        self.answer(500, {"errors": ["outcome unknown: the disk failed", "look whether"],
                          "data": {"keys_base64": ["a2V5MQ==", "a2V5Mg=="], "key_set_id": "set-2"}})

    def log_message(self, *_):
        pass


def new_keys_that_may_be_the_vaults_are_shown():
    with http.server.HTTPServer(("127.0.0.1", 0), Uncertain) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        done = ctl("operator", "rekey", "-address", "http://127.0.0.1:%d" % server.server_port, "-nonce=n", "-",
                   input="x\n")
        server.shutdown()
    equal(done.returncode, 2)
    contains(done.stderr, "outcome unknown")
    equal(new_keys(done.stdout), (["a2V5MQ==", "a2V5Mg=="], "set-2"))
    contains(done.stdout, "Keep these AND the old ones")


def a_root_token_is_made():
    pad = os.path.join(scratch, "pad")
    bad(1, "operator", "generate-root", "-", input="x", says="no root token is being made")
    out = good("operator", "generate-root", "-init")
    shown = re.search(r"^One-Time Pad: (\S+)$", out, re.M).group(1)
    good("operator", "generate-root", "-cancel")
    out = good("operator", "generate-root", "-init", "-otp", pad)
    equal("One-Time Pad" in out, False, "the pad on the screen")
    equal(os.stat(pad).st_mode & 0o777, 0o600)
    nonce = nonce_of("generate-root")
    bad(1, "operator", "generate-root", vault.shares[0], says="never an argument")
    done = ctl("operator", "generate-root", "-nonce", nonce, "-", input="\n".join(vault.shares[:2]))
    contains(done.stdout, "Progress         2")
    with at_terminal("operator", "generate-root") as t:
        t.expect(nonce)
        t.expect("Unseal Key (not shown): ")
        t.send(vault.shares[4] + "\n")
        equal(t.end(), 0)
        encoded = re.search(r"Encoded Token +(\S+)", t.text).group(1)
    token = good("operator", "generate-root", "-decode", "-otp", pad, "-", input=encoded + "\n").strip()
    with at_terminal("operator", "generate-root", "-decode") as t:
        t.expect("Encoded token (not shown): ")
        t.send(encoded + "\n")
        t.expect("One-time pad (not shown): ")
        with open(pad) as f:
            t.send(f.read().strip() + "\n")
        equal(t.end(), 0)
        contains(t.text, token)
    contains(good("token", "lookup", token=token), "root")
    bad(1, "operator", "generate-root", "-decode", encoded, says="never an argument")
    bad(1, "operator", "generate-root", "-decode", "-otp", pad, "-", input=encoded[1:], says="do not belong together")
    bad(1, "operator", "generate-root", "-decode", "-", input=encoded, says="-otp=FILE")
    equal(shown in token, False)
    good("token", "revoke", "-self", token=token)


def the_store():
    contains(good("operator", "storage"), "In Use")
    nothing = ctl("operator", "compact", "-stop")
    equal((nothing.returncode, nothing.stdout), (0, ""), "stopping what is not under way")
    equal(nothing.stderr.count("no compaction is under way"), 1, nothing.stderr)
    with at_terminal("operator", "reencrypt", token=vault.root) as t:
        equal(t.end(), 0)
        equal(t.text.index("Success!") < t.text.index("next "), True, "what comes first: " + t.text)
    contains(good("operator", "compact"), "Success! the file had")


def the_keyring():
    before = int(json.loads(good("operator", "key-status", "-o", "json"))["data"]["term"])
    contains(good("operator", "rotate"), "Key Term            %d" % (before + 1))


# ---- login and tokens ----

def login():
    home = os.path.join(scratch, "home")
    os.mkdir(home)
    env = dict(vault.environment(), HOME=home)
    env.pop("VAULT_TOKEN")
    run = lambda *words, **more: subprocess.run([CTL, *words], env=env, text=True,
                                                capture_output=True, **more)
    equal(run("token", "lookup", stdin=subprocess.DEVNULL).returncode, 2)
    done = run("login", "-", input=vault.root + "\n")
    equal(done.returncode, 0, done.stderr)
    path = os.path.join(home, ".vault-token")
    equal(oct(os.stat(path).st_mode & 0o777), "0o600")
    equal(open(path).read(), vault.root)
    equal(run("token", "lookup", stdin=subprocess.DEVNULL).returncode, 0)
    os.chmod(path, 0o644)
    done = run("token", "lookup", stdin=subprocess.DEVNULL)
    equal(done.returncode, 1)
    contains(done.stderr, "chmod 600")
    os.chmod(path, 0o600)
    done = run("login", "-", input="hvs.nonsense\n")
    equal(done.returncode, 2)
    contains(done.stderr, "expired, was revoked or mistyped")
    equal("hvs.nonsense" in done.stdout + done.stderr, False, "the token in the message")
    equal(open(path).read(), vault.root, "the old token after a failed login")


def login_at_a_terminal():
    home = os.path.join(scratch, "home2")
    os.mkdir(home)
    with at_terminal("login", HOME=home, VAULT_TOKEN="") as t:
        t.expect("Token (not shown): ")
        t.send(vault.root + "\n")
        equal(t.end(), 0)
        contains(t.text, "You are logged in")
        equal(vault.root in t.text, False, "the token on the screen")


def ways_to_log_in():
    home = os.path.join(scratch, "home3")
    os.mkdir(home)
    path = os.path.join(home, ".vault-token")
    env = dict(vault.environment(), HOME=home)
    env.pop("VAULT_TOKEN")
    run = lambda *words, **more: subprocess.run([CTL, *words], env=env, text=True,
                                                capture_output=True, **more)
    contains(good("auth", "enable", "-path=people", "-description=all of us", "-max-lease-ttl=2h", "userpass"),
             "Enabled userpass auth method at: people/")
    good("auth", "enable", "approle")
    contains(good("auth", "list"), "people/")
    contains(good("auth", "list"), "all of us")
    good("auth", "tune", "-default-lease-ttl=1h", "people/")
    good("write", "auth/people/users/bob", "password=-", input="right")
    done = run("login", "-method=userpass", "-path=people", "username=bob", input="right\n")
    equal(done.returncode, 0, done.stderr)
    contains(done.stdout, "You are logged in")
    contains(done.stdout, "lease_duration    1h")
    equal(open(path).read() in done.stdout + done.stderr, False, "the token on the screen")
    contains(run("token", "lookup", stdin=subprocess.DEVNULL).stdout, "people-bob")
    before = open(path).read()
    done = run("login", "-method=userpass", "-path=people", "username=bob", input="wrong\n")
    equal(done.returncode, 2)
    contains(done.stderr, "invalid username or password")
    equal(open(path).read(), before, "the old token after a failed login")
    with at_terminal("login", "-method=userpass", "-path=people", "username=bob", HOME=home, VAULT_TOKEN="") as t:
        t.expect("password")
        equal(t.echoes(), False)
        t.send("right\n")
        equal(t.end(), 0)
        equal("right" in t.text, False, "the password on the screen")
    good("write", "auth/approle/role/ci", "-", input='{"role_id":"chosen"}')
    secret = good("write", "-field=secret_id", "auth/approle/role/ci/secret-id", "-", input='{"ttl":"1h"}')
    file = os.path.join(home, "secret-id")
    with open(file, "w") as f:
        f.write(secret)
    token = run("login", "-method=approle", "-no-store", "-field=token", "role_id=chosen", "secret_id=@" + file,
                stdin=subprocess.DEVNULL).stdout
    contains(good("token", "lookup", token=token), "approle")
    signer = Signer()
    good("auth", "enable", "jwt")
    good("write", "auth/jwt/config", "-", input=json.dumps({"jwks": {"keys": [signer.jwk()]}}))
    good("write", "auth/jwt/role/job", "-", input='{"role_type":"jwt","user_claim":"sub","bound_audiences":"vault"}')
    file = os.path.join(home, "token")
    with open(file, "w") as f:
        f.write(signer.token() + "\n")
    token = run("login", "-method=jwt", "-no-store", "-field=token", "role=job", "jwt=@" + file, stdin=subprocess.DEVNULL).stdout
    contains(good("token", "lookup", token=token), "jwt-bob")
    token = run("login", "-method=jwt", "-no-store", "-field=token", "role=job", "jwt=-", input=signer.token()).stdout
    contains(good("token", "lookup", token=token), "jwt-bob")
    done = run("login", "-method=unix", "password=x", stdin=subprocess.DEVNULL)
    equal(done.returncode, 1)
    contains(done.stderr, "leave it out: none is taken here")
    # A token that is not kept is shown; one that cannot be kept is not made, or taken back.
    words, before = ["login", "-method=userpass", "-path=people", "username=bob"], open(path).read()
    done = run(*words, "-no-store", input="right\n")
    token = [line.split()[1] for line in done.stdout.splitlines() if line.startswith("token ")][0]
    contains(good("token", "lookup", token=token), "people-bob")
    equal(open(path).read(), before, "the old token after -no-store")
    done = run(*words, "-no-store", "-no-print", input="right\n")
    equal(done.returncode, 1)
    contains(done.stderr, "nobody would have the token")
    logins = []

    def alter(method, asked, answer):
        got = answer()
        logins.append(asked)
        if asked.startswith("auth/people/login"):
            os.remove(path)
            os.mkdir(path)
        return got
    with Between(vault, alter) as between:
        env["VAULT_ADDR"] = between.address
        done = run(*words, input="right\n")
        equal(done.returncode, 1, done.stderr)
        contains(done.stderr, "its token is revoked")
        equal(logins, ["auth/people/login/bob", "auth/token/revoke-self"])
        done = run(*words, input="right\n")
        equal(done.returncode, 1)
        contains(done.stderr, ".vault-token': it is a folder")
        contains(done.stderr, "nobody was logged in")
        equal(len(logins), 2, "what was asked")
    os.rmdir(path)
    env["VAULT_ADDR"] = vault.address
    good("auth", "tune", "-default-lease-ttl=45s", "people/")
    contains(run(*words, input="right\n").stdout, "lease_duration    45s")
    good("auth", "disable", "-force", "people")
    equal(run("token", "lookup", stdin=subprocess.DEVNULL).returncode, 2)


def a_signal_while_asking_puts_the_echo_back():
    with at_terminal("login") as t:
        t.expect("Token (not shown): ")
        equal(t.echoes(), False)
        os.kill(t.pid, signal.SIGINT)
        code = t.end()
        equal(code, -signal.SIGINT)


def tokens():
    out = json.loads(good("token", "create", "-policy=default", "-ttl=1h", "-display-name=ci",
                          "-metadata=team=orders", "-o", "json"))["auth"]
    token, accessor = out["client_token"], out["accessor"]
    equal(out["metadata"], {"team": "orders"})
    contains(good("token", "lookup", token=token), "token-ci")
    contains(good("token", "lookup", "-", input=token), accessor)
    contains(good("token", "lookup", "-accessor", accessor), "team")
    contains(good("token", "renew", "-increment=30m", token=token), "token_duration     30m")
    equal(good("token", "capabilities", "sys/mounts", token=token), "deny\n")
    equal(good("token", "capabilities", "sys/mounts"), "root\n")
    equal(good("token", "capabilities", "-accessor", accessor, "sys/mounts"), "deny\n")
    bad(1, "token", "lookup", token, says="never an argument")
    bad(2, "secrets", "list", token=token, says="token capabilities sys/mounts")
    bad(1, "token", "revoke", says="-self")
    good("token", "revoke", "-accessor", accessor)
    bad(2, "token", "lookup", token=token, says="secretctl login")
    short = good("token", "create", "-policy=default", "-field=token").strip()
    good("token", "revoke", "-self", token=short)
    bad(2, "token", "lookup", token=short)
    bad(1, "token", "create", "-token=" + vault.root, says="never an argument")


def leases():
    token = good("token", "create", "-policy=default", "-ttl=1h", "-field=token").strip()
    equal(good("lease", "list", "auth/token").strip(), "create/")
    name = good("lease", "list", "auth/token/create").split()[-1]
    lease = "auth/token/create/" + name
    shown = good("lease", "lookup", lease)
    contains(shown, "issue_time")
    contains(shown, lease)
    equal(good("lease", "lookup", "-field=path", lease).strip(), "auth/token/create")
    bad(2, "lease", "renew", lease, says="tokens cannot be renewed through this endpoint")
    bad(2, "lease", "lookup", "auth/token/create/h0", says="invalid lease")
    bad(1, "lease", "revoke", "-force", lease, says="only for a -prefix")
    contains(good("lease", "revoke", "-sync", lease), "revoked")
    bad(2, "lease", "lookup", lease)
    for flags in (("-prefix",), ("-prefix", "-force"), ("-prefix", "-sync")):
        token = good("token", "create", "-policy=default", "-ttl=1h", "-field=token").strip()
        good("lease", "revoke", *flags, "auth/token/create/")
        bad(2, "token", "lookup", token=token, says="secretctl login")
    contains(ctl("lease", "list", "auth/none").stderr, "There are no leases there.")


# ---- secrets ----

def put_and_get():
    contains(good("kv", "put", "secret/app", "user=@" + file("user", "app"), "password=-",
                  input="geheim"), "secret/app is version 1 now")
    equal(good("kv", "get", "-field=password", "secret/app"), "geheim")
    equal(good("kv", "get", "--field", "user", "secret/app"), "app")
    table = good("get", "secret/app")
    contains(table, "secret/app   version 1, written ")
    contains(table, "password    geheim")
    got = json.loads(good("kv", "get", "secret/app", "-o", "json"))
    equal(got["data"]["data"], {"user": "app", "password": "geheim"})
    equal(json.loads(good("kv", "get", "-format=json", "-field=user", "secret/app")), "app")
    equal(good("kv", "get", "-mount=secret", "-field=user", "app"), "app")
    contains(ctl("kv", "get", "secret/data/app").stderr, "belongs to the API's path")
    bad(1, "kv", "get", "-field=nope", "secret/app", says="no field 'nope'")
    bad(2, "kv", "get", "secret/none", says="there is no secret/none")
    bad(2, "kv", "get", "elsewhere/x", says="no KV mount")


def a_file_from_the_shell():
    """<(command), which an undumpable process must not open by its name."""
    done = subprocess.run(["bash", "-c", '"$0" kv put secret/sub a=@<(echo one) b=@<(echo -n two)', CTL],
                          env=vault.environment(), text=True, capture_output=True)
    equal(done.returncode, 0, done.stderr)
    contains(done.stderr, "the newline at the end of 'a' is kept")
    equal("'b'" in done.stderr, False, "nothing is said of b")
    equal(good("kv", "get", "-field=b", "secret/sub"), "two")
    equal(good("kv", "get", "-field=a", "secret/sub"), "one\n", "every byte")


def numbers_keep_their_digits():
    text = '{"n":12345678901234567890,"f":1.0,"e":1e3}'
    good("kv", "put", "secret/numbers", "-", input=text)
    contains(good("kv", "get", "secret/numbers"), "12345678901234567890")
    equal(good("kv", "get", "-field=f", "secret/numbers"), "1.0")
    equal(good("kv", "get", "-field=e", "secret/numbers"), "1e3")


def a_value_is_no_argument():
    said = bad(1, "kv", "put", "secret/app", "password=hunter2",
               says=["stands on the command line", "password=@FILE", "secretctl kv put secret/app -"])
    equal("hunter2" in said, False, "the value in the message")
    equal(good("kv", "get", "-field=password", "secret/app"), "geheim")


def put_asks_at_a_terminal():
    with at_terminal("kv", "put", "secret/asked", "password=") as t:
        t.expect("password (not shown): ")
        equal(t.echoes(), False)
        t.send("typed in\n")
        t.expect("password once more: ")
        t.send("typed on\n")
        equal(t.end(), 1)
        contains(t.text, "differ; nothing was written")
    with at_terminal("kv", "put", "secret/asked", "password=") as t:
        t.expect("password (not shown): ")
        t.send("typed in\n")
        t.expect("password once more: ")
        t.send("typed in\n")
        equal(t.end(), 0)
        equal("typed in" in t.text, False, "the value on the screen")
    equal(good("kv", "get", "-field=password", "secret/asked"), "typed in")
    with at_terminal("kv", "get", "-field=password", "secret/asked") as t:
        equal(t.end(), 0)
        contains(t.text, "typed in\r\n", "a newline at a terminal")


def put_names_what_it_drops():
    good("kv", "put", "secret/keys", "-", input='{"a":"1","b":"2","c":"3"}')
    done = ctl("kv", "put", "secret/keys", "-", input='{"a":"1"}')
    equal(done.returncode, 0)
    contains(done.stderr, "no longer in secret/keys: b, c")
    contains(done.stderr, "kv rollback -version=1 secret/keys")
    good("kv", "put", "secret/keys", "-", input='{"a":"1","b":"2"}')
    value = file("a", "new")
    with at_terminal("kv", "put", "secret/keys", "a=@" + value) as t:
        equal(t.end(), 1)
        contains(t.text, "this would drop from secret/keys: b")
        contains(t.text, "--replace")
    equal(good("kv", "get", "-field=b", "secret/keys"), "2")
    with at_terminal("kv", "put", "--replace", "secret/keys", "a=@" + value) as t:
        equal(t.end(), 0)
    bad(1, "kv", "get", "-field=b", "secret/keys")


def patch_and_cas():
    good("kv", "put", "secret/cas", "-cas=0", "-", input='{"a":"1","b":"2"}')
    bad(2, "kv", "put", "-cas=0", "secret/cas", "-", input="{}", says="check-and-set")
    good("kv", "patch", "-cas=1", "secret/cas", "a=-", input="9")
    good("kv", "patch", "-remove-data=b", "secret/cas")
    equal(json.loads(good("kv", "get", "-o", "json", "secret/cas"))["data"]["data"], {"a": "9"})
    bad(1, "kv", "patch", "secret/cas", says="nothing to change")


def versions():
    for i in range(3):
        good("kv", "put", "secret/v", "a=-", input="value %d" % (i + 1))
    good("kv", "delete", "secret/v")
    bad(2, "kv", "get", "secret/v", says=["was deleted at", "kv undelete -versions=3"])
    equal(good("kv", "get", "-version=2", "-field=a", "secret/v"), "value 2")
    good("kv", "undelete", "-versions=3", "secret/v")
    good("kv", "destroy", "-versions=1", "secret/v")
    bad(2, "kv", "get", "-version=1", "secret/v", says="destroyed")
    bad(2, "kv", "get", "-version=9", "secret/v", says=["no version 9 of secret/v", "kv history secret/v"])
    rows = good("kv", "history", "secret/v").splitlines()
    equal(len(rows), 5)
    contains(rows[2], "current")
    contains(rows[4], "destroyed")
    good("kv", "rollback", "-version=2", "secret/v")
    equal(good("kv", "get", "-field=a", "secret/v"), "value 2")
    equal(json.loads(good("kv", "get", "-o", "json", "secret/v"))["data"]["metadata"]["version"], 4)
    bad(1, "kv", "rollback", "secret/v", says="back to which version")
    bad(1, "kv", "destroy", "secret/v", says="which versions")
    bad(1, "kv", "destroy", "-versions=0", "secret/v", says="from 1 on")


def listing():
    good("kv", "put", "secret/dir/x", "a=-", input="1")
    contains(good("kv", "list", "secret/"), "dir/\n")
    equal(good("kv", "list", "secret/dir"), "x\n")
    equal(json.loads(good("ls", "-o", "json", "secret/dir/")), ["x"])
    bad(2, "kv", "list", "secret/nothing/", says="there is nothing below")


def metadata():
    good("kv", "metadata", "put", "-max-versions=7", "-custom-metadata=owner=orders", "secret/v")
    contains(good("kv", "metadata", "get", "secret/v"), "owner")
    good("kv", "metadata", "patch", "-cas-required", "secret/v")
    bad(2, "kv", "put", "secret/v", "a=-", input="1", says="check-and-set parameter required")
    with at_terminal("kv", "metadata", "delete", "secret/v") as t:
        equal(t.end(), 1)
        contains(t.text, "-force")
    good("kv", "metadata", "delete", "secret/v")
    bad(2, "kv", "get", "secret/v")


def curl_string():
    line = good("kv", "get", "-output-curl-string", "secret/fixed")
    contains(line, "$VAULT_TOKEN")
    equal(vault.root in line, False, "the token in the command")
    done = subprocess.run(["bash", "-c", line], env=vault.environment(), text=True,
                          capture_output=True)
    equal(json.loads(done.stdout)["data"]["data"]["password"], "geheim")
    line = good("kv", "put", "-output-curl-string", "secret/fixed", "password=-", input="hunter2")
    contains(line, "-d @body.json")
    equal("hunter2" in line, False, "the value in the command")
    equal(good("kv", "get", "-field=password", "secret/fixed"), "geheim", "nothing was sent")


# ---- mounts and policies ----

def mounts():
    good("secrets", "enable", "-path=team", "-description=of a team", "kv-v2")
    contains(good("secrets", "list"), "of a team")
    equal(json.loads(good("secrets", "list", "-o", "json"))["team/"]["options"], {"version": "2"})
    with at_terminal("secrets", "disable", "team") as t:
        equal(t.end(), 1)
    good("secrets", "disable", "team")
    equal("team/" in good("secrets", "list"), False)


def policies():
    path = file("p.hcl", 'path "secret/data/*" { capabilities = ["read"] }\n')
    good("policy", "write", "reader", path)
    contains(good("policy", "list"), "reader\n")
    contains(good("policy", "read", "reader"), 'path "secret/data/*"')
    bad(2, "policy", "read", "none", says="there is no policy 'none'")
    bad(1, "policy", "write", "reader", file("broken.hcl", 'path "x {'), says="broken.hcl:1:")
    bad(2, "policy", "write", "reader", "-", input='path "x" { capabilities = ["fly"] }')
    good("policy", "delete", "reader")


def policy_fmt():
    messy = 'path "a"   {\n# why\ncapabilities=["read",\n\n\n"list"]\n}\n\n\n\npath "b" {capabilities=["deny"]}\n'
    neat = good("policy", "fmt", "-", input=messy)
    equal(good("policy", "fmt", "-", input=neat), neat, "laid out twice")
    contains(neat, '  # why\n  capabilities = ["read",\n')
    path = file("fmt.hcl", messy)
    os.chmod(path, 0o644)
    good("policy", "fmt", "-w", path)
    equal(open(path).read(), neat)
    equal(oct(os.stat(path).st_mode & 0o777), "0o644", "the mode stays")
    os.symlink(path, path + ".link")
    bad(1, "policy", "fmt", "-w", path + ".link", says="is no regular file")
    for shipped in sorted(glob.glob(os.path.join(ROOT, "policies/*.hcl"))):
        if os.path.basename(shipped) != "rotation-classes.hcl":
            good("policy", "write", "shipped", shipped)
    good("policy", "delete", "shipped")


def any_path():
    contains(good("read", "sys/health"), "initialized")
    equal(good("read", "-field=initialized", "sys/health"), "true")
    good("write", "secret/data/raw", "-", input='{"data":{"a":"b"}}')
    equal(good("kv", "get", "-field=a", "secret/raw"), "b")
    contains(good("list", "secret/metadata"), "raw\n")
    good("delete", "secret/data/raw")
    bad(1, "write", "secret/data/raw", "data=x", says="stands on the command line")


def wrapped():
    good("kv", "put", "secret/raw-wrapped", "k=-", input="hidden")
    out = good("kv", "get", "-wrap-ttl=5m", "secret/raw-wrapped")
    for name in ("wrapping_token ", "wrapping_accessor", "wrapping_token_ttl", "wrapping_token_creation_path"):
        contains(out, name)
    equal("hidden" in out, False, "the answer in %r" % out)
    token = good("kv", "get", "-wrap-ttl=5m", "-field=wrapping_token", "secret/raw-wrapped")
    contains(good("unwrap", "-", input=token + "\n", token="none"), "hidden")
    bad(2, "unwrap", "-", input=token, says="wrapping token is not valid or does not exist")
    token = good("token", "create", "-policy=default", "-wrap-ttl=60", "-field=wrapping_token")
    contains(good("unwrap", "-field=client_token", input=token), "hvs.")
    token = good("write", "-wrap-ttl=1m", "-field=wrapping_token", "sys/wrapping/wrap", "k=-", input="hidden")
    equal(good("unwrap", "-field=k", input=token), "hidden")
    info = json.loads(good("read", "-wrap-ttl=90s", "-o", "json", "secret/data/raw-wrapped"))["wrap_info"]
    equal((info["ttl"], info["creation_path"]), (90, "secret/data/raw-wrapped"))
    with at_terminal("unwrap", token="none") as t:
        t.expect("Wrapping token (not shown): ")
        t.send(info["token"] + "\n")
        equal(t.end(), 0)
        contains(t.text, "hidden")
        equal(info["token"] in t.text, False, "the token on the screen")
    bad(1, "unwrap", info["token"], says="a token is never an argument")
    bad(1, "read", "-wrap-ttl=soon", "secret/data/raw-wrapped")
    contains(good("kv", "get", "-wrap-ttl=5m", "-output-curl-string", "secret/raw-wrapped"),
             "-H 'X-Vault-Wrap-TTL: 5m'")


# ---- the audit log ----

def audit_export_and_verify():
    folder = os.path.join(scratch, "export")
    out = good("audit", "export", folder)
    equal(sorted(os.listdir(folder)), ["checkpoints.txt", "key.pub", "leaves.bin", "records.jsonl"])
    equal(oct(os.stat(folder).st_mode & 0o777), "0o700")
    key = open(os.path.join(folder, "key.pub")).read().strip()
    contains(out, key)
    env = {"PATH": os.environ["PATH"]}  # no vault, no token
    verify = lambda *words: subprocess.run([CTL, "audit", "verify", *words], env=env, text=True,
                                           capture_output=True)
    done = verify(folder, "--key", key)
    equal(done.returncode, 0, done.stdout + done.stderr)
    contains(done.stdout, "GOOD")
    equal(json.loads(verify(folder, "-o", "json").stdout)["good"], True)
    bad(1, "audit", "export", folder, says="new folder")

    altered = os.path.join(scratch, "altered")
    shutil.copytree(folder, altered)
    path = os.path.join(altered, "records.jsonl")
    lines = open(path, "rb").read().split(b"\n")
    lines[5] = lines[5].replace(b'"operation":"', b'"operation":"x', 1)
    open(path, "wb").write(b"\n".join(lines))
    done = verify(altered, "--key", key)
    equal(done.returncode, 2, done.stdout + done.stderr)
    contains(done.stdout, "BAD")
    equal(re.search(r"\b5\b", done.stdout) is not None, True, "record 5 named in %r" % done.stdout)
    equal(json.loads(verify(altered, "-o", "json", "--key", key).stdout)["seq"], 5)
    done = verify(folder, "--key", key[:-6] + "AAAAA=")
    equal(done.returncode in (1, 2), True)
    os.unlink(os.path.join(altered, "leaves.bin"))
    equal(verify(altered).returncode, 1, "a missing file")
    equal(verify(scratch + "/none").returncode, 1)
    # The words and values of all the cases above are not in it.
    text = open(os.path.join(folder, "records.jsonl")).read()
    for secret in (vault.root, "geheim", vault.shares[0]):
        equal(secret in text, False, "a secret in the export")


def audit_of_a_part_and_a_kept_checkpoint():
    kept = file("kept.txt", good("audit", "checkpoint"))
    good("kv", "put", "secret/later", "a=-", input="1")
    folder = os.path.join(scratch, "later")
    good("audit", "export", folder)
    contains(good("audit", "verify", folder, "--checkpoint", kept), "GOOD")
    part = os.path.join(scratch, "part")
    good("audit", "export", "-from=3", "-to=9", part)
    equal(len(open(os.path.join(part, "records.jsonl")).readlines()), 6)
    bad(2, "audit", "verify", part)
    good("audit", "verify", "-partial", part)


def audit_tail():
    good("kv", "put", "secret/tailed", "a=-", input="1")
    contains(good("audit", "tail"), "secret/data/tailed")
    for _ in range(12):  # what asks for the log fills it
        good("audit", "tail", "-count=1")
    lines = [json.loads(line) for line in good("audit", "tail", "-count=9", "-o", "json").splitlines()]
    # The vault's own housekeeping may come behind it.
    equal([(r["type"], r["request"]["path"]) for r in lines if not r["request"]["path"].startswith("sys/")][-1:],
          [("response", "secret/data/tailed")])
    equal(len(lines), 9)
    equal(good("audit", "tail", "-count=0"), "")
    lines = good("audit", "tail", "-count=3", "-o", "json", "-all").splitlines()
    equal(len(lines), 3)
    equal(all("seq" in json.loads(line) for line in lines), True)
    process = subprocess.Popen([CTL, "audit", "tail", "-follow", "-count=1"], text=True,
                               stdout=subprocess.PIPE, env=vault.environment())
    lines = queue.Queue()
    reader = threading.Thread(target=lambda: [lines.put(line) for line in process.stdout], daemon=True)
    reader.start()
    try:
        lines.get(timeout=DEADLINE)  # the one that is asked for: from it on it follows
        good("kv", "put", "secret/followed", "a=-", input="1")
        while "secret/data/followed" not in lines.get(timeout=DEADLINE):
            pass
    except queue.Empty:
        raise AssertionError("expected the record of secret/followed, got none") from None
    finally:
        process.kill()
        process.wait()
        reader.join()
        process.stdout.close()


# ---- rotation, without a target: what only secretctl shows ----

def rotation_of_a_value():
    good("kv", "put", "secret/key", "-", input='{"token":"old","other":"kept"}')
    bad(2, "run", "why", "secret/key", says="has no rotation")
    bad(2, "schedule", "show", "secret/key", says="schedule set")
    bad(2, "run", "show", "secret/key", says="was not rotated yet")
    good("schedule", "set", "secret/key", "strategy=generate", "password_field=token",
         "generator.length=40", "cron=0 3 * * sun", "zone=Europe/Berlin", "owner=orders")
    shown = good("schedule", "show", "secret/key")
    for text in ("length=40", "0 3 * * sun", "Europe/Berlin", "current      v1"):
        contains(shown, text)
    equal(good("schedule", "list"), "secret/key\n")
    contains(good("due"), "secret/key")
    out = good("rotate", "secret/key", "--reason=to see it")
    contains(out, "DONE  secret/key: v2 has a new value")
    for line in out.splitlines()[:2]:
        equal(re.match(r"^\d\d:\d\d:\d\d  \S+ +\S+ ", line) is not None, True, line)
    equal(len(good("kv", "get", "-field=token", "secret/key")), 40)
    equal(good("kv", "get", "-field=other", "secret/key"), "kept")
    run = json.loads(good("rotate", "-o", "json", "secret/key"))
    equal((run["state"], run["from"], run["to"], len(run["steps"]) > 1), ("done", 2, 3, True))
    equal(len(good("run", "list").splitlines()), 4)
    equal(len(good("run", "list", "secret/key", "-limit=1").splitlines()), 3)
    contains(good("run", "show", "secret/key"), "DONE  secret/key")
    contains(good("run", "show", run["id"]), run["id"])
    contains(good("run", "watch", run["id"]), "DONE")
    contains(good("report", run["id"]), "# DONE")
    equal(json.loads(good("report", run["id"], "-o", "json"))["id"], run["id"])
    contains(good("run", "why", "secret/key"), "nothing is running")
    contains(good("run", "why", run["id"]), "DONE")
    bad(2, "run", "cancel", run["id"], says="KT-R-008")
    bad(2, "run", "thaw", run["id"], says="KT-R-009")
    bad(2, "run", "show", "01JNOPE", says="secretctl run list")
    detached = good("rotate", "--detach", "secret/key")
    good("run", "watch", re.search(r"run (\S+) is planned", detached).group(1))
    bad(2, "schedule", "set", "secret/key", "cron=0 0 30 2 *", says="February has no day 30")
    bad(2, "rotate", "secret/nothing")
    good("schedule", "remove", "secret/key")


def a_run_on_a_terminal():
    good("kv", "put", "secret/live", "password=-", input="old")
    good("schedule", "set", "secret/live", "strategy=generate")
    with at_terminal("rotate", "secret/live") as t:
        equal(t.end(), 0)
        contains(t.text, "secret/live (run ")
        contains(t.text, "new value")
        contains(t.text, "DONE  secret/live")
    good("schedule", "remove", "secret/live")


def previews():
    out = good("schedule", "preview", "cron=30 2 * * *", "zone=Europe/Berlin", "-count=400")
    contains(out, "its local time does not exist that day: runs at the change")
    contains(out, "this hour happens twice: this is its first time")
    contains(out, "clocks went back by 1h")
    out = good("schedule", "preview", "cron=0 3 * * *", "zone=Europe/Berlin", "-count=400")
    equal("does not exist" in out, False, "03:00 exists")
    rows = json.loads(good("schedule", "preview", "period=30d", "-o", "json", "-count=3"))
    equal(len(rows), 3)
    contains(good("schedule", "preview", "cron=0 0 29 2 *"), "29 00:00:00")
    bad(1, "schedule", "preview", "cron=0 0 30 2 *", says="February")
    bad(1, "schedule", "preview", "cron=* * *", says="Error: ")
    bad(1, "schedule", "preview", "zon=UTC", says="zone=...?")


def calendars():
    contains(ctl("calendar", "list").stderr, "no calendar yet")
    ranges = file("freeze", "# ours\n2027-03-28..2027-03-28 clocks\n2029-12-20T18:00..2030-01-06 nobody is there\n")
    good("calendar", "set", "freeze", "zone=Europe/Berlin", "ranges=@" + ranges)
    equal(good("calendar", "list"), "freeze\n")
    contains(good("calendar", "show", "freeze"), "nobody is there")
    bad(2, "calendar", "set", "freeze", "ranges=christmas", says="line 1 of the calendar")
    bad(1, "calendar", "set", "freeze", "rangs=x", says="ranges=...?")
    words = ("cron=30 2 * * *", "zone=Europe/Berlin", "blackout=freeze", "-from=2027-03-27T12:00:00Z", "-count=2")
    out = good("schedule", "preview", *words)
    contains(out, "2027-03-29 00:00:00 +02:00")
    contains(out, "moved from 2027-03-28 03:00:00 +02:00 by calendar freeze: clocks")
    rows = json.loads(good("schedule", "preview", "-o", "json", *words))
    equal([row["at"] for row in rows], ["2027-03-28T22:00:00Z", "2027-03-29T00:30:00Z"])
    equal([row["moved_from"] for row in rows], ["2027-03-28T01:00:00Z", ""])
    bad(2, "schedule", "preview", "cron=@daily", "blackout=none", says="no calendar 'none'")
    bad(1, "schedule", "preview", "cron=@daily", "-from=tomorrow", says="-from is no time")
    good("kv", "put", "secret/calm", "password=@" + file("calm", "x"))
    done = ctl("schedule", "set", "secret/calm", "cron=@yearly", "blackout=freeze")
    equal(done.returncode, 0, done.stderr)
    contains(done.stdout + done.stderr, "next: ")
    contains(good("schedule", "show", "secret/calm"), "28 characters of 57, first a letter: 163 bits")
    year = json.loads(good("schedule", "show", "secret/calm", "-o", "json"))["data"]["state"]["next_due"][:4]
    out = good("calendar", "set", "freeze", "ranges=%s-01-01..%s-01-02 new year" % (year, year), "zone=UTC")
    contains(out, "secret/calm")
    contains(out, "new year")
    bad(2, "calendar", "remove", "freeze", says="1 secrets name the calendar")
    good("schedule", "remove", "secret/calm")
    good("calendar", "remove", "freeze")


def targets():
    contains(ctl("target", "list").stderr, "no target yet")
    password = file("admin", "hunter2\n")
    good("target", "set", "pg", "driver=postgresql", "host=127.0.0.1", "port=%d" % free_port(),
         "database=x", "sslmode=disable", "admin_username=a", "admin_password=@" + password)
    equal(good("target", "list"), "pg\n")
    equal("hunter2" in good("target", "show", "pg") + good("target", "show", "pg", "-o", "json"), False)
    done = ctl("target", "check", "pg")
    equal(done.returncode, 2, done.stderr)
    contains(done.stdout, "NOT ready to rotate")
    bad(1, "target", "check", "pg", "-address=http://127.0.0.1:%d" % free_port())
    said = bad(1, "target", "set", "pg", "admin_password=hunter2", says="stands on the command line")
    equal("hunter2" in said, False)
    with at_terminal("target", "set", "pg", "admin_password=") as t:
        t.expect("admin_password (not shown): ")
        t.send("typed\n")
        t.expect("once more: ")
        t.send("typed\n")
        equal(t.end(), 0)
    bad(1, "target", "set", "pg", "prot=1", says="port=...?")
    bad(2, "target", "show", "gp", says="secretctl target list")
    good("target", "remove", "pg")


def nobody_reports_yet():
    for words in (("agent", "list"), ("consumer", "list")):
        done = ctl(*words)
        equal(done.returncode, 0)
        contains(done.stderr, "no agent has reported yet")
    equal(json.loads(good("consumer", "list", "-o", "json")), [])


def a_consumer_is_listed():
    good("kv", "put", "secret/used", "password=-", input="1")
    good("schedule", "set", "secret/used", "strategy=generate")
    vault.ok("POST", "fleet/consumers/h1/secret/used", {"service": "orders", "version": 0,
                                                        "state": "registered"})
    contains(good("agent", "list"), "h1")
    contains(good("consumer", "list"), "orders")
    contains(good("consumer", "list", "h1"), "secret/used")
    contains(good("consumer", "list", "h1", "secret/used"), "registered")
    for words in ((), ("h1",), ("h1", "secret/used")):
        rows = json.loads(good("consumer", "list", *words, "-o", "json"))
        equal([(row["host"], row["secret"], [s["service"] for s in row["consumers"]["services"]])
               for row in rows], [("h1", "secret/used", ["orders"])])
    contains(ctl("consumer", "list", "h2").stderr, "this host has no consumers")
    equal(json.loads(good("consumer", "list", "h2", "-o", "json")), [])


def a_vault_that_goes_away_is_waited_for():
    """SIGKILL while a run is watched: the watcher goes on when the vault is back."""
    good("target", "set", "gone", "driver=postgresql", "host=127.0.0.1", "port=%d" % free_port(),
         "database=x", "sslmode=disable", "admin_username=a", "admin_password=-",
         "connect_timeout=1", input="x")
    good("kv", "put", "secret/away", "-", input='{"username":"a1","password":"old"}')
    good("schedule", "set", "secret/away", "target=gone", "strategy=in-place", "accounts=a1",
         "allow_gap=true")
    watcher = subprocess.Popen([CTL, "rotate", "secret/away"], text=True, stdout=subprocess.PIPE,
                               stderr=subprocess.STDOUT, env=vault.environment())
    try:
        first = watcher.stdout.readline()
        equal(bool(first), True, "a step is shown")
        vault.kill()
        said = watcher.stdout.readline()
        while said and "the vault is away" not in said:
            said = watcher.stdout.readline()
        contains(said, "the vault is away")
        vault.start()
        good("operator", "unseal", "-", input="\n".join(vault.shares[:3]))
        good("run", "cancel", "secret/away")
        out, _ = watcher.communicate(timeout=DEADLINE)
        equal(watcher.returncode, 2, out)
        equal("CANCELLED" in out or "ROLLED BACK" in out, True, out)
    finally:
        watcher.kill()
        watcher.wait()


# ---- the program ----

def every_code_is_explained():
    """In words, with who is hurt and what to type; and in the documentation."""
    codes = set()
    for part in ("vaultd", "lib", "agent", "cli"):
        for path in glob.glob(os.path.join(ROOT, part, "**", "*.[ch]"), recursive=True):
            codes |= set(re.findall(r"KT-[A-Z]-\d{3}", open(path).read()))
    equal(len(codes) > 10, True)
    documented = open(os.path.join(ROOT, "docs", "rotation.md")).read()
    for code in sorted(codes):
        said = good("explain", code)
        contains(said, code)
        equal(re.search(r"\n\nhurt  \S.+\nnext  \S", said) is not None, True, said)
        frozen = "KT-R-010" <= code <= "KT-R-027"
        contains(documented, "### " + code if frozen else "| " + code)
    listed = json.loads(good("explain", "-o", "json"))
    equal(sorted(row["code"] for row in listed), sorted(codes), "codes that nothing says")
    equal([row["code"] for row in listed if not all(row[name] for name in ("name", "meaning", "hurt", "next"))], [])
    bad(1, "explain", "KT-R-999", says="secretctl explain")


def what_is_installed_is_of_one_piece():
    """make install: programs, completion, and documents whose links lead somewhere, as in the tree."""
    dest = os.path.join(scratch, "dest")
    subprocess.run([os.path.join(ROOT, "tests/support/install"), dest, "/opt/kt", os.path.dirname(CTL)],
                   cwd=ROOT, check=True, capture_output=True)
    equal(subprocess.run([dest + "/opt/kt/bin/secretctl", "version"], capture_output=True).returncode, 0)
    contains(open(dest + "/opt/kt/lib/systemd/system/vaultd.service").read(), "ExecStart=/opt/kt/bin/vaultd ")
    contains(open(dest + "/opt/kt/share/bash-completion/completions/secretctl").read(), "complete -o default")
    links = 0
    for top in (ROOT, dest + "/opt/kt/share/doc/keyturn"):
        for path in [os.path.join(top, name) for name in ("README.md", "CONTRIBUTING.md")] + \
                glob.glob(os.path.join(top, "docs", "**", "*.md"), recursive=True):
            for link in re.findall(r"\]\(([^)#:\s]+)[^)]*\)", open(path).read()):
                links += 1
                equal(os.path.exists(os.path.join(os.path.dirname(path), link)), True,
                      "%s leads to %s" % (path, link))
    equal(links > 20, True, "%d links" % links)


def manual():
    """Each command with its aliases' words, and the flags it takes, from docs/secretctl.md."""
    text = open(os.path.join(ROOT, "docs/secretctl.md")).read()
    common = set(re.findall(r"^  -(\S+?)(?:, -(\w+))?[= ]", good("status", "--help"), re.M))
    common = {name for pair in common for name in pair if name} | {"help", "h"}
    found = {"complete": common, "docs": common}  # for shells and for the manual itself
    for part in text.split("\n### ")[1:]:
        words = part.split("\n", 1)[0]
        flags = {name for pair in re.findall(r"^\| `-([a-z-]+)(?:, -(\w+))?", part, re.M)
                 for name in pair if name} | common
        found[words] = flags
        for alias in re.findall(r"\(also `(\S+)`\)", part):
            found[alias] = flags
    return found


def commands_that_are_named_exist():
    """What README, docs, policies, the installer and each hint of our programs tell a person to type."""
    known = manual()
    places = ["README.md", "CONTRIBUTING.md", "policies/README.md", "tests/support/install"]
    places += glob.glob("docs/*.md", root_dir=ROOT) and ["docs/" + f for f in os.listdir(
        os.path.join(ROOT, "docs")) if f.endswith(".md") and f != "secretctl.md"]
    for folder in ("vaultd", "agent", "lib", "cli"):
        places += [os.path.relpath(p, ROOT) for p in glob.glob(
            os.path.join(ROOT, folder, "**", "*.c"), recursive=True)]
    seen = 0
    for place in places:
        text = open(os.path.join(ROOT, place)).read()
        if place.endswith(".c"):
            text = re.sub(r'"\s*\n\s*"', "", text)  # adjacent strings are one
            text = "\n".join(re.findall(r'"((?:[^"\\\n]|\\.)*)"', text)).replace("\\n", "\n")
        for line in re.findall(r"\bsecretctl ((?:-[a-z]|[a-z])[^`;\n(|#]*)", text):
            line = re.split(r"[,:] | or | and |secretctl", line)[0]
            words = [word.rstrip(',.:"\\') for word in line.split()]  # a quoted one, in a log line
            fits = [n for n in (3, 2, 1) if " ".join(words[:n]) in known]
            if not fits:
                family = [name for name in known if name.startswith(words[0].rstrip(":,.") + " ")]
                if (place.endswith((".c", "install")) and words[0] not in ("for", "and")) or family:
                    equal(bool(family), True, "%s: secretctl %s" % (place, line))
                continue  # prose: "secretctl against ..."
            seen += 1
            name = " ".join(words[:fits[0]])
            for flag in re.findall(r"(?<=\s)--?([a-z][a-z-]+)", line):
                equal(flag in known[name], True, "%s: secretctl %s: -%s" % (place, line, flag))
            if name in ("kv put", "kv patch", "put", "patch"):
                for value in re.findall(r"\s[\w%{}<>]+=([^\s)]*)", line):
                    equal(value in ("", "-", "...") or value[0] == "@", True,
                          "a value as a word, which is refused: %s: secretctl %s" % (place, line))
    equal(seen > 100, True, "%d commands found" % seen)


def help_and_completion():
    contains(good("--help"), "Rotate them")
    equal(good("docs"), open(os.path.join(ROOT, "docs/secretctl.md")).read(),
          "docs/secretctl.md; write it anew: build/bin/secretctl docs > docs/secretctl.md")
    complete = completer()
    equal(complete("secretctl", "sched"), ["schedule"])
    equal("put" in complete("secretctl", "kv", "p"), True)
    equal(complete("secretctl", "kv", "get", "-fie"), ["-field="])
    equal(complete("secretctl", "-address", "=", "x", "operator", "uns"), ["unseal"])
    equal(complete("secretctl", "-address", "=", "https", ":", "//h", ":", "8200", "kv", "his"), ["history"])


def completer():
    path = file("completion", good("completion", "bash"))

    def complete(*words, **env):
        """What bash would offer for the last word; "=" stands alone, as bash splits."""
        line = 'source "$0"; COMP_WORDS=("$@"); COMP_CWORD=$((${#COMP_WORDS[@]}-1)); compopt() { :; }; ' \
               '_secretctl "$CTL"; printf "%s\\n" "${COMPREPLY[@]}"'
        done = subprocess.run(["bash", "-c", line, path, *words], text=True, capture_output=True,
                              env=dict(vault.environment(), CTL=CTL, **env), stdin=subprocess.DEVNULL)
        equal(done.stderr, "")
        return sorted(done.stdout.split("\n")[:-1]) if done.stdout != "\n" else []

    return complete


def completion_asks_the_vault():
    complete = completer()
    for path in ("comp/a", "comp/ab", "comp/deep/x", "comp/two words"):
        good("kv", "put", "secret/" + path, "a=-", input="1")
    good("secrets", "enable", "-path=seen/inner", "kv-v2")
    good("kv", "put", "seen/inner/y", "a=-", input="1")
    good("schedule", "set", "secret/comp/a", "strategy=generate", "password_field=a")
    equal(complete("secretctl", "kv", "get", "see"), ["seen/inner/"])
    equal(complete("secretctl", "get", "seen/inner/"), ["seen/inner/y"])
    equal(complete("secretctl", "kv", "put", "secret/comp/"),
          ["secret/comp/a", "secret/comp/ab", "secret/comp/deep/", "secret/comp/two words"])
    equal(complete("secretctl", "kv", "list", "secret/comp/d"), ["secret/comp/deep/"])
    equal(complete("secretctl", "kv", "metadata", "get", "secret/comp/deep/"), ["secret/comp/deep/x"])
    equal(complete("secretctl", "rotate", "secret/comp"), ["secret/comp/a"])
    equal(complete("secretctl", "run", "why", "secret/comp"), ["secret/comp/a"])
    equal(complete("secretctl", "schedule", "set", "secret/comp/ab"), ["secret/comp/ab"])
    equal("default" in complete("secretctl", "policy", "read", ""), True)
    # The second word is none of the vault's; another vault is not asked in this one's name.
    equal(complete("secretctl", "kv", "put", "secret/comp/a", "secret/"), [])
    equal(complete("secretctl", "-address", "=", "https://x", "kv", "get", "secret/comp/"), [])
    # Nothing is said and nobody is asked when there is no answer: no token, a foreign one, no vault.
    equal(complete("secretctl", "kv", "get", "secret/comp/", VAULT_TOKEN=""), [])
    equal(complete("secretctl", "kv", "get", "secret/comp/", VAULT_TOKEN="hvs.nonsense"), [])
    equal(complete("secretctl", "kv", "get", "secret/comp/", VAULT_ADDR="no address"), [])
    with socket.socket() as silent:  # it takes the connection and never answers
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        equal(complete("secretctl", "kv", "get", "secret/comp/",
                       VAULT_ADDR="http://127.0.0.1:%d" % silent.getsockname()[1]), [])
    good("schedule", "remove", "secret/comp/a")
    good("secrets", "disable", "seen/inner")


def the_token_is_not_in_the_process():
    """While it waits for an answer: environment, arguments, core."""
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        env = vault.environment(VAULT_ADDR="http://127.0.0.1:%d" % silent.getsockname()[1])
        env["SSLKEYLOGFILE"] = os.path.join(scratch, "keys")
        process = subprocess.Popen([CTL, "kv", "get", "secret/fixed"], env=env,
                                   stderr=subprocess.DEVNULL)
        try:
            silent.settimeout(DEADLINE)
            link, _ = silent.accept()
            contains(link.recv(4096).decode(), vault.root, "what it sends")
            folder = "/proc/%d/" % process.pid
            for name in ("environ", "cmdline"):
                equal(vault.root.encode() in open(folder + name, "rb").read(), False, name)
            contains(open(folder + "limits").read(), "Max core file size        0")
            equal(os.stat(folder + "environ").st_uid, 0, "undumpable")
            link.close()
        finally:
            process.kill()
            process.wait()
    equal(os.path.exists(os.path.join(scratch, "keys")), False, "keys of TLS sessions")


def what_a_wrong_address_says():
    port = free_port()
    bad(2, "kv", "get", "-address=http://127.0.0.1:%d" % port, "secret/fixed",
        says="is vaultd running there?")
    bad(1, "status", "-address=http://127.0.0.1:%d" % port)
    bad(1, "status", "-address=127.0.0.1:%d" % port, says="unix:///run/vaultd/vaultd.sock")
    bad(1, "status", "-address=https://127.0.0.1:99999", says="VAULT_ADDR (-address): the address has a port")
    bad(2, "kv", "get", "-address=http://127.0.0.1:%d" % vault.port, "secret/fixed",
        says="VAULT_ADDR=https://127.0.0.1:%d" % vault.port)
    bad(2, "kv", "get", "-ca-cert=/etc/ssl/certs/ca-certificates.crt", "secret/fixed",
        says="VAULT_CACERT")
    bad(2, "kv", "get", "-ca-cert=/etc/passwd", "secret/fixed", says="there is no certificate in '/etc/passwd'")
    done = subprocess.run([CTL, "kv", "get", "-ca-cert=/etc/ssl/certs/ca-certificates.crt", "secret/fixed"],
                          env=dict(vault.environment(), VAULT_SKIP_VERIFY="1"), text=True, capture_output=True)
    contains(done.stderr, "VAULT_SKIP_VERIFY is not honoured")
    bad(2, "kv", "get", "-tls-server-name=other.example", "secret/fixed", says="another name")
    good("kv", "get", "-tls-server-name=localhost", "secret/fixed")
    bad(1, "kv", "get", "-ca-cert=/nope", "secret/fixed", says="cannot read the CA file")


def a_full_disk_is_said():
    done = subprocess.run([CTL, "kv", "get", "secret/fixed"], env=vault.environment(), text=True,
                          stdout=open("/dev/full", "w"), stderr=subprocess.PIPE)
    equal(done.returncode, 1)
    contains(done.stderr, "cannot write the output")


def what_is_mistyped():
    """Each message says what is wrong and what comes next."""
    out = os.path.join(scratch, "nothing")
    for code, words, says in (
            (2, ("export", "json", "secret/nowhere", out), ("there is no secret below 'secret/nowhere'", "secretctl kv list secret/")),
            (2, ("export", "dir", "secret/nowhere", out), ("there is no secret below 'secret/nowhere'",)),
            (2, ("export", "json", "secret/fixed", out), ("secretctl export env secret/fixed",)),
            (2, ("kv", "rollback", "-version=99", "secret/fixed"), ("there is no version 99 of secret/fixed", "secretctl kv history secret/fixed")),
            (2, ("delete", "nope"), ("no handler for route", "secretctl secrets list")),
            (2, ("secrets", "move", "nope", "there"), ("secretctl secrets list",)),
            (2, ("operator", "init"), ("already initialized", "secretctl status")),
            (2, ("schedule", "preview", "secret/fixed"), ("has no rotation", "secretctl schedule set --help")),
            (1, ("audit", "verify", scratch), ("there is no such file", "secretctl audit export DIR")),
            (2, ("token", "renew"), ("secretctl token lookup",)),
            (2, ("token", "tree", "nope"), ("secretctl token tree",)),
            (1, ("unwrap", "-"), ("the standard input ended", "a line of the standard input"))):
        bad(code, *words, says=says)
    equal(os.path.exists(out), False)


CASES = [
    ("init and unseal", init_and_unseal),
    ("an unseal key is no argument", a_key_is_no_argument),
    ("seal and unseal again", seal_and_unseal_again),
    ("keys are made anew", keys_are_made_anew),
    ("new keys that may be the vault's are shown", new_keys_that_may_be_the_vaults_are_shown),
    ("a root token is made", a_root_token_is_made),
    ("keyring", the_keyring),
    ("the store", the_store),
    ("login", login),
    ("login at a terminal", login_at_a_terminal),
    ("ways to log in", ways_to_log_in),
    ("a signal while asking puts the echo back", a_signal_while_asking_puts_the_echo_back),
    ("tokens", tokens),
    ("leases", leases),
    ("put and get", put_and_get),
    ("files from the shell", a_file_from_the_shell),
    ("numbers keep their digits", numbers_keep_their_digits),
    ("a value is no argument", a_value_is_no_argument),
    ("put asks at a terminal", put_asks_at_a_terminal),
    ("put names what it drops", put_names_what_it_drops),
    ("patch and check-and-set", patch_and_cas),
    ("versions", versions),
    ("list", listing),
    ("metadata", metadata),
    ("curl string", curl_string),
    ("mounts", mounts),
    ("policies", policies),
    ("policy fmt", policy_fmt),
    ("any path", any_path),
    ("wrapped answers", wrapped),
    ("audit export and verify", audit_export_and_verify),
    ("audit: a part, a kept checkpoint", audit_of_a_part_and_a_kept_checkpoint),
    ("audit tail", audit_tail),
    ("rotation of a value", rotation_of_a_value),
    ("a run on a terminal", a_run_on_a_terminal),
    ("previews", previews),
    ("calendars", calendars),
    ("targets", targets),
    ("nobody reports yet", nobody_reports_yet),
    ("a consumer is listed", a_consumer_is_listed),
    ("a vault that goes away is waited for", a_vault_that_goes_away_is_waited_for),
    ("every code is explained", every_code_is_explained),
    ("what is installed is of one piece", what_is_installed_is_of_one_piece),
    ("commands that are named exist", commands_that_are_named_exist),
    ("help, manual, completion", help_and_completion),
    ("completion asks the vault", completion_asks_the_vault),
    ("the token is not in the process", the_token_is_not_in_the_process),
    ("what is mistyped", what_is_mistyped),
    ("what a wrong address says", what_a_wrong_address_says),
    ("a full disk is said", a_full_disk_is_said),
]


def main():
    only = report.only
    try:
        vault.start()
        if only and only not in CASES[0][0]:
            report.only = None
            report.case(*CASES[0])
            report.only = only
        for name, function in CASES:
            report.case(name, function)
    finally:
        vault.remove()
        shutil.rmtree(scratch, ignore_errors=True)
    report.end()


main()
