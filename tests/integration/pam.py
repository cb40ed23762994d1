#!/usr/bin/python3
"""Logging in with the host's accounts, from a client to a real PAM stack and back: the right answer of each
stack, and vaultd serving throughout.

    tests/integration/pam.py ['part of a case name']

The accounts are of a private copy of /etc, which goes away with this process. What vaultd-pam makes of
stacks is in integration/vaultd_pam.py.
"""
import os
import subprocess
import sys
import threading

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
from keyturn import DEADLINE, Report, Vault, contains, equal, program, wait_for  # noqa: E402
import pamhost  # noqa: E402
from terminal import Terminal  # noqa: E402

pamhost.enter()
report = Report()
LOGIN = "auth/pam/login/"


def login(user, status, says="", **body):
    answer = vault.call("POST", LOGIN + user, body, token="")
    equal(answer.status, status, "%s: %r" % (user, answer))
    contains(answer.body, says)
    return answer


def fresh():
    """Nobody's guesses count any more, here or at the host; the mount is another one."""
    host.forget()
    vault.restart()
    vault.ok("DELETE", "sys/auth/pam")
    enable()


def enable():
    vault.ok("POST", "sys/auth/pam", {"type": "pam"})
    vault.ok("POST", "auth/pam/groups/kt-ops", {"policies": "operator"})
    vault.ok("POST", "auth/pam/users/kt-web", {"policies": "web"})


WRONG = '{"errors":["invalid username or password"]}'


def at_once(logins):
    """Logins with a password beside each other; their answers."""
    answers = []
    threads = [threading.Thread(target=lambda user=user, password=password: answers.append(
        vault.call("POST", LOGIN + user, {"password": password}, token=""))) for user, password in logins]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(DEADLINE)
    equal(len(answers), len(logins))
    return answers


# ---- accounts --------------------------------------------------------------------------------------

def accounts():
    """0.9.2 (2018), okta: a right password is not all; accounts that are locked or over are refused."""
    host.shipped()
    fresh()
    got = login("kt-good", 200, password="right").json["auth"]
    equal(got["policies"], ["default", "operator"])
    equal(got["metadata"], {"groups": "kt-ops", "username": "kt-good"})
    equal(vault.ok("GET", "auth/token/lookup-self", token=got["client_token"]).data["display_name"],
          "pam-kt-good")
    refused = [("kt-good", "wrong"), ("kt-nobody", "right"), ("kt-locked", "right"), ("kt-over", "right"),
               ("kt-change", "wrong"), ("root", "right"), ("kt-system", "right")]
    for answer in at_once(refused):  # each is held back for some seconds
        equal((answer.status, answer.body.strip()), (400, WRONG))
    login("kt-change", 400, "passwd", password="right")
    login("kt-alone", 400, "authorized group", password="right")


def guesses():
    """Two of a name reach PAM by the network, so its own four are never had; other ways into the host are not concerned."""
    host.shipped()
    fresh()
    for _ in range(2):
        login("kt-good", 400, password="wrong")
    for password in ("wrong", "right"):
        for name in ("kt-good", "KT-GOOD"):
            login(name, 403, "permission denied", password=password)
    tally = subprocess.run(["faillock", "--dir", "/run/vaultd-pam/faillock", "--user", "kt-good"],
                           text=True, capture_output=True, check=True).stdout
    equal(sum(line.rstrip().endswith("V") for line in tally.splitlines()), 2, tally)
    equal(os.path.exists("/run/faillock/kt-good"), False, "the tally of sshd and the console")
    login("kt-web", 200, password="right")


def other_names():
    """A host that knows one account by two names: one person, and one count of guesses."""
    host.shipped()
    fresh()
    keeper.stop()
    keeper.start(names=True)
    try:
        equal(login("kt-good@kt.test", 200, password="right").json["auth"]["entity_id"],
              login("kt-good", 200, password="right").json["auth"]["entity_id"])
        login("kt-good@kt.test", 400, password="wrong")
        login("kt-good", 400, password="wrong")
        for name in ("kt-good", "kt-good@kt.test"):
            login(name, 403, "permission denied", password="right")
    finally:
        keeper.stop()
        keeper.start()


def many_groups():
    host.shipped()
    fresh()
    vault.ok("POST", "auth/pam/groups/kt-g699", {"policies": "last"})
    auth = login("kt-many", 200, password="right").json["auth"]
    equal((auth["policies"], auth["metadata"]["groups"]), (["default", "last"], "kt-g699"))
    vault.ok("POST", "auth/token/renew-self", {}, token=auth["client_token"])


def renewals():
    """GHSA-gf3j-hm38-jhh5: an account that was closed on the host since; its token is not renewed."""
    host.shipped()
    fresh()
    token = login("kt-good", 200, password="right").json["auth"]["client_token"]
    vault.ok("POST", "auth/token/renew-self", {}, token=token)
    with open("/etc/shadow") as f:
        before = f.read()
    with open("/etc/shadow", "w") as f:
        f.write("".join(line if not line.startswith("kt-good:") else
                        ":".join(line.split(":")[:7] + ["1000", "\n"]) for line in before.splitlines(True)))
    answer = vault.call("POST", "auth/token/renew-self", {}, token=token)
    equal((answer.status, "does not let this account in" in answer.body), (403, True), repr(answer))
    with open("/etc/shadow", "w") as f:
        f.write(before)
    vault.ok("POST", "auth/token/renew-self", {}, token=token)


# ---- stacks ----------------------------------------------------------------------------------------

def matrix():
    fresh()
    host.matrix([("kt-good", "secret", "keyturn"), ("kt-web", "secret", "sshd")])
    login("kt-good", 200, password="secret")
    equal(login("kt-good", 400, password="guess").body.strip(), WRONG)
    equal(login("kt-web", 400, password="secret").body.strip(), WRONG)


def talk(user, *rounds, status=200, **first):
    """Prompts of each round, then the last answer."""
    asked = []
    answer = login(user, 200 if rounds else status, **first)
    for i, responses in enumerate(rounds):
        asked.append([(p["echo"], p["text"]) for p in answer.data["prompts"]])
        answer = login(user, 200 if i + 1 < len(rounds) else status,
                       login_id=answer.data["login_id"], responses=responses)
    return asked, answer


def prompts():
    fresh()
    host.odd("two")
    asked, answer = talk("kt-good", ["right"], ["123456"])
    equal(asked, [[(False, "Password: ")], [(True, "Code  : ")]])
    equal(answer.json["auth"]["metadata"]["username"], "kt-good")
    talk("kt-good", ["123456"], password="right")
    talk("kt-good", ["000000"], password="right", status=400)
    host.odd("together")
    asked, answer = talk("kt-good", ["right", "123456"], password="right")
    equal(asked, [[(False, "Password: "), (True, "Code: ")]])
    host.odd("many")
    talk("kt-web", ["right"], ["right"], ["right"], ["right"], ["right"], status=400)


def one_time_code():
    fresh()
    secret = "00112233445566778899aabbccddeeff00112233"
    with open("/etc/users.oath", "w") as f:
        f.write("HOTP kt-good - %s\n" % secret)
    os.chmod("/etc/users.oath", 0o600)
    host.stack("auth requisite pam_unix.so\nauth required pam_oath.so usersfile=/etc/users.oath window=5 "
               "digits=6\naccount required pam_unix.so\n")
    codes = subprocess.run(["oathtool", "-w", "1", secret], text=True, capture_output=True,
                           check=True).stdout.split()
    talk("kt-good", [codes[0]], password="right")
    talk("kt-good", [codes[0]], password="right", status=400)
    talk("kt-good", [codes[1]], password="right")


def renamed():
    fresh()
    host.odd("rename", "kt-web")
    equal(login("kt-good", 200, password="right").json["auth"]["policies"], ["default", "web"])
    host.odd("rename", "root")
    login("kt-good", 400, password="right")


# ---- secretctl -------------------------------------------------------------------------------------

def at_a_terminal():
    """What is typed unseen is not shown, what may be seen is; no word of the command is a secret."""
    fresh()
    host.odd("two")
    env = vault.environment(token="")
    with Terminal([program("secretctl"), "login", "-method=pam", "username=kt-good"], env) as t:
        t.expect("Password: ")
        t.send("right\n")
        t.expect("Code")
        t.send("123456\n")
        equal(t.end(), 0, t.text)
        contains(t.text, "Success! You are logged in")
        contains(t.text, "123456", "what may be seen")
        equal("right" in t.text, False, "the password is shown")
    with open(os.path.join(vault.folder, ".vault-token")) as f:
        equal(vault.ok("GET", "auth/token/lookup-self", token=f.read().strip()).data["display_name"],
              "pam-kt-good")
    with Terminal([program("secretctl"), "login", "-method=pam", "username=kt-good"], env) as t:
        t.expect("Password: ")
        t.send("wrong\n")
        equal(t.end(), 2, t.text)
        contains(t.text, "invalid username or password")


def in_a_pipeline():
    fresh()
    host.odd("two")
    words = ["login", "-method=pam", "-no-store", "-field=token", "username=kt-good"]
    token = vault.ctl(*words, input="right\n123456\n", token="").stdout.strip()
    equal(vault.ok("GET", "auth/token/lookup-self", token=token).data["display_name"], "pam-kt-good")
    done = vault.ctl(*words, input="right\n", token="", check=False)
    equal(done.returncode, 1, done.stderr)
    contains(done.stderr, "a line for each prompt; this one was: Code")
    done = vault.ctl("login", "-method=pam", input="", token="", check=False)
    contains(done.stderr, "username= is missing")
    host.shipped()
    done = vault.ctl(*words[:-1], "username=kt-change", input="right\n", token="", check=False)
    equal(done.returncode, 2, done.stderr)
    contains(done.stderr, "passwd")


# ---- a foreign client ------------------------------------------------------------------------------

def hvac_client():
    """hvac knows Vault's LDAP logins; they are spelt as these."""
    import hvac
    fresh()
    host.matrix([("kt-good", "secret", "keyturn")])
    ldap = hvac.Client(url=vault.address, token=vault.root).auth.ldap
    ldap.create_or_update_group("kt-made", policies=["p", "q"], mount_point="pam")
    equal(ldap.read_group("kt-made", mount_point="pam")["data"]["policies"], ["p", "q"])
    equal(ldap.list_groups(mount_point="pam")["data"]["keys"], ["kt-made", "kt-ops"])
    ldap.delete_group("kt-made", mount_point="pam")
    ldap.create_or_update_user("kt-good", policies=["mine"], mount_point="pam")
    equal(ldap.read_user("kt-good", mount_point="pam")["data"]["policies"], ["mine"])
    equal(ldap.list_users(mount_point="pam")["data"]["keys"], ["kt-good", "kt-web"])
    client = hvac.Client(url=vault.address)
    got = client.auth.ldap.login("kt-good", "secret", mount_point="pam")["auth"]
    equal(got["policies"], ["default", "mine", "operator"])
    equal(client.is_authenticated(), True)
    equal(client.auth.token.renew_self()["auth"]["client_token"], got["client_token"])
    ldap.delete_user("kt-good", mount_point="pam")
    try:
        client.auth.ldap.login("kt-good", "guess", mount_point="pam")
    except hvac.exceptions.InvalidRequest as error:
        contains(str(error), "invalid username or password")
    else:
        raise AssertionError("a wrong password is right")


# ---- modules that are broken -----------------------------------------------------------------------

class Load:
    """Somebody reads all the time."""

    def __enter__(self):
        self.stop, self.n = threading.Event(), 0
        self.thread = threading.Thread(target=self.run)
        self.thread.start()
        return self

    def run(self):
        while not self.stop.is_set():
            vault.ok("GET", "secret/data/k")
            self.n += 1

    def __exit__(self, *_):
        self.stop.set()
        self.thread.join(DEADLINE)


def hangs_and_crashes():
    fresh()
    vault.ok("POST", "secret/data/k", {"data": {"a": "b"}})
    with Load() as load:
        for argument, says in (("hang", "gave no answer"), ("hang_forked", "gave no answer"),
                               ("crash", "gave no answer"), ("leave", "gave no answer")):
            host.odd(argument)
            before = load.n
            answers = at_once([("kt-" + argument.replace("_", "-"), "right"), ("kt-x-" + argument[0], "x")])
            # One that was held up until they were ended, and what came right after it, are fewer.
            if argument.startswith("hang") and load.n - before < 6:
                raise AssertionError("%d reads were answered while a module hung" % (load.n - before))
            equal([a.status for a in answers], [400, 400], repr(answers))
            for answer in answers:
                contains(answer.body, says)
    wait_for("all children are gone", lambda: keeper.children() == [], 30)
    host.matrix([("kt-good", "secret", "keyturn")])
    login("kt-good", 200, password="secret")


def without_it():
    fresh()
    host.matrix([("kt-good", "secret", "keyturn")])
    keeper.stop()
    for _ in range(3):
        login("kt-good", 503, "vaultd-pam.socket", password="secret")
    keeper.start()
    login("kt-good", 200, password="secret")
    host.odd("two")
    answer = login("kt-good", 200, password="right")
    keeper.process.kill()
    keeper.process.wait(DEADLINE)
    keeper.start()
    wait_for("vaultd saw that it is gone", lambda: "unknown" in vault.call(
        "POST", LOGIN + "kt-good", {"login_id": answer.data["login_id"], "responses": ["123456"]},
        token="").body, 30)
    host.matrix([("kt-good", "secret", "keyturn")])
    login("kt-good", 200, password="secret")


def nothing_kept():
    """No password in vaultd's log, vaultd-pam's, or the audit log's export."""
    fresh()
    host.shipped()
    login("kt-good", 400, password="PASSWORD-CANARY")
    host.odd("two")
    talk("kt-good", ["CODE-CANARY"], password="right", status=400)
    folder = os.path.join(vault.folder, "export")
    vault.ctl("audit", "export", folder)
    export = ""
    for path, _, names in os.walk(folder):
        for name in names:
            with open(os.path.join(path, name), errors="replace") as f:
                export += f.read()
    for text in (vault.log_text(), keeper.text(), export):
        for word in ("PASSWORD-CANARY", "CODE-CANARY"):
            equal(word in text, False, word)
    contains(export, "auth/pam/login/kt-good")


host = pamhost.Host()
vault = None
try:
    host.account("kt-good", "right", groups=("kt-ops",))
    for name in ("kt-web", "kt-alone"):
        host.account(name, "right")
    host.account("kt-many", "right")
    host.many_groups("kt-many", 700)
    host.account("kt-locked", "right", prefix="!")
    host.account("kt-over", "right", shadow="19000:0:99999:7::1000:")
    host.account("kt-change", "right", shadow="0:0:99999:7:::")
    host.account("kt-system", "right", uid=998)
    host.shipped()
    keeper = pamhost.Keeper(host, "--timeout", "2").start()
    with Vault() as vault:
        vault.ready()
        enable()
        for name, case in [
                ("pam_unix: good, wrong, unknown, locked, expired", accounts), ("guesses", guesses),
                ("an account of two names", other_names), ("hundreds of groups", many_groups),
                ("pam_matrix", matrix), ("prompts", prompts), ("pam_oath", one_time_code),
                ("a stack that changes the name", renamed),
                ("secretctl at a terminal", at_a_terminal), ("secretctl in a pipeline", in_a_pipeline),
                ("hvac, as if it were LDAP", hvac_client), ("renewals", renewals),
                ("modules that hang and crash, reads go on", hangs_and_crashes),
                ("without vaultd-pam", without_it), ("nothing is kept", nothing_kept)]:
            report.case(name, case)
finally:
    host.remove()
report.end()
