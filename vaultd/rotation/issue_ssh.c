#include "lib/clock.h"
#include "lib/random.h"
#include "lib/ssh_cert.h"
#include "vaultd/rotation/issue_own.h"

/* Certificates of OpenSSH's, for users and for hosts. */

#define BACKDATE_S 60 /* for a host whose clock is behind */

static bool is_host(const struct rotation_settings *s)
{
    return strcmp(s->gen_usage, "host") == 0;
}

static enum kt_kind read_public(const struct rotation_settings *s, unsigned char ret[KT_SSH_PUBLIC],
                                struct kt_err *err)
{
    enum kt_kind kind = kt_ssh_public_read(kt_str(s->gen_request), ret, err);
    if (kind != KT_OK)
        kt_context(err, "generator: request");
    return kind;
}

enum kt_kind ssh_cert_check(const struct rotation_settings *s, struct kt_err *err)
{
    unsigned char key[KT_SSH_PUBLIC];
    if (s->gen_usage[0] != '\0' && !is_host(s) && strcmp(s->gen_usage, "user") != 0)
        return kt_fail(err, KT_INVALID, "generator: usage must be user or host");
    enum kt_kind kind = kt_ssh_cert_check(is_host(s), s->gen_names, s->gen_options, err);
    if (kind != KT_OK)
        kt_context(err, "generator: names and options");
    return kind == KT_OK && s->gen_request[0] != '\0' ? read_public(s, key, err) : kind;
}

/* ---- making ---- */

static uint64_t draw_serial(void)
{
    uint64_t serial = 0;
    while (serial == 0)
        kt_random(&serial, sizeof serial);
    return serial;
}

/* A key pair, or the public half that was given: then the private one is where that was made. */
static enum kt_kind add_key(struct issuing *by, unsigned char public_key[KT_SSH_PUBLIC], struct kt_err *err)
{
    kt_autosecret struct kt_secret *key = NULL;
    kt_autobuf struct kt_buf private_text, public_text;
    kt_buf_init(&private_text, KT_SSH_TEXT_MAX);
    kt_buf_init(&public_text, KT_SSH_TEXT_MAX);
    enum kt_kind kind = KT_OK;
    bool given = by->settings->gen_request[0] != '\0';
    if (given)
        kind = read_public(by->settings, public_key, err);
    else
        kind = kt_ssh_key_new(&key, err);
    if (kind == KT_OK && !given) {
        memcpy(public_key, kt_ssh_public_of(key).at, KT_SSH_PUBLIC);
        kind = kt_ssh_private_write(key, "", &private_text, err);
    }
    if (kind == KT_OK)
        kind = kt_ssh_public_write(kt_bytes(public_key, KT_SSH_PUBLIC), "", &public_text, err);
    if (kind != KT_OK)
        return kind;
    if (given)
        kt_jsonw_kv_null(&by->w, "private_key");
    else
        issue_text(by, "private_key", &private_text);
    issue_text(by, "public_key", &public_text);
    return KT_OK;
}

static enum kt_kind add_certificate(struct issuing *by, const struct kt_ssh_cert *cert, struct kt_err *err)
{
    kt_autosecret struct kt_secret *authority = NULL;
    kt_autobuf struct kt_buf text, root;
    kt_buf_init(&text, (size_t)2 * KT_SSH_CERT_TEXT_MAX);
    kt_buf_init(&root, KT_SSH_TEXT_MAX);
    enum kt_kind kind = kt_ssh_private_read(by->issuer.key, &authority, err);
    if (kind != KT_OK) {
        kt_context(err, "the issuer's private_key");
        return kind;
    }
    kind = kt_ssh_cert_write(cert, authority, "", &text, err);
    if (kind == KT_OK)
        kind = kt_ssh_public_write(kt_ssh_public_of(authority), "", &root, err);
    if (kind != KT_OK)
        return kind;
    issue_text(by, "certificate", &text);
    issue_text(by, "root_certificate", &root);
    return KT_OK;
}

static enum kt_kind add_facts(struct issuing *by, const struct kt_ssh_cert *cert, struct kt_err *err)
{
    char until[KT_TIME_TEXT], print[KT_SSH_PRINT_TEXT];
    struct request *req = by->req;
    kt_time_text(cert->until_s * 1000, until);
    enum kt_kind kind = kt_ssh_print(cert->public_key, print, err);
    if (kind != KT_OK)
        return kind;
    const char *serial = kt_arena_printf(&req->arena, "%ju", (uintmax_t)cert->serial);
    by->text = kt_arena_printf(&req->arena, "a certificate, serial %ju, of %s, until %s, signed by version %u of %.500s",
                               (uintmax_t)cert->serial, print, until, by->issuer.version, by->issuer.name);
    if (serial == NULL || by->text == NULL)
        return kt_fail(err, KT_NO_MEMORY, "making a certificate");
    kt_jsonw_kv_text(&by->w, "serial_number", serial);
    kt_jsonw_kv_text(&by->w, "key_id", cert->key_id);
    kt_jsonw_kv_time(&by->w, "not_before", cert->from_s * 1000);
    kt_jsonw_kv_time(&by->w, "not_after", cert->until_s * 1000);
    return KT_OK;
}

enum kt_kind ssh_cert_make(struct issuing *by, struct kt_err *err)
{
    char run[RUN_ID_TEXT];
    unsigned char public_key[KT_SSH_PUBLIC];
    int64_t now_s = by->req->now_ms / 1000;
    run_id_text(by->run->id, run);
    const char *key_id = kt_arena_printf(&by->req->arena, "%.900s run %s", by->run->name, run);
    if (key_id == NULL)
        return kt_fail(err, KT_NO_MEMORY, "making a certificate");
    const struct kt_ssh_cert cert = {.public_key = kt_bytes(public_key, sizeof public_key),
                                     .host = is_host(by->settings),
                                     .serial = draw_serial(),
                                     .key_id = key_id,
                                     .principals = by->settings->gen_names,
                                     .options = by->settings->gen_options,
                                     .from_s = now_s - BACKDATE_S,
                                     .until_s = now_s + by->life_s};
    enum kt_kind kind = add_key(by, public_key, err);
    if (kind == KT_OK)
        kind = add_certificate(by, &cert, err);
    return kind == KT_OK ? add_facts(by, &cert, err) : kind;
}

void ssh_cert_describe(const struct rotation_settings *s, struct kt_buf *out)
{
    kt_buf_printf(out, "an SSH %s certificate for %s", is_host(s) ? "host" : "user", s->gen_names);
    if (s->gen_options[0] != '\0')
        kt_buf_printf(out, " (%s)", s->gen_options);
}
