#!/usr/bin/python3
"""What a route that copies secrets unread could open, over all its sibling entry points.

    tests/security/copying.py ['part of a case name']

CVE-2021-42135 (a new route lay under patterns that users had granted before: a right to read became more): whatever
pattern for a whole mount without sudo there is, with copy and move its holder can do nothing that he could not
do by hand.
CVE-2026-3605 (dot segments led out of what a policy granted; '.', '..', empty and encoded ones): of the field "to"
as of the path.
Who may read there what he may not read here is unit/kv_copy_test's table.
"""
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
from keyturn import Vault  # noqa: E402
from tap import Tap, equal, true  # noqa: E402
from wire import Wire, error, serve, wants  # noqa: E402

tap = Tap("tests/security/copying.py")
vault = Vault()
wire = Wire(vault)
CANARY = "kt-canary-7712"
SIBLINGS = [(method, verb) for method in ("POST", "PUT") for verb in ("copy", "move")]
ALL = ["create", "read", "update", "patch", "delete", "list"]


def token_of(policy):
    wants(wire.ask("PUT", "sys/policies/acl/p", {"policy": policy}), 204)
    return wants(wire.ask("POST", "auth/token/create", {"policies": ["p"], "no_default_policy": True}), 200).json["auth"]["client_token"]


def path(pattern, *capabilities):
    return 'path "%s" { capabilities = [%s] }\n' % (pattern, ", ".join('"%s"' % c for c in capabilities))


def fresh(name):
    wants(wire.ask("DELETE", "secret/metadata/" + name), 204)
    wants(wire.ask("POST", "secret/data/" + name, {"data": {"k": CANARY}}), 200)


@tap.case("CVE-2021-42135: a pattern for a whole mount copies nothing that its holder does not read")
def _():
    without_read = [c for c in ALL if c != "read"]
    for pattern in ("secret/*", "secret/+/*", "*"):
        # Everything but reading values; and the notes, which it takes.
        for policy in (path(pattern, *without_read) + path("secret/metadata/*", *ALL),
                       path(pattern, *ALL) + path("secret/data/a/*", "update", "create"),
                       path(pattern, *ALL) + path("secret/data/a/*", "deny"),
                       path(pattern, *ALL, "sudo") + path("secret/data/a/*", "deny")):
            token = token_of(policy)
            for method, verb in SIBLINGS:
                fresh("a/x")
                error(wire.ask(method, "secret/%s/a/x" % verb, {"to": "secret/drop/x"}, token=token), 403, "permission denied")
                error(wire.ask("GET", "secret/metadata/drop/x"), 404)
                wants(wire.ask("GET", "secret/metadata/a/x"), 200)


@tap.case("CVE-2021-42135: and what it reads, it copies: that it could by hand")
def _():
    token = token_of(path("secret/*", *ALL))
    for method, verb in SIBLINGS:
        fresh("a/x")
        wants(wire.ask("DELETE", "secret/metadata/drop/x"), 204)
        wants(wire.ask(method, "secret/%s/a/x" % verb, {"to": "secret/drop/x"}, token=token), 200)
        equal(CANARY, wire.ask("GET", "secret/data/drop/x", token=token).json["data"]["data"]["k"])


@tap.case("CVE-2026-3605: no segment of 'to' climbs, hides or is decoded again")
def _():
    token = token_of(path("secret/copy/*", "update", "sudo") + path("secret/move/*", "update", "sudo") +
                     path("secret/metadata/a/*", "read", "delete") + path("secret/+/drop/*", "create"))
    fresh("a/x")
    wants(wire.ask("DELETE", "secret/metadata/drop/x"), 204)
    for to in ("secret/drop/../a/y", "secret/drop/./y", "secret/drop//y", "/secret/drop/y", "secret/drop/y/", "secret/drop/\x00y",
               "secret/drop/\ny", "secret/drop/\u202ey", "secret/../secret/drop/y", "../v1/secret/drop/y", "secret/drop/" + "y" * 300):
        for method, verb in SIBLINGS:
            got = wire.ask(method, "secret/%s/a/x" % verb, {"to": to}, token=token)
            true(got.status in (400, 403), "%s %r: %d" % (verb, to, got.status))
    # What looks encoded is a name of its own, and stays below where it may go.
    wants(wire.ask("POST", "secret/copy/a/x", {"to": "secret/drop/%2e%2e"}, token=token), 200)
    equal(["%2e%2e"], wire.ask("LIST", "secret/metadata/drop").json["data"]["keys"])
    equal(["x"], wire.ask("LIST", "secret/metadata/a").json["data"]["keys"])


@tap.case("nothing of it tells a stranger what is there")
def _():
    fresh("a/x")
    token = token_of(path("secret/copy/*", "update") + path("secret/move/*", "update"))
    for method, verb in SIBLINGS:
        answers = {wire.ask(method, "secret/%s/%s" % (verb, name), {"to": to}, token=token).body
                   for name in ("a/x", "a/none") for to in ("secret/b", "secret/a/x", "none/b", "sys/b", "auth/token/x")}
        equal(1, len(answers))


sys.exit(serve(tap, wire))
