"""A client from npm, unchanged, against a new vaultd over TLS; its cases stand in tests/conformance/node.

The packages are installed as node/package-lock.json says, into build/node, once.
"""
import fcntl
import filecmp
import os
import shutil
import subprocess
import sys

from keyturn import ROOT, Vault
from pki import Authority

SOURCE = os.path.join(ROOT, "tests", "conformance", "node")
TARGET = os.path.join(ROOT, "build", "node")


def install():
    """Whether the modules are there, as locked. Two tests at once: the second waits, and finds them."""
    os.makedirs(TARGET, exist_ok=True)
    with open(os.path.join(TARGET, "lock"), "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        return install_alone()


def install_alone():
    files = ["package.json", "package-lock.json"]
    done = os.path.join(TARGET, "installed")
    same = all(os.path.exists(os.path.join(TARGET, f)) and
               filecmp.cmp(os.path.join(SOURCE, f), os.path.join(TARGET, f), shallow=False) for f in files)
    if same and os.path.exists(done):
        return True
    if os.path.exists(done):
        os.unlink(done)
    for name in files:
        shutil.copyfile(os.path.join(SOURCE, name), os.path.join(TARGET, name))
    for _ in range(2):  # a registry may be slow once
        npm = subprocess.run(["npm", "ci", "--no-audit", "--no-fund", "--ignore-scripts"], cwd=TARGET,
                             text=True, capture_output=True, stdin=subprocess.DEVNULL)
        if npm.returncode == 0:
            open(done, "w").close()
            return True
    print("# npm ci in %s:\n%s" % (TARGET, npm.stderr[-2000:]))
    return False


def certificates(vault):
    """The folder with ca.crt, and web and mail of that authority, .crt and .key, for clients to show."""
    ca = Authority(vault.folder, "pki")
    ca.issue("web")
    ca.issue("mail")
    return ca.at


def run(cases):
    """The exit status of the cases in this file, of those whose names are among the arguments."""
    if not install():
        print("not ok - the clients are installed: expected npm ci to succeed, got an error (see above; it "
              "needs the npm registry once); alone: cd build/node && npm ci")
        return 1
    vault = Vault(tls=True)
    try:
        vault.start()
        modules = os.path.join(TARGET, "node_modules")
        env = {k: v for k, v in os.environ.items() if not k.startswith("VAULT_")}
        env.update(VAULT_ADDR=vault.address, KT_CACERT=vault.cacert, NODE_EXTRA_CA_CERTS=vault.cacert,
                   NODE_PATH=modules, KT_MODULES=modules, KT_PKI=certificates(vault),
                   KT_PROGRAM=os.path.relpath(sys.argv[0], ROOT))
        return subprocess.run(["node", os.path.join(SOURCE, cases)] + sys.argv[1:], env=env,
                              stdin=subprocess.DEVNULL).returncode
    finally:
        vault.remove()
