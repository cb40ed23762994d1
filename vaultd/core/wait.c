#include "vaultd/core/wait.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <time.h>

#include "lib/assert.h"
#include "lib/failpoint.h"
#include "lib/timespec.h"

#define LOOK_MS       30000
#define PAUSE_NS      20000000 /* 20 ms */
#define PAUSE_MORE_NS 50000   /* for each that waits: 10,000 are looked at twice a second */
#define PAUSE_MOST_NS 1000000000

/* A waiting request's place in its list. It lives in the request's arena; whoever takes it out of
 * the list, under the clock's lock, owes the one resume(). */
struct wait_entry {
    struct wait_entry *next, **link;
    struct request *req;
    struct wait_list *list;
    int64_t at_ms;       /* the next look at it, or its deadline */
    int64_t deadline_ms; /* the request's */
    uint64_t late_at;    /* the clock's wakes when time ended it; else NOT_LATE */
};
#define NOT_LATE UINT64_MAX

struct wait_list {
    struct wait_clock *waits;
    struct wait_list *next;   /* guarded by waits->lock */
    struct wait_entry *first; /* guarded by waits->lock */
    size_t count;             /* guarded by waits->lock */
    uint64_t woken;           /* guarded by waits->lock; waits->wakes when last woken */
};

struct wait_clock {
    const struct kt_clock *clock;
    wait_look_fn *look;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    pthread_t thread;
    struct wait_list *lists; /* guarded by lock */
    int64_t next_ms;         /* guarded by lock; earliest deadline, INT64_MAX: none */
    size_t count;            /* guarded by lock; that wait, in all lists */
    bool draining, stopping; /* guarded by lock */
    uint64_t wakes;          /* guarded by lock; counts calls of wait_list_wake() */
};

static void unlink_entry(struct wait_list *list, struct wait_entry *entry)
{
    *entry->link = entry->next;
    if (entry->next != NULL)
        entry->next->link = entry->link;
    list->count--;
    list->waits->count--;
}

static struct wait_entry *take(struct wait_list *list, struct wait_entry *entry,
                               struct wait_entry *chain)
{
    unlink_entry(list, entry);
    entry->next = chain;
    return entry;
}

/* Moves the matching entries of a list to a private chain; the lock is held. */
static struct wait_entry *take_matching(struct wait_list *list, wait_match_fn *match, void *arg,
                                        struct wait_entry *chain, size_t *count)
{
    struct wait_entry *next = NULL;
    for (struct wait_entry *entry = list->first; entry != NULL; entry = next) {
        next = entry->next;
        if (match != NULL && !match(entry->req, arg))
            continue;
        chain = take(list, entry, chain);
        (*count)++;
    }
    return chain;
}

/* The same with those whose time has come; finds the next one's on the way. */
static struct wait_entry *take_late(struct wait_clock *waits, int64_t now_ms)
{
    struct wait_entry *chain = NULL, *next = NULL;
    waits->next_ms = INT64_MAX;
    for (struct wait_list *list = waits->lists; list != NULL; list = list->next)
        for (struct wait_entry *entry = list->first; entry != NULL; entry = next) {
            next = entry->next;
            if (entry->at_ms <= now_ms) {
                chain = take(list, entry, chain);
                entry->late_at = waits->wakes;
            } else if (entry->at_ms < waits->next_ms) {
                waits->next_ms = entry->at_ms;
            }
        }
    return chain;
}

/* Outside of the lock: resume() may take the carrier's. The entry dies with its request. */
static void resume_chain(struct wait_entry *chain)
{
    while (chain != NULL) {
        struct wait_entry *next = chain->next;
        struct request *req = chain->req;
        req->carrier->resume(req);
        chain = next;
    }
}

/* False: it may not wait, for all are to end, or its list was woken since `seen`. */
static bool put(struct wait_entry *entry, int64_t now_ms, uint64_t seen)
{
    struct wait_list *list = entry->list;
    struct wait_clock *waits = list->waits;
    int64_t look_ms = now_ms + LOOK_MS;
    (void)pthread_mutex_lock(&waits->lock);
    bool may = !waits->draining && list->woken <= seen;
    entry->late_at = NOT_LATE;
    if (may) {
        entry->at_ms = entry->deadline_ms < look_ms ? entry->deadline_ms : look_ms;
        entry->next = list->first;
        entry->link = &list->first;
        if (entry->next != NULL)
            entry->next->link = &entry->next;
        list->first = entry;
        list->count++;
        waits->count++;
        if (entry->at_ms < waits->next_ms) {
            waits->next_ms = entry->at_ms;
            (void)pthread_cond_signal(&waits->changed);
        }
    }
    (void)pthread_mutex_unlock(&waits->lock);
    return may;
}

/* Whose deadline is over is resumed, and who has another reason to run; the others wait on. What their
 * list was told before they were taken out of it did not concern them. */
static void look_at_chain(struct wait_clock *waits, struct wait_entry *chain, int64_t now_ms)
{
    while (chain != NULL) {
        struct wait_entry *entry = chain;
        struct request *req = entry->req;
        chain = entry->next;
        if (entry->deadline_ms > now_ms && !waits->look(req) && put(entry, now_ms, entry->late_at))
            continue;
        req->carrier->resume(req);
    }
}

/* Waits until the earliest deadline as the injected clock sees it, or a change. A test's clock may
 * jump: it is asked again at least every 100 ms while something waits. */
static void sleep_until(struct wait_clock *waits, int64_t at_ms)
{
    if (at_ms == INT64_MAX) {
        (void)pthread_cond_wait(&waits->changed, &waits->lock);
        return;
    }
    int64_t left = at_ms - kt_mono_ms(waits->clock);
    if (left <= 0)
        return;
    if (waits->clock != &kt_system_clock && left > 100)
        left = 100;
    struct timespec until = kt_timespec_in_ns(left * KT_NS_PER_MS);
    (void)pthread_cond_timedwait(&waits->changed, &waits->lock, &until);
}

/* A look at the deadlines walks all lists, and libmicrohttpd walks all that are suspended when one is
 * resumed. So thousands of deadlines that differ by a millisecond each must not be looked at one by
 * one: after each look there is a pause, the longer the more of them there are. The lock is held. */
static void pause_briefly(struct wait_clock *waits)
{
    int64_t pause = PAUSE_NS + (int64_t)waits->count * PAUSE_MORE_NS;
    struct timespec until = kt_timespec_in_ns(pause < PAUSE_MOST_NS ? pause : PAUSE_MOST_NS);
    while (!waits->stopping &&
           pthread_cond_timedwait(&waits->changed, &waits->lock, &until) != ETIMEDOUT)
        continue;
}

static void *wait_thread(void *arg)
{
    struct wait_clock *waits = arg;
    (void)pthread_mutex_lock(&waits->lock);
    while (!waits->stopping) {
        sleep_until(waits, waits->next_ms);
        int64_t now = kt_mono_ms(waits->clock);
        if (now < waits->next_ms)
            continue;
        struct wait_entry *chain = take_late(waits, now);
        (void)pthread_mutex_unlock(&waits->lock);
        look_at_chain(waits, chain, now);
        (void)pthread_mutex_lock(&waits->lock);
        pause_briefly(waits);
    }
    (void)pthread_mutex_unlock(&waits->lock);
    return NULL;
}

struct wait_clock *wait_clock_new(const struct kt_clock *clock, wait_look_fn *look)
{
    struct wait_clock *waits = kt_calloc(1, sizeof *waits);
    if (waits == NULL)
        return NULL;
    waits->clock = clock;
    waits->look = look;
    waits->next_ms = INT64_MAX;
    pthread_condattr_t monotonic;
    (void)pthread_condattr_init(&monotonic);
    (void)pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    (void)pthread_mutex_init(&waits->lock, NULL);
    (void)pthread_cond_init(&waits->changed, &monotonic);
    (void)pthread_condattr_destroy(&monotonic);
    if (pthread_create(&waits->thread, NULL, wait_thread, waits) != 0) {
        free(waits);
        return NULL;
    }
    return waits;
}

void wait_clock_free(struct wait_clock *waits)
{
    if (waits == NULL)
        return;
    (void)pthread_mutex_lock(&waits->lock);
    waits->stopping = true;
    (void)pthread_cond_signal(&waits->changed);
    (void)pthread_mutex_unlock(&waits->lock);
    (void)pthread_join(waits->thread, NULL);
    KT_ASSERT(waits->lists == NULL);
    (void)pthread_cond_destroy(&waits->changed);
    (void)pthread_mutex_destroy(&waits->lock);
    free(waits);
}

struct wait_list *wait_list_new(struct wait_clock *waits)
{
    struct wait_list *list = kt_calloc(1, sizeof *list);
    if (list == NULL)
        return NULL;
    list->waits = waits;
    (void)pthread_mutex_lock(&waits->lock);
    list->next = waits->lists;
    waits->lists = list;
    (void)pthread_mutex_unlock(&waits->lock);
    return list;
}

void wait_list_free(struct wait_list *list)
{
    if (list == NULL)
        return;
    struct wait_clock *waits = list->waits;
    (void)pthread_mutex_lock(&waits->lock);
    KT_ASSERT(list->first == NULL);
    struct wait_list **link = &waits->lists;
    while (*link != list)
        link = &(*link)->next;
    *link = list->next;
    (void)pthread_mutex_unlock(&waits->lock);
    free(list);
}

size_t wait_list_wake(struct wait_list *list, wait_match_fn *match, void *arg)
{
    size_t count = 0;
    (void)pthread_mutex_lock(&list->waits->lock);
    list->woken = ++list->waits->wakes;
    struct wait_entry *chain = take_matching(list, match, arg, NULL, &count);
    (void)pthread_mutex_unlock(&list->waits->lock);
    resume_chain(chain);
    return count;
}

void wait_list_pass(struct wait_list *list)
{
    (void)pthread_mutex_lock(&list->waits->lock);
    list->woken = ++list->waits->wakes;
    (void)pthread_mutex_unlock(&list->waits->lock);
}

size_t wait_list_count(struct wait_list *list)
{
    (void)pthread_mutex_lock(&list->waits->lock);
    size_t count = list->count;
    (void)pthread_mutex_unlock(&list->waits->lock);
    return count;
}

void wait_clock_drain(struct wait_clock *waits, bool draining)
{
    struct wait_entry *chain = NULL;
    size_t count = 0;
    (void)pthread_mutex_lock(&waits->lock);
    waits->draining = draining;
    if (draining)
        for (struct wait_list *list = waits->lists; list != NULL; list = list->next)
            chain = take_matching(list, NULL, NULL, chain, &count);
    (void)pthread_mutex_unlock(&waits->lock);
    resume_chain(chain);
}

/* Called by the pipeline after carrier->suspend(). From the moment the lock is given up, the
 * request belongs to whoever wakes it. */
void wait_list_add(struct wait_list *list, struct request *req, struct wait_entry *entry,
                   uint64_t seen)
{
    entry->req = req;
    entry->list = list;
    entry->deadline_ms = req->wait_deadline_ms;
    if (!put(entry, kt_mono_ms(list->waits->clock), seen))
        req->carrier->resume(req);
}

uint64_t wait_clock_wakes(struct wait_clock *waits)
{
    (void)pthread_mutex_lock(&waits->lock);
    uint64_t wakes = waits->wakes;
    (void)pthread_mutex_unlock(&waits->lock);
    return wakes;
}

bool wait_entry_quiet(const struct wait_entry *entry, uint64_t wakes)
{
    return entry->late_at == wakes;
}

size_t wait_entry_bytes(void)
{
    return sizeof(struct wait_entry);
}
