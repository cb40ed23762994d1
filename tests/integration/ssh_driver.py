#!/usr/bin/env python3
"""The driver ssh-key against a real sshd: vaultd-worker, run as vaultd-spawn would run it.

    tests/integration/ssh_driver.py ['part of a case name' ...]

The administrative key has the rights of docs/ssh-least-privilege.txt and no others.
"""

import os
import socket
import sys
import threading
import types

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
from driver import run_step  # noqa: E402
from keyturn import shim, wait_for  # noqa: E402
from sshd import Sshd  # noqa: E402
from tap import Tap, equal, main, true  # noqa: E402

tap = Tap("tests/integration/ssh_driver.py")
sshd = Sshd(preload=[shim("rename_shim.so")])
sshd.start()
names = iter("deploy%d" % n for n in range(100))
planted = []


def key():
    made = sshd.key()
    planted.append(made.private)
    return made


def run(op, account, **more):
    base = {"driver": "ssh-key", "op": op, "host": "127.0.0.1", "port": sshd.port, "sslmode": "verify-full",
            "server_id": sshd.fingerprint(), "timeout_ms": 30000, "account": account.name,
            "logins": {"admin": (account.name, sshd.admin.private)}, "secret": "01secret", "run": "01run",
            "digest": "00", "attempt": 1}
    base.update(more)
    return run_step(base)


def run_ok(op, account, **more):
    result = run(op, account, **more)
    equal("ok", result["class"], f"{op}: {result['code']} {result['text']}")
    return result


def refuses(kind, code, part, result):
    equal((kind, code), (result["class"], result["code"]), result["text"])
    true(part in result["text"], result["text"])


def probe(account, **logins):
    logins.setdefault("admin", (account.name, sshd.admin.private))
    result = run("probe", account, logins=logins)
    return result, {who: reply["answer"] for who, reply in result["replies"].items()}


def fresh(options="", before="", after=""):
    """An account whose file has one key."""
    old = key()
    account = sshd.account(next(names), "%s%s%s\n%s" % (before, options, old.public, after))
    return account, old


@tap.case("two keys are accepted, then the new one alone; each step may be repeated")
def _():
    account, old = fresh()
    new = key()
    for _ in range(2):
        run_ok("apply", account, public_part=new.public, keep_part=old.public)
        equal("%s keyturn:01secret:01run\n%s keyturn:01secret:01run\n" % (old.public, new.public), account.read())
    equal(("A", "A"), (sshd.login(account.name, old), sshd.login(account.name, new)), "ssh")
    _, answers = probe(account, control=(account.name, key().private), new=(account.name, new.private),
                       old=(account.name, old.private))
    equal({"admin": "accepted", "control": "refused", "new": "accepted", "old": "accepted"}, answers)
    verified = run_ok("verify", account, logins={"new": (account.name, new.private)})
    equal(account.name, verified["session_user"])
    true(verified["server_version"].startswith("SSH-2.0-OpenSSH"), verified["server_version"])
    for _ in range(2):
        run_ok("revoke", account, keep_part=new.public)
        equal("%s keyturn:01secret:01run\n" % new.public, account.read())
    equal(("R", "A"), (sshd.login(account.name, old), sshd.login(account.name, new)), "ssh")
    equal([], account.left(), "what is left beside the file")


@tap.case("42: no last newline, foreign lines, comments, options: byte for byte")
def _():
    other = key()
    before = "# ours\n\n  \t%s someone's \"laptop\"\r\nnot a key at all \\\n" % other.public
    after = "from=\"10.0.0.1\" %s last, without a newline" % other.public
    account, old = fresh("restrict,from=\"127.0.0.1,::1\" ", before, after)
    new = key()
    run_ok("apply", account, public_part=new.public, keep_part=old.public)
    text = account.read()
    true(text.startswith(before), text)
    true(after + "\n" in text, text)
    line = "restrict,from=\"127.0.0.1,::1\" %s keyturn:01secret:01run\n"
    equal(before + line % old.public + after + "\n" + line % new.public, text)
    equal(("A", "A"), (sshd.login(account.name, old), sshd.login(account.name, new)), "ssh")
    run_ok("revoke", account, keep_part=new.public)
    equal(before + after + "\n" + line % new.public, account.read())
    equal("R", sshd.login(account.name, old), "the old one")


@tap.case("42: a symbolic link is refused, as the file and as its folder, and nothing changes")
def _():
    account, old = fresh()
    real = os.path.join(account.home, "elsewhere")
    os.rename(account.path, real)
    os.symlink(real, account.path)
    result = run("apply", account, public_part=key().public, keep_part=old.public)
    refuses("permanent", "unfit", "is a symbolic link", result)
    refuses("permanent", "unfit", "is a symbolic link", run("inspect", account, keep_part=old.public))
    with open(real) as f:
        equal(old.public + "\n", f.read(), "where it leads")
    os.unlink(account.path)
    os.rename(account.folder, account.folder + ".real")
    os.symlink(account.folder + ".real", account.folder)
    refuses("permanent", "unfit", ".ssh is a symbolic link", run("apply", account, public_part=key().public, keep_part=old.public))


@tap.case("42: wrong modes: the file's are mended, the folder's are told, before anything is changed")
def _():
    account, old = fresh()
    new = key()
    os.chmod(account.path, 0o666)
    equal("R", sshd.login(account.name, old), "StrictModes")
    seen = run_ok("inspect", account, keep_part=old.public)
    true("others may write to .ssh/authorized_keys" in " ".join(seen["findings"]), seen["findings"])
    run_ok("apply", account, public_part=new.public, keep_part=old.public)
    equal(0o644, account.mode(), "the file's mode")
    equal(("A", "A"), (sshd.login(account.name, old), sshd.login(account.name, new)), "ssh")
    account.write(account.read(), 0o600)
    run_ok("revoke", account, keep_part=new.public)
    equal(0o600, account.mode(), "the file's mode")
    os.chmod(account.folder, 0o777)
    for op in ("inspect", "apply"):
        refuses("permanent", "unfit", "others may write to .ssh", run(op, account, public_part=old.public, keep_part=new.public))
    os.chmod(account.folder, 0o700)


@tap.case("a host key that is not named is never believed, and nobody's key is offered to it")
def _():
    account, old = fresh()
    before = len(sshd.log())
    for named, part in (("", "the target names none yet"), ("SHA256:" + "A" * 43, "it shows " + sshd.fingerprint()),
                        (sshd.fingerprint()[:-1], "it shows")):
        result = run("apply", account, public_part=key().public, keep_part=old.public, server_id=named)
        refuses("wrong-server", "hostkey", part, result)
        equal(sshd.fingerprint(), result["server_id"], "what it shows")
        result = run("probe", account, server_id=named, logins={"admin": (account.name, sshd.admin.private)})
        equal(("wrong-server", "unknown"), (result["class"], result["replies"]["admin"]["answer"]))
    true("userauth-request" not in sshd.log()[before:], "a login was tried")
    several = "SHA256:" + "A" * 43 + "," + sshd.fingerprint()
    run_ok("apply", account, public_part=key().public, keep_part=old.public, server_id=several)


@tap.case("an account is a name, and no way to another file")
def _():
    account, old = fresh()
    refuses("permanent", "account", "is no account's name",
            run("apply", types.SimpleNamespace(name="../" + account.name), public_part=key().public,
                keep_part=old.public, keys_file="/etc/ssh/keys/%u"))
    equal("%s\n" % old.public, account.read())


@tap.case("what is no answer is no refusal: a closed connection, silence, a wrong administrative key")
def _():
    account, old = fresh()
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        listener.settimeout(60)
        done = threading.Event()

        def serve():
            first = listener.accept()[0]
            first.close()
            second = listener.accept()[0]
            done.wait(60)
            second.close()
        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        try:
            for code in ("closed", "timeout"):
                result = run("probe", account, port=listener.getsockname()[1], connect_timeout_ms=1000,
                             logins={"admin": (account.name, sshd.admin.private), "old": (account.name, old.private)})
                equal(("unreach", code), (result["class"], result["code"]), result["text"])
                equal(("unknown", "unknown"), (result["replies"]["admin"]["answer"], result["replies"]["old"]["answer"]))
        finally:
            done.set()
            thread.join(60)
    result, answers = probe(account, admin=(account.name, key().private), old=(account.name, old.private))
    equal(("refused", "refused", "unknown"), (result["class"], answers["admin"], answers["old"]), result["text"])


@tap.case("the account's other keys are counted and left, the vault's own stale ones are taken out")
def _():
    stale, other = key(), key()
    account, old = fresh(after="%s keyturn:01secret:01before\n%s keyturn:02secret:01run\n" % (stale.public, other.public))
    new = key()
    seen = " ".join(run_ok("inspect", account, keep_part=old.public)["findings"])
    true("has other keys, which are left alone: 1" in seen, seen)
    true("keys of this secret that are not the current one: 1" in seen, seen)
    run_ok("apply", account, public_part=new.public, keep_part=old.public)
    revoked = run_ok("revoke", account, keep_part=new.public)
    true("had 1 keys of this secret besides" in " ".join(revoked["findings"]), revoked["findings"])
    equal(("R", "R", "A", "A"), tuple(sshd.login(account.name, k) for k in (stale, old, other, new)), "ssh")


@tap.case("a key that is in another file, a file without a line to follow: nothing is let in")
def _():
    account, old = fresh()
    account.write("# nothing\n")
    refuses("permanent", "unfit", "AuthorizedKeysFile", run("inspect", account, keep_part=old.public))
    refuses("permanent", "options", "no line of this secret", run("apply", account, public_part=key().public, keep_part=old.public))
    equal("# nothing\n", account.read())
    os.unlink(account.path)
    refuses("permanent", "options", "no line of this secret", run("apply", account, public_part=key().public))
    equal([], account.left(), "what is left in the folder")


@tap.case("what a worker that was killed left behind, its lock and half a file, is no hindrance")
def _():
    account, old = fresh()
    for left in (account.path + ".keyturn-lock", account.path + ".keyturn-01run"):
        with open(left, "w") as f:
            f.write("ssh-ed25519 AAAA")
        sshd.give(left)
    new = key()
    run_ok("apply", account, public_part=new.public, keep_part=old.public)
    equal([], account.left(), "what is left beside the file")
    equal("A", sshd.login(account.name, new))


@tap.case("a worker near its deadline leaves the lock of another alone")
def _():
    account, old = fresh()
    lock = account.path + ".keyturn-lock"
    with open(lock, "w"):
        pass
    sshd.give(lock)
    result = run("apply", account, public_part=key().public, keep_part=old.public, timeout_ms=2500)
    equal("unreach", result["class"], result["text"])
    true(os.path.exists(lock), "the lock is still there")
    equal(old.public + "\n", account.read())


@tap.case("what somebody writes into the file while it is made anew stays in it")
def _():
    account, old = fresh()
    new, other = key(), key()
    hold, said = account.path + ".hold-sync", []
    with open(hold, "w"):
        pass
    thread = threading.Thread(target=lambda: said.append(run("apply", account, public_part=new.public, keep_part=old.public)))
    thread.start()
    try:
        wait_for("the new file to be written", lambda: os.path.exists(hold + ".met"))
        account.write(account.read() + other.public + "\n")
    finally:
        with open(hold + ".go", "w"):
            pass
        thread.join(60)
    refuses("unreach", "exists", "somebody else changes the file (.ssh/authorized_keys)", said[0])
    equal("%s\n%s\n" % (old.public, other.public), account.read(), "the file")
    run_ok("apply", account, public_part=new.public, keep_part=old.public)
    equal(("A", "A", "A"), tuple(sshd.login(account.name, k) for k in (old, other, new)), "ssh")


@tap.case("a folder of somebody else's is not written in by who could be led astray there")
def _():
    account, old = fresh()
    if not sshd.root:
        return
    folder = os.path.join(sshd.folder, "shared")
    os.mkdir(folder)
    path = os.path.join(folder, account.name)
    with open(path, "w") as f:
        f.write(old.public + "\n")
    sshd.give(path)
    os.chmod(folder, 0o755)  # root's, and the login is not root
    result = run("apply", account, public_part=key().public, keep_part=old.public, keys_file=folder + "/%u")
    refuses("permanent", "denied", path, result)


@tap.case("no private key is in the server's debug log, and nothing of it in an answer")
def _():
    account, old = fresh()
    new = key()
    said = [str(run_ok("apply", account, public_part=new.public, keep_part=old.public)),
            str(run_ok("verify", account, logins={"new": (account.name, new.private)})),
            str(run_ok("revoke", account, keep_part=new.public)), sshd.log()]
    true("userauth-request" in said[-1], "the log has logins")
    for private in planted + [sshd.admin.private]:
        for line in private.splitlines()[1:-1]:
            for text in said:
                true(line not in text, "a line of a private key")


if __name__ == "__main__":
    main(tap)
