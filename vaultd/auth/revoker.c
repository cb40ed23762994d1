#include "vaultd/auth/revoker.h"

#include <stdio.h>
#include <stdlib.h>

#include "lib/cleanup.h"
#include "lib/failpoint.h"
#include "lib/log.h"
#include "vaultd/auth/revoker_own.h"
#include "vaultd/core/mounts.h"

#define ROUND_MS   1000 /* how often it looks if nobody wakes it */
#define FAILED_MS  60000

/* ---- flights ---- */

static uint32_t *bucket_of(struct revoker *revoker, const unsigned char key[BARRIER_NAME_KEY])
{
    return &revoker->buckets[kt_get_u32(key + BARRIER_NAME_KEY - 4) % BUCKETS];
}

static struct flight *flight_find(struct revoker *revoker, const unsigned char key[BARRIER_NAME_KEY])
{
    for (uint32_t at = *bucket_of(revoker, key); at != 0; at = revoker->flights[at - 1].next)
        if (memcmp(revoker->flights[at - 1].key, key, BARRIER_NAME_KEY) == 0)
            return &revoker->flights[at - 1];
    return NULL;
}

static void flight_free(struct revoker *revoker, struct flight *flight)
{
    uint32_t own = (uint32_t)(flight - revoker->flights) + 1;
    uint32_t *at = bucket_of(revoker, flight->key);
    while (*at != own)
        at = &revoker->flights[*at - 1].next;
    *at = flight->next;
    flight->state = FLIGHT_FREE;
}

static void flight_end(struct flight *flight, enum kt_kind kind, const char *why)
{
    flight->state = FLIGHT_DONE;
    flight->kind = kind;
    (void)snprintf(flight->why, sizeof flight->why, "%s", why);
}

/* What is under way, now. */
struct traffic {
    unsigned fast, slow, of_mount;
    struct flight *free, *oldest;
};

static struct traffic look_at_traffic(struct revoker *revoker, const unsigned char mount[BARRIER_SCOPE], int64_t now_ms)
{
    struct traffic traffic = {0};
    for (size_t i = 0; i < FLIGHTS; i++) {
        struct flight *flight = &revoker->flights[i];
        if (flight->state == FLIGHT_FREE)
            traffic.free = flight;
        if (flight->state != FLIGHT_ASKED)
            continue;
        bool fast = now_ms - flight->asked_ms < REVOKER_PATIENCE_MS;
        traffic.fast += fast;
        traffic.slow += !fast;
        traffic.of_mount += fast && memcmp(flight->mount, mount, BARRIER_SCOPE) == 0;
        if (traffic.oldest == NULL || flight->asked_ms < traffic.oldest->asked_ms)
            traffic.oldest = flight;
    }
    return traffic;
}

enum place { PLACE_FOUND, PLACE_MOUNT_FULL, PLACE_FULL };

/* Whether one more of this mount may be asked; *ret: its place. */
static enum place look_for_place(struct revoker *revoker, const unsigned char mount[BARRIER_SCOPE], int64_t now_ms,
                                 struct flight **ret)
{
    struct traffic traffic = look_at_traffic(revoker, mount, now_ms);
    if (traffic.slow >= REVOKER_SLOW)
        flight_end(traffic.oldest, KT_TIMEOUT, "too many revocations take long: this one was not waited for");
    *ret = traffic.free;
    if (traffic.free == NULL || traffic.fast >= REVOKER_FAST)
        return PLACE_FULL;
    return traffic.of_mount >= REVOKER_FAST / 2 ? PLACE_MOUNT_FULL : PLACE_FOUND;
}

static enum place take_place(struct revoker *revoker, const struct leased *lease, int64_t now_ms, struct flight **ret)
{
    struct flight *flight = NULL;
    enum place place = look_for_place(revoker, lease->mount, now_ms, &flight);
    if (place != PLACE_FOUND)
        return place;
    uint32_t *bucket = bucket_of(revoker, lease->key);
    *flight = (struct flight){.state = FLIGHT_ASKED, .serial = ++revoker->serial, .next = *bucket, .asked_ms = now_ms};
    memcpy(flight->key, lease->key, sizeof flight->key);
    memcpy(flight->mount, lease->mount, sizeof flight->mount);
    *bucket = (uint32_t)(flight - revoker->flights) + 1;
    *ret = flight;
    return PLACE_FOUND;
}

static uint64_t ticket_of(const struct revoker *revoker, const struct flight *flight)
{
    return (uint64_t)flight->serial << 32 | (uint64_t)(flight - revoker->flights);
}

static void wake(struct revoker *revoker)
{
    revoker->woken = true;
    (void)pthread_cond_signal(&revoker->wake);
}

void revocation_done(struct core *core, uint64_t ticket, enum kt_kind kind, const char *why)
{
    struct revoker *revoker = core->revoker;
    size_t at = (size_t)(ticket & UINT32_MAX);
    (void)pthread_mutex_lock(&revoker->lock);
    struct flight *flight = at < FLIGHTS ? &revoker->flights[at] : NULL;
    if (flight != NULL && flight->state == FLIGHT_ASKED && flight->serial == (uint32_t)(ticket >> 32)) {
        flight_end(flight, kind, why == NULL ? kt_kind_text(kind) : why);
        wake(revoker);
    }
    (void)pthread_mutex_unlock(&revoker->lock);
}

/* ---- a round ---- */

/* Takes out what is done, and what is over its deadline. */
static size_t take_done(struct revoker *revoker, struct flight *out, int64_t now_ms)
{
    size_t n = 0;
    (void)pthread_mutex_lock(&revoker->lock);
    for (size_t i = 0; i < FLIGHTS; i++) {
        struct flight *flight = &revoker->flights[i];
        if (flight->state == FLIGHT_ASKED && now_ms - flight->asked_ms >= REVOKER_DEADLINE_MS)
            flight_end(flight, KT_TIMEOUT, "it was not answered in time");
        if (flight->state == FLIGHT_DONE)
            out[n++] = *flight;
    }
    (void)pthread_mutex_unlock(&revoker->lock);
    return n;
}

/* They stay where they are found until they are committed: nobody is asked twice at one time. */
static void forget_done(struct revoker *revoker, const struct flight *done, size_t n)
{
    (void)pthread_mutex_lock(&revoker->lock);
    for (size_t i = 0; i < n; i++) {
        struct flight *flight = flight_find(revoker, done[i].key);
        if (flight != NULL && flight->serial == done[i].serial)
            flight_free(revoker, flight);
    }
    revoker->settlements++;
    (void)pthread_cond_broadcast(&revoker->settled);
    (void)pthread_mutex_unlock(&revoker->lock);
}

/* What could not be committed is asked for again, but not at once. */
static enum kt_kind settle_done(struct revoker *revoker, bool *ret_more, struct kt_err *err)
{
    static const size_t all = FLIGHTS;
    struct flight *done = kt_calloc(all, sizeof *done);
    if (done == NULL)
        return kt_fail(err, KT_NO_MEMORY, "ending leases");
    size_t n = take_done(revoker, done, kt_mono_ms(revoker->core->clock));
    enum kt_kind kind = n == 0 ? KT_OK : revoker_settle(revoker->core, done, n, err);
    forget_done(revoker, done, n);
    *ret_more = kind == KT_OK && n > 0;
    free(done);
    return kind;
}

static void ask_engine(struct revoker *revoker, struct snapshot *snapshot, const struct leased *lease, uint64_t ticket)
{
    const struct engine *engine = NULL;
    struct kt_err err = {0};
    enum kt_kind kind = mounts_engine(revoker->core, snapshot, lease->mount, &engine, &err);
    if (kind == KT_OK && engine != NULL && engine->leasing != NULL)
        engine->leasing->revoke(revoker->core, lease, ticket);
    else
        revocation_done(revoker->core, ticket, KT_INTERNAL,
                        kind == KT_OK ? "what made it is not mounted any more" : err.what);
}

/* *ret_place: whether others may still be asked. */
static enum kt_kind look_at_row(struct revoker *revoker, struct snapshot *snapshot, const struct entry *row,
                                int64_t now_ms, enum place *ret_place, bool *ret_asked, struct kt_err *err)
{
    unsigned char key[BARRIER_NAME_KEY], mount[BARRIER_SCOPE];
    enum kt_kind kind = leased_due_row(revoker->core, row, key, mount, err);
    if (kind != KT_OK)
        return kind;
    (void)pthread_mutex_lock(&revoker->lock);
    bool known = flight_find(revoker, key) != NULL;
    enum place place = known ? PLACE_FOUND : look_for_place(revoker, mount, now_ms, &(struct flight *){NULL});
    (void)pthread_mutex_unlock(&revoker->lock);
    *ret_place = place;
    if (known || place != PLACE_FOUND)
        return KT_OK;
    struct kt_arena arena;
    struct leased lease;
    struct flight *flight = NULL;
    kt_arena_init(&arena, LEASED_MEMORY);
    kind = leased_load(revoker->core, snapshot, key, &arena, &lease, err);
    if (kind == KT_OK && lease.due_ms == (int64_t)kt_get_be64(row->key.at + 1)) {
        (void)pthread_mutex_lock(&revoker->lock);
        *ret_place = take_place(revoker, &lease, now_ms, &flight);
        uint64_t ticket = flight == NULL ? 0 : ticket_of(revoker, flight);
        (void)pthread_mutex_unlock(&revoker->lock);
        *ret_asked = *ret_asked || flight != NULL;
        if (flight != NULL)
            ask_engine(revoker, snapshot, &lease, ticket);
    }
    kt_arena_free(&arena);
    return kind == KT_NOT_FOUND ? KT_OK : kind;
}

/* A row that does not open stands in nobody's way. */
static enum kt_kind ask_due(struct revoker *revoker, struct snapshot *snapshot, bool *ret_asked, struct kt_err *err)
{
    const unsigned char prefix[1] = {TABLE_LEASED_DUE};
    int64_t now_ms = kt_wall_ms(revoker->core->clock), mono_ms = kt_mono_ms(revoker->core->clock);
    struct cursor *cursor = NULL;
    struct entry row;
    enum kt_kind first = KT_OK;
    enum place place = PLACE_FOUND;
    enum store_error found = cursor_open(snapshot, kt_bytes(prefix, 1), kt_bytes(NULL, 0), &cursor);
    if (found != STORE_OK)
        return kt_fail(err, KT_IO, "reading the leases that are due");
    for (unsigned i = 0; i < 4 * FLIGHTS && place != PLACE_FULL; i++) {
        struct kt_err why = {0};
        found = cursor_next(cursor, &row);
        if (found != STORE_OK || (int64_t)kt_get_be64(row.key.at + 1) > now_ms)
            break;
        enum kt_kind kind = look_at_row(revoker, snapshot, &row, mono_ms, &place, ret_asked, &why);
        if (kind != KT_OK && (first == KT_OK || (first == KT_CORRUPT && kind != KT_CORRUPT))) {
            first = kind;
            if (err != NULL)
                *err = why;
        }
    }
    cursor_close(cursor);
    if (found != STORE_OK && found != STORE_NOT_FOUND)
        return kt_fail(err, KT_IO, "reading the leases that are due");
    return first;
}

static enum kt_kind ask(struct revoker *revoker, bool *ret_more, struct kt_err *err)
{
    struct core *core = revoker->core;
    struct snapshot *snapshot = NULL;
    enum kt_kind kind = KT_OK;
    if (!barrier_enter(core->barrier))
        return KT_SEALED;
    if (snapshot_begin(core->store, &snapshot) == STORE_OK) {
        kind = ask_due(revoker, snapshot, ret_more, err);
        snapshot_end(snapshot);
    }
    barrier_leave(core->barrier);
    return kind;
}

enum kt_kind revoker_run(struct core *core, bool *ret_more, struct kt_err *err)
{
    struct revoker *revoker = core->revoker;
    *ret_more = false;
    (void)pthread_mutex_lock(&revoker->running);
    enum kt_kind kind = settle_done(revoker, ret_more, err);
    if (kind == KT_OK)
        kind = ask(revoker, ret_more, err);
    (void)pthread_mutex_unlock(&revoker->running);
    return kind;
}

/* ---- waiting for one ---- */

static enum kt_kind look_at_one(struct core *core, const unsigned char key[BARRIER_NAME_KEY], struct kt_err *err)
{
    struct snapshot *snapshot = NULL;
    struct kt_arena arena;
    struct leased lease;
    if (!barrier_enter(core->barrier))
        return KT_BUSY;
    kt_arena_init(&arena, LEASED_MEMORY);
    enum kt_kind kind = KT_BUSY;
    if (snapshot_begin(core->store, &snapshot) == STORE_OK) {
        kind = leased_load(core, snapshot, key, &arena, &lease, err);
        snapshot_end(snapshot);
    }
    if (kind == KT_NOT_FOUND)
        kind = KT_OK;
    else if (kind == KT_OK)
        kind = lease.attempts == 0 ? KT_BUSY : kt_fail(err, KT_INTERNAL, "it could not be revoked: %s", lease.why);
    kt_arena_free(&arena);
    barrier_leave(core->barrier);
    return kind;
}

static void until_ms(int64_t ms, struct timespec *ret)
{
    ret->tv_sec = ms / 1000;
    ret->tv_nsec = (ms % 1000) * 1000000;
}

enum kt_kind revoker_await(struct core *core, const unsigned char key[BARRIER_NAME_KEY], int64_t deadline_mono_ms,
                           struct kt_err *err)
{
    struct revoker *revoker = core->revoker;
    struct timespec until;
    until_ms(deadline_mono_ms, &until);
    enum kt_kind kind = KT_BUSY;
    bool late = false;
    (void)pthread_mutex_lock(&revoker->lock);
    while (kind == KT_BUSY && !late) {
        uint64_t seen = revoker->settlements;
        (void)pthread_mutex_unlock(&revoker->lock);
        kind = look_at_one(core, key, err);
        (void)pthread_mutex_lock(&revoker->lock);
        if (kind == KT_BUSY && seen == revoker->settlements)
            late = revoker->stopping || pthread_cond_timedwait(&revoker->settled, &revoker->lock, &until) != 0;
    }
    (void)pthread_mutex_unlock(&revoker->lock);
    return kind;
}

/* ---- the thread ---- */

/* Who is due in the future wakes nobody. */
static void became_due(void *arg, const struct fold_event *event)
{
    struct revoker *revoker = arg;
    int64_t now_ms = kt_wall_ms(revoker->core->clock);
    bool due = event->reset;
    for (size_t i = 0; i < event->n && !due; i++)
        due = !event->of[i].deleted && event->of[i].key.len == LEASED_DUE_KEY &&
              (int64_t)kt_get_be64(event->of[i].key.at + 1) <= now_ms;
    if (!due)
        return;
    (void)pthread_mutex_lock(&revoker->lock);
    wake(revoker);
    (void)pthread_mutex_unlock(&revoker->lock);
}

/* By the system's monotonic clock. */
struct pace {
    int64_t not_before_ms; /* is the next round */
    int64_t quiet_to_ms;   /* what is damaged was told of */
};

static bool is_stopping(struct revoker *revoker)
{
    (void)pthread_mutex_lock(&revoker->lock);
    bool stopping = revoker->stopping;
    (void)pthread_mutex_unlock(&revoker->lock);
    return stopping;
}

/* What is damaged stays so: it holds up nothing else, and is told of as seldom as what fails. */
static void rounds(struct revoker *revoker, struct pace *pace)
{
    int64_t now_ms = kt_mono_ms(&kt_system_clock);
    bool more = now_ms >= pace->not_before_ms;
    while (more && !is_stopping(revoker)) {
        struct kt_err err = {0};
        enum kt_kind kind = revoker_run(revoker->core, &more, &err);
        if (kind == KT_OK || kind == KT_SEALED || kind == KT_BUSY || (kind == KT_CORRUPT && now_ms < pace->quiet_to_ms))
            continue;
        kt_log_err(KT_LOG_WARNING, "leases_not_revoked", &err);
        if (kind == KT_CORRUPT) {
            pace->quiet_to_ms = now_ms + FAILED_MS;
            continue;
        }
        pace->not_before_ms = now_ms + FAILED_MS;
        more = false;
    }
}

static void *revoker_thread(void *arg)
{
    struct revoker *revoker = arg;
    struct pace pace = {0};
    (void)pthread_mutex_lock(&revoker->lock);
    while (!revoker->stopping) {
        (void)pthread_mutex_unlock(&revoker->lock);
        bool more = leased_counts_step(revoker->counts);
        (void)pthread_mutex_lock(&revoker->lock);
        if (more)
            continue;
        struct timespec until;
        until_ms(kt_mono_ms(&kt_system_clock) + ROUND_MS, &until);
        if (!revoker->woken)
            (void)pthread_cond_timedwait(&revoker->wake, &revoker->lock, &until);
        revoker->woken = false;
        if (revoker->stopping)
            break;
        (void)pthread_mutex_unlock(&revoker->lock);
        rounds(revoker, &pace);
        (void)pthread_mutex_lock(&revoker->lock);
    }
    (void)pthread_mutex_unlock(&revoker->lock);
    return NULL;
}

/* ---- birth and end ---- */

struct revoker *revoker_new(struct core *core)
{
    const unsigned char prefix[1] = {TABLE_LEASED_DUE};
    struct revoker *revoker = kt_calloc(1, sizeof *revoker);
    if (revoker == NULL)
        return NULL;
    pthread_condattr_t monotonic;
    (void)pthread_condattr_init(&monotonic);
    (void)pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    (void)pthread_mutex_init(&revoker->running, NULL);
    (void)pthread_mutex_init(&revoker->lock, NULL);
    (void)pthread_cond_init(&revoker->wake, &monotonic);
    (void)pthread_cond_init(&revoker->settled, &monotonic);
    (void)pthread_condattr_destroy(&monotonic);
    revoker->core = core;
    revoker->counts = leased_counts_new(core->store);
    if (revoker->counts != NULL && store_on_fold(core->store, kt_bytes(prefix, 1), became_due, revoker) == STORE_OK)
        return revoker;
    revoker_free(revoker);
    return NULL;
}

bool revoker_start(struct revoker *revoker)
{
    revoker->started = pthread_create(&revoker->thread, NULL, revoker_thread, revoker) == 0;
    return revoker->started;
}

void revoker_stop(struct revoker *revoker)
{
    if (revoker == NULL || !revoker->started)
        return;
    (void)pthread_mutex_lock(&revoker->lock);
    revoker->stopping = true;
    (void)pthread_cond_signal(&revoker->wake);
    (void)pthread_cond_broadcast(&revoker->settled);
    (void)pthread_mutex_unlock(&revoker->lock);
    (void)pthread_join(revoker->thread, NULL);
    revoker->started = false;
}

void revoker_free(struct revoker *revoker)
{
    if (revoker == NULL)
        return;
    revoker_stop(revoker);
    leased_counts_free(revoker->counts);
    (void)pthread_cond_destroy(&revoker->settled);
    (void)pthread_cond_destroy(&revoker->wake);
    (void)pthread_mutex_destroy(&revoker->lock);
    (void)pthread_mutex_destroy(&revoker->running);
    free(revoker);
}

uint64_t revoker_count(struct core *core, const unsigned char scope[BARRIER_SCOPE])
{
    return leased_counts_of(core->revoker->counts, scope);
}
