#!/usr/bin/python3
"""What people get wrong with vaultd: each gives one message that says what to do, and loses nothing.

    tests/conformance/people.py ['part of a case name']
"""
import os
import pwd
import shutil
import socket
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
from keyturn import Vault, free_port, program  # noqa: E402
from tap import Mismatch, Tap, equal, true  # noqa: E402
from wire import Wire, error, wants  # noqa: E402

tap = Tap("tests/conformance/people.py")
AS_ROOT = os.getuid() == 0


def owned(path):
    if AS_ROOT:
        shutil.chown(path, "keyturn", "keyturn")


def contains(text, *parts):
    for part in parts:
        if part not in text:
            raise Mismatch("expected %r in %r" % (part, text[-1500:]))


def refuses(vault, *parts, args=()):
    """vaultd does not start: exit 1, one line that says what is wrong and what to do."""
    done = subprocess.run([program("vaultd"), "--config", vault.config_path, *args], text=True,
                          capture_output=True, stdin=subprocess.DEVNULL, timeout=60)
    equal(1, done.returncode, "exit status of %r" % done.stderr)
    lines = [line for line in done.stderr.splitlines() if line.startswith("<3>")]
    equal(1, len(lines), "messages in %r" % done.stderr)
    contains(lines[0], 'error="', '" next="', *parts)


def filled(vault):
    """A vault with something in it; what() asks whether it is still there."""
    vault.ready()
    wire = Wire(vault)
    wire.ok("POST", "secret/data/kept", {"data": {"k": "precious"}})
    return wire


def kept(vault):
    wire = Wire(vault)
    equal("precious", wire.ok("GET", "secret/data/kept").data["data"]["k"])
    wire.ok("POST", "secret/data/more", {"data": {}})
    wire.close()


def unseal(vault, share):
    wire = Wire(vault)
    reply = wire.ask("PUT", "sys/unseal", {"key": share}, token=None)
    wire.close()
    return reply


# ---- shares --------------------------------------------------------------------------------------

@tap.case("a wrong key share")
def _():
    with Vault() as vault:
        filled(vault).close()
        vault.stop()
        vault.start()
        typo = vault.shares[0][:20] + ("0" if vault.shares[0][20] != "0" else "1") + vault.shares[0][21:]
        for share in (typo, vault.shares[1]):
            equal(200, unseal(vault, share).status)
        said = error(unseal(vault, vault.shares[2]), 400, "Unseal failed, invalid key").errors
        contains(" ".join(said), "again")
        true(typo not in str(said), "no share in the message")
        for short in (vault.shares[0][:-2], "hello", ""):
            error(unseal(vault, short), 400, "hex or base64" if short else "key")
        vault.unseal()
        kept(vault)


@tap.case("the same share twice")
def _():
    with Vault() as vault:
        filled(vault).close()
        vault.stop()
        vault.start()
        for _ in range(4):
            reply = wants(unseal(vault, vault.shares[0]), 200)
            equal((1, True), (reply.json["progress"], reply.json["sealed"]))
        for share in vault.shares[1:3]:
            reply = unseal(vault, share)
        equal(False, reply.json["sealed"])
        kept(vault)


@tap.case("a share of another vault")
def _():
    with Vault() as vault, Vault() as other:
        filled(vault).close()
        other.start().init()
        vault.stop()
        vault.start()
        for share in (vault.shares[0], other.shares[1]):
            equal(200, unseal(vault, share).status)
        said = error(unseal(vault, vault.shares[2]), 400, "Unseal failed, invalid key").errors
        contains(" ".join(said), "not this vault's", "enter them again")
        vault.unseal()
        kept(vault)


# ---- ports and certificates ----------------------------------------------------------------------

@tap.case("a port in use")
def _():
    with Vault() as vault:
        filled(vault).close()
        vault.stop()
        with socket.socket() as taken:
            taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            taken.bind(("127.0.0.1", vault.port))
            taken.listen()
            refuses(vault, "cannot listen on 127.0.0.1:%d" % vault.port, "another program has this port")
        vault.start().unseal()
        kept(vault)


@tap.case("the vault is started twice")
def _():
    with Vault() as vault:
        filled(vault).close()
        first, vault.port = vault.port, free_port()
        vault.write_config()
        refuses(vault, "in use by another vaultd", "stop that one first")
        vault.port = first
        kept(vault)


def certificate_until(folder, end):
    """A self-signed pair that was valid from 2020 to `end` (YYMMDDHHMMSSZ)."""
    home = tempfile.mkdtemp(prefix="kt-ca-")
    crt, key = os.path.join(folder, "tls.crt"), os.path.join(folder, "tls.key")
    try:
        with open(os.path.join(home, "ca.cnf"), "w") as f:
            f.write("[ca]\ndefault_ca=a\n[a]\ndatabase=%s/index\nserial=%s/serial\nnew_certs_dir=%s\n"
                    "default_md=sha256\npolicy=p\nx509_extensions=x\nunique_subject=no\n[p]\ncommonName=supplied\n"
                    "[x]\nsubjectAltName=IP:127.0.0.1\n" % (home, home, home))
        open(os.path.join(home, "index"), "w").close()
        with open(os.path.join(home, "serial"), "w") as f:
            f.write("01\n")
        subprocess.run(["openssl", "req", "-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256",
                        "-nodes", "-subj", "/CN=127.0.0.1", "-keyout", key, "-out", home + "/csr"],
                       check=True, capture_output=True)
        subprocess.run(["openssl", "ca", "-batch", "-selfsign", "-config", home + "/ca.cnf", "-keyfile", key,
                        "-in", home + "/csr", "-startdate", "200101000000Z", "-enddate", end, "-notext",
                        "-out", crt], check=True, capture_output=True)
    finally:
        shutil.rmtree(home)
    os.chmod(crt, 0o644)
    os.chmod(key, 0o600)
    owned(key)


@tap.case("an expired certificate")
def _():
    with Vault(tls=True) as vault:
        vault.ready()
        vault.ok("POST", "secret/data/kept", {"data": {"k": "precious"}})
        vault.stop()
        certificate_until(vault.folder, "210101000000Z")
        refuses(vault, "expired on 2021-01-01", "put a renewed certificate there")
        vault.certificate()
        vault.start().unseal()
        equal("precious", vault.ok("GET", "secret/data/kept").data["data"]["k"])


# ---- data folders --------------------------------------------------------------------------------

@tap.case("the data folder of another vault")
def _():
    with Vault() as vault, Vault() as other:
        filled(vault).close()
        other.ready()
        vault.stop()
        other.stop()
        mine = vault.data
        vault.data = other.data
        vault.write_config()
        vault.start()
        for share in vault.shares[:2]:
            equal(200, unseal(vault, share).status)
        said = error(unseal(vault, vault.shares[2]), 400, "Unseal failed, invalid key").errors
        contains(" ".join(said), "not this vault's", "enter them again")
        vault.stop()
        vault.data = mine
        vault.write_config()
        vault.start().unseal()
        kept(vault)
        other.start().unseal()
        equal(200, other.call("GET", "sys/mounts").status)


@tap.case("the audit log of another vault beside the database")
def _():
    with Vault() as vault, Vault() as other:
        filled(vault).close()
        other.ready()
        vault.stop()
        other.stop()
        mine, theirs = os.path.join(vault.data, "audit"), os.path.join(other.data, "audit")
        os.rename(mine, mine + ".kept")
        shutil.copytree(theirs, mine)
        for folder, _, files in os.walk(mine):
            for name in [folder] + [os.path.join(folder, f) for f in files]:
                owned(name)
        vault.start()
        for share in vault.shares[:3]:
            reply = unseal(vault, share)
        true(reply.status >= 400, "a refusal, not %s" % reply)
        contains(" ".join(reply.errors), "log")
        equal(2, len(reply.errors), "what is wrong and what to do in %s" % reply)
        true(wants(Wire(vault).ask("GET", "sys/seal-status", token=None), 200).json["sealed"], "still sealed")
        vault.stop()
        shutil.rmtree(mine)
        os.rename(mine + ".kept", mine)
        vault.start().unseal()
        kept(vault)


class SmallDisk:
    """A file system of its own for the data folder, if this machine lets us mount one."""

    def __init__(self, vault, size):
        self.data, self.size, self.mounted = vault.data, size, False

    def mount(self, *options):
        done = subprocess.run(["mount", *options, self.data], capture_output=True, text=True)
        self.mounted = self.mounted or done.returncode == 0
        return done.returncode == 0

    def __enter__(self):
        self.mount("-t", "tmpfs", "-o", "size=%s,mode=0700" % self.size, "tmpfs")
        if self.mounted:
            owned(self.data)
        return self

    def __exit__(self, *_):
        if self.mounted:
            subprocess.run(["umount", "-l", self.data], check=True)


def skip(why):
    print("# skipped: " + why, flush=True)


@tap.case("a data folder that is read-only")
def _():
    with Vault() as vault, SmallDisk(vault, "256m") as disk:
        if not disk.mounted:
            return skip("no file system can be mounted here")
        filled(vault).close()
        vault.stop()
        disk.mount("-o", "remount,ro")
        refuses(vault, vault.data, "read-only file system", "mount it for writing")
        disk.mount("-o", "remount,rw")
        vault.start().unseal()
        kept(vault)
        vault.kill()


@tap.case("a disk that is full before the start")
def _():
    with Vault() as vault, SmallDisk(vault, "256m") as disk:
        if not disk.mounted:
            return skip("no file system can be mounted here")
        filled(vault).close()
        vault.stop()
        filler = os.path.join(vault.data, "filler")
        with open(filler, "wb", buffering=0) as f:
            try:
                while True:
                    f.write(b"x" * 65536)
            except OSError:
                pass
        # Whether it starts or not: it says so, and it is all there when there is room again.
        try:
            vault.start()
            for share in vault.shares[:3]:
                reply = unseal(vault, share)
            if reply.status != 200:
                contains(" ".join(reply.errors), "room")
            vault.kill()
        except AssertionError:
            contains(vault.log_text(), "is full", "make room")
        os.unlink(filler)
        vault.start().unseal()
        kept(vault)
        vault.kill()


@tap.case("a disk that gets full at work")
def _():
    with Vault() as vault, SmallDisk(vault, "48m") as disk:
        if not disk.mounted:
            return skip("no file system can be mounted here")
        wire = filled(vault)
        written, refusals = 0, []
        while len(refusals) < 10 and written < 2000:
            reply = wire.ask("POST", "secret/data/fill/%d" % written, {"data": {"k": "x" * 100000}})
            if reply.status == 200:
                written += 1
            else:
                refusals.append(error(reply, 500, "full"))
        true(refusals, "a refusal when the disk is full")
        for reply in refusals:
            contains(" ".join(reply.errors), "nothing was changed", "make room")
            equal(["errors"], list(reply.json))
        # Reading, deleting and revoking go on.
        equal("precious", wire.ok("GET", "secret/data/kept").data["data"]["k"])
        wants(wire.ask("DELETE", "secret/metadata/fill/0"), 204)
        token = wire.ask("POST", "auth/token/create", {"policies": ["default"]})
        if token.status == 200:
            wants(wire.ask("POST", "auth/token/revoke", {"token": token.auth["client_token"]}), 204)
        disk.mount("-o", "remount,size=256m")
        wire.close()
        kept(vault)
        vault.restart()
        wire = Wire(vault)
        for i in range(1, written):
            equal(100000, len(wire.ok("GET", "secret/data/fill/%d" % i).data["data"]["k"]), "number %d" % i)
        wire.close()
        kept(vault)
        vault.kill()


# ---- users and configurations --------------------------------------------------------------------

@tap.case("started as root without the user to change to")
def _():
    if not AS_ROOT:
        return skip("not root")
    with Vault() as vault:
        filled(vault).close()
        vault.stop()
        refuses(vault, "there is no user 'kt-no-such-user'", "useradd --system", args=("--user", "kt-no-such-user"))
        equal("keyturn", pwd.getpwuid(os.stat(vault.data).st_uid).pw_name)
        vault.start().unseal()
        kept(vault)


@tap.case("--check names every mistake at once")
def _():
    with Vault() as vault:
        with open(vault.config_path, "w") as f:
            f.write('storage "lmdb" { pth = "%s" }\n'
                    'storge "lmdb" {}\n'
                    'listener "tcp" { address = "127.0.0.1" tls_disable = "maybe" }\n'
                    'audit "fiel" { path = "/tmp/x" }\n'
                    'log_level = "loud"\n' % vault.data)
        done = subprocess.run([program("vaultd"), "--config", vault.config_path, "--check"], text=True,
                              capture_output=True, timeout=30)
        equal(1, done.returncode)
        contains(done.stderr, "pth", "did you mean 'path'?", "storge", "did you mean 'storage'?", "tls_disable",
                 "fiel", "log_level", "vaultd.hcl:1:", "vaultd.hcl:5:")
        vault.write_config()
        done = subprocess.run([program("vaultd"), "--config", vault.config_path, "--check"], text=True,
                              capture_output=True, timeout=30)
        equal(0, done.returncode, done.stderr)
        equal([], os.listdir(vault.data), "files that --check made")


@tap.case("a setting that is misspelt does not stop a vault, and is named")
def _():
    with Vault(config='max_lease_tttl = "1h"') as vault:
        filled(vault).close()
        contains(vault.log_text(), "max_lease_tttl")
        kept(vault)


if __name__ == "__main__":
    sys.exit(tap.run(sys.argv[1:]))
