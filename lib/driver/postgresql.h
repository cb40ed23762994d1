/* lib/driver/postgresql.h - the driver of PostgreSQL 10 and later: its row's functions.
 *
 * What:    Changes a login role's SCRAM-SHA-256 verifier, which was made on our side, so that no
 *          password is ever in the server's memory of statements, log or replicas. How each
 *          operation is done stands in lib/driver/postgresql.c.
 * Threads: one; a process runs one step. */
#pragma once

#include "lib/driver/table.h"

bool kt_postgresql_prepare(struct driver_run *run, struct driver_result *ret);
void kt_postgresql_run(const struct driver_run *run, struct driver_result *ret);
