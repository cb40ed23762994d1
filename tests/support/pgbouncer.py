"""A real PgBouncer before a PostgreSQL of the tests, which keeps connections open that nobody uses.

    with PgBouncer(pg, "orders", [("app_a", "secret")]) as pool:    # 127.0.0.1, pool.port
        Session("127.0.0.1", pool.port, "app_a", "secret", "orders").close()

Its folder is removed at the end.
"""
import os
import shutil
import socket

from keyturn import ROOT
from server import Server


class PgBouncer(Server):
    def __init__(self, pg, database, logins):
        super().__init__("pgbouncer", 0o755)
        self.user = pg.user
        with open(os.path.join(self.folder, "users"), "w") as f:
            f.writelines('"%s" "%s"\n' % login for login in logins)
        self.config = os.path.join(self.folder, "pgbouncer.ini")
        with open(self.config, "w") as f:
            f.write("""[databases]
{0} = host=127.0.0.1 port={1} dbname={0}
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {2}
unix_socket_dir =
so_reuseport = 1
auth_type = scram-sha-256
auth_file = {3}/users
pool_mode = session
server_idle_timeout = 0
server_lifetime = 86400
""".format(database, pg.port, self.port, self.folder))
        if os.getuid() == 0:
            for path in (self.folder, f.name, os.path.join(self.folder, "users")):
                shutil.chown(path, self.user)

    def start(self):
        unpacked = os.path.join(ROOT, "build/packages/usr/sbin/pgbouncer")
        program = unpacked if os.path.exists(unpacked) else "/usr/sbin/pgbouncer"
        who = {"user": self.user, "group": self.user, "extra_groups": []} if os.getuid() == 0 else {}
        self.run([program, self.config], cwd="/", **who)

    def answers(self):
        try:
            with socket.create_connection(("127.0.0.1", self.port), 5):
                return True
        except OSError:
            return False
