#include "vaultd/core/refusals.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <pthread.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/failpoint.h"
#include "lib/random.h"

#define BUCKETS      256u
#define PAUSE_MS     1000
#define LONGEST_MS   10000
#define RECORD_COSTS 1000 /* a bucket fills by its rate in each millisecond */

struct bucket {
    int64_t level, filled_ms;
};
struct slot {
    struct bucket bucket;
    struct refusal_count count; /* refused 0: nothing was counted */
    char source[REFUSALS_SOURCE];
};
struct refusals {
    pthread_mutex_t lock;
    struct refusals_rate rate;
    unsigned char hash_key[crypto_shorthash_KEYBYTES]; /* nobody may aim at another's bucket */
    struct bucket all;                                 /* guarded by lock, as are the slots */
    struct slot slots[BUCKETS];
};

struct refusals *refusals_new(const struct refusals_rate *rate)
{
    struct refusals *refusals = kt_calloc(1, sizeof *refusals);
    if (refusals == NULL)
        return NULL;
    refusals->rate = *rate;
    (void)pthread_mutex_init(&refusals->lock, NULL);
    kt_random(refusals->hash_key, sizeof refusals->hash_key);
    return refusals;
}

void refusals_free(struct refusals *refusals)
{
    if (refusals == NULL)
        return;
    (void)pthread_mutex_destroy(&refusals->lock);
    free(refusals);
}

void refusals_source(const char *address, char out[REFUSALS_SOURCE])
{
    struct in6_addr six;
    if (inet_pton(AF_INET6, address, &six) != 1 || IN6_IS_ADDR_V4MAPPED(&six)) {
        (void)snprintf(out, REFUSALS_SOURCE, "%.60s", address);
        return;
    }
    memset(six.s6_addr + 8, 0, 8);
    char text[INET6_ADDRSTRLEN];
    if (inet_ntop(AF_INET6, &six, text, sizeof text) == NULL)
        text[0] = '\0';
    (void)snprintf(out, REFUSALS_SOURCE, "%s/64", text);
}

static void fill(struct bucket *bucket, int64_t rate, int64_t now_ms)
{
    int64_t full = rate * RECORD_COSTS, passed = now_ms - bucket->filled_ms;
    if (bucket->filled_ms == 0 || passed > 1000 || passed < 0)
        bucket->level = full;
    else
        bucket->level += passed * rate;
    if (bucket->level > full)
        bucket->level = full;
    bucket->filled_ms = now_ms;
}

static void count(struct slot *slot, const char *source, int64_t now_ms)
{
    struct refusal_count *counted = &slot->count;
    if (counted->refused == 0) {
        counted->since_ms = now_ms;
        counted->shared = false;
        memcpy(counted->source, slot->source, sizeof counted->source);
    }
    counted->shared = counted->shared || strcmp(counted->source, source) != 0;
    counted->until_ms = now_ms;
    counted->refused++;
}

bool refusals_admit(struct refusals *refusals, const char *source, size_t bytes, int64_t now_ms)
{
    const struct refusals_rate *rate = &refusals->rate;
    int64_t records = bytes / REFUSAL_BYTES < (size_t)rate->per_source
                          ? 1 + (int64_t)(bytes / REFUSAL_BYTES)
                          : rate->per_source;
    int64_t cost = RECORD_COSTS * (records < rate->per_source ? records : rate->per_source);
    if (rate->per_source == 0)
        return true;
    unsigned char hash[crypto_shorthash_BYTES];
    (void)crypto_shorthash(hash, (const unsigned char *)source, strlen(source), refusals->hash_key);
    (void)pthread_mutex_lock(&refusals->lock);
    struct slot *slot = &refusals->slots[hash[0] % BUCKETS];
    fill(&slot->bucket, rate->per_source, now_ms);
    if (rate->in_all > 0)
        fill(&refusals->all, rate->in_all, now_ms);
    /* A full bucket means that its source was quiet: it may change hands. */
    if (slot->count.refused == 0 && slot->bucket.level == rate->per_source * RECORD_COSTS)
        (void)snprintf(slot->source, sizeof slot->source, "%s", source);
    bool admitted =
        slot->bucket.level >= cost && (rate->in_all == 0 || refusals->all.level >= cost);
    if (admitted) {
        slot->bucket.level -= cost;
        refusals->all.level -= rate->in_all == 0 ? 0 : cost;
    } else {
        count(slot, source, now_ms);
    }
    (void)pthread_mutex_unlock(&refusals->lock);
    return admitted;
}

bool refusals_take(struct refusals *refusals, int64_t now_ms, bool all, struct refusal_count *ret)
{
    bool found = false;
    (void)pthread_mutex_lock(&refusals->lock);
    for (size_t i = 0; i < BUCKETS && !found; i++) {
        struct refusal_count *counted = &refusals->slots[i].count;
        found = counted->refused > 0 && (all || now_ms - counted->until_ms >= PAUSE_MS ||
                                         now_ms - counted->since_ms >= LONGEST_MS);
        if (found) {
            *ret = *counted;
            counted->refused = 0;
        }
    }
    (void)pthread_mutex_unlock(&refusals->lock);
    return found;
}

/* The slot that a count came from; when others have it now, any that has no count. */
static struct slot *slot_of(struct refusals *refusals, const char *source)
{
    struct slot *free_slot = NULL;
    for (size_t i = 0; i < BUCKETS; i++) {
        struct slot *slot = &refusals->slots[i];
        if (strcmp(slot->source, source) == 0)
            return slot;
        if (free_slot == NULL && slot->count.refused == 0)
            free_slot = slot;
    }
    return free_slot;
}

void refusals_give_back(struct refusals *refusals, const struct refusal_count *counted)
{
    (void)pthread_mutex_lock(&refusals->lock);
    struct slot *slot = slot_of(refusals, counted->source);
    if (slot != NULL && slot->count.refused > 0) {
        slot->count.refused += counted->refused;
        slot->count.since_ms = counted->since_ms;
    } else if (slot != NULL) {
        slot->count = *counted;
    }
    (void)pthread_mutex_unlock(&refusals->lock);
}
