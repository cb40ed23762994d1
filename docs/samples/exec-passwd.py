#!/usr/bin/python3 -I
"""A program for Keyturn's driver "exec": accounts in a file of hashed passwords.

    driver_program "passwd" {
      command = ["/usr/libexec/keyturn/exec-passwd.py", "/var/lib/app/accounts"]
      write   = ["/var/lib/app"]
    }

A line of the file is NAME:SALT:HASH (scrypt, hex), or NAME:: for an account that accepts nothing. The file is
replaced as a whole, so a reader sees the old one or the new one, and a crash leaves one of them. Several secrets may
be in one file: who changes it holds a lock from reading to replacing, on the folder, since the file is another one
afterwards. Every operation sets a state, so each may be repeated. The protocol: docs/driver-exec.md.
"""
import fcntl
import hashlib
import hmac
import json
import os
import sys


def hashed(password, salt):
    return hashlib.scrypt(password.encode(), salt=bytes.fromhex(salt), n=2**14, r=8, p=1).hex()


class Accounts:
    def __init__(self, path):
        self.path = path
        self.lines = {}
        if os.path.exists(path):
            with open(path) as f:
                for line in f:
                    name, salt, digest = line.rstrip("\n").split(":")
                    self.lines[name] = (salt, digest)

    def save(self):
        fresh = self.path + ".new"
        with open(fresh, "w") as f:
            for name, (salt, digest) in sorted(self.lines.items()):
                f.write("%s:%s:%s\n" % (name, salt, digest))
            f.flush()
            os.fsync(f.fileno())
        os.rename(fresh, self.path)
        folder = os.open(os.path.dirname(self.path), os.O_RDONLY)
        os.fsync(folder)
        os.close(folder)

    def accepts(self, name, password):
        salt, digest = self.lines.get(name, ("", ""))
        return digest != "" and hmac.compare_digest(hashed(password, salt), digest)


def inspect(accounts, order):
    findings = []
    if order["account"] not in accounts.lines:
        findings.append("there is no account '%s' yet" % order["account"])
    return {"class": "ok", "findings": findings, "server_id": "passwd-file", "server_version": "passwd file"}


def create(accounts, order):
    accounts.lines.setdefault(order["account"], ("", ""))
    accounts.save()
    return {"class": "ok", "text": "the account exists"}


def apply(accounts, order):
    if order["account"] not in accounts.lines:
        return {"class": "permanent", "code": "missing", "text": "there is no such account"}
    if len(order["password"]) < 8:
        return {"class": "value", "code": "short", "text": "a password has at least 8 characters here"}
    salt = os.urandom(16).hex()
    accounts.lines[order["account"]] = (salt, hashed(order["password"], salt))
    accounts.save()
    return {"class": "ok", "text": "the account accepts the value"}


def probe(accounts, order):
    login = order["login"]
    if login["who"] == "admin":  # the rights of this program: may it change the file?
        folder = os.path.dirname(accounts.path)
        os.stat(folder)  # that it is not there (a disk that is away) is no refusal
        able = os.access(folder, os.W_OK)
        return {"class": "ok", "answer": "accepted" if able else "refused", "server_id": "passwd-file"}
    able = accounts.accepts(login["username"], login["password"])
    return {"class": "ok", "answer": "accepted" if able else "refused"}


def revoke(accounts, order):
    if order["account"] in accounts.lines:
        accounts.lines[order["account"]] = ("", "")
        accounts.save()
    return {"class": "ok", "text": "the account accepts nothing"}


CHANGES = (create, apply, revoke)
OPERATIONS = {"inspect": inspect, "create": create, "apply": apply, "restore": apply, "verify": probe,
              "probe": probe, "revoke": revoke}


def main():
    order = json.load(sys.stdin)
    if order["version"] != 1 or order["operation"] not in OPERATIONS:
        answer = {"class": "permanent", "code": "version", "text": "this program speaks version 1 only"}
    else:
        operation = OPERATIONS[order["operation"]]
        try:
            if operation in CHANGES:  # until this program ends
                fcntl.flock(os.open(os.path.dirname(sys.argv[1]), os.O_RDONLY), fcntl.LOCK_EX)
            answer = operation(Accounts(sys.argv[1]), order)
        except OSError as error:
            # Whether the file was replaced is not certain: the vault looks by itself.
            answer = {"class": "unreach", "code": "file", "text": "%s: %s" % (sys.argv[1], error.strerror)}
    json.dump(dict(answer, version=1), sys.stdout)


main()
