#!/usr/bin/python3
"""Advisories about logins by signed tokens, and what that class of them has in common.

    tests/security/jwt.py ['part of a case name']

Each is tried with keys as PEM and as a key set, where it can matter. The tokens are openssl's.
"""
import hashlib
import hmac
import json
import os
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
from jwt_signer import ALGS, Signer, encode  # noqa: E402
from keyturn import Vault  # noqa: E402
from tap import Tap, true  # noqa: E402
from wire import Wire, error, wants  # noqa: E402

tap = Tap("tests/security/jwt.py")
vault = Vault()
wire = Wire(vault)
rsa, ec = Signer("RS256"), Signer("ES256")
ROLE = {"role_type": "jwt", "user_claim": "sub", "bound_audiences": ["vault"]}


def trust(*signers, **more):
    """Each way to say whose keys they are."""
    for keys in ({"jwt_validation_pubkeys": [s.pem for s in signers]}, {"jwks": {"keys": [s.jwk() for s in signers]}}):
        wants(wire.ask("POST", "auth/jwt/config", {**keys, **more}), 204)
        yield


def role(**fields):
    wire.ask("DELETE", "auth/jwt/role/r")
    wants(wire.ask("POST", "auth/jwt/role/r", {**ROLE, **fields}), 204)


def login(token, **more):
    return wire.ask("POST", "auth/jwt/login", {"role": "r", "jwt": token}, token=None, **more)


def worked():
    """Seconds of a processor that vaultd has had, however much else the machine does."""
    with open("/proc/%d/stat" % vault.process.pid) as stat:
        fields = stat.read().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


@tap.case("ways of signing: what openssl signs is taken, of each kind")
def _():
    role()
    for alg in ALGS:
        signer = Signer(alg)
        for _ in trust(signer):
            wants(login(signer.token()), 200)
            header, claims, signature = signer.token().split(".")
            error(login(".".join((header, claims, signature[:-8] + "AAAAAAAA"))), 400, "error validating token")


@tap.case("CVE-2024-5798: an audience that is bound has to be there, and be one of those")
def _():
    for _ in trust(ec):
        role()
        wants(login(ec.token()), 200)
        wants(login(ec.token({"aud": ["other", "vault"]})), 200)
        for aud in (None, "", [], "other", ["other"], "Vault", "vault ", "vaul", "vault,other", "*", ["vault", 1], {"vault": "vault"}, True, 0):
            error(login(ec.token({"aud": aud})), 400, "error validating claims")
        role(bound_audiences=[], bound_subject="bob")
        error(login(ec.token()), 400, "audience claim found in JWT but no audiences bound")
        wants(login(ec.token({"aud": None})), 200)
        for missing in ({}, {"bound_audiences": []}, {"bound_audiences": "", "bound_claims": {}, "bound_subject": ""}):
            error(wire.ask("POST", "auth/jwt/role/none", {"role_type": "jwt", "user_claim": "sub", **missing}), 400,
                  "at least one bound constraint")
        for empty in ({"bound_audiences": [""]}, {"bound_claims": {"a": []}}, {"bound_claims": {"a": None}}):
            error(wire.ask("POST", "auth/jwt/role/none", {"role_type": "jwt", "user_claim": "sub", **empty}), 400, "bound_")


@tap.case("JWT: what it is signed with is not the token's to say")
def _():
    role()
    claims = json.dumps({"sub": "bob", "aud": "vault", "exp": int(time.time()) + 60})
    for _ in trust(rsa, ec):
        wants(login(rsa.raw('{"alg":"RS256"}', claims)), 200)
        for alg in ("none", "None", "NONE", "nOnE", "", "HS256", "HS384", "RS384", "PS256", "ES256", "EdDSA", "RSA1_5"):
            header = json.dumps({"alg": alg})
            text = encode(header.encode()) + "." + encode(claims.encode())
            error(login(rsa.raw(header, claims)), 400, "error validating token")
            error(login(text + "."), 400, "error validating token")
            error(login(text), 400, "error validating token")
            # The public key, as everybody may have it, for a secret of both sides.
            for secret in (rsa.pem, rsa.pem.strip(), json.dumps(rsa.jwk()), rsa.jwk()["n"], ""):
                mac = hmac.new(secret.encode(), text.encode(), hashlib.sha256).digest()
                error(login(text + "." + encode(mac)), 400, "error validating token")
        for header in ('{"alg":"none","alg":"RS256"}', '{"alg":"RS256","alg":"none"}', '{"alg":["RS256"]}', '{"alg":null}', '{}', '[]', ''):
            error(login(rsa.raw(header, claims)), 400, "error validating token")
    for _ in trust(rsa, ec, jwt_supported_algs=["ES256"]):
        error(login(rsa.token()), 400, "jwt_supported_algs")
        wants(login(ec.token()), 200)
    error(wire.ask("POST", "auth/jwt/config", {"jwks": {"keys": [{"kty": "oct", "k": "c2VjcmV0"}]}}), 400, "private key")
    error(wire.ask("POST", "auth/jwt/config", {"jwks": {"keys": [ec.jwk()]}, "jwt_supported_algs": ["none"]}), 400, "jwt_supported_algs")


@tap.case("JWT: keys and addresses that a token brings along are not looked at")
def _():
    role()
    stranger = Signer("ES256")
    for _ in trust(ec):
        for more in ({"jwk": stranger.jwk()}, {"jku": "http://169.254.169.254/"}, {"x5u": "file:///etc/passwd"}, {"x5c": [stranger.pem]},
                     {"kid": stranger.pem}, {}):
            error(login(stranger.token(**more)), 400, "error validating token")
    wants(wire.ask("POST", "auth/jwt/config", {"jwks": {"keys": [ec.jwk(kid="a"), rsa.jwk(kid="b"), stranger.jwk(kid="c")]}}), 204)
    wants(login(ec.token(kid="a")), 200)
    for kid in ("b", "c", "d", "", "A", "../a", "a\n", "/dev/null", "a' OR 'a'='a", 7, ["a"], None):
        error(login(ec.token(kid=kid)), 400, "error validating token")


@tap.case("JWT: a token that does not end, or has not begun, is none")
def _():
    now = int(time.time())
    role()
    for _ in trust(ec):
        error(login(ec.token({"exp": None, "iat": None})), 400, "no issued at")
        error(login(ec.token({"exp": now - 120})), 400, "expired")
        error(login(ec.token({"exp": None, "iat": now - 600})), 400, "expired")
        error(login(ec.token({"nbf": now + 120})), 400, "not valid yet")
        error(login(ec.token({"iat": now + 120, "nbf": now, "exp": now + 600})), 400, "issued in the future")
        for bad in (str(now + 300), True, [now + 300], {"a": 1}, -5, 10 ** 30, 10 ** 18):
            error(login(ec.token({"exp": bad})), 400, "error validating claims")
    for field in ("clock_skew_leeway", "expiration_leeway", "not_before_leeway"):
        error(wire.ask("POST", "auth/jwt/role/r", {field: 10 ** 9}), 400, field)


@tap.case("JWT: a claim is compared as what it is; one that stands twice is none")
def _():
    for _ in trust(ec, bound_issuer="https://issuer"):
        role(bound_claims={"group": "ops", "level": 2, "staff": True})
        good = {"iss": "https://issuer", "group": "ops", "level": 2, "staff": True}
        wants(login(ec.token(good)), 200)
        for name, values in (("group", ("OPS", "ops ", ["opsx"], {"ops": "ops"}, None, "", "*", "o*")), ("level", ("2", 2.0, True, [3], None)),
                             ("staff", ("true", 1, "1", None, "yes")), ("iss", ("https://issuer/", "https://issuer.evil", ["https://issuer"], None))):
            for value in values:
                error(login(ec.token({**good, name: value})), 400, "error validating claims")
        claims = '{"sub":"bob","aud":"vault","exp":%d,"iss":"https://issuer","level":2,"staff":true,"group":"dev","group":"ops"}' % (time.time() + 60)
        error(login(ec.raw('{"alg":"ES256"}', claims)), 400, "error validating token")


@tap.case("CVE-2025-30204, CVE-2025-27144, GHSA-2c7c-3mj9-8fqh, CVE-2024-28180, CVE-2026-34986: what costs to read is not read")
def _():
    role()
    good = ec.token()
    header, claims, signature = good.split(".")
    bombs = ["." * 16384, "." * 60000, good + "." * 2000, ".".join([header] * 5), "a." * 8000,
             encode(b'{"alg":"PBES2-HS256+A128KW","enc":"A128GCM","p2c":2147483647,"p2s":"AAAA"}') + "....",
             encode(b'{"alg":"dir","enc":"A128GCM","zip":"DEF"}') + "....",
             encode(b'{"alg":"ES256","zip":"DEF"}') + "." + claims + "." + signature,
             encode(b'{"alg":"ES256","crit":["x"],"x":1}') + "." + claims + "." + signature,
             encode(b"[" * 8000) + "." + claims + "." + signature, header + "." + encode(b'{"a":' * 2000) + "." + signature,
             header + "." + encode(b"[" + b"0," * 4000 + b"0]") + "." + signature, good + " ", " " + good, good + "=", "Bearer " + good]
    for _ in trust(ec):
        before = worked()
        for bomb in bombs:
            error(login(bomb), 400, "error validating token")
        true(worked() - before < 5, "with little work")
        wants(login(good), 200)
    error(login("x" * 70000), 413, "")


@tap.case("JWT: a role that says nothing of its type is not one that lets tokens in")
def _():
    for fields in ({}, {"role_type": "oidc"}, {"role_type": ""}):
        error(wire.ask("POST", "auth/jwt/role/browser", {"user_claim": "sub", "bound_audiences": "vault", **fields}), 400, "not offered")
        wants(wire.ask("GET", "auth/jwt/role/browser"), 404)
    for path in ("auth/jwt/oidc/auth_url", "auth/jwt/oidc/callback"):
        wants(wire.ask("POST", path, {"role": "r", "redirect_uri": "http://localhost"}, token=None), 403)


def main():
    try:
        vault.ready()
        wire.root = vault.token
        wants(wire.ask("POST", "sys/auth/jwt", {"type": "jwt"}), 204)
        return tap.run(sys.argv[1:])
    finally:
        wire.close()
        vault.remove()


sys.exit(main())
