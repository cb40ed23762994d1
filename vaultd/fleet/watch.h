/* vaultd/fleet/watch.h - waking the long polls that a fold concerns.
 *
 * Threads: watch_wake(): the store thread. */
#pragma once

#include "vaultd/core/core.h"

/* Wakes the watches that wait for a key among the event's changes. */
void watch_wake(struct wait_list *watchers, const struct fold_event *event);
