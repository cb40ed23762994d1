/* agent/reports.h - what the vault is told of a service, and what it has not heard.
 *
 * What:    A word says of one version of a secret how the service is with it. That it is well, not well or went back
 *          matters: where the vault did not hear it, it is said again until it does. A service that was not well is
 *          asked again, and so is one whose rotation may still go back.
 * Owner:   borrowed; struct reports is a part of struct service.
 * Threads: one. */
#pragma once

#include "agent/link.h"

struct service;

struct reports {
    /* The last word that the vault has not heard; NULL: it knows. */
    const char *unheard[CONFIG_SECRETS_MAX];
    enum kt_kind failure[CONFIG_SECRETS_MAX]; /* why; KT_OK: it was heard. Logged once */
    bool uneasy[CONFIG_SECRETS_MAX];       /* the last word about it was not "healthy" */
    char because[CONFIG_SECRETS_MAX][160]; /* the last word's reason; "" */
    bool rotating[CONFIG_SECRETS_MAX];     /* a rotation of it is under way, as far as is known */
};

/* Says it now; what was not heard is logged, for each reason once. detail, health and baseline may be NULL. */
enum kt_kind report_say(struct service *service, size_t i, uint64_t version, const char *state, const char *detail,
                        const struct health_result *health, const struct health_result *baseline);
/* Of the version that runs; it is said by report_again(), after what else was not heard. */
void report_later(struct service *service, size_t i, const char *state, const char *detail);

/* Registers as a consumer and, once its check passes, acknowledges what it started with. */
void report_started(struct service *service);
/* Tells the vault what it has not heard yet; asks again how a service is that was not well when it
 * was last reported, once the vault wants the version that it runs; and, while a rotation is under
 * way, whether the service is still well with the new version. Nothing while it is astray. False: call it again
 * soon. */
bool report_again(struct service *service, const struct wanted *wanted);
/* The last word: no consumer any more, or, when it failed while a rotation is under way, that it is
 * not well. One try. */
void report_gone(struct service *service);
