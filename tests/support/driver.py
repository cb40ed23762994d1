"""Runs one driver step in a real vaultd-worker, without vaultd.

An own reading of the message form (lib/driver/message.c), so that a change on one side only shows.
"""

import base64
import hashlib
import hmac
import os
import socket
import struct
import subprocess

FORMAT = 3
OPS = ["inspect", "create", "apply", "verify", "probe", "revoke", "restore"]
LOGINS = ["admin", "control", "new", "old"]
CLASSES = ["unreach", "ok", "refused", "permanent", "value", "wrong-server"]
ANSWERS = ["none", "unknown", "accepted", "refused"]
TEXTS = ["driver", "host", "database", "program", "api", "sslmode", "ca", "server_id", "keys_file", "servers",
         "sentinel_master", "account", "other_account", "group", "secret", "run", "digest", "control_id", "new_id", "old_id"]
NUMBERS = ["port", "connect_timeout_ms", "statement_timeout_ms", "attempt", "settle_ms",
           "timeout_ms"]
RESULT_TEXTS = ["code", "text", "server_version", "server_id", "comment", "session_user",
                "current_user"]
RESULT_NUMBERS = ["sessions", "ended_sessions", "missing_layers", "took_ms"]


def scram_verifier(password, salt=None, iterations=4096):
    salt = os.urandom(16) if salt is None else salt
    salted = hashlib.pbkdf2_hmac("sha256", password.encode(), salt, iterations)
    client = hmac.digest(salted, b"Client Key", "sha256")
    parts = [base64.b64encode(x).decode() for x in
             (salt, hashlib.sha256(client).digest(), hmac.digest(salted, b"Server Key", "sha256"))]
    return f"SCRAM-SHA-256${iterations}:{parts[0]}${parts[1]}:{parts[2]}"


def field(value):
    data = value if isinstance(value, bytes) else value.encode()
    return struct.pack("<I", len(data)) + data


def encode(step):
    out = bytes([FORMAT, ord("S"), OPS.index(step["op"])])
    for name in TEXTS:
        out += field(step.get(name, ""))
    for name in NUMBERS:
        out += struct.pack("<I", step.get(name, 0))
    for who in LOGINS:
        login = step.get("logins", {}).get(who)
        out += b"\0" if login is None else b"\1" + field(login[0]) + field(login[1])
    return out + field(step.get("public_part", "")) + field(step.get("keep_part", ""))


class Reader:
    def __init__(self, data):
        self.data = data

    def take(self, n):
        if len(self.data) < n:
            raise ValueError("the worker's answer is cut short")
        part, self.data = self.data[:n], self.data[n:]
        return part

    def u8(self):
        return self.take(1)[0]

    def u32(self):
        return struct.unpack("<I", self.take(4))[0]

    def text(self):
        return self.take(self.u32()).decode()


def decode(data):
    r = Reader(data)
    if r.take(2) != bytes([FORMAT, ord("R")]):
        raise ValueError("the worker's answer is no result")
    result = {"class": CLASSES[r.u8()]}
    result.update((name, r.text()) for name in RESULT_TEXTS)
    result.update((name, r.u32()) for name in RESULT_NUMBERS)
    result["replies"] = {}
    for who in LOGINS:
        answer, flags = ANSWERS[r.u8()], r.u8()
        result["replies"][who] = {"answer": answer, "barred": bool(flags & 1),
                                  "unasked": bool(flags & 2), "code": r.text(),
                                  "took_ms": r.u32()}
    result["findings"] = [r.text() for _ in range(r.u8())]
    result["made"], result["made_id"] = r.text(), r.text()
    if r.data:
        raise ValueError("something stands behind the worker's answer")
    return result


class Worker:
    """A step under way: start() at once, result() when it is wanted."""

    def __init__(self, step, worker):
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.socket = ours
        # The worker's end has to be descriptor 3, as vaultd-spawn would have it.
        self.process = subprocess.Popen(
            ["bash", "-c", f'exec 3<&{theirs.fileno()} "$0"', worker],
            pass_fds=[theirs.fileno()], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT, env={"PGPASSWORD": "from the environment"})
        theirs.close()
        self.socket.settimeout(step.get("timeout_ms", 0) / 1000 + 30)
        self.socket.send(encode(step))

    def result(self):
        answer = self.socket.recv(65536)
        said = self.process.communicate(timeout=30)[0]
        self.socket.close()
        if said:
            raise RuntimeError(f"the worker printed {said!r}")
        if not answer:
            raise RuntimeError(f"the worker ended without an answer ({self.process.returncode})")
        return decode(answer)


def worker_path():
    return os.path.join(os.environ.get("KT_BIN", "build/bin"), "vaultd-worker")


def run_step(step, worker=None):
    return Worker(step, worker or worker_path()).result()
