"""Checks an exported audit log with the public key alone, independently of our own verifier.

RFC 6962 section 2.1 (tree), RFC 9162 section 2.1.4.2 (consistency), C2SP signed-note and
tlog-checkpoint; SHA-256 is Python's, Ed25519 the openssl program's.

    log = auditlog.fetch(vault)             all of it, over the API
    log.verify(key)                         raises Altered, which names the record
    log.outcomes()                          {request id: record} of what had an effect
    auditlog.check_kept(log, note, key)     is a checkpoint kept from earlier still true of it?
"""
import base64
import functools
import hashlib
import json
import os
import subprocess
import tempfile

NOTE_END = "\n\n\u2014 "


class Altered(AssertionError):
    pass


def leaf_hash(line):
    return hashlib.sha256(b"\0" + line).digest()


def node_hash(left, right):
    return hashlib.sha256(b"\1" + left + right).digest()


class Tree:
    """The right edge of a growing tree, so that each size's root costs a logarithm."""

    def __init__(self):
        self.size, self.edge = 0, []  # [(level, hash)], large to small

    def push(self, leaf):
        level, node = 0, leaf
        while self.edge and self.edge[-1][0] == level:
            node = node_hash(self.edge.pop()[1], node)
            level += 1
        self.edge.append((level, node))
        self.size += 1

    def root(self):
        if not self.edge:
            return hashlib.sha256(b"").digest()
        node = self.edge[-1][1]
        for _, left in reversed(self.edge[:-1]):
            node = node_hash(left, node)
        return node


def root_of(leaves):
    """By the definition, for small trees: the other way to the same root."""
    if not leaves:
        return hashlib.sha256(b"").digest()
    if len(leaves) == 1:
        return leaves[0]
    k = 1 << (len(leaves) - 1).bit_length() - 1
    return node_hash(root_of(leaves[:k]), root_of(leaves[k:]))


def consistent(old, new, old_root, new_root, proof):
    """RFC 9162 2.1.4.2."""
    if not 0 < old <= new:
        return False
    if old == new:
        return not proof and old_root == new_root
    if old & (old - 1) == 0:
        proof = [old_root] + proof
    if not proof:
        return False
    fn, sn = old - 1, new - 1
    while fn & 1:
        fn, sn = fn >> 1, sn >> 1
    fr = sr = proof[0]
    for hash_ in proof[1:]:
        if sn == 0:
            return False
        if fn & 1 or fn == sn:
            fr, sr = node_hash(hash_, fr), node_hash(hash_, sr)
            while not fn & 1 and fn != 0:
                fn, sn = fn >> 1, sn >> 1
        else:
            sr = node_hash(sr, hash_)
        fn, sn = fn >> 1, sn >> 1
    return sn == 0 and fr == old_root and sr == new_root


# ---- notes ---------------------------------------------------------------------------------------

class Key:
    """name+hex8+base64(0x01 || key)"""

    def __init__(self, text):
        self.text = text.strip()
        self.name, id_hex, rest = self.text.split("+", 2)
        raw = base64.b64decode(rest, validate=True)
        if len(raw) != 33 or raw[0] != 1:
            raise Altered("not an Ed25519 key: " + text)
        self.public = raw[1:]
        self.id = hashlib.sha256(self.name.encode() + b"\n\x01" + self.public).digest()[:4]
        if self.id.hex() != id_hex:
            raise Altered("the key's id is not its own: " + text)

    def check(self, signature, message):
        return is_signed(self.public, signature, message)


@functools.lru_cache(maxsize=None)  # the same bytes have the same answer, and each costs a process
def is_signed(public, signature, message):
    der = bytes.fromhex("302a300506032b6570032100") + public
    with tempfile.TemporaryDirectory() as folder:
        paths = [os.path.join(folder, n) for n in ("key", "sig", "text")]
        for path, content in zip(paths, (der, signature, message)):
            with open(path, "wb") as f:
                f.write(content)
        done = subprocess.run(["openssl", "pkeyutl", "-verify", "-rawin", "-pubin", "-keyform",
                               "DER", "-inkey", paths[0], "-sigfile", paths[1], "-in", paths[2]],
                              capture_output=True)
    return done.returncode == 0


class Note:
    def __init__(self, text):
        body, end, signatures = text.partition(NOTE_END)
        if not end or not text.endswith("\n"):
            raise Altered("not a signed note: %r" % text[:200])
        self.text, self.body = text, body + "\n"
        lines = self.body.split("\n")
        if len(lines) < 4 or lines[-1] != "" or str(int(lines[1])) != lines[1]:
            raise Altered("not a checkpoint: %r" % text[:200])
        self.origin, self.size = lines[0], int(lines[1])
        self.root = base64.b64decode(lines[2], validate=True)
        self.signatures = []
        for line in ("\u2014 " + signatures)[:-1].split("\n"):
            dash, name, blob = line.split(" ")
            if dash != "\u2014":
                raise Altered("not a signature line: %r" % line)
            self.signatures.append((name, base64.b64decode(blob, validate=True)))

    def check(self, key):
        ours = [blob for name, blob in self.signatures if name == key.name and blob[:4] == key.id]
        if not ours:
            raise Altered("the checkpoint of %d records is not signed by this key" % self.size)
        for blob in ours:
            if not key.check(blob[4:], self.body.encode()):
                raise Altered("the signature of the checkpoint of %d records is false" % self.size)


def notes_of(text):
    """Several notes, one after the other."""
    notes, lines = [], text.split("\n")
    at, begun, signed = 0, 0, False
    while at < len(lines):
        is_signature = lines[at].startswith("\u2014 ")
        if signed and not is_signature:
            notes.append(Note("\n".join(lines[begun:at]) + "\n"))
            begun = at
        signed = is_signature
        at += 1
    if "\n".join(lines[begun:]) != "":
        raise Altered("something behind the last note: %r" % lines[begun:])
    return notes


# ---- a whole log ---------------------------------------------------------------------------------

class Log:
    def __init__(self, lines, leaves, notes, key):
        self.lines, self.leaves, self.notes, self.key = lines, leaves, notes, key
        self.parsed = None

    def records(self):
        if self.parsed is None:
            self.parsed = [json.loads(line) for line in self.lines]
        return self.parsed

    def verify(self, key=None, signatures=None):
        """Every record against its leaf, every checkpoint against the leaves; the signatures of all
        checkpoints, or of the newest `signatures` ones. Returns how many records are proven."""
        key = Key(key or self.key)
        if len(self.lines) != len(self.leaves):
            raise Altered("%d records, %d leaf hashes" % (len(self.lines), len(self.leaves)))
        if not self.notes:
            raise Altered("no checkpoint")
        by_size = {}
        for note in self.notes:
            by_size.setdefault(note.size, []).append(note)
        tree, proven = Tree(), 0
        for seq, (line, leaf) in enumerate(zip(self.lines, self.leaves)):
            if leaf_hash(line) != leaf:
                raise Altered("record %d was altered" % seq)
            if not line.endswith(b',"seq":%d}' % seq):
                raise Altered("record %d stands at place %d" % (json.loads(line)["seq"], seq))
            tree.push(leaf)
            for note in by_size.pop(tree.size, []):
                if note.root != tree.root():
                    raise Altered("the records before %d are not those of their checkpoint" %
                                  tree.size)
                proven = tree.size
        if by_size:
            raise Altered("a checkpoint knows %d records, there are %d" % (max(by_size), tree.size))
        for note in self.notes if signatures is None else self.notes[-signatures:]:
            note.check(key)
            if note.origin != key.name:
                raise Altered("a checkpoint of %s under the key of %s" % (note.origin, key.name))
        return proven

    def root(self, size):
        tree = Tree()
        for leaf in self.leaves[:size]:
            tree.push(leaf)
        return tree.root()

    def outcomes(self):
        """What became of each request that had an effect, by its id."""
        return {r["request"]["id"]: r for r in self.records() if "generation" in r}

    def write(self, folder):
        """As a bundle for `secretctl audit verify`."""
        os.makedirs(folder, exist_ok=True)
        for name, content in (("records.jsonl", b"".join(line + b"\n" for line in self.lines)),
                              ("leaves.bin", b"".join(self.leaves)),
                              ("checkpoints.txt", "".join(n.text for n in self.notes).encode()),
                              ("key.pub", self.key.encode() + b"\n")):
            with open(os.path.join(folder, name), "wb") as f:
                f.write(content)
        return folder


def check_kept(log, note, key=None):
    """A checkpoint that somebody kept: the log must contain what it says."""
    if isinstance(note, str):
        note = Note(note)
    note.check(Key(key or log.key))
    if note.size > len(log.leaves):
        raise Altered("the kept checkpoint knows %d records, the log has %d" %
                      (note.size, len(log.leaves)))
    if log.root(note.size) != note.root:
        raise Altered("the log's first %d records are not those of the kept checkpoint" % note.size)


def checkpoint(vault):
    """A new one: (note text, public key)."""
    data = vault.ok("POST", "sys/audit-log/checkpoint", {}).data
    return data["checkpoint"], data["public_key"]


def fetch(vault, have=None):
    """The log as it is now, up to a new checkpoint. have: an earlier fetch of the same log, so that
    only what is new travels (all of it is verified again all the same)."""
    checkpoint(vault)
    told = vault.ok("GET", "sys/audit-log/checkpoints").data
    notes = notes_of(told["checkpoints"])
    size = notes[-1].size
    lines, leaves = (list(have.lines), list(have.leaves)) if have else ([], [])
    while len(lines) < size:
        body = vault.ok("GET", "sys/audit-log/export?from=%d&to=%d" % (len(lines), size)).body
        lines += [line.encode() for line in body.split("\n")[:-1]]
    while len(leaves) < size:
        data = vault.ok("GET", "sys/audit-log/leaves?from=%d&to=%d" % (len(leaves), size)).data
        raw = base64.b64decode(data["leaves"])
        leaves += [raw[at:at + 32] for at in range(0, len(raw), 32)]
    log = Log(lines, leaves, notes, told["public_key"])
    if have:
        log.parsed = have.records() + [json.loads(line) for line in lines[len(have.lines):]]
    return log
