/* vaultd/core/quota_clients.h - what each client has used of a rate-limit quota.
 *
 * What:    The generic cell rate algorithm by (quota, client): so many requests at once, and so many in
 *          an interval from then on. Who is refused may be blocked for a time.
 * Limits:  QUOTA_CLIENTS pairs in a table of fixed size, about half a MiB, taken at the first request that a
 *          quota governs. When more are busy, the one nearest to its whole budget is forgotten: a newcomer
 *          always gets in.
 * Owner:   quota_clients_new() gives one.
 * Threads: one at a time: quotas.c counts under its lock. Times are monotonic milliseconds. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#define QUOTA_CLIENTS 16384u

struct quota_limit {
    uint64_t id;       /* of the quota, as it was written last: a changed one begins anew */
    double rate;       /* requests in an interval; a part of one is one in several intervals */
    int64_t interval_s, block_s;
};
/* What the client is told. */
struct quota_use {
    unsigned limit, remaining;
    unsigned reset_s; /* until the whole budget is back */
    unsigned wait_s;  /* refused: until the next may come */
};

struct quota_clients;
struct quota_clients *quota_clients_new(void); /* NULL: out of memory */
void quota_clients_free(struct quota_clients *clients);
/* False: not now. */
bool quota_clients_admit(struct quota_clients *clients, const struct quota_limit *limit,
                         const char *client, int64_t now_ms, struct quota_use *ret);
