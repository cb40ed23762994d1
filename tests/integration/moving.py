#!/usr/bin/env python3
"""Moving in and out: secretctl import and export between two vaults, interrupted in every way.

    tests/integration/moving.py ['part of a case name']
    KT_SECRETS=10000 tests/integration/moving.py 'interrupted'      the same with more
"""
import concurrent.futures
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import urllib.parse

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
from between import Between  # noqa: E402
from keyturn import DEADLINE, ROOT, Report, Vault, contains, equal, free_port, program  # noqa: E402
from pki import Authority  # noqa: E402

SECRETS = int(os.environ.get("KT_SECRETS", "500"))
report = Report()
scratch = tempfile.mkdtemp(prefix="kt-moving-")


class Proxy:
    """Passes bytes on to a vault, and does something, once, when so many were sent to it."""

    def __init__(self, port):
        self.to, self.port = port, free_port()
        self.lines, self.lock, self.sent = [], threading.Lock(), 0
        self.after, self.action = None, None
        self.text, self.at_text = None, None
        self.listener = socket.socket()
        self.listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.listener.bind(("127.0.0.1", self.port))
        self.listener.listen(64)
        threading.Thread(target=self.accept, daemon=True).start()

    @property
    def address(self):
        return "http://127.0.0.1:%d" % self.port

    def arm(self, after, action):
        with self.lock:
            self.sent, self.after, self.action = 0, after, action

    def arm_at(self, text, action):
        """Before the first request with that text is passed on; the action says whether it is."""
        self.text, self.at_text = text, action

    def accept(self):
        while True:
            try:
                line, _ = self.listener.accept()
                there = socket.create_connection(("127.0.0.1", self.to))
            except OSError:
                return
            with self.lock:
                self.lines += [line, there]
            threading.Thread(target=self.carry, args=(line, there, True), daemon=True).start()
            threading.Thread(target=self.carry, args=(there, line, False), daemon=True).start()

    def carry(self, a, b, counts):
        try:
            while True:
                got = a.recv(65536)
                if not got:
                    break
                if counts:
                    self.count(len(got))
                    if self.text is not None and self.text in got:
                        self.text = None
                        if not self.at_text():
                            break
                b.sendall(got)
        except OSError:
            pass
        for s in (a, b):
            try:
                s.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass

    def count(self, more):
        with self.lock:
            self.sent += more
            due = self.after is not None and self.sent >= self.after
            action = self.action
            if due:
                self.after = None
        if due:
            action()

    def cut(self):
        """Every connection breaks; new ones are fine."""
        with self.lock:
            lines, self.lines = self.lines, []
        for s in lines:
            try:
                s.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass

    def close(self):
        self.listener.close()
        self.cut()


def token_file(vault, name="token"):
    path = os.path.join(scratch, name)
    with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as f:
        f.write(vault.token + "\n")
    return path


def importing(source, *more):
    return ["import", "vault", "-from=" + source.address, "-peer-token-file=" + token_file(source)] + list(more)


def foretold(here, source, *more, check=True, token=None):
    """An import, after a dry run, which says the same of everything."""
    words = importing(source, *more)
    dry = here.ctl(*words, "-dry-run", check=False, token=token)
    done = here.ctl(*words, check=check, token=token)

    def said(of):
        lines = {line.split(": ")[0] for line in of.stderr.splitlines() if line.startswith(("refused ", "left "))}
        return sorted(lines), [line.split()[-3:] for line in of.stdout.split("\n\n")[0].splitlines()[1:]]
    equal(said(dry), said(done), "%s%s" % (dry.stderr, done.stderr))
    return done


def quoted(path):
    return urllib.parse.quote(path, safe="/")


# ---- what is in a vault, asked apart from secretctl ----

def names(vault, mount, part="metadata/", folder=""):
    answer = vault.call("LIST", mount + part + quoted(folder))
    if answer.status == 404:
        return []
    found = []
    for key in answer.data["keys"]:
        found += names(vault, mount, part, folder + key) if key.endswith("/") else [folder + key]
    return found


def whole(vault, mount, path):
    """All that the API tells of a secret. oldest_version is a hint of the store's."""
    told = vault.ok("GET", mount + "metadata/" + quoted(path)).data
    told.pop("oldest_version")
    values = {}
    for number in told["versions"]:
        answer = vault.call("GET", mount + "data/%s?version=%s" % (quoted(path), number))
        values[number] = answer.body if answer.status == 200 else answer.status
        if answer.status == 200:
            values[number] = json.dumps(answer.data["data"], sort_keys=True)
    return told, values


def everything(vault, mount):
    with concurrent.futures.ThreadPoolExecutor(16) as pool:
        paths = sorted(names(vault, mount))
        return dict(zip(paths, pool.map(lambda p: whole(vault, mount, p), paths)))


def same(a, b, mount="secret/"):
    left, right = everything(a, mount), everything(b, mount)
    equal(sorted(left), sorted(right), "names")
    for path in left:
        equal(left[path], right[path], path)


# ---- what is moved ----

def fill(vault, count):
    """Folders and secrets of one to four versions, some deleted, some destroyed."""
    def put(i):
        path = "f%d/g%d/s%d" % (i % 7, i % 3, i)
        for n in range(1, 1 + i % 4 + 1):
            vault.ok("POST", "secret/data/" + path, {"data": {"k": "value %d.%d" % (i, n), "n": n}})
        if i % 10 == 3:
            vault.ok("POST", "secret/destroy/" + path, {"versions": [1]})
        if i % 10 == 4:
            vault.ok("DELETE", "secret/data/" + path)
        if i % 10 == 5:
            vault.ok("POST", "secret/metadata/" + path, {"custom_metadata": {"owner": "team %d" % i}, "max_versions": 5})
    with concurrent.futures.ThreadPoolExecutor(16) as pool:
        list(pool.map(put, range(count)))


def odd(vault):
    """What is not like the others."""
    def put(path, data, mount="secret/"):
        vault.ok("POST", mount + "data/" + quoted(path), {"data": data})
    put("a name/with ümlaut & 100% ?#", {"k": "ü\n\u0000"[:2], "": "empty key"})
    vault.ok("POST", "secret/data/numbers", raw=b'{"data":{"n":12345678901234567890,"f":1.0,"e":1e3,"d":{"x":[null,true]}}}')
    put("both", {"k": "a secret"})
    put("both/below", {"k": "and a folder"})
    for n in range(45):  # more than one request carries, and only 30 are kept
        if n == 0:
            vault.ok("POST", "secret/metadata/many", {"max_versions": 30})
        put("many", {"n": n})
    vault.ok("POST", "secret/metadata/bare", {"custom_metadata": {"only": "metadata"}})
    vault.ok("POST", "secret/metadata/strict", {"cas_required": True, "delete_version_after": "240h"})
    vault.ok("POST", "secret/data/strict", {"data": {"k": 1}, "options": {"cas": 0}})
    put("large", {"k": "x" * 500000})
    put("large", {"k": "y" * 500000})
    put("gone", {"k": 1})
    vault.ok("DELETE", "secret/data/gone")
    put("gone", {"k": 2})
    put("dead", {"k": 1})
    vault.ok("POST", "secret/destroy/dead", {"versions": [1]})


# ---- cases ----

def start(count=0):
    source, here = Vault().ready(), Vault().ready(kv=False)
    if count:
        fill(source, count)
    return source, here


def all_kinds():
    source, here = start()
    with source, here:
        odd(source)
        source.ok("POST", "sys/mounts/old", {"type": "kv", "description": "from long ago"})
        source.ok("POST", "old/a/b", raw=b'{"k":1.0,"n":12345678901234567890}')
        source.ok("POST", "old/c", {"k": {"data": 1}})
        source.ok("POST", "sys/mounts/two", {"type": "kv-v2"})
        source.ok("POST", "two/config", {"max_versions": 3, "delete_version_after": "30d"})
        source.ok("POST", "two/data/x", {"data": {"k": 1}})
        source.ok("POST", "sys/policies/acl/deploy", {"policy": 'path "secret/data/*" { capabilities = ["read"] }'})
        done = here.ctl(*importing(source, "-dry-run"))
        contains(done.stdout, "nothing was written")
        equal(here.ok("GET", "sys/mounts").data.get("secret/"), None, "the mount after a dry run")
        done = foretold(here, source)
        contains(done.stdout, "different")
        contains(done.stdout, ", 0 different")
        contains(done.stdout, "1 deleted ones without their values")
        for mount in "secret/", "two/":
            same(source, here, mount)
        equal(here.ok("GET", "two/config").data, source.ok("GET", "two/config").data)
        equal(here.ok("GET", "sys/mounts").data["old/"]["description"], "from long ago")
        for path in names(source, "old/", ""):
            equal(here.ok("GET", "old/" + path).body.split('"data"')[1], source.ok("GET", "old/" + path).body.split('"data"')[1])
        equal(here.ok("GET", "sys/policies/acl/deploy").data["policy"], source.ok("GET", "sys/policies/acl/deploy").data["policy"])
        contains(here.ok("GET", "secret/data/numbers").body, '{"n":12345678901234567890,"f":1.0,"e":1e3,"d":{"x":[null,true]}}')
        # Once more: all is there, nothing is written.
        again = json.loads(here.ctl(*importing(source, "-o", "json")).stdout)
        equal((again["taken"], again["versions"], again["refused"], again["different"], again["complete"]), (0, 0, 0, 0, True))
        equal(again["equal"], again["already_there"])


def later_changes():
    """What changed at the source since comes with the next import; what changed here is not lost."""
    source, here = start()
    with source, here:
        for path in "a", "b", "c", "d", "e":
            source.ok("POST", "secret/data/" + path, {"data": {"k": 1}})
        foretold(here, source)
        source.ok("POST", "secret/data/a", {"data": {"k": 2}})
        source.ok("DELETE", "secret/data/b")
        source.ok("POST", "secret/destroy/c", {"versions": [1]})
        source.ok("POST", "secret/metadata/e", {"custom_metadata": {"new": "note"}})
        here.ok("POST", "secret/data/d", {"data": {"k": "mine"}})
        done = here.ctl(*importing(source, "-o", "json"), check=False)
        equal(done.returncode, 2)
        contains(done.stderr, "refused   secret/d: another secret of that name is there already; -replace")
        told = json.loads(done.stdout)
        equal((told["taken"], told["already_there"], told["refused"], told["different"]), (4, 0, 1, 1))
        equal(here.ok("GET", "secret/data/d").data["data"], {"k": "mine"})
        equal(whole(here, "secret/", "a"), whole(source, "secret/", "a"))
        equal(whole(here, "secret/", "e")[0]["custom_metadata"], {"new": "note"})
        equal(here.call("GET", "secret/data/b").status, 404)
        equal(here.ok("GET", "secret/metadata/c").data["versions"]["1"]["destroyed"], True)
        foretold(here, source, "-replace")
        equal(whole(here, "secret/", "d"), whole(source, "secret/", "d"))
        # The same time, another value: it is taken for the same secret, and the comparison finds it.
        source.ok("POST", "secret/data/f", {"data": {"k": "there"}})
        made = source.ok("GET", "secret/metadata/f").data
        here.ok("POST", "secret/import/f", {"cas": 0, "created_time": made["created_time"], "updated_time": made["updated_time"],
                "versions": [{"version": 1, "created_time": made["created_time"], "data": {"k": "hunter2"}}]})
        done = here.ctl(*importing(source, "-path=secret/f"), check=False)
        equal(done.returncode, 2)
        contains(done.stderr, "different secret/f: it is not the same on both sides")
        equal("hunter2" in done.stdout + done.stderr, False)
        source.ok("POST", "secret/undelete/b", {"versions": [1]})
        here.ctl(*importing(source, "-path=secret/b"))
        equal(here.ok("GET", "secret/data/b").data["data"], {"k": 1})


def a_part():
    source, here = start()
    with source, here:
        for path in "db/a", "db/b/c", "db", "other":
            source.ok("POST", "secret/data/" + path, {"data": {"k": path}})
        here.ctl(*importing(source, "-path=secret/db/"))
        equal(names(here, "secret/"), ["db/a", "db/b/c"])
        here.ctl(*importing(source, "-path=secret/db"))
        equal(sorted(names(here, "secret/")), ["db", "db/a", "db/b/c"])
        done = here.ctl(*importing(source, "-path=secret/bd/"), check=False)
        equal(done.returncode, 2)
        contains(done.stderr, "there is nothing at or below 'secret/bd/'")
        contains(here.ctl(*importing(source, "-path=none/x"), check=False).stderr, "'none/x' is in no KV mount")


def not_all_of_it():
    """What may not be seen and what has no place here is told, and the rest comes."""
    source, here = start()
    with source, here:
        for path in "mine/a", "hidden/b", "mine/large":
            source.ok("POST", "secret/data/" + path, {"data": {"k": path}})
        source.ok("POST", "sys/policies/acl/some", {"policy": """
            path "secret/metadata/" { capabilities = ["list"] }
            path "secret/metadata/mine/*" { capabilities = ["list", "read"] }
            path "secret/data/mine/*" { capabilities = ["read"] }"""})
        token = source.ok("POST", "auth/token/create", {"policies": ["some"]}).json["auth"]["client_token"]
        path = os.path.join(scratch, "some-token")
        with open(os.open(path, os.O_WRONLY | os.O_CREAT, 0o600), "w") as f:
            f.write(token)
        here.ok("POST", "sys/mounts/secret", {"type": "kv", "options": {"version": "1"}})
        words = ["import", "vault", "-from=" + source.address, "-peer-token-file=" + path]
        done = here.ctl(*words, check=False)
        equal(done.returncode, 2)
        contains(done.stderr, "refused   secret/: there is a mount of another kind")
        contains(done.stderr, "refused   the policies: ")
        here.ok("DELETE", "sys/mounts/secret")
        done = here.ctl(*words, check=False)
        equal(done.returncode, 2)
        contains(done.stderr, "refused   secret/hidden/: permission denied")
        equal(sorted(names(here, "secret/")), ["mine/a", "mine/large"])
        # A token that may not bring versions in.
        here.ctl("policy", "write", "weak", "-", input='path "secret/*" { capabilities = ["create", "update", "read", "list"] }')
        weak = here.ok("POST", "auth/token/create", {"policies": ["weak"]}).json["auth"]["client_token"]
        source.ok("POST", "secret/data/mine/new", {"data": {"k": 1}})
        done = foretold(here, source, "-path=secret/mine", token=weak, check=False)
        contains(done.stderr, "refused   secret/mine/new: permission denied")
        os.chmod(path, 0o644)
        contains(here.ctl(*words, check=False).stderr, "others may read the token file")
        contains(here.ctl("import", "vault", "-from=" + source.address, check=False).stderr, "-peer-token-file=FILE")
        contains(here.ctl("import", "vault", check=False).stderr, "from which vault?")


def over_tls():
    """The other vault is believed by its own authority and name; what is set for the one here does not count."""
    theirs, strangers = Authority(scratch, "theirs"), Authority(scratch, "strangers")
    shown = theirs.issue("old", "extendedKeyUsage=serverAuth\nsubjectAltName=DNS:vault.old.example")
    if os.getuid() == 0:
        for path in scratch, theirs.at:
            os.chmod(path, 0o755)
        shutil.chown(shown.key, "keyturn", "keyturn")
    port = free_port()
    source, here = Vault(tls=True, config="""listener "tcp" {
  address = "127.0.0.1:%d"
  tls_cert_file = "%s"
  tls_key_file = "%s"
}""" % (port, shown.crt, shown.key)), Vault(tls=True)
    with source, here:
        source.ready()
        here.ready(kv=False)
        source.ok("POST", "secret/data/a", {"data": {"k": 1}})
        words = ["import", "vault", "-from=https://127.0.0.1:%d" % port, "-peer-token-file=" + token_file(source)]
        ca, name = "-peer-ca-cert=" + theirs.crt, "-peer-tls-server-name=vault.old.example"
        untrusted, misnamed = "a CA that is not trusted here", "another name"
        unread = "cannot read the CA file"
        mends = {untrusted: "-peer-ca-cert names", misnamed: "say it: -peer-tls-server-name", unread: "-peer-ca-cert names"}
        for more, says in (([name], untrusted), ([name, "-ca-cert=" + theirs.crt], untrusted),
                           (["-peer-ca-cert=" + strangers.crt, name], untrusted),
                           (["-peer-ca-cert=" + here.cacert, name], untrusted),
                           ([ca], misnamed), ([ca, "-peer-tls-server-name=localhost"], misnamed),
                           ([ca, "-tls-server-name=localhost"], misnamed),
                           (["-peer-ca-cert=/nope", name], unread)):
            done = here.ctl(*words, *more, check=False)
            equal(done.returncode in (1, 2), True, "%s: %d" % (more, done.returncode))
            contains(done.stderr, says, " ".join(more))
            contains(done.stderr, mends[says], " ".join(more))
            equal("secret/" in here.ok("GET", "sys/mounts").json["data"], False)
        here.ctl(*words, ca, name)
        same(source, here)
        here.ok("POST", "secret/data/a", {"data": {"k": 2}})
        out = ["export", "vault", "-to=https://127.0.0.1:%d" % port, "-peer-token-file=" + token_file(source), "-path=secret/a",
               "-replace"]
        for more, says in (([name], untrusted), ([ca], misnamed)):
            contains(here.ctl(*out, *more, check=False).stderr, says)
        equal(value(source, "a"), {"k": 1})
        here.ctl(*out, ca, name)
        equal(value(source, "a"), {"k": 2})


def who():
    """Roles keep their ids, so that who logs in with them goes on; entities and groups are found again by name."""
    source, here = start()
    with source, here:
        source.ok("POST", "sys/policies/acl/p", {"policy": 'path "secret/data/x" { capabilities = ["read"] }'})
        for path in "approle", "apps":
            source.ok("POST", "sys/auth/" + path, {"type": "approle", "description": "of " + path})
        source.ok("POST", "sys/auth/people", {"type": "userpass"})
        source.ok("POST", "auth/people/users/anna", {"password": "hunter2hunter2"})
        source.ok("POST", "auth/approle/role/web", {"token_policies": ["p", "q"], "token_ttl": "1h", "token_max_ttl": "2h",
                  "secret_id_num_uses": 3, "secret_id_ttl": "24h", "secret_id_bound_cidrs": ["127.0.0.0/8"]})
        source.ok("POST", "auth/apps/role/ci", {"bind_secret_id": False, "secret_id_bound_cidrs": "127.0.0.1/32"})
        for _ in range(2):
            source.ok("POST", "auth/approle/role/web/secret-id", {})
        accessors = {m: source.ok("GET", "sys/auth").data[m]["accessor"] for m in ("approle/", "people/")}
        made = lambda path, **body: source.ok("POST", "identity/" + path, body).data["id"]  # noqa: E731
        anna = made("entity", name="anna", metadata={"team": "a"}, policies=["p"])
        bert = made("entity", name="bert")
        made("entity", name="cleo", disabled=True)
        made("entity-alias", name="anna", canonical_id=anna, mount_accessor=accessors["people/"], custom_metadata={"k": "v"})
        role_id = source.ok("GET", "auth/approle/role/web/role-id").data["role_id"]
        made("entity-alias", name=role_id, canonical_id=bert, mount_accessor=accessors["approle/"])
        inner = made("group", name="inner", member_entity_ids=[anna, bert], policies=["q"], metadata={"k": "v"})
        outer = made("group", name="outer", member_group_ids=[inner])
        made("group", name="top", member_group_ids=[outer, inner], member_entity_ids=[bert])
        far = made("group", name="far", type="external", policies=["p"])
        made("group-alias", name="far group", canonical_id=far, mount_accessor=accessors["people/"])

        contains(here.ctl(*importing(source, "-dry-run")).stdout, "nothing was written")
        equal(here.call("LIST", "identity/entity/id").status, 404)
        done = foretold(here, source)
        contains(done.stderr, "left      2 secret ids of auth/approle/role/web: no vault shows them again")
        contains(done.stderr, "left      auth/people/: what it holds, of type userpass, has secrets that no vault shows")
        contains(done.stdout, ", 0 different")
        equal(here.ok("GET", "auth/approle/role/web/role-id").data["role_id"], role_id)
        for role in "approle/role/web", "apps/role/ci":
            equal(here.ok("GET", "auth/" + role).data, source.ok("GET", "auth/" + role).data)
        secret_id = here.ok("POST", "auth/approle/role/web/secret-id", {}).data["secret_id"]
        auth = here.ok("POST", "auth/approle/login", {"role_id": role_id, "secret_id": secret_id}).json["auth"]
        equal(sorted(auth["token_policies"]), ["default", "p", "q"])

        def told(vault, kind, name):
            data = vault.ok("POST", "identity/lookup/" + kind, {"name": name}).data
            by_id = lambda part, ids: sorted(vault.ok("GET", "identity/%s/id/%s" % (part, i)).data["name"] for i in ids or [])  # noqa: E731
            kept = {k: data.get(k) for k in ("name", "metadata", "policies", "disabled", "type")}
            kept["entities"] = by_id("entity", data.get("member_entity_ids"))
            kept["groups"] = by_id("group", data.get("member_group_ids"))
            aliases = data.get("aliases") or ([data["alias"]] if data.get("alias") else [])
            kept["aliases"] = sorted((a["name"], a["mount_path"], json.dumps(a.get("custom_metadata"))) for a in aliases if a)
            return kept

        for kind, name in (("entity", "anna"), ("entity", "bert"), ("entity", "cleo"), ("group", "inner"), ("group", "outer"), ("group", "top"), ("group", "far")):
            equal(told(here, kind, name), told(source, kind, name), name)
        equal(told(here, "group", "top")["groups"], ["inner", "outer"])
        equal(len(told(here, "entity", "anna")["aliases"]), 1)
        again = json.loads(here.ctl(*importing(source, "-o", "json")).stdout)
        equal((again["taken"], again["refused"], again["different"]), (0, 0, 0))

        here.ok("POST", "auth/approle/role/web", {"token_ttl": "30m"})
        here.ok("POST", "identity/entity", {"name": "anna", "metadata": {"team": "b"}})
        source.ok("POST", "identity/group", {"name": "outer", "member_entity_ids": [anna]})
        done = foretold(here, source, check=False)
        equal(done.returncode, 2)
        for what in "auth/approle/role/web", "the entity anna", "the group outer":
            contains(done.stderr, "refused   %s: another" % what)
            contains(done.stderr, "different %s" % what)
        foretold(here, source, "-replace")
        equal(here.ok("GET", "auth/approle/role/web").data, source.ok("GET", "auth/approle/role/web").data)
        equal(told(here, "group", "outer"), told(source, "group", "outer"))


def many_identities():
    """More entities than one page of a list has: its own pages, made short, are followed to the end."""
    source, here = start()
    pages = []

    def short(method, path, answer):
        if method != "LIST" or not path.startswith("identity/entity/id"):
            return answer()
        pages.append(path)
        status, text = answer("limit=40")
        told = json.loads(text)
        if status == 200 and len(told["data"]["keys"]) == 40:  # who asked for no more is not warned
            told["warnings"] = ["40 of them are listed"]
        return status, json.dumps(told)
    with source, here, Between(source, short) as other:
        with concurrent.futures.ThreadPoolExecutor(8) as pool:
            list(pool.map(lambda n: source.ok("POST", "identity/entity", {"name": "e%d" % n}), range(110)))
        done = here.ctl(*importing(other))
        contains(done.stdout, ", 0 different")
        equal(["after=" in p for p in pages], [False, True, True] * 2, "pages, copied and compared: %s" % pages)
        for vault in source, here:
            keys, after = [], ""
            while True:
                answer = vault.call("LIST", "identity/entity/name?limit=40&after=" + after)
                if answer.status == 404:
                    break
                keys += answer.data["keys"]
                after = keys[-1]
            equal(sorted(keys), sorted("e%d" % n for n in range(110)))


def kept_for_approval():
    """What waits for approval is asked for once, and told with what to do; where no more is kept, the rest goes on."""
    source, here = start()
    with source, here:
        source.ok("POST", "identity/group", {"name": "outer", "member_group_ids": [
            source.ok("POST", "identity/group", {"name": "g%02d" % n}).data["id"] for n in range(3)]})
        here.ok("POST", "sys/auth/people", {"type": "userpass"})
        here.ok("POST", "sys/policies/acl/all", {
            "policy": 'path "*" { capabilities = ["create", "read", "update", "delete", "list", "sudo"] }'})
        tokens, ids = {}, {}
        for who_ in "bob", "tom":
            here.ok("POST", "auth/people/users/" + who_, {"password": "of " + who_, "policies": "all"})
            auth = here.ok("POST", "auth/people/login/" + who_, {"password": "of " + who_}).json["auth"]
            tokens[who_], ids[who_] = auth["client_token"], auth["entity_id"]
        here.ok("POST", "identity/group", {"name": "approvers", "member_entity_ids": [ids["tom"]]})
        here.ok("POST", "sys/approvals/rules/groups", {"paths": ["identity/group/*"], "group": "approvers", "needed": 1})

        def asks(names_):
            """An import that is kept for approval of just these. What it says, and the requests."""
            before = set(listed())
            done = here.ctl(*importing(source), token=tokens["bob"], check=False)
            equal(done.returncode, 2, done.stderr)
            asked = sorted(set(listed()) - before)
            equal(len(asked), len(names_), done.stderr)
            for id_ in asked:
                equal(done.stderr.count("then you: secretctl approvals finish " + id_), 1, done.stderr)
            for name in names_:
                equal(done.stderr.count("refused   the group %s: nothing was done yet: " % name), 1, done.stderr)
            return done.stderr, asked

        def listed():
            answer = here.call("LIST", "sys/approvals/mine", token=tokens["bob"])
            return answer.data["keys"] if answer.status == 200 else []

        def carry_out(asked):
            for id_ in asked:
                here.ctl("approve", id_, token=tokens["tom"])
                here.ctl("approvals", "finish", id_, token=tokens["bob"])
        said, asked = asks(["g00", "g01", "g02"])
        contains(said, "refused   the group outer: a member of it is not here")
        carry_out(asked)
        carry_out(asks(["outer"])[1])
        contains(here.ctl(*importing(source), token=tokens["bob"]).stdout, ", 0 different")
        # One has at most 16 that wait: no time helps against that.
        for n in range(18):
            source.ok("POST", "identity/group", {"name": "more%02d" % n})
        done = here.ctl(*importing(source), token=tokens["bob"], check=False)
        equal(done.returncode, 2, done.stderr)
        equal(done.stderr.count("then you: secretctl approvals finish "), 16, done.stderr)
        equal(done.stderr.count(": 16 requests of yours wait for approval"), 2, done.stderr)
        equal("the move stopped" in done.stderr, False, done.stderr)



def settings():
    """What a mount is set to comes in each run, also where the mount is here; what somebody else set stays."""
    source, here = start()

    def config(v, path):
        return v.ok("GET", path).data["config"]
    with source, here:
        source.ok("POST", "sys/mounts/secret/tune", {"max_lease_ttl": "2h", "audit_non_hmac_request_keys": ["user"]})
        source.ok("POST", "secret/config", {"max_versions": 3, "delete_version_after": "30d"})
        for v in source, here:
            v.ok("POST", "sys/mounts/one", {"type": "kv"})
            v.ok("POST", "sys/auth/people", {"type": "userpass"})
        source.ok("POST", "sys/mounts/one/tune", {"listing_visibility": "unauth", "default_lease_ttl": "1h"})
        source.ok("POST", "sys/auth/approle", {"type": "approle", "config": {"max_lease_ttl": "1h"}})
        source.ok("POST", "sys/auth/people/tune", {"max_lease_ttl": "3h", "token_type": "service"})
        paths = "sys/mounts/secret", "sys/mounts/one", "sys/auth/approle", "sys/auth/people"
        here.ctl(*importing(source, "-dry-run"))
        equal(config(here, "sys/mounts/one")["max_lease_ttl"], 0, "after a dry run")
        contains(foretold(here, source).stdout, ", 0 different")
        for path in paths:
            equal(config(here, path), config(source, path), path)
        equal(here.ok("GET", "secret/config").data, source.ok("GET", "secret/config").data)
        # Broken off between the mounts and their settings.
        here.ok("POST", "sys/auth/people/tune", {"max_lease_ttl": "system", "token_type": "default-service"})
        here.ok("POST", "secret/config", {"max_versions": 0, "delete_version_after": "0s"})
        contains(foretold(here, source).stdout, ", 0 different")
        equal(config(here, "sys/auth/people"), config(source, "sys/auth/people"))
        equal(here.ok("GET", "secret/config").data, source.ok("GET", "secret/config").data)
        # Others are left, unless they are to be replaced.
        here.ok("POST", "secret/config", {"max_versions": 7})
        here.ok("POST", "sys/mounts/one/tune", {"default_lease_ttl": "2h"})
        here.ok("POST", "sys/auth/approle/tune", {"max_lease_ttl": "4h"})
        done = foretold(here, source, check=False)
        equal(done.returncode, 2)
        for what in "secret/config", "the settings of one/", "the settings of auth/approle/":
            contains(done.stderr, "refused   %s: others are set here; -replace" % what)
            contains(done.stderr, "different %s: " % what)
        contains(done.stdout, ", 3 different")
        equal(here.ok("GET", "secret/config").data["max_versions"], 7)
        contains(foretold(here, source, "-replace").stdout, ", 0 different")
        for path in paths:
            equal(config(here, path), config(source, path), path)
        equal(here.ok("GET", "secret/config").data, source.ok("GET", "secret/config").data)

        def alter(method, path, answer):
            status, text = answer()
            if path == "sys/internal/ui/mounts":
                told = json.loads(text)
                told["data"]["auth"]["people/"]["config"].update(user_lockout_config={"lockout_disable": True}, empty={})
                text = json.dumps(told)
            return status, text
        with Between(source, alter) as other:
            done = here.ctl(*importing(other))
            contains(done.stderr, "left      user_lockout_config of the settings of auth/people/: there is no such setting here")
            equal("empty of" in done.stderr, False, done.stderr)


def rights():
    """The two policies of docs/moving.md are enough: for all, again, and with -replace."""
    with open(os.path.join(ROOT, "docs", "moving.md")) as f:
        text = f.read()
    part = text[text.index("**What is needed there**"):text.index("`delete` on `metadata/*` is for")]
    rules = ["\n".join(line for line in half.splitlines() if line.startswith("    path "))
             for half in part.split("**Here**:")]
    equal(len(rules), 2)
    source, here = start()
    with source, here:
        for n in 1, 2, 3:
            source.ok("POST", "secret/data/a", {"data": {"n": n}})
        source.ok("POST", "secret/destroy/a", {"versions": [1]})
        source.ok("POST", "secret/data/b", {"data": {"n": 1}})
        source.ok("POST", "secret/config", {"max_versions": 9})
        source.ok("POST", "sys/policies/acl/p", {"policy": 'path "x" { capabilities = ["read"] }'})
        for path, type_ in ("approle", "approle"), ("people", "userpass"):
            source.ok("POST", "sys/auth/" + path, {"type": type_, "config": {"max_lease_ttl": "1h"}})
        source.ok("POST", "auth/approle/role/web", {"token_policies": ["p"]})
        accessor = source.ok("GET", "sys/auth").data["people/"]["accessor"]
        anna = source.ok("POST", "identity/entity", {"name": "anna", "policies": ["p"]}).data["id"]
        source.ok("POST", "identity/entity-alias", {"name": "anna", "canonical_id": anna, "mount_accessor": accessor})
        source.ok("POST", "identity/group", {"name": "team", "member_entity_ids": [anna]})
        far = source.ok("POST", "identity/group", {"name": "far", "type": "external"}).data["id"]
        source.ok("POST", "identity/group-alias", {"name": "far", "canonical_id": far, "mount_accessor": accessor})
        root = source.token
        weak = []
        for v, text in zip((source, here), rules):
            v.ok("POST", "sys/policies/acl/mover", {"policy": text})
            token = v.ok("POST", "auth/token/create", {"policies": ["mover"]}).json["auth"]["client_token"]
            weak.append(token)
        source.ok("DELETE", "sys/policies/acl/mover")
        source.ok("POST", "sys/policies/acl/mover", {"policy": rules[1]})  # the same as here: it comes along
        source.ok("POST", "sys/policies/acl/reader", {"policy": rules[0]})
        source.token = source.ok("POST", "auth/token/create", {"policies": ["reader"]}).json["auth"]["client_token"]

        def run(*more):
            done = foretold(here, source, *more, token=weak[1], check=False)
            equal((done.returncode, "refused  " in done.stderr), (0, False), done.stdout + done.stderr)
            contains(done.stdout, ", 0 different")
        run()
        strong, source.token = source.token, root
        same(source, here)
        source.ok("DELETE", "secret/data/b")
        source.ok("POST", "secret/data/a", {"data": {"n": 4}})
        source.ok("POST", "secret/destroy/a", {"versions": [2]})
        source.token = strong
        run()
        source.token = root
        source.ok("POST", "secret/undelete/b", {"versions": [1]})
        source.ok("POST", "sys/policies/acl/p", {"policy": 'path "y" { capabilities = ["read"] }'})
        here.ok("POST", "secret/data/a", {"data": {"mine": 1}})
        here.ok("POST", "secret/config", {"max_versions": 4})
        here.ok("POST", "auth/approle/role/web", {"token_ttl": "30m"})
        here.ok("POST", "sys/auth/people/tune", {"max_lease_ttl": "2h"})
        here.ok("POST", "identity/entity", {"name": "anna", "metadata": {"k": "v"}})
        here.ok("POST", "identity/group", {"name": "team", "member_entity_ids": []})
        source.token = strong
        run("-replace")
        source.token = root
        same(source, here)


def unseen():
    """Mounts of which the token there sees nothing are told, or that nobody can say."""
    source, here = start()
    with source, here:
        source.ok("POST", "secret/data/a", {"data": {"k": 1}})
        source.ok("POST", "sys/mounts/hidden", {"type": "kv"})
        source.ok("POST", "sys/auth/people", {"type": "userpass"})
        rules = """
            path "secret/*" { capabilities = ["list", "read"] }
            path "sys/policies/acl" { capabilities = ["list"] }
            path "sys/policies/acl/*" { capabilities = ["read"] }
            path "identity/+/id" { capabilities = ["list"] }"""
        root = source.token
        source.ok("POST", "sys/policies/acl/some", {"policy": rules})
        some = source.ok("POST", "auth/token/create", {"policies": ["some"]}).json["auth"]["client_token"]

        def as_some(more):
            source.token = root
            source.ok("POST", "sys/policies/acl/some", {"policy": rules + more})
            source.token = some
            return foretold(here, source, check=False)
        done = as_some("")
        equal(done.returncode, 2, done.stdout + done.stderr)
        contains(done.stderr, "refused   other mounts: only those came that this token can see")
        contains(done.stderr, "refused   other ways to log in: only those came that this token can see")
        done = as_some("""
            path "sys/mounts" { capabilities = ["read"] }
            path "sys/auth" { capabilities = ["read"] }""")
        contains(done.stderr, "left      hidden/: the token of the vault that it comes from can do nothing there")
        contains(done.stderr, "left      auth/people/: the token")
        equal("only those came" in done.stderr, False, done.stderr)
        source.token = root


def strangers():
    """Nobody's login comes to somebody else who has the same name here."""
    source, here = start()
    with source, here:
        made = lambda v, path, **body: v.ok("POST", "identity/" + path, body).data["id"]  # noqa: E731
        look = lambda v, kind, name: v.ok("POST", "identity/lookup/" + kind, {"name": name}).data  # noqa: E731
        accessors = {}
        for v in source, here:
            v.ok("POST", "sys/auth/people", {"type": "userpass"})
            accessors[v] = v.ok("GET", "sys/auth").data["people/"]["accessor"]

        def alias(v, name, kind, id_):
            made(v, kind, name=name, canonical_id=id_, mount_accessor=accessors[v])
        for name in "anna", "bert", "cleo", "dora":
            alias(source, name, "entity-alias", made(source, "entity", name=name, metadata={"k": "v"}, policies=["p"]))
        far = made(source, "group", name="far", type="external", policies=["p"])
        alias(source, "far group", "group-alias", far)
        made(source, "group", name="team", member_entity_ids=[look(source, "entity", "anna")["id"]])
        # The same name, the same settings, another person: root of this vault, say.
        made(here, "entity", name="anna", metadata={"k": "v"}, policies=["p"])
        made(here, "group", name="far", type="external", policies=["p"])
        alias(here, "dora", "entity-alias", made(here, "entity", name="somebody else"))
        done = foretold(here, source, check=False)
        equal(done.returncode, 2)
        contains(done.stderr, "refused   the entity anna: one of that name is here already, without a login that it has there; -replace")
        contains(done.stderr, "refused   the group far: one of that name is here already, without a login that it has there; -replace")
        contains(done.stderr, "refused   the group team: a member of it is another one here")
        contains(done.stderr, "refused   the entity dora: its login 'dora' belongs to another entity here")
        equal(look(here, "entity", "anna")["aliases"], [])
        equal(look(here, "group", "far").get("alias"), {})
        equal(here.call("POST", "identity/lookup/group", {"name": "team"}).status, 204)
        half = look(here, "entity", "dora")
        equal((half["policies"], half["aliases"]), ([], []))
        for name in "bert", "cleo":
            equal((look(here, "entity", name)["metadata"], look(here, "entity", name)["policies"]), ({"k": "v"}, ["p"]))
            equal([a["name"] for a in look(here, "entity", name)["aliases"]], [name])
        here.ok("POST", "identity/entity", {"name": "somebody else", "disabled": False})
        here.ok("DELETE", "identity/entity/name/" + quoted("somebody else"))
        # dora's was broken off by that: it is the import's own. anna is still another one.
        done = foretold(here, source, check=False)
        contains(done.stderr, "refused   the entity anna: ")
        equal("the entity dora" in done.stderr, False, done.stderr)
        equal((look(here, "entity", "dora")["metadata"], look(here, "entity", "dora")["policies"]), ({"k": "v"}, ["p"]))
        foretold(here, source, "-replace")
        equal([a["name"] for a in look(here, "entity", "anna")["aliases"]], ["anna"])
        equal(look(here, "group", "far")["alias"]["name"], "far group")
        # What the source has no more goes with -replace.
        inner = made(source, "group", name="inner")
        source.ok("POST", "identity/group", {"name": "team", "member_group_ids": [inner], "metadata": {"a": "b"}})
        foretold(here, source, "-replace")
        equal(len(look(here, "group", "team")["member_group_ids"]), 1)
        source.ok("POST", "identity/group", {"name": "team", "member_group_ids": [], "metadata": {}})
        source.ok("POST", "identity/entity", {"name": "bert", "metadata": {}, "policies": []})
        foretold(here, source, "-replace")
        equal(look(here, "group", "team")["member_group_ids"] or [], [])
        equal(look(here, "entity", "bert")["metadata"] or {}, {})


def dry_runs_decide():
    """A dry run refuses what the import would: for want of a right, of room, of a member, of a login that is free."""
    source, here = start()
    with source, here:
        made = lambda v, path, **body: v.ok("POST", "identity/" + path, body).data["id"]  # noqa: E731
        for path in "open/a", "shut/b", "dark/c":
            source.ok("POST", "secret/data/" + path, {"data": {"k": path}})
        source.ok("POST", "sys/mounts/deep/er", {"type": "kv"})
        source.ok("POST", "deep/er/x", {"k": 1})
        here.ok("POST", "sys/mounts/deep", {"type": "kv"})
        for name in "fine", "broken":
            source.ok("POST", "sys/policies/acl/" + name, {"policy": 'path "x" { capabilities = ["read"] }'})
        for path, type_ in ("approle", "approle"), ("people", "userpass"), ("others", "userpass"):
            source.ok("POST", "sys/auth/" + path, {"type": type_})
        source.ok("POST", "auth/approle/role/web", {})
        accessors = {m: source.ok("GET", "sys/auth").data[m]["accessor"] for m in ("people/", "others/")}
        here.ok("POST", "sys/auth/people", {"type": "userpass"})
        ids = {}
        for name in "anna", "bert", "cleo":
            ids[name] = made(source, "entity", name=name)
            for mount in accessors:
                made(source, "entity-alias", name=name, canonical_id=ids[name], mount_accessor=accessors[mount])
        taken = made(here, "entity", name="somebody else")
        made(here, "entity-alias", name="bert", canonical_id=taken, mount_accessor=here.ok("GET", "sys/auth").data["people/"]["accessor"])
        made(here, "entity", name="cleo")  # another one: it lacks the logins
        # Listed before its members, and of somebody who does not come.
        made(source, "group", name="a", member_group_ids=[made(source, "group", name="z", member_entity_ids=[ids["anna"]])])
        for name in "bert", "cleo":
            made(source, "group", name="of " + name, member_entity_ids=[ids[name]])
        far = made(source, "group", name="far", type="external")
        made(source, "group-alias", name="far", canonical_id=far, mount_accessor=accessors["others/"])
        rules = """
            path "secret/*"      { capabilities = ["create", "read", "update", "list", "sudo"] }
            path "secret/import/shut/*" { capabilities = ["read"] }
            path "deep/*"        { capabilities = ["create", "read", "update", "list"] }
            path "sys/mounts/*"  { capabilities = ["create", "update"] }
            path "sys/auth/*"    { capabilities = ["create", "update", "sudo"] }
            path "sys/policies/acl/*" { capabilities = ["create", "read", "update"] }
            path "sys/policies/lint" { capabilities = ["update"] }
            path "auth/approle/role/*" { capabilities = ["read"] }
            path "auth/people/users/*" { capabilities = ["read"] }
            path "auth/others/users/*" { capabilities = ["read"] }
            path "identity/*"    { capabilities = ["create", "read", "update", "list"] }"""
        here.ok("POST", "sys/policies/acl/mover", {"policy": rules})
        weak = here.ok("POST", "auth/token/create", {"policies": ["mover"]}).json["auth"]["client_token"]

        def alter(method, path, answer):
            if path.startswith("secret/data/dark/c"):
                return 403, json.dumps({"errors": ["permission denied"]})
            status, text = answer()
            if path == "sys/policies/acl/broken":
                text = text.replace('[\\"read\\"]', '[\\"fly\\"]')
            return status, text

        with Between(source, alter) as other:
            done = foretold(here, other, token=weak, check=False)
            equal(done.returncode, 2)
            for what in ("secret/shut/b: permission denied", "secret/dark/c: permission denied", "deep/er/: existing mount at deep/",
                         "the policy broken: ", "auth/approle/role/web: permission denied",
                         "the entity bert: its login 'bert' belongs to another entity here",
                         "the entity cleo: one of that name is here already", "the group of bert: a member of it is",
                         "the group of cleo: a member of it is another one here"):
                contains(done.stderr, "refused   " + what)
            equal(sorted(here.ok("LIST", "identity/group/name").data["keys"]), ["a", "far", "z"])
            equal(names(here, "secret/"), ["open/a"])
            here.ok("POST", "sys/policies/acl/mover", {"policy": rules.replace('/role/*" { capabilities = ["read"', '/role/*" { capabilities = ["read", "update"')})
            contains(foretold(here, other, "-replace", token=weak, check=False).stderr, "refused   the entity bert")


def a_list_with_more():
    """A list that comes in pages is asked for to its end; of one that says that it is cut, and no more, nobody says
    that it is whole."""
    source, here = start()
    with source, here:
        wanted = ["n%02d" % i for i in range(7)] + ["sub/n%02d" % i for i in range(5)]
        for path in wanted:
            source.ok("POST", "secret/data/" + path, {"data": {"k": path}})
        for i in range(5):
            source.ok("POST", "identity/entity", {"name": "e%d" % i})

        def pages(knows_after):
            whole = {}  # the first answer of each path: what a vault that knows no `after` says each time

            def alter(method, path, answer):
                status, text = answer()
                path, _, query = path.partition("?")
                if method == "LIST" and not knows_after:
                    status, text = whole.setdefault(path, (status, text))
                if method != "LIST" or status != 200:
                    return status, text
                told = json.loads(text)
                after = urllib.parse.parse_qs(query).get("after", [""])[0] if knows_after else ""
                rest = [k for k in told["data"]["keys"] if k > after]
                told["data"]["keys"] = rest[:3]
                told["warnings"] = ["only 3 of them are listed"] if len(rest) > 3 else None
                return (200, json.dumps(told)) if rest else (404, '{"errors":[]}')
            return alter

        with Between(source, pages(False)) as other:
            done = foretold(here, other, check=False)
            equal(done.returncode, 2)
            contains(done.stderr, "refused   secret/: its list may not be whole: only 3 of them are listed")
            contains(done.stderr, "refused   identity/entity/id: its list may not be whole")
            equal(sorted(names(here, "secret/")), wanted[:3])
        with Between(source, pages(True)) as other:
            done = foretold(here, other)
            equal(sorted(names(here, "secret/")), sorted(wanted))
            equal(len(here.ok("LIST", "identity/entity/id").data["keys"]), 5)


def token_for(vault, name, rules):
    """A file with a token that may do that alone."""
    vault.ok("POST", "sys/policies/acl/" + name, {"policy": rules})
    token = vault.ok("POST", "auth/token/create", {"policies": [name]}).json["auth"]["client_token"]
    path = os.path.join(scratch, name + "-token")
    with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as f:
        f.write(token + "\n")
    return path, token


NO_VALUES = """
    path "+/metadata/*" { capabilities = ["list", "read", "delete"] }
    path "sys/internal/ui/*" { capabilities = ["read"] }"""


def killed_at(vault, words, proxy, text):
    """secretctl, killed before the first request with that text is passed on."""
    process, reached = [], threading.Event()

    def kill():
        reached.wait(DEADLINE)
        process[0].kill()
        return False
    proxy.arm_at(text, kill)
    process.append(subprocess.Popen([program("secretctl")] + words, env=vault.environment(), stdin=subprocess.DEVNULL,
                                    stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL))
    reached.set()
    equal(process[0].wait(DEADLINE), -signal.SIGKILL, "killed")


def over_another():
    """What is here goes when what is there comes, not before: old or new, never none."""
    source, here = start()
    from_, to = Proxy(source.port), Proxy(here.port)
    with source, here:
        here.ok("POST", "sys/mounts/secret", {"type": "kv-v2"})
        for n in range(45):  # three requests
            source.ok("POST", "secret/metadata/a", {"max_versions": 100})
            source.ok("POST", "secret/data/a", {"data": {"theirs": n}})
        source.ok("POST", "secret/data/b", {"data": {"theirs": 1}})
        source.ok("POST", "secret/metadata/b", {"custom_metadata": {"of": "theirs"}})
        for n in range(3):
            here.ok("POST", "secret/data/a", {"data": {"mine": n}})
        here.ok("POST", "secret/metadata/b", {"custom_metadata": {"of": "mine"}})
        mine = everything(here, "secret/")

        def stays(why):
            equal(everything(here, "secret/"), mine, why)

        words = lambda peer, at=None: ["import", "vault", "-from=" + (at or source).address, "-peer-token-file=" + peer,  # noqa: E731
                                       "-path=secret/a", "-replace"]
        # The other side does not show the values.
        done = here.ctl(*words(token_for(source, "blind", NO_VALUES)[0]), check=False)
        equal(done.returncode, 2)
        contains(done.stderr, "refused   secret/a: permission denied")
        stays("values that may not be read")
        # The token here may delete, and may not bring in; or the other way round.
        for name, rules in (("deleter", 'path "secret/*" { capabilities = ["create", "read", "update", "delete", "list"] }'),
                            ("bringer", 'path "secret/*" { capabilities = ["create", "read", "update", "list", "sudo"] }')):
            done = here.ctl(*words(token_file(source)), token=token_for(here, name, rules)[1], check=False)
            contains(done.stderr, "refused   secret/a: permission denied")
            stays(name)
        # Killed when the first value is asked for, and when the first versions are about to be written.
        killed_at(here, words(token_file(source), from_), from_, b"/v1/secret/data/a")
        stays("killed before the first value")
        there = dict(address=to.address)
        killed_at(here, words(token_file(source)) + ["-address=" + there["address"]], to, b"/v1/secret/import/a")
        stays("killed before the first write")
        # Killed between the first request and the second: it has begun, and goes on without -replace.
        killed_at(here, words(token_file(source)) + ["-address=" + there["address"]], to, b'"cas":20')
        equal(here.ok("GET", "secret/metadata/a").data["current_version"], 20)
        contains(here.ctl(*importing(source, "-path=secret/a")).stdout, "0 different")
        equal(whole(here, "secret/", "a"), whole(source, "secret/", "a"))
        # Metadata alone is a secret, too.
        done = here.ctl(*importing(source, "-path=secret/b"), check=False)
        equal(done.returncode, 2)
        contains(done.stderr, "refused   secret/b: another secret of that name is there already")
        equal(whole(here, "secret/", "b"), mine["b"])
        here.ctl(*importing(source, "-path=secret/b", "-replace"))
        equal(whole(here, "secret/", "b"), whole(source, "secret/", "b"))
        here.ok("POST", "secret/metadata/c", {"custom_metadata": {"of": "mine"}})
        source.ok("POST", "secret/metadata/c", {"custom_metadata": {"of": "theirs"}})
        here.ctl(*importing(source, "-path=secret/c", "-replace"))
        source.ok("POST", "secret/metadata/c", {"custom_metadata": {"of": "theirs, later"}})
        here.ctl(*importing(source, "-path=secret/c"))
        equal(whole(here, "secret/", "c"), whole(source, "secret/", "c"))

        # By plain writes: nothing goes there before all values are at hand here.
        here.ok("POST", "secret/data/a", {"data": {"newest": 1}})
        source.ok("DELETE", "secret/metadata/a")
        source.ok("POST", "secret/data/a", {"data": {"another": 1}})
        out = ["export", "vault", "-to=" + source.address, "-peer-token-file=" + token_file(source), "-path=secret/a", "-replace"]
        other = whole(source, "secret/", "a")
        done = here.ctl(*out, token=token_for(here, "blind", NO_VALUES)[1], check=False)
        equal(done.returncode, 2)
        contains(done.stderr, "refused   secret/a: permission denied")
        equal(whole(source, "secret/", "a"), other)
        killed_at(here, out + ["-address=" + there["address"]], to, b"/v1/secret/data/a?version=46")
        equal(whole(source, "secret/", "a"), other)
        contains(here.ctl(*out).stdout, "0 different")
        equal(whole(source, "secret/", "a")[1], whole(here, "secret/", "a")[1])
    from_.close()
    to.close()


def back_again():
    """What can be exported with plain writes alone has the same numbers, values and states, not the times."""
    def timeless(vault, path):
        told, values = whole(vault, "secret/", path)
        for name in "created_time", "updated_time":
            told.pop(name)
        versions = told.pop("versions")
        now = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime())

        def state(v):
            when = v["deletion_time"]
            return "destroyed" if v["destroyed"] else "" if not when else "later" if when[:19] > now else "deleted"
        states = {n: state(v) for n, v in versions.items()}
        return told, {n: s for n, s in states.items() if n in values}, values

    here, there = start()
    proxy = Proxy(there.port)
    with here, there:
        odd(here)
        fill(here, 40)
        # The other vault takes no versions as they were: nothing but plain writes may be asked of it.
        there.ok("POST", "sys/policies/acl/plain", {"policy": """
            path "*" { capabilities = ["create", "read", "update", "delete", "list", "sudo"] }
            path "+/import/*" { capabilities = ["deny"] }"""})
        there.token = there.ok("POST", "auth/token/create", {"policies": ["plain"]}).json["auth"]["client_token"]
        words = ["export", "vault", "-to=" + proxy.address, "-peer-token-file=" + token_file(there)]
        contains(here.ctl(*words, "-dry-run").stdout, "nothing was written")
        process = []
        proxy.arm(60000, lambda: process[0].kill())
        process.append(subprocess.Popen([program("secretctl")] + words, env=here.environment(), stdin=subprocess.DEVNULL,
                                        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL))
        equal(process[0].wait(DEADLINE), -signal.SIGKILL, "killed")
        proxy.arm(100000, proxy.cut)
        done = here.ctl(*words)
        contains(done.stdout, ", 0 different")
        equal(sorted(names(there, "secret/")), sorted(names(here, "secret/")))
        for path in names(here, "secret/"):
            told, states, values = timeless(there, path)
            wanted = timeless(here, path)
            equal(told, wanted[0], path)
            equal({n: values[n] for n in wanted[2]}, wanted[2], path)
            equal({n: states[n] for n in wanted[1]}, wanted[1], path)
            equal({n for n in states if n not in wanted[1] and states[n] != "destroyed"}, set(), path)
        again = json.loads(here.ctl(*words, "-o", "json").stdout)
        equal((again["taken"], again["refused"], again["different"]), (0, 0, 0))
        # What somebody else keeps there under the same name is not touched.
        there.ok("POST", "secret/data/numbers", {"data": {"mine": 1}})
        there.ok("DELETE", "secret/metadata/both")
        there.ok("POST", "secret/data/both", {"data": {"mine": 1}})
        here.ok("POST", "secret/data/both", {"data": {"k": "two"}})
        done = here.ctl(*words, check=False)
        equal(done.returncode, 2)
        for path in "numbers", "both":
            contains(done.stderr, "refused   secret/%s: another secret of that name" % path)
        equal(value(there, "both"), {"mine": 1})
        contains(here.ctl("export", "vault", check=False).stderr, "to which vault?")
    proxy.close()


def interrupted():
    source, here = start(SECRETS)
    proxy = Proxy(source.port)
    with source, here:
        words = [program("secretctl"), "import", "vault", "-from=" + proxy.address,
                 "-peer-token-file=" + token_file(source)]
        # About what one secret costs in requests to the source: a third of the way each time.
        third = SECRETS * 900 // 3

        def run(action_of=None, after=0):
            process = subprocess.Popen(words, env=here.environment(), stdin=subprocess.DEVNULL,
                                       stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
            if action_of:
                proxy.arm(after, lambda: action_of(process))
            out, err = process.communicate(timeout=DEADLINE * 10)
            return process.returncode, out, err

        def kill_it(process):
            process.kill()

        def kill_the_vault(_):
            here.kill()

        counts = [0]
        for i in range(3):
            code, _, _ = run(kill_it, third // 4 * (i + 1))
            equal(code, -signal.SIGKILL, "killed")
            counts.append(len(names(here, "secret/")))
        equal(counts == sorted(counts) and 0 < counts[1] < SECRETS and counts[-1] < SECRETS, True, "%r" % counts)
        # The vault here goes away in the middle, and comes back sealed: the move stops and says how to go on.
        back = threading.Thread(target=lambda: (here.process.wait(), here.start()))
        back.start()
        code, _, err = run(kill_the_vault, third // 4 * 4)
        back.join()
        here.unseal()
        equal(code, 2, err)
        contains(err, "the same command goes on where it stopped")
        # Connections break in the middle: that is no more than a pause.
        code, out, err = run(lambda _: proxy.cut(), third // 4 * 5)
        equal(code, 0, out + err)
        contains(out, "%d equal on both sides, 0 different" % SECRETS)
        same(source, here)
        _, out, _ = run()
        contains(out, "versions   0 written")
    proxy.close()


# ---- files ----

ENV = """# of the app
export DB_USER=app
DB_PASSWORD="p$ \\"q\\" \\\\ \\n"
NOTE='two
lines' # of it
EMPTY=
"""
ENV_AS_JSON = {"DB_USER": "app", "DB_PASSWORD": 'p$ "q" \\ \n', "NOTE": "two\nlines", "EMPTY": ""}


def file(name, text):
    path = os.path.join(scratch, name)
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "wb") as f:
        f.write(text if isinstance(text, bytes) else text.encode())
    return path


def value(vault, path):
    return vault.ok("GET", "secret/data/" + quoted(path)).data["data"]


def files():
    with Vault().ready() as vault:
        def ctl(code, *words, **more):
            done = vault.ctl(*words, check=False, **more)
            equal(done.returncode, code, "exit code of %s: %s%s" % (" ".join(words), done.stdout, done.stderr))
            return done.stdout + done.stderr

        env = file("app.env", ENV)
        contains(ctl(0, "import", "env", "-dry-run", env, "secret/team/app"), "would take 1,")
        equal(vault.call("GET", "secret/data/team/app").status, 404)
        contains(ctl(0, "import", "env", env, "secret/team/app"), "taken 1, already there 0, refused 0")
        equal(value(vault, "team/app"), ENV_AS_JSON)
        contains(ctl(0, "import", "env", "-", "secret/team/app", input=ENV), "taken 0, already there 1")
        said = ctl(2, "import", "env", "-", "secret/team/app", input="A=hunter2")
        contains(said, "another value is there already; -replace makes this one the newest version")
        equal("hunter2" in said, False, said)
        ctl(0, "import", "env", "-replace", "-", "secret/team/app", input="A=1")
        equal(vault.ok("GET", "secret/metadata/team/app").data["current_version"], 2)
        contains(ctl(1, "import", "env", "-", "secret/x", input="A='b"), "line 1: the quotes that begin here do not end")
        contains(ctl(2, "import", "env", env, "none/x"), "there is no KV mount for 'none/x'")
        contains(ctl(2, "import", "env", env, "secret"), "not inside the mount secret/")

        # sops -d
        ctl(0, "import", "sops-decrypted", "-", "secret/sops", input='\n {"db": {"password": "p"}, "list": [1]}')
        equal(value(vault, "sops"), {"db": {"password": "p"}, "list": [1]})
        ctl(0, "import", "sops-decrypted", "-", "secret/sops2", input="A=b\n")
        equal(value(vault, "sops2"), {"A": "b"})
        said = ctl(1, "import", "sops-decrypted", "-", "secret/sops3", input='{"a": "ENC[AES256_GCM,data:x]", "sops": {"mac": "x"}}')
        contains(said, "it is still encrypted")
        contains(ctl(1, "import", "sops-decrypted", "-", "secret/sops3", input="a: b\n"), "sops -d --output-type json FILE")

        # A JSON object of secrets, a wrong one among them; out again, and in again.
        many = file("many.json", json.dumps({"db/a": {"k": "ü\u2028", "n": 1}, "db/a/b": {"x": {"y": None}}, "wrong": "hunter2", "api": {}}))
        said = ctl(2, "import", "json", many, "secret/team/")
        contains(said, "refused   wrong: a secret has to be an object")
        contains(said, "taken 3, already there 0, refused 1")
        equal("hunter2" in said, False, said)
        vault.ok("POST", "secret/data/team/gone", {"data": {"k": 1}})
        vault.ok("DELETE", "secret/data/team/gone")
        out = os.path.join(scratch, "team.json")
        said = ctl(0, "export", "json", "secret/team", out)
        contains(said, "left      secret/team/gone: its newest version is deleted")
        contains(said, "4 written, 1 left, 0 refused")
        equal(os.stat(out).st_mode & 0o777, 0o600)
        wanted = {"db/a": {"k": "ü\u2028", "n": 1}, "db/a/b": {"x": {"y": None}}, "api": {}, "app": {"A": "1"}}
        equal(json.load(open(out)), wanted)
        contains(ctl(1, "export", "json", "secret/team", out), "an export goes into a new file")
        equal(json.loads(vault.ctl("export", "json", "secret/team/").stdout), wanted)
        ctl(0, "import", "json", out, "secret/again")
        equal(json.loads(vault.ctl("export", "json", "secret/again").stdout), wanted)
        contains(ctl(2, "export", "json", "secret/none"), "there is no secret below 'secret/none'")
        contains(ctl(1, "import", "json", "-", "secret/x", input="[1]"), "it is no JSON object")
        contains(ctl(1, "import", "json", "-", "secret/x", input='{"a": hunter2}'), "line 1, column 7")

        # A folder.
        folder = os.path.join(scratch, "in")
        file("in/db/orders.json", '{"password": "p", "n": 1.0}')
        file("in/db/orders/below.env", "A=b")
        file("in/web/user", "me\n")
        file("in/web/tls.key", "key")
        file("in/web/binary", b"\xff\x00")
        file("in/bad/x.json", "{")
        file("in/.git/config", "not mine")
        os.symlink(folder, os.path.join(folder, "loop"))
        said = ctl(2, "import", "dir", folder, "secret/in")
        contains(said, "refused   secret/in/web/binary: it is not text")
        contains(said, "refused   secret/in/bad/x: ")
        contains(said, "refused   secret/in/loop: cannot open the folder")
        contains(said, "refused   secret/in/web: a file of it was refused, so none of them was taken")
        contains(said, "left      secret/in/.git: names that begin with a dot are not read")
        contains(said, "taken 2, already there 0, refused 4, left 1")
        equal(sorted(names(vault, "secret/", folder="in/")), ["in/db/orders", "in/db/orders/below"])
        # Two sources of one secret: the second is refused, whatever they are.
        os.remove(os.path.join(folder, "web/binary"))
        file("in/web.json", '{"a": "hunter2"}')
        file("in/db/orders.env", "password=hunter2")
        said = ctl(2, "import", "dir", folder, "secret/in")
        for path in "web", "db/orders":
            contains(said, "refused   secret/in/%s: another file or folder was this secret already" % path)
        equal(value(vault, "in/db/orders")["password"], "p")
        os.remove(os.path.join(folder, "web.json"))
        os.remove(os.path.join(folder, "db/orders.env"))
        contains(ctl(2, "import", "dir", folder, "secret/in"), "already there 3,")
        equal(value(vault, "in/web"), {"user": "me\n", "tls.key": "key"})
        contains(vault.ok("GET", "secret/data/in/db/orders").body, '"n":1.0')
        outdir = os.path.join(scratch, "out")
        contains(ctl(0, "export", "dir", "secret/in", outdir), "3 written")
        equal(os.stat(outdir).st_mode & 0o777, 0o700)
        equal(os.stat(os.path.join(outdir, "db/orders.json")).st_mode & 0o777, 0o600)
        contains(ctl(0, "import", "dir", outdir, "secret/in"), "taken 0, already there 3")
        contains(ctl(1, "export", "dir", "secret/in", outdir), "an export goes into a new folder")

        # Variables out, and in again.
        vault.ok("POST", "secret/data/vars", {"data": dict(ENV_AS_JSON, TICK="it's `x`\n", NUMBER=1)})
        text = vault.ctl("export", "env", "secret/vars").stdout
        ctl(0, "import", "env", "-", "secret/vars2", input=text)
        equal(value(vault, "vars2"), dict(ENV_AS_JSON, TICK="it's `x`\n", NUMBER="1"))
        vault.ok("POST", "secret/data/odd", {"data": {"a b": "hunter2"}})
        said = ctl(1, "export", "env", "secret/odd")
        contains(said, "the key 'a b' cannot be the name of a variable")
        equal("hunter2" in said, False, said)
        half = os.path.join(scratch, "odd.env")
        ctl(1, "export", "env", "secret/odd", half)
        equal(os.path.exists(half), False, "a file of nothing")

        def alter(method, path, answer):
            return (403, json.dumps({"errors": ["2 errors occurred:\n\t* permission denied\n\t* invalid token\n\n"]})) if path.startswith("secret/data/") else answer()
        with Between(vault, alter) as other:
            for kind in "json", "dir":
                half = os.path.join(scratch, "half." + kind)
                ctl(2, "export", kind, "-address=" + other.address, "secret/team", half)
                equal(os.path.exists(half), False, half)
        contains(ctl(2, "export", "env", "secret/none"), "there is no 'secret/none'")

        # A mount of version 1.
        vault.ok("POST", "sys/mounts/old", {"type": "kv"})
        contains(ctl(2, "import", "json", out, "old/team"), "refused   old/team/api: missing data fields")
        equal(json.loads(vault.ctl("export", "json", "old/team").stdout), {k: v for k, v in wanted.items() if v})


def names_lead_nowhere():
    """What a vault answers chooses no place outside of the folder, here or in the vault here."""
    source, here = start()
    with source, here:
        source.ok("POST", "secret/data/fine", {"data": {"k": "v"}})
        source.ok("POST", "secret/data/.hidden/x", {"data": {"k": "v"}})
        source.ok("POST", "secret/data/f/.hidden", {"data": {"k": "v"}})
        wrong = ["../x", "a/../../y", "/etc/z", "..", ".", "", "../", "/", "a/b", "fo/o/"]

        def alter(method, path, answer):
            status, text = answer()
            if method == "LIST" and path == "secret/metadata/":
                told = json.loads(text)
                told["data"]["keys"] = wrong + told["data"]["keys"]
                text = json.dumps(told)
            if method == "GET" and ("/../" in path or path.endswith(("/..", "/."))):
                return 200, json.dumps({"request_id": "x", "data": {"data": {"k": "far"}, "metadata": {"version": 1}}})
            return status, text

        with Between(source, alter) as lying:
            base = os.path.join(scratch, "deep", "er")
            os.makedirs(base)
            done = source.ctl("export", "dir", "-address=" + lying.address, "secret", os.path.join(base, "out"), check=False)
            equal(done.returncode, 2, done.stdout + done.stderr)
            equal(done.stderr.count("refused   secret/: a name in its list is no name"), len(wrong), done.stderr)
            contains(done.stderr, "refused   secret/.hidden/x: a part of its path is empty or begins with a dot")
            contains(done.stderr, "refused   secret/f/.hidden: ")
            contains(done.stderr, "1 written")
            files_there = [os.path.join(d, f) for d, _, fs in os.walk(os.path.join(scratch, "deep")) for f in fs]
            equal(files_there, [os.path.join(base, "out", "fine.json")])
            done = here.ctl(*importing(lying), check=False)
            equal(done.returncode, 2)
            contains(done.stderr, "refused   secret/: a name in its list is no name")
            equal(sorted(names(here, "secret/")), [".hidden/x", "f/.hidden", "fine"])
            equal([p for m, p in lying.asked if ".." in p], [])


CASES = [
    ("names that lead elsewhere", names_lead_nowhere),
    ("files", files),
    ("all kinds of secrets, mounts and policies", all_kinds),
    ("what changed since", later_changes),
    ("a part of it", a_part),
    ("what cannot come", not_all_of_it),
    ("from and to a vault over TLS", over_tls),
    ("who may log in, and who is who", who),
    ("more identities than a page", many_identities),
    ("what needs approval", kept_for_approval),
    ("what mounts are set to", settings),
    ("mounts that cannot be seen", unseen),
    ("the rights that it needs", rights),
    ("others of the same name", strangers),
    ("what a dry run decides", dry_runs_decide),
    ("a list that has more", a_list_with_more),
    ("over another one", over_another),
    ("out to another vault, by plain writes", back_again),
    ("interrupted five times", interrupted),
]


def main():
    try:
        for name, function in CASES:
            report.case(name, function)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    report.end()


main()
