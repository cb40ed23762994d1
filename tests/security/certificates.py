#!/usr/bin/python3
"""Logging in with TLS certificates, over TLS: what went wrong elsewhere, and how a client does it.

    tests/security/certificates.py ['part of a case name']

Which chains are taken, and the order of things, unit/cert_test tries in many more cases; here a real client shows real
certificates to a real listener.
"""
import http.client
import json
import os
import shutil
import socket
import ssl
import subprocess
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
from keyturn import Vault, contains, free_port, program  # noqa: E402
from pki import Authority  # noqa: E402
from tap import Mismatch, Tap, equal  # noqa: E402

tap = Tap("tests/security/certificates.py")
QUIET = free_port()
vault = Vault(tls=True)
SOCKET = os.path.join(vault.folder, "run", "local.sock")
NO_MATCH = "invalid certificate or no client certificate supplied"


def true(condition, what):
    if not condition:
        raise Mismatch(str(what))


def listeners():
    os.mkdir(os.path.dirname(SOCKET), 0o755)
    if os.getuid() == 0:
        shutil.chown(os.path.dirname(SOCKET), "keyturn", "keyturn")
    vault.extra = """listener "unix" { path = "%s" }
listener "tcp" {
  address = "127.0.0.1:%d"
  tls_cert_file = "%s/tls.crt"
  tls_key_file = "%s/tls.key"
  tls_disable_client_certs = true
}""" % (SOCKET, QUIET, vault.folder, vault.folder)
    vault.write_config()


def context(who=None, version=None):
    tls = ssl.create_default_context(cafile=vault.cacert)
    if who is not None:
        tls.load_cert_chain(*who.pair)
    if version is not None:
        tls.minimum_version = tls.maximum_version = version
    return tls


def ask(who, method, path, body=None, token=None, port=None, version=None, headers=None):
    """(status, document), over a connection of its own. who: whose certificate; None: none."""
    connection = http.client.HTTPSConnection("127.0.0.1", port or vault.port, context=context(who, version), timeout=60)
    try:
        connection.request(method, "/v1/" + path, None if body is None else json.dumps(body),
                           dict({"X-Vault-Token": token} if token else {}, **(headers or {})))
        answer = connection.getresponse()
        text = answer.read()
        return answer.status, json.loads(text) if text else None
    finally:
        connection.close()


def root(method, path, body=None, status=204):
    got = ask(None, method, path, body, vault.token)
    equal(status, got[0], "%s %s: %s" % (method, path, got[1]))
    return got[1]


def login(who, body=None, **more):
    return ask(who, "POST", "auth/cert/login", body or {}, **more)


def enter(who, **more):
    status, got = login(who, **more)
    equal(200, status, str(got))
    return got["auth"]


def refused(who, says=NO_MATCH, status=400, **more):
    got = login(who, **more)
    if got[0] != status or not any(says in e for e in got[1]["errors"]):
        raise Mismatch("expected %d %r, got %s" % (status, says, got))


def trust(name, certificate, status=204, **more):
    return root("POST", "auth/cert/certs/" + name, dict({"certificate": certificate.pem}, **more), status)


def clean():
    for kind in ("certs", "crls"):
        status, got = ask(None, "LIST", "auth/cert/" + kind, token=vault.token)
        for name in got["data"]["keys"] if status == 200 else []:
            root("DELETE", "auth/cert/%s/%s" % (kind, name))


ca = other = web = mail = None


def make():
    global ca, other, web, mail
    ca, other = Authority(vault.folder, "ca"), Authority(vault.folder, "other")
    web = ca.issue("web", "extendedKeyUsage=clientAuth\nsubjectAltName=DNS:web.example,URI:spiffe://x/web")
    mail = ca.issue("mail")


@tap.case("a certificate may be shown, and need not be")
def _():
    clean()
    trust("web", ca, allowed_common_names="web", token_policies="front", token_ttl="10m")
    for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
        auth = enter(web, version=version)
        equal((["default", "front"], 600, "web"), (auth["policies"], auth["lease_duration"], auth["metadata"]["cert_name"]))
        equal(200, ask(None, "GET", "auth/token/lookup-self", token=auth["client_token"], version=version)[0])
        refused(None, "client certificate must be supplied", version=version)
        refused(mail, version=version)
    serial = int(subprocess.run(["openssl", "x509", "-in", web.crt, "-noout", "-serial"], capture_output=True,
                                text=True, check=True).stdout.split("=")[1], 16)
    equal(str(serial), auth["metadata"]["serial_number"])
    text = subprocess.run(["openssl", "x509", "-in", web.crt, "-noout", "-ext", "subjectKeyIdentifier"],
                          capture_output=True, text=True, check=True).stdout.split()[-1].lower()
    equal(text, auth["metadata"]["subject_key_id"])


@tap.case("CVE-2024-2048, CVE-2025-6037: a pinned certificate is all of it, not its number, its names or its issuer's")
def _():
    clean()
    lone = ca.issue("lone", serial="77")
    trust("lone", lone)
    enter(lone)
    false = [Authority(vault.folder, "false-%d" % i, subject="ca") for i in range(2)]
    for forged in (false[0].issue("lone", serial="77"), false[1].issue("admin", serial="77"),
                   ca.issue("lone", file="again", key_of=lone), mail, web):
        refused(forged)
        refused(forged, body={"name": "lone"})


@tap.case("0.7.3 (2017): a pinned certificate ends")
def _():
    clean()
    ended = ca.issue("ended", dates=("20200101000000Z", "20200201000000Z"))
    coming = ca.issue("coming", dates=("20990101000000Z", "20990201000000Z"))
    contains(str(trust("ended", ended, 200)["warnings"]), "expired")
    trust("coming", coming)
    refused(ended)
    refused(coming)
    trust("all", ca)
    refused(ended)
    refused(coming)


@tap.case("CVE-2026-39388, GHSA-7ccv-rp6m-rffr, GHSA-gf3j-hm38-jhh5: who renews shows the key of the login, and is still let in")
def _():
    clean()
    trust("all", ca, token_ttl="10m")
    auth = enter(web)
    token, accessor = auth["client_token"], auth["accessor"]
    again = ca.issue("web", file="web-again", key_of=web)
    false = Authority(vault.folder, "false-key", subject="ca").issue("web")
    ways = [("auth/token/renew-self", {}, token), ("auth/token/renew", {"token": token}, vault.token),
            ("auth/token/renew-accessor", {"accessor": accessor}, vault.token)]
    for path, body, asker in ways:
        for who, status in ((web, 200), (again, 200), (mail, 403), (false, 403), (None, 400)):
            got = ask(who, "POST", path, body, asker)
            equal(status, got[0], "%s: %s" % (path, got[1]))
    ca.revoke(web)
    root("POST", "auth/cert/crls/ca", {"crl": ca.crl()})
    for path, body, asker in ways:
        equal(403, ask(web, "POST", path, body, asker)[0], path)
        equal(200, ask(again, "POST", path, body, asker)[0], path)
    root("DELETE", "auth/cert/certs/all")
    for path, body, asker in ways:
        true(ask(again, "POST", path, body, asker)[0] != 200, path)


@tap.case("CVE-2022-41316: a revocation list is in force from the first request on")
def _():
    clean()
    gone = ca.issue("gone")
    trust("all", ca)
    enter(gone)
    ca.revoke(gone)
    root("POST", "auth/cert/crls/ca", {"crl": ca.crl()})
    refused(gone)
    vault.restart()
    refused(gone)
    enter(mail)
    # Of the other authority a list says nothing, and what is signed by another than it names says nothing good.
    root("POST", "auth/cert/crls/ca", {"crl": Authority(vault.folder, "false-list", subject="ca").crl()})
    refused(mail, "not signed")
    root("POST", "auth/cert/crls/ca", {"crl": other.crl()})
    enter(gone)
    old = root("POST", "auth/cert/crls/ca", {"crl": ca.crl("-crl_lastupdate", "20200101000000Z", "-crl_nextupdate",
                                                           "20200201000000Z")}, 200)
    contains(str(old["warnings"]), "out of date")
    refused(mail, "out of date")


@tap.case("no session is taken up again: each login shows its certificate anew")
def _():
    clean()
    trust("all", ca)
    for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
        tls, session = context(web, version), None
        for _ in range(2):
            with socket.create_connection(("127.0.0.1", vault.port)) as raw:
                with tls.wrap_socket(raw, server_hostname="127.0.0.1", session=session) as one:
                    equal(False, one.session_reused)
                    one.sendall(b"POST /v1/auth/cert/login HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n{}")
                    contains(one.recv(4096), b" 200 ")
                    session = one.session  # of TLS 1.2 its id, without a ticket


def shut_out(who, version):
    """The connection ends in its handshake, or (a client of TLS 1.3 is through before) instead of an answer."""
    try:
        got = login(who, version=version)
    except (ssl.SSLError, ConnectionError, http.client.RemoteDisconnected):
        return
    raise Mismatch("it was heard: %s" % (got,))


@tap.case("CVE-2023-29409: with a key that is too large no signature is checked, nor is one kept that is too long")
def _():
    clean()
    trust("all", ca)
    usual, largest = ca.issue("usual", rsa=["bits:2048"]), ca.issue("largest", rsa=["bits:8192", "primes:4"])
    large = ca.issue("large", rsa=["bits:8256", "primes:5"])
    steep = ca.issue("steep", rsa=["bits:2048", "pubexp:0x10000000001"])
    long = web_again()
    with open(long.crt, "w") as f:
        f.write(web.pem * 80)
    long.key = web.key
    for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
        for who in (usual, largest, web):
            enter(who, version=version)
        for who in (large, steep, long):
            shut_out(who, version)
    enter(usual)


@tap.case("one connection, several requests: what was revoked between them is out")
def _():
    clean()
    soon = ca.issue("soon")
    trust("all", ca)
    connection = http.client.HTTPSConnection("127.0.0.1", vault.port, context=context(soon), timeout=60)
    for status in (200, 400):
        connection.request("POST", "/v1/auth/cert/login", "{}")
        answer = connection.getresponse()
        equal(status, answer.status, answer.read().decode())
        ca.revoke(soon) if status == 200 else None
        root("POST", "auth/cert/crls/ca", {"crl": ca.crl()})
    connection.close()


@tap.case("a proxy's certificate is nobody's behind it; without TLS there is none")
def _():
    clean()
    trust("all", ca)
    for header in ({"X-Forwarded-For": "192.0.2.1"}, {"X-Forwarded-For": "127.0.0.1"}):
        refused(web, "a proxy stands between", headers=header)
    enter(web, headers={"X-SSL-Client-Cert": mail.pem.replace("\n", " ")})
    refused(None, "client certificate must be supplied", headers={"X-SSL-Client-Cert": web.pem.replace("\n", " ")})
    refused(web, "client certificate must be supplied", port=QUIET)
    with socket.socket(socket.AF_UNIX) as plain:
        plain.connect(SOCKET)
        plain.sendall(b"POST /v1/auth/cert/login HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 2\r\n\r\n{}")
        contains(plain.makefile("rb").read(), b"tls connection required")


@tap.case("GHSA-fg5x-7whg-6c28: a name of an entry or a list is one, whatever its letters")
def _():
    clean()
    trust("Mixed", ca)
    token = root("POST", "auth/token/create", {"policies": ["denied"], "no_default_policy": True}, 200)["auth"]["client_token"]
    root("PUT", "sys/policies/acl/denied", {"policy": 'path "auth/cert/certs/*" { capabilities = ["read", "update"] }\n'
                                                      'path "auth/cert/certs/mixed" { capabilities = ["deny"] }'})
    for name in ("mixed", "Mixed", "MIXED", "mixe%64", "mixe%44"):
        equal(403, ask(None, "GET", "auth/cert/certs/" + name, token=token)[0], name)
        equal(403, ask(None, "POST", "auth/cert/certs/" + name, {"policies": "x"}, token)[0], name)
    equal("mixed", enter(web_again(), body={"name": "MIXED"})["metadata"]["cert_name"])


def web_again():
    return ca.issue("web", file="web-%d" % time.monotonic_ns())


def said(got, *texts):
    true(got.returncode != 0, got.stdout)
    for text in texts:
        contains(got.stderr, text)


def ctl(*args, **env):
    return subprocess.run([program("secretctl"), *args], text=True, capture_output=True, stdin=subprocess.DEVNULL,
                          env=dict(vault.environment(token=""), **env), timeout=120)


@tap.case("secretctl logs in, renews, and says what is missing")
def _():
    clean()
    trust("all", ca, token_ttl="10m")
    who = web_again()
    got = ctl("login", "-method=cert", "-no-store", "-field=token", "-client-cert=" + who.crt, "-client-key=" + who.key)
    equal((0, ""), (got.returncode, got.stderr))
    token, env = got.stdout.strip(), {"VAULT_CLIENT_CERT": who.crt, "VAULT_CLIENT_KEY": who.key}
    equal(0, ctl("token", "renew", VAULT_TOKEN=token, **env).returncode)
    got = ctl("token", "renew", VAULT_TOKEN=token)
    said(got, "VAULT_CLIENT_CERT")
    both = os.path.join(vault.folder, "both.pem")
    with open(both, "w") as f:
        f.write(who.pem + open(who.key).read())
    equal(0, ctl("login", "-method=cert", "-no-store", "-field=token", "name=all", VAULT_CLIENT_CERT=both).returncode)
    got = ctl("login", "-method=cert", "-no-store", "name=none", **env)
    said(got, NO_MATCH)
    got = ctl("login", "-method=cert", "-no-store")
    said(got, "client certificate must be supplied", "-client-key")
    got = ctl("login", "-method=cert", "-no-store", "-client-cert=/nope")
    said(got, "cannot read the client's certificate '/nope'")
    got = ctl("login", "-method=cert", "-no-store", "-client-cert=" + who.crt, "-client-key=/nope")
    said(got, "cannot read the client's key '/nope'")
    got = ctl("login", "-method=cert", "-no-store", "-client-key=" + who.key)
    said(got, "without its certificate")
    got = ctl("login", "-method=cert", "-no-store", "-client-cert=" + who.crt, "-client-key=" + mail.key)
    said(got)
    got = ctl("token", "lookup", "-output-curl-string", VAULT_TOKEN=token, **env)
    contains(got.stdout, " --cert '%s' --key '%s'" % (who.crt, who.key))


@tap.case("a listener that would have to verify them itself is refused")
def _():
    config = os.path.join(vault.folder, "strict.hcl")
    with open(vault.config_path) as f, open(config, "w") as out:
        out.write(f.read().replace("tls_disable_client_certs", "tls_require_and_verify_client_cert"))
    got = subprocess.run([program("vaultd"), "--config", config, "--check"], capture_output=True, text=True, timeout=60)
    true(got.returncode != 0, "it is refused")
    contains(got.stdout + got.stderr, "tls_require_and_verify_client_cert is not built")


def main():
    try:
        listeners()
        vault.start().init().unseal()
        make()
        root("POST", "sys/auth/cert", {"type": "cert"})
        return tap.run(sys.argv[1:])
    finally:
        vault.remove()


sys.exit(main())
