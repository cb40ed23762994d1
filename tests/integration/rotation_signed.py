#!/usr/bin/python3
"""What is signed in the vault, killed before and after each commit of its run.

    tests/integration/rotation_signed.py ['part of a case name']

Two columns of the failpoint matrix (rotation_failpoints.py) that have no target: certificates of X.509 and of
SSH. Wherever vaultd dies, each run that is there afterwards is done, each has one version and there is no other,
and the current one's certificate is whole, belongs to its key and is signed.
"""
import os
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
from keyturn import Report, Vault, contains, equal, wait_for  # noqa: E402
from rotation import TERMINAL, fault_programs, story, together  # noqa: E402

COMMITS = 12  # of the store from a start to the end of a run: there are fewer
KINDS = {"x509": ({"type": "x509-ca", "common_name": "Root"},
                  {"type": "x509", "names": "app.example.com"}),
         "ssh-cert": ({"type": "ssh-ed25519"}, {"type": "ssh-cert", "names": "deploy"})}


def written(folder, name, text):
    path = os.path.join(folder, name)
    with open(os.open(path, os.O_WRONLY | os.O_CREAT, 0o600), "w") as f:
        f.write(text)
    return path


def said(*argv):
    return subprocess.run(argv, capture_output=True, text=True, check=True).stdout


def whole_x509(folder, data, _issuer):
    leaf, root = written(folder, "leaf", data["certificate"]), written(folder, "root", data["root_certificate"])
    contains(said("openssl", "verify", "-CAfile", root, leaf), "OK")
    key = said("openssl", "pkey", "-pubout", "-in", written(folder, "key", data["private_key"]))
    equal(said("openssl", "x509", "-noout", "-pubkey", "-in", leaf), key, "the certificate's key")


def whole_ssh(folder, data, issuer):
    public = said("ssh-keygen", "-y", "-f", written(folder, "key", data["private_key"]))
    shown = said("ssh-keygen", "-L", "-f", written(folder, "key-cert.pub", data["certificate"] + "\n"))
    for key in (said("ssh-keygen", "-y", "-f", written(folder, "ca", issuer["private_key"])), public):
        contains(shown, said("ssh-keygen", "-lf", written(folder, "pub-%d" % hash(key), key)).split()[1])


WHOLE = {"x509": whole_x509, "ssh-cert": whole_ssh}


class Signed:
    def __init__(self, kind):
        self.kind = kind
        self.vault = Vault(programs=fault_programs())

    def make(self, path, generator):
        member = {"password_field": "private_key", "public_field": "public_key"} \
            if generator["type"] == "ssh-ed25519" else {}
        self.vault.ok("POST", "rotation/secrets/secret/" + path,
                      {"strategy": "generate", "period": "10h", "generator": generator, **member})
        self.vault.ok("POST", "rotation/rotate/secret/" + path, {"reason": "test"})
        self.settled(path)

    def runs(self, path):
        keys = self.vault.ok("LIST", "rotation/runs?secret=secret/" + path).data["keys"]
        return [self.vault.ok("GET", "rotation/runs/" + key).data for key in keys]

    def settled(self, path):
        """All of its runs."""
        def look():
            runs = self.runs(path)
            return runs if all(run["state"] in TERMINAL + ("frozen",) for run in runs) else None
        runs = wait_for("the runs of %s to end" % path, look, 60)
        for run in runs:
            equal(run["state"], "done", story(run))
        return runs

    def again(self, **env):
        self.vault.kill()
        self.vault.env = env
        self.vault.start()

    def strike(self, point):
        """True: it died. The order to rotate may have no answer then."""
        self.again(KEYTURN_FAILPOINTS=point)
        try:
            self.vault.unseal()
            self.vault.ok("POST", "rotation/rotate/secret/leaf", {"reason": "test"})
            self.settled("leaf")
        except (OSError, AssertionError):
            self.vault.process.wait(60)  # nothing else is why it did not answer
        died = self.vault.process.poll() is not None
        self.again()  # after the last commit, if it lives
        self.vault.unseal()
        return died

    def check(self):
        runs = self.settled("leaf")
        for run in runs:
            equal(self.vault.ok("GET", "rotation/runs/%s/report" % run["id"]).data["report"]["state"], "done")
        versions = self.vault.ok("GET", "secret/metadata/leaf").data["versions"]
        equal(len(versions), len(runs), "versions, one a run")
        current = self.vault.ok("GET", "secret/data/leaf").data
        equal(current["metadata"]["version"], len(versions), "the current version")
        with tempfile.TemporaryDirectory(dir="/dev/shm", prefix="kt-signed-") as folder:
            WHOLE[self.kind](folder, current["data"], self.vault.ok("GET", "secret/data/ca").data["data"])


def killed(kind, point):
    authority, leaf = KINDS[kind]
    signed = Signed(kind)
    try:
        signed.vault.ready()
        signed.make("ca", authority)
        signed.make("leaf", dict(leaf, issuer="secret/ca"))
        n = 1
        while n < COMMITS and signed.strike("%s=kill@%d" % (point, n)):
            signed.check()
            n += 1
        signed.check()
        equal(1 < n < COMMITS, True, "it died at %d commits, and then at none" % (n - 1))
    finally:
        signed.vault.remove()


def main():
    report = Report()
    fault_programs()
    together(report, [("%s: killed %s each commit" % (kind, when), killed, kind, "store_%s_commit" % when)
                      for kind in KINDS for when in ("before", "after")])
    report.end()


main()
