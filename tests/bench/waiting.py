"""Very many agents that wait: what they cost idle, how fast news reaches them, how they come back."""
import statistics
import time

from common import (QUICK, Many, bar_row, cpu_seconds, end_load, fill, load, ready, start_load,
                    wait_for)

WATCHERS = 2000 if QUICK else 10000
SHARING = WATCHERS // 10
IDLE_S = 10 if QUICK else 65  # two rounds of looking after clients that left
CONSUMER = '{"service":"s","version":1,"state":"registered","instance":"i"}'


def prepared(tls):
    """A vault whose hosts hI use secret/own/I, and the first of them secret/shared as well."""
    vault = ready(tls=tls, config="limits { max_connections_per_ip = 0 }")
    vault.tokens, _ = fill(vault, tokens=WATCHERS)
    vault.ok("POST", "secret/data/shared", {"data": {"k": "v"}})
    for path, body, count in (("/v1/secret/data/own/%d", '{"data":{"k":"v"}}', WATCHERS),
                              ("/v1/fleet/consumers/h%d/secret/own/%d", CONSUMER, WATCHERS),
                              ("/v1/fleet/consumers/h%d/secret/shared", CONSUMER, SHARING)):
        load(vault.port, path, vault.token, tls=tls, method="POST", walk=True, keys=count, count=count,
             body=body)
    return vault


def watching(vault):
    """How many polls wait in the vault, as it tells everybody who asks."""
    return vault.ok("GET", "fleet/watch/nobody?wait=0").data["hosts"]


def idle(vault, name):
    wait_for("all polls to wait", lambda: watching(vault) >= WATCHERS)
    begun, at = cpu_seconds(vault.process.pid), time.monotonic()
    time.sleep(IDLE_S)  # the processor time of a span is what is measured
    share = (cpu_seconds(vault.process.pid) - begun) / (time.monotonic() - at) * 100
    bar_row("%d watchers, %s, idle" % (WATCHERS, name), share, 1, "% of a core", form="%.2f")


def news(vault, crowd):
    p99, p50 = [], []
    for i in range(3 if QUICK else 5):
        wait_for("all polls to wait", lambda: watching(vault) >= WATCHERS)
        since = time.monotonic_ns()
        vault.ok("POST", "secret/data/shared", {"data": {"k": "v%d" % i}})
        wait_for("the news everywhere", lambda: crowd.ask("news", since)["hosts"] >= SHARING)
        got = crowd.ask("news", since)
        p99.append(got["p99_ms"])
        p50.append(got["p50_ms"])
    bar_row("a change reaches %d of them: p99" % SHARING, statistics.median(p99), 250, "ms",
            note="median %.0f ms, (%.0f to %.0f)" % (statistics.median(p50), min(p99), max(p99)))


def comeback(vault, name, bar_s):
    """Killed, started, unsealed: until all wait again; meanwhile somebody reads."""
    wait_for("all polls to wait", lambda: watching(vault) >= WATCHERS)
    before = load(vault.port, "/v1/secret/data/own/%d", vault.client, tls=vault.tls, rate=200,
                  connections=16, seconds=5, keys=WATCHERS)
    vault.kill()
    begun = time.monotonic()
    vault.start().unseal()
    up = time.monotonic() - begun
    reader = start_load(vault.port, "/v1/secret/data/own/%d", vault.client, tls=vault.tls, rate=200,
                        connections=16, seconds=bar_s, keys=WATCHERS)
    note = "unsealed after %.1f s" % up
    try:
        wait_for("everybody is back", lambda: watching(vault) >= WATCHERS, seconds=2 * bar_s, pause=0.1)
    except AssertionError:
        note += ", %d of %d were back" % (watching(vault), WATCHERS)
    back = time.monotonic() - begun
    reads = end_load(reader)
    bar_row("after a restart all are back, %s" % name, back, bar_s, "s", note=note)
    bar_row("others' reads meanwhile, %s: p99" % name, reads["p99_us"] / 1000, 100, "ms",
            note="%.1f ms before" % (before["p99_us"] / 1000))


def measure():
    for tls in (False, True):
        name = "TLS" if tls else "plain"
        vault = prepared(tls)
        try:
            with Many(vault, WATCHERS, "--watch", tokens=vault.tokens) as crowd:
                crowd.ready()
                idle(vault, name)
                news(vault, crowd)
                comeback(vault, name, 60 if tls else 10)
        finally:
            vault.remove()
