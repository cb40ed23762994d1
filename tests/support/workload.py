"""Clients that change a vault and know afterwards what must be in it.

Each client owns its objects and makes one request at a time, so that for each object it knows: the
state after the last acknowledged change, or, if the vault went away under a change, the two states
that are possible. After a restart every object is looked at; anything else is a loss.

    load = Workload(vault, seed=1)
    load.run(0.5)                 clients work for so long; or until the vault is gone
    load.check()                  raises Lost
    load.check_log(log)           every acknowledged change has its outcome in the audit log
"""
import collections
import http.client
import json
import random
import socket
import threading
import time


class Lost(AssertionError):
    pass


class Gone(Exception):
    """No answer: the change may have happened or not."""


class Refused(Exception):
    """Not even a look was allowed: 5xx."""


ABSENT = "absent"


class Thing:
    """state: what was last acknowledged; maybe: states that an unanswered change may have led to."""

    def __init__(self, name):
        self.name, self.state, self.maybe = name, ABSENT, []

    def settle(self, seen):
        if seen != self.state and seen not in self.maybe:
            raise Lost("%s: acknowledged was %r%s, there is %r" % (
                self.name, self.state, ", or perhaps %r" % self.maybe if self.maybe else "", seen))
        self.state, self.maybe = seen, []


class Secret(Thing):
    """state: (version, text or "deleted" or "destroyed")"""

    def next(self, rng, fresh):
        data, version, value = "secret/data/" + self.name, 0, None
        if self.state != ABSENT:
            version, value = self.state
        alive = isinstance(value, dict)
        choices = ["put"] * 6
        if alive:
            choices += ["patch"] * 3 + ["delete", "destroy"]
        if self.state != ABSENT:
            choices += ["forget"]
        choice = rng.choice(choices)
        if choice == "put":
            value = {"n": fresh, "fill": "x" * rng.choice((1, 30, 400, 5000))}
            return "POST", data, {"data": value}, (version + 1, value)
        if choice == "patch":
            value = dict(value, p=fresh)
            return "PATCH", data, {"data": {"p": fresh}}, (version + 1, value)
        if choice == "delete":
            return "DELETE", data, None, (version, "deleted")
        if choice == "destroy":
            return ("POST", "secret/destroy/" + self.name, {"versions": [version]},
                    (version, "destroyed"))
        return "DELETE", "secret/metadata/" + self.name, None, ABSENT

    def look(self, ask):
        status, body = ask("GET", "secret/data/" + self.name)
        if status == 404 and "data" not in body:
            return ABSENT
        meta = body["data"]["metadata"]
        if status == 200:
            return meta["version"], body["data"]["data"]
        return meta["version"], "destroyed" if meta["destroyed"] else "deleted"


class Policy(Thing):
    def next(self, rng, fresh):
        path = "sys/policies/acl/" + self.name
        if self.state != ABSENT and rng.random() < 0.3:
            return "DELETE", path, None, ABSENT
        text = 'path "secret/data/%s" { capabilities = ["read"] }' % fresh
        return "PUT", path, {"policy": text}, text

    def look(self, ask):
        status, body = ask("GET", "sys/policies/acl/" + self.name)
        return ABSENT if status == 404 else body["data"]["policy"]


class Token(Thing):
    """state: ABSENT, (token, "alive"), (token, "dead")"""

    def next(self, rng, fresh):
        if self.state != ABSENT and self.state[1] == "alive":
            if rng.random() < 0.3:
                return "POST", "auth/token/renew", {"token": self.state[0]}, self.state
            return ("POST", "auth/token/revoke", {"token": self.state[0]}, (self.state[0], "dead"))
        return ("POST", "auth/token/create", {"ttl": "1h", "meta": {"n": fresh}, "no_parent": True},
                lambda body: (body["auth"]["client_token"], "alive"))

    def look(self, ask):
        if self.state == ABSENT:
            return ABSENT
        status, body = ask("POST", "auth/token/lookup", {"token": self.state[0]})
        return self.state[0], "alive" if status == 200 else "dead"


class Mount(Thing):
    def next(self, rng, fresh):
        path = "sys/mounts/" + self.name
        if self.state == ABSENT:
            return "POST", path, {"type": "kv", "options": {"version": "2"}, "description": fresh}, \
                fresh
        return "DELETE", path, None, ABSENT

    def look(self, ask):
        _, body = ask("GET", "sys/mounts")
        return body["data"].get(self.name + "/", {}).get("description", ABSENT)


class Keyring(Thing):
    """state: the newest term"""

    def next(self, rng, fresh):
        return "PUT", "sys/rotate", None, self.state + 1

    def look(self, ask):
        return ask("GET", "sys/key-status")[1]["data"]["term"]


class Client:
    def __init__(self, load, number):
        self.load, self.number = load, number
        self.rng = random.Random(load.seed * 1000 + number)
        self.things = [Secret("c%d/s%d" % (number, i)) for i in range(8)]
        self.things += [Policy("c%d-p%d" % (number, i)) for i in range(2)]
        self.things += [Token("c%d-t%d" % (number, i)) for i in range(3)]
        self.weights = [8] * 8 + [2] * 2 + [4] * 3
        if load.mounts:
            self.things.append(Mount("c%d-m" % number))
            self.weights.append(1)
        if number == 0:
            self.things.append(Keyring("keyring"))
            self.weights.append(1)
            self.things[-1].state = 1
        self.connection = None
        self.made = 0
        self.acknowledged = []  # (request id or None, path, status, when the answer was here)
        self.dead_tokens = []
        self.refused = []

    def ask(self, method, path, body=None, timeout=20):
        """(status, body); Gone if there was no whole answer."""
        try:
            if self.connection is None:
                self.connection = http.client.HTTPConnection("127.0.0.1", self.load.vault.port,
                                                             timeout=timeout)
                self.connection.connect()
                self.connection.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            headers = {"X-Vault-Token": self.load.vault.root}
            if method == "PATCH":
                headers["Content-Type"] = "application/merge-patch+json"
            self.connection.request(method, "/v1/" + path,
                                    None if body is None else json.dumps(body), headers)
            answer = self.connection.getresponse()
            text = answer.read()
            return answer.status, json.loads(text) if text else None
        except (OSError, http.client.HTTPException) as error:
            self.hang_up()
            raise Gone(str(error)) from error

    def look(self, *question):
        status, answer = self.ask(*question)
        if status >= 500:
            raise Refused(status, answer)
        return status, answer

    def hang_up(self):
        if self.connection is not None:
            self.connection.close()
        self.connection = None

    def step(self):
        """One change. False: the vault is gone."""
        thing = self.rng.choices(self.things, self.weights)[0]
        if thing.maybe:
            try:
                thing.settle(thing.look(self.look))
            except Refused as error:
                self.load.on_refusal(*error.args)
                return True
        self.made += 1
        method, path, body, state = thing.next(self.rng, "%d.%d" % (self.number, self.made))
        try:
            status, answer = self.ask(method, path, body)
        except Gone:
            self.unknown(thing, state)
            return False
        if 200 <= status < 300:
            if callable(state):
                state = state(answer)
            if isinstance(state, tuple) and state[1] == "dead":
                self.dead_tokens.append(state[0])
            thing.state, thing.maybe = state, []
            self.acknowledged.append(((answer or {}).get("request_id"), path, status,
                                      time.monotonic_ns()))
        elif status >= 500:
            # Refused (full, broken, stopping) or unknown: the text says which, here both are allowed.
            self.unknown(thing, state)
            self.refused.append((status, (answer or {}).get("errors")))
            self.load.on_refusal(status, answer)
        else:
            raise Lost("%s %s: %d %r; state %r" % (method, path, status, answer, thing.state))
        return True

    @staticmethod
    def unknown(thing, state):
        if not callable(state):  # a token whose text nobody got is nobody's loss
            thing.maybe.append(state)

    def look_at_all(self):
        for thing in self.things:
            thing.settle(thing.look(self.look))
        for token in self.dead_tokens[-3:] + self.rng.sample(self.dead_tokens,
                                                             min(3, len(self.dead_tokens))):
            if self.ask("POST", "auth/token/lookup", {"token": token})[0] == 200:
                raise Lost("a revoked token is alive again")


class Workload:
    def __init__(self, vault, seed, clients=6, mounts=True):
        self.vault, self.seed, self.mounts = vault, seed, mounts
        self.clients = [Client(self, i) for i in range(clients)]
        self.error = None
        self.refusals = collections.Counter()
        self.checked = 0  # records of the log whose outcomes were compared

    def on_refusal(self, status, answer):
        self.refusals[(status, json.dumps((answer or {}).get("errors")))] += 1

    @property
    def acknowledged(self):
        return sum(len(c.acknowledged) for c in self.clients)

    def start(self, seconds):
        """Lets the clients work in the background."""
        self.until = time.monotonic() + seconds
        for client in self.clients:
            client.hang_up()  # the vault may be another process now
        self.threads = [threading.Thread(target=self.work, args=(c,)) for c in self.clients]
        for thread in self.threads:
            thread.start()

    def work(self, client):
        try:
            while time.monotonic() < self.until and client.step():
                pass
        except Gone:
            pass
        except Exception as error:  # noqa: BLE001 - reported by finish()
            self.error = self.error or error

    def finish(self):
        for thread in self.threads:
            thread.join()
        if self.error:
            raise self.error

    def run(self, seconds):
        self.start(seconds)
        self.finish()

    def check(self):
        for client in self.clients:
            client.hang_up()  # the vault was restarted
            client.look_at_all()

    def check_log(self, log):
        """Answers with a body say their id. The others are counted by path and status."""
        outcomes = log.outcomes()
        by_place = collections.Counter((r["request"]["path"], r["status"])
                                       for r in outcomes.values())
        wanted = collections.Counter()
        for client in self.clients:
            for request_id, path, status, _ in client.acknowledged:
                if request_id is None:
                    wanted[(path, status)] += 1
                    continue
                record = outcomes.get(request_id)
                if record is None:
                    raise Lost("no outcome in the audit log of request %s (%s)" % (request_id, path))
                if (record["request"]["path"], record["status"]) != (path, status):
                    raise Lost("the audit log says %r of %s (%s, %d)" % (
                        record, request_id, path, status))
        for place, count in wanted.items():
            if by_place[place] < count:
                raise Lost("%d answers %d on %s, %d outcomes in the audit log" % (
                    count, place[1], place[0], by_place[place]))
