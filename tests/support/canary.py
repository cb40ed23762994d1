"""Planted texts, and looking for them in every form in which they could leak.

    canaries = Canaries()
    password = canaries.plant("value", 'sec"ret/{}')     {} becomes the part that is looked for
    canaries.find(data)                                  names of those in it, with the form
    canaries.find(data, kinds=("value", "token"))

Found are: the text itself, also inside JSON or a URL (its core has only letters and digits), hexadecimal
of both cases, base64 of both alphabets at any alignment, UTF-16.
"""
import base64
import os
import random
import string

PAGE = 4096


def base64_inside(data):
    """What base64 of anything that contains data must contain, for the three alignments."""
    for shift in range(3):
        text = base64.b64encode(bytes(shift) + data)
        first = (shift * 8 + 5) // 6
        last = len(text) if (shift + len(data)) % 3 == 0 else -((shift + len(data)) // -3) * 4 - (
            3 if (shift + len(data)) % 3 == 1 else 2)
        yield text[first:last]


def forms(data):
    yield "plain", data
    yield "hex", data.hex().encode()
    yield "HEX", data.hex().upper().encode()
    yield "UTF-16", data.decode("latin-1").encode("utf-16-le")
    for text in base64_inside(data):
        yield "base64", text
        if b"+" in text or b"/" in text:
            yield "base64url", text.replace(b"+", b"-").replace(b"/", b"_")


class Canaries:
    def __init__(self, seed=None):
        self.rng = random.Random(seed)
        self.planted = []  # (kind, name, [(form, bytes)])

    def plant(self, kind, text="{}", length=20):
        core = "".join(self.rng.choice(string.ascii_letters + string.digits) for _ in range(length))
        self.know(kind, core, text.replace("{}", "..."))
        return text.replace("{}", core)

    def know(self, kind, text, name=None):
        """A text that others made: a token, a share in hexadecimal."""
        data = text.encode() if isinstance(text, str) else text
        self.planted.append((kind, name or kind + " " + repr(text)[:12], list(forms(data))))

    def find(self, data, kinds=None):
        return ["%s as %s" % (name, form) for kind, name, patterns in self.planted
                if kinds is None or kind in kinds
                for form, pattern in patterns if pattern in data]

    def find_in_file(self, path, kinds=None):
        with open(path, "rb") as f:
            return self.find(dense(f.read()), kinds)

    def find_in_folder(self, folder, kinds=None):
        """["file: what"] and how many bytes were looked at, names of files included."""
        found, looked = [], 0
        for at, folders, files in os.walk(folder):
            for name in folders + files:
                found += ["%s: %s in its name" % (os.path.join(at, name), what)
                          for what in self.find(name.encode(), kinds)]
            for name in files:
                path = os.path.join(at, name)
                looked += os.path.getsize(path)
                found += ["%s: %s" % (path, what) for what in self.find_in_file(path, kinds)]
        return found, looked


def dense(data):
    """Without pages of zeroes: nothing planted holds a zero byte."""
    zero = bytes(PAGE)
    return b"".join(page for page in (data[at:at + PAGE] for at in range(0, len(data), PAGE))
                    if page != zero)


def self_test():
    canaries = Canaries(1)
    text = canaries.plant("value", 'a"b/{}')
    data = text.encode()
    for shift in range(3):
        assert canaries.find(base64.b64encode(b"xyz"[:shift] + data + b"tail"))
        assert canaries.find(base64.urlsafe_b64encode(b"xyz"[:shift] + data))
    for other in (data, data.hex().encode(), text.encode("utf-16-le"), b"?" + data + b"?"):
        assert canaries.find(other), other
    assert not canaries.find(data.replace(b"b/", b"")[:-1])


self_test()
