"""Authenticated reads of a KV v2 secret, against a bare libmicrohttpd handler in the same run."""
import statistics

from common import KEYS, ROUNDS, SECONDS, Bare, load, ready, row, spread, write_keys


def read_rounds(vault, bare, path, **options):
    """Rounds of (bare, vaultd) measured one after the other."""
    for server, token, pid in ((bare.port, None, None), (vault.port, vault.client, None)):
        load(server, path, token, pid, vault.tls, seconds=1, **options)
    rounds = []
    for _ in range(ROUNDS):
        rounds.append((load(bare.port, path, vault.client, bare.process.pid, vault.tls,
                            seconds=SECONDS, **options),
                       load(vault.port, path, vault.client, vault.process.pid, vault.tls,
                            seconds=SECONDS, **options)))
    return rounds


def print_read(name, rounds, cpu_aim, rate_aim):
    def median(side, key):
        return statistics.median(r[side][key] for r in rounds)
    cpu = [r[1]["server_cpu_us"] / r[0]["server_cpu_us"] for r in rounds]
    rate = [r[1]["rate"] / r[0]["rate"] for r in rounds]
    row("read, %s: CPU a request" % name, "%.2f us" % median(1, "server_cpu_us"),
        "bare %.2f us" % median(0, "server_cpu_us"), statistics.median(cpu), cpu_aim, least=False,
        aim=True, note=spread(cpu))
    ratio = statistics.median(rate)
    row("read, %s: 64 connections" % name, "%.0f /s" % median(1, "rate"),
        "bare %.0f /s" % median(0, "rate"), ratio, 0.5,
        note="%s, aim %.2f %s" % (spread(rate), rate_aim, "reached" if ratio >= rate_aim else "missed"))


def reads(tls):
    name = "TLS" if tls else "plain"
    cpu_aim = 1.5 if tls else 1.7
    vault = ready(tls=tls)
    try:
        write_keys(vault, KEYS)
        size = len(vault.call("GET", "secret/data/app/1", token=vault.client).body)
        with Bare(size, vault) as bare:
            print_read(name, read_rounds(vault, bare, "/v1/secret/data/app/1"), cpu_aim, 0.6)
            print_read("%s, %d paths" % (name, KEYS),
                       read_rounds(vault, bare, "/v1/secret/data/app/%d", keys=KEYS), cpu_aim, 0.6)
    finally:
        vault.remove()


def measure():
    reads(tls=False)
    reads(tls=True)
