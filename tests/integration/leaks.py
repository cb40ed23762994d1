#!/usr/bin/python3
"""Nothing leaks: planted texts are looked for wherever they must not be, after a busy session (0.7.1 (2017),
0.7.2 (2017): names and values without a salt in the database).

    tests/integration/leaks.py [--seed S] ['part of a case name']

Planted: secret values, token texts, key shares; paths, names of mounts, policies, targets and users, keys
of secrets. Looked for, in plain, hexadecimal, base64, UTF-16, inside JSON and URLs:
  - the data folder, audit log included, has none of them; file names neither;
  - logs, command lines, environments of all our processes, answers with errors, the clear copy of the
    audit log, an export: none of the values, tokens and shares;
  - no core file is left by a crash; SSLKEYLOGFILE is not heeded.
"""
import argparse
import glob
import json
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
import auditlog  # noqa: E402
from canary import Canaries  # noqa: E402
from keyturn import BIN, Report, Vault, contains, equal, program, wait_for  # noqa: E402
from postgres import Postgres  # noqa: E402

SECRET_KINDS = ("value", "token", "share")  # what nobody but the one who asks may ever see
PROGRAMS = ("vaultd", "vaultd-spawn", "vaultd-worker", "secret-agent", "secretctl")


# ---- all processes, all the time -----------------------------------------------------------------

class Watcher(threading.Thread):
    """Reads the command lines and environments of our programs' processes, again and again."""

    def __init__(self, canaries):
        super().__init__(daemon=True)
        self.canaries, self.found, self.seen = canaries, set(), {}
        self.stopping = False
        self.control = 0  # tokens seen where they may be: that they are found at all

    def run(self):
        while not self.stopping:
            for pid in os.listdir("/proc"):
                if pid.isdigit():
                    self.look(pid)
            time.sleep(0.001)

    def look(self, pid):
        try:
            exe = os.readlink("/proc/%s/exe" % pid)
            if os.path.dirname(exe) != os.path.realpath(BIN):
                return
            name = os.path.basename(exe)
            texts = {}
            for what in ("cmdline", "environ", "comm"):
                with open("/proc/%s/%s" % (pid, what), "rb") as f:
                    texts[what] = f.read()
        except OSError:
            return
        self.seen.setdefault(name, set()).add(pid)
        # What the caller put into VAULT_TOKEN is the caller's.
        given = texts["environ"].split(b"\0")
        texts["environ"] = b"\0".join(e for e in given if not e.startswith(b"VAULT_TOKEN="))
        self.control += any(self.canaries.find(e, ("token",)) for e in given
                            if e.startswith(b"VAULT_TOKEN="))
        for what, text in texts.items():
            for hit in self.canaries.find(text, SECRET_KINDS):
                self.found.add("%s of %s: %s" % (what, name, hit))

    def stop(self):
        self.stopping = True
        self.join()


# ---- the session ---------------------------------------------------------------------------------

class Session:
    def __init__(self, seed):
        self.c = Canaries(seed)
        plant = self.c.plant
        self.value = plant("value", 'v"a\\l/ü{}&=+', 24)
        self.values = [plant("value", text) for text in ("{}", "first {}", "{} \n", "ü{}<&>%00")]
        self.number = str(random.Random(seed).randrange(10 ** 25, 10 ** 26))
        # In the clear copy numbers stand as they are, as with Vault: only strings are hashed.
        self.c.know("number", self.number, "a number as value")
        self.key = plant("key", "key-{}")
        self.path = plant("path", "team {}/app")
        self.mount = plant("path", "mount-{}").lower()
        self.c.know("path", self.mount, "the mount")
        self.policy = plant("policy", "policy-{}").lower()
        self.c.know("policy", self.policy, "the policy")
        self.display = plant("name", "user-{}")
        self.meta = plant("name", "meta-{}")
        self.errors = []  # (request, answer)
        self.vault = Vault(tls=True)
        self.cores = os.path.join(self.vault.folder, "cores")
        os.mkdir(self.cores)
        os.chmod(self.cores, 0o777)
        self.vault.wrap = ["sh", "-c", 'ulimit -c unlimited; cd "$0" && exec "$@"', self.cores]
        self.vault.env["SSLKEYLOGFILE"] = os.path.join(self.vault.folder, "keylog")
        self.audit_copy = os.path.join(self.vault.folder, "copy", "audit.log")
        os.mkdir(os.path.dirname(self.audit_copy))
        if os.getuid() == 0:
            shutil.chown(os.path.dirname(self.audit_copy), "keyturn", "keyturn")
        self.vault.extra = 'audit "file" { path = "%s" timeout = "60s" }' % self.audit_copy
        self.vault.write_config()
        self.watcher = Watcher(self.c)
        self.watcher.start()

    def know_shares(self):
        for share in self.vault.shares:
            self.c.know("share", share)
            self.c.know("share", bytes.fromhex(share), "the bytes of a share")

    def know_token(self, text):
        self.c.know("token", text)
        return text

    def make_token(self, **fields):
        answer = self.vault.ok("POST", "auth/token/create", dict(
            {"display_name": self.display, "meta": {"who": self.meta}}, **fields)).json["auth"]
        self.know_token(answer["accessor"])
        return self.know_token(answer["client_token"])

    # ---- what goes well ----

    def begin(self):
        v = self.vault
        v.start()
        v.init()
        self.know_shares()
        self.know_token(v.root)
        v.ctl("operator", "unseal", "-", input="\n".join(v.shares[:3]) + "\n")
        v.ok("POST", "sys/mounts/secret", {"type": "kv", "options": {"version": "2"}})
        v.ok("POST", "sys/mounts/" + self.mount, {"type": "kv", "options": {"version": "2"},
                                                  "description": self.meta})

    def work(self):
        v, path = self.vault, self.mount + "/data/" + self.path.replace(" ", "%20")
        v.ok("POST", path, {"data": {self.key: self.value, "n": int(self.number)}})
        for value in self.values:
            v.ok("PATCH", path, {"data": {self.key: value}})
        v.ok("GET", path)
        v.ok("LIST", self.mount + "/metadata/")
        v.ok("POST", self.mount + "/metadata/" + self.path.replace(" ", "%20"),
             {"custom_metadata": {self.key: self.values[0]}})
        v.ok("POST", self.mount + "/delete/" + self.path.replace(" ", "%20"), {"versions": [1]})
        v.ok("POST", self.mount + "/destroy/" + self.path.replace(" ", "%20"), {"versions": [2]})
        v.ok("POST", "cubbyhole/" + self.path.replace(" ", "%20"), {self.key: self.value})
        v.ok("PUT", "sys/policies/acl/" + self.policy,
             {"policy": 'path "%s/data/%s*" { capabilities = ["read"] }' % (self.mount, self.path)})
        self.user = self.make_token(policies=[self.policy], ttl="1h")
        self.make_token(id=self.c.plant("token", "s-{}"))
        revoked = self.make_token(num_uses=3)
        v.ok("GET", path, token=self.user)
        v.ok("POST", "auth/token/lookup", {"token": self.user})
        v.ok("POST", "auth/token/renew", {"token": self.user})
        v.ok("POST", "auth/token/revoke", {"token": revoked})
        v.ok("POST", "sys/audit-hash/file", {"input": self.value})
        v.ok("PUT", "sys/rotate")
        v.ok("POST", path, {"data": {self.key: self.value}})

    def by_hand(self):
        """secretctl, values from files and standard input, tokens from the environment and a file."""
        v, place = self.vault, self.mount + "/" + self.path
        value_file = os.path.join(v.folder, "value")
        with open(value_file, "w") as f:
            f.write(self.values[0])
        v.ctl("kv", "put", place, self.key + "=@" + value_file, "other=-", input=self.values[1])
        v.ctl("kv", "patch", place, "other=@" + value_file)
        equal(v.ctl("kv", "get", "-field=other", place).stdout.strip(), self.values[0])
        v.ctl("kv", "get", "-format=json", place)
        done = v.ctl("kv", "put", place, "k=a-word", check=False)
        equal(done.returncode, 1, "exit code for a value as a word")
        v.ctl("policy", "write", self.policy + "2", "-", input='path "a" { capabilities = ["read"] }')
        made = v.ctl("token", "create", "-field=token", "-policy=" + self.policy).stdout.strip()
        self.know_token(made)
        v.ctl("token", "lookup", token=made)
        self.slow_one(place)
        v.ctl("login", "-", input=made + "\n", token="")
        v.ctl("token", "lookup", token="")
        os.unlink(os.path.join(v.folder, ".vault-token"))
        os.unlink(value_file)

    def slow_one(self, place):
        """One that waits for its standard input while it is looked at."""
        v = self.vault
        process = subprocess.Popen([program("secretctl"), "kv", "patch", place, "slow=-"],
                                   stdin=subprocess.PIPE, stdout=subprocess.DEVNULL,
                                   stderr=subprocess.DEVNULL, env=v.environment())
        process.stdin.write(self.values[1].encode())
        process.stdin.flush()
        pid = str(process.pid)
        wait_for("secretctl to be seen", lambda: pid in self.watcher.seen.get("secretctl", ()))
        process.stdin.close()
        equal(process.wait(30), 0, "exit code")

    def agent(self):
        v, place = self.vault, self.mount + "/" + self.path
        token_file = os.path.join(v.folder, "token")
        with open(token_file, "w") as f:
            f.write(self.user)
        os.chmod(token_file, 0o600)
        config = os.path.join(v.folder, "agent.hcl")
        with open(config, "w") as f:
            f.write('''
host = "here"
vault {
  address    = "%s"
  ca_file    = "%s"
  token_file = "%s"
}
service "app" {
  env "APP_VALUE" { secret = "%s"  field = "%s" }
  activate = "restart"
}
''' % (v.address, v.cacert, token_file, place, self.key))
        out = os.path.join(v.folder, "child")
        env = dict(v.environment(token=""), SSLKEYLOGFILE=v.env["SSLKEYLOGFILE"])
        with open(os.path.join(v.folder, "agent.log"), "ab") as log:
            process = subprocess.Popen(
                ["sh", "-c", 'ulimit -c unlimited; exec "$@"', "sh", program("secret-agent"), "run",
                 "--config", config, "--", "sh", "-c",
                 'ulimit -c 0; printf %s "$APP_VALUE" > ' + out + '; exec sleep 600'],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=env, cwd=self.cores,
                start_new_session=True)
        try:
            want = v.ok("GET", self.mount + "/data/" + self.path.replace(" ", "%20")).data["data"]

            def has_it():
                if process.poll() is not None:
                    raise AssertionError("the agent ended")
                return os.path.exists(out) and open(
                    out, encoding="utf-8", newline="").read() == want[self.key]

            wait_for("the child to have its value", has_it)
            os.unlink(out)
            pid = str(process.pid)
            wait_for("the agent to be seen",
                     lambda: pid in self.watcher.seen.get("secret-agent", ()))
            os.kill(process.pid, signal.SIGABRT)
            _, status = os.waitpid(process.pid, 0)
            process.returncode = -os.WTERMSIG(status)
            equal(os.WCOREDUMP(status), False, "whether a crash of the agent leaves a core")
            equal(os.listdir(self.cores), [], "core files")
        finally:
            try:
                os.killpg(process.pid, signal.SIGKILL)  # the child, if it outlived the agent
            except ProcessLookupError:
                pass

    def rotation(self):
        """Once with a real driver, so that a worker has credentials."""
        v = self.vault
        with Postgres() as pg:
            first, admin = self.c.plant("value", "{}"), self.c.plant("value", "{}")
            self.target = self.c.plant("path", "target-{}").lower()
            self.c.know("path", self.target, "the target")
            secret = self.mount + "/db"
            pg.psql("create role app nologin")
            pg.psql("create role app_a login in role app password '%s'" % first)
            pg.psql("create role app_b login in role app")
            pg.psql("alter role app_a set role = 'app'; alter role app_b set role = 'app'")
            pg.psql("create role kt_vault login createrole in role pg_signal_backend "
                    "password '%s'" % admin)
            pg.psql("create database orders owner app")
            v.ok("POST", self.mount + "/data/db", {"data": {"username": "app_a", "password": first}})
            v.ctl("target", "set", self.target, "driver=postgresql", "host=127.0.0.1",
                  "port=%d" % pg.port, "database=orders", "sslmode=disable",
                  "admin_username=kt_vault", "admin_password=-", "probe_spacing=0",
                  "max_refusals_per_hour=0", input=admin)
            v.ctl("schedule", "set", secret, "target=" + self.target, "strategy=alternate",
                  "accounts=app_a,app_b", "group=app", "period=1h", "overlap=0", "soak=0",
                  "max_overlap=2s")
            done = v.ctl("rotate", secret, check=False)
            equal(done.returncode, 0, "exit code of rotate: %s%s" % (done.stdout, done.stderr))
            now = v.ok("GET", self.mount + "/data/db").data["data"]
            if now["password"] == first:
                raise AssertionError("nothing was rotated")
            self.c.know("value", now["password"], "the new password")

    # ---- what goes wrong ----

    def wrong(self, method, path, body=None, raw=None, wanted=range(400, 500), **more):
        if body is not None:
            raw = json.dumps(body).encode()
        answer = self.vault.call(method, path, raw=raw, **more)
        if answer.status not in wanted:
            raise AssertionError("%s %s %r: %r" % (method, path, raw, answer))
        self.errors.append(("%s %s %s" % (method, path, raw), answer))

    def mistakes(self):
        v, path = self.vault, self.mount + "/data/x"
        value, token = self.value, self.c.plant("token", "hvs.{}", 30)
        text = json.dumps({"data": {self.key: value}})
        for raw in (text[:-3], text + "}", text.replace('"', "'"), '{"data":"%s"}' % self.values[0],
                    '{"data":["%s"]}' % self.values[0], '"%s"' % self.values[0],
                    '{"data":{"a":"%s","a":"%s"}}' % (self.values[0], self.values[0]),
                    '{"data":{"a":%s}}' % self.values[0]):
            self.wrong("POST", path, raw=raw.encode())
        self.wrong("POST", path, {"data": {"a": value}, "options": {"cas": value}})
        self.wrong("POST", path, {"data": {"a": value}, "options": {"cas": 77}})
        self.wrong("PATCH", path + "-none", {"data": {"a": value}})
        self.wrong("POST", path, {"data": {"a": value}},
                   headers={"Content-Type": "application/x-www-form-urlencoded"},
                   wanted=range(200, 500))
        self.wrong("POST", path, {"data": {"a": value}}, token=token)
        self.wrong("POST", path, {"data": {"a": value}}, token=self.user)
        self.wrong("POST", path, {"data": {"a": value}}, token=self.user + "x")
        self.wrong("GET", path, headers={"Authorization": "Basic " + token}, token="")
        self.wrong("POST", "no/such/" + self.path.replace(" ", "-"), {"a": value})
        self.wrong("PUT", "sys/unseal", {"key": value}, wanted=range(200, 500))
        self.wrong("PUT", "sys/unseal", {"key": {"a": value}})
        self.wrong("PUT", "sys/init", {"secret_shares": value})
        self.wrong("PUT", "sys/policies/acl/" + self.policy, {"policy": 'path "%s" {' % value})
        self.wrong("PUT", "sys/policies/acl/" + self.policy, {"policy": {"a": value}})
        self.wrong("POST", "auth/token/create", {"ttl": value})
        self.wrong("POST", "auth/token/create", {"num_uses": value})
        self.wrong("POST", "auth/token/create", {"policies": {"a": value}})
        self.wrong("POST", "auth/token/create", {"id": self.user})
        self.wrong("POST", "auth/token/lookup", {"token": token})
        self.wrong("POST", "auth/token/lookup", {"token": {"a": token}})
        self.wrong("POST", "auth/token/revoke", {"token": token}, wanted=range(200, 500))
        self.wrong("POST", "auth/token/renew", {"token": self.user, "increment": value})
        self.wrong("POST", "sys/mounts/m", {"type": value})
        self.wrong("POST", self.mount + "/metadata/x", {"max_versions": value})
        self.wrong("POST", self.mount + "/metadata/x", {"custom_metadata": self.values[0]})
        self.wrong("POST", self.mount + "/metadata/x", {"custom_metadata": {"a": [value]}})
        self.wrong("POST", self.mount + "/delete/x", {"versions": [value]})
        self.wrong("POST", "rotation/targets/t", {"driver": value, "admin_password": value})
        self.wrong("POST", "rotation/targets/t", {"driver": "postgresql", "port": value,
                                                  "admin_password": value})
        self.wrong("POST", path, {"data": {"a": self.value + "x" * (700 << 10)}})
        self.broken_lines()

    def broken_lines(self):
        """Requests that are not HTTP, with values in them; over the plain socket too."""
        for text in ("GET /v1/%s HTTP/9.9\r\n\r\n", "%s\r\n\r\n", "POST /v1/x HTTP/1.1\r\n"
                     "X-Vault-Token: %s\r\nX-Vault-Token: other\r\nHost: x\r\n\r\n"):
            with socket.create_connection(("127.0.0.1", self.vault.port)) as s:
                s.sendall((text % self.values[0]).encode("utf-8"))
                s.settimeout(2)
                try:
                    self.errors.append((text, s.recv(65536).decode("latin-1")))
                except OSError:
                    pass

    def wrong_shares(self):
        v = self.vault
        v.ok("PUT", "sys/seal")
        other = self.c.plant("share", "{}")
        for key in (other, other.encode().hex() * 2, "00" * 33):
            self.wrong("PUT", "sys/unseal", {"key": key}, wanted=(200, 400, 500))
        v.call("PUT", "sys/unseal", {"reset": True})
        v.ctl("operator", "unseal", "-", input=other + "\n", check=False)
        v.ctl("operator", "unseal", "-", input="\n".join(v.shares[1:4]) + "\n")


def dumps_core(folder):
    """Whether a program that forbids nothing leaves a core there, as the vault's user."""
    user = {"user": "keyturn", "group": "keyturn"} if os.getuid() == 0 else {}
    process = subprocess.Popen(["sh", "-c", "ulimit -c unlimited; exec sleep 60"], cwd=folder, **user)
    wait_for("sleep", lambda: os.readlink("/proc/%d/exe" % process.pid).endswith("sleep"))
    os.kill(process.pid, signal.SIGABRT)
    _, status = os.waitpid(process.pid, 0)
    process.returncode = -os.WTERMSIG(status)
    for name in os.listdir(folder):
        os.unlink(os.path.join(folder, name))
    return os.WCOREDUMP(status)


def nothing(found, where):
    if found:
        raise AssertionError("%d in %s: %s" % (len(found), where, "; ".join(sorted(found)[:8])))


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("only", nargs="?")
    args = parser.parse_args()
    print("# seed %d: %s --seed %d" % (args.seed, sys.argv[0], args.seed), flush=True)
    report = Report("")  # the session has to be there for each case
    s = Session(args.seed)
    vault, c = s.vault, s.c
    session = [s.begin, s.work, s.by_hand, s.agent, s.rotation, s.mistakes, s.wrong_shares, s.work]
    for step in session:
        report.case("session: " + step.__name__.replace("_", " "), step)
    report.only = args.only

    def processes():
        for name in PROGRAMS:
            if not s.watcher.seen.get(name):
                raise AssertionError("%s was never seen running" % name)
        nothing(s.watcher.found, "/proc")
        if s.watcher.control == 0:
            raise AssertionError("not even VAULT_TOKEN was seen")

    def answers():
        found = []
        for request, answer in s.errors:
            text = answer if isinstance(answer, str) else answer.body + str(answer.headers)
            found += ["%s -> %s" % (request[:200], what) for what in c.find(
                text.encode("utf-8", "replace"), SECRET_KINDS)]
        nothing(found, "answers with errors")

    def data_folder():
        found, looked = c.find_in_folder(vault.data)
        nothing(found, "the data folder")
        if looked < 8 << 20:
            raise AssertionError("only %d bytes in the data folder" % looked)

    def logs():
        nothing(c.find(vault.log_text().encode()), "vaultd's log")
        nothing(c.find_in_file(os.path.join(vault.folder, "agent.log"), SECRET_KINDS),
                "secret-agent's log")

    def audit_copies():
        log = auditlog.fetch(vault)
        log.verify()
        nothing(c.find(b"\n".join(log.lines), SECRET_KINDS), "the export")
        nothing(c.find_in_file(s.audit_copy, SECRET_KINDS), "the clear copy")
        # It is the real thing that was looked at: paths stand there in clear, values as hashes.
        hashed = vault.ok("POST", "sys/audit-hash/file", {"input": s.value}).data["hash"]
        text = open(s.audit_copy, encoding="utf-8").read()
        contains(text, s.mount, "the clear copy")
        contains(text, hashed, "the clear copy")

    def key_log():
        equal(os.path.exists(vault.env["SSLKEYLOGFILE"]), False, "a file of TLS keys")

    def crash():
        """With core files allowed, a value and shares just used, by two signals."""
        if not dumps_core(s.cores):
            print("#   a plain program dumps no core here either", flush=True)
        for sig in (signal.SIGABRT, signal.SIGSEGV):
            vault.ok("POST", s.mount + "/data/x", {"data": {"a": s.value}})
            # systemd-coredump and the like get nothing either: the kernel's word is in the status.
            os.kill(vault.process.pid, sig)
            _, status = os.waitpid(vault.process.pid, 0)
            vault.process.returncode = -os.WTERMSIG(status)
            equal((os.WTERMSIG(status), os.WCOREDUMP(status)), (sig, False), "how it ended")
            equal(os.listdir(s.cores) + glob.glob(vault.data + "/core*"), [], "core files")
            vault.start().unseal()

    report.case("no answer with an error repeats a value", answers)
    report.case("export and clear copy have only hashes", audit_copies)
    report.case("a crash leaves no core", crash)
    report.case("command lines and environments", processes)
    vault.stop()
    s.watcher.stop()
    report.case("the data folder has none of it", data_folder)
    report.case("the logs have none of it", logs)
    report.case("SSLKEYLOGFILE is not heeded", key_log)
    vault.remove()
    report.end()


main()
