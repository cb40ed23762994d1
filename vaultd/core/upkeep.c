#include "vaultd/core/upkeep.h"

#include <pthread.h>
#include <stdlib.h>
#include <time.h>

#include "lib/failpoint.h"
#include "lib/log.h"
#include "lib/timespec.h"
#include "vaultd/core/reencrypt.h"

#define AGAIN_MS      50    /* somebody else was first, or the store has much to do */
#define AFTER_FAIL_MS 30000 /* each failure is recorded: not every second */

struct upkeep {
    struct core *core;
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t wake;
    bool stopping, woken;           /* guarded by lock, as all below but stop */
    bool compact;                   /* was asked for */
    struct upkeep_compaction last;
    struct kt_err reencrypt_trouble;
    atomic_bool stop_compaction;
};

/* ---- compacting ---- */

static void report(void *arg, const struct store_compact_state *state)
{
    struct upkeep *upkeep = arg;
    (void)pthread_mutex_lock(&upkeep->lock);
    upkeep->last.state = *state;
    (void)pthread_mutex_unlock(&upkeep->lock);
}

static void compact(struct upkeep *upkeep)
{
    const struct store_compact_watch watch = {
        .report = report, .arg = upkeep, .stop = &upkeep->stop_compaction};
    struct store_compact_state state = {0};
    struct kt_err err = {0};
    enum kt_kind kind = store_compact(upkeep->core->store, &watch, &state, &err);
    if (kind == KT_OK)
        kt_log(KT_LOG_NOTICE, "compacted",
               "before_bytes=%ju after_bytes=%ju took_ms=%jd write_wait_us=%jd",
               (uintmax_t)state.bytes_before, (uintmax_t)state.bytes_after,
               (intmax_t)state.took_ms, (intmax_t)state.write_wait_us);
    else
        kt_log_err(KT_LOG_WARNING, "not_compacted", &err);
    (void)pthread_mutex_lock(&upkeep->lock);
    if (kind == KT_OK)
        upkeep->last.state = state;
    else
        upkeep->last.state.phase = COMPACT_FAILED;
    upkeep->last.err = err;
    upkeep->last.active = false;
    upkeep->last.ended_ms = kt_wall_ms(upkeep->core->clock);
    (void)pthread_mutex_unlock(&upkeep->lock);
}

/* ---- re-encrypting ---- */

/* One piece. How long to wait until the next look: 0 for none, -1 until woken. */
static int64_t reencrypt(struct upkeep *upkeep)
{
    bool more = false;
    struct kt_err err = {0};
    enum kt_kind kind = reencrypt_run(upkeep->core, &more, &err);
    bool trouble = kind != KT_OK && kind != KT_CONFLICT && kind != KT_BUSY && kind != KT_SEALED;
    if (trouble)
        kt_log_err(KT_LOG_WARNING, "not_reencrypted", &err);
    (void)pthread_mutex_lock(&upkeep->lock);
    upkeep->reencrypt_trouble = trouble ? err : (struct kt_err){0};
    (void)pthread_mutex_unlock(&upkeep->lock);
    if (trouble)
        return AFTER_FAIL_MS;
    if (kind == KT_OK)
        return more ? 0 : -1;
    return kind == KT_SEALED ? -1 : AGAIN_MS;
}

/* ---- the thread ---- */

/* With the lock held. */
static void wait_for(struct upkeep *upkeep, int64_t ms)
{
    struct timespec until = kt_timespec_in_ns(ms < 0 ? 0 : ms * KT_NS_PER_MS);
    int rc = 0;
    while (!upkeep->stopping && !upkeep->woken && rc == 0)
        rc = ms < 0 ? pthread_cond_wait(&upkeep->wake, &upkeep->lock)
                    : pthread_cond_timedwait(&upkeep->wake, &upkeep->lock, &until);
    upkeep->woken = false;
}

static void *upkeep_thread(void *arg)
{
    struct upkeep *upkeep = arg;
    int64_t again_ms = -1;
    (void)pthread_setname_np(pthread_self(), "upkeep");
    (void)pthread_mutex_lock(&upkeep->lock);
    while (!upkeep->stopping) {
        if (again_ms != 0)
            wait_for(upkeep, again_ms);
        bool asked = upkeep->compact;
        upkeep->compact = false;
        if (upkeep->stopping)
            break;
        (void)pthread_mutex_unlock(&upkeep->lock);
        if (asked)
            compact(upkeep);
        again_ms = reencrypt(upkeep);
        (void)pthread_mutex_lock(&upkeep->lock);
    }
    (void)pthread_mutex_unlock(&upkeep->lock);
    return NULL;
}

struct upkeep *upkeep_new(struct core *core)
{
    struct upkeep *upkeep = kt_calloc(1, sizeof *upkeep);
    if (upkeep == NULL)
        return NULL;
    upkeep->core = core;
    pthread_condattr_t monotonic;
    (void)pthread_condattr_init(&monotonic);
    (void)pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    (void)pthread_mutex_init(&upkeep->lock, NULL);
    (void)pthread_cond_init(&upkeep->wake, &monotonic);
    (void)pthread_condattr_destroy(&monotonic);
    if (pthread_create(&upkeep->thread, NULL, upkeep_thread, upkeep) != 0) {
        free(upkeep);
        return NULL;
    }
    return upkeep;
}

void upkeep_free(struct upkeep *upkeep)
{
    if (upkeep == NULL)
        return;
    atomic_store(&upkeep->stop_compaction, true);
    (void)pthread_mutex_lock(&upkeep->lock);
    upkeep->stopping = true;
    (void)pthread_cond_signal(&upkeep->wake);
    (void)pthread_mutex_unlock(&upkeep->lock);
    (void)pthread_join(upkeep->thread, NULL);
    (void)pthread_cond_destroy(&upkeep->wake);
    (void)pthread_mutex_destroy(&upkeep->lock);
    free(upkeep);
}

/* ---- asked by others ---- */

void upkeep_wake(struct upkeep *upkeep)
{
    (void)pthread_mutex_lock(&upkeep->lock);
    upkeep->woken = true;
    (void)pthread_cond_signal(&upkeep->wake);
    (void)pthread_mutex_unlock(&upkeep->lock);
}

bool upkeep_compact(struct upkeep *upkeep)
{
    (void)pthread_mutex_lock(&upkeep->lock);
    bool free_to = !upkeep->last.active;
    if (free_to) {
        atomic_store(&upkeep->stop_compaction, false);
        upkeep->last = (struct upkeep_compaction){
            .active = true, .asked_ms = kt_wall_ms(upkeep->core->clock)};
        upkeep->compact = upkeep->woken = true;
        (void)pthread_cond_signal(&upkeep->wake);
    }
    (void)pthread_mutex_unlock(&upkeep->lock);
    return free_to;
}

bool upkeep_compact_stop(struct upkeep *upkeep)
{
    (void)pthread_mutex_lock(&upkeep->lock);
    bool active = upkeep->last.active;
    if (active)
        atomic_store(&upkeep->stop_compaction, true);
    (void)pthread_mutex_unlock(&upkeep->lock);
    return active;
}

void upkeep_compaction(struct upkeep *upkeep, struct upkeep_compaction *ret)
{
    (void)pthread_mutex_lock(&upkeep->lock);
    *ret = upkeep->last;
    (void)pthread_mutex_unlock(&upkeep->lock);
}

void upkeep_reencrypt_trouble(struct upkeep *upkeep, struct kt_err *ret)
{
    (void)pthread_mutex_lock(&upkeep->lock);
    *ret = upkeep->reencrypt_trouble;
    (void)pthread_mutex_unlock(&upkeep->lock);
}
