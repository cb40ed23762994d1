"""Where the secrets of a scene rotate (tests/support/rotation.py): one class for each driver.

    place = RedisPlace()                  # a real server, started
    place.login("app", "secret")          # "A" accepted, "R" refused, "U" no answer that proves anything
    before = place.state("app")           # what the account accepts, for put()
    place.spoil("app")                    # it accepts what nobody has
    front = place.front()                 # stands before it: cuts and holds up changes
    place.remove()

A driver gets its column in every test that is a table over places by a class here and a row of PLACES.
"""
import base64
import calendar
import collections
import contextlib
import fcntl
import hashlib
import http.client
import json
import os
import pwd
import re
import secrets as random_secrets
import shutil
import socket
import ssl
import tempfile
import threading
import time

import libmaria
from cutproxy import CutProxy
from driver import scram_verifier
from http_api import KEYS, PASSWORDS, SLOTS, HttpApi
from keyturn import ROOT, shim, wait_for
from libpq import Session, login as pg_login
from mariadb import MariaDB, native_hash
from postgres import Postgres
from redis import LEAST_PRIVILEGE as REDIS_LEAST, Redis, sha256
from slapd import ADMIN as LDAP_ADMIN, POLICY as LDAP_POLICY, Slapd, ssha512
from sshd import Sshd

SHARED = {"probe_spacing": 0, "max_refusals_per_hour": 0, "settle": 0}
STOLEN = "stolen-by-somebody"


def shipped(name):
    with open(os.path.join(ROOT, "docs", name), encoding="utf-8") as f:
        return f.read()


class Front:
    """Before a server on a port: a proxy that knows how the driver's changes look. `settings` are those of
    the target that stands behind it."""

    def __init__(self, place):
        self.place, self.proxy = place, CutProxy(place.port())
        self.settings = {"port": self.proxy.port}

    def cut(self, secret, op, after):
        self.proxy.cut(*self.words(secret, op, after))

    def words(self, secret, op, *more):
        word, at = self.place.words[secret.strategy, op]
        return (word, *more, at)

    def hold(self, secret, op):
        return self.proxy.hold(*self.words(secret, op))

    @property
    def cuts(self):
        return self.proxy.cuts

    def close(self):
        self.proxy.close()


class MarkedFront:
    """The program at the target itself ends before or after the effect, or waits before it, where a file says
    so, once: place.mark(when, operation, account) is its name."""

    def __init__(self, place):
        self.place, self.settings, self.asked = place, {}, []

    def mark(self, when, secret, op):
        path = self.place.mark(when, op, secret.accounts[-1 if op == "apply" else 0])
        with open(path, "w"):
            pass
        self.asked.append(path)
        return path

    def cut(self, secret, op, after):
        self.mark("after" if after else "before", secret, op)

    def hold(self, secret, op):
        return MarkedHeld(self.mark("hold", secret, op))

    @property
    def cuts(self):
        return len([p for p in self.asked if os.path.exists(p + ".met")])

    def close(self):
        pass


class MarkedHeld:
    def __init__(self, path):
        self.path = path

    def wait_until_there(self):
        wait_for("the program to wait", lambda: os.path.exists(self.path + ".met"))

    def go_on(self):
        with open(self.path + ".go", "w"):
            pass


class Place:
    driver = ""
    strategies = ()
    made = ()         # those with which the target makes the value: a lost one cannot be set again
    config = ""       # of vaultd
    words = {}        # (strategy, op) -> what is sent first, where it becomes an effect (None: there)

    def new_admin(self):
        """(name, password) of an administrative login of its own."""
        name, password = "kt_vault_" + random_secrets.token_hex(4), "admin-" + random_secrets.token_hex(12)
        self.make_admin(name)
        self.admin_password(name, password)
        return name, password

    def first(self):
        """A value to begin with."""
        return random_secrets.token_hex(14)

    def account(self, name):
        return name

    def group(self, _secret):
        return None

    def declared(self, _strategy):
        """What a target of this strategy needs besides target()."""
        return {}

    def members(self, _secret):
        """What the first version has besides name and password."""
        return {}

    def front(self):
        return Front(self)

    def environment(self, _agent):
        return {}


# ---- PostgreSQL ----

def make_postgres(settings=None):
    pg = Postgres(settings=settings)
    pg.start()
    pg.psql("create database orders")
    return pg


class PostgresPlace(Place):
    driver = "postgresql"
    strategies = ("alternate", "in-place")
    words = {("alternate", "apply"): ("LOGIN PASSWORD 'SCRAM", "COMMIT"),
             ("in-place", "apply"): ("LOGIN PASSWORD 'SCRAM", "COMMIT"),
             ("alternate", "revoke"): ("NOLOGIN PASSWORD NULL", "COMMIT")}

    def __init__(self, pg=None, small=False, settings=None):
        self.own, self.small = pg is None, small
        self.pg = pg or make_postgres(settings)

    def port(self):
        return self.pg.port

    def remove(self):
        if self.own:
            self.pg.remove()

    def new_admin(self):
        if not self.small:
            return super().new_admin()
        self.pg.psql(shipped("postgresql-least-privilege.sql"), db="orders")
        admin = ("kt_small", "admin-" + random_secrets.token_hex(12))
        self.admin_password(*admin)
        return admin

    def make_admin(self, name):
        self.pg.psql("create role %s login createrole in role pg_signal_backend" % name)

    def admin_password(self, name, password):
        """As a verifier, so that no log has it."""
        self.pg.psql("alter role %s password '%s'" % (name, scram_verifier(password)))

    def target(self):
        return {"host": "127.0.0.1", "port": self.pg.port, "database": "orders", "sslmode": "disable"}

    def group(self, secret):
        return secret.name if secret.strategy == "alternate" else None

    def make_accounts(self, secret):
        name = secret.name
        sql = "create role %s_a login password '%s';" % (name, scram_verifier(secret.first))
        if secret.strategy == "alternate":
            sql += ("create role {0} nologin; create role {0}_b login; grant {0} to {0}_a, {0}_b;"
                    "alter role {0}_a set role = '{0}'; alter role {0}_b set role = '{0}';"
                    ).format(name)
        self.pg.psql(sql)
        if self.small:
            self.pg.psql("".join("insert into keyturn.managed values ('%s');" % a
                                 for a in secret.accounts), db="orders")

    def may_not(self, secret, admin):
        """The login of the least rights tries what it must not be able to."""
        done = self.pg.psql("alter role %s password 'x'" % secret.accounts[0], db="orders", user=admin[0],
                            password=admin[1], check=False)
        return "permission denied" in done.stderr

    def login(self, user, password):
        return pg_login("127.0.0.1", self.pg.port, user, password, "orders")

    def session(self, user, password):
        return Session("127.0.0.1", self.pg.port, user, password, "orders")

    def sessions(self, account):
        return int(self.pg.rows("select count(*) from pg_stat_activity where usename = '%s'" % account)[0][0])

    def closed(self, account):
        return self.pg.rows("select rolcanlogin, rolpassword from pg_authid where rolname = '%s'" %
                            account) == [["f", ""]]

    def state(self, account):
        return self.pg.rows("select rolpassword, rolcanlogin from pg_authid where rolname = '%s'" % account)[0]

    def put(self, account, state):
        self.pg.psql("alter role %s %s password %s" % (
            account, "login" if state[1] == "t" else "nologin", "'%s'" % state[0] if state[0] else "null"))

    def spoil(self, account):
        self.pg.psql("alter role %s login password '%s'" % (account, scram_verifier(STOLEN)), check=False)

    @contextlib.contextmanager
    def open(self, scene, _secret):
        """It lets anybody in, but the administrative login asks for its password."""
        self.pg.hba("host all %s 127.0.0.1/32 scram-sha-256" % scene.admin[0],
                    "host all all 127.0.0.1/32 trust")
        try:
            yield
        finally:
            self.pg.hba()

    def now(self):
        return float(self.pg.rows("select extract(epoch from clock_timestamp())")[0][0])

    def stop(self):
        self.pg.stop()

    def start(self):
        self.pg.start()

    def files(self, agent):
        return '''
  file "{folder}/pg_service.conf" {{
    contents = <<-EOF
      [main]
      host=127.0.0.1
      port={port}
      dbname=orders
      user={{{{ secret "{path}" "username" | pgService }}}}
      password={{{{ secret "{path}" "password" | pgService }}}}
      EOF
    mode = "0400"
  }}'''.format(folder=agent.folder, port=self.pg.port, path=agent.secret.path)

    def environment(self, agent):
        return {"PGSERVICEFILE": agent.path("pg_service.conf")}

    def health(self, _agent):
        return "exec psql service=main -Atqc 'select 1' >/dev/null"


# ---- MariaDB ----

class MariaPlace(Place):
    driver = "mariadb"
    strategies = ("overlap", "alternate", "in-place")
    words = {("overlap", "apply"): ("ALTER USER.* OR ", None),
             ("overlap", "revoke"): ("ALTER USER(?!.* OR )", None),
             ("alternate", "apply"): ("ALTER USER.*ACCOUNT UNLOCK", None),
             ("alternate", "revoke"): ("ALTER USER.*ACCOUNT LOCK", None),
             ("in-place", "apply"): ("ALTER USER", None)}

    def __init__(self, db=None, small=False):
        self.own, self.small = db is None, small
        self.db = db or self.make_server()

    @staticmethod
    def make_server():
        db = MariaDB()
        db.start()
        db.sql("CREATE DATABASE orders; CREATE TABLE orders.t (n int)")
        return db

    def port(self):
        return self.db.port

    def remove(self):
        if self.own:
            self.db.remove()

    def new_admin(self):
        if not self.small:
            return super().new_admin()
        self.db.sql(shipped("mariadb-least-privilege.sql"))
        admin = ("kt_small", "admin-" + random_secrets.token_hex(12))
        self.admin_password(*admin)
        return admin

    def make_admin(self, name):
        self.db.sql(f"CREATE USER {name} IDENTIFIED VIA mysql_native_password USING 'invalid'; "
                    f"GRANT CREATE USER, CONNECTION ADMIN, PROCESS ON *.* TO {name}; "
                    f"GRANT SELECT ON mysql.global_priv TO {name}")

    def admin_password(self, name, password):
        self.db.sql(f"ALTER USER {name} IDENTIFIED VIA mysql_native_password "
                    f"USING '{native_hash(password)}' ACCOUNT UNLOCK")

    def target(self):
        return {"host": "127.0.0.1", "port": self.db.port, "database": "orders", "sslmode": "disable"}

    def group(self, secret):
        return secret.name if secret.strategy == "alternate" else None

    def make_accounts(self, secret):
        name, sql = secret.name, ""
        for account in secret.accounts:
            value = native_hash(secret.first) if account.endswith("_a") else "invalid"
            sql += f"CREATE USER {account} IDENTIFIED VIA mysql_native_password USING '{value}';"
        if secret.strategy == "alternate":
            sql += f"CREATE ROLE {name}; GRANT SELECT ON orders.* TO {name};"
            for account in secret.accounts:
                sql += f"GRANT {name} TO {account}; SET DEFAULT ROLE {name} FOR {account};"
        else:
            sql += f"GRANT SELECT ON orders.* TO {name}_a;"
        if self.small:
            sql += "".join(f"INSERT INTO keyturn.managed VALUES ('{a}');" for a in secret.accounts)
        self.db.sql(sql)

    def may_not(self, secret, admin):
        done = self.db.sql(f"ALTER USER {secret.accounts[0]} ACCOUNT LOCK", user=admin[0], password=admin[1],
                           check=False)
        return "denied" in done.stderr

    def login(self, user, password):
        return libmaria.login("127.0.0.1", self.db.port, user, password, "orders")

    def session(self, user, password):
        return libmaria.Session("127.0.0.1", self.db.port, user, password, "orders")

    def sessions(self, account):
        return int(self.db.rows(f"SELECT COUNT(*) FROM information_schema.PROCESSLIST "
                                f"WHERE USER = '{account}'")[0][0])

    def closed(self, account):
        return self.db.rows(f"SELECT JSON_VALUE(priv, '$.account_locked') FROM mysql.global_priv "
                            f"WHERE user = '{account}'") == [["1"]]

    def state(self, account):
        return self.db.rows(f"SHOW CREATE USER {account}")[0][0]

    def put(self, account, state):
        lock = "" if " ACCOUNT LOCK" in state else " ACCOUNT UNLOCK"
        self.db.sql(state.replace("CREATE USER", "ALTER USER", 1) + lock)

    def spoil(self, account):
        self.db.sql(f"ALTER USER {account} IDENTIFIED VIA mysql_native_password "
                    f"USING '{native_hash(STOLEN)}' ACCOUNT UNLOCK", check=False)

    @contextlib.contextmanager
    def open(self, _scene, _secret):
        self.db.stop()
        self.db.options.append("--skip-grant-tables")
        self.db.start()
        try:
            yield
        finally:
            self.db.stop()
            self.db.options.remove("--skip-grant-tables")
            self.db.start()

    def now(self):
        return float(self.db.rows("SELECT UNIX_TIMESTAMP()")[0][0])

    def stop(self):
        self.db.stop()

    def start(self):
        self.db.start()

    def files(self, agent):
        return '''
  file "{folder}/my.cnf" {{
    contents = <<-EOF
      [client]
      host=127.0.0.1
      port={port}
      protocol=tcp
      user="{{{{ secret "{path}" "username" }}}}"
      password="{{{{ secret "{path}" "password" }}}}"
      EOF
    mode = "0400"
  }}'''.format(folder=agent.folder, port=self.db.port, path=agent.secret.path)

    def health(self, agent):
        return "exec mariadb --defaults-file=%s/my.cnf -e 'SELECT 1' orders >/dev/null" % agent.folder


# ---- Redis ----

class RedisPlace(Place):
    driver = "redis"
    strategies = ("overlap", "alternate")
    words = {("overlap", "apply"): (r"SETUSER(?!.*resetpass)", None),
             ("overlap", "revoke"): (r"SETUSER.*resetpass", None),
             ("alternate", "apply"): (r"SETUSER.*\non\r\n", None),
             ("alternate", "revoke"): (r"SETUSER.*\noff\r\n", None)}
    # The change is made, and not written down.
    unsaved = {key: (word, r"\nSAVE\r\n") for key, (word, _) in words.items()}

    def __init__(self, redis=None):
        self.own = redis is None
        self.redis = redis or Redis()
        if self.own:
            self.redis.start()
        self.lock = threading.Lock()

    def port(self):
        return self.redis.port

    def remove(self):
        if self.own:
            self.redis.remove()

    def make_admin(self, name):
        with open(REDIS_LEAST) as f:
            line, = [l[2:].split() for l in f if l.startswith("+ ACL SETUSER keyturn")]
        rules = [w.replace("ADMIN_HASH", sha256(STOLEN)) for w in line[3:]]
        self.redis.root(*line[:2], name, *rules)

    def admin_password(self, name, password):
        self.redis.root("ACL", "SETUSER", name, "resetpass", "#" + sha256(password))
        self.save()

    def save(self):
        with self.lock:
            self.redis.root("ACL", "SAVE")

    def target(self):
        return {"host": "127.0.0.1", "port": self.redis.port, "sslmode": "disable"}

    def make_accounts(self, secret):
        rights = ("~*", "+@all", "-@admin")
        for account in secret.accounts:
            first = ("on", "#" + sha256(secret.first)) if account.endswith("_a") else ("off",)
            self.redis.root("ACL", "SETUSER", account, *first, *rights)
        self.save()

    def login(self, user, password):
        try:
            with RedisSession(self.redis.port, user, password) as session:
                return {"+OK": "A"}.get(session.said, "R" if session.said.startswith("-WRONGPASS") else "U")
        except OSError:
            return "U"

    def session(self, user, password):
        return RedisSession(self.redis.port, user, password)

    def sessions(self, account):
        return len(re.findall(r" user=%s " % account, self.redis.root("CLIENT", "LIST")))

    def flags(self, account):
        line, = [l for l in self.redis.root("ACL", "LIST").splitlines() if l.startswith("user %s " % account)]
        return line.split()[2]

    def closed(self, account):
        return self.state(account) == ("off", [])

    def state(self, account):
        return self.flags(account), self.redis.hashes(account)

    def put(self, account, state):
        self.redis.root("ACL", "SETUSER", account, "resetpass", state[0], *("#" + h for h in state[1]))
        self.save()

    def spoil(self, account):
        self.redis.root("ACL", "SETUSER", account, "on", "resetpass", "#" + sha256(STOLEN))

    @contextlib.contextmanager
    def open(self, _scene, secret):
        was = [(account, self.state(account)) for account in secret.accounts]
        for account in secret.accounts:
            self.redis.root("ACL", "SETUSER", account, "nopass", "on")
        try:
            yield
        finally:
            for account, state in was:
                self.put(account, state)

    def now(self):
        return float(self.redis.root("TIME").split()[0])

    def stop(self):
        self.redis.stop()

    def start(self):
        self.redis.start()

    def files(self, agent):
        return "".join('''
  file "{folder}/{field}" {{
    contents = "{{{{ secret \\"{path}\\" \\"{field}\\" }}}}"
    mode = "0400"
  }}'''.format(folder=agent.folder, path=agent.secret.path, field=field) for field in ("username", "password"))

    def health(self, agent):
        return ('REDISCLI_AUTH="$(cat {0}/password)" redis-cli -h 127.0.0.1 -p {1} --user "$(cat {0}/username)" PING '
                '2>/dev/null | grep -q PONG').format(agent.folder, self.redis.port)


class RedisSession:
    def __init__(self, port, user, password):
        self.socket = socket.create_connection(("127.0.0.1", port), 60)
        words = [w.encode() for w in ("AUTH", user, password)]
        self.socket.sendall(b"*3\r\n" + b"".join(b"$%d\r\n%s\r\n" % (len(w), w) for w in words))
        with self.socket.makefile("rb") as answers:
            self.said = answers.readline().decode().rstrip()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        self.socket.close()


# ---- LDAP ----

class LdapPlace(Place):
    """Its refusals lock no account: the watcher tries the old ones all the time."""
    driver = "ldap"
    strategies = ("overlap", "alternate")
    # The number of the change (add, delete, replace) before the attribute and its values.
    words = {("overlap", "apply"): (r"\x01\x000\x84.*userPassword", None),
             ("overlap", "revoke"): (r"\x01\x020\x84.*userPassword", None),
             ("alternate", "apply"): (r"\x01\x020\x84.*userPassword", None),
             ("alternate", "revoke"): (r"\x01\x010\x84.*userPassword", None)}

    def __init__(self):
        self.slapd = Slapd()
        self.slapd.start()
        self.slapd.least_privilege()
        self.slapd.set(LDAP_POLICY, "pwdMaxFailure", "0")

    def port(self):
        return self.slapd.port

    def remove(self):
        self.slapd.remove()

    def new_admin(self):
        return LDAP_ADMIN, self.slapd.admin_password

    def target(self):
        return {"host": "127.0.0.1", "port": self.slapd.port, "sslmode": "disable"}

    def account(self, name):
        return self.slapd.dn(name)

    def make_accounts(self, secret):
        self.slapd.account(secret.name + "_a", secret.first)
        if secret.strategy == "alternate":
            self.slapd.account(secret.name + "_b")

    def login(self, user, password):
        said = self.slapd.login(user, password)
        return said if said in ("A", "R") else "U"

    def session(self, *_):
        return None

    def closed(self, account):
        return self.state(account) == []

    def state(self, account):
        return sorted(self.slapd.read(account, "userPassword"))

    def put(self, account, state):
        self.slapd.set(account, "userPassword", *state)

    def spoil(self, account):
        self.put(account, [ssha512(STOLEN)])

    def now(self):
        """It says it of what it writes down."""
        self.slapd.set(LDAP_POLICY, "pwdMaxFailure", "0")
        said, = self.slapd.read(LDAP_POLICY, "modifyTimestamp")
        return calendar.timegm(time.strptime(said, "%Y%m%d%H%M%SZ"))

    def stop(self):
        self.slapd.stop()

    def start(self):
        self.slapd.start()

    files = RedisPlace.files

    def health(self, agent):
        return ('exec ldapwhoami -x -H ldap://127.0.0.1:{1} -D "$(cat {0}/username)" -y {0}/password '
                '>/dev/null').format(agent.folder, self.slapd.port)


# ---- SSH keys ----

class SshPlace(Place):
    """The administrative login is a user of its own, who may write where the accounts' keys are."""
    driver = "ssh-key"
    strategies = ("overlap",)

    def __init__(self):
        self.sshd = Sshd(preload=[shim("rename_shim.so")])
        self.sshd.start()
        self.lock = threading.Lock()
        self.keys = {}  # text of a private key -> Key
        self.stolen = self.sshd.key()
        self.homes = os.path.join(self.sshd.folder, "home")

    def remove(self):
        self.sshd.remove()

    def key(self, private=None):
        with self.lock:
            key = self.keys.get(private) or self.sshd.key(private=private)
            self.keys[key.private] = key
            return key

    def first(self):
        return self.key().private

    def make_admin(self, name):
        with self.lock:
            self.sshd.account(name)

    def new_admin(self):
        name, key = "kt_vault_" + random_secrets.token_hex(4), self.key()
        self.make_admin(name)
        self.sshd.let_in(name, key)
        return name, key.private

    def admin_password(self, name, password):
        self.sshd.let_in(name, self.key(password) if "PRIVATE KEY" in password else self.stolen)

    def target(self):
        return {"host": "127.0.0.1", "port": self.sshd.port, "server_id": self.sshd.fingerprint(),
                "keys_file": os.path.join(self.homes, "%u/.ssh/authorized_keys")}

    def make_accounts(self, secret):
        for account in secret.accounts:
            with self.lock:
                self.sshd.account(account)
            self.put(account, "restrict %s\n" % self.key(secret.first).public)

    def login(self, user, password):
        said = self.sshd.login(user, self.key(password))
        return said if said in ("A", "R") else "U"

    def session(self, *_):
        return None

    def path(self, account):
        return os.path.join(self.homes, account, ".ssh/authorized_keys")

    def front(self):
        return MarkedFront(self)

    def mark(self, when, op, account):
        return "%s.%s-%s" % (self.path(account), when, op)

    def state(self, account):
        with open(self.path(account)) as f:
            return f.read()

    def put(self, account, state):
        path = self.path(account)
        with open("%s.%d" % (path, threading.get_ident()), "w") as f:
            f.write(state)
        os.chmod(f.name, 0o600)
        self.sshd.give(f.name)
        os.rename(f.name, path)

    def spoil(self, account):
        """Each line has another key than it had."""
        self.put(account, re.sub(r"ssh-ed25519 \S+", self.stolen.public, self.state(account)))

    @contextlib.contextmanager
    def open(self, _scene, secret):
        """sshd asks a program which keys an account has, and that says: the one that is shown."""
        self.sshd.settings = "Match User %s\n  AuthorizedKeysCommand /bin/echo %%t %%k\n  " \
            "AuthorizedKeysCommandUser self" % ",".join(secret.accounts)
        self.sshd.restart()
        try:
            yield
        finally:
            self.sshd.settings = ""
            self.sshd.restart()

    def stop(self):
        self.sshd.stop()

    def start(self):
        self.sshd.start()

    def files(self, agent):
        return RedisPlace.files(self, agent)

    def health(self, agent):
        return 'exec %s "$(cat %s/username)@127.0.0.1" true 2>/dev/null' % (
            " ".join(self.sshd.client(agent.folder + "/password")), agent.folder)


# ---- exec: the sample in Python, with faults ----

EXEC_PROGRAM = '''#!/usr/bin/python3 -I
"""docs/samples/exec-passwd.py, which ends or waits where a file says so, once."""
import io, json, os, runpy, signal, sys, time
folder, text = os.path.dirname(sys.argv[1]), sys.stdin.read()
order = json.loads(text)

def met(when):
    path = "%s/%s-%s-%s" % (folder, when, order["operation"], order.get("account", ""))
    if not os.path.exists(path):
        return None
    os.rename(path, path + ".met")
    return path

if met("before"):
    os.kill(os.getpid(), signal.SIGKILL)
path = met("hold")
while path and not os.path.exists(path + ".go"):
    time.sleep(0.02)
sys.stdin, out = io.StringIO(text), io.StringIO()
sys.stdout = out
runpy.run_path(os.path.join(os.path.dirname(sys.argv[0]), "sample.py"), run_name="__main__")
if met("after"):
    os.kill(os.getpid(), signal.SIGKILL)
sys.__stdout__.write(out.getvalue())
'''
EXEC_CHECK = '''#!/usr/bin/python3 -I
import hashlib, sys
user, password = (open(p).read() for p in sys.argv[2:4])
for line in open(sys.argv[1]):
    name, salt, digest = line.rstrip("\\n").split(":")
    if name == user and digest and digest == hashlib.scrypt(
            password.encode(), salt=bytes.fromhex(salt), n=2**14, r=8, p=1).hex():
        sys.exit(0)
sys.exit(1)
'''


class ExecPlace(Place):
    driver = "exec"
    strategies = ("alternate", "in-place")

    def __init__(self):
        self.folder = tempfile.mkdtemp(prefix="kt-exec-place-")
        os.chmod(self.folder, 0o755)
        self.state_folder = os.path.join(self.folder, "state")
        os.mkdir(self.state_folder, 0o700)
        if os.getuid() == 0:
            entry = pwd.getpwnam("keyturn")
            os.chown(self.state_folder, entry.pw_uid, entry.pw_gid)
        self.accounts = os.path.join(self.state_folder, "accounts")
        self.program = self.write("program", EXEC_PROGRAM)
        self.check = self.write("check", EXEC_CHECK)
        sample = self.write("sample.py", shipped("samples/exec-passwd.py"))
        self.config = 'driver_program "passwd" {\n  command = %s\n  timeout = "20s"\n  read = %s\n  write = %s\n}' % (
            json.dumps([self.program, self.accounts]), json.dumps([sample]), json.dumps([self.state_folder]))

    def write(self, name, text):
        path = os.path.join(self.folder, name)
        with open(path, "w") as f:
            f.write(text)
        os.chmod(path, 0o755)
        return path

    def remove(self):
        shutil.rmtree(self.folder, ignore_errors=True)

    def new_admin(self):
        return None  # the rights of the program

    def target(self):
        return {"program": "passwd"}

    @contextlib.contextmanager
    def lines(self):
        """name -> (salt, hash), written when changed, under the sample's own lock."""
        lock = os.open(self.state_folder, os.O_RDONLY)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX)
            lines = self.read()
            before = dict(lines)
            yield lines
            if lines != before:
                with open(self.accounts + ".test", "w") as f:
                    f.writelines("%s:%s:%s\n" % (n, *rest) for n, rest in sorted(lines.items()))
                os.chmod(self.accounts + ".test", 0o644)
                os.rename(self.accounts + ".test", self.accounts)
        finally:
            os.close(lock)

    def read(self):
        try:
            with open(self.accounts) as f:
                return {line.split(":")[0]: tuple(line.rstrip("\n").split(":")[1:]) for line in f}
        except FileNotFoundError:
            return {}

    @staticmethod
    def hashed(password, salt=None):
        salt = salt or os.urandom(16).hex()
        return salt, hashlib.scrypt(password.encode(), salt=bytes.fromhex(salt), n=2**14, r=8, p=1).hex()

    def make_accounts(self, secret):
        with self.lines() as lines:
            for account in secret.accounts:
                lines[account] = self.hashed(secret.first) if account.endswith("_a") else ("", "")

    def login(self, user, password):
        if not os.path.exists(self.accounts):
            return "U"
        salt, digest = self.read().get(user, ("", ""))
        return "A" if digest and self.hashed(password, salt)[1] == digest else "R"

    def session(self, *_):
        return None

    def closed(self, account):
        return self.state(account) == ("", "")

    def state(self, account):
        return self.read()[account]

    def put(self, account, state):
        with self.lines() as lines:
            lines[account] = state

    def spoil(self, account):
        self.put(account, self.hashed(STOLEN))

    def front(self):
        return MarkedFront(self)

    def mark(self, when, op, account):
        return os.path.join(self.state_folder, "%s-%s-%s" % (when, op, account))

    def stop(self):
        """The program cannot reach its file."""
        os.rename(self.state_folder, self.state_folder + ".away")

    def start(self):
        os.rename(self.state_folder + ".away", self.state_folder)

    files = RedisPlace.files

    def health(self, agent):
        return "exec {0} {1} {2}/username {2}/password".format(self.check, self.accounts, agent.folder)


# ---- http: an API of the tests' own ----

class HttpFront:
    """The API itself ends a connection before or after the effect, or waits before it."""

    def __init__(self, place):
        self.api, self.settings, self.asked = place.api, {}, set()

    def request(self, secret, op):
        account = secret.accounts[-1 if op == "apply" else 0]
        self.asked.add(account)
        sets = "set" if secret.strategy == "in-place" else "create"
        return sets if op == "apply" else "delete", account

    def cut(self, secret, op, after):
        name, account = self.request(secret, op)
        self.api.fail(name, "lost" if after else "cut", account=account)

    def hold(self, secret, op):
        return self.api.hold(*self.request(secret, op))

    @property
    def cuts(self):
        return sum(self.api.met[account] for account in self.asked)

    def close(self):
        pass


class HttpPlace(Place):
    """In place the vault makes the value; slots and keys the API makes, and shows once."""
    driver = "http"
    strategies = ("overlap", "alternate", "in-place")
    made = ("overlap", "alternate")
    apis = {"overlap": KEYS, "alternate": SLOTS, "in-place": PASSWORDS}

    def __init__(self):
        self.api = HttpApi()
        self.api.start()
        self.trust = ssl.create_default_context(cafile=self.api.ca.crt)

    def remove(self):
        self.api.remove()

    def make_admin(self, name):
        pass

    def admin_password(self, name, password):
        with self.api.lock:
            self.api.admins[name] = password

    def target(self):
        return {"host": "localhost", "port": self.api.port, "ca": self.api.ca.pem}

    def declared(self, strategy):
        return {"api": json.dumps(self.apis[strategy])}

    def make_accounts(self, secret):
        with self.api.lock:
            account = self.api.accounts[secret.accounts[0]]
            if secret.strategy == "overlap":
                account.keys["K" + random_secrets.token_hex(6)] = ("by hand", secret.first)
            else:
                account.password = secret.first

    def members(self, secret):
        ids = list(self.api.accounts[secret.accounts[0]].keys)
        return {"key_id": ids[0]} if ids else {}

    def login(self, user, password):
        """A key is tried under its own id, which only the API can say of a value."""
        with self.api.lock:
            ids = [i for i, (_, value) in self.api.accounts[user].keys.items() if value == password]
        basic = base64.b64encode(("%s:%s" % (ids[0] if ids else user, password)).encode()).decode()
        connection = http.client.HTTPSConnection("localhost", self.api.port, timeout=60, context=self.trust)
        try:
            connection.request("GET", "/v1/me", headers={"Authorization": "Basic " + basic})
            return {200: "A", 401: "R"}.get(connection.getresponse().status, "U")
        except (OSError, http.client.HTTPException):
            return "U"
        finally:
            connection.close()

    def session(self, *_):
        return None

    def closed(self, account):
        return self.state(account) == (None, {})

    def state(self, account):
        with self.api.lock:
            held = self.api.accounts[account]
            return held.password, dict(held.keys)

    def put(self, account, state):
        with self.api.lock:
            held = self.api.accounts[account]
            held.password, held.keys = state[0], collections.OrderedDict(state[1])

    def spoil(self, account):
        """Each key has another value than it had."""
        _, keys = self.state(account)
        self.put(account, (None if keys else STOLEN, {i: (name, STOLEN) for i, (name, _) in keys.items()}))

    @contextlib.contextmanager
    def open(self, _scene, secret):
        self.api.open.update(secret.accounts)
        try:
            yield
        finally:
            self.api.open.difference_update(secret.accounts)

    def front(self):
        return HttpFront(self)

    def stop(self):
        self.api.stop()

    def start(self):
        self.api.start()

    def files(self, agent):
        return '''
  file "{folder}/curl.conf" {{
    contents = <<-EOF
      user = "{{{{ secret "{path}" "{name}" }}}}:{{{{ secret "{path}" "password" }}}}"
      EOF
    mode = "0400"
  }}'''.format(folder=agent.folder, path=agent.secret.path,
               name="key_id" if agent.secret.strategy == "overlap" else "username")

    def health(self, agent):
        return "exec curl -sSf --cacert %s -K %s/curl.conf -o /dev/null https://localhost:%d/v1/me" % (
            self.api.ca.crt, agent.folder, self.api.port)


# What a test that is a table over drivers has as its columns.
PLACES = {place.driver: place for place in (PostgresPlace, MariaPlace, RedisPlace, LdapPlace, SshPlace, ExecPlace,
                                            HttpPlace)}
