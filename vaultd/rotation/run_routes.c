#include "lib/plain_text.h"
#include "vaultd/auth/token.h"
#include "vaultd/core/bound.h"
#include "vaultd/core/rows.h"
#include "vaultd/rotation/back.h"
#include "vaultd/rotation/engine.h"
#include "vaultd/rotation/own.h"
#include "vaultd/rotation/pause.h"
#include "vaultd/rotation/people.h"
#include "vaultd/rotation/served.h"
#include "vaultd/rotation/text.h"
#include "vaultd/rotation/together.h"
#include "vaultd/rotation/work.h"

#define LIST_DEFAULT 100
#define LIST_MAX     1000
#define WAIT_MAX_S   300

static void wake_after(struct request *req, const struct commit_result *result)
{
    if (result->error == STORE_OK)
        rotation_wake(req->core->rotation);
}

enum kt_kind run_who(struct request *req, const char **ret, struct kt_err *err)
{
    const char *name = "keyturn";
    if (req->token != NULL)
        name = req->token->display_name[0] != '\0' ? req->token->display_name
                                                   : token_identity(req->token);
    size_t len = kt_text_cut(name, RUN_WHO_MAX);
    char *copy = kt_arena_text(&req->arena, kt_bytes(name, len));
    if (copy == NULL)
        return kt_fail(err, KT_NO_MEMORY, "naming who asked");
    kt_make_plain(copy, len);
    *ret = copy;
    return KT_OK;
}

enum kt_kind run_reason(struct request *req, const char **ret, struct kt_err *err)
{
    *ret = "";
    enum kt_kind kind = request_string(req, "reason", ret, err);
    if (kind != KT_OK && kind != KT_NOT_FOUND)
        return kind;
    if (strlen(*ret) > RUN_REASON_MAX)
        return kt_fail(err, KT_INVALID, "reason is longer than %u bytes", RUN_REASON_MAX);
    return kt_text_check("reason", *ret, err);
}

static enum kt_kind param_id(struct request *req, unsigned char ret[RUN_ID], struct kt_err *err)
{
    if (run_id_parse(request_param(req, "id"), ret))
        return KT_OK;
    (void)kt_fail(err, KT_NOT_FOUND, "no such run");
    kt_hint(err, "which there are: secretctl run list");
    return KT_NOT_FOUND;
}

/* ---- lists ---- */

static void list_info(const struct run *run, struct kt_jsonw *w)
{
    kt_jsonw_object(w);
    kt_jsonw_kv_text(w, "secret", run->name);
    kt_jsonw_kv_text(w, "state", run_state_text(run->machine.state));
    kt_jsonw_kv_int(w, "from", run->from);
    kt_jsonw_kv_int(w, "to", run->to);
    kt_jsonw_kv_time(w, "started", run->started_ms);
    kt_jsonw_kv_time(w, "ended", run->ended_ms);
    kt_jsonw_kv_text(w, "trigger", run_trigger_text(run->trigger));
    kt_jsonw_kv_text(w, "why", run->machine.state == RUN_FROZEN ? run->frozen_text : run->because);
    kt_jsonw_end(w);
}

static enum kt_kind list_prefix(struct request *req, unsigned char prefix[1 + RUN_ID],
                                size_t *ret_len, struct kt_err *err)
{
    const char *name = NULL;
    enum kt_kind kind = request_string(req, "secret", &name, err);
    prefix[0] = TABLE_RUN;
    *ret_len = 1;
    if (kind == KT_NOT_FOUND || (kind == KT_OK && name[0] == '\0'))
        return KT_OK;
    const struct mount *mount = NULL;
    const char *path = NULL;
    if (kind == KT_OK)
        kind = secret_place(req, name, &mount, &path, err);
    if (kind != KT_OK)
        return kind;
    prefix[0] = TABLE_RUN_OF;
    secret_id(req->core, mount->scope, path, prefix + 1);
    *ret_len = 1 + RUN_ID;
    return KT_OK;
}

enum kt_kind runs_list(struct request *req, struct kt_err *err)
{
    int64_t limit = LIST_DEFAULT;
    enum kt_kind kind = request_int(req, "limit", &limit, err);
    if (kind != KT_OK && kind != KT_NOT_FOUND)
        return kind;
    if (limit < 1 || limit > LIST_MAX)
        return kt_fail(err, KT_INVALID, "limit must be from 1 to %d", LIST_MAX);
    unsigned char prefix[1 + RUN_ID];
    size_t len = 0;
    kind = list_prefix(req, prefix, &len, err);
    if (kind != KT_OK)
        return kind;
    struct run *runs = kt_arena_take(&req->arena, (size_t)limit * sizeof *runs);
    if (runs == NULL)
        return kt_fail(err, KT_NO_MEMORY, "listing runs");
    size_t n = 0;
    struct rows rows;
    rows_begin(&rows, req, kt_bytes(prefix, len), kt_bytes(NULL, 0), "listing runs");
    while (kind == KT_OK && n < (size_t)limit && rows_next(&rows)) {
        unsigned char id[RUN_ID];
        run_id_of_key(rows.entry.key, id);
        kind = run_load(req, id, &runs[n++], err);
    }
    kind = rows_end(&rows, kind, err);
    if (kind != KT_OK || n == 0)
        return kind;
    char text[RUN_ID_TEXT];
    struct kt_jsonw w = kt_jsonw(&req->reply.data);
    kt_jsonw_object(&w);
    kt_jsonw_key(&w, "keys");
    kt_jsonw_array(&w);
    for (size_t i = 0; i < n; i++) {
        run_id_text(runs[i].id, text);
        kt_jsonw_text(&w, text);
    }
    kt_jsonw_end(&w);
    kt_jsonw_key(&w, "key_info");
    kt_jsonw_object(&w);
    for (size_t i = 0; i < n; i++) {
        run_id_text(runs[i].id, text);
        kt_jsonw_key(&w, text);
        list_info(&runs[i], &w);
    }
    kt_jsonw_end(&w);
    kt_jsonw_end(&w);
    return KT_OK;
}

/* ---- one run ---- */

struct waiting {
    char for_what[300];
    int64_t until_ms;
};

static void read_waiting(struct rotation *rotation, const struct run *run, struct waiting *ret)
{
    *ret = (struct waiting){.for_what = ""};
    if (run_state_ended(run->machine.state))
        return;
    (void)pthread_mutex_lock(&rotation->lock);
    for (const struct active *a = rotation->actives; a != NULL; a = a->next) {
        if (memcmp(a->id, run->id, RUN_ID) != 0)
            continue;
        memcpy(ret->for_what, a->waits_for, sizeof ret->for_what);
        ret->until_ms = rotation_wall_of(rotation, a->waits_until_ms);
    }
    (void)pthread_mutex_unlock(&rotation->lock);
    if (ret->for_what[0] == '\0') {
        const char *text = run_state_waits(run->machine.state);
        memcpy(ret->for_what, text, strnlen(text, sizeof ret->for_what - 1));
    }
}

static enum kt_kind show_people(struct request *req, const struct run *run, struct kt_jsonw *w,
                                struct kt_err *err)
{
    struct consumer *consumers = NULL;
    size_t n = 0;
    enum kt_kind kind = consumers_load(req, run->secret_id, NULL, &consumers, &n, err);
    if (kind != KT_OK)
        return kind;
    kt_jsonw_key(w, "consumers");
    kt_jsonw_array(w);
    for (size_t i = 0; i < n; i++)
        consumer_show(&consumers[i], w);
    kt_jsonw_end(w);
    kt_jsonw_key(w, "readers");
    if (run_state_ended(run->machine.state) || run->to == 0) {
        kt_jsonw_array(w);
        kt_jsonw_end(w);
        return KT_OK;
    }
    return loose_show(req, run, consumers, n, w, err);
}

static enum kt_kind answer_run(struct request *req, const struct run *run,
                               const struct run_step *steps, size_t n, struct kt_err *err)
{
    struct waiting waiting;
    read_waiting(req->core->rotation, run, &waiting);
    int64_t left = waiting.until_ms - req->now_ms;
    struct kt_jsonw w = kt_jsonw(&req->reply.data);
    kt_jsonw_object(&w);
    run_show(req->core->rotation, run, waiting.for_what, waiting.until_ms,
             waiting.until_ms != 0 && left > 0 ? (left + 999) / 1000 : 0, &w);
    enum kt_kind kind = show_people(req, run, &w, err);
    kt_jsonw_key(&w, "steps");
    kt_jsonw_array(&w);
    for (size_t i = 0; i < n; i++)
        step_show(&steps[i], &w);
    kt_jsonw_end(&w);
    kt_jsonw_end(&w);
    return kind;
}

enum kt_kind run_read(struct request *req, struct kt_err *err)
{
    unsigned char id[RUN_ID];
    int64_t wait_s = 0, since = 0;
    enum kt_kind kind = param_id(req, id, err);
    if (kind == KT_OK)
        kind = request_duration_s(req, "wait", &wait_s, err);
    if (kind == KT_OK || kind == KT_NOT_FOUND)
        kind = request_int(req, "since", &since, err);
    if (kind != KT_OK && kind != KT_NOT_FOUND)
        return kind;
    if (since < 0 || since > UINT32_MAX - 1)
        return kt_fail(err, KT_INVALID, "since must be the number of a step");
    struct run run;
    kind = run_load(req, id, &run, err);
    struct run_step *steps = NULL;
    size_t n = 0;
    if (kind == KT_OK)
        kind = steps_load(req, id, (uint32_t)since, &steps, &n, err);
    if (kind != KT_OK)
        return kind;
    if (wait_s > WAIT_MAX_S)
        wait_s = WAIT_MAX_S;
    int64_t deadline = req->received_mono_ms + wait_s * 1000;
    bool waits = wait_s > 0 && n == 0 && !run_state_ended(run.machine.state) &&
                 kt_mono_ms(req->core->clock) < deadline;
    if (!waits)
        return answer_run(req, &run, steps, n, err);
    if (req->handler_data == NULL)
        req->handler_data = kt_arena_take(&req->arena, RUN_ID);
    if (req->handler_data == NULL)
        return kt_fail(err, KT_NO_MEMORY, "waiting for a run");
    memcpy(req->handler_data, id, RUN_ID);
    request_wait(req, req->core->rotation->news, deadline);
    return KT_OK;
}

enum kt_kind run_report(struct request *req, struct kt_err *err)
{
    unsigned char id[RUN_ID];
    struct run run;
    struct kt_bytes report = {0};
    const char *text = NULL;
    enum kt_kind kind = param_id(req, id, err);
    if (kind == KT_OK)
        kind = run_load(req, id, &run, err);
    if (kind == KT_OK)
        kind = report_load(req, id, &report, &text, err);
    if (kind == KT_NOT_FOUND && err->what[0] == '\0') {
        (void)kt_fail(err, KT_NOT_FOUND, "the run has not ended: there is no report yet");
        kt_hint(err, "follow it: secretctl run watch %s", request_param(req, "id"));
    }
    if (kind != KT_OK)
        return kind;
    struct kt_jsonw w = kt_jsonw(&req->reply.data);
    kt_jsonw_object(&w);
    kt_jsonw_kv_raw(&w, "report", report);
    kt_jsonw_kv_text(&w, "text", text);
    kt_jsonw_end(&w);
    return KT_OK;
}

/* ---- changing one ---- */

static void answer_state(struct request *req, const struct run *run)
{
    char id[RUN_ID_TEXT];
    run_id_text(run->id, id);
    struct kt_jsonw w = kt_jsonw(&req->reply.data);
    kt_jsonw_object(&w);
    kt_jsonw_kv_text(&w, "run", id);
    kt_jsonw_kv_text(&w, "state", run_state_text(run->machine.state));
    kt_jsonw_kv_int(&w, "from", run->from);
    kt_jsonw_kv_int(&w, "to", run->to);
    kt_jsonw_kv_bool(&w, "cancelling", run->cancel);
    together_show(run, &w);
    kt_jsonw_end(&w);
}

/* Nothing is under way at the target: it goes back in this very commit, so that what a person does
 * next finds it so. */
static enum kt_kind go_back_now(struct request *req, const unsigned char id[RUN_ID],
                                const char *why, struct kt_err *err)
{
    struct work *w = kt_arena_take(&req->arena, sizeof *w);
    enum kt_kind kind = w == NULL ? kt_fail(err, KT_NO_MEMORY, "cancelling a run")
                                  : work_load(req, id, w, err);
    if (kind != KT_OK)
        return kind;
    w->run.cancel = true;
    w->run.cancel_why = why;
    back_ordered(&w->run, rotation_steady_ms(req->core->rotation));
    kind = work_note(w, STEP_NOTE, "cancel", true, why, 0, err);
    if (kind == KT_OK)
        kind = work_event(w, EV_CANCEL, rotation_steady_ms(req->core->rotation), why, err);
    if (kind == KT_OK)
        answer_state(req, &w->run);
    return kind;
}

static enum kt_kind ask_back(struct request *req, struct run *run, const char *reason,
                             struct kt_err *err)
{
    enum kt_kind looked = served_bars(req, run, err);
    if (looked != KT_OK)
        return looked;
    if (!machine_can_go_back(&run->machine) && !machine_can_give_up(&run->machine)) {
        (void)kt_fail(err, KT_INVALID, "KT-R-008 the run is %s: it cannot go back any more",
                      run_state_text(run->machine.state));
        kt_hint(err, "%s", text_way_forward(req, run));
        return KT_INVALID;
    }
    const char *name = NULL;
    enum kt_kind kind = run_who(req, &name, err);
    if (kind != KT_OK)
        return kind;
    req->after_commit = wake_after;
    const char *why = kt_arena_printf(&req->arena, "%s asked to go back%s%s", name,
                                      reason[0] == '\0' ? "" : ": ", reason);
    if (why == NULL)
        return kt_fail(err, KT_NO_MEMORY, "cancelling a run");
    if (run->machine.state == RUN_FROZEN)
        return go_back_now(req, run->id, why, err);
    run->cancel = true;
    run->cancel_why = why;
    back_ordered(run, rotation_steady_ms(req->core->rotation));
    kind = step_add(
        req, run, (struct run_step){.kind = STEP_NOTE, .name = "cancel", .ok = true, .text = why},
        err);
    if (kind == KT_OK)
        kind = run_save(req, run, err);
    if (kind == KT_OK)
        answer_state(req, run);
    return kind;
}

enum kt_kind run_cancel(struct request *req, struct kt_err *err)
{
    unsigned char id[RUN_ID];
    struct run run;
    const char *reason = "";
    enum kt_kind kind = run_reason(req, &reason, err);
    if (kind == KT_OK)
        kind = param_id(req, id, err);
    if (kind == KT_OK)
        kind = run_load(req, id, &run, err);
    return kind == KT_OK ? ask_back(req, &run, reason, err) : kind;
}

enum kt_kind run_thaw(struct request *req, struct kt_err *err)
{
    unsigned char id[RUN_ID];
    struct work *w = kt_arena_take(&req->arena, sizeof *w);
    enum kt_kind kind = w == NULL ? kt_fail(err, KT_NO_MEMORY, "thawing a run")
                                  : param_id(req, id, err);
    const char *name = NULL;
    if (kind == KT_OK)
        kind = work_load(req, id, w, err);
    if (kind == KT_OK)
        kind = run_who(req, &name, err);
    if (kind != KT_OK)
        return kind;
    if (w->run.machine.state != RUN_FROZEN)
        return kt_fail(err, KT_INVALID, "KT-R-009 the run is %s, not frozen",
                       run_state_text(w->run.machine.state));
    req->after_commit = wake_after;
    const char *text = kt_arena_printf(&req->arena, "%s let it go on", name);
    kind = work_note(w, STEP_NOTE, "thaw", true, text == NULL ? "" : text, 0, err);
    if (kind == KT_OK)
        kind = work_event(w, EV_THAW, rotation_steady_ms(req->core->rotation), NULL, err);
    if (kind == KT_OK)
        answer_state(req, &w->run);
    return kind;
}

/* ---- rotate ---- */

static void answer_active(struct request *req, const struct rotation_secret *secret)
{
    char id[RUN_ID_TEXT];
    run_id_text(secret->run, id);
    struct kt_jsonw w = kt_jsonw(&req->reply.data);
    kt_jsonw_object(&w);
    kt_jsonw_kv_text(&w, "run", id);
    kt_jsonw_end(&w);
    req->reply.explains = true;
}

enum kt_kind run_refuse_paused(struct request *req, const char *name, struct kt_err *err)
{
    struct rotation_pause pause;
    bool on = false;
    enum kt_kind kind = pause_load(req, &pause, &on, err);
    if (kind != KT_OK || !on)
        return kind;
    const char *text = pause_text(req, &pause, on);
    (void)kt_fail(err, KT_INVALID, "KT-R-030 rotation is %s", text == NULL ? "paused" : text);
    kt_hint(err, "let everything go on: secretctl run resume; only this one, all the same: secretctl "
                 "rotate --force %s",
            name);
    return KT_INVALID;
}

enum kt_kind secret_load_rotated(struct request *req, struct rotation_secret *ret,
                                 struct kt_err *err)
{
    const char *name = request_param(req, "path");
    enum kt_kind kind = secret_load(req, name, ret, err);
    if (kind != KT_NOT_FOUND || err->what[0] != '\0')
        return kind;
    (void)kt_fail(err, KT_INVALID, "KT-R-004 '%s' has no rotation", name);
    kt_hint(err, "say how it is rotated first: secretctl schedule set %s --help", name);
    return KT_INVALID;
}

static enum kt_kind start_by_hand(struct request *req, struct rotation_secret *secret,
                                  struct run_wish wish, struct kt_err *err)
{
    enum kt_kind kind = run_who(req, &wish.by, err);
    if (kind != KT_OK)
        return kind;
    wish.approved_by = request_approved_by(req);
    struct run alone, *runs = &alone;
    size_t n = 1;
    bool as_one = wish.trigger == TRIGGER_OPERATOR || wish.trigger == TRIGGER_BACK;
    kind = as_one ? together_permit(req, secret, err) : KT_OK;
    if (kind == KT_OK)
        kind = as_one ? people_want_all(req, secret, err) : people_want(req, &secret->settings, err);
    if (kind == KT_OK)
        kind = as_one ? together_start(req, secret, &wish, &runs, &n, err) : run_start(req, secret, &wish, &alone, err);
    if (kind == KT_OK)
        kind = people_bind(req, runs, n, err);
    if (kind == KT_OK) {
        req->after_commit = wake_after;
        answer_state(req, runs);
    } else if (secret->active) {
        answer_active(req, secret);
    }
    return kind;
}

enum kt_kind rotate_write(struct request *req, struct kt_err *err)
{
    const char *reason = "";
    bool back = false, force = false;
    struct rotation_secret secret;
    enum kt_kind kind = run_reason(req, &reason, err);
    if (kind == KT_OK)
        kind = request_bool(req, "back", &back, err);
    if (kind == KT_OK || kind == KT_NOT_FOUND)
        kind = request_bool(req, "force", &force, err);
    if (kind != KT_OK && kind != KT_NOT_FOUND)
        return kind;
    kind = secret_load_rotated(req, &secret, err);
    if (kind != KT_OK)
        return kind;
    if (back && secret.active) {
        struct run run;
        kind = run_load(req, secret.run, &run, err);
        if (kind == KT_OK)
            kind = together_permit_back(req, &run, err);
        return kind == KT_OK ? ask_back(req, &run, reason, err) : kind;
    }
    bool stops = !back && !force; /* while everything is paused, and by a pause that comes meanwhile */
    kind = stops ? run_refuse_paused(req, secret.name, err) : KT_OK;
    if (kind == KT_OK)
        kind = start_by_hand(
            req, &secret,
            (struct run_wish){.trigger = back ? TRIGGER_BACK : TRIGGER_OPERATOR, .reason = reason}, err);
    if (kind == KT_OK && stops)
        pause_require_off(req, req->batch);
    return kind;
}

/* It changes what services log in with: who may not rotate without others may not do that either. */
static enum kt_kind is_rotation(struct request *req, const char *name, const char **ret_path, struct kt_err *err)
{
    *ret_path = kt_arena_printf(&req->arena, "rotation/rotate/%s", name);
    if (*ret_path == NULL)
        return kt_fail(err, KT_NO_MEMORY, "starting a rotation");
    request_changes(req, *ret_path, false);
    return KT_OK;
}

enum kt_kind drill_write(struct request *req, struct kt_err *err)
{
    struct run_wish wish = {.trigger = TRIGGER_DRILL, .reason = ""};
    const char *path = NULL;
    struct rotation_secret secret;
    enum kt_kind kind = run_reason(req, &wish.reason, err);
    if (kind == KT_OK)
        kind = request_bool(req, "allow_gap", &wish.allow_gap, err);
    if (kind == KT_OK || kind == KT_NOT_FOUND)
        kind = secret_load_rotated(req, &secret, err);
    if (kind == KT_OK)
        kind = run_refuse_paused(req, secret.name, err);
    if (kind == KT_OK)
        kind = is_rotation(req, secret.name, &path, err);
    if (kind == KT_OK)
        kind = start_by_hand(req, &secret, wish, err);
    if (kind == KT_OK)
        pause_require_off(req, req->batch);
    return kind;
}

/* What was ended in the vault itself is not set again, but made anew: whoever has that done may rotate it, and
 * waits while everything is paused. */
static enum kt_kind permit_another(struct request *req, const char *name, struct kt_err *err)
{
    const char *path = NULL;
    enum kt_kind kind = is_rotation(req, name, &path, err);
    if (kind == KT_OK)
        kind = request_also(req, OP_UPDATE, path, err);
    if (kind == KT_OK)
        kind = run_refuse_paused(req, name, err);
    if (kind == KT_INVALID)
        kt_hint(err, "let everything go on first: secretctl run resume");
    return kind;
}

/* Else not held up while everything is paused: like going back, it gives services what the vault says. */
enum kt_kind reconcile_write(struct request *req, struct kt_err *err)
{
    const char *reason = "";
    struct rotation_secret secret;
    enum kt_kind kind = run_reason(req, &reason, err);
    if (kind == KT_OK)
        kind = secret_load_rotated(req, &secret, err);
    bool another = false;
    if (kind == KT_OK)
        kind = own_rotates(req, &secret, &another, err);
    if (kind == KT_OK && another)
        kind = permit_another(req, secret.name, err);
    const struct run_wish wish = {.trigger = TRIGGER_RECONCILE, .reason = reason};
    if (kind == KT_OK)
        kind = start_by_hand(req, &secret, wish, err);
    if (kind == KT_OK && another)
        pause_require_off(req, req->batch);
    return kind;
}
