#include "lib/driver/http_api.h"
#include "lib/log.h"
#include "vaultd/rotation/back.h"
#include "vaultd/rotation/drill.h"
#include "vaultd/rotation/issue.h"
#include "vaultd/rotation/revoked.h"
#include "vaultd/rotation/served.h"
#include "vaultd/rotation/text.h"
#include "vaultd/rotation/work.h"

/* Making a run: the record, its lock, its place in the lists; the due row goes. A run without a
 * target has nothing to wait for and is done in the same commit. */

#define VALUE_MAX ((size_t)1024 * 1024)

static enum kt_kind refuse_active(const struct rotation_secret *secret, struct kt_err *err)
{
    char id[RUN_ID_TEXT];
    run_id_text(secret->run, id);
    (void)kt_fail(err, KT_INVALID, "KT-R-003 run %s of '%s' is active already", id, secret->name);
    kt_hint(err, "follow it: secretctl run watch %s", id);
    return KT_INVALID;
}

/* Which of the accounts the current version names, and which comes next. */
static enum kt_kind choose_slots(struct request *req, const struct rotation_secret *secret,
                                 const struct kv_secret *kv, struct run *run, struct kt_err *err)
{
    struct credential old;
    enum kt_kind kind =
        credential_load(req, secret, &secret->settings, kv, run->from, &old, NULL, err);
    if (kind != KT_OK)
        return kind;
    const struct rotation_settings *s = &secret->settings;
    bool second = strcmp(old.username, s->accounts[1]) == 0;
    if (!second && strcmp(old.username, s->accounts[0]) != 0) {
        (void)kt_fail(err, KT_INVALID,
                      "KT-R-004 the secret's \"%s\" is none of the accounts of its rotation",
                      s->username_field);
        kt_hint(err, "write the account that is in use (%s?): secretctl kv patch %s %s=",
                s->accounts[0], secret->name, s->username_field);
        return KT_INVALID;
    }
    if (s->strategy == STRATEGY_ALTERNATE) {
        run->slot_old = second ? 1 : 0;
        run->slot_new = run->machine.mends ? run->slot_old : 1 - run->slot_old;
    }
    return KT_OK;
}

/* Back after the revocation: the value before, again, at the account that it was of. */
static enum kt_kind choose_back(struct request *req, const struct rotation_secret *secret,
                                const struct kv_secret *kv, struct run *run, struct kt_err *err)
{
    struct credential before;
    if (secret->done_to == 0 || secret->done_to != kv->current)
        return kt_fail(err, KT_INVALID, "KT-R-006 there is no rotation to go back from");
    if (revoked_is_list(&secret->settings)) {
        (void)kt_fail(err, KT_INVALID, "KT-R-006 '%s' lists what is revoked: one of before lacks what was since",
                      secret->name);
        kt_hint(err, "have it made anew: secretctl rotate %s", secret->name);
        return KT_INVALID;
    }
    enum kt_kind kind = credential_load(req, secret, &secret->settings, kv, secret->done_from,
                                        &before, NULL, err);
    if (kind != KT_OK) {
        (void)kt_fail(err, KT_INVALID, "KT-R-006 version %u cannot be read any more",
                      secret->done_from);
        kt_hint(err, "make a new value instead: secretctl rotate %s", secret->name);
        return KT_INVALID;
    }
    if (run_touches_target(run) && strcmp(before.username, run_account(run, run->slot_new)) != 0)
        return kt_fail(err, KT_INVALID, "KT-R-006 version %u is not of account '%s'",
                       secret->done_from, run_account(run, run->slot_new));
    run->back_to = secret->done_from;
    return KT_OK;
}

static enum kt_kind refuse_given(const struct rotation_target *target, const struct run *run, const char *code,
                                 struct kt_err *err)
{
    (void)kt_fail(err, KT_INVALID, "%s target '%s' makes its values itself: none can be set again", code,
                  target->name);
    kt_hint(err, "have it make a new one: secretctl rotate %s", run->name);
    return KT_INVALID;
}

/* What was ended here stays ended. To reconcile is to make another. */
static enum kt_kind check_inside(const struct rotation_target *target, const struct run_wish *wish,
                                 struct run *run, struct kt_err *err)
{
    run->machine.given = true;
    return wish->trigger == TRIGGER_BACK ? refuse_given(target, run, "KT-R-006", err) : KT_OK;
}

/* What the target makes by itself cannot be set: neither a value before, nor the stored one again. */
static enum kt_kind check_given(struct request *req, const struct rotation_target *target,
                                const struct run_wish *wish, struct run *run, struct kt_err *err)
{
    const struct driver_info *info = kt_driver_info(target->driver);
    struct http_api api;
    if (info != NULL && info->inside)
        return check_inside(target, wish, run, err);
    if (info == NULL || !info->api)
        return KT_OK;
    enum kt_kind kind = kt_http_api_read(target->api, &req->arena, &api, err);
    if (kind != KT_OK)
        return kind;
    const bool can[STRATEGY_COUNT] = {
        [STRATEGY_ALTERNATE] = api.alternate, [STRATEGY_OVERLAP] = api.overlap, [STRATEGY_IN_PLACE] = api.in_place};
    if (!can[run->machine.strategy])
        return kt_fail(err, KT_INVALID, "KT-R-004 what target '%s' declares does not allow strategy %s any more",
                       target->name, run_strategy_text(run->machine.strategy));
    run->machine.given = api.makes;
    if (!api.makes || (wish->trigger != TRIGGER_BACK && wish->trigger != TRIGGER_RECONCILE))
        return KT_OK;
    return refuse_given(target, run, wish->trigger == TRIGGER_BACK ? "KT-R-006" : "KT-R-004", err);
}

/* Two orders that say the opposite: nobody is let in with what may have leaked. */
static enum kt_kind check_mends(const struct run *run, struct kt_err *err)
{
    if (!run->machine.mends || run->machine.given || !run->settings.old_is_dead)
        return KT_OK;
    (void)kt_fail(err, KT_INVALID, "KT-R-004 the current version of '%s' is meant to be dead (old_is_dead): it is not set "
                                   "again",
                  run->name);
    kt_hint(err, "replace it: secretctl rotate %s; or take that back: secretctl schedule set %s old_is_dead=false",
            run->name, run->name);
    return KT_INVALID;
}

static enum kt_kind put_run(struct request *req, struct run *run, struct kt_err *err)
{
    struct batch *batch = request_batch(req);
    unsigned char of[RUN_OF_KEY], active[RUN_KEY], lock[BARRIER_HASH_KEY];
    run_of_key(run->secret_id, run->id, of);
    batch_put(batch, kt_bytes(of, sizeof of), kt_bytes("\x01", 1));
    if (run_state_ended(run->machine.state))
        return run_save(req, run, err);
    active_key(run->id, active);
    batch_put(batch, kt_bytes(active, sizeof active), kt_bytes("\x01", 1));
    if (!run_touches_target(run))
        return run_save(req, run, err);
    run_lock_key(req->core, &run->settings, lock);
    batch_require(batch, KEY_ABSENT, kt_bytes(lock, sizeof lock), 0);
    enum kt_kind kind = barrier_put(req->core->barrier, batch, kt_bytes(lock, sizeof lock),
                                    kt_bytes(run->id, RUN_ID), err);
    return kind == KT_OK ? run_save(req, run, err) : kind;
}

const char *run_lock_name(const struct rotation_settings *settings)
{
    return settings->group[0] != '\0' ? settings->group : settings->accounts[0];
}

void run_lock_key(struct core *core, const struct rotation_settings *settings, unsigned char out[BARRIER_HASH_KEY])
{
    lock_key(core, "run", settings->target, run_lock_name(settings), out);
}

enum kt_kind run_lock_holder(struct request *req, const struct rotation_settings *settings,
                             unsigned char ret[RUN_ID], struct kt_err *err)
{
    unsigned char lock[BARRIER_HASH_KEY];
    struct kt_bytes record;
    run_lock_key(req->core, settings, lock);
    enum kt_kind kind = request_record(req, kt_bytes(lock, sizeof lock), &record, NULL, err);
    if (kind == KT_OK && record.len != RUN_ID)
        return kt_fail(err, KT_CORRUPT, "the lock of a run is damaged");
    if (kind == KT_OK)
        memcpy(ret, record.at, RUN_ID);
    return kind;
}

/* The lock of another run is no conflict that goes away by trying again at once. */
static enum kt_kind check_lock(struct request *req, const struct run *run, struct kt_err *err)
{
    unsigned char other[RUN_ID];
    char id[RUN_ID_TEXT];
    enum kt_kind kind = run_lock_holder(req, &run->settings, other, err);
    if (kind == KT_NOT_FOUND)
        return KT_OK;
    if (kind != KT_OK)
        return kind;
    run_id_text(other, id);
    (void)kt_fail(err, KT_INVALID, "KT-R-003 run %s changes an account of this group", id);
    kt_hint(err, "wait for it: secretctl run watch %s", id);
    return KT_INVALID;
}

/* ---- without a target ---- */

static enum kt_kind add_state(struct work *w, enum run_state state, const char *text,
                              struct kt_err *err)
{
    w->run.machine.state = state;
    w->run.state_ms = rotation_steady_ms(w->req->core->rotation);
    return work_note(w, STEP_STATE, run_state_text(state), true, text, 0, err);
}

/* ret_text: what was made, for people. */
static enum kt_kind make_value(struct work *w, struct kt_buf *value, const char **ret_text, struct kt_err *err)
{
    struct request *req = w->req;
    const struct rotation_settings *s = &w->run.settings;
    struct credential old = {"", ""}, made = {"", ""};
    struct kt_bytes json = {0};
    enum kt_kind kind = KT_OK;
    uint32_t source = w->run.back_to != 0 ? w->run.back_to : w->run.from;
    *ret_text = w->run.back_to != 0 ? "the value of before is made current again" : "a new random value is made";
    if (source != 0)
        kind = credential_load(req, &w->secret, s, w->kv, source, &old, &json, err);
    if (kind != KT_OK)
        return kind;
    if (settings_issue(s) && w->run.back_to == 0)
        return issue_make(req, &w->run, json, value, ret_text, err);
    if (settings_issue(s)) { /* all members are those of that version */
        kt_buf_add_bytes(value, json);
        return kt_buf_ok(value) ? KT_OK : kt_fail(err, KT_NO_MEMORY, "making a new version");
    }
    if (w->run.back_to != 0)
        made = old;
    else
        kind = credential_generate(s, &old, &req->arena, &made.password, err);
    return kind == KT_OK ? credential_write(s, json, &made, value, err) : kind;
}

/* Is the certificate in the new version one that is signed now, or was by a rotation before? Lists leave what
 * else is in the secret as it is. */
static bool is_issued(const struct work *w)
{
    const struct rotation_settings *s = &w->run.settings;
    const struct kv_version *source = kv_version(w->kv, w->run.back_to);
    if (w->run.back_to != 0)
        return source != NULL && source->issued;
    return settings_issue(s) && !revoked_is_list(s);
}

static enum kt_kind new_value(struct work *w, const char **ret_text, struct kt_err *err)
{
    struct request *req = w->req;
    kt_autobuf struct kt_buf value;
    kt_buf_init(&value, VALUE_MAX);
    enum kt_kind kind = make_value(w, &value, ret_text, err);
    enum kv_stage stage = is_issued(w) ? KV_ISSUED : KV_CURRENT;
    if (kind == KT_OK && served_wanted(&w->run.settings))
        kind = served_begin(w, kt_buf_bytes(&value), err);
    if (kind == KT_OK)
        kind = kv_write(req->core, w->secret.mount, req->snapshot, request_batch(req),
                        w->secret.path, w->kv, kt_buf_bytes(&value), stage, req->now_ms, err);
    w->run.to = w->kv->newest;
    return kind;
}

/* It is current at once, and done, too, unless listeners have to show it first. */
static enum kt_kind make_current(struct work *w, struct kt_err *err)
{
    const char *text = "";
    enum kt_kind kind = new_value(w, &text, err);
    if (kind == KT_OK)
        kind = revoked_stir_all(w->req, &w->secret, err);
    if (kind == KT_OK)
        kind = work_load_consumers(w, err);
    if (kind == KT_OK)
        kind = add_state(w, RUN_GENERATED, text, err);
    if (kind == KT_OK && served_wanted(&w->run.settings)) {
        w->secret.active = true;
        w->run.machine.state = RUN_ACKING; /* whose text it is */
        kind = add_state(w, RUN_ACKING, text_of_state(w->req, &w->run), err);
        return kind == KT_OK ? secret_save(w->req, &w->secret, err) : kind;
    }
    if (kind == KT_OK)
        kind = add_state(w, RUN_DONE, "it is current; there is no target to tell", err);
    if (kind == KT_OK)
        kind = work_finish(w, err);
    return kind;
}

/* ---- the whole ---- */

static void fill_run(struct request *req, const struct rotation_secret *secret,
                     const struct mount *mount, const struct run_wish *wish, struct run *run)
{
    const struct rotation_settings *s = &secret->settings;
    *run = (struct run){.name = secret->name,
                        .driver = "",
                        .settings = *s,
                        .machine = {.strategy = s->strategy,
                                    .hold_unhealthy = s->hold_unhealthy,
                                    .hold_silent = s->hold_silent,
                                    .mends = wish->trigger == TRIGGER_RECONCILE,
                                    .drills = wish->trigger == TRIGGER_DRILL,
                                    .fixed_value = wish->trigger == TRIGGER_BACK},
                        .public_old = "",
                        .public_new = "",
                        .serial_old = "",
                        .trigger = wish->trigger,
                        .reason = wish->reason,
                        .by = wish->by,
                        .cancel_why = "",
                        .because = "",
                        .started_ms = req->now_ms,
                        .state_ms = rotation_steady_ms(req->core->rotation),
                        .frozen_text = "",
                        .frozen_known = "",
                        .frozen_next = "",
                        .frozen_now = "",
                        .server_id = "",
                        .server_version = ""};
    run->closes_ms = wish->closes_ms;
    if (wish->trigger == TRIGGER_BACK)
        back_ordered(run, rotation_steady_ms(req->core->rotation));
    run->audit_from = audit_size_now(req);
    run->mates = wish->mates;
    if (wish->id != NULL)
        memcpy(run->id, wish->id, RUN_ID);
    else
        run_id_make(req->now_ms, run->id);
    memcpy(run->secret_id, secret->id, RUN_ID);
    memcpy(run->scope, mount->scope, BARRIER_SCOPE);
    memcpy(run->budgets, secret->budgets, sizeof run->budgets);
}

static enum kt_kind load_kv(struct request *req, const struct rotation_secret *secret,
                            struct kv_secret **ret, struct kt_err *err)
{
    enum kt_kind kind = kv_load(req->core, secret->mount, req->snapshot, &req->arena, secret->path,
                                ret, err);
    /* Without a target the first rotation may make the secret; one that was removed stays so. */
    if (kind == KT_NOT_FOUND && !settings_has_target(&secret->settings) && secret->done_to == 0)
        return KT_OK;
    if (kind == KT_NOT_FOUND || (kind == KT_OK && settings_has_target(&secret->settings) &&
                                 (*ret)->current == 0)) {
        (void)kt_fail(err, KT_INVALID, "KT-R-004 '%s' has no version that could be rotated",
                      secret->name);
        kt_hint(err, "write the credential that is in use first: secretctl kv put %s %s= %s=",
                secret->name, secret->settings.username_field, secret->settings.password_field);
        return KT_INVALID;
    }
    return kind;
}

/* Set before that was looked at, or the login is another one since. */
static enum kt_kind check_login(struct request *req, const struct rotation_target *target,
                                const struct rotation_secret *secret, struct kt_err *err)
{
    enum kt_kind kind = target_login_free(req, target, secret, err);
    if (kind == KT_INVALID)
        kt_context(err, "KT-R-004 it cannot be rotated as it is");
    return kind;
}

static enum kt_kind prepare(struct request *req, struct work *w, const struct run_wish *wish,
                            struct kt_err *err)
{
    struct run *run = &w->run;
    run->from = w->kv->current;
    enum kt_kind kind = KT_OK;
    if (run_touches_target(run)) {
        kind = target_load(req, run->settings.target, &w->target, err);
        if (kind == KT_NOT_FOUND)
            return kt_fail(err, KT_INVALID, "KT-R-004 there is no target '%s'",
                           run->settings.target);
        if (kind == KT_OK)
            kind = target_login(req, &w->target, err);
        if (kind == KT_OK)
            kind = check_login(req, &w->target, &w->secret, err);
        if (kind == KT_OK)
            kind = choose_slots(req, &w->secret, w->kv, run, err);
        if (kind == KT_OK)
            kind = check_given(req, &w->target, wish, run, err);
        if (kind == KT_OK)
            kind = check_mends(run, err);
        if (kind == KT_OK)
            kind = check_lock(req, run, err);
        run->driver = w->target.driver;
    }
    if (kind == KT_OK && wish->trigger == TRIGGER_BACK)
        kind = choose_back(req, &w->secret, w->kv, run, err);
    return kind;
}

enum kt_kind run_plan(struct request *req, const struct rotation_secret *secret,
                      const struct run_wish *wish, struct work *ret, struct kt_err *err)
{
    *ret = (struct work){.req = req, .secret = *secret, .target = {.name = "", .driver = ""}};
    fill_run(req, secret, secret->mount, wish, &ret->run);
    if (secret->active)
        return refuse_active(secret, err);
    enum kt_kind kind = load_kv(req, secret, &ret->kv, err);
    if (kind != KT_OK)
        return kind;
    if (ret->run.machine.mends && !run_touches_target(&ret->run)) {
        (void)kt_fail(err, KT_INVALID, "KT-R-004 '%s' has no target that could refuse it",
                      secret->name);
        kt_hint(err, "a new value: secretctl rotate %s", secret->name);
        return KT_INVALID;
    }
    if (ret->run.machine.drills)
        kind = drill_possible(secret, wish->allow_gap, err);
    return kind == KT_OK ? prepare(req, ret, wish, err) : kind;
}

static enum kt_kind note_approval(struct work *w, const char *by, struct kt_err *err)
{
    const char *text = kt_arena_printf(&w->req->arena, "approved by %.3000s", by);
    return text == NULL ? kt_fail(err, KT_NO_MEMORY, "starting a rotation")
                        : work_note(w, STEP_NOTE, "approval", true, text, 0, err);
}

static enum kt_kind note_mates(struct work *w, struct kt_err *err)
{
    kt_autobuf struct kt_buf text;
    kt_buf_init(&text, 65536);
    for (size_t i = 0; i < w->run.mates.n; i++)
        kt_buf_printf(&text, "%s%s", i == 0 ? "as one with the runs " : ", ", w->run.mates.at[i]);
    return kt_buf_ok(&text) ? work_note(w, STEP_NOTE, STEP_NAME_TOGETHER, true, kt_buf_text(&text), 0, err)
                            : kt_fail(err, KT_NO_MEMORY, "starting a rotation");
}

static enum kt_kind note_ahead(struct work *w, const char *whom, struct kt_err *err)
{
    const char *text = kt_arena_printf(&w->req->arena, "it did not wait for %.3000s", whom);
    return text == NULL ? kt_fail(err, KT_NO_MEMORY, "starting a rotation")
                        : work_note(w, STEP_NOTE, STEP_NAME_ORDER, false, text, 0, err);
}

enum kt_kind run_start(struct request *req, struct rotation_secret *secret,
                       const struct run_wish *wish, struct run *ret, struct kt_err *err)
{
    struct work *w = kt_arena_take(&req->arena, sizeof *w);
    if (w == NULL || request_batch(req) == NULL)
        return kt_fail(err, KT_NO_MEMORY, "starting a rotation");
    enum kt_kind kind = run_plan(req, secret, wish, w, err);
    if (kind != KT_OK)
        return kind;
    bool scheduled = wish->trigger == TRIGGER_SCHEDULE || wish->trigger == TRIGGER_MAX_AGE;
    bool own = scheduled && w->secret.due && w->secret.due_ms <= req->now_ms;
    w->run.anothers_fire = scheduled && !own;
    w->run.fire_waits = !own && due_had_run(&w->secret, req->now_ms);
    kind = due_remove(req, &w->secret, err);
    if (kind != KT_OK)
        return kind;
    if (own)
        due_began(&w->secret, req->now_ms);
    memcpy(w->secret.run, w->run.id, RUN_ID);
    w->secret.held = "";
    kind = work_note(w, STEP_STATE, run_state_text(RUN_PLANNED), true,
                     "its turn comes when nothing else is done at the target", 0, err);
    if (kind == KT_OK && wish->approved_by != NULL)
        kind = note_approval(w, wish->approved_by, err);
    if (kind == KT_OK && w->run.mates.n > 0)
        kind = note_mates(w, err);
    if (kind == KT_OK && wish->went_ahead != NULL && wish->went_ahead[0] != '\0')
        kind = note_ahead(w, wish->went_ahead, err);
    if (kind == KT_OK && run_touches_target(&w->run)) {
        w->secret.active = true;
        /* Whoever writes a version at the same time looked before this run was there. */
        kv_require(req->core, secret->mount, request_batch(req), secret->path, w->kv);
        kind = secret_save(req, &w->secret, err);
    } else if (kind == KT_OK) {
        kind = make_current(w, err);
    }
    if (kind == KT_OK)
        kind = put_run(req, &w->run, err);
    if (kind == KT_OK) {
        *secret = w->secret;
        *ret = w->run;
    }
    return kind;
}
