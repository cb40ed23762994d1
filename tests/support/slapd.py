"""A real OpenLDAP server in a folder of its own, for tests.

    with Slapd() as slapd:                   # a password policy that locks after three, 127.0.0.1
        slapd.least_privilege()
        slapd.account("app", "its password") # uid=app,ou=services,dc=example,dc=org
        slapd.login(slapd.dn("app"), "its password")   # "A", "R" or what ldapwhoami says
"""

import base64
import hashlib
import os
import re
import secrets
import socket
import subprocess
import tempfile

from keyturn import ROOT, free_port
from pki import openssl
from server import Server

LEAST_PRIVILEGE = os.path.join(ROOT, "docs/ldap-least-privilege.ldif")
SUFFIX = "dc=example,dc=org"
ADMIN = "cn=keyturn," + SUFFIX
POLICY = "cn=default,ou=policies," + SUFFIX
ROOT_DN = "cn=config"

CONFIG = """
dn: cn=config
objectClass: olcGlobal
cn: config
olcPidFile: {folder}/pid
{tls}
dn: cn=module,cn=config
objectClass: olcModuleList
cn: module
olcModulePath: /usr/lib/ldap
{modules}

dn: cn=schema,cn=config
objectClass: olcSchemaConfig
cn: schema

include: file:///etc/ldap/schema/core.ldif
include: file:///etc/ldap/schema/cosine.ldif
include: file:///etc/ldap/schema/inetorgperson.ldif

dn: olcDatabase={{0}}config,cn=config
objectClass: olcDatabaseConfig
olcDatabase: {{0}}config
olcRootPW: {root}

dn: olcDatabase={{1}}mdb,cn=config
objectClass: olcDatabaseConfig
objectClass: olcMdbConfig
olcDatabase: {{1}}mdb
olcSuffix: dc=example,dc=org
olcRootDN: cn=config
olcDbDirectory: {folder}/data
olcDbNoSync: TRUE
olcAccess: to * by self read by anonymous auth by * none

dn: olcOverlay={{0}}ppolicy,olcDatabase={{1}}mdb,cn=config
objectClass: olcOverlayConfig
objectClass: olcPPolicyConfig
olcOverlay: {{0}}ppolicy
olcPPolicyDefault: cn=default,ou=policies,dc=example,dc=org
"""

DATA = """
dn: dc=example,dc=org
objectClass: organization
objectClass: dcObject
dc: example
o: example

dn: ou=services,dc=example,dc=org
objectClass: organizationalUnit
ou: services

dn: ou=policies,dc=example,dc=org
objectClass: organizationalUnit
ou: policies

dn: cn=default,ou=policies,dc=example,dc=org
objectClass: device
objectClass: pwdPolicy
cn: default
pwdAttribute: userPassword
pwdLockout: TRUE
pwdMaxFailure: 3
pwdCheckQuality: 1
"""


def own_address():
    """An address of this machine where LDAP's own port is free and may be listened at; None: it may not."""
    address = "127.%d.%d.%d" % tuple(1 + secrets.randbelow(250) for _ in range(3))
    with socket.socket() as s:
        try:
            s.bind((address, 389))
        except PermissionError:
            return None
    return address


def ssha512(password, salt=None):
    salt = os.urandom(16) if salt is None else salt
    return "{SSHA512}" + base64.b64encode(hashlib.sha512(password.encode() + salt).digest() + salt).decode()


def fits(value, password):
    """Is the stored value a hash of the password?"""
    if not value.startswith("{SSHA512}"):
        return False
    return value == ssha512(password, base64.b64decode(value[9:])[64:])


class LdapError(Exception):
    pass


class Slapd(Server):
    """sha2: does it have the module that checks {SSHA512}?"""

    def __init__(self, sha2=True):
        super().__init__("slapd", 0o711)  # a worker that is nobody comes to the socket
        self.sha2, self.tls_port = sha2, free_port()
        self.own_address = own_address()
        self.socket = os.path.join(self.folder, "run/ldapi")
        self.ca = os.path.join(self.folder, "server.pem")
        self.root_password = secrets.token_hex(16)
        self.admin_password = secrets.token_hex(16)
        self._write()

    def _write(self):
        for name, mode in (("data", 0o700), ("config", 0o700), ("run", 0o755)):
            os.mkdir(os.path.join(self.folder, name), mode)
        base = os.path.join(self.folder, "server")
        openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days",
                "2", "-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1,IP:" +
                (self.own_address or "127.0.0.2"), "-keyout",
                base + ".key", "-out", base + ".pem")
        modules = ["back_mdb", "ppolicy"] + (["pw-sha2"] if self.sha2 else [])
        tls = "olcTLSCertificateFile: %s.pem\nolcTLSCertificateKeyFile: %s.key\n" % (base, base)
        self._add("0", CONFIG.format(folder=self.folder, tls=tls, root=self.root_password,
                                     modules="\n".join("olcModuleLoad: " + m for m in modules)))
        self._add("1", DATA)

    def _add(self, number, ldif):
        done = subprocess.run(["/usr/sbin/slapadd", "-q", "-F", self.folder + "/config", "-n", number],
                              input=ldif, capture_output=True, text=True, timeout=60, check=False)
        if done.returncode != 0:
            raise LdapError("slapadd: " + done.stderr)

    # ---- life ----

    def start(self):
        urls = "ldap://127.0.0.1:%d/ ldaps://127.0.0.1:%d/ ldapi://%s/????x-mod=0777" % (
            self.port, self.tls_port, self.socket.replace("/", "%2F"))
        if self.own_address:
            urls += " ldap://%s/" % self.own_address
        self.run(["/usr/sbin/slapd", "-F", self.folder + "/config", "-h", urls, "-d", "stats"])

    def answers(self):
        return self.login(ROOT_DN, self.root_password) == "A"

    # ---- OpenLDAP's own client ----

    def client(self, tool, dn, password, *words, input=None):
        """What it says and its status; the password is in a file."""
        with tempfile.NamedTemporaryFile("w", dir=self.folder) as secret:
            secret.write(password)
            secret.flush()
            done = subprocess.run([tool, "-x", "-H", "ldapi://" + self.socket.replace("/", "%2F"), "-D", dn,
                                   "-y", secret.name, *words], input=input, capture_output=True, text=True,
                                  timeout=60, check=False, env={**os.environ, "LDAPNOINIT": "1"})
        return done.stdout + done.stderr, done.returncode

    def root(self, ldif, relax=False):
        """relax: attributes of the server's own may be changed."""
        said, status = self.client("ldapmodify", ROOT_DN, self.root_password, *(["-e", "relax"] if relax else []),
                                   input=ldif)
        if status != 0:
            raise LdapError(said)

    def read(self, dn, name):
        """All values of an attribute, as root."""
        said, status = self.client("ldapsearch", ROOT_DN, self.root_password, "-LLL", "-o", "ldif-wrap=no",
                                   "-s", "base", "-b", dn, name)
        if status != 0:
            raise LdapError(said)
        found = re.findall(r"^%s:(:?) (.*)$" % re.escape(name), said, re.M)
        return [base64.b64decode(value).decode() if coded else value for coded, value in found]

    def login(self, dn, password):
        said, status = self.client("ldapwhoami", dn, password)
        if "Invalid credentials" in said:
            return "R"
        return "A" if status == 0 else said

    # ---- what a test needs ----

    def least_privilege(self):
        """The login of docs/ldap-least-privilege.ldif, by its own words."""
        with open(LEAST_PRIVILEGE) as f:
            self.root(f.read().replace("ADMIN_HASH", ssha512(self.admin_password) if self.sha2
                                       else self.admin_password))

    @staticmethod
    def dn(name):
        return "uid=%s,ou=services,%s" % (name, SUFFIX)

    def account(self, name, *values):
        """An entry with these values of userPassword; what was there is gone, with its history."""
        self.client("ldapdelete", ROOT_DN, self.root_password, self.dn(name))
        self.root("dn: %s\nchangetype: add\nobjectClass: inetOrgPerson\ncn: %s\nsn: %s\n" % (
            self.dn(name), name, name))
        for value in values:  # a policy allows one value at a time
            self.root("dn: %s\nchangetype: modify\nadd: userPassword\nuserPassword: %s\n" % (
                self.dn(name), value))

    def passwords(self, name):
        return sorted(self.read(self.dn(name), "userPassword"))

    def set(self, dn, name, *values):
        lines = ["dn: " + dn, "changetype: modify", "replace: " + name] + ["%s: %s" % (name, v) for v in values]
        self.root("\n".join(lines) + "\n")
