#!/usr/bin/python3
"""What went wrong elsewhere with wrapping, each over all its sibling entry points.

    tests/security/wrapping.py ['part of a case name']

"A wrapping token looked up twice, or unwrapped by a man in the middle unnoticed" (documented misuse). That two
who unwrap at once do not both get it is unit/wrapping_test's one_gets_it and conformance/wire_wrapping.py's.
CVE-2026-46405 (an answer and an error: a token was issued, hidden): an error makes no wrapping token.
CVE-2025-62513, CVE-2025-62705 (bodies that are no strings passed the redactor): what is wrapped and unwrapped.
"""
import os
import re
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
from keyturn import Vault  # noqa: E402
from tap import Tap, equal, true  # noqa: E402
from wire import Wire, error, serve, wants  # noqa: E402

tap = Tap("tests/security/wrapping.py")
vault = Vault()
wire = Wire(vault)
NO_SUCH = "wrapping token is not valid or does not exist"
CANARY = "kt-canary-4411"
HEADER = {"X-Vault-Wrap-TTL": "5m"}


def wrap():
    return wants(wire.ask("GET", "secret/data/a", headers=HEADER), 200).json["wrap_info"]


def log():
    return wire.ask("GET", "sys/audit-log/export?from=0", by_library=True).body.decode()


def hash_of(text):
    return wire.ok("POST", "sys/audit-hash/file", {"input": text}).data["hash"]


# Each way to take what is wrapped, with the status of who comes too late.
TAKES = [
    (lambda t, w=wire: w.ask("PUT", "sys/wrapping/unwrap", token=t), 400),
    (lambda t, w=wire: w.ask("POST", "sys/wrapping/unwrap", {"token": t}, token=wire.root), 400),
    (lambda t, w=wire: w.ask("POST", "sys/wrapping/rewrap", {"token": t}, token=wire.root), 400),
    (lambda t, w=wire: w.ask("GET", "cubbyhole/response", token=t), 403),
]


@tap.case("misuse: whoever took it, by whatever way, nobody else can")
def _():
    for first, _ in TAKES:
        for second, status in TAKES:
            token = wrap()["token"]
            wants(first(token), 200)
            error(second(token), status, NO_SUCH if status == 400 else "permission denied")


@tap.case("misuse: who comes too late is on record under the hash that the maker was told")
def _():
    # Refusals of strangers are rationed by where they come from.
    elsewhere = Wire(vault, "127.0.0.7")
    for take, status in TAKES:
        token = wrap()["token"]
        wants(TAKES[0][0](token), 200)
        wants(take(token, elsewhere), status)
        hashed = hash_of(token)
        lines = [line for line in log().splitlines() if hashed in line]
        made = [line for line in lines if '"wrap_info"' in line]
        late = [line for line in lines if '"status":%d' % status in line]
        taken = [line for line in lines if '"type":"request"' in line and '"path":"sys/wrapping/unwrap"' in line]
        equal((1, 1, 1), (len(made), len(late), len(taken)))
        true('"error"' in late[0] and '"127.0.0.7"' in late[0], "why, and from where")
    elsewhere.close()


@tap.case("misuse: a look-up says where it was made, and uses nothing")
def _():
    info = wrap()
    for _ in range(3):
        for ask in (lambda: wire.ask("POST", "sys/wrapping/lookup", {"token": info["token"]}, token=None),
                    lambda: wire.ask("GET", "sys/wrapping/lookup", token=info["token"])):
            equal(info["creation_path"], wants(ask(), 200).data["creation_path"])
    # Another's answer under another's path is told from it.
    other = wants(wire.ask("POST", "sys/wrapping/wrap", {"data": {"k": "forged"}}, headers=HEADER), 200)
    token = other.json["wrap_info"]["token"]
    equal("sys/wrapping/wrap", wire.ask("GET", "sys/wrapping/lookup", token=token).data["creation_path"])
    again = wants(wire.ask("POST", "sys/wrapping/rewrap", {"token": token}), 200).json["wrap_info"]
    equal("sys/wrapping/wrap", again["creation_path"])


@tap.case("CVE-2026-46405: an error leaves no token behind")
def _():
    def tokens():
        return len(wire.ok("LIST", "auth/token/accessors").data["keys"])
    before = tokens()
    for method, path, body, status in [
            ("POST", "auth/token/create", {"policies": ["response-wrapping"]}, 400),
            ("POST", "auth/token/create", {"ttl": "x"}, 400),
            ("GET", "secret/data/none", None, 404),
            ("POST", "secret/data/a", {"data": {}, "options": {"cas": 99}}, 400),
            ("POST", "sys/wrapping/unwrap", {"token": "x"}, 400),
            ("POST", "sys/wrapping/rewrap", {"token": "x"}, 400),
            ("POST", "sys/audit-log/checkpoint", {}, 400),
            ("GET", "sys/nope", None, 404)]:
        wants(wire.ask(method, path, body, headers=HEADER), status)
    equal(before, tokens())


@tap.case("CVE-2025-62513, CVE-2025-62705: nothing of an answer is in the log, whatever its form")
def _():
    wire.ok("POST", "secret/data/canary", {"data": {CANARY + "-key": [CANARY, {"x": CANARY}]}})
    paths = ["secret/data/canary", "sys/audit-log/export?from=0", "auth/token/lookup-self"]
    for path in paths:
        for take, _ in TAKES:
            info = wants(wire.ask("GET", path, headers=HEADER), 200).json["wrap_info"]
            got = take(info["token"]) if "export" not in path else \
                wire.ask("PUT", "sys/wrapping/unwrap", token=info["token"], by_library=True)
            equal(200, got.status)
    wants(wire.ask("POST", "sys/wrapping/wrap", {"k": CANARY, "l": [CANARY]}, headers=HEADER), 200)
    text = log()
    # The keys of what was sent are told, as Vault does; never a value, never what was answered.
    true(re.search(CANARY + "(?!-key)", text) is None, "no value in the log")
    for line in text.splitlines():
        true('"wrap_info"' not in line or CANARY not in line, "nothing of a wrapped answer")


def first():
    wire.ok("POST", "secret/data/a", {"data": {"k": "v"}})


sys.exit(serve(tap, wire, first))
