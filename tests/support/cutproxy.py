"""A proxy before a server that cuts, or holds up, one connection at a chosen place.

    proxy = CutProxy(server.port)                   # proxy.port
    proxy.cut("NOLOGIN PASSWORD NULL", after=True, at="COMMIT")
                                                    # of the next connection in which the first pattern is
                                                    # sent: what has `at` in it arrives, the answer does not
    proxy.cut("SETUSER", after=False)               # it does not arrive
    proxy.cuts                                      # how many were made
    held = proxy.hold("SETUSER")                    # it waits in the proxy
    held.wait_until_there(); held.go_on()           # and arrives late, whoever is still there

Only for connections without TLS: the patterns (regular expressions) are looked for in what the client
sends at a time; without `at` the place is where the first pattern is.
"""
import re
import selectors
import socket
import threading

DEADLINE = 120


class Held:
    def __init__(self):
        self.there, self.gone = threading.Event(), threading.Event()

    def wait_until_there(self):
        if not self.there.wait(DEADLINE):
            raise AssertionError("nothing came to the place where it would be held up")

    def go_on(self):
        self.gone.set()


class Rule:
    def __init__(self, word, at, after=False, held=None):
        self.word = re.compile(word.encode(), re.DOTALL)
        self.at = re.compile(at.encode(), re.DOTALL) if at else None
        self.after, self.held = after, held


class CutProxy:
    def __init__(self, port):
        self.to = port
        self.cuts = 0
        self.rule = None  # of the next connection that has its word
        self.lock = threading.Lock()
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self.accept, daemon=True).start()

    def close(self):
        self.listener.close()

    def cut(self, word, after, at=None):
        with self.lock:
            self.rule = Rule(word, at, after)

    def hold(self, word, at=None):
        held = Held()
        with self.lock:
            self.rule = Rule(word, at, held=held)
        return held

    def accept(self):
        while True:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self.carry, args=(client,), daemon=True).start()

    def carry(self, client):
        try:
            with client, socket.create_connection(("127.0.0.1", self.to)) as server:
                self.pump(client, server)
        except OSError:
            pass

    def armed(self, data):
        """The rule, if this is the connection for it."""
        with self.lock:
            rule = self.rule
            if rule is None or not rule.word.search(data):
                return None
            self.rule = None
            return rule

    def pump(self, client, server):
        rule, sent = None, False
        with selectors.DefaultSelector() as both:
            both.register(client, selectors.EVENT_READ)
            both.register(server, selectors.EVENT_READ)
            while True:
                for key, _ in both.select():
                    data = key.fileobj.recv(65536)
                    if not data:
                        return
                    if key.fileobj is server:
                        if sent:
                            self.count()
                            return  # the answer is thrown away
                        client.sendall(data)
                        continue
                    rule = rule or self.armed(data)
                    if rule and (rule.at is None or rule.at.search(data)):
                        if rule.held:
                            rule.held.there.set()
                            rule.held.gone.wait(DEADLINE)
                            rule = None
                        elif not rule.after:
                            self.count()
                            return
                        else:
                            sent = True
                    server.sendall(data)

    def count(self):
        with self.lock:
            self.cuts += 1
