#include "lib/num.h"
#include "lib/tls_place.h"
#include "vaultd/rotation/pass.h"
#include "vaultd/rotation/served.h"

/* Asking the listeners, what their answers mean, and how long they are waited for. */

#define LOOK_MS         5000u /* each of them */
#define PAUSE_LEAST_MS  ((int64_t)300)
#define PAUSE_MOST_MS   ((int64_t)30 * 1000)
#define STEP_NAME_SHOWN "listener"

/* ---- the job ---- */

static enum kt_kind add_look(struct job *job, const struct run *run, struct kt_bytes name, struct kt_err *err)
{
    struct kt_tls_place place;
    char hex[2 * sizeof run->cert_new + 1];
    const char *text = kt_arena_text(&job->arena, name);
    enum kt_kind kind = text == NULL ? kt_fail(err, KT_NO_MEMORY, "asking listeners")
                                     : kt_tls_place_read(text, &place, err);
    if (kind != KT_OK)
        return kind;
    struct job_part *part = job_add(job, DRIVER_INSPECT, PART_ALWAYS);
    if (part == NULL)
        return kt_fail(err, KT_INTERNAL, "a job has too many parts");
    const char *asked_for = run->settings.served_name;
    if (asked_for[0] == '\0' && !kt_tls_is_address(place.host))
        asked_for = place.host;
    kt_hex_encode(run->cert_new, sizeof run->cert_new, hex);
    part->step.driver = "tls";
    part->step.target.host = job_text(job, place.host);
    part->step.target.port = place.port;
    part->step.account = job_text(job, asked_for);
    part->step.digest = job_text(job, hex);
    part->step.timeout_ms = LOOK_MS;
    return KT_OK;
}

static enum kt_kind leave_look(struct pass *p, const struct work *w, struct kt_err *err)
{
    const char *at = w->run.settings.served_at;
    struct kt_bytes name;
    enum kt_kind kind = KT_OK;
    struct job *job = job_new(JOB_SERVED, w->run.id);
    if (job == NULL)
        return kt_fail(err, KT_NO_MEMORY, "asking listeners");
    while (kind == KT_OK && settings_name(&at, &name))
        kind = add_look(job, &w->run, name, err);
    if (kind == KT_OK && job->arena.failed)
        kind = kt_fail(err, KT_NO_MEMORY, "asking listeners");
    if (kind == KT_OK)
        p->job = job;
    else
        job_free(job);
    return kind;
}

int64_t served_pause(const struct job *job, int64_t before_ms)
{
    int64_t took_ms = 0, pause_ms = before_ms + before_ms / 2;
    for (size_t i = 0; i < job->n; i++)
        took_ms += job->parts[i].result.took_ms;
    pause_ms = pause_ms < PAUSE_LEAST_MS ? PAUSE_LEAST_MS : pause_ms < PAUSE_MOST_MS ? pause_ms : PAUSE_MOST_MS;
    return pause_ms < 2 * took_ms ? 2 * took_ms : pause_ms; /* who has it wait long is asked less often */
}

/* ---- what they showed ---- */

/* What a worker says is believed as far as it can be read; it talked to a stranger. */
static bool read_shown(const struct driver_result *result, unsigned char hash[32], int64_t *ret_until_ms)
{
    return kt_hex_decode(kt_str(result->server_id), hash, 32) &&
           kt_i64_parse(kt_str(result->server_version), INT64_MIN, INT64_MAX, ret_until_ms);
}

static enum listener_shows why_not(const struct driver_result *result)
{
    static const struct {
        const char *code;
        enum listener_shows shows;
    } rows[] = {{"resolve", SHOWS_NO_ADDRESS}, {"near", SHOWS_NEAR},    {"connect", SHOWS_NO_ANSWER},
                {"timeout", SHOWS_LATE},       {"tls", SHOWS_NO_TLS}};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        if (strcmp(result->code, rows[i].code) == 0)
            return rows[i].shows;
    return SHOWS_UNKNOWN;
}

static void judge(const struct run *run, const struct job_part *part, struct run_listener *ret)
{
    unsigned char hash[32] = {0};
    *ret = (struct run_listener){.shows = SHOWS_UNKNOWN};
    if (part->result.class != DRIVER_OK) {
        ret->shows = why_not(&part->result);
        return;
    }
    if (!read_shown(&part->result, hash, &ret->until_ms)) {
        ret->until_ms = 0;
        return;
    }
    bool is_new = memcmp(hash, run->cert_new, sizeof hash) == 0;
    bool is_old = memcmp(hash, run->cert_old, sizeof hash) == 0;
    ret->shows = is_new ? SHOWS_NEW : is_old ? SHOWS_OLD : SHOWS_ANOTHER;
    memcpy(ret->mark, hash, sizeof ret->mark);
}

static bool same(const struct run_listener *a, const struct run_listener *b)
{
    return a->shows == b->shows && memcmp(a->mark, b->mark, sizeof a->mark) == 0;
}

/* A step for each that shows something else than before; who changes all the time leaves room for others. */
static enum kt_kind take(struct work *w, const struct job *job, bool *ret_news, struct kt_err *err)
{
    struct run *run = &w->run;
    enum kt_kind kind = KT_OK;
    for (size_t i = 0; i < job->n && i < served_count(run) && kind == KT_OK; i++) {
        struct run_listener now;
        judge(run, &job->parts[i], &now);
        if (same(&now, &run->listeners[i]))
            continue;
        *ret_news = true;
        now.since_ms = w->req->now_ms;
        run->listeners[i] = now;
        if (run->next_seq >= ACKS_MAX)
            continue;
        kt_autobuf struct kt_buf text;
        kt_buf_init(&text, 1024);
        served_listener_text(run, i, &text);
        const char *kept = kt_buf_ok(&text) ? kt_arena_text(&w->req->arena, kt_buf_bytes(&text)) : NULL;
        kind = kept == NULL ? kt_fail(err, KT_NO_MEMORY, "noting what a listener shows")
                            : work_note(w, STEP_NOTE, STEP_NAME_SHOWN, now.shows == SHOWS_NEW, kept,
                                        job->parts[i].result.took_ms, err);
    }
    return kind;
}

enum kt_kind served_settle(struct work *w, const struct job *job, int64_t now_ms, struct kt_err *err)
{
    struct run *run = &w->run;
    struct acks acks;
    bool news = false;
    if (run->machine.state != RUN_ACKING || run->machine.strategy != STRATEGY_GENERATE)
        return KT_OK;
    enum kt_kind kind = take(w, job, &news, err);
    if (kind != KT_OK)
        return kind;
    acks_judge(run, w->consumers, w->n_consumers, &acks);
    if (acks_enough(run, &acks) && served_good(run) == served_count(run))
        return work_event(w, EV_OK, now_ms, NULL, err);
    return news ? run_save(w->req, run, err) : KT_OK;
}

/* ---- waiting ---- */

/* One was asked and did not show it. That nobody could be asked is no listener's fault. */
static bool is_to_blame(const struct run *run)
{
    bool blamed = false;
    for (size_t i = 0; i < served_count(run); i++) {
        enum listener_shows shows = run->listeners[i].shows;
        blamed = blamed || (shows != SHOWS_NEW && shows != SHOWS_UNASKED && shows != SHOWS_UNKNOWN);
    }
    return blamed;
}

static const char *why_back(struct work *w, const char *first)
{
    const struct run *run = &w->run;
    return first == NULL ? NULL
                         : kt_arena_printf(&w->req->arena, "%zu of %zu listeners show v%u after %lld s; %s",
                                           served_good(run), served_count(run), run->to,
                                           (long long)run->settings.ack_timeout_s, first);
}

static enum kt_kind pass_over(struct pass *p, struct work *w, const char *why, struct kt_err *err)
{
    w->run.served_passed = true;
    enum kt_kind kind = work_note(w, STEP_NOTE, STEP_NAME_SHOWN, false, why, 0, err);
    return kind == KT_OK ? pass_event(p, w, EV_OK, NULL, err) : kind;
}

enum kt_kind await_served(struct pass *p, struct work *w, struct kt_err *err)
{
    const struct run *run = &w->run;
    bool looked = p->active->look_ms != 0; /* nobody is judged by what he showed before a restart */
    int64_t at = 0, most = 0, longest = await_most(p, run);
    bool late = pass_deadline_over(p, run, &at), held = run->machine.hold_silent;
    late = late && looked && (is_to_blame(run) || p->now_ms >= longest);
    const char *first = served_first_text(w->req, run), *why = why_back(w, first);
    if (why == NULL)
        return kt_fail(err, KT_NO_MEMORY, "waiting for listeners");
    if (late && !held && machine_can_go_back(&run->machine))
        return pass_event(p, w, EV_SILENT, why, err);
    if (!held && !machine_can_go_back(&run->machine))
        most = longest;
    if (most != 0 && looked && p->now_ms >= at && p->now_ms >= most)
        return pass_over(p, w, why, err);
    pass_wait(p, p->now_ms >= at ? most : at, "listeners %zu/%zu to show v%u: %s%s", served_good(run),
              served_count(run), run->to, first,
              run->machine.past ? "; there is no way back" : "");
    if (p->now_ms >= p->active->look_ms) /* whoever asks meanwhile is told the same */
        return leave_look(p, w, err);
    p->wake_ms = p->active->look_ms;
    return KT_OK;
}
