"""What test scripts print: a line per case, and how to run a failed one alone.

    tap = Tap("tests/integration/postgresql_driver.py")

    @tap.case("apply and verify")
    def _(): ...            # raises, or calls equal(expected, got)

    tap.run(sys.argv[1:])   # names (or parts of names) of the cases to run; exits 1 if one failed
"""

import sys
import traceback


class Mismatch(AssertionError):
    pass


def equal(expected, got, what=""):
    if expected != got:
        raise Mismatch(f"{what + ': ' if what else ''}expected {expected!r}, got {got!r}")


def true(condition, what):
    if not condition:
        raise Mismatch(f"expected {what}, got the contrary")


class Tap:
    def __init__(self, script):
        self.script = script
        self.cases = []
        self.passed = self.failed = 0

    def case(self, name):
        def keep(function):
            self.cases.append((name, function))
            return function
        return keep

    def one(self, name, function):
        try:
            function()
        except Mismatch as error:
            self.report(name, str(error))
        except Exception as error:  # noqa: BLE001 - every failure is a failed case
            place = traceback.extract_tb(error.__traceback__)[-1]
            self.report(name, f"expected no error, got {type(error).__name__}: {error} "
                              f"({place.filename}:{place.lineno})")
        else:
            self.report(name)

    def report(self, name, problem=None):
        if problem is None:
            self.passed += 1
            print(f"ok - {name}", flush=True)
        else:
            self.failed += 1
            said = " ".join(problem.split())
            print(f"not ok - {name}: {said}; alone: {self.script} '{name}'", flush=True)

    def run(self, wanted=()):
        for name, function in self.cases:
            if not wanted or any(part in name for part in wanted):
                self.one(name, function)
        if self.passed + self.failed == 0:
            print(f"not ok - {self.script}: expected a case named like {wanted!r}, got none")
            self.failed = 1
        return 1 if self.failed else 0


def main(tap):
    sys.exit(tap.run(sys.argv[1:]))
