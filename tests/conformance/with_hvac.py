#!/usr/bin/python3
"""Debian's python3-hvac, unchanged, over TLS: the life of a vault as its users script it.

    tests/conformance/with_hvac.py ['part of a case name']

The first cases make the vault; they run before any other.
"""
import base64
import os
import sys
import time
import warnings

import hvac
from hvac import exceptions

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
from jwt_signer import Signer  # noqa: E402
from keyturn import Vault, wait_for  # noqa: E402
from pki import Authority  # noqa: E402
from tap import Mismatch, Tap, equal, true  # noqa: E402

tap = Tap("tests/conformance/with_hvac.py")
vault = Vault(tls=True)
client = None


def connect(token=None, **more):
    return hvac.Client(url=vault.address, token=token or vault.token, verify=vault.cacert, **more)


def raises(kind, function, *args, says=None, **more):
    try:
        got = function(*args, **more)
    except kind as error:
        if says is not None and says not in str(error):
            raise Mismatch("expected %r in %r" % (says, str(error)))
        return error
    raise Mismatch("expected %s, got %r" % (kind.__name__, got))


# ---- making the vault ----------------------------------------------------------------------------

def first(c):
    @tap.case("not initialised yet")
    def _():
        equal((False, True), (c.sys.is_initialized(), c.sys.is_sealed()))
        equal(501, c.sys.read_health_status().status_code)
        got = c.sys.read_health_status(method="GET")
        equal((501, False), (got.status_code, got.json()["initialized"]))
        raises(exceptions.VaultDown, c.secrets.kv.v2.read_secret_version, "a", says="Vault is sealed")

    @tap.case("initialize")
    def _():
        raises(exceptions.InvalidRequest, c.sys.initialize, 3, 5, says="cannot be larger")
        got = c.sys.initialize(secret_shares=5, secret_threshold=3)
        equal((5, 5), (len(got["keys"]), len(got["keys_base64"])))
        vault.shares, vault.token, vault.threshold = got["keys"], got["root_token"], 3
        vault.base64 = got["keys_base64"]
        c.token = vault.token
        equal((True, True), (c.sys.is_initialized(), c.sys.is_sealed()))
        raises(exceptions.InvalidRequest, c.sys.initialize, says="already initialized")
        equal(503, c.sys.read_health_status().status_code)

    @tap.case("submit_unseal_keys")
    def _():
        got = c.sys.submit_unseal_key(vault.shares[0])
        equal((1, 3, 5), (got["progress"], got["t"], got["n"]))
        equal(0, c.sys.submit_unseal_key(reset=True)["progress"])
        got = c.sys.submit_unseal_keys(vault.base64[1:])
        equal(False, got["sealed"])
        equal(False, c.sys.is_sealed())

    @tap.case("KV version 2 at secret/")
    def _():
        c.sys.enable_secrets_engine("kv", path="secret", options={"version": 2}, description="tests")
        got = c.sys.list_mounted_secrets_engines()
        equal({"version": "2"}, got["data"]["secret/"]["options"])
        equal(got["data"]["secret/"], got["secret/"])
        equal("2", c.sys.retrieve_mount_option("secret", "version"))


# ---- health, seal, keys --------------------------------------------------------------------------

@tap.case("health by HEAD and GET, leader, seal status")
def _():
    equal(200, client.sys.read_health_status().status_code)
    got = client.sys.read_health_status(method="GET")
    equal((True, False, False), tuple(got[k] for k in ("initialized", "sealed", "standby")))
    equal(299, client.sys.read_health_status(active_code=299, method="GET").status_code)
    equal(False, client.sys.read_leader_status()["ha_enabled"])
    equal(False, client.ha_status["ha_enabled"])
    equal("shamir", client.sys.read_seal_status()["type"])
    equal("shamir", client.seal_status["type"])
    equal(("shares", ["shamir"]), (client.seal_status["unsealed_by"], [s["type"] for s in client.seal_status["seals"]]))


@tap.case("seal and unseal")
def _():
    equal(204, client.sys.seal().status_code)
    true(client.sys.is_sealed(), "sealed")
    equal(503, client.sys.read_health_status().status_code)
    true(client.sys.read_health_status(sealed_code=200, method="GET")["sealed"], "sealed with status 200")
    raises(exceptions.VaultDown, client.auth.token.lookup_self, says="Vault is sealed")
    raises(exceptions.VaultDown, client.is_authenticated)
    client.sys.submit_unseal_keys(vault.shares)
    true(client.is_authenticated(), "authenticated again")


@tap.case("rotating the keyring")
def _():
    before = client.sys.get_encryption_key_status()
    equal(204, client.sys.rotate_encryption_key().status_code)
    after = client.sys.get_encryption_key_status()
    equal(before["data"]["term"] + 1, after["data"]["term"])
    equal(after["data"]["term"], client.key_status["term"])


def decoded(encoded, pad):
    raw = base64.b64decode(encoded + "=" * (-len(encoded) % 4))
    return bytes(a ^ b for a, b in zip(raw, pad.encode())).decode()


@tap.case("a root token from key shares")
def _():
    got = client.sys.read_root_generation_progress()
    equal((False, 3), (got["started"], got["required"]))
    start = client.sys.start_root_token_generation()
    equal(start["otp_length"], len(start["otp"]))
    raises(exceptions.InvalidRequest, client.sys.start_root_token_generation, says="already in progress")
    raises(exceptions.InvalidRequest, client.sys.generate_root, vault.shares[0], "x", says="incorrect nonce")
    for share in vault.shares[:3]:
        got = client.sys.generate_root(share, start["nonce"])
    equal((True, 3), (got["complete"], got["progress"]))
    new = connect(decoded(got["encoded_root_token"], start["otp"]))
    equal(["root"], new.auth.token.lookup_self()["data"]["policies"])
    new.auth.token.revoke_self()
    client.sys.start_root_token_generation(otp="x" * start["otp_length"])
    equal(204, client.sys.cancel_root_generation().status_code)
    equal(204, client.sys.cancel_root_generation().status_code)
    raises(exceptions.InvalidRequest, client.sys.start_root_token_generation, pgp_key="x", says="PGP")


@tap.case("rekey, and with verification")
def _():
    equal(False, client.sys.read_rekey_progress()["started"])
    got = client.sys.start_rekey(secret_shares=5, secret_threshold=3)
    equal((True, 5, 3), (got["started"], got["n"], got["t"]))
    raises(exceptions.InvalidRequest, client.sys.start_rekey, says="already in progress")
    equal(204, client.sys.cancel_rekey().status_code)
    nonce = client.sys.start_rekey(secret_shares=4, secret_threshold=2)["nonce"]
    equal(1, client.sys.rekey(vault.shares[0], nonce=nonce)["progress"])
    raises(exceptions.InvalidRequest, client.sys.rekey, vault.shares[0], nonce=nonce, says="already been provided")
    got = client.sys.rekey_multi(vault.shares[1:], nonce=nonce)
    equal((True, 4), (got["complete"], len(got["keys"])))
    vault.shares, vault.base64 = got["keys"], got["keys_base64"]
    nonce = client.sys.start_rekey(secret_shares=5, secret_threshold=3, require_verification=True)["nonce"]
    got = client.sys.rekey_multi(vault.base64, nonce=nonce)
    true(got["verification_required"], "has to be verified")
    equal(got["verification_nonce"], client.sys.read_rekey_verify_progress()["nonce"])
    client.sys.rekey_verify(got["keys"][0], got["verification_nonce"])
    again = client.sys.cancel_rekey_verify()
    equal(0, again["progress"])
    done = client.sys.rekey_verify_multi(got["keys_base64"][1:], again["nonce"])
    equal(True, done["complete"])
    vault.shares, vault.base64 = got["keys"], got["keys_base64"]
    raises(exceptions.InvalidRequest, client.sys.read_backup_keys, says="no backed-up keys found")
    raises(exceptions.InvalidRequest, client.sys.start_rekey, secret_shares=1, secret_threshold=1, pgp_keys=["x"],
           says="PGP")
    raises(exceptions.InvalidRequest, client.sys.start_rekey, recovery_key=True, says="not supported")
    client.sys.seal()
    client.sys.submit_unseal_keys(vault.shares)
    true(client.is_authenticated(), "opens with the new keys")


# ---- KV ------------------------------------------------------------------------------------------

@tap.case("kv: create, read, versions")
def _():
    kv = client.secrets.kv.v2
    equal(1, kv.create_or_update_secret("a/b", {"k": "v", "n": 1})["data"]["version"])
    equal(2, kv.create_or_update_secret("a/b", {"k": "w", "list": [1, {"x": None}]})["data"]["version"])
    equal({"k": "w", "list": [1, {"x": None}]}, kv.read_secret("a/b")["data"]["data"])
    equal({"k": "v", "n": 1}, kv.read_secret_version("a/b", version=1)["data"]["data"])
    got = kv.read_secret_version("a/b")["data"]["metadata"]
    equal((2, False, ""), (got["version"], got["destroyed"], got["deletion_time"]))
    raises(exceptions.InvalidPath, kv.read_secret_version, "a/none")
    raises(exceptions.InvalidPath, kv.read_secret_version, "a/b", version=9)
    client.secrets.kv.default_kv_version = "2"
    equal("w", client.secrets.kv.read_secret_version("a/b")["data"]["data"]["k"])


@tap.case("kv: check-and-set")
def _():
    kv = client.secrets.kv.v2
    kv.create_or_update_secret("cas", {"n": 1}, cas=0)
    raises(exceptions.InvalidRequest, kv.create_or_update_secret, "cas", {"n": 2}, cas=0, says="check-and-set")
    equal(2, kv.create_or_update_secret("cas", {"n": 2}, cas=1)["data"]["version"])
    kv.update_metadata("cas", cas_required=True)
    raises(exceptions.InvalidRequest, kv.create_or_update_secret, "cas", {"n": 3}, says="check-and-set parameter required")


@tap.case("kv: patch")
def _():
    kv = client.secrets.kv.v2
    kv.create_or_update_secret("patch", {"a": 1, "b": 2})
    equal(2, kv.patch("patch", {"b": 3, "c": 4})["data"]["version"])
    equal({"a": 1, "b": 3, "c": 4}, kv.read_secret("patch")["data"]["data"])
    raises(exceptions.InvalidPath, kv.patch, "patch-none", {"a": 1})


@tap.case("kv: delete, undelete, destroy")
def _():
    kv = client.secrets.kv.v2
    for n in range(3):
        kv.create_or_update_secret("del", {"n": n})
    equal(204, kv.delete_latest_version_of_secret("del").status_code)
    raises(exceptions.InvalidPath, kv.read_secret_version, "del")
    equal(204, kv.undelete_secret_versions("del", [3]).status_code)
    equal(2, kv.read_secret("del")["data"]["data"]["n"])
    equal(204, kv.delete_secret_versions("del", [1, 2]).status_code)
    raises(exceptions.InvalidPath, kv.read_secret_version, "del", version=1)
    kv.undelete_secret_versions("del", [1])
    equal(0, kv.read_secret_version("del", version=1)["data"]["data"]["n"])
    equal(204, kv.destroy_secret_versions("del", [1]).status_code)
    kv.undelete_secret_versions("del", [1])
    raises(exceptions.InvalidPath, kv.read_secret_version, "del", version=1)
    versions = kv.read_secret_metadata("del")["data"]["versions"]
    equal([True, False, False], [versions[str(n)]["destroyed"] for n in (1, 2, 3)])


@tap.case("kv: metadata, custom metadata, deleting all")
def _():
    kv = client.secrets.kv.v2
    kv.create_or_update_secret("meta", {"k": 1})
    equal(204, kv.update_metadata("meta", max_versions=3, delete_version_after="10h").status_code)
    got = kv.read_secret_metadata("meta")["data"]
    equal((3, "10h0m0s", 1), (got["max_versions"], got["delete_version_after"], got["current_version"]))
    client.write("secret/metadata/meta", custom_metadata={"owner": "orders"})
    equal({"owner": "orders"}, kv.read_secret_metadata("meta")["data"]["custom_metadata"])
    equal({"owner": "orders"}, kv.read_secret("meta")["data"]["metadata"]["custom_metadata"])
    equal(204, kv.delete_metadata_and_all_versions("meta").status_code)
    raises(exceptions.InvalidPath, kv.read_secret_metadata, "meta")


@tap.case("kv: a version that deletes itself")
def _():
    kv = client.secrets.kv.v2
    kv.update_metadata("soon", delete_version_after="1s")
    true(kv.create_or_update_secret("soon", {"k": 1})["data"]["deletion_time"], "a deletion_time")

    def gone():
        try:
            kv.read_secret_version("soon")
        except exceptions.InvalidPath:
            return True
        return False
    wait_for("the version's end", gone)


@tap.case("kv: lists")
def _():
    kv = client.secrets.kv.v2
    for path in ("ls/a", "ls/b/c", "ls/d e"):
        kv.create_or_update_secret(path, {})
    equal(["a", "b/", "d e"], kv.list_secrets("ls")["data"]["keys"])
    equal(["c"], kv.list_secrets("/ls//b/")["data"]["keys"])
    raises(exceptions.InvalidPath, kv.list_secrets, "ls/none")
    equal(["a", "b/", "d e"], client.list("secret/metadata/ls")["data"]["keys"])
    equal(None, client.list("secret/metadata/none"))
    strict = connect(strict_http=True)
    equal(["a", "b/", "d e"], strict.secrets.kv.v2.list_secrets("ls")["data"]["keys"])


@tap.case("kv: settings of the mount")
def _():
    client.sys.enable_secrets_engine("kv-v2", path="conf")
    kv = client.secrets.kv.v2
    equal(204, kv.configure(max_versions=2, cas_required=False, mount_point="conf").status_code)
    equal(2, kv.read_configuration(mount_point="conf")["data"]["max_versions"])
    for n in range(5):
        kv.create_or_update_secret("a", {"n": n}, mount_point="conf")
    equal(["4", "5"], list(kv.read_secret_metadata("a", mount_point="conf")["data"]["versions"]))


@tap.case("read, write, list, delete without an engine's help")
def _():
    client.write("secret/data/plain", data={"k": "v"})
    equal({"k": "v"}, client.read("secret/data/plain")["data"]["data"])
    equal(None, client.read("secret/data/no-such"))
    client.delete("secret/data/plain")
    equal(None, client.read("secret/data/plain"))
    client.write("cubbyhole/mine", k="v")
    equal({"k": "v"}, client.read("cubbyhole/mine")["data"])
    raises(exceptions.InvalidRequest, client.write, "secret/data/plain", nodata=1, says="no data provided")


# ---- policies ------------------------------------------------------------------------------------

@tap.case("policies as text and as a dictionary")
def _():
    text = 'path "secret/data/p" { capabilities = ["read"] }'
    equal(204, client.sys.create_or_update_policy("text", text).status_code)
    equal(text, client.sys.read_policy("text")["data"]["rules"])
    equal(text, client.sys.read_policy("text")["rules"])
    equal(text, client.get_policy("text"))
    document = {"path": {"secret/data/p": {"capabilities": ["read"]}}}
    for pretty in (True, False):
        client.sys.create_or_update_policy("dict", document, pretty_print=pretty)
        client.secrets.kv.v2.create_or_update_secret("p", {"k": "v"})
        for name in ("text", "dict"):
            token = client.auth.token.create(policies=[name])["auth"]["client_token"]
            equal("v", connect(token).secrets.kv.v2.read_secret("p")["data"]["data"]["k"])
    equal({"default", "dict", "root", "text"}, set(client.sys.list_policies()["data"]["policies"]) - {"cap", "t"})
    equal(204, client.sys.delete_policy("dict").status_code)
    raises(exceptions.InvalidPath, client.sys.read_policy, "dict")
    equal(None, client.get_policy("dict"))
    raises(exceptions.InvalidRequest, client.sys.create_or_update_policy, "bad", "path {", says="failed to parse policy")
    raises(exceptions.InvalidRequest, client.sys.delete_policy, "root")


@tap.case("capabilities")
def _():
    client.sys.create_or_update_policy("cap", 'path "x/*" { capabilities = ["read", "list"] }')
    made = client.auth.token.create(policies=["cap"])["auth"]
    for more in ({"token": made["client_token"]}, {"accessor": made["accessor"]}):
        equal(["list", "read"], client.sys.get_capabilities(["x/y"], **more)["data"]["capabilities"])
    own = connect(made["client_token"])
    got = own.sys.get_capabilities(["x/y", "z"])
    equal({"x/y": ["list", "read"], "z": ["deny"]}, got["data"])
    equal(["root"], client.sys.get_capabilities(["anything"])["capabilities"])


# ---- tokens --------------------------------------------------------------------------------------

@tap.case("tokens: create with everything")
def _():
    client.sys.create_or_update_policy("t", 'path "auth/token/*" { capabilities = ["update", "sudo", "read"] }')
    reply = client.auth.token.create(id="chosen-id", policies=["t"], meta={"app": "x"}, no_parent=True,
                                     no_default_policy=True, renewable=True, ttl="30m", explicit_max_ttl="2h",
                                     display_name="ci", num_uses=50)
    got = reply["auth"]
    equal(("chosen-id", ["t"], {"app": "x"}, 1800, True, 50, True),
          tuple(got[k] for k in ("client_token", "policies", "metadata", "lease_duration", "renewable", "num_uses",
                                 "orphan")))
    data = client.auth.token.lookup("chosen-id")["data"]
    equal((7200, "token-ci", "auth/token/create", 50), tuple(data[k] for k in (
        "explicit_max_ttl", "display_name", "path", "num_uses")))
    raises(exceptions.InvalidRequest, client.auth.token.create, id="chosen-id", says="duplicate")
    equal(1800, client.auth.token.create(policies=["t"], period="30m")["auth"]["lease_duration"])
    with warnings.catch_warnings(record=True):  # the old call, which hvac itself advises against
        equal(3600, client.create_token(policies=["t"], lease="1h")["auth"]["lease_duration"])


@tap.case("tokens: lookup, renew, revoke, accessors")
def _():
    made = client.auth.token.create(policies=["default"], ttl="1h")["auth"]
    own = connect(made["client_token"])
    true(own.is_authenticated(), "authenticated")
    equal(made["accessor"], own.auth.token.lookup_self()["data"]["accessor"])
    equal(made["client_token"], own.lookup_token()["data"]["id"])
    equal(["default"], client.auth.token.lookup(made["client_token"])["data"]["policies"])
    equal("", client.auth.token.lookup_accessor(made["accessor"])["data"]["id"])
    equal(7200, own.auth.token.renew_self(increment="2h")["auth"]["lease_duration"])
    equal(60, client.auth.token.renew(made["client_token"], increment=60)["auth"]["lease_duration"])
    equal(3600, client.auth.token.renew_accessor(made["accessor"], increment="1h")["auth"]["lease_duration"])
    true(made["accessor"] in client.auth.token.list_accessors()["data"]["keys"], "the accessor")
    equal(204, own.auth.token.revoke_self().status_code)
    equal(False, own.is_authenticated())
    raises(exceptions.Forbidden, own.auth.token.lookup_self, says="permission denied")
    raises(exceptions.Forbidden, client.auth.token.lookup, made["client_token"], says="bad token")
    raises(exceptions.InvalidRequest, client.auth.token.lookup_accessor, made["accessor"], says="invalid accessor")
    equal(204, client.auth.token.revoke("unknown").status_code)
    made = client.auth.token.create(policies=["default"])["auth"]
    equal(204, client.auth.token.revoke_accessor(made["accessor"]).status_code)
    equal(False, connect(made["client_token"]).is_authenticated())


@tap.case("tokens: trees")
def _():
    client.sys.create_or_update_policy("t", 'path "auth/token/*" { capabilities = ["update", "sudo", "read"] }')
    parent = client.auth.token.create(policies=["t"])["auth"]["client_token"]
    child = connect(parent).auth.token.create()["auth"]["client_token"]
    grandchild = connect(child).auth.token.create()["auth"]["client_token"]
    client.auth.token.revoke_and_orphan_children(parent)
    equal((False, True, True), tuple(connect(t).is_authenticated() for t in (parent, child, grandchild)))
    client.auth.token.revoke(child)
    equal((False, False), tuple(connect(t).is_authenticated() for t in (child, grandchild)))


@tap.case("leases: of tokens")
def _():
    def ids():
        return set(client.sys.list_leases("auth/token/create")["data"]["keys"])

    client.sys.revoke_prefix("auth/token/create")
    made = client.auth.token.create(policies=["default"], ttl="1h")["auth"]["client_token"]
    first = "auth/token/create/" + ids().pop()
    equal(["token/"], client.sys.list_leases("auth")["data"]["keys"])
    data = client.sys.read_lease(first)["data"]
    equal((first, True, None), tuple(data[k] for k in ("id", "renewable", "last_renewal")))
    true(3590 < data["ttl"] <= 3600, data)
    raises(exceptions.InvalidRequest, client.sys.renew_lease, first, increment=60,
           says="tokens cannot be renewed through this endpoint")
    raises(exceptions.InvalidRequest, client.sys.renew_lease, "a/b", says="lease not found")
    equal(204, client.sys.revoke_lease(first).status_code)
    equal(204, client.sys.revoke_lease(first).status_code)
    equal(False, connect(made).is_authenticated())
    raises(exceptions.InvalidRequest, client.sys.read_lease, first, says="invalid lease")
    for revoke in (client.sys.revoke_prefix, client.sys.revoke_force):
        made = client.auth.token.create(policies=["default"], ttl="1h")["auth"]["client_token"]
        equal(204, revoke("auth/token/create").status_code)
        equal(False, connect(made).is_authenticated())
    raises(exceptions.InvalidPath, client.sys.list_leases, "auth/token")


@tap.case("tokens: uses and expiry")
def _():
    token = client.auth.token.create(policies=["default"], num_uses=2)["auth"]["client_token"]
    equal((True, True, False), tuple(connect(token).is_authenticated() for _ in range(3)))
    token = client.auth.token.create(policies=["default"], ttl="1s")["auth"]["client_token"]
    wait_for("the token's end", lambda: not connect(token).is_authenticated())


@tap.case("is_authenticated and logout")
def _():
    equal(False, hvac.Client(url=vault.address, verify=vault.cacert).is_authenticated())
    equal(False, connect("nonsense").is_authenticated())
    made = client.auth.token.create(policies=["default"])["auth"]["client_token"]
    own = connect(made)
    own.logout(revoke_token=True)
    equal(False, connect(made).is_authenticated())


# ---- identity ------------------------------------------------------------------------------------

@tap.case("identity: entities")
def _():
    identity = client.secrets.identity
    made = identity.create_or_update_entity("Bob", metadata={"team": "red"}, policies=["ops"])["data"]
    equal(("Bob", None), (made["name"], made["aliases"]))
    equal(204, identity.create_or_update_entity_by_name("bob", policies=["ops", "dev"]).status_code)
    got = identity.read_entity(made["id"])["data"]
    equal((["dev", "ops"], {"team": "red"}, False), (got["policies"], got["metadata"], got["disabled"]))
    equal(made["id"], identity.read_entity_by_name("BOB")["data"]["id"])
    equal(204, identity.update_entity(made["id"], name="Robert", metadata={}).status_code)
    equal(None, identity.read_entity(made["id"])["data"]["metadata"])
    equal("Robert", identity.list_entities()["data"]["key_info"][made["id"]]["name"])
    true("Robert" in identity.list_entities_by_name()["data"]["keys"], "listed by name")
    equal(made["id"], identity.lookup_entity(name="robert")["data"]["id"])
    other = identity.create_or_update_entity_by_name("other")["data"]["id"]
    equal(204, identity.merge_entities(from_entity_ids=[other], to_entity_id=made["id"]).status_code)
    equal([other], identity.read_entity(made["id"])["data"]["merged_entity_ids"])
    raises(exceptions.InvalidPath, identity.read_entity, other)
    raises(exceptions.InvalidRequest, identity.create_or_update_entity, "x", policies=["root"], says="cannot contain root")
    equal(204, identity.delete_entity(made["id"]).status_code)
    identity.create_or_update_entity_by_name("gone")
    equal(204, identity.delete_entity_by_name("gone").status_code)
    raises(exceptions.InvalidPath, identity.read_entity_by_name, "gone")


@tap.case("identity: aliases")
def _():
    identity = client.secrets.identity
    accessor = client.sys.list_auth_methods()["data"]["token/"]["accessor"]
    entity = identity.create_or_update_entity("ann")["data"]["id"]
    alias = identity.create_or_update_entity_alias("ann", entity, accessor)["data"]
    equal(entity, alias["canonical_id"])
    equal(("ann", "auth/token/", "token"), tuple(identity.read_entity_alias(alias["id"])["data"][k] for k in (
        "name", "mount_path", "mount_type")))
    equal(alias["id"], identity.update_entity_alias(alias["id"], "ann2", entity, accessor)["data"]["id"])
    equal(entity, identity.list_entity_aliases()["data"]["key_info"][alias["id"]]["canonical_id"])
    equal(entity, identity.lookup_entity(alias_name="ann2", alias_mount_accessor=accessor)["data"]["id"])
    raises(exceptions.InvalidRequest, identity.create_or_update_entity_alias, "x", entity, "none", says="accessor")
    equal(204, identity.delete_entity_alias(alias["id"]).status_code)
    raises(exceptions.InvalidPath, identity.read_entity_alias, alias["id"])


@tap.case("identity: groups and their aliases")
def _():
    identity = client.secrets.identity
    entity = identity.create_or_update_entity("member")["data"]["id"]
    params = {}
    identity.validate_member_id_params_for_group_type("internal", params, None, [entity])
    equal({"member_group_ids": None, "member_entity_ids": [entity]}, params)
    group = identity.create_or_update_group("devs", metadata={"env": "dev"}, policies=["dev"],
                                            member_entity_ids=[entity])["data"]["id"]
    got = identity.read_group(group)["data"]
    equal(([entity], "internal", {}), (got["member_entity_ids"], got["type"], got["alias"]))
    outer = identity.create_or_update_group_by_name("outer", member_group_ids=[group])["data"]["id"]
    equal([outer], identity.read_group(group)["data"]["parent_group_ids"])
    equal([outer], identity.read_entity(entity)["data"]["inherited_group_ids"])
    equal(204, identity.update_group(group, "devs", policies=["dev", "more"]).status_code)
    equal(["dev", "more"], identity.read_group_by_name("DEVS")["data"]["policies"])
    equal("devs", identity.list_groups()["data"]["key_info"][group]["name"])
    equal(["devs", "outer"], identity.list_groups_by_name()["data"]["keys"])
    equal(group, identity.lookup_group(name="devs")["data"]["id"])
    accessor = client.sys.list_auth_methods()["data"]["token/"]["accessor"]
    external = identity.create_or_update_group("ldap", group_type="external")["data"]["id"]
    alias = identity.create_or_update_group_alias("cn=ops", mount_accessor=accessor, canonical_id=external)["data"]
    equal("cn=ops", identity.read_group_alias(alias["id"])["data"]["name"])
    equal(alias["id"], identity.update_group_alias(alias["id"], "cn=all", accessor, external)["data"]["id"])
    equal([alias["id"]], identity.list_group_aliases()["data"]["keys"])
    equal(204, identity.delete_group_alias(alias["id"]).status_code)
    equal(204, identity.delete_group(external).status_code)
    equal(204, identity.delete_group_by_name("outer").status_code)
    equal(204, identity.delete_group(group).status_code)


@tap.case("tokens: roles")
def _():
    equal(204, client.auth.token.create_or_update_role("hvac", allowed_policies=["p"], orphan=True, renewable=False,
                                                       path_suffix="x", allowed_entity_aliases=["a"]).status_code)
    got = client.auth.token.read_role("hvac")["data"]
    equal((["p"], True, False, "x", ["a"]), tuple(got[k] for k in (
        "allowed_policies", "orphan", "renewable", "path_suffix", "allowed_entity_aliases")))
    true("hvac" in client.auth.token.list_roles()["data"]["keys"], "the role")
    made = client.auth.token.create(role_name="hvac")["auth"]
    equal((["default", "p"], True, False), tuple(made[k] for k in ("policies", "orphan", "renewable")))
    equal("auth/token/create/hvac/x", connect(made["client_token"]).auth.token.lookup_self()["data"]["path"])
    raises(exceptions.InvalidRequest, client.auth.token.create, role_name="hvac", policies=["q"], says="subset")
    equal(204, client.auth.token.delete_role("hvac").status_code)
    raises(exceptions.InvalidRequest, client.auth.token.create, role_name="hvac", says="unknown role")


# ---- ways to log in ------------------------------------------------------------------------------

@tap.case("auth: ways")
def _():
    equal(204, client.sys.enable_auth_method("userpass", description="people", path="people",
                                             config={"default_lease_ttl": "1h"}).status_code)
    equal("people", client.sys.list_auth_methods()["data"]["people/"]["description"])
    equal(204, client.sys.tune_auth_method("people", max_lease_ttl="2h", description="all").status_code)
    equal((3600, 7200, "all"), tuple(client.sys.read_auth_method_tuning("people")["data"][k] for k in (
        "default_lease_ttl", "max_lease_ttl", "description")))
    raises(exceptions.InvalidRequest, client.sys.enable_auth_method, "userpass", path="people", says="already in use")
    equal(204, client.sys.disable_auth_method("people").status_code)
    true("people/" not in client.sys.list_auth_methods()["data"], "gone")


@tap.case("auth: userpass")
def _():
    client.sys.enable_auth_method("userpass")
    users = client.auth.userpass
    equal(204, users.create_or_update_user("bob", password="right", policies=["p"], token_ttl="10m").status_code)
    equal(["bob"], users.list_user()["data"]["keys"])
    equal((600, ["p"]), tuple(users.read_user("bob")["data"][k] for k in ("token_ttl", "token_policies")))
    own = connect("none")
    got = own.auth.userpass.login("bob", "right")["auth"]
    equal((["default", "p"], {"username": "bob"}, 600), tuple(got[k] for k in (
        "policies", "metadata", "lease_duration")))
    equal((got["client_token"], True), (own.token, own.is_authenticated()))
    equal("bob", own.login("/v1/auth/userpass/login/bob", json={"password": "right"})["auth"]["metadata"]["username"])
    raises(exceptions.InvalidRequest, users.login, "bob", "wrong", use_token=False, says="invalid username or password")
    equal(204, users.update_password_on_user("bob", "other").status_code)
    raises(exceptions.InvalidRequest, users.login, "bob", "right", use_token=False)
    users.login("bob", "other", use_token=False)
    equal(204, users.delete_user("bob").status_code)
    raises(exceptions.InvalidPath, users.read_user, "bob")


@tap.case("auth: approle")
def _():
    client.sys.enable_auth_method("approle", path="ci")
    roles, at = client.auth.approle, {"mount_point": "ci"}
    equal(204, roles.create_or_update_approle("r", bind_secret_id=True, secret_id_num_uses=5, token_policies=["p"],
                                              token_ttl="20m", **at).status_code)
    equal(["r"], roles.list_roles(**at)["data"]["keys"])
    got = roles.read_role("r", **at)["data"]
    equal((True, 5, 1200, ["p"]), tuple(got[k] for k in (
        "bind_secret_id", "secret_id_num_uses", "token_ttl", "token_policies")))
    equal(204, roles.update_role_id("r", "chosen", **at).status_code)
    equal("chosen", roles.read_role_id("r", **at)["data"]["role_id"])
    made = roles.generate_secret_id("r", metadata={"host": "h1"}, **at)["data"]
    own = connect("none")
    auth = own.auth.approle.login("chosen", made["secret_id"], **at)["auth"]
    equal((["default", "p"], {"role_name": "r", "host": "h1"}), (auth["policies"], auth["metadata"]))
    equal(True, own.is_authenticated())
    equal(4, roles.read_secret_id("r", made["secret_id"], **at)["data"]["secret_id_num_uses"])
    equal([made["secret_id_accessor"]], roles.list_secret_id_accessors("r", **at)["data"]["keys"])
    got = roles.read_secret_id_accessor("r", made["secret_id_accessor"], **at)["data"]
    equal({"host": "h1"}, got["metadata"])
    raises(exceptions.InvalidRequest, roles.login, "chosen", "wrong", use_token=False, says="invalid role or secret ID",
           **at)
    equal(204, roles.destroy_secret_id("r", made["secret_id"], **at).status_code)
    raises(exceptions.InvalidRequest, roles.login, "chosen", made["secret_id"], use_token=False, **at)
    made = roles.create_custom_secret_id("r", "my-own", **at)["data"]
    roles.login("chosen", "my-own", use_token=False, **at)
    equal(204, roles.destroy_secret_id_accessor("r", made["secret_id_accessor"], **at).status_code)
    raises(exceptions.InvalidRequest, roles.login, "chosen", "my-own", use_token=False, **at)
    equal(204, roles.delete_role("r", **at).status_code)
    raises(exceptions.InvalidPath, roles.read_role, "r", **at)


@tap.case("auth: jwt")
def _():
    client.sys.enable_auth_method("jwt")
    roles, signer = client.auth.jwt, Signer("RS256")
    equal("jwt", roles.resolve_path(None))
    equal(204, roles.configure(jwt_validation_pubkeys=[signer.pem], bound_issuer="https://issuer", jwt_supported_algs=["RS256"],
                               default_role="ci").status_code)
    got = roles.read_config()["data"]
    equal(("https://issuer", [signer.pem.strip()], ["RS256"]), tuple(got[k] for k in (
        "bound_issuer", "jwt_validation_pubkeys", "jwt_supported_algs")))
    equal(204, roles.create_role("ci", "sub", [], bound_audiences=["vault"], bound_claims={"branch": ["main", "rel"]},
                                 claim_mappings={"branch": "branch"}, token_policies=["p"], token_ttl="10m",
                                 clock_skew_leeway=30).status_code)
    equal(["ci"], roles.list_roles()["data"]["keys"])
    got = roles.read_role("ci")["data"]
    equal(("jwt", "sub", ["vault"], {"branch": ["main", "rel"]}, {"branch": "branch"}, 30, 600, ["p"]), tuple(got[k] for k in (
        "role_type", "user_claim", "bound_audiences", "bound_claims", "claim_mappings", "clock_skew_leeway", "token_ttl",
        "token_policies")))
    own = connect("none")
    auth = own.auth.jwt.jwt_login("ci", signer.token({"iss": "https://issuer", "branch": "rel"}))["auth"]
    equal((["default", "p"], {"role": "ci", "branch": "rel"}, 600), tuple(auth[k] for k in (
        "policies", "metadata", "lease_duration")))
    equal((auth["client_token"], True), (own.token, own.is_authenticated()))
    raises(exceptions.InvalidRequest, roles.jwt_login, "ci", signer.token({"iss": "https://issuer", "branch": "x"}),
           use_token=False, says="error validating claims")
    raises(exceptions.InvalidRequest, roles.jwt_login, "ci", Signer("RS256").token(), use_token=False, says="error validating token")
    raises(exceptions.InvalidRequest, roles.create_role, "browser", "sub", ["http://localhost"], role_type="oidc", says="not offered")
    equal(204, roles.delete_role("ci").status_code)
    raises(exceptions.InvalidPath, roles.read_role, "ci")


@tap.case("auth: cert")
def _():
    client.sys.enable_auth_method("cert", path="tls")
    certs, at = client.auth.cert, {"mount_point": "tls"}
    folder = os.path.join(vault.folder, "pki")
    os.mkdir(folder)
    ca = Authority(folder, "ca")
    web, mail = ca.issue("web"), ca.issue("mail")
    equal(204, certs.create_ca_certificate_role("web", certificate=ca.crt, allowed_common_names="web",
                                                display_name="Web", token_policies=["p"], token_ttl="20m", **at).status_code)
    equal(["web"], certs.list_certificate_roles(**at)["data"]["keys"])
    got = certs.read_ca_certificate_role("web", **at)["data"]
    equal((ca.pem.strip(), ["web"], "Web", ["p"], 1200), (got["certificate"].strip(),) + tuple(got[k] for k in (
        "allowed_common_names", "display_name", "token_policies", "token_ttl")))
    own = connect("none")
    auth = own.auth.cert.login("web", cert_pem=web.crt, key_pem=web.key, **at)["auth"]
    equal((["default", "p"], "web", "web"), (auth["policies"], auth["metadata"]["cert_name"], auth["metadata"]["common_name"]))
    equal(True, own.is_authenticated())
    raises(exceptions.InvalidRequest, connect("none").auth.cert.login, "web", cert_pem=mail.crt,
           key_pem=mail.key, use_token=False, says="invalid certificate or no client certificate supplied", **at)
    other = connect(own.token)  # over connections of its own, without a certificate
    raises(exceptions.InvalidRequest, other.auth.token.renew_self, says="client certificate must be supplied")
    equal(204, certs.configure_tls_certificate(disable_binding=True, **at).status_code)
    equal(1200, other.auth.token.renew_self()["auth"]["lease_duration"])
    equal(204, certs.delete_certificate_role("web", **at).status_code)
    raises(exceptions.InvalidPath, certs.read_ca_certificate_role, "web", **at)


# ---- mounts --------------------------------------------------------------------------------------

@tap.case("mounts")
def _():
    client.sys.enable_secrets_engine("kv", path="team/a", options={"version": "2"},
                                     config={"default_lease_ttl": "1h", "max_lease_ttl": "2h"})
    got = client.sys.list_mounted_secrets_engines()["data"]["team/a/"]
    equal((3600, 7200, "kv"), (got["config"]["default_lease_ttl"], got["config"]["max_lease_ttl"], got["type"]))
    equal(204, client.sys.tune_mount_configuration("team/a", default_lease_ttl="90m", description="x").status_code)
    equal((5400, "x"), tuple(client.sys.read_mount_configuration("team/a")["data"][k] for k in (
        "default_lease_ttl", "description")))
    client.secrets.kv.v2.create_or_update_secret("k", {"v": 1}, mount_point="team/a")
    raises(exceptions.InvalidRequest, client.sys.enable_secrets_engine, "kv-v2", path="team/a", says="already in use")
    equal(204, client.sys.disable_secrets_engine("team/a").status_code)
    raises(exceptions.InvalidPath, client.secrets.kv.v2.read_secret, "k", mount_point="team/a")
    raises(exceptions.InvalidRequest, client.sys.enable_secrets_engine, "nope", says="nope")
    equal("token", client.sys.list_auth_methods()["data"]["token/"]["type"])


@tap.case("mounts: every setting, and moving")
def _():
    client.sys.enable_secrets_engine("kv", path="from", options={"version": "2"}, config={
        "audit_non_hmac_request_keys": "a,b", "listing_visibility": "unauth", "force_no_cache": True})
    got = client.sys.list_mounted_secrets_engines()["data"]["from/"]["config"]
    equal((["a", "b"], "unauth", True), tuple(got[k] for k in (
        "audit_non_hmac_request_keys", "listing_visibility", "force_no_cache")))
    equal(204, client.sys.tune_mount_configuration(
        "from", audit_non_hmac_response_keys="c", listing_visibility="", passthrough_request_headers="X-A",
        force_no_cache=False, max_lease_ttl="1h").status_code)
    got = client.sys.read_mount_configuration("from")["data"]
    equal((["c"], ["X-A"], False, 3600, 3600), tuple(got[k] for k in (
        "audit_non_hmac_response_keys", "passthrough_request_headers", "force_no_cache", "max_lease_ttl",
        "default_lease_ttl")))
    client.secrets.kv.v2.create_or_update_secret("k", {"v": 1}, mount_point="from")
    move = client.sys.move_backend("from", "to")["data"]["migration_id"]
    mounts = client.sys.list_mounted_secrets_engines()["data"]
    equal((True, False), ("to/" in mounts, "from/" in mounts))
    equal(1, client.secrets.kv.v2.read_secret("k", mount_point="to")["data"]["data"]["v"])
    equal("success", client.read("sys/remount/status/" + move)["data"]["migration_info"]["status"])
    raises(exceptions.InvalidRequest, client.sys.move_backend, "from", "x", says="no matching mount")
    raises(exceptions.InvalidRequest, client.sys.move_backend, "to", "secret", says="path already in use")
    client.sys.disable_secrets_engine("to")


@tap.case("kv version 1")
def _():
    client.sys.enable_secrets_engine("kv", path="one")
    equal("none", client.sys.retrieve_mount_option("one", "version", "none"))
    kv = client.secrets.kv.v1
    for secret in ({"k": "v"}, {"n": [1, {"x": None}]}):
        equal(204, kv.create_or_update_secret("a/b", secret, mount_point="one").status_code)
        equal(secret, kv.read_secret("a/b", mount_point="one")["data"])
    for method in ("POST", "PUT"):
        equal(204, kv.create_or_update_secret("a/c", {"m": method}, method=method, mount_point="one").status_code)
    equal(["b", "c"], kv.list_secrets("a", mount_point="one")["data"]["keys"])
    equal(2764800, client.read("one/a/b")["lease_duration"])
    equal(204, kv.delete_secret("a/b", mount_point="one").status_code)
    raises(exceptions.InvalidPath, kv.read_secret, "a/b", mount_point="one")
    raises(exceptions.InvalidPath, kv.list_secrets, "none", mount_point="one")
    raises(exceptions.InvalidRequest, kv.create_or_update_secret, "e", {}, mount_point="one", says="missing data fields")
    client.secrets.kv.default_kv_version = "1"
    equal({"m": "PUT"}, client.secrets.kv.read_secret("a/c", mount_point="one")["data"])
    client.secrets.kv.default_kv_version = "2"
    # The upgrade of Vault's command: kv enable-versioning.
    got = client.sys.tune_mount_configuration("one", options={"version": "2"})
    true("from version 1 to version 2" in got["warnings"][0], str(got["warnings"]))
    equal({"m": "PUT"}, client.secrets.kv.v2.read_secret("a/c", mount_point="one")["data"]["data"])


# ---- errors --------------------------------------------------------------------------------------

@tap.case("each error has its class and its texts")
def _():
    token = client.auth.token.create(policies=["default"])["auth"]["client_token"]
    weak = connect(token)
    error = raises(exceptions.Forbidden, weak.secrets.kv.v2.read_secret, "a/b", says="permission denied")
    true("invalid token" not in str(error), "no word of an invalid token")
    raises(exceptions.Forbidden, connect("nonsense").secrets.kv.v2.read_secret, "a/b", says="invalid token")
    raises(exceptions.Forbidden, weak.sys.seal)
    raises(exceptions.InvalidPath, client.secrets.kv.v2.read_secret, "none")
    raises(exceptions.InvalidRequest, client.auth.token.create, ttl="soon", says="ttl")
    error = raises(exceptions.InvalidRequest, client.secrets.kv.v2.create_or_update_secret, "a", "text", says="data")
    true(isinstance(error.errors, list) and error.errors, "a list of errors")
    raises(exceptions.InvalidPath, client.sys.list_namespaces, says="unsupported path")


@tap.case("audit devices are the configuration's")
def _():
    equal({}, client.sys.list_enabled_audit_devices()["data"])
    raises(exceptions.InvalidRequest, client.sys.enable_audit_device, "file",
           options={"file_path": "/tmp/x"}, says="config-based audit device management")
    raises(exceptions.InvalidRequest, client.sys.disable_audit_device, "file", says="cannot disable")
    true(client.sys.calculate_hash("file", "a")["data"]["hash"].startswith("hmac-sha256:"), "a hash")


# ---- wrapping ------------------------------------------------------------------------------------

@tap.case("wrap, unwrap, with the wrapping token alone")
def _():
    got = client.write("sys/wrapping/wrap", wrap_ttl=60, a=1)
    equal((60, "sys/wrapping/wrap", None), (got["wrap_info"]["ttl"], got["wrap_info"]["creation_path"], got["data"]))
    equal({"a": 1}, client.sys.unwrap(got["wrap_info"]["token"])["data"])
    raises(exceptions.InvalidRequest, client.sys.unwrap, got["wrap_info"]["token"],
           says="wrapping token is not valid or does not exist")
    made = client.auth.token.create(policies=["default"], wrap_ttl="5m")["wrap_info"]
    auth = connect(made["token"]).sys.unwrap()["auth"]
    equal(made["wrapped_accessor"], auth["accessor"])
    true(connect(auth["client_token"]).is_authenticated(), "the token inside")
    client.secrets.kv.v2.create_or_update_secret("wrapped", {"k": "v"})
    token = client.read("secret/data/wrapped", wrap_ttl="5m")["wrap_info"]["token"]
    equal({"k": "v"}, client.sys.unwrap(token)["data"]["data"])


@tap.case("old names of calls about tokens, and a login by a wrapped token")
def _():
    made = client.auth.token.create(policies=["default"], ttl="1h")["auth"]
    own = connect(made["client_token"])
    equal(7200, client.renew_token(made["client_token"], increment="2h")["auth"]["lease_duration"])
    client.revoke_token(made["accessor"], accessor=True)
    raises(exceptions.Forbidden, own.auth.token.lookup_self, says="invalid token")
    parent = client.auth.token.create(policies=["root"], ttl="1h")["auth"]["client_token"]
    child = connect(parent).auth.token.create(policies=["default"])["auth"]["client_token"]
    client.revoke_token(parent, orphan=True)
    raises(exceptions.Forbidden, connect(parent).auth.token.lookup_self, says="invalid token")
    equal(True, connect(child).auth.token.lookup_self()["data"]["orphan"])
    client.revoke_token(child)
    raises(exceptions.Forbidden, connect(child).auth.token.lookup_self, says="invalid token")
    wrapped = client.auth.token.create(policies=["default"], wrap_ttl="5m")["wrap_info"]
    own = hvac.Client(url=vault.address, verify=vault.cacert)
    auth = own.auth_cubbyhole(wrapped["token"])["auth"]
    equal((auth["client_token"], wrapped["wrapped_accessor"]), (own.token, auth["accessor"]))
    true(own.is_authenticated(), "the token inside")


@tap.case("upkeep: tidy, step down, whether it was initialised")
def _():
    equal(202, client.auth.token.tidy().status_code)
    equal(204, client.sys.step_down().status_code)
    equal(True, client.sys.read_init_status()["initialized"])


@tap.case("a certificate of nobody is not accepted")
def _():
    import requests
    stranger = hvac.Client(url=vault.address, token=vault.token, verify=True)
    raises(requests.exceptions.SSLError, stranger.sys.read_seal_status)


def main():
    global client
    rest, tap.cases = tap.cases, []
    started = time.monotonic()
    try:
        vault.start()
        client = hvac.Client(url=vault.address, verify=vault.cacert)
        first(client)
        tap.run()
        if tap.failed:
            return 1
        tap.cases = rest
        status = tap.run(sys.argv[1:])
        if time.monotonic() - started > 120:
            print("# slow: %d s" % (time.monotonic() - started))
        return status
    finally:
        vault.remove()


sys.exit(main())
