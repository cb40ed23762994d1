"""Anonymous memory of vaultd and of the agent: at rest, for each connection, under load, afterwards."""
import os
import signal
import subprocess
import time

import big
from common import (LONG, QUICK, SECRET, Many, anonymous_kib, bar_row, end_load, fill, load,
                    program, ready, row, start_load, wait_for)

MANY = 2000 if QUICK else 10000
MIXED_S = 600 if LONG else 10 if QUICK else 60
GIVEN_BACK_S = 30


def mib(vault):
    return anonymous_kib(vault.process.pid) / 1024


def held(vault, name, what, count, *more, tokens=None):
    """What each of very many connections that ask nothing takes."""
    begun = mib(vault)
    with Many(vault, count, *more, tokens=tokens) as crowd:
        crowd.ready()
        vault.ok("GET", "sys/health")  # by now all of them were accepted
        bar_row("an idle connection, %s, %s" % (name, what), (mib(vault) - begun) * 1024 / count,
                20 if vault.tls else 12, "KiB", note="%d of them" % count)


def idle_connections(tls):
    name = "TLS" if tls else "plain"
    vault = ready(tls=tls, config="limits { max_connections_per_ip = 0 }")
    try:
        vault.ok("POST", "secret/data/app/1", {"data": {"k": "v"}})
        tokens = os.path.join(vault.folder, "token")
        with open(tokens, "w") as f:
            f.write(vault.client + "\n")
        load(vault.port, "/v1/secret/data/app/1", vault.client, tls=tls, count=20000)
        rest = mib(vault)
        row("memory at rest, %s" % name, "%.1f MiB" % rest)
        held(vault, name, "before a request", 500)  # who asks nothing is put out after 10 s
        held(vault, name, "after one", MANY // 5 if tls else MANY, "--once", "/v1/secret/data/app/1",
             tokens=tokens)
        began = time.monotonic()
        while time.monotonic() - began < GIVEN_BACK_S and mib(vault) > rest + 2:
            time.sleep(0.2)  # for vaultd to give back, which nothing tells
        bar_row("they closed; not given back, %s" % name, mib(vault) - rest, 2, "MiB",
                note="after %.0f s" % (time.monotonic() - began))
    finally:
        vault.remove()


class Mixed:
    """Reads, writes, lists, new tokens, connections that come and go, for a number of seconds."""

    def __init__(self, vault, seconds):
        a = "/v1/secret/data/app/%t/%d"
        common = {"seconds": seconds, "keys": 20000}
        self.parts = [
            start_load(vault.port, a, tokens=vault.tokens, connections=64, **common),
            start_load(vault.port, a, tokens=vault.tokens, connections=16, rate=300, method="POST",
                       body=SECRET, **common),
            start_load(vault.port, "/v1/secret/metadata/app/%t", vault.token, method="LIST",
                       connections=2, rate=20, **common),
            start_load(vault.port, "/v1/auth/token/create", vault.token, method="POST",
                       body='{"policies":["bench"],"ttl":"1h"}', connections=4, rate=50, **common),
        ]

    def end(self):
        return sum(end_load(part)["requests"] for part in self.parts)


def slope(samples):
    """KiB an hour's worth of requests (1,000 a second), by least squares; and its standard error."""
    n = len(samples)
    mean_x, mean_y = (sum(column) / n for column in zip(*samples))
    spread = sum((x - mean_x) ** 2 for x, _ in samples)
    rise = sum((x - mean_x) * (y - mean_y) for x, y in samples) / spread
    rest = sum((y - mean_y - rise * (x - mean_x)) ** 2 for x, y in samples)
    return rise * 3.6e6, (rest / max(1, n - 2) / spread) ** 0.5 * 3.6e6


def loaded(name, vault, bar):
    Mixed(vault, MIXED_S).end()
    bar_row("%s, after %d s of mixed load" % (name, MIXED_S), mib(vault), bar, "MiB")


def growth(vault):
    """More requests of the same kind; an hour's worth in the long run. A slope and its noise want points
    enough."""
    done, samples = 0, [(0, anonymous_kib(vault.process.pid))]
    wanted = 3600000 if LONG else 60000 if QUICK else 600000
    while done < wanted or len(samples) < (7 if QUICK else 31):
        done += Mixed(vault, 2 if QUICK else 5).end()
        samples.append((done, anonymous_kib(vault.process.pid)))
    rise, error = slope(samples[len(samples) // 2:])  # what each thread keeps of what it saw fills up before
    row("growth an hour's worth of requests", "%.0f KiB" % rise, "noise %.0f KiB" % error,
        note="%s over %d requests: %d to %d KiB" % (
            "none" if rise <= 2 * error else "grows", done, samples[0][1], samples[-1][1]))


def hundred_thousand():
    vault = ready(config="limits { max_connections_per_ip = 0 }")
    try:
        few = 20000 if QUICK else 100000
        vault.tokens, _ = fill(vault, secrets=few, schedules=few, tokens=few // 10)
        loaded("%d secrets, %d tokens, %d schedules" % (few, few // 10, few), vault, 24)
        growth(vault)
    finally:
        vault.remove()


def schedules():
    """What schedules add to the same secrets without any."""
    many = 50000 if QUICK else 1000000
    rests = []
    for planned in (0, many):
        vault = ready()
        try:
            fill(vault, secrets=many, schedules=planned)
            vault.ok("GET", "rotation/due?limit=1")
            rests.append(mib(vault))
        finally:
            vault.remove()
    bar_row("%d schedules, above none" % many, rests[1] - rests[0], 8, "MiB",
            note="%.1f MiB with them, %.1f without" % (rests[1], rests[0]))


def million():
    vault = big.vault()
    vault.stop()
    vault.start().unseal()
    loaded("%d secrets" % big.SECRETS, vault, 28)


def agent():
    vault = ready()
    try:
        vault.ok("POST", "secret/data/app/1", {"data": {"password": "x"}})
        process = subprocess.Popen([program("secret-agent"), "run", "--env",
                                    "PASSWORD=secret/app/1#password", "--", "sleep", "1000"],
                                   env=vault.environment(vault.token), stderr=subprocess.DEVNULL)
        try:
            wait_for("the agent to watch",
                     lambda: vault.ok("GET", "fleet/watch/nobody?wait=0").data["hosts"] == 1)
            with open("/proc/%d/status" % process.pid) as status:
                rss = next(int(line.split()[1]) for line in status if line.startswith("VmRSS"))
            bar_row("the agent of one service", anonymous_kib(process.pid) / 1024, 8, "MiB",
                    note="%.1f MiB with its libraries' pages" % (rss / 1024))
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait()
    finally:
        vault.remove()


def measure():
    idle_connections(tls=False)
    idle_connections(tls=True)
    hundred_thousand()
    schedules()
    million()
    agent()
