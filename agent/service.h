/* agent/service.h - one service and its secrets: move it to new ones, judge it, go back.
 *
 * What:    The procedure for a new version (fetch.h: whose turn it is): baseline health before anything is
 *          fetched or touched; put it in place (place.h); health after it; acknowledge (reports.h), or put
 *          the previous version back the same way and report. A candidate (candidates.h) comes the same
 *          way, beside the version that runs.
 * Owner:   service_init() .. service_free(), which wipes the values.
 * Threads: one. */
#pragma once

#include "agent/denied.h"
#include "agent/place.h"
#include "agent/reports.h"

struct service {
    const struct config *config;
    struct supervisor *s;
    struct link *link;
    struct values *values;                /* what the service runs with */
    uint64_t refused[CONFIG_SECRETS_MAX]; /* a version that was tried and did not do; 0: none */
    uint64_t refused_other[CONFIG_SECRETS_MAX]; /* so for a candidate, or there is no such version any more */
    struct denied denied[CONFIG_SECRETS_MAX];
    struct denied denied_other[CONFIG_SECRETS_MAX]; /* a candidate */
    bool later[CONFIG_SECRETS_MAX]; /* the store was put back, and has not heard of the version that runs */
    struct place place;
    struct reports reports;
    bool others_again; /* somebody wrote a new version since others did not do */
};

enum kt_kind service_init(struct service *service, const struct config *config,
                          struct supervisor *s, struct link *link,
                          struct kt_err *err) KT_MUST_CHECK;
void service_free(struct service *service);
/* Moves to the wanted versions, if any differs and was not refused before. False: it could not be
 * fetched, or the service was not well before, or something is left to come or to end, or could not be
 * put in place; call it again soon. */
bool service_move(struct service *service, const struct wanted *wanted);
