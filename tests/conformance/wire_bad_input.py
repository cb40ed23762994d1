#!/usr/bin/python3
"""Each operation of the vault's own OpenAPI document, over the wire, with what is wrong with it as a whole:
no token, a token that is cut off, two that differ, a body that is no JSON. What is wrong with single
fields: unit/bad_input_test.

    tests/conformance/wire_bad_input.py ['part of a case name']
"""
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
from keyturn import Vault  # noqa: E402
from tap import Mismatch, Tap, true  # noqa: E402
from wire import Wire, error, serve  # noqa: E402

tap = Tap("tests/conformance/wire_bad_input.py")
vault = Vault()
wire = Wire(vault)
operations = []  # method, path, whether anybody may ask


def read_operations():
    document = wire.ask("GET", "sys/internal/specs/openapi").json
    for path, item in sorted(document["paths"].items()):
        for parameter in item["parameters"]:
            path = path.replace("{%s}" % parameter["name"], "x")
        for method in ("get", "post", "patch", "delete"):
            if method in item:
                yield method.upper(), path[1:], item[method].get("security") == []


def each(ask, wanted, text, public=True):
    """Asks each operation, the public ones only if so said; a write to a folder is refused before."""
    asked = 0
    for method, path, unauthenticated in operations:
        if (unauthenticated and not public) or (method in ("POST", "PATCH") and path.endswith("/")):
            continue
        if path.startswith("sys/wrapping/") and not public:
            continue  # Vault answers 400 there: the token that it looks at first is the wrapping one
        body = {} if method in ("POST", "PATCH") else None
        try:
            error(ask(method, path, body), wanted, text)
        except Mismatch as mismatch:
            raise Mismatch("%s %s: %s" % (method, path, mismatch))
        asked += 1
    true(asked > 60, "at least 60 operations")


@tap.case("two tokens that disagree")
def _():
    each(lambda method, path, body: wire.ask(method, path, body, token=vault.token,
                                             headers={"x-vault-token": "hvs.other"}),
         400, "two different X-Vault-Token headers")


@tap.case("no token")
def _():
    each(lambda method, path, body: wire.ask(method, path, body, token=None)
         if not path.startswith(("sys/internal/ui/mounts", "sys/internal/specs")) or path.endswith("/x")
         else wire.ask(method, path, body, token="hvs.none"), 403, "permission denied", public=False)


@tap.case("a token that is cut off")
def _():
    each(lambda method, path, body: wire.ask(method, path, body, token=vault.token[:-1]),
         403, "invalid token", public=False)


sys.exit(serve(tap, wire, lambda: operations.extend(read_operations())))
