#!/usr/bin/python3
"""Advisories of Vault and OpenBao about what is kept: sizes, files, settings that are changed in part, key shares.

    tests/security/store.py ['part of a case name']

Which advisories there are, and which test shows the others: advisories.txt.
"""
import os
import re
import stat
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
from keyturn import ROOT, Vault  # noqa: E402
from tap import Tap, equal, true  # noqa: E402
from wire import Wire, serve, wants  # noqa: E402

tap = Tap("tests/security/store.py")
vault = Vault(wrap=["/bin/sh", "-c", 'umask 0; exec "$@"', "sh"])
wire = Wire(vault)
MIB = 1 << 20
LINE = 8000  # what fits into a request line; longer ones are conformance/wire_http.py's


def holds(path, body, status=None):
    """Either it is kept whole, or refused as the caller's mistake; whatever it is, the vault goes on."""
    reply = wire.ask("POST", path, body, by_library=True)
    true(reply.status in (200, 204, 400, 405, 413, 414, 431) if status is None else reply.status == status,
         "%s: %s" % (path[:60], str(reply)[-300:]))
    wants(wire.ask("GET", "secret/data/steady"), 200)
    return reply.status in (200, 204)


@tap.case("CVE-2021-45042: a name or a value of any size is kept or refused, and stops nothing")
def _():
    for family, whole in (("secret/data/", lambda v: {"data": {"k": v}}), ("kv1/", lambda v: {"k": v}),
                          ("cubbyhole/", lambda v: {"k": v})):
        for size in (1, 511, 512, 1023, MIB - 100, MIB, 4 * MIB, 20 * MIB):
            if holds(family + "size", whole("v" * size)):
                data = wire.ok("GET", family + "size").data
                equal(size, len((data["data"] if family.startswith("secret") else data)["k"]), family)
        for length in (1, 127, 128, 255, 256, 257, 511, 512, 513, 1000, 4000):
            for name in ("n" * length, "a/" * (length // 2) + "n", "%c3%a4" * length, "%20" * length):
                if len(name) <= LINE and holds(family + name, whole("v")):
                    wants(wire.ask("GET", family + name), 200)
                    wants(wire.ask("DELETE", family + name), 204)
    many = {"k%d" % i: "v" for i in range(50000)}
    holds("secret/data/many", {"data": many})
    holds("kv1/many", many)
    for length in (1, 128, 129, 512, 4096, 60000):
        for method, path, body in (("POST", "sys/policies/acl/" + "p" * length, {"policy": "# x"}),
                                   ("POST", "sys/policy/" + "p" * length, {"policy": "# x"}),
                                   ("POST", "sys/policies/acl/long", {"policy": "# " + "x" * length}),
                                   ("POST", "sys/mounts/" + "m" * length, {"type": "kv"}),
                                   ("POST", "sys/mounts/m%d" % length, {"type": "kv", "description": "d" * length}),
                                   ("POST", "auth/token/create", {"display_name": "d" * length}),
                                   ("POST", "auth/token/create", {"meta": {"k" * length: "v" * length}}),
                                   ("POST", "auth/token/create", {"id": "i" * length}),
                                   ("POST", "auth/token/create", {"policies": ["p" * length]}),
                                   ("POST", "secret/metadata/long", {"custom_metadata": {"k" * length: "v"}}),
                                   ("POST", "secret/metadata/long", {"custom_metadata": {"k": "v" * length}}),
                                   ("POST", "rotation/targets/" + "t" * length, {"driver": "postgresql"}),
                                   ("POST", "rotation/targets/t", {"driver": "postgresql", "host": "h" * length}),
                                   ("POST", "fleet/consumers/" + "h" * length + "/secret/x", {"service": "s" * length})):
            if len(path) > LINE:
                continue
            reply = wire.ask(method, path, body, by_library=True)
            true(reply.status < 500, "%s %s of %d: %s" % (method, path[:40], length, str(reply)[-300:]))
    vault.restart()
    wire.close()
    wants(wire.ask("GET", "secret/data/steady"), 200)


@tap.case("CVE-2021-38553, 0.1.1: nobody else reads a file of the vault, whatever the umask")
def _():
    seen = 0
    for where, folders, files in os.walk(vault.data):
        for name in folders + files:
            path = os.path.join(where, name)
            mode = stat.S_IMODE(os.lstat(path).st_mode)
            equal(0, mode & 0o077, "%s has mode %o" % (path, mode))
            seen += 1
    true(seen >= 4, "files")


# A thing with settings: how it is made, what is changed of it, where it is read.
PARTS = [
    ("secret/metadata/part", {"max_versions": 7, "cas_required": True, "delete_version_after": "3h", "custom_metadata": {"a": "b"}},
     [{"max_versions": 8}, {"cas_required": False}, {"delete_version_after": "4h"}, {}], "POST"),
    ("secret/metadata/part", {"max_versions": 7, "cas_required": True, "delete_version_after": "3h", "custom_metadata": {"a": "b"}},
     [{"max_versions": 9}, {"cas_required": False}, {"custom_metadata": {"c": "d"}}, {}], "PATCH"),
    ("secret/config", {"max_versions": 7, "cas_required": True, "delete_version_after": "3h"},
     [{"max_versions": 8}, {"cas_required": False}, {"delete_version_after": "4h"}], "POST"),
    ("sys/mounts/kv1/tune", {"default_lease_ttl": "1h", "max_lease_ttl": "2h", "description": "d", "listing_visibility": "unauth"},
     [{"description": "e"}, {"max_lease_ttl": "3h"}, {"listing_visibility": "hidden"}, {"default_lease_ttl": "30m"}], "POST"),
    ("rotation/targets/part", {"driver": "postgresql", "host": "127.0.0.1", "database": "x", "sslmode": "disable",
                               "admin_username": "a", "admin_password": "b", "max_refusals_per_hour": 3, "settle": 5},
     [{"host": "127.0.0.2"}, {"database": "y"}, {"settle": 6}, {"admin_password": "c"}, {"max_refusals_per_hour": 4}], "POST"),
    ("sys/rotate/config", {"max_operations": 3000000000, "interval": "720h", "enabled": True},
     [{"max_operations": 3500000000}, {"interval": "800h"}, {"enabled": False}], "POST"),
]


@tap.case("CVE-2023-5077: changing one setting leaves the others as they were")
def _():
    hidden = {"admin_password", "updated_time", "last_update_time", "changed"}
    for path, first, changes, method in PARTS:
        wire.ok("POST", path, first)
        for change in changes:
            before = wire.ok("GET", path).data
            reply = wire.ask(method, path, change)
            true(reply.status in (200, 204), str(reply))
            after = wire.ok("GET", path).data
            differs = {key for key in after if after[key] != before[key]} - hidden
            true(differs <= set(change), "%s %s changes only that, got %s" % (path, change, differs))
            true(differs or set(change) <= hidden, "%s %s changes something" % (path, change))


@tap.case("CVE-2023-25000: key shares are put together without a table")
def _():
    # What is looked up by a secret's bits has 256 entries at least, and stands among the program's constants.
    objects = [os.path.join(ROOT, "build", "release", "vaultd", "barrier", "shamir.o")]
    for path in objects:
        text = subprocess.run(["size", "-A", path], capture_output=True, text=True, check=True).stdout
        for name, size in re.findall(r"^(\.(?:rodata|data|bss|rela\.data)\S*)\s+(\d+)", text, re.M):
            if ".str" not in name:
                true(int(size) < 256, "%s in %s below 256 bytes, got %s" % (name, path, size))


def load():
    wire.mount_all()
    wire.ok("POST", "secret/data/steady", {"data": {"k": "v"}})


sys.exit(serve(tap, wire, load))
