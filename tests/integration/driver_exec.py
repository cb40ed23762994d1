#!/usr/bin/python3
"""The driver exec on a real vaultd: both samples of docs/samples rotate accounts in a file, as alternate and in place,
and go back; programs that crash, hang, write rubbish or say too much; who may start what.

    tests/integration/driver_exec.py ['part of a case name']
"""
import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
from keyturn import ROOT, Report, Vault, contains, equal, wait_for  # noqa: E402

TERMINAL = ("done", "rolled_back", "cancelled", "frozen")
# What waits for nothing that happens here is as low as it goes.
LOW = {"overlap": "0s", "soak": "0s", "drain": "0s", "max_overlap": "10m", "ack_timeout": "5m", "period": "10h",
       "loose_readers": "ignore"}
TARGET = {"driver": "exec", "max_refusals_per_hour": 0, "probe_spacing": "0s", "settle": "0s"}
USER = "keyturn" if os.getuid() == 0 else None

# Programs that go wrong, each in its way; what they leave behind stands in their folder.
BAD = {
    "crash": "kill -SEGV $$",
    "status": "printf '{\"version\":1,\"class\":\"ok\",\"answer\":\"accepted\"}'; exit 3",
    "silent": "cat >/dev/null",
    "rubbish": "head -c 1000 /dev/urandom",
    "megabyte": "head -c 1048576 /dev/zero",
    "hang": "echo $$ > $1/pids; sleep 600 & echo $! >> $1/pids; sleep 600",
    "leak": "cat >&2; exit 1",
    "says": "jq -c '{version: 1, class: \"permanent\", text: (\"no \" + .admin.password + \" \" + (.admin.password | @base64))}'",
    "open": "printf '{\"version\":1,\"class\":\"ok\",\"answer\":\"accepted\"}'",
    # What it finds around itself, for the test to read.
    "look": "tr '\\0' ' ' < /proc/$$/cmdline > $1/argv; env > $1/env; ls /proc/$$/fd > $1/fds; "
            "grep NoNewPrivs /proc/$$/status > $1/privileges; id -u > $1/user; "
            "for p in {data}/data.mdb {config} /etc/shadow; do (cat < $p >/dev/null) 2>/dev/null && echo $p; done > $1/read; "
            "for p in /tmp/driver-exec-{tag} {data}/x /usr/x; do (echo > $p) 2>/dev/null && echo $p; done > $1/written; "
            "(setsid -w true && echo left) > $1/session 2>/dev/null; cat > $1/order; "
            "printf '{{\"version\":1,\"class\":\"unreach\",\"text\":\"looked\"}}'",
    # The change is made, the answer is lost, once.
    "forgetful": "o=$(cat); printf '%s' \"$o\" | /usr/bin/python3 -I {sample} $1/accounts > $1/answer; "
                 "case $o in *'\"operation\":\"apply\"'*) [ -e $1/forgot ] || {{ : > $1/forgot; kill -KILL $$; }};; esac; "
                 "cat $1/answer",
    # The sample, but for operations of which the test says what is answered.
    "told": "o=$(cat); op=$(printf '%s' \"$o\" | jq -r .operation); [ -e $1/$op ] && exec cat $1/$op; "
            "printf '%s' \"$o\" | /usr/bin/python3 -I {sample} $1/accounts",
}


class Scene:
    def __init__(self):
        self.folder = tempfile.mkdtemp(prefix="kt-exec-")
        os.chmod(self.folder, 0o755)
        self.state = self.make_folder("state")
        self.programs = os.path.join(self.folder, "programs")
        os.mkdir(self.programs, 0o755)
        self.python = self.install("exec-passwd.py")
        self.shell = self.install("exec-htpasswd.sh")
        self.vault = Vault()
        blocks = [self.block("python", [self.python, self.state + "/accounts"], self.state),
                  self.block("shell", [self.shell, self.state + "/htpasswd"], self.state)]
        for name, script in BAD.items():
            if "{" in script and name in ("look", "forgetful", "told"):
                script = script.format(data=self.vault.data, config=self.vault.config_path, tag=os.getpid(),
                                       sample=self.python)
            path = self.write(name, "#!/bin/sh\n" + script + "\n")
            blocks.append(self.block(name, [path, self.make_folder(name)], os.path.join(self.folder, name),
                                     "5s" if name == "hang" else "20s", [self.python]))
        self.blocks = "\n".join(blocks)
        self.vault.extra = self.blocks
        self.vault.write_config()
        self.vault.ready()

    def make_folder(self, name):
        path = os.path.join(self.folder, name)
        os.mkdir(path, 0o700)
        if USER:
            shutil.chown(path, USER, USER)
        return path

    def write(self, name, text, mode=0o755):
        path = os.path.join(self.programs, name)
        with open(path, "w") as f:
            f.write(text)
        os.chmod(path, mode)
        return path

    def install(self, name):
        with open(os.path.join(ROOT, "docs/samples", name)) as f:
            return self.write(name, f.read())

    @staticmethod
    def block(name, command, write, timeout="20s", read=()):
        return 'driver_program "%s" {\n  command = %s\n  timeout = "%s"\n  read = %s\n  write = %s\n}' % (
            name, json.dumps(command), timeout, json.dumps(list(read)), json.dumps([write]))

    def target(self, name, **more):
        self.vault.ok("POST", "rotation/targets/" + name, dict(TARGET, program=name, **more))
        return name

    def check(self, name):
        return self.vault.ok("POST", "rotation/targets/%s/check" % name, {}).data

    def close(self):
        self.vault.remove()
        shutil.rmtree(self.folder, ignore_errors=True)


# ---- what the files accept, read by the test itself ----

def python_accepts(scene, user, password, folder=None):
    with open(os.path.join(folder or scene.state, "accounts")) as f:
        for line in f:
            name, salt, digest = line.rstrip("\n").split(":")
            if name == user:
                return digest != "" and digest == hashlib.scrypt(
                    password.encode(), salt=bytes.fromhex(salt), n=2**14, r=8, p=1).hex()
    return False


def shell_accepts(scene, user, password):
    with open(os.path.join(scene.state, "htpasswd")) as f:
        for line in f:
            name, digest = line.rstrip("\n").split(":")
            if name == user and digest.startswith("$6$"):
                made = subprocess.run(["openssl", "passwd", "-6", "-salt", digest.split("$")[2], "-stdin"],
                                      input=password, text=True, capture_output=True, check=True).stdout
                return made.strip() == digest
    return False


ACCEPTS = {"python": python_accepts, "shell": shell_accepts}


class Secret:
    """A secret whose first account is in the file already, as a person put it there."""

    def __init__(self, scene, program, name, strategy, accepts=None, folder=None, **settings):
        self.scene, self.name, self.program = scene, name, program
        self.accepts = accepts or (lambda user, password: ACCEPTS[program](scene, user, password))
        self.path, self.first = "secret/" + name, "first-password-of-" + name
        accounts = [name + "-a"] + ([name + "-b"] if strategy == "alternate" else [])
        self.adopt(accounts[0], folder or scene.state)
        scene.vault.ok("POST", "secret/data/" + name,
                       {"data": {"username": accounts[0], "password": self.first, "note": "stays"}})
        scene.vault.ok("POST", "rotation/secrets/" + self.path,
                       dict(LOW, target=scene.target(program), strategy=strategy, accounts=accounts,
                            allow_gap=strategy == "in-place", **settings))

    def adopt(self, account, folder):
        sample, file = ((self.scene.shell, "htpasswd") if self.program == "shell" else (self.scene.python, "accounts"))
        for operation in ("create", "apply"):
            order = {"version": 1, "operation": operation, "account": account, "password": self.first, "target": {}}
            done = subprocess.run([sample, os.path.join(folder, file)], input=json.dumps(order), text=True,
                                  capture_output=True, check=True)
            equal(json.loads(done.stdout)["class"], "ok", "what the sample says by hand")
        if USER:
            shutil.chown(os.path.join(folder, file), USER, USER)

    def value(self, version=None):
        at = "secret/data/" + self.name + ("?version=%d" % version if version else "")
        data = self.scene.vault.ok("GET", at).data["data"]
        return data["username"], data["password"]

    def rotate(self, **body):
        return self.scene.vault.ok("POST", "rotation/rotate/" + self.path,
                                   dict({"reason": "test"}, **body)).data["run"]

    def run(self, run_id):
        return self.scene.vault.ok("GET", "rotation/runs/" + run_id).data

    def reached(self, run_id, *states):
        def look():
            run = self.run(run_id)
            if run["state"] in states:
                return run
            if run["state"] in TERMINAL:
                raise AssertionError("run %s is %s: %s" % (run_id, run["state"], json.dumps(run)[-3000:]))
            return None
        return wait_for("run %s to be %s" % (run_id, "/".join(states)), look)

    def rotated(self, **body):
        before = self.value()
        self.reached(self.rotate(**body), "done")
        after = self.value()
        equal(before[1] != after[1], True, "another value")
        equal(self.accepts(*after), True, "the file accepts the new one")
        equal(self.accepts(*before), False, "the file accepts the old one")
        return before, after


class Test:
    def __init__(self, scene):
        self.scene = scene

    def alternates(self, program):
        secret = Secret(self.scene, program, program + "-two", "alternate")
        before, after = secret.rotated()
        equal((before[0], after[0]), (program + "-two-a", program + "-two-b"), "the accounts take turns")
        secret.rotated()

    def in_place(self, program):
        secret = Secret(self.scene, program, program + "-one", "in-place")
        before, _ = secret.rotated()
        secret.rotated()
        secret.rotated(back=True)
        equal(secret.value()[0], before[0], "the account stays")

    def goes_back(self, strategy):
        secret = Secret(self.scene, "python", "back-" + strategy, strategy, soak="1h")
        before, lines = secret.value(), self.lines(secret.name)
        run = secret.rotate()
        secret.reached(run, "overlapping")
        changed = self.lines(secret.name)
        equal(secret.accepts(*before), strategy == "alternate", "the old one works beside the new one")
        equal(changed != lines, True, "the new one is in the file")
        # Nobody reads the new one: a reader that was not heard of since would hold its end.
        self.scene.vault.ok("POST", "rotation/runs/%s/cancel" % run, {"reason": "test"})
        secret.reached(run, "rolled_back")
        equal(secret.value(), before, "the value is the one of before")
        equal(secret.accepts(*before), True, "the file accepts the old one again")
        back = self.lines(secret.name)
        ended = [line for line in back if line in set(changed) - set(lines)]
        equal(ended, [], "what is left of the new one")
        if strategy == "alternate":
            equal("%s-b::" % secret.name in back, True, "the other account accepts nothing")

    def many_at_once(self, program):
        """Accounts of one file, changed by programs that run at the same time: none is lost."""
        folder = self.scene.make_folder("many-" + program)
        sample, accounts = getattr(self.scene, program), ["many-%d" % i for i in range(12)]
        file = os.path.join(folder, "htpasswd" if program == "shell" else "accounts")
        for operation in ("create", "apply"):
            running = [subprocess.Popen([sample, file], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
                       for _ in accounts]
            for account, one in zip(accounts, running):  # each waits for its order: now they run
                json.dump({"version": 1, "operation": operation, "account": account, "password": "value-of-" + account,
                           "target": {}}, one.stdin)
                one.stdin.close()
            answers = [json.loads(one.stdout.read())["class"] for one in running]
            equal([one.wait() for one in running], [0] * len(running), "how they ended")
            equal(set(answers), {"ok"}, operation)
            with open(file) as f:
                equal(sorted(line.split(":")[0] for line in f), sorted(accounts), "who is in the file after " + operation)
        with open(file) as f:
            empty = [line for line in f if line.rstrip("\n").endswith((":", ":!"))]
        equal(empty, [], "accounts without their value")

    def lines(self, name):
        with open(os.path.join(self.scene.state, "accounts")) as f:
            return [line for line in f.read().splitlines() if line.startswith(name)]

    def lost_answer(self):
        """Killed after the change and before the answer: the vault asks, and goes on."""
        folder = os.path.join(self.scene.folder, "forgetful")
        secret = Secret(self.scene, "forgetful", "forgetful", "alternate", folder=folder,
                        accepts=lambda u, p: python_accepts(self.scene, u, p, folder))
        secret.rotated()
        equal(os.path.exists(os.path.join(folder, "forgot")), True, "the answer was lost once")
        steps = self.scene.vault.ok("GET", "rotation/runs/" + self.scene.vault.ok(
            "GET", "rotation/secrets/" + secret.path).data["state"]["last_run"]).data["steps"]
        contains(json.dumps(steps), "was ended by signal 9; what it did before may have taken effect", "the run's steps")

    def told(self):
        """What the program says where the new login is verified, and of which server this is, is not passed over."""
        folder = os.path.join(self.scene.folder, "told")
        secret = Secret(self.scene, "told", "told", "alternate", folder=folder,
                        accepts=lambda u, p: python_accepts(self.scene, u, p, folder))

        def say(operation, **answer):
            with open(os.path.join(folder, operation), "w") as f:
                json.dump(dict(answer, version=1), f)
            return secret.rotate()
        run = say("verify", **{"class": "ok", "answer": "refused"})
        wait_for("the run to hear of it",
                 lambda: "the new login was refused" in json.dumps(secret.reached(run, "verifying")))
        os.unlink(os.path.join(folder, "verify"))
        secret.reached(run, "done")
        before = secret.value()
        for operation, more in (("inspect", {}), ("probe", {"answer": "accepted"})):
            run = say(operation, **{"class": "ok", "server_id": "elsewhere"}, **more)
            said = json.dumps(secret.reached(run, "frozen"))
            for part in ("KT-R-013", "it says it is elsewhere, not passwd-file"):
                contains(said, part)
            os.unlink(os.path.join(folder, operation))
            self.scene.vault.ok("POST", "rotation/runs/%s/cancel" % run, {"reason": "test"})
            secret.reached(run, "cancelled", "rolled_back")
            equal((secret.value(), secret.accepts(*before)), (before, True), "the value, and whether the file accepts it")

    def goes_wrong(self, name, text):
        self.scene.target(name, admin_username="root", admin_password="planted-%s-4711" % name)
        found = self.scene.check(name)
        equal(found["ok"], False, "the check of a program that goes wrong")
        contains(found["steps"][0]["text"], text, "what the check says")
        contains(found["next"], "secretctl target", "the next command")
        whole = json.dumps(found) + self.scene.vault.log_text()
        for secret in ("planted-%s-4711" % name, "cGxhbnRlZC"):
            if secret in whole:
                raise AssertionError("a value stands in an answer or in the log")

    def hangs(self):
        self.goes_wrong("hang", 'program "hang" did not end within 5000 ms and was killed')
        with open(os.path.join(self.scene.folder, "hang", "pids")) as f:
            pids = [int(line) for line in f]
        equal(len(pids), 2, "the program and its child")
        equal([pid for pid in pids if os.path.exists("/proc/%d" % pid)], [], "who is left of it")

    def open_door(self):
        self.scene.target("open")
        found = self.scene.check("open")
        equal(found["ok"], False, "the check where anything is accepted")
        contains(json.dumps(found), "ACCEPTED: no test proves anything here", "the check")

    def surroundings(self):
        self.goes_wrong("look", "looked")

        def seen(name):
            with open(os.path.join(self.scene.folder, "look", name)) as f:
                return f.read()
        value = "planted-look-4711"
        contains(seen("order"), value, "the order on standard input")
        for name in ("argv", "env"):
            equal(value in seen(name), False, "a value in its " + name)
        mine = [n for n in seen("fds").split() if int(n) < 10]  # from 10 on they are the shell's own
        equal(mine, ["0", "1", "2"], "its descriptors")
        names = sorted(line.split("=")[0] for line in seen("env").splitlines())
        equal([n for n in names if n not in ("PWD", "_", "SHLVL", "OLDPWD")], ["HOME", "LANG", "PATH"], "its environment")
        equal(seen("privileges").split(), ["NoNewPrivs:", "1"], "new privileges")
        equal(seen("user").strip() != "0", True, "it is not root")
        notes = self.scene.vault.call("GET", "sys/health").body
        if "landlock-files" not in notes and "file tree is not limited" not in notes:
            equal(seen("read"), "", "what it could read and should not")
            equal(seen("written"), "", "what it could write and should not")
        equal(seen("session"), "", "a session of its own")

    def only_a_name(self):
        vault = self.scene.vault
        answer = vault.call("POST", "rotation/targets/none", dict(TARGET, program="bash"))
        equal(answer.status, 400, "a program that the configuration does not have")
        contains(answer.body, 'has no driver_program \\"bash\\"', "the refusal")
        for body, word in ((dict(TARGET, program="/bin/sh"), "driver_program"), (dict(TARGET), "needs program")):
            answer = vault.call("POST", "rotation/targets/none", body)
            equal(answer.status, 400, "a target without a program's name")
            contains(answer.body, word, "the refusal")
        vault.ok("POST", "sys/policies/acl/targets", {"policy": 'path "rotation/targets/*" { capabilities = ["create", "update"] }'})
        token = vault.ok("POST", "auth/token/create", {"policies": ["targets"]}).json["auth"]["client_token"]
        vault.ok("POST", "rotation/targets/mine", dict(TARGET, program="python"), token=token)
        for change in ({"host": "elsewhere.example"}, {"program": "shell"}, {"port": 5}, {"database": "x"},
                       {"ca": "mine"}, {"sslmode": "disable"}):
            answer = vault.call("POST", "rotation/targets/mine", change, token=token)
            equal(answer.status, 403, "where logins are taken to, without sudo: %s" % change)
        vault.ok("POST", "rotation/targets/mine", {"settle": "3s"}, token=token)

    def refused_at_start(self, name, spoil, *texts):
        """vaultd does not start, and says why; --check says the same."""
        path = self.scene.write("spoilt-" + name.split()[0], "#!/bin/sh\n")
        path = spoil(path) or path
        with Vault(config=Scene.block("spoilt", [path], self.scene.state)) as vault:
            vault.start(wait=False)
            equal(vault.process.wait(60), 1, "vaultd's end")
            for text in texts:
                contains(vault.log_text(), text, "what vaultd says")
            done = subprocess.run([os.path.join(ROOT, "build/bin/vaultd"), "--config", vault.config_path, "--check"],
                                  text=True, capture_output=True)
            equal(done.returncode, 1, "the end of --check")
            contains(done.stderr, texts[0], "what --check says")


def loose_folder(path):
    folder = os.path.join(os.path.dirname(path), "loose")
    os.mkdir(folder)
    os.chmod(folder, 0o777)
    shutil.copy2(path, folder)
    return os.path.join(folder, os.path.basename(path))


def linked(path):
    os.symlink(path, path + "-link")
    return path + "-link"


def main():
    report = Report()
    scene = Scene()
    try:
        test = Test(scene)
        for program in ("python", "shell"):
            report.case("%s: two accounts take turns" % program, test.alternates, program)
            report.case("%s: one account, and back" % program, test.in_place, program)
            report.case("%s: many at once in one file" % program, test.many_at_once, program)
        report.case("going back from alternate", test.goes_back, "alternate")
        report.case("going back in place", test.goes_back, "in-place")
        report.case("the answer is lost", test.lost_answer)
        report.case("a refused login, another server", test.told)
        for name, text in (("crash", 'program "crash" was ended by signal 11'),
                           ("status", 'program "status" ended with status 3: its answer is not believed'),
                           ("silent", "its answer is no JSON of the protocol"),
                           ("rubbish", "its answer is no JSON of the protocol"),
                           ("megabyte", "answered more than 16384 bytes and was killed"),
                           ("leak", "ended with status 1"),
                           ("says", "no [redacted] [redacted]")):
            report.case("goes wrong: " + name, test.goes_wrong, name, text)
        report.case("goes wrong: hangs, with a child", test.hangs)
        report.case("goes wrong: accepts anything", test.open_door)
        report.case("what it finds around itself", test.surroundings)
        report.case("a target only picks a name", test.only_a_name)
        report.case("not started: missing", test.refused_at_start, "missing", os.unlink, "cannot use", "install it")
        report.case("not started: writable by others", test.refused_at_start, "writable",
                    lambda p: os.chmod(p, 0o757), "others may write", "chmod go-w")
        report.case("not started: a folder writable by others", test.refused_at_start, "folder", loose_folder,
                    "others may write", "/loose")
        report.case("not started: a link", test.refused_at_start, "link", linked, "leads over a link")
        report.case("not started: no program", test.refused_at_start, "still", lambda p: os.chmod(p, 0o644),
                    "is no file that this user may start")
        if USER:
            report.case("not started: somebody else's", test.refused_at_start, "owner",
                        lambda p: os.chown(p, 65534, 65534), "belongs to user 65534", "chown root:")
    finally:
        scene.close()
    report.end()


main()
