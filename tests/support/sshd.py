"""A real OpenSSH server in a folder of its own, for tests.

    with Sshd() as sshd:                       # 127.0.0.1, StrictModes, LogLevel DEBUG3
        host = sshd.account("deploy")          # with the rights of docs/ssh-least-privilege.txt
        host.write(sshd.key("one").public)     # its authorized_keys
        sshd.login("deploy", key)              # "A", "R" or what ssh said

The server is an ordinary user's, never root's: all accounts have that user's number and a home each
(nss_wrapper tells it so).
"""

import os
import socket
import stat
import subprocess
import threading

from keyturn import ROOT
from server import Server

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


class Sshd(Server):
    def __init__(self, settings="", preload=()):
        # sshd wants each folder above a file of keys to be nobody's but root's and the account's: not /tmp.
        self.root = os.getuid() == 0
        super().__init__("sshd", 0o755, "/run" if self.root else os.path.join(ROOT, "build"))
        self.keys = os.path.join(self.folder, "keys")
        self.admin_folder = os.path.join(self.folder, "admin")
        for folder, mode in ((self.keys, 0o700), (self.admin_folder, 0o755), (os.path.join(self.folder, "home"), 0o755)):
            os.mkdir(folder, mode)
        self.settings, self.preload = settings, " ".join((_wrapper, *preload))
        self.names, self.n_keys = [], 0
        self.host_key = self.new_host_key()
        self.admin = self.key()
        self.write_users()

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
        homes = [("self", self.folder)] + [(name, os.path.join(self.folder, "home", name)) for name in self.names]
        path = os.path.join(self.folder, "passwd")
        with open(path + ".new", "w") as f:
            f.writelines("%s:x:%d:%d::%s:/bin/sh\n" % (name, user, user, home) for name, home in homes)
        os.rename(path + ".new", path)  # who logs in meanwhile finds all of it
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
        env = {"LD_PRELOAD": self.preload, "NSS_WRAPPER_PASSWD": os.path.join(self.folder, "passwd"),
               "NSS_WRAPPER_GROUP": os.path.join(self.folder, "group"), "PATH": os.environ["PATH"]}
        who = {"user": USER, "group": USER, "extra_groups": []} if self.root else {}
        self.run([sshd, "-D", "-e", "-f", self.write_config()], env=env, cwd="/", **who)

    def answers(self):
        try:
            with socket.create_connection(("127.0.0.1", self.port), 5) as s:
                return s.recv(4) == b"SSH-"
        except OSError:
            return False

    # ---- the target's own client ----

    def client(self, key_path, trusted=None):
        """The command line before USER@HOST. trusted: who signed the host's certificate, instead of its key."""
        known = self.host_key.path + (".trusted" if trusted else ".known")
        if trusted or not os.path.exists(known):
            with open("%s.%d" % (known, threading.get_ident()), "w") as f:
                f.write("%s[127.0.0.1]:%d %s\n" % ("@cert-authority " if trusted else "", self.port,
                                                   trusted or self.host_key.public))
            os.rename(f.name, known)
        return ["ssh", "-F", "none", "-n", "-T", "-o", "BatchMode=yes", "-o", "IdentitiesOnly=yes", "-o",
                "IdentityAgent=none", "-o", "StrictHostKeyChecking=yes", "-o", "UserKnownHostsFile=" + known,
                "-o", "GlobalKnownHostsFile=none", "-i", key_path, "-p", str(self.port)]

    def login(self, user, key, command="true", trusted=None):
        """With OpenSSH's ssh and this key alone, and what stands in KEY.path-cert.pub."""
        done = subprocess.run(self.client(key.path, trusted) + ["%s@127.0.0.1" % user, command],
                              capture_output=True, text=True, timeout=60, check=False)
        if "Permission denied (publickey)" in done.stderr:
            return "R"
        return "A" if done.returncode == 0 else done.stderr.strip() or "ended with %d" % done.returncode
