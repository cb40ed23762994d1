/* lib/driver/redis_members.h - what a Sentinel says of the servers that it watches.
 *
 * What:    SENTINEL MASTER answers with one list of names and values, SENTINEL REPLICAS with a list of such lists.
 *          Of each server its place is kept, and whether the Sentinel calls it down.
 * Owner:   texts point into the reply, which has to live as long.
 * Limits:  REDIS_MEMBERS_MAX are kept, more are counted.
 * Errors:  false: not what such a reply looks like; what was read before stays.
 * Source:  Redis 7.0's manual, "High availability with Redis Sentinel", Sentinel API.
 * Threads: plain functions. */
#pragma once

#include "lib/driver/resp.h"

#define REDIS_MEMBERS_MAX 32u

struct redis_member {
    struct kt_bytes host; /* an address, or a name where the Sentinel announces names */
    uint32_t port;
    bool down;
};
struct redis_members {
    struct redis_member at[REDIS_MEMBERS_MAX];
    size_t n; /* may be more than are kept */
};

/* Each adds to what is there. */
bool kt_redis_master_read(struct kt_bytes reply, struct redis_members *to);
bool kt_redis_replicas_read(struct kt_bytes reply, struct redis_members *to);
