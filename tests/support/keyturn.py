"""Starts the real programs for tests: vaultd in a folder of its own, secretctl, secret-agent.

Everything is on loopback, on ports the kernel chose, in a temporary folder that is removed. Waits are
for events (sd_notify, a process's end, an answer) with a deadline, never for a time to pass.
"""
import base64
import json
import os
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.request

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BIN = os.environ.get("KT_BIN", os.path.join(ROOT, "build/bin"))
DEADLINE = 120  # ends what hangs; nothing is judged by it


def program(name, folder=None):
    return os.path.join(folder or BIN, name)


def need(path, command):
    """The path of what a test cannot do without. Where it is missing the test ends, and says what makes it."""
    if not os.path.exists(path):
        print("not ok - %s is not there: %s" % (os.path.relpath(path, ROOT), command))
        sys.exit(1)
    return path


def shim(name):
    return need(os.path.join(ROOT, "build/release/support", name), "make shims")


_held = []


def free_port():
    """A port that nobody gets by chance before this program ends: it stays bound without listening, and
    who asks for it by name with SO_REUSEADDR, as servers do, may listen there, also again and again."""
    s = socket.socket()
    s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    s.bind(("127.0.0.1", 0))
    _held.append(s)
    return s.getsockname()[1]


def wait_for(what, condition, seconds=DEADLINE, pause=0.02):
    """Asks until condition() is true; the pause only spares the processor."""
    end = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > end:
            raise AssertionError("waited %d s for: %s" % (seconds, what))
        time.sleep(pause)


class Answer:
    def __init__(self, status, headers, body):
        self.status, self.headers, self.body = status, headers, body

    @property
    def json(self):
        return json.loads(self.body) if self.body else None

    @property
    def data(self):
        return self.json["data"]

    def __repr__(self):
        return "Answer(%d, %r)" % (self.status, self.body[:600])


class Vault:
    """A vaultd process. tls: with a certificate made for it; env: added to its environment;
    programs: the folder of another build variant's."""

    def __init__(self, folder=None, tls=False, config="", env=None, user=None, args=(), wrap=(),
                 programs=None):
        self.own_folder = folder is None
        self.folder = folder or tempfile.mkdtemp(prefix="kt-vault-")
        os.chmod(self.folder, 0o755)
        self.data = os.path.join(self.folder, "data")
        self.port = free_port()
        self.tls = tls
        self.extra = config
        self.env = dict(env or {})
        self.args, self.wrap = list(args), list(wrap)
        self.token = None
        self.shares = []
        self.process = None
        self.user = user
        self.programs = programs
        self.log_path = os.path.join(self.folder, "vaultd.log")
        if not os.path.isdir(self.data):
            os.mkdir(self.data, 0o700)
            if os.getuid() == 0:
                shutil.chown(self.data, user or "keyturn", user or "keyturn")
        if tls:
            self.certificate()
        self.write_config()

    @property
    def address(self):
        return "%s://127.0.0.1:%d" % ("https" if self.tls else "http", self.port)

    @property
    def cacert(self):
        return os.path.join(self.folder, "tls.crt") if self.tls else None

    def certificate(self, days=30):
        crt, key = os.path.join(self.folder, "tls.crt"), os.path.join(self.folder, "tls.key")
        subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256",
                        "-nodes", "-days", str(days), "-subj", "/CN=127.0.0.1", "-addext",
                        "subjectAltName=IP:127.0.0.1,DNS:localhost", "-keyout", key, "-out", crt],
                       check=True, capture_output=True)
        os.chmod(key, 0o600)
        os.chmod(crt, 0o644)
        if os.getuid() == 0:
            shutil.chown(key, self.user or "keyturn", self.user or "keyturn")

    def write_config(self):
        lines = ['storage "lmdb" { path = "%s" }' % self.data, 'listener "tcp" {',
                 '  address = "127.0.0.1:%d"' % self.port]
        if self.tls:
            lines += ['  tls_cert_file = "%s/tls.crt"' % self.folder,
                      '  tls_key_file = "%s/tls.key"' % self.folder]
        else:
            lines += ["  tls_disable = true"]
        lines += ["}", self.extra]
        self.config_path = os.path.join(self.folder, "vaultd.hcl")
        with open(self.config_path, "w") as f:
            f.write("\n".join(lines) + "\n")

    # ---- the process ----

    def start(self, wait=True):
        """Starts vaultd and waits until it says READY=1 (listening, sealed)."""
        notify = self.listen_for_notices()
        env = dict(os.environ, NOTIFY_SOCKET=notify.getsockname(), **self.env)
        env.pop("VAULT_TOKEN", None)
        self.log = open(self.log_path, "ab")
        argv = self.wrap + [program("vaultd", self.programs), "--config", self.config_path] + self.args
        if self.user:
            argv += ["--user", self.user]
        self.process = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=self.log,
                                        stderr=self.log, env=env)
        if wait:
            self.wait_for_notice(notify, b"READY=1", "start")
        notify.close()
        return self

    def reload(self):
        """SIGHUP; returns when vaultd has read everything anew."""
        with self.listen_for_notices() as notify:
            self.process.send_signal(signal.SIGHUP)
            self.wait_for_notice(notify, b"RELOADING=1", "reload")
            self.wait_for_notice(notify, b"READY=1", "reload")

    def listen_for_notices(self):
        """What vaultd tells the service manager (sd_notify)."""
        notify = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        path = os.path.join(self.folder, "notify.sock")
        if os.path.exists(path):
            os.unlink(path)
        notify.bind(path)
        os.chmod(path, 0o777)
        notify.settimeout(0.2)
        return notify

    def wait_for_notice(self, notify, wanted, doing):
        end = time.monotonic() + DEADLINE
        while True:
            try:
                if wanted in notify.recv(4096):
                    return
            except socket.timeout:
                pass
            if self.process.poll() is not None or time.monotonic() > end:
                raise AssertionError("vaultd did not %s (%s):\n%s" % (
                    doing, self.process.poll(), self.log_text()[-3000:]))

    def log_text(self):
        with open(self.log_path, "rb") as f:
            return f.read().decode("utf-8", "replace")

    def kill(self, sig=signal.SIGKILL):
        if self.process and self.process.poll() is None:
            self.process.send_signal(sig)
            self.process.wait(DEADLINE)
        return self.process.returncode if self.process else None

    def stop(self):
        return self.kill(signal.SIGTERM)

    def restart(self):
        self.kill()
        self.start()
        self.unseal()
        return self

    def remove(self):
        self.kill()
        if self.own_folder and not os.environ.get("KT_KEEP"):
            shutil.rmtree(self.folder, ignore_errors=True)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.remove()

    # ---- the API ----

    def call(self, method, path, body=None, token=None, headers=None, timeout=DEADLINE, raw=None):
        data = raw if raw is not None else (None if body is None else json.dumps(body).encode())
        request = urllib.request.Request(self.address + "/v1/" + path, data=data, method=method)
        token = self.token if token is None else token
        if token:
            request.add_header("X-Vault-Token", token)
        if method == "PATCH":
            request.add_header("Content-Type", "application/merge-patch+json")
        for name, value in (headers or {}).items():
            request.add_header(name, value)
        context = ssl.create_default_context(cafile=self.cacert) if self.tls else None
        opener = urllib.request.build_opener(
            urllib.request.ProxyHandler({}),
            *([urllib.request.HTTPSHandler(context=context)] if self.tls else []))
        try:
            with opener.open(request, timeout=timeout) as r:
                return Answer(r.status, r.headers, r.read().decode())
        except urllib.error.HTTPError as e:
            return Answer(e.code, e.headers, e.read().decode())

    def ok(self, method, path, body=None, **more):
        answer = self.call(method, path, body, **more)
        if answer.status >= 300:
            raise AssertionError("%s %s: %r" % (method, path, answer))
        return answer

    def init(self, shares=5, threshold=3):
        got = self.ok("PUT", "sys/init", {"secret_shares": shares, "secret_threshold": threshold}).json
        self.shares, self.token, self.threshold = got["keys"], got["root_token"], threshold
        self.root = self.token
        return self

    def unseal(self, **more):
        for share in self.shares[:self.threshold]:
            answer = self.call("PUT", "sys/unseal", dict({"key": share}, **more))
            if answer.status != 200:
                raise AssertionError("unseal: %r\n%s" % (answer, self.log_text()[-2000:]))
        if answer.json["sealed"]:
            raise AssertionError("still sealed: %r" % answer)
        return self

    def ready(self, kv=True):
        """Started, initialised, unsealed, KV version 2 at secret/."""
        self.start().init().unseal()
        if kv:
            self.ok("POST", "sys/mounts/secret", {"type": "kv", "options": {"version": "2"}})
        return self

    # ---- the other programs ----

    def environment(self, token=None, **more):
        env = {k: v for k, v in os.environ.items() if not k.startswith("VAULT_")}
        env["VAULT_ADDR"] = self.address
        if self.tls:
            env["VAULT_CACERT"] = self.cacert
        token = self.token if token is None else token
        if token:
            env["VAULT_TOKEN"] = token
        env["HOME"] = self.folder
        env.update(more)
        return env

    def ctl(self, *args, input=None, token=None, check=True, timeout=120):
        """secretctl ARGS; returns the finished process with text output."""
        done = subprocess.run([program("secretctl"), *args], input=input, text=True,
                              capture_output=True, env=self.environment(token), timeout=timeout,
                              **({} if input is not None else {"stdin": subprocess.DEVNULL}))
        if check and done.returncode != 0:
            raise AssertionError("secretctl %s: exit %d\n%s%s" % (
                " ".join(args), done.returncode, done.stdout, done.stderr))
        return done


class Report:
    """Prints "ok - name" and "not ok - name: why"; exit status for the end."""

    def __init__(self, only=None):
        self.failed = self.met = 0
        self.lock = threading.Lock()  # cases may run beside each other
        self.only = only if only is not None else (sys.argv[1] if len(sys.argv) > 1 else None)

    def case(self, name, function, *args):
        if self.only and self.only not in name:
            return
        with self.lock:
            self.met += 1
        try:
            function(*args)
            self.say("ok - " + name)
        except Exception as error:  # a test's report, not a handler
            with self.lock:
                self.failed += 1
            text = "%s: %s" % (type(error).__name__, error)
            self.say("not ok - %s: %s\n  alone: %s '%s'" % (name, text, sys.argv[0], name))
            if os.environ.get("KT_TRACE"):
                import traceback
                traceback.print_exc()

    def say(self, text):
        with self.lock:
            sys.stdout.write(text + "\n")
            sys.stdout.flush()

    def end(self):
        if self.met == 0:
            sys.exit("not ok - no case has %r in its name" % self.only)
        sys.exit(1 if self.failed else 0)


def equal(got, wanted, what=""):
    if got != wanted:
        raise AssertionError("%sexpected %r, got %r" % (what + ": " if what else "", wanted, got))


def contains(text, wanted, what=""):
    if wanted not in text:
        raise AssertionError("%sexpected %r in %r" % (what + ": " if what else "", wanted, text[:2000]))


def b64(data):
    return base64.b64encode(data).decode()
