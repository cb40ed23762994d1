"""What a power loss could leave on the disk.

Reads a log of tests/support/sync_shim.c (its head says the form) and makes, for moments of that run,
folders as a disk might hold them after the power went at that moment:

  - everything that a completed sync covers is there;
  - of every other write that had begun, at random: nothing, all, or some of its 512-byte sectors;
  - names: creations, renames, removals in one folder become durable in order; those that a sync of the
    folder covers are there, of the later ones a random part from the front.

    for state in powerloss.states("run.log", "/data", start="/data-before", out="/dev/shm/x",
                                  count=1000, seed=1):
        state.folder        the folder, there until the next turn
        state.cut           the moment, CLOCK_MONOTONIC ns
        state.answers()     (start, end, bytes) of each answer that may have left before the moment
        state.words         what was chosen, for messages

`start` is the folder as it was before the log began (None: it was empty). States come in the order of
their moments. The same seed gives the same states.

As a program: powerloss.py LOG FOLDER OUT [--start S] [--count N] [--seed S] [--keep K] prints one line
a state, or leaves state K in OUT.
"""
import argparse
import bisect
import os
import random
import shutil
import struct
import sys

(WRITE, SYNC, SYNC_DIR, WRITE_SYNC, TRUNCATE, ALLOCATE, CREATE, RENAME, UNLINK, MKDIR, RMDIR, MAP,
 ANSWER, ZERO, EXCHANGE) = range(1, 16)
NAMES = ("? WRITE SYNC SYNC_DIR WRITE_SYNC TRUNCATE ALLOCATE CREATE RENAME UNLINK MKDIR RMDIR MAP "
         "ANSWER ZERO EXCHANGE").split()
SIZES = (TRUNCATE, ALLOCATE, ZERO)  # without bytes; they arrive or do not
HEAD = struct.Struct("<IBBHIIQQIIQQQ")
SECTOR = 512
CHUNK = 65536
BLANK = bytes(CHUNK)
NEVER = 1 << 63


class Record:
    __slots__ = ("kind", "process", "thread", "start", "end", "error", "inode", "offset", "length",
                 "path", "data", "durable_at")


def read_log(path):
    """The records in the order in which their calls returned. A torn last one is left out."""
    with open(path, "rb") as file:
        log = file.read()
    records, at = [], 0
    while at + HEAD.size <= len(log):
        (total, kind, _, path_len, process, thread, start, end, error, _, inode, offset,
         length) = HEAD.unpack_from(log, at)
        if at + total > len(log):
            break
        r = Record()
        r.kind, r.process, r.thread, r.start, r.end, r.error = (kind, process, thread, start, end,
                                                                error)
        r.inode, r.offset, r.length = inode, offset, length
        body = at + HEAD.size
        r.path = log[body:body + path_len].decode()
        r.data = log[body + path_len:at + total]
        records.append(r)
        at += total
    records.sort(key=lambda r: r.end)
    return records


def covered_at(syncs, ends):
    """For each of `ends` (when a change had returned): when a sync that began later had returned."""
    syncs = sorted(syncs)
    best, earliest = [], NEVER
    for _, end in reversed(syncs):
        earliest = min(earliest, end)
        best.append(earliest)
    best.reverse()
    starts = [start for start, _ in syncs]
    for end in ends:
        i = bisect.bisect_right(starts, end)
        yield best[i] if i < len(best) else NEVER


class File:
    """A file's bytes: a base that only durable writes have reached, and what came after, in order."""

    def __init__(self, content=b""):
        self.base = bytearray(content)
        self.events = []   # writes, in order
        self.syncs = []    # (start, end) of the ones that succeeded
        self.durable = 0   # events[:durable] are in the base

    @staticmethod
    def apply(content, r, sectors=None):
        """sectors: a random.Random that says which ones arrive; None: all."""
        if r.kind == TRUNCATE:
            if r.offset < len(content):
                del content[r.offset:]
            else:
                content.extend(bytes(r.offset - len(content)))
        elif r.kind == ALLOCATE:
            if r.offset + r.length > len(content):
                content.extend(bytes(r.offset + r.length - len(content)))
        elif r.kind == ZERO:
            File.put(content, r.offset, bytes(r.length))
        elif sectors is None:
            File.put(content, r.offset, r.data)
        else:
            at, stop = r.offset, r.offset + len(r.data)
            while at < stop:
                until = min(stop, (at // SECTOR + 1) * SECTOR)
                if sectors.random() < 0.5:
                    File.put(content, at, r.data[at - r.offset:until - r.offset])
                at = until

    @staticmethod
    def put(content, offset, data):
        if offset > len(content):
            content.extend(bytes(offset - len(content)))
        content[offset:offset + len(data)] = data

    def take_left(self, moment, path, content):
        known = bytearray(self.base)
        for r in self.events:
            self.apply(known, r)
        for at in range(0, len(content), CHUNK):
            if known[at:at + CHUNK] == content[at:at + CHUNK]:
                continue
            r = Record()
            r.kind, r.start, r.end, r.error, r.path = MAP, moment, moment, 0, path
            r.offset, r.data = at, content[at:at + CHUNK]
            self.events.append(r)

    def settle(self):
        """Once all is read."""
        ends = [r.end for r in self.events]
        for r, at in zip(self.events, covered_at(self.syncs, ends)):
            r.durable_at = min(at, r.end) if r.kind == WRITE_SYNC else at

    def advance(self, cut):
        """Takes into the base what is durable at cut, up to the first write that is not."""
        while self.durable < len(self.events):
            r = self.events[self.durable]
            if r.durable_at > cut:
                break
            self.apply(self.base, r)
            self.durable += 1

    def at(self, cut, rng, mode, words):
        content = None
        for r in self.events[self.durable:]:
            if r.start >= cut:
                continue
            if content is None:
                content = bytearray(self.base)
            if r.durable_at <= cut:
                self.apply(content, r)
                continue
            fate = mode if mode != "mixed" else rng.choice(("lost", "whole", "torn"))
            if fate == "torn" and r.kind in SIZES:
                fate = rng.choice(("lost", "whole"))
            words.append("%s %s %d+%d" % (fate, os.path.basename(r.path), r.offset, len(r.data)))
            if fate == "whole":
                self.apply(content, r)
            elif fate == "torn":
                self.apply(content, r, rng)
        return self.base if content is None else content


class Folder:
    def __init__(self):
        self.start = {}       # name -> File or Folder, before the log
        self.live = {}        # as the process saw it, while the log is read
        self.changes = []     # (start, end, ((name, node or None), ...)), in order
        self.syncs = []
        self.durable_at = []  # of each change

    def change(self, r, *edits):
        self.changes.append((r.start, r.end, edits))
        self.edit(self.live, edits)

    @staticmethod
    def edit(names, edits):
        for name, node in edits:
            if node is None:
                names.pop(name, None)
            else:
                names[name] = node

    def settle(self):
        self.durable_at = list(covered_at(self.syncs, [end for _, end, _ in self.changes]))

    def at(self, cut, rng, mode):
        sure = sum(1 for at in self.durable_at if at <= cut)
        begun = max(sure, sum(1 for start, _, _ in self.changes if start < cut))
        taken = {"lost": sure, "whole": begun}.get(mode, rng.randint(sure, begun))
        names = dict(self.start)
        for _, _, edits in self.changes[:taken]:
            self.edit(names, edits)
        return names


class Disk:
    """All that the log says of the folder."""

    def __init__(self, records, root, start=None, left=()):
        """left: (moment, copy of the folder) after each kill, in order: what a killed process had
        stored through mappings since its last sync is in the kernel's hands, but in no record."""
        self.root_path = root.rstrip("/")
        self.folders = []
        self.root = self.new_folder()
        self.files = []
        self.by_inode = {}
        self.answers = [r for r in records if r.kind == ANSWER]
        if start is not None:
            self.load(start, self.root)
        left = list(left)
        for r in records:
            while left and left[0][0] < r.end:
                self.take_left(*left.pop(0))
            self.take(r)
        for node in self.files + self.folders:
            node.settle()

    def load(self, path, folder):
        for entry in os.scandir(path):
            if entry.is_dir(follow_symlinks=False):
                node = self.new_folder()
                self.load(entry.path, node)
            else:
                with open(entry.path, "rb") as file:
                    node = self.new_file(file.read())
            folder.start[entry.name] = folder.live[entry.name] = node

    def take_left(self, moment, path, folder=None):
        folder = folder or self.root
        for entry in os.scandir(path):
            node = folder.live.get(entry.name)
            if isinstance(node, Folder):
                self.take_left(moment, entry.path, node)
            elif node is not None:
                with open(entry.path, "rb") as file:
                    node.take_left(moment, entry.path, file.read())

    def new_file(self, content=b""):
        file = File(content)
        self.files.append(file)
        return file

    def new_folder(self):
        folder = Folder()
        self.folders.append(folder)
        return folder

    def find(self, path):
        """(folder, name) of a path; the folder is None if it is not below the root."""
        if path == self.root_path:
            return None, None
        if not path.startswith(self.root_path + "/"):
            return None, None
        names = [n for n in path[len(self.root_path) + 1:].split("/") if n not in ("", ".")]
        folder = self.root
        for name in names[:-1]:
            folder = folder.live.get(name)
            if not isinstance(folder, Folder):
                return None, None
        return folder, names[-1]

    def file_of(self, r):
        file = self.by_inode.get(r.inode)
        if file is None:
            folder, name = self.find(r.path)
            file = folder.live.get(name) if folder is not None else None
            if not isinstance(file, File):
                return None
            self.by_inode[r.inode] = file
        return file

    def change(self, r, path, node):
        folder, name = self.find(path)
        if folder is not None:
            folder.change(r, (name, node))

    def take(self, r):
        if r.kind == ANSWER or (r.error != 0 and r.kind not in (WRITE, WRITE_SYNC)):
            return
        if r.kind in (WRITE, WRITE_SYNC, MAP) + SIZES:
            file = self.file_of(r)
            if file is not None and (r.data or r.kind in SIZES):
                file.events.append(r)
        elif r.kind == SYNC:
            file = self.file_of(r)
            if file is not None:
                file.syncs.append((r.start, r.end))
        elif r.kind == SYNC_DIR:
            folder, name = self.find(r.path)
            node = self.root if r.path == self.root_path else (
                folder.live.get(name) if folder is not None else None)
            if isinstance(node, Folder):
                node.syncs.append((r.start, r.end))
        elif r.kind == CREATE:
            file = self.new_file()
            self.by_inode[r.inode] = file
            self.change(r, r.path, file)
        elif r.kind == MKDIR:
            self.change(r, r.path, self.new_folder())
        elif r.kind in (UNLINK, RMDIR):
            self.change(r, r.path, None)
        elif r.kind == RENAME:
            folder, name = self.find(r.path)
            node = folder.live.get(name) if folder is not None else None
            to, to_name = self.find(r.data.decode())
            if node is not None and folder is to:
                folder.change(r, (name, None), (to_name, node))  # a disk never shows half of it
            elif node is not None:
                self.change(r, r.path, None)
                self.change(r, r.data.decode(), node)

        elif r.kind == EXCHANGE:
            folder, name = self.find(r.path)
            to, to_name = self.find(r.data.decode())
            if folder is None or folder is not to:
                raise ValueError("an exchange between two folders: %s" % r.path)
            folder.change(r, (name, folder.live[to_name]), (to_name, folder.live[name]))

    def advance(self, cut):
        for file in self.files:
            file.advance(cut)

    def write(self, out, cut, rng, mode, words):
        self.write_folder(self.root, out, cut, rng, mode, words)

    def write_folder(self, folder, out, cut, rng, mode, words):
        os.mkdir(out, 0o700)
        names = folder.at(cut, rng, mode)
        for name in sorted(names):
            node, path = names[name], os.path.join(out, name)
            if isinstance(node, Folder):
                self.write_folder(node, path, cut, rng, mode, words)
            else:
                write_sparse(path, node.at(cut, rng, mode, words))


def write_sparse(path, content):
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        os.ftruncate(fd, len(content))
        for at in range(0, len(content), CHUNK):
            chunk = content[at:at + CHUNK]  # a copy: comparing a memoryview costs far more
            if chunk != BLANK[:len(chunk)]:
                os.pwrite(fd, chunk, at)
    finally:
        os.close(fd)


class State:
    def __init__(self, number, cut, folder, words, all_answers):
        self.number, self.cut, self.folder, self.words = number, cut, folder, words
        self.all_answers = all_answers

    def answers(self):
        for r in self.all_answers:
            if r.start < self.cut and r.error == 0:
                yield r.start, r.end, r.data


def moments(records, count, rng):
    """Where something was under way is where it can go wrong: at, within and after the records."""
    records = [r for r in records if r.kind != MAP]
    chosen = []
    for _ in range(count):
        r = rng.choice(records)
        chosen.append(rng.choice((r.start, r.start + 1, (r.start + r.end) // 2, r.end, r.end + 1)))
    return sorted(chosen)


def states_at(disk, cuts, out, seed=1, mode=None, wanted=lambda number: True):
    """A state for each of these moments, which go upwards. wanted: makes only those, the same ones
    as if all were made, so that several processes can share them."""
    for number, cut in enumerate(cuts):
        if not wanted(number):
            continue
        rng = random.Random("%d %d" % (seed, number))
        disk.advance(cut)
        how = mode or rng.choice(("lost", "whole", "mixed", "mixed", "mixed"))
        words = [how]
        shutil.rmtree(out, ignore_errors=True)
        disk.write(out, cut, rng, how, words)
        yield State(number, cut, out, words, disk.answers)


def states(log, root, start=None, out=None, count=200, seed=1, since=0, cuts=None, mode=None):
    """since: only moments after it (CLOCK_MONOTONIC ns). cuts: exactly these moments, for example the
    starts of all answers. mode "lost": of what no sync covers nothing survives; "whole": all of it;
    "mixed": a part; None: each in turn."""
    records = read_log(log)
    if cuts is None:
        usable = [r for r in records if r.start >= since]
        cuts = moments(usable, count, random.Random(seed))
    yield from states_at(Disk(records, root, start), sorted(cuts), out, seed, mode)
    shutil.rmtree(out, ignore_errors=True)


def main():
    parser = argparse.ArgumentParser(description="what a power loss could leave on the disk")
    parser.add_argument("log")
    parser.add_argument("folder")
    parser.add_argument("out")
    parser.add_argument("--start")
    parser.add_argument("--count", type=int, default=200)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--keep", type=int)
    args = parser.parse_args()
    for state in states(args.log, args.folder, args.start, args.out, args.count, args.seed):
        print("%d cut=%d %s" % (state.number, state.cut, "; ".join(state.words[:6])))
        if state.number == args.keep:
            os._exit(0)  # without the generator's clean-up
    return 0


if __name__ == "__main__":
    sys.exit(main())
