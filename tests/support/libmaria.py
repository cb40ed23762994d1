"""Does this MariaDB accept this password? Asked through libmariadb, a few milliseconds a login.

    login("127.0.0.1", 3306, "app_a", "secret", "orders")   # "A" accepted, "R" refused, "U" unknown
"""
import ctypes
import ctypes.util

_lib = ctypes.CDLL(ctypes.util.find_library("mariadb") or "libmariadb.so.3")
_lib.mysql_init.restype = ctypes.c_void_p
_lib.mysql_init.argtypes = [ctypes.c_void_p]
_lib.mysql_options.argtypes = [ctypes.c_void_p, ctypes.c_int, ctypes.c_void_p]
_lib.mysql_real_connect.restype = ctypes.c_void_p
_lib.mysql_real_connect.argtypes = [ctypes.c_void_p, *[ctypes.c_char_p] * 4, ctypes.c_uint, ctypes.c_char_p,
                                    ctypes.c_ulong]
_lib.mysql_errno.argtypes = [ctypes.c_void_p]
_lib.mysql_error.argtypes = [ctypes.c_void_p]
_lib.mysql_error.restype = ctypes.c_char_p
_lib.mysql_close.argtypes = [ctypes.c_void_p]
_lib.mysql_close.restype = None
_lib.mysql_server_init(0, None, None)

CONNECT_TIMEOUT, PROTOCOL, TCP = 0, 9, 1
PATIENCE = 60  # seconds: a server that is away refuses at once, a busy one answers late
# A wrong password; a right one of an account that is locked.
REFUSED = (1045, 4151)


def _connect(host, port, user, password, database):
    handle = _lib.mysql_init(None)
    for option, value in ((CONNECT_TIMEOUT, PATIENCE), (PROTOCOL, TCP)):
        _lib.mysql_options(handle, option, ctypes.byref(ctypes.c_uint(value)))
    # Without a password it would look for one elsewhere.
    there = _lib.mysql_real_connect(handle, host.encode(), user.encode(), password.encode(), database.encode(),
                                    port, None, 0)
    return handle, bool(there)


class Session:
    """A connection that stays open, and does nothing."""

    def __init__(self, host, port, user, password, database):
        self.handle, there = _connect(host, port, user, password, database)
        if not there:
            raise AssertionError(_lib.mysql_error(self.handle).decode("utf-8", "replace"))

    def close(self):
        _lib.mysql_close(self.handle)


def login(host, port, user, password, database):
    handle, there = _connect(host, port, user, password, database)
    try:
        return "A" if there else "R" if _lib.mysql_errno(handle) in REFUSED else "U"
    finally:
        _lib.mysql_close(handle)
