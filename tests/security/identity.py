#!/usr/bin/python3
"""Advisories of Vault and OpenBao about identities and the policies that hang from them.

    tests/security/identity.py ['part of a case name']

What needs a login is in logins.py. In unit/identity_test: CVE-2026-5006 and GHSA-hr5j-3j78-4vh2 in
"no_value_breaks_out", CVE-2020-10660 in "policies_of_entity_and_groups", CVE-2022-40186 in "an_alias" and
"a_first_login_makes_one" (a name is a mount's, and exact). CVE-2021-43998 cannot be: an entity has one alias of a mount.
"""
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
from keyturn import Vault  # noqa: E402
from tap import Tap, equal, true  # noqa: E402
from wire import Wire, error, wants  # noqa: E402

tap = Tap("tests/security/identity.py")
vault = Vault()
wire = Wire(vault)

ROOTS = ["root", "ROOT", " root", "root ", "\troot", "RooT\n", "x,root", "x, Root ,y"]


@tap.case("CVE-2024-9180, CVE-2025-5999, CVE-2025-64761: nobody is root by what he is, however it is spelt")
def _():
    entity = wants(wire.ask("POST", "identity/entity", {"name": "e"}), 200).data["id"]
    group = wants(wire.ask("POST", "identity/group", {"name": "g"}), 200).data["id"]
    for path in ("identity/entity", "identity/entity/name/new", "identity/entity/name/e", "identity/entity/id/" + entity,
                 "identity/group", "identity/group/name/new", "identity/group/name/g", "identity/group/id/" + group):
        for spelt in ROOTS:
            for policies in (spelt, [spelt] if "," not in spelt else spelt.split(",")):
                error(wire.ask("POST", path, {"policies": policies}), 400, "policies cannot contain root")
                error(wire.ask("PUT", path, {"policies": policies}), 400, "policies cannot contain root")
    equal(([], []), (wire.ok("GET", "identity/entity/id/" + entity).data["policies"],
                     wire.ok("GET", "identity/group/id/" + group).data["policies"]))
    error(wire.ask("GET", "identity/entity/name/new"), 404)
    error(wire.ask("GET", "identity/group/name/new"), 404)


@tap.case("CVE-2021-41802: an alias does not change its entity; merging is a right of its own")
def _():
    bob, eve = [wants(wire.ask("POST", "identity/entity", {"name": n}), 200).data["id"] for n in ("bob", "eve")]
    alias = wants(wire.ask("POST", "identity/entity-alias", {
        "name": "bob", "mount_accessor": "token", "canonical_id": bob}), 200).data["id"]
    for path, body in [("identity/entity-alias/id/" + alias, {"canonical_id": eve}),
                       ("identity/entity-alias/id/" + alias, {"entity_id": eve}),
                       ("identity/entity-alias", {"id": alias, "canonical_id": eve}),
                       ("identity/entity-alias", {"name": "bob", "mount_accessor": "token", "canonical_id": eve})]:
        error(wire.ask("POST", path, body), 400, "cannot be moved")
    equal(bob, wire.ok("GET", "identity/entity-alias/id/" + alias).data["canonical_id"])
    clerk = wire.token('path "identity/*" { capabilities = ["create", "read", "update", "delete", "list"] }', "clerk")
    body = {"from_entity_ids": [bob], "to_entity_id": eve}
    error(wire.ask("POST", "identity/entity/merge", body, token=clerk), 403, "permission denied")
    equal(bob, wire.ok("GET", "identity/entity-alias/id/" + alias).data["canonical_id"])


@tap.case("CVE-2021-41802: who may write one name writes no other by its id")
def _():
    for kind in ("entity", "group"):
        other = wire.ok("POST", "identity/" + kind, {"name": "their-" + kind}).data["id"]
        asker = wire.token('path "identity/%s/name/mine-*" { capabilities = ["create", "update"] }' % kind, "mine")
        for name in ("mine-new", "mine-old"):
            for body in ({"id": other}, {"id": other, "policies": ["x"]}, {"id": other, "name": "mine-other"}):
                error(wire.ask("POST", "identity/%s/name/%s" % (kind, name), body, token=asker), 400, "another's")
            wire.ok("POST", "identity/%s/name/mine-old" % kind, {}, token=asker)
        mine = wire.ok("GET", "identity/%s/name/mine-old" % kind).data["id"]
        wire.ok("POST", "identity/%s/name/mine-old" % kind, {"id": mine, "policies": ["y"]}, token=asker)
        got = wire.ok("GET", "identity/%s/id/%s" % (kind, other)).data
        equal(("their-" + kind, []), (got["name"], got["policies"] or []))


@tap.case("GHSA-fg5x-7whg-6c28: what is denied under a name is denied under every spelling of it")
def _():
    for kind in ("entity", "group"):
        wants(wire.ask("POST", "identity/%s/name/admin" % kind, {"metadata": {"k": "v"}}), 200)
        clerk = wire.token('path "identity/%s/name/*" { capabilities = ["read", "update", "delete"] }'
                           'path "identity/%s/name/admin" { capabilities = ["deny"] }' % (kind, kind), "clerk2")
        for name in ("admin", "ADMIN", "Admin", "aDMIN", "adm%49n"):
            for method, body in (("GET", None), ("POST", {"policies": "x"}), ("PUT", {"policies": "x"}), ("DELETE", None)):
                error(wire.ask(method, "identity/%s/name/%s" % (kind, name), body, token=clerk), 403, "permission denied")
        equal([], wire.ok("GET", "identity/%s/name/Admin" % kind).data["policies"])
        true(wire.ask("GET", "identity/%s/name/nobody" % kind, token=clerk).status == 404, "others may be asked for")


def main():
    try:
        vault.ready()
        wire.root = vault.token
        return tap.run(sys.argv[1:])
    finally:
        wire.close()
        vault.remove()


sys.exit(main())
