#!/usr/bin/python3
"""Policies over raw HTTP: their texts, which pattern decides, parameters, capabilities, the preflight.

    tests/conformance/wire_policies.py ['part of a case name']
"""
import base64
import json
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
from keyturn import Vault  # noqa: E402
from tap import Tap, equal, true  # noqa: E402
from wire import Wire, error, serve, wants  # noqa: E402

tap = Tap("tests/conformance/wire_policies.py")
vault = Vault()
wire = Wire(vault)


def may(token, method, path, body=None, **more):
    """Whether the policy lets it through; what the handler then says does not matter."""
    reply = wire.ask(method, path, body, token=token, **more)
    if reply.status == 403:
        error(reply, 403, "permission denied", "invalid token")
    return reply.status != 403


def rows(policy, *questions, name="t"):
    """questions: (method, path, body, expected)."""
    token = wire.token(policy, name)
    for method, path, body, expected in questions:
        equal(expected, may(token, method, path, body), "%s %s %s" % (method, path, body))


# ---- texts ---------------------------------------------------------------------------------------

@tap.case("writing, reading, listing, deleting")
def _():
    text = 'path "a" { capabilities = ["read"] } # with "quotes"\n'
    wants(wire.ask("PUT", "sys/policies/acl/one", {"policy": text}), 204)
    equal({"name": "one", "policy": text}, wire.ok("GET", "sys/policies/acl/one").data)
    equal({"name": "one", "rules": text}, wire.ok("GET", "sys/policy/one").data)
    equal(text, wire.ok("GET", "sys/policy/one").json["rules"])
    wants(wire.ask("POST", "sys/policy/two", {"policy": text}), 204)
    reply = wants(wire.ask("POST", "sys/policy/two", {"rules": text}), 200)
    true("'rules' is deprecated" in str(reply.warnings), "the warning")
    new = wire.ok("LIST", "sys/policies/acl").data
    equal(["keys"], list(new))
    true({"default", "one", "root", "two"} <= set(new["keys"]), "the names")
    true("response-wrapping" not in new["keys"], "no response-wrapping")
    equal(new, wire.ok("GET", "sys/policies/acl?list=true").data)
    for method in ("GET", "LIST"):
        old = wire.ok(method, "sys/policy").data
        equal((new["keys"], new["keys"]), (old["keys"], old["policies"]))
    for _ in range(2):
        wants(wire.ask("DELETE", "sys/policies/acl/one"), 204)
    error(wire.ask("GET", "sys/policies/acl/one"), 404)
    error(wire.ask("GET", "sys/policy/one"), 404)
    equal("", wire.ok("GET", "sys/policies/acl/root").data["policy"])


@tap.case("names are lowered, root and default stay")
def _():
    reply = wants(wire.ask("PUT", "sys/policies/acl/FOO", {"policy": "# none"}), 200)
    equal(["policy name was converted to foo"], reply.warnings)
    equal("foo", wire.ok("GET", "sys/policies/acl/Foo").data["name"])
    wants(wire.ask("DELETE", "sys/policies/acl/FOO"), 204)
    error(wire.ask("GET", "sys/policies/acl/foo"), 404)
    for name in ("root", "Root", "response-wrapping"):
        error(wire.ask("PUT", "sys/policies/acl/" + name, {"policy": "# none"}), 400, "cannot update")
        error(wire.ask("DELETE", "sys/policies/acl/" + name), 400, "cannot delete")
    error(wire.ask("DELETE", "sys/policies/acl/default"), 400, "cannot delete default policy")
    text = wire.ok("GET", "sys/policies/acl/default").data["policy"]
    wants(wire.ask("PUT", "sys/policies/acl/default", {"policy": text + "# more\n"}), 204)


@tap.case("HCL, JSON, JSON as a string, base64")
def _():
    document = {"path": {"secret/data/json": {"capabilities": ["read"]}}}
    hcl = 'path "secret/data/json" { capabilities = ["read"] }'
    texts = [hcl, json.dumps(document), base64.b64encode(hcl.encode()).decode(),
             json.dumps({"path": [document["path"]]}), '# c\n// d\n/* e */\nname = "x"\n' + hcl,
             'path "secret/data/json" {\n capabilities = [\n  "read",\n ]\n comment = "x"\n}',
             'path "secret/data/json" { policy = "read" }',
             'path "/secret/data/json" { capabilities = ["read"] }']
    for text in texts:
        rows(text, ("GET", "secret/data/json", None, True), ("GET", "secret/data/jsonx", None, False),
             ("POST", "secret/data/json", {"data": {}}, False))
    rows("# grants nothing", ("GET", "secret/data/json", None, False))


@tap.case("texts that are none are refused, and what was stays")
def _():
    wire.policy("keep", 'path "a" { capabilities = ["read"] }')
    for text, why in [("", "not supplied or empty"), (None, "not supplied or empty"),
                      ('path "a" { capabilities = ["raed"] }', "invalid capability"),
                      ('path "a" { capabilities = "read" }', "capabilities"),
                      ('path "a" { capabilites = ["read"] }', "capabilites"),
                      ('pth "a" { capabilities = ["read"] }', "pth"),
                      ('path "a" { capabilities = ["root"] }', "invalid capability"),
                      ('path "a" {', "failed to parse policy"), ('path a/b { }', "failed to parse policy"),
                      ('path "a/+*" { capabilities = ["read"] }', "wildcards"),
                      ('path "a" { policy = "raed" }', "invalid policy"),
                      ('path "a" { min_wrapping_ttl = "5m" max_wrapping_ttl = "1m" }', "max_wrapping_ttl"),
                      ('path "a" { allowed_parameters = { "x" = "y" } }', "list"),
                      ('path "{{identity.entity.id" { capabilities = ["read"] }', "template"),
                      ('{"path": {"a": {"capabilities": ["raed"]}}}', "invalid capability"),
                      ('{"path": ', "failed to parse policy")]:
        error(wire.ask("PUT", "sys/policies/acl/keep", {"policy": text}), 400, why)
    equal('path "a" { capabilities = ["read"] }', wire.ok("GET", "sys/policies/acl/keep").data["policy"])
    deep = 'path "a" { capabilities = ["read"] }\n' * 4097
    error(wire.ask("PUT", "sys/policies/acl/keep", {"policy": deep}), 400, "more than")
    error(wire.ask("PUT", "sys/policies/acl/keep", {"policy": "#" * 600000}), 400, "at most")
    error(wire.ask("PUT", "sys/policies/acl/bad%20name", {"policy": "# x"}), 400, "policy name")


# ---- which pattern decides -----------------------------------------------------------------------

@tap.case("a deny on one name, whatever the order")
def _():
    wide = 'path "secret/data/*" { capabilities = ["read"] }'
    deny = 'path "secret/data/super" { capabilities = ["deny"] }'
    for text in (wide + deny, deny + wide):
        rows(text, ("GET", "secret/data/super", None, False), ("GET", "secret/data/superb", None, True),
             ("GET", "secret/data/sup", None, True), ("GET", "secret/data/super/x", None, True))
    wire.policy("wide", wide)
    wire.policy("deny", deny)
    for policies in (["wide", "deny"], ["deny", "wide"]):
        token = wire.ok("POST", "auth/token/create", {"policies": policies}).auth["client_token"]
        equal((False, True), (may(token, "GET", "secret/data/super"), may(token, "GET", "secret/data/superb")))


@tap.case("only the most specific pattern counts")
def _():
    rows('path "secret/data/*" { capabilities = ["read"] } path "secret/data/a/*" { capabilities = ["list"] }',
         ("GET", "secret/data/a/b", None, False), ("GET", "secret/data/b", None, True),
         ("GET", "secret/data/a", None, True))
    rows('path "secret/data/*" { capabilities = ["deny"] } path "secret/data/a" { capabilities = ["read"] }',
         ("GET", "secret/data/a", None, True), ("GET", "secret/data/b", None, False))


@tap.case("blocks of one pattern are one")
def _():
    rows('path "secret/data/a" { capabilities = ["read"] } path "secret/data/a" { capabilities = ["create"] }',
         ("GET", "secret/data/a", None, True), ("DELETE", "secret/data/a", None, False))
    rows('path "secret/data/a" { capabilities = ["read"] } path "/secret/data/a" { capabilities = ["deny"] }',
         ("GET", "secret/data/a", None, False))
    rows('path "secret/data/a" { capabilities = ["read", "deny"] }', ("GET", "secret/data/a", None, False))


@tap.case("a free segment")
def _():
    rows('path "secret/data/+/x" { capabilities = ["read"] }', ("GET", "secret/data/a/x", None, True),
         ("GET", "secret/data/a/b/x", None, False), ("GET", "secret/data/x", None, False),
         ("GET", "secret/data/a/xy", None, False), ("GET", "secret/data/a/x/y", None, False))
    rows('path "secret/data/+/x*" { capabilities = ["read"] }', ("GET", "secret/data/a/xy", None, True),
         ("GET", "secret/data/a/x/y/z", None, True), ("GET", "secret/data/a/y", None, False))
    rows('path "+/data/a" { capabilities = ["read"] }', ("GET", "secret/data/a", None, True))
    rows('path "secret/data/a/+" { capabilities = ["read"] }', ("GET", "secret/data/a/b", None, True),
         ("GET", "secret/data/a", None, False), ("GET", "secret/data/a/", None, True))
    rows('path "secret/data/a+b" { capabilities = ["read"] }', ("GET", "secret/data/a+b", None, True),
         ("GET", "secret/data/axb", None, False))
    rows('path "secret/data/*/x" { capabilities = ["read"] }', ("GET", "secret/data/a/x", None, False),
         ("GET", "secret/data/*/x", None, True))
    # The later wildcard wins.
    rows('path "secret/data/+/*" { capabilities = ["list"] } path "secret/data/a*" { capabilities = ["read"] }',
         ("GET", "secret/data/a/x", None, True), ("GET", "secret/data/b/x", None, False))
    rows('path "secret/data/+/x" { capabilities = ["read"] } path "secret/data/a/*" { capabilities = ["deny"] }',
         ("GET", "secret/data/a/x", None, False), ("GET", "secret/data/b/x", None, True))


@tap.case("lists ask with and without the slash")
def _():
    wire.ok("POST", "secret/data/l/x", {"data": {}})
    for pattern in ("secret/metadata/l/", "secret/metadata/l", "secret/metadata/*", "secret/metadata/l*",
                    "secret/+/l", "secret/+/l/", "secret/metadata/+"):
        rows('path "%s" { capabilities = ["list"] }' % pattern, ("LIST", "secret/metadata/l", None, True),
             ("LIST", "secret/metadata/l/", None, True), ("GET", "secret/metadata/l?list=true", None, True),
             ("GET", "secret/metadata/l", None, False))
    rows('path "secret/metadata/*" { capabilities = ["list"] } path "secret/metadata/l" { capabilities = ["deny"] }',
         ("LIST", "secret/metadata/l", None, False), ("LIST", "secret/metadata/l/", None, False),
         ("LIST", "secret/metadata/", None, True))
    rows('path "secret/metadata/*" { capabilities = ["list"] } path "secret/metadata/l/" { capabilities = ["deny"] }',
         ("LIST", "secret/metadata/l", None, False), ("LIST", "secret/metadata/l/", None, False))
    rows('path "secret/metadata/l/" { capabilities = ["read"] }', ("LIST", "secret/metadata/l", None, False))


@tap.case("create against update")
def _():
    for path in ("secret/data/only-c", "secret/data/only-u", "cubbyhole/only-c"):
        wire.ask("DELETE", path)
    rows('path "secret/data/only-c" { capabilities = ["create"] } path "secret/data/only-u" { capabilities = ["update"] }'
         'path "secret/metadata/only-m" { capabilities = ["create"] }',
         ("POST", "secret/data/only-c", {"data": {}}, True), ("POST", "secret/data/only-c", {"data": {}}, False),
         ("POST", "secret/data/only-u", {"data": {}}, False),
         ("POST", "secret/metadata/only-m", {"max_versions": 1}, True),
         ("POST", "secret/metadata/only-m", {"max_versions": 1}, False), name="cu")
    wire.ok("POST", "secret/data/only-u", {"data": {}})
    wire.ok("DELETE", "secret/data/only-u")
    token = wire.token(name="cu", policies=["cu"])
    equal(True, may(token, "POST", "secret/data/only-u", {"data": {}}), "after a soft delete")
    wire.ok("DELETE", "secret/metadata/only-u")
    equal(False, may(token, "POST", "secret/data/only-u", {"data": {}}), "after a metadata delete")
    wire.ok("DELETE", "secret/data/only-c")
    equal(False, may(token, "POST", "secret/data/only-c", {"data": {}}), "create after a soft delete")
    # What has no existence check is always an update.
    rows('path "sys/policies/acl/new" { capabilities = ["create"] } path "secret/delete/x" { capabilities = ["create"] }',
         ("PUT", "sys/policies/acl/new", {"policy": "# x"}, False),
         ("POST", "secret/delete/x", {"versions": [1]}, False))
    rows('path "sys/policies/acl/new" { capabilities = ["update"] }',
         ("PUT", "sys/policies/acl/new", {"policy": "# x"}, True), ("GET", "sys/policies/acl/new", None, False))


@tap.case("patch is a right of its own")
def _():
    wire.ok("POST", "secret/data/p", {"data": {"a": 1}})
    rows('path "secret/data/p" { capabilities = ["create", "update", "read"] }',
         ("PATCH", "secret/data/p", {"data": {}}, False))
    rows('path "secret/data/p" { capabilities = ["patch"] }', ("PATCH", "secret/data/p", {"data": {}}, True),
         ("POST", "secret/data/p", {"data": {}}, False))


@tap.case("the old words")
def _():
    for word, allowed in [("write", "create delete list read update"), ("read", "list read"), ("deny", "deny"),
                          ("sudo", "create delete list read sudo update")]:
        token = wire.token('path "old" { policy = "%s" }' % word, "old")
        equal(allowed.split(), wire.ok("POST", "sys/capabilities-self", {"paths": "old"},
                                       token=token).data["capabilities"])


@tap.case("sudo paths need sudo in the deciding pattern")
def _():
    for path, method, capability in [("sys/seal", "PUT", "update"), ("sys/rotate", "PUT", "update"), ("sys/rotate/keyring", "PUT", "update"),
                                     ("auth/token/revoke-orphan", "POST", "update")]:
        rows('path "%s" { capabilities = ["%s"] } path "*" { capabilities = ["sudo", "update", "list"] }'
             % (path, capability), (method, path, {}, False))
    rows('path "auth/token/accessors" { capabilities = ["list"] }', ("LIST", "auth/token/accessors", None, False))
    rows('path "auth/token/accessors" { capabilities = ["list", "sudo"] } path "auth/*" { capabilities = ["list"] }',
         ("LIST", "auth/token/accessors", None, True))
    rows('path "auth/token/*" { capabilities = ["list", "sudo"] }', ("LIST", "auth/token/accessors", None, True))


# ---- parameters ----------------------------------------------------------------------------------

CREATE = "auth/token/create"


def parameters(block, *questions):
    rows('path "%s" { capabilities = ["update"] %s }' % (CREATE, block),
         *[("POST", CREATE, body, expected) for body, expected in questions])


@tap.case("required parameters")
def _():
    parameters('required_parameters = ["ttl"]', ({}, False), (None, False), ({"num_uses": 1}, False),
               ({"ttl": "1h"}, True), ({"TTL": "1h"}, False))


@tap.case("allowed parameters")
def _():
    parameters('allowed_parameters = { "ttl" = ["1h"] }', ({"ttl": "1h"}, True), ({"ttl": "2h"}, False),
               ({"ttl": "1h", "x": 1}, False), ({"ttl": 3600}, False), ({}, True), (None, True))
    parameters('allowed_parameters = { "ttl" = ["1h"] "*" = [] }', ({"ttl": "1h", "x": 1}, True),
               ({"ttl": "2h"}, False), ({"x": 1}, True))
    parameters('allowed_parameters = { "ttl" = [] }', ({"ttl": 5}, True), ({"lease": "1h"}, False))
    parameters('allowed_parameters = { "*" = [] }', ({"ttl": "1h", "x": 1}, True))
    parameters('allowed_parameters = { "display_name" = ["app-*", "*prod", "*mid*", "**x"] }',
               ({"display_name": "app-1"}, True), ({"display_name": "db-prod"}, True),
               ({"display_name": "a-mid-b"}, True), ({"display_name": "other"}, False))
    parameters('allowed_parameters = { "display_name" = ["*"] }', ({"display_name": "*"}, True),
               ({"display_name": "x"}, False))
    parameters('allowed_parameters = { "display_name" = ["**"] }', ({"display_name": "x"}, True))
    parameters('allowed_parameters = { "renewable" = [true] }', ({"renewable": True}, True),
               ({"renewable": False}, False), ({"renewable": "true"}, False))
    parameters('allowed_parameters = { "policies" = [["a", "b"], [], "c"] }', ({"policies": ["a", "b"]}, True),
               ({"policies": ["b", "a"]}, False), ({"policies": ["a"]}, False), ({"policies": "c"}, True),
               ({"policies": ["a", "b", "c"]}, False), ({"policies": []}, True), ({"policies": ""}, False),
               ({"policies": {"0": "a"}}, False), ({"policies": ["a*", "b"]}, False))
    parameters('allowed_parameters = { "meta" = [{ "k" = "v", "l" = ["x", true] }] }',
               ({"meta": {"l": ["x", True], "k": "v"}}, True), ({"meta": {"k": "v"}}, False),
               ({"meta": {"l": ["x", True], "k": "v", "m": 1}}, False), ({"meta": {"l": ["x", False], "k": "v"}}, False))
    parameters('allowed_parameters = { "meta" = [[1]] }', ({"meta": [1]}, False), ({"meta": [None]}, False))
    parameters('allowed_parameters = { "num_uses" = [3, "3"] }', ({"num_uses": 3}, False), ({"num_uses": "3"}, True))


@tap.case("denied parameters")
def _():
    parameters('denied_parameters = { "ttl" = [] }', ({"ttl": "1h"}, False), ({"Ttl": "1h"}, False),
               ({"num_uses": 1}, True), ({}, True))
    parameters('denied_parameters = { "*" = [] }', ({"x": 1}, False), ({}, True))
    parameters('denied_parameters = { "ttl" = ["1*"] } allowed_parameters = { "ttl" = [] }',
               ({"ttl": "1h"}, False), ({"ttl": "2h"}, True))


@tap.case("blocks with parameters merge as Vault merges them")
def _():
    # An unrestricted block and a restricted one of the same pattern: restricted.
    rows('path "%s" { capabilities = ["update"] } path "%s" { capabilities = ["update"] '
         'allowed_parameters = { "ttl" = ["1h"] } }' % (CREATE, CREATE),
         ("POST", CREATE, {"ttl": "1h"}, True), ("POST", CREATE, {"ttl": "2h"}, False))
    rows('path "%s" { capabilities = ["update"] allowed_parameters = { "ttl" = ["2h"] } } path "%s" { '
         'capabilities = ["update"] allowed_parameters = { "ttl" = ["1h"] } }' % (CREATE, CREATE),
         ("POST", CREATE, {"ttl": "1h"}, True), ("POST", CREATE, {"ttl": "2h"}, True),
         ("POST", CREATE, {"ttl": "3h"}, False))
    rows('path "%s" { capabilities = ["update"] allowed_parameters = { "ttl" = [] } } path "%s" { '
         'capabilities = ["update"] allowed_parameters = { "ttl" = ["1h"] } }' % (CREATE, CREATE),
         ("POST", CREATE, {"ttl": "3h"}, True))


@tap.case("parameters do not bind lists and deletes")
def _():
    wire.ok("POST", "secret/data/par/x", {"data": {}})
    rows('path "secret/metadata/par*" { capabilities = ["list", "delete", "read"] required_parameters = ["x"] }',
         ("LIST", "secret/metadata/par", None, True), ("GET", "secret/metadata/par/x", None, False),
         ("DELETE", "secret/metadata/par/x", None, True))
    # The query of a read is its parameters.
    rows('path "secret/data/par" { capabilities = ["read"] allowed_parameters = { "version" = ["1"] } }',
         ("GET", "secret/data/par?version=1", None, True), ("GET", "secret/data/par?version=2", None, False),
         ("GET", "secret/data/par", None, True))


@tap.case("wrapping that a policy demands")
def _():
    rows('path "secret/data/w" { capabilities = ["read"] min_wrapping_ttl = "1m" }',
         ("GET", "secret/data/w", None, False))


@tap.case("templates are void for tokens without an entity")
def _():
    rows('path "secret/data/{{identity.entity.name}}/*" { capabilities = ["read"] }'
         'path "secret/data/plain" { capabilities = ["read"] }',
         ("GET", "secret/data/plain", None, True), ("GET", "secret/data/x/y", None, False),
         ("GET", "secret/data/a", None, False),
         ("GET", "secret/data/%7B%7Bidentity.entity.name%7D%7D/y", None, False))


@tap.case("a template that denies and cannot be filled in refuses what it may mean")
def _():
    text = ('path "secret/data/*" { capabilities = ["read"] }'
            'path "secret/data/{{identity.entity.name}}/*" { capabilities = ["deny"] }')
    rows(text, ("GET", "secret/data/x/y", None, False), ("GET", "secret/data/plain", None, True))
    token = wire.token(text)
    got = wire.ok("POST", "sys/capabilities-self", {"paths": ["secret/data/x/y", "secret/data/plain"]},
                  token=token).data
    equal((["deny"], ["read"]), (got["secret/data/x/y"], got["secret/data/plain"]))


# ---- changes, capabilities -----------------------------------------------------------------------

@tap.case("a changed policy acts at once on tokens that are there")
def _():
    token = wire.token('path "secret/data/now" { capabilities = ["read"] }', "now")
    equal(True, may(token, "GET", "secret/data/now"))
    wire.policy("now", 'path "secret/data/now" { capabilities = ["deny"] }')
    equal(False, may(token, "GET", "secret/data/now"))
    wire.policy("now", 'path "secret/data/now" { capabilities = ["read"] }')
    equal(True, may(token, "GET", "secret/data/now"))
    wire.ok("DELETE", "sys/policies/acl/now")
    equal(False, may(token, "GET", "secret/data/now"))
    wire.policy("now", 'path "secret/data/now" { capabilities = ["read"] }')
    equal(True, may(token, "GET", "secret/data/now"))


@tap.case("a policy that comes after its token")
def _():
    token = wire.ok("POST", "auth/token/create", {"policies": ["later"]}).auth["client_token"]
    equal(False, may(token, "GET", "secret/data/later"))
    wire.policy("later", 'path "secret/data/later" { capabilities = ["read"] }')
    equal(True, may(token, "GET", "secret/data/later"))


@tap.case("capabilities")
def _():
    token = wire.token('path "a" { capabilities = ["update", "read", "create"] } path "b/*" { capabilities = ["list"] }'
                       'path "c" { capabilities = ["deny"] }', "caps")
    got = wire.ok("POST", "sys/capabilities-self", {"paths": ["a", "b/x", "c", "d"]}, token=token)
    equal({"a": ["create", "read", "update"], "b/x": ["list"], "c": ["deny"], "d": ["deny"]}, got.data)
    equal(["list"], got.json["b/x"])
    true("capabilities" not in got.data, "no capabilities with several paths")
    for body in ({"paths": "a"}, {"paths": ["a"]}, {"path": "a"}, {"path": ["/a"]}):
        got = wire.ok("POST", "sys/capabilities-self", body, token=token)
        equal(["create", "read", "update"], got.data["capabilities"])
    equal({"a": ["create", "read", "update"], "d": ["deny"]},
          wire.ok("POST", "sys/capabilities-self", {"paths": "a,d"}, token=token).data)
    equal(["root"], wire.ok("POST", "sys/capabilities-self", {"paths": "x"}).data["capabilities"])
    equal(["list"], wire.ok("POST", "sys/capabilities", {"token": token, "paths": "b/y"}).data["capabilities"])
    accessor = wire.ok("POST", "auth/token/lookup", {"token": token}).data["accessor"]
    equal(["list"], wire.ok("PUT", "sys/capabilities-accessor",
                            {"accessor": accessor, "path": "b/y"}).data["capabilities"])
    error(wire.ask("POST", "sys/capabilities-self", {}), 400, "paths must be supplied")
    error(wire.ask("POST", "sys/capabilities", {"token": "unknown", "paths": "a"}), 400, "invalid token")
    error(wire.ask("POST", "sys/capabilities-accessor", {"accessor": "unknown", "paths": "a"}), 400,
          "invalid accessor")
    # A folder answers for both of its forms.
    token = wire.token('path "f/" { capabilities = ["list"] }', "caps")
    equal(["list"], wire.ok("POST", "sys/capabilities-self", {"paths": "f"}, token=token).data["capabilities"])
    equal(["list"], wire.ok("POST", "sys/capabilities-self", {"paths": "f/"}, token=token).data["capabilities"])


@tap.case("what every token may do by default")
def _():
    token = wire.ok("POST", "auth/token/create", {"policies": ["default"], "ttl": "1h"}).auth["client_token"]
    for method, path, body in [("GET", "auth/token/lookup-self", None), ("POST", "auth/token/renew-self", {}),
                               ("POST", "sys/capabilities-self", {"paths": "x"}),
                               ("POST", "cubbyhole/x", {"a": 1}), ("GET", "cubbyhole/x", None),
                               ("LIST", "cubbyhole", None), ("DELETE", "cubbyhole/x", None)]:
        equal(True, may(token, method, path, body), path)
    for method, path, body in [("GET", "sys/mounts", None), ("POST", "auth/token/create", {}),
                               ("POST", "auth/token/lookup", {}), ("GET", "sys/policies/acl/default", None),
                               ("GET", "sys/auth", None), ("GET", "sys/key-status", None),
                               ("LIST", "auth/token/accessors", None), ("GET", "sys/audit-log/export", None),
                               ("LIST", "rotation/runs", None), ("LIST", "fleet/agents", None)]:
        equal(False, may(token, method, path, body), path)
    bare = wire.ok("POST", "auth/token/create", {"policies": ["x"], "no_default_policy": True}).auth["client_token"]
    equal(False, may(bare, "GET", "auth/token/lookup-self"))


sys.exit(serve(tap, wire))
