"""What the servers that tests start have in common: a folder of its own, a port that nobody else gets, one
process that is waited for, a log.

    class Slapd(Server):
        def __init__(self):
            super().__init__("slapd")
        def start(self):
            self.run(["/usr/sbin/slapd", ...])   # returns when self.answers() is true

Nothing sleeps. The folder is removed at the end, also when the script ends by an exception.
"""
import atexit
import os
import shutil
import subprocess
import tempfile

from keyturn import free_port, wait_for


class ServerError(Exception):
    pass


class Server:
    def __init__(self, name, mode=0o700, above=None):
        self.name = name
        self.folder = tempfile.mkdtemp(prefix="keyturn-%s." % name, dir=above)
        os.chmod(self.folder, mode)
        self.port = free_port()
        self.log_path = os.path.join(self.folder, "log")
        self.process = None
        atexit.register(self.remove)

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *_):
        self.remove()

    def start(self):
        """Calls run()."""
        raise NotImplementedError

    def answers(self):
        """Does it serve? One that raises nothing while it does not."""
        raise NotImplementedError

    def run(self, argv, **how):
        """What it prints is in the log."""
        with open(self.log_path, "a") as log:
            self.process = subprocess.Popen(argv, **{"stdin": subprocess.DEVNULL, **how}, stdout=log, stderr=log)
        wait_for(self.name + " to answer", self._answers, 60)

    def _answers(self):
        if self.process.poll() is not None:
            raise ServerError("%s ended: %s" % (self.name, self.log()))
        return self.answers()

    def stop(self, crash=True):
        """crash: nothing is written on the way."""
        if self.process is not None and self.process.poll() is None:
            (self.process.kill if crash else self.process.terminate)()
        if self.process is not None:
            self.process.wait(60)
        self.process = None

    def restart(self):
        """As after a crash."""
        self.stop()
        self.start()

    def remove(self):
        self.stop()
        shutil.rmtree(self.folder, ignore_errors=True)

    def log(self):
        if not os.path.exists(self.log_path):
            return ""
        with open(self.log_path, errors="replace") as f:
            return f.read()
