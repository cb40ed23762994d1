#!/usr/bin/env python3
"""secretctl for every day: what one's policies allow, what is where, what changed, what moves.

    tests/integration/everyday.py ['part of a case name']
"""
import json
import os
import shutil
import sys
import tempfile

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
from keyturn import Report, Vault, contains, equal  # noqa: E402

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


CASES = [
    ("policy explain", explain),
    ("can-i", can_i),
    ("policy lint", lint),
    ("a refusal in the audit log", a_refusal_in_the_audit_log),
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
