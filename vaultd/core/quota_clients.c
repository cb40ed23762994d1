#include "vaultd/core/quota_clients.h"

#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#include "lib/failpoint.h"
#include "lib/random.h"

#define WAYS 8u /* places that a pair may stand in */
#define SETS (QUOTA_CLIENTS / WAYS)

#define MS_NS INT64_C(1000000)
#define S_NS  INT64_C(1000000000)

/* free_ns is when the whole budget is back; each admission moves it by what one costs. */
struct pair {
    uint64_t tag; /* 0: nobody's */
    int64_t free_ns, blocked_ns;
};
struct quota_clients {
    unsigned char key[crypto_shorthash_KEYBYTES]; /* nobody can choose whose place he takes */
    struct pair sets[SETS][WAYS];
};

struct quota_clients *quota_clients_new(void)
{
    struct quota_clients *clients = kt_calloc(1, sizeof *clients);
    if (clients == NULL)
        return NULL;
    kt_random(clients->key, sizeof clients->key);
    return clients;
}

void quota_clients_free(struct quota_clients *clients)
{
    free(clients);
}

static uint64_t tag_of(const struct quota_clients *clients, uint64_t id, const char *client)
{
    unsigned char text[sizeof id + 64] = {0}, out[crypto_shorthash_BYTES];
    size_t len = strnlen(client, 64);
    memcpy(text, &id, sizeof id);
    memcpy(text + sizeof id, client, len);
    (void)crypto_shorthash(out, text, sizeof id + len, clients->key);
    uint64_t tag = 0;
    memcpy(&tag, out, sizeof tag);
    return tag == 0 ? 1 : tag;
}

static int64_t later(int64_t a, int64_t b)
{
    return a > b ? a : b;
}

/* Its own place, else that of whom least is lost. */
static struct pair *place_of(struct pair set[WAYS], uint64_t tag)
{
    struct pair *least = &set[0];
    for (size_t i = 0; i < WAYS; i++) {
        if (set[i].tag == tag)
            return &set[i];
        if (later(set[i].free_ns, set[i].blocked_ns) < later(least->free_ns, least->blocked_ns))
            least = &set[i];
    }
    *least = (struct pair){.tag = tag};
    return least;
}

static unsigned whole_seconds(int64_t ns)
{
    return ns <= 0 ? 0 : (unsigned)((ns + S_NS - 1) / S_NS);
}

static bool take(struct pair *pair, const struct quota_limit *limit, int64_t now_ns, struct quota_use *ret)
{
    int64_t at_once = limit->rate < 1 ? 1 : (int64_t)limit->rate;
    int64_t cost_ns = (int64_t)((double)limit->interval_s * (double)S_NS / limit->rate);
    cost_ns = cost_ns < 1 ? 1 : cost_ns;
    int64_t from_ns = later(pair->free_ns, now_ns);
    int64_t wait_ns = from_ns - now_ns - (at_once - 1) * cost_ns;
    bool blocked = pair->blocked_ns > now_ns;
    bool admitted = wait_ns <= 0 && !blocked;
    if (admitted)
        pair->free_ns = from_ns + cost_ns;
    else if (!blocked && limit->block_s > 0)
        pair->blocked_ns = now_ns + limit->block_s * S_NS;
    int64_t used_ns = later(pair->free_ns - now_ns, 0);
    int64_t left = (at_once * cost_ns - used_ns) / cost_ns;
    bool shut = pair->blocked_ns > now_ns;
    *ret = (struct quota_use){
        .limit = (unsigned)at_once,
        .remaining = left > 0 && !shut ? (unsigned)left : 0,
        .reset_s = whole_seconds(later(used_ns, pair->blocked_ns - now_ns)),
        .wait_s = admitted ? 0 : whole_seconds(later(wait_ns, pair->blocked_ns - now_ns)),
    };
    return admitted;
}

bool quota_clients_admit(struct quota_clients *clients, const struct quota_limit *limit,
                         const char *client, int64_t now_ms, struct quota_use *ret)
{
    uint64_t tag = tag_of(clients, limit->id, client);
    return take(place_of(clients->sets[tag % SETS], tag), limit, now_ms * MS_NS, ret);
}
