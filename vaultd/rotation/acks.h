/* vaultd/rotation/acks.h - what the consumers' words mean for a run, and who else holds it.
 *
 * Threads: plain functions; loose_look() any thread with the barrier entered. */
#pragma once

#include "vaultd/fleet/consumer.h"
#include "vaultd/rotation/ledger.h"
#include "vaultd/rotation/run.h"

/* It tried the new version and could not keep it, and the target did not get that once more since. */
bool consumer_in_trouble(const struct run *run, const struct consumer *consumer);

struct acks {
    size_t required, acked;
    size_t on_new;                  /* that run the new version, healthy or not */
    const struct consumer *runs_new; /* one of these */
    const struct consumer *missing; /* one that has not acknowledged */
    const struct consumer *trouble; /* the newest that could not take the new version */
    const struct consumer *sick;    /* one that is unhealthy on another version */
    int64_t moved_ms;               /* the last word of any; steady */
};
void acks_judge(const struct run *run, const struct consumer *consumers, size_t n,
                struct acks *ret);
/* Nobody is waited for any more; who has listeners waits for those then. */
static inline bool acks_enough(const struct run *run, const struct acks *acks)
{
    return acks->acked == acks->required || (run->silent_passed && run->settings.served_at[0] != '\0');
}
/* It says now that it runs the new version and is healthy. */
bool consumer_acked(const struct run *run, const struct consumer *consumer);

/* Nobody heard of its host for FLEET_LOST_MS: what it acknowledged, it may not run any more. */
bool consumer_lost(const struct request *req, const struct consumer *consumer);
/* Those among them. */
void acks_lost(struct request *req, const struct consumer *consumers, size_t n, size_t *ret_n,
               const struct consumer **ret_first);

/* Consumers whose identity read the new version and that said nothing since: they may run it. */
enum kt_kind acks_unsaid(struct request *req, const struct run *run,
                         const struct consumer *consumers, size_t n, size_t *ret_n,
                         const struct consumer **ret_first, struct kt_err *err) KT_MUST_CHECK;

/* Who took longest from reading the new version to its acknowledgement, and how long: what lies between
 * getting a credential and being logged in with it. 0 and NULL: nobody. */
enum kt_kind acks_slowest(struct request *req, const struct run *run,
                          const struct consumer *consumers, size_t n, int64_t *ret_ms,
                          const struct consumer **ret_who, struct kt_err *err) KT_MUST_CHECK;

/* Readers of the old version that are no agents, and have not read a newer one. */
struct loose {
    size_t n;
    struct reader first;
};
enum kt_kind loose_look(struct request *req, const struct run *run,
                        const struct consumer *consumers, size_t n_consumers, struct loose *ret,
                        struct kt_err *err) KT_MUST_CHECK;
/* Those that hold, shown as the run's "readers". */
enum kt_kind loose_show(struct request *req, const struct run *run,
                        const struct consumer *consumers, size_t n_consumers, struct kt_jsonw *w,
                        struct kt_err *err) KT_MUST_CHECK;
