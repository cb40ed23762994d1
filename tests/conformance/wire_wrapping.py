#!/usr/bin/python3
"""Wrapped answers over raw HTTP, and two clients at once.

    tests/conformance/wire_wrapping.py ['part of a case name']
"""
import json
import os
import sys
import threading

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
from keyturn import Vault  # noqa: E402
from tap import Tap, equal, true  # noqa: E402
from wire import Wire, error, serve, wants  # noqa: E402

tap = Tap("tests/conformance/wire_wrapping.py")
vault = Vault()
wire = Wire(vault)
NO_SUCH = "wrapping token is not valid or does not exist"


def wrap(method="GET", path="secret/data/a", body=None, ttl="5m", **more):
    return wants(wire.ask(method, path, body, headers={"X-Vault-Wrap-TTL": ttl}, **more), 200).json["wrap_info"]


def unwrap(token):
    return wire.ask("PUT", "sys/wrapping/unwrap", token=token)


@tap.case("what stands in the place of the answer")
def _():
    reply = wants(wire.ask("POST", "sys/wrapping/wrap", {"a": 1}, headers={"X-Vault-Wrap-TTL": "90s"}), 200)
    info = reply.json["wrap_info"]
    equal({"token", "accessor", "ttl", "creation_time", "creation_path"}, set(info))
    equal((90, "sys/wrapping/wrap"), (info["ttl"], info["creation_path"]))
    for key, value in {"request_id": "", "data": None, "auth": None, "lease_id": "", "lease_duration": 0,
                       "renewable": False, "warnings": None}.items():
        equal(value, reply.json[key], key)
    error(wire.ask("POST", "sys/wrapping/wrap", {"a": 1}), 400, "endpoint requires response wrapping to be used")


@tap.case("it comes back as it was, once")
def _():
    sent = {"n": 12345678901234567890, "text": "<a&b>\u2028\u00e4", "list": [1.10, None, {"x": {}}]}
    plain = wants(wire.ask("POST", "secret/data/a", {"data": sent}), 200)
    token = wrap()["token"]
    plain = wants(wire.ask("GET", "secret/data/a"), 200)
    back = wants(unwrap(token), 200)
    equal(plain.data, back.data)
    true(back.json["request_id"] not in ("", plain.json["request_id"]), "its own request id")
    true(b"12345678901234567890" in back.body and b"1.1" in back.body, "numbers as text")
    error(unwrap(token), 400, NO_SUCH)


@tap.case("header and body, GET and POST, PUT and POST")
def _():
    for method in ("POST", "PUT"):
        token = wrap()["token"]
        for ask in (lambda: wire.ask("GET", "sys/wrapping/lookup", token=token),
                    lambda: wire.ask(method, "sys/wrapping/lookup", {"token": token}, token=None),
                    lambda: wire.ask(method, "sys/wrapping/lookup", raw=b"null", token=token)):
            equal((300, "secret/data/a"),
                  tuple(wants(ask(), 200).data[k] for k in ("creation_ttl", "creation_path")))
        wants(wire.ask(method, "sys/wrapping/unwrap", {"token": token}), 200)
        error(wire.ask(method, "sys/wrapping/lookup", {"token": token}, token=None), 400, NO_SUCH)


@tap.case("media types and bodies that are no envelope")
def _():
    token = wrap(path="sys/audit-log/export?from=0&to=2")["token"]
    plain = wire.ask("GET", "sys/audit-log/export?from=0&to=2", by_library=True)
    back = wire.ask("PUT", "sys/wrapping/unwrap", token=token, by_library=True)
    equal((200, plain.body, plain.header("Content-Type")), (back.status, back.body, back.header("Content-Type")))
    # Lifted members are of the answer that is sent, not of the one that is kept.
    token = wrap(path="sys/mounts")["token"]
    back = wants(unwrap(token), 200).json
    true("secret/" in back["data"] and "secret/" not in back, "not lifted")


@tap.case("a deleted version keeps its status")
def _():
    wire.ok("POST", "secret/data/gone", {"data": {"k": 1}})
    wire.ok("DELETE", "secret/data/gone")
    reply = wants(unwrap(wrap(path="secret/data/gone")["token"]), 404)
    true(reply.data["metadata"]["deletion_time"], "deletion_time")


@tap.case("nothing, and not found")
def _():
    headers = {"X-Vault-Wrap-TTL": "5m"}
    error(wire.ask("GET", "secret/data/none", headers=headers), 404)
    error(wire.ask("LIST", "secret/metadata/none", headers=headers), 404)
    wants(wire.ask("PUT", "sys/policies/acl/p", {"policy": "# nothing"}, headers=headers), 204)
    wants(wire.ask("POST", "secret/metadata/a", {"max_versions": 5}, headers=headers), 204)


@tap.case("the header's errors")
def _():
    for text in ("x", "-1", "5 minutes", "1d12h"):
        error(wire.ask("GET", "secret/data/a", headers={"X-Vault-Wrap-TTL": text}), 400,
              "error parsing X-Vault-Wrap-TTL header:")
    for text in ("0", "0s", ""):
        equal(None, wants(wire.ask("GET", "secret/data/a", headers={"X-Vault-Wrap-TTL": text}), 200).json["wrap_info"])


@tap.case("two at once, many times: one gets it")
def _():
    others = [Wire(vault) for _ in range(2)]
    for turn in range(30):
        token = wrap()["token"]
        got, start = [None, None], threading.Barrier(2)

        def ask(n):
            start.wait()
            as_itself = (turn + n) % 2 == 0
            got[n] = others[n].ask("PUT", "sys/wrapping/unwrap", None if as_itself else {"token": token},
                                   token=token if as_itself else "")
        threads = [threading.Thread(target=ask, args=(n,)) for n in range(2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        equal([200, 400], sorted(reply.status for reply in got))
        for reply in got:
            if reply.status == 400:
                error(reply, 400, NO_SUCH)
    for other in others:
        other.close()


@tap.case("kept over a restart")
def _():
    token = wrap()["token"]
    used = wrap()["token"]
    wants(unwrap(used), 200)
    wire.close()
    vault.restart()
    error(unwrap(used), 400, NO_SUCH)
    true("data" in wants(unwrap(token), 200).data, "the answer")


def first():
    wire.ok("POST", "secret/data/a", {"data": {"k": "v"}})


sys.exit(serve(tap, wire, first))
