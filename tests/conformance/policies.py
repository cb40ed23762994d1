#!/usr/bin/python3
"""The policies that ship with the product: what each lets its bearer do, and what it does not.

    tests/conformance/policies.py ['part of a case name']

Each row is asked twice: of sys/capabilities, and by the request itself, which the policy either lets
through (whatever the handler then says) or does not (403).
"""
import os
import re
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
from keyturn import ROOT, Vault  # noqa: E402
from tap import Mismatch, Tap, equal, true  # noqa: E402
from wire import Wire, serve, wants  # noqa: E402

tap = Tap("tests/conformance/policies.py")
vault = Vault()
wire = Wire(vault)
FOLDER = os.path.join(ROOT, "policies")
NAMES = sorted(f[:-4] for f in os.listdir(FOLDER) if f.endswith(".hcl"))
METHODS = {"read": "GET", "list": "LIST", "create": "POST", "update": "POST", "patch": "PATCH", "delete": "DELETE"}

# What nobody but root may do. Each is tried with every shipped policy.
NOBODY = [("update", "sys/seal", {}), ("update", "sys/rotate", {}), ("update", "sys/mounts/x", {"type": "kv-v2"}),
          ("delete", "sys/mounts/secret", None), ("update", "sys/policies/acl/operator", {"policy": "# mine"}),
          ("update", "sys/policy/agent", {"policy": "# mine"}), ("delete", "sys/policies/acl/agent", None),
          ("update", "auth/token/create", {"policies": ["root"]}), ("list", "auth/token/accessors", None),
          ("update", "auth/token/revoke-orphan", {"token": "x"}), ("update", "auth/token/revoke", {"token": "x"}),
          ("update", "auth/token/lookup", {"token": "x"}), ("update", "secret/destroy/db/orders", {"versions": [1]}),
          ("delete", "secret/metadata/db/orders", None), ("update", "secret/config", {"max_versions": 1}),
          ("update", "sys/capabilities", {"token": "x", "paths": "a"})]

# policy: what it lets through, what it does not; (capability, path, body).
ROWS = {
    "operator": (
        [("update", "secret/data/db/orders", {"data": {}}), ("create", "secret/data/db/new", {"data": {}}),
         ("patch", "secret/data/db/orders", {"data": {}}), ("list", "secret/metadata", None),
         ("list", "secret/metadata/db", None), ("read", "secret/metadata/db/orders", None),
         ("update", "secret/metadata/db/orders", {"custom_metadata": {"owner": "x"}}),
         ("update", "secret/delete/db/orders", {"versions": [99]}), ("update", "secret/undelete/db/orders", {"versions": [99]}),
         ("read", "secret/subkeys/db/orders", None),
         ("update", "rotation/targets/orders-db", {}), ("read", "rotation/targets/orders-db", None),
         ("delete", "rotation/targets/none", None), ("update", "rotation/secrets/secret/db/orders", {}),
         ("update", "rotation/rotate/secret/db/orders", {}), ("list", "rotation/runs", None),
         ("read", "rotation/runs/x/report", None), ("update", "rotation/runs/x/cancel", {}), ("read", "rotation/due", None),
         ("list", "fleet/agents", None), ("list", "fleet/consumers/web1", None),
         ("read", "sys/mounts", None), ("list", "sys/policies/acl", None), ("read", "sys/policies/acl/agent", None),
         ("read", "sys/audit-log/checkpoint", None), ("update", "sys/audit-log/checkpoint", {})],
        [("read", "secret/data/db/orders", None), ("delete", "secret/data/db/orders", None), ("update", "fleet/consumers/web1/secret/db/orders", {}),
         ("read", "fleet/watch/web1", None), ("update", "sys/audit-hash/file", {"input": "x"})]),
    "rotator": (
        [("update", "rotation/rotate/secret/db/orders", {}), ("list", "rotation/runs", None),
         ("read", "rotation/runs/x", None), ("read", "rotation/runs/x/report", None),
         ("update", "rotation/runs/x/cancel", {}), ("update", "rotation/runs/x/thaw", {}),
         ("list", "rotation/secrets", None), ("read", "rotation/secrets/secret/db/orders", None),
         ("read", "rotation/due", None), ("list", "fleet/agents", None), ("list", "fleet/consumers/web1", None)],
        [("read", "secret/data/db/orders", None), ("update", "secret/data/db/orders", {"data": {}}),
         ("update", "rotation/targets/orders-db", {}), ("read", "rotation/targets/orders-db", None),
         ("update", "rotation/secrets/secret/db/orders", {}), ("delete", "rotation/secrets/secret/db/orders", None),
         ("read", "secret/metadata/db/orders", None), ("read", "sys/audit-log/export", None),
         ("update", "fleet/consumers/web1/secret/db/orders", {}), ("update", "auth/token/create-orphan", {"policies": ["agent"]})]),
    "agent": (
        [("read", "secret/data/db/orders", None), ("update", "fleet/consumers/web1/secret/db/orders", {}),
         ("read", "fleet/watch/web1", None), ("read", "auth/token/lookup-self", None),
         ("update", "auth/token/renew-self", {})],
        [("read", "secret/data/other", None), ("update", "secret/data/db/orders", {"data": {}}),
         ("list", "secret/metadata/db", None), ("read", "secret/metadata/db/orders", None),
         ("update", "fleet/consumers/web2/secret/db/orders", {}), ("read", "fleet/watch/web2", None),
         ("update", "fleet/consumers/web1x/secret/db/orders", {}), ("list", "fleet/agents", None),
         ("list", "rotation/runs", None), ("update", "rotation/rotate/secret/db/orders", {}),
         ("read", "rotation/secrets/secret/db/orders", None), ("read", "sys/mounts", None)]),
    "auditor": (
        [("read", "sys/audit-log/export", None), ("read", "sys/audit-log/leaves", None),
         ("read", "sys/audit-log/checkpoints", None), ("read", "sys/audit-log/proof", None),
         ("read", "sys/audit-log/checkpoint", None), ("update", "sys/audit-log/checkpoint", {}),
         ("update", "sys/audit-hash/file", {"input": "x"}), ("list", "rotation/runs", None),
         ("read", "rotation/runs/x/report", None), ("list", "fleet/agents", None), ("list", "fleet/consumers/web1", None)],
        [("read", "secret/data/db/orders", None), ("list", "secret/metadata", None),
         ("update", "secret/data/db/orders", {"data": {}}), ("update", "rotation/rotate/secret/db/orders", {}),
         ("update", "rotation/runs/x/cancel", {}), ("update", "sys/audit-log/export", {}),
         ("update", "fleet/consumers/web1/secret/db/orders", {}), ("update", "auth/token/create-orphan", {"policies": ["agent"]})]),
    "pipeline": (
        [("read", "secret/data/deploy/app", None), ("read", "secret/metadata/deploy/app", None),
         ("list", "secret/metadata/deploy", None), ("list", "fleet/agents", None),
         ("list", "fleet/consumers/web1", None), ("list", "rotation/runs", None), ("read", "rotation/runs/x", None)],
        [("read", "secret/data/db/orders", None), ("update", "secret/data/deploy/app", {"data": {}}),
         ("create", "secret/data/deploy/new", {"data": {}}), ("delete", "secret/data/deploy/app", None),
         ("patch", "secret/data/deploy/app", {"data": {}}), ("update", "rotation/rotate/secret/deploy/app", {}),
         ("update", "rotation/runs/x/cancel", {}), ("list", "secret/metadata", None),
         ("read", "sys/audit-log/export", None), ("update", "auth/token/create-orphan", {"policies": ["pipeline"]})]),
}


def ask(token, capability, path, body, allowed):
    # For a list either form of the path may grant it.
    asked = [path, path + "/"] if capability == "list" else [path]
    answer = wire.ok("POST", "sys/capabilities", {"token": token, "paths": asked}).data
    has = sorted({c for p in asked for c in answer[p]})
    raw = path == "sys/audit-log/export"
    reply = wire.ask(METHODS[capability], path, body, token=token, by_library=raw)
    if allowed and (capability not in has or reply.status == 403):
        raise Mismatch("expected to be let through, got %s of %s, and %s" % (capability, has, reply))
    if not allowed and reply.status != 403:
        raise Mismatch("expected 403, got %s of %s, and %s" % (capability, has, reply))


def case(name, policy, row, allowed):
    @tap.case("%s %s %s %s" % (name, "may" if allowed else "may not", row[0], row[1]))
    def _():
        ask(policy[name], *row, allowed)


def load():
    """The policies as they ship, HOST replaced; a token of each."""
    tokens = {}
    wire.ok("POST", "secret/data/db/orders", {"data": {"password": "precious"}})
    wire.ok("POST", "secret/data/deploy/app", {"data": {"key": "precious"}})
    for name in NAMES:
        with open(os.path.join(FOLDER, name + ".hcl")) as f:
            text = re.sub(r"\bHOST\b", "web1", f.read())
        wants(wire.ask("PUT", "sys/policies/acl/" + name, {"policy": text}), 204)
        tokens[name] = wire.ok("POST", "auth/token/create", {"policies": [name], "ttl": "1h"}).auth["client_token"]
    return tokens


def create(token, **fields):
    return wire.ask("POST", "auth/token/create-orphan", fields, token=token)


def cases(tokens):
    @tap.case("each shipped policy has rows here, and a line in the README")
    def _():
        equal(NAMES, sorted(ROWS))
        with open(os.path.join(FOLDER, "README.md")) as f:
            text = f.read()
        for name in NAMES:
            true("`%s.hcl`" % name in text, "%s.hcl in the README" % name)

    for name in NAMES:
        may, may_not = ROWS[name]
        for row in may:
            case(name, tokens, row, True)
        for row in may_not + NOBODY:
            case(name, tokens, row, False)

    @tap.case("an operator gives tokens of the named policies and no others")
    def _():
        token = tokens["operator"]
        for policies in (["agent"], ["pipeline"], ["rotator"], ["auditor"], "agent", "auditor",
                         "agent-web1", "pipeline-x", "agent-x,root"):  # the last is one strange name
            reply = wants(create(token, policies=policies, ttl="1h"), 200)
            wanted = policies if isinstance(policies, list) else [policies]
            equal((sorted(wanted + ["default"]), True), (reply.auth["policies"], reply.auth["orphan"]))
        wants(create(token, policies=["agent"], period="1h", display_name="web1", meta={"host": "web1"}), 200)
        for fields in ({"policies": ["root"]}, {"policies": ["operator"]}, {"policies": ["agent", "root"]},
                       {"policies": "root"}, {"policies": "other"}, {"policies": []}, {}, {"POLICIES": ["agent"]},
                       {"policies": ["agent"], "id": "chosen"}, {"policies": ["agent"], "no_default_policy": True},
                       {"policies": ["agent"], "Policies": ["root"]}):
            equal(403, create(token, **fields).status, str(fields))
        equal(403, wire.ask("POST", "auth/token/create", {"policies": ["agent"]}, token=token).status)

    @tap.case("secretctl makes a host's token with an operator's token")
    def _():
        made = vault.ctl("token", "create", "-orphan", "-policy=agent-web1", "-period=24h", "-display-name=web1",
                         "-field=token", token=tokens["operator"]).stdout.strip()
        equal(["agent-web1", "default"], wire.ok("GET", "auth/token/lookup-self", token=made).data["policies"])
        for words in (["-policy=agent-web1"], ["-orphan", "-policy=root"], ["-orphan"],
                      ["-orphan", "-policy=agent", "-policy=auditor"]):
            equal(2, vault.ctl("token", "create", *words, token=tokens["operator"], check=False).returncode, str(words))

    @tap.case("secretctl kv put says to an operator which keys it drops")
    def _():
        wire.ok("POST", "secret/data/db/keys", {"data": {"a": "1", "b": "2"}})
        done = vault.ctl("kv", "put", "secret/db/keys", "a=-", input="3", token=tokens["operator"])
        true("no longer in secret/db/keys: b " in done.stderr, done.stderr)

    @tap.case("no shipped policy reads a value through what it may write")
    def _():
        for name in ("operator", "rotator", "auditor"):
            for method, path, body in [("GET", "secret/data/db/orders", None),
                                       ("GET", "secret/data/db/orders?version=1", None),
                                       ("PATCH", "secret/data/db/orders", {"data": {}}),
                                       ("GET", "secret/metadata/db/orders", None),
                                       ("GET", "secret/subkeys/db/orders", None),
                                       ("GET", "sys/audit-log/export", None),
                                       ("GET", "rotation/secrets/secret/db/orders", None)]:
                reply = wire.ask(method, path, body, token=tokens[name], by_library=True)
                true(b"precious" not in reply.body, "no value in %s" % reply)


sys.exit(serve(tap, wire, lambda: cases(load())))
