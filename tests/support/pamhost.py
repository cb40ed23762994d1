"""A host of its own for tests of PAM: /etc and /run are this process's, copies that go away with it.

    pamhost.enter()            runs the script again in a private mount namespace; as root alone
    host = pamhost.Host()      accounts, stacks
"""
import os
import shutil
import socket
import struct
import subprocess
import sys
import tempfile

from keyturn import DEADLINE, ROOT, need, program, shim, wait_for

SERVICE = os.path.join(ROOT, "systemd/pam.d/keyturn")
MATRIX = subprocess.run("ls /usr/lib/*/pam_wrapper/pam_matrix.so", shell=True, text=True,
                        capture_output=True).stdout.strip()
MARK = "KT_PAM_HOST"
ODD = NAMES = ""  # pam_odd, and the host's other names, once enter() has found them


def enter():
    """Returns only inside."""
    global ODD, NAMES
    if os.environ.get(MARK):
        ODD = os.environ.get("KT_PAM_ODD") or shim("pam_odd_shim.so")
        NAMES = os.environ.get("KT_HOST_NAMES") or shim("host_names_shim.so")
        need(program("vaultd-pam"), "make")
        need(MATRIX or "/usr/lib/pam_wrapper/pam_matrix.so", "make deps")
        return
    if os.getuid() != 0:
        print("ok - not run: asking PAM about others takes root")
        sys.exit(0)
    env = dict(os.environ, **{MARK: "1"})
    os.execvpe("unshare", ["unshare", "--mount", "--propagation=private", sys.executable] + sys.argv, env)


class Host:
    def __init__(self):
        if not os.environ.get(MARK):
            raise AssertionError("pamhost.enter() first: this would change the machine's own accounts")
        self.folder = tempfile.mkdtemp(prefix="kt-pamhost-")
        os.chmod(self.folder, 0o755)
        etc = os.path.join(self.folder, "etc")
        subprocess.run(["cp", "-a", "/etc", etc], check=True)
        subprocess.run(["mount", "--bind", etc, "/etc"], check=True)
        subprocess.run(["mount", "-t", "tmpfs", "tmpfs", "/run"], check=True)
        os.makedirs("/run/vaultd-pam/faillock", mode=0o700)
        os.chmod("/run/vaultd-pam", 0o755)
        self.next_uid = 70000
        self.processes = []

    def remove(self):
        for process in self.processes:
            process.stop()
        subprocess.run(["umount", "-l", "/run"], check=True)
        subprocess.run(["umount", "-l", "/etc"], check=True)
        shutil.rmtree(self.folder)

    # ---- accounts ----

    def account(self, name, password=None, uid=None, shadow="19000:0:99999:7:::", groups=(), prefix=""):
        """shadow: what follows the hash in its line; prefix "!" locks."""
        self.next_uid += 1
        uid = self.next_uid if uid is None else uid
        stored = "*"
        if password is not None:
            stored = subprocess.run(["openssl", "passwd", "-6", "-stdin"], input=password, text=True,
                                    capture_output=True, check=True).stdout.strip()
        self.append("passwd", "%s:x:%d:%d::/nonexistent:/bin/sh" % (name, uid, self.next_uid))
        self.append("shadow", "%s:%s%s:%s" % (name, prefix, stored, shadow))
        self.append("group", "%s:x:%d:" % (name, self.next_uid))
        for group in groups:
            self.group(group, name)

    def group(self, group, member):
        path = "/etc/group"
        with open(path) as f:
            lines = f.read().splitlines()
        for i, line in enumerate(lines):
            if line.startswith(group + ":"):
                lines[i] = line + ("" if line.endswith(":") else ",") + member
                break
        else:
            self.next_uid += 1
            lines.append("%s:x:%d:%s" % (group, self.next_uid, member))
        with open(path, "w") as f:
            f.write("\n".join(lines) + "\n")

    def many_groups(self, member, n):
        """kt-g0 to kt-g<n-1>."""
        for i in range(n):
            self.append("group", "kt-g%d:x:%d:%s" % (i, 200000 + i, member))

    def append(self, file, line):
        with open("/etc/" + file, "a") as f:
            f.write(line + "\n")

    # ---- stacks ----

    def stack(self, text, service="keyturn"):
        with open("/etc/pam.d/" + service, "w") as f:
            f.write(text)

    def shipped(self, add=""):
        """The file that comes with Keyturn; nobody's failures are remembered."""
        with open(SERVICE) as f:
            self.stack(f.read() + add)
        self.forget()

    def forget(self):
        for name in os.listdir("/run/vaultd-pam/faillock"):
            os.unlink("/run/vaultd-pam/faillock/" + name)

    def odd(self, *argument, account="auth"):
        other = "pam_permit.so" if account == "auth" else ODD + " " + " ".join(argument)
        mine = ODD + " " + " ".join(argument) if account == "auth" else "pam_permit.so"
        self.stack("auth required %s\naccount required %s\n" % (mine, other))

    def matrix(self, entries, options=""):
        """pam_wrapper's module: name, password, service of each."""
        path = os.path.join(self.folder, "matrix")
        with open(path, "w") as f:
            f.write("".join("%s:%s:%s\n" % entry for entry in entries))
        self.stack("auth required {0} passdb={1} {2}\naccount required {0} passdb={1}\n".format(
            MATRIX, path, options))


class Keeper:
    """A vaultd-pam."""

    def __init__(self, host, *args, user="keyturn", path="/run/vaultd-pam.sock"):
        self.path, self.args, self.user = path, list(args), user
        self.log_path = os.path.join(host.folder, "pam-%d.log" % len(host.processes))
        host.processes.append(self)
        self.process = None

    def start(self, names=False):
        """names: NAME@kt.test is NAME, too."""
        env = dict(os.environ, **({"LD_PRELOAD": NAMES} if names else {}))
        self.log = open(self.log_path, "wb")
        self.process = subprocess.Popen(
            [program("vaultd-pam"), "--listen", self.path, "--user", self.user, *self.args],
            stdin=subprocess.DEVNULL, stdout=self.log, stderr=self.log, cwd="/", env=env)
        wait_for("vaultd-pam is ready", lambda: "ready service=" in self.text() or self.process.poll())
        if self.process.poll() is not None:
            raise AssertionError("vaultd-pam did not start: " + self.text())
        return self

    def text(self):
        with open(self.log_path, errors="replace") as f:
            return f.read()

    def children(self):
        with open("/proc/%d/task/%d/children" % (self.process.pid, self.process.pid)) as f:
            return f.read().split()

    def stop(self):
        if self.process is not None and self.process.poll() is None:
            self.process.terminate()
            self.process.wait(DEADLINE)
        return self.process.returncode if self.process else None


# ---- its protocol, as vaultd/pam/message.h describes it --------------------------------------------

def field(text):
    data = text if isinstance(text, bytes) else text.encode()
    return struct.pack("<I", len(data)) + data


class Talk:
    """One login, spoken to vaultd-pam as vaultd does: as another user, for root may not connect."""

    OUTCOMES = ("in", "out", "expired", "broken")

    def __init__(self, path, uid, user=None, address="192.0.2.7", account=False):
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.socket.settimeout(DEADLINE)
        self.first, self.groups, self.named = None, [], None
        saved = os.geteuid()
        os.seteuid(uid)
        try:
            self.socket.connect(path)
        finally:
            os.seteuid(saved)
        if user is not None:
            self.send(b"L\x02" + bytes([account]) + field(user) + field(address))
            self.name()

    def name(self):
        """Whom the host takes the name for; then PAM is asked."""
        data = self.socket.recv(65536)
        if data[:1] != b"N":
            self.first = data
            return
        self.at, self.data = 1, data
        self.named = self.text()
        self.send(b"G")

    def send(self, data):
        self.socket.send(data)

    def answer(self, *texts):
        self.send(b"A" + bytes([len(texts)]) + b"".join(field(t) for t in texts))

    def hear(self):
        """("prompts", [(echo, text)]), ("verdict", outcome, delay, name, groups), ("ended", status) ..."""
        data, self.first = self.first or self.socket.recv(65536), None
        if not data:
            return ("closed",)
        self.at, self.data = 1, data
        if data[:1] == b"M":
            self.groups += [self.text() for _ in range(self.number("H"))]
            return self.hear()
        return {b"P": self.prompts, b"R": self.verdict, b"E": self.ended,
                b"B": lambda: ("busy",)}[data[:1]]()

    def number(self, form):
        value, = struct.unpack_from("<" + form, self.data, self.at)
        self.at += struct.calcsize("<" + form)
        return value

    def text(self):
        n = self.number("I")
        self.at += n
        return self.data[self.at - n:self.at].decode()

    def prompts(self):
        return ("prompts", [(bool(self.number("B")), self.text()) for _ in range(self.number("B"))])

    def verdict(self):
        outcome, delay, name = self.OUTCOMES[self.number("B")], self.number("I"), self.text()
        return ("verdict", outcome, delay, name, self.groups)

    def ended(self):
        return ("ended", self.number("I"))

    def until_verdict(self, *answers):
        """Answers prompt after prompt; returns outcome, name, groups (or what else came)."""
        left = list(answers)
        while True:
            heard = self.hear()
            if heard[0] != "prompts":
                return (heard[1], heard[3], heard[4]) if heard[0] == "verdict" else heard
            n = len(heard[1])
            self.answer(*left[:n])
            left = left[n:]

    def close(self):
        self.socket.close()
