/* vaultd/core/quotas.h - how many requests one client may make: sys/quotas/rate-limit.
 *
 * What:    Each request over TCP is counted once, before its token is looked at, by the quota that governs
 *          its path most closely (vaultd/core/quota_table.h), for its client: an IPv4 address or an IPv6
 *          /64. Who is over it gets 429 and is told when to come again. The Unix socket is not counted: it is
 *          the way in for whoever set a quota too low. While sealed there are none: they are sealed, too.
 * In force: for each request that begins after the answer to the change. No quota: two loads and no lock.
 * Cost:    what a client used is in memory alone, in a table of fixed size; a start begins anew.
 * Owner:   the core.
 * Threads: any thread with the barrier entered. */
#pragma once

#include "vaultd/core/quota_table.h"

struct quotas;
/* Before the first commit: it follows what changes them. */
struct quotas *quotas_new(struct store *store);
void quotas_free(struct quotas *quotas);
/* KT_TOO_MANY: with reply.retry_after_s. Says in req->limit what the client has left, where that is to be
 * told. */
enum kt_kind quotas_admit(struct request *req, struct kt_err *err) KT_MUST_CHECK;
/* How many were refused since the process started. */
int64_t quotas_refused(const struct quotas *quotas);

/* ---- for those who change them ---- */
/* As they are in the request's snapshot; quota_table_free() it. */
enum kt_kind quotas_load(struct request *req, struct quota_table **ret, struct kt_err *err) KT_MUST_CHECK;
/* What the quota governs, from a path as people write it: slashes around it do not matter. KT_INVALID: there is no
 * such mount, or no request has such a path. */
enum kt_kind quotas_aim(struct request *req, const char *path, struct quota *row, struct kt_err *err)
    KT_MUST_CHECK;
/* Into the request's batch, if the record is still the one that was read. */
enum kt_kind quotas_save(struct request *req, const struct quota_table *table, struct kt_err *err)
    KT_MUST_CHECK;
