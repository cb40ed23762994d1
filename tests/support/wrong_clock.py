"""A real server whose wall clock is wrong, and jumps while it runs.

    with WrongClock() as clock:
        with clock.preloaded():
            server.start()          # it and what it starts
        clock.ahead(400 * DAY)      # at once; -400 * DAY: behind
"""
import contextlib
import os
import struct
import tempfile

from keyturn import shim

DAY = 86400


class WrongClock:
    def __init__(self):
        self.file = tempfile.NamedTemporaryFile(prefix="kt-clock-")
        os.chmod(self.file.name, 0o644)
        self.ahead(0)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.file.close()

    def ahead(self, seconds):
        os.pwrite(self.file.fileno(), struct.pack("=q", seconds), 0)

    @contextlib.contextmanager
    def preloaded(self):
        """What is started meanwhile has this clock: of nothing else may be started at that moment."""
        more = {"LD_PRELOAD": shim("clock_shim.so"), "KT_CLOCK": self.file.name}
        os.environ.update(more)
        try:
            yield
        finally:
            for name in more:
                del os.environ[name]
