"""Commands from start to finish, each against the plainest program that does the same."""
import os
import resource
import statistics
import subprocess
import time

from common import QUICK, program, bar_row, ready, row


def ms(args, env):
    begun = time.monotonic()
    done = subprocess.run(args, env=env, stdin=subprocess.DEVNULL, capture_output=True)
    took = (time.monotonic() - begun) * 1000
    if done.returncode != 0:
        raise RuntimeError("%s: %s" % (args[0], done.stderr.decode()))
    return took


def compare(what, ours, theirs, bar, env):
    pairs = [(ms(ours, env), ms(theirs, env)) for _ in range(11 if QUICK else 41)]
    more = [a - b for a, b in pairs]
    bar_row(what, statistics.median(more), bar, "ms more",
            note="%.1f ms against %.1f ms, (%.1f to %.1f)" % (
                statistics.median(a for a, _ in pairs), statistics.median(b for _, b in pairs),
                min(more), max(more)), form="%.2f")


def measure():
    for tls in (False, True):
        vault = ready(tls=tls)
        try:
            vault.ok("POST", "secret/data/app/1", {"data": {"username": "app", "password": "x"}})
            env = vault.environment(vault.token)
            name = "TLS" if tls else "plain"
            url = vault.address + "/v1/secret/data/app/1"
            curl = ["curl", "-sSf", "-H", "X-Vault-Token: " + vault.token, url]
            if tls:
                curl += ["--cacert", vault.cacert]
            compare("secretctl kv get, %s" % name, [program("secretctl"), "kv", "get", "secret/app/1"],
                    curl, 10, env)
            agent = [program("secret-agent"), "run", "--env", "PASSWORD=secret/app/1#password", "--",
                     "true"]
            compare("secret-agent run -- true, %s" % name, agent, ["true"], 12, env)
        finally:
            vault.remove()
