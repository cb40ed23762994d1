"""An HTTPS API of the tests' own that keeps passwords, slots and keys, and fails when it is told to.

    with HttpApi() as api:                 # its certificate is of api.ca
        api.accounts["svc"].password = "first"
        api.fail("create", "lost")         # once: done, and the connection cut in place of an answer
    api.fail("set", "cut", account="svc")  # the next one for this account: cut, and nothing done
    held = api.hold("delete", "svc")       # it waits before it is done: held.wait_until_there(); held.go_on()
    api.met["svc"]                         # how many requests for it were cut
    api.requests                           # each request's method, address and headers but credentials
    api.stop(); api.start()                # nobody answers meanwhile; what it keeps stays

Passwords: PUT and DELETE /v1/passwords/ACCOUNT. Slots, made here: POST /v1/slots/ACCOUNT, DELETE. Keys, made here,
several an account: POST, GET and DELETE /v1/accounts/ACCOUNT/keys. GET /v1/me takes Basic (account or key id, and value).
The administrative credential is in X-Admin: `admin`, or one of `admins`. An account in `open` is let in with anything.
"""
import base64
import collections
import json
import secrets as random_secrets
import ssl
import tempfile
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import unquote

from cutproxy import Held
from pki import Authority

ADMIN_TOKEN = "adm1n-token-4711"

DECLARED = {
    "admin": {"method": "GET", "path": "/v1/admin", "headers": {"X-Admin": "{admin}"}, "server_id": "/tenant"},
    "test": {"method": "GET", "path": "/v1/me", "basic": ["{account}", "{value}"], "match": {"/account": "{account}"}},
}
PASSWORDS = dict(
    DECLARED,
    set={"method": "PUT", "path": "/v1/passwords/{account}", "headers": {"X-Admin": "{admin}"},
         "body": {"password": "{value}", "by": "keyturn run {run}, {attempt}"}},
    delete={"method": "DELETE", "path": "/v1/passwords/{account}", "headers": {"X-Admin": "{admin}"}})
SLOTS = dict(
    DECLARED,
    create={"method": "POST", "path": "/v1/slots/{account}", "headers": {"X-Admin": "{admin}"}, "form": {"run": "{run}"},
            "value": "/key"},
    delete={"method": "DELETE", "path": "/v1/slots/{account}", "headers": {"X-Admin": "{admin}"}})
KEYS = dict(
    DECLARED,
    test={"method": "GET", "path": "/v1/me", "basic": ["{id}", "{value}"], "match": {"/account": "{account}"}},
    create={"method": "POST", "path": "/v1/accounts/{account}/keys", "headers": {"X-Admin": "{admin}"},
            "body": {"name": "keyturn {run}"}, "value": "/key/secret", "id": "/key/id"},
    list={"method": "GET", "path": "/v1/accounts/{account}/keys", "headers": {"X-Admin": "{admin}"}, "items": "/keys",
          "id": "/id", "tag": "/name", "tag_is": "keyturn {run}", "more": "/more"},
    delete={"method": "DELETE", "path": "/v1/accounts/{account}/keys/{id}", "headers": {"X-Admin": "{admin}"}})


class Account:
    def __init__(self):
        self.password = None
        self.keys = collections.OrderedDict()  # id: (name, secret)


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server_version = "Api"

    def log_message(self, *_):
        pass

    def answer(self, status, body=None, kind="application/json", headers=(), half=False):
        data = b"" if body is None else (json.dumps(body).encode() if kind == "application/json" else body)
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(data)))
        for name, value in headers:
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(data[:len(data) // 2] if half else data)
        if half:
            self.wfile.flush()
            self.close_connection = True

    def work(self):
        api = self.server.api
        if self.server is not api.server:  # a connection from before it was stopped
            self.close_connection = True
            return None
        size = int(self.headers.get("Content-Length") or 0)
        body = self.rfile.read(size)
        parts = [unquote(p) for p in self.path.split("?")[0].strip("/").split("/")][1:]
        with api.lock:
            api.requests.append((self.command, self.path))
            op = api.name_of(self.command, parts)
            how = api.take_fault(op, parts[1] if len(parts) > 1 else "")
        if how == "cut":
            return self.cut()
        if isinstance(how, Held):
            how.there.set()
            how.gone.wait(60)
        if how == "html":
            return self.answer(200, b"<html>please log in</html>", "text/html; charset=utf-8")
        if how == "denied page":
            return self.answer(401, b"<html>no</html>", "text/html")
        if how == "redirect":
            return self.answer(307, {}, headers=[("Location", "/v1/elsewhere")])
        if how == "later":
            return self.answer(429, {"message": "slowly"}, headers=[("Retry-After", "1")])
        if how == "much later":
            return self.answer(503, {"message": "maintenance"}, headers=[("Retry-After", "3600")])
        if how == "echo":
            return self.answer(422, {"message": "refused: %s" % body.decode()})
        if how == "hang":  # nothing is done, and nothing said
            api.released.wait(60)
            self.close_connection = True
            return None
        if how == "what there is":
            return self.answer(201, api.first_key(parts[1]))
        if how == "refused":
            return self.answer(401, {"message": "not yet"})
        with api.lock:
            before = set(api.accounts[parts[1]].keys) if len(parts) > 1 else set()
            status, reply = api.serve(self.command, parts, self.headers, body)
            if how == "refuses for a moment":  # a wrong one, the new one, the old one
                api.faults["test", ""] += ["refused"] * 3
            if how in ("forget", "lose the old"):
                api.forget(parts[1], set() if how == "forget" else before)
        if how == "broken":
            return self.answer(500, {"message": "internal error"})
        if how == "lost":
            return self.cut()
        return self.answer(status, reply, half=how == "half")

    def cut(self):
        self.close_connection = True
        self.connection.close()

    do_GET = do_PUT = do_POST = do_DELETE = work


class HttpApi:
    def __init__(self, dates=None, names="IP:127.0.0.1,DNS:localhost"):
        self.folder = tempfile.TemporaryDirectory(prefix="kt-api-")
        self.ca = Authority(self.folder.name, "root")
        pair = self.ca.issue("api", "extendedKeyUsage=serverAuth\nsubjectAltName=" + names, dates=dates)
        self.accounts = collections.defaultdict(Account)
        self.requests, self.faults, self.lock = [], collections.defaultdict(list), threading.Lock()
        self.met = collections.Counter()
        self.released = threading.Event()
        self.tenant, self.admin, self.most_keys = "tenant-1", ADMIN_TOKEN, 10
        self.admins, self.open = {}, set()
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.load_cert_chain(pair.crt, pair.key)
        self.server, self.port = None, 0

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *_):
        self.remove()

    def remove(self):
        self.released.set()
        self.stop()
        self.folder.cleanup()

    def start(self):
        """At the port that it had, if it had one."""
        server = ThreadingHTTPServer(("127.0.0.1", self.port), Handler)
        server.daemon_threads = True
        server.handle_error = lambda *_: None
        server.api = self
        server.socket = self.context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
        self.server, self.port = server, server.server_address[1]
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()

    def stop(self):
        server, self.server = self.server, None
        server.shutdown()
        server.server_close()

    def target(self, declared, **more):
        return dict({"driver": "http", "host": "localhost", "port": self.port, "ca": self.ca.pem, "api": json.dumps(declared),
                     "admin_username": "keyturn", "admin_password": self.admin, "probe_spacing": 0, "settle": 0}, **more)

    def fail(self, op, *how, account=""):
        with self.lock:
            self.faults[op, account] += how

    def hold(self, op, account):
        held = Held()
        self.fail(op, held, account=account)
        return held

    def take_fault(self, op, account):
        """What was said for this account comes first."""
        found = self.faults[op, account] or self.faults[op, ""]
        how = found.pop(0) if found else None
        self.met[account] += how in ("cut", "lost")
        return how

    def key(self, account, name="by hand"):
        identity, value = "K" + random_secrets.token_hex(6), random_secrets.token_urlsafe(24)
        self.accounts[account].keys[identity] = (name, value)
        return identity, value

    def first_key(self, account):
        identity, (_, value) = next(iter(self.accounts[account].keys.items()))
        return {"key": {"id": identity, "secret": value}}

    def forget(self, account, identities):
        """All keys, or these."""
        keys = self.accounts[account].keys
        for identity in list(identities or keys):
            keys.pop(identity, None)

    @staticmethod
    def name_of(method, parts):
        if parts[0] in ("admin", "me"):
            return {"admin": "admin", "me": "test"}[parts[0]]
        return {"GET": "list", "PUT": "set", "POST": "create", "DELETE": "delete"}[method]

    def who(self, headers):
        """The account that these credentials are of; None: wrong."""
        try:
            name, value = base64.b64decode(headers["Authorization"].split(" ", 1)[1]).decode().split(":", 1)
        except (AttributeError, IndexError, ValueError, TypeError):
            return None
        for account, held in self.accounts.items():
            if account in self.open and (account == name or name in held.keys):
                return account
            if (account == name and held.password == value) or held.keys.get(name, ("", None))[1] == value:
                return account
        return None

    def serve(self, method, parts, headers, body):
        if parts == ["me"]:
            account = self.who(headers)
            return (200, {"account": account}) if account else (401, {"message": "wrong credential"})
        if headers["X-Admin"] not in (self.admin, *self.admins.values()):
            return 401, {"message": "wrong administrator"}
        if parts == ["admin"]:
            return 200, {"tenant": self.tenant}
        account = self.accounts[parts[1]]
        if parts[0] == "passwords" or parts[0] == "slots":
            made = random_secrets.token_urlsafe(24)
            account.password = {"PUT": lambda: json.loads(body)["password"], "POST": lambda: made,
                                "DELETE": lambda: None}[method]()
            return (201, {"key": made}) if method == "POST" else (204, None)
        if method == "GET":
            return 200, {"keys": [{"id": i, "name": n} for i, (n, _) in account.keys.items()], "more": False}
        if method == "DELETE":
            return (204, None) if account.keys.pop(parts[3], None) else (404, {"message": "no such key"})
        if len(account.keys) >= self.most_keys:
            return 409, {"message": "the account has all the keys that it may have"}
        identity, value = self.key(parts[1], json.loads(body)["name"])
        return 201, {"key": {"id": identity, "secret": value}}
