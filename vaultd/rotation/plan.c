#include "vaultd/rotation/plan.h"

#include <sodium.h>

#include "lib/num.h"
#include "vaultd/rotation/probe.h"

/* Both credentials of a run; what a step does not need is not copied into it. */
struct logins {
    struct credential old, new_;
};

static enum kt_kind load_logins(const struct work *w, struct logins *ret, struct kt_err *err)
{
    const struct run *run = &w->run;
    enum kt_kind kind = credential_load(w->req, &w->secret, &run->settings, w->kv, run->from,
                                        &ret->old, NULL, err);
    if (kind == KT_OK && run->to != 0)
        kind = credential_load(w->req, &w->secret, &run->settings, w->kv, run->to, &ret->new_,
                               NULL, err);
    return kind;
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
    struct driver_step from = {0};
    target_step(target, &from);
    part->step.driver = job_text(job, from.driver);
    part->step.target = from.target;
    part->step.target.host = job_text(job, from.target.host);
    part->step.target.database = job_text(job, from.target.database);
    part->step.target.sslmode = job_text(job, from.target.sslmode);
    part->step.target.ca = job_text(job, from.target.ca);
    part->step.target.server_id = job_text(job, from.target.server_id);
    part->step.timeout_ms = from.timeout_ms;
    if (op != DRIVER_VERIFY)
        copy_login(job, part, DRIVER_ADMIN, target->admin_username, target->admin_password);
    return part;
}

static void name_account(struct job *job, struct job_part *part, const struct run *run,
                         uint32_t slot)
{
    bool alternates = run->machine.strategy == STRATEGY_ALTERNATE;
    part->step.account = job_text(job, run_account(run, slot));
    part->step.other_account = alternates ? job_text(job, run_account(run, 1 - slot)) : "";
    part->step.group = alternates ? job_text(job, run->settings.group) : "";
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

static enum kt_kind add_probe(struct job *job, const struct work *w, const struct logins *l,
                              enum job_rule rule, bool asks_new, bool asks_old,
                              uint32_t control_slot, struct kt_err *err)
{
    struct job_part *part = add_part(job, &w->target, DRIVER_PROBE, rule);
    if (part == NULL)
        return kt_fail(err, KT_INTERNAL, "a job has too many parts");
    const struct run *run = &w->run;
    if (asks_new)
        copy_login(job, part, DRIVER_NEW, run_account(run, run->slot_new), l->new_.password);
    if (asks_old)
        copy_login(job, part, DRIVER_OLD, run_account(run, run->slot_old), l->old.password);
    return add_control(job, part, w, control_slot, &l->old, err);
}

static void set_public(struct job *job, struct job_part *part, const struct run *run,
                       const char *public_part)
{
    unsigned char hash[crypto_hash_sha256_BYTES];
    char id[RUN_ID_TEXT], hex[2 * crypto_hash_sha256_BYTES + 1];
    (void)crypto_hash_sha256(hash, (const unsigned char *)public_part, strlen(public_part));
    kt_hex_encode(hash, sizeof hash, hex);
    run_id_text(run->id, id);
    part->step.public_part = kt_str(job_text(job, public_part));
    part->step.run = job_text(job, id);
    part->step.digest = job_text(job, hex);
    part->step.attempt = run->attempt;
}

static enum kt_kind add_change(struct job *job, const struct work *w, enum driver_op op,
                               enum job_rule rule, uint32_t slot, const char *public_part,
                               struct kt_err *err)
{
    struct job_part *part = add_part(job, &w->target, op, rule);
    if (part == NULL)
        return kt_fail(err, KT_INTERNAL, "a job has too many parts");
    name_account(job, part, &w->run, slot);
    if (public_part != NULL)
        set_public(job, part, &w->run, public_part);
    else
        set_public(job, part, &w->run, "");
    if (public_part == NULL)
        part->step.public_part = kt_bytes(NULL, 0);
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
    return KT_OK;
}

static bool is_alternate(const struct work *w)
{
    return w->run.machine.strategy == STRATEGY_ALTERNATE;
}

/* ---- how often the target may be asked ---- */

/* How many refusals of each slot's account a job is meant to cause; false: it does not ask that
 * account anything. */
static bool asks_slot(const struct work *w, enum job_kind kind, uint32_t slot, unsigned *ret)
{
    const struct run *run = &w->run;
    bool old = slot == run->slot_old, new_ = slot == run->slot_new;
    bool one = !is_alternate(w);
    unsigned refusals = 0;
    switch (kind) {
    case JOB_PREFLIGHT:
        refusals = 1;
        break;
    case JOB_APPLY:
        if (!one)
            return false;
        refusals = 2;
        break;
    case JOB_VERIFY:
    case JOB_PROBE:
        refusals = one ? 2 : (new_ ? 1 : (run->machine.state == RUN_CONFIRMING ? 1 : 0));
        break;
    case JOB_REVOKE:
        refusals = old ? 1 : 0;
        break;
    case JOB_REVOKE_NEW:
        refusals = new_ ? 1 : 0;
        break;
    case JOB_RESTORE:
    case JOB_SESSIONS:
    case JOB_CHECK:
        return false;
    }
    *ret = refusals;
    return one ? slot == 0 : old || new_;
}

/* The second account's control in preflight is made when there is room for the whole run. */
static bool asks_new_control(const struct work *w, int64_t now_ms)
{
    int64_t when = 0;
    return is_alternate(w) &&
           budget_allows(&w->run.budgets[w->run.slot_new], &w->target, 3, now_ms, &when);
}

bool plan_allowed(const struct work *w, enum job_kind kind, int64_t now_ms, int64_t *ret_ms)
{
    bool allowed = true;
    int64_t latest = 0;
    for (uint32_t slot = 0; slot < 2; slot++) {
        unsigned refusals = 0;
        int64_t when = 0;
        if (!asks_slot(w, kind, slot, &refusals))
            continue;
        /* Preflight can do without asking the new account anything. */
        if (kind == JOB_PREFLIGHT && slot != w->run.slot_old)
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

static enum kt_kind program_preflight(struct job *job, const struct work *w,
                                      const struct logins *l, struct kt_err *err)
{
    const struct run *run = &w->run;
    enum kt_kind kind = add_change(job, w, DRIVER_INSPECT, PART_ALWAYS, run->slot_new, NULL, err);
    if (kind == KT_OK)
        kind = add_probe(job, w, l, PART_ALWAYS, false, true, run->slot_old, err);
    if (kind == KT_OK && asks_new_control(w, rotation_steady_ms(w->req->core->rotation)))
        kind = add_probe(job, w, l, PART_IF_OK, false, false, run->slot_new, err);
    return kind;
}

static enum kt_kind program_apply(struct job *job, const struct work *w, const struct logins *l,
                                  struct kt_err *err)
{
    const struct run *run = &w->run;
    enum kt_kind kind = add_change(job, w, DRIVER_APPLY, PART_ALWAYS, run->slot_new,
                                   run->public_new, err);
    if (kind == KT_OK && !is_alternate(w))
        return add_probe(job, w, l, PART_IF_OK, true, true, run->slot_new, err);
    if (kind == KT_OK)
        kind = add_change(job, w, DRIVER_CREATE, PART_IF_MISSING, run->slot_new, NULL, err);
    if (kind == KT_OK)
        kind = add_change(job, w, DRIVER_APPLY, PART_IF_OK, run->slot_new, run->public_new, err);
    return kind;
}

static enum kt_kind fill(struct job *job, const struct work *w, const struct logins *l,
                         struct kt_err *err)
{
    const struct run *run = &w->run;
    enum kt_kind kind = KT_OK;
    switch (job->kind) {
    case JOB_PREFLIGHT:
        return program_preflight(job, w, l, err);
    case JOB_APPLY:
        return program_apply(job, w, l, err);
    case JOB_VERIFY:
        kind = add_probe(job, w, l, PART_ALWAYS, true, true, run->slot_new, err);
        return kind == KT_OK ? add_verify(job, w, l, err) : kind;
    case JOB_PROBE:
        return add_probe(job, w, l, PART_ALWAYS, true, true, run->slot_new, err);
    case JOB_REVOKE:
        kind = add_probe(job, w, l, PART_ALWAYS, true, true, run->slot_old, err);
        if (kind == KT_OK)
            kind = add_change(job, w, DRIVER_REVOKE, PART_IF_NEW, run->slot_old, NULL, err);
        return kind;
    case JOB_REVOKE_NEW:
        kind = add_probe(job, w, l, PART_ALWAYS, true, true, run->slot_new, err);
        if (kind == KT_OK)
            kind = add_change(job, w, DRIVER_REVOKE, PART_IF_OLD, run->slot_new, NULL, err);
        return kind;
    case JOB_RESTORE:
        return add_change(job, w, DRIVER_RESTORE, PART_ALWAYS, run->slot_old, run->public_old, err);
    case JOB_SESSIONS:
        return add_change(job, w, DRIVER_INSPECT, PART_ALWAYS, run->slot_old, NULL, err);
    case JOB_CHECK:
        break;
    }
    return kt_fail(err, KT_INTERNAL, "no such job of a run");
}

enum kt_kind plan_job(const struct work *w, enum job_kind job_kind, struct job **ret,
                      struct kt_err *err)
{
    struct logins logins = {{"", ""}, {"", ""}};
    enum kt_kind kind = load_logins(w, &logins, err);
    if (kind != KT_OK)
        return kind;
    struct job *job = job_new(job_kind, w->run.id);
    if (job == NULL)
        return kt_fail(err, KT_NO_MEMORY, "planning a step");
    kind = fill(job, w, &logins, err);
    if (kind == KT_OK && job->arena.failed)
        kind = kt_fail(err, KT_NO_MEMORY, "planning a step");
    if (kind != KT_OK) {
        job_free(job);
        return kind;
    }
    *ret = job;
    return KT_OK;
}

enum kt_kind plan_check(struct request *req, const struct rotation_target *target,
                        const unsigned char id[RUN_ID], struct job **ret, struct kt_err *err)
{
    struct rotation_settings defaults;
    settings_defaults(&defaults);
    const struct credential none = {"", ""};
    const char *wrong = NULL;
    enum kt_kind kind = credential_generate(&defaults, &none, &req->arena, &wrong, err);
    if (kind != KT_OK)
        return kind;
    struct job *job = job_new(JOB_CHECK, id);
    struct job_part *part =
        job == NULL ? NULL : add_part(job, target, DRIVER_PROBE, PART_ALWAYS);
    if (part != NULL)
        copy_login(job, part, DRIVER_CONTROL, target->admin_username, wrong);
    if (part == NULL || job->arena.failed) {
        job_free(job);
        return kt_fail(err, KT_NO_MEMORY, "planning a check");
    }
    *ret = job;
    return KT_OK;
}
