/* lib/driver/redis_user.h - what ACL GETUSER and CLIENT LIST say of a user.
 *
 * Owner:   texts point into the reply, which has to live as long.
 * Limits:  REDIS_HASHES_MAX passwords are kept, more are counted.
 * Errors:  false: not what such a reply looks like.
 * Source:  Redis 7.0's manual, "ACL GETUSER", "CLIENT LIST".
 * Threads: plain functions. */
#pragma once

#include "lib/driver/resp.h"

#define REDIS_HASHES_MAX 16u
#define REDIS_HASH       64u

struct redis_user {
    bool there, on, nopass;
    size_t n_hashes;                             /* of passwords; may be more than are kept */
    struct kt_bytes hashes[REDIS_HASHES_MAX];    /* hexadecimal, as FORM_SHA256 */
    struct kt_bytes commands, keys, channels;    /* what it may do, as the server writes it */
};

bool kt_redis_user_read(struct kt_bytes reply, struct redis_user *ret);
bool kt_redis_user_has(const struct redis_user *user, struct kt_bytes hash);
/* How many lines of CLIENT LIST are of this user. */
bool kt_redis_sessions_read(struct kt_bytes reply, const char *user, uint32_t *ret);
