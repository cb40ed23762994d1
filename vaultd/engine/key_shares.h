/* vaultd/engine/key_shares.h - key shares in requests and in answers.
 *
 * Owner:   shares lie in the request's arena and reply, which wipe.
 * Errors:  KT_INVALID that names the field, never its value.
 * Threads: as their request. */
#pragma once

#include "vaultd/core/request.h"

struct shares_wish {
    unsigned shares, threshold;
};
/* "secret_shares" and "secret_threshold"; of: what is refused, "seal configuration". */
enum kt_kind shares_wish_read(struct request *req, const char *of, struct shares_wish *ret,
                              struct kt_err *err) KT_MUST_CHECK;
/* KT_INVALID, with the reason, if one of the fields asks for encryption to PGP keys; NULL ends them. */
enum kt_kind shares_refuse_pgp(struct request *req, const char *const *fields,
                               struct kt_err *err) KT_MUST_CHECK;
/* "key", one share. KT_NOT_FOUND without a text: there is none. */
enum kt_kind share_read(struct request *req, unsigned char ret[SHAMIR_SHARE_BYTES],
                        struct kt_err *err) KT_MUST_CHECK;
/* Room in the answer for so many, so that those that were made can be told. */
bool shares_reserve(struct request *req, unsigned shares);
/* Room for as many as there can be, from the arena; NULL: no memory. */
unsigned char (*shares_room(struct request *req))[SHAMIR_SHARE_BYTES];
/* Members "keys" and "keys_base64". */
void shares_write(struct kt_jsonw *w, unsigned shares, unsigned char keys[][SHAMIR_SHARE_BYTES]);
