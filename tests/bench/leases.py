"""Leases: what very many cost in memory, how fast they expire, and what the end of a token with very many
descendants costs everybody else's reads."""
import time

from common import LONG, QUICK, SECRET, anonymous_kib, bar_row, fill, load, ready, row

LEASES, LIFE_S = (20000, 30) if QUICK else (1000000, 600) if LONG else (200000, 240)
DESCENDANTS = 10000 if QUICK else 100000


def entries(vault):
    return next(g["Value"] for g in vault.ok("GET", "sys/metrics").json["Gauges"]
                if g["Name"] == "keyturn_store_entries")


def read_meanwhile(vault, over):
    """Reads until over(); returns their p99 in milliseconds, the worst second's, and how many a second."""
    tails, count, begun = [], 0, time.monotonic()
    while True:
        got = load(vault.port, "/v1/secret/data/app/%d", vault.client, keys=100, connections=2, seconds=1, rate=500)
        tails.append(got["p99_us"] / 1000)
        count += got["requests"]
        if over():
            return max(tails), sorted(tails)[len(tails) // 2], count / (time.monotonic() - begun)


def gone(vault, floor, begun, limit_s=600):
    def over():
        if time.monotonic() - begun > limit_s:
            raise RuntimeError("still there after %d s" % limit_s)
        return entries(vault) <= floor
    return over


def expire():
    vault = ready()
    load(vault.port, "/v1/secret/data/app/%d", vault.client, method="POST", walk=True, keys=100, count=100, body=SECRET)
    floor, memory = entries(vault) + 20, anonymous_kib(vault.process.pid)
    _, said = fill(vault, tokens=LEASES, policy="bench", token_life=LIFE_S)
    left = said["tokens_end_ms"] / 1000 - time.time()
    if left < 2:
        raise RuntimeError("filling took too long: %s" % said)
    time.sleep(min(10, left - 1))
    bar_row("%d leases: resident memory more than without" % LEASES,
            (anonymous_kib(vault.process.pid) - memory) / 1024, 4, "MiB")
    time.sleep(max(0, said["tokens_end_ms"] / 1000 - time.time()))
    begun = time.monotonic()
    worst, usual, rate = read_meanwhile(vault, gone(vault, floor, begun))
    row("expired a second, reads meanwhile", "%.0f" % (LEASES / (time.monotonic() - begun)), limit="5000",
        ratio=LEASES / (time.monotonic() - begun) / 5000, bar=1,
        note="%.0f reads/s, p99 %.1f ms, worst second's %.1f ms" % (rate, usual, worst))
    vault.stop()


def revoke():
    vault = ready()
    load(vault.port, "/v1/secret/data/app/%d", vault.client, method="POST", walk=True, keys=100, count=100, body=SECRET)
    floor = entries(vault) + 20
    _, usual, _ = read_meanwhile(vault, lambda: True)
    tokens, _ = fill(vault, descendants=DESCENDANTS, policy="bench")
    # The first commit to a file that has just been filled reads LMDB's list of free pages.
    vault.ok("POST", "secret/data/app/1", {"data": {"first": "write"}})
    begun = time.monotonic()
    with open(tokens) as file:
        vault.ok("POST", "auth/token/revoke", {"token": file.readline().strip()})
    answered = time.monotonic() - begun
    status = vault.call("GET", "secret/data/app/1", token="descendant-%d" % (DESCENDANTS - 1)).status
    if status != 403:
        raise RuntimeError("a descendant of a revoked token is answered with %d" % status)
    bar_row("revoking a token with %d descendants" % DESCENDANTS, answered * 1000, 100, "ms")
    worst, p99, rate = read_meanwhile(vault, gone(vault, floor, begun))
    row("its descendants removed a second", "%.0f" % (DESCENDANTS / (time.monotonic() - begun)),
        note="reads' p99 %.1f ms (%.1f before), worst second's %.1f ms" % (p99, usual, worst))
    vault.stop()


def measure():
    expire()
    revoke()
