#include "vaultd/rotation/plan.h"

#include <sodium.h>

#include "lib/driver/http_api.h"
#include "lib/num.h"
#include "vaultd/rotation/probe.h"

#define LOOK_NEVER_MS ((int64_t)60 * 60 * 1000)
#define ASK_OLD_MS    10000u

/* Both credentials of a run; what a step does not need is not copied into it. */
struct logins {
    struct credential old, new_;
    const char *old_id, *new_id; /* of their keys; "" where the target knows none */
};

static enum kt_kind load_logins(const struct work *w, struct logins *ret, struct kt_err *err)
{
    const struct run *run = &w->run;
    struct kt_bytes old = {0}, new_ = {0};
    *ret = (struct logins){.old = {"", ""}, .new_ = {"", ""}, .old_id = "", .new_id = ""};
    enum kt_kind kind = credential_load(w->req, &w->secret, &run->settings, w->kv, run->from,
                                        &ret->old, &old, err);
    if (kind == KT_OK && run->to != 0)
        kind = credential_load(w->req, &w->secret, &run->settings, w->kv, run->to, &ret->new_,
                               &new_, err);
    const struct driver_info *info = kt_driver_info(w->target.driver);
    if (kind != KT_OK || info == NULL || (!info->api && !info->inside))
        return kind;
    kind = credential_id(old, &w->req->arena, &ret->old_id, err);
    return kind == KT_OK && run->to != 0 ? credential_id(new_, &w->req->arena, &ret->new_id, err) : kind;
}

static void copy_login(struct job *job, struct job_part *part, enum driver_who who,
                       const char *username, const char *password)
{
    part->step.logins[who] = (struct driver_login){
        .username = job_text(job, username), .password = kt_str(job_text(job, password))};
}

static struct job_part *add_part(struct job *job, const struct rotation_target *target,
                                 enum driver_op op, enum job_rule rule)
{
    struct job_part *part = job_add(job, op, rule);
    if (part == NULL)
        return NULL;
    job->target = job_text(job, target->name);
    job->at_once = target->max_runs;
    struct driver_step from = {0};
    target_step(target, &from);
    part->step.driver = job_text(job, from.driver);
    part->step.target = from.target;
    part->step.target.host = job_text(job, from.target.host);
    part->step.target.database = job_text(job, from.target.database);
    part->step.target.program = job_text(job, from.target.program);
    part->step.target.api = job_text(job, from.target.api);
    part->step.target.sslmode = job_text(job, from.target.sslmode);
    part->step.target.ca = job_text(job, from.target.ca);
    part->step.target.server_id = job_text(job, from.target.server_id);
    part->step.target.keys_file = job_text(job, from.target.keys_file);
    part->step.target.servers = target_nodes_text(target, &job->arena);
    part->n_nodes = target_nodes(target, &job->arena, &part->nodes); /* job->arena.failed: none of this is done */
    part->step.timeout_ms = from.timeout_ms;
    if (op != DRIVER_VERIFY)
        copy_login(job, part, DRIVER_ADMIN, target->admin_username, target->admin_password);
    return part;
}

/* Before anything is changed: are the servers that the target names all? */
static void ask_sentinels(struct job *job, struct job_part *part, const struct rotation_target *target)
{
    part->n_sentinels = target_sentinels(target, &job->arena, &part->sentinels);
    part->sentinel_master = job_text(job, target->sentinel_master);
}

static void name_account(struct job *job, struct job_part *part, const struct run *run,
                         uint32_t slot)
{
    bool alternates = run->machine.strategy == STRATEGY_ALTERNATE;
    part->step.account = job_text(job, run_account(run, slot));
    part->step.other_account = alternates ? job_text(job, run_account(run, 1 - slot)) : "";
    part->step.group = alternates ? job_text(job, run->settings.group) : "";
}

static bool is_alternate(const struct work *w)
{
    return w->run.machine.strategy == STRATEGY_ALTERNATE;
}

static bool is_in_place(const struct work *w)
{
    return w->run.machine.strategy == STRATEGY_IN_PLACE;
}

/* A value never issued, made as the real ones are. */
static enum kt_kind add_control(struct job *job, struct job_part *part, const struct work *w,
                                uint32_t slot, const struct credential *old, struct kt_err *err)
{
    const char *wrong = NULL;
    enum kt_kind kind =
        credential_generate(&w->run.settings, old, &w->req->arena, &wrong, err);
    if (kind == KT_OK)
        copy_login(job, part, DRIVER_CONTROL, run_account(&w->run, slot), wrong);
    return kind;
}

static void copy_ids(struct job *job, struct job_part *part, const struct logins *l)
{
    part->step.ids[DRIVER_CONTROL] = part->step.ids[DRIVER_OLD] = job_text(job, l->old_id);
    part->step.ids[DRIVER_NEW] = job_text(job, l->new_id);
}

static enum kt_kind add_probe(struct job *job, const struct work *w, const struct logins *l,
                              enum job_rule rule, bool asks_new, bool asks_old,
                              uint32_t slot, struct kt_err *err)
{
    struct job_part *part = add_part(job, &w->target, DRIVER_PROBE, rule);
    if (part == NULL)
        return kt_fail(err, KT_INTERNAL, "a job has too many parts");
    const struct run *run = &w->run;
    copy_ids(job, part, l);
    /* Before the target made it there is no new one. */
    if (asks_new && run->to != 0)
        copy_login(job, part, DRIVER_NEW, run_account(run, run->slot_new), l->new_.password);
    if (asks_old)
        copy_login(job, part, DRIVER_OLD, run_account(run, run->slot_old), l->old.password);
    /* Of two values for an account that has one, one is a wrong password; and see doubts_in_place(). */
    if (asks_new && is_in_place(w))
        return KT_OK;
    return add_control(job, part, w, slot, &l->old, err);
}

static void set_public(struct job *job, struct job_part *part, const struct run *run,
                       const char *public_part)
{
    unsigned char hash[crypto_hash_sha256_BYTES];
    char id[RUN_ID_TEXT], secret[RUN_ID_TEXT], hex[2 * crypto_hash_sha256_BYTES + 1];
    (void)crypto_hash_sha256(hash, (const unsigned char *)public_part, strlen(public_part));
    kt_hex_encode(hash, sizeof hash, hex);
    run_id_text(run->id, id);
    part->step.public_part = kt_str(job_text(job, public_part));
    part->step.run = job_text(job, id);
    run_id_text(run->secret_id, secret);
    part->step.secret = job_text(job, secret);
    part->step.digest = job_text(job, hex);
    part->step.attempt = run->attempt;
}

/* Where one account has both credentials: what a step leaves accepted besides what it is about. The old
 * one is not let in again after the point of no return, nor where it is meant to be dead. A driver that lets
 * nothing in again by keeping it is told of it, and so knows which of the target's it is. */
static const char *kept_by(const struct job *job, const struct work *w, enum driver_op op)
{
    const struct run *run = &w->run;
    const struct driver_info *info = kt_driver_info(w->target.driver);
    bool let_in = !run->machine.past || (info != NULL && info->only_keeps);
    if (run->machine.strategy != STRATEGY_OVERLAP)
        return "";
    switch (op) {
    case DRIVER_APPLY:
        return let_in && !run->machine.old_dead ? run->public_old : "";
    case DRIVER_RESTORE:
        return run->public_new;
    case DRIVER_REVOKE:
        return job->kind == JOB_REVOKE ? run->public_new : run->public_old;
    case DRIVER_INSPECT:
    case DRIVER_CREATE:
    case DRIVER_VERIFY:
    case DRIVER_PROBE:
    case DRIVER_OP_COUNT:
        break;
    }
    return "";
}

/* Where the driver has no public part, the value to set goes along; inside vaultd that which ends, or will. */
static void add_value(struct job *job, struct job_part *part, const struct work *w,
                      const struct logins *l, uint32_t slot)
{
    const struct driver_info *info = kt_driver_info(w->target.driver);
    bool sets = part->step.op == DRIVER_APPLY || part->step.op == DRIVER_RESTORE;
    copy_ids(job, part, l);
    if (info != NULL && info->form == FORM_NONE && sets && !w->run.machine.given)
        copy_login(job, part, DRIVER_NEW, run_account(&w->run, slot),
                   part->step.op == DRIVER_APPLY ? l->new_.password : l->old.password);
    bool inside = info != NULL && info->inside, ends = inside && part->step.op == DRIVER_REVOKE;
    if (inside && part->step.op == DRIVER_INSPECT)
        copy_login(job, part, DRIVER_OLD, run_account(&w->run, w->run.slot_old), l->old.password);
    if (ends && job->kind == JOB_REVOKE)
        copy_login(job, part, DRIVER_OLD, run_account(&w->run, slot), l->old.password);
    else if (ends && w->run.to != 0)
        copy_login(job, part, DRIVER_NEW, run_account(&w->run, slot), l->new_.password);
    if (info == NULL || !info->asks_who_stays || !is_alternate(w))
        return;
    if (job->kind == JOB_REVOKE)
        copy_login(job, part, DRIVER_NEW, run_account(&w->run, w->run.slot_new), l->new_.password);
    else if (job->kind == JOB_REVOKE_NEW)
        copy_login(job, part, DRIVER_OLD, run_account(&w->run, w->run.slot_old), l->old.password);
}

static enum kt_kind add_change(struct job *job, const struct work *w, const struct logins *l,
                               enum driver_op op, enum job_rule rule, uint32_t slot,
                               const char *public_part, struct kt_err *err)
{
    struct job_part *part = add_part(job, &w->target, op, rule);
    if (part == NULL)
        return kt_fail(err, KT_INTERNAL, "a job has too many parts");
    name_account(job, part, &w->run, slot);
    add_value(job, part, w, l, slot);
    if (public_part != NULL)
        set_public(job, part, &w->run, public_part);
    else
        set_public(job, part, &w->run, "");
    if (public_part == NULL)
        part->step.public_part = kt_bytes(NULL, 0);
    part->step.keep_part = kt_str(job_text(job, kept_by(job, w, op)));
    return KT_OK;
}

static enum kt_kind add_verify(struct job *job, const struct work *w, const struct logins *l,
                               struct kt_err *err)
{
    struct job_part *part = add_part(job, &w->target, DRIVER_VERIFY, PART_IF_NEW);
    if (part == NULL)
        return kt_fail(err, KT_INTERNAL, "a job has too many parts");
    const struct run *run = &w->run;
    name_account(job, part, run, run->slot_new);
    copy_login(job, part, DRIVER_NEW, run_account(run, run->slot_new), l->new_.password);
    copy_ids(job, part, l);
    return KT_OK;
}

/* ---- how often the target may be asked ---- */

/* Whose account the wrong password is tried on: spread, so that a run that goes back does not use up
 * either account's refusals. What decides is asked where the answer counts. */
static uint32_t control_slot(const struct run *run, enum job_kind kind)
{
    enum run_state state = run->machine.state;
    if (kind == JOB_PREFLIGHT || kind == JOB_REVOKE || kind == JOB_REVOKE_NEW)
        return run->slot_old;
    if (kind == JOB_PROBE && (state == RUN_ACKING || state == RUN_OVERLAPPING ||
                              run->machine.back == BACK_RESTORE_OLD))
        return run->slot_old;
    return run->slot_new;
}

/* A consumer is in trouble: has the target lost the one password that the account has? A refusal is
 * evidence by itself, and then both are asked. That it is accepted only lets the run go back, which
 * ends with a proof of its own; so it is believed without a wrong password, of which going back has
 * none to spare. */
static bool doubts_in_place(const struct work *w, enum job_kind kind)
{
    return kind == JOB_PROBE && w->run.machine.doubt && is_in_place(w);
}

static bool uses_control(const struct work *w, enum job_kind kind)
{
    return kind == JOB_PREFLIGHT || !is_in_place(w);
}

/* The login that a job's probe should find dead, if all is well: one more refusal. */
static bool finds_dead(const struct run *run, enum job_kind kind, uint32_t *ret_slot)
{
    if (kind == JOB_PREFLIGHT)
        return false;
    *ret_slot = run->machine.state == RUN_ROLLING_BACK ? run->slot_new : run->slot_old;
    if (run->machine.strategy == STRATEGY_IN_PLACE)
        return true;
    return kind == JOB_PROBE && (run->machine.state == RUN_CONFIRMING ||
                                 run->machine.back == BACK_CONFIRM_OLD);
}

/* The look that found the drift asked already: a wrong password and the stored one were refused. Asked
 * again they would use up what the proof needs. */
static bool knows_drift(const struct work *w)
{
    return w->secret.drifted_ms != 0 && w->secret.look_version == w->run.from;
}

/* Setting the stored one again asks one account: for a wrong password and the stored one, which may be
 * refused before it is set. */
static bool mending_asks(const struct work *w, enum job_kind kind, uint32_t slot, unsigned *ret)
{
    bool first = kind == JOB_PREFLIGHT && !knows_drift(w);
    *ret = first ? 2 : 1;
    return slot == w->run.slot_old && (first || kind == JOB_PROBE);
}

/* Going back: one login, and no wrong password. That it is refused is evidence by itself; that it is accepted only
 * lets the run go back, which ends with a proof of its own. */
static bool asks_before_back(const struct work *w)
{
    return w->run.machine.state == RUN_ROLLING_BACK && w->run.machine.back == BACK_ASK_OLD;
}

/* False: the job does not ask that account anything. */
static bool asks_slot(const struct work *w, enum job_kind kind, uint32_t slot, unsigned *ret)
{
    const struct run *run = &w->run;
    uint32_t dead = 0;
    if (run->machine.mends)
        return mending_asks(w, kind, slot, ret);
    *ret = 1;
    if (asks_before_back(w))
        return slot == run->slot_old;
    bool probes = kind == JOB_PREFLIGHT || kind == JOB_VERIFY || kind == JOB_PROBE ||
                  kind == JOB_REVOKE || kind == JOB_REVOKE_NEW ||
                  (kind == JOB_APPLY && is_in_place(w));
    if (!probes || (slot != run->slot_old && slot != run->slot_new) ||
        (kind == JOB_PREFLIGHT && slot != run->slot_old))
        return false;
    *ret = uses_control(w, kind) && control_slot(run, kind) == slot;
    if (!doubts_in_place(w, kind) && finds_dead(run, kind, &dead) && dead == slot)
        ++*ret;
    return true;
}

/* The second account's control in preflight is made when there is room for all that a run, or going
 * back, may need after it. */
#define REFUSALS_OF_A_RUN 4u
static bool asks_new_control(const struct work *w, int64_t now_ms)
{
    int64_t when = 0;
    return is_alternate(w) && budget_allows(&w->run.budgets[w->run.slot_new], &w->target,
                                            REFUSALS_OF_A_RUN, now_ms, &when) &&
           (w->target.max_refusals_per_hour == 0 ||
            w->target.max_refusals_per_hour >= REFUSALS_OF_A_RUN);
}

/* What is asked without a proof. A look at a frozen run asks: the administrative login, and the login that has to work, both
 * where both may; a wrong password only where one was accepted. That costs an account one refusal at
 * most for each login. It proves nothing: going on begins with a whole batch. */
struct asked {
    bool control, new_, old;
};

static struct asked look_asks(const struct work *w)
{
    const struct machine *m = &w->run.machine;
    bool both = !is_in_place(w);
    if (asks_before_back(w))
        return (struct asked){.old = true};
    if (m->frozen == FROZEN_OPEN)
        return (struct asked){.control = true};
    return (struct asked){.new_ = w->run.to != 0 && (both || m->promoted),
                          .old = both || !m->promoted};
}

/* Who comes to thaw the run has to find room for a batch and its proof. */
#define REFUSALS_OF_A_THAW 2u
static bool look_allowed(const struct work *w, int64_t now_ms, int64_t *ret_ms)
{
    const struct asked asked = look_asks(w);
    int64_t limit = w->target.max_refusals_per_hour;
    if (limit != 0 && limit <= (int64_t)REFUSALS_OF_A_THAW) {
        *ret_ms = now_ms + LOOK_NEVER_MS;
        return false;
    }
    for (uint32_t slot = 0; slot < 2; slot++) {
        unsigned asks = (slot == w->run.slot_old && (asked.control || asked.old) ? 1u : 0u) +
                        (slot == w->run.slot_new && asked.new_ ? 1u : 0u);
        if (asks > 0 && !budget_allows(&w->run.budgets[slot], &w->target, asks + REFUSALS_OF_A_THAW,
                                       now_ms, ret_ms))
            return false;
    }
    return true;
}

bool plan_allowed(const struct work *w, enum job_kind kind, int64_t now_ms, int64_t *ret_ms)
{
    bool allowed = true;
    int64_t latest = 0;
    if (kind == JOB_LOOK)
        return look_allowed(w, now_ms, ret_ms);
    for (uint32_t slot = 0; slot < 2; slot++) {
        unsigned refusals = 0;
        int64_t when = 0;
        if (!asks_slot(w, kind, slot, &refusals))
            continue;
        if (!budget_allows(&w->run.budgets[slot], &w->target, refusals, now_ms, &when)) {
            allowed = false;
            latest = when > latest ? when : latest;
        }
    }
    if (!allowed)
        *ret_ms = latest;
    return allowed;
}

/* ---- the programs ---- */

/* What else the account accepts is worth knowing before the run takes it away. */
static enum kt_kind name_current(struct job *job, const struct work *w, const struct logins *l,
                                 struct kt_err *err)
{
    const char *current = l->old_id;
    enum kt_kind kind = w->run.machine.given ? KT_OK :
        credential_public(w->run.driver, l->old.password, &w->req->arena, &current, err);
    if (kind == KT_OK)
        job->parts[0].step.keep_part = kt_str(job_text(job, current));
    return kind;
}

static enum kt_kind program_preflight(struct job *job, const struct work *w,
                                      const struct logins *l, struct kt_err *err)
{
    const struct run *run = &w->run;
    enum kt_kind kind = add_change(job, w, l, DRIVER_INSPECT, PART_ALWAYS, run->slot_new, NULL, err);
    if (kind == KT_OK && !run->machine.mends) /* who is cut off now is helped at those that are named */
        ask_sentinels(job, &job->parts[0], &w->target);
    if (kind == KT_OK && run->machine.strategy == STRATEGY_OVERLAP)
        kind = name_current(job, w, l, err);
    if (kind == KT_OK && run->machine.mends && !run->machine.given && knows_drift(w))
        return add_part(job, &w->target, DRIVER_PROBE, PART_ALWAYS) != NULL
                   ? KT_OK
                   : kt_fail(err, KT_INTERNAL, "a job has too many parts");
    if (kind == KT_OK)
        kind = add_probe(job, w, l, PART_ALWAYS, false, true, control_slot(run, job->kind), err);
    if (run->machine.mends)
        return kind;
    if (kind == KT_OK && asks_new_control(w, rotation_steady_ms(w->req->core->rotation)))
        kind = add_probe(job, w, l, PART_IF_OK, false, false, run->slot_new, err);
    return kind;
}

static enum kt_kind program_apply(struct job *job, const struct work *w, const struct logins *l,
                                  struct kt_err *err)
{
    const struct run *run = &w->run;
    enum kt_kind kind = add_change(job, w, l, DRIVER_APPLY, PART_ALWAYS, run->slot_new,
                                   run->public_new, err);
    if (kind == KT_OK && is_in_place(w))
        return add_probe(job, w, l, PART_IF_OK, true, true, control_slot(run, job->kind), err);
    if (kind == KT_OK)
        kind = add_change(job, w, l, DRIVER_CREATE, PART_IF_MISSING, run->slot_new, NULL, err);
    if (kind == KT_OK)
        kind = add_change(job, w, l, DRIVER_APPLY, PART_IF_OK, run->slot_new, run->public_new, err);
    return kind;
}

static enum kt_kind program_look(struct job *job, const struct work *w, const struct logins *l,
                                 struct kt_err *err)
{
    const struct run *run = &w->run;
    const struct asked asked = look_asks(w);
    struct job_part *part = add_part(job, &w->target, DRIVER_PROBE, PART_ALWAYS);
    if (part == NULL)
        return kt_fail(err, KT_INTERNAL, "a job has too many parts");
    copy_ids(job, part, l);
    if (asked.new_)
        copy_login(job, part, DRIVER_NEW, run_account(run, run->slot_new), l->new_.password);
    if (asked.old)
        copy_login(job, part, DRIVER_OLD, run_account(run, run->slot_old), l->old.password);
    return asked.control ? add_control(job, part, w, run->slot_old, &l->old, err) : KT_OK;
}

/* Whom the new version does harm waits for the answer. */
static enum kt_kind program_ask_old(struct job *job, const struct work *w, const struct logins *l, struct kt_err *err)
{
    enum kt_kind kind = program_look(job, w, l, err);
    for (size_t i = 0; i < job->n; i++)
        if (job->parts[i].step.timeout_ms > ASK_OLD_MS)
            job->parts[i].step.timeout_ms = ASK_OLD_MS;
    return kind;
}

/* The account may be gone altogether. */
static enum kt_kind program_restore(struct job *job, const struct work *w,
                                    const struct logins *l, struct kt_err *err)
{
    const struct run *run = &w->run;
    enum kt_kind kind = add_change(job, w, l, DRIVER_RESTORE, PART_ALWAYS, run->slot_old,
                                   run->public_old, err);
    if (kind != KT_OK || !run->machine.mends || !is_alternate(w))
        return kind;
    kind = add_change(job, w, l, DRIVER_CREATE, PART_IF_MISSING, run->slot_old, NULL, err);
    if (kind == KT_OK)
        kind = add_change(job, w, l, DRIVER_RESTORE, PART_IF_OK, run->slot_old, run->public_old, err);
    return kind;
}

static enum kt_kind fill(struct job *job, const struct work *w, const struct logins *l,
                         struct kt_err *err)
{
    const struct run *run = &w->run;
    uint32_t control = control_slot(run, job->kind);
    bool adds = run->machine.given || run->machine.strategy == STRATEGY_OVERLAP;
    enum kt_kind kind = KT_OK;
    switch (job->kind) {
    case JOB_PREFLIGHT:
        return program_preflight(job, w, l, err);
    case JOB_APPLY:
        return program_apply(job, w, l, err);
    case JOB_VERIFY:
        kind = add_probe(job, w, l, PART_ALWAYS, true, true, control, err);
        return kind == KT_OK ? add_verify(job, w, l, err) : kind;
    case JOB_PROBE:
        if (run->machine.mends)
            return add_probe(job, w, l, PART_ALWAYS, false, true, control, err);
        if (asks_before_back(w))
            return program_ask_old(job, w, l, err);
        if (!doubts_in_place(w, job->kind))
            return add_probe(job, w, l, PART_ALWAYS, true, true, control, err);
        kind = add_probe(job, w, l, PART_ALWAYS, true, false, control, err);
        if (kind == KT_OK)
            kind = add_probe(job, w, l, PART_IF_NOT_NEW, true, true, control, err);
        return kind;
    case JOB_REVOKE:
        kind = add_probe(job, w, l, PART_ALWAYS, true, true, control, err);
        if (kind == KT_OK)
            kind = add_change(job, w, l, DRIVER_REVOKE, PART_IF_NEW, run->slot_old,
                              run->machine.given ? run->public_old : NULL, err);
        return kind;
    case JOB_REVOKE_NEW:
        kind = add_probe(job, w, l, PART_ALWAYS, true, true, control, err);
        if (kind == KT_OK)
            kind = add_change(job, w, l, DRIVER_REVOKE, PART_IF_OLD, run->slot_new,
                              adds ? run->public_new : NULL, err);
        return kind;
    case JOB_RESTORE:
        return program_restore(job, w, l, err);
    case JOB_SESSIONS:
        return add_change(job, w, l, DRIVER_INSPECT, PART_ALWAYS, run->slot_old, NULL, err);
    case JOB_LOOK:
        return program_look(job, w, l, err);
    case JOB_SERVED:
    case JOB_TRUTH:
    case JOB_DRY:
    case JOB_CHECK:
        break;
    }
    return kt_fail(err, KT_INTERNAL, "no such job of a run");
}

/* Of a target of several servers (nodes.h). */
static struct node_aim aim_of(const struct work *w, enum job_kind kind)
{
    const struct machine *m = &w->run.machine;
    enum run_state state = m->state == RUN_FROZEN ? m->frozen_in : m->state;
    bool back = state == RUN_ROLLING_BACK;
    bool before = m->mends || state == RUN_PLANNED || state == RUN_PREFLIGHT || state == RUN_GENERATED;
    return (struct node_aim){
        .new_ = back ? WISH_NOWHERE : WISH_EVERYWHERE,
        .old = back || before ? WISH_EVERYWHERE : m->past || m->old_dead ? WISH_NOWHERE : WISH_BESIDE,
        .all = kind != JOB_APPLY || m->promoted,
        .one = is_in_place(w),
    };
}

enum kt_kind plan_job(const struct work *w, enum job_kind job_kind, struct job **ret,
                      struct kt_err *err)
{
    struct logins logins;
    enum kt_kind kind = load_logins(w, &logins, err);
    if (kind != KT_OK)
        return kind;
    struct job *job = job_new(job_kind, w->run.id);
    if (job == NULL)
        return kt_fail(err, KT_NO_MEMORY, "planning a step");
    job->goes_back = w->run.machine.state == RUN_ROLLING_BACK;
    kind = fill(job, w, &logins, err);
    for (size_t i = 0; i < job->n; i++)
        job->parts[i].aim = aim_of(w, job_kind);
    if (kind == KT_OK && job->arena.failed)
        kind = kt_fail(err, KT_NO_MEMORY, "planning a step");
    if (kind != KT_OK) {
        job_free(job);
        return kind;
    }
    *ret = job;
    return KT_OK;
}

enum kt_kind plan_truth(struct request *req, const struct rotation_secret *secret,
                        struct kv_secret *kv, const struct rotation_target *target, uint32_t slot,
                        struct job **ret, struct kt_err *err)
{
    struct logins logins;
    struct work *w = kt_arena_take(&req->arena, sizeof *w);
    if (w == NULL)
        return kt_fail(err, KT_NO_MEMORY, "planning a look");
    *w = (struct work){.req = req, .secret = *secret, .kv = kv, .target = *target};
    w->run.settings = secret->settings;
    w->run.machine.strategy = secret->settings.strategy;
    w->run.from = kv->current;
    w->run.slot_old = w->run.slot_new = slot;
    enum kt_kind kind = load_logins(w, &logins, err);
    if (kind != KT_OK)
        return kind;
    struct job *job = job_new(JOB_TRUTH, secret->id);
    if (job == NULL)
        return kt_fail(err, KT_NO_MEMORY, "planning a look");
    job->secret = job_text(job, secret->name);
    job->version = kv->current;
    job->slot = slot;
    kind = add_probe(job, w, &logins, PART_ALWAYS, false, true, slot, err);
    if (kind == KT_OK && job->arena.failed)
        kind = kt_fail(err, KT_NO_MEMORY, "planning a look");
    if (kind != KT_OK) {
        job_free(job);
        return kind;
    }
    *ret = job;
    return KT_OK;
}

/* A target has no key: what asks with a key's id in an address cannot be asked for a wrong password alone. */
static bool asks_by_id(struct request *req, const struct rotation_target *target, const struct driver_info *info)
{
    struct http_api api;
    struct kt_err unread = {0};
    unsigned names = 0;
    if (info == NULL || !info->api || kt_http_api_read(target->api, &req->arena, &api, &unread) != KT_OK)
        return false;
    return kt_template_check(api.requests[HTTP_TEST].path, &names, &unread) == KT_OK &&
           (names & TEMPLATE_BIT(TEMPLATE_ID)) != 0;
}

enum kt_kind plan_check(struct request *req, const struct rotation_target *target,
                        const unsigned char id[RUN_ID], struct job **ret, struct kt_err *err)
{
    struct rotation_settings defaults;
    settings_defaults(&defaults);
    const struct driver_info *info = kt_driver_info(target->driver);
    if (info != NULL && info->generator != NULL)
        defaults.gen_type = info->generator;
    const struct credential none = {"", ""};
    const char *wrong = NULL;
    enum kt_kind kind = credential_generate(&defaults, &none, &req->arena, &wrong, err);
    if (kind != KT_OK)
        return kind;
    struct job *job = job_new(JOB_CHECK, id);
    struct job_part *part =
        job == NULL ? NULL : add_part(job, target, DRIVER_PROBE, PART_ALWAYS);
    if (part != NULL)
        ask_sentinels(job, part, target);
    if (part != NULL && !asks_by_id(req, target, info))
        copy_login(job, part, DRIVER_CONTROL, target->admin_username, wrong);
    if (part == NULL || job->arena.failed) {
        job_free(job);
        return kt_fail(err, KT_NO_MEMORY, "planning a check");
    }
    *ret = job;
    return KT_OK;
}
