"""Logging in: what a login by approle costs beside a durable write, and what 200 people at once who show
passwords do to everybody else."""
import json
import statistics
import threading
import time

from common import (KEYS, QUICK, ROUNDS, SECONDS, SECRET, end_load, heading, load, ready, row, spread,
                    start_load, write_keys)

FEW = 1000     # keys that are written
PEOPLE = 200
AT_LEAST = 64  # of them are let in ...
WITHIN_S = 10  # ... in that time
REFUSED = 429


def approle(vault):
    vault.ok("POST", "sys/auth/approle", {"type": "approle"})
    vault.ok("POST", "auth/approle/role/ci", {"token_policies": "bench", "token_ttl": "1h"})
    return json.dumps({"role_id": vault.ok("GET", "auth/approle/role/ci/role-id").data["role_id"],
                       "secret_id": vault.ok("POST", "auth/approle/role/ci/secret-id").data["secret_id"]})


def machines():
    vault = ready()
    try:
        body, rounds = approle(vault), []
        write_keys(vault, FEW)
        for _ in range(ROUNDS):
            rounds.append({clients: (
                load(vault.port, "/v1/auth/approle/login", pid=vault.process.pid, method="POST",
                     body=body, connections=clients, seconds=SECONDS),
                load(vault.port, "/v1/secret/data/app/%d", vault.client, vault.process.pid, method="POST",
                     keys=FEW, body=SECRET, connections=clients, seconds=SECONDS))
                for clients in (1, 64)})
    finally:
        vault.remove()
    for clients in (1, 64):
        ratios = [r[clients][0]["rate"] / r[clients][1]["rate"] for r in rounds]

        def middle(which, what, clients=clients):
            return statistics.median(r[clients][which][what] for r in rounds)
        row("logins by approle, %d client%s" % (clients, "s" if clients > 1 else ""),
            "%.0f /s" % middle(0, "rate"), "writes %.0f /s" % middle(1, "rate"),
            statistics.median(ratios), 0.3, note="%s %.0f us of CPU each, a write %.0f" % (
                spread(ratios), middle(0, "server_cpu_us"), middle(1, "server_cpu_us")))


class Crowd:
    """PEOPLE people who log in at once, each on a connection of his own."""

    def __init__(self, vault):
        self.vault, self.answers = vault, []
        self.begun = time.monotonic()
        self.threads = [threading.Thread(target=self.one) for _ in range(PEOPLE)]
        for thread in self.threads:
            thread.start()

    def one(self):
        answer = self.vault.call("POST", "auth/userpass/login/bob", {"password": "right"}, token="")
        self.answers.append((answer.status, "Retry-After" in answer.headers,
                             time.monotonic() - self.begun))

    def end(self):
        for thread in self.threads:
            thread.join()
        return self

    def in_time(self):
        return sum(status == 200 and took <= WITHIN_S for status, _, took in self.answers)

    def wrong(self):
        """Answers that are neither a token nor a time to come back at."""
        return [status for status, told, _ in self.answers if status != 200 and not (
            status == REFUSED and told)]


def people():
    vault = ready()
    try:
        vault.ok("POST", "sys/auth/userpass", {"type": "userpass"})
        vault.ok("POST", "auth/userpass/users/bob", {"password": "right"})
        write_keys(vault, KEYS)

        def reads():
            return start_load(vault.port, "/v1/secret/data/app/%d", vault.client, rate=1000, seconds=4,
                              connections=64, keys=KEYS)
        idle, busy, crowds = [], [], []
        for _ in range(3 if QUICK else 5):
            idle.append(end_load(reads())["p99_us"])
            reader = reads()
            crowds.append(Crowd(vault))
            busy.append(end_load(reader)["p99_us"])
            crowds[-1].end()
    finally:
        vault.remove()
    let_in, wrong = [c.in_time() for c in crowds], sum((c.wrong() for c in crowds), [])
    if wrong:
        raise RuntimeError("logins were answered with %s" % sorted(set(wrong)))
    row("of %d logins by password let in within %d s" % (PEOPLE, WITHIN_S), "%d" % min(let_in),
        "the others: 429", min(let_in) / AT_LEAST, 1.0, note="of %d wanted" % AT_LEAST)
    ratios = [b / i for b, i in zip(busy, idle)]
    row("others' reads meanwhile: p99", "%.2f ms" % (statistics.median(busy) / 1000),
        "idle %.2f ms" % (statistics.median(idle) / 1000), statistics.median(ratios), 5.0, least=False,
        note=spread(ratios))


def measure():
    heading("logging in")
    machines()
    people()
