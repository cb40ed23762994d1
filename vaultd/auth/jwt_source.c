#include "vaultd/auth/jwt_source.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#include "lib/failpoint.h"
#include "lib/fetch.h"
#include "lib/json.h"
#include "lib/log.h"
#include "vaultd/auth/jwt_keys.h"

#define THREADS      2u
#define ACCESSOR_MAX 64u

_Static_assert(JWT_SET_BYTES_MAX == FETCH_BODY_MAX, "what a worker's message can carry");

enum slot_state { SLOT_FREE, SLOT_IDLE, SLOT_WANTED, SLOT_AT_WORK };

struct slot {
    enum slot_state state;
    unsigned char scope[BARRIER_SCOPE];
    generation changed;
    uint64_t number; /* of the order that is on its way */
    char accessor[ACCESSOR_MAX];
    char url[FETCH_URL_MAX + 1];
    bool discovers;
    char *ca;  /* owned */
    char *set; /* owned; NULL: none */
    int64_t fetched_ms, tried_ms; /* tried_ms: of the end of the last try; INT64_MIN: none */
};

struct jwt_sources {
    const struct kt_clock *clock;
    struct wait_list *waiters;
    jwt_fetch_fn *fetch;
    void *fetch_arg;
    pthread_mutex_t lock;
    pthread_cond_t wanted;
    pthread_t threads[THREADS];
    unsigned n_threads;                 /* guarded by lock */
    uint64_t last;                      /* guarded by lock */
    bool stopping;                      /* guarded by lock */
    struct slot slots[JWT_SOURCES_MAX]; /* guarded by lock */
};

/* ---- fetching, without the lock ---- */

struct job {
    uint64_t number;
    bool discovers;
    char accessor[ACCESSOR_MAX];
    char url[FETCH_URL_MAX + 1];
    char *ca;
};

static const struct kt_json_limits document_limits = {.bytes = FETCH_BODY_MAX,
                                                      .depth = 16,
                                                      .nodes = 4096,
                                                      .keys = 256,
                                                      .string_bytes = FETCH_BODY_MAX,
                                                      .number_bytes = 64};

/* Where the issuer's set is. A document of another issuer says nothing about this one. */
static enum kt_kind read_discovery(const char *issuer, struct kt_bytes document, char url[FETCH_URL_MAX + 1],
                                   struct kt_err *err)
{
    struct kt_json_fault fault = {0};
    struct kt_json value = {0};
    kt_autobuf struct kt_buf text;
    kt_buf_init(&text, FETCH_URL_MAX + 1);
    enum kt_kind kind = kt_json_find_fault(document, &document_limits, &fault);
    if (kind != KT_OK)
        return kt_fail(err, kind, "the issuer's document: %s", kind == KT_NO_MEMORY ? "" : fault.problem);
    const struct kt_json object = kt_json_value(document);
    if (!kt_json_member(object, "issuer", &value) || !kt_json_is(value, issuer))
        return kt_fail(err, KT_INVALID, "the issuer's document is of another issuer than oidc_discovery_url says");
    if (!kt_json_member(object, "jwks_uri", &value) || !kt_json_string(value, &text) || text.len > FETCH_URL_MAX)
        return kt_fail(err, KT_INVALID, "the issuer's document has no address of a key set");
    memcpy(url, kt_buf_text(&text), text.len + 1);
    return KT_OK;
}

static enum kt_kind discover(struct jwt_sources *sources, struct job *job, struct kt_buf *body, struct kt_err *err)
{
    char url[FETCH_URL_MAX + 64];
    size_t len = strlen(job->url);
    while (len > 0 && job->url[len - 1] == '/')
        len--;
    (void)snprintf(url, sizeof url, "%.*s/.well-known/openid-configuration", (int)len, job->url);
    enum kt_kind kind = sources->fetch(sources->fetch_arg, url, job->ca, body, err);
    return kind == KT_OK ? read_discovery(job->url, kt_buf_bytes(body), job->url, err) : kind;
}

static enum kt_kind fetch_set(struct jwt_sources *sources, struct job *job, struct kt_buf *body, struct kt_err *err)
{
    if (sources->fetch == NULL)
        return kt_fail(err, KT_IO, "there is no vaultd-worker to fetch with");
    enum kt_kind kind = job->discovers ? discover(sources, job, body, err) : KT_OK;
    if (kind == KT_OK)
        kind = sources->fetch(sources->fetch_arg, job->url, job->ca, body, err);
    return kind == KT_OK ? jwt_set_check(kt_buf_bytes(body), err) : kind;
}

/* ---- the threads ---- */

/* The lock is held. NULL: nothing is wanted. */
static struct slot *next_slot(struct jwt_sources *sources)
{
    struct slot *oldest = NULL;
    for (size_t i = 0; i < JWT_SOURCES_MAX; i++) {
        struct slot *slot = &sources->slots[i];
        if (slot->state == SLOT_WANTED && (oldest == NULL || slot->number < oldest->number))
            oldest = slot;
    }
    return oldest;
}

/* The lock is held. False: no memory; it counts as tried. */
static bool begin_job(struct jwt_sources *sources, struct slot *slot, struct job *job)
{
    slot->state = SLOT_AT_WORK;
    *job = (struct job){.number = slot->number, .discovers = slot->discovers};
    memcpy(job->accessor, slot->accessor, sizeof job->accessor);
    memcpy(job->url, slot->url, sizeof job->url);
    size_t size = strlen(slot->ca) + 1;
    job->ca = kt_malloc(size);
    if (job->ca != NULL)
        memcpy(job->ca, slot->ca, size);
    else {
        slot->state = SLOT_IDLE;
        slot->tried_ms = kt_mono_ms(sources->clock);
    }
    return job->ca != NULL;
}

/* The lock is held. Whose settings changed meanwhile is another's by now. */
static void end_job(struct jwt_sources *sources, struct slot *slot, const struct job *job, char *set)
{
    if (slot->state != SLOT_AT_WORK || slot->number != job->number) {
        free(set);
        return;
    }
    slot->state = SLOT_IDLE;
    slot->tried_ms = kt_mono_ms(sources->clock);
    if (set == NULL)
        return;
    free(slot->set);
    slot->set = set;
    slot->fetched_ms = slot->tried_ms;
}

/* NULL: not fetched, and the log says why. */
static char *do_job(struct jwt_sources *sources, struct job *job)
{
    struct kt_err err = {0};
    kt_autobuf struct kt_buf body;
    kt_buf_init(&body, FETCH_BODY_MAX);
    enum kt_kind kind = fetch_set(sources, job, &body, &err);
    char *set = kind == KT_OK ? kt_malloc(body.len + 1) : NULL;
    if (set != NULL)
        memcpy(set, kt_buf_text(&body), body.len + 1);
    if (kind == KT_OK && set == NULL)
        kind = kt_fail(&err, KT_NO_MEMORY, "keeping a key set");
    if (kind != KT_OK) {
        kt_context(&err, "auth mount %s", job->accessor);
        kt_log_err(KT_LOG_WARNING, "key_set_not_fetched", &err);
    }
    return set;
}

static void *source_thread(void *arg)
{
    struct jwt_sources *sources = arg;
    (void)pthread_mutex_lock(&sources->lock);
    while (!sources->stopping) {
        struct job job;
        struct slot *slot = next_slot(sources);
        if (slot == NULL) {
            (void)pthread_cond_wait(&sources->wanted, &sources->lock);
            continue;
        }
        bool begun = begin_job(sources, slot, &job);
        (void)pthread_mutex_unlock(&sources->lock);
        char *set = begun ? do_job(sources, &job) : NULL;
        (void)pthread_mutex_lock(&sources->lock);
        if (begun)
            end_job(sources, slot, &job, set);
        free(job.ca);
        (void)pthread_mutex_unlock(&sources->lock);
        (void)wait_list_wake(sources->waiters, NULL, NULL);
        (void)pthread_mutex_lock(&sources->lock);
    }
    (void)pthread_mutex_unlock(&sources->lock);
    return NULL;
}

/* The lock is held. */
static bool start_threads(struct jwt_sources *sources)
{
    while (sources->n_threads < THREADS &&
           pthread_create(&sources->threads[sources->n_threads], NULL, source_thread, sources) == 0)
        sources->n_threads++;
    return sources->n_threads > 0;
}

/* ---- slots; the lock is held ---- */

static void clear_slot(struct slot *slot)
{
    free(slot->ca);
    free(slot->set);
    *slot = (struct slot){.state = SLOT_FREE};
}

static struct slot *slot_of(struct jwt_sources *sources, const struct jwt_source *source)
{
    for (size_t i = 0; i < JWT_SOURCES_MAX; i++) {
        struct slot *slot = &sources->slots[i];
        if (slot->state != SLOT_FREE && memcmp(slot->scope, source->scope, BARRIER_SCOPE) == 0)
            return slot;
    }
    return NULL;
}

/* A free one, or the one that was fetched longest ago. */
static struct slot *room_for_one(struct jwt_sources *sources)
{
    struct slot *oldest = NULL;
    for (size_t i = 0; i < JWT_SOURCES_MAX; i++) {
        struct slot *slot = &sources->slots[i];
        if (slot->state == SLOT_FREE)
            return slot;
        if (slot->state == SLOT_IDLE && (oldest == NULL || slot->tried_ms < oldest->tried_ms))
            oldest = slot;
    }
    return oldest;
}

static struct slot *fill_slot(struct slot *slot, const struct jwt_source *source)
{
    size_t ca = strlen(source->ca) + 1, url = strlen(source->url) + 1;
    char *copy = url > sizeof slot->url ? NULL : kt_malloc(ca);
    if (copy == NULL)
        return NULL;
    clear_slot(slot);
    slot->state = SLOT_IDLE;
    slot->changed = source->changed;
    slot->discovers = source->discovers;
    slot->ca = copy;
    slot->tried_ms = INT64_MIN;
    memcpy(slot->scope, source->scope, BARRIER_SCOPE);
    memcpy(slot->url, source->url, url);
    memcpy(slot->ca, source->ca, ca);
    (void)snprintf(slot->accessor, sizeof slot->accessor, "%s", source->accessor);
    return slot;
}

/* One that was looked at with older settings is made anew; who still has those gets nothing. */
static struct slot *find_slot(struct jwt_sources *sources, const struct jwt_source *source)
{
    struct slot *slot = slot_of(sources, source);
    if (slot != NULL && slot->changed == source->changed)
        return slot;
    if (slot == NULL)
        slot = room_for_one(sources);
    return slot == NULL ? NULL : fill_slot(slot, source);
}

static bool order(struct jwt_sources *sources, struct slot *slot)
{
    if (!start_threads(sources))
        return false;
    slot->state = SLOT_WANTED;
    slot->number = ++sources->last;
    (void)pthread_cond_signal(&sources->wanted);
    return true;
}

static enum jwt_source_state give(const struct slot *slot, struct kt_arena *arena, struct kt_bytes *ret)
{
    char *copy = kt_arena_text(arena, kt_str(slot->set));
    *ret = kt_str(copy);
    return copy == NULL ? JWT_SOURCE_FULL : JWT_SOURCE_KEYS;
}

static enum jwt_source_state take(struct jwt_sources *sources, const struct jwt_source *source, bool anew,
                                  struct kt_arena *arena, struct kt_bytes *ret)
{
    int64_t now_ms = kt_mono_ms(sources->clock);
    struct slot *slot = find_slot(sources, source);
    if (slot == NULL)
        return JWT_SOURCE_FULL;
    if (!anew && slot->set != NULL && now_ms - slot->fetched_ms < JWT_FRESH_MS)
        return give(slot, arena, ret);
    if (slot->state != SLOT_IDLE)
        return JWT_SOURCE_WAITS;
    if (slot->tried_ms == INT64_MIN || now_ms - slot->tried_ms >= JWT_PACE_MS)
        return order(sources, slot) ? JWT_SOURCE_WAITS : JWT_SOURCE_FULL;
    if (slot->set != NULL && now_ms - slot->fetched_ms < JWT_HOLD_MS)
        return give(slot, arena, ret);
    return JWT_SOURCE_AWAY;
}

enum jwt_source_state jwt_source_take(struct jwt_sources *sources, const struct jwt_source *source, bool anew,
                                      struct kt_arena *arena, struct kt_bytes *ret_set)
{
    (void)pthread_mutex_lock(&sources->lock);
    enum jwt_source_state state = take(sources, source, anew, arena, ret_set);
    (void)pthread_mutex_unlock(&sources->lock);
    return state;
}

struct wait_list *jwt_sources_waiters(struct jwt_sources *sources)
{
    return sources->waiters;
}

/* ---- birth and end ---- */

struct jwt_sources *jwt_sources_new(struct wait_clock *waits, const struct kt_clock *clock)
{
    struct jwt_sources *sources = kt_calloc(1, sizeof *sources);
    if (sources == NULL)
        return NULL;
    sources->waiters = wait_list_new(waits);
    if (sources->waiters == NULL) {
        free(sources);
        return NULL;
    }
    sources->clock = clock;
    (void)pthread_mutex_init(&sources->lock, NULL);
    (void)pthread_cond_init(&sources->wanted, NULL);
    return sources;
}

void jwt_sources_set_fetch(struct jwt_sources *sources, jwt_fetch_fn *fetch, void *arg)
{
    sources->fetch = fetch;
    sources->fetch_arg = arg;
}

void jwt_sources_free(struct jwt_sources *sources)
{
    if (sources == NULL)
        return;
    (void)pthread_mutex_lock(&sources->lock);
    sources->stopping = true;
    (void)pthread_cond_broadcast(&sources->wanted);
    (void)pthread_mutex_unlock(&sources->lock);
    for (unsigned i = 0; i < sources->n_threads; i++)
        (void)pthread_join(sources->threads[i], NULL);
    for (size_t i = 0; i < JWT_SOURCES_MAX; i++)
        clear_slot(&sources->slots[i]);
    wait_list_free(sources->waiters);
    (void)pthread_cond_destroy(&sources->wanted);
    (void)pthread_mutex_destroy(&sources->lock);
    free(sources);
}
