"""Anonymous memory of vaultd: at rest, for each connection, and whether it grows."""
import socket

from common import anonymous_kib, load, ready, row


def memory():
    vault = ready(config="limits { max_connections_per_ip = 0 }")
    try:
        vault.ok("POST", "secret/data/app/1", {"data": {"k": "v"}})
        began = anonymous_kib(vault.process.pid)
        row("memory, anonymous, at rest", "%.1f MB" % (began / 1024))
        request = ("GET /v1/secret/data/app/1 HTTP/1.1\r\nHost: b\r\nX-Vault-Token: %s\r\n\r\n"
                   % vault.client).encode()
        idle, steps = [], [began]
        for used in (False, True):
            for i in range(400):
                if not used:
                    idle.append(socket.create_connection(("127.0.0.1", vault.port)))
                else:
                    idle[i].sendall(request)
                    idle[i].recv(4096)
            vault.ok("GET", "sys/health")  # by now all of them were accepted
            steps.append(anonymous_kib(vault.process.pid))
        row("memory, an idle connection, before a request", "%.1f KiB" % ((steps[1] - steps[0]) / 400))
        row("memory, an idle connection, after one", "%.1f KiB" % ((steps[2] - steps[0]) / 400))
        for s in idle:
            s.close()
        load(vault.port, "/v1/secret/data/app/1", vault.client, seconds=2)
        began = anonymous_kib(vault.process.pid)
        load(vault.port, "/v1/secret/data/app/1", vault.client, count=100000, seconds=60)
        grown = anonymous_kib(vault.process.pid) - began
        row("memory, more after 100,000 more reads", "%d KiB" % grown, "1 MiB", grown / 1024, 1.0,
            least=False)
    finally:
        vault.remove()


def measure():
    memory()
