#include "vaultd/rotation/notify_routes.h"

#include <stdio.h>
#include <strings.h>

#include "vaultd/notify/mail.h"
#include "vaultd/notify/notice.h"
#include "vaultd/rotation/engine.h"
#include "vaultd/rotation/run.h"

static const char *mail_host(const struct notify_channel *channel, size_t i)
{
    return strchr(channel->mail.at[i], '@') + 1;
}

static bool is_shown_before(const struct notify_channel *channel, size_t i)
{
    for (size_t before = 0; before < i; before++)
        if (strcasecmp(mail_host(channel, before), mail_host(channel, i)) == 0)
            return true;
    return false;
}

/* Of each address the host, once: the rest may be what lets a message in. */
static void show_host(const struct notify_channel *channel, struct kt_jsonw *w)
{
    char hosts[MAIL_TO_MAX * (MAIL_ADDRESS_MAX + 2u)];
    bool mails = channel->mail.n > 0;
    size_t n = 0;
    kt_jsonw_key(w, "host");
    for (size_t i = 0; i < channel->mail.n && n < sizeof hosts; i++)
        if (!is_shown_before(channel, i))
            n += (size_t)snprintf(hosts + n, sizeof hosts - n, "%s%s", n == 0 ? "" : ", ", mail_host(channel, i));
    const char *url = mails ? "" : channel->url + strlen("https://");
    kt_jsonw_bytes(w, mails ? kt_bytes(hosts, n < sizeof hosts ? n : sizeof hosts - 1) : kt_bytes(url, strcspn(url, "/?#")));
    kt_jsonw_kv_text(w, "kind", mails ? "mail" : "webhook");
}

static void show_channel(struct request *req, size_t i, size_t waiting, struct kt_jsonw *w)
{
    const struct notify_channel *channel = &req->core->config.notify->at[i];
    struct notifier_state state;
    notifier_look(req->core->rotation->notifier, i, &state);
    kt_jsonw_object(w);
    kt_jsonw_kv_text(w, "name", channel->name);
    show_host(channel, w);
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
}

enum kt_kind notify_list(struct request *req, struct kt_err *err)
{
    const struct notify_channels *channels = req->core->config.notify;
    struct kt_jsonw w = kt_jsonw(&req->reply.data);
    size_t waiting[NOTIFY_CHANNELS_MAX];
    enum kt_kind kind = channels == NULL ? KT_OK : notices_count_each(req, waiting, err);
    if (kind != KT_OK)
        return kind;
    kt_jsonw_object(&w);
    kt_jsonw_key(&w, "channels");
    kt_jsonw_array(&w);
    for (size_t i = 0; channels != NULL && i < channels->n; i++)
        show_channel(req, i, waiting[i], &w);
    kt_jsonw_end(&w);
    kt_jsonw_end(&w);
    return KT_OK;
}

enum kt_kind rotation_count_told(struct request *req, struct rotation_told *ret, struct kt_err *err)
{
    const struct notify_channels *channels = req->core->config.notify;
    *ret = (struct rotation_told){.overdue = atomic_load(&req->core->rotation->overdue_seen),
                                   .unreadable = atomic_load(&req->core->rotation->unreadable_seen),
                                   .keys_overdue = atomic_load(&req->core->rotation->keys_overdue)};
    for (size_t i = 0; channels != NULL && i < channels->n; i++) {
        struct notifier_state state;
        notifier_look(req->core->rotation->notifier, i, &state);
        ret->sent += state.sent;
        ret->failed += state.failed;
        ret->given_up += state.given_up;
        ret->failing += state.error[0] != '\0';
    }
    return notices_count(req, &ret->waiting, err);
}

enum kt_kind notify_test(struct request *req, struct kt_err *err)
{
    const char *name = request_param(req, "name"), *by = "", *id = "";
    const struct notify_channel *channel = channel_find(req->core->config.notify, name);
    if (channel == NULL) {
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
    notifier_hurry(req->core->rotation->notifier, (size_t)(channel - req->core->config.notify->at));
    struct kt_jsonw w = kt_jsonw(&req->reply.data);
    kt_jsonw_object(&w);
    kt_jsonw_kv_text(&w, "channel", name);
    kt_jsonw_kv_text(&w, "id", id);
    kt_jsonw_end(&w);
    return KT_OK;
}
