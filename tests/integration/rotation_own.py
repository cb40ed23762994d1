#!/usr/bin/python3
"""What people log in with here, rotated by vaultd: as docs/rotation.md types it, and struck at each moment of a run.

    tests/integration/rotation_own.py ['part of a case name']
    tests/integration/rotation_own.py --all    with tokens, and vaultd killed: make torture

However it is struck: the new credential opens the vault, the old one does not, and there is none besides.
"""
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
from keyturn import Report, Vault, contains, equal, wait_for  # noqa: E402
from rotation import fault_programs  # noqa: E402

ENDED = ("done", "rolled_back", "cancelled", "frozen")
ROLE, TOKENS = "auth/approle/role/ci", "auth/token/roles/ci"
MOMENTS = ("run_generated", "run_intent_apply", "run_apply_sent", "run_apply_done", "run_outcome_commit", "run_verified",
           "run_promoted", "run_intent_revoke", "run_revoke_sent", "run_revoke_done")


def story(run):
    return "; ".join("%s %s: %s" % (s["kind"], s["name"], s["text"]) for s in run["steps"])


class Own:
    def __init__(self, vault):
        self.vault, self.shown = vault, []
        vault.ok("POST", "sys/auth/approle", {"type": "approle"})
        vault.ok("POST", ROLE, {"token_policies": ["default"]})
        vault.ok("POST", TOKENS, {"orphan": True, "allowed_policies": ["default"], "token_period": "24h"})
        self.role_id = vault.ok("GET", ROLE + "/role-id").data["role_id"]

    def first(self, account):
        if account == ROLE:
            made = self.vault.ok("POST", ROLE + "/secret-id", {}).data
            return made["secret_id"], made["secret_id_accessor"]
        made = self.vault.ok("POST", "auth/token/create/ci", {}).json["auth"]
        return made["client_token"], made["accessor"]

    def begin(self, account):
        value, accessor = self.first(account)
        self.shown.append(value)
        self.vault.ok("POST", "secret/data/ci/login", {"data": {"username": account, "password": value, "key_id": accessor}})
        self.vault.ok("POST", "rotation/targets/here", {"driver": "vault"})
        self.vault.ok("POST", "rotation/secrets/secret/ci/login", {
            "target": "here", "strategy": "overlap", "accounts": [account], "overlap": "0s", "soak": "0s", "drain": "0s",
            "loose_readers": "ignore", "max_overlap": "10m"})

    def ended(self, run):
        def look():
            now = self.vault.ok("GET", "rotation/runs/" + run).data
            return now if now["state"] in ENDED else None
        return wait_for("run %s to end" % run, look, 60)

    def rotate(self):
        run = self.vault.ok("POST", "rotation/rotate/secret/ci/login", {"reason": "test"}).data["run"]
        now = self.ended(run)
        equal(now["state"], "done", story(now))
        return now

    def value(self, version):
        value = self.vault.ok("GET", "secret/data/ci/login?version=%d" % version).data["data"]["password"]
        self.shown.append(value)
        return value

    def current(self):
        return self.vault.ok("GET", "secret/data/ci/login").data["metadata"]["version"]

    def opens(self, account, value):
        if account == TOKENS:
            return self.vault.call("GET", "auth/token/lookup-self", token=value).status == 200
        return self.vault.call("POST", "auth/approle/login", {"role_id": self.role_id, "secret_id": value}).status == 200

    def alone(self, account):
        """The new one, not the old one, and none besides."""
        current = self.current()
        equal((self.opens(account, self.value(current)), self.opens(account, self.value(1))), (True, False),
              "the new one and the first")
        kept = self.vault.ok("GET", "secret/data/ci/login").data["data"]["key_id"]
        if account == ROLE:
            equal(self.vault.ok("LIST", ROLE + "/secret-id").data["keys"], [kept], "secret ids of the role")
            return
        lookup = lambda accessor: self.vault.ok("POST", "auth/token/lookup-accessor", {"accessor": accessor}).data
        paths = {a: lookup(a)["path"] for a in self.vault.ok("LIST", "auth/token/accessors").data["keys"]}
        equal([a for a, path in paths.items() if path == "auth/token/create/ci"], [kept], "tokens of the role")


class Struck:
    def __init__(self, account, moments, how="error"):
        self.account, self.how = account, how
        self.points = ",".join("%s=%s@1" % (moment, how) for moment in moments)

    def __call__(self):
        with Vault(programs=fault_programs(), env={"KEYTURN_FAILPOINTS": self.points}) as vault:
            vault.ready()
            own = Own(vault)
            own.begin(self.account)
            if self.how == "error":
                own.rotate()
            else:
                self.killed(vault, own)
            own.alone(self.account)

    def killed(self, vault, own):
        run = vault.ok("POST", "rotation/rotate/secret/ci/login", {"reason": "test"}).data["run"]
        wait_for("vaultd to be killed", lambda: vault.process.poll() is not None, 60)
        vault.env = {}
        vault.restart()
        vault.unseal()
        now = own.ended(run)
        equal(now["state"], "done", story(now))


def as_documented(vault):
    """Typed, with the least that it takes; nothing of it is in a log, a run, a report."""
    own = Own(vault)
    vault.ok("POST", "sys/policies/acl/rotator", {"policy": """
        path "rotation/targets/*" { capabilities = ["create", "update"] }
        path "rotation/secrets/secret/ci/*" { capabilities = ["create", "update"] }
        path "rotation/rotate/secret/ci/*" { capabilities = ["update"] }
        path "rotation/runs/*" { capabilities = ["read"] }
        path "auth/approle/role/ci/secret-id" { capabilities = ["update"] }"""})
    token = vault.ok("POST", "auth/token/create", {"policies": ["rotator"]}).json["auth"]["client_token"]
    value, accessor = own.first(ROLE)
    vault.ok("POST", "secret/data/ci/login",
             {"data": {"made_by": ROLE, "role_id": own.role_id, "secret_id": value, "key_id": accessor}})
    vault.ctl("target", "set", "here", "driver=vault", token=token)
    said = vault.ctl("schedule", "set", "secret/ci/login", "target=here", "strategy=overlap", "accounts=" + ROLE,
                     "username_field=made_by", "password_field=secret_id", "period=7d", "overlap=0s", "soak=0s", "drain=0s",
                     token=token)
    equal(said.returncode, 0, said)
    said = vault.ctl("rotate", "-reason=first", "secret/ci/login", token=token)
    run = vault.ok("LIST", "rotation/runs").data["keys"][0]
    equal(own.ended(run)["state"], "done", said)
    data = vault.ok("GET", "secret/data/ci/login").data["data"]
    equal(own.opens(ROLE, data["secret_id"]), True, "the new one")
    shown = str(vault.ok("GET", "rotation/runs/" + run).data) + str(vault.ok("GET", "rotation/runs/%s/report" % run).data)
    contains(shown, "a new secret id was drawn")
    first = vault.ok("GET", "secret/data/ci/login?version=1").data["data"]["secret_id"]
    for value in (data["secret_id"], first):
        equal(value in shown + vault.log_text(), False, "a secret id in a run, a report or the log")
    contains(vault.ctl("plan").stdout, "secret/ci/login")


def main():
    everything = "--all" in sys.argv
    report = Report(next((a for a in sys.argv[1:] if a != "--all"), ""))
    with Vault() as vault:
        vault.ready()
        report.case("as the documentation types it", lambda: as_documented(vault))
    for account, name in ((ROLE, "a secret id"), (TOKENS, "a token")):
        if everything or report.only or account == ROLE:  # unit/fault_rotation_test has tokens
            report.case("%s, struck at every moment of one run" % name, Struck(account, MOMENTS))
        for moment in MOMENTS if everything else ():
            if moment != "run_outcome_commit":
                report.case("%s, vaultd killed: %s" % (name, moment), Struck(account, (moment,), "kill"))
    report.end()


if __name__ == "__main__":
    main()
