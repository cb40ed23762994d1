#include "lib/ssh_cert.h"

#include <sodium.h>

#include "lib/random.h"
#include "lib/ssh_wire.h"

#define NONCE         32u
#define TYPE_USER     1u
#define TYPE_HOST     2u
#define BETWEEN       ", \t"
#define PRINCIPAL_MAX 255u
#define KEY_ID_MAX    1024u
#define UNTIL_MOST    (INT64_MAX / 1000) /* "forever" is later */

/* In the order in which they stand in a certificate. */
static const struct option {
    const char *name;
    bool critical; /* it has a value, and who does not know it refuses the certificate */
} options_known[] = {
    {"force-command", true},           {"source-address", true},          {"permit-X11-forwarding", false},
    {"permit-agent-forwarding", false}, {"permit-port-forwarding", false}, {"permit-pty", false},
    {"permit-user-rc", false},
};
#define OPTIONS (sizeof options_known / sizeof options_known[0])

struct parts {
    struct kt_bytes values[OPTIONS]; /* at NULL: not asked for */
};

/* ---- what is given ---- */

static bool is_printable(struct kt_bytes word)
{
    for (size_t i = 0; i < word.len; i++)
        if (word.at[i] < 0x20 || word.at[i] > 0x7e)
            return false;
    return true;
}

static struct kt_bytes next_principal(const char **text)
{
    *text += strspn(*text, BETWEEN);
    size_t len = strcspn(*text, BETWEEN);
    struct kt_bytes word = kt_bytes(*text, len);
    *text += len;
    return word;
}

static enum kt_kind check_principals(const char *text, struct kt_err *err)
{
    unsigned n = 0;
    for (struct kt_bytes word = next_principal(&text); word.len > 0; word = next_principal(&text)) {
        if (++n > KT_SSH_PRINCIPALS_MAX)
            return kt_fail(err, KT_INVALID, "more than %u principals", KT_SSH_PRINCIPALS_MAX);
        if (word.len > PRINCIPAL_MAX || !is_printable(word))
            return kt_fail(err, KT_INVALID, "principal number %u is too long or has odd characters", n);
        if (memchr(word.at, '*', word.len) != NULL || memchr(word.at, '?', word.len) != NULL ||
            word.at[0] == '!')
            return kt_fail(err, KT_INVALID, "principal number %u is a pattern: it would be many names", n);
    }
    return n > 0 ? KT_OK
                 : kt_fail(err, KT_INVALID, "a certificate without principals would be good for everybody");
}

static bool take_option(struct kt_bytes word, struct parts *parts)
{
    const unsigned char *equals = memchr(word.at, '=', word.len);
    size_t len = equals == NULL ? word.len : (size_t)(equals - word.at);
    for (size_t i = 0; i < OPTIONS; i++) {
        if (!kt_bytes_is(kt_bytes(word.at, len), options_known[i].name))
            continue;
        bool valued = equals != NULL && len + 1 < word.len;
        if (valued != options_known[i].critical || (!valued && equals != NULL) || parts->values[i].at != NULL)
            return false;
        parts->values[i] = valued ? kt_bytes(equals + 1, word.len - len - 1) : kt_bytes("", 0);
        return true;
    }
    return false;
}

static enum kt_kind take_options(const char *text, bool host, struct parts *parts, struct kt_err *err)
{
    unsigned n = 0;
    for (text += strspn(text, "; "); *text != '\0'; text += strspn(text, "; ")) {
        struct kt_bytes word = kt_bytes(text, strcspn(text, ";"));
        text += word.len;
        n++;
        if (host || !is_printable(word) || !take_option(word, parts)) {
            (void)kt_fail(err, KT_INVALID, host ? "a host's certificate has no options"
                                                : "option number %u is none, is there twice, or lacks its value", n);
            kt_hint(err, "between ';': force-command=COMMAND, source-address=10.0.0.0/8, permit-pty, "
                         "permit-port-forwarding, permit-agent-forwarding, permit-user-rc, permit-X11-forwarding");
            return KT_INVALID;
        }
    }
    return KT_OK;
}

enum kt_kind kt_ssh_cert_check(bool host, const char *principals, const char *options, struct kt_err *err)
{
    struct parts parts = {0};
    enum kt_kind kind = check_principals(principals, err);
    return kind == KT_OK ? take_options(options, host, &parts, err) : kind;
}

/* ---- writing ---- */

/* A string that is put together out of others; inner is emptied. */
static void put_inner(struct kt_buf *out, struct kt_buf *inner)
{
    if (!kt_buf_ok(inner))
        out->failed = true;
    kt_ssh_put(out, kt_buf_bytes(inner));
    kt_buf_reset(inner);
}

static void put_principals(struct kt_buf *out, struct kt_buf *inner, const char *text)
{
    for (struct kt_bytes word = next_principal(&text); word.len > 0; word = next_principal(&text))
        kt_ssh_put(inner, word);
    put_inner(out, inner);
}

static void put_options(struct kt_buf *out, struct kt_buf *inner, const struct parts *parts, bool critical)
{
    for (size_t i = 0; i < OPTIONS; i++) {
        if (options_known[i].critical != critical || parts->values[i].at == NULL)
            continue;
        kt_ssh_put_text(inner, options_known[i].name);
        if (critical) { /* the value is a string inside of one */
            kt_ssh_put_u32(inner, (uint32_t)parts->values[i].len + 4);
            kt_ssh_put(inner, parts->values[i]);
        } else {
            kt_ssh_put_text(inner, "");
        }
    }
    put_inner(out, inner);
}

static void put_body(const struct kt_ssh_cert *cert, const struct parts *parts, const struct kt_secret *by,
                     struct kt_buf *out)
{
    unsigned char nonce[NONCE];
    kt_autobuf struct kt_buf inner;
    kt_buf_init(&inner, KT_SSH_CERT_TEXT_MAX);
    kt_random(nonce, sizeof nonce);
    kt_ssh_put_text(out, KT_SSH_CERT);
    kt_ssh_put(out, kt_bytes(nonce, sizeof nonce));
    kt_ssh_put(out, cert->public_key);
    kt_ssh_put_u64(out, cert->serial);
    kt_ssh_put_u32(out, cert->host ? TYPE_HOST : TYPE_USER);
    kt_ssh_put_text(out, cert->key_id);
    put_principals(out, &inner, cert->principals);
    kt_ssh_put_u64(out, (uint64_t)cert->from_s);
    kt_ssh_put_u64(out, (uint64_t)cert->until_s);
    put_options(out, &inner, parts, true);
    put_options(out, &inner, parts, false);
    kt_ssh_put_text(out, ""); /* reserved */
    kt_ssh_public_blob(kt_ssh_public_of(by), &inner);
    put_inner(out, &inner);
}

static void put_signature(const struct kt_secret *by, struct kt_buf *out)
{
    unsigned char signature[crypto_sign_BYTES];
    kt_autobuf struct kt_buf inner;
    kt_buf_init(&inner, KT_SSH_CERT_TEXT_MAX);
    if (!kt_buf_ok(out))
        return;
    (void)crypto_sign_detached(signature, NULL, out->at, out->len, by->at);
    kt_ssh_put_text(&inner, KT_SSH_ED25519);
    kt_ssh_put(&inner, kt_bytes(signature, sizeof signature));
    put_inner(out, &inner);
}

enum kt_kind kt_ssh_cert_write(const struct kt_ssh_cert *cert, const struct kt_secret *by, const char *comment,
                               struct kt_buf *out, struct kt_err *err)
{
    struct parts parts = {0};
    enum kt_kind kind = check_principals(cert->principals, err);
    if (kind == KT_OK)
        kind = take_options(cert->options, cert->host, &parts, err);
    if (kind != KT_OK)
        return kind;
    if (cert->serial == 0 || cert->public_key.len != KT_SSH_PUBLIC || cert->from_s < 0 ||
        cert->until_s <= cert->from_s || strlen(cert->key_id) > KEY_ID_MAX)
        return kt_fail(err, KT_INVALID, "a certificate has a serial, a key, a time that passes, and a short key id");
    kt_autobuf struct kt_buf body;
    kt_buf_init(&body, KT_SSH_CERT_TEXT_MAX);
    put_body(cert, &parts, by, &body);
    put_signature(by, &body);
    if (!kt_buf_ok(&body))
        return kt_fail(err, KT_NO_MEMORY, "writing an SSH certificate");
    return kt_ssh_line_write(KT_SSH_CERT, kt_buf_bytes(&body), comment, out, err);
}

/* ---- reading ---- */

static bool take_pair(struct kt_bytes blob, size_t len, struct kt_bytes *ret)
{
    struct kt_reader r = kt_reader(blob);
    bool right = kt_bytes_is(kt_ssh_get(&r), KT_SSH_ED25519);
    *ret = kt_ssh_get(&r);
    return kt_reader_done(&r) && right && ret->len == len;
}

static bool take_facts(struct kt_bytes all, struct kt_ssh_cert_facts *ret)
{
    struct kt_reader r = kt_reader(all);
    struct kt_bytes authority, signature;
    bool right = kt_bytes_is(kt_ssh_get(&r), KT_SSH_CERT);
    (void)kt_ssh_get(&r); /* the nonce */
    struct kt_bytes key = kt_ssh_get(&r);
    ret->serial = kt_ssh_get_u64(&r);
    uint32_t type = kt_ssh_get_u32(&r);
    (void)kt_ssh_get(&r); /* the key id */
    (void)kt_ssh_get(&r); /* principals */
    (void)kt_ssh_get_u64(&r);
    uint64_t until = kt_ssh_get_u64(&r);
    (void)kt_ssh_get(&r); /* critical options */
    (void)kt_ssh_get(&r); /* extensions */
    (void)kt_ssh_get(&r); /* reserved */
    struct kt_bytes by = kt_ssh_get(&r);
    const struct kt_bytes body = kt_bytes(all.at, all.len - r.left);
    struct kt_bytes signed_by = kt_ssh_get(&r);
    right = right && kt_reader_done(&r) && key.len == KT_SSH_PUBLIC && (type == TYPE_USER || type == TYPE_HOST);
    if (!right || !take_pair(by, KT_SSH_PUBLIC, &authority) ||
        !take_pair(signed_by, crypto_sign_BYTES, &signature) ||
        crypto_sign_verify_detached(signature.at, body.at, body.len, authority.at) != 0)
        return false;
    memcpy(ret->public_key, key.at, KT_SSH_PUBLIC);
    memcpy(ret->authority, authority.at, KT_SSH_PUBLIC);
    ret->until_s = until > UNTIL_MOST ? UNTIL_MOST : (int64_t)until;
    return true;
}

enum kt_kind kt_ssh_cert_read(struct kt_bytes line, struct kt_ssh_cert_facts *ret, struct kt_err *err)
{
    kt_autobuf struct kt_buf blob;
    kt_buf_init(&blob, (size_t)2 * KT_SSH_CERT_TEXT_MAX);
    if (line.len > (size_t)2 * KT_SSH_CERT_TEXT_MAX)
        return kt_fail(err, KT_INVALID, "an SSH certificate is longer than %u bytes", 2 * KT_SSH_CERT_TEXT_MAX);
    enum kt_kind kind = kt_ssh_line_read(KT_SSH_CERT, line, &blob, err);
    if (kind != KT_OK)
        return kind;
    return take_facts(kt_buf_bytes(&blob), ret)
               ? KT_OK
               : kt_fail(err, KT_INVALID, "the SSH certificate is damaged, or not signed by who is named in it");
}
