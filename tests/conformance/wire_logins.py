#!/usr/bin/python3
"""Logging in over raw HTTP: cases 51 and 78 to 81 of the wire contract, and what many at once meet.

    tests/conformance/wire_logins.py ['part of a case name']
"""
import os
import sys
import threading
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
from keyturn import Vault  # noqa: E402
from tap import Tap, equal, true  # noqa: E402
from wire import Wire, error, wants  # noqa: E402

tap = Tap("tests/conformance/wire_logins.py")
vault = Vault()
wire = Wire(vault)
WRONG = "invalid username or password"


def enable(kind):
    wants(wire.ask("POST", "sys/auth/" + kind, {"type": kind}), 204)


def user(name, **more):
    wants(wire.ask("POST", "auth/userpass/users/" + name, dict({"password": "right"}, **more)), 204)


def login(name, password="right", **more):
    return wire.ask("POST", "auth/userpass/login/" + name, {"password": password}, token=None, **more)


@tap.case("51: a role's policies")
def _():
    wants(wire.ask("POST", "auth/token/roles/r", {"allowed_policies": "p"}), 204)
    equal(["default", "p"], wants(wire.ask("POST", "auth/token/create/r", {}), 200).auth["policies"])
    error(wire.ask("POST", "auth/token/create/r", {"policies": ["q"]}), 400, "must be subset of the role's")
    error(wire.ask("POST", "auth/token/create/none", {}), 400, "unknown role")
    wants(wire.ask("POST", "auth/token/roles/ab", {"allowed_policies": "a,b"}), 204)
    equal(["a", "b"], wants(wire.ask("GET", "auth/token/roles/ab"), 200).data["allowed_policies"])


@tap.case("78: userpass")
def _():
    user("bob", ttl="10s")
    unknown, wrong = login("nobody"), login("bob", "wrong")
    error(unknown, 400, WRONG)
    equal((unknown.status, unknown.body), (wrong.status, wrong.body))
    for name in ("bob", "Bob", "BOB"):
        auth = wants(login(name), 200).auth
        equal((10, True, "service", {"username": "bob"}, True),
              (auth["lease_duration"], auth["orphan"], auth["token_type"], auth["metadata"], auth["renewable"]))
    equal("userpass-bob", wants(wire.ask("GET", "auth/token/lookup-self", token=auth["client_token"]), 200)
          .data["display_name"])
    error(wire.ask("PUT", "auth/userpass/login/bob", {}, token=None), 500, "missing password")
    error(wire.ask("POST", "auth/userpass/users/hashed", {"password_hash": "$2a$10$secretword"}), 400, "missing password",
          "secretword")
    for name in ("bob", "noone"):
        for i in range(5):
            error(login(name.upper() if i % 2 else name, "wrong"), 400, WRONG)
        error(login(name), 403, "permission denied")


@tap.case("79: approle")
def _():
    wants(wire.ask("POST", "auth/approle/role/x", {"token_policies": "p"}), 204)
    true("role_id" not in wants(wire.ask("GET", "auth/approle/role/x"), 200).data, "the role id is asked for apart")
    role_id = wants(wire.ask("GET", "auth/approle/role/x/role-id"), 200).data["role_id"]
    made = wants(wire.ask("POST", "auth/approle/role/x/secret-id",
                          {"num_uses": 1, "metadata": '{"host":"h1"}'}), 200).data
    body = {"role_id": role_id, "secret_id": made["secret_id"]}
    auth = wants(wire.ask("PUT", "auth/approle/login", body, token=None), 200).auth
    equal(({"role_name": "x", "host": "h1"}, ["default", "p"]), (auth["metadata"], auth["policies"]))
    error(wire.ask("PUT", "auth/approle/login", body, token=None), 400, "invalid role or secret ID")
    wants(wire.ask("POST", "auth/approle/role/x/secret-id/lookup", {"secret_id": "unknown"}), 204)
    reply = wire.ask("POST", "auth/approle/role/x/secret-id-accessor/lookup", {"secret_id_accessor": "unknown"})
    true("failed to find accessor entry" in wants(reply, 404).data["error"], "the error's text")


@tap.case("79: a wrapped secret id has its accessor beside it")
def _():
    wants(wire.ask("POST", "auth/approle/role/x", {}), 204)
    info = wants(wire.ask("POST", "auth/approle/role/x/secret-id", {}, headers={"X-Vault-Wrap-TTL": "5m"}),
                 200).json["wrap_info"]
    inside = wants(wire.ask("PUT", "sys/wrapping/unwrap", token=info["token"]), 200).data
    equal(inside["secret_id_accessor"], info["wrapped_accessor"])


@tap.case("80: a token that comes along with a login is not looked at")
def _():
    user("ann")
    for token in ("nonsense", "hvs.x", wire.root):
        wants(wire.ask("POST", "auth/userpass/login/ann", {"password": "right"}, token=token), 200)


@tap.case("81: what came in through a way that is disabled is refused")
def _():
    user("ann")
    token = wants(login("ann"), 200).auth["client_token"]
    wants(wire.ask("GET", "auth/token/lookup-self", token=token), 200)
    wants(wire.ask("DELETE", "sys/auth/userpass"), 204)
    error(wire.ask("GET", "auth/token/lookup-self", token=token), 403, "invalid token")
    enable("userpass")
    error(wire.ask("GET", "auth/token/lookup-self", token=token), 403, "invalid token")
    error(login("ann"), 400, WRONG)


@tap.case("a login's answer that is wrapped")
def _():
    user("ann")
    reply = wants(login("ann", headers={"X-Vault-Wrap-TTL": "5m"}), 200).json
    equal(None, reply["auth"])
    inside = wants(wire.ask("PUT", "sys/wrapping/unwrap", token=reply["wrap_info"]["token"]), 200).auth
    equal(inside["accessor"], reply["wrap_info"]["wrapped_accessor"])


@tap.case("two hundred who log in at once: 64 are let in, the others hear when to come again; reads go on")
def _():
    user("crowd")
    answers, lock = [], threading.Lock()

    def one():
        own = Wire(vault)
        reply = own.ask("POST", "auth/userpass/login/crowd", {"password": "right"}, token=None)
        with lock:
            answers.append(reply)
        own.close()

    began = time.monotonic()
    threads = [threading.Thread(target=one) for _ in range(200)]
    for thread in threads:
        thread.start()
    reads = 0
    while any(thread.is_alive() for thread in threads):
        wants(wire.ask("GET", "sys/mounts"), 200)
        reads += 1
    for thread in threads:
        thread.join()
    let_in = [reply for reply in answers if reply.status == 200]
    later = [reply for reply in answers if reply.status == 429]
    equal(200, len(later) + len(let_in))
    waited_out = time.monotonic() - began >= 60  # so long one waits at most: a machine that is that busy lets in fewer
    true(len(let_in) >= 64 or waited_out, "64, got %d" % len(let_in))
    for reply in later:
        true(int(reply.header("Retry-After")[0]) > 0, "when to come again")
    true(reads > len(let_in), "%d reads while %d passwords were looked at" % (reads, len(let_in)))


def main():
    try:
        vault.ready()
        wire.root = vault.token
        enable("userpass")
        enable("approle")
        return tap.run(sys.argv[1:])
    finally:
        wire.close()
        vault.remove()


sys.exit(main())
