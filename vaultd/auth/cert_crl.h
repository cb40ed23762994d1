/* vaultd/auth/cert_crl.h - auth/cert/crls/NAME: which certificates their authorities have revoked.
 *
 * What:    Lists are written by whoever may, and asked at each login and renewal, of every certificate from
 *          the client's to the anchor. A list concerns what has its issuer's name. Where the issuer's key is
 *          known the list has to be signed with it: one that was forged on its way to here lets nobody
 *          in who was revoked. None of an issuer's lists signed, or one out of date: nobody is let in.
 * Format:  named.h's ‖ 32 bytes hash of the issuer's name ‖ field DER. At most NAMED_RECORD_MAX bytes.
 * Threads: any thread, inside of a request's pass. */
#pragma once

#include "vaultd/auth/named.h"
#include "vaultd/auth/x509.h"

/* KT_DENIED: one is revoked. KT_INVALID: no list that can be believed, with what an operator has to do.
 * *ret_aside as of named_each(). */
enum kt_kind cert_crl_check(struct request *req, const unsigned char scope[BARRIER_SCOPE],
                            const struct x509_path *path, bool *ret_aside, struct kt_err *err) KT_MUST_CHECK;

handler_fn cert_crl_list, cert_crl_read, cert_crl_write, cert_crl_delete;
