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

/* When a host's agent was last heard of (a poll or a report). */
void fleet_heard(struct fleet *fleet, const char *host, int64_t now_ms);
/* 0: not since this process started. */
int64_t fleet_last_heard(struct fleet *fleet, const char *host);

/* ---- handlers (consumer_routes.c, watch.c) ---- */
handler_fn fleet_consumer_write, fleet_consumer_read, fleet_consumers_list, fleet_agents_list;
handler_fn fleet_watch;

/* Waits until one of the keys changes; see watch.c. */
struct wait_list *fleet_watchers(struct fleet *fleet);

extern const struct engine fleet_engine;
