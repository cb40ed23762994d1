#!/usr/bin/python3
"""KV version 2 over raw HTTP: versions, check-and-set, patch, deletion, metadata, subkeys, lists.

    tests/conformance/wire_kv.py ['part of a case name']
"""
import os
import sys
import threading

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
from keyturn import Vault, wait_for  # noqa: E402
from tap import Tap, equal, true  # noqa: E402
from wire import Wire, error, serve, wants  # noqa: E402

tap = Tap("tests/conformance/wire_kv.py")
vault = Vault()
wire = Wire(vault)
NO_CAS = "check-and-set parameter did not match the current version"
VERSION = {"created_time", "custom_metadata", "deletion_time", "destroyed", "version"}


def put(path, data=None, **options):
    body = {"data": {"k": "v"} if data is None else data}
    if options:
        body["options"] = options
    return wire.ask("POST", "secret/data/" + path, body)


def get(path, status=200):
    return wants(wire.ask("GET", "secret/data/" + path), status)


def meta(path):
    return wire.ok("GET", "secret/metadata/" + path).data


def change(verb, path, versions, status=204):
    return wants(wire.ask("POST", "secret/%s/%s" % (verb, path), {"versions": versions}), status)


# ---- versions ------------------------------------------------------------------------------------

@tap.case("write and read")
def _():
    reply = wants(put("w", {"a": {"b": [1, "x", None, True]}}), 200)
    equal(VERSION, set(reply.data))
    equal((None, "", False, 1), tuple(reply.data[k] for k in ("custom_metadata", "deletion_time", "destroyed",
                                                              "version")))
    true(reply.data["created_time"].endswith("Z"), "a time in UTC")
    got = get("w").data
    equal({"data", "metadata"}, set(got))
    equal({"a": {"b": [1, "x", None, True]}}, got["data"])
    equal(reply.data, got["metadata"])
    equal(2, put("w").data["version"])
    equal(1, get("w?version=1").data["metadata"]["version"])
    for version in ("0", "-1", "2", ""):
        equal(2, get("w?version=" + version).data["metadata"]["version"])
    error(get("w?version=99", 404), 404)
    error(get("w?version=99999999999999999999", 400), 400, "version")
    error(get("none", 404), 404)


@tap.case("data that are none, empty or null")
def _():
    error(wire.ask("POST", "secret/data/e", {"x": 1}), 400, "no data provided")
    for bad in ("s", 1, [1], True):
        error(wire.ask("POST", "secret/data/e", {"data": bad}), 400, "data")
    error(get("e", 404), 404)
    wants(wire.ask("POST", "secret/data/e", {"data": {}}), 200)
    equal({}, get("e").data["data"])
    wants(wire.ask("POST", "secret/data/e", {"data": None}), 200)
    equal(None, get("e").data["data"])
    text = '{"data":{"b":1,"a":{"z":1e0,"y":[ 1.50 ]},"":2}}'
    wants(wire.ask("POST", "secret/data/e", raw=text.encode()), 200)
    wants(get("e"), 200, '{"b":1,"a":{"z":1e0,"y":[1.50]},"":2}')


@tap.case("check-and-set")
def _():
    equal(1, wants(put("cas", cas=0), 200).data["version"])
    error(put("cas", cas=0), 400, NO_CAS)
    equal(2, wants(put("cas", cas="1"), 200).data["version"])
    error(put("cas", cas=1), 400, NO_CAS)
    error(put("cas", cas=3), 400, NO_CAS)
    for bad in ("x", -1, 1.5, [1], True, " 2", "0x2"):
        error(put("cas", cas=bad), 400, "error parsing check-and-set parameter")
    equal(3, wants(put("cas", cas=None), 200).data["version"])
    wire.ok("DELETE", "secret/data/cas")
    error(put("cas", cas=0), 400, NO_CAS)
    equal(4, wants(put("cas", cas=3), 200).data["version"])
    wire.ok("DELETE", "secret/metadata/cas")
    equal(1, wants(put("cas", cas=0), 200).data["version"])


@tap.case("check-and-set that key or mount demand")
def _():
    wire.ok("POST", "secret/metadata/must", {"cas_required": True})
    error(put("must"), 400, "check-and-set parameter required for this call")
    wants(put("must", cas=0), 200)
    wire.ok("POST", "sys/mounts/strict", {"type": "kv-v2"})
    wire.ok("POST", "strict/config", {"cas_required": True})
    error(wire.ask("POST", "strict/data/a", {"data": {}}), 400, "check-and-set parameter required")
    wants(wire.ask("POST", "strict/data/a", {"data": {}, "options": {"cas": 0}}), 200)
    error(wire.ask("PATCH", "strict/data/a", {"data": {}}), 400, "check-and-set parameter required")
    wants(wire.ask("PATCH", "strict/data/a", {"data": {}, "options": {"cas": 1}}), 200)
    reply = wants(wire.ask("POST", "strict/metadata/a", {"cas_required": False}), 200)
    true("mandated by backend config" in str(reply.warnings), "the warning")
    equal(None, reply.data)


@tap.case("of parallel writes with one check-and-set exactly one wins")
def _():
    wants(put("race", cas=0), 200)
    for current in range(1, 6):
        results, barrier = [], threading.Barrier(8)

        def write(current=current, results=results, barrier=barrier):
            own = Wire(vault)
            barrier.wait()
            results.append(own.ask("POST", "secret/data/race", {"data": {}, "options": {"cas": current}}).status)
            own.close()
        threads = [threading.Thread(target=write) for _ in range(8)]
        for t in threads:
            t.start()
        for t in threads:
            t.join()
        equal([200] + [400] * 7, sorted(results))


@tap.case("parallel writes without one all succeed")
def _():
    numbers, lock = [], threading.Lock()

    def write():
        own = Wire(vault)
        for _ in range(5):
            reply = own.ok("POST", "secret/data/many", {"data": {}})
            with lock:
                numbers.append(reply.data["version"])
        own.close()
    threads = [threading.Thread(target=write) for _ in range(8)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    equal(list(range(1, 41)), sorted(numbers))


# ---- deleting ------------------------------------------------------------------------------------

def deleted(reply, version, destroyed):
    wants(reply, 404)
    equal(None, reply.data["data"])
    equal((version, destroyed), (reply.data["metadata"]["version"], reply.data["metadata"]["destroyed"]))
    true(reply.json["request_id"], "a whole envelope")
    return reply.data["metadata"]["deletion_time"]


@tap.case("delete, undelete, destroy")
def _():
    put("d", {"n": 1})
    put("d", {"n": 2})
    for _ in range(2):
        wants(wire.ask("DELETE", "secret/data/d"), 204)
    true(deleted(get("d", 404), 2, False), "a deletion_time")
    equal(1, get("d?version=1").data["data"]["n"])
    change("undelete", "d", "2")
    equal(2, get("d").data["data"]["n"])
    change("delete", "d", [1, "2", 99])
    true(deleted(get("d?version=1", 404), 1, False), "a deletion_time")
    true(deleted(get("d", 404), 2, False), "a deletion_time")
    change("undelete", "d", [1, 2])
    change("destroy", "d", [2])
    equal("", deleted(get("d", 404), 2, True))
    change("undelete", "d", "2")
    deleted(get("d", 404), 2, True)
    change("destroy", "d", 1)
    deleted(get("d?version=1", 404), 1, True)
    equal(3, put("d").data["version"])
    wants(wire.ask("PUT", "secret/destroy/d", {"versions": "1,2,3"}), 204)
    for verb in ("delete", "undelete", "destroy"):
        change(verb, "no-such", [1])
        for body in ({}, {"versions": []}, {"versions": ""}, {"versions": None}):
            error(wire.ask("POST", "secret/%s/d" % verb, body), 400,
                  "%so version number provided" % ("n" if verb == "destroy" else "N"))
        for bad in ("x", [1.5], [[1]], {"a": 1}):
            error(wire.ask("POST", "secret/%s/d" % verb, {"versions": bad}), 400, "versions")
    wants(wire.ask("DELETE", "secret/data/no-such"), 204)


@tap.case("what a destroyed version was is gone from the data folder's reach")
def _():
    put("dead", {"n": "first"})
    put("dead", {"n": "second"})
    change("destroy", "dead", [1])
    equal({"1": True, "2": False}, {k: v["destroyed"] for k, v in meta("dead")["versions"].items()})
    equal("second", get("dead").data["data"]["n"])


@tap.case("old versions go when there are too many")
def _():
    for n in range(1, 13):
        put("p", {"n": n})
        if n in (9, 10, 11):
            equal({9: 0, 10: 1, 11: 2}[n], meta("p")["oldest_version"], "after %d" % n)
    got = meta("p")
    equal((12, 3, [str(n) for n in range(3, 13)]), (got["current_version"], got["oldest_version"],
                                                    list(got["versions"])))
    error(get("p?version=2", 404), 404)
    equal(3, get("p?version=3").data["data"]["n"])
    wire.ok("POST", "sys/mounts/five", {"type": "kv-v2"})
    wire.ok("POST", "five/config", {"max_versions": 5})
    wire.ok("POST", "five/metadata/a", {"max_versions": 2})
    wire.ok("POST", "five/metadata/b", {"max_versions": 7})
    for n in range(10):
        for name in "ab":
            wire.ok("POST", "five/data/" + name, {"data": {"n": n}})
    equal(5, len(wire.ok("GET", "five/metadata/a").data["versions"]))
    equal(7, len(wire.ok("GET", "five/metadata/b").data["versions"]))
    wire.ok("POST", "five/metadata/b", {"max_versions": 1})
    equal(7, len(wire.ok("GET", "five/metadata/b").data["versions"]))
    wire.ok("POST", "five/data/b", {"data": {}})
    equal(5, len(wire.ok("GET", "five/metadata/b").data["versions"]))


@tap.case("versions that delete themselves")
def _():
    wire.ok("POST", "secret/metadata/dva", {"delete_version_after": "3s"})
    reply = put("dva")
    true(reply.data["deletion_time"], "a deletion_time in the answer")
    equal("3s", meta("dva")["delete_version_after"])
    get("dva")
    wait_for("the version's end", lambda: wire.ask("GET", "secret/data/dva").status == 404)
    equal(reply.data["deletion_time"], deleted(get("dva", 404), 1, False))
    # Undeleting begins its time anew.
    change("undelete", "dva", [1])
    got = get("dva").data["metadata"]["deletion_time"]
    true(got > reply.data["deletion_time"], "a later deletion_time")
    wire.ok("POST", "secret/metadata/dva", {"delete_version_after": "0s"})
    change("undelete", "dva", [1])
    equal("", get("dva").data["metadata"]["deletion_time"])
    wire.ok("POST", "sys/mounts/short", {"type": "kv-v2"})
    wire.ok("POST", "short/config", {"delete_version_after": "1h"})
    for name, after, deletes in [("none", None, True), ("longer", "2h", True), ("never", "-1s", False)]:
        if after:
            wire.ok("POST", "short/metadata/" + name, {"delete_version_after": after})
        reply = wire.ok("POST", "short/data/" + name, {"data": {}})
        equal(deletes, reply.data["deletion_time"] != "", name)
    equal("-1s", wire.ok("GET", "short/metadata/never").data["delete_version_after"])
    wire.ok("POST", "short/config", {"delete_version_after": "-1s"})
    equal("", wire.ok("POST", "short/data/longer", {"data": {}}).data["deletion_time"])
    error(wire.ask("POST", "short/config", {"delete_version_after": "-soon"}), 400, "delete_version_after", "soon")


# ---- patch ---------------------------------------------------------------------------------------

@tap.case("patch merges")
def _():
    wire.ok("POST", "secret/data/m", raw=b'{"data":{"x":{"y":1,"w":2},"k":"v","n":1.50}}')
    reply = wants(wire.ask("PATCH", "secret/data/m", {"data": {"x": {"y": None}, "z": [1], "k": {"a": 1}}}), 200)
    equal(2, reply.data["version"])
    wants(get("m"), 200, '{"x":{"w":2},"k":{"a":1},"n":1.50,"z":[1]}')
    error(wire.ask("PATCH", "secret/data/m", {"data": {}, "options": {"cas": 1}}), 400, NO_CAS)
    wants(wire.ask("PATCH", "secret/data/m", {"data": {}, "options": {"cas": 2}}), 200)
    error(wire.ask("PATCH", "secret/data/m", {}), 400, "no data provided")
    error(wire.ask("PATCH", "secret/data/m", {"data": [1]}), 400, "data")
    reply = wants(wire.ask("PATCH", "secret/data/none", {"data": {"a": 1}}), 404)
    equal(b"", reply.body)
    wire.ok("DELETE", "secret/data/m")
    reply = wants(wire.ask("PATCH", "secret/data/m", {"data": {"a": 1}}), 404)
    equal((3, False), (reply.data["version"], reply.data["destroyed"]))
    wire.ok("POST", "secret/metadata/m0", {"max_versions": 1})
    equal(b"", wants(wire.ask("PATCH", "secret/data/m0", {"data": {"a": 1}}), 404).body)


# ---- metadata ------------------------------------------------------------------------------------

@tap.case("metadata has all fields")
def _():
    put("meta")
    got = meta("meta")
    true({"cas_required", "created_time", "current_version", "custom_metadata", "delete_version_after",
          "max_versions", "oldest_version", "updated_time", "versions"} <= set(got), "all fields")
    equal((False, 1, None, "0s", 0, 0), tuple(got[k] for k in (
        "cas_required", "current_version", "custom_metadata", "delete_version_after", "max_versions",
        "oldest_version")))
    equal({"1": {"created_time": got["created_time"], "deletion_time": "", "destroyed": False}}, got["versions"])
    error(wire.ask("GET", "secret/metadata/none"), 404)
    wire.ok("POST", "secret/metadata/meta", {"max_versions": "7", "cas_required": "true",
                                             "delete_version_after": "3h25m19s"})
    got = meta("meta")
    equal((True, "3h25m19s", 7), (got["cas_required"], got["delete_version_after"], got["max_versions"]))
    wire.ok("POST", "secret/metadata/meta", {"max_versions": 3})
    got = meta("meta")
    equal((True, "3h25m19s", 3), (got["cas_required"], got["delete_version_after"], got["max_versions"]))
    wire.ok("PATCH", "secret/metadata/meta", {"cas_required": False})
    equal((False, 3), (meta("meta")["cas_required"], meta("meta")["max_versions"]))
    equal(b"", wants(wire.ask("PATCH", "secret/metadata/none", {"max_versions": 1}), 404).body)


@tap.case("a key may have metadata alone")
def _():
    wants(wire.ask("POST", "secret/metadata/n", {"custom_metadata": {"a": "b"}}), 204)
    equal((0, {"a": "b"}, {}), tuple(meta("n")[k] for k in ("current_version", "custom_metadata", "versions")))
    error(get("n", 404), 404)
    true("n" in wire.ok("LIST", "secret/metadata").data["keys"], "listed")
    wants(wire.ask("PATCH", "secret/metadata/n", {"custom_metadata": {"a": None, "c": 1}}), 204)
    equal({"c": "1"}, meta("n")["custom_metadata"])
    equal({"c": "1"}, wants(put("n", cas=0), 200).data["custom_metadata"])
    equal({"c": "1"}, get("n").data["metadata"]["custom_metadata"])
    wants(wire.ask("POST", "secret/metadata/n", {"custom_metadata": {"d": "e"}}), 204)
    equal({"d": "e"}, meta("n")["custom_metadata"])
    wants(wire.ask("POST", "secret/metadata/n", {"max_versions": 5}), 204)
    equal({"d": "e"}, meta("n")["custom_metadata"])
    wants(wire.ask("PATCH", "secret/metadata/n", {"custom_metadata": None}), 204)
    equal(None, meta("n")["custom_metadata"])
    wants(wire.ask("POST", "secret/metadata/nothing", {"bogus": 1}), 204)
    wants(wire.ask("POST", "secret/metadata/nothing", {}), 204)
    error(wire.ask("GET", "secret/metadata/nothing"), 404)


@tap.case("custom metadata have limits")
def _():
    said = "custom_metadata validation failed"
    for bad in ({str(i): "x" for i in range(65)}, {"x" * 129: "x"}, {"k": "x" * 513}, {"": "x"}, {"k": ""},
                {"k": ["x"]}, {"k": {"a": "b"}}, "text", [1], 5, {"k\n": "x"}, {"k": "x\u0001"}):
        error(wire.ask("POST", "secret/metadata/limits", {"custom_metadata": bad}), 400, said)
    error(wire.ask("GET", "secret/metadata/limits"), 404)
    fits = {("%d" % i).ljust(128, "x"): "y" * 512 for i in range(64)}
    wants(wire.ask("POST", "secret/metadata/limits", {"custom_metadata": fits}), 204)
    equal(fits, meta("limits")["custom_metadata"])
    for bad in (-1, 1001, "x"):
        error(wire.ask("POST", "secret/metadata/limits", {"max_versions": bad}), 400, "max_versions")


@tap.case("deleting metadata deletes everything")
def _():
    for n in range(3):
        put("all/of/it", {"n": n})
    wants(wire.ask("DELETE", "secret/metadata/all/of/it"), 204)
    wants(wire.ask("DELETE", "secret/metadata/all/of/it"), 204)
    error(get("all/of/it", 404), 404)
    error(get("all/of/it?version=1", 404), 404)
    error(wire.ask("GET", "secret/metadata/all/of/it"), 404)
    error(wire.ask("LIST", "secret/metadata/all"), 404)
    equal(1, put("all/of/it").data["version"])


# ---- lists, subkeys, settings, wrong paths -------------------------------------------------------

@tap.case("lists")
def _():
    for path in ("ls/b", "ls/a/x", "ls/a", "ls/c/d/e", "ls/Z", "ls/%C3%A4", "ls/a-1"):
        put(path)
    equal(["Z", "a", "a-1", "a/", "b", "c/", "ä"], wire.ok("LIST", "secret/metadata/ls").data["keys"])
    equal(["d/"], wire.ok("LIST", "secret/metadata/ls/c").data["keys"])
    change("destroy", "ls/b", [1])
    wire.ok("DELETE", "secret/data/ls/Z")
    true({"b", "Z"} <= set(wire.ok("LIST", "secret/metadata/ls").data["keys"]), "deleted ones are listed")
    wire.ok("DELETE", "secret/metadata/ls/a")
    equal(["Z", "a-1", "a/", "b", "c/", "ä"], wire.ok("LIST", "secret/metadata/ls").data["keys"])
    wire.ok("DELETE", "secret/metadata/ls/c/d/e")
    equal(["Z", "a-1", "a/", "b", "ä"], wire.ok("LIST", "secret/metadata/ls").data["keys"])
    equal("v", get("ls/a/x").data["data"]["k"])


@tap.case("folders appear and vanish with their last child, also under load")
def _():
    def churn(i):
        own = Wire(vault)
        for n in range(15):
            own.ok("POST", "secret/data/churn/f/%d" % i, {"data": {}})
            true(str(i) in own.ok("LIST", "secret/metadata/churn/f").data["keys"], "%d listed" % i)
            own.ok("DELETE", "secret/metadata/churn/f/%d" % i)
        own.close()
        done.append(i)
    done = []
    threads = [threading.Thread(target=churn, args=(i,)) for i in range(4)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    equal([0, 1, 2, 3], sorted(done))
    error(wire.ask("LIST", "secret/metadata/churn"), 404)


@tap.case("subkeys")
def _():
    put("sub", {"x": {"y": 1, "z": {"deep": 2}}, "k": [1], "e": {}})
    got = wire.ok("GET", "secret/subkeys/sub").data
    equal({"x": {"y": None, "z": {"deep": None}}, "k": None, "e": None}, got["subkeys"])
    equal(VERSION, set(got["metadata"]))
    equal({"x": None, "k": None, "e": None}, wire.ok("GET", "secret/subkeys/sub?depth=1").data["subkeys"])
    equal({"x": {"y": None, "z": None}, "k": None, "e": None},
          wire.ok("GET", "secret/subkeys/sub?depth=2").data["subkeys"])
    put("sub", {"new": 1})
    equal({"x", "k", "e"}, set(wire.ok("GET", "secret/subkeys/sub?version=1").data["subkeys"]))
    wire.ok("DELETE", "secret/data/sub")
    reply = wants(wire.ask("GET", "secret/subkeys/sub"), 404)
    equal(None, reply.data["subkeys"])
    error(wire.ask("GET", "secret/subkeys/none"), 404)


@tap.case("settings of the mount")
def _():
    wire.ok("POST", "sys/mounts/conf", {"type": "kv-v2"})
    equal((0, False, "0s"), tuple(wire.ok("GET", "conf/config").data[k] for k in (
        "max_versions", "cas_required", "delete_version_after")))
    wants(wire.ask("POST", "conf/config", {"max_versions": 5, "delete_version_after": "90m"}), 204)
    wants(wire.ask("PUT", "conf/config", {"cas_required": True}), 204)
    equal((5, True, "1h30m0s"), tuple(wire.ok("GET", "conf/config").data[k] for k in (
        "max_versions", "cas_required", "delete_version_after")))
    wants(wire.ask("POST", "conf/config", {"delete_version_after": 0, "max_versions": 0}), 204)
    equal("0s", wire.ok("GET", "conf/config").data["delete_version_after"])
    error(wire.ask("POST", "conf/config", {"max_versions": -1}), 400, "max_versions")


@tap.case("wrong paths say how it is right")
def _():
    for method, path in [("GET", "secret/foo"), ("GET", "secret/foo/bar"), ("LIST", "secret/"), ("LIST", "secret"),
                         ("GET", "secret/data"), ("POST", "secret/foo"), ("DELETE", "secret/foo")]:
        reply = wants(wire.ask(method, path, {"a": 1} if method == "POST" else None), 404)
        true("Invalid path for a versioned K/V secrets engine" in reply.warnings[0] or
             "Non-listing operations" in reply.warnings[0], str(reply.warnings))
        equal(None, reply.data)


sys.exit(serve(tap, wire))
