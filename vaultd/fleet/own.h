/* vaultd/fleet/own.h - what the fleet's files share; for vaultd/fleet/ only. */
#pragma once

#include <pthread.h>
#include <stdatomic.h>

#include "vaultd/fleet/consumer.h"
#include "vaultd/fleet/fleet.h"

#define FLEET_CHANGES 4096u  /* waiting to be told; more: everybody is woken */
#define FLEET_HOSTS   65536u /* whose last sign of life is remembered */

/* A change as a number: what a watch waits for is compared with it. */
typedef uint64_t fleet_print;

/* What any watch waits for, as a Bloom filter: a change that nobody waits for, which is nearly every
 * one, must not walk ten thousand watches. Says yes too often, never no. Any thread. */
#define AWAITED_WORDS 16384u
struct awaited {
    _Atomic uint64_t words[AWAITED_WORDS];
};
void awaited_add(struct awaited *awaited, fleet_print print);
bool awaited_has(const struct awaited *awaited, fleet_print print);
void awaited_clear(struct awaited *awaited);

struct fleet {
    struct core *core;
    struct wait_list *watches;
    struct awaited awaited;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    pthread_t thread;
    bool threaded, stopping;           /* stopping: guarded by lock, as are the next */
    fleet_print changes[FLEET_CHANGES], taken[FLEET_CHANGES]; /* taken: the thread's own */
    size_t n_changes;
    bool all_changed;
    unsigned char key[16];
    struct seen {
        uint64_t print;
        struct fleet_sign sign;
    } seen[FLEET_HOSTS];
};

/* A sign of life. */
void fleet_saw(struct request *req, const char *host);

/* Of the record of a secret's metadata or of a host, and of a token's. */
fleet_print fleet_print_of_key(struct kt_bytes key);
fleet_print fleet_print_of_secret(struct core *core, const struct mount *mount, const char *path);
fleet_print fleet_print_of_token(const unsigned char hash[32]);
/* What a waiting watch has in handler_data. */
struct watch {
    fleet_print *prints;
    size_t n, room;
    bool unsure; /* a mount is not there: nothing tells when it comes */
};

/* Routes. */
enum kt_kind consumer_write(struct request *req, struct kt_err *err);
enum kt_kind consumer_read(struct request *req, struct kt_err *err);
enum kt_kind consumer_delete(struct request *req, struct kt_err *err);
enum kt_kind consumer_list(struct request *req, struct kt_err *err);
enum kt_kind agent_list(struct request *req, struct kt_err *err);
enum kt_kind watch_read(struct request *req, struct kt_err *err);
