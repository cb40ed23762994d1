#include "vaultd/rotation/work.h"

#include "lib/assert.h"
#include "lib/log.h"
#include "vaultd/rotation/back.h"
#include "vaultd/rotation/candidates.h"
#include "vaultd/rotation/engine.h"
#include "vaultd/rotation/own.h"
#include "vaultd/rotation/served.h"
#include "vaultd/rotation/tell.h"
#include "vaultd/rotation/text.h"
#include "vaultd/rotation/truth.h"

#define VALUE_MAX ((size_t)1024 * 1024)

/* ---- loading ---- */

static enum kt_kind check_place(const struct work *w, struct kt_err *err)
{
    if (memcmp(w->secret.mount->scope, w->run.scope, BARRIER_SCOPE) == 0)
        return KT_OK;
    return kt_fail(err, KT_NOT_FOUND, "the mount of '%s' is another one now", w->run.name);
}

static enum kt_kind load_target(struct work *w, struct kt_err *err)
{
    if (!run_touches_target(&w->run)) {
        w->target = (struct rotation_target){.name = "", .driver = ""};
        w->has_login = true;
        return KT_OK;
    }
    enum kt_kind kind = target_load(w->req, w->run.settings.target, &w->target, err);
    if (kind == KT_NOT_FOUND)
        return kt_fail(err, KT_NOT_FOUND, "there is no target '%s' any more",
                       w->run.settings.target);
    w->has_login = kind == KT_OK && target_login(w->req, &w->target, &w->no_login) == KT_OK;
    return kind;
}

enum kt_kind work_load_consumers(struct work *w, struct kt_err *err)
{
    enum kt_kind kind =
        consumers_load(w->req, w->run.secret_id, NULL, &w->consumers, &w->n_all, err);
    w->n_consumers = kind == KT_OK ? consumers_counted(w->consumers, w->n_all) : 0;
    return kind;
}

enum kt_kind work_load(struct request *req, const unsigned char id[RUN_ID], struct work *ret,
                       struct kt_err *err)
{
    *ret = (struct work){.req = req};
    enum kt_kind kind = run_load(req, id, &ret->run, err);
    if (kind != KT_OK || run_state_ended(ret->run.machine.state))
        return kind;
    kind = secret_load(req, ret->run.name, &ret->secret, err);
    if (kind == KT_NOT_FOUND)
        return kt_fail(err, KT_NOT_FOUND, "'%s' has no rotation any more", ret->run.name);
    if (kind == KT_OK)
        kind = check_place(ret, err);
    if (kind == KT_OK)
        kind = kv_load(req->core, ret->secret.mount, req->snapshot, &req->arena, ret->secret.path,
                       &ret->kv, err);
    if (kind == KT_NOT_FOUND)
        return kt_fail(err, KT_NOT_FOUND, "the secret '%s' is gone", ret->run.name);
    if (kind == KT_OK)
        kind = load_target(ret, err);
    if (kind == KT_OK)
        kind = work_load_consumers(ret, err);
    if (kind == KT_OK)
        work_mark(ret);
    return kind;
}

/* ---- effects on the secret ---- */

static struct kv_version *version_of(struct work *w, uint32_t number)
{
    for (size_t i = 0; i < w->kv->n_versions; i++)
        if (w->kv->versions[i].number == number)
            return &w->kv->versions[i];
    return NULL;
}

/* A version that the run is about is gone, or the stages are not where the run left them: somebody
 * put an old store back, or removed what must not be removed. */
static bool stages_agree(const struct work *w)
{
    const struct kv_secret *kv = w->kv;
    const struct run *run = &w->run;
    if (run->to == 0)
        return kv->current == run->from;
    return run->machine.promoted ? kv->current == run->to : kv->current == run->from;
}

/* What the target made, or what is made here. */
static enum kt_kind choose_value(struct work *w, const struct credential *old, const char **ret,
                                 struct kt_err *err)
{
    if (!w->run.machine.given)
        return credential_generate(&w->run.settings, old, &w->req->arena, ret, err);
    if (w->made == NULL || w->made->made.len == 0)
        return kt_fail(err, KT_INTERNAL, "the target made no value");
    *ret = kt_arena_text(&w->req->arena, w->made->made);
    return *ret == NULL ? kt_fail(err, KT_NO_MEMORY, "storing a new version") : KT_OK;
}

/* The id by which the target tells an account's keys apart; "": it does not. */
static enum kt_kind made_id(struct work *w, const struct credential *made, const char **ret, struct kt_err *err)
{
    *ret = "";
    if (w->made != NULL && own_is(w->run.driver))
        return own_make(w->req, made->username, made->password, ret, err);
    if (w->made != NULL && w->made->made_id.len > 0)
        *ret = kt_arena_text(&w->req->arena, w->made->made_id);
    return *ret == NULL ? kt_fail(err, KT_NO_MEMORY, "storing a new version") : KT_OK;
}

/* With the id, where there is one. */
static enum kt_kind write_value(struct work *w, struct kt_bytes json, const struct credential *made,
                                struct kt_buf *out, struct kt_err *err)
{
    const char *id = "";
    kt_autobuf struct kt_buf plain;
    kt_buf_init(&plain, VALUE_MAX);
    enum kt_kind kind = made_id(w, made, &id, err);
    if (kind != KT_OK)
        return kind;
    if (id[0] == '\0')
        return credential_write(&w->run.settings, json, made, out, err);
    w->run.public_new = id;
    kind = credential_write(&w->run.settings, json, made, &plain, err);
    return kind == KT_OK ? credential_write_id(kt_buf_bytes(&plain), w->run.public_new, out, err) : kind;
}

/* The public part of the version before; where keys have ids, that one's. */
static enum kt_kind public_old(struct work *w, const char *password, struct kt_bytes json, struct kt_err *err)
{
    if (!w->run.machine.given)
        return credential_public(w->run.driver, password, &w->req->arena, &w->run.public_old, err);
    return credential_id(json, &w->req->arena, &w->run.public_old, err);
}

static enum kt_kind make_value(struct work *w, enum kv_stage stage, struct kt_err *err)
{
    struct request *req = w->req;
    struct run *run = &w->run;
    struct credential old, made;
    struct kt_bytes json, old_json;
    enum kt_kind kind =
        credential_load(req, &w->secret, &run->settings, w->kv, run->from, &old, &json, err);
    old_json = json;
    if (kind == KT_OK && run->back_to != 0)
        kind = credential_load(req, &w->secret, &run->settings, w->kv, run->back_to, &made, &json,
                               err);
    else if (kind == KT_OK)
        kind = choose_value(w, &old, &made.password, err);
    if (kind != KT_OK)
        return kind;
    made.username = run_account(run, run->slot_new);
    kt_autobuf struct kt_buf value;
    kt_buf_init(&value, VALUE_MAX);
    kind = credential_public(run->driver, made.password, &req->arena, &run->public_new, err);
    if (kind == KT_OK)
        kind = public_old(w, old.password, old_json, err);
    if (kind == KT_OK)
        kind = write_value(w, json, &made, &value, err);
    struct batch *batch = request_batch(req);
    if (kind == KT_OK && batch == NULL)
        kind = kt_fail(err, KT_NO_MEMORY, "storing a new version");
    if (kind == KT_OK)
        kind = kv_write(req->core, w->secret.mount, req->snapshot, batch,
                        w->secret.path, w->kv, kt_buf_bytes(&value), stage, req->now_ms, err);
    if (kind == KT_OK)
        run->to = w->kv->newest;
    return kind;
}

/* No value is made, here or now: only what the target gets of the stored one. */
static enum kt_kind make_public(struct work *w, struct kt_err *err)
{
    struct run *run = &w->run;
    struct credential stored;
    struct kt_bytes json;
    if (run->public_old[0] != '\0')
        return KT_OK;
    enum kt_kind kind =
        credential_load(w->req, &w->secret, &run->settings, w->kv, run->from, &stored, &json, err);
    return kind == KT_OK ? public_old(w, stored.password, json, err) : kind;
}

static void mark_dead(struct work *w, uint32_t number)
{
    struct kv_version *v = version_of(w, number);
    if (v == NULL)
        return;
    kv_retire(v, w->req->now_ms);
    v->dead_proven_ms = w->req->now_ms;
}

/* A target that forgets the last change (a fail-over, a commit that was not synced), or is put back to a backup of the
 * middle of the run, has the new one again after it went back, and perhaps no other: it is kept as long as other old
 * versions, unless each server was seen not to allow it. */
static bool may_come_back(const struct run *run)
{
    return run->promoted_ms != 0 || !run->machine.said_no || !run->machine.bad_value;
}

static enum kt_kind drop_new(struct work *w, struct kt_err *err)
{
    if (w->run.to == 0)
        return KT_OK;
    w->kv->pending = 0;
    return kv_destroy(w->req->core, w->secret.mount, request_batch(w->req), w->secret.path, w->kv,
                      w->run.to, err);
}

static void move_stages(struct work *w, unsigned fx)
{
    struct kv_secret *kv = w->kv;
    /* The way back ended the new one: no consumer could go on with it. Without a target nobody tells one from
     * the other. */
    bool alone = w->run.machine.strategy == STRATEGY_IN_PLACE || w->run.machine.strategy == STRATEGY_GENERATE;
    if ((fx & FX_PROMOTE) != 0) {
        kv->current = w->run.to;
        kv->previous = w->run.from;
        kv->pending = 0;
        w->run.promoted_ms = w->req->now_ms;
    }
    if ((fx & FX_AGAIN) != 0)
        w->run.promoted_ms = w->req->now_ms;
    if ((fx & FX_ALONE) != 0)
        kv->previous = 0;
    if ((fx & FX_DEMOTE) != 0) {
        kv->current = w->run.from;
        kv->previous = 0;
        kv->pending = alone ? 0 : w->run.to;
    }
    struct kv_version *v = version_of(w, w->run.to), *old = version_of(w, w->run.from);
    if ((fx & FX_MARK_NEW) != 0 && v != NULL)
        v->accepted_maybe = true;
    /* Preflight saw it accepted, whoever wrote it. */
    if ((fx & FX_MARK_NEW) != 0 && old != NULL && old->dead_proven_ms == 0)
        old->accepted_maybe = true;
    if ((fx & FX_DEAD_OLD) != 0) {
        mark_dead(w, w->run.from);
        kv->previous = 0;
    }
    if ((fx & FX_DEAD_NEW) != 0) {
        mark_dead(w, w->run.to);
        kv->pending = 0;
    }
    if ((fx & FX_GIVE_UP) != 0)
        kv->previous = kv->pending = 0;
}

/* Of what the target made and then forgot nothing is left there. Another one, which it makes in its place, is
 * current at once where the lost one was: everybody has that by now, and nobody gets in with it. */
static enum kt_kind make_new(struct work *w, unsigned fx, struct kt_err *err)
{
    bool replaces = (fx & FX_VALUE) != 0 && w->run.to != 0, served = replaces && w->run.machine.promoted;
    enum kt_kind kind = KT_OK;
    if (replaces || (fx & FX_OTHER) != 0)
        mark_dead(w, w->run.to);
    if ((replaces && !served) || (fx & FX_OTHER) != 0)
        kind = drop_new(w, err);
    return kind == KT_OK ? make_value(w, served ? KV_CURRENT : KV_PENDING, err) : kind;
}

#define FX_ON_SECRET                                                                               \
    (FX_VALUE | FX_MARK_NEW | FX_PROMOTE | FX_DEMOTE | FX_DROP_NEW | FX_DEAD_NEW | FX_DEAD_OLD |   \
     FX_AGAIN | FX_ALONE | FX_OTHER | FX_GIVE_UP)

static enum kt_kind change_secret(struct work *w, unsigned fx, struct kt_err *err)
{
    /* Watchers take each change of the secret for news: that it is set again is none until it is. */
    const struct kv_version *new_ = version_of(w, w->run.to);
    if (new_ != NULL && new_->accepted_maybe && (fx & FX_VALUE) == 0)
        fx &= ~(unsigned)FX_MARK_NEW;
    bool lets_go = (fx & FX_END) != 0 && !run_touches_target(&w->run);
    if ((fx & FX_ON_SECRET) == 0 && !lets_go)
        return KT_OK;
    struct batch *batch = request_batch(w->req);
    if (batch == NULL)
        return kt_fail(err, KT_NO_MEMORY, "changing a secret's stages");
    enum kt_kind kind = (fx & (FX_VALUE | FX_OTHER)) != 0 ? make_new(w, fx, err) : KT_OK;
    if (kind != KT_OK)
        return kind;
    move_stages(w, fx);
    if (lets_go)
        served_let_go(w->kv);
    /* What never left the vault, or is proven dead for good, is not kept readable. */
    bool drops = (fx & FX_DROP_NEW) != 0 || ((fx & FX_DEAD_NEW) != 0 && !may_come_back(&w->run));
    if (drops)
        kind = drop_new(w, err);
    if (kind != KT_OK)
        return kind;
    w->kv->updated_ms = w->req->now_ms;
    return kv_save(w->req->core, w->secret.mount, batch, w->secret.path, w->kv, err);
}

/* ---- moving ---- */

void work_mark(struct work *w)
{
    w->before = w->run.machine.state;
    w->before_back = w->run.machine.back;
}

static void set_deadline(struct run *run, int64_t now_ms)
{
    int64_t span_s = 0;
    if (run->machine.state == RUN_ACKING || (run->machine.state == RUN_GENERATED && candidates_matter(run)) ||
        (run->machine.state == RUN_ROLLING_BACK && run->machine.back == BACK_REDISTRIBUTE))
        span_s = run->settings.ack_timeout_s;
    else if (run->machine.state == RUN_PREFLIGHT)
        span_s = 3600;
    run->span_ms = span_s * 1000;
    run->deadline_ms = span_s == 0 ? 0 : now_ms + run->span_ms;
}

static enum kt_kind entered(struct work *w, unsigned fx, int64_t now_ms, struct kt_err *err)
{
    struct run *run = &w->run;
    bool moved =
        run->machine.state != w->before || run->machine.back != w->before_back;
    back_moved(run, w->before, w->before_back, fx, now_ms);
    if ((fx & (FX_PROMOTE | FX_AGAIN)) != 0)
        run->given_ms = now_ms;
    if (moved) {
        run->tries = 0;
        run->state_ms = now_ms;
        set_deadline(run, now_ms);
        enum run_state state = run->machine.state;
        if (state == RUN_ACKING || state == RUN_PROMOTED) {
            run->acked_ms = 0;
            run->drained = run->silent_passed = false;
            run->unused_ms = 0;
        }
        if (state == RUN_OVERLAPPING)
            run->acked_ms = now_ms;
        run->ready = false;
        if (state == RUN_ROLLED_BACK)
            back_returned(run, w->consumers, w->n_consumers, now_ms);
        enum kt_kind kind = step_add(
            w->req, run,
            (struct run_step){.kind = STEP_STATE,
                              .name = run_state_text(state),
                              .ok = state != RUN_FROZEN && state != RUN_ROLLED_BACK &&
                                    state != RUN_CANCELLED && state != RUN_ROLLING_BACK,
                              .text = text_of_state(w->req, run)},
            err);
        if (kind != KT_OK)
            return kind;
    }
    /* While the target is asked about a consumer's trouble none is bound. */
    if (run->machine.doubt)
        run->ready = false;
    if ((fx & FX_INTENT) == 0)
        return KT_OK;
    run->attempt++;
    return step_add(w->req, run,
                    (struct run_step){.kind = STEP_INTENT,
                                      .name = run_intent_text(run->machine.intent),
                                      .ok = true,
                                      .text = text_of_intent(w->req, run)},
                    err);
}

static const char *last_known(struct work *w)
{
    struct run_step *steps = NULL;
    size_t n = 0;
    uint32_t since = w->run.next_seq > 12 ? w->run.next_seq - 12 : 0;
    if (steps_load(w->req, w->run.id, since, &steps, &n, NULL) != KT_OK)
        return "";
    while (n > 0 && steps[n - 1].kind != STEP_PROBE && steps[n - 1].kind != STEP_OUTCOME)
        n--;
    return n == 0 ? "" : steps[n - 1].text;
}

static enum kt_kind save_target(struct work *w, struct kt_err *err)
{
    if (!w->target_news || (w->run.machine.state == RUN_FROZEN))
        return KT_OK;
    return target_save(w->req, &w->target, err);
}

/* What the target said first stays the reason, whatever the probes after it say. */
static void set_because(struct work *w, const char *why)
{
    struct run *run = &w->run;
    enum run_state state = run->machine.state;
    bool no = run->machine.said_no || run->machine.bad_value;
    bool told = no && run->because[0] != '\0';
    bool turned = state != w->before && (state == RUN_ROLLING_BACK || state == RUN_FROZEN ||
                                         state == RUN_CANCELLED);
    bool says_no = no && state == RUN_APPLYING;
    if (why != NULL && !told && (turned || says_no))
        run->because = why;
    if (state == RUN_DONE)
        run->because = "";
}

enum kt_kind work_commit(struct work *w, unsigned fx, int64_t now_ms, const char *why,
                         struct kt_err *err)
{
    struct run *run = &w->run;
    w->fx |= fx;
    set_because(w, why);
    bool freezes = run->machine.state == RUN_FROZEN && w->before != RUN_FROZEN;
    bool drifts = freezes && run->machine.frozen == FROZEN_DRIFT;
    if (freezes)
        text_freeze(w->req, run, why != NULL ? why : last_known(w));
    enum kt_kind kind = change_secret(w, fx, err);
    if (kind == KT_OK && (fx & FX_PUBLIC) != 0)
        kind = make_public(w, err);
    if (kind == KT_OK && drifts)
        kind = truth_of_frozen(w, err);
    if (kind == KT_OK)
        kind = work_blame(w, now_ms, err);
    if (kind == KT_OK && freezes)
        kind = tell_frozen(w, err);
    if (kind == KT_OK)
        kind = entered(w, fx, now_ms, err);
    if (kind == KT_OK && (fx & FX_END) != 0)
        kind = work_finish(w, err);
    else if (kind == KT_OK)
        kind = save_target(w, err);
    if (kind == KT_OK)
        kind = run_save(w->req, run, err);
    return kind;
}

enum kt_kind work_event(struct work *w, enum run_event event, int64_t now_ms, const char *why,
                        struct kt_err *err)
{
    unsigned fx = 0;
    struct machine *m = &w->run.machine;
    /* A secret whose stages are not where the run left them is looked at before it is changed. */
    bool looks = event == EV_OK && m->state != RUN_PLANNED && m->state != RUN_PREFLIGHT;
    bool passed = event == EV_OK && m->state == RUN_PREFLIGHT;
    if (passed && w->target.failures >= ROTATION_BREAKER) {
        w->target.failures = 0; /* schedules may start there again */
        w->target_news = true;
    }
    if (looks && !stages_agree(w))
        machine_freeze(m, FROZEN_STORE, &fx);
    else if (!machine_event(m, event, &fx))
        return kt_fail(err, KT_INVALID, "'%s' is not possible while the run is %s",
                       run_event_text(event), run_state_text(m->state));
    return work_commit(w, fx, now_ms, why, err);
}

enum kt_kind work_answers(struct work *w, bool new_accepted, bool old_accepted, int64_t now_ms,
                          const char *why, struct kt_err *err)
{
    unsigned fx = 0;
    machine_answers(&w->run.machine, new_accepted, old_accepted, &fx);
    return work_commit(w, fx, now_ms, why, err);
}

enum kt_kind work_note(struct work *w, enum step_kind kind, const char *name, bool ok,
                       const char *text, uint32_t took_ms, struct kt_err *err)
{
    return step_add(w->req, &w->run,
                    (struct run_step){
                        .kind = kind, .name = name, .ok = ok, .text = text, .took_ms = took_ms},
                    err);
}
