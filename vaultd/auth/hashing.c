#include "vaultd/auth/hashing.h"

#include <errno.h>
#include <pthread.h>
#include <sodium.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

#include "lib/assert.h"
#include "lib/failpoint.h"

#define THREADS_MAX 4u
#define NICE        10
#define PLACES      ((size_t)2 * HASHING_LINE) /* what waits, and what was not fetched yet */
#define FORGOTTEN_MS 60000

_Static_assert(HASHING_TEXT == crypto_pwhash_STRBYTES, "the text of a hash");

enum place_state { PLACE_FREE, PLACE_WAITING, PLACE_AT_WORK, PLACE_DONE };
struct place {
    enum place_state state;
    uint64_t number;
    struct hashing_order order; /* at work it is the thread's alone */
    enum hashing_state result;
    int64_t done_ms;
};

struct hashing {
    const struct kt_clock *clock;
    struct lockout *lockout;
    struct wait_list *waiters;
    pthread_mutex_t lock;
    pthread_cond_t posted;
    pthread_t threads[THREADS_MAX];
    unsigned n_threads;  /* guarded by lock */
    unsigned waiting;    /* guarded by lock */
    uint64_t last;       /* guarded by lock; number of the newest order */
    bool stopping;       /* guarded by lock */
    struct place places[PLACES]; /* guarded by lock */
};

/* Half of the cores: the others' requests go on. */
static unsigned threads_wanted(void)
{
    long cores = sysconf(_SC_NPROCESSORS_ONLN);
    if (cores < 4)
        return 1;
    return cores / 2 > (long)THREADS_MAX ? THREADS_MAX : (unsigned)(cores / 2);
}

/* ---- the work ---- */

/* No password's, with today's cost: hashing_new() asserts that it is read as such. */
#ifdef FUZZING_BUILD_MODE_UNSAFE_FOR_PRODUCTION
#define COST_TEXT "m=8,t=1,p=1"
#else
#define COST_TEXT "m=65536,t=3,p=1"
#endif
static const char of_nobody[HASHING_TEXT] =
    "$argon2id$v=19$" COST_TEXT "$a2V5dHVybiBub2JvZHkhIQ$"
    "2v4mZ3oLwJ0sQyWq1cXhT8eRkU7nBfD5aGpVt6uIjCM";

static enum hashing_state make(struct hashing_order *order)
{
    int rc = crypto_pwhash_str_alg(order->text, (const char *)order->secret, sizeof order->secret,
                                   HASHING_OPS, HASHING_MEMORY, crypto_pwhash_ALG_ARGON2ID13);
    return rc == 0 ? HASHING_RIGHT : HASHING_FAILED;
}

/* libsodium says -1 of a wrong password and of too little memory alike; errno tells them apart. */
static enum hashing_state compare(const struct hashing *hashing, const struct hashing_order *order)
{
    if (lockout_is_locked(hashing->lockout, order->name, kt_mono_ms(hashing->clock)))
        return HASHING_LOCKED;
    const char *text = order->nobody ? of_nobody : order->text;
    errno = 0;
    int rc = crypto_pwhash_str_verify(text, (const char *)order->secret, sizeof order->secret);
    if (rc == 0 && !order->nobody)
        return HASHING_RIGHT;
    if (rc != 0 && errno != EINVAL)
        return HASHING_FAILED;
    lockout_failed(hashing->lockout, order->name, kt_mono_ms(hashing->clock));
    return HASHING_WRONG;
}

static void work(struct hashing *hashing, struct place *place)
{
    struct hashing_order *order = &place->order;
    place->result = order->make ? make(order) : compare(hashing, order);
    sodium_memzero(order->secret, sizeof order->secret);
}

/* The oldest that waits; the lock is held. */
static struct place *next_place(struct hashing *hashing)
{
    struct place *oldest = NULL;
    for (size_t i = 0; i < PLACES; i++) {
        struct place *place = &hashing->places[i];
        if (place->state == PLACE_WAITING && (oldest == NULL || place->number < oldest->number))
            oldest = place;
    }
    return oldest;
}

static bool is_of(const struct request *req, void *arg)
{
    const struct hashing_ticket *ticket = req->handler_data;
    return ticket != NULL && ticket->number == *(const uint64_t *)arg;
}

static void *hashing_thread(void *arg)
{
    struct hashing *hashing = arg;
    (void)setpriority(PRIO_PROCESS, 0, NICE); /* Linux: of this thread. What is refused is no matter */
    (void)pthread_mutex_lock(&hashing->lock);
    while (!hashing->stopping) {
        struct place *place = next_place(hashing);
        if (place == NULL) {
            (void)pthread_cond_wait(&hashing->posted, &hashing->lock);
            continue;
        }
        place->state = PLACE_AT_WORK;
        hashing->waiting--;
        (void)pthread_mutex_unlock(&hashing->lock);
        work(hashing, place);
        (void)pthread_mutex_lock(&hashing->lock);
        place->state = PLACE_DONE;
        place->done_ms = kt_mono_ms(&kt_system_clock);
        uint64_t number = place->number;
        (void)pthread_mutex_unlock(&hashing->lock);
        (void)wait_list_wake(hashing->waiters, is_of, &number);
        (void)pthread_mutex_lock(&hashing->lock);
    }
    (void)pthread_mutex_unlock(&hashing->lock);
    return NULL;
}

/* ---- orders ---- */

/* Free, or with a result that nobody fetched; the lock is held. NULL: none. */
static struct place *free_place(struct hashing *hashing)
{
    int64_t now_ms = kt_mono_ms(&kt_system_clock);
    for (size_t i = 0; i < PLACES; i++) {
        struct place *place = &hashing->places[i];
        if (place->state == PLACE_FREE ||
            (place->state == PLACE_DONE && now_ms - place->done_ms > FORGOTTEN_MS))
            return place;
    }
    return NULL;
}

/* The lock is held. */
static bool start_threads(struct hashing *hashing)
{
    unsigned wanted = threads_wanted();
    while (hashing->n_threads < wanted) {
        if (pthread_create(&hashing->threads[hashing->n_threads], NULL, hashing_thread, hashing) != 0)
            break;
        hashing->n_threads++;
    }
    return hashing->n_threads > 0;
}

bool hashing_post(struct hashing *hashing, const struct hashing_order *order,
                  struct hashing_ticket *ret)
{
    (void)pthread_mutex_lock(&hashing->lock);
    bool room = hashing->waiting < HASHING_LINE && start_threads(hashing);
    struct place *place = room ? free_place(hashing) : NULL;
    if (place != NULL) {
        place->state = PLACE_WAITING;
        place->number = ++hashing->last;
        place->order = *order;
        hashing->waiting++;
        ret->number = place->number;
        ret->place = (unsigned)(place - hashing->places);
        (void)pthread_cond_signal(&hashing->posted);
    }
    (void)pthread_mutex_unlock(&hashing->lock);
    return place != NULL;
}

enum hashing_state hashing_take(struct hashing *hashing, const struct hashing_ticket *ticket,
                                char text[HASHING_TEXT])
{
    enum hashing_state state = HASHING_LOST;
    (void)pthread_mutex_lock(&hashing->lock);
    struct place *place = &hashing->places[ticket->place];
    if (place->number == ticket->number && place->state == PLACE_DONE) {
        state = place->result;
        memcpy(text, place->order.text, HASHING_TEXT);
        sodium_memzero(place, sizeof *place);
    } else if (place->number == ticket->number && place->state != PLACE_FREE) {
        state = HASHING_WAITS;
    }
    (void)pthread_mutex_unlock(&hashing->lock);
    return state;
}

struct wait_list *hashing_waiters(struct hashing *hashing)
{
    return hashing->waiters;
}

/* ---- birth and end ---- */

struct hashing *hashing_new(struct wait_clock *waits, const struct kt_clock *clock,
                            struct lockout *lockout)
{
    KT_ASSERT(crypto_pwhash_str_needs_rehash(of_nobody, HASHING_OPS, HASHING_MEMORY) == 0);
    struct hashing *hashing = kt_calloc(1, sizeof *hashing);
    if (hashing == NULL)
        return NULL;
    hashing->waiters = wait_list_new(waits);
    if (hashing->waiters == NULL) {
        free(hashing);
        return NULL;
    }
    hashing->clock = clock;
    hashing->lockout = lockout;
    (void)pthread_mutex_init(&hashing->lock, NULL);
    (void)pthread_cond_init(&hashing->posted, NULL);
    return hashing;
}

void hashing_free(struct hashing *hashing)
{
    if (hashing == NULL)
        return;
    (void)pthread_mutex_lock(&hashing->lock);
    hashing->stopping = true;
    (void)pthread_cond_broadcast(&hashing->posted);
    (void)pthread_mutex_unlock(&hashing->lock);
    for (unsigned i = 0; i < hashing->n_threads; i++)
        (void)pthread_join(hashing->threads[i], NULL);
    wait_list_free(hashing->waiters);
    (void)pthread_cond_destroy(&hashing->posted);
    (void)pthread_mutex_destroy(&hashing->lock);
    sodium_memzero(hashing->places, sizeof hashing->places);
    free(hashing);
}
