"""Requests to a vaultd exactly as they are meant, byte for byte, and what every answer must keep to.

    wire = Wire(vault)                      # a started keyturn.Vault
    r = wire.ask("GET", "secret/data/a")    # with the root token; path as given, nothing escaped
    wire.ask("POST", "x", {"a": 1}, token=None, headers={"X-Vault-Namespace": ""})
    wire.lines(b"GET /v1/sys/health HTTP/1.1\r\nHost: x\r\n\r\n")   # exact bytes on a new connection

Each answer is checked for what holds for all of them (media type, no caching, the shapes of errors and
of the envelope); a breach fails the case that asked. Case, error() and wants() say what was expected.
"""
import http.client
import json
import os
import re
import socket
import sys

from keyturn import DEADLINE
from tap import Mismatch

ENVELOPE = ["request_id", "lease_id", "renewable", "lease_duration", "data", "wrap_info", "warnings",
            "auth"]
BARE = ("sys/init", "sys/seal-status", "sys/unseal", "sys/health", "sys/leader", "sys/generate-root",
        "sys/rekey/init", "sys/rekey/update", "sys/rekey/verify", "sys/internal/specs", "sys/metrics")


class Reply:
    def __init__(self, question, status, headers, body):
        self.question, self.status, self.headers, self.body = question, status, headers, body

    def header(self, name):
        return [v for k, v in self.headers if k.lower() == name.lower()]

    @property
    def json(self):
        return json.loads(self.body)

    @property
    def data(self):
        return self.json["data"]

    @property
    def auth(self):
        return self.json["auth"]

    @property
    def errors(self):
        return self.json["errors"]

    @property
    def warnings(self):
        return self.json["warnings"]

    def __str__(self):
        return "%s: %d %s" % (self.question, self.status, self.body[:600].decode("utf-8", "replace"))


def check_envelope(reply):
    document = reply.json
    missing = [k for k in ENVELOPE if k not in document]
    if missing:
        raise Mismatch("expected an envelope with all keys, got none of %s in %s" % (missing, reply))
    # What waits for a wrapping token has its own request_id inside.
    wrong_id = bool(document["request_id"]) != (document["wrap_info"] is None)
    if document["lease_id"] is None or document["warnings"] == [] or wrong_id:
        raise Mismatch("expected lease_id text, warnings null or full, a request_id, got %s" % reply)
    order = [k for k in document if k in ENVELOPE]
    if order != ENVELOPE:
        raise Mismatch("expected the envelope's order, got %s" % order)


def check_always(reply, path):
    """What holds for every answer under /v1/."""
    if reply.header("Content-Type") != ["application/json"]:
        raise Mismatch("expected exactly application/json, got %s in %s" % (
            reply.header("Content-Type"), reply))
    if reply.header("Cache-Control") != ["no-store"]:
        raise Mismatch("expected Cache-Control: no-store, got %s" % reply.header("Cache-Control"))
    if reply.status == 204 and reply.body:
        raise Mismatch("expected no body with 204, got %s" % reply)
    if not reply.body:
        return
    if not reply.body.endswith(b"\n"):
        raise Mismatch("expected a newline at the end, got %s" % reply)
    document = reply.json
    if not isinstance(document, dict):
        raise Mismatch("expected an object, got %s" % reply)
    if "errors" in document:
        if reply.status < 400 or not all(isinstance(e, str) and e for e in document["errors"]):
            raise Mismatch("expected an error's status and texts, got %s" % reply)
    elif not path.split("?")[0].startswith(BARE) and "help" not in document:
        check_envelope(reply)


class Wire:
    def __init__(self, vault, source=None):
        """source: the address of ours to ask from, 127.0.0.x."""
        self.source = source and (source, 0)
        self.vault = vault
        self.root = vault.token
        self.connection = None

    def open(self):
        if self.connection is None:
            self.connection = http.client.HTTPConnection("127.0.0.1", self.vault.port, timeout=DEADLINE,
                                                         source_address=self.source)
        return self.connection

    def close(self):
        if self.connection is not None:
            self.connection.close()
        self.connection = None

    def ask(self, method, path, body=None, token="", headers=None, raw=None, prefix="/v1/",
            by_library=False):
        """token "": root's; None: no header. body: sent as JSON; raw: sent as it is. by_library: the
        HTTP library may answer this one by itself, in its own form."""
        content = raw if raw is not None else None if body is None else json.dumps(body).encode()
        connection = self.open()
        try:
            # Not the library's own checks of the target: what it would refuse is what is asked here.
            connection._validate_path = lambda url: None
            connection.putrequest(method, prefix + path, skip_accept_encoding=True)
            token = self.root if token == "" else token
            if token is not None:
                connection.putheader("X-Vault-Token", token)
            if method == "PATCH" and not (headers and "Content-Type" in headers):
                connection.putheader("Content-Type", "application/merge-patch+json")
            for name, value in (headers or {}).items():
                if value is not None:
                    connection.putheader(name, value)
            if content is not None or method in ("POST", "PUT", "PATCH"):
                connection.putheader("Content-Length", str(len(content or b"")))
            connection.endheaders(content)
            return self.read(connection.getresponse(), "%s %s%s" % (method, prefix, path), path,
                             by_library)
        except BaseException:
            self.close()
            raise

    def read(self, response, question, path, by_library):
        reply = Reply(question, response.status, response.getheaders(), response.read())
        if response.will_close:
            self.close()
        if not by_library:
            check_always(reply, path)
        return reply

    def lines(self, request, path="", by_library=False):
        """Exact bytes on a connection of their own; the answer, or None if it just ended."""
        with socket.create_connection(("127.0.0.1", self.vault.port), timeout=DEADLINE) as s:
            s.sendall(request)
            response = http.client.HTTPResponse(s)
            try:
                response.begin()
            except (http.client.HTTPException, ConnectionError):
                return None
            reply = Reply(repr(request[:80]), response.status, response.getheaders(),
                          response.read())
            if not by_library:
                check_always(reply, path)
            return reply

    # ---- things that many cases need ----

    def mount_all(self):
        """What a new vault does not have, of each engine (routes.c), for what holds at every path of the API."""
        here = os.path.dirname(os.path.abspath(__file__))
        with open(os.path.join(here, "routes.c")) as f:
            rows = re.findall(r'"(sys/(?:mounts|auth)/\w+)", "(\{(?:[^"\\]|\\.)*\})"\}', f.read())
        for path, body in rows:
            self.ok("POST", path, json.loads(body.replace('\\"', '"')))
        if len(rows) < 3:
            raise Mismatch("expected rows of mounts in tests/support/routes.c, got %s" % rows)

    def ok(self, method, path, body=None, **more):
        reply = self.ask(method, path, body, **more)
        if reply.status >= 300:
            raise Mismatch("expected success, got %s" % reply)
        return reply

    def policy(self, name, text):
        self.ok("PUT", "sys/policies/acl/" + name, {"policy": text})

    def token(self, policy=None, name="t", **fields):
        """A token of one policy with this text (and default)."""
        if policy is not None:
            self.policy(name, policy)
            fields["policies"] = [name]
        return self.ok("POST", "auth/token/create", fields).auth["client_token"]


def wants(reply, status, says=None, says_not=None):
    if reply.status != status:
        raise Mismatch("expected %d, got %s" % (status, reply))
    text = reply.body.decode("utf-8", "replace")
    if says is not None and says not in text:
        raise Mismatch("expected %r, got %s" % (says, reply))
    if says_not is not None and says_not in text:
        raise Mismatch("expected not %r, got %s" % (says_not, reply))
    return reply


def error(reply, status, text=None, text_not=None):
    """text None: no text at all, {"errors":[]}."""
    wants(reply, status)
    errors = reply.errors
    if text is None and errors:
        raise Mismatch("expected no text, got %s" % reply)
    if text is not None and not any(text in e for e in errors):
        raise Mismatch("expected an error with %r, got %s" % (text, reply))
    if text_not is not None and any(text_not in e for e in errors):
        raise Mismatch("expected no error with %r, got %s" % (text_not, reply))
    return reply


def serve(tap, wire, first=None, kv=True):
    """A script's main part: its cases, or those named on the command line, against wire's vault, ready and with
    a root token. first(): what else all of them need. Returns the exit code; the vault is removed."""
    try:
        wire.vault.ready(kv)
        wire.root = wire.vault.token
        if first is not None:
            first()
        return tap.run(sys.argv[1:])
    finally:
        wire.close()
        wire.vault.remove()
