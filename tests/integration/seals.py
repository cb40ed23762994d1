#!/usr/bin/env python3
"""A vaultd that opens itself with a credential: over restarts, with one that is gone or another, and what a
person sealed. Unit tests have each case (seals_test, autounseal_test, credential_test); this is the program.

    tests/integration/seals.py ['part of a case name']
"""
import base64
import http.client
import os
import shutil
import subprocess
import sys
import threading

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
from keyturn import Report, Vault, contains, equal, program  # noqa: E402

report = Report()
ROOT_USER = os.getuid() == 0
NAME = "vaultd-seal"
BY = "credential " + NAME
CONFIG = 'seal "credential" { name = "%s" }\nlistener "unix" { path = "%s/v.sock" mode = "0666" }\n'


class Sealed(Vault):
    """With a folder of credentials as systemd hands them over."""

    def __init__(self):
        super().__init__()
        self.credentials = os.path.join(self.folder, "credentials")
        os.mkdir(self.credentials, 0o700)
        self.give()
        # The socket's folder has to be the vault's.
        self.run = os.path.join(self.folder, "run")
        os.mkdir(self.run, 0o755)
        if ROOT_USER:
            shutil.chown(self.run, "keyturn", "keyturn")
        self.extra = CONFIG % (NAME, self.run)
        self.env["CREDENTIALS_DIRECTORY"] = self.credentials
        self.write_config()

    def give(self):
        if ROOT_USER:
            for path in [self.credentials] + [os.path.join(self.credentials, n)
                                              for n in os.listdir(self.credentials)]:
                shutil.chown(path, "keyturn", "keyturn")

    def credential(self, key, mode=0o400):
        path = os.path.join(self.credentials, NAME)
        if os.path.exists(path):
            os.unlink(path)
        with open(path, "wb") as f:
            f.write(key)
        os.chmod(path, mode)
        self.give()

    def status(self):
        return self.call("GET", "sys/seal-status").json

    def with_seal(self, key):
        self.credential(key)
        self.ready()
        self.ok("POST", "secret/data/a", {"data": {"k": "kept"}})
        contains(self.ctl("operator", "seal-add", NAME).stdout, "opens this vault when vaultd starts")
        return self

    def start_again(self):
        self.kill()
        self.start()


def opens_itself():
    with Sealed() as vault:
        vault.with_seal(os.urandom(32))
        for _ in range(2):
            vault.start_again()  # SIGKILL, and no share
            status = vault.status()
            equal((status["sealed"], status["unsealed_by"], status["type"], status["n"]),
                  (False, BY, "shamir", 5))
            equal(vault.ok("GET", "secret/data/a").data["data"]["k"], "kept")
        contains(vault.log_text(), "seal_opened name=\"%s\"" % NAME)
        contains(vault.ctl("operator", "seal-status").stdout, "Unsealed by: " + BY)
        contains(vault.call("GET", "sys/audit-log/export").body, '"display_name":"credential %s"' % NAME)


def made_by_systemd_creds():
    """The commands of docs/seals.md, with a host key of their own instead of this machine's."""
    if not ROOT_USER or shutil.which("systemd-creds") is None:
        return
    with Sealed() as vault:
        sealed = os.path.join(vault.folder, "sealed")
        opened = os.path.join(vault.credentials, NAME)
        steps = ("mount -t tmpfs none /var/lib/systemd && systemd-creds setup >&2 && head -c 32 /dev/urandom |"
                 " systemd-creds encrypt --with-key=host --name=%s - %s && "
                 "systemd-creds decrypt --name=%s %s %s" % (NAME, sealed, NAME, sealed, opened))
        done = subprocess.run(["unshare", "--mount", "sh", "-ec", steps], capture_output=True, text=True,
                              timeout=60)
        if done.returncode != 0:
            raise AssertionError(done.stderr)
        with open(opened, "rb") as f:
            key = f.read()
        equal(len(key), 32)
        with open(sealed, "rb") as f:
            equal(key in f.read(), False)
        vault.with_seal(key)
        vault.start_again()
        equal(vault.status()["unsealed_by"], BY)


def break_glass():
    with Sealed() as vault:
        key, other = os.urandom(32), os.urandom(32)
        vault.with_seal(key)
        wrong = [("missing", None, 0), ("changed", other, 0o400), ("exposed", key, 0o444),
                 ("failed", key + b"\n", 0o400)]
        for word, content, mode in wrong:
            vault.credential(content or b"", mode or 0o400)
            if content is None:
                os.unlink(os.path.join(vault.credentials, NAME))
            vault.start_again()
            status = vault.status()
            equal((status["sealed"], status["seals"][1]["last_try"]), (True, word))
            shown = vault.ctl("operator", "seal-status", check=False)
            equal(shown.returncode, 2)
            contains(shown.stdout, word)
            contains(shown.stderr, "next   %s: " % NAME)
            contains(vault.log_text(), "seal_not_opened")
            contains(vault.log_text(), "stays_sealed")
            vault.unseal()
            equal(vault.ok("GET", "secret/data/a").data["data"]["k"], "kept")
        # CVE-2018-19786: what an unsealing device gave, and was no good, was logged.
        with open(vault.log_path, "rb") as f:
            log = f.read()
        for secret in [key, other]:
            for form in [secret, secret.hex().encode(), base64.b64encode(secret)[:-2]]:
                equal(form in log, False, "a key in the log")
        vault.credential(os.urandom(32))  # a new one: the mend that "changed" names
        vault.ctl("operator", "seal-add", NAME)
        vault.start_again()
        equal(vault.status()["sealed"], False)
        vault.ctl("operator", "seal-remove", NAME)
        vault.start_again()
        equal((vault.status()["sealed"], len(vault.status()["seals"])), (True, 1))
        vault.unseal()


def a_rekey_keeps_it():
    with Sealed() as vault:
        vault.with_seal(os.urandom(32))
        nonce = vault.ok("PUT", "sys/rekey/init", {"secret_shares": 3, "secret_threshold": 2}).json["nonce"]
        for share in vault.shares[:3]:
            answer = vault.ok("PUT", "sys/rekey/update", {"key": share, "nonce": nonce})
        vault.shares, vault.threshold = answer.json["keys"], 2
        vault.start_again()
        equal(vault.status()["unsealed_by"], BY)
        os.unlink(os.path.join(vault.credentials, NAME))
        vault.start_again()
        equal(vault.status()["sealed"], True)
        vault.unseal()
        equal(vault.status()["unsealed_by"], "shares")


def what_a_person_sealed():
    with Sealed() as vault:
        vault.with_seal(os.urandom(32))
        vault.ctl("operator", "seal")
        refused = vault.ctl("operator", "unseal", "-by-credential", check=False)
        equal(refused.returncode != 0, True)
        contains(refused.stderr, "through its Unix socket")
        vault.reload()  # SIGHUP is no start
        equal(vault.status()["sealed"], True)
        if ROOT_USER:
            env = vault.environment(VAULT_ADDR="unix://%s/v.sock" % vault.run)
            done = subprocess.run([program("secretctl"), "operator", "unseal", "-by-credential"], env=env,
                                  capture_output=True, text=True, timeout=60)
            equal(done.returncode, 0, done.stderr)
            equal(vault.status()["unsealed_by"], BY)
            vault.ctl("operator", "seal")
            contains(vault.ctl("operator", "seal-status", check=False).stderr, "it was sealed since")
        vault.start_again()
        equal(vault.status()["sealed"], False)


def old_data_is_for_people():
    """A credential accepts no database that was put back; the word of all holders does, and it opens again then."""
    with Sealed() as vault:
        vault.with_seal(os.urandom(32))
        vault.stop()
        old = vault.folder + "/old"
        subprocess.run(["cp", "-a", vault.data, old], check=True)
        vault.start()
        vault.ok("POST", "secret/data/b", {"data": {"k": "newer"}})
        vault.stop()
        subprocess.run(["cp", "-a", vault.data + "/audit", vault.folder + "/log"], check=True)
        shutil.rmtree(vault.data)
        shutil.move(old, vault.data)
        shutil.rmtree(vault.data + "/audit")
        shutil.move(vault.folder + "/log", vault.data + "/audit")
        vault.start()
        status = vault.status()
        equal((status["sealed"], status["seals"][1]["last_try"]), (True, "refused"))
        contains(vault.log_text(), "<3>not_unsealed")
        contains(vault.ctl("operator", "seal-status", check=False).stderr, "journalctl -u vaultd says why")
        vault.unseal(accept_rollback=True)
        equal(vault.ok("GET", "secret/data/a").data["data"]["k"], "kept")
        vault.start_again()
        equal(vault.status()["unsealed_by"], BY)


def killed_while_it_changes():
    """SIGKILL while a seal is made, made anew or removed: it opens the vault if its last answer said so, either
    way if there was none; the shares do in any case."""
    with Sealed() as vault:
        vault.with_seal(os.urandom(32))
        seen = set()
        for n in range(8):
            method = ("POST", "DELETE")[n % 2]
            # As many as are answered before it; the last one is under way, or about to be.
            for _ in range(n // 4):
                vault.call("POST", "sys/seals/" + NAME)
            asking = threading.Thread(target=ask, args=(vault, method))
            asking.start()
            if n % 4 < 2:
                asking.join()
            vault.kill()
            asking.join()
            vault.start()
            status = vault.status()
            made = len(status["seals"]) == 2
            equal(status["sealed"], not made, "a seal that is there opens it")
            if n % 4 < 2:
                equal(made, method == "POST", "what was answered")
            seen.add(made)
            if status["sealed"]:
                vault.unseal()
            equal(vault.ok("GET", "secret/data/a").data["data"]["k"], "kept")
            if made:  # and the shares
                vault.ok("PUT", "sys/seal")
                vault.unseal()
        equal(seen, {True, False})


def ask(vault, method):
    try:
        vault.call(method, "sys/seals/" + NAME)
    except (OSError, http.client.HTTPException):
        pass


def no_credentials_at_all():
    with Sealed() as vault:
        vault.with_seal(os.urandom(32))
        del vault.env["CREDENTIALS_DIRECTORY"]
        vault.start_again()
        contains(vault.log_text(), "CREDENTIALS_DIRECTORY is not set")
        vault.unseal()


for case in [opens_itself, made_by_systemd_creds, break_glass, a_rekey_keeps_it, what_a_person_sealed,
             old_data_is_for_people, killed_while_it_changes, no_credentials_at_all]:
    report.case(case.__name__.replace("_", " "), case)
report.end()
