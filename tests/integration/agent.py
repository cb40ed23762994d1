#!/usr/bin/python3
"""secret-agent as a program: its child's life and end, signals, files, and the vault going away.

    tests/integration/agent.py ['part of a case name']
"""
import os
import pty
import select
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
from keyturn import DEADLINE, Report, Vault, contains, equal, free_port, program, wait_for  # noqa: E402

report = Report()
VALUE = "pa55-of-the-agent-test"
ENV = "--env=APP_PASSWORD=secret/app#password"


class Agent:
    """secret-agent run, with its standard output and error read as they come."""

    def __init__(self, vault, args, command, token=None, env=None, **more):
        environment = vault.environment(token)
        environment.update(env or {})
        self.process = subprocess.Popen(
            [program("secret-agent"), "run", *args, "--", *command], env=environment,
            stdin=more.pop("stdin", subprocess.DEVNULL), stdout=subprocess.PIPE,
            stderr=subprocess.PIPE, text=True, start_new_session=True, **more)
        self.out, self.err = [], []
        self.readers = [threading.Thread(target=self.read, args=(self.process.stdout, self.out)),
                        threading.Thread(target=self.read, args=(self.process.stderr, self.err))]
        for reader in self.readers:
            reader.daemon = True
            reader.start()

    @staticmethod
    def read(stream, lines):
        for line in stream:
            lines.append(line.rstrip("\n"))

    def says(self, text, seconds=DEADLINE):
        """Waits for a line of the program's."""
        wait_for("%r from the program; it said %r and %r" % (text, self.out[-5:], self.err[-5:]),
                 lambda: any(text in line for line in list(self.out)), seconds)
        return self

    def logs(self, text, seconds=DEADLINE):
        wait_for("%r in the agent's log" % text,
                 lambda: any(text in line for line in list(self.err)), seconds)
        return self

    def signal(self, number):
        self.process.send_signal(number)
        return self

    def end(self, seconds=DEADLINE):
        status = self.process.wait(seconds)
        for reader in self.readers:
            reader.join(5)
        return status

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        for pid in children_of_session(self.process.pid):
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass


def children_of_session(session):
    """Processes of the session that the agent began: what a killed agent left behind."""
    found = []
    for name in os.listdir("/proc"):
        if name.isdigit():
            try:
                if os.getsid(int(name)) == session:
                    found.append(int(name))
            except (ProcessLookupError, PermissionError):
                pass
    return found


def children(pid):
    with open("/proc/%d/task/%d/children" % (pid, pid)) as f:
        return [int(n) for n in f.read().split()]


def shell(script):
    return ["/bin/sh", "-c", script]


def python(script):
    return [sys.executable, "-u", "-c", script]


class Folder:
    """A folder that only we may write, on a tmpfs."""

    def __enter__(self):
        self.path = tempfile.mkdtemp(prefix="kt-agent-", dir="/dev/shm")
        return self.path

    def __exit__(self, *_):
        shutil.rmtree(self.path, ignore_errors=True)


def config_of(folder, text):
    path = os.path.join(folder, "agent.hcl")
    with open(path, "w") as f:
        f.write(text)
    return "--config=" + path


def put(vault, path, **fields):
    vault.ok("POST", "secret/data/" + path, {"data": fields})


# ---- how it ends ----

def exit_codes(vault):
    for code in (0, 1, 2, 42, 125, 126, 127, 128, 254, 255):
        with Agent(vault, [ENV], shell("exit %d" % code)) as agent:
            equal(agent.end(), code)


def deaths(vault):
    for number in (signal.SIGTERM, signal.SIGKILL, signal.SIGSEGV, signal.SIGUSR1, signal.SIGPIPE):
        with Agent(vault, [ENV], shell("kill -%d $$" % number)) as agent:
            equal(agent.end(), -number)


def cannot_run(vault):
    with tempfile.NamedTemporaryFile("w", suffix=".sh") as plain:
        plain.write("#!/bin/sh\n")
        plain.flush()
        os.chmod(plain.name, 0o644)
        with Agent(vault, [ENV], [plain.name]) as agent:
            equal(agent.end(), 126)
    with Agent(vault, [ENV], ["/nonexistent/program"]) as agent:
        equal(agent.end(), 127)
    with Agent(vault, [], ["true"]) as agent:
        equal(agent.end(), 125)
    with Agent(vault, ["--no-such-flag"], ["true"]) as agent:
        equal(agent.end(), 2)


def missing_field(vault):
    with Folder() as folder:
        mark, path = os.path.join(folder, "ran"), os.path.join(folder, "file")
        config = config_of(folder, """
service "app" {
  env "A" { secret = "secret/app"  field = "nope" }
  file "%s" { contents = "{{ secret \\"secret/app\\" \\"password\\" }}" }
}
""" % path)
        for args in ([config], ["--env=A=secret/app#nope"], ["--env=A=secret/nope#password"]):
            with Agent(vault, args, ["touch", mark]) as agent:
                equal(agent.end(), 125)
                contains("\n".join(agent.err), "next:")
            equal(os.path.exists(mark), False, "the program ran")
            equal(os.path.exists(path), False, "a file was written")


def unsafe_names(vault):
    for name in ("LD_PRELOAD", "PATH", "IFS", "BASH_ENV", "1A", "A-B"):
        with Agent(vault, ["--env=%s=secret/app#password" % name], ["true"]) as agent:
            equal(agent.end(), 125, name)
            equal(VALUE in "\n".join(agent.err), False, "the value was told")


# ---- signals ----

STUBBORN = """
import os, signal, sys, time
got = []
for n in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGUSR1, signal.SIGRTMIN + 3):
    signal.signal(n, lambda n, _: (got.append(n), print("got", n, len([g for g in got if g == n]))))
print("ready")
while True:
    time.sleep(0.05)
"""


def one_term_then_kill(vault):
    with Folder() as folder:
        config = config_of(folder, """
service "app" {
  env "A" { secret = "secret/app"  field = "password" }
  stop_timeout = "1s"
}
""")
        with Agent(vault, [config], python(STUBBORN)) as agent:
            agent.says("ready")
            begun = time.monotonic()
            agent.signal(signal.SIGTERM)
            equal(agent.end(), -signal.SIGKILL)
            took = time.monotonic() - begun
            equal(1 <= took < 25, True, "%.1f s until the end" % took)  # 30 if it is not told
            equal([line for line in agent.out if line.startswith("got 15")], ["got 15 1"])


def forwards(vault):
    with Agent(vault, [ENV], python(STUBBORN)) as agent:
        agent.says("ready")
        for number in (signal.SIGHUP, signal.SIGUSR1, signal.SIGRTMIN + 3):
            agent.signal(number).says("got %d 1" % number)
        agent.signal(signal.SIGKILL)


def pty_run(vault, args, command):
    master, slave = pty.openpty()
    process = subprocess.Popen([program("secret-agent"), "run", *args, "--", *command],
                               stdin=slave, stdout=slave, stderr=slave, start_new_session=True,
                               env=vault.environment(),
                               preexec_fn=lambda: __import__("fcntl").ioctl(0, 0x540E, 0))
    os.close(slave)
    return master, process


def pty_says(master, text, seconds=DEADLINE):
    seen, end = b"", time.monotonic() + seconds
    while text not in seen:
        if not select.select([master], [], [], max(0, end - time.monotonic()))[0]:
            raise AssertionError("no %r in %r" % (text, seen[-400:]))
        seen += os.read(master, 4096)
    return seen


def interrupt_key(vault):
    """Ctrl-C is the program's business: it is not killed for living on."""
    with Folder() as folder:
        config = config_of(folder, """
service "app" {
  env "A" { secret = "secret/app"  field = "password" }
  stop_timeout = "200ms"
}
""")
        master, process = pty_run(vault, [config], python("""
import signal, time
signal.signal(signal.SIGINT, lambda *_: print("interrupted"))
print("ready")
time.sleep(0.01)
for _ in range(40):
    time.sleep(0.05)
print("lived on")
raise SystemExit(7)
"""))
        try:
            pty_says(master, b"ready")
            os.write(master, b"\x03")
            pty_says(master, b"lived on")
            equal(process.wait(DEADLINE), 7)
        finally:
            process.kill()
            os.close(master)


def term_while_the_vault_hangs(vault):
    """A vault that takes connections and never answers delays no signal."""
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen(8)
        with Vault(tls=False) as hanging:
            hanging.ready()
            put(hanging, "app", password=VALUE)
            with Agent(hanging, [ENV], python("import time; print('ready'); time.sleep(600)")) as agent:
                agent.says("ready")
                os.kill(hanging.process.pid, signal.SIGSTOP)
                begun = time.monotonic()
                agent.signal(signal.SIGTERM)
                equal(agent.end(), -signal.SIGTERM)
                took = time.monotonic() - begun
                os.kill(hanging.process.pid, signal.SIGCONT)
                equal(took < 60, True, "%.1f s until the end" % took)  # a watch takes 300
        environment = {"VAULT_ADDR": "http://127.0.0.1:%d" % silent.getsockname()[1]}
        with Agent(vault, [ENV], ["true"], env=environment) as agent:
            wait_for("a connection", lambda: select.select([silent], [], [], 0)[0])
            begun = time.monotonic()
            agent.signal(signal.SIGTERM)
            equal(agent.end(), -signal.SIGTERM)
            equal(time.monotonic() - begun < 12, True, "too late")  # a call takes 15


def term_while_a_helper_runs(vault):
    with Folder() as folder:
        path, mark = os.path.join(folder, "file"), os.path.join(folder, "helping")
        config = config_of(folder, """
service "app" {
  file "%s" { contents = "{{ secret \\"secret/helped\\" \\"password\\" }}" }
  activate = "command"
  command  = ["/bin/sh", "-c", "touch %s; sleep 600"]
  debounce = "10ms"
}
""" % (path, mark))
        put(vault, "helped", password="1")
        with Agent(vault, [config], python("import time; print('ready'); time.sleep(600)")) as agent:
            agent.says("ready")
            wait_until_watched(vault, "app", "secret/helped")
            put(vault, "helped", password="2")
            wait_for("the helper", lambda: os.path.exists(mark))
            begun = time.monotonic()
            agent.signal(signal.SIGTERM)
            equal(agent.end(), -signal.SIGTERM)
            equal(time.monotonic() - begun < 60, True, "it waited for the helper")


def ends_while_a_helper_runs(vault):
    """The program dies while its health is looked at: no long poll is waited for."""
    with Folder() as folder:
        pid, calls = os.path.join(folder, "pid"), os.path.join(folder, "calls")
        config = config_of(folder, """
service "app" {
  env "P" { secret = "secret/app"  field = "password" }
  activate = "restart"
  health "command" {
    command = ["/bin/sh", "-c",
               "echo x >> %s; [ $(wc -l < %s) -lt 3 ] || kill -9 $(cat %s); exit 1"]
    fail  = 1
    grace = "0s"
  }
}
""" % (calls, calls, pid))
        with Agent(vault, [config], shell("echo $$ > %s; exec sleep 600" % pid)) as agent:
            equal(agent.end(), -signal.SIGKILL)


# ---- what leaks ----

def hygiene(vault):
    token = vault.ok("POST", "auth/token/create", {"ttl": "10m"}).json["auth"]["client_token"]
    show = """
import json, os, time
print(json.dumps({"env": dict(os.environ), "fds": sorted(os.listdir("/proc/self/fd"))}))
print("ready")
time.sleep(600)
"""
    extra = {"KEPT": "yes", "NOTIFY_SOCKET": "/run/none", "CREDENTIALS_DIRECTORY": "/run/none",
             "LISTEN_FDS": "1"}
    with Agent(vault, [ENV], python(show), token=token, env=extra) as agent:
        agent.says("ready")
        shown = __import__("json").loads(agent.out[0])
        equal(shown["env"]["APP_PASSWORD"], VALUE)
        equal(shown["env"]["KEPT"], "yes")
        for name in ("VAULT_TOKEN", "NOTIFY_SOCKET", "CREDENTIALS_DIRECTORY", "LISTEN_FDS"):
            equal(name in shown["env"], False, name)
        equal(token in str(shown["env"]), False, "the token")
        # 0, 1, 2 and the listing's own.
        equal(len(shown["fds"]), 4, "descriptors %r" % shown["fds"])
        pid = agent.process.pid
        for name in ("environ", "cmdline"):
            with open("/proc/%d/%s" % (pid, name), "rb") as f:
                text = f.read()
            equal(VALUE.encode() in text, False, "the value in %s" % name)
            equal(token.encode() in text, False, "the token in %s" % name)
        for child in children(pid):
            with open("/proc/%d/cmdline" % child, "rb") as f:
                equal(VALUE.encode() in f.read(), False, "the value in the child's cmdline")
        equal(VALUE in "\n".join(agent.err), False, "the value in the log")
        agent.signal(signal.SIGTERM).end()


# ---- versions ----

def wait_until_watched(vault, service, secret, state="healthy"):
    """The agent said that its service is well, and waits for the next version."""
    def said():
        answer = vault.call("GET", "fleet/consumers/%s/%s" % (socket.gethostname(), secret))
        if answer.status != 200:
            return False
        return any(c["service"] == service and c["state"] == state
                   for c in answer.data["services"])
    wait_for("%s to be %s" % (service, state), said)


def files_are_whole(vault):
    """Who reads all the time never sees a part, nor two versions mixed."""
    with Folder() as folder:
        path = os.path.join(folder, "file")
        config = config_of(folder, """
service "files" {
  file "%s" {
    contents = "{{ secret \\"secret/whole\\" \\"a\\" }}:{{ secret \\"secret/whole\\" \\"pad\\" }}:{{ secret \\"secret/whole\\" \\"b\\" }}:end"
    mode     = "0440"
  }
  activate = "none"
  debounce = "1ms"
}
""" % path)
        put(vault, "whole", a="0", b="0", pad="x" * 60000)
        with Agent(vault, [config], ["sleep", "600"]) as agent:
            wait_until_watched(vault, "files", "secret/whole")
            stop, seen, wrong = threading.Event(), set(), []

            def read_on():
                while not stop.is_set():
                    with open(path) as f:
                        parts = f.read().split(":")
                    if len(parts) != 4 or parts[0] != parts[2] or parts[3] != "end":
                        wrong.append([p[:20] for p in parts])
                    seen.add(parts[0])

            reader = threading.Thread(target=read_on)
            reader.start()
            try:
                for number in range(1, 21):
                    put(vault, "whole", a=str(number), b=str(number), pad="x" * (60000 - number * 1000))
                    wait_for("version %d in the file" % number, lambda: str(number) in seen)
            finally:
                stop.set()
                reader.join()
            equal(wrong, [])
            equal(os.stat(path).st_mode & 0o777, 0o440)
            equal(sorted(os.listdir(folder)), ["agent.hcl", "file"])
            agent.signal(signal.SIGTERM).end()


# CVE-2026-5061, CVE-2020-8567: a link, or a folder of others, between the check and the write.
def files_in_bad_places(vault):
    with Folder() as folder:
        cases = []
        os.mkdir(folder + "/open", 0o777)
        os.chmod(folder + "/open", 0o777)
        os.mkdir(folder + "/open/below", 0o700)
        os.mkdir(folder + "/fine", 0o700)
        os.symlink(folder + "/fine", folder + "/link")
        cases.append((folder + "/open/file", "may be written by others"))
        cases.append((folder + "/open/below/file", "may be written by others"))
        cases.append((folder + "/link/file", "symbolic link"))
        cases.append((folder + "/nothing/file", "mkdir"))
        cases.append((folder + "/fine/../file", "not a plain"))
        for path, why in cases:
            config = config_of(folder, """
service "app" {
  file "%s" { contents = "{{ secret \\"secret/app\\" \\"password\\" }}" }
  activate = "none"
}
""" % path)
            with Agent(vault, [config], ["touch", folder + "/ran"]) as agent:
                equal(agent.end(), 125, path)
                contains("\n".join(agent.err), why, path)
            equal(os.path.exists(folder + "/ran"), False, "the program ran")
        # A link where the file shall be is replaced, not followed; leftovers of a kill are swept.
        os.symlink(folder + "/elsewhere", folder + "/fine/file")
        with open(folder + "/fine/.file.0123456789abcdef", "w") as f:
            f.write("left")
        config = config_of(folder, """
service "app" {
  file "%s" { contents = "{{ secret \\"secret/app\\" \\"password\\" }}" }
  activate = "none"
}
""" % (folder + "/fine/file"))
        with Agent(vault, [config], ["true"]) as agent:
            equal(agent.end(), 0)
        equal(os.path.islink(folder + "/fine/file"), False)
        equal(os.path.exists(folder + "/elsewhere"), False)
        equal(os.listdir(folder + "/fine"), ["file"])
        with open(folder + "/fine/file") as f:
            equal(f.read(), VALUE)


def a_full_disk(vault):
    """What cannot be written leaves the old file and the program as they are."""
    with Folder() as folder:
        full = os.path.join(folder, "full")
        os.mkdir(full, 0o700)
        if os.getuid() != 0 or subprocess.run(
                ["mount", "-t", "tmpfs", "-o", "size=16k,mode=700", "none", full],
                capture_output=True).returncode != 0:
            print("[  SKIPPED ] a full disk leaves the old file: a small file system takes root")
            return
        try:
            path = os.path.join(full, "file")
            config = config_of(folder, """
service "full" {
  file "%s" { contents = "{{ secret \\"secret/full\\" \\"a\\" }}" }
  activate = "none"
  debounce = "1ms"
}
""" % path)
            put(vault, "full", a="small")
            with Agent(vault, [config], ["sleep", "600"]) as agent:
                wait_until_watched(vault, "full", "secret/full")
                put(vault, "full", a="x" * 100000)
                agent.logs("files-failed")
                with open(path) as f:
                    equal(f.read(), "small")
                equal(agent.process.poll(), None, "the agent ended")
                put(vault, "full", a="small again")
                wait_for("the next version", lambda: open(path).read() == "small again")
                equal(os.listdir(full), ["file"])
                agent.signal(signal.SIGTERM).end()
        finally:
            subprocess.run(["umount", full], check=True)


LISTENER = """
import os, signal, socket, sys, time
s = socket.socket()
s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
s.bind(("127.0.0.1", int(sys.argv[1])))
s.listen(1)
if os.fork() == 0:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    while True:
        time.sleep(1)
print("up", os.environ["A"])
if os.environ["A"] == "bad":
    raise SystemExit(3)
while True:
    time.sleep(1)
"""


def restart_leaves_nobody(vault):
    """The next one starts when all of the last one are gone, its port with them; one that does not
    live is taken back."""
    with Folder() as folder:
        port = free_port()
        config = config_of(folder, """
service "restarted" {
  env "A" { secret = "secret/restarted"  field = "a" }
  activate     = "restart"
  restart_gap  = "1ms"
  debounce     = "1ms"
  stop_timeout = "500ms"
  settle       = "4s"
}
""")
        put(vault, "restarted", a="one")
        with Agent(vault, [config], python(LISTENER) + [str(port)]) as agent:
            agent.says("up one")
            wait_until_watched(vault, "restarted", "secret/restarted")
            put(vault, "restarted", a="two")
            agent.says("up two").logs("version-applied")
            put(vault, "restarted", a="bad")
            agent.says("up bad").logs("went-back")
            wait_for("the good one again", lambda: agent.out.count("up two") == 2)
            equal(agent.process.poll(), None, "the agent ended")
            put(vault, "restarted", a="three")
            agent.says("up three")
            agent.signal(signal.SIGTERM)
            equal(agent.end(), -signal.SIGTERM)


def a_program_that_went(vault):
    """Stopped for a new version, and gone from the disk meanwhile: the agent's failure, not a clean end."""
    with Folder() as folder:
        path = os.path.join(folder, "app")
        with open(path, "w") as f:
            f.write("#!/bin/sh\necho up $A\nexec sleep 600\n")
        os.chmod(path, 0o755)
        config = config_of(folder, """
service "went" {
  env "A" { secret = "secret/went"  field = "a" }
  restart_gap = "1ms"
  debounce    = "1ms"
  settle      = "100ms"
}
""")
        put(vault, "went", a="1")
        with Agent(vault, [config], [path]) as agent:
            agent.says("up 1")
            wait_until_watched(vault, "went", "secret/went")
            os.unlink(path)
            put(vault, "went", a="2")
            equal(agent.end(), 125)
            contains("\n".join(agent.err), "could not be started again")


def left_alone(vault):
    """A version that lacks a field, or cannot be read, leaves the program as it is, and holds up no other secret."""
    with Folder() as folder:
        config = config_of(folder, """
service "alone" {
  env "A" { secret = "secret/alone"  field = "a" }
  env "B" { secret = "secret/beside"  field = "b" }
  restart_gap = "1ms"
  debounce    = "1ms"
  settle      = "1ms"
}
""")
        put(vault, "alone", a="1")
        put(vault, "beside", b="1")
        with Agent(vault, [config], shell("echo up $A $B; exec sleep 600")) as agent:
            agent.says("up 1 1")
            wait_until_watched(vault, "alone", "secret/alone")
            wait_until_watched(vault, "alone", "secret/beside")
            child = children(agent.process.pid)
            put(vault, "alone", other="2")
            agent.logs("version-refused")
            wait_until_watched(vault, "alone", "secret/alone", "rolled_back")
            equal(children(agent.process.pid), child, "the child")
            put(vault, "alone", a="3")
            agent.says("up 3 1")
            wait_until_watched(vault, "alone", "secret/alone")
            agent.signal(signal.SIGSTOP)
            put(vault, "beside", b="2")
            vault.ok("POST", "secret/destroy/beside", {"versions": [2]})
            put(vault, "alone", a="4")
            agent.signal(signal.SIGCONT).says("up 4 1").logs("not-fetched")
            put(vault, "beside", b="3")
            agent.says("up 4 3")
            equal(len(agent.out), 4, "starts: %r" % agent.out)
            agent.signal(signal.SIGTERM).end()


def ended_by_itself(vault):
    """A program that ended while the agent waits for the time to restart it has done what it was to do."""
    with Folder() as folder:
        config = config_of(folder, """
service "job" {
  env "A" { secret = "secret/job"  field = "a" }
  restart_gap = "10m"
  debounce    = "1ms"
  settle      = "1ms"
}
""")
        put(vault, "job", a="1")
        os.mkfifo(folder + "/over")
        job = "echo up $A; read line < %s/over" % folder
        with Agent(vault, [config], shell(job)) as agent:
            wait_until_watched(vault, "job", "secret/job")
            put(vault, "job", a="2")
            wait_until_watched(vault, "job", "secret/job", "applying")
            with open(folder + "/over", "w") as f:
                f.write("now\n")
            equal(agent.end(), 0)
            equal(agent.out, ["up 1"])


def written_often(vault):
    """What is written within the debounce is one activation, with the last of it."""
    with Folder() as folder:
        config = config_of(folder, """
service "often" {
  file "%s/file" { contents = "{{ secret \\"secret/often\\" \\"a\\" }}" }
  activate = "command"
  command  = ["/bin/sh", "-c", "cat %s/file >> %s/activated"]
  debounce = "3s"
}
""" % (folder, folder, folder))
        put(vault, "often", a="1")
        with Agent(vault, [config], ["sleep", "600"]) as agent:
            wait_until_watched(vault, "often", "secret/often")
            put(vault, "often", a="2")
            agent.logs("to=2 ")  # it watches
            begun = time.monotonic()
            for number in range(3, 10):
                put(vault, "often", a=str(number))
            close = time.monotonic() - begun < 3
            agent.logs("to=9 ")
            with open(folder + "/activated") as f:
                equal(f.read() == "29" or not close, True, "more than one activation")
            agent.signal(signal.SIGTERM).end()


# ---- the vault away ----

def vault_killed(vault):
    del vault
    with Folder() as folder, Vault() as own:
        own.ready()
        put(own, "app", password="before")
        path = os.path.join(folder, "file")
        config = config_of(folder, """
service "app" {
  file "%s" { contents = "{{ secret \\"secret/app\\" \\"password\\" }}" }
  activate = "none"
  debounce = "1ms"
}
""" % path)
        with Agent(own, [config], ["sleep", "600"]) as agent:
            wait_until_watched(own, "app", "secret/app")
            child = children(agent.process.pid)
            own.kill()
            agent.logs("vault-away")
            equal(children(agent.process.pid), child, "the child")
            own.start().unseal()
            put(own, "app", password="after")
            wait_for("the new version", lambda: open(path).read() == "after")
            equal(children(agent.process.pid), child, "the child")
            agent.signal(signal.SIGTERM)
            equal(agent.end(), -signal.SIGTERM)


def vault_away_at_start(vault):
    del vault
    with Vault() as own:
        own.ready()
        put(own, "app", password=VALUE)
        own.kill()
        with Agent(own, [ENV, "--wait=1s"], ["true"]) as agent:
            begun = time.monotonic()
            equal(agent.end(), 125)
            equal(time.monotonic() - begun < 40, True, "it waited too long")  # 60 if it is not told
        with Agent(own, [ENV, "--wait=60s"], ["true"]) as agent:
            agent.signal(signal.SIGTERM)
            status = agent.end(40)  # 60 if it waits for the vault
            equal(status in (-signal.SIGTERM, 125), True, "status %d" % status)
        with Agent(own, [ENV, "--wait=60s"], shell("echo ready; exit 5")) as agent:
            own.start().unseal()
            equal(agent.end(), 5)


def a_new_token(vault):
    """A token that ended is read anew from its file; the program lives on meanwhile."""
    def token():
        return vault.ok("POST", "auth/token/create", {"ttl": "1h"}).json["auth"]["client_token"]

    with Folder() as folder:
        first, path = token(), os.path.join(folder, "file")
        token_file = os.path.join(folder, "token")
        with open(os.open(token_file, os.O_CREAT | os.O_WRONLY, 0o600), "w") as f:
            f.write(first)
        config = config_of(folder, """
vault { token_file = "%s" }
service "renewed" {
  file "%s" { contents = "{{ secret \\"secret/renewed\\" \\"a\\" }}" }
  activate = "none"
  debounce = "1ms"
}
""" % (token_file, path))
        put(vault, "renewed", a="1")
        with Agent(vault, [config], ["sleep", "600"], token="") as agent:
            wait_until_watched(vault, "renewed", "secret/renewed")
            vault.ok("POST", "auth/token/revoke", {"token": first})
            agent.logs("vault-away")
            with open(token_file, "w") as f:
                f.write(token())
            put(vault, "renewed", a="2")
            wait_for("the new version", lambda: open(path).read() == "2")
            agent.logs("token-read-again")
            agent.signal(signal.SIGTERM)
            equal(agent.end(), -signal.SIGTERM)


CASES = [
    ("exit codes are the program's", exit_codes),
    ("a death by signal is repeated", deaths),
    ("125, 126, 127 and 2", cannot_run),
    ("a missing field: nothing runs, nothing is written", missing_field),
    ("names that decide how programs run are refused", unsafe_names),
    ("one TERM, then KILL after the stop time", one_term_then_kill),
    ("signals are forwarded", forwards),
    ("a terminal's Ctrl-C kills nobody", interrupt_key),
    ("TERM while the vault hangs", term_while_the_vault_hangs),
    ("TERM while a helper runs", term_while_a_helper_runs),
    ("the program ends while a helper runs", ends_while_a_helper_runs),
    ("nothing of ours in child, command line, environment, log", hygiene),
    ("files are whole at any time", files_are_whole),
    ("files in bad places", files_in_bad_places),
    ("a full disk leaves the old file", a_full_disk),
    ("a restart leaves nobody behind, and goes back", restart_leaves_nobody),
    ("a program that went", a_program_that_went),
    ("a version that cannot be had", left_alone),
    ("a program that ended by itself", ended_by_itself),
    ("changes that come close together are one activation", written_often),
    ("the vault is killed, the program lives on", vault_killed),
    ("the vault is away at start", vault_away_at_start),
    ("a token that ended is read anew", a_new_token),
]

with Vault() as the_vault:
    the_vault.ready()
    put(the_vault, "app", password=VALUE)
    for name, function in CASES:
        report.case(name, function, the_vault)
report.end()
