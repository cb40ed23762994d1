#include "vaultd/rotation/served.h"

#include "lib/num.h"
#include "lib/tls_cert.h"
#include "lib/x509_make.h"
#include "vaultd/engine/kv.h"
#include "vaultd/rotation/credential.h"
#include "vaultd/rotation/engine.h"
#include "vaultd/rotation/revoked.h"

#define X(name, word, text) [name] = (word),
static const char *const words[] = {LISTENER_SHOWS(X)};
#undef X
#define X(name, word, text) [name] = (text),
static const char *const texts[] = {LISTENER_SHOWS(X)};
#undef X

bool served_wanted(const struct rotation_settings *settings)
{
    return settings->served_at[0] != '\0';
}

/* ---- beginning ---- */

/* An empty text: it has none. */
static enum kt_kind certificate_of(struct request *req, struct kt_bytes value, struct kt_bytes *ret,
                                   struct kt_err *err)
{
    struct kt_json member = {0};
    *ret = kt_bytes(NULL, 0);
    if (!kt_json_member(kt_json_value(value), "certificate", &member) || kt_json_type(member) != KT_JSON_STRING)
        return KT_OK;
    const char *text = kt_json_text(member, &req->arena);
    if (text == NULL)
        return kt_fail(err, KT_NO_MEMORY, "reading a certificate");
    *ret = kt_str(text);
    return KT_OK;
}

/* The version before: what is gone back to, if it is a certificate. */
static enum kt_kind note_old(struct work *w, struct kt_err *err)
{
    struct run *run = &w->run;
    struct credential unused;
    struct kt_bytes json = {0}, pem = {0};
    struct kt_tls_cert cert;
    struct kt_x509_revoked serial;
    char text[KT_X509_SERIAL_TEXT];
    if (run->from == 0)
        return KT_OK;
    enum kt_kind kind = credential_load(w->req, &w->secret, &run->settings, w->kv, run->from, &unused, &json, err);
    if (kind == KT_OK)
        kind = certificate_of(w->req, json, &pem, err);
    if (kind == KT_OK)
        kind = kt_tls_cert_read(pem, &cert, err);
    if (kind == KT_OK)
        kind = kt_x509_serial_of(pem, &serial, &run->old_until_ms, err);
    if (kind == KT_INVALID || kind == KT_NOT_FOUND) {
        *err = (struct kt_err){0};
        run->old_until_ms = 0;
        return KT_OK;
    }
    if (kind != KT_OK)
        return kind;
    kt_x509_serial_text(&serial, text);
    memcpy(run->cert_old, cert.hash, sizeof run->cert_old);
    run->serial_old = kt_arena_text(&w->req->arena, kt_str(text));
    return run->serial_old == NULL ? kt_fail(err, KT_NO_MEMORY, "reading a certificate") : KT_OK;
}

enum kt_kind served_begin(struct work *w, struct kt_bytes value, struct kt_err *err)
{
    struct run *run = &w->run;
    struct kt_bytes pem = {0};
    struct kt_tls_cert cert;
    enum kt_kind kind = note_old(w, err);
    if (kind == KT_OK)
        kind = certificate_of(w->req, value, &pem, err);
    if (kind == KT_OK)
        kind = kt_tls_cert_read(pem, &cert, err);
    if (kind != KT_OK)
        return kind;
    int64_t steady_ms = rotation_steady_ms(w->req->core->rotation);
    memcpy(run->cert_new, cert.hash, sizeof run->cert_new);
    run->machine.promoted = true;
    run->machine.past = run->old_until_ms <= w->req->now_ms;
    run->promoted_ms = w->req->now_ms;
    run->given_ms = steady_ms;
    run->span_ms = run->settings.ack_timeout_s * 1000;
    run->deadline_ms = run->span_ms == 0 ? 0 : steady_ms + run->span_ms;
    for (size_t i = 0; i < served_count(run); i++)
        run->listeners[i].since_ms = w->req->now_ms;
    w->kv->has_driver = true;
    w->kv->previous = run->from;
    return KT_OK;
}

void served_let_go(struct kv_secret *kv)
{
    kv->has_driver = false;
    kv->previous = kv->pending = 0;
}

/* ---- the way back ---- */

static enum kt_kind is_revoked(struct request *req, const struct run *run, bool *ret, struct kt_err *err)
{
    struct revoked *rows = NULL;
    size_t n = 0;
    *ret = false;
    enum kt_kind kind = revoked_load(req, run->settings.gen_issuer, &rows, &n, err);
    for (size_t i = 0; kind == KT_OK && i < n; i++)
        *ret = *ret || (!rows[i].list && !rows[i].ssh && strcmp(rows[i].serial, run->serial_old) == 0);
    if (kind == KT_INVALID) { /* the issuer is gone, and with it whoever could revoke */
        *err = (struct kt_err){0};
        return KT_OK;
    }
    return kind;
}

enum kt_kind served_bars(struct request *req, struct run *run, struct kt_err *err)
{
    struct machine *m = &run->machine;
    if (m->strategy != STRATEGY_GENERATE || m->state != RUN_ACKING || m->past)
        return KT_OK;
    m->past = run->old_until_ms <= req->now_ms;
    return m->past ? KT_OK : is_revoked(req, run, &m->past, err);
}

enum kt_kind served_look_back(struct work *w, struct kt_err *err)
{
    struct machine *m = &w->run.machine;
    struct acks acks;
    if (m->strategy != STRATEGY_GENERATE || m->state != RUN_ACKING)
        return KT_OK;
    acks_judge(&w->run, w->consumers, w->n_consumers, &acks);
    bool late = w->run.deadline_ms != 0 && rotation_steady_ms(w->req->core->rotation) >= w->run.deadline_ms;
    enum kt_kind kind = KT_OK;
    if (late || w->run.cancel || acks.trouble != NULL)
        kind = served_bars(w->req, &w->run, err);
    else
        m->past = m->past || w->run.old_until_ms <= w->req->now_ms;
    if (m->past) /* it was revoked behind who asked for that */
        w->run.cancel = false;
    return kind;
}

/* ---- for people ---- */

static bool name_at(const struct run *run, size_t i, struct kt_bytes *ret)
{
    const char *at = run->settings.served_at;
    bool is = true;
    for (size_t k = 0; is && k <= i; k++)
        is = settings_name(&at, ret);
    return is;
}

size_t served_count(const struct run *run)
{
    struct kt_bytes name;
    size_t n = 0;
    while (n < RUN_LISTENERS_MAX && name_at(run, n, &name))
        n++;
    return n;
}

size_t served_good(const struct run *run)
{
    size_t good = 0;
    for (size_t i = 0; i < served_count(run); i++)
        good += run->listeners[i].shows == SHOWS_NEW;
    return good;
}

static bool shows_any(const struct run_listener *listener)
{
    return listener->shows == SHOWS_NEW || listener->shows == SHOWS_OLD || listener->shows == SHOWS_ANOTHER;
}

static void mark_text(const struct run_listener *listener, char ret[2 * RUN_CERT_MARK + 1])
{
    ret[0] = '\0';
    if (shows_any(listener))
        kt_hex_encode(listener->mark, RUN_CERT_MARK, ret);
}

void served_listener_text(const struct run *run, size_t i, struct kt_buf *out)
{
    const struct run_listener *listener = &run->listeners[i];
    struct kt_bytes name = kt_bytes(NULL, 0);
    char mark[2 * RUN_CERT_MARK + 1], time[KT_TIME_TEXT];
    (void)name_at(run, i, &name);
    mark_text(listener, mark);
    kt_buf_add_bytes(out, name);
    kt_buf_printf(out, " %s", texts[listener->shows]);
    if (mark[0] != '\0') {
        kt_time_text(listener->until_ms, time);
        kt_buf_printf(out, " (SHA-256 %s..., until %s)", mark, time);
    }
    kt_time_text(listener->since_ms, time);
    kt_buf_printf(out, ", since %s", time);
}

const char *served_first_text(struct request *req, const struct run *run)
{
    kt_autobuf struct kt_buf out;
    kt_buf_init(&out, 1024);
    for (size_t i = 0; i < served_count(run) && out.len == 0; i++)
        if (run->listeners[i].shows != SHOWS_NEW)
            served_listener_text(run, i, &out);
    return kt_buf_ok(&out) ? kt_arena_text(&req->arena, kt_buf_bytes(&out)) : NULL;
}

void served_show(const struct run *run, struct kt_jsonw *w)
{
    struct kt_bytes name;
    char mark[2 * RUN_CERT_MARK + 1];
    kt_jsonw_key(w, "listeners");
    kt_jsonw_array(w);
    for (size_t i = 0; i < served_count(run) && name_at(run, i, &name); i++) {
        const struct run_listener *listener = &run->listeners[i];
        mark_text(listener, mark);
        kt_jsonw_object(w);
        kt_jsonw_key(w, "place");
        kt_jsonw_bytes(w, name);
        kt_jsonw_kv_bool(w, "ok", listener->shows == SHOWS_NEW);
        kt_jsonw_kv_text(w, "shows", words[listener->shows]);
        kt_jsonw_kv_text(w, "text", texts[listener->shows]);
        kt_jsonw_kv_text(w, "fingerprint", mark);
        kt_jsonw_kv_time(w, "until", listener->until_ms);
        kt_jsonw_kv_time(w, "since", listener->since_ms);
        kt_jsonw_end(w);
    }
    kt_jsonw_end(w);
}
