#include "vaultd/rotation/truth.h"

#include "vaultd/core/rows.h"
#include "vaultd/rotation/probe.h"
#include "vaultd/rotation/tell.h"

#define SOON_MS      ((int64_t)15 * 60 * 1000)
#define COUNTED_MAX  5000u /* rows that are looked into; more count as they are */
#define KV_ARENA_MAX ((size_t)16 * 1024 * 1024)

/* ---- rows ---- */

enum kt_kind truth_row(struct request *req, struct rotation_secret *secret, int64_t at_ms,
                       struct kt_err *err)
{
    struct batch *batch = request_batch(req);
    unsigned char key[DUE_KEY];
    if (batch == NULL)
        return kt_fail(err, KT_NO_MEMORY, "planning a look");
    if (secret->look_due_ms == at_ms)
        return KT_OK;
    if (secret->look_due_ms != 0) {
        look_key(secret->look_due_ms, secret->id, key);
        batch_delete(batch, kt_bytes(key, sizeof key));
    }
    secret->look_due_ms = at_ms;
    if (at_ms == 0)
        return KT_OK;
    look_key(at_ms, secret->id, key);
    return due_row_put(req, kt_bytes(key, sizeof key), secret->name, err);
}

static int64_t every_ms(const struct rotation_secret *secret)
{
    return settings_has_target(&secret->settings) ? secret->settings.verify_every_s * 1000 : 0;
}

int64_t truth_soon_ms(const struct rotation_secret *secret)
{
    int64_t every = every_ms(secret);
    return every < SOON_MS ? every : SOON_MS;
}

enum kt_kind truth_plan(struct request *req, struct rotation_secret *secret, struct kt_err *err)
{
    int64_t every = every_ms(secret), at = secret->looked_ms + every;
    if (every == 0)
        return truth_row(req, secret, 0, err);
    /* Never looked at: now. A clock that was set back makes no wait longer than it is. */
    if (secret->looked_ms == 0 || at < req->now_ms)
        at = req->now_ms;
    if (at > req->now_ms + every)
        at = req->now_ms + every;
    return truth_row(req, secret, at, err);
}

static enum kt_kind heal(struct request *req, struct rotation_secret *secret, struct kt_err *err)
{
    struct batch *batch = request_batch(req);
    unsigned char key[RUN_KEY];
    if (secret->drifted_ms == 0)
        return KT_OK;
    if (batch == NULL)
        return kt_fail(err, KT_NO_MEMORY, "noting what the target accepts");
    drift_key(secret->id, key);
    batch_delete(batch, kt_bytes(key, sizeof key));
    secret->drifted_ms = 0;
    return KT_OK;
}

static enum kt_kind drift(struct request *req, struct rotation_secret *secret, uint32_t version,
                          struct kt_err *err)
{
    unsigned char key[RUN_KEY];
    bool known = secret->drifted_ms != 0;
    if (!known || secret->look_version != version)
        secret->drifted_ms = req->now_ms;
    secret->look_version = version;
    drift_key(secret->id, key);
    return known ? KT_OK : due_row_put(req, kt_bytes(key, sizeof key), secret->name, err);
}

enum kt_kind truth_forget(struct request *req, struct rotation_secret *secret, struct kt_err *err)
{
    enum kt_kind kind = heal(req, secret, err);
    secret->looked_ms = secret->verified_ms = 0;
    secret->look_version = 0;
    secret->look = "";
    return kind == KT_OK ? truth_row(req, secret, 0, err) : kind;
}

/* ---- what runs prove ---- */

enum kt_kind truth_after_run(struct work *w, struct kt_err *err)
{
    struct rotation_secret *secret = &w->secret;
    enum run_state state = w->run.machine.state;
    char id[RUN_ID_TEXT];
    if (!run_touches_target(&w->run))
        return KT_OK;
    if (state != RUN_DONE && state != RUN_ROLLED_BACK)
        return truth_plan(w->req, secret, err);
    run_id_text(w->run.id, id);
    const char *look = kt_arena_printf(&w->req->arena, "run %s proved that it is accepted", id);
    secret->look = look == NULL ? "" : look;
    secret->looked_ms = secret->verified_ms = w->req->now_ms;
    secret->look_version =
        state == RUN_DONE && !w->run.machine.mends ? w->run.to : w->run.from;
    enum kt_kind kind = heal(w->req, secret, err);
    return kind == KT_OK ? truth_plan(w->req, secret, err) : kind;
}

enum kt_kind truth_of_frozen(struct work *w, struct kt_err *err)
{
    struct rotation_secret *secret = &w->secret;
    /* A run keeps more words than a secret's record has room for. */
    const char *look =
        kt_arena_printf(&w->req->arena, "%.*s", (int)LOOK_TEXT_MAX, w->run.frozen_known);
    secret->look = look == NULL ? "" : look;
    secret->looked_ms = w->req->now_ms;
    enum kt_kind kind = drift(w->req, secret, w->run.from, err);
    return kind == KT_OK ? secret_save(w->req, secret, err) : kind;
}

/* ---- a look that is over ---- */

/* A run began meanwhile: it proves more than this, and only has to know what the account was asked. */
static enum kt_kind tell_run(struct request *req, const struct rotation_secret *secret,
                             const struct truth_seen *seen, unsigned refusals, int64_t steady_ms,
                             struct kt_err *err)
{
    struct run *run = kt_arena_take(&req->arena, sizeof *run);
    if (refusals == 0)
        return KT_OK;
    if (run == NULL)
        return kt_fail(err, KT_NO_MEMORY, "noting a look");
    enum kt_kind kind = run_load(req, secret->run, run, err);
    if (kind != KT_OK)
        return kind;
    budget_note(&run->budgets[seen->slot], refusals, steady_ms);
    return run_save(req, run, err);
}

static enum kt_kind look_soon(struct request *req, struct rotation_secret *secret,
                              struct kt_err *err)
{
    int64_t soon = truth_soon_ms(secret);
    return truth_row(req, secret, soon == 0 ? 0 : req->now_ms + soon, err);
}

static enum kt_kind judge(struct request *req, struct rotation_secret *secret,
                          const struct truth_seen *seen, enum truth_change *ret,
                          struct kt_err *err)
{
    bool before = truth_drifted(secret, seen->version);
    struct evidence evidence;
    kt_autobuf struct kt_buf text;
    kt_buf_init(&text, LOOK_TEXT_MAX - 1);
    probe_judge(seen->result, false, true, DEATH_OF_NONE, &evidence);
    if (!seen->ran)
        evidence = (struct evidence){.event = EV_UNREACH};
    if (!evidence.valid)
        kt_buf_add_text(&text, "not known: ");
    probe_text(seen->result, true, &text);
    const char *look = kt_arena_text(&req->arena, kt_buf_bytes(&text));
    secret->look = look == NULL ? "" : look;
    if (!evidence.valid)
        return look_soon(req, secret, err);
    secret->looked_ms = req->now_ms;
    enum kt_kind kind = KT_OK;
    if (evidence.old_accepted) {
        secret->verified_ms = req->now_ms;
        secret->look_version = seen->version;
        kind = heal(req, secret, err);
        *ret = before ? TRUTH_HEALED : TRUTH_AS_IT_WAS;
    } else {
        kind = drift(req, secret, seen->version, err);
        *ret = before ? TRUTH_AS_IT_WAS : TRUTH_DRIFTED;
        if (kind == KT_OK && !before)
            kind = tell_drifted(req, secret, seen->version, err);
    }
    return kind == KT_OK ? truth_plan(req, secret, err) : kind;
}

enum kt_kind truth_settle(struct request *req, const struct truth_seen *seen,
                          enum truth_change *ret, struct kt_err *err)
{
    struct rotation_secret secret;
    struct kv_secret *kv = NULL;
    int64_t steady = rotation_steady_ms(req->core->rotation);
    unsigned refusals =
        seen->uncounted + (seen->result->replies[DRIVER_OLD].answer == ANSWER_REFUSED ||
                                   seen->result->replies[DRIVER_OLD].refused_by_one
                               ? 1
                               : 0);
    *ret = TRUTH_AS_IT_WAS;
    enum kt_kind kind = secret_load(req, seen->secret, &secret, err);
    if (kind == KT_NOT_FOUND) {
        *err = (struct kt_err){0};
        return KT_OK; /* it is not rotated any more */
    }
    if (kind != KT_OK)
        return kind;
    if (secret.active)
        return tell_run(req, &secret, seen, refusals, steady, err);
    kind = kv_load(req->core, secret.mount, req->snapshot, &req->arena, secret.path, &kv, err);
    if (kind != KT_OK && kind != KT_NOT_FOUND)
        return kind;
    budget_note(&secret.budgets[seen->slot], refusals, steady);
    /* Another value is current by now, or another place is meant. */
    bool same = kind == KT_OK && kv->current == seen->version &&
                strcmp(secret.settings.target, seen->target) == 0;
    kind = same ? judge(req, &secret, seen, ret, err) : look_soon(req, &secret, err);
    return kind == KT_OK ? secret_save(req, &secret, err) : kind;
}

/* ---- showing ---- */

bool truth_drifted(const struct rotation_secret *secret, uint32_t current)
{
    return secret->drifted_ms != 0 && secret->look_version == current;
}

/* What is meant to be dead is not set again, so it is replaced: `secretctl reconcile` would be refused. */
static const char *mended_by(const struct rotation_secret *secret)
{
    return secret->settings.old_is_dead ? "rotate" : "reconcile";
}

void truth_show(const struct rotation_secret *secret, uint32_t current, struct kt_jsonw *w)
{
    bool drifted = truth_drifted(secret, current);
    bool seen = secret->verified_ms != 0 && secret->look_version == current;
    kt_jsonw_kv_text(w, "truth", drifted ? "drifted" : seen ? "accepted" : "");
    kt_jsonw_kv_time(w, "drifted", drifted ? secret->drifted_ms : 0);
    kt_jsonw_kv_text(w, "mend", drifted ? mended_by(secret) : "");
    kt_jsonw_kv_time(w, "verified", seen ? secret->verified_ms : 0);
    kt_jsonw_kv_text(w, "look", secret->look);
    kt_jsonw_kv_time(w, "next_look", secret->look_due_ms);
}

/* A row stays when another version becomes current, or the secret is gone, until somebody looks. */
static enum kt_kind is_drifted(struct request *req, const char *name, struct kt_arena *arena,
                               struct rotation_secret *secret, bool *ret, struct kt_err *err)
{
    struct kv_secret *kv = NULL;
    enum kt_kind kind = secret_load(req, name, secret, NULL);
    if (kind == KT_OK)
        kind = kv_load(req->core, secret->mount, req->snapshot, arena, secret->path, &kv, NULL);
    *ret = kind == KT_OK && truth_drifted(secret, kv->current);
    return kind == KT_OK || kind == KT_NOT_FOUND ? KT_OK : kt_fail(err, kind, "asking what drifted");
}

static enum kt_kind show_drifted(struct request *req, const char *name, struct kt_jsonw *w,
                                 struct kt_err *err)
{
    struct rotation_secret secret;
    bool is = false;
    enum kt_kind kind = is_drifted(req, name, &req->arena, &secret, &is, err);
    if (kind != KT_OK || !is)
        return kind;
    kt_jsonw_object(w);
    kt_jsonw_kv_text(w, "secret", name);
    kt_jsonw_kv_text(w, "target", secret.settings.target);
    kt_jsonw_kv_int(w, "version", secret.look_version);
    kt_jsonw_kv_time(w, "since", secret.drifted_ms);
    kt_jsonw_kv_text(w, "look", secret.look);
    kt_jsonw_kv_text(w, "mend", mended_by(&secret));
    kt_jsonw_end(w);
    return KT_OK;
}

enum kt_kind truth_list(struct request *req, int64_t limit, struct kt_jsonw *w, struct kt_err *err)
{
    unsigned char table = TABLE_DRIFT;
    enum kt_kind kind = KT_OK;
    struct rows rows;
    kt_jsonw_key(w, "drifted");
    kt_jsonw_array(w);
    rows_begin(&rows, req, kt_bytes(&table, 1), kt_bytes(NULL, 0), "asking what drifted");
    while (kind == KT_OK && limit-- > 0 && rows_next(&rows)) {
        const char *name = NULL;
        kind = due_row_name(req, &rows.entry, &name, err);
        if (kind == KT_OK)
            kind = show_drifted(req, name, w, err);
    }
    kt_jsonw_end(w);
    return rows_end(&rows, kind, err);
}

static enum kt_kind count_row(struct request *req, const struct entry *entry, struct kt_arena *arena,
                              size_t *count, struct kt_err *err)
{
    const char *name = NULL;
    struct rotation_secret secret;
    bool is = false;
    kt_arena_reset(arena);
    enum kt_kind kind = due_row_name(req, entry, &name, err);
    if (kind == KT_OK)
        kind = is_drifted(req, name, arena, &secret, &is, err);
    bool damaged = kind == KT_CORRUPT; /* one is no reason to have no numbers at all */
    if (damaged)
        kt_err_clear(err);
    *count += is || damaged;
    return damaged ? KT_OK : kind;
}

enum kt_kind rotation_count_drifted(struct request *req, size_t *ret, struct kt_err *err)
{
    unsigned char table = TABLE_DRIFT;
    enum kt_kind kind = KT_OK;
    struct kt_arena arena;
    struct rows rows;
    size_t n = 0;
    *ret = 0;
    kt_arena_init(&arena, KV_ARENA_MAX);
    rows_begin(&rows, req, kt_bytes(&table, 1), kt_bytes(NULL, 0), "counting what drifted");
    while (kind == KT_OK && rows_next(&rows))
        if (n++ < COUNTED_MAX)
            kind = count_row(req, &rows.entry, &arena, ret, err);
        else
            ++*ret;
    kind = rows_end(&rows, kind, err);
    kt_arena_free(&arena);
    return kind;
}
