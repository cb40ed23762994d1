#!/usr/bin/python3
"""Nothing acknowledged is lost: vaultd is killed at random moments under a mixed load of writes.

    tests/integration/durability.py [--kills N] [--seed S] ['part of a case name']

After each kill it is started and unsealed, and then: every acknowledged change is there, or the one
that a client was making when the vault went away; the exported audit log verifies with the public key
alone and holds an outcome for every acknowledged change; a checkpoint kept from before the kill is
still true.
"""
import argparse
import http.client
import os
import random
import sys
import threading
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
import auditlog  # noqa: E402
from keyturn import Report, Vault, equal  # noqa: E402
from workload import Workload  # noqa: E402


def kill_while_it_opens(vault, rng):
    """The last share is on its way: the log is being checked and mended."""
    vault.start()
    for share in vault.shares[:vault.threshold - 1]:
        vault.ok("PUT", "sys/unseal", {"key": share})
    last = threading.Thread(target=try_share, args=(vault, vault.shares[vault.threshold - 1]))
    last.start()
    time.sleep(rng.uniform(0, 0.012))
    vault.kill()
    last.join()


def try_share(vault, share):
    try:
        vault.call("PUT", "sys/unseal", {"key": share})
    except (OSError, http.client.HTTPException):
        pass


def one_kill(vault, load, rng, kept, log):
    """Returns (what a person wants to know, checkpoint, log)."""
    before = load.acknowledged
    load.start(60)
    time.sleep(rng.uniform(0.05, 0.6))  # the random moment
    if rng.random() < 0.3:
        kept = auditlog.checkpoint(vault)[0]
    vault.kill()
    load.finish()
    if rng.random() < 0.4:
        kill_while_it_opens(vault, rng)
    begun = time.monotonic()
    vault.start().unseal()
    ready = time.monotonic() - begun
    load.check()
    log = auditlog.fetch(vault, log)
    log.verify(vault.audit_key, signatures=3)
    load.check_log(log)
    if kept:
        auditlog.check_kept(log, kept, vault.audit_key)
    return "%d acknowledged (%d so far), ready again after %.2f s, log of %d records" % (
        load.acknowledged - before, load.acknowledged, ready, len(log.lines)), kept, log


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--kills", type=int, default=15)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("only", nargs="?")
    args = parser.parse_args()
    report = Report(args.only or "")
    print("# seed %d: %s --seed %d" % (args.seed, sys.argv[0], args.seed), flush=True)
    rng = random.Random(args.seed)
    state = {"kept": None, "log": None}
    with Vault() as vault:
        vault.ready()
        vault.audit_key = auditlog.checkpoint(vault)[1]
        load = Workload(vault, args.seed)

        def kill():
            said, state["kept"], state["log"] = one_kill(vault, load, rng, state["kept"],
                                                         state["log"])
            print("#   " + said, flush=True)

        def enough():
            if load.acknowledged < 100 * args.kills:
                raise AssertionError("only %d changes were acknowledged" % load.acknowledged)
            equal(dict(load.refusals), {}, "refusals while all was well")

        for number in range(args.kills):
            report.case("kill %d of %d loses nothing" % (number + 1, args.kills), kill)
            if report.failed:
                break
        report.case("the load was one", enough)

        def clean_stop():
            load.run(0.2)
            equal(vault.stop(), 0, "exit code")
            vault.start().unseal()
            load.check()
            log = auditlog.fetch(vault)
            equal(log.verify(vault.audit_key), len(log.lines), "proven records")
            load.check_log(log)

        report.case("a clean stop loses nothing", clean_stop)
    report.end()


main()
