/* vaultd/auth/jwt_source.h - key sets that lie elsewhere: fetched by a worker, kept in memory for a while.
 *
 * What:    A set that was fetched is good for JWT_FRESH_MS. Then, or when a token names a key that it does not
 *          have, it is fetched anew, at most every JWT_PACE_MS a mount, whatever strangers send; who needs it waits
 *          meanwhile as a long poll does (request_wait() on jwt_sources_waiters()) and holds no thread. Where that
 *          fails what was fetched before holds for JWT_HOLD_MS in all, and no longer: a key that its issuer took
 *          back is believed for an hour at most.
 * Source:  an address of a set, or of an issuer, whose document (OpenID Connect Discovery 1.0) has to name this
 *          very issuer, and where its set is.
 * Limits:  JWT_SOURCES_MAX mounts. The settings are part of a source's name: other ones, another source.
 * Errors:  strangers hear that keys could not be fetched; why is in the log.
 * Owner:   the core. Two threads start with the first order; each may block as long as two documents take.
 * Threads: any thread. */
#pragma once

#include "lib/arena.h"
#include "lib/clock.h"
#include "lib/err.h"
#include "vaultd/barrier/barrier.h"
#include "vaultd/core/wait.h"

#define JWT_FRESH_MS    600000
#define JWT_HOLD_MS     3600000
#define JWT_PACE_MS     10000
#define JWT_WAIT_MS     30000
#define JWT_SOURCES_MAX 64u

/* Fetches one document over https, into body. Blocks. NULL: nobody can. */
typedef enum kt_kind jwt_fetch_fn(void *arg, const char *url, const char *ca, struct kt_buf *body,
                                  struct kt_err *err);

struct jwt_sources;
struct jwt_sources *jwt_sources_new(struct wait_clock *waits, const struct kt_clock *clock);
/* Every request that waited must be gone. NULL is fine. */
void jwt_sources_free(struct jwt_sources *sources);
/* Before the first request. */
void jwt_sources_set_fetch(struct jwt_sources *sources, jwt_fetch_fn *fetch, void *arg);

struct jwt_source {
    unsigned char scope[BARRIER_SCOPE]; /* of the mount */
    generation changed;                 /* of its settings */
    const char *accessor;               /* for the log */
    const char *url, *ca;
    bool discovers; /* the address is an issuer's */
};
enum jwt_source_state {
    JWT_SOURCE_KEYS,
    JWT_SOURCE_WAITS, /* it is being fetched */
    JWT_SOURCE_AWAY,  /* it could not be, and nothing is left from before */
    JWT_SOURCE_FULL   /* no room, no memory, or no thread */
};
/* anew: what is there is not enough; fetched again if it is time for that. The set is copied into the arena. */
enum jwt_source_state jwt_source_take(struct jwt_sources *sources, const struct jwt_source *source, bool anew,
                                      struct kt_arena *arena, struct kt_bytes *ret_set);
struct wait_list *jwt_sources_waiters(struct jwt_sources *sources);
