#!/usr/bin/python3
"""The policies that ship with the product: each role against each path of the API.

    tests/security/roles.py ['part of a case name']

roles.txt says who may do what; what is not in it, nobody may. The paths are those of the vault's own OpenAPI
document, so that a new one cannot escape: until it is in roles.txt, it is one that no role may use
(CVE-2021-42135: a new path below what a policy granted already). Each is asked twice for each role: of
sys/capabilities, and by the request itself, which the policy either lets through (whatever the handler then says) or
does not (403).
"""
import json
import os
import re
import socket
import sys
import threading

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
from keyturn import ROOT, Vault  # noqa: E402
from tap import Mismatch, Tap, equal, true  # noqa: E402
from wire import Wire, serve, wants  # noqa: E402

HERE = os.path.dirname(os.path.abspath(__file__))
FOLDER = os.path.join(ROOT, "policies")
ROLES = {"O": "operator", "R": "rotator", "A": "agent", "U": "auditor", "P": "pipeline", "B": "break-glass", "V": "approver"}
READERS = "APB"  # whose policies give values; the others' must not, whatever they ask
VALUE = "precious"
METHODS = {"read": "GET", "list": "LIST", "create": "POST", "update": "POST", "patch": "PATCH", "delete": "DELETE"}

tap = Tap("tests/security/roles.py")
vault = Vault()
wire = Wire(vault)
tokens = {}


class Row:
    """A line of roles.txt, or a path of the API that is in none: nobody's."""

    def __init__(self, op, path, who="", body=None):
        self.op, self.path, self.who = op, path, who
        self.asks = body != "-"  # by the request itself
        self.open = who == "*open"
        self.body = {} if body in (None, "-") else json.loads(body)
        if METHODS.get(op) in ("GET", "LIST", "DELETE"):
            self.body = None

    def may(self, role):
        return self.who.startswith("*") or role in self.who


def table():
    rows = []
    for line in open(os.path.join(HERE, "roles.txt")):
        if line.strip() and not line.startswith("#"):
            parts = [part.strip() for part in line.split("|")]
            rows.append(Row(*parts[0].split(), parts[1].replace(" ", ""), *parts[2:]))
    return rows


def api():
    """(operation, path) of every row of every engine that is mounted."""
    found = []
    for path, item in wire.ask("GET", "sys/internal/specs/openapi").json["paths"].items():
        path = re.sub(r"\{\w+\}", "none", path[1:])
        if "get" in item:
            asks = {p["name"]: p.get("required", False) for p in item["get"].get("parameters", []) if p["in"] == "query"}
            found += [("list", path)] if "list" in asks else []
            found += [("read", path)] if not asks.get("list", False) else []
        found += [(op, path) for op, method in (("update", "post"), ("patch", "patch"), ("delete", "delete"))
                  if method in item]
    return found


def who_of(path, wide):
    """Of a path without a line of its own: the longest prefix's."""
    fits = [row for row in wide if path.startswith(row.path[:-1])]
    return max(fits, key=lambda row: len(row.path)).who if fits else ""


def all_rows():
    lines = table()
    wide = [row for row in lines if row.op == "any"]
    listed = [row for row in lines if row.op != "any"]
    known = {(row.op, row.path) for row in listed} | {("update", row.path) for row in listed if row.op == "create"}
    return listed + [Row(op, path, who_of(path, wide)) for op, path in api() if (op, path) not in known]


def forms(row):
    """For a list either form of the path may grant it."""
    path = row.path.split("?")[0]
    return [path, path.rstrip("/") + "/"] if row.op == "list" else [path]


def granted(role, rows):
    """For each row, whether sys/capabilities says that role may."""
    paths = sorted({p for row in rows for p in forms(row)})
    has = wire.ok("POST", "sys/capabilities", {"token": tokens[role], "paths": paths}).data
    # A write to what is not there asks for "create", also where the API does not say so.
    words = {"update": ("create", "update")}
    return [any(w in has[p] for p in forms(row) for w in words.get(row.op, (row.op,))) for row in rows]


def ask(role, row):
    return wire.ask(METHODS[row.op], row.path, row.body, token=tokens[role], by_library=True)


def check(role, row, said):
    problems = []
    if not row.open and said != row.may(role):
        problems.append("sys/capabilities says that it may%s" % ("" if said else " not"))
    if row.asks:
        reply = ask(role, row)
        if (reply.status != 403) != row.may(role):
            problems.append(str(reply))
        if role not in READERS and VALUE.encode() in reply.body:
            problems.append("a value in the answer")
    return problems


def load():
    """The policies as they ship, HOST replaced; a token of each."""
    wire.mount_all()
    for path in ("secret/data/db/orders", "secret/data/deploy/app", "kv1/none"):
        wire.ok("POST", path, {"data": {"password": VALUE}})
    for role, name in ROLES.items():
        with open(os.path.join(FOLDER, name + ".hcl")) as f:
            text = re.sub(r"\bHOST\b", "web1", f.read())
        wants(wire.ask("PUT", "sys/policies/acl/" + name, {"policy": text}), 204)
        tokens[role] = new_token(name)


def new_token(name):
    return wire.ok("POST", "auth/token/create", {"policies": [name], "ttl": "1h"}).auth["client_token"]


def create(role, path="auth/token/create-orphan", **fields):
    return wire.ask("POST", path, fields, token=tokens[role])


@tap.case("each policy is a role here, has a line in the README, and the linter has nothing to say of it")
def _():
    files = sorted(f[:-4] for f in os.listdir(FOLDER) if f.endswith(".hcl"))
    equal(files, sorted([*ROLES.values(), "rotation-classes"]))
    with open(os.path.join(FOLDER, "README.md")) as f:
        readme = f.read()
    for name in ROLES.values():
        true("`%s.hcl`" % name in readme, "%s.hcl in the README" % name)
        vault.ctl("policy", "lint", os.path.join(FOLDER, name + ".hcl"))  # a note, too, is an exit status


for _role, _name in ROLES.items():
    @tap.case("%s may what roles.txt says, and nothing else of the API" % _name)
    def _(role=_role):
        rows = all_rows()
        true(len(rows) >= 150, "all rows")
        wrong = []
        for row, said in zip(rows, granted(role, rows)):
            wrong += ["%s %s (listed: %s): %s" % (row.op, row.path, row.who or "nobody", p) for p in check(role, row, said)]
        if wrong:
            raise Mismatch("expected what roles.txt says of %s, got %d others: %s" % (
                ROLES[role], len(wrong), "; ".join(wrong)))


@tap.case("tokens: only break-glass makes one that may more than its maker")
def _():
    lists = [["root"], "root", ["ROOT"], [" root"], ["default", "root"], [], "other"]
    lists += [form for name in ROLES.values() for form in ([name], name)]
    for role in "ORAUPV":
        for path in ("auth/token/create-orphan", "auth/token/create"):
            for policies in lists:
                allowed = role == "O" and path.endswith("orphan") and policies in (["rotator"], "rotator")
                equal(200 if allowed else 403, create(role, path, policies=policies, ttl="1h").status,
                      "%s %s %s" % (ROLES[role], path, policies))
            equal(403, create(role, path).status)
    # What an operator may give is a part of what he has.
    rows = all_rows()
    for row, has in zip(rows, zip(granted("R", rows), granted("O", rows))):
        true(not has[0] or has[1], "an operator may %s %s if a rotator may" % (row.op, row.path))


@tap.case("tokens: an operator's parameters leave no way around")
def _():
    wants(create("O", policies=["rotator"], period="1h", display_name="night", meta={"for": "night"}), 200)
    for fields in ({"POLICIES": ["rotator"]}, {"policies": ["rotator"], "id": "chosen"},
                   {"policies": ["rotator"], "no_default_policy": True}, {"policies": ["rotator", "agent"]},
                   {"policies": "rotator,agent"}, {"policies": ["rotator"], "Policies": ["root"]},
                   {"policies": ["rotator"], "policies ": ["root"]}, {"policies": ["rotator"], "no_parent": True}):
        equal(403, create("O", **fields).status, str(fields))
    made = create("O", policies=["rotator"], ttl="1h").auth
    equal((["default", "rotator"], True), (sorted(made["policies"]), made["orphan"]))


@tap.case("root: not even break-glass makes it, by whatever way")
def _():
    for path in ("auth/token/create", "auth/token/create-orphan"):
        for policies in (["root"], ["ROOT"], [" root"], ["default", "Root "], "root"):
            reply = create("B", path, policies=policies, ttl="1h")
            equal(400, reply.status, "%s %s" % (path, policies))
    for method, path in (("PUT", "sys/policies/acl/root"), ("PUT", "sys/policies/acl/ROOT")):
        wants(wire.ask(method, path, {"policy": 'path "x" { capabilities = ["read"] }'}, token=tokens["B"]), 400)


@tap.case("the audit log's devices: nobody's, not even root's")
def _():
    before = wire.ok("GET", "sys/audit").data
    for token in list(tokens.values()) + [wire.root]:
        for method, path, body in (("PUT", "sys/audit/x", {"type": "file", "options": {"file_path": "/tmp/x"}}),
                                   ("DELETE", "sys/audit/file", None),
                                   ("PUT", "sys/config/auditing/request-headers/x", {"hmac": False})):
            true(wire.ask(method, path, body, token=token).status in (400, 403), "refused")
    equal(before, wire.ok("GET", "sys/audit").data)


class Thief(threading.Thread):
    """A server that asks whoever comes for the password in clear, as PostgreSQL's protocol allows it."""

    def __init__(self):
        super().__init__(daemon=True)
        self.listener = socket.create_server(("0.0.0.0", 0))
        self.port, self.got = self.listener.getsockname()[1], b""

    def run(self):
        while True:
            try:
                s, _ = self.listener.accept()
            except OSError:
                return
            with s:
                s.settimeout(30)
                try:
                    self.got += s.recv(4096)
                    s.sendall(b"R\0\0\0\x08\0\0\0\x03")
                    self.got += s.recv(4096)
                except OSError:
                    pass


def outer_address():
    """One of this machine's that is not loopback's; None: there is none."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        try:
            s.connect(("192.0.2.1", 9))
        except OSError:
            return None
        return s.getsockname()[0]


@tap.case("CVE-2026-8715: who may choose where a login goes does not get it")
def _():
    thief = Thief()
    thief.start()
    at = {"host": outer_address() or "192.0.2.1", "port": thief.port}
    target = {"driver": "postgresql", "host": "127.0.0.1", "port": 1, "database": "x", "sslmode": "disable",
              "admin_username": "a", "admin_password": VALUE, "connect_timeout": 2, "probe_spacing": 0}
    wants(wire.ask("POST", "rotation/targets/here", target, token=tokens["O"]), 200)
    for role in "OB":
        for change in (at, dict(at, admin_username="b"), dict(at, sslmode="disable"), {"host": "192.0.2.1"},
                       {"host": "localhost.example"}, {"host": "127.0.0.1.example"}, {"host": "0x7f000001"}):
            wants(wire.ask("POST", "rotation/targets/here", change, token=tokens[role]), 403, "sslmode=disable")
        wants(wire.ask("POST", "rotation/targets/new", dict(target, **at), token=tokens[role]), 403, "sslmode=disable")
        # With TLS a server is asked to prove that it knows the password; this one speaks none.
        wants(wire.ask("POST", "rotation/targets/safe", dict(target, sslmode="require", **at), token=tokens[role]), 200)
        wire.ask("POST", "rotation/targets/safe/check", {}, token=tokens[role])
        true(VALUE.encode() not in thief.got, "nothing for the thief")
    wants(wire.ask("POST", "rotation/targets/here", {"settle": 2, "database": "y"}, token=tokens["O"]), 200)
    if outer_address() is not None:  # that there was something to get: root may say that it is right so
        wants(wire.ask("POST", "rotation/targets/here", at), 200)
        wire.ask("POST", "rotation/targets/here/check", {})
        true(VALUE.encode() in thief.got, "the login, where it was allowed")
    thief.listener.close()
    for name in ("here", "safe"):
        wire.ok("DELETE", "rotation/targets/" + name)


@tap.case("secretctl: kv put says to an operator which keys it drops; a host's token is break-glass's to make")
def _():
    wire.ok("POST", "secret/data/db/keys", {"data": {"a": "1", "b": "2"}})
    done = vault.ctl("kv", "put", "secret/db/keys", "a=-", input="3", token=tokens["O"])
    true("no longer in secret/db/keys: b\n" in done.stderr, done.stderr)
    true("rollback" not in done.stderr, "which would read the old value")
    words = ("token", "create", "-orphan", "-policy=agent-web1", "-period=24h", "-display-name=web1", "-field=token")
    made = vault.ctl(*words, token=tokens["B"]).stdout.strip()
    equal(["agent-web1", "default"], wire.ok("GET", "auth/token/lookup-self", token=made).data["policies"])
    equal(2, vault.ctl(*words, token=tokens["O"], check=False).returncode)
    made = vault.ctl("token", "create", "-orphan", "-policy=rotator", "-field=token", token=tokens["O"]).stdout.strip()
    equal(["default", "rotator"], wire.ok("GET", "auth/token/lookup-self", token=made).data["policies"])


@tap.case("what ends things, last: each its own token, break-glass the vault's open seal")
def _():
    for role in ROLES:
        wants(wire.ask("POST", "auth/token/revoke-self", token=tokens[role]), 204)
        wants(wire.ask("GET", "auth/token/lookup-self", token=tokens[role]), 403)
        tokens[role] = new_token(ROLES[role])
    for role in "ORAUPB":
        wants(wire.ask("POST", "sys/seal", token=tokens[role]), 204 if role == "B" else 403)
    equal(True, wire.ask("GET", "sys/seal-status", token=None).json["sealed"])


sys.exit(serve(tap, wire, load))
