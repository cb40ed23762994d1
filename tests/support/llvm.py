"""LLVM's tools, whose names have their version in Debian."""
import functools
import re
import subprocess


@functools.lru_cache
def tool(name):
    """That of the clang that is installed: "llvm-cov" is llvm-cov-14."""
    text = subprocess.run(["clang", "--version"], capture_output=True, text=True, check=True).stdout
    return "%s-%s" % (name, re.search(r"version (\d+)", text).group(1))


def merge(raw, merged):
    """What -fprofile-instr-generate wrote, as llvm-cov wants it."""
    subprocess.run([tool("llvm-profdata"), "merge", "-sparse", raw, "-o", merged], check=True)
