#!/usr/bin/python3
"""Leases of tokens over raw HTTP: Vault's paths, status and texts, the old ones too.

    tests/conformance/wire_leases.py ['part of a case name']
"""
import os
import re
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
from keyturn import Vault  # noqa: E402
from tap import Tap, equal, true  # noqa: E402
from wire import Wire, error, serve, wants  # noqa: E402

tap = Tap("tests/conformance/wire_leases.py")
vault = Vault()
wire = Wire(vault)
MADE = "auth/token/create"


def make():
    """A token and the id of its lease, the only one."""
    wants(wire.ask("PUT", "sys/leases/revoke-prefix/auth/"), 204)
    token = wants(wire.ask("POST", MADE, {"ttl": "1h", "policies": ["default"]}), 200).auth["client_token"]
    keys = wants(wire.ask("LIST", "sys/leases/lookup/" + MADE), 200).data["keys"]
    equal(1, len(keys))
    return token, MADE + "/" + keys[0]


@tap.case("a lease's look-up")
def _():
    token, lease = make()
    true(re.fullmatch("auth/token/create/h[0-9a-f]{64}", lease), lease)
    for method in ("PUT", "POST"):
        data = wants(wire.ask(method, "sys/leases/lookup", {"lease_id": lease}, token=token), 200).data
        equal({"id", "issue_time", "expire_time", "last_renewal", "renewable", "ttl", "path"}, set(data))
        equal((lease, None, True, MADE), tuple(data[k] for k in ("id", "last_renewal", "renewable", "path")))
        true(re.match(r"20\d\d-\d\d-\d\dT", data["issue_time"]) and data["expire_time"] > data["issue_time"], data)
    error(wire.ask("PUT", "sys/leases/lookup", {"lease_id": "a/b"}), 400, "invalid lease")
    error(wire.ask("PUT", "sys/leases/lookup", {}), 400, "lease_id must be specified")
    error(wire.ask("LIST", "sys/leases/lookup/auth/", token=token), 403, "permission denied")


@tap.case("folders, as far as there are leases")
def _():
    make()
    for path, keys in (("", ["auth/"]), ("auth", ["token/"]), ("auth/token/", ["create/"])):
        equal(keys, wants(wire.ask("LIST", "sys/leases/lookup/" + path), 200).data["keys"])
        equal(keys, wants(wire.ask("GET", "sys/leases/lookup/" + path + "?list=true"), 200).data["keys"])
    error(wire.ask("LIST", "sys/leases/lookup/secret"), 404)


@tap.case("revoking one, in each form")
def _():
    for path, body, status in (("sys/leases/revoke", True, 204), ("sys/leases/revoke/", False, 204),
                               ("sys/revoke", True, 204), ("sys/revoke/", False, 204)):
        for more, expected in (({}, status), ({"sync": True}, 204), ({"sync": False}, 202)):
            token, lease = make()
            asked = dict(more, **({"lease_id": lease} if body else {}))
            for _ in range(2):
                reply = wants(wire.ask("PUT", path + ("" if body else lease), asked), expected)
                equal(b"", reply.body)
            error(wire.ask("GET", "auth/token/lookup-self", token=token), 403, "invalid token")


@tap.case("renewing: a token's lease is not")
def _():
    token, lease = make()
    for path in ("sys/leases/renew", "sys/renew"):
        error(wire.ask("PUT", path, {"lease_id": lease, "increment": 60}, token=vault.token), 400,
              "tokens cannot be renewed through this endpoint")
        error(wire.ask("PUT", path + "/" + lease), 400, "tokens cannot be renewed through this endpoint")
        error(wire.ask("PUT", path, {"lease_id": "a/b"}), 400, "lease not found")
    error(wire.ask("PUT", "sys/leases/renew", {"lease_id": lease}, token=token), 400, "cannot be renewed")


@tap.case("all below a path, more than one change holds")
def _():
    make()
    tokens = [wants(wire.ask("POST", MADE, {"ttl": "1h"}), 200).auth["client_token"] for _ in range(60)]
    count = wants(wire.ask("GET", "sys/leases/count?type=all"), 200).data
    equal({"lease_count": 61, "counts": {MADE: 61}}, count)
    wants(wire.ask("PUT", "sys/leases/revoke-prefix/auth/token"), 204)
    equal(0, wants(wire.ask("GET", "sys/leases/count?type=all"), 200).data["lease_count"])
    for token in tokens[::10]:
        error(wire.ask("GET", "auth/token/lookup-self", token=token), 403, "invalid token")
    for path in ("sys/leases/revoke-force/auth/", "sys/revoke-force/auth/", "sys/revoke-prefix/auth/"):
        wants(wire.ask("PUT", path, {"sync": False}), 202)


@tap.case("none that cannot be revoked; tidying")
def _():
    equal({"lease_count": 0, "counts": {}}, wants(wire.ask("GET", "sys/leases/count?type=irrevocable"), 200).data)
    equal({"lease_count": 0, "leases": []}, wants(wire.ask("GET", "sys/leases?type=irrevocable"), 200).data)
    reply = wants(wire.ask("POST", "sys/leases/tidy"), 202)
    true(reply.warnings[0].startswith("Tidy operation successfully started."), reply)


def first():
    wire.ok("POST", "secret/data/a", {"data": {"k": "v"}})


sys.exit(serve(tap, wire, first))
