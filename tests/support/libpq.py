"""Does this PostgreSQL accept this password? Asked through libpq, a few milliseconds a login.

    login("127.0.0.1", 5432, "app_a", "secret", "orders")   # "A" accepted, "R" refused, "U" unknown
"""
import ctypes
import ctypes.util
import os

_pq = ctypes.CDLL(ctypes.util.find_library("pq") or "libpq.so.5")
_pq.PQconnectdbParams.restype = ctypes.c_void_p
_pq.PQconnectdbParams.argtypes = [ctypes.POINTER(ctypes.c_char_p), ctypes.POINTER(ctypes.c_char_p),
                                  ctypes.c_int]
_pq.PQstatus.argtypes = [ctypes.c_void_p]
_pq.PQerrorMessage.restype = ctypes.c_char_p
_pq.PQerrorMessage.argtypes = [ctypes.c_void_p]
_pq.PQconnectionUsedPassword.argtypes = [ctypes.c_void_p]
_pq.PQfinish.argtypes = [ctypes.c_void_p]

PATIENCE = 60  # seconds: a server that is away refuses at once, a busy one answers late

for _name in [n for n in os.environ if n.startswith("PG")]:
    del os.environ[_name]


class Session:
    """A connection that stays open, and does nothing."""

    def __init__(self, host, port, user, password, database):
        self.connection = _connect(host, port, user, password, database, PATIENCE)
        if _pq.PQstatus(self.connection) != 0:
            raise AssertionError(_pq.PQerrorMessage(self.connection).decode("utf-8", "replace"))

    def close(self):
        _pq.PQfinish(self.connection)


def _connect(host, port, user, password, database, timeout):
    settings = {"host": host, "port": str(port), "user": user, "password": password,
                "dbname": database, "connect_timeout": str(timeout), "sslmode": "disable",
                "gssencmode": "disable", "passfile": "/dev/null", "application_name": "test-watch"}
    count = len(settings) + 1
    keys = (ctypes.c_char_p * count)(*[k.encode() for k in settings], None)
    values = (ctypes.c_char_p * count)(*[v.encode() for v in settings.values()], None)
    return _pq.PQconnectdbParams(keys, values, 0)


def login(host, port, user, password, database, timeout=PATIENCE):
    connection = _connect(host, port, user, password, database, timeout)
    try:
        if _pq.PQstatus(connection) == 0:
            return "A"
        said = _pq.PQerrorMessage(connection).decode("utf-8", "replace")
        refused = "authentication failed" in said or "not permitted to log in" in said
        return "R" if refused else "U"
    finally:
        _pq.PQfinish(connection)
