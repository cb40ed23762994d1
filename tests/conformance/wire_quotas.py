#!/usr/bin/python3
"""Rate-limit quotas over raw HTTP: Vault's status, text and header lines.

    tests/conformance/wire_quotas.py ['part of a case name']
"""
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
from keyturn import Vault  # noqa: E402
from tap import Tap, equal, true  # noqa: E402
from wire import Wire, error, serve, wants  # noqa: E402

tap = Tap("tests/conformance/wire_quotas.py")
vault = Vault()
wire = Wire(vault)
LINES = ("X-Ratelimit-Limit", "X-Ratelimit-Remaining", "X-Ratelimit-Reset", "Retry-After")


def told(reply):
    return [reply.header(line) for line in LINES]


@tap.case("a quota's life, as Vault's clients ask for it")
def _():
    equal([], wants(wire.ask("LIST", "sys/quotas/rate-limit"), 404).errors)
    wants(wire.ask("POST", "sys/quotas/rate-limit/kv", {"path": "secret/", "rate": 100.5, "interval": "1m"}), 204)
    for method, path in (("LIST", "sys/quotas/rate-limit"), ("GET", "sys/quotas/rate-limit?list=true")):
        equal(["kv"], wants(wire.ask(method, path), 200).data["keys"])
    equal({"type": "rate-limit", "name": "kv", "path": "secret/", "rate": 100.5, "interval": 60, "block_interval": 0,
           "role": "", "inheritable": False}, wants(wire.ask("GET", "sys/quotas/rate-limit/kv"), 200).data)
    error(wire.ask("POST", "sys/quotas/rate-limit/x", {"path": "secret/"}), 400, "'rate' is invalid")
    error(wire.ask("POST", "sys/quotas/rate-limit/x", {"rate": 1, "path": "no/"}), 400, "invalid mount path")
    wants(wire.ask("DELETE", "sys/quotas/rate-limit/kv"), 204)
    wants(wire.ask("DELETE", "sys/quotas/rate-limit/kv"), 204)
    wants(wire.ask("GET", "sys/quotas/rate-limit/kv"), 404)


@tap.case("one too many: 429, when to come again, and the lines if they are wanted")
def _():
    try:
        wants(wire.ask("POST", "sys/quotas/rate-limit/kv",
                       {"path": "secret/data/a", "rate": 2, "interval": "1h"}), 204)
        equal([[], [], [], []], told(wants(wire.ask("GET", "secret/data/a"), 404)))
        wants(wire.ask("POST", "sys/quotas/config", {"enable_rate_limit_response_headers": True}), 204)
        reply = wants(wire.ask("GET", "secret/data/a"), 404)
        equal([["2"], ["0"]], told(reply)[:2])
        true(3590 < int(told(reply)[2][0]) <= 3600 and told(reply)[3] == [], reply)
        reply = error(wire.ask("GET", "secret/data/a"), 429,
                      'request path "secret/data/a": rate limit quota exceeded')
        equal([["2"], ["0"]], told(reply)[:2])
        true(1790 < int(told(reply)[3][0]) <= 1800, reply)
        equal([[], [], [], []], told(wants(wire.ask("GET", "secret/data/b"), 404)))
        wants(wire.ask("POST", "sys/quotas/config", {"enable_rate_limit_response_headers": False}), 204)
        reply = error(wire.ask("GET", "secret/data/a", token=None), 429, "rate limit quota exceeded")
        equal([[], [], []], told(reply)[:3])
        true(len(told(reply)[3]) == 1, "Retry-After all the same")
    finally:
        wants(wire.ask("DELETE", "sys/quotas/rate-limit/kv"), 204)
    wants(wire.ask("GET", "secret/data/a"), 404)


sys.exit(serve(tap, wire))
