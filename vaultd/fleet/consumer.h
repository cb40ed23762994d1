/* vaultd/fleet/consumer.h - a service on a host that uses a secret, and what it said last.
 *
 * Stored:  TABLE_CONSUMER below the secret's id, sealed; with each change the secret's head record
 *          is put, so that "no consumer changed since" can be a batch's condition. Per host one
 *          record lists its secrets.
 * Threads: any thread with the barrier entered. */
#pragma once

#include "vaultd/rotation/names.h"
#include "vaultd/rotation/record.h"

#define CONSUMERS_MAX    4096u /* of one secret; one more is refused */
#define HOST_SECRETS_MAX 4096u
#define HOST_MAX         253u
#define SERVICE_MAX      128u
#define CONSUMER_TWO     2u /* candidates, at most */

#define CONSUMER_STATES(X)                                                                         \
    X(CONSUMER_REGISTERED, "registered")                                                           \
    X(CONSUMER_APPLYING, "applying")                                                               \
    X(CONSUMER_HEALTHY, "healthy")                                                                 \
    X(CONSUMER_UNHEALTHY, "unhealthy")                                                             \
    X(CONSUMER_ROLLED_BACK, "rolled_back")                                                         \
    X(CONSUMER_GONE, "gone")
#define X(name, text) name,
enum consumer_state { CONSUMER_STATES(X) CONSUMER_STATE_COUNT };
#undef X
const char *consumer_state_text(enum consumer_state state);
bool consumer_state_parse(const char *text, enum consumer_state *ret);

struct veto;
struct consumer {
    const char *host, *service;
    const char *identity; /* whose word it is */
    const char *instance, *evidence, *detail;
    uint32_t version;
    enum consumer_state state;
    int64_t at_ms;    /* of its last word, for people */
    int64_t heard_ms; /* the same by the steady clock of runs (engine.h), to measure with */
    /* Which version did not do, and when (steady): kept while it goes back from it, well or not. */
    uint32_t failed_version;
    int64_t failed_ms;
    int64_t samples, p95_ms, baseline_p95_ms;
    /* Of a service that tries another credential when one is refused (CONSUMER_TWO): the version that it has
     * besides the one it runs, 0: none, and since when (steady). */
    uint32_t candidates, holds;
    int64_t holds_ms;
    int64_t lacks_ms; /* since when it has not both, or is not well with them (steady); kept while it is */
    generation changed;      /* not stored, as is the next */
    const struct veto *veto; /* that it keeps runs from ending; NULL: it does not */
};
extern const struct record_kind consumer_kind;

/* All of a secret, or of one host (NULL: all), in key order, those that are put aside behind the others.
 * Never only a part: nothing may be revoked while one is overlooked. */
enum kt_kind consumers_load(struct request *req, const unsigned char secret[RUN_ID],
                            const char *host, struct consumer **ret, size_t *ret_n,
                            struct kt_err *err) KT_MUST_CHECK;
/* Of what consumers_load() gave: how many are not put aside. */
size_t consumers_counted(const struct consumer *consumers, size_t n);
/* Whether `fits` is so of each of the secret's consumers that is not put aside; the first of which it is not ends it.
 * One is looked at at a time, and nothing of it stays: so it takes no more memory for thousands than for one. */
typedef bool consumer_fits(const void *arg, const struct consumer *consumer);
enum kt_kind consumers_fit(struct request *req, const unsigned char secret[RUN_ID], consumer_fits *fits,
                           const void *arg, bool *ret, struct kt_err *err) KT_MUST_CHECK;
/* How many the secret has; no record is opened for it. */
enum kt_kind consumers_count(struct request *req, const unsigned char secret[RUN_ID], size_t *ret,
                             struct kt_err *err) KT_MUST_CHECK;
/* KT_NOT_FOUND, no text: none. */
enum kt_kind consumer_load(struct request *req, const unsigned char secret[RUN_ID],
                           const char *host, const char *service, struct consumer *ret,
                           struct kt_err *err) KT_MUST_CHECK;
/* Into req's batch on condition that it is as loaded; CONSUMER_GONE removes it. */
enum kt_kind consumer_save(struct request *req, const unsigned char secret[RUN_ID],
                           const struct consumer *consumer, struct kt_err *err) KT_MUST_CHECK;
/* Condition on the batch: no consumer of the secret changed since req's snapshot. */
void consumers_require(struct request *req, const unsigned char secret[RUN_ID],
                       struct batch *batch);

/* In req's batch: that condition no longer holds, whoever waits for consumers looks again. */
void consumers_touch(struct request *req, const unsigned char secret[RUN_ID], struct batch *batch);

struct host {
    const char *name;
    int64_t at_ms;              /* when it last changed */
    struct record_list secrets; /* logical names */
    generation changed;         /* not stored */
};
extern const struct record_kind host_kind;
enum kt_kind host_load(struct request *req, const char *name, struct host *ret,
                       struct kt_err *err) KT_MUST_CHECK;
enum kt_kind host_save(struct request *req, const struct host *host, struct kt_err *err)
    KT_MUST_CHECK;
/* A host with a secret whose name begins with the prefix, or is it if no '/' ends it; NULL: none. Through
 * request_aside() if it takes long. */
enum kt_kind host_find_below(struct request *req, const char *prefix, const char **ret_host,
                             struct kt_err *err) KT_MUST_CHECK;
enum kt_kind hosts_load(struct request *req, struct host **ret, size_t *ret_n,
                        struct kt_err *err) KT_MUST_CHECK;
