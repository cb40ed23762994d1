#!/usr/bin/env python3
"""The ldap driver against a real slapd: vaultd-worker, run as vaultd-spawn would run it.

    tests/integration/ldap_driver.py ['part of a case name' ...]

The administrative login has the rights of docs/ldap-least-privilege.ldif and no others. The server has a
password policy that locks an account after three refusals.
"""

import os
import secrets
import socket
import sys
import tempfile
import threading

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
from driver import run_step  # noqa: E402
from pki import Authority  # noqa: E402
from slapd import ADMIN, POLICY, ROOT_DN, SUFFIX, Slapd, fits, own_address, ssha512  # noqa: E402
from tap import Tap, equal, main, true  # noqa: E402

tap = Tap("tests/integration/ldap_driver.py")
slapd = Slapd()
slapd.start()
slapd.least_privilege()
APP, APP_B = slapd.dn("app"), slapd.dn("app_b")
planted = [slapd.admin_password]


def password():
    planted.append(secrets.token_urlsafe(24))
    return planted[-1]


def step(op, server=None, **more):
    server = server or slapd
    base = {"driver": "ldap", "op": op, "host": "127.0.0.1", "port": server.port, "sslmode": "disable",
            "timeout_ms": 30000, "settle_ms": 20, "logins": {"admin": (ADMIN, server.admin_password)},
            "run": "01test", "digest": "00", "attempt": 1}
    base.update(more)
    return base


def run(op, **more):
    return run_step(step(op, **more))


def run_ok(op, **more):
    result = run(op, **more)
    equal("ok", result["class"], f"{op}: {result['code']} {result['text']}")
    return result


def probe(server=None, **logins):
    admin = (ADMIN, (server or slapd).admin_password)
    result = run("probe", server=server, logins={"admin": admin, **logins})
    return result, {who: reply["answer"] for who, reply in result["replies"].items()}


def fresh(*others, server=None):
    """The account with one password that is known, stored as somebody else had stored it; app_b with none."""
    value = password()
    (server or slapd).account("app", value, *others)
    (server or slapd).account("app_b")
    return value


# ---- overlap ------------------------------------------------------------------------------------


@tap.case("overlap: both are accepted, then the new one alone; each step may be repeated")
def _():
    old, new = fresh(), password()
    before, hash = ssha512(old), ssha512(new)
    for _ in range(2):
        run_ok("apply", account=APP, public_part=hash, keep_part=before)
    equal(sorted([hash, old]), slapd.passwords("app"), "what was there before stays as it was")
    _, answers = probe(control=(APP, "never-issued"), new=(APP, new), old=(APP, old))
    equal({"admin": "accepted", "control": "refused", "new": "accepted", "old": "accepted"}, answers)
    equal(APP, run_ok("verify", logins={"new": (APP, new)})["session_user"])
    for _ in range(2):
        run_ok("revoke", account=APP, keep_part=hash)
    equal([hash], slapd.passwords("app"), "values")
    result, answers = probe(control=(APP, "never-issued"), new=(APP, new), old=(APP, old))
    equal(("accepted", "refused"), (answers["new"], answers["old"]))
    equal("49", result["replies"]["old"]["code"])
    equal(("A", "R"), (slapd.login(APP, new), slapd.login(APP, old)), "ldapwhoami")


@tap.case("overlap: going back takes away what was added, and nothing else")
def _():
    stranger = password()
    old, new = fresh(stranger), password()
    hash = ssha512(new)
    run_ok("apply", account=APP, public_part=hash, keep_part=ssha512(old))
    for _ in range(2):
        run_ok("revoke", account=APP, public_part=hash, keep_part=ssha512(old))
    equal(sorted([old, stranger]), slapd.passwords("app"), "values")
    slapd.set(APP, "userPassword", new)
    run_ok("restore", account=APP, public_part=ssha512(old), keep_part=hash)
    equal(("A", "A"), (slapd.login(APP, new), slapd.login(APP, old)), "when the old one was lost")


@tap.case("what is set alone is alone, and what is left alone: a stranger's password ends")
def _():
    stranger = password()
    old, new, third = fresh(stranger), password(), password()
    hash = ssha512(new)
    run_ok("apply", account=APP, public_part=hash, keep_part=ssha512(old))
    equal("A", slapd.login(APP, stranger), "a stranger is not cut off before the end")
    run_ok("revoke", account=APP, keep_part=hash)
    equal("R", slapd.login(APP, stranger))
    run_ok("apply", account=APP, public_part=ssha512(third))
    equal(("A", "R"), (slapd.login(APP, third), slapd.login(APP, new)))


@tap.case("a login that may read passwords finds those that the vault does not have, and tells nothing of them")
def _():
    kept, stranger = ssha512(password()), password()
    fresh()
    slapd.account("app", kept, stranger)
    root = {"admin": (ROOT_DN, slapd.root_password)}
    result = run_ok("inspect", account=APP_B, other_account=APP, logins=root)
    told = [f for f in result["findings"] if f.endswith("does not have as current: 1")]
    equal((1, 1), (len(told), len(result["findings"])), f"findings in {result['findings']}")
    true(stranger not in str(result) and kept[9:20] not in str(result), "nothing of a value")
    equal([], run_ok("inspect", account=APP_B, other_account=APP)["findings"], "who may not read")


@tap.case("a server that cannot check {SSHA512}: going back, the old one works as before")
def _():
    with Slapd(sha2=False) as server:
        server.least_privilege()
        old, new = fresh(server=server), password()
        run_ok("apply", server=server, account=APP, public_part=ssha512(new), keep_part=ssha512(old))
        _, answers = probe(server=server, control=(APP, "never-issued"), new=(APP, new), old=(APP, old))
        equal(("refused", "accepted"), (answers["new"], answers["old"]))
        run_ok("revoke", server=server, account=APP, public_part=ssha512(new), keep_part=ssha512(old))
        equal("A", server.login(APP, old))


# ---- alternate ----------------------------------------------------------------------------------


@tap.case("alternate: the other entry gets a password, the old one has none any more")
def _():
    old, new = fresh(), password()
    for _ in range(2):
        run_ok("apply", account=APP_B, other_account=APP, public_part=ssha512(new))
    equal(("A", "A"), (slapd.login(APP_B, new), slapd.login(APP, old)), "both")
    admin = (ADMIN, slapd.admin_password)
    for who in ("new", "old"):
        result = run("revoke", account=APP, other_account=APP_B, logins={"admin": admin, who: (APP_B, password())})
        equal(("unreach", "stays"), (result["class"], result["code"]), "the one that stays is asked first")
        equal("A", slapd.login(APP, old), "nothing was ended")
    for _ in range(2):
        run_ok("revoke", account=APP, other_account=APP_B, logins={"admin": admin, "new": (APP_B, new)})
    equal(("A", "R", []), (slapd.login(APP_B, new), slapd.login(APP, old), slapd.passwords("app")))
    _, answers = probe(control=(APP, "never-issued"), new=(APP_B, new), old=(APP, old))
    equal({"admin": "accepted", "control": "refused", "new": "accepted", "old": "refused"}, answers)


@tap.case("an entry that is not there is not made")
def _():
    nobody = slapd.dn("nobody")
    for op in ("apply", "create"):
        result = run(op, account=nobody, public_part=ssha512(password()))
        equal(("permanent", "missing"), (result["class"], result["code"]), op)
    run_ok("revoke", account=nobody)
    result = run("inspect", account=nobody)
    equal(("permanent", "unfit"), (result["class"], result["code"]), result["text"])
    fresh()
    run_ok("create", account=APP)


# ---- the password policy --------------------------------------------------------------------------


@tap.case("no account is locked by the refusals of a run, where three lock it (41)")
def _():
    old, new = fresh(), password()
    hash, control = ssha512(new), (APP, "never-issued")
    for _ in range(3):  # what a run asks, three times over: nobody else logs in meanwhile
        probe(control=control, old=(APP, old))
        run_ok("apply", account=APP, public_part=hash, keep_part=ssha512(old))
        _, answers = probe(control=control, new=(APP, new), old=(APP, old))
        equal(("accepted", "accepted"), (answers["new"], answers["old"]))
        run_ok("revoke", account=APP, keep_part=hash)
        for _ in range(2):
            _, answers = probe(control=control, new=(APP, new), old=(APP, old))
            equal(("accepted", "refused"), (answers["new"], answers["old"]))
            true(len(slapd.read(APP, "pwdFailureTime")) < 3, "fewer than three refusals in a row")
        equal([], slapd.read(APP, "pwdAccountLockedTime"), "locked")
        old, new = new, password()
        hash = ssha512(new)


@tap.case("a locked account: the right password is refused, and that proves nothing")
def _():
    old = fresh()
    for _ in range(3):
        equal("R", slapd.login(APP, "never-issued"))
    equal("R", slapd.login(APP, old), "the right one, to whom no policy is asked about")
    for told in ("FALSE", "TRUE"):
        slapd.set("olcOverlay={0}ppolicy,olcDatabase={1}mdb,cn=config", "olcPPolicyUseLockout", told)
        result, answers = probe(control=(APP, "never-issued"), old=(APP, old))
        equal(("unreach", "locked", "unknown", "unknown"),
              (result["class"], result["code"], answers["control"], answers["old"]), result["text"])
        result, answers = probe(old=(APP, old))
        equal(("unknown", "locked", False), (answers["old"], result["replies"]["old"]["code"],
                                             result["replies"]["old"]["barred"]))
    true(any("is locked since" in f for f in run_ok("inspect", account=APP)["findings"]), "a finding")


@tap.case("a policy that wants the password changed first: accepted, and of no use")
def _():
    old, new = fresh(), password()
    slapd.set(POLICY, "pwdMustChange", "TRUE")
    try:
        run_ok("apply", account=APP, public_part=ssha512(new), keep_part=ssha512(old))
        run_ok("verify", logins={"new": (APP, new)})  # what is set with these few rights is no reset
        slapd.set(APP, "pwdReset", "TRUE")
        _, answers = probe(control=(APP, "never-issued"), new=(APP, new))
        equal("accepted", answers["new"])
        result = run("verify", logins={"new": (APP, new)})
        equal(("permanent", "reset"), (result["class"], result["code"]), result["text"])
        true(any("pwdReset" in f for f in run_ok("inspect", account=APP)["findings"]), "a finding")
    finally:
        slapd.set(POLICY, "pwdMustChange", "FALSE")


@tap.case("a policy that asks administrators for the old password, too: nothing is changed")
def _():
    old = fresh()
    slapd.set(POLICY, "pwdSafeModify", "TRUE")
    try:
        result = run("apply", account=APP, public_part=ssha512(password()), keep_part=ssha512(old))
        equal(("permanent", [old]), (result["class"], slapd.passwords("app")), result["text"])
        true("Must supply old password" in result["text"], result["text"])
    finally:
        slapd.set(POLICY, "pwdSafeModify", "FALSE")


@tap.case("a policy that wants time between two changes: going on waits for it, going back need not")
def _():
    old, new = fresh(), password()
    hash = ssha512(new)
    run_ok("apply", account=APP, public_part=hash, keep_part=ssha512(old))
    slapd.set(POLICY, "pwdMinAge", "3600")
    try:
        for op, parts, wanted in (("apply", {"public_part": ssha512("x"), "keep_part": hash}, "permanent"),
                                  ("revoke", {"keep_part": hash}, "unreach")):
            result = run(op, account=APP, **parts)
            equal((wanted, "age"), (result["class"], result["code"]), result["text"])
        run_ok("revoke", account=APP, public_part=hash, keep_part=ssha512(old))
        equal([old], slapd.passwords("app"), "values")
    finally:
        slapd.set(POLICY, "pwdMinAge", "0")


@tap.case("a policy that refuses hashes says so, and the value is not blamed")
def _():
    old = fresh()
    slapd.set(POLICY, "pwdCheckQuality", "2")
    try:
        result = run("apply", account=APP, public_part=ssha512(password()), keep_part=ssha512(old))
        equal(("permanent", "quality", [old]), (result["class"], result["code"], slapd.passwords("app")), result["text"])
        true("pwdCheckQuality has to be 0 or 1" in result["text"], result["text"])
    finally:
        slapd.set(POLICY, "pwdCheckQuality", "1")


@tap.case("an expired password is not dead: it was right; and what is left of its grace is told")
def _():
    old = fresh()
    slapd.set(POLICY, "pwdMaxAge", "1")
    slapd.root(f"dn: {APP}\nchangetype: modify\nreplace: pwdChangedTime\npwdChangedTime: 20200101000000Z\n",
               relax=True)
    try:
        result, answers = probe(control=(APP, "never-issued"), old=(APP, old))
        reply = result["replies"]["old"]
        equal(("refused", "unknown", "expired", True),
              (answers["control"], reply["answer"], reply["code"], reply["barred"]))
        slapd.set(POLICY, "pwdGraceAuthNLimit", "2")
        for left in (1, 0):
            result, answers = probe(control=(APP, "never-issued"), old=(APP, old))
            equal("accepted", answers["old"], result["text"])
            equal([True], ["%d logins are left" % left in f for f in result["findings"]], str(result["findings"]))
        result, _ = probe(control=(APP, "never-issued"), old=(APP, old))
        equal(("expired", []), (result["replies"]["old"]["code"], result["findings"]))
    finally:
        slapd.set(POLICY, "pwdGraceAuthNLimit", "0")
        slapd.set(POLICY, "pwdMaxAge", "0")


@tap.case("a policy with a history: one that was used before is set again, and two changes in one second")
def _():
    slapd.set(POLICY, "pwdInHistory", "3")
    try:
        old, new = fresh(), password()
        hash = ssha512(new)
        run_ok("apply", account=APP, public_part=hash, keep_part=ssha512(old))
        run_ok("revoke", account=APP, keep_part=hash)
        equal([hash], slapd.passwords("app"), "values")
        run_ok("apply", account=APP, public_part=ssha512(old), keep_part=hash)
        run_ok("revoke", account=APP, public_part=hash, keep_part=ssha512(old))
        equal(("A", "R"), (slapd.login(APP, old), slapd.login(APP, new)))
        true(slapd.read(APP, "pwdHistory"), "a history")
    finally:
        slapd.set(POLICY, "pwdInHistory", "0")


# ---- servers that do not do as they should --------------------------------------------------------


@tap.case("an administrator with a wrong password, or without the right, is told so")
def _():
    fresh()
    result = run("apply", account=APP, public_part=ssha512(password()), logins={"admin": (ADMIN, "never-issued")})
    equal(("refused", "49"), (result["class"], result["code"]), result["text"])
    result = run("apply", account="ou=services," + SUFFIX, public_part=ssha512(password()))
    equal(("permanent", "50"), (result["class"], result["code"]), result["text"])
    result, answers = probe(control=(ADMIN, "never-issued"))
    equal(("accepted", "refused"), (answers["admin"], answers["control"]), result["text"])


@tap.case("least privilege: the login reads no password, and changes nothing else")
def _():
    old = fresh()
    said, status = slapd.client("ldapsearch", ADMIN, slapd.admin_password, "-LLL", "-b",
                                SUFFIX, "(objectClass=inetOrgPerson)", "*", "+")
    equal((0, 2), (status, said.count("dn:")), said)
    true(old not in said and "userPassword" not in said and "cn: app" not in said, f"nothing in {said!r}")
    said, status = slapd.client("ldapmodify", ADMIN, slapd.admin_password,
                                input=f"dn: {APP}\nchangetype: modify\nreplace: sn\nsn: x\n")
    equal(50, status, said)


@tap.case("a login without a name or a password is never tried: every server lets it in")
def _():
    for login in ((APP, ""), ("", "x"), ("", "")):
        fresh()
        result, answers = probe(control=(APP, "never-issued"), new=login)
        equal(("unknown", "empty"), (answers["new"], result["replies"]["new"]["code"]), str(login))
    result = run("inspect", account=APP, logins={"admin": (ADMIN, "")})
    equal(("permanent", "empty"), (result["class"], result["code"]), result["text"])


@tap.case("a hash that is none is never sent")
def _():
    fresh()
    whole, before = ssha512("x"), slapd.log().count(" MOD ")
    for bad in ("", "plain", "{SSHA512}zz", whole[:-1], whole + "=", whole.replace("SSHA512", "SSHA256"),
                whole.lower(), "{SSHA512}" + "A" * 108, ssha512("x", b"short"), " " + whole):
        result = run("apply", account=APP, public_part=bad)
        equal(("permanent", "hash"), (result["class"], result["code"]), bad)
        if bad:
            result = run("revoke", account=APP, keep_part=bad)
            equal(("permanent", "hash"), (result["class"], result["code"]), bad)
    equal(before, slapd.log().count(" MOD "), "changes at the server")


@tap.case("another directory is told apart, by what its replicas share")
def _():
    fresh()
    known = run_ok("inspect", account=APP)["server_id"]
    equal(slapd.read(SUFFIX, "entryUUID"), [known])
    run_ok("apply", account=APP, public_part=ssha512(password()), server_id=known)
    with Slapd() as other:
        other.least_privilege()
        result = run("apply", server=other, account=APP, public_part=ssha512(password()), server_id=known)
        equal(("wrong-server", "server"), (result["class"], result["code"]), result["text"])
    result = run("apply", account=APP, public_part=ssha512(password()), server_id=known,
                 logins={"admin": (APP_B, "x")})
    equal("refused", result["class"], result["text"])


class Fake:
    """A server that says what it is told to, whatever it is asked; to its first client."""

    def __init__(self, *answers, address=("127.0.0.1", 0)):
        self.answers = answers
        self.listener = socket.create_server(address)
        self.host, self.port = self.listener.getsockname()
        self.admin_password, self.heard = "never-issued", []
        self.thread = threading.Thread(target=self.serve, daemon=True)
        self.thread.start()

    def serve(self):
        while True:
            client, _ = self.listener.accept()
            with client:
                for answer in self.answers:
                    self.heard.append(client.recv(65536))
                    client.sendall(answer)
                while client.recv(65536):
                    continue


def message(number, op, body, controls=b""):
    inner = bytes([2, 1, number, op, len(body)]) + body + controls
    return bytes([0x30, len(inner)]) + inner


def bound(result, text=b"", controls=b"", number=1):
    return message(number, 0x61, bytes([10, 1, result, 4, 0, 4, len(text)]) + text, controls)


@tap.case("a server that lets everybody in, a replica, nonsense, silence: nothing is believed")
def _():
    result = run("probe", server=Fake(bound(0)), sslmode="disable",
                 logins={"control": (APP, "never-issued"), "new": (APP, "never-either")})
    equal(("ok", "accepted", "unknown"), (result["class"], result["replies"]["control"]["answer"],
                                          result["replies"]["new"]["answer"]), result["text"])
    for answers, wanted in (
            ((bound(10, b"ldap://elsewhere"),), ("unreach", "10")), ((bound(51),), ("unreach", "51")),
            ((bound(13, b"TLS"),), ("permanent", "13")), ((b"HTTP/1.1 400 Bad Request\r\n\r\n",), ("unreach", "protocol")),
            ((b"\x30\x84\x7f\xff\xff\xff\x02",), ("unreach", "protocol")), ((b"\x30\x80\0\0",), ("unreach", "protocol")),
            ((bound(0, number=2),), ("unreach", "protocol")), ((bound(0) + bound(0),), ("unreach", "protocol")),
            ((message(0, 0x78, bytes([10, 1, 52, 4, 0, 4, 3]) + b"bye"),), ("unreach", "closed")),
            ((bound(0), b"\x30\x03\x02\x01"), ("unreach", "timeout"))):
        short = {"statement_timeout_ms": 300} if wanted[1] == "timeout" else {}  # else a busy machine is taken for it
        result = run("apply", server=Fake(*answers), account=APP, public_part=ssha512("x"), **short)
        equal(wanted, (result["class"], result["code"]), result["text"])
    result = run("probe", port=1, logins={"admin": (ADMIN, "x")})
    equal(("unreach", "connect"), (result["class"], result["code"]), result["text"])


# ---- ways to the server ---------------------------------------------------------------------------


def stranger():
    """A certificate that no server of ours has."""
    with tempfile.TemporaryDirectory() as folder:
        return Authority(folder, "stranger").pem


@tap.case("TLS: verified by the target's CA, and not by another")
def _():
    old, new = fresh(), password()
    with open(slapd.ca) as f:
        ca = f.read()
    tls = {"port": slapd.tls_port}
    for mode in ("verify-full", "verify-ca", "require"):
        run_ok("apply", account=APP, public_part=ssha512(new), keep_part=ssha512(old), sslmode=mode,
               ca="" if mode == "require" else ca, **tls)
    result = run("inspect", account=APP, sslmode="verify-full", **tls)
    equal(("unreach", "tls"), (result["class"], result["code"]), "the system's: " + result["text"])
    result = run("inspect", account=APP, sslmode="verify-full", ca=ca, host="localhost", **tls)
    equal(("unreach", "tls"), (result["class"], result["code"]), "another name: " + result["text"])
    other = stranger()
    for mode in ("verify-full", "verify-ca", "require"):
        result = run("inspect", account=APP, sslmode=mode, ca=other, **tls)
        equal(("unreach", "tls"), (result["class"], result["code"]), "another CA, " + mode + ": " + result["text"])
    result = run("inspect", account=APP, **tls)
    equal("unreach", result["class"], "without TLS: " + result["text"])
    result = run("inspect", account=APP, sslmode="require", ca=ca)
    equal("unreach", result["class"], "TLS where there is none: " + result["text"])


@tap.case("StartTLS at LDAP's own port: nothing is said before it, and nothing without it")
def _():
    if slapd.own_address is None:
        print("[  SKIPPED ] StartTLS: port 389 takes root")
        return
    old, new = fresh(), password()
    with open(slapd.ca) as f:
        ca = f.read()
    own = {"host": slapd.own_address, "port": 389}
    for mode in ("verify-full", "verify-ca", "require"):
        run_ok("apply", account=APP, public_part=ssha512(new), keep_part=ssha512(old), sslmode=mode, ca=ca, **own)
        said = slapd.log().rsplit("ACCEPT", 1)[1]
        true(-1 < said.find("TLS established") < said.find("BIND dn"), "TLS before the login")
    result = run("inspect", account=APP, sslmode="require", ca=stranger(), **own)
    equal(("unreach", "tls"), (result["class"], result["code"]), "another CA: " + result["text"])
    for answer in (message(1, 0x78, bytes([10, 1, 0, 4, 0, 4, 0])) + b"injected",
                   message(1, 0x78, bytes([10, 1, 2, 4, 0, 4, 7]) + b"no TLS!"),
                   message(1, 0x78, bytes([10, 1, 0, 4, 0, 4, 0])) + bound(0)):
        fake = Fake(answer, address=(own_address(), 389))
        result = run("inspect", server=fake, host=fake.host, account=APP, sslmode="require")
        equal("unreach", result["class"], result["text"])
        true(fake.admin_password.encode() not in b"".join(fake.heard) and len(fake.heard) == 1, "no login")


@tap.case("by a Unix socket")
def _():
    old, new = fresh(), password()
    run_ok("apply", host=slapd.socket, account=APP, public_part=ssha512(new), keep_part=ssha512(old))
    equal(("A", "A"), (slapd.login(APP, new), slapd.login(APP, old)))


# ---- what is left behind --------------------------------------------------------------------------


@tap.case("no password and no hash is in the server's log, nor in what the worker says")
def _():
    old, new, wrong = fresh(), password(), password()
    said = [str(run_ok("apply", account=APP, public_part=ssha512(new), keep_part=ssha512(old))),
            str(probe(control=(APP, wrong), new=(APP, new), old=(APP, old))),
            str(run_ok("revoke", account=APP, keep_part=ssha512(new))),
            str(run("apply", account="ou=services," + SUFFIX, public_part=ssha512(new)))]
    log = slapd.log()
    true("MOD attr=userPassword" in log, "our changes in the log")
    for value in planted + slapd.passwords("app"):
        true(value not in log, "no value in the log")
        true(value not in "".join(said), "no value in what the worker says")
    true(fits(slapd.passwords("app")[0], new), "the hash of the new one")


@tap.case("the sandbox lacks no layer that it has for another driver")
def _():
    fresh()
    equal(run_ok("inspect", account=APP)["missing_layers"],
          run_step(step("inspect", driver="postgresql", database="x", account="x"))["missing_layers"])


main(tap)
