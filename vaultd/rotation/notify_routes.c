#include "vaultd/rotation/notify_routes.h"

#include "vaultd/notify/notice.h"
#include "vaultd/rotation/engine.h"
#include "vaultd/rotation/run.h"

/* The rest of the address may be what lets a message in. */
static void show_host(const char *url, struct kt_jsonw *w)
{
    const char *host = url + strlen("https://");
    kt_jsonw_key(w, "host");
    kt_jsonw_bytes(w, kt_bytes(host, strcspn(host, "/?#")));
}

static enum kt_kind show_channel(struct request *req, size_t i, struct kt_jsonw *w, struct kt_err *err)
{
    const struct notify_channel *channel = &req->core->config.notify->at[i];
    struct notifier_state state;
    size_t waiting = 0;
    enum kt_kind kind = notices_count(req, channel->name, &waiting, err);
    if (kind != KT_OK)
        return kind;
    notifier_look(req->core->rotation->notifier, i, &state);
    kt_jsonw_object(w);
    kt_jsonw_kv_text(w, "name", channel->name);
    show_host(channel->url, w);
    kt_jsonw_kv_bool(w, "signed", channel->key != NULL);
    kt_jsonw_kv_int(w, "waiting", (int64_t)waiting);
    kt_jsonw_kv_int(w, "sent", (int64_t)state.sent);
    kt_jsonw_kv_int(w, "failed", (int64_t)state.failed);
    kt_jsonw_kv_int(w, "given_up", (int64_t)state.given_up);
    kt_jsonw_kv_time(w, "last_success", state.sent_ms);
    kt_jsonw_kv_text(w, "last_success_id", state.sent_id);
    kt_jsonw_kv_time(w, "last_failure", state.failed_ms);
    kt_jsonw_kv_text(w, "last_failure_id", state.failed_id);
    kt_jsonw_kv_text(w, "error", state.error);
    kt_jsonw_end(w);
    return KT_OK;
}

enum kt_kind notify_list(struct request *req, struct kt_err *err)
{
    const struct notify_channels *channels = req->core->config.notify;
    struct kt_jsonw w = kt_jsonw(&req->reply.data);
    enum kt_kind kind = KT_OK;
    kt_jsonw_object(&w);
    kt_jsonw_key(&w, "channels");
    kt_jsonw_array(&w);
    for (size_t i = 0; channels != NULL && i < channels->n && kind == KT_OK; i++)
        kind = show_channel(req, i, &w, err);
    kt_jsonw_end(&w);
    kt_jsonw_end(&w);
    return kind;
}

enum kt_kind notify_test(struct request *req, struct kt_err *err)
{
    const char *name = request_param(req, "name"), *by = "", *id = "";
    if (channel_find(req->core->config.notify, name) == NULL) {
        (void)kt_fail(err, KT_NOT_FOUND, "vaultd's configuration has no channel '%s'", name);
        kt_hint(err, "who runs vaultd adds it: notify \"%.64s\" { url = \"https://...\" }, and restarts it", name);
        return KT_NOT_FOUND;
    }
    enum kt_kind kind = run_who(req, &by, err);
    const struct notice notice = {
        .event = NOTICE_TEST,
        .verdict = kt_arena_printf(&req->arena, "TEST  %s wants to know whether this arrives", by),
        .hurt = "nobody",
        .next = "secretctl notify list",
    };
    if (kind == KT_OK && notice.verdict == NULL)
        kind = kt_fail(err, KT_NO_MEMORY, "testing a channel");
    if (kind == KT_OK)
        kind = notify_tell(req, &notice, name, &id, err);
    if (kind != KT_OK)
        return kind;
    if (req->batch == NULL) {
        (void)kt_fail(err, KT_PRECONDITION, "%u messages wait already: none is added", NOTICES_MAX);
        kt_hint(err, "secretctl notify list says why they do not arrive");
        return KT_PRECONDITION;
    }
    struct kt_jsonw w = kt_jsonw(&req->reply.data);
    kt_jsonw_object(&w);
    kt_jsonw_kv_text(&w, "channel", name);
    kt_jsonw_kv_text(&w, "id", id);
    kt_jsonw_end(&w);
    return KT_OK;
}
