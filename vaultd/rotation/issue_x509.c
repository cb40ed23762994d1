#include "lib/cleanup.h"
#include "lib/clock.h"
#include "lib/x509_make.h"
#include "vaultd/rotation/issue_own.h"

/* Authorities, and certificates of servers and clients. */

static const struct {
    const char *name;
    enum kt_x509_key key;
    const char *text;
} keys[] = {{"", KT_X509_P256, "ECDSA P-256"},
            {"ecdsa-p256", KT_X509_P256, "ECDSA P-256"},
            {"ed25519", KT_X509_ED25519, "Ed25519"}};
#define KEYS (sizeof keys / sizeof keys[0])

static const struct {
    const char *name;
    unsigned usage;
    const char *text;
} usages[] = {{"", KT_X509_SERVER, "server"},
              {"server", KT_X509_SERVER, "server"},
              {"client", KT_X509_CLIENT, "client"},
              {"server,client", KT_X509_SERVER | KT_X509_CLIENT, "server and client"},
              {"client,server", KT_X509_SERVER | KT_X509_CLIENT, "server and client"}};
#define USAGES (sizeof usages / sizeof usages[0])

static size_t key_row(const struct rotation_settings *s)
{
    size_t row = 0;
    while (row < KEYS && strcmp(s->gen_key, keys[row].name) != 0)
        row++;
    return row;
}

static size_t usage_row(const struct rotation_settings *s)
{
    size_t row = 0;
    while (row < USAGES && strcmp(s->gen_usage, usages[row].name) != 0)
        row++;
    return row;
}

static enum kt_kind check_key(const struct rotation_settings *s, struct kt_err *err)
{
    return key_row(s) < KEYS ? KT_OK
                             : kt_fail(err, KT_INVALID, "generator: key must be ecdsa-p256 or ed25519");
}

static enum kt_kind parse_names(const struct rotation_settings *s, struct kt_x509_names *ret, struct kt_err *err)
{
    enum kt_kind kind = kt_x509_names_parse(s->gen_names, ret, err);
    if (kind == KT_OK && ret->n == 0 && s->gen_names[0] != '\0')
        kind = kt_fail(err, KT_INVALID, "names: there is none in it");
    if (kind != KT_OK)
        kt_context(err, "generator");
    return kind;
}

enum kt_kind x509_leaf_check(const struct rotation_settings *s, struct kt_err *err)
{
    struct kt_x509_names names;
    enum kt_kind kind = check_key(s, err);
    if (kind == KT_OK && usage_row(s) == USAGES)
        kind = kt_fail(err, KT_INVALID, "generator: usage must be server, client, or both with a comma between");
    if (kind == KT_OK)
        kind = parse_names(s, &names, err);
    if (kind == KT_OK && s->gen_request[0] != '\0')
        kind = kt_x509_request_check(kt_str(s->gen_request), err);
    if (kind == KT_OK && s->gen_request[0] != '\0' && s->gen_key[0] != '\0')
        kind = kt_fail(err, KT_INVALID, "generator: with a request there is no key to be made: leave key out");
    return kind;
}

enum kt_kind x509_authority_check(const struct rotation_settings *s, struct kt_err *err)
{
    struct kt_x509_names names;
    enum kt_kind kind = check_key(s, err);
    if (kind == KT_OK)
        kind = parse_names(s, &names, err);
    for (unsigned i = 0; kind == KT_OK && i < names.n; i++)
        if (names.at[i].kind == KT_X509_URI)
            kind = kt_fail(err, KT_INVALID, "generator: names: an authority cannot be bounded by a URI");
    return kind;
}

/* ---- making ---- */

static void add_key(struct issuing *by, struct kt_x509_made *made)
{
    if (made->key.len > 0)
        issue_text(by, "private_key", &made->key);
    else
        kt_jsonw_kv_null(&by->w, "private_key"); /* it is where the request was made */
}

static enum kt_kind add_made(struct issuing *by, const char *what, struct kt_x509_made *made, struct kt_err *err)
{
    char until[KT_TIME_TEXT];
    kt_time_text(made->until_ms, until);
    add_key(by, made);
    issue_text(by, "certificate", &made->certificate);
    issue_text(by, "ca_chain", &made->chain);
    issue_text(by, "root_certificate", &made->root);
    kt_jsonw_kv_text(&by->w, "serial_number", made->serial);
    kt_jsonw_kv_time(&by->w, "not_before", made->from_ms);
    kt_jsonw_kv_time(&by->w, "not_after", made->until_ms);
    by->text = by->issuer.name == NULL
                   ? kt_arena_printf(&by->req->arena, "%s, serial %s, until %s", what, made->serial, until)
                   : kt_arena_printf(&by->req->arena, "%s, serial %s, until %s, signed by version %u of %.500s",
                                     what, made->serial, until, by->issuer.version, by->issuer.name);
    return by->text == NULL ? kt_fail(err, KT_NO_MEMORY, "making a certificate") : KT_OK;
}

static enum kt_kind make_x509(struct issuing *by, const char *what, struct kt_x509_wish *wish,
                              struct kt_err *err)
{
    struct kt_x509_names *names = kt_arena_take(&by->req->arena, sizeof *names);
    KT_AUTO(kt_x509_issuer_close_at) struct kt_x509_issuer *issuer = NULL;
    KT_AUTO(kt_x509_made_free) struct kt_x509_made made = {.serial = ""};
    if (names == NULL)
        return kt_fail(err, KT_NO_MEMORY, "making a certificate");
    enum kt_kind kind = parse_names(by->settings, names, err);
    if (kind == KT_OK && by->issuer.name != NULL)
        kind = kt_x509_issuer_open(by->issuer.key, by->issuer.certificate, by->issuer.chain, &issuer, err);
    if (kind != KT_OK)
        return kind;
    wish->names = names;
    wish->key = keys[key_row(by->settings)].key;
    wish->common_name = by->settings->gen_common_name;
    wish->now_ms = by->req->now_ms;
    wish->life_s = by->life_s;
    kind = kt_x509_make(wish, issuer, &made, err);
    if (kind == KT_INVALID && issuer != NULL)
        kt_context(err, "version %u of the issuer '%s'", by->issuer.version, by->issuer.name);
    return kind == KT_OK ? add_made(by, what, &made, err) : kind;
}

enum kt_kind x509_leaf_make(struct issuing *by, struct kt_err *err)
{
    struct kt_x509_wish wish = {.usage = usages[usage_row(by->settings)].usage,
                                .request = kt_str(by->settings->gen_request)};
    return make_x509(by, "a certificate", &wish, err);
}

enum kt_kind x509_authority_make(struct issuing *by, struct kt_err *err)
{
    struct kt_x509_wish wish = {.usage = KT_X509_AUTHORITY};
    return make_x509(by, "an authority", &wish, err);
}

/* ---- for people ---- */

static const char *key_text(const struct rotation_settings *s)
{
    size_t row = key_row(s);
    return s->gen_request[0] != '\0' ? "of a request" : row == KEYS ? "" : keys[row].text;
}

void x509_leaf_describe(const struct rotation_settings *s, struct kt_buf *out)
{
    size_t row = usage_row(s);
    kt_buf_printf(out, "a %s certificate (%s) for %s", row == USAGES ? "" : usages[row].text, key_text(s),
                  s->gen_names);
}

void x509_authority_describe(const struct rotation_settings *s, struct kt_buf *out)
{
    kt_buf_printf(out, "an authority (%s) named %s", key_text(s), s->gen_common_name);
    if (s->gen_names[0] != '\0')
        kt_buf_printf(out, " for %s", s->gen_names);
}
