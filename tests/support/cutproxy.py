"""A proxy before PostgreSQL that cuts one connection at a chosen place.

    proxy = PgProxy(pg.port)                       # proxy.port
    proxy.cut("NOLOGIN PASSWORD NULL", after=True) # of the next connection in which this is sent:
                                                   # its COMMIT arrives, the answer to it does not
    proxy.cut("LOGIN PASSWORD", after=False)       # its COMMIT does not arrive
    proxy.cuts                                     # how many were made

Only for connections without TLS: it looks for the words in what the client sends.
"""
import selectors
import socket
import threading


class PgProxy:
    def __init__(self, port):
        self.to = port
        self.cuts = 0
        self.word = self.after = None
        self.lock = threading.Lock()
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self.accept, daemon=True).start()

    def close(self):
        self.listener.close()

    def cut(self, word, after):
        with self.lock:
            self.word, self.after = word.encode(), after

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

    def pump(self, client, server):
        armed = sent = False
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
                    with self.lock:
                        if self.word is not None and self.word in data:
                            armed, self.word = True, None
                    if armed and b"COMMIT" in data:
                        if not self.after:
                            self.count()
                            return
                        sent = True
                    server.sendall(data)

    def count(self):
        with self.lock:
            self.cuts += 1
