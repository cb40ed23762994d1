#!/usr/bin/env python3
"""secretctl for every day: what one's policies allow, what is where, what changed, what moves.

    tests/integration/everyday.py ['part of a case name']
"""
import json
import os
import shutil
import struct
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
from between import Between  # noqa: E402
from keyturn import DEADLINE, Report, Vault, contains, equal, program, shim  # noqa: E402

SHIM = shim("alloc_shim.so")
report = Report()
scratch = tempfile.mkdtemp(prefix="kt-everyday-")
vault = Vault()
APP = """path "secret/data/app/*" { capabilities = ["read", "update"] }
path "secret/data/app/hidden" { capabilities = ["deny"] }
path "secret/metadata/app/*" { capabilities = ["read", "list"] }
path "secret/metadata/" { capabilities = ["list"] }
path "secret/subkeys/app/*" { capabilities = ["read"] }
path "secret/subkeys/app/hidden" { capabilities = ["deny"] }
"""


def ctl(*words, **more):
    return vault.ctl(*words, check=False, **more)


def said(code, *words, **more):
    """Both outputs of a command that ends with the code."""
    done = ctl(*words, **more)
    equal(done.returncode, code, "exit code of %s (%s%s)" % (" ".join(words), done.stdout, done.stderr))
    return done.stdout, done.stderr


def good(*words, **more):
    return said(0, *words, **more)[0]


def file(name, text):
    path = os.path.join(scratch, name)
    with open(path, "w") as f:
        f.write(text)
    return path


def token_of(policy, text):
    good("policy", "write", policy, "-", input=text)
    return good("token", "create", "-policy=" + policy, "-ttl=1h", "-field=token").strip()


def put(secret, **keys):
    good("kv", "put", secret, "-", input=json.dumps(keys))


# ---- policies ----

def explain():
    good("policy", "write", "app", "-", input=APP)
    out, err = said(0, "policy", "explain", "app", "-can", "read", "secret/data/app/x")
    equal(out.splitlines()[0], "yes   read secret/data/app/x: the deciding pattern grants it")
    equal(out.splitlines()[-1].split(), ["decides", "secret/data/app/*", "app", "read,", "update"])
    equal(err, "")
    out, _ = said(2, "policy", "explain", "app", "read", "secret/data/app/hidden")
    equal(out.splitlines()[0], "no   read secret/data/app/hidden: the deciding pattern denies")
    equal([line.split()[:2] for line in out.splitlines()[4:]],
          [["decides", "secret/data/app/hidden"], ["secret/data/app/*", "app"]])
    contains(said(2, "policy", "explain", "app", "none", "read", "secret/data/x")[1], "there is no policy 'none'")
    contains(said(2, "policy", "explain", "app", "read", "secret/app")[1], "nothing there answers such a path")
    contains(said(2, "policy", "explain", "app", "list", "secret/data/app/x")[1], "no request there asks for 'list'")
    # Not stored yet, alone and beside what is.
    path = file("new.hcl", 'path "secret/data/new" { capabilities = ["read"] }')
    said(0, "policy", "explain", "-file", path, "read", "secret/data/new")
    said(0, "policy", "explain", "-file=" + path, "app", "read", "secret/data/app/x")
    answer = json.loads(said(2, "policy", "explain", "app", "read", "secret/data/app/hidden", "-o", "json")[0])
    equal((answer["allowed"], answer["pattern"]), (False, "secret/data/app/hidden"))
    contains(said(1, "policy", "explain", "app", "fly", "secret/data/x")[1], "must be one of")
    contains(said(1, "policy", "explain", "secret/data/x")[1], "which capability")


def can_i():
    token = token_of("app", APP)
    equal(said(0, "can-i", "read", "secret/data/app/x", token=token), ("yes   read secret/data/app/x\n", ""))
    said(0, "can-i", "list", "secret/metadata", token=token)
    said(0, "can-i", "-can=update", "secret/data/app/x", token=token)
    for words in (("delete", "secret/data/app/x"), ("read", "secret/data/app/hidden"), ("update", "sys/seal")):
        out, err = said(2, "can-i", *words, token=token)
        equal(out, "no   %s %s\n" % words)
        contains(err, "secretctl policy explain POLICY")
    equal(json.loads(said(0, "can-i", "delete", "anything", "-o", "json")[0]), {"allowed": True})
    # Which rule it is may only be known by who may ask.
    said(1, "policy", "explain", "app", "read", "secret/data/app/x", token=token)


def lint():
    wrong = file("wrong.hcl", 'path "secret/app/*" { capabilities = ["read"] }\n'
                              'path "secret/data/a" { capabilities = ["read", "list"] }\n')
    out, _ = said(2, "policy", "lint", wrong)
    equal(out.splitlines(), [
        'wrong  path "secret/app/*" matches nothing that can be asked of secret/: did you mean "secret/data/app/*"?',
        'note   path "secret/data/a" grants list, which is never asked for there (only create, delete, patch, read, update)'])
    contains(good("policy", "lint", "-", input=APP), "nothing to say")
    equal(len(json.loads(said(2, "policy", "lint", "-o", "json", wrong)[0])["findings"]), 2)
    said(1, "policy", "lint", file("broken.hcl", 'path "x {'))
    # The write says what cannot have been meant, and writes.
    out, err = said(0, "policy", "write", "wrong", wrong)
    contains(err, 'did you mean "secret/data/app/*"?')
    equal("never asked" in err, False, err)
    equal(said(0, "policy", "write", "fine", "-", input=APP)[1], "")
    good("policy", "delete", "wrong")


def a_refusal_in_the_audit_log():
    token = token_of("app", APP)
    _, err = said(2, "kv", "get", "secret/app/hidden", token=token)
    equal("hidden/" in err or "policy app" in err, False, err)
    line = [l for l in good("audit", "tail", "-count=20").splitlines() if "secret/data/app/hidden" in l][-1]
    contains(line, "(secret/data/app/hidden of policy app: the deciding pattern denies)")


# ---- secrets that move ----

MOVER = """path "secret/move/team/*" { capabilities = ["update", "sudo"] }
path "secret/copy/team/*" { capabilities = ["update"] }
path "secret/metadata/team/*" { capabilities = ["read", "delete"] }
path "secret/+/archive/*" { capabilities = ["create"] }
"""


def copy_and_move():
    put("secret/team/db", password="canary-1")
    put("secret/team/db", password="canary-2")
    out, err = said(0, "cp", "secret/team/db", "secret/other/db")
    equal(out, "Success! secret/team/db is also secret/other/db, with 2 versions\n")
    equal(err, "undo   secretctl kv metadata delete secret/other/db\n")
    out, err = said(0, "mv", "secret/other/db", "secret/third/")
    equal(out, "Success! secret/other/db is secret/third/db, with 2 versions\n")
    equal(err, "undo   secretctl kv mv secret/third/db secret/other/db\n")
    equal(good("kv", "get", "-version=1", "-field=password", "secret/third/db"), "canary-1")
    equal(json.loads(good("kv", "mv", "-o", "json", "secret/third/db", "secret/other/db"))["data"],
          {"current_version": 2, "from": "secret/third/db", "to": "secret/other/db", "versions": 2})
    contains(said(2, "mv", "secret/third/db", "secret/x")[1], "there is no secret/third/db")
    contains(said(2, "cp", "secret/team/db", "secret/other/db")[1], "is there already")
    contains(said(2, "cp", "secret/team/db", "secret/team/db")[1], "the secret itself")
    equal(good("cp", "secret/team/db", "secret/x", "-output-curl-string").count("secret/copy/team/db"), 1)


def a_mover_reads_nothing():
    token = token_of("mover", MOVER)
    put("secret/team/a", password="canary-3")
    said(0, "mv", "secret/team/a", "secret/archive/a", token=token)
    equal(good("kv", "get", "-field=password", "secret/archive/a"), "canary-3")
    put("secret/team/a", password="canary-4")
    for words, lacks in (
            (("mv", "secret/team/a", "secret/team/b"), ["create on secret/data/team/b", "create on secret/metadata/team/b"]),
            (("cp", "secret/team/a", "secret/archive/b"), ["read on secret/data/team/a, or sudo beside update above"]),
            (("mv", "secret/archive/a", "secret/archive/b"),
             ["update on secret/move/archive/a", "read on secret/metadata/archive/a",
              "read on secret/data/archive/a, or sudo beside update above", "delete on secret/metadata/archive/a"])):
        out, err = said(2, *words, token=token)
        lines = err.splitlines()
        equal(out, "")
        equal(lines[0].startswith("Error: this token may not %s " % {"mv": "move", "cp": "copy"}[words[0]]), True, err)
        equal([line.replace("lacks", "").strip() for line in lines[1:]], lacks)
    # Whoever could read it there is told that this is why.
    token = token_of("mover", MOVER + 'path "secret/data/archive/*" { capabilities = ["create", "read"] }')
    contains(said(2, "mv", "secret/team/a", "secret/archive/c", token=token)[1], "it could read there")
    log = good("audit", "tail", "-count=200", "-o", "json")
    contains(log, '"destination":"secret/archive/c"')
    equal("canary" in log, False)


# ---- what is where ----

LOOKER = """path "secret/metadata/*" { capabilities = ["list", "read"] }
path "secret/metadata/find/b/*" { capabilities = ["deny"] }
path "secret/subkeys/*" { capabilities = ["read"] }
path "secret/subkeys/find/a/two" { capabilities = ["deny"] }
"""


def plant():
    for name in ("find/top", "find/a/one", "find/a/two", "find/a/deep/er/three", "find/b/four"):
        put("secret/" + name, password="canary-5", **{name[-3:]: "x"})
    good("kv", "metadata", "put", "-custom-metadata=owner=team-a", "secret/find/a/one")
    good("kv", "metadata", "put", "-custom-metadata=owner=team-b", "secret/find/top")


def list_all_below():
    plant()
    names = ["secret/find/a/deep/er/three", "secret/find/a/one", "secret/find/a/two", "secret/find/b/four", "secret/find/top"]
    equal(said(0, "ls", "-r", "secret/find"), ("".join(n + "\n" for n in names), ""))
    equal(json.loads(good("kv", "list", "-r", "-o", "json", "-mount=secret", "find/")), names)
    equal(good("kv", "list", "secret/find"), "a/\nb/\ntop\n")
    equal(good("tree", "secret/find"), """secret/find/
├── a/
│   ├── deep/
│   │   └── er/
│   │       └── three
│   ├── one
│   └── two
├── b/
│   └── four
└── top
""")
    for command in (("ls", "-r"), ("tree",)):
        contains(said(2, *command, "secret/nowhere")[1], "there is nothing below secret/nowhere/")
    token = token_of("looker", LOOKER)
    out, err = said(0, "ls", "-r", "secret/find", token=token)
    equal(out.splitlines(), [n for n in names if n != "secret/find/b/four"])
    equal(err, "note   left out, for it may not be listed by this token: secret/find/b/\n")
    out, err = said(0, "tree", "secret/find", token=token)
    contains(out, "├── b/   (may not be listed)\n")
    equal(said(2, "tree", "secret/find/b", token=token), ("", "Error: this token may not list secret/find/b/\n"))


def many_folders():
    for i in range(60):
        for j in range(3):
            vault.call("POST", "secret/data/many/%02d/%d/x" % (i, j), {"data": {"k%d" % i: "canary-6"}})
    wanted = ["secret/many/%02d/%d/x" % (i, j) for i in range(60) for j in range(3)]
    equal(good("ls", "-r", "secret/many").splitlines(), wanted)
    equal(good("find", "-key=k7", "-in=secret/many").splitlines(), wanted[21:24])


def find():
    plant()
    def found(*words, **more):
        return good("find", *words, **more).splitlines()
    equal(found("find/"), good("ls", "-r", "secret/find").splitlines())
    equal(found("ONE"), ["secret/find/a/one"])
    equal(found("t*", "-in=secret/find"), ["secret/find/a/deep/er/three", "secret/find/a/two", "secret/find/top"])
    equal(found("secret/find/?/*o*"), ["secret/find/a/one", "secret/find/a/two", "secret/find/b/four"])
    equal(found("-key=one"), ["secret/find/a/one"])
    equal(found("-key=pass*", "-in=secret/find/a/deep"), ["secret/find/a/deep/er/three"])
    equal(found("-metadata=owner", "-in", "secret/find"), ["secret/find/a/one", "secret/find/top"])
    equal(found("-metadata=owner=team-b"), ["secret/find/top"])
    equal(found("-metadata=owner=team-?", "-key=one"), ["secret/find/a/one"])
    equal(json.loads(good("find", "-o", "json", "-key=one")), ["secret/find/a/one"])
    equal(said(2, "find", "canary-5"), ("", "nothing is found\n"))
    contains(said(1, "find")[1], "find what?")
    contains(said(1, "find", "x", "-in=nowhere/")[1], "no KV mount")
    # Only what the token may see; and it says so.
    token = token_of("looker", LOOKER)
    out, err = said(0, "find", "-key=password", "-in=secret/find", token=token)
    equal(out.splitlines(), ["secret/find/a/deep/er/three", "secret/find/a/one", "secret/find/top"])
    equal([line.split()[-1] for line in err.splitlines()], ["secret/find/a/two", "secret/find/b/"])
    out, err = said(2, "find", "four", token=token)
    contains(err, "nothing is found in what this token may see")
    # Both versions of KV.
    good("secrets", "enable", "-path=plain", "-version=1", "kv")
    put("plain/a/b", password="canary-5")
    equal(found("-key=password", "-in=plain"), ["plain/a/b"])
    equal("plain/a/b" in found("-key=password"), True)
    equal(said(2, "find", "-metadata=owner", "-in=plain")[0], "")
    good("secrets", "disable", "plain")
    # A vault that goes away is no short list.
    contains(said(1, "find", "one", "-address=http://127.0.0.1:1")[1], "Error")


def memory_runs_out():
    """A list is whole, or it is an error."""
    plant()
    names = ["secret/find/a/deep/er/three", "secret/find/a/one", "secret/find/a/two", "secret/find/b/four", "secret/find/top"]
    commands = {("ls", "-r", "secret/find"): names, ("ls", "-r", "-o", "json", "secret/find"): names,
                ("find", "-key=one", "-in=secret/find"): names[1:2],
                ("find", "-metadata=owner", "-in=secret/find"): [names[1], names[4]],
                ("export", "json", "secret/find"): [n[len("secret/find/"):] for n in names]}
    control = os.path.join(scratch, "control")
    ended = {True: 0, False: 0}
    for words, wanted in commands.items():
        for seed in range(40):
            with open(control, "wb") as f:
                f.write(struct.pack("<IIQ", 300, seed, 0))
            env = dict(vault.environment(None), LD_PRELOAD=SHIM, KT_ALLOC_CONTROL=control)
            done = subprocess.run([program("secretctl"), *words], env=env, text=True, capture_output=True,
                                  stdin=subprocess.DEVNULL, timeout=DEADLINE)
            whole = done.returncode == 0
            ended[whole] += 1
            if whole:
                equal(json.loads(done.stdout) if done.stdout[:1] == "[" else list(json.loads(done.stdout))
                      if done.stdout[:1] == "{" else done.stdout.splitlines(), wanted, "%s, seed %d" % (words, seed))
            else:
                equal((done.returncode in (1, 2), done.stderr != ""), (True, True), "%s, seed %d: %r" % (words, seed, done))
    equal(min(ended.values()) > 10, True, ended)


# ---- what a write takes away ----

def put_tells_the_undo():
    equal(said(0, "kv", "put", "secret/undo", "-", input='{"a":"1","b":"2"}')[1], "undo   secretctl kv delete secret/undo\n")
    _, err = said(0, "kv", "put", "secret/undo", "-", input='{"a":"2"}')
    equal(err.splitlines(), ["note   no longer in secret/undo: b", "undo   secretctl kv rollback -version=1 secret/undo"])
    good(*err.splitlines()[-1].split()[2:])
    equal(json.loads(good("kv", "get", "-o", "json", "secret/undo"))["data"]["data"], {"a": "1", "b": "2"})
    _, err = said(0, "kv", "patch", "secret/undo", "-", input='{"c":"3"}')
    equal(err, "undo   secretctl kv rollback -version=3 secret/undo\n")
    # What cannot be taken back is not said to be.
    good("kv", "delete", "secret/undo")
    equal(said(0, "kv", "put", "secret/undo", "-", input='{"a":"5"}')[1], "")
    equal(said(0, "kv", "put", "-field=version", "secret/undo", "-", input='{"a":"6"}'), ("6", ""))


def a_quota_is_waited_for():
    refused = set()

    def alter(method, path, answer):
        if not path.startswith("sys/") and (method, path) not in refused:
            refused.add((method, path))
            return 429, '{"errors":["request path \\"x\\": rate limit quota exceeded"]}'
        return answer()
    good("kv", "put", "secret/quota/a/b", "-", input='{"needle":"1"}')
    with Between(vault, alter) as between:
        at = "-address=" + between.address
        equal(said(0, "kv", "list", "-r", at, "secret/quota/")[0], "secret/quota/a/b\n")
        refused.clear()
        equal(said(0, "find", at, "-key=needle", "-in=secret/quota")[0], "secret/quota/a/b\n")
        equal(len(refused) > 2, True, "%r" % refused)


def undo_is_told_to_who_can():
    def as_(policy, *words, **more):
        good("policy", "write", "narrow", "-", input=policy)
        token = good("token", "create", "-policy=narrow", "-field=token").strip()
        return said(0, *words, token=token, **more)[1]
    both = 'path "secret/data/who*" { capabilities = ["create", "update"%s] }'
    equal(as_(both % "", "kv", "put", "secret/who", "-", input='{"a":"1"}'), "")
    equal(as_(both % ', "delete"', "kv", "put", "secret/who2", "-", input='{"a":"1"}'), "undo   secretctl kv delete secret/who2\n")
    there = """path "secret/copy/who" { capabilities = ["update"] }
               path "secret/move/who" { capabilities = ["update"] }
               path "secret/data/*" { capabilities = ["create", "read"] }
               path "secret/metadata/who" { capabilities = ["read", "delete", "create"] }
               path "secret/metadata/to" { capabilities = ["create", "read"%s] }
               """
    equal(as_(there % "", "kv", "cp", "secret/who", "secret/to"), "")
    good("kv", "metadata", "delete", "secret/to")
    equal(as_(there % ', "delete"', "kv", "cp", "secret/who", "secret/to"), "undo   secretctl kv metadata delete secret/to\n")
    good("kv", "metadata", "delete", "secret/to")
    equal(as_(there % ', "delete"', "kv", "mv", "secret/who", "secret/to"), "")
    good("kv", "mv", "secret/to", "secret/who")
    back = 'path "secret/move/to" { capabilities = ["update"] }'
    equal(as_(there % ', "delete"' + back, "kv", "mv", "secret/who", "secret/to"), "undo   secretctl kv mv secret/to secret/who\n")


def diff():
    for text in '{"k":{"a":1,"b":[2]}}', '{"k":{"b":[2],"a":1}}':
        good("kv", "put", "secret/order", "-", input=text)
    equal(said(0, "diff", "secret/order")[0], "secret/order   version 1 to 2: the same\n")
    put("secret/diff", same="canary-7", gone="canary-8", other="canary-9", n=1)
    put("secret/diff", same="canary-7", new="canary-10", other="canary-11", n=1)
    out, err = said(2, "kv", "diff", "secret/diff")
    equal((out, err), ("secret/diff   version 1 to 2\n- gone\n~ other\n+ new\n", ""))
    out, _ = said(2, "diff", "-values", "secret/diff")
    equal(out.splitlines()[1:], ["- gone: canary-8", "- other: canary-9", "+ other: canary-11", "+ new: canary-10"])
    equal(json.loads(said(2, "diff", "-o", "json", "-versions=2,1", "secret/diff")[0]),
          {"from": 2, "to": 1, "removed": ["new"], "added": ["gone"], "changed": ["other"]})
    equal(json.loads(said(2, "diff", "-o", "json", "-values", "-mount=secret", "diff")[0])["changed"],
          {"other": {"from": "canary-9", "to": "canary-11"}})
    equal(said(0, "diff", "-versions=1,1", "secret/diff")[0], "secret/diff   version 1 to 1: the same\n")
    # The same text, written in two ways.
    for text in ('{"a":"\\u00e4"}', '{"a":"ä"}'):
        good("kv", "put", "secret/diff2", "-", input=text)
    said(0, "diff", "secret/diff2")
    for words, says in ((("secret/none",), "there is no value at secret/none"),
                        (("-versions=1,9", "secret/diff"), "version 9 of secret/diff has no value"),
                        (("-versions=1", "secret/diff"), "two numbers"), (("-versions=a,b", "secret/diff"), "two numbers")):
        contains(said(1, "diff", *words)[1], says)
    put("secret/single", a="1")
    contains(said(1, "diff", "secret/single")[1], "only one version")
    contains(said(1, "diff", "secret/diff", token="none")[1], "the token is not valid")


# ---- tokens ----

def token_tree():
    good("policy", "write", "maker", "-", input='path "auth/token/create" { capabilities = ["update"] }')
    def make(name, parent=None, *more):
        made = json.loads(good("token", "create", "-policy=maker", "-ttl=1h", "-display-name=" + name, "-o", "json", *more, token=parent))
        return made["auth"]["client_token"], made["auth"]["accessor"]
    a, a_accessor = make("a")
    b, b_accessor = make("b", a)
    _, c_accessor = make("c", b)
    _, d_accessor = make("d", a)
    _, orphan = make("o", None, "-orphan")
    def lines(*words):
        return [(len(l) - len(l.lstrip()), l.split()[0], l.split()[1]) for l in good("token", "tree", *words).splitlines()]
    below = sorted([(2, b_accessor, "token-b"), (2, d_accessor, "token-d")], key=lambda l: l[1])
    below.insert(below.index((2, b_accessor, "token-b")) + 1, (4, c_accessor, "token-c"))
    equal(lines(a_accessor), [(0, a_accessor, "token-a")] + below)
    equal(lines(orphan), [(0, orphan, "token-o")])
    whole = lines()
    at = whole.index((2, a_accessor, "token-a"))
    equal(whole[at + 1:at + 4], [(depth + 2, accessor, name) for depth, accessor, name in below])
    equal((0, orphan, "token-o") in whole, True)
    contains(good("token", "tree", a_accessor).splitlines()[0], "[default, maker]")
    rows = {row["accessor"]: row for row in json.loads(good("token", "tree", "-o", "json"))}
    equal((rows[c_accessor]["parent"], rows[orphan]["parent"]), (b_accessor, None))
    equal(a in json.dumps(rows), False)
    contains(said(2, "token", "tree", "none")[1], "no token with this accessor")
    # What ended is not there; and only who may list all accessors may ask.
    good("token", "revoke", "-accessor", a_accessor)
    equal({a_accessor, b_accessor, c_accessor, d_accessor} & {line[1] for line in lines()}, set())
    token = token_of("nosudo", 'path "auth/token/tree" { capabilities = ["read"] }')
    said(2, "token", "tree", token=token)


# ---- mounts ----

def version_1():
    good("secrets", "enable", "-path=old", "-version=1", "kv")
    equal(said(0, "kv", "put", "old/app", "-", input='{"user":"u","data":"x","metadata":"y"}'),
          ("Success! old/app is written\n", ""))
    equal(good("kv", "get", "old/app").splitlines()[2:], ["user        u", "data        x", "metadata    y"])
    equal(good("kv", "get", "-field=metadata", "old/app"), "y")
    equal(good("kv", "get", "-mount=old", "-field=user", "app"), "u")
    equal(good("kv", "list", "old"), "app\n")
    put("old/data/app", deep="1")
    equal(good("kv", "get", "-field=deep", "old/data/app"), "1")
    contains(said(0, "kv", "put", "old/app", "-", input='{"user":"v"}')[1], "no longer in old/app: data, metadata")
    for words in (("kv", "get", "-version=1", "old/app"), ("kv", "history", "old/app"), ("kv", "patch", "old/app", "a=@/dev/null"),
                  ("kv", "rollback", "-version=1", "old/app"), ("kv", "metadata", "get", "old/app"),
                  ("kv", "destroy", "-versions=1", "old/app"), ("kv", "delete", "-versions=1", "old/app"),
                  ("cp", "old/app", "secret/app"), ("cp", "secret/undo", "old/undo")):
        err = said(1, *words)[1]
        contains(err, "old/ is a KV mount of version 1")
        contains(err, "secretctl kv enable-versioning old/")
    equal(good("kv", "delete", "old/data/app"), "Success! old/data/app is deleted\n")
    contains(said(2, "kv", "get", "old/data/app")[1], "there is no old/data/app")
    contains(said(1, "kv", "get", "sys/x")[1], "no KV mount")
    good("kv", "enable-versioning", "old/")
    equal(good("kv", "get", "-field=user", "-version=1", "old/app"), "v")
    equal(said(0, "kv", "put", "old/app", "-", input='{"user":"w"}')[1], "undo   secretctl kv rollback -version=1 old/app\n")


def mounts_change():
    good("secrets", "enable", "-path=m", "kv-v2")
    good("secrets", "tune", "-description=team A", "-max-lease-ttl=24h", "-default-lease-ttl=1h", "m/")
    tuned = json.loads(good("read", "-o", "json", "sys/mounts/m/tune"))["data"]
    equal((tuned["description"], tuned["max_lease_ttl"], tuned["default_lease_ttl"]), ("team A", 86400, 3600))
    contains(said(1, "secrets", "tune", "m")[1], "nothing to change")
    contains(said(2, "secrets", "tune", "-description=x", "none")[1], "No secret engine mount")
    put("m/a", k="v")
    good("secrets", "move", "m", "teams/m/")
    equal(good("kv", "get", "-field=k", "teams/m/a"), "v")
    good("secrets", "disable", "teams/m")


CASES = [
    ("policy explain", explain),
    ("can-i", can_i),
    ("policy lint", lint),
    ("a refusal in the audit log", a_refusal_in_the_audit_log),
    ("copy and move", copy_and_move),
    ("a mover reads nothing", a_mover_reads_nothing),
    ("list all below", list_all_below),
    ("many folders", many_folders),
    ("find", find),
    ("memory runs out", memory_runs_out),
    ("put tells the undo", put_tells_the_undo),
    ("a quota is waited for", a_quota_is_waited_for),
    ("an undo is told to who can do it", undo_is_told_to_who_can),
    ("diff", diff),
    ("token tree", token_tree),
    ("KV version 1", version_1),
    ("mounts change", mounts_change),
]


def main():
    try:
        vault.ready()
        for name, function in CASES:
            report.case(name, function)
    finally:
        vault.remove()
        shutil.rmtree(scratch, ignore_errors=True)
    report.end()


main()
