/* vaultd/rotation/veto.h - consumers that keep a secret from being rotated, and those that are put aside.
 *
 * What:    A run goes back, or does not begin, because a consumer is not well with what it got or says
 *          nothing. Once is what going back is for; by the second time in a row somebody has to look. Until
 *          it is mended it can be put aside (quarantine.c): runs of this secret then neither wait for it nor
 *          believe it, and say so.
 * Stored:  TABLE_VETO below the secret's id, sealed; none for a consumer that is well. It is not a part of
 *          the consumer's own record, which its agent replaces and removes.
 * Owner:   texts live in the arena they were read into.
 * Threads: any thread with the barrier entered. */
#pragma once

#include "vaultd/rotation/names.h"
#include "vaultd/rotation/record.h"

#define VETO_ALARM 2u /* runs in a row */
#define VETO_WHY   1200u /* bytes */

struct veto {
    const char *secret, *host, *service;
    uint32_t times;              /* runs in a row that it kept from ending well */
    const char *why;             /* the last time; "" */
    int64_t at_ms;               /* the last time; 0: never */
    int64_t aside_ms;            /* put aside since; 0: it is waited for */
    const char *by, *reason;     /* who put it aside, why; "" */
    generation changed;          /* not stored */
};
extern const struct record_kind veto_kind;

/* Of one secret, or (NULL) of all: in key order. */
enum kt_kind vetoes_load(struct request *req, const unsigned char secret[RUN_ID], struct veto **ret,
                         size_t *ret_n, struct kt_err *err) KT_MUST_CHECK;
/* KT_NOT_FOUND, no text: none. */
enum kt_kind veto_load(struct request *req, const unsigned char secret[RUN_ID], const char *host,
                       const char *service, struct veto *ret, struct kt_err *err) KT_MUST_CHECK;
/* Into req's batch on condition that it is as loaded (changed 0: that there is none). One that says nothing
 * any more, neither times nor put aside, is removed. */
enum kt_kind veto_save(struct request *req, const unsigned char secret[RUN_ID], const struct veto *veto,
                       struct kt_err *err) KT_MUST_CHECK;
