#!/usr/bin/env python3
"""vaultd as a program: what it refuses and how it says so, what it gives up, reload and stop.

    tests/integration/vaultd_start.py ['part of a case name']
"""
import glob
import os
import pwd
import re
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import tempfile
import threading
import time
import warnings

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
from keyturn import DEADLINE, Report, Vault, contains, equal, free_port, program, wait_for  # noqa: E402

report = Report()
ROOT_USER = os.getuid() == 0


def vaultd(*args, **env):
    environment = {k: v for k, v in os.environ.items() if not k.startswith("VAULT_")}
    environment.update(env)
    return subprocess.run([program("vaultd"), *args], stdin=subprocess.DEVNULL, text=True,
                          capture_output=True, env=environment, timeout=DEADLINE)


def refuses(vault, what, hint, *args):
    """vaultd does not start, says both in one line, and leaves with 1."""
    done = vaultd("--config", vault.config_path, *args)
    equal(done.returncode, 1, "exit code")
    lines = [line for line in done.stderr.splitlines() if line.startswith("<3>not_started")]
    equal(len(lines), 1, "messages in %r" % done.stderr)
    contains(lines[0], what)
    contains(lines[0], hint)


def owner(path, user="keyturn"):
    if ROOT_USER:
        shutil.chown(path, user, user)


# ---- refusals ------------------------------------------------------------------------------------

def wrong_flag():
    done = vaultd("--confg", "x")
    equal(done.returncode, 1)
    contains(done.stderr, "did you mean --config?")
    contains(vaultd().stderr, "vaultd --dev to try it out")
    contains(vaultd("--help").stdout, "--dev-root-token-id TOKEN")
    contains(vaultd("--version").stdout, "Keyturn vaultd v")
    contains(vaultd("--settings").stdout, "tls_cert_file")


def check():
    with Vault() as vault:
        done = vaultd("--config", vault.config_path, "--check")
        equal(done.returncode, 0, done.stderr)
        contains(done.stdout, "no mistakes")
        with open(vault.config_path) as f:
            text = f.read()
        with open(vault.config_path, "a") as f:
            f.write('telemetry {}\n')
        done = vaultd("--config", vault.config_path, "--check")
        equal(done.returncode, 0, done.stderr)
        contains(done.stdout, "no mistakes, but look at the warnings: 1")
        with open(vault.config_path, "w") as f:
            f.write(text + 'audti "file" { path = "/nonexistent/a" }\n')
        for words in (["--check"], []):
            done = vaultd("--config", vault.config_path, *words)
            equal(done.returncode, 1, done.stdout)
            contains(done.stderr, "unknown setting 'audti'")
        with open(vault.config_path, "w") as f:
            f.write('storge "lmdb" {}\nstorage "raft" {}\nlistener "tcp" {}\nlog_level = "loud"\n')
        done = vaultd("--config", vault.config_path, "--check")
        equal(done.returncode, 1)
        for part in ["unknown setting 'storge'", "did you mean 'storage'?",
                     "no storage is called 'raft'", "without a certificate",
                     "'log_level' has no such value", "vaultd.hcl:4:"]:
            contains(done.stderr, part)
        with open(vault.config_path, "w") as f:
            f.write('storage "lmdb" {\n')
        done = vaultd("--config", vault.config_path, "--check")
        equal(done.returncode, 1)
        contains(done.stderr, "vaultd.hcl:")


def check_of_a_folder_to_come():
    """Started as root vaultd makes it and hands it over; so does --check say."""
    if os.geteuid() != 0:
        return
    with tempfile.TemporaryDirectory(prefix="kt-check-") as parent:
        os.chmod(parent, 0o755)
        config = os.path.join(parent, "vaultd.hcl")
        for folder, code in (("data", 0), ("slash/", 0), ("slashes//", 0), ("given", 0), ("kept", 1), ("no/data", 1), ("no/data/", 1)):
            with open(config, "w") as f:
                f.write('storage "lmdb" { path = "%s/%s" }\nlistener "tcp" { address = "127.0.0.1:%d" tls_disable = true }\n'
                        % (parent, folder, free_port()))
            if folder in ("given", "kept"):
                os.mkdir(os.path.join(parent, folder), 0o700)
            if folder == "kept":
                open(os.path.join(parent, folder, "file"), "w").close()
            done = vaultd("--config", config, "--check")
            equal(done.returncode, code, folder + done.stdout + done.stderr)


def no_configuration():
    done = vaultd("--config", "/nonexistent/vaultd.hcl")
    equal(done.returncode, 1)
    contains(done.stderr, "cannot open the configuration '/nonexistent/vaultd.hcl'")


def port_in_use():
    with Vault() as vault, socket.socket() as taken:
        taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        taken.bind(("127.0.0.1", vault.port))
        taken.listen()
        refuses(vault, "cannot listen on 127.0.0.1:%d" % vault.port, "another program has this port")


def make_certificate(folder, days, name="127.0.0.1"):
    """A self-signed pair whose validity ended when days is negative."""
    key, crt = os.path.join(folder, "tls.key"), os.path.join(folder, "tls.crt")
    csr = os.path.join(folder, "csr")
    subprocess.run(["openssl", "req", "-new", "-newkey", "ec", "-pkeyopt",
                    "ec_paramgen_curve:P-256", "-nodes", "-subj", "/CN=" + name, "-keyout", key,
                    "-out", csr], check=True, capture_output=True)
    subprocess.run(["openssl", "x509", "-req", "-in", csr, "-signkey", key, "-days", str(days),
                    "-out", crt], check=True, capture_output=True)
    os.chmod(crt, 0o644)
    os.chmod(key, 0o600)
    owner(key)


def expired_certificate():
    with Vault(tls=True) as vault:
        make_certificate(vault.folder, -1)
        refuses(vault, "expired on", "put a renewed certificate there")


def foreign_key():
    with Vault(tls=True) as vault:
        crt = os.path.join(vault.folder, "tls.crt")
        os.rename(crt, crt + ".kept")
        make_certificate(vault.folder, 30)
        os.rename(crt + ".kept", crt)
        refuses(vault, "does not belong to", "only one of them renewed")


def open_key():
    with Vault(tls=True) as vault:
        os.chmod(os.path.join(vault.folder, "tls.key"), 0o644)
        refuses(vault, "is open to others (mode 0644)", "chmod 600")


def root_without_user():
    if not ROOT_USER:
        return
    with Vault() as vault:
        refuses(vault, "there is no user 'kt-nobody-here'", "useradd --system", "--user",
                "kt-nobody-here")
        refuses(vault, "the user 'root' is root", "name another user", "--user", "root")


def data_folder_open_to_others():
    with Vault() as vault:
        os.chmod(vault.data, 0o755)
        refuses(vault, vault.data, "chmod")


def data_folder_in_use():
    with Vault() as first:
        first.start()
        with Vault() as second:
            second.data = first.data
            second.write_config()
            refuses(second, first.data, "vaultd")


def data_folder_of_root():
    if not ROOT_USER:
        return
    with Vault() as vault:
        with open(os.path.join(vault.data, "notes.txt"), "w") as f:
            f.write("somebody's")
        shutil.chown(vault.data, "root", "root")
        refuses(vault, vault.data, "")


def data_folder_is_made():
    with Vault() as vault:
        os.rmdir(vault.data)
        if not ROOT_USER:
            os.chmod(vault.folder, 0o755)
        vault.start()
        mode = os.stat(vault.data)
        equal(mode.st_mode & 0o777, 0o700)
        if ROOT_USER:
            equal(pwd.getpwuid(mode.st_uid).pw_name, "keyturn")


# ---- what it gives up -----------------------------------------------------------------------------

def status_of(pid):
    with open("/proc/%d/status" % pid) as f:
        return dict(line.rstrip("\n").split(":\t", 1) for line in f if ":\t" in line)


def gives_up_privileges():
    with Vault() as vault:
        vault.start()
        pid = vault.process.pid
        status = status_of(pid)
        if ROOT_USER:
            uid = pwd.getpwnam("keyturn").pw_uid
            equal(status["Uid"].split(), [str(uid)] * 4)
            equal(status["Groups"].strip(), "", "supplementary groups")
        equal(int(status["CapEff"], 16), 0, "capabilities")
        equal(status["NoNewPrivs"], "1")
        equal(status["Seccomp"], "2")
        equal(os.stat("/proc/%d/environ" % pid).st_uid, 0, "owner of environ (undumpable)")
        with open("/proc/%d/limits" % pid) as f:
            contains(f.read(), "Max core file size        0                    0")


def environment_is_cleaned():
    folder = tempfile.mkdtemp(prefix="kt-env-")
    keylog = os.path.join(folder, "keys")
    try:
        os.chmod(folder, 0o777)
        with Vault(tls=True, env={"SSLKEYLOGFILE": keylog, "VAULT_TOKEN": "planted-token",
                                  "http_proxy": "http://127.0.0.1:1"}) as vault:
            vault.start()
            equal(vault.call("GET", "sys/seal-status").status, 200)
            equal(os.path.exists(keylog), False, "TLS keys were written")
    finally:
        shutil.rmtree(folder)


def sandbox_required():
    """Either every layer is there, or the refusal names those that are not."""
    with Vault(config='sandbox = "required"') as vault:
        try:
            vault.start()
        except AssertionError:
            contains(vault.log_text(), "this kernel lacks: ")
            return
        equal(vault.call("GET", "sys/health").json["notes"], [])


def listens_on_a_unix_socket():
    with Vault() as vault:
        run = os.path.join(vault.folder, "run")
        os.mkdir(run, 0o755)
        owner(run)
        path = os.path.join(run, "vaultd.sock")
        pid_file = os.path.join(run, "vaultd.pid")
        vault.extra = ('listener "unix" { path = "%s" mode = "0660" }\npid_file = "%s"'
                       % (path, pid_file))
        vault.write_config()
        vault.start()
        equal(os.stat(path).st_mode & 0o777, 0o660)
        with open(pid_file) as f:
            equal(f.read(), "%d\n" % vault.process.pid)
        with socket.socket(socket.AF_UNIX) as s:
            s.connect(path)
            s.sendall(b"GET /v1/sys/seal-status HTTP/1.1\r\nHost: a\r\n\r\n")
            contains(s.recv(4096).decode(), "HTTP/1.1 200 OK")
        equal(vault.stop(), 0)
        equal(os.path.exists(path), False, "socket left behind")
        equal(os.path.exists(pid_file), False, "pid_file left behind")
        vault.start()
        vault.kill()  # now the socket stays, and the next start takes its place
        equal(os.path.exists(path), True)
        vault.start()


# ---- connections ----------------------------------------------------------------------------------

def connect_from(address, port):
    s = socket.socket()
    s.bind((address, 0))
    s.settimeout(10)
    s.connect(("127.0.0.1", port))
    return s


def answered(s):
    s.sendall(b"GET /v1/sys/seal-status HTTP/1.1\r\nHost: a\r\n\r\n")
    return s.recv(4096).startswith(b"HTTP/1.1 200")


HEADER_S = 10  # after which every connection ends that said nothing


def eighty_ended(vault):
    """After how many seconds 80 of 100 connections of one address were seen to have ended."""
    begun = time.monotonic()
    held = [connect_from("127.0.0.2", vault.port) for _ in range(100)]

    def ended():
        n = 0
        for s in held:
            s.setblocking(False)
            try:
                n += s.recv(1) == b""
            except BlockingIOError:
                pass
            except ConnectionResetError:
                n += 1
        return n >= 80
    other = connect_from("127.0.0.3", vault.port)
    equal(answered(other), True, "another address is served meanwhile")
    wait_for("80 of 100 idle connections of one address to be ended", ended)
    took = time.monotonic() - begun
    again = connect_from("127.0.0.2", vault.port)
    equal(answered(again), True, "the address itself is served too")
    for s in held + [other, again]:
        s.close()
    return took


def one_address_cannot_take_all():
    """By its limit: before the deadline that ends all who are silent. A busy machine may look too late."""
    with Vault(config="limits { max_connections_per_ip = 20 }") as vault:
        vault.start()
        took = [0.0]
        for _ in range(5):
            took.append(eighty_ended(vault))
            if took[-1] < HEADER_S:
                return
        raise AssertionError("80 of 100 ended only after %r s" % took[1:])


def many_authenticated_clients():
    with Vault(config="limits { max_connections_per_ip = 20 }") as vault:
        vault.ready()
        request = ("GET /v1/auth/token/lookup-self HTTP/1.1\r\nHost: a\r\nX-Vault-Token: %s\r\n\r\n"
                   % vault.token).encode()
        held = []
        for _ in range(300):
            s = socket.create_connection(("127.0.0.1", vault.port), 10)
            s.sendall(request)
            held.append(s)
        for s in held:
            contains(s.recv(4096).decode(), "HTTP/1.1 200")
        time.sleep(3)  # longer than the grace within which a stranger would be put out
        for s in held:
            s.sendall(request)
        for s in held:
            contains(s.recv(4096).decode(), "HTTP/1.1 200")
            s.close()


# ---- reload and stop ------------------------------------------------------------------------------

def serial_of(vault):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    with socket.create_connection(("127.0.0.1", vault.port)) as raw:
        with context.wrap_socket(raw) as s:
            return s.getpeercert(binary_form=True)


def old_protocols_are_refused():
    with Vault(tls=True) as vault:
        vault.start()
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)
            context.minimum_version = ssl.TLSVersion.TLSv1
            context.maximum_version = ssl.TLSVersion.TLSv1_1
        context.set_ciphers("ALL:@SECLEVEL=0")
        try:
            with socket.create_connection(("127.0.0.1", vault.port)) as raw:
                context.wrap_socket(raw)
        except (ssl.SSLError, ConnectionError):
            return
        raise AssertionError("TLS 1.1 was accepted")


def certificate_is_reloaded():
    with Vault(tls=True) as vault:
        vault.start()
        first = serial_of(vault)
        make_certificate(vault.folder, 30)
        equal(serial_of(vault), first, "before SIGHUP")
        vault.process.send_signal(signal.SIGHUP)
        wait_for("the new certificate", lambda: serial_of(vault) != first)
        second = serial_of(vault)
        make_certificate(vault.folder, -1)
        vault.process.send_signal(signal.SIGHUP)
        wait_for("the refusal", lambda: "certificate_refused" in vault.log_text())
        contains(vault.log_text(), "keeps its old certificate")
        equal(serial_of(vault), second, "after an expired one")
        equal(vault.process.poll(), None, "still running")


def log_level_is_reloaded():
    with Vault() as vault:
        vault.start()
        vault.extra = 'log_level = "error"'
        vault.write_config()
        vault.reload()
        with open(vault.config_path, "w") as f:
            f.write("nonsense {")
        vault.reload()
        contains(vault.log_text(), "configuration_kept")
        equal("<5>reloaded" in vault.log_text(), False, "a notice after log_level = error")
        equal(vault.call("GET", "sys/seal-status").status, 200)


def stop_beside_an_idle_one(vault):
    """How long it took."""
    idle = socket.create_connection(("127.0.0.1", vault.port))
    equal(answered(idle), True)
    begun = time.monotonic()
    equal(vault.stop(), 0)
    took = time.monotonic() - begun
    equal(idle.recv(1), b"", "the idle connection was ended")
    idle.close()
    return took


def stops_and_comes_back():
    with Vault() as vault:
        vault.ready()
        vault.ok("POST", "secret/data/a", {"data": {"k": "v"}})
        took = [stop_beside_an_idle_one(vault)]
        while took[-1] > 5 and len(took) < 5:  # what waits for it waits 5 s each time
            vault.start().unseal()
            took.append(stop_beside_an_idle_one(vault))
        if took[-1] > 5:
            raise AssertionError("stopping took %r s" % took)
        log = vault.log_text()
        for part in ["stopping signal=TERM", "sealed", "stopped code=0"]:
            contains(log, part)
        vault.start().unseal()
        equal(vault.ok("GET", "secret/data/a").data["data"], {"k": "v"})


def stops_beside_a_reload():
    """That hangs: its file is a pipe into which nobody writes. All is sealed nevertheless, and soon."""
    with Vault() as vault:
        vault.ready()
        os.unlink(vault.config_path)
        os.mkfifo(vault.config_path, 0o644)
        vault.process.send_signal(signal.SIGHUP)
        equal(vault.stop(), 1)
        log = vault.log_text()
        contains(log, "sealed why=stop")
        contains(log, 'stopped_hard reason="a reload did not end"')
        equal("stop_took_too_long" in log, False, log)
        os.unlink(vault.config_path)
        vault.write_config()
        vault.start()


def stops_under_load():
    with Vault() as vault:
        vault.ready()
        acknowledged, lock = [], threading.Lock()

        def write(n):
            for i in range(10000):
                try:
                    answer = vault.call("POST", "secret/data/w%d-%d" % (n, i), {"data": {"i": i}})
                except OSError:
                    return
                if answer.status != 200:
                    return
                with lock:
                    acknowledged.append((n, i))
        threads = [threading.Thread(target=write, args=(n,)) for n in range(4)]
        for t in threads:
            t.start()
        wait_for("some writes", lambda: len(acknowledged) > 100)
        equal(vault.stop(), 0)
        for t in threads:
            t.join()
        vault.start().unseal()
        for n, i in acknowledged:
            equal(vault.ok("GET", "secret/data/w%d-%d" % (n, i)).data["data"], {"i": i})


def says_when_the_database_shrinks():
    with Vault() as vault:
        vault.ready()
        vault.ok("POST", "secret/data/a", {"data": {"k": "v"}})
        for path in glob.glob(vault.data + "/**/data.mdb", recursive=True):
            os.truncate(path, 0)
        try:
            for i in range(50):
                vault.call("GET", "secret/data/a%d" % i)
        except OSError:
            pass
        equal(vault.process.wait(DEADLINE), 1, "exit code")
        contains(vault.log_text(), "a database file shrank while it was mapped")


# ---- dev -----------------------------------------------------------------------------------------

class Dev:
    def __init__(self, *args, **env):
        self.home = tempfile.mkdtemp(prefix="kt-home-")
        environment = {k: v for k, v in os.environ.items() if not k.startswith("VAULT_")}
        environment.update(env, HOME=self.home)
        self.process = subprocess.Popen(
            [program("vaultd"), "--dev", "--dev-listen-address=127.0.0.1:0", *args],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
            env=environment)
        self.text = ""
        while "KV version 2" not in self.text:
            line = self.process.stdout.readline()
            if line == "":
                raise AssertionError("dev did not start: " + self.process.stderr.read())
            self.text += line

    def find(self, pattern):
        return re.search(pattern, self.text).group(1)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.process.kill()
        self.process.communicate()
        shutil.rmtree(self.home, ignore_errors=True)


def folder_of(pid):
    with open("/proc/%d/maps" % pid) as f:
        return re.search(r"(/tmp/keyturn-\w+)/", f.read()).group(1)


def curl(*args):
    return subprocess.run(["curl", "-sS", *args], capture_output=True, text=True,
                          timeout=DEADLINE).stdout


def dev_works():
    with Dev("-dev-root-token-id=root") as dev:
        address = dev.find(r"VAULT_ADDR='(http://127.0.0.1:\d+)'")
        equal(dev.find(r"Root Token: (\S+)"), "root")
        dev.find(r"Unseal Key: (\S{44})")
        stored = os.path.join(dev.home, ".vault-token")
        with open(stored) as f:
            equal(f.read(), "root")
        equal(os.stat(stored).st_mode & 0o777, 0o600)
        contains(curl("-H", "X-Vault-Token: root", "-d", '{"data":{"a":"b"}}',
                      address + "/v1/secret/data/x"), '"version":1')
        contains(curl("-H", "X-Vault-Token: root", address + "/v1/secret/data/x"), '"a":"b"')
        folder = folder_of(dev.process.pid)
        dev.process.send_signal(signal.SIGTERM)
        equal(dev.process.wait(DEADLINE), 0)
        equal(os.path.exists(folder), False, "the folder is still there")


def dev_is_never_found_sealed():
    """Who connects while it starts waits until it is unsealed: the README's second line comes at once."""
    port = free_port()
    home = tempfile.mkdtemp(prefix="kt-home-")
    process = subprocess.Popen([program("vaultd"), "--dev", "--dev-root-token-id=root", "--dev-listen-address=127.0.0.1:%d" % port],
                               stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                               env=dict(os.environ, HOME=home))
    try:
        def connected():
            try:
                return socket.create_connection(("127.0.0.1", port))
            except ConnectionRefusedError:
                return None
        with wait_for("the port to be open", connected, pause=0.001) as s:
            s.settimeout(DEADLINE)
            s.sendall(b"GET /v1/auth/token/lookup-self HTTP/1.1\r\nHost: x\r\nX-Vault-Token: root\r\n\r\n")
            equal(s.recv(12), b"HTTP/1.1 200")
    finally:
        process.kill()
        process.wait()
        shutil.rmtree(home, ignore_errors=True)


def dev_leaves_nothing_after_a_kill():
    with Dev("--dev-no-store-token") as dev:
        equal(os.path.exists(os.path.join(dev.home, ".vault-token")), False)
        folder = folder_of(dev.process.pid)
        dev.process.kill()
        wait_for("the folder to go", lambda: not os.path.exists(folder))


def dev_with_tls():
    with Dev("--dev-tls", "--dev-no-store-token") as dev:
        address = dev.find(r"VAULT_ADDR='(https://127.0.0.1:\d+)'")
        cacert = dev.find(r"VAULT_CACERT='(\S+)'")
        contains(curl("--cacert", cacert, address + "/v1/sys/health"), '"initialized":true')


def dev_stays_on_loopback():
    # CVE-2020-35192: a password that everybody knows, for everybody.
    for address in ["0.0.0.0:8200", ":8200", "192.0.2.1:8200", "[::]:8200"]:
        done = vaultd("--dev", "--dev-listen-address", address, HOME="/nonexistent")
        equal(done.returncode, 1, address)
        contains(done.stderr, "which others can reach")


for case in [wrong_flag, check, check_of_a_folder_to_come, no_configuration, port_in_use, expired_certificate, foreign_key,
             open_key, root_without_user, data_folder_open_to_others, data_folder_in_use,
             data_folder_of_root, data_folder_is_made, gives_up_privileges, environment_is_cleaned,
             sandbox_required, listens_on_a_unix_socket, one_address_cannot_take_all,
             many_authenticated_clients, old_protocols_are_refused, certificate_is_reloaded,
             log_level_is_reloaded, stops_and_comes_back, stops_beside_a_reload, stops_under_load,
             says_when_the_database_shrinks, dev_works, dev_is_never_found_sealed, dev_leaves_nothing_after_a_kill,
             dev_with_tls, dev_stays_on_loopback]:
    report.case(case.__name__.replace("_", " "), case)
report.end()
