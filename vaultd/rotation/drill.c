#include "vaultd/rotation/drill.h"

#include "vaultd/rotation/overdue.h"

#include "lib/duration.h"
#include "vaultd/rotation/back.h"
#include "vaultd/rotation/calendar.h"

/* ---- rows ---- */

enum kt_kind drill_row(struct request *req, struct rotation_secret *secret, int64_t at_ms,
                       struct kt_err *err)
{
    struct batch *batch = request_batch(req);
    unsigned char key[DUE_KEY];
    if (batch == NULL)
        return kt_fail(err, KT_NO_MEMORY, "planning a drill");
    if (secret->drill_due_ms == at_ms)
        return KT_OK;
    if (secret->drill_due_ms != 0) {
        drill_key(secret->drill_due_ms, secret->id, key);
        batch_delete(batch, kt_bytes(key, sizeof key));
    }
    secret->drill_due_ms = at_ms;
    if (at_ms == 0)
        return KT_OK;
    drill_key(at_ms, secret->id, key);
    return due_row_put(req, kt_bytes(key, sizeof key), secret->name, err);
}

enum kt_kind drill_forget(struct request *req, struct rotation_secret *secret, struct kt_err *err)
{
    secret->backed_ms = secret->back_took_ms = 0;
    secret->drilled_ms = secret->drill_took_ms = 0;
    secret->drill_ok = false;
    secret->drill_text = "";
    return drill_row(req, secret, 0, err);
}

/* ---- when ---- */

/* Its own cron, in the window and the calendar of the secret. */
static enum kt_kind load_when(struct request *req, const struct rotation_settings *settings,
                              struct rotation_when *ret, struct kt_err *err)
{
    struct rotation_settings own = *settings;
    own.cron = settings->drill;
    own.period = own.jitter = own.max_age = own.risk = "";
    own.catchup = "one";
    return when_load(req, &own, NULL, ret, err);
}

static bool can_drill(const struct rotation_settings *settings)
{
    return settings->drill[0] != '\0' && settings_has_target(settings);
}

enum kt_kind drill_check(struct request *req, const struct rotation_settings *settings,
                         struct kt_err *err)
{
    kt_autowhen struct rotation_when when = {0};
    struct kt_err why = {0};
    struct rotation_secret secret = {.name = "it", .settings = *settings};
    secret.settings.old_is_dead = false; /* said of the next run, after which there are drills again */
    if (settings->drill[0] == '\0')
        return KT_OK;
    enum kt_kind kind = drill_possible(&secret, false, err);
    if (kind != KT_OK)
        return kind;
    kind = load_when(req, settings, &when, &why);
    if (kind == KT_OK)
        return KT_OK;
    (void)kt_fail(err, kind == KT_NOT_FOUND ? KT_INVALID : kind, "drill: %s", why.what);
    kt_hint(err, "%s", why.hint);
    return err->kind;
}

enum kt_kind drill_possible(const struct rotation_secret *secret, bool allow_gap, struct kt_err *err)
{
    const struct rotation_settings *s = &secret->settings;
    if (!settings_has_target(s)) {
        (void)kt_fail(err, KT_INVALID, "KT-R-004 '%s' has no target: there is no way back to be tried",
                      secret->name);
        kt_hint(err, "a value of before: secretctl rotate %s --back", secret->name);
        return KT_INVALID;
    }
    if (s->old_is_dead) {
        (void)kt_fail(err, KT_INVALID, "KT-R-004 the current version of '%s' is meant to be dead (old_is_dead): there is "
                                       "no way back to be tried",
                      secret->name);
        kt_hint(err, "replace it first: secretctl rotate %s", secret->name);
        return KT_INVALID;
    }
    if (s->strategy != STRATEGY_IN_PLACE || s->allow_gap || allow_gap)
        return KT_OK;
    (void)kt_fail(err, KT_INVALID, "KT-R-031 in-place, a drill of '%s' cuts its consumers off for a moment, "
                                   "there and back",
                  secret->name);
    kt_hint(err, "if they may be: --allow-gap, or allow_gap=true among its settings; strategies alternate "
                 "and overlap have no gap");
    return KT_INVALID;
}

enum kt_kind drill_plan(struct request *req, struct rotation_secret *secret, int64_t after_ms,
                        struct kt_err *err)
{
    static const struct kt_schedule_seed no_jitter = {0};
    kt_autowhen struct rotation_when when = {0};
    struct kt_err why = {0};
    struct kt_due due;
    secret->drill_fire_ms = 0;
    if (!can_drill(&secret->settings))
        return drill_row(req, secret, 0, err);
    enum kt_kind kind = load_when(req, &secret->settings, &when, &why);
    if (kind == KT_NO_MEMORY)
        return kt_fail(err, kind, "planning a drill");
    if (kind != KT_OK) { /* a time zone is gone, say */
        secret->drill_text = kt_arena_printf(&req->arena, "it cannot be planned: %.400s", why.what);
        if (secret->drill_text == NULL)
            return kt_fail(err, KT_NO_MEMORY, "planning a drill");
        secret->drill_ok = false;
        return drill_row(req, secret, 0, err);
    }
    if (!kt_schedule_next(when.schedule, &no_jitter, after_ms, 0, 0, &due))
        return drill_row(req, secret, 0, err);
    secret->drill_fire_ms = due.fire_ms;
    return drill_row(req, secret, due.due_ms, err);
}

enum kt_kind drill_follow(struct request *req, const struct rotation_settings *before,
                          struct rotation_secret *secret, struct kt_err *err)
{
    const struct rotation_settings *s = &secret->settings;
    bool same = strcmp(before->drill, s->drill) == 0 && strcmp(before->zone, s->zone) == 0 &&
                strcmp(before->window, s->window) == 0 && strcmp(before->blackout, s->blackout) == 0 &&
                settings_has_target(before) == settings_has_target(s);
    bool planned = secret->drill_due_ms != 0 || !can_drill(s);
    return same && planned ? KT_OK : drill_plan(req, secret, req->now_ms, err);
}

enum kt_kind drill_replan(struct request *req, struct rotation_secret *secret, bool *ret_changed,
                          struct kt_err *err)
{
    int64_t before_ms = secret->drill_due_ms;
    if (before_ms == 0 || before_ms <= req->now_ms)
        return KT_OK;
    /* One whose time has passed waits for its window: it is not lost. */
    int64_t after_ms = secret->drill_fire_ms <= req->now_ms ? secret->drill_fire_ms - 1 : req->now_ms;
    enum kt_kind kind = drill_plan(req, secret, after_ms, err);
    *ret_changed = *ret_changed || secret->drill_due_ms != before_ms;
    return kind;
}

enum kt_kind drill_judge(struct request *req, struct rotation_secret *secret, struct rotation_when *when,
                         enum kt_due_verdict *ret, struct kt_due *ret_due, int64_t *ret_ms,
                         struct kt_err *err)
{
    enum kt_kind kind = load_when(req, &secret->settings, when, err);
    if (kind != KT_OK)
        return kind;
    *ret_due = (struct kt_due){.fire_ms = secret->drill_fire_ms,
                               .due_ms = secret->drill_due_ms,
                               .closes_ms = INT64_MAX,
                               .reason = KT_DUE_CRON};
    *ret = kt_schedule_judge(when->schedule, ret_due, req->now_ms, ret_ms);
    return KT_OK;
}

/* A window that closed before anything was begun is no drill: the same comes when it opens again. */
enum kt_kind drill_again(struct request *req, struct rotation_secret *secret, struct kt_err *err)
{
    kt_autowhen struct rotation_when when = {0};
    struct kt_err why = {0};
    int64_t at = 0;
    if (!can_drill(&secret->settings) || load_when(req, &secret->settings, &when, &why) != KT_OK)
        return drill_plan(req, secret, req->now_ms, err);
    struct kt_due due = {.fire_ms = req->now_ms, .due_ms = req->now_ms, .closes_ms = INT64_MAX};
    if (kt_schedule_judge(when.schedule, &due, req->now_ms, &at) != KT_DUE_WAIT || at <= req->now_ms)
        return drill_plan(req, secret, req->now_ms, err);
    secret->drill_fire_ms = due.fire_ms;
    return drill_row(req, secret, at, err);
}

/* ---- what came of it ---- */

bool drill_passed(const struct run *run)
{
    return run->machine.drills && run->machine.turned && run->machine.state == RUN_ROLLED_BACK;
}

bool drill_was_good(const struct run *run)
{
    const struct back_time time = back_time(run);
    return drill_passed(run) && time.measured && !time.missed;
}

const char *drill_word(const struct run *run)
{
    if (run->trigger != TRIGGER_DRILL)
        return "";
    if (!run_state_ended(run->machine.state))
        return "under way";
    return drill_was_good(run) ? "good" : "failed";
}

static const char *outcome(struct work *w, const struct back_time *time)
{
    const struct run *run = &w->run;
    struct kt_arena *arena = &w->req->arena;
    char took[KT_DURATION_TEXT], most[KT_DURATION_TEXT];
    kt_duration_text((uint64_t)time->took_ms, took);
    kt_duration_text((uint64_t)run->settings.rto_s * 1000, most);
    if (!drill_passed(run))
        return kt_arena_printf(arena, "it did not come so far: %.400s",
                               run->because[0] == '\0' ? run_state_text(run->machine.state) : run->because);
    if (!time->measured)
        return kt_arena_printf(arena, "it went back, but not every consumer was seen well with version %u again",
                               run->from);
    if (time->missed)
        return kt_arena_printf(arena, "it went back in %s, longer than its objective of %s", took, most);
    return run->settings.rto_s == 0
               ? kt_arena_printf(arena, "it went back in %s", took)
               : kt_arena_printf(arena, "it went back in %s, within its objective of %s", took, most);
}

void drill_note(struct work *w)
{
    struct rotation_secret *secret = &w->secret;
    const struct back_time time = back_time(&w->run);
    if (time.measured) {
        secret->backed_ms = w->req->now_ms;
        secret->back_took_ms = time.took_ms;
    }
    /* One that had to become a rotation is a drill that failed. */
    if (w->run.trigger != TRIGGER_DRILL || w->run.window_closed)
        return;
    const char *text = outcome(w, &time);
    secret->drilled_ms = w->req->now_ms;
    secret->drill_took_ms = time.measured ? time.took_ms : -1;
    secret->drill_ok = drill_was_good(&w->run);
    secret->drill_text = text == NULL ? "" : text;
    if (!secret->drill_ok) /* people hear of the run */
        secret->overdue_told |= 1u << OVERDUE_DRILL;
}

void drill_show(const struct rotation_secret *secret, struct kt_jsonw *w)
{
    kt_jsonw_kv_time(w, "backed", secret->backed_ms);
    kt_jsonw_kv_int(w, "back_took_ms", secret->backed_ms == 0 ? -1 : secret->back_took_ms);
    kt_jsonw_kv_time(w, "drilled", secret->drilled_ms);
    kt_jsonw_kv_bool(w, "drill_ok", secret->drill_ok);
    kt_jsonw_kv_int(w, "drill_took_ms", secret->drilled_ms == 0 ? -1 : secret->drill_took_ms);
    kt_jsonw_kv_text(w, "drill_result", secret->drill_text);
    kt_jsonw_kv_time(w, "next_drill", secret->drill_due_ms);
}
