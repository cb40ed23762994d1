#!/usr/bin/python3
"""Old data put back is noticed; what a kill leaves is not taken for it.

    tests/integration/rollback.py ['part of a case name']

Yesterday's database with today's log and today's database with yesterday's log are refused at unseal,
with what was found and the ways on. Yesterday's whole folder is noticed by whoever kept a checkpoint.
With the word of a full threshold of key holders a new history begins, whose first record names both.
"""
import json
import os
import shutil
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
import auditlog  # noqa: E402
from keyturn import Report, Vault, contains, equal, program  # noqa: E402

report = Report()
WAYS_ON = ("put back the database and the audit log of one and the same moment",
           "secretctl operator unseal -accept-rollback")


def write(vault, word, count=5):
    for i in range(count):
        vault.ok("POST", "secret/data/%s%d" % (word, i), {"data": {"n": "%s%d" % (word, i)}})


def copy(source, target):
    """With owners and modes; the target is replaced."""
    shutil.rmtree(target, ignore_errors=True)
    subprocess.run(["cp", "-a", source, target], check=True)


class Days:
    """A vault with a copy of its folder of yesterday and of today, and checkpoints kept from both."""

    def __init__(self, end):
        """end: how each day ends: Vault.stop or Vault.kill."""
        self.vault = Vault().ready()
        self.yesterday, self.today = self.vault.folder + "/yesterday", self.vault.folder + "/today"
        write(self.vault, "a")
        self.kept_yesterday, self.key = auditlog.checkpoint(self.vault)
        end(self.vault)
        copy(self.vault.data, self.yesterday)
        self.vault.start().unseal()
        write(self.vault, "b")
        self.kept_today = auditlog.checkpoint(self.vault)[0]
        end(self.vault)
        copy(self.vault.data, self.today)

    def put(self, store, audit):
        """A folder with the database of one day and the log of one day."""
        self.vault.kill()
        copy(store, self.vault.data)
        shutil.rmtree(self.vault.data + "/audit")
        if audit:
            copy(audit + "/audit", self.vault.data + "/audit")
        self.vault.start()

    def unseal(self, *accept):
        """The answer to the last of three shares. accept: whose holders accept a rollback."""
        for i, share in enumerate(self.vault.shares[:3]):
            answer = self.vault.call("PUT", "sys/unseal",
                                     {"key": share, "accept_rollback": i in accept})
        return answer

    def refused(self, *words):
        answer = self.unseal()
        equal(answer.status, 412, "status of %r" % answer)
        text = "\n".join(answer.json["errors"])
        for word in words + WAYS_ON:
            contains(text, word)
        equal(self.vault.call("GET", "sys/seal-status").json["sealed"], True, "sealed")
        equal(self.vault.call("GET", "secret/data/a0").status, 503, "reading while sealed")
        contains(self.vault.log_text(), "<3>not_unsealed")
        contains(self.vault.log_text(), words[0])
        return text


def cases(end, name):
    days = Days(end)
    vault = days.vault

    def both_of_one_day():
        for day, value in ((days.yesterday, 404), (days.today, 200)):
            days.put(day, day)
            equal(days.unseal().json["sealed"], False, "sealed")
            equal(vault.call("GET", "secret/data/b4").status, value)

    def old_database():
        days.put(days.yesterday, days.today)
        text = days.refused("the database is older than the audit log")
        for word in ("it stands at generation", "holds the outcome of generation", "log f1"):
            contains(text, word)

    def old_log():
        days.put(days.today, days.yesterday)
        text = days.refused("the audit log f1 is older than the database")
        for word in ("readable records", "the database (generation"):
            contains(text, word)

    def no_log():
        days.put(days.today, None)
        days.refused("the audit log f1 is missing")

    def refused_again():
        """A refusal changes nothing, however often and in whatever state it is tried."""
        days.put(days.yesterday, days.today)
        for _ in range(2):
            days.refused("the database is older")
            vault.kill()
            vault.start()
        days.refused("the database is older")

    def one_holder_is_not_enough():
        days.put(days.yesterday, days.today)
        for accept in ((), (0,), (2,), (0, 1), (1, 2)):
            equal(days.unseal(*accept).status, 412, "accepted by %r" % (accept,))

    def new_history():
        days.put(days.yesterday, days.today)
        days.refused("the database is older")
        equal(days.unseal(0, 1, 2).json["sealed"], False, "sealed")
        log = auditlog.fetch(vault)
        first = log.records()[0]
        equal(first["type"], "history")
        history = first["history"]
        contains(history["reason"], "the database is older than the audit log")
        equal(history["database"]["log"], "f1")
        equal(history["log"]["newest"], "f1")
        if not history["log"]["generation"] > history["database"]["generation"]:
            raise AssertionError("which is older? %r" % history)
        equal(log.notes[-1].origin, "keyturn/keyturn/f1.2")
        equal(log.verify(), len(log.lines), "proven records")
        # What was kept of the old history says so: it is another log's.
        try:
            auditlog.check_kept(log, days.kept_today)
        except auditlog.Altered:
            pass
        else:
            raise AssertionError("a checkpoint of the old history is true of the new one")
        # The database goes on from where it was, also after a kill, and says so no more.
        write(vault, "c")
        vault.restart()
        equal(vault.ok("GET", "secret/data/c4").data["data"], {"n": "c4"})
        equal(vault.call("GET", "secret/data/b4").status, 404)
        # The log that was left behind does not come back unnoticed either.
        vault.kill()
        copy(days.today, vault.data)
        vault.start()
        equal(days.unseal().status, 200, "today's database and log are of one moment")

    def by_hand():
        """The same with secretctl, as the message says."""
        days.put(days.today, days.yesterday)
        days.refused("the audit log f1 is older")
        keys = "\n".join(vault.shares[:3]) + "\n"
        done = vault.ctl("operator", "unseal", "-accept-rollback", "-", input=keys)
        equal(vault.call("GET", "sys/seal-status").json["sealed"], False, done.stdout)
        equal(vault.ok("GET", "secret/data/b4").data["data"], {"n": "b4"})

    def whole_folder():
        """Nothing on the host can tell; who kept a checkpoint can."""
        days.put(days.yesterday, days.yesterday)
        equal(days.unseal().json["sealed"], False, "sealed")
        verify_by_hand(vault, days.kept_yesterday, days.key, 0, '"good":true')
        text = verify_by_hand(vault, days.kept_today, days.key, 2, '"good":false')
        equal(json.loads(text)["finding"], "cut")
        # Grown past the kept size, by another history.
        write(vault, "d", 20)
        text = verify_by_hand(vault, days.kept_today, days.key, 2, '"good":false')
        equal(json.loads(text)["finding"], "forked")
        log = auditlog.fetch(vault)
        auditlog.check_kept(log, days.kept_yesterday, days.key)
        try:
            auditlog.check_kept(log, days.kept_today, days.key)
        except auditlog.Altered as error:
            contains(str(error), "not those of the kept checkpoint")
        else:
            raise AssertionError("the old folder was not noticed")

    for function in (both_of_one_day, old_database, old_log, no_log, refused_again,
                     one_holder_is_not_enough, new_history, by_hand, whole_folder):
        report.case("%s: %s" % (name, function.__name__.replace("_", " ")), function)
    vault.remove()


def verify_by_hand(vault, kept, key, code, word):
    bundle, kept_path = vault.folder + "/bundle", vault.folder + "/kept"
    shutil.rmtree(bundle, ignore_errors=True)
    with open(kept_path, "w") as f:
        f.write(kept)
    vault.ctl("audit", "export", bundle)
    done = subprocess.run([program("secretctl"), "audit", "verify", bundle, "--key", key,
                           "--checkpoint", kept_path, "-o", "json"], capture_output=True, text=True,
                          env={"HOME": vault.folder})
    equal(done.returncode, code, "exit code with %s%s" % (done.stdout, done.stderr))
    contains(done.stdout.replace(" ", ""), word)
    return done.stdout


# ---- small differences ---------------------------------------------------------------------------

def by_one_write():
    """Yesterday is one write ago."""
    with Vault() as vault:
        vault.ready()
        old = vault.folder + "/old"
        vault.kill()
        copy(vault.data, old)
        vault.start().unseal()
        write(vault, "a", 1)
        vault.kill()
        new = vault.folder + "/new"
        copy(vault.data, new)
        for part, what in (("store", "the database is older than the audit log"),):
            copy(new, vault.data)
            shutil.rmtree(os.path.join(vault.data, part))
            copy(os.path.join(old, part), os.path.join(vault.data, part))
            vault.start()
            for share in vault.shares[:3]:
                answer = vault.call("PUT", "sys/unseal", {"key": share})
            equal(answer.status, 412, repr(answer))
            contains(answer.body, what)
            vault.kill()


def another_vaults_log():
    with Vault() as vault, Vault() as other:
        vault.ready()
        other.ready()
        write(vault, "a")
        write(other, "a")
        vault.kill()
        other.kill()
        shutil.rmtree(vault.data + "/audit")
        copy(other.data + "/audit", vault.data + "/audit")
        vault.start()
        for share in vault.shares[:3]:
            answer = vault.call("PUT", "sys/unseal", {"key": share})
        equal(answer.status, 412, repr(answer))
        contains(answer.body, "belongs to another vault")


def one_byte():
    """A byte of the log that the database vouches for, in each kind of its files. The end of it is
    read at each unseal; what is older when somebody asks for it: then the record is named."""
    with Vault() as vault:
        vault.ready()
        write(vault, "a", 20)
        vault.stop()
        good = vault.folder + "/good"
        copy(vault.data, good)
        for name in ("000000.seg", "index", "tree.8", "checkpoints"):
            for part in (0.02, 0.3, 0.5, 0.9, 0.999):
                copy(good, vault.data)
                path = os.path.join(vault.data, "audit/f1", name)
                with open(path, "r+b") as f:
                    used = len(f.read().rstrip(b"\0"))
                    place = int(used * part)
                    f.seek(place)
                    byte = f.read(1)[0]
                    f.seek(place)
                    f.write(bytes([byte ^ 1]))
                vault.start()
                try:
                    noticed(vault, name)
                except Exception as error:
                    raise AssertionError("%s, byte %d of %d: %s" % (name, place, used, error))
                vault.kill()


def noticed(vault, name):
    for share in vault.shares[:3]:
        answer = vault.call("PUT", "sys/unseal", {"key": share})
    if answer.status == 412:
        contains(answer.body, "was altered")
        return
    equal(answer.json["sealed"], False, "sealed")
    export = vault.call("GET", "sys/audit-log/export")
    if export.status != 200:
        contains(export.body, "of the audit log does not open")
        contains(export.body, "was altered or damaged")
        if name == "000000.seg":
            return
        equal(name, "index", repr(export))  # as the message says:
        vault.stop()
        os.unlink(vault.data + "/audit/f1/index")
        vault.start().unseal()
    if name == "000000.seg":
        raise AssertionError("a record was altered, and nobody noticed")
    try:
        auditlog.fetch(vault).verify()  # index and tree are made anew from the records
    except (auditlog.Altered, ValueError):
        equal(name, "checkpoints", "a file that was not mended")


for end_, name_ in ((Vault.stop, "days end with a stop"), (Vault.kill, "days end with a kill")):
    cases(end_, name_)
report.case("yesterday is one write ago", by_one_write)
report.case("another vault's log", another_vaults_log)
report.case("one byte of the log was altered", one_byte)
report.end()
