"""What the benches share: the options, the table, the programs, the fixed control.

A subject is a module beside this one with a function measure(); tests/bench/run calls it.
"""
import hashlib
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
from keyturn import ROOT, Vault, program  # noqa: E402,F401

QUICK = "--quick" in sys.argv[1:]
LONG = "--long" in sys.argv[1:]  # the figures that take ten minutes and more
ROUNDS = 3 if QUICK else 9
SECONDS = 1 if QUICK else 2
KEYS = 20000
BENCH = os.path.join(ROOT, "build/release/bench")
SHIM = os.path.join(ROOT, "build/release/support/sync_shim.so")
SECRET = '{"data":{"username":"app_a","password":"%s"}}' % ("x" * 200)
LINE = "%-46s %10s  %-24s %7s  %-9s %s"


# ---- printing ----

def heading(text):
    print("\n" + text, flush=True)


def row(what, figure, limit="", ratio=None, bar=None, least=True, aim=False, note=""):
    """One figure. bar: what the ratio has to reach (least) or must not pass; aim: not a must yet."""
    verdict = ""
    if bar is not None:
        holds = ratio >= bar if least else ratio <= bar
        verdict = "holds" if holds else "aim missed" if aim else "does not hold"
    print((LINE % (what, figure, limit, "" if ratio is None else "%.2f" % ratio,
                   "" if bar is None else (">= " if least else "<= ") + "%.2f" % bar,
                   " ".join(filter(None, (verdict, note))))).rstrip(), flush=True)


def spread(values):
    return "(%.2f to %.2f)" % (min(values), max(values))


# ---- programs ----

def load(server, path, token=None, pid=None, tls=False, **options):
    """Runs tests/bench/load; returns what it measured. options: its flags, True for a bare one."""
    args = [os.path.join(BENCH, "load"), "--port", str(server), "--path", path]
    options.setdefault("connections", 64)
    for name, value in options.items():
        args += ["--" + name] if value is True else ["--" + name, str(value)]
    if tls:
        args.append("--tls")
    if pid:
        args += ["--pid", str(pid)]
    env = {k: v for k, v in os.environ.items() if not k.startswith("VAULT_")}
    if token:
        env["VAULT_TOKEN"] = token
    done = subprocess.run(args, env=env, capture_output=True, text=True)
    if not done.stdout:
        raise RuntimeError("load measured nothing: " + done.stderr)
    measured = json.loads(done.stdout)
    if measured["errors"] or not measured["requests"]:
        raise RuntimeError("load met errors: " + done.stdout)
    return measured


class Bare:
    def __init__(self, size, vault):
        args = [os.path.join(BENCH, "bare"), "--size", str(size), "--threads", str(os.cpu_count())]
        if vault.tls:
            args += ["--cert", vault.cacert, "--key", os.path.join(vault.folder, "tls.key")]
        self.process = subprocess.Popen(args, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.port = int(self.process.stdout.readline().split()[1])

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.stdin.close()
        self.process.wait()


def ready(**options):
    vault = Vault(**options)
    vault.ready()
    vault.ok("PUT", "sys/policies/acl/bench", {"policy": 'path "secret/data/*" '
             '{ capabilities = ["create", "read", "update"] }'})
    vault.client = vault.ok("POST", "auth/token/create", {"policies": ["bench"]}).json["auth"]["client_token"]
    return vault


def write_keys(vault, count):
    load(vault.port, "/v1/secret/data/app/%d", vault.client, tls=vault.tls, method="POST", walk=True,
         keys=count, count=count, body=SECRET)


def anonymous_kib(pid):
    with open("/proc/%d/status" % pid) as status:
        return next(int(line.split()[1]) for line in status if line.startswith("RssAnon"))


# ---- the fixed control ----

def control():
    """Two things that have nothing to do with vaultd: how fast is this machine today?"""
    block, digest, began = b"x" * (1 << 20), hashlib.sha256(), time.monotonic()
    total = 256 if QUICK else 1024
    for _ in range(total):
        digest.update(block)
    seconds = (time.monotonic() - began) * 1024 / total
    row("control: SHA-256 over 1 GiB", "%.2f s" % seconds)
    pair = lone_commit_seconds()
    row("control: one fdatasync after 4 KiB", "%.2f ms" % (pair["append"] * 1000))
    return pair


def lone_commit_seconds():
    """What the disk takes for LMDB's two syncs: fdatasync of data, an O_DSYNC write of the meta page."""
    with tempfile.TemporaryDirectory(prefix="kt-bench-") as folder:
        name, page = os.path.join(folder, "f"), b"x" * 4096
        data = os.open(name, os.O_RDWR | os.O_CREAT)
        meta = os.open(name, os.O_WRONLY | os.O_DSYNC)
        appends, pairs = [], []
        for i in range(30 if QUICK else 200):
            began = time.monotonic()
            os.pwrite(data, page, 8192 + 4096 * i)
            os.fdatasync(data)
            middle = time.monotonic()
            os.pwrite(meta, page, 4096 * (i % 2))
            appends.append(middle - began)
            pairs.append(time.monotonic() - began)
        os.close(data)
        os.close(meta)
    return {"append": statistics.median(appends), "pair": statistics.median(pairs)}
