/* lib/driver/redis_inspect.h - what a Redis server has for a user, and what is amiss.
 *
 * What:    Sessions of the user; findings about it and its sibling: passwords that the step does not
 *          name, no password at all, other rights. Is the user there, is the server one that this
 *          driver can change, and does it write its users down (DRIVER_UNFIT)? Changes nothing.
 * Errors:  false: *ret says why.
 * Threads: one. */
#pragma once

#include "lib/driver/redis_session.h"

/* In an administrative session. */
bool kt_redis_inspect(struct redis_session *s, struct driver_result *ret);
