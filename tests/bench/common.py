"""What the benches share: the options, the table, the programs, the fixed control.

A subject is a module beside this one with a function measure(); tests/bench/run calls it.
"""
import hashlib
import json
import os
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
from keyturn import ROOT, Vault, program, wait_for  # noqa: E402,F401

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


def bar_row(what, value, bar, unit, note="", form="%.1f"):
    """A figure with a bar of its own unit, which it must not pass."""
    print((LINE % (what, form % value + " " + unit, "", "", "<= %g" % bar,
                   " ".join(filter(None, ("holds" if value <= bar else "does not hold", note))))).rstrip(),
          flush=True)


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

def start_load(server, path, token=None, pid=None, tls=False, **options):
    """Starts tests/bench/load. options: its flags, True for a bare one."""
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
    return subprocess.Popen(args, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def end_load(process):
    """Waits for it; returns what it measured."""
    out, complaint = process.communicate()
    if not out:
        raise RuntimeError("load measured nothing: " + complaint)
    measured = json.loads(out)
    if measured["errors"] or not measured["requests"]:
        raise RuntimeError("load met errors: " + out)
    return measured


def load(server, path, token=None, pid=None, tls=False, **options):
    return end_load(start_load(server, path, token, pid, tls, **options))


class Bare:
    """The bare handler; vault: whose certificate it takes, None: it answers in clear."""

    def __init__(self, size, vault=None):
        args = [os.path.join(BENCH, "bare"), "--size", str(size), "--threads", str(os.cpu_count())]
        if vault is not None and vault.tls:
            args += ["--cert", vault.cacert, "--key", os.path.join(vault.folder, "tls.key")]
        self.process = subprocess.Popen(args, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.port = int(self.process.stdout.readline().split()[1])

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.stdin.close()
        self.process.wait()


class Many:
    """Very many connections to a vault that mostly wait: tests/bench/many."""

    def __init__(self, vault, connections, *more, tokens=None):
        args = [os.path.join(BENCH, "many"), "--port", str(vault.port), "--connections",
                str(connections), "--addresses", "16", *more]
        if vault.tls:
            args.append("--tls")
        if tokens is not None:
            args += ["--tokens", tokens]
        self.process = subprocess.Popen(args, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def ready(self):
        if self.process.stdout.readline() != "ready\n":
            raise RuntimeError("tests/bench/many ended")
        return self

    def ask(self, *words):
        self.process.stdin.write(" ".join(map(str, words)) + "\n")
        self.process.stdin.flush()
        return json.loads(self.process.stdout.readline())

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.stdin.close()
        self.process.wait()


def bench_policy(vault):
    vault.ok("PUT", "sys/policies/acl/bench", {"policy":
             'path "secret/*" { capabilities = ["create", "read", "update", "list"] }\n'
             'path "fleet/watch/*" { capabilities = ["read"] }\n'
             'path "fleet/consumers/*" { capabilities = ["create", "update"] }'})


def ready(**options):
    vault = Vault(**options)
    vault.ready()
    bench_policy(vault)
    vault.client = vault.ok("POST", "auth/token/create", {"policies": ["bench"]}).json["auth"]["client_token"]
    return vault


def write_keys(vault, count):
    load(vault.port, "/v1/secret/data/app/%d", vault.client, tls=vault.tls, method="POST", walk=True,
         keys=count, count=count, body=SECRET)


def fill(vault, **counts):
    """Stops the vault, puts objects into its store by tests/bench/fill, starts it again. Returns the
    path of the file of token texts, and what fill said."""
    vault.stop()
    fast = tempfile.mkdtemp(prefix="kt-fill-", dir="/dev/shm" if room("/dev/shm") > 8 << 30 else None)
    try:
        folder, tokens = os.path.join(fast, "data"), os.path.join(vault.folder, "tokens")
        subprocess.run(["cp", "-a", "--sparse=always", vault.data, folder], check=True)
        if os.getuid() == 0:
            subprocess.run(["chown", "-R", "0:0", folder], check=True)
        args = [os.path.join(BENCH, "fill"), "--folder", folder, "--token-file", tokens]
        for name, count in counts.items():
            args += ["--" + name.replace("_", "-"), str(count)]
        done = subprocess.run(args, input="\n".join(vault.shares[:vault.threshold]), text=True,
                              capture_output=True)
        if done.returncode != 0:
            raise RuntimeError("tests/bench/fill failed: " + done.stderr)
        subprocess.run(["rm", "-rf", vault.data], check=True)
        subprocess.run(["cp", "-a", "--sparse=always", folder, vault.data], check=True)
    finally:
        shutil.rmtree(fast)
    if os.getuid() == 0:
        subprocess.run(["chown", "-R", "keyturn:keyturn", vault.data], check=True)
    vault.start().unseal()
    return tokens, json.loads(done.stdout)


def room(folder):
    at = os.statvfs(folder) if os.path.isdir(folder) else None
    return 0 if at is None else at.f_bavail * at.f_frsize


def cpu_seconds(pid):
    return time.clock_gettime(pid_clock(pid))


def pid_clock(pid):
    """clock_getcpuclockid(): the kernel's clock of a process's CPU time."""
    return (~pid << 3) | 2


def anonymous_kib(pid):
    with open("/proc/%d/status" % pid) as status:
        return next(int(line.split()[1]) for line in status if line.startswith("RssAnon"))


# ---- others' reads meanwhile ----

def tails(vault, path, disturb, seconds=4, rounds=None):
    """The p99 of reads offered at 1,000/s while disturb(seconds) goes on, against the same reads while
    clients of the bare handler burn as much processor time a second. disturb starts its work and
    returns a function that waits for its end. Returns (p99s, p99s of the control), both in
    microseconds, and the processor time that the control burnt in parts of what it should."""
    pid = vault.process.pid

    def reads():
        return start_load(vault.port, path, vault.client, tls=vault.tls, rate=1000, seconds=seconds,
                          connections=64, keys=KEYS)

    with Bare(459) as bare:
        def spent():
            used = resource.getrusage(resource.RUSAGE_CHILDREN)
            return cpu_seconds(pid) + cpu_seconds(bare.process.pid) + used.ru_utime + used.ru_stime

        def alone():
            begun, process = spent(), reads()
            end_load(process)
            return spent() - begun

        idle = statistics.median(alone() for _ in range(3))
        disturbed, control, burnt = [], [], []
        for _ in range(rounds or (3 if QUICK else 5)):
            begun = spent()
            end = disturb(seconds)
            at = time.monotonic()
            p99 = end_load(reads())["p99_us"]
            end()
            lasted = time.monotonic() - at  # it may go on when the reads are over
            disturbed.append(p99)
            burn = max(0.0, spent() - begun - idle) / lasted
            rate, begun = burn_rate(bare, burn), spent()
            burner = start_load(bare.port, "/", rate=rate, seconds=seconds, connections=64)
            control.append(end_load(reads())["p99_us"])
            end_load(burner)
            burnt.append((spent() - begun - idle) / seconds / burn if burn > 0.01 else 1.0)
    return disturbed, control, burnt


def burn_rate(bare, burn):
    """Requests to the bare handler a second that take burn processor seconds a second. What one takes
    depends on how many there are: the more, the fewer wake-ups each."""
    rate = 10000
    for _ in range(3):
        rate = max(1, int(burn / burn_cost(bare, max(rate, 1000))))
    return rate


def burn_cost(bare, rate):
    """Processor seconds that one request to the bare handler takes, client and server."""
    begun = resource.getrusage(resource.RUSAGE_CHILDREN)
    got = load(bare.port, "/", pid=bare.process.pid, rate=rate, seconds=1)
    ended = resource.getrusage(resource.RUSAGE_CHILDREN)
    client = ended.ru_utime + ended.ru_stime - begun.ru_utime - begun.ru_stime
    return client / got["requests"] + got["server_cpu_us"] / 1e6


def tails_row(what, disturbed, control, burnt):
    """No verdict where the control burnt another processor time than it should: on a busy machine a
    request does not cost twice the same."""
    ratios, share = [d / c for d, c in zip(disturbed, control)], statistics.median(burnt)
    fair = 0.85 <= share <= 1.15
    row(what, "%.2f ms" % (statistics.median(disturbed) / 1000),
        "control %.2f ms" % (statistics.median(control) / 1000), statistics.median(ratios),
        3.0 if fair else None, least=False,
        note="%s, the control burnt %.2f of it%s" % (spread(ratios), share, "" if fair else ": no verdict"))


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
