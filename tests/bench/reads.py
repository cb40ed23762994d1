"""Authenticated reads of a KV v2 secret, against a bare libmicrohttpd handler in the same run.

Each row is the median of rounds in which the bare handler and vaultd take turns; the smallest and the
largest ratio stand behind it.
"""
import os
import statistics

from common import BENCH, KEYS, ROUNDS, SECONDS, Bare, load, ready, row, spread, write_keys

RULES = 1000  # of one policy
POLICIES = 10  # on the token
WITHOUT = os.path.join(BENCH, "without-overwriting")
# what is read: path, keys, who reads, the bars: CPU at most, throughput at least (None: no bar)
PLAIN = (("one path", "/v1/secret/data/app/1", 1, "client", 1.55, 0.72),
         ("%d paths" % KEYS, "/v1/secret/data/app/%d", KEYS, "client", 1.9, None),
         ("%d rules, %d policies" % (RULES, POLICIES), "/v1/secret/data/app/1", 1, "ruled", 1.6, None),
         ("the same, of an entity", "/v1/secret/data/app/1", 1, "identified", 1.65, 0.68))
TLS = (("one path", "/v1/secret/data/app/1", 1, "client", 1.42, 0.75),
       ("%d paths" % KEYS, "/v1/secret/data/app/%d", KEYS, "client", None, None))


def take_turns(vault, bare, path, token, **options):
    """Rounds of (bare, vaultd), one after the other; the first of each is not counted."""
    def both(seconds):
        return tuple(load(port, path, token, pid, vault.tls, seconds=seconds, **options)
                     for port, pid in ((bare.port, bare.process.pid), (vault.port, vault.process.pid)))
    both(1)
    return [both(SECONDS) for _ in range(ROUNDS)]


def print_read(name, rounds, cpu_bar, rate_bar):
    def median(side, key):
        return statistics.median(r[side][key] for r in rounds)
    cpu = [r[1]["server_cpu_us"] / r[0]["server_cpu_us"] for r in rounds]
    rate = [r[1]["rate"] / r[0]["rate"] for r in rounds]
    row("read, %s: CPU a request" % name, "%.2f us" % median(1, "server_cpu_us"),
        "bare %.2f us" % median(0, "server_cpu_us"), statistics.median(cpu), cpu_bar, least=False,
        note=spread(cpu))
    row("read, %s: 64 connections" % name, "%.0f /s" % median(1, "rate"),
        "bare %.0f /s" % median(0, "rate"), statistics.median(rate), rate_bar, note=spread(rate))


def write_policies(vault, first, granting):
    """Many policies, of which the first has many rules; the last of them grants the reads. Their names."""
    names = [first] + ["more-%d" % i for i in range(1, POLICIES)]
    rules = ['path "secret/data/team-%d/*" { capabilities = ["read", "list"] }' % i
             for i in range(RULES - 1)] + ['path "%s" { capabilities = ["read"] }' % granting]
    vault.ok("PUT", "sys/policies/acl/" + first, {"policy": "\n".join(rules)})
    for name in names[1:]:
        vault.ok("PUT", "sys/policies/acl/" + name, {
            "policy": 'path "secret/data/%s/*" { capabilities = ["read"] }' % name})
    return names


def ruled_token(vault):
    names = write_policies(vault, "rules", "secret/data/app/*")
    return vault.ok("POST", "auth/token/create", {"policies": names}).json["auth"]["client_token"]


def identified_token(vault):
    """Of somebody who logged in: the policies are in part his user's, his entity's and a group's, and what
    grants the reads has a template."""
    names = write_policies(vault, "own-rules", "secret/data/{{identity.entity.metadata.team}}/*")
    vault.ok("POST", "sys/auth/userpass", {"type": "userpass"})
    vault.ok("POST", "auth/userpass/users/reader", {"password": "p", "token_policies": names[1::3]})
    auth = vault.ok("POST", "auth/userpass/login/reader", {"password": "p"}).json["auth"]
    vault.ok("POST", "identity/entity/id/" + auth["entity_id"], {"policies": names[0::3], "metadata": {"team": "app"}})
    vault.ok("POST", "identity/group/name/readers", {"policies": names[2::3], "member_entity_ids": [auth["entity_id"]]})
    return auth["client_token"]


def reads(tls):
    vault = ready(tls=tls)
    try:
        write_keys(vault, KEYS)
        vault.ruled = ruled_token(vault)
        vault.identified = identified_token(vault)
        size = len(vault.call("GET", "secret/data/app/1", token=vault.client).body)
        with Bare(size, vault) as bare:
            for what, path, keys, token, cpu_bar, rate_bar in TLS if tls else PLAIN:
                rounds = take_turns(vault, bare, path, getattr(vault, token), keys=keys)
                print_read("%s, %s" % ("TLS" if tls else "plain", what), rounds, cpu_bar, rate_bar)
    finally:
        vault.remove()


def overwriting(tls):
    """What it costs that freed memory is overwritten: the same server without takes turns with it."""
    vault, without = ready(tls=tls), ready(tls=tls, programs=WITHOUT)
    try:
        for server in (vault, without):
            write_keys(server, 2)

        def both(seconds):
            return [load(server.port, "/v1/secret/data/app/1", server.client, server.process.pid, server.tls,
                         seconds=seconds)["server_cpu_us"] for server in (without, vault)]
        both(1)
        rounds = [both(SECONDS) for _ in range(ROUNDS)]
    finally:
        vault.remove()
        without.remove()
    cost = [after / before for before, after in rounds]
    row("read, %s: freed memory overwritten, CPU" % ("TLS" if tls else "plain"),
        "%.2f us" % statistics.median(r[1] for r in rounds),
        "left: %.2f us" % statistics.median(r[0] for r in rounds), statistics.median(cost), note=spread(cost))


def measure():
    for tls in (False, True):
        reads(tls)
        overwriting(tls)
