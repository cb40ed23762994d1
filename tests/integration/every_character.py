#!/usr/bin/python3
"""A value with any character, through each way out: it arrives byte for byte at the program that reads it
there, or it is refused and nothing is written.

    tests/integration/every_character.py ['part of a case name']
"""
import base64
import ctypes
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import urllib.parse

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
from keyturn import Report, Vault, b64, contains, equal, program  # noqa: E402
from libpq import _pq  # noqa: E402

report = Report()
ASCII = [chr(n) for n in range(1, 128)]
TEXTS = ["".join(ASCII), "".join(reversed(ASCII)), "", " ", " a", "a ", "\ta", "a\t", "'", '"', "''", '"a"', "'a'", "\\",
         "\\\\", "a\\", "\\'", '\\"', "\\n", "a\nb", "\n", "a\n", "\na", "a\r", "\r\n", "%s%n", "%41", "$HOME", "${HOME}",
         "$(id)", "`id`", "# a", "a # b", ";a", "a;b", "=", "a=b", ":", "a:b\\:c", "{{ host }}", "}}", "!a", "-e", "~",
         "a'#b", 'a"#b', "\x7f", "\u00fc\u20ac\U0001f511", "\u00a0a\u00a0", "\u2028", "\ufeffa", "<&>"]
# Each character alone at the start, in the middle and at the end.
VALUES = TEXTS + [form % c for c in ASCII for form in ("%sx", "x%sx", "x%s")]
FIELDS = {"V%d" % n: value for n, value in enumerate(VALUES)}


def whole(got, wanted):
    """Which value was changed, not all of them."""
    equal(len(got), len(wanted), "number of values")
    for name in wanted:
        equal(got[name], wanted[name].encode(), name)


def only(takes):
    return {name: value for name, value in FIELDS.items() if takes(value)}


def write(folder, line, fields=FIELDS, begin="", end=""):
    """The file that the agent writes of one line for each value."""
    path, template = os.path.join(folder, "file"), os.path.join(folder, "template")
    with open(template, "w") as f:
        f.write(begin + "".join(line.replace("NAME", name) for name in fields) + end)
    done = agent(folder, 'file "%s" { template = "%s" }' % (path, template), ["true"])
    equal(done.returncode, 0, done.stderr)
    return path


def agent(folder, service, command):
    config = os.path.join(folder, "agent.hcl")
    with open(config, "w") as f:
        f.write('service "every" {\n%s\n}\n' % service)
    return subprocess.run([program("secret-agent"), "run", "--config=" + config, "--", *command],
                          env=vault.environment(), stdin=subprocess.DEVNULL, capture_output=True)


FIELD = '{{ secret "secret/every" "NAME" %s}}'


def named(parts):
    return dict(zip(FIELDS, parts))


# ---- the agent's ways ----

def environment(folder):
    entries = "".join('env "%s" { secret = "secret/every" field = "%s" }\n' % (name, name) for name in FIELDS)
    done = agent(folder, entries, ["env", "-0"])
    equal(done.returncode, 0, done.stderr)
    pairs = (entry.split(b"=", 1) for entry in done.stdout.split(b"\0")[:-1])
    whole({name.decode(): value for name, value in pairs if name.decode() in FIELDS}, FIELDS)
    done = subprocess.run([program("secret-agent"), "run", "--env=A=secret/every#V0", "--", "printenv", "A"],
                          env=vault.environment(), stdin=subprocess.DEVNULL, capture_output=True)
    equal(done.stdout, VALUES[0].encode() + b"\n", done.stderr)


def raw(folder):
    """What systemd's LoadCredential= and a program that takes the file whole get."""
    with open(write(folder, FIELD % "" + "|NAME|"), "rb") as f:
        equal(f.read(), "".join("%s|%s|" % (value, name) for name, value in FIELDS.items()).encode())


def shell(interpreter):
    def case(folder):
        path = write(folder, FIELD % "| shellQuote " + " \\\n", begin="set -- ", end="\n")
        done = subprocess.run([interpreter, "-c", '. "$0"; printf "%s\\0" "$@"', path], stdin=subprocess.DEVNULL,
                              capture_output=True, env={"LC_ALL": "C.UTF-8", "PATH": os.environ["PATH"]})
        whole(named(done.stdout.split(b"\0")[:-1]), FIELDS)
    return case


def json_file(folder):
    path = write(folder, '"NAME": ' + FIELD % "| json " + ",\n", begin="{", end='"end": ""}')
    with open(path, encoding="utf-8") as f:
        got = json.load(f)
    whole({name: got[name].encode() for name in FIELDS}, FIELDS)


def lines(pipe, decode):
    def case(folder):
        with open(write(folder, FIELD % pipe + "\n"), "rb") as f:
            whole(named([decode(line) for line in f.read().split(b"\n")[:-1]]), FIELDS)
    return case


_pq.PQconnectStart.restype = ctypes.c_void_p
_pq.PQconnectStart.argtypes = [ctypes.c_char_p]
_pq.PQpass.restype = ctypes.c_char_p
_pq.PQpass.argtypes = [ctypes.c_void_p]


def password(conninfo):
    """What libpq would send; nobody listens there."""
    connection = _pq.PQconnectStart(conninfo.encode())
    try:
        return _pq.PQpass(connection)
    finally:
        _pq.PQfinish(connection)


def pgpass(folder):
    fields = only(lambda value: not set(value) & set("\r\n"))
    path = write(folder, "NAME:1:d:u:" + FIELD % "| pgpass " + "\n", fields)
    whole({name: password("host=%s hostaddr=127.0.0.1 port=1 dbname=d user=u passfile=%s" % (name, path))
           for name in fields}, fields)


def pg_service(folder):
    fields = only(lambda value: min(value, default=" ") >= " " and value.strip(" ") == value)
    path = write(folder, "[NAME]\nhostaddr=127.0.0.1\nport=1\nuser=u\npassword=" + FIELD % "| pgService " + "\n", fields)
    os.environ["PGSERVICEFILE"] = path
    try:
        whole({name: password("service=" + name) for name in fields}, fields)
    finally:
        del os.environ["PGSERVICEFILE"]


def option_file(folder):
    path = write(folder, "kt-NAME-=" + FIELD % "| myCnf " + "\n", begin="[client]\n")
    out = subprocess.run(["my_print_defaults", "--defaults-file=" + path, "client"], capture_output=True, check=True)
    parts = re.split(rb"(?:^|\n)--kt-V\d+-=", out.stdout[:-1])
    whole(named(parts[1:]), FIELDS)


def refused(folder):
    """Nothing runs, nothing is written, and what is said has the reason and not the value."""
    path, mark = os.path.join(folder, "file"), os.path.join(folder, "ran")
    rows = [("nul", "shellQuote", "no NUL"), ("nul", "pgpass", "or NUL"), ("nul", "myCnf", "no NUL"),
            ("nul", "pgService", "no control characters"), ("line", "pgService", "no control characters"),
            ("blank", "pgService", "no blank at either end"), ("line", "pgpass", "no line feed"),
            ("cr", "pgpass", "carriage return"), ("long", "myCnf", "4,000 bytes at most")]
    for field, pipe, why in rows:
        decode = "base64Decode | " if field == "nul" else ""
        contents = '{{ secret \\"secret/refused\\" \\"%s\\" | %s%s }}' % (field, decode, pipe)
        done = agent(folder, 'file "%s" { contents = "%s" }' % (path, contents), ["touch", mark])
        told = done.stderr.decode()
        equal(done.returncode, 125, told)
        contains(told, "a value cannot be written with %s: " % pipe)
        contains(told, why)
        equal("hunter2" in told, False, "the value was told")
        equal(os.path.exists(path), False, "%s: a file was written" % pipe)
    equal(os.path.exists(mark), False, "the program ran")


def nul_that_is_taken(folder):
    """JSON, base64 and a URL have ways to write a NUL, a file that is the value has it."""
    contents = "".join('{{ secret "secret/refused" "nul" | base64Decode %s}}\n' % pipe
                       for pipe in ("| json ", "| base64 ", "| urlquery ", ""))
    with open(write(folder, contents, ["one"]), "rb") as f:
        got = f.read().split(b"\n")
    wanted = b"hunter2\0a"
    equal(json.loads(got[0]).encode(), wanted)
    equal([base64.b64decode(got[1]), urllib.parse.unquote_to_bytes(got[2]), got[3]], [wanted] * 3)


# ---- secretctl's ways ----

def ctl(*args):
    done = subprocess.run([program("secretctl"), *args], env=vault.environment(), stdin=subprocess.DEVNULL,
                          capture_output=True)
    equal(done.returncode, 0, "%s: %s" % (" ".join(args[:3]), done.stderr.decode()))
    return done


def stored(path):
    data = vault.ok("GET", "secret/data/" + path).data["data"]
    return {name: value.encode() for name, value in data.items()}


def one_field(folder):
    asked = [TEXTS[0], "", " ", "a\n", "\na", "a\r", "\\n", "%s%n", "\u00fc\u20ac\U0001f511"]
    for value in asked:
        name = "V%d" % VALUES.index(value)
        equal(ctl("kv", "get", "-field=" + name, "secret/every").stdout, value.encode(), name)


def nul_is_not_stored(folder):
    """What no environment and no shell can carry is refused by the vault already."""
    answer = vault.call("POST", "secret/data/nul", {"data": {"a": "hunter2\0"}})
    equal(answer.status, 400)
    contains(answer.body, "u0000 is not accepted")
    equal("hunter2" in answer.body, False, "the value was told")
    path = os.path.join(folder, "a")
    with open(path, "wb") as f:
        f.write(b"hunter2\0")
    for words in (["kv", "put", "secret/nul", "a=@" + path], ["import", "dir", folder, "secret/nul"],
                  ["import", "env", path, "secret/nul"]):
        done = subprocess.run([program("secretctl"), *words], env=vault.environment(), stdin=subprocess.DEVNULL,
                              capture_output=True)
        told = (done.stdout + done.stderr).decode()
        equal(done.returncode != 0 and "text" in told, True, "%s: %s" % (words[:2], told))
        equal("hunter2" in told, False, "the value was told")
    equal(vault.call("GET", "secret/data/nul").status, 404)


def from_files(folder):
    """kv put NAME=@FILE, where each file is a value."""
    words = []
    for name, value in FIELDS.items():
        with open(os.path.join(folder, name), "wb") as f:
            f.write(value.encode())
        words.append("%s=@%s" % (name, f.name))
    ctl("kv", "put", "secret/from-files", *words)
    whole(stored("from-files"), FIELDS)


def exported_env(folder):
    path = os.path.join(folder, ".env")
    ctl("export", "env", "secret/every", path)
    ctl("import", "env", path, "secret/env")
    whole(stored("env"), FIELDS)


def exported_json(folder):
    path = os.path.join(folder, "all.json")
    ctl("export", "json", "secret", path)
    with open(path, encoding="utf-8") as f:
        got = json.load(f)
    whole({name: value.encode() for name, value in got["every"].items()}, FIELDS)
    ctl("import", "json", path, "secret/json")
    whole(stored("json/every"), FIELDS)
    equal(stored("json/refused"), stored("refused"))


def exported_dir(folder):
    path = os.path.join(folder, "all")
    ctl("export", "dir", "secret/", path)
    ctl("import", "dir", path, "secret/dir")
    whole(stored("dir/every"), FIELDS)
    equal(stored("dir/refused"), stored("refused"))


CASES = [
    ("a program's environment", environment),
    ("a file that is the value", raw),
    ("a word of bash", shell("bash")),
    ("a word of sh", shell("sh")),
    ("JSON", json_file),
    ("base64", lines("| base64 ", base64.b64decode)),
    ("a URL", lines("| urlquery ", urllib.parse.unquote_to_bytes)),
    ("libpq's password file", pgpass),
    ("libpq's service file", pg_service),
    ("MariaDB's option file", option_file),
    ("what a way cannot carry is refused", refused),
    ("a NUL where it can be written", nul_that_is_taken),
    ("a NUL is not stored", nul_is_not_stored),
    ("kv get -field", one_field),
    ("kv put from files", from_files),
    ("export env and back", exported_env),
    ("export json and back", exported_json),
    ("export dir and back", exported_dir),
]

with Vault() as vault:
    vault.ready()
    vault.ok("POST", "secret/data/every", {"data": FIELDS})
    vault.ok("POST", "secret/data/refused", {"data": {
        "nul": b64(b"hunter2\0a"), "line": "hunter2\na", "cr": "hunter2\r", "blank": "hunter2 ", "long": "hunter2" * 600}})
    for case_name, function in CASES:
        place = tempfile.mkdtemp(prefix="kt-every-", dir="/dev/shm")
        try:
            report.case(case_name, function, place)
        finally:
            shutil.rmtree(place)
report.end()
