#include "vaultd/auth/hashing.h"

#include <errno.h>
#include <pthread.h>
#include <sodium.h>
#include <stdlib.h>
#include <unistd.h>

#include "lib/assert.h"
#include "lib/background.h"
#include "lib/failpoint.h"
#include "lib/random.h"

#define THREADS_MAX 4u
#define PLACES      ((size_t)2 * HASHING_LINE) /* what waits, and what was not fetched yet */
#define FORGOTTEN_MS 60000

_Static_assert(HASHING_TEXT == crypto_pwhash_STRBYTES, "the text of a hash");

enum place_state { PLACE_FREE, PLACE_WAITING, PLACE_AT_WORK, PLACE_DONE };
struct place {
    enum place_state state;
    uint64_t number;
    uint64_t turn;   /* the lowest is next; a source has one in each */
    uint64_t source;
    struct hashing_order order; /* at work it is the thread's alone */
    enum hashing_state result;
    int64_t done_ms;
};

struct hashing {
    const struct kt_clock *clock;
    struct lockout *lockout;
    struct wait_list *waiters;
    unsigned char secret[crypto_shorthash_KEYBYTES]; /* nobody aims at somebody's source */
    pthread_mutex_t lock;
    pthread_cond_t posted;
    pthread_t threads[THREADS_MAX];
    unsigned n_threads;  /* guarded by lock */
    unsigned waiting;    /* guarded by lock */
    uint64_t last;       /* guarded by lock; number of the newest order */
    uint64_t turn;       /* guarded by lock; of the newest that was begun */
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

/* Whose turn it is, of those the oldest; the lock is held. */
static struct place *next_place(struct hashing *hashing)
{
    struct place *next = NULL;
    for (size_t i = 0; i < PLACES; i++) {
        struct place *place = &hashing->places[i];
        if (place->state == PLACE_WAITING &&
            (next == NULL || place->turn < next->turn ||
             (place->turn == next->turn && place->number < next->number)))
            next = place;
    }
    return next;
}

static bool is_of(const struct request *req, void *arg)
{
    const struct hashing_ticket *ticket = req->handler_data;
    return ticket != NULL && ticket->number == *(const uint64_t *)arg;
}

static void *hashing_thread(void *arg)
{
    struct hashing *hashing = arg;
    kt_background_thread("hashing");
    (void)pthread_mutex_lock(&hashing->lock);
    while (!hashing->stopping) {
        struct place *place = next_place(hashing);
        if (place == NULL) {
            (void)pthread_cond_wait(&hashing->posted, &hashing->lock);
            continue;
        }
        place->state = PLACE_AT_WORK;
        hashing->turn = place->turn > hashing->turn ? place->turn : hashing->turn;
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

/* From here on the lock is held. */
static unsigned count_of(const struct hashing *hashing, enum place_state state, uint64_t source)
{
    unsigned n = 0;
    for (size_t i = 0; i < PLACES; i++)
        n += hashing->places[i].state == state && hashing->places[i].source == source;
    return n;
}

/* The source that has most places in this state; of those the newest one, or the oldest. NULL: none has. */
static struct place *of_the_most(struct hashing *hashing, enum place_state state, bool newest, unsigned *ret_n)
{
    struct place *found = NULL;
    *ret_n = 0;
    for (size_t i = 0; i < PLACES; i++) {
        struct place *place = &hashing->places[i];
        if (place->state != state)
            continue;
        if (found != NULL && place->source == found->source) {
            if ((place->number > found->number) == newest)
                found = place;
            continue;
        }
        unsigned n = count_of(hashing, state, place->source);
        if (n > *ret_n) {
            *ret_n = n;
            found = place;
        }
    }
    return found;
}

/* Free, or with a result that nobody fetched. NULL: all wait, or are at work. */
static struct place *free_place(struct hashing *hashing)
{
    int64_t now_ms = kt_mono_ms(&kt_system_clock);
    unsigned n = 0;
    for (size_t i = 0; i < PLACES; i++) {
        struct place *place = &hashing->places[i];
        if (place->state == PLACE_FREE ||
            (place->state == PLACE_DONE && now_ms - place->done_ms > FORGOTTEN_MS))
            return place;
    }
    return of_the_most(hashing, PLACE_DONE, false, &n);
}

/* In a full line: the newest of whoever has more in it than this source will have. NULL: nobody has. */
static struct place *crowd_out(struct hashing *hashing, uint64_t source, uint64_t *ret_number)
{
    unsigned most = 0;
    struct place *place = of_the_most(hashing, PLACE_WAITING, true, &most);
    if (place == NULL || count_of(hashing, PLACE_WAITING, source) + 1 >= most)
        return NULL;
    *ret_number = place->number;
    hashing->waiting--;
    sodium_memzero(place, sizeof *place);
    return place;
}

static uint64_t next_turn(const struct hashing *hashing, uint64_t source)
{
    uint64_t turn = hashing->turn;
    for (size_t i = 0; i < PLACES; i++) {
        const struct place *place = &hashing->places[i];
        bool has = place->state == PLACE_WAITING || place->state == PLACE_AT_WORK;
        if (has && place->source == source && place->turn > turn)
            turn = place->turn;
    }
    return turn + 1;
}

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

static uint64_t source_of(const struct hashing *hashing, const struct hashing_order *order)
{
    uint64_t source = 0;
    _Static_assert(sizeof source == crypto_shorthash_BYTES, "a source");
    (void)crypto_shorthash((unsigned char *)&source, (const unsigned char *)order->source,
                           strnlen(order->source, sizeof order->source), hashing->secret);
    return source;
}

bool hashing_post(struct hashing *hashing, const struct hashing_order *order,
                  struct hashing_ticket *ret)
{
    uint64_t source = source_of(hashing, order), crowded_out = 0;
    struct place *place = NULL;
    (void)pthread_mutex_lock(&hashing->lock);
    if (start_threads(hashing))
        place = hashing->waiting < HASHING_LINE ? free_place(hashing)
                                                : crowd_out(hashing, source, &crowded_out);
    if (place != NULL) {
        place->turn = next_turn(hashing, source);
        place->state = PLACE_WAITING;
        place->number = ++hashing->last;
        place->source = source;
        place->order = *order;
        hashing->waiting++;
        ret->number = place->number;
        ret->place = (unsigned)(place - hashing->places);
        (void)pthread_cond_signal(&hashing->posted);
    }
    (void)pthread_mutex_unlock(&hashing->lock);
    if (crowded_out != 0)
        (void)wait_list_wake(hashing->waiters, is_of, &crowded_out);
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
    kt_random(hashing->secret, sizeof hashing->secret);
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
