/* lib/driver/form.c - see lib/driver/form.h. */
#include "lib/driver/form.h"

#include <sodium.h>

#include "lib/mariadb_hash.h"
#include "lib/num.h"
#include "lib/scram.h"

#define SHA256_HEX ((size_t)2 * crypto_hash_sha256_BYTES)

static enum kt_kind make_scram(struct kt_bytes password, char ret[DRIVER_FORM_TEXT],
                               struct kt_err *err)
{
    return kt_scram_verifier(password, NULL, KT_SCRAM_ITERATIONS, ret, err);
}

static enum kt_kind make_sha256(struct kt_bytes password, char ret[DRIVER_FORM_TEXT],
                                struct kt_err *err)
{
    unsigned char hash[crypto_hash_sha256_BYTES];
    if (password.len == 0)
        return kt_fail(err, KT_INVALID, "a password has at least one character");
    (void)crypto_hash_sha256(hash, password.at, password.len);
    kt_hex_encode(hash, sizeof(hash), ret);
    sodium_memzero(hash, sizeof(hash));
    return KT_OK;
}

static bool is_sha256(struct kt_bytes text)
{
    for (size_t i = 0; i < text.len; i++) {
        if (!((text.at[i] >= '0' && text.at[i] <= '9') || (text.at[i] >= 'a' && text.at[i] <= 'f')))
            return false;
    }
    return text.len == SHA256_HEX;
}

static enum kt_kind make_mariadb(struct kt_bytes password, char ret[DRIVER_FORM_TEXT],
                                 struct kt_err *err)
{
    return kt_mariadb_public(password, ret, err);
}

static bool is_mariadb(struct kt_bytes text)
{
    struct kt_mariadb_hashes hashes;
    return kt_mariadb_split(text, &hashes);
}

static enum kt_kind make_none(struct kt_bytes password, char ret[DRIVER_FORM_TEXT],
                              struct kt_err *err)
{
    (void)password;
    (void)err;
    ret[0] = '\0';
    return KT_OK;
}

static bool is_none(struct kt_bytes text)
{
    return text.len == 0;
}

static const struct form {
    enum kt_kind (*make)(struct kt_bytes password, char ret[DRIVER_FORM_TEXT], struct kt_err *err);
    bool (*is)(struct kt_bytes text);
} forms[DRIVER_FORM_COUNT] = {
    [FORM_SCRAM] = {make_scram, kt_scram_is_verifier},
    [FORM_SHA256] = {make_sha256, is_sha256},
    [FORM_MARIADB] = {make_mariadb, is_mariadb},
    [FORM_NONE] = {make_none, is_none},
};

enum kt_kind kt_form_make(enum driver_form form, struct kt_bytes password,
                          char ret[DRIVER_FORM_TEXT], struct kt_err *err)
{
    return forms[form].make(password, ret, err);
}

bool kt_form_is(enum driver_form form, struct kt_bytes text)
{
    return forms[form].is(text);
}
