/* lib/driver/redis.h - the driver of Redis 7 (6 has what it needs, too): its row's functions.
 *
 * What:    Changes the passwords of an ACL user, as SHA-256 hashes that were made on our side: no
 *          password is ever in a command but in the login. What was changed is written to the
 *          server's ACL file or configuration in the same step. How each operation is done stands in
 *          lib/driver/redis.c.
 * Threads: one; a process runs one step. */
#pragma once

#include "lib/driver/table.h"

bool kt_redis_prepare(struct driver_run *run, struct driver_result *ret);
void kt_redis_run(const struct driver_run *run, struct driver_result *ret);
