"""A program on a terminal of its own: what it shows, and what is typed when it asks.

    with Terminal([program, "word"], env) as t:
        t.expect("Token (not shown): ")
        t.send("text\\n")
        code = t.end()          # waits; t.text is everything that was shown
"""
import os
import pty
import select
import signal
import struct
import fcntl
import termios
import time

DEADLINE = 120


class Terminal:
    def __init__(self, argv, env, columns=100, rows=40):
        self.text = ""
        self.seen = 0
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            try:
                for number in (signal.SIGINT, signal.SIGQUIT):  # ignored, if we run in the background
                    signal.signal(number, signal.SIG_DFL)
                os.execve(argv[0], argv, env)
            finally:
                os._exit(127)
        fcntl.ioctl(self.fd, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.pid:
            os.kill(self.pid, signal.SIGKILL)
            os.waitpid(self.pid, 0)
        os.close(self.fd)

    def more(self, seconds):
        """What was shown since; None at the end, "" when nothing came in time."""
        if not select.select([self.fd], [], [], seconds)[0]:
            return ""
        try:
            data = os.read(self.fd, 65536)
        except OSError:  # the other side is closed
            return None
        if not data:
            return None
        text = data.decode("utf-8", "replace")
        self.text += text
        return text

    def expect(self, wanted):
        """Waits until it is shown, after what was expected before."""
        end = time.monotonic() + DEADLINE
        while True:
            at = self.text.find(wanted, self.seen)
            if at >= 0:
                self.seen = at + len(wanted)
                return
            if self.more(0.2) is None or time.monotonic() > end:
                raise AssertionError("expected %r on the terminal, got %r" % (wanted, self.text))

    def send(self, text):
        os.write(self.fd, text.encode())

    def echoes(self):
        return bool(termios.tcgetattr(self.fd)[3] & termios.ECHO)

    def end(self):
        end = time.monotonic() + DEADLINE
        while self.more(0.2) is not None:
            if time.monotonic() > end:
                raise AssertionError("still running; shown: %r" % self.text)
        _, status = os.waitpid(self.pid, 0)
        self.pid = 0
        return os.waitstatus_to_exitcode(status)
