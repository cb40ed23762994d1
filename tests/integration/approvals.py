#!/usr/bin/env python3
"""Approvals as people meet them: secretctl, logins over HTTP, a vault that is killed between the steps.

    tests/integration/approvals.py ['part of a case name']
"""
import json
import os
import re
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
from keyturn import Report, Vault, contains, equal  # noqa: E402

report = Report()
vault = Vault().ready()
ALL = 'path "*" { capabilities = ["create", "read", "update", "patch", "delete", "list", "sudo"] }'
POLICY = 'path "secret/data/app" { capabilities = ["read"] }'
tokens, entities = {}, {}


def ctl(who, *words, **more):
    done = vault.ctl(*words, token=tokens.get(who, vault.token), check=False, **more)
    return done.returncode, done.stdout, done.stderr


def good(who, *words, **more):
    code, out, err = ctl(who, *words, **more)
    equal(code, 0, "exit code of %s (%s%s)" % (" ".join(words), out, err))
    return out


def refused(who, says, *words, **more):
    code, out, err = ctl(who, *words, **more)
    equal(code, 2, "exit code of %s (%s%s)" % (" ".join(words), out, err))
    contains(err, says)
    return err


def log_in(who):
    auth = vault.ok("POST", "auth/people/login/" + who, {"password": "of " + who}).json["auth"]
    tokens[who], entities[who] = auth["client_token"], auth["entity_id"]


def scene():
    vault.ok("POST", "sys/auth/people", {"type": "userpass"})
    vault.ok("POST", "sys/policies/acl/all", {"policy": ALL})
    with open(os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "policies", "approver.hcl")) as f:
        vault.ok("POST", "sys/policies/acl/approver", {"policy": f.read()})
    for who in ("bob", "tom", "ann"):
        policies = "all" if who == "bob" else "approver"
        vault.ok("POST", "auth/people/users/" + who, {"password": "of " + who, "policies": policies})
        log_in(who)
    vault.ok("POST", "identity/group", {"name": "approvers", "member_entity_ids": [entities["tom"], entities["ann"]]})
    vault.ok("POST", "sys/approvals/rules/access", {
        "paths": ["sys/policies/acl/*", "sys/auth/*"], "group": "approvers", "needed": 2})


def ask():
    err = refused("bob", "nothing was done yet", "policy", "write", "app", "-", input=POLICY)
    found = re.search(r"secretctl approve ([0-9a-f-]{36}); then you: secretctl approvals finish \1", err)
    assert found, err
    return found[1]


def waits_and_is_done():
    waiting = ask()
    refused("bob", "0 of the 2 approvals", "approvals", "finish", waiting)
    contains(good("tom", "approvals", "list"), "sys/policies/acl/app")
    contains(good("tom", "approvals", "show", waiting), POLICY, "what tom is shown, who may read policies")
    contains(good("tom", "approve", waiting), "access: 1 of 2")
    vault.restart()
    refused("bob", "1 of the 2 approvals", "approvals", "finish", waiting)
    good("ann", "approve", waiting)
    vault.restart()
    equal(vault.call("GET", "sys/policies/acl/app").status, 404)
    contains(good("bob", "approvals", "list", "-mine"), waiting)
    good("bob", "approvals", "finish", waiting)
    vault.restart()
    contains(good("bob", "policy", "read", "app"), "secret/data/app")
    refused("bob", "any more: done", "approvals", "finish", waiting)
    refused("ann", "any more: done", "approve", waiting)


def denied_and_withdrawn():
    waiting = ask()
    code, _, err = ctl("tom", "deny", waiting)
    equal(code, 1, err)
    contains(good("tom", "deny", waiting, "-reason=too wide"), "denied")
    refused("bob", "denied by", "approvals", "finish", waiting)
    contains(refused("bob", "too wide", "approvals", "finish", waiting), "too wide")
    waiting = ask()
    good("bob", "approvals", "withdraw", waiting)
    contains(good("tom", "approvals", "list"), "Nothing waits")


def not_by_himself():
    waiting = ask()
    refused("bob", "nobody approves what he asked for", "approve", waiting)
    refused("root", "root and tokens without an entity", "approve", waiting)
    refused("root", "without an entity cannot ask", "policy", "write", "app", "-", input=POLICY)
    refused("bob", "break-glass takes a root token", "approvals", "break-glass", waiting, "-reason=hurry")
    answer = vault.call("POST", "auth/people/users/tom/password", {"password": "mine now"}, token=tokens["bob"])
    equal((202, "auth/people/users/tom/password"), (answer.status, answer.data["path"]))
    log_in("tom")  # by his own password, still
    good("bob", "approvals", "withdraw", waiting)


def for_programs():
    waiting = ask()
    shown = json.loads(good("tom", "approvals", "show", "-o", "json", waiting))["data"]
    equal(("waiting", "update", ["policy"]), (shown["state"], shown["operation"], list(shown["fields"])))
    equal("waiting", good("bob", "approvals", "show", "-mine", "-field=state", waiting).strip())
    good("bob", "approvals", "withdraw", waiting)


scene()
report.case("it waits, two approve, it is carried out once; killed between all of it", waits_and_is_done)
report.case("denied with a reason, withdrawn", denied_and_withdrawn)
report.case("nobody by himself, root neither, nor by setting an approver's password", not_by_himself)
report.case("for programs", for_programs)
vault.remove()
report.end()
