#include "vaultd/engine/key_shares.h"

#include <sodium.h>

#include "lib/num.h"

#define SHARE_TEXT 128u  /* hexadecimal, base64, quotes and commas */
#define ANSWER_MAX 4096u /* beside shares */

static const char *wrong_with(int64_t shares, int64_t threshold)
{
    if (shares < 1)
        return "shares must be at least one";
    if (threshold < 1)
        return "threshold must be at least one";
    if (shares > SHAMIR_SHARES_MAX)
        return "shares must be at most 255";
    if (threshold > shares)
        return "threshold cannot be larger than shares";
    if (threshold == 1 && shares > 1)
        return "threshold must be greater than one for multiple shares";
    return NULL;
}

enum kt_kind shares_wish_read(struct request *req, const char *of, struct shares_wish *ret,
                              struct kt_err *err)
{
    int64_t shares = 0, threshold = 0;
    enum kt_kind kind = request_int(req, "secret_shares", &shares, err);
    if (kind == KT_OK || kind == KT_NOT_FOUND)
        kind = request_int(req, "secret_threshold", &threshold, err);
    if (kind != KT_OK && kind != KT_NOT_FOUND)
        return kind;
    const char *what = wrong_with(shares, threshold);
    if (what != NULL) {
        (void)kt_fail(err, KT_INVALID, "invalid %s: %s", of, what);
        kt_hint(err, "for instance {\"secret_shares\": 5, \"secret_threshold\": 3}");
        return KT_INVALID;
    }
    *ret = (struct shares_wish){(unsigned)shares, (unsigned)threshold};
    return KT_OK;
}

enum kt_kind shares_refuse_pgp(struct request *req, const char *const *fields, struct kt_err *err)
{
    struct kt_json value;
    for (; *fields != NULL; fields++)
        if (request_member(req, *fields, &value) == KT_OK &&
            (kt_json_count(value) > 0 || (value.len > 2 && value.at[0] == '"'))) {
            (void)kt_fail(err, KT_INVALID, "%s: encryption to PGP keys is not offered", *fields);
            kt_hint(err, "an OpenPGP library would be in the process that holds the keys; leave the field "
                         "out, and hand what is answered to its owners yourself");
            return KT_INVALID;
        }
    return KT_OK;
}

enum kt_kind share_read(struct request *req, unsigned char ret[SHAMIR_SHARE_BYTES],
                        struct kt_err *err)
{
    const char *key = NULL;
    enum kt_kind kind = request_string(req, "key", &key, err);
    if (kind != KT_OK)
        return kind;
    if (shamir_share_parse(kt_str(key), ret, NULL) == KT_OK)
        return KT_OK;
    (void)kt_fail(err, KT_INVALID, "'key' must be a valid hex or base64 string");
    kt_hint(err, "an unseal key is 66 hex or 44 base64 characters, as init printed it");
    return KT_INVALID;
}

bool shares_reserve(struct request *req, unsigned shares)
{
    return request_reserve(req, shares * (size_t)SHARE_TEXT + ANSWER_MAX);
}

unsigned char (*shares_room(struct request *req))[SHAMIR_SHARE_BYTES]
{
    return kt_arena_take(&req->arena, (size_t)SHAMIR_SHARES_MAX * SHAMIR_SHARE_BYTES);
}

static void write_list(struct kt_jsonw *w, const char *name, bool base64, unsigned shares,
                       unsigned char keys[][SHAMIR_SHARE_BYTES])
{
    char text[2 * SHAMIR_SHARE_BYTES + 1];
    kt_jsonw_key(w, name);
    kt_jsonw_array(w);
    for (unsigned i = 0; i < shares; i++) {
        if (base64)
            (void)sodium_bin2base64(text, sizeof text, keys[i], SHAMIR_SHARE_BYTES,
                                    sodium_base64_VARIANT_ORIGINAL);
        else
            kt_hex_encode(keys[i], SHAMIR_SHARE_BYTES, text);
        kt_jsonw_text(w, text);
    }
    kt_jsonw_end(w);
    sodium_memzero(text, sizeof text);
}

void shares_write(struct kt_jsonw *w, unsigned shares, unsigned char keys[][SHAMIR_SHARE_BYTES])
{
    write_list(w, "keys", false, shares, keys);
    write_list(w, "keys_base64", true, shares, keys);
}
