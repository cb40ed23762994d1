#include <stdio.h>

#include "lib/clock.h"
#include "vaultd/rotation/calendar.h"
#include "vaultd/rotation/issue.h"
#include "vaultd/rotation/plan.h"
#include "vaultd/rotation/probe.h"

/* What a rotation would find now: all that can be tried without changing anything. One look at the
 * target, within its limits, as preflight makes it; what it finds of the stored credential counts as a
 * look (truth.h). The rotation thread counts it, whether somebody waits for the answer or not; one at a
 * target at a time, so that nobody asks before what the last one cost is known. */

#define DRY_WAIT_MS ((int64_t)90 * 1000)
#define DRY_MOST    8u /* at a time */
#define DRY_VALUE_MAX ((size_t)1024 * 1024)

struct dry {
    unsigned char id[RUN_ID]; /* first: that is how news find the request */
    bool asks, over;
    const char *account; /* that would get the new value */
    const char *target;
    uint32_t version;    /* the stored one */
    struct driver_result inspect, probe;
    char limits[200];
};

/* ---- the answer ---- */

struct verdict {
    struct request *req;
    struct kt_jsonw w;
    bool ok;
    const char *first; /* what is not well */
    const char *next;
};

static void say(struct verdict *v, const char *name, bool ok, const char *text, const char *next)
{
    kt_jsonw_object(&v->w);
    kt_jsonw_kv_text(&v->w, "name", name);
    kt_jsonw_kv_bool(&v->w, "ok", ok);
    kt_jsonw_kv_text(&v->w, "text", text);
    kt_jsonw_end(&v->w);
    if (ok || !v->ok)
        return;
    v->ok = false;
    v->first = text;
    v->next = next;
}

static const char *print(struct request *req, const char *format, ...) KT_PRINTF(2, 3);
static const char *print(struct request *req, const char *format, ...)
{
    char text[700];
    va_list args;
    va_start(args, format);
    (void)vsnprintf(text, sizeof text, format, args);
    va_end(args);
    const char *copy = kt_arena_text(&req->arena, kt_str(text));
    return copy == NULL ? "" : copy;
}

/* ---- what the vault knows by itself ---- */

static void say_value(struct verdict *v, const struct work *w)
{
    struct kt_err err = {0};
    const struct credential old = {"", ""};
    const char *made = NULL, *public_part = NULL;
    kt_autobuf struct kt_buf value;
    kt_buf_init(&value, DRY_VALUE_MAX);
    enum kt_kind kind =
        settings_issue(&w->run.settings)
            ? issue_make(v->req, &w->run, kt_bytes(NULL, 0), &value, &made, &err)
            : credential_generate(&w->run.settings, &old, &v->req->arena, &made, &err);
    if (kind == KT_OK && run_touches_target(&w->run))
        kind = credential_public(w->run.driver, made, &v->req->arena, &public_part, &err);
    say(v, "new value", kind == KT_OK,
        kind == KT_OK ? "one can be made" : print(v->req, "%s", err.what),
        print(v->req, "%s", err.hint));
}

static enum kt_kind say_consumers(struct verdict *v, struct work *w, struct kt_err *err)
{
    struct acks acks;
    const struct consumer *lost = NULL;
    size_t n_lost = 0;
    enum kt_kind kind = work_load_consumers(w, err);
    if (kind != KT_OK)
        return kind;
    acks_judge(&w->run, w->consumers, w->n_consumers, &acks);
    acks_lost(v->req, w->consumers, w->n_consumers, &n_lost, &lost);
    const char *next = print(v->req, "mend it first, or: secretctl schedule set %s "
                                     "require_healthy=false", w->run.name);
    if (acks.sick != NULL)
        say(v, "consumers", !w->run.settings.require_healthy,
            print(v->req, "%s@%s is unhealthy: %s", acks.sick->service, acks.sick->host,
                  acks.sick->detail),
            next);
    else if (n_lost > 0)
        say(v, "consumers", false,
            print(v->req, "%zu were not heard of lately (%s@%s): they hold the old one up to "
                          "max_overlap",
                  n_lost, lost->service, lost->host),
            "secretctl agent list");
    else
        say(v, "consumers", true,
            w->n_all == w->n_consumers
                ? print(v->req, "%zu, all heard of and well", w->n_consumers)
                : print(v->req, "%zu, all heard of and well; nobody waits for %zu that are put aside",
                        w->n_consumers, w->n_all - w->n_consumers),
            "");
    return KT_OK;
}

static enum kt_kind say_schedule(struct verdict *v, const struct work *w, struct kt_err *err)
{
    kt_autowhen struct rotation_when by = {0};
    char time[KT_TIME_TEXT];
    int64_t when = 0, now = v->req->now_ms;
    enum kt_kind kind = when_load(v->req, &w->secret.settings, NULL, &by, err);
    if (kind == KT_NO_MEMORY)
        return kind;
    if (kind != KT_OK) {
        say(v, "window", false, print(v->req, "%s", err->what), "secretctl schedule set --help");
        *err = (struct kt_err){0};
        return KT_OK;
    }
    struct kt_due due = {
        .fire_ms = now, .due_ms = now, .closes_ms = INT64_MAX, .reason = KT_DUE_CRON};
    bool waits = kt_schedule_judge(by.schedule, &due, now, &when) == KT_DUE_WAIT;
    kt_time_text(when, time);
    say(v, "window", true,
        waits ? print(v->req, "closed until %s: a run by hand goes now, one by schedule would wait",
                      time)
              : "open",
        "");
    return KT_OK;
}

/* ---- what the target said ---- */

static void say_list(struct verdict *v, const struct driver_result *r)
{
    for (size_t i = 0; i < DRIVER_FINDINGS_MAX && r->findings[i][0] != '\0'; i++)
        say(v, "to know", true, r->findings[i], "");
}

static void say_findings(struct verdict *v, const struct dry *dry)
{
    const struct driver_result *r = &dry->inspect;
    const char *name = "account and rights";
    if (kt_driver_is_missing(r)) {
        say(v, name, true, print(v->req, "there is no account %s: it would be made", dry->account), "");
        return;
    }
    if (r->class != DRIVER_OK) {
        say(v, name, false, r->text, print(v->req, "secretctl target check %s", dry->target));
        return;
    }
    if (r->findings[0][0] == '\0')
        say(v, name, true, print(v->req, "nothing speaks against changing %s", dry->account), "");
    say_list(v, r);
}

static void say_probe(struct verdict *v, const struct dry *dry, const struct work *w)
{
    const struct driver_result *r = &dry->probe;
    const char *target = w->run.settings.target;
    const char *check = print(v->req, "secretctl target check %s", target);
    enum driver_answer control = r->replies[DRIVER_CONTROL].answer;
    enum driver_answer stored = r->replies[DRIVER_OLD].answer;
    bool reached = r->class == DRIVER_OK || r->class == DRIVER_REFUSED ||
                   r->class == DRIVER_WRONG_SERVER;
    say(v, "target", reached, reached ? print(v->req, "%s answers", target) : r->text, check);
    if (!reached)
        return;
    bool in = r->replies[DRIVER_ADMIN].answer == ANSWER_ACCEPTED;
    say(v, "server", r->class != DRIVER_WRONG_SERVER,
        r->class == DRIVER_WRONG_SERVER ? r->text : "the one it was", check);
    say(v, "administrative login", in, in ? "accepted" : r->text, check);
    if (!in)
        return;
    say(v, "wrong password", control == ANSWER_REFUSED,
        control == ANSWER_REFUSED    ? "refused, as it has to be"
        : control == ANSWER_ACCEPTED ? "ACCEPTED: no test proves anything there"
                                     : "no answer that says anything",
        check);
    bool may_be_dead = w->run.settings.old_is_dead && stored == ANSWER_REFUSED;
    say(v, "stored credential", stored == ANSWER_ACCEPTED || may_be_dead,
        stored == ANSWER_ACCEPTED  ? print(v->req, "version %u is accepted", dry->version)
        : stored == ANSWER_REFUSED && r->replies[DRIVER_OLD].mixed
            ? print(v->req, "version %u is not accepted everywhere, the secret has drifted: %s", dry->version, r->text)
        : stored == ANSWER_REFUSED ? print(v->req, "version %u is REFUSED: the secret has drifted",
                                           dry->version)
                                   : "no answer that says anything",
        stored == ANSWER_REFUSED ? print(v->req, "secretctl reconcile %s", w->run.name) : check);
    say_list(v, r);
    say_findings(v, dry);
}

/* ---- the request ---- */

static enum kt_kind answer(struct request *req, const struct dry *dry, struct work *w,
                           const struct kt_err *refused, struct kt_err *err)
{
    struct verdict v = {.req = req, .w = kt_jsonw(&req->reply.data), .ok = true, .first = "", .next = ""};
    const char *name = request_param(req, "path");
    enum kt_kind kind = KT_OK;
    kt_jsonw_object(&v.w);
    kt_jsonw_key(&v.w, "steps");
    kt_jsonw_array(&v.w);
    say(&v, "start", refused == NULL, refused == NULL ? "it could start now" : refused->what,
        refused == NULL ? "" : refused->hint);
    if (refused == NULL) {
        say_value(&v, w);
        kind = say_schedule(&v, w, err);
        if (kind == KT_OK)
            kind = say_consumers(&v, w, err);
    }
    if (kind == KT_OK && dry->limits[0] != '\0')
        say(&v, "limits", false, dry->limits, "the same again then");
    if (kind == KT_OK && dry->over)
        say_probe(&v, dry, w);
    kt_jsonw_end(&v.w);
    kt_jsonw_kv_bool(&v.w, "ok", v.ok);
    kt_jsonw_kv_text(&v.w, "verdict",
                     v.ok ? print(req, "READY  %s: a rotation would go ahead; nothing was changed.", name)
                          : print(req, "NOT READY  %s: %s", name, v.first));
    kt_jsonw_kv_text(&v.w, "next", v.ok ? print(req, "secretctl rotate %s", name) : v.next);
    kt_jsonw_end(&v.w);
    return kind;
}

/* Sends preflight's questions; the answer comes with the request's next turn. */
static enum kt_kind ask(struct request *req, struct dry *dry, struct work *w, struct kt_err *err)
{
    struct rotation *rotation = req->core->rotation;
    char time[KT_TIME_TEXT];
    struct job *job = NULL;
    int64_t steady = rotation_steady_ms(rotation), when = 0;
    if (!rotation_can_run(rotation))
        return kt_fail(err, KT_INVALID, "this vaultd was started without what runs drivers");
    if (!plan_allowed(w, JOB_PREFLIGHT, steady, &when)) {
        kt_time_text(req->now_ms + (when - steady), time);
        (void)snprintf(dry->limits, sizeof dry->limits,
                       "the account was asked as often as %s allows (probe_spacing, "
                       "max_refusals_per_hour): not before %s",
                       w->run.settings.target, time);
        return KT_OK;
    }
    enum kt_kind kind = plan_job(w, JOB_PREFLIGHT, &job, err);
    if (kind != KT_OK)
        return kind;
    job->kind = JOB_DRY;
    job->n = 2; /* looks at the account that would be changed; asks for the stored one */
    job->secret = job_text(job, w->run.name);
    job->version = dry->version;
    job->slot = w->run.slot_old;
    if (job->arena.failed) {
        job_free(job);
        return kt_fail(err, KT_NO_MEMORY, "trying a rotation");
    }
    if (!job_post_dry(rotation, job, DRY_MOST)) {
        job_free(job);
        return kt_fail(err, KT_BUSY, "another dry run asks %s, or %u checks are under way: try again "
                                     "when they have their answers",
                       dry->target, DRY_MOST);
    }
    dry->asks = true;
    req->handler_data = dry;
    request_wait(req, rotation->news, req->received_mono_ms + DRY_WAIT_MS);
    return KT_OK;
}

/* False: not yet. What it said is kept, for this may run again when its commit meets another. */
static bool take(struct request *req, struct dry *dry)
{
    struct job *job = dry->over ? NULL : job_take_check(req->core->rotation, dry->id);
    if (job == NULL)
        return dry->over;
    dry->inspect = job->parts[0].result;
    dry->probe = job->parts[1].result;
    dry->over = true;
    job_free(job);
    return true;
}

/* KT_OK without dry->over: it waits. */
static enum kt_kind conclude(struct request *req, struct dry *dry, struct kt_err *err)
{
    int64_t deadline = req->received_mono_ms + DRY_WAIT_MS;
    if (take(req, dry))
        return KT_OK;
    if (kt_mono_ms(req->core->clock) >= deadline)
        return kt_fail(err, KT_TIMEOUT, "the target did not answer in time");
    request_wait(req, req->core->rotation->news, deadline);
    return KT_OK;
}

/* Who is told that there is no such rotation is told so at once. */
enum kt_kind dry_run_write(struct request *req, struct kt_err *err)
{
    struct dry *dry = req->handler_data;
    struct rotation_secret secret;
    struct work *w = kt_arena_take(&req->arena, sizeof *w);
    if (w == NULL)
        return kt_fail(err, KT_NO_MEMORY, "trying a rotation");
    enum kt_kind kind = secret_load_rotated(req, &secret, err);
    if (kind != KT_OK)
        return kind;
    if (dry != NULL) {
        kind = conclude(req, dry, err);
        if (kind != KT_OK || !dry->over)
            return kind;
    }
    const struct run_wish wish = {.trigger = TRIGGER_OPERATOR, .reason = "", .by = ""};
    struct kt_err refused = {0};
    kind = run_plan(req, &secret, &wish, w, &refused);
    if (kind == KT_OK)
        kind = run_refuse_paused(req, secret.name, &refused);
    if (kind != KT_OK && kind != KT_INVALID && kind != KT_NOT_FOUND)
        return kt_fail(err, kind, "%s", refused.what);
    if (dry == NULL) {
        dry = kt_arena_take(&req->arena, sizeof *dry);
        if (dry == NULL)
            return kt_fail(err, KT_NO_MEMORY, "trying a rotation");
        *dry = (struct dry){.account = "", .target = ""};
        if (kind == KT_OK && run_touches_target(&w->run)) {
            memcpy(dry->id, w->run.id, RUN_ID);
            dry->account = kt_arena_text(&req->arena, kt_str(run_account(&w->run, w->run.slot_new)));
            dry->target = w->run.settings.target;
            dry->version = w->run.from;
            enum kt_kind asked = ask(req, dry, w, err);
            if (asked != KT_OK || dry->asks)
                return asked;
        }
    }
    return answer(req, dry, w, kind == KT_OK ? NULL : &refused, err);
}
