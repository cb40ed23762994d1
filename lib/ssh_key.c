#include "lib/ssh_key.h"

#include <sodium.h>

#include "lib/random.h"
#include "lib/ssh_wire.h"

#define MAGIC   "openssh-key-v1" /* with its NUL */
#define BEGIN   "-----BEGIN OPENSSH PRIVATE KEY-----"
#define END     "-----END OPENSSH PRIVATE KEY-----"
#define COLUMNS 70u
#define BLOCK   8u /* what is not encrypted is padded to */
#define SPACES  " \t\r\n"

_Static_assert(KT_SSH_KEY == crypto_sign_SECRETKEYBYTES, "the key is libsodium's");
_Static_assert(KT_SSH_PUBLIC == crypto_sign_PUBLICKEYBYTES, "so is its public half");

enum kt_kind kt_ssh_key_new(struct kt_secret **ret, struct kt_err *err)
{
    unsigned char public_key[KT_SSH_PUBLIC];
    kt_autosecret struct kt_secret *seed = kt_secret_new(crypto_sign_SEEDBYTES);
    kt_autosecret struct kt_secret *key = kt_secret_new(KT_SSH_KEY);
    if (seed == NULL || key == NULL)
        return kt_secret_failed(err, "making an SSH key");
    kt_random(seed->at, seed->len);
    (void)crypto_sign_seed_keypair(public_key, key->at, seed->at);
    *ret = key;
    key = NULL;
    return KT_OK;
}

static enum kt_kind check_comment(const char *comment, struct kt_err *err)
{
    size_t len = strlen(comment);
    if (len > KT_SSH_COMMENT_MAX)
        return kt_fail(err, KT_INVALID, "a key's comment is longer than %u bytes", KT_SSH_COMMENT_MAX);
    for (size_t i = 0; i < len; i++)
        if ((unsigned char)comment[i] < 0x20 || comment[i] == 0x7f)
            return kt_fail(err, KT_INVALID, "a key's comment has a control character");
    return KT_OK;
}

static enum kt_kind written(const struct kt_buf *out, struct kt_err *err)
{
    return kt_buf_ok(out) ? KT_OK : kt_fail(err, KT_NO_MEMORY, "writing an SSH key");
}

/* ---- the public half ---- */

void kt_ssh_public_blob(struct kt_bytes public_key, struct kt_buf *out)
{
    kt_ssh_put_text(out, KT_SSH_ED25519);
    kt_ssh_put(out, public_key);
}

static void add_base64(struct kt_buf *out, struct kt_bytes bytes)
{
    size_t size = sodium_base64_encoded_len(bytes.len, sodium_base64_VARIANT_ORIGINAL);
    unsigned char *to = kt_buf_grow(out, size); /* with a NUL, which is cut off again */
    if (to == NULL)
        return;
    (void)sodium_bin2base64((char *)to, size, bytes.at, bytes.len, sodium_base64_VARIANT_ORIGINAL);
    out->len--;
}

enum kt_kind kt_ssh_line_write(const char *kind, struct kt_bytes blob, const char *comment, struct kt_buf *out,
                               struct kt_err *err)
{
    enum kt_kind checked = check_comment(comment, err);
    if (checked != KT_OK)
        return checked;
    kt_buf_printf(out, "%s ", kind);
    add_base64(out, blob);
    if (comment[0] != '\0')
        kt_buf_printf(out, " %s", comment);
    return written(out, err);
}

enum kt_kind kt_ssh_public_write(struct kt_bytes public_key, const char *comment, struct kt_buf *out,
                                 struct kt_err *err)
{
    kt_autobuf struct kt_buf blob;
    kt_buf_init(&blob, KT_SSH_TEXT_MAX);
    kt_ssh_public_blob(public_key, &blob);
    if (!kt_buf_ok(&blob))
        return written(&blob, err);
    return kt_ssh_line_write(KT_SSH_ED25519, kt_buf_bytes(&blob), comment, out, err);
}

static bool is_space(unsigned char c)
{
    return c != '\0' && strchr(SPACES, c) != NULL;
}

static struct kt_bytes next_word(struct kt_bytes *text)
{
    while (text->len > 0 && is_space(text->at[0]))
        *text = kt_bytes(text->at + 1, text->len - 1);
    size_t len = 0;
    while (len < text->len && !is_space(text->at[len]))
        len++;
    struct kt_bytes word = kt_bytes(text->at, len);
    *text = kt_bytes(text->at + len, text->len - len);
    return word;
}

/* Base64 with line breaks; false: it is none, or memory ran out (out->failed). */
static bool read_base64(struct kt_bytes text, struct kt_buf *out)
{
    size_t room = text.len / 4 * 3 + 3, len = 0;
    unsigned char *to = kt_buf_grow(out, room);
    if (to == NULL || sodium_base642bin(to, room, (const char *)text.at, text.len, SPACES, &len, NULL,
                                        sodium_base64_VARIANT_ORIGINAL) != 0)
        return false;
    out->len -= room - len;
    return true;
}

static bool take_public(struct kt_bytes blob, struct kt_bytes *ret)
{
    struct kt_reader r = kt_reader(blob);
    bool right = kt_bytes_is(kt_ssh_get(&r), KT_SSH_ED25519);
    *ret = kt_ssh_get(&r);
    return kt_reader_done(&r) && right && ret->len == KT_SSH_PUBLIC;
}

enum kt_kind kt_ssh_line_read(const char *kind, struct kt_bytes text, struct kt_buf *blob, struct kt_err *err)
{
    if (!kt_bytes_is(next_word(&text), kind))
        return kt_fail(err, KT_INVALID, "this is no line \"%s ...\"", kind);
    bool decoded = read_base64(next_word(&text), blob);
    if (blob->failed && !blob->full)
        return kt_fail(err, KT_NO_MEMORY, "reading an SSH public key");
    return decoded ? KT_OK : kt_fail(err, KT_INVALID, "the SSH public key is damaged");
}

enum kt_kind kt_ssh_public_read(struct kt_bytes text, unsigned char ret[KT_SSH_PUBLIC],
                                struct kt_err *err)
{
    struct kt_bytes key;
    kt_autobuf struct kt_buf blob;
    kt_buf_init(&blob, KT_SSH_TEXT_MAX);
    if (text.len > KT_SSH_TEXT_MAX)
        return kt_fail(err, KT_INVALID, "an SSH public key is longer than %u bytes", KT_SSH_TEXT_MAX);
    enum kt_kind kind = kt_ssh_line_read(KT_SSH_ED25519, text, &blob, err);
    if (kind != KT_OK)
        return kind;
    if (!take_public(kt_buf_bytes(&blob), &key))
        return kt_fail(err, KT_INVALID, "the SSH public key is damaged");
    memcpy(ret, key.at, KT_SSH_PUBLIC);
    return KT_OK;
}

enum kt_kind kt_ssh_print(struct kt_bytes public_key, char ret[KT_SSH_PRINT_TEXT], struct kt_err *err)
{
    static const char front[] = "SHA256:";
    unsigned char hash[crypto_hash_sha256_BYTES];
    kt_autobuf struct kt_buf blob;
    kt_buf_init(&blob, KT_SSH_TEXT_MAX);
    kt_ssh_public_blob(public_key, &blob);
    if (!kt_buf_ok(&blob))
        return written(&blob, err);
    crypto_hash_sha256(hash, blob.at, blob.len);
    memcpy(ret, front, sizeof front - 1);
    (void)sodium_bin2base64(ret + sizeof front - 1, KT_SSH_PRINT_TEXT - (sizeof front - 1), hash,
                            sizeof hash, sodium_base64_VARIANT_ORIGINAL_NO_PADDING);
    return KT_OK;
}

/* ---- the private half ---- */

static void put_private(const struct kt_secret *key, const char *comment, struct kt_buf *out)
{
    uint32_t check = 0;
    kt_random(&check, sizeof check);
    kt_ssh_put_u32(out, check); /* twice the same: so a wrong passphrase would be noticed */
    kt_ssh_put_u32(out, check);
    kt_ssh_public_blob(kt_ssh_public_of(key), out);
    kt_ssh_put(out, kt_secret_bytes(key));
    kt_ssh_put_text(out, comment);
    for (unsigned char pad = 1; kt_buf_ok(out) && out->len % BLOCK != 0; pad++)
        kt_buf_add_u8(out, pad);
}

static void put_armor(struct kt_bytes all, struct kt_buf *out)
{
    kt_autobuf struct kt_buf base64;
    kt_buf_init(&base64, KT_SSH_TEXT_MAX);
    add_base64(&base64, all);
    if (!kt_buf_ok(&base64))
        out->failed = true;
    kt_buf_add_text(out, BEGIN "\n");
    for (size_t at = 0; at < base64.len; at += COLUMNS) {
        kt_buf_add(out, base64.at + at, base64.len - at < COLUMNS ? base64.len - at : COLUMNS);
        kt_buf_add_char(out, '\n');
    }
    kt_buf_add_text(out, END "\n");
}

enum kt_kind kt_ssh_private_write(const struct kt_secret *key, const char *comment, struct kt_buf *out,
                                  struct kt_err *err)
{
    enum kt_kind kind = check_comment(comment, err);
    if (kind != KT_OK)
        return kind;
    kt_autobuf struct kt_buf all, public_blob, private_part;
    kt_buf_init(&all, KT_SSH_TEXT_MAX);
    kt_buf_init(&public_blob, KT_SSH_TEXT_MAX);
    kt_buf_init(&private_part, KT_SSH_TEXT_MAX);
    kt_ssh_public_blob(kt_ssh_public_of(key), &public_blob);
    put_private(key, comment, &private_part);
    kt_buf_add(&all, MAGIC, sizeof MAGIC);
    kt_ssh_put_text(&all, "none"); /* the cipher */
    kt_ssh_put_text(&all, "none"); /* what makes its key, and of what */
    kt_ssh_put_text(&all, "");
    kt_ssh_put_u32(&all, 1); /* keys */
    kt_ssh_put(&all, kt_buf_bytes(&public_blob));
    kt_ssh_put(&all, kt_buf_bytes(&private_part));
    if (!kt_buf_ok(&public_blob) || !kt_buf_ok(&private_part) || !kt_buf_ok(&all))
        return kt_fail(err, KT_NO_MEMORY, "writing an SSH key");
    put_armor(kt_buf_bytes(&all), out);
    return written(out, err);
}

/* What is between the two lines. */
static bool take_armor(struct kt_bytes text, struct kt_bytes *ret)
{
    while (text.len > 0 && is_space(text.at[text.len - 1]))
        text.len--;
    while (text.len > 0 && is_space(text.at[0]))
        text = kt_bytes(text.at + 1, text.len - 1);
    size_t begin = sizeof BEGIN - 1, end = sizeof END - 1;
    if (text.len < begin + end || memcmp(text.at, BEGIN, begin) != 0 ||
        memcmp(text.at + text.len - end, END, end) != 0)
        return false;
    *ret = kt_bytes(text.at + begin, text.len - begin - end);
    return true;
}

static bool is_padding(struct kt_reader *r)
{
    bool right = r->left < BLOCK;
    for (unsigned char pad = 1; r->left > 0; pad++)
        right = kt_read_u8(r) == pad && right;
    return right;
}

/* The 64 bytes in an unencrypted section whose public half is the one that stands in front of it. */
static bool take_private(struct kt_bytes section, struct kt_bytes public_key, struct kt_bytes *ret)
{
    struct kt_reader r = kt_reader(section);
    bool right = section.len % BLOCK == 0;
    uint32_t check = kt_ssh_get_u32(&r);
    right = kt_ssh_get_u32(&r) == check && right;
    right = kt_bytes_is(kt_ssh_get(&r), KT_SSH_ED25519) && right;
    right = kt_bytes_equal(kt_ssh_get(&r), public_key) && right;
    *ret = kt_ssh_get(&r);
    (void)kt_ssh_get(&r); /* the comment */
    return !r.failed && right && is_padding(&r) && ret->len == KT_SSH_KEY;
}

/* The public half is made of the seed anew: what signs with another one gives its seed away. */
static enum kt_kind make_key(struct kt_bytes pair, struct kt_secret **ret, struct kt_err *err)
{
    unsigned char public_key[KT_SSH_PUBLIC];
    kt_autosecret struct kt_secret *key = kt_secret_new(KT_SSH_KEY);
    if (key == NULL)
        return kt_secret_failed(err, "reading an SSH key");
    (void)crypto_sign_seed_keypair(public_key, key->at, pair.at);
    if (!kt_secret_equal(kt_secret_bytes(key), pair))
        return kt_fail(err, KT_INVALID, "the two halves of the SSH key do not belong together");
    *ret = key;
    key = NULL;
    return KT_OK;
}

enum kt_kind kt_ssh_private_read(struct kt_bytes text, struct kt_secret **ret, struct kt_err *err)
{
    struct kt_bytes body, pair, public_key;
    kt_autobuf struct kt_buf all;
    kt_buf_init(&all, KT_SSH_TEXT_MAX);
    if (text.len > KT_SSH_TEXT_MAX)
        return kt_fail(err, KT_INVALID, "an SSH key is longer than %u bytes", KT_SSH_TEXT_MAX);
    if (!take_armor(text, &body))
        return kt_fail(err, KT_INVALID, "this is no \"OPENSSH PRIVATE KEY\"");
    bool decoded = read_base64(body, &all);
    if (all.failed && !all.full)
        return kt_fail(err, KT_NO_MEMORY, "reading an SSH key");
    struct kt_reader r = kt_reader(decoded ? kt_buf_bytes(&all) : kt_bytes(NULL, 0));
    if (!kt_bytes_equal(kt_read_bytes(&r, sizeof MAGIC), kt_bytes(MAGIC, sizeof MAGIC)))
        return kt_fail(err, KT_INVALID, "the SSH key is damaged");
    bool plain = kt_bytes_is(kt_ssh_get(&r), "none");
    plain = kt_bytes_is(kt_ssh_get(&r), "none") && plain;
    plain = kt_ssh_get(&r).len == 0 && plain;
    if (r.failed || !plain) {
        (void)kt_fail(err, KT_INVALID, "the SSH key has a passphrase, or is damaged");
        kt_hint(err, "ssh-keygen -p -N '' -f FILE takes a passphrase off");
        return KT_INVALID;
    }
    bool right = kt_ssh_get_u32(&r) == 1;
    right = take_public(kt_ssh_get(&r), &public_key) && right;
    right = take_private(kt_ssh_get(&r), public_key, &pair) && right;
    if (!right || !kt_reader_done(&r))
        return kt_fail(err, KT_INVALID, "the SSH key is damaged, or no Ed25519 key");
    return make_key(pair, ret, err);
}
