#!/usr/bin/env python3
"""What README and docs tell a person to type, typed as it stands there, by a user who has nothing yet.

    tests/integration/readme.py ['part of a case name']

Only the addresses, and the folder of an export, are others.
"""
import os
import re
import shutil
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
from keyturn import BIN, DEADLINE, ROOT, Report, Vault, contains, equal, free_port  # noqa: E402

report = Report()
vault = Vault()
scratch = tempfile.mkdtemp(prefix="kt-readme-")


def lines_of(file, begin, end):
    """The commands of a part: what is indented by four."""
    with open(os.path.join(ROOT, file)) as f:
        text = f.read()
    part = text[text.index(begin):]
    part = part[:part.index(end, len(begin))]
    return [line[4:] for line in part.splitlines() if line.startswith("    ")]


def shell(lines, **env):
    """In one shell that ends with the first that fails; what it printed."""
    done = subprocess.run(["bash", "-euc", "\n".join(lines)], text=True, capture_output=True, timeout=DEADLINE,
                          cwd=scratch, stdin=subprocess.DEVNULL,
                          env=dict({k: v for k, v in os.environ.items() if not k.startswith("VAULT_")},
                                   HOME=scratch, PATH=BIN + ":" + os.environ["PATH"], **env))
    equal(done.returncode, 0, "%s\n%s" % (done.stdout, done.stderr))
    return done.stdout


def five_minutes():
    address = "127.0.0.1:%d" % free_port()
    lines = lines_of("README.md", "## Five minutes", "## Where things are")
    equal(lines[:2], ["make deps all", "export PATH=$PWD/build/bin:$PATH VAULT_ADDR=http://127.0.0.1:8200"])
    lines = ["export VAULT_ADDR=http://" + address, "trap 'kill %1' EXIT"] + lines[2:]
    at = lines.index("vaultd --dev --dev-root-token-id=root &")
    lines[at] = lines[at].replace(" &", " -dev-listen-address=%s > dev.log 2>&1 &" % address)
    lines.insert(at + 1, "until (: < /dev/tcp/%s) 2> dev.null; do :; done" % address.replace(":", "/"))
    lines = [line.replace("/tmp/log", os.path.join(scratch, "log")) for line in lines if "vault.example" not in line]
    said = shell(lines)
    for text in ("s3cret", "6 characters", "DONE  secret/app/db", "GOOD  All ", "yes   read secret/data/app/db: the deciding pattern grants it"):
        contains(said, text)
    equal(len(re.findall(r"^hvs\.\w+", said, re.M)), 1, said)


def address_and_token():
    return {k: v for k, v in vault.environment().items() if k.startswith("VAULT_")}


def who_is_who():
    said = shell(lines_of("docs/login.md", "## Who is who", "## What a token gets"), **address_and_token())
    contains(said, "anna")
    contains(said, "team-a")


def unix_users():
    lines = lines_of("docs/login.md", "    secretctl auth enable unix", "\n\n")
    equal(lines[-1], "VAULT_ADDR=unix:///run/vaultd/vaultd.sock secretctl login -method=unix")
    shell(lines[:-1], **address_and_token())
    equal(vault.ok("GET", "auth/unix/users/1000").data["policies"], ["deploy"])


def policies():
    rules = 'path "secret/data/db/*" { capabilities = ["read", "update"] }\n' \
            'path "secret/data/home/{{identity.entity.name}}/*" { capabilities = ["update", "read"] }'
    vault.ok("POST", "sys/policies/acl/deploy", {"policy": rules})
    vault.ok("POST", "identity/entity", {"name": "alice", "policies": ["deploy"]})
    with open(os.path.join(scratch, "new.hcl"), "w") as f:
        f.write(rules)
    lines = [line for line in lines_of("docs/policies.md", "## Asking", "\n## ") if line.startswith("secretctl")]
    equal(len(lines) >= 4, True, lines)
    equal(shell(lines, **address_and_token()).count("yes   "), len(lines))


def quotas():
    shell(lines_of("docs/quotas.md", "    curl", "\n\n"), **address_and_token())
    equal(vault.ok("GET", "sys/quotas/rate-limit/kv").data["rate"], 100)
    vault.ok("DELETE", "sys/quotas/rate-limit/kv")


def wrapping():
    vault.ok("POST", "secret/data/db/orders", {"data": {"password": "s3cret"}})
    lines = lines_of("docs/wrapping.md", "    secretctl kv get -wrap-ttl", "\n\n")
    equal(len(lines), 2)
    contains(shell([lines[0].split("#")[0] + "> token", lines[1].split("#")[0] + "- < token"], **address_and_token()), "s3cret")


def files():
    """docs/moving.md; sops stands in for itself."""
    folder = os.path.join(scratch, "files")
    os.makedirs(os.path.join(folder, "secrets", "db"))
    for name, text in ((".env", "NAME=value\n"), ("secrets.json", '{"db/orders": {"password": "s3cret"}}'),
                       ("secrets/db/web.json", '{"k": "v"}'), ("sops", "#!/bin/sh\necho '{\"NAME\": \"value\"}'\n")):
        with open(os.path.join(folder, name), "w") as f:
            f.write(text)
    os.chmod(os.path.join(folder, "sops"), 0o755)
    shell(["cd files", "PATH=$PWD:$PATH"] + lines_of("docs/moving.md", "    secretctl import env", "\n\n"), **address_and_token())
    shell(["mkdir out", "cd out"] + lines_of("docs/moving.md", "    secretctl export env", "\n\n"), **address_and_token())
    with open(os.path.join(scratch, "out", "secrets", "db", "orders.json")) as f:
        equal(f.read(), '{"password":"s3cret"}\n')


CASES = [("five minutes", five_minutes), ("who is who", who_is_who), ("users of the host", unix_users), ("policies", policies),
         ("quotas", quotas), ("wrapping", wrapping), ("files", files)]


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
