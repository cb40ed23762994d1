/* vaultd/barrier/ceremony.h - what the holders of key shares do together while the vault serves.
 *
 * What:    Two ceremonies, each at most once at a time: a rekey, which splits a new unseal key that wraps
 *          the same root key, and a new root token, which is the caller's to make. Begun by somebody who
 *          may, named by a nonce; then shares of the current key come until there are enough of them and
 *          they open the seal record. What follows is claimed by one request, whose commit ends it.
 * Rekey:   one record is replaced in one commit, so that at each moment one set of shares is the
 *          vault's: before it the old one, after it the new one. With `verify` the new shares are handed
 *          out first (ceremony_hand_out()) and have to come back, enough of them, before that commit.
 * Memory:  shares and the one-time pad are in guarded memory, and are wiped at the end, by
 *          ceremony_cancel(), by sealing, and by time: shares CEREMONY_SHARES_MS after the newest of
 *          them, all of it CEREMONY_MS after it began (ceremonies_expire()). A new unseal key is not
 *          kept at all: what waits for its shares is the record that it sealed.
 * Errors:  KT_SEALED; KT_INVALID in Vault's words; KT_CONFLICT where somebody else is faster.
 * Threads: any thread. */
#pragma once

#include "vaultd/barrier/barrier.h"
#include "vaultd/barrier/gather.h"

#define CEREMONY_NONCE     37u /* a UUID's text */
#define CEREMONY_SHARES_MS ((int64_t)10 * 60 * 1000)
#define CEREMONY_MS        ((int64_t)24 * 3600 * 1000)

enum ceremony_kind { CEREMONY_REKEY, CEREMONY_ROOT, CEREMONY_KINDS };

struct ceremony_plan {
    unsigned shares, threshold; /* REKEY: of the new key */
    bool verify;                /* REKEY: the new shares have to be entered before they are valid */
    struct kt_bytes pad;        /* ROOT: what the token will be combined with */
};
struct ceremony_status {
    bool started;
    char nonce[CEREMONY_NONCE]; /* "": not started */
    unsigned required, progress; /* shares of the current key: wanted, there */
    struct ceremony_plan plan;   /* without the pad */
    bool verifying;              /* the new shares were handed out, and have to come back */
    char verify_nonce[CEREMONY_NONCE];
    unsigned verify_progress;
    char proposed_id[CEREMONY_NONCE]; /* REKEY: the new set's, as barrier_status() tells it; "": none yet */
};
void ceremony_status(struct barrier *barrier, enum ceremony_kind which, struct ceremony_status *ret);

/* Only looks: KT_INVALID when one is in progress. */
enum kt_kind ceremony_refuse_second(struct barrier *barrier, enum ceremony_kind which,
                                    struct kt_err *err) KT_MUST_CHECK;
/* KT_INVALID: one is in progress, or the plan is no good. */
enum kt_kind ceremony_begin(struct barrier *barrier, enum ceremony_kind which,
                            const struct ceremony_plan *plan, struct kt_err *err) KT_MUST_CHECK;
/* Wipes it, if there is one; nonce NULL: whichever. KT_INVALID: another one is in progress. */
enum kt_kind ceremony_cancel(struct barrier *barrier, enum ceremony_kind which, const char *nonce,
                             struct kt_err *err) KT_MUST_CHECK;
/* Only looks: what it would refuse; *ret_there: there is one to cancel. */
enum kt_kind ceremony_refuse_cancel(struct barrier *barrier, enum ceremony_kind which, const char *nonce,
                                    bool *ret_there, struct kt_err *err) KT_MUST_CHECK;
/* Forgets the new shares that came back so far; the others see by a new nonce that it began anew. */
enum kt_kind ceremony_verify_again(struct barrier *barrier, const char *nonce,
                                   struct kt_err *err) KT_MUST_CHECK;
/* Only looks: what it would refuse. */
enum kt_kind ceremony_refuse_verify_again(struct barrier *barrier, const char *nonce, struct kt_err *err) KT_MUST_CHECK;

struct ceremony_share {
    unsigned char bytes[SHAMIR_SHARE_BYTES]; /* its number is not 0 */
    const char *nonce;
    enum gather_from from;
    bool verifies; /* it is one of the new key, of the shares that were handed out */
};
/* Only looks: KT_INVALID when no such share is wanted now, or its nonce is another's. */
enum kt_kind ceremony_expects(struct barrier *barrier, enum ceremony_kind which,
                              const struct ceremony_share *share, struct kt_err *err) KT_MUST_CHECK;
/* One more share. *ret_enough: together they opened the seal record, or the one that is to replace it.
 * Wrong shares are told from right ones only when there are enough, in one sentence for all of them;
 * then strangers' shares go first. */
enum kt_kind ceremony_add(struct barrier *barrier, enum ceremony_kind which,
                          const struct ceremony_share *share, bool *ret_enough,
                          struct kt_err *err) KT_MUST_CHECK;
/* After enough shares, with `verify`: makes the new key and gives its shares, once. */
enum kt_kind ceremony_hand_out(struct barrier *barrier, const char *nonce,
                               unsigned char ret_shares[][SHAMIR_SHARE_BYTES],
                               struct kt_err *err) KT_MUST_CHECK;

/* The end: one request claims it with its nonce, or the verification's, and owes ceremony_done(). If it
 * did not commit, the ceremony is as it was before, its shares included, and can be claimed again. */
/* The new seal record into batch, on condition that the old one is still there. ret_shares (shares of
 * the plan; not written when the new ones were handed out): told only after the commit. */
enum kt_kind ceremony_claim_rekey(struct barrier *barrier, const char *nonce, struct batch *batch,
                                  unsigned char ret_shares[][SHAMIR_SHARE_BYTES],
                                  struct kt_err *err) KT_MUST_CHECK;
/* The pad into ret, as long as it was given. */
enum kt_kind ceremony_claim_root(struct barrier *barrier, const char *nonce, unsigned char *ret,
                                 size_t len, struct kt_err *err) KT_MUST_CHECK;
void ceremony_done(struct barrier *barrier, enum ceremony_kind which, const char *nonce,
                   bool committed);

/* Wipes what was left alone for too long. Now and then. */
void ceremonies_expire(struct barrier *barrier);
