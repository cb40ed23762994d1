"""Which pages of the store a commit wrote, from a log of tests/support/sync_shim.c.

A page of LMDB says what it is: flags at 10 (1 branch, 2 leaf, 4 overflow, 8 meta), the end of its
offsets at 12, the number of pages of an overflow at 12. What tree a leaf belongs to is told by its keys.
"""
import collections
import struct

import powerloss

PAGE = 4096
HEAD = 16
BRANCH, LEAF, OVERFLOW = 1, 2, 4
SUBTREE = 2  # of a node: its value is the root of a tree of its own
KINDS = ("data leaves", "data branches", "outcomes and head", "free list", "list of databases")


def last_node(page):
    """(flags, key); the first key of a branch is empty, so the last tells more."""
    lower, = struct.unpack_from("<H", page, 12)
    if lower <= HEAD:
        return 0, b""
    offset, = struct.unpack_from("<H", page, lower - 2)
    flags, size = struct.unpack_from("<HH", page, offset + 4)
    return flags, page[offset + 8:offset + 8 + size]


def is_free_list(value):
    """A length and so many page numbers, downwards."""
    count, = struct.unpack_from("<Q", value, 0)
    if not 0 < count <= (len(value) - 8) // 8:
        return False
    numbers = struct.unpack_from("<%dQ" % count, value, 8)
    return all(a > b for a, b in zip(numbers, numbers[1:]))


def kind_of(page):
    flags, = struct.unpack_from("<H", page, 10)
    if flags & OVERFLOW:
        return "free list" if is_free_list(page[HEAD:]) else "outcomes and head"
    node, key = last_node(page)
    if flags & LEAF and node & SUBTREE:
        return "list of databases"
    if len(key) == 8:  # generations are big-endian, LMDB's transaction numbers little-endian
        return "outcomes and head" if key[0] == 0 else "free list"
    if key == b"head":
        return "outcomes and head"
    return "data branches" if flags & BRANCH else "data leaves"


def written(log, begun, ended):
    """(pages by kind, commits) of what was written to the store from one moment to another."""
    pages, commits = collections.Counter(), 0
    for record in powerloss.read_log(log):
        if record.start < begun or record.end > ended or not record.path.endswith("data.mdb"):
            continue
        if record.kind == powerloss.WRITE_SYNC:
            commits += 1
        elif record.kind == powerloss.WRITE:
            at = 0
            while at + HEAD <= len(record.data):
                flags, = struct.unpack_from("<H", record.data, at + 10)
                count, = struct.unpack_from("<I", record.data, at + 12) if flags & OVERFLOW else (1,)
                pages[kind_of(record.data[at:at + count * PAGE])] += count
                at += count * PAGE
    return pages, commits
