#!/usr/bin/env python3
"""vaultd-pam against real PAM stacks, asked as vaultd asks it: the right verdict of each, and nothing that
a module does to its process is anybody else's trouble.

    tests/integration/vaultd_pam.py ['part of a case name']

The accounts are of a private copy of /etc, which goes away with this process.
"""
import os
import pwd
import signal
import socket
import subprocess
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
from keyturn import Report, contains, equal, program, wait_for  # noqa: E402
import pamhost  # noqa: E402

pamhost.enter()
report = Report()
UID = pwd.getpwnam("keyturn").pw_uid
PATH = "/run/vaultd-pam.sock"


def ask(user, *answers, path=PATH):
    """Outcome, name and groups of a whole login."""
    talk = pamhost.Talk(path, UID, user)
    try:
        return talk.until_verdict(*answers)
    finally:
        talk.close()


OUT = ("out", "", [])
BROKEN = ("broken", "", [])


# ---- pam_unix, with the file that is shipped -------------------------------------------------------

def accounts():
    host.shipped()
    outcome, name, groups = ask("kt-good", "right")
    equal((outcome, name, sorted(groups)), ("in", "kt-good", ["kt-good", "kt-ops", "kt-web"]))
    rows = [("kt-good", "wrong", OUT), ("kt-nobody", "right", OUT), ("kt-good", "", OUT),
            ("kt-locked", "right", OUT), ("kt-over", "right", OUT), ("kt-empty", "", OUT),
            ("kt-change", "right", ("expired", "", [])), ("kt-change", "wrong", OUT)]
    for user, password, wanted in rows:
        host.forget()
        equal(ask(user, password), wanted, "%s with %r" % (user, password))


def system_accounts():
    """Root, and who is below --min-uid: never asked about, refused like somebody who is not there; but
    whom --allow names."""
    host.shipped()
    equal(ask("kt-system", "right"), OUT)
    equal(ask("root", "right"), OUT)
    equal([f for f in os.listdir("/run/vaultd-pam/faillock") if f in ("kt-system", "root")], [],
          "tallies of who must not be asked about")
    first = pamhost.Talk(PATH, UID, "kt-system").hear()
    equal(first, pamhost.Talk(PATH, UID, "kt-nobody").hear(), "what a stranger sees of it")
    equal(ask("kt-daemon", "right"), ("in", "kt-daemon", ["kt-daemon"]))


def other_names():
    """The host knows an account by another name, too: PAM is asked about the account's own, and so is told."""
    host.shipped()
    other = pamhost.Keeper(host, path="/run/names.sock").start(names=True)
    try:
        talk = pamhost.Talk(other.path, UID, "kt-good@kt.test")
        equal(talk.named, "kt-good")
        equal(talk.until_verdict("right")[:2], ("in", "kt-good"))
        talk = pamhost.Talk(other.path, UID, "kt-good@kt.test", account=True)
        equal(talk.hear()[:4:3], ("verdict", "kt-good"))
        equal(ask("kt-good@kt.test", "wrong", path=other.path), OUT)
        equal(os.listdir("/run/vaultd-pam/faillock"), ["kt-good"], "the stack's tally")
        equal(ask("kt-system@kt.test", "right", path=other.path), OUT)
        host.odd("rename", "kt-web@kt.test")
        equal(ask("kt-good", "right", path=other.path)[:2], ("in", "kt-web"))
    finally:
        other.stop()
    talk = pamhost.Talk(PATH, UID, "kt-not-there")
    equal((talk.named, talk.hear()[0]), ("kt-not-there", "prompts"), "whom the host does not know")


def many_groups():
    """Directories put people into hundreds of groups: all are told, whatever a message holds."""
    host.shipped()
    outcome, name, groups = ask("kt-many", "right")
    equal((outcome, name), ("in", "kt-many"))
    equal(sorted(groups), sorted(["kt-many"] + ["kt-g%d" % i for i in range(700)]))


def not_gone_on_with():
    """PAM is not asked before vaultd says so, and not at all when it says something else."""
    host.odd("two")
    nobody_left("what was before")
    for data in (b"A\x01" + pamhost.field("right"), b"L", b"G\x00", None):
        talk = pamhost.Talk(PATH, UID)
        talk.send(b"L\x02\x00" + pamhost.field("kt-good") + pamhost.field(""))
        equal(talk.socket.recv(4096), b"N" + pamhost.field("kt-good"))
        if data is not None:
            talk.send(data)
            equal(talk.hear(), ("ended", 0), repr(data))
        talk.close()
    nobody_left("who was not gone on with")


def own_tally():
    """Four wrong passwords lock the name at the vault's door, and nowhere else; asking whether the account is
    good, as each renewal does, forgets none of them."""
    host.shipped()
    for _ in range(4):
        equal(pamhost.Talk(PATH, UID, "kt-good", account=True).hear()[:2], ("verdict", "in"))
        equal(ask("kt-good", "wrong"), OUT)
    equal(ask("kt-good", "right"), OUT, "behind the tally")
    equal(sorted(os.listdir("/run/vaultd-pam/faillock")), ["kt-good"])
    equal(os.path.exists("/run/faillock/kt-good") or os.path.exists("/var/run/faillock/kt-good"), False)
    host.forget()
    equal(ask("kt-good", "right")[0], "in")


def refused_with_delay(asked_us):
    host.odd("delay", str(asked_us))
    talk = pamhost.Talk(PATH, UID, "kt-good")
    talk.hear()
    talk.answer("wrong")
    heard = talk.hear()
    equal(heard[:2], ("verdict", "out"))
    return heard[2]


def delay():
    """A refusal is to be held back by whoever asked. Nothing waits here: who did would be ended, after
    --timeout=2, without a verdict."""
    told = refused_with_delay(2000000)
    if not 1000 <= told <= 3000:
        raise AssertionError("a delay of %d ms, 2000 was asked for" % told)
    equal(refused_with_delay(60000000), 10000, "the longest")


# ---- other stacks ----------------------------------------------------------------------------------

def matrix():
    host.matrix([("kt-good", "secret", "keyturn"), ("kt-web", "secret", "sshd")], "verbose")
    equal(ask("kt-good", "secret")[:2], ("in", "kt-good"))
    equal(ask("kt-good", "guess"), OUT)
    equal(ask("kt-web", "secret"), OUT, "of another service")
    host.matrix([("kt-good", "secret", "keyturn")], "echo")
    talk = pamhost.Talk(PATH, UID, "kt-good")
    equal(talk.hear()[1][0][0], True, "a prompt that may be seen")


def one_time_code():
    """pam_oath behind pam_unix: a second prompt; each code once."""
    secret = "00112233445566778899aabbccddeeff00112233"
    users = "/etc/users.oath"
    with open(users, "w") as f:
        f.write("HOTP kt-good - %s\n" % secret)
    os.chmod(users, 0o600)
    host.stack("auth requisite pam_unix.so\nauth required pam_oath.so usersfile=%s window=5 digits=6\n"
               "account required pam_unix.so\n" % users)
    codes = subprocess.run(["oathtool", "-w", "1", secret], text=True, capture_output=True,
                           check=True).stdout.split()
    equal(ask("kt-good", "right", codes[0])[0], "in")
    equal(ask("kt-good", "right", codes[0]), OUT, "the same code again")
    equal(ask("kt-good", "wrong"), OUT)
    equal(ask("kt-good", "right", codes[1])[0], "in")


def prompts():
    host.odd("two")
    talk = pamhost.Talk(PATH, UID, "kt-good")
    equal(talk.hear(), ("prompts", [(False, "Password: ")]))
    talk.answer("right")
    equal(talk.hear(), ("prompts", [(True, "Code  : ")]), "what is no text is none")
    talk.answer("123456")
    equal(talk.hear()[:2], ("verdict", "in"))
    host.odd("together")
    talk = pamhost.Talk(PATH, UID, "kt-good")
    equal(talk.hear(), ("prompts", [(False, "Password: "), (True, "Code: ")]), "and nothing else is told")
    talk.answer("right", "123456")
    equal(talk.hear()[:2], ("verdict", "in"))
    host.odd("many")
    equal(ask("kt-good", *["right"] * 6), OUT, "a sixth prompt")
    host.odd("two")
    for answers in (["right", "654321"], ["wrong"]):
        equal(ask("kt-good", *answers), OUT)
    talk = pamhost.Talk(PATH, UID, "kt-good")
    talk.hear()
    talk.answer("right", "123456")
    equal(talk.hear()[:2], ("verdict", "out"), "more answers than were asked for")


def renamed():
    """The name is the one that the stack ends with; who that is counts."""
    host.odd("rename", "kt-web")
    equal(ask("kt-good", "right")[:2], ("in", "kt-web"))
    for name in ("root", "kt-system", "not-there"):
        host.odd("rename", name)
        equal(ask("kt-good", "right"), OUT, "renamed to " + name)


def results():
    """Codes of Linux-PAM, of the login and of the account."""
    success, auth_err, acct_expired, new_authtok, authtok_expired = 0, 7, 13, 12, 27
    unavailable, abort, system_err, perm_denied = 9, 26, 4, 6
    rows = [("auth", auth_err, "out"), ("auth", new_authtok, "out"), ("auth", unavailable, "broken"),
            ("auth", abort, "broken"), ("account", success, "in"), ("account", acct_expired, "out"),
            ("account", new_authtok, "expired"), ("account", authtok_expired, "out"),
            ("account", perm_denied, "out"), ("account", system_err, "broken"),
            ("account", unavailable, "broken")]
    for where, code, wanted in rows:
        host.odd("answer", str(code), account=where)
        equal(ask("kt-good")[0], wanted, "%s code %d" % (where, code))
    host.stack("auth required pam_not_there.so\naccount required pam_permit.so\n")
    equal(ask("kt-good"), BROKEN, "a module that is not there")


def account_alone():
    """Whether an account is still good, without asking anybody anything."""
    host.shipped()
    rows = [("kt-good", "in"), ("kt-over", "out"), ("kt-change", "expired"), ("kt-nobody", "out"),
            ("kt-system", "out"), ("root", "out")]
    for user, wanted in rows:
        talk = pamhost.Talk(PATH, UID, user, account=True)
        heard = talk.hear()
        equal(heard[:2], ("verdict", wanted), user)
        equal("kt-ops" in heard[4], wanted == "in", user)
    host.odd("two", account="account")
    equal(pamhost.Talk(PATH, UID, "kt-good", account=True).hear()[1], "out", "a stack that asks")


def no_file():
    """Without its file PAM would take another service's."""
    os.unlink("/etc/pam.d/keyturn")
    host.stack("auth required pam_permit.so\naccount required pam_permit.so\n", "other")
    equal(ask("kt-good"), BROKEN)
    contains(keeper.text(), 'there is no /etc/pam.d/keyturn')
    done = subprocess.run([program("vaultd-pam"), "--listen", "/run/other.sock"], text=True,
                          capture_output=True, timeout=60)
    equal((done.returncode, "pam.d/keyturn" in done.stderr), (1, True), done.stderr)


# ---- modules that are broken -----------------------------------------------------------------------

def served():
    host.matrix([("kt-good", "secret", "keyturn")])
    equal(ask("kt-good", "secret")[0], "in", "somebody else, afterwards")


def nobody_left(of):
    wait_for("the children of " + of + " are gone", lambda: keeper.children() == [], 30)


def in_the_module():
    """The child whose module has begun: its stack is chosen."""
    for child in keeper.children():
        try:
            with open("/proc/%s/maps" % child) as f:
                if "pam_odd" in f.read():
                    return child
        except OSError:  # it ended meanwhile
            pass
    return None


def all_dead(session):
    states = subprocess.run(["ps", "-o", "stat=", "-s", session], text=True, capture_output=True).stdout
    return all(state.startswith("Z") for state in states.split())  # whom nobody waits for is none of ours


def hangs():
    """Killed, with all that it started, also where it holds its socket open; others are served."""
    for argument in ("hang", "hang_forked"):
        host.odd(argument)
        nobody_left("what was before")
        begun = time.monotonic()
        talk = pamhost.Talk(PATH, UID, "kt-good")
        session = wait_for("a child in its module", in_the_module)
        served()
        equal(talk.hear(), ("ended", int(signal.SIGKILL)), argument)
        equal(talk.hear(), ("closed",))
        took = time.monotonic() - begun
        if not 1.5 < took < 30:
            raise AssertionError("it was ended after %.1f s, not after --timeout=2" % took)
        wait_for("nobody is left of " + argument, lambda: all_dead(session), 30)
        nobody_left(argument)
    contains(keeper.text(), "pam_hangs")


def hung_up():
    """When vaultd lets go, nothing goes on."""
    host.odd("hang_forked")
    talk = pamhost.Talk(PATH, UID, "kt-good")
    wait_for("a child in its module", in_the_module)
    talk.close()
    nobody_left("who hung up")
    host.odd("two")
    talk = pamhost.Talk(PATH, UID, "kt-good")
    talk.hear()
    talk.close()
    nobody_left("who hung up at a prompt")


def crashes():
    for argument, status in (("crash", int(signal.SIGSEGV)), ("leave", 0)):
        host.odd(argument)
        talk = pamhost.Talk(PATH, UID, "kt-good")
        heard = talk.hear()
        equal((heard[0], heard[1] & 0x7f), ("ended", status), argument)
        served()
    contains(keeper.text(), "pam_crashed")
    host.odd("spoil")
    equal(ask("kt-good", "right")[0], "in", "a module that closes what it finds")
    served()


# ---- who may ask, and what it takes ----------------------------------------------------------------

def strangers():
    for uid in (0, 65534):
        try:
            talk = pamhost.Talk(PATH, uid)
        except PermissionError:
            continue
        talk.socket.settimeout(30)
        try:
            talk.send(b"L\x02\x00" + pamhost.field("kt-good") + pamhost.field(""))
            heard = talk.hear()
        except (BrokenPipeError, ConnectionResetError):
            heard = ("closed",)
        equal(heard, ("closed",), "uid %d" % uid)
    equal((os.stat(PATH).st_uid, os.stat(PATH).st_mode & 0o777), (UID, 0o700))
    contains(keeper.text(), "stranger uid=0")


def nonsense():
    host.odd("two")
    good = b"L\x02\x00" + pamhost.field("kt-good") + pamhost.field("")
    for data in (b"?", b"L", good[:-1], good + b"x", b"L\x01" + good[2:], b"L\x02\x02" + good[3:], good.replace(b"kt-", b"k\0-"),
                 b"A\x01" + pamhost.field("x"), b"L" * 4096,
                 b"L\x02\x00" + pamhost.field("x" * 256) + pamhost.field("")):
        talk = pamhost.Talk(PATH, UID)
        talk.send(data)
        equal(talk.hear(), ("verdict", "broken", 0, "", []), repr(data[:40]))
        talk.close()
    for data in (b"A\x00", b"A\x02" + pamhost.field("right") * 2, b"A\x01" + pamhost.field("a\0b"),
                 b"A\x01" + pamhost.field("x" * 512), b"A\x01" + pamhost.field("x" * 30000), b"R"):
        talk = pamhost.Talk(PATH, UID, "kt-good")
        talk.hear()
        talk.send(data)
        equal(talk.hear()[1], "out", repr(data[:40]))
        talk.close()
    served()


def crowd():
    """64 at a time, and the next is told so."""
    host.odd("two")
    nobody_left("what was before")
    talks = [pamhost.Talk(PATH, UID, "kt-good") for _ in range(64)]
    for talk in talks:
        equal(talk.hear()[0], "prompts")
    more = pamhost.Talk(PATH, UID)
    equal(more.hear(), ("busy",))
    talks[0].answer("wrong")
    equal(talks[0].hear()[1], "out")
    equal(talks[0].hear()[0], "ended")
    talk = pamhost.Talk(PATH, UID, "kt-good")
    equal(talk.hear()[0], "prompts", "in the place of who left")
    for talk in talks:
        talk.close()
    talk.close()
    nobody_left("the crowd")


def clean():
    """No password is in the log; and it gains no privileges."""
    log = keeper.text()
    for word in ("right", "secret", "123456", "wrong"):
        equal(word in log, False, "%r in the log" % word)
    with open("/proc/%d/status" % keeper.process.pid) as f:
        contains(f.read(), "NoNewPrivs:\t1")


def activated():
    """With the socket of a service manager, and as the unit has it: root without a capability."""
    path = "/run/activated.sock"
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    listener.bind(path)
    os.chown(path, UID, -1)
    listener.listen(8)
    host.shipped()
    script = ("import os; os.dup2(%d, 3); os.environ.update(LISTEN_PID=str(os.getpid()), LISTEN_FDS='1'); "
              "os.execv(%r, ['vaultd-pam'])" % (listener.fileno(), program("vaultd-pam")))
    process = subprocess.Popen(["setpriv", "--bounding-set=-all", "--inh-caps=-all", "--no-new-privs",
                                sys.executable, "-c", script],
                               pass_fds=[listener.fileno()], stderr=subprocess.DEVNULL)
    try:
        equal(ask("kt-good", "right", path=path)[:2], ("in", "kt-good"))
        equal(ask("kt-good", "wrong", path=path), OUT)
        with open("/proc/%d/status" % process.pid) as f:
            contains(f.read(), "CapEff:\t0000000000000000")
    finally:
        process.terminate()
        equal(process.wait(60), 0)
    equal(os.path.exists(path), True, "the service manager's socket stays")


def by_hand():
    """Two at one place; a socket that is left over; no socket."""
    run = lambda *args: subprocess.run([program("vaultd-pam"), *args], text=True,  # noqa: E731
                                       capture_output=True, timeout=60)
    host.odd("two")
    contains(run("--listen", PATH).stderr, "another vaultd-pam's")
    contains(run().stderr, "systemctl enable --now vaultd-pam.socket")
    contains(run("--listen", "/etc/hostname").stderr, "no socket")
    contains(run("--user", "kt-not-there", "--listen", "/run/x.sock").stderr, "whom vaultd runs as")
    contains(run("--timeout", "121").stderr, "--timeout is a number from 1 to 120")
    contains(run("--lisen", "x").stderr, "unknown argument")
    contains(run("--help").stdout, "--min-uid")
    other = pamhost.Keeper(host, path="/run/stale.sock").start()
    other.process.kill()
    other.process.wait(60)
    equal(os.path.exists("/run/stale.sock"), True)
    other.start()
    equal(pamhost.Talk("/run/stale.sock", UID, "kt-good").hear()[0], "prompts")
    equal(other.stop(), 0)
    equal(os.path.exists("/run/stale.sock"), False, "it takes its socket along")


host = pamhost.Host()
try:
    host.account("kt-good", "right", groups=("kt-ops", "kt-web"))
    host.account("kt-web", "right")
    host.account("kt-many", "right")
    host.many_groups("kt-many", 700)
    host.account("kt-locked", "right", prefix="!")
    host.account("kt-over", "right", shadow="19000:0:99999:7::1000:")
    host.account("kt-change", "right", shadow="0:0:99999:7:::")
    host.account("kt-empty", "")
    host.account("kt-system", "right", uid=998)
    host.account("kt-daemon", "right", uid=997)
    host.shipped()
    keeper = pamhost.Keeper(host, "--timeout", "2", "--allow", "kt-daemon").start()
    for name, case in [
            ("pam_unix: good, wrong, unknown, locked, expired, without a password", accounts),
            ("no system accounts", system_accounts), ("an account of two names", other_names),
            ("hundreds of groups", many_groups), ("PAM is asked when vaultd says so", not_gone_on_with),
            ("a tally of its own", own_tally),
            ("refusals are held back by the asker", delay), ("pam_matrix", matrix),
            ("pam_oath", one_time_code), ("prompts", prompts), ("a stack that changes the name", renamed),
            ("results", results), ("the account alone", account_alone), ("no file", no_file), ("a module that hangs", hangs),
            ("vaultd hangs up", hung_up), ("a module that crashes", crashes),
            ("only vaultd's user", strangers), ("nonsense", nonsense), ("64 at a time", crowd),
            ("nothing in the log", clean), ("activated", activated), ("by hand", by_hand)]:
        report.case(name, case)
    if keeper.process.poll() is not None:
        raise AssertionError("vaultd-pam is gone:\n" + keeper.text())
finally:
    host.remove()
report.end()
