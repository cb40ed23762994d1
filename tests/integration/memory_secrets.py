#!/usr/bin/python3
"""What is in vaultd's memory: every page is read through /proc/PID/mem, as root.

    tests/integration/memory_secrets.py ['part of a case name']

While it serves, keys are nowhere but in the guarded slab, and the credential that opened it is nowhere. After seal
and the end of all connections no key, token, share or planted value is in any page. No core is dumped, and none could be, not even into
a pipe: the process is undumpable, whatever core_pattern says, and its slab is left out of any dump.
"""
import array
import base64
import http.client
import json
import os
import random
import re
import shutil
import ssl
import string
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
from keyturn import DEADLINE, Report, Vault, equal, free_port, wait_for  # noqa: E402

KEY = 32
PAGE = 4096
MARK = "".join(random.choice(string.ascii_letters + string.digits) for _ in range(24))


# ---- reading a process -----------------------------------------------------------------------------

class Region:
    def __init__(self, start, end, perms, name):
        self.start, self.end, self.perms, self.name, self.flags = start, end, perms, name, []

    @property
    def guarded(self):
        """lib/secret.h: locked, left out of dumps, wiped in children."""
        return {"lo", "dd", "wf"} <= set(self.flags)

    @property
    def kind(self):
        if self.guarded:
            return "guarded slab"
        if self.name.startswith("/"):
            return os.path.basename(self.name)
        return self.name or "anonymous"


def regions(pid):
    found = []
    with open("/proc/%d/smaps" % pid) as f:
        for line in f:
            head = re.match(r"([0-9a-f]+)-([0-9a-f]+) (\S+) \S+ \S+ \S+\s*(.*)", line)
            if head:
                found.append(Region(int(head[1], 16), int(head[2], 16), head[3], head[4].strip()))
            elif line.startswith("VmFlags:"):
                found[-1].flags = line.split()[1:]
    return found


def runs(pagemap, region):
    """(start, size) of what is in memory or swapped out; the rest was never touched."""
    count = (region.end - region.start) // PAGE
    pages = array.array("Q")
    while count > 0:
        part = os.pread(pagemap.fileno(), min(count, 1 << 16) * 8,
                        (region.start // PAGE + len(pages)) * 8)
        if not part:
            break
        pages.frombytes(part)
        count -= len(part) // 8
    at = 0
    while at < len(pages):
        begun = at
        while at < len(pages) and pages[at] >> 62:
            at += 1
        if at > begun:
            yield region.start + begun * PAGE, (at - begun) * PAGE
        at += 1


def contents(pid):
    """(region, bytes) of every page that is the process's own: all but the text of programs."""
    with open("/proc/%d/mem" % pid, "rb", buffering=0) as memory, \
            open("/proc/%d/pagemap" % pid, "rb", buffering=0) as pagemap:
        for region in regions(pid):
            of_a_file = region.name.startswith("/") and "w" not in region.perms
            data_file = region.name.endswith(".mdb") or "/audit/" in region.name
            if region.name in ("[vvar]", "[vsyscall]") or (of_a_file and not data_file):
                continue
            size = region.end - region.start
            if data_file:  # the map is larger than the file
                size = min(size, os.path.getsize(region.name) // PAGE * PAGE)
                region.end = region.start + size
            for start, length in runs(pagemap, region):
                try:
                    yield region, os.pread(memory.fileno(), length, start)
                except OSError as error:  # a guard page that was written, then closed
                    if "r" in region.perms:
                        raise AssertionError("%s cannot be read: %s" % (region.kind, error)) from None


def in_base64(data):
    for shift in range(3):
        text = base64.b64encode(bytes(shift) + data)
        yield text[4 if shift else 0:len(data) // 3 * 4 - 4]


class Search:
    """Names of what is looked for, by their bytes; one pass over the memory."""

    def __init__(self):
        self.patterns = {}

    def text(self, name, text):
        data = text.encode()
        self.patterns[data] = name
        self.patterns[text.encode("utf-16-le")] = name + " in UTF-16"
        for part in in_base64(data):
            self.patterns[part] = name + " in base64"

    def bytes(self, name, data):
        self.patterns[data] = name

    def run(self, pid, besides=()):
        """{(name, kind of region): times}, and how much was looked at."""
        found, looked = {}, 0
        for region, data in contents(pid):
            looked += len(data)
            if region.kind in besides:
                continue
            for pattern, name in self.patterns.items():
                times = data.count(pattern)
                if times:
                    found[name, region.kind] = found.get((name, region.kind), 0) + times
        return found, looked


def slab_keys(pid):
    """The slots of the guarded slabs that hold something that looks like a key."""
    keys = set()
    for region, data in contents(pid):
        if not region.guarded:
            continue
        # The slab ends where its page ends; its slots are counted from there.
        for at in range(len(data) % KEY, len(data), KEY):
            slot = data[at:at + KEY]
            # The allocator's canary in front of the slab is half a slot.
            if min(len(set(slot[:KEY // 2])), len(set(slot[KEY // 2:]))) > 8:
                keys.add(bytes(slot))
    return keys


# ---- the session -----------------------------------------------------------------------------------

class Session:
    def __init__(self):
        self.vault = Vault(tls=True)
        self.plain = free_port()
        self.vault.extra = ('listener "tcp" { address = "127.0.0.1:%d" tls_disable = true }'
                            % self.plain)
        self.search = Search()
        self.with_credential()
        self.vault.write_config()
        self.vault.ready()
        self.vault.ok("POST", "sys/seals/memory")
        self.vault.kill()
        self.vault.start()
        equal(self.vault.call("GET", "sys/seal-status").json["unsealed_by"], "credential memory")
        self.pid = self.vault.process.pid
        self.search.text("a value", MARK)
        self.search.text("a key share", self.vault.shares[0])
        for share in self.vault.shares[:3]:
            self.search.bytes("a key share's bytes", bytes.fromhex(share))
        self.search.text("the root token", self.vault.root)
        self.user = None

    def with_credential(self):
        """With which it opens itself: read at the start, and needed no more."""
        folder = os.path.join(self.vault.folder, "credentials")
        path = os.path.join(folder, "memory")
        os.mkdir(folder, 0o700)
        key = os.urandom(KEY)
        with open(path, "wb") as f:
            f.write(key)
        os.chmod(path, 0o400)
        for name in (folder, path):
            shutil.chown(name, "keyturn", "keyturn")
        self.vault.env["CREDENTIALS_DIRECTORY"] = folder
        self.vault.extra += '\nseal "credential" { name = "memory" }'
        self.search.bytes("a credential", key[:KEY // 2])
        self.search.bytes("a credential", key[KEY // 2:])

    def value(self, size=0):
        return MARK + "-" + "v" * size

    def work(self):
        v = self.vault
        made = v.ok("POST", "auth/token/create", {"policies": ["p"], "ttl": "1h"}).json["auth"]
        self.user = made["client_token"]
        self.search.text("a user's token", self.user)
        v.ok("PUT", "sys/policies/acl/p",
             {"policy": 'path "secret/*" { capabilities = ["read", "create", "update", "patch"] }'})
        for i in range(20):
            size = (0, 30, 400, 5000, 100000)[i % 5]
            v.ok("POST", "secret/data/s%d" % i, {"data": {"a": self.value(size)}}, token=self.user)
            v.ok("PATCH", "secret/data/s%d" % i, {"data": {"b": self.value(size)}}, token=self.user)
            v.ok("GET", "secret/data/s%d" % i, token=self.user)
        v.ok("POST", "cubbyhole/c", {"a": self.value(40)})
        v.ok("POST", "sys/audit-hash/file", {"input": self.value(10)})
        self.wrong()
        self.kept_open()

    def holders(self):
        """New keys that were handed out and one of which came back; half a root token."""
        v = self.vault
        nonce = v.ok("PUT", "sys/rekey/init", {"secret_shares": 4, "secret_threshold": 3,
                                               "require_verification": True}).json["nonce"]
        for share in v.shares[:3]:
            answer = v.ok("PUT", "sys/rekey/update", {"key": share, "nonce": nonce}).json
        for share in answer["keys"]:
            self.search.text("a new key share", share)
            self.search.bytes("a new key share's bytes", bytes.fromhex(share))
        v.ok("PUT", "sys/rekey/verify", {"key": answer["keys"][1], "nonce": answer["verification_nonce"]})
        start = v.ok("PUT", "sys/generate-root/attempt", {}).json
        self.search.text("a one-time pad", start["otp"])
        v.ok("PUT", "sys/generate-root/update", {"key": v.shares[1], "nonce": start["nonce"]})

    def wrong(self):
        """Bodies that are refused, cut off, or sent by nobody."""
        v = self.vault
        text = json.dumps({"data": {"a": self.value(200)}})
        for raw in (text[:-3], text + "}", text.replace('"', "'")):
            equal(v.call("POST", "secret/data/x", raw=raw.encode()).status, 400)
        equal(v.call("POST", "secret/data/x", raw=text.encode(), token="hvs." + MARK).status, 403)
        equal(v.call("PUT", "sys/unseal", {"key": v.shares[0]}).status, 200)
        equal(v.call("POST", "auth/token/lookup", {"token": self.value()}).status in (400, 403), True)

    def kept_open(self):
        """Keep-alive connections with many requests, over TLS and without."""
        context = ssl.create_default_context(cafile=self.vault.cacert)
        for connection in (http.client.HTTPConnection("127.0.0.1", self.plain, timeout=60),
                           http.client.HTTPSConnection("127.0.0.1", self.vault.port, timeout=60,
                                                       context=context)):
            for i in range(40):
                connection.request("GET", "/v1/secret/data/s%d" % (i % 20),
                                   headers={"X-Vault-Token": self.user})
                equal(connection.getresponse().read().count(MARK.encode()), 2)
            connection.close()


def public_bytes(text):
    """Of a verifier's line, NAME+ID+BASE64 of a type byte and the key, or the key alone."""
    return base64.b64decode(text.split("+", 2)[-1])[-KEY:]


def show(found):
    for (name, where), times in sorted(found.items()):
        print("#   %s: %s, %d times" % (where, name, times), flush=True)


def serving(s):
    """Keys only in the guarded slab; where the rest is, is printed."""
    # The half of the audit log's signing key that everybody is told.
    public = s.vault.ok("GET", "sys/audit-log/checkpoint").data["public_key"]
    keys = slab_keys(s.pid) - {public_bytes(public)}
    if len(keys) < 3:
        raise AssertionError("only %d keys in the guarded slab: is it the slab?" % len(keys))
    s.keys = keys
    only_keys = Search()
    for key in keys:
        only_keys.bytes("a key", key[:16])
        only_keys.bytes("a key", key[16:])
    inside, looked = only_keys.run(s.pid)
    if inside.get(("a key", "guarded slab"), 0) < 2 * len(keys):
        raise AssertionError("the search does not find what it must")
    outside, _ = only_keys.run(s.pid, besides=("guarded slab",))
    print("#   %d keys; %d MiB looked at; of values and tokens while serving:" % (
        len(keys), looked >> 20), flush=True)
    show(s.search.run(s.pid)[0])
    equal(outside, {}, "keys outside of the guarded slab")


def credential(s):
    """The credential that opened it is nowhere, not even in guarded memory."""
    s.vault.ok("POST", "sys/seals/memory")  # read once more
    wait_for("the credential to be gone", lambda: not [
        what for what in s.search.run(s.pid)[0] if what[0] == "a credential"], pause=0.5)


def gathered(s):
    """Key shares and the pad, once their requests are over, are in guarded memory alone."""
    names = ("a key share", "a new key share", "a one-time pad")
    s.holders()

    def outside():
        found = s.search.run(s.pid, besides=("guarded slab",))[0]
        return [what for what in found if what[0].startswith(names)]
    wait_for("what the requests left to be gone", lambda: not outside(), pause=0.5)
    inside = {name for name, where in s.search.run(s.pid)[0] if where == "guarded slab"}
    equal(inside >= {"a key share's bytes", "a new key share's bytes", "a one-time pad"}, True,
          "the search finds what is gathered")


def control(s):
    """A value under way is found: the search works. A body that stays unfinished is let go after a while,
    so each search has one of its own."""
    def found():
        with_body = http.client.HTTPConnection("127.0.0.1", s.plain, timeout=DEADLINE)
        try:
            with_body.putrequest("POST", "/v1/secret/data/control")
            with_body.putheader("Content-Length", "1000000")
            with_body.endheaders()
            with_body.send(json.dumps({"data": {"a": s.value(100)}})[:-1].encode())
            return any(name == "a value" for name, _ in s.search.run(s.pid)[0])
        finally:
            with_body.close()
    wait_for("the body to be in vaultd's memory", found)


def sealed(s):
    v = s.vault
    equal(v.call("PUT", "sys/seal").status, 204)
    for key in s.keys:
        s.search.bytes("a key", key[:16])
        s.search.bytes("a key", key[16:])
    try:
        wait_for("all of it to be gone", lambda: not s.search.run(s.pid)[0], pause=0.5)
    except AssertionError:
        found = s.search.run(s.pid)[0]
        show(found)
        raise AssertionError("after seal there are: %s" % ", ".join(
            "%s in %s" % what for what in sorted(found))) from None


def no_core(s):
    """The kernel dumps no core of an undumpable process, neither into a file nor through a pipe; its
    own word for that is who owns /proc/PID/mem. core_pattern is the machine's and left alone."""
    equal(os.stat("/proc/%d/mem" % s.pid).st_uid, 0, "owner of mem of an undumpable process")
    with open("/proc/%d/status" % s.pid) as f:
        status = f.read()
    uid = int(re.search(r"^Uid:\s+(\d+)", status, re.M)[1])
    if os.path.exists("/etc/passwd") and uid == 0:
        raise AssertionError("vaultd runs as root: the owner of its files says nothing")
    equal(re.search(r"^CoreDumping:\s+(\d)", status, re.M)[1], "0")
    with open("/proc/%d/limits" % s.pid) as f:
        equal(re.search(r"^Max core file size\s+(\d+)\s+(\d+)", f.read(), re.M).groups(), ("0", "0"))
    s.vault.process.send_signal(6)
    _, how = os.waitpid(s.pid, 0)
    s.vault.process.returncode = -6
    # The kernel sets this bit when a dump was written, to a file or to a pipe.
    equal((os.WTERMSIG(how), os.WCOREDUMP(how)), (6, False), "(signal, dumped)")


def main():
    report = Report()
    if os.getuid() != 0:
        print("ok - memory is only read as root # skipped")
        return
    s = Session()
    try:
        s.work()
        report.case("keys are only in the guarded slab while it serves", serving, s)
        report.case("a credential is forgotten when it was tried", credential, s)
        report.case("gathered key shares are only in guarded memory", gathered, s)
        report.case("what is under way is found", control, s)
        report.case("nothing is left after seal", sealed, s)
        report.case("no core, and none through a pipe", no_core, s)
    finally:
        s.vault.remove()
    report.end()


main()
