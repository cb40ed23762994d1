/* lib/driver/form.c - see lib/driver/form.h. */
#include "lib/driver/form.h"

#include <sodium.h>

#include "lib/mariadb_hash.h"
#include "lib/num.h"
#include "lib/random.h"
#include "lib/scram.h"
#include "lib/ssh_key.h"

#define SHA256_HEX    ((size_t)2 * crypto_hash_sha256_BYTES)
#define SSHA512       "{SSHA512}"
#define SSHA512_SALT  ((size_t)16)
#define SSHA512_BYTES (crypto_hash_sha512_BYTES + SSHA512_SALT)

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

static void add_base64(const unsigned char *bytes, size_t len, char *ret, size_t size)
{
    (void)sodium_bin2base64(ret, size, bytes, len, sodium_base64_VARIANT_ORIGINAL);
}

/* The hash of the password and the salt behind it, then the salt. */
static enum kt_kind make_ssha512(struct kt_bytes password, char ret[DRIVER_FORM_TEXT],
                                 struct kt_err *err)
{
    unsigned char bytes[SSHA512_BYTES], *salt = bytes + crypto_hash_sha512_BYTES;
    crypto_hash_sha512_state state;
    if (password.len == 0)
        return kt_fail(err, KT_INVALID, "a password has at least one character");
    kt_random(salt, SSHA512_SALT);
    (void)crypto_hash_sha512_init(&state);
    (void)crypto_hash_sha512_update(&state, password.at, password.len);
    (void)crypto_hash_sha512_update(&state, salt, SSHA512_SALT);
    (void)crypto_hash_sha512_final(&state, bytes);
    memcpy(ret, SSHA512, sizeof(SSHA512));
    add_base64(bytes, sizeof(bytes), ret + sizeof(SSHA512) - 1, DRIVER_FORM_TEXT - sizeof(SSHA512));
    sodium_memzero(&state, sizeof(state));
    sodium_memzero(bytes, sizeof(bytes));
    return KT_OK;
}

/* A server takes anything behind the scheme's name, and then lets nobody in. */
static bool is_ssha512(struct kt_bytes text)
{
    unsigned char bytes[SSHA512_BYTES];
    char again[DRIVER_FORM_TEXT];
    size_t name = sizeof(SSHA512) - 1, len = 0;
    if (!kt_bytes_starts(text, SSHA512) || text.len >= sizeof(again) ||
        sodium_base642bin(bytes, sizeof(bytes), (const char *)text.at + name, text.len - name, NULL, &len,
                          NULL, sodium_base64_VARIANT_ORIGINAL) != 0 ||
        len != sizeof(bytes))
        return false;
    add_base64(bytes, sizeof(bytes), again, sizeof(again));
    return kt_bytes_is(kt_bytes(text.at + name, text.len - name), again);
}

static enum kt_kind write_ssh(struct kt_bytes public_key, char ret[DRIVER_FORM_TEXT], struct kt_err *err)
{
    kt_autobuf struct kt_buf text;
    kt_buf_init(&text, DRIVER_FORM_TEXT - 1);
    enum kt_kind kind = kt_ssh_public_write(public_key, "", &text, err);
    if (kind == KT_OK)
        memcpy(ret, kt_buf_text(&text), text.len + 1);
    return kind;
}

static enum kt_kind make_ssh(struct kt_bytes password, char ret[DRIVER_FORM_TEXT],
                             struct kt_err *err)
{
    kt_autosecret struct kt_secret *key = NULL;
    enum kt_kind kind = kt_ssh_private_read(password, &key, err);
    return kind == KT_OK ? write_ssh(kt_ssh_public_of(key), ret, err) : kind;
}

/* Other spellings of the same key would not be found again in a file. */
static bool is_ssh(struct kt_bytes text)
{
    unsigned char key[KT_SSH_PUBLIC];
    char again[DRIVER_FORM_TEXT];
    return kt_ssh_public_read(text, key, NULL) == KT_OK &&
           write_ssh(kt_bytes(key, sizeof(key)), again, NULL) == KT_OK && kt_bytes_is(text, again);
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
    [FORM_SSHA512] = {make_ssha512, is_ssha512},
    [FORM_SSH] = {make_ssh, is_ssh},
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
