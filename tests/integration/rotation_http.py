#!/usr/bin/python3
"""Rotation by vaultd at an HTTPS API: values that the vault made, two slots, and keys that the API makes and shows once.

    tests/integration/rotation_http.py ['part of a case name']
    tests/integration/rotation_http.py --all    with those that take long: make torture

The new value is tried with curl, the old one is refused afterwards; answers that are lost, cut, late, or somebody
else's; what nobody but the API knows is deleted, and nothing else is.
"""
import json
import os
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
from driven import Driven, Planted, story  # noqa: E402
from http_api import KEYS, PASSWORDS, SLOTS, HttpApi  # noqa: E402
from keyturn import Report, Vault, contains, equal  # noqa: E402
from rotation import fault_programs  # noqa: E402

# Where nothing can be ended, nothing but in-place is possible.
SET_ONLY = {name: request for name, request in PASSWORDS.items() if name != "delete"}
DECLARED = {"in-place": ("passwords", SET_ONLY), "alternate": ("slots", SLOTS), "overlap": ("keys", KEYS)}


class Secret(Driven):
    def __init__(self, test, name, strategy, target=None):
        super().__init__(test, "api/" + name)
        self.api, self.name, self.strategy = test.api, name, strategy
        data = {"username": name}
        accounts = [name]
        if strategy == "overlap":
            self.first = self.api.key(name)
            data.update(password=self.first[1], key_id=self.first[0])
        else:
            data["password"] = self.api.accounts[name].password = test.value()
        if strategy == "alternate":
            accounts.append(name + "_2")
        self.begin(data, target=target or DECLARED[strategy][0], strategy=strategy, accounts=accounts)

    def login(self, number):
        return self.curl(self.data(number))

    def curl(self, data):
        """A: the API takes it; R: it is refused."""
        self.test.planted.append(data["password"])
        done = subprocess.run(
            ["curl", "-sS", "--cacert", self.api.ca.crt, "-K", "-", "https://localhost:%d/v1/me" % self.api.port, "-w",
             "%{http_code}", "-o", "/dev/null"], input='user = "%s:%s"\n' % (data.get("key_id", data["username"]),
                                                                          data["password"]),
            text=True, capture_output=True, timeout=30)
        return {"200": "A", "401": "R"}.get(done.stdout, done.stdout + done.stderr)

    def current(self):
        return self.vault.ok("GET", "secret/data/" + self.inner).data["metadata"]["version"]


class Test(Planted):
    def __init__(self, vault, api, everything=False):
        super().__init__(api.admin)
        self.vault, self.api, self.all = vault, api, everything
        for name, declared in DECLARED.values():
            vault.ok("POST", "rotation/targets/" + name, api.target(declared))
        vault.ok("POST", "rotation/targets/hasty", api.target(KEYS, statement_timeout=1))

    def check(self):
        for name, _ in DECLARED.values():
            answer = self.vault.ok("POST", "rotation/targets/%s/check" % name, {}).data
            equal(answer["ok"], True, answer)
        by_id = dict(KEYS, test=dict(KEYS["test"], path="/v1/me?key={id}"))  # a target has no id
        self.vault.ok("POST", "rotation/targets/by-id", self.api.target(by_id))
        answer = self.vault.ok("POST", "rotation/targets/by-id/check", {}).data
        equal(answer["ok"], True, answer)
        contains(str(answer["steps"]), "not tried")

    def in_place(self):
        self.vault.ok("POST", "rotation/targets/learns", self.api.target(SET_ONLY))
        secret = Secret(self, "robot", "in-place", "learns")
        secret.done()
        equal(secret.answers(2, 1), "AR", "the new and the old")
        secret.done(back=True)
        equal((secret.data(3)["password"], secret.answers(3, 2)), (secret.data(1)["password"], "AR"), "back")
        said = self.vault.ctl("drill", secret.path, check=False)
        contains(said.stdout + said.stderr, "KT-R-031")
        contains(self.vault.ctl("drill", "-allow-gap", secret.path).stdout, "DRILLED")
        contains(self.vault.ctl("plan", secret.path).stdout, "- without a gap: its target can do nothing else")
        # Two accounts in turn are possible, too, where a password can be ended.
        self.vault.ok("POST", "rotation/targets/both", self.api.target(PASSWORDS))
        refused = self.vault.call("POST", "rotation/secrets/" + secret.path, {"target": "both"})
        equal(refused.status, 400, refused)
        contains(str(refused), "KT-R-032")
        # What stands there goes on when the API learns it, and is told so.
        self.vault.ok("POST", "rotation/targets/learns", self.api.target(PASSWORDS))
        better = "strategy=alternate accounts=robot,SECOND; "
        said = self.vault.ctl("schedule", "set", secret.path, "owner=robots")
        contains(said.stdout + said.stderr, "target 'learns' can do without: " + better)
        contains(self.vault.ctl("plan", secret.path).stdout,
                 "- in-place, though target learns can do without a gap: secretctl schedule set %s %s" % (secret.path, better))
        secret.done()

    def slots(self):
        secret = Secret(self, "slot", "alternate")
        for current in (2, 3) if self.all else (2,):
            secret.done()
            equal(secret.answers(current, current - 1), "AR", "the new and the old")
        equal([secret.data(n)["username"] for n in range(1, current + 1)], ["slot", "slot_2", "slot"][:current], "in turn")

    def keys(self):
        secret = Secret(self, "svc", "overlap")
        foreign = self.api.key("svc", "somebody else's")
        for current in (2, 3) if self.all else (2,):
            run = secret.done()
            contains(story(run), "the API made a new key")
            equal(secret.answers(current, current - 1), "AR", "the new and the old")
            equal(set(self.api.accounts["svc"].keys), {foreign[0], secret.data(current)["key_id"]}, "the keys")
        contains(story(run), "the account has keys besides the vault's current one: 1")

    def one_key(self, secret, version, *more):
        """The account has this version's key, these, and no other."""
        equal(set(self.api.accounts[secret.name].keys), {secret.data(version)["key_id"], *more}, "the keys")

    def answer_lost(self):
        """The key was made, and nobody has its value: it is deleted, and one that is known takes its place."""
        for how in ("lost", "half") if self.all else ("lost",):
            secret = Secret(self, "svc-" + how, "overlap")
            # There is room for one more: what was lost has to go before another one is made.
            foreign = [self.api.key(secret.name)[0] for _ in range(self.api.most_keys - 2)]
            self.api.fail("create", how, how)
            run = secret.done()
            contains(story(run), "keys of this run whose answers were lost, deleted: 1")
            equal(secret.answers(2, 1), "AR", "the new and the old")
            self.one_key(secret, 2, *foreign)

    def slot_lost(self):
        secret = Secret(self, "slot-lost", "alternate")
        self.api.fail("create", "lost")
        self.api.fail("delete", "lost")
        secret.done()
        equal(secret.answers(2, 1), "AR", "the new and the old")

    def set_lost(self):
        secret = Secret(self, "robot-lost", "in-place")
        self.api.fail("set", "lost")
        secret.done()
        equal(secret.answers(2, 1), "AR", "the new and the old")

    def delete_lost(self):
        secret = Secret(self, "svc-del", "overlap")
        self.api.fail("delete", "lost")
        secret.done()
        self.one_key(secret, 2)

    def pages(self):
        """What a proxy says is no evidence, whatever its status."""
        secret = Secret(self, "svc-page", "overlap")
        self.api.fail("create", "html", "denied page", "redirect")
        self.api.fail("test", "denied page")
        run = secret.done()
        contains(story(run), "an HTML page")
        contains(story(run), "a redirect, which is not followed")
        equal([path for _, path in self.api.requests if "elsewhere" in path], [], "requests to where it redirects")
        equal(secret.answers(2, 1), "AR", "the new and the old")
        self.one_key(secret, 2)

    def later(self):
        """A short wait is waited for within the step, a long one is not."""
        secret = Secret(self, "svc-later", "overlap")
        self.api.fail("create", "later", "much later")
        run = secret.done()
        contains(story(run), '"create" was answered with status 503: maintenance')
        equal("status 429" in story(run), False, "the short wait in the report")
        self.one_key(secret, 2)

    def broken(self):
        """It did what it was asked, and says that it broke; it says nothing at all."""
        for how, text in (("broken", "status 500: internal error; that says nothing"), ("hang", "(timeout)")):
            secret = Secret(self, "svc-" + how, "overlap", "hasty")
            self.api.fail("create", how)
            run = secret.done()
            contains(story(run), text)
            equal(secret.answers(2, 1), "AR", "the new and the old")
            self.one_key(secret, 2)

    def who_answers(self):
        """Nothing is shown to a server that cannot prove its name."""
        for name, text, how in (("expired", "expired", {"dates": ("20200101000000Z", "20200201000000Z")}),
                                ("named", "name", {"names": "DNS:other.example"})):
            with HttpApi(**how) as other:
                self.vault.ok("POST", "rotation/targets/" + name, other.target(KEYS))
                answer = self.vault.ok("POST", "rotation/targets/%s/check" % name, {}).data
                equal((answer["ok"], other.requests), (False, []), answer)
                contains(str(answer["steps"]), text)

    def too_many(self):
        """The API's own limit: nothing is deleted to make room."""
        secret = Secret(self, "svc-full", "overlap")
        keys = [secret.first[0]] + [self.api.key(secret.name)[0] for _ in range(self.api.most_keys - 1)]
        run = secret.ends(secret.start(), "rolled_back")
        contains(story(run), "the account has all the keys that it may have")
        equal((list(self.api.accounts[secret.name].keys), secret.answers(1), secret.current()), (keys, "A", 1), "as it was")

    def gives_what_it_has(self):
        """It makes no key and shows the old one: that is not taken for a new one, to end the old one with."""
        secret = Secret(self, "svc-get", "overlap")
        self.api.fail("create", "what there is")
        run = secret.ends(secret.start(), "rolled_back")
        contains(story(run), "was there before")
        equal((secret.answers(1), secret.current()), ("A", 1), "as it was")
        self.one_key(secret, 1)

    def refused_for_a_moment(self):
        """Both are refused once, and another key is made: until it is stored the one that is stored works on."""
        secret = Secret(self, "svc-moment", "overlap")
        self.api.fail("create", "refuses for a moment")
        before = len(self.api.requests)
        secret.done()
        changes = [method for method, _ in self.api.requests[before:] if method != "GET"]
        equal(changes[:2], ["POST", "POST"], "requests that change something, up to the second key")
        equal(secret.answers(secret.current(), 1), "AR", "the new and the old")
        self.one_key(secret, secret.current())

    def not_allowed(self):
        """A value that the API's rules refuse, and its answer repeats: another one, and no word of it."""
        secret = Secret(self, "robot-echo", "in-place")
        self.api.fail("set", "echo")
        run = secret.done()
        contains(story(run), "[redacted]")
        equal(secret.answers(secret.current(), 1), "AR", "the new and the old")

    def newest(self, secret):
        """As the API knows it: to read it from the vault would end the overlap."""
        if secret.strategy == "overlap":
            identity, (_, value) = list(self.api.accounts[secret.name].keys.items())[-1]
            return {"username": secret.name, "key_id": identity, "password": value, "note": "stays"}
        account = secret.name + "_2"
        return {"username": account, "password": self.api.accounts[account].password, "note": "stays"}

    def back(self):
        """Until the overlap is over both are accepted; going back deletes the new one."""
        for strategy in ("overlap", "alternate") if self.all else ("overlap",):
            secret = Secret(self, "back-" + strategy, strategy)
            run_id = secret.held()
            equal(secret.answers(1), "A", "the old one, meanwhile")
            new = self.newest(secret)
            equal(secret.curl(new), "A", "the new one")
            secret.cancelled(run_id)
            equal((secret.curl(new), secret.answers(1), secret.current()), ("R", "A", 1), "the new and the old, after")

    def forgotten(self):
        """What the API made and forgot cannot be set again: it makes another one, and the run goes forward."""
        secret = Secret(self, "svc-forgot", "overlap")
        self.api.fail("delete", "forget")  # after the old one was ended
        run = secret.done()
        contains(story(run), "waiting for the consumers to run version 3")
        equal((secret.current(), secret.answers(3, 2, 1)), (3, "ARR"), "another one in the place of the new one")
        self.one_key(secret, 3)
        self.api.fail("create", "forget")  # before anybody had it, and the old one with it
        secret.done()
        equal((secret.current(), secret.answers(5, 3)), (5, "AR"), "another one in the place of both")
        self.one_key(secret, 5)

    def forgets_again(self):
        """Once: then somebody has to look, and what the freeze says to type ends it."""
        secret = Secret(self, "svc-forgets", "overlap")
        self.api.fail("delete", "forget")
        self.api.fail("create", "", "forget")
        run = secret.ends(secret.start(), "frozen")
        contains(str(run["frozen"]), "KT-R-023")
        contains(run["frozen"]["next"], "secretctl run thaw %s   # has %s make another value" % (run["id"], "keys"))
        self.vault.ok("POST", "rotation/runs/%s/thaw" % run["id"], {"reason": "test"})
        run = secret.reached(run["id"], "done")
        equal((secret.current(), secret.answers(4, 1)), (4, "AR"), "the last one")
        self.one_key(secret, 4)

    def drilled(self):
        """There and back: the new key is deleted, the old one never."""
        secret = Secret(self, "svc-drill", "overlap")
        run = secret.ends(secret.start("drill"), "rolled_back")
        equal(run["drill"], "good", story(run))
        equal((secret.current(), secret.answers(1)), (1, "A"), "the old one")
        self.one_key(secret, 1)
        deleted = [path for method, path in self.api.requests if method == "DELETE" and "svc-drill" in path]
        equal([path for path in deleted if secret.first[0] in path], [], "requests to delete the old one")
        equal(len(deleted) > 0, True, "a request to delete the new one")

    def drill_without_return(self):
        """The old one was deleted by somebody meanwhile, and cannot be set again: nobody is sent back to it."""
        secret = Secret(self, "svc-noway", "overlap")
        self.api.fail("create", "lose the old")
        run = secret.done("drill")
        equal(run["drill"], "failed", story(run))
        equal((secret.current(), secret.answers(2, 1)), (2, "AR"), "the new one")
        self.one_key(secret, 2)

    def not_again(self):
        """What the API made cannot be set again."""
        secret = Secret(self, "svc-again", "overlap")
        secret.done()
        for path, code in (("rotate", "KT-R-006"), ("reconcile", "KT-R-004")):
            answer = self.vault.call("POST", "rotation/%s/%s" % (path, secret.path), {"reason": "test", **(
                {"back": True} if path == "rotate" else {})})
            equal(answer.status, 400, answer)
            contains(str(answer), code)
            contains(str(answer), "makes its values itself")

    def frozen(self, secret, code, text):
        run = secret.ends(secret.start(), "frozen")
        contains(str(run["frozen"]), code)
        contains(str(run["frozen"]) + story(run), text)
        self.vault.ok("POST", "rotation/runs/%s/cancel" % run["id"], {"reason": "test"})
        equal(secret.answers(1), "A", "the old one, untouched")

    def strangers(self):
        """Another tenant, an administrator who is refused, an API that takes anything: nothing is changed."""
        Secret(self, "svc-learn", "overlap").done()
        secret = Secret(self, "svc-odd", "overlap")
        self.api.tenant = "tenant-2"
        self.frozen(secret, "KT-R-013", "tenant-2")
        self.api.tenant = "tenant-1"
        self.api.admin = "another"
        self.frozen(secret, "KT-R-011", "administrative")
        self.api.admin = self.planted[0]
        anybody = dict(KEYS, test=dict(KEYS["test"], path="/v1/admin", match={}, headers={"X-Admin": self.api.admin}))
        self.vault.ok("POST", "rotation/targets/open", self.api.target(anybody))
        self.frozen(Secret(self, "svc-open", "overlap", "open"), "KT-R-012", "a wrong password accepted")

    def declared(self):
        """What is refused when it is written."""
        for text, change in (
                ("its path names a secret", {"set": dict(PASSWORDS["set"], path="/v1/x?password={value}")}),
                ("its path names a secret", {"admin": dict(PASSWORDS["admin"], path="/v1/x?token={admin}")}),
                ("it nowhere uses {value}", {"test": {"method": "GET", "path": "/v1/me"}})):
            answer = self.vault.call("POST", "rotation/targets/bad", self.api.target(dict(PASSWORDS, **change)))
            equal(answer.status, 400, answer)
            contains(str(answer), text)
        for more, text in (({"sslmode": "require"}, "verify-full"), ({"sslmode": "disable", "host": "192.0.2.7"}, "verify-full"),
                           ({"driver": "redis"}, "has no api"), ({"api": ""}, "needs api")):
            answer = self.vault.call("POST", "rotation/targets/bad", self.api.target(PASSWORDS, **more))
            equal(answer.status, 400, answer)
            contains(str(answer), text)
        answer = self.vault.call("POST", "rotation/secrets/secret/api/svc", {"strategy": "in-place", "accounts": ["svc"]})
        equal(answer.status, 400, answer)
        contains(str(answer), "cannot do strategy in-place")

    def never_shown(self):
        """Run last: no value of any case is in an address, a log, a run."""
        secret = Secret(self, "svc-shown", "overlap")
        secret.done()
        secret.answers(1, 2)
        runs = self.vault.ok("LIST", "rotation/runs").data["keys"]
        shown = "".join(str(self.vault.ok("GET", "rotation/runs/" + r).data) for r in runs)
        kept = [secret for account in self.api.accounts.values() for _, secret in account.keys.values()]
        equal(len(self.planted) > 2 and len(kept) > 0, True, "values to look for")
        targets = [self.vault.ok("GET", "rotation/targets/" + n).data for n, _ in DECLARED.values()]
        self.nowhere((("an address", json.dumps(self.api.requests)), ("vaultd's log", self.vault.log_text()),
                      ("a run", shown), ("a target", str(targets))), *kept)


class Struck:
    """vaultd is struck around the moment at which it learns the value that the API made."""

    def __init__(self, api, failpoints):
        self.api, self.failpoints = api, failpoints

    def __call__(self):
        number = len(self.api.accounts)
        with Vault(programs=fault_programs(), env={"KEYTURN_FAILPOINTS": self.failpoints}) as vault:
            vault.ready()
            test = Test(vault, self.api)
            secret = Secret(test, "struck%d" % number, "overlap")
            foreign = self.api.key(secret.name)[0]
            run = secret.done()
            equal(secret.answers(2, 1), "AR", "the new and the old")
            test.one_key(secret, 2, foreign)
            return run


def main():
    everything = "--all" in sys.argv
    report = Report(next((a for a in sys.argv[1:] if a != "--all"), ""))
    with HttpApi() as api, Vault() as vault:
        vault.ready()
        test = Test(vault, api, everything)
        cases = [
            ("the targets are checked", test.check),
            ("in place: rotated and back", test.in_place),
            ("two slots: rotated in turn", test.slots),
            ("keys in a list: rotated, foreign ones untouched", test.keys),
            ("45 keys: the answer is lost, one new key is left", test.answer_lost),
            ("no room for another key", test.too_many),
            ("both are accepted meanwhile, and back", test.back),
            ("what the API made is not set again", test.not_again),
            ("the API forgets what it made: another one takes its place", test.forgotten),
            ("a drill goes there and back", test.drilled),
            ("another tenant, a refused administrator, an open door", test.strangers),
            ("a certificate that is over, or of another", test.who_answers),
            ("what may be declared", test.declared)]
        if everything or report.only:
            cases += [
                ("the API forgets twice: frozen, and thawed it ends", test.forgets_again),
                ("it gives the key that it has", test.gives_what_it_has),
                ("both are refused for a moment: the stored one stays", test.refused_for_a_moment),
                ("a drill without a way back", test.drill_without_return),
                ("the API breaks, and hangs", test.broken),
                ("a value that is not allowed", test.not_allowed),
                ("slots: the answers are lost", test.slot_lost),
                ("in place: the answer is lost", test.set_lost),
                ("keys: the answer to deleting is lost", test.delete_lost),
                ("a page of a proxy says nothing, a redirect is not followed", test.pages),
                ("asked to wait", test.later)]
        for name, case in cases + [("no value in an address or a log", test.never_shown)]:
            report.case(name, case)
        struck = [("the made value cannot be stored at first", "run_outcome_commit=error@2")]
        if everything or report.only:
            struck += [("killed when the API had made the key, and nothing was stored", "run_apply_done=error@1"),
                       ("nothing was sent yet", "run_intent_apply=error@1"),
                       ("the step's answer is lost", "run_apply_sent=error@1")]
        for name, failpoints in struck:
            report.case(name, Struck(api, failpoints))
    report.end()


if __name__ == "__main__":
    main()
