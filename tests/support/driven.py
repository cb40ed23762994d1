"""What tests of rotation at one real server share: a secret whose runs are started and waited for, and the
passwords that must be seen nowhere.

    class Secret(Driven):
        def __init__(self, test, name):
            super().__init__(test, "db/" + name)
            self.begin({"username": name, "password": test.value()}, target="cache", strategy="overlap", accounts=[name])
    run = Secret(test, "one").done()

Unlike the scenes of rotation.py these read what they look at through the API, and have no agents.
"""
import secrets as random_secrets

from keyturn import equal, wait_for

ENDED = ("done", "rolled_back", "cancelled", "frozen")
LOW = {"overlap": "0s", "soak": "0s", "drain": "0s", "period": "10h", "max_overlap": "10m",
       "loose_readers": "ignore"}  # the tests read each version


def story(run):
    return "; ".join("%s %s: %s" % (s["kind"], s["name"], s["text"]) for s in run["steps"])


class Driven:
    """A secret that rotates."""

    def __init__(self, test, inner):
        self.test, self.vault = test, test.vault
        self.inner, self.path = inner, "secret/" + inner

    def begin(self, data, **settings):
        """Its first version, and how it rotates. A member is added that has to stay."""
        self.vault.ok("POST", "secret/data/" + self.inner, {"data": dict(data, note="stays")})
        self.set(**{**LOW, **settings})

    def set(self, **settings):
        self.vault.ok("POST", "rotation/secrets/" + self.path, settings)

    # ---- runs ----

    def start(self, what="rotate", **body):
        return self.vault.ok("POST", "rotation/%s/%s" % (what, self.path), {"reason": "test", **body}).data["run"]

    def run(self, run_id):
        return self.vault.ok("GET", "rotation/runs/" + run_id).data

    def reached(self, run_id, *states):
        """The run, as soon as it is in one of these states; without any, as soon as it ended."""
        def look():
            run = self.run(run_id)
            return run if run["state"] in states + ENDED else None
        run = wait_for("run %s to be %s" % (run_id, states or "over"), look, 90)
        if states and run["state"] not in states:
            raise AssertionError("it is %s: %s" % (run["state"], story(run)))
        return run

    def ends(self, run_id, state):
        run = self.reached(run_id)
        equal(run["state"], state, story(run))
        return run

    def held(self):
        """A run that overlaps until somebody, who has the old version, reads the new one."""
        self.set(loose_readers="hold")
        self.vault.ok("GET", "secret/data/" + self.inner)
        run_id = self.start()
        self.reached(run_id, "overlapping")
        return run_id

    def cancelled(self, run_id):
        self.vault.ok("POST", "rotation/runs/%s/cancel" % run_id, {"reason": "test"})
        return self.ends(run_id, "rolled_back")

    def rotate(self, what="rotate", **body):
        return self.reached(self.start(what, **body))

    def done(self, what="rotate", **body):
        return self.ends(self.start(what, **body), "done")

    # ---- versions ----

    def data(self, number):
        data = self.vault.ok("GET", "secret/data/%s?version=%d" % (self.inner, number)).data["data"]
        equal(data["note"], "stays", "the member that is not rotated")
        return data

    def version(self, number):
        """(username, password)"""
        data = self.data(number)
        self.test.planted.append(data["password"])
        return data["username"], data["password"]

    def answers(self, *numbers):
        """What the server's own client gets with these versions: A, R."""
        return "".join(self.login(number) for number in numbers)


class Planted:
    """The passwords of a test."""

    def __init__(self, *values):
        self.planted = list(values)

    def value(self):
        self.planted.append(random_secrets.token_hex(14))
        return self.planted[-1]

    def nowhere(self, places, *more):
        """None of them is in one of the texts, (name, text)."""
        for where, text in places:
            for value in self.planted + list(more):
                equal(value in text, False, "a password in " + where)
