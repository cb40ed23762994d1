/* lib/driver/mariadb.h - the driver for MariaDB (10.5.2 and later), as lib/driver/table.h has them.
 *
 * An account is a user name: all the entries that the server has for it, at whatever host, are changed
 * together, because the server takes the entry with the nearest host, and an entry that is left out
 * would go on accepting what it did. Statements hold hashes only (lib/mariadb_hash.h). */
#pragma once

#include "lib/driver/table.h"

bool kt_mariadb_prepare(struct driver_run *run, struct driver_result *ret);
void kt_mariadb_run(const struct driver_run *run, struct driver_result *ret);
