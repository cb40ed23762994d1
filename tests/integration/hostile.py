#!/usr/bin/python3
"""Clients that mean harm, while others are served: crowds that say nothing or a byte at a time, bodies
and nesting beyond every limit (CVE-2023-6337, CVE-2025-6203), smuggling, pipelines, half-closed sockets, TLS at
its slowest.

    tests/integration/hostile.py [--large] [--seed S] ['part of a case name']

All limits are vaultd's own defaults. The whole time, clients with a token ask over TCP and over the
operators' Unix socket: each must be answered 200; the times are printed and judge nothing. In the end
vaultd has given back memory and descriptors.
"""
import argparse
import http.client
import json
import os
import random
import resource
import selectors
import shutil
import socket
import ssl
import subprocess
import sys
import threading
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
from keyturn import Report, Vault, equal, free_port, wait_for  # noqa: E402

MIB = 1 << 20
ANSWER_S = 60      # nobody who behaves may wait that long for an answer
HEADER_S = 10      # the deadline of who says nothing or a byte at a time
PUT_OUT_S = 120    # the rest is for a machine that is busy
GIVEN_BACK_KIB = 24 * 1024


# ---- those who are to be served -------------------------------------------------------------------

class UnixConnection(http.client.HTTPConnection):
    def __init__(self, path):
        super().__init__("localhost", timeout=ANSWER_S)
        self.path = path

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self.path)


class Honest(threading.Thread):
    """Reads and now and then writes, on a connection that is kept and at times made anew."""

    def __init__(self, name, connect, token):
        super().__init__(daemon=True)
        self.what, self.connect, self.token = name, connect, token
        self.times, self.problems, self.ending = [], [], threading.Event()

    def once(self, connection, number):
        method, body = ("POST", '{"data":{"n":"%d"}}' % number) if number % 10 == 0 else ("GET", None)
        begun = time.monotonic()
        connection.request(method, "/v1/secret/data/honest", body, {"X-Vault-Token": self.token})
        answer = connection.getresponse()
        text = answer.read()
        self.times.append(time.monotonic() - begun)
        if answer.status != 200:
            self.problems.append("%d %r" % (answer.status, text[:200]))

    def run(self):
        connection, number = None, 0
        while not self.ending.wait(0.02):
            try:
                if connection is None or number % 50 == 0:
                    connection = self.connect()
                self.once(connection, number)
            except (OSError, http.client.HTTPException) as error:
                self.problems.append(repr(error))
                connection = None
            number += 1

    def end(self):
        self.ending.set()
        self.join()
        times = sorted(self.times)
        print("#   %s: %d requests, median %.1f ms, p99 %.1f ms, longest %.1f ms" % (
            self.what, len(times), times[len(times) // 2] * 1e3, times[len(times) * 99 // 100] * 1e3,
            times[-1] * 1e3), flush=True)
        if self.problems:
            raise AssertionError("%s: %d requests failed, the first: %s" % (
                self.what, len(self.problems), self.problems[0]))
        if len(times) < 20:
            raise AssertionError("%s: only %d requests" % (self.what, len(times)))


# ---- the vault -------------------------------------------------------------------------------------

class Stage:
    def __init__(self):
        self.vault = Vault(tls=True)
        run = os.path.join(self.vault.folder, "run")
        os.mkdir(run, 0o755)
        if os.getuid() == 0:
            shutil.chown(run, "keyturn", "keyturn")
        self.socket = os.path.join(run, "vaultd.sock")
        self.plain = free_port()
        self.vault.extra = ('listener "tcp" { address = "127.0.0.1:%d" tls_disable = true }\n'
                            'listener "unix" { path = "%s" mode = "0660" }' % (self.plain, self.socket))
        self.vault.write_config()
        self.vault.ready()
        self.vault.ok("POST", "secret/data/honest", {"data": {"n": "0"}})
        self.token = self.vault.root
        self.pid = self.vault.process.pid

    def tcp(self, source="127.0.0.1", tls=False, timeout=ANSWER_S):
        s = socket.socket()
        s.settimeout(timeout)
        s.bind((source, 0))
        s.connect(("127.0.0.1", self.vault.port if tls else self.plain))
        return s

    def honest(self):
        return [Honest("TCP", lambda: http.client.HTTPConnection("127.0.0.1", self.plain,
                                                                 timeout=ANSWER_S), self.token),
                Honest("Unix socket", lambda: UnixConnection(self.socket), self.token)]

    def ask(self, raw, source="127.0.0.1", half_close=False):
        """What one connection says to these bytes until it ends or is quiet after an answer."""
        with self.tcp(source) as s:
            send_all(s, raw)
            if half_close:
                finish(s)
            return read_to_end(s)

    def request(self, method, path, body=b"", *headers):
        lines = ["%s /v1/%s HTTP/1.1" % (method, path), "Host: a", "X-Vault-Token: " + self.token,
                 *headers]
        if body and not any(h.lower().startswith("transfer") for h in headers):
            lines.append("Content-Length: %d" % len(body))
        return ("\r\n".join(lines) + "\r\n\r\n").encode() + body

    def memory_kib(self):
        with open("/proc/%d/smaps_rollup" % self.pid) as f:
            return next(int(line.split()[1]) for line in f if line.startswith("Anonymous:"))

    def descriptors(self):
        return len(os.listdir("/proc/%d/fd" % self.pid))


def send_all(s, raw):
    """As much as is taken: who refuses a body need not read it."""
    try:
        s.sendall(raw)
    except OSError:
        pass


def finish(s):
    try:
        s.shutdown(socket.SHUT_WR)
    except OSError:
        pass  # the other side was faster


def read_to_end(s):
    got = b""
    try:
        while True:
            more = s.recv(65536)
            if not more:
                return got
            got += more
    except OSError as error:
        if isinstance(error, socket.timeout):
            raise AssertionError("neither an end nor an answer: %r" % got[-300:])
        return got


def statuses(answer):
    """One for each answer. libmicrohttpd 0.9.75 begins its own refusals twice: that is one."""
    parts = answer.split(b"HTTP/1.1 ")[1:]
    if len(parts) == 2 and b"Connection: close" in parts[0] and parts[1].startswith(parts[0]):
        del parts[0]
    return [int(part.split(b" ", 1)[0]) for part in parts]


# ---- a crowd ---------------------------------------------------------------------------------------

class Crowd:
    """Connections from several addresses, each of one habit; driven by one thread."""

    HABITS = {
        "silent": (b"", b""),
        "header": (b"GET /v1/secret/data/x HTTP/1.1\r\nHost: a\r\nX-Junk: ", b"a"),
        "line": (b"G", b"E"),
        "body": (b"POST /v1/secret/data/x HTTP/1.1\r\nHost: a\r\nContent-Length: 100000\r\n\r\n{", b" "),
        "chunks": (b"POST /v1/secret/data/x HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n",
                   b"1\r\n \r\n"),
    }

    def __init__(self, stage, count, addresses):
        self.stage, self.open = stage, {}
        self.selector = selectors.DefaultSelector()
        self.answered = self.dripped = 0
        names = list(self.HABITS)
        for i in range(count):
            s = stage.tcp(addresses[i % len(addresses)])
            s.setblocking(False)
            habit = names[i // len(addresses) % len(names)]
            self.open[s] = self.HABITS[habit][1]
            self.send(s, self.HABITS[habit][0])
            self.selector.register(s, selectors.EVENT_READ)

    def send(self, s, data):
        try:
            if data:
                s.send(data)
                self.dripped += len(data)
        except OSError:
            pass  # it was put out; reading says so

    def look(self):
        for key, _ in self.selector.select(0.2):
            try:
                more = key.fileobj.recv(65536)
            except BlockingIOError:
                continue
            except OSError:
                more = b""
            self.answered += more.startswith(b"HTTP/1.1 2")
            if not more:
                self.selector.unregister(key.fileobj)
                key.fileobj.close()
                del self.open[key.fileobj]

    def drip_until_put_out(self):
        end = time.monotonic() + PUT_OUT_S
        last = 0
        while self.open and time.monotonic() < end:
            if time.monotonic() - last > 0.5:
                last = time.monotonic()
                for s, drop in self.open.items():
                    self.send(s, drop)
            self.look()
        left = len(self.open)
        for s in self.open:
            s.close()
        return left


def crowd(stage, large):
    """5,000 connections, of which 4,500 are squatters; the others authenticated and stay."""
    addresses = ["127.0.1.%d" % i for i in range(1, 21)]
    friends = [stage.tcp("127.0.2.1") for _ in range(500)]
    for _ in range(5 if large else 1):
        for s in friends:  # who says nothing for a minute is put out, too
            s.sendall(stage.request("GET", "secret/data/honest"))
        for s in friends:
            equal(s.recv(65536)[:15], b"HTTP/1.1 200 OK", "a friend before the crowd")
        squatters = Crowd(stage, 4500, addresses)
        begun = time.monotonic()
        left = squatters.drip_until_put_out()
        print("#   the last of 4,500 was put out after %.1f s, %d bytes dripped" % (
            time.monotonic() - begun, squatters.dripped), flush=True)
        equal((left, squatters.answered), (0, 0), "(not put out, answered)")
    for s in friends:
        s.sendall(stage.request("GET", "secret/data/honest"))
    for s in friends:
        equal(s.recv(65536)[:15], b"HTTP/1.1 200 OK", "a friend after the crowd")
        s.close()


def oldest_put_out(stage, source):
    """After how many seconds 44 of 300 were seen to be put out; the oldest of them."""
    begun = time.monotonic()
    squatters = [stage.tcp(source) for _ in range(300)]
    gone = set()

    def forty_four_gone():
        for i, s in enumerate(squatters):
            s.setblocking(False)
            try:
                if i not in gone and s.recv(1) == b"":
                    gone.add(i)
            except OSError:
                pass
        # Threads take connections side by side, and put them out so: the order is theirs only about.
        return len(gone) >= 44 and all(i in gone for i in range(40))
    wait_for("the oldest of 300 to be put out", forty_four_gone)
    took = time.monotonic() - begun
    if took < HEADER_S and any(i in gone for i in range(60, 300)):
        raise AssertionError("not the oldest were put out: %s" % sorted(gone))
    for s in squatters:
        s.close()
    return took


def one_address(stage, large):
    """One address that never authenticates: above 256 the oldest go, above 4,096 nobody comes in. That
    is seen if it is seen before the deadline that puts all of them out."""
    took = [HEADER_S]
    while took[-1] >= HEADER_S and len(took) < 6:
        took.append(oldest_put_out(stage, "127.0.3.%d" % (len(took) + 10)))
    if took[-1] >= HEADER_S:
        raise AssertionError("44 of 300 were put out only after %r s" % took[1:])
    if not large:
        return
    many, refused = [], 0
    for _ in range(4096 + 300):
        s = stage.tcp("127.0.3.2")
        many.append(s)
    for s in many[-100:]:
        s.settimeout(ANSWER_S)
        refused += s.recv(1) == b""
    equal(refused, 100, "turned away at once")
    for s in many:
        s.close()


# ---- bodies ----------------------------------------------------------------------------------------

def chunked(total, size=MIB):
    chunk = b"%x\r\n" % size + b" " * size + b"\r\n"
    return chunk * (total // size) + b"0\r\n\r\n"


def large_bodies(stage, large):
    """33 MiB: announced, and without a length."""
    whole = b" " * (33 * MIB)
    for token in (stage.token, "hvs.wrong"):
        head = ("POST /v1/secret/data/x HTTP/1.1\r\nHost: a\r\nX-Vault-Token: %s\r\n" % token).encode()
        announced = stage.ask(head + b"Content-Length: %d\r\n\r\n" % len(whole))
        equal(statuses(announced), [413], "announced, none of it sent")
        with stage.tcp() as s:
            send_all(s, head + b"Connection: close\r\nTransfer-Encoding: chunked\r\n\r\n" +
                     chunked(33 * MIB))
            equal(statuses(read_to_end(s)), [413], "chunked")
    secret = json.dumps({"data": {"v": "x" * (513 * 1024)}}).encode()
    equal(statuses(stage.ask(stage.request("POST", "secret/data/x", secret, "Connection: close"))),
          [400], "a secret above 512 KiB")
    unseal = b'{"key":"' + b"0" * 70000 + b'"}'
    equal(statuses(stage.ask(b"PUT /v1/sys/unseal HTTP/1.1\r\nHost: a\r\nConnection: close\r\n"
                             b"Content-Length: %d\r\n\r\n" % len(unseal) + unseal)), [413],
          "a share of 70,000 bytes")


def bodies_in_flight(stage, large):
    """Bodies of strangers that are all but whole: 256 MiB of them are kept, not more."""
    count, size = (20 if large else 11), 31 * MIB
    peak, connections, refused = stage.memory_kib(), [], 0
    part = b" " * MIB
    for i in range(count):
        s = stage.tcp("127.0.4.%d" % (i + 1))
        send_all(s, b"POST /v1/secret/data/x HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n" % size)
        for _ in range(size // MIB - 1):
            s.settimeout(2)
            try:
                s.sendall(part)
            except OSError:
                break
        peak = max(peak, stage.memory_kib())
        connections.append(s)
    for s in connections:
        s.setblocking(False)
        try:
            refused += statuses(s.recv(65536)) == [503]
        except OSError:
            pass
        s.close()
    print("#   %d bodies of 31 MiB: %d refused with 503, %d MiB anonymous memory at most" % (
        count, refused, peak // 1024), flush=True)
    if refused < count - 8 or peak > 600 * 1024:
        raise AssertionError("%d of %d refused, %d KiB" % (refused, count, peak))


def nested(stage, large):
    """JSON that is small to send and large to read."""
    rows = [
        ("10,000 arrays", b'{"data":' + b"[" * 10000 + b"]" * 10000 + b"}"),
        ("10,000 objects", b'{"data":' + b'{"a":' * 10000 + b"1" + b"}" * 10000 + b"}"),
        ("10,000 arrays, not closed", b'{"data":' + b"[" * 10000),
        ("65 levels", b'{"data":{"a":' + b"[" * 63 + b"]" * 63 + b"}}"),
        ("20,001 values", b'{"data":{"a":[' + b"1," * 20000 + b"1]}}"),
        ("1,025 keys", b'{"data":{' + b",".join(b'"k%d":1' % i for i in range(1025)) + b"}}"),
        ("the same key twice", b'{"data":{"a":1,"a":2}}'),
        ("a number of 65 digits", b'{"data":{"a":' + b"1" * 65 + b"}}"),
        ("a lone surrogate", b'{"data":{"a":"\\ud800"}}'),
        ("a NUL", b'{"data":{"a":"\\u0000"}}'),
        ("not UTF-8", b'{"data":{"a":"\xc0\xaf"}}'),
        ("16 MiB of white space and a brace", b" " * (16 * MIB) + b"{"),
        ("4 MiB of open brackets", b"[" * (4 * MIB)),
        ("2 MiB of quotes", b'{"data":{"a":"' + b'\\"' * MIB),
    ]
    for token in (stage.token, "hvs.wrong"):
        for name, body in rows:
            before = stage.memory_kib()
            raw = stage.request("POST", "secret/data/x", body, "Connection: close").replace(
                stage.token.encode(), token.encode(), 1)
            wanted = (400, 413) if token == stage.token else (403, 413)
            got = statuses(stage.ask(raw))
            if len(got) != 1 or got[0] not in wanted:
                raise AssertionError("%s: %s" % (name, got))
            grown = stage.memory_kib() - before
            if grown * 1024 > 3 * len(body) + 8 * MIB:
                raise AssertionError("%s: %d KiB more for %d bytes" % (name, grown, len(body)))
    share = b'{"key":' + b"[" * 10000 + b"]" * 10000 + b"}"
    equal(statuses(stage.ask(b"PUT /v1/sys/unseal HTTP/1.1\r\nHost: a\r\nConnection: close\r\n"
                             b"Content-Length: %d\r\n\r\n" % len(share) + share)), [400],
          "nesting without a token")


def capabilities(stage, large):
    """One token with only the default policy asks what it may do at very many paths, and very long ones."""
    token = stage.vault.ok("POST", "auth/token/create", {"policies": ["default"]}).json["auth"]["client_token"]
    rows = [("4,096 short paths", ["secret/%d" % i for i in range(4096)], 200),
            ("the same one 4,096 times", ["secret/a"] * 4096, 200),
            ("60 long ones that begin alike", ["cubbyhole/" + "y" * 4000 + str(i) for i in range(60)], 200),
            ("4,096 long ones that begin alike", ["cubbyhole/" + "y" * 4000 + str(i) for i in range(4096)], 413),
            ("one that is no path", ["cubbyhole/" + "y" * 6000], 400)]
    rows = [(name, stage.request("POST", "sys/capabilities-self", json.dumps({"paths": paths}).encode(),
                                 "Connection: close").replace(stage.token.encode(), token.encode(), 1), wanted)
            for name, paths, wanted in rows]
    asking = []

    def ask(raw, wanted):
        equal(statuses(stage.ask(raw)), [wanted], "capabilities")

    for name, raw, wanted in rows:
        begun = time.monotonic()
        ask(raw, wanted)
        print("#   %s: %.0f ms" % (name, (time.monotonic() - begun) * 1e3), flush=True)
    for _ in range(6):
        for name, raw, wanted in rows:
            asking.append(threading.Thread(target=ask, args=(raw, wanted)))
    for thread in asking:
        thread.start()
    begun = time.monotonic()
    stage.vault.ok("GET", "sys/health")
    print("#   30 of them at once: sys/health took %.0f ms" % ((time.monotonic() - begun) * 1e3), flush=True)
    for thread in asking:
        thread.join()


# ---- smuggling -------------------------------------------------------------------------------------

def smuggling(stage, large):
    """What a proxy in front may have read differently: one refusal, and the connection ends."""
    inner = stage.request("GET", "secret/data/honest", b"", "Connection: close")
    post = b"POST /v1/secret/data/x HTTP/1.1\r\nHost: a\r\n"
    five = b"Content-Length: 5\r\n"
    te = b"Transfer-Encoding: chunked\r\n"
    end = b"0\r\n\r\n"
    rows = [
        ("length and chunked", post + five + te + b"\r\n" + end),
        ("chunked and length", post + te + five + b"\r\n" + end),
        ("two lengths", post + five + b"Content-Length: 6\r\n\r\nabcde"),
        ("the same length twice", post + five + five + b"\r\nabcde"),
        ("a list of lengths", post + b"Content-Length: 5, 5\r\n\r\nabcde"),
        ("a length with a sign", post + b"Content-Length: +5\r\n\r\nabcde"),
        ("a negative length", post + b"Content-Length: -5\r\n\r\nabcde"),
        ("a length in hexadecimal", post + b"Content-Length: 0x5\r\n\r\nabcde"),
        ("a length with more behind it", post + b"Content-Length: 5 5\r\n\r\nabcde"),
        ("a length beyond 64 bits", post + b"Content-Length: 18446744073709551621\r\n\r\nabcde"),
        ("an empty length", post + b"Content-Length: \r\n\r\nabcde"),
        ("xchunked", post + b"Transfer-Encoding: xchunked\r\n\r\n" + end),
        ("chunked, identity", post + b"Transfer-Encoding: chunked, identity\r\n\r\n" + end),
        ("identity", post + b"Transfer-Encoding: identity\r\n\r\n" + end),
        ("chunked twice", post + te + te + b"\r\n" + end),
        ("a space before the colon", post + b"Transfer-Encoding : chunked\r\n\r\n" + end),
        ("a space before the length's colon", post + b"Content-Length : 5\r\n\r\nabcde"),
        ("a folded line", post + b"Transfer-Encoding:\r\n chunked\r\n\r\n" + end),
        ("a line that begins with a space", post + b" Content-Length: 5\r\n\r\nabcde"),
        ("a vertical tab in the value", post + b"Transfer-Encoding: \x0bchunked\r\n\r\n" + end),
        ("no colon", post + b"Content-Length\r\n\r\nabcde"),
        ("a chunk size beyond 64 bits", post + te + b"\r\n11111111111111111\r\na\r\n" + end),
        ("a chunk size with 0x", post + te + b"\r\n0x5\r\nabcde\r\n" + end),
        ("a negative chunk size", post + te + b"\r\n-5\r\nabcde\r\n" + end),
        ("a chunk longer than it says", post + te + b"\r\n3\r\nabcde\r\n" + end),
        ("no host", b"GET /v1/secret/data/x HTTP/1.1\r\n\r\n"),
        ("two hosts", b"GET /v1/secret/data/x HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n"),
        ("two tokens", b"GET /v1/secret/data/x HTTP/1.1\r\nHost: a\r\nX-Vault-Token: a\r\n"
                       b"X-Vault-Token: b\r\nConnection: close\r\n\r\n"),
        ("a NUL in the path", b"GET /v1/secret/data/x\0y HTTP/1.1\r\nHost: a\r\n\r\n"),
        ("a NUL in a value", b"GET /v1/secret/data/x HTTP/1.1\r\nHost: a\0b\r\nConnection: close\r\n\r\n"),
        ("chunked with HTTP/1.0", b"POST /v1/secret/data/x HTTP/1.0\r\nHost: a\r\n" + te + five +
         b"\r\n" + end),
        ("three words more", b"GET /v1/secret/data/x HTTP/1.1 HTTP/1.1\r\nHost: a\r\n\r\n"),
        ("HTTP/2's preface", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"),
        ("a TLS greeting", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\xaa" * 600),
    ]
    wrong = []
    for name, raw in rows:
        got = statuses(stage.ask(raw + inner))
        # One refusal, or an end without a word; never an answer to what stands behind.
        if len(got) > 1 or any(status < 400 for status in got):
            wrong.append("%s: %s" % (name, got))
    if wrong:
        raise AssertionError("; ".join(wrong))


# ---- pipelines, half-closed sockets ----------------------------------------------------------------

def pipelines(stage, large):
    """Requests behind each other: answered in order; unread answers do not pile up in vaultd."""
    for i in range(10):
        stage.vault.ok("POST", "secret/data/p%d" % i, {"data": {"n": "number-%d" % i}})
    order = [random.randrange(10) for _ in range(200)]
    with stage.tcp() as s:
        sender = threading.Thread(target=send_all, args=(s, b"".join(
            stage.request("GET", "secret/data/p%d" % i, b"", *(["Connection: close"] if last else []))
            for last, i in ((k == len(order) - 1, i) for k, i in enumerate(order)))))
        sender.start()
        answer = read_to_end(s)
        sender.join()
    parts = answer.split(b"HTTP/1.1 200")[1:]
    equal(len(parts), len(order), "answers")
    for i, part in zip(order, parts):
        if b"number-%d" % i not in part:
            raise AssertionError("answers are out of order")
    stage.vault.ok("POST", "secret/data/big", {"data": {"v": "x" * (500 * 1024)}})
    before, stuck = stage.memory_kib(), []
    for _ in range(40):
        s = stage.tcp()
        s.setblocking(False)
        try:
            s.send(stage.request("GET", "secret/data/big") * 100)
        except OSError:
            pass
        stuck.append(s)
    peak = 0
    for _ in range(20):
        stage.vault.ok("GET", "sys/health")
        peak = max(peak, stage.memory_kib() - before)
    # Per connection one request at a time: its answer once.
    print("#   4,000 answers of 500 KiB asked for and not read: %d MiB" % (peak // 1024), flush=True)
    if peak > 40 * 768:
        raise AssertionError("%d KiB for 40 connections" % peak)
    if large:  # 60 s without progress
        for s in stuck:
            wait_for("a reader that does not read to be put out", lambda s=s: stalled(s), 180, 1)
    for s in stuck:
        s.close()


def stalled(s):
    """Whether the other side has given up: a reset is seen without reading."""
    error = s.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
    state = s.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 1)[0]
    return error != 0 or state in (7, 8)  # closed, close-wait


def half_closed(stage, large):
    """Who has said all is answered; who stops in the middle is let go."""
    one = stage.request("GET", "secret/data/honest", b"", "Connection: close")
    equal(statuses(stage.ask(one, half_close=True)), [200], "a whole request")
    body = b'{"data":{"n":"1"}}'
    write = stage.request("POST", "secret/data/half", body, "Connection: close")
    # libmicrohttpd 0.9.75 may take the end of what it reads for the end of a client whose request
    # was suspended meanwhile. The write is done then, and not answered.
    if statuses(stage.ask(write, half_close=True)) not in ([200], []):
        raise AssertionError("a whole write is refused")
    wait_for("the write's effect", lambda: stage.vault.call("GET", "secret/data/half").status == 200)
    for cut in (0, 1, 10, len(write) - len(body) - 1, len(write) - 1):
        got = statuses(stage.ask(write[:cut], half_close=True))
        if any(status < 400 for status in got):
            raise AssertionError("%d bytes of %d: %s" % (cut, len(write), got))
    version = stage.vault.ok("GET", "secret/data/half").data["metadata"]["version"]
    equal(version, 1, "versions: a cut write has no effect")
    poll = [stage.tcp(timeout=4 * ANSWER_S) for _ in range(50)]
    for s in poll:
        s.sendall(stage.request("GET", "fleet/watch/h?wait=%d" % (120 if large else 2),
                                b"", "Connection: close"))
        finish(s)
    for s in poll:
        read_to_end(s)  # an answer, or none; but an end
        s.close()


# ---- TLS -------------------------------------------------------------------------------------------

def hello(stage):
    """A real ClientHello."""
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    context = ssl.create_default_context(cafile=stage.vault.cacert)
    tls = context.wrap_bio(incoming, outgoing, server_hostname="127.0.0.1")
    try:
        tls.do_handshake()
    except ssl.SSLWantReadError:
        pass
    return outgoing.read()


def slow_handshakes(stage, large):
    """A byte at a time, half of one, and none: all are put out by the handshake's deadline."""
    greeting = hello(stage)
    connections = {}
    for i in range(600 if large else 300):
        s = stage.tcp("127.0.5.%d" % (i % 3 + 1), tls=True)
        connections[s] = 0
        if i % 3 == 1:
            send_all(s, greeting[:len(greeting) // 2])
        if i % 3 == 2:
            send_all(s, greeting)  # and never a Finished
        s.setblocking(False)
    end = time.monotonic() + PUT_OUT_S
    while connections and time.monotonic() < end:
        for s in list(connections):
            at = connections[s]
            try:
                if at < 40:
                    s.send(greeting[at:at + 1])
                connections[s] = at + 1
                while s.recv(65536):
                    pass
            except BlockingIOError:
                continue
            except OSError:
                pass
            s.close()
            del connections[s]
        stage.vault.ok("GET", "sys/health")  # a handshake of somebody who goes on
        time.sleep(0.2)  # the habit of this client, not a wait for anything
    equal(len(connections), 0, "handshakes that were not put out")


def broken_handshakes(stage, large):
    greeting = hello(stage)
    noise = random.Random(7)
    for i in range(400 if large else 100):
        with stage.tcp(tls=True) as s:
            data = bytearray(greeting)
            for _ in range(1 + i % 5):
                data[noise.randrange(len(data))] = noise.randrange(256)
            send_all(s, bytes(data[:noise.randrange(1, len(data))]) if i % 2 else bytes(data))
            finish(s)
            read_to_end(s)
    with stage.tcp(tls=True) as s:
        send_all(s, b"GET /v1/sys/health HTTP/1.1\r\nHost: a\r\n\r\n")
        finish(s)
        equal(b"HTTP/1.1 200" in read_to_end(s), False, "plain text on the TLS port is answered")


def openssl(stage, *args, input=b"", seconds=ANSWER_S):
    return subprocess.run(["openssl", "s_client", "-connect", "127.0.0.1:%d" % stage.vault.port,
                           "-CAfile", stage.vault.cacert, *args], input=input, timeout=seconds,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False).stdout.decode(
                              "utf-8", "replace")


def begins_anew(port, cafile):
    """What a client shows that asks for a handshake within the connection, and stays until that ends."""
    process = subprocess.Popen(["openssl", "s_client", "-connect", "127.0.0.1:%d" % port, "-CAfile", cafile,
                                "-tls1_2"], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                               stderr=subprocess.STDOUT)
    late = threading.Timer(PUT_OUT_S, process.kill)
    late.start()
    process.stdin.write(b"R\n")
    process.stdin.flush()
    said = process.stdout.read().decode("utf-8", "replace")
    late.cancel()
    process.stdin.close()
    if process.wait() < 0:
        raise AssertionError("the connection goes on: " + said[-500:])
    return said


def renegotiation(stage, large):
    """A client that wants to begin anew is not followed: handshakes cost the server most."""
    ask = "GET /v1/sys/health HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
    plain = openssl(stage, "-tls1_2", "-quiet", input=ask.encode())
    equal("HTTP/1.1 200" in plain, True, "TLS 1.2 without it is served")
    again = begins_anew(stage.vault.port, stage.vault.cacert)
    begun = again.count("RENEGOTIATING")
    done = again.split("RENEGOTIATING", 1)[-1].count("verify return")
    equal((begun, done), (1, 0), "renegotiations (asked for, carried out)")
    for version in ("-tls1", "-tls1_1"):
        old = openssl(stage, version, "-cipher", "ALL:@SECLEVEL=0")
        equal("Cipher is (NONE)" in old or "Cipher    : 0000" in old, True, version + " is refused")


# ---- all of it -------------------------------------------------------------------------------------

CASES = [
    ("5,000 connections, 4,500 of them squatters", crowd),
    ("one address with too many connections", one_address),
    ("bodies beyond the limits", large_bodies),
    ("bodies in flight", bodies_in_flight),
    ("JSON that nests and multiplies", nested),
    ("long lists of long paths", capabilities),
    ("smuggled requests", smuggling),
    ("pipelines", pipelines),
    ("half-closed sockets", half_closed),
    ("handshakes that take for ever", slow_handshakes),
    ("handshakes that are broken", broken_handshakes),
    ("renegotiation and old versions of TLS", renegotiation),
]


def given_back(stage, memory, descriptors):
    wait_for("descriptors to be given back", lambda: stage.descriptors() <= descriptors + 8)
    try:
        wait_for("memory", lambda: stage.memory_kib() <= memory + GIVEN_BACK_KIB, pause=0.5)
    finally:
        print("#   anonymous memory before %d KiB, after %d KiB" % (memory, stage.memory_kib()),
              flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--large", action="store_true")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("only", nargs="?")
    args = parser.parse_args()
    random.seed(args.seed)
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 32768), hard))
    report = Report(args.only or "")
    stage = Stage()
    try:
        for _ in range(200):  # what is made once has been made
            stage.vault.ok("GET", "secret/data/honest")
        memory, descriptors = stage.memory_kib(), stage.descriptors()
        honest = stage.honest()
        for client in honest:
            client.start()
        for name, function in CASES:
            report.case(name, function, stage, args.large)
        for client in honest:
            report.case(client.what + ": everybody who behaves is served", client.end)
        report.case("memory and descriptors are given back", given_back, stage, memory, descriptors)
        report.case("vaultd ends in order", lambda: equal(stage.vault.stop(), 0))
    finally:
        stage.vault.remove()
    report.end()


main()
