/* vaultd/notify/notifier.h - delivers what waits: a thread for each channel, so that none holds another up.
 *
 * What:    A message is sent, and its row removed when it arrived: at least once, with the same id each
 *          time. When it did not arrive the channel rests, twice as long each time up to NOTIFY_REST_MS, and
 *          goes on where it was, also after a restart. What is older than NOTIFY_OLD_MS is given up; the log
 *          says so.
 * Owner:   rotation has one. notifier_free() waits for a try that is under way: who sends has been
 *          interrupted before.
 * Threads: new, free: one. The rest: any thread. */
#pragma once

#include "lib/jsonw.h"
#include "vaultd/core/core.h"
#include "vaultd/notify/notice.h"

struct notifier;

/* NULL: out of memory. Without channels it does nothing. */
struct notifier *notifier_new(struct core *core);
void notifier_free(struct notifier *notifier); /* NULL is fine */
/* After unsealing; what waits is looked at. */
void notifier_wake(struct notifier *notifier);
/* Channel i of the configuration: somebody waits for the next message of it, so a rest ends when that is committed. */
void notifier_hurry(struct notifier *notifier, size_t i);

struct notifier_state {
    int64_t sent_ms, failed_ms; /* since vaultd started; 0: not */
    uint64_t sent, failed, given_up;
    char sent_id[64], failed_id[64];
    char error[200];            /* of the last failure; "" after a success */
};
/* Of the channel with that number in the configuration. */
void notifier_look(struct notifier *notifier, size_t channel, struct notifier_state *ret);
