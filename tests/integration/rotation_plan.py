#!/usr/bin/env python3
"""What an operator reads and stops: pausing all rotations, what is overdue, the risk classes, the plan.

    tests/integration/rotation_plan.py ['part of a case name']
"""
import http.server
import json
import os
import re
import sys
import tempfile
import threading

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
from keyturn import ROOT, Report, Vault, contains, equal, wait_for  # noqa: E402

report = Report()
vault = Vault().ready()
CLASSES = os.path.join(ROOT, "policies", "rotation-classes.hcl")


def ctl(code, *words, **more):
    """Both outputs; the exit code is the one that is wanted."""
    done = vault.ctl(*words, check=False, **more)
    equal(done.returncode, code, "exit code of %s (%s%s)" % (" ".join(words), done.stdout, done.stderr))
    return done.stdout + done.stderr


def data(code, *words):
    return json.loads(vault_out(code, *words, "-o", "json"))["data"]


def vault_out(code, *words):
    done = vault.ctl(*words, check=False)
    equal(done.returncode, code, "exit code of %s (%s%s)" % (" ".join(words), done.stdout, done.stderr))
    return done.stdout


def make(secret, *settings):
    vault.ctl("kv", "put", secret, "password=-", input="the first value of it")
    vault.ctl("schedule", "set", secret, "strategy=generate", *settings)


def version(secret):
    return vault.ok("GET", secret.replace("secret/", "secret/data/")).data["metadata"]["version"]


def becomes(secret, wanted):
    wait_for("version %d of %s" % (wanted, secret), lambda: version(secret) >= wanted)


def pausing():
    contains(ctl(0, "run", "resume"), "nothing was paused")
    contains(ctl(1, "run", "pause", "--reason=x"), "secretctl run pause --all --reason=TEXT")
    contains(ctl(1, "run", "pause", "--all"), "secretctl run pause --all --reason=TEXT")
    make("secret/every", "period=1s")
    becomes("secret/every", 2)
    lines = ctl(0, "run", "pause", "--all", "--reason=database migration").splitlines()
    for line, begins in zip(lines, ("PAUSED  by root since ", "hurt    nobody now", "next    secretctl run resume")):
        equal(line[:len(begins)], begins)
    stands_at = version("secret/every")
    # What is late says so; that is the event to wait for.
    wait_for("a rotation that is late", lambda: data(0, "due")["due"][0]["overdue_s"] >= 2)
    equal(version("secret/every"), stands_at)
    for words in (("due",), ("run", "list"), ("run", "why", "secret/every")):
        said = ctl(0, *words)
        contains(said, "database migration", " ".join(words))
        contains(said, "secretctl run resume", " ".join(words))
    equal(data(0, "due")["paused"]["reason"], "database migration")
    contains(ctl(0, "run", "pause", "--all", "--reason=me too"), "that stays as it is")
    said = ctl(2, "rotate", "secret/every")
    contains(said, "KT-R-030")
    contains(said, "secretctl rotate --force secret/every")
    contains(ctl(0, "rotate", "--force", "secret/every"), "DONE")
    equal(version("secret/every"), stands_at + 1)
    contains(ctl(0, "rotate", "--back", "secret/every"), "DONE")
    contains(ctl(0, "explain", "KT-R-030"), "secretctl run resume")


def outlives_a_restart():
    before = version("secret/every")
    vault.restart()
    vault.unseal()
    wait_for("a rotation that is late", lambda: data(0, "due")["due"][0]["overdue_s"] >= 2)
    equal(version("secret/every"), before)
    lines = ctl(0, "run", "resume").splitlines()
    contains(lines[0], "RESUMED  it was paused by root for ")
    contains(lines[0], "database migration")
    becomes("secret/every", before + 1)
    ctl(0, "schedule", "set", "secret/every", "period=")


def who_may():
    with open(os.path.join(ROOT, "policies", "rotator.hcl")) as f:
        vault.ok("POST", "sys/policies/acl/rotator", {"policy": f.read()})
    token = vault.ok("POST", "auth/token/create", {"policies": ["rotator"]}).json["auth"]["client_token"]
    ctl(0, "run", "pause", "--all", "--reason=stop", token=token)
    contains(ctl(2, "run", "resume", token=token), "permission denied")
    # Who may not ask is not told; the list is there all the same.
    vault.ok("POST", "sys/policies/acl/lists", {"policy": 'path "rotation/runs" { capabilities = ["list"] }'})
    other = vault.ok("POST", "auth/token/create", {"policies": ["lists"]}).json["auth"]["client_token"]
    said = ctl(0, "run", "list", token=other)
    equal("PAUSED" in said, False)
    contains(said, "secret/every")
    ctl(0, "run", "resume")


def overdue():
    said = ctl(0, "overdue")
    equal(re.match(r"nothing is overdue: (1 secret is|\d+ secrets are) rotated\n$", said) is not None, True, said)
    equal(data(0, "overdue")["count"], 0)
    ctl(0, "run", "pause", "--all", "--reason=to see ages")
    make("secret/aged", "max_age=1s", "owner=team-a")
    wait_for("exit code 2", lambda: vault.ctl("overdue", check=False).returncode == 2)
    lines = ctl(2, "overdue").splitlines()
    equal(re.match(r"OVERDUE 1 of \d+ secrets that are rotated$", lines[0]) is not None, True, lines[0])
    contains(lines[1], "hurt    nobody")
    equal(lines[2], "next    secretctl run resume")
    for text in ("secret/aged", "age", "team-a", "paused by root"):
        contains(lines[-1], text)
    row = data(2, "overdue")["overdue"][0]
    equal((row["secret"], row["why"], row["max_age_s"]), ("secret/aged", "age", 1))
    equal(vault_out(2, "overdue", "-field=count").strip(), "1")
    # An error is neither "none" nor "some".
    ctl(1, "overdue", "-address=http://127.0.0.1:1")
    vault.ok("POST", "sys/policies/acl/nothing", {"policy": 'path "secret/x" { capabilities = ["read"] }'})
    token = vault.ok("POST", "auth/token/create", {"policies": ["nothing"]}).json["auth"]["client_token"]
    ctl(1, "overdue", token=token)
    ctl(0, "run", "resume")
    becomes("secret/aged", 2)
    ctl(0, "schedule", "set", "secret/aged", "max_age=")


def classes():
    contains(ctl(0, "classes", "show"), "critical")
    ctl(0, "classes", "write", CLASSES)
    shown = data(0, "classes", "show")
    equal([shown[name]["max_age"] for name in ("critical", "high", "medium", "low")], ["30d", "90d", "180d", "365d"])
    contains(ctl(0, "classes", "show"), "production data")
    make("secret/classed", "risk=high")
    contains(ctl(0, "run", "why", "secret/classed"), "next    2")
    contains(ctl(2, "schedule", "set", "secret/classed", "risk=hihg"), "secretctl classes show")
    for text, says in (("class \"high\" { max_age = \"90d\" }", "class \"critical\" is missing"),
                       ("class \"urgent\" {}", "there are critical, high, medium and low"),
                       ("class \"low\" { maxage = \"1d\" }", "maxage"),
                       ("class \"low\" { max_age = \"soon\" }", "max_age"),
                       ("class \"low\" {}\nclass \"low\" {}", "stands there twice")):
        with tempfile.NamedTemporaryFile("w", suffix=".hcl") as f:
            f.write(text)
            f.flush()
            contains(ctl(1, "classes", "write", f.name), says)
    equal(data(0, "classes", "show"), shown, "what was wrong changed nothing")


def plan():
    for secret in ("secret/every", "secret/aged", "secret/classed"):
        vault.ctl("schedule", "remove", secret)
    vault.ctl("kv", "put", "secret/pl/unrotated", "password=-", input="never to be printed")
    make("secret/pl/b", "cron=30 2 * * sun", "zone=Europe/Berlin", "owner=team|b", "risk=high", "notify=ops")
    make("secret/pl/a")
    make("secret/pl/it's", "period=30d")
    vault.ctl("rotate", "secret/pl/b")
    text = ctl(0, "plan", "secret/pl")
    lines = text.splitlines()
    # Verdict, who is hurt, the next command.
    equal(lines[:5], ["# Secrets rotation plan", "", "**0 of 3 rotated secrets are overdue; 1 more are rotated by nothing.**",
                      "Hurt: nobody by that alone. For 2 something is missing, for 3 something is unproven.",
                      "Next: `secretctl schedule set SECRET ...` (--help)"])
    table = [line for line in lines if line.startswith("|")]
    equal([len(re.split(r"(?<!\\)\|", line)) for line in table], [13] * 5, "cells")
    equal([row.split("|")[1].strip() for row in table[2:]], ["secret/pl/a", "secret/pl/b", "secret/pl/it's"])
    contains(table[3], "team\\|b")
    equal([line for line in lines if line.startswith("## ")],
          ["## secret/pl/a", "## secret/pl/b", "## secret/pl/it's", "## Rotated by nothing"])
    for page in text.split("\n## ")[1:4]:
        for part in ("- owner: ", "- told: ", "- risk class: ", "- approvals of a rotation by hand: none\n", "- type: ", "- authenticates to: ", "- kept in: ",
                     "- cadence: ", "- next: ", "- age: ", "- last rotation: ", "- consumers: ", "Missing:", "Unproven:",
                     "Procedure", "1. ", "- verification: ", "- waits: ", "- way back: ", "- by hand: ", "- who may: ",
                     "Emergency"):
            contains(page, "\n" + part)
    contains(text, "\n    secretctl rotate --reason=leaked secret/pl/b\n")
    contains(text, "\n    secretctl rotate --reason=leaked 'secret/pl/it'\\''s'\n")
    contains(text, "\n- secret/pl/unrotated\n")
    equal("secret/other" in text, False)
    for value in ("never to be printed", "the first value of it", vault.ctl("kv", "get", "-field=password", "secret/pl/b").stdout):
        equal(value in text + vault_out(0, "plan", "-o", "json"), False, "a value in the plan")
    # The same again, but for the time and the ages.
    still = re.compile(r"^From live data.*$|\d+ seconds? of|\d+ minutes? of", re.M)
    equal(still.sub("", ctl(0, "plan", "secret/pl")), still.sub("", text))
    # Whose approval is wanted, and what says so.
    person = vault.ok("POST", "identity/entity", {"name": "ann"}).data["id"]
    vault.ok("POST", "identity/group", {"name": "dba", "member_entity_ids": [person]})
    vault.ok("POST", "sys/approvals/rules/few", {"group": "dba", "paths": "rotation/rotate/secret/pl/a"})
    for page, approvals in zip(ctl(0, "plan", "secret/pl").split("\n## ")[1:], ("1 by rule few (from the rule's paths)", "none")):
        contains(page, "\n- approvals of a rotation by hand: %s\n" % approvals)


def plan_of_what_is_signed():
    """An authority and a certificate are told as what they are, and who accepts them."""
    ctl(0, "schedule", "set", "secret/signed/root", "generator.type=x509-ca", "generator.common_name=A root")
    ctl(0, "rotate", "secret/signed/root")
    ctl(0, "schedule", "set", "secret/signed/app", "generator.type=x509", "generator.issuer=secret/signed/root",
        "generator.names=app.example.com")
    text = ctl(0, "plan", "secret/signed")
    equal([[cell.strip() for cell in line.split("|")[2:4]] for line in text.splitlines() if line.startswith("| secret/")],
          [["X.509 certificate", "whoever trusts secret/signed/root"], ["X.509 authority", "whoever trusts it"]])
    app, root = text.split("\n## ")[1:3]
    contains(app, "\n- authenticates to: whoever trusts secret/signed/root\n")
    contains(app, "secretctl certificate revoke secret/signed/app")
    contains(root, "\n- authenticates to: whoever trusts it\n")
    for page in (app, root):
        equal("random value" in page or "password=-" in page, False, page)


def plan_for_programs():
    got = json.loads(vault_out(0, "plan", "secret/pl", "-o", "json"))
    equal([row["secret"] for row in got["secrets"]], ["secret/pl/a", "secret/pl/b", "secret/pl/it's"])
    equal((got["rotated"], got["overdue"], got["missing"], got["not_rotated"], got["not_seen"]),
          (3, 0, 2, ["secret/pl/unrotated"], []))
    row = got["secrets"][1]
    equal((row["owner"], row["max_age_from"], row["max_age_s"], len(row["next"]), row["last_result"], row["missing"]),
          ("team|b", "class", 90 * 86400, 2, "done", []))
    # More than a page of them.
    for i in range(105):
        vault.ok("POST", "rotation/secrets/secret/many/%03d" % i, {})
    got = json.loads(vault_out(0, "plan", "secret/many", "-o", "json"))
    equal([row["secret"] for row in got["secrets"]], ["secret/many/%03d" % i for i in range(105)])


def plan_of_who_may_not_list():
    with open(os.path.join(ROOT, "policies", "rotator.hcl")) as f:
        vault.ok("POST", "sys/policies/acl/rotator", {"policy": f.read()})
    token = vault.ok("POST", "auth/token/create", {"policies": ["rotator"]}).json["auth"]["client_token"]
    said = ctl(0, "plan", "secret/pl", token=token)
    contains(said, "of those that this token may list")
    equal("unrotated" in said, False)


def edited_report():
    """58: its hash is in the audit log, and an edited one is found out, without the vault."""
    ctl(0, "run", "resume")
    make("secret/paper")
    ctl(0, "rotate", "secret/paper")
    with tempfile.TemporaryDirectory() as folder:
        log, early = os.path.join(folder, "log"), os.path.join(folder, "early")
        files = {}
        vault.ctl("audit", "export", early)
        for form, words in (("text", ()), ("json", ("-o", "json"))):
            files[form] = os.path.join(folder, form)
            with open(files[form], "w") as f:
                f.write(vault_out(0, "run", "report", "secret/paper", *words))
        ctl(0, "rotate", "secret/paper")
        newest = os.path.join(folder, "newest")
        with open(newest, "w") as f:
            f.write(vault_out(0, "run", "report", "secret/paper"))
        vault.ctl("audit", "export", log)
        for file in (*files.values(), newest):
            contains(ctl(0, "run", "verify", file, log), "GOOD  %s is the report of run" % file)
        contains(ctl(2, "run", "verify", newest, early), "no record of this log ends run")
        with open(os.path.join(log, "key.pub")) as f:
            key = f.read().strip()
        got = json.loads(vault_out(0, "run", "verify", files["json"], log, "-o", "json", "-key=" + key))
        equal((got["good"], got["finding"], got["log"], got["key_from_bundle"]), (True, "genuine", "intact", False))
        for form, old, new in (("text", "secret/paper", "secret/papers"), ("json", '"from": 1', '"from": 2'),
                               ("text", "took", "tock")):
            with open(files[form]) as f:
                text = f.read()
            equal(old in text, True, "%s in %s" % (old, text))
            with open(files[form] + ".edited", "w") as f:
                f.write(text.replace(old, new, 1))
            lines = ctl(2, "run", "verify", files[form] + ".edited", log).splitlines()
            contains(lines[0], "was edited: the log has another hash")
            contains(lines[-1], "secretctl report")
        # Whoever edits the log as well is found by its own proof.
        with open(os.path.join(log, "records.jsonl")) as f:
            records = f.read()
        with open(os.path.join(log, "records.jsonl"), "w") as f:
            f.write(records.replace(got["hash"], "0" * 64))
        contains(ctl(2, "run", "verify", files["json"], log), "the log does not prove it")
        contains(ctl(1, "run", "verify", os.path.join(log, "key.pub"), log), "is no report")


class Crowd(http.server.BaseHTTPRequestHandler):
    """A vault with more than a list holds: each page of the plan has another behind it."""
    protocol_version = "HTTP/1.1"
    wbufsize = 65536  # head and body in one packet
    overdue = 0

    def do_GET(self):
        path, _, query = self.path.partition("?")
        listed = min(self.overdue, int(dict(p.split("=") for p in query.split("&")).get("limit", 0)))
        data = {"/v1/rotation/plan": {"now": "2027-01-15T08:00:00Z", "paused": "", "total": 1, "after": "secret/a",
                                      "secrets": [{"secret": "secret/a"}] * 1000},
                "/v1/rotation/overdue": {"checked": self.overdue, "count": self.overdue, "keys_overdue": 0,
                                         "overdue": [{"secret": "secret/a", "why": "age"}] * listed}}[path]
        body = json.dumps({"request_id": "r", "data": data}).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


def more_than_a_list_holds():
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Crowd) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        address = "-address=http://127.0.0.1:%d" % server.server_port
        for Crowd.overdue, limit, says in ((150, 100, "and 50 more: -limit=150"), (9000, 100, "and 8900 more: -limit=5000"),
                                           (9000, 5000, "and 4000 more: the vault lists 5000 at most")):
            contains(ctl(2, "overdue", address, "-limit=%d" % limit), says)
        said = ctl(1, "plan", address)
        contains(said, "more than 100000 secrets are rotated")
        contains(said, "secretctl plan PREFIX")
        server.shutdown()


def keys():
    """What opens the vault is as old as the vault is; how old it may get is in its configuration."""
    plan_before = ctl(0, "plan")
    contains(plan_before, "\n## What opens the vault\n\n| key | made | age | may be | overdue | to make it anew |\n")
    equal(re.search(r"\n\| key shares \(\d of \d\) \| 20\d\d-[^|]* \| \d+ \w+ \| no limit \|  \| "
                    r"secretctl operator rekey -init -key-shares=\d -key-threshold=\d \|\n", plan_before) is not None, True,
          plan_before)
    equal("What opens the vault" in ctl(0, "plan", "secret/pl"), False, "of the whole vault")
    vault.extra = 'rotation { max_key_age = "1s" }\n'
    vault.write_config()
    vault.restart()
    vault.unseal()
    said = wait_for("exit code 2", lambda: vault.ctl("overdue", check=False).returncode == 2 and ctl(2, "overdue"))
    equal(re.match(r"OVERDUE 0 of \d+ secrets that are rotated, and 1 of what opens the vault\nhurt    nobody by that alone: .*\n"
                   r"next    secretctl operator rekey -init -key-shares=\d -key-threshold=\d\n\nKey  .*\n---  .*\nkey shares ", said)
          is not None, True, said)
    got = json.loads(vault_out(2, "overdue", "-o", "json"))["data"]
    equal((got["count"], got["keys_overdue"], got["keys"][0]["overdue"], got["keys"][0]["max_age_s"]), (0, 1, "age", 1))
    text = ctl(0, "plan")
    contains(text, "\n**Of what opens the vault itself 1 are overdue.**\n")
    contains(text, "\nNext: `secretctl overdue`\n")
    got = json.loads(vault_out(0, "plan", "-o", "json"))
    equal((got["keys_overdue"], [key["overdue"] for key in got["keys"]]), (1, ["age"]))
    # Both in one answer.
    ctl(0, "run", "pause", "--all", "--reason=to see ages")
    make("secret/old", "max_age=1s")
    said = wait_for("both", lambda: "OVERDUE 1 of" in vault.ctl("overdue", check=False).stdout and ctl(2, "overdue"))
    for text in ("rotated, and 1 of what opens the vault\n", "secret/old", "\n\nKey ", "\nnext    secretctl run resume\n"):
        contains(said, text)


CASES = [
    ("pausing", pausing),
    ("outlives a restart", outlives_a_restart),
    ("who may", who_may),
    ("overdue", overdue),
    ("classes", classes),
    ("plan", plan),
    ("plan of what is signed", plan_of_what_is_signed),
    ("plan for programs", plan_for_programs),
    ("a report that was edited", edited_report),
    ("plan of who may not list", plan_of_who_may_not_list),
    ("more than a list holds", more_than_a_list_holds),
    ("keys", keys),
]


def main():
    only, report.only = report.only, None
    try:
        for name, function in CASES:
            if not only or only in name or name == "pausing":
                report.case(name, function)
    finally:
        vault.remove()
    report.end()


main()
