#include "vaultd/notify/notifier.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#include "lib/cleanup.h"
#include "lib/failpoint.h"
#include "lib/log.h"
#include "lib/timespec.h"
#include "vaultd/notify/notice.h"

#define REST_LEAST_MS ((int64_t)1000)
#define LOOK_MS       ((int64_t)60 * 1000) /* by itself, should the clock have been set */

struct sender {
    struct notifier *notifier;
    const struct notify_channel *channel;
    pthread_t thread;
    bool started;
    /* The thread's own. */
    struct kt_arena arena; /* of the message that is being sent */
    struct notice notice;
    struct notices_look look; /* the last one */
    int64_t now_ms;   /* wall, of the last look */
    int64_t rest_ms;  /* 0: it works */
    bool old, again;
    /* Guarded by the notifier's lock. */
    bool woken;
    unsigned asked, served; /* how often somebody waited for a message, and how many of those were looked for */
    struct notifier_state state;
};

struct notifier {
    struct core *core;
    const struct notify_channels *channels;
    pthread_mutex_t lock;
    pthread_cond_t wake;
    bool stopping;    /* guarded by lock, as is the next */
    unsigned damaged; /* messages, as was said in the log */
    struct sender senders[NOTIFY_CHANNELS_MAX];
};

/* ---- one message ---- */

static const char *keep(struct sender *s, const char *text)
{
    return kt_arena_text(&s->arena, kt_str(text));
}

/* Out of the request's arena: it is sent outside of any request. */
static enum kt_kind take_handler(struct request *req, struct kt_err *err)
{
    struct sender *s = req->handler_data;
    struct notice *n = &s->notice;
    kt_arena_reset(&s->arena);
    s->now_ms = req->now_ms;
    enum kt_kind kind = notice_first(req, s->channel->name, n, &s->look, err);
    if (kind != KT_OK || !s->look.found)
        return kind;
    n->id = keep(s, n->id);
    n->channel = s->channel->name;
    n->secret = keep(s, n->secret);
    n->run = keep(s, n->run);
    n->verdict = keep(s, n->verdict);
    n->hurt = keep(s, n->hurt);
    n->next = keep(s, n->next);
    return s->arena.failed ? kt_fail(err, KT_NO_MEMORY, "reading a message to people") : KT_OK;
}

static enum kt_kind settle_handler(struct request *req, struct kt_err *err)
{
    struct sender *s = req->handler_data;
    if (s->again)
        return notice_again(req, &s->notice, req->now_ms + s->rest_ms, err);
    notice_end(req, &s->notice);
    return req->batch == NULL ? kt_fail(err, KT_NO_MEMORY, "ending a message to people") : KT_OK;
}

static enum kt_kind send_it(struct sender *s, struct kt_err *err)
{
    const struct core_config *config = &s->notifier->core->config;
    char signature[NOTIFY_SIGNATURE];
    kt_autobuf struct kt_buf body;
    kt_buf_init(&body, NOTIFY_BODY_MAX);
    if (s->notifier->channels->send == NULL)
        return kt_fail(err, KT_IO, "this vaultd was started without what sends messages");
    enum kt_kind kind = channel_body(s->channel, &s->notice, config->cluster_name, &body, err);
    if (kind == KT_OK)
        kind = channel_sign(s->channel, config->credentials, s->now_ms, kt_buf_bytes(&body), signature, err);
    const struct notify_order order = {s->channel, s->notice.id, signature, kt_buf_bytes(&body)};
    return kind == KT_OK ? s->notifier->channels->send(s->notifier->channels->arg, &order, err) : kind;
}

static void note(struct sender *s, enum kt_kind kind, const struct kt_err *err)
{
    struct notifier_state *state = &s->state;
    (void)pthread_mutex_lock(&s->notifier->lock);
    char *id = kind == KT_OK ? state->sent_id : state->failed_id;
    (void)snprintf(id, sizeof state->sent_id, "%s", s->notice.id);
    (void)snprintf(state->error, sizeof state->error, "%.190s", kind == KT_OK ? "" : err->what);
    if (kind == KT_OK) {
        state->sent++;
        state->sent_ms = s->now_ms;
    } else {
        state->failed++;
        state->failed_ms = s->now_ms;
        state->given_up += s->old;
    }
    (void)pthread_mutex_unlock(&s->notifier->lock);
    if (kind == KT_OK)
        return;
    /* Once at the beginning of a rest; each time would be a flood. */
    if (s->old)
        kt_log(KT_LOG_ERROR, "notice-given-up", "channel=%s id=%s tries=%u", s->channel->name, s->notice.id,
               s->notice.tries + 1);
    else if (s->rest_ms == REST_LEAST_MS)
        kt_log_err(KT_LOG_WARNING, "notice-not-sent", err);
}

static void set_rest(struct sender *s, bool sent)
{
    if (sent)
        s->rest_ms = 0;
    else if (s->rest_ms == 0)
        s->rest_ms = REST_LEAST_MS;
    else
        s->rest_ms = s->rest_ms * 2 > NOTIFY_REST_MS ? NOTIFY_REST_MS : s->rest_ms * 2;
}

/* When there are more than were said: each channel sees the same ones, but for those behind what it found. */
static void say_damaged(struct notifier *notifier, const struct notices_look *look)
{
    (void)pthread_mutex_lock(&notifier->lock);
    bool news = look->damaged > notifier->damaged;
    if (news || !look->found)
        notifier->damaged = look->damaged;
    (void)pthread_mutex_unlock(&notifier->lock);
    if (news)
        kt_log(KT_LOG_ERROR, "notices-damaged", "messages=%u next=\"%s\"", look->damaged,
               "nobody is told what was in them; secretctl run list, secretctl overdue");
}

/* True: look for another one at once. */
static bool send_one(struct sender *s)
{
    struct kt_err err = {0};
    struct core *core = s->notifier->core;
    enum kt_kind kind = request_internal(core, "rotation/notify/take", take_handler, s, &err);
    if (kind != KT_OK) {
        s->look = (struct notices_look){.next_ms = INT64_MAX};
        if (kind != KT_SEALED)
            kt_log_err(KT_LOG_WARNING, "notices", &err);
        return false;
    }
    say_damaged(s->notifier, &s->look);
    if (!s->look.found)
        return false;
    kind = send_it(s, &err);
    s->old = s->now_ms - s->notice.at_ms > NOTIFY_OLD_MS;
    s->again = kind != KT_OK && !s->old;
    set_rest(s, kind == KT_OK);
    note(s, kind, &err);
    /* If that fails it is sent once more: it has its id. */
    struct kt_err unsettled = {0};
    enum kt_kind settled = request_internal(core, "rotation/notify/settle", settle_handler, s, &unsettled);
    if (settled != KT_OK && settled != KT_SEALED)
        kt_log_err(KT_LOG_WARNING, "notices", &unsettled);
    if (settled != KT_OK && s->rest_ms == 0)
        s->rest_ms = REST_LEAST_MS;
    return kind == KT_OK && settled == KT_OK;
}

/* ---- the thread ---- */

static int64_t pause_of(const struct sender *s)
{
    int64_t left = s->look.next_ms == INT64_MAX ? LOOK_MS : s->look.next_ms - s->now_ms;
    if (left > LOOK_MS)
        left = LOOK_MS;
    return left < 0 ? 0 : left;
}

/* Under the lock. A channel that rests is woken by no news but those that somebody waits for. */
static void wait_for_news(struct sender *s)
{
    struct notifier *notifier = s->notifier;
    int64_t ms = s->rest_ms > 0 ? s->rest_ms : pause_of(s);
    const struct timespec until = kt_timespec_in_ns(ms * KT_NS_PER_MS);
    int late = 0;
    while (!notifier->stopping && late == 0 && (!s->woken || (s->rest_ms > 0 && s->asked == s->served)))
        late = pthread_cond_timedwait(&notifier->wake, &notifier->lock, &until);
    s->woken = false;
}

static void *sender_thread(void *arg)
{
    struct sender *s = arg;
    struct notifier *notifier = s->notifier;
    (void)pthread_mutex_lock(&notifier->lock);
    while (!notifier->stopping) {
        wait_for_news(s);
        bool more = !notifier->stopping;
        while (more) {
            unsigned asked = s->asked;
            (void)pthread_mutex_unlock(&notifier->lock);
            more = send_one(s);
            (void)pthread_mutex_lock(&notifier->lock);
            if (s->look.found) /* else it may not be committed yet */
                s->served = asked;
            more = more && !notifier->stopping;
        }
    }
    (void)pthread_mutex_unlock(&notifier->lock);
    return NULL;
}

void notifier_hurry(struct notifier *notifier, size_t i)
{
    (void)pthread_mutex_lock(&notifier->lock);
    notifier->senders[i].asked++;
    (void)pthread_mutex_unlock(&notifier->lock);
}

void notifier_wake(struct notifier *notifier)
{
    (void)pthread_mutex_lock(&notifier->lock);
    for (size_t i = 0; i < NOTIFY_CHANNELS_MAX; i++)
        notifier->senders[i].woken = true;
    (void)pthread_cond_broadcast(&notifier->wake);
    (void)pthread_mutex_unlock(&notifier->lock);
}

static void follow(void *arg, const struct fold_event *event)
{
    (void)event;
    notifier_wake(arg);
}

void notifier_look(struct notifier *notifier, size_t channel, struct notifier_state *ret)
{
    (void)pthread_mutex_lock(&notifier->lock);
    *ret = notifier->senders[channel].state;
    (void)pthread_mutex_unlock(&notifier->lock);
}

/* ---- birth and end ---- */

static bool start_senders(struct notifier *notifier)
{
    for (size_t i = 0; i < notifier->channels->n; i++) {
        struct sender *s = &notifier->senders[i];
        s->notifier = notifier;
        s->channel = &notifier->channels->at[i];
        s->look.next_ms = INT64_MAX;
        kt_arena_init(&s->arena, (size_t)64 * 1024);
        s->started = pthread_create(&s->thread, NULL, sender_thread, s) == 0;
        if (!s->started)
            return false;
    }
    return true;
}

struct notifier *notifier_new(struct core *core)
{
    static const unsigned char table = TABLE_NOTICE;
    struct notifier *notifier = kt_calloc(1, sizeof *notifier);
    if (notifier == NULL)
        return NULL;
    pthread_condattr_t monotonic;
    (void)pthread_condattr_init(&monotonic);
    (void)pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    (void)pthread_mutex_init(&notifier->lock, NULL);
    (void)pthread_cond_init(&notifier->wake, &monotonic);
    (void)pthread_condattr_destroy(&monotonic);
    notifier->core = core;
    notifier->channels = core->config.notify;
    if (notifier->channels == NULL)
        return notifier;
    if (store_on_fold(core->store, kt_bytes(&table, 1), follow, notifier) == STORE_OK &&
        start_senders(notifier))
        return notifier;
    notifier_free(notifier);
    return NULL;
}

void notifier_free(struct notifier *notifier)
{
    if (notifier == NULL)
        return;
    (void)pthread_mutex_lock(&notifier->lock);
    notifier->stopping = true;
    (void)pthread_cond_broadcast(&notifier->wake);
    (void)pthread_mutex_unlock(&notifier->lock);
    for (size_t i = 0; i < NOTIFY_CHANNELS_MAX; i++) {
        struct sender *s = &notifier->senders[i];
        if (s->started)
            (void)pthread_join(s->thread, NULL);
        if (s->notifier != NULL)
            kt_arena_free(&s->arena);
    }
    (void)pthread_cond_destroy(&notifier->wake);
    (void)pthread_mutex_destroy(&notifier->lock);
    free(notifier);
}
