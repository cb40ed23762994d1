"""A real OpenSSH server in a folder of its own, for tests.

    with Sshd() as sshd:                       # 127.0.0.1, StrictModes, LogLevel DEBUG3
        host = sshd.account("deploy")          # with the rights of docs/ssh-least-privilege.txt
        host.write(sshd.key("one").public)     # its authorized_keys
        sshd.login("deploy", key)              # "A", "R" or what ssh said

The server is an ordinary user's, never root's: all accounts have that user's number and a home each
(nss_wrapper tells it so). Nothing sleeps: starting waits until it answers. Its folder is removed.
"""

import atexit
import os
import shutil
import socket
import stat
import subprocess
import tempfile

from keyturn import ROOT, free_port, wait_for

LEAST_PRIVILEGE = os.path.join(ROOT, "docs/ssh-least-privilege.txt")
USER = 61017  # of nobody on this machine; sshd's StrictModes wants owners, not names
_wrapper = "libnss_wrapper.so"


class Key:
    """A key pair as ssh-keygen makes it."""

    def __init__(self, path, kind="ed25519", private=None):
        self.path = path
        if private is None:
            subprocess.run(["ssh-keygen", "-q", "-t", kind, "-N", "", "-C", "", "-f", path], check=True)
        else:
            with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as f:
                f.write(private)
        with open(path) as f:
            self.private = f.read()
        done = subprocess.run(["ssh-keygen", "-y", "-f", path], capture_output=True, text=True, check=True)
        self.public = " ".join(done.stdout.split()[:2])


class Account:
    def __init__(self, sshd, name):
        self.sshd, self.name = sshd, name
        self.home = os.path.join(sshd.folder, "home", name)
        self.folder = os.path.join(self.home, ".ssh")
        self.path = os.path.join(self.folder, "authorized_keys")
        os.makedirs(self.folder, mode=0o700)
        os.chmod(self.folder, 0o700)
        sshd.give(self.home, self.folder)

    def write(self, text, mode=0o600):
        with open(self.path, "w", newline="") as f:
            f.write(text)
        os.chmod(self.path, mode)
        self.sshd.give(self.path)

    def read(self):
        with open(self.path, newline="") as f:
            return f.read()

    def mode(self):
        return stat.S_IMODE(os.stat(self.path).st_mode)

    def left(self):
        """What is in the folder besides the file."""
        return sorted(name for name in os.listdir(self.folder) if name != "authorized_keys")


class Sshd:
    def __init__(self, settings=""):
        # sshd wants each folder above a file of keys to be nobody's but root's and the account's: not /tmp.
        self.root = os.getuid() == 0
        above = "/run" if self.root else os.path.join(ROOT, "build")
        self.folder = tempfile.mkdtemp(prefix="keyturn-sshd.", dir=above)
        os.chmod(self.folder, 0o755)
        self.keys = os.path.join(self.folder, "keys")
        self.admin_folder = os.path.join(self.folder, "admin")
        for folder, mode in ((self.keys, 0o700), (self.admin_folder, 0o755), (os.path.join(self.folder, "home"), 0o755)):
            os.mkdir(folder, mode)
        self.port = free_port()
        self.settings = settings
        self.log_path = os.path.join(self.folder, "log")
        self.names, self.n_keys = [], 0
        self.process = None
        atexit.register(self.remove)
        self.host_key = self.new_host_key()
        self.admin = self.key()
        self.write_users()

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *_):
        self.remove()

    def give(self, *paths):
        for path in paths:
            if self.root:
                os.chown(path, USER, USER)

    # ---- keys ----

    def key(self, kind="ed25519", private=None):
        self.n_keys += 1
        return Key(os.path.join(self.keys, "%d" % self.n_keys), kind, private)

    def new_host_key(self, kind="ed25519"):
        """Used from the next start on."""
        key = Key(os.path.join(self.folder, "host_%s_%d" % (kind, len(os.listdir(self.folder)))), kind)
        self.give(key.path)
        return key

    def fingerprint(self, key=None):
        done = subprocess.run(["ssh-keygen", "-lf", (key or self.host_key).path], capture_output=True, text=True,
                              check=True)
        return done.stdout.split()[1]

    # ---- accounts ----

    def write_users(self):
        user = USER if self.root else os.getuid()
        with open(os.path.join(self.folder, "passwd"), "w") as f:
            f.write("self:x:%d:%d::%s:/bin/sh\n" % (user, user, self.folder))
            for name in self.names:
                f.write("%s:x:%d:%d::%s:/bin/sh\n" % (name, user, user, os.path.join(self.folder, "home", name)))
        with open(os.path.join(self.folder, "group"), "w") as f:
            f.write("self:x:%d:\n" % user)

    def account(self, name, keys=""):
        self.names.append(name)
        self.write_users()
        account = Account(self, name)
        account.write(keys)
        self.let_in(name, self.admin)
        return account

    def let_in(self, name, key):
        """The administrative key, by the line of docs/ssh-least-privilege.txt."""
        with open(LEAST_PRIVILEGE) as f:
            line = "".join(line[2:] for line in f if line.startswith("+ "))
        path = os.path.join(self.admin_folder, name)
        with open(path, "w") as f:
            f.write(line.replace("VAULT", "127.0.0.1").replace("ADMIN_KEY", key.public))
        os.chmod(path, 0o644)

    # ---- life ----

    def write_config(self):
        with open(LEAST_PRIVILEGE) as f:
            lines = [line[2:].strip() for line in f if line.startswith("= ")]
        lines = [line.replace("/etc/ssh/keyturn", self.admin_folder) for line in lines]
        lines += ["Port %d" % self.port, "ListenAddress 127.0.0.1", "HostKey " + self.host_key.path,
                  "PidFile none", "UsePAM no", "StrictModes yes", "LogLevel DEBUG3", "PasswordAuthentication no",
                  "KbdInteractiveAuthentication no", "MaxStartups 100", self.settings]
        path = os.path.join(self.folder, "sshd_config")
        with open(path, "w") as f:
            f.write("\n".join(lines) + "\n")
        return path

    def start(self):
        unpacked = os.path.join(ROOT, "build/packages/usr/sbin/sshd")
        sshd = "/usr/sbin/sshd" if os.path.exists("/usr/sbin/sshd") else unpacked
        env = {"LD_PRELOAD": _wrapper, "NSS_WRAPPER_PASSWD": os.path.join(self.folder, "passwd"),
               "NSS_WRAPPER_GROUP": os.path.join(self.folder, "group"), "PATH": os.environ["PATH"]}
        who = {"user": USER, "group": USER, "extra_groups": []} if self.root else {}
        with open(self.log_path, "a") as log:
            self.process = subprocess.Popen([sshd, "-D", "-e", "-f", self.write_config()], env=env, stdout=log,
                                            stdin=subprocess.DEVNULL, stderr=log, cwd="/", **who)
        wait_for("sshd to answer", self._answers, 60)

    def _answers(self):
        if self.process.poll() is not None:
            raise AssertionError("sshd ended: " + self.log())
        try:
            with socket.create_connection(("127.0.0.1", self.port), 5) as s:
                return s.recv(4) == b"SSH-"
        except OSError:
            return False

    def stop(self):
        if self.process is not None:
            if self.process.poll() is None:
                self.process.kill()
            self.process.wait(60)
        self.process = None

    def restart(self):
        self.stop()
        self.start()

    def remove(self):
        self.stop()
        shutil.rmtree(self.folder, ignore_errors=True)

    def log(self):
        if not os.path.exists(self.log_path):
            return ""
        with open(self.log_path, errors="replace") as f:
            return f.read()

    # ---- the target's own client ----

    def login(self, user, key, command="true"):
        """With OpenSSH's ssh and this key alone."""
        known = os.path.join(self.folder, "known")
        with open(known, "w") as f:
            f.write("[127.0.0.1]:%d %s\n" % (self.port, self.host_key.public))
        done = subprocess.run(
            ["ssh", "-F", "none", "-n", "-T", "-o", "BatchMode=yes", "-o", "IdentitiesOnly=yes", "-o", "IdentityAgent=none",
             "-o", "StrictHostKeyChecking=yes", "-o", "UserKnownHostsFile=" + known, "-o", "GlobalKnownHostsFile=none",
             "-i", key.path, "-p", str(self.port), "%s@127.0.0.1" % user, command],
            capture_output=True, text=True, timeout=60, check=False)
        if "Permission denied (publickey)" in done.stderr:
            return "R"
        return "A" if done.returncode == 0 else done.stderr.strip() or "ended with %d" % done.returncode
