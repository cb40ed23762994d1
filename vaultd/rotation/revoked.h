/* vaultd/rotation/revoked.h - which certificates an issuer no longer stands for, and who tells the world.
 *
 * What:    To revoke a version of a certificate puts its serial number under its issuer, in one commit, and
 *          has each list of that issuer (a secret whose generator is x509-crl or ssh-krl) made anew at once.
 *          Lists are found by a row of their own beside those. A list is made in one commit, too, which the
 *          one of a revocation makes fail and begin again: none is behind what was answered.
 * Rights:  to revoke takes "update" on rotation/revoke/SECRET, and that the issuer signed the certificate in the
 *          version. Either a rotation of this secret made that version (kv.h, issued), or its private_key is the
 *          certificate's own, which who has it proves by that: so nobody has somebody else's certificate revoked
 *          by writing it there. A request proves nothing: it shows a public key, which is no secret.
 * Kept:    a list has every certificate that was revoked and has not ended, or is not made. An X.509 list is signed
 *          with the key that signed them, so a revocation keeps that version of the issuer until they have ended
 *          (kv.h, needed_until_ms); of an SSH authority the row has the public key, which is all that a list needs.
 * Stored:  TABLE_REVOKED, scope is the issuer's secret id, sealed. A row goes when its certificate has ended
 *          and something else is revoked after that. To revoke again keeps when, and changes why.
 * Limits:  REVOKED_MOST certificates and REVOKED_LISTS lists an issuer at a time.
 * Threads: any thread with the barrier entered. */
#pragma once

#include "lib/ssh_key.h"
#include "lib/x509_make.h"
#include "vaultd/rotation/issue.h"

#define REVOKED_MOST  4000u
#define REVOKED_LISTS 8u
#define REVOKED_AUTHORITY (2u * KT_SSH_PUBLIC)

struct revoked {
    bool list;           /* no certificate: `name` is the secret that holds a list */
    bool ssh;            /* its serial is decimal, an X.509 certificate's hexadecimal */
    const char *name;    /* the certificate's secret */
    const char *serial;
    uint32_t version;    /* of that secret */
    uint32_t signer;     /* which version of the issuer signed it */
    const char *authority; /* SSH: that version's public key, hexadecimal; "" in rows of before it was kept */
    int64_t revoked_ms, until_ms;
    const char *by, *reason;
    bool listed;         /* not stored: the list that is being made has it */
};
extern const struct record_kind revoked_kind;

/* All rows of an issuer, in arena memory. KT_INVALID: the issuer is no path of a secret. */
enum kt_kind revoked_load(struct request *req, const char *issuer, struct revoked **ret, size_t *ret_n,
                          struct kt_err *err) KT_MUST_CHECK;
/* Is it a certificate of that kind, and has not ended? */
bool revoked_stands(const struct revoked *row, bool ssh, int64_t now_ms);
/* KT_INVALID: one that stands is not listed, and which version of the issuer is missing for that. */
enum kt_kind revoked_all_listed(struct request *req, const char *issuer, const struct revoked *rows, size_t n, bool ssh,
                                struct kt_err *err) KT_MUST_CHECK;
/* Into req's batch; one of the same serial number, or of the same list, is replaced. */
enum kt_kind revoked_put(struct request *req, const char *issuer, const struct revoked *row, struct kt_err *err)
    KT_MUST_CHECK;
enum kt_kind revoked_drop(struct request *req, const char *issuer, const struct revoked *row, struct kt_err *err)
    KT_MUST_CHECK;
/* Into req's batch: the row of a list follows what its secret's settings say now. */
enum kt_kind revoked_move_list(struct request *req, const struct rotation_settings *before,
                               const struct rotation_secret *secret, struct kt_err *err) KT_MUST_CHECK;
/* Is what it generates a list? */
bool revoked_is_list(const struct rotation_settings *settings);

/* Into req's batch: the list of that name is due now, if it is still one of this issuer (*ret). */
enum kt_kind revoked_stir(struct request *req, const char *issuer, const char *name, bool *ret,
                          struct kt_err *err) KT_MUST_CHECK;
/* Has a new version: the lists that name each of its versions have to name that one, too. An SSH authority's names
 * no version that nothing is revoked of. */
enum kt_kind revoked_stir_all(struct request *req, const struct rotation_secret *issuer, struct kt_err *err)
    KT_MUST_CHECK;

/* ---- revoke_read.c ---- */
/* A version's certificate, which the rotation that made it, or its own key, and a version of the issuer vouch for:
 * serial, until_ms, ssh, signer and authority of ret. KT_INVALID says what does not fit. */
enum kt_kind revoke_read(struct request *req, const struct rotation_secret *secret, const struct kv_version *version,
                         struct revoked *ret, struct kt_err *err) KT_MUST_CHECK;

/* Routes. */
enum kt_kind revoke_write(struct request *req, struct kt_err *err);
enum kt_kind issuer_read(struct request *req, struct kt_err *err);
