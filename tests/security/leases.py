#!/usr/bin/python3
"""Advisories of Vault and OpenBao about leases, each over the new and the old forms.

    tests/security/leases.py ['part of a case name']
"""
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
from keyturn import Vault  # noqa: E402
from tap import Tap, equal, true  # noqa: E402
from wire import Wire, error, serve, wants  # noqa: E402

tap = Tap("tests/security/leases.py")
vault = Vault()
wire = Wire(vault)
BUT_SUDO = 'path "*" { capabilities = ["create", "read", "update", "patch", "delete", "list"] }'
PREFIXES = ["sys/leases/revoke-prefix/", "sys/revoke-prefix/", "sys/leases/revoke-force/", "sys/revoke-force/"]
ONE = ["sys/leases/revoke", "sys/revoke", "sys/leases/renew", "sys/renew", "sys/leases/lookup"]


def login(name):
    """A token of a user, and its lease."""
    path = "auth/userpass/login/" + name
    token = wants(wire.ask("POST", path, {"password": "right"}, token=None), 200).auth["client_token"]
    keys = wants(wire.ask("LIST", "sys/leases/lookup/" + path), 200).data["keys"]
    equal(1, len(keys))
    return token, path + "/" + keys[0]


def alive(token):
    return wire.ask("GET", "auth/token/lookup-self", token=token).status == 200


@tap.case("CVE-2026-45808, CVE-2026-55774: the new and the old form ask for the same right, and for all of it")
def _():
    token, lease = login("a.b")
    folder = lease.rsplit("/", 1)[0]
    nothing = wire.token('path "none" { capabilities = ["read"] }', "nothing", no_default_policy=True)
    but_sudo = wire.token(BUT_SUDO, "but-sudo")
    for asker, paths in ((nothing, PREFIXES), (but_sudo, PREFIXES)):
        for path in paths:
            for method in ("PUT", "POST"):
                for below in (folder, folder + "/", "auth/", "auth", "auth/userpass"):
                    error(wire.ask(method, path + below, {"sync": True}, token=asker), 403, "permission denied")
    for path in ONE:
        for method in ("PUT", "POST"):
            error(wire.ask(method, path, {"lease_id": lease}, token=nothing), 403, "permission denied")
            if path != "sys/leases/lookup":
                error(wire.ask(method, path + "/" + lease, {}, token=nothing), 403, "permission denied")
    for path in ("sys/leases", "sys/leases/lookup/auth", "sys/leases/lookup/" + folder):
        for asker in (nothing, but_sudo):
            equal(403, wire.ask("LIST", path, token=asker).status)
    equal(403, wire.ask("GET", "sys/leases", token=but_sudo).status)
    true(alive(token), "nothing was ended")


@tap.case("CVE-2026-45808: who may end what is below a path ends nothing else, whatever the body says")
def _():
    mine, my_lease = login("mine")
    other, its_lease = login("other")
    for form in ("sys/leases/revoke", "sys/revoke"):
        mine, my_lease = (mine, my_lease) if alive(mine) else login("mine")
        asker = wire.token('path "%s/auth/userpass/login/mine/*" { capabilities = ["update"] }' % form, "mine")
        for body in ({"lease_id": its_lease}, {"lease_id": its_lease, "sync": False}):
            error(wire.ask("PUT", form + "/" + my_lease, body, token=asker), 400, "another than the path's")
        wants(wire.ask("PUT", form + "/" + its_lease, {"lease_id": my_lease}, token=asker), 403)
        wants(wire.ask("PUT", form, {"lease_id": its_lease}, token=asker), 403)
        true(alive(other) and alive(mine), "nothing was ended")
        wants(wire.ask("PUT", form + "/" + my_lease, {"lease_id": my_lease}, token=asker), 204)
        true(alive(other) and not alive(mine), "that one was")


@tap.case("0.11.3 (2018): a lease below a name with points in it ends like any other")
def _():
    for name in ("a.b", "a..b", "x-1.2.3_y"):
        for end in (lambda lease: wire.ask("PUT", "sys/leases/revoke", {"lease_id": lease}),
                    lambda lease: wire.ask("PUT", "sys/leases/revoke/" + lease),
                    lambda lease: wire.ask("PUT", "sys/revoke", {"lease_id": lease}),
                    lambda lease: wire.ask("PUT", "sys/revoke/" + lease),
                    lambda lease: wire.ask("PUT", "sys/leases/revoke-prefix/" + lease.rsplit("/", 1)[0]),
                    lambda lease: wire.ask("PUT", "sys/revoke-prefix/auth/userpass/login/" + name),
                    lambda lease: wire.ask("PUT", "sys/leases/revoke-force/auth/userpass/")):
            wants(wire.ask("PUT", "sys/leases/revoke-prefix/auth/userpass/"), 204)
            token, lease = login(name)
            wants(wire.ask("PUT", "sys/leases/revoke-prefix/auth/userpass/login/" + name[0]), 204)
            true(alive(token), "%s is not below %s" % (name, name[0]))
            wants(end(lease), 204)
            true(not alive(token), "the token of %s is over" % name)


def first():
    wire.mount_all()
    for name in ("a.b", "a..b", "x-1.2.3_y", "mine", "other"):
        wire.ok("POST", "auth/userpass/users/" + name, {"password": "right", "token_ttl": "1h"})


sys.exit(serve(tap, wire, first, kv=False))
