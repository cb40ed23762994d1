/* vaultd/fleet/fleet.h - who runs which version: consumers, their acknowledgements, their watches.
 *
 * What:    The engine mounted at fleet/ (docs/api-rotation.md). A consumer is a service on a host
 *          that uses a secret; agents register them, acknowledge versions for them, and watch one
 *          long poll per host. A commit wakes only the watches of hosts that have consumers of what
 *          it changed.
 * Owner:   the core makes and frees it.
 * Threads: any thread. */
#pragma once

#include "vaultd/core/core.h"

struct fleet *fleet_new(struct core *core); /* NULL: out of memory */
void fleet_free(struct fleet *fleet);       /* NULL is fine */

/* A host that gave no sign of life for so long is lost: three polls of its agent did not come. */
#define FLEET_LOST_MS ((int64_t)900 * 1000)
/* When it polled or reported last; 0: not since the start. */
struct fleet_sign {
    int64_t at_ms;    /* for people */
    int64_t heard_ms; /* by the steady clock of runs (rotation.h), to measure with */
};
struct fleet_sign fleet_last_sign(struct fleet *fleet, const char *host);

/* A host that has consumers of secrets whose names begin with this prefix ("secret/"), or of this one
 * ("secret/db"); NULL: none, or nobody looked yet:
 * with very many hosts the request begins anew aside (request_aside()). */
enum kt_kind fleet_host_below(struct request *req, const char *prefix, const char **ret_host,
                              struct kt_err *err) KT_MUST_CHECK;

extern const struct engine fleet_engine;
