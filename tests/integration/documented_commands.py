#!/usr/bin/python3
"""Each line of README and docs that types secretctl is one that secretctl understands.

    tests/integration/documented_commands.py

Each is run as it is printed, with a vault that cannot be reached, in an empty folder: what is refused for its words (no such
command, flag or setting, a value that may not stand there) fails; what comes as far as the vault, a file or a prompt
is well typed.
"""
import glob
import os
import re
import shlex
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
from keyturn import ROOT, Report, program  # noqa: E402

GENERATED = "secretctl.md"  # of the table of commands itself
REFUSED = re.compile(r"stands on the command line|there is no setting|no flag|no command|is no command|"
                     r"is not of the form|is given twice|too many words|is a whole number|"
                     r"is true or false|is a map", re.I)


def code(text):
    """Lines of code: between fences, or indented; a backslash at the end goes on."""
    fence = False
    for line in re.sub(r"\\\n\s*", " ", text).split("\n"):
        if line.startswith("```"):
            fence = not fence
        elif fence or line.startswith("    "):
            yield re.sub(r"^\s*\$ ", "", line).strip()


def commands(line):
    """The words of each secretctl in a line; what a shell, or the page, says beside them is left out."""
    line = re.sub(r"<\([^)]*\)", "FILE", line)  # a file of what a command says
    lexer = shlex.shlex(re.split(r" {3,}", line)[0], posix=True, punctuation_chars="|&;<>()")
    lexer.whitespace_split = True
    words, skips = [], False
    try:
        tokens = list(lexer)
    except ValueError:  # a text over several lines
        return
    for token in tokens + [";"]:
        if set(token) <= set("|&;()"):
            if words[:1] == ["secretctl"]:
                yield words[1:]
            words, skips = [], False
        elif set(token) <= set("<>"):
            skips = True
        elif skips:
            skips = False
        else:
            words.append(token)


def refusal(words, folder):
    done = subprocess.run([program("secretctl"), *words], cwd=folder, stdin=subprocess.DEVNULL, capture_output=True,
                          text=True, timeout=20, env={"HOME": folder, "PATH": "/usr/bin:/bin", "VAULT_TOKEN": "t",
                                                      "VAULT_ADDR": "http://127.0.0.1:1"})
    first = (done.stderr.split("\n") + [""])[0]
    return first if done.returncode == 1 and REFUSED.search(first) else ""


def main():
    report = Report()
    typed = 0
    with tempfile.TemporaryDirectory(prefix="kt-documented-") as folder:
        for page in sorted(glob.glob(os.path.join(ROOT, "docs", "*.md"))) + [os.path.join(ROOT, "README.md")]:
            name = os.path.basename(page)
            if name == GENERATED:
                continue
            with open(page, encoding="utf-8") as f:
                found = [words for line in code(f.read()) for words in commands(line)]
            typed += len(found)

            def check(found=found):
                wrong = ["secretctl %s\n    %s" % (" ".join(words), why)
                         for words in found if (why := refusal(words, folder))]
                if wrong:
                    raise AssertionError("\n".join(wrong))
            if found:
                report.case(name, check)
    if typed < 100:
        raise SystemExit("only %d lines were found: the pages are no longer read right" % typed)
    report.end()


main()
