#include <sodium.h>
#include <stdlib.h>

#include "lib/failpoint.h"
#include "vaultd/fleet/own.h"
#include "vaultd/rotation/rotation.h"

/* The store thread only notes which secrets and tokens changed; a thread of its own finds the hosts
 * that wait for one of them and wakes those alone. */

/* ---- signs of life ---- */

static struct seen *place_of(struct fleet *fleet, const char *host)
{
    unsigned char hash[crypto_shorthash_BYTES];
    (void)crypto_shorthash(hash, (const unsigned char *)host, strlen(host), fleet->key);
    uint64_t print = kt_get_u64(hash) | 1u;
    for (size_t i = 0; i < 64; i++) {
        struct seen *seen = &fleet->seen[(print + i) % FLEET_HOSTS];
        if (seen->print == print || seen->print == 0) {
            seen->print = print;
            return seen;
        }
    }
    return NULL;
}

void fleet_saw(struct request *req, const char *host)
{
    struct fleet *fleet = req->core->fleet;
    const struct fleet_sign sign = {.at_ms = req->now_ms, .heard_ms = rotation_steady_ms(req->core->rotation)};
    (void)pthread_mutex_lock(&fleet->lock);
    struct seen *seen = place_of(fleet, host);
    if (seen != NULL)
        seen->sign = sign;
    (void)pthread_mutex_unlock(&fleet->lock);
}

struct fleet_sign fleet_last_sign(struct fleet *fleet, const char *host)
{
    (void)pthread_mutex_lock(&fleet->lock);
    const struct seen *seen = place_of(fleet, host);
    const struct fleet_sign sign = seen == NULL ? (struct fleet_sign){0} : seen->sign;
    (void)pthread_mutex_unlock(&fleet->lock);
    return sign;
}

/* ---- prints: keys are keyed hashes already ---- */

fleet_print fleet_print_of_key(struct kt_bytes key)
{
    if (key.len < BARRIER_NAME_KEY)
        return 0;
    return kt_get_u64(key.at + 1) ^ kt_get_u64(key.at + 17);
}

fleet_print fleet_print_of_secret(struct core *core, const struct mount *mount, const char *path)
{
    unsigned char key[BARRIER_NAME_KEY];
    barrier_name_key(core->barrier, TABLE_KV, mount->scope, kt_str(path), key);
    return fleet_print_of_key(kt_bytes(key, sizeof key));
}

fleet_print fleet_print_of_token(const unsigned char hash[32])
{
    return kt_get_u64(hash) ^ kt_get_u64(hash + 16);
}

/* ---- waking ---- */

struct news {
    struct fleet *fleet;
    const fleet_print *at;
    size_t n;
};

/* Whoever goes on waiting stands in the new filter. */
static bool concerned(const struct request *req, void *arg)
{
    const struct news *news = arg;
    const struct watch *watch = req->handler_data;
    if (watch == NULL)
        return true;
    for (size_t i = 0; i < watch->n; i++)
        for (size_t k = 0; k < news->n; k++)
            if (watch->prints[i] == news->at[k])
                return true;
    for (size_t i = 0; i < watch->n; i++)
        awaited_add(&news->fleet->awaited, watch->prints[i]);
    return false;
}

static bool anybody(const struct news *news)
{
    for (size_t i = 0; i < news->n; i++)
        if (awaited_has(&news->fleet->awaited, news->at[i]))
            return true;
    return false;
}

/* A watch adds what it waits for to the filter before it gets into the list. If it is not in the list
 * yet when the list is passed over or walked, it looks once more instead of waiting, and adds it again:
 * so no change is missed, and nothing is missing in a filter that was cleared. */
static void wake(struct news *news, bool all)
{
    struct fleet *fleet = news->fleet;
    wait_list_pass(fleet->watches);
    if (!all && !anybody(news))
        return;
    awaited_clear(&fleet->awaited);
    (void)wait_list_wake(fleet->watches, all ? NULL : concerned, news);
}

static void *wake_thread(void *arg)
{
    struct fleet *fleet = arg;
    (void)pthread_mutex_lock(&fleet->lock);
    while (!fleet->stopping) {
        if (fleet->n_changes == 0 && !fleet->all_changed) {
            (void)pthread_cond_wait(&fleet->changed, &fleet->lock);
            continue;
        }
        struct news news = {fleet, fleet->taken, fleet->n_changes};
        bool all = fleet->all_changed;
        memcpy(fleet->taken, fleet->changes, news.n * sizeof fleet->taken[0]);
        fleet->n_changes = 0;
        fleet->all_changed = false;
        (void)pthread_mutex_unlock(&fleet->lock);
        wake(&news, all);
        (void)pthread_mutex_lock(&fleet->lock);
    }
    (void)pthread_mutex_unlock(&fleet->lock);
    return NULL;
}

static bool is_metadata(struct kt_bytes key)
{
    return key.len == BARRIER_NAME_KEY + 4 && kt_get_be32(key.at + BARRIER_NAME_KEY) == 0;
}

/* Or a host. */
static bool is_consumer(struct kt_bytes key)
{
    return key.at[0] == TABLE_CONSUMER && key.len == BARRIER_NAME_KEY;
}

static void follow(void *arg, const struct fold_event *event)
{
    struct fleet *fleet = arg;
    (void)pthread_mutex_lock(&fleet->lock);
    fleet->all_changed = fleet->all_changed || event->reset;
    for (size_t i = 0; i < event->n; i++) {
        struct kt_bytes key = event->of[i].key;
        bool token = key.at[0] == TABLE_TOKEN && key.len == BARRIER_HASH_KEY;
        if (!token && !is_metadata(key) && !is_consumer(key))
            continue;
        if (fleet->n_changes == FLEET_CHANGES) {
            fleet->all_changed = true;
            break;
        }
        fleet->changes[fleet->n_changes++] =
            token ? fleet_print_of_token(key.at + 1) : fleet_print_of_key(key);
    }
    if (fleet->n_changes > 0 || fleet->all_changed)
        (void)pthread_cond_signal(&fleet->changed);
    (void)pthread_mutex_unlock(&fleet->lock);
}

static bool follow_tables(struct fleet *fleet)
{
    static const unsigned char tables[] = {TABLE_KV, TABLE_TOKEN, TABLE_CONSUMER};
    for (size_t i = 0; i < sizeof tables; i++)
        if (store_on_fold(fleet->core->store, kt_bytes(&tables[i], 1), follow, fleet) != STORE_OK)
            return false;
    return true;
}

/* ---- birth and end ---- */

struct fleet *fleet_new(struct core *core)
{
    struct fleet *fleet = kt_calloc(1, sizeof *fleet);
    if (fleet == NULL)
        return NULL;
    fleet->core = core;
    (void)pthread_mutex_init(&fleet->lock, NULL);
    (void)pthread_cond_init(&fleet->changed, NULL);
    crypto_shorthash_keygen(fleet->key);
    fleet->watches = wait_list_new(core->waits);
    if (fleet->watches != NULL && follow_tables(fleet))
        fleet->threaded = pthread_create(&fleet->thread, NULL, wake_thread, fleet) == 0;
    if (!fleet->threaded) {
        fleet_free(fleet);
        return NULL;
    }
    return fleet;
}

void fleet_free(struct fleet *fleet)
{
    if (fleet == NULL)
        return;
    (void)pthread_mutex_lock(&fleet->lock);
    fleet->stopping = true;
    (void)pthread_cond_signal(&fleet->changed);
    (void)pthread_mutex_unlock(&fleet->lock);
    if (fleet->threaded)
        (void)pthread_join(fleet->thread, NULL);
    wait_list_free(fleet->watches);
    (void)pthread_cond_destroy(&fleet->changed);
    (void)pthread_mutex_destroy(&fleet->lock);
    free(fleet);
}
