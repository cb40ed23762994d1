"""Commands from start to finish, each against the plainest program that does the same."""
import os
import statistics
import subprocess
import time

from common import QUICK, bar_row, program, ready, spread


def run(args, env):
    """Milliseconds it took, and of its processor time, with its children's."""
    begun = time.monotonic()
    process = subprocess.Popen(args, env=env, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                               stderr=subprocess.DEVNULL)
    _, status, used = os.wait4(process.pid, 0)
    took = (time.monotonic() - begun) * 1000
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode != 0:
        raise RuntimeError("%s ended with %d" % (args[0], process.returncode))
    return took, (used.ru_utime + used.ru_stime) * 1000


def compare(what, ours, theirs, bar, env):
    pairs = [run(ours, env) + run(theirs, env) for _ in range(11 if QUICK else 41)]
    more = [pair[0] - pair[2] for pair in pairs]
    middle = [statistics.median(column) for column in zip(*pairs)]
    bar_row(what, statistics.median(more), bar, "ms more", form="%.2f",
            note="%.1f ms against %.1f ms, CPU %.1f against %.1f, %s" % (
                middle[0], middle[2], middle[1], middle[3], spread(more)))


def measure():
    for tls in (False, True):
        vault = ready(tls=tls)
        try:
            vault.ok("POST", "secret/data/app/1", {"data": {"username": "app", "password": "x"}})
            env = vault.environment(vault.token)
            name = "TLS" if tls else "plain"
            url = vault.address + "/v1/secret/data/app/1"
            config = os.path.join(vault.folder, "curl.conf")
            with open(os.open(config, os.O_WRONLY | os.O_CREAT, 0o600), "w") as file:
                file.write('header = "X-Vault-Token: %s"\n' % vault.token)
            curl = ["curl", "-sSf", "-K", config, url]
            if tls:
                curl += ["--cacert", vault.cacert]
            compare("secretctl kv get, %s" % name, [program("secretctl"), "kv", "get", "secret/app/1"],
                    curl, 10, env)
            agent = [program("secret-agent"), "run", "--env", "PASSWORD=secret/app/1#password", "--",
                     "true"]
            compare("secret-agent run -- true, %s" % name, agent, ["true"], 12, env)
        finally:
            vault.remove()
