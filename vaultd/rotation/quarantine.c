#include "vaultd/rotation/quarantine.h"

#include "lib/log.h"
#include "vaultd/fleet/consumer.h"
#include "vaultd/rotation/rotation.h"
#include "vaultd/rotation/run.h"
#include "vaultd/rotation/veto.h"

#define SHOWN_MOST 1000u

struct place {
    const char *host, *service, *name;
    struct rotation_secret secret;
};

static enum kt_kind find_place(struct request *req, struct place *ret, struct kt_err *err)
{
    *ret = (struct place){.host = request_param(req, "host"), .name = request_param(req, "path"),
                          .service = ""};
    enum kt_kind kind = request_string(req, "service", &ret->service, err);
    if (kind != KT_OK && kind != KT_NOT_FOUND)
        return kind;
    if (ret->service[0] == '\0' || strlen(ret->service) > SERVICE_MAX) {
        (void)kt_fail(err, KT_INVALID, "service must name the service: 1 to %u characters", SERVICE_MAX);
        kt_hint(err, "secretctl consumer list shows which there are");
        return KT_INVALID;
    }
    if (strlen(ret->host) > HOST_MAX)
        return kt_fail(err, KT_INVALID, "the host's name is longer than %u bytes", HOST_MAX);
    if (strlen(ret->name) > RECORD_LIST_TEXT_MAX)
        return kt_fail(err, KT_INVALID, "the secret's name is longer than %u bytes",
                       RECORD_LIST_TEXT_MAX);
    kind = secret_load(req, ret->name, &ret->secret, err);
    /* A consumer may be there before the rotation is. */
    return kind == KT_NOT_FOUND && err->what[0] == '\0' ? KT_OK : kind;
}

/* *ret_new: it has no row yet. */
static enum kt_kind load(struct request *req, const struct place *place, struct veto *ret, bool *ret_new,
                         struct kt_err *err)
{
    enum kt_kind kind = veto_load(req, place->secret.id, place->host, place->service, ret, err);
    *ret_new = kind == KT_NOT_FOUND;
    if (kind != KT_NOT_FOUND)
        return kind;
    *ret = (struct veto){.secret = place->name, .host = place->host, .service = place->service,
                         .why = "", .by = "", .reason = ""};
    return KT_OK;
}

static void show(const struct veto *veto, struct kt_jsonw *w)
{
    kt_jsonw_object(w);
    kt_jsonw_kv_text(w, "service", veto->service);
    kt_jsonw_kv_text(w, "host", veto->host);
    kt_jsonw_kv_text(w, "secret", veto->secret);
    kt_jsonw_kv_int(w, "vetoes", veto->times);
    kt_jsonw_kv_text(w, "why", veto->why);
    kt_jsonw_kv_time(w, "last_veto", veto->at_ms);
    kt_jsonw_kv_bool(w, "quarantined", veto->aside_ms != 0);
    kt_jsonw_kv_time(w, "since", veto->aside_ms);
    kt_jsonw_kv_text(w, "by", veto->by);
    kt_jsonw_kv_text(w, "reason", veto->reason);
    kt_jsonw_end(w);
}

static void show_one(struct request *req, const struct veto *veto)
{
    struct kt_jsonw w = kt_jsonw(&req->reply.data);
    show(veto, &w);
}

static enum kt_kind save(struct request *req, const struct place *place, const struct veto *veto,
                         struct kt_err *err)
{
    struct batch *batch = request_batch(req);
    if (batch == NULL)
        return kt_fail(err, KT_NO_MEMORY, "putting a consumer aside");
    consumers_touch(req, place->secret.id, batch);
    enum kt_kind kind = veto_save(req, place->secret.id, veto, err);
    if (kind == KT_OK)
        show_one(req, veto);
    return kind;
}

/* Names stay out of the log. */
static void said(struct request *req, const struct commit_result *result)
{
    (void)req;
    if (result->error == STORE_OK)
        kt_log(KT_LOG_NOTICE, "rotation-quarantine", "%s", "next=\"secretctl consumer quarantined\"");
}

static enum kt_kind read_reason(struct request *req, const char **ret, struct kt_err *err)
{
    enum kt_kind kind = run_reason(req, ret, err);
    if (kind != KT_OK || (*ret)[0] != '\0')
        return kind;
    (void)kt_fail(err, KT_INVALID, "reason is missing: who finds it cut off wants to know why");
    kt_hint(err, "secretctl consumer quarantine SERVICE@HOST SECRET -reason=\"...\"");
    return KT_INVALID;
}

enum kt_kind quarantine_write(struct request *req, struct kt_err *err)
{
    struct place place;
    struct consumer consumer;
    struct veto veto;
    const char *reason = "";
    bool new_ = false;
    enum kt_kind kind = find_place(req, &place, err);
    if (kind == KT_OK)
        kind = read_reason(req, &reason, err);
    if (kind == KT_OK)
        kind = consumer_load(req, place.secret.id, place.host, place.service, &consumer, err);
    if (kind == KT_NOT_FOUND && err->what[0] == '\0')
        return kt_fail(err, KT_NOT_FOUND, "no service '%s' on '%s' uses '%s'", place.service, place.host,
                       place.name);
    if (kind == KT_OK)
        kind = load(req, &place, &veto, &new_, err);
    if (kind != KT_OK)
        return kind;
    if (veto.aside_ms != 0) {
        request_warn(req, "%s put it aside already; that stays as it is", veto.by);
        show_one(req, &veto);
        return KT_OK;
    }
    kind = run_who(req, &veto.by, err);
    if (kind != KT_OK)
        return kind;
    veto.reason = reason;
    veto.aside_ms = req->now_ms;
    req->after_commit = said;
    return save(req, &place, &veto, err);
}

/* It is waited for again, as long as one that came now. */
static enum kt_kind begin_anew(struct request *req, const struct place *place, struct kt_err *err)
{
    struct consumer consumer;
    enum kt_kind kind = consumer_load(req, place->secret.id, place->host, place->service, &consumer, err);
    if (kind != KT_OK)
        return kind == KT_NOT_FOUND && err->what[0] == '\0' ? KT_OK : kind;
    consumer.lacks_ms = rotation_steady_ms(req->core->rotation);
    return consumer_save(req, place->secret.id, &consumer, err);
}

enum kt_kind quarantine_delete(struct request *req, struct kt_err *err)
{
    struct place place;
    struct veto veto;
    bool new_ = false;
    enum kt_kind kind = find_place(req, &place, err);
    if (kind == KT_OK)
        kind = load(req, &place, &veto, &new_, err);
    if (kind != KT_OK)
        return kind;
    if (new_)
        return kt_fail(err, KT_NOT_FOUND, "'%s' on '%s' is not put aside for '%s'", place.service,
                       place.host, place.name);
    veto.aside_ms = 0;
    veto.times = 0;
    veto.by = veto.reason = "";
    req->after_commit = said;
    kind = save(req, &place, &veto, err);
    return kind == KT_OK ? begin_anew(req, &place, err) : kind;
}

enum kt_kind quarantine_list(struct request *req, struct kt_err *err)
{
    struct veto *all = NULL;
    size_t n = 0, aside = 0, repeated = 0;
    enum kt_kind kind = vetoes_load(req, NULL, &all, &n, err);
    if (kind != KT_OK)
        return kind;
    struct kt_jsonw w = kt_jsonw(&req->reply.data);
    kt_jsonw_object(&w);
    kt_jsonw_key(&w, "consumers");
    kt_jsonw_array(&w);
    for (size_t i = 0; i < n; i++) {
        aside += all[i].aside_ms != 0;
        repeated += all[i].aside_ms == 0 && all[i].times >= VETO_ALARM;
        if (i < SHOWN_MOST)
            show(&all[i], &w);
    }
    kt_jsonw_end(&w);
    kt_jsonw_kv_int(&w, "count", (int64_t)n);
    kt_jsonw_kv_int(&w, "quarantined", (int64_t)aside);
    kt_jsonw_kv_int(&w, "vetoing", (int64_t)repeated);
    kt_jsonw_end(&w);
    return KT_OK;
}
