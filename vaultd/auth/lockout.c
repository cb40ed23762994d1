#include "vaultd/auth/lockout.h"

#include <pthread.h>
#include <sodium.h>
#include <stdlib.h>

#include "lib/failpoint.h"
#include "lib/random.h"

#define WAYS 8u
#define SETS (LOCKOUT_NAMES / WAYS)

struct failures {
    unsigned char key[LOCKOUT_KEY];
    unsigned count;   /* 0: free */
    int64_t until_ms; /* they are forgotten then, and a locked name is let in again */
};

struct lockout {
    unsigned char secret[crypto_generichash_KEYBYTES]; /* so that nobody aims at somebody's set */
    pthread_mutex_t lock;
    struct failures sets[SETS][WAYS]; /* guarded by lock; pages that nobody failed in are no memory */
};

struct lockout *lockout_new(void)
{
    struct lockout *lockout = kt_calloc(1, sizeof *lockout);
    if (lockout == NULL)
        return NULL;
    kt_random(lockout->secret, sizeof lockout->secret);
    (void)pthread_mutex_init(&lockout->lock, NULL);
    return lockout;
}

void lockout_free(struct lockout *lockout)
{
    if (lockout == NULL)
        return;
    (void)pthread_mutex_destroy(&lockout->lock);
    free(lockout);
}

void lockout_key(const struct lockout *lockout, const unsigned char scope[BARRIER_SCOPE],
                 struct kt_bytes name, unsigned char out[LOCKOUT_KEY])
{
    crypto_generichash_state state;
    (void)crypto_generichash_init(&state, lockout->secret, sizeof lockout->secret, LOCKOUT_KEY);
    (void)crypto_generichash_update(&state, scope, BARRIER_SCOPE);
    (void)crypto_generichash_update(&state, name.at, name.len);
    (void)crypto_generichash_final(&state, out, LOCKOUT_KEY);
}

static struct failures *set_of(struct lockout *lockout, const unsigned char key[LOCKOUT_KEY])
{
    return lockout->sets[kt_get_u32(key) % SETS];
}

/* NULL: none that still count. */
static struct failures *find(struct lockout *lockout, const unsigned char key[LOCKOUT_KEY],
                             int64_t now_ms)
{
    struct failures *set = set_of(lockout, key);
    for (size_t i = 0; i < WAYS; i++)
        if (set[i].count > 0 && set[i].until_ms > now_ms &&
            memcmp(set[i].key, key, LOCKOUT_KEY) == 0)
            return &set[i];
    return NULL;
}

/* In this order: what does not count any more, who is not locked out, who has the least to wait. */
static bool goes_before(const struct failures *a, const struct failures *b, int64_t now_ms)
{
    bool a_counts = a->count > 0 && a->until_ms > now_ms;
    bool b_counts = b->count > 0 && b->until_ms > now_ms;
    if (a_counts != b_counts)
        return b_counts;
    bool a_locked = a->count >= LOCKOUT_FAILURES, b_locked = b->count >= LOCKOUT_FAILURES;
    if (a_locked != b_locked)
        return b_locked;
    return a->until_ms < b->until_ms;
}

static struct failures *make_room(struct lockout *lockout, const unsigned char key[LOCKOUT_KEY],
                                  int64_t now_ms)
{
    struct failures *set = set_of(lockout, key), *least = &set[0];
    for (size_t i = 1; i < WAYS; i++)
        if (goes_before(&set[i], least, now_ms))
            least = &set[i];
    *least = (struct failures){.count = 0};
    memcpy(least->key, key, LOCKOUT_KEY);
    return least;
}

unsigned lockout_count(struct lockout *lockout, const unsigned char key[LOCKOUT_KEY], int64_t now_ms)
{
    (void)pthread_mutex_lock(&lockout->lock);
    const struct failures *of = find(lockout, key, now_ms);
    unsigned count = of == NULL ? 0 : of->count;
    (void)pthread_mutex_unlock(&lockout->lock);
    return count;
}

bool lockout_is_locked(struct lockout *lockout, const unsigned char key[LOCKOUT_KEY], int64_t now_ms)
{
    return lockout_count(lockout, key, now_ms) >= LOCKOUT_FAILURES;
}

/* Failures while it is locked do not lengthen that: who locks others out has to go on doing so. */
void lockout_failed(struct lockout *lockout, const unsigned char key[LOCKOUT_KEY], int64_t now_ms)
{
    (void)pthread_mutex_lock(&lockout->lock);
    struct failures *of = find(lockout, key, now_ms);
    if (of == NULL)
        of = make_room(lockout, key, now_ms);
    if (of->count < LOCKOUT_FAILURES) {
        of->count++;
        of->until_ms = now_ms + LOCKOUT_MS;
    }
    (void)pthread_mutex_unlock(&lockout->lock);
}

void lockout_forget(struct lockout *lockout, const unsigned char key[LOCKOUT_KEY])
{
    struct failures *set = set_of(lockout, key);
    (void)pthread_mutex_lock(&lockout->lock);
    for (size_t i = 0; i < WAYS; i++)
        if (memcmp(set[i].key, key, LOCKOUT_KEY) == 0)
            set[i] = (struct failures){.count = 0};
    (void)pthread_mutex_unlock(&lockout->lock);
}
