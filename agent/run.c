#include "agent/run.h"

#include "agent/fetch.h"
#include "lib/log.h"

#define WATCH_S   300u
#define AGAIN_S   5u   /* while something is left to be done */
#define RUN_LIVED (-2) /* the program ran and ended */

struct runner {
    struct supervisor s;
    struct link *link;
    struct service service;
    struct wanted wanted[CONFIG_SECRETS_MAX];
    bool vault_away;
};

static void note_away(struct runner *r, enum kt_kind kind, const struct kt_err *err)
{
    /* Once, not at every try: an hour's outage is two lines. */
    if (!r->vault_away)
        kt_log_err(KT_LOG_WARNING, "vault-away", err);
    r->vault_away = kind != KT_OK;
}

static void note_back(struct runner *r)
{
    if (r->vault_away)
        kt_log(KT_LOG_NOTICE, "vault-back", "service=%s", r->service.config->service);
    r->vault_away = false;
    link_worked(r->link);
}

/* Changes that come close together are one activation. What cannot be asked for now comes with the next answer. */
static void gather(struct runner *r)
{
    struct kt_err err = {0};
    bool more = false;
    int64_t end = kt_mono_ms(&kt_system_clock) + r->service.config->debounce_ms, left = 0;
    while ((left = end - kt_mono_ms(&kt_system_clock)) > 0 && !r->s.ending && r->s.state == CHILD_RUNNING)
        (void)child_events(&r->s, (int)left);
    if (link_may_watch(r->link))
        (void)!link_watch(r->link, 0, r->wanted, &more, &err);
}

static void take_news(struct runner *r)
{
    for (size_t i = 0; i < r->service.config->n_secrets; i++)
        r->wanted[i].news = r->wanted[i].put_back = false;
}

static void watch_loop(struct runner *r)
{
    struct kt_err err = {0};
    bool settled = true;
    while (r->s.state == CHILD_RUNNING) {
        if (r->s.ending) {
            (void)child_events(&r->s, -1);
            continue;
        }
        link_keep_token(r->link);
        bool news = false;
        bool reported = report_again(&r->service, r->wanted);
        unsigned wait_s = reported && settled ? WATCH_S : AGAIN_S;
        enum kt_kind kind = link_watch(r->link, wait_s, r->wanted, &news, &err);
        if (kind == KT_GONE)
            continue;
        if (kind != KT_OK) {
            note_away(r, kind, &err);
            if (kind == KT_DENIED && link_new_token(r->link))
                continue;
            (void)link_pause(r->link, INT64_MAX);
            continue;
        }
        note_back(r);
        if (news)
            gather(r);
        if (news || !settled)
            settled = service_move(&r->service, r->wanted);
        take_news(r);
    }
}

static int program_failed(enum kt_kind kind, struct kt_err *err)
{
    if (kind != KT_NOT_FOUND && kind != KT_DENIED)
        return RUN_FAILED;
    kt_log_err(KT_LOG_ERROR, "cannot-run", err);
    return kind == KT_NOT_FOUND ? 127 : 126;
}

static int live(struct runner *r, const struct run_options *options, struct kt_err *err)
{
    const struct config *config = options->config;
    enum kt_kind kind = link_open(config, options->token, &r->s, &r->link, err);
    if (kind == KT_OK)
        kind = service_init(&r->service, config, &r->s, r->link, err);
    if (kind == KT_OK)
        kind = fetch_first(&r->service, options->wait_ms, err);
    if (kind != KT_OK)
        return RUN_FAILED;
    for (size_t i = 0; i < config->n_secrets; i++)
        r->wanted[i].secret = config->secrets[i];
    kind = place_start(&r->service, err);
    if (kind != KT_OK)
        return program_failed(kind, err);
    report_started(&r->service);
    watch_loop(r);
    report_gone(&r->service);
    if (!r->service.place.lost)
        return RUN_LIVED;
    (void)kt_fail(err, KT_INTERNAL,
                  "service %s was stopped for a new version and could not be "
                  "started again",
                  config->service);
    kt_hint(err, "the log above says why; start secret-agent again once it is mended");
    return RUN_FAILED;
}

int run_service(const struct run_options *options, struct kt_err *err)
{
    struct runner r = {.link = NULL};
    enum kt_kind kind = supervisor_open(&r.s, options->argv, options->base_env, options->umask,
                                        options->config->stop_timeout_ms, err);
    int status = kind == KT_OK ? live(&r, options, err) : RUN_FAILED;
    service_free(&r.service);
    link_close(r.link);
    supervisor_close(&r.s);
    /* Last, with everything wiped: a death by signal is repeated here and does not return. */
    if (status == RUN_FAILED && r.s.state == CHILD_NONE && r.s.ending)
        return child_exit_status(&r.s);
    return status == RUN_LIVED ? child_exit_status(&r.s) : status;
}
