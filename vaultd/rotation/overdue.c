#include "vaultd/rotation/overdue.h"

#include <stdlib.h>

#include "vaultd/core/rows.h"
#include "vaultd/rotation/classes.h"
#include "vaultd/rotation/each.h"
#include "vaultd/rotation/key_age.h"
#include "vaultd/rotation/pause.h"
#include "vaultd/rotation/rotation.h"
#include "vaultd/rotation/run.h"

#define LIST_DEFAULT 100
#define LIST_MAX     5000
#define GRACE_S      300
#define KV_ARENA_MAX ((size_t)16 * 1024 * 1024)

const char *overdue_reason_text(enum overdue_reason reason)
{
#define X(name, text) text,
    static const char *const texts[] = {OVERDUE_REASONS(X)};
#undef X
    return texts[reason];
}

/* ---- judging one ---- */

static int64_t max_age_ms(const struct rotation_settings *settings, const struct rotation_classes *classes)
{
    int64_t ms = 0;
    const char *text = classes_age(classes, settings);
    return text[0] != '\0' && kt_schedule_duration("max_age", text, &ms, NULL) == KT_OK ? ms : 0;
}

static enum kt_kind judge_run(struct request *req, const struct rotation_secret *secret,
                              struct overdue *ret, int64_t *ret_late_ms, struct kt_err *err)
{
    struct run *run = kt_arena_take(&req->arena, sizeof *run);
    if (run == NULL)
        return kt_fail(err, KT_NO_MEMORY, "looking at a run");
    enum kt_kind kind = run_load(req, secret->run, run, err);
    if (kind == KT_OK && run->machine.state == RUN_FROZEN) {
        ret->why = OVERDUE_FROZEN;
        ret->since_ms = rotation_wall_of(req->core->rotation, run->state_ms);
        return KT_OK;
    }
    if (kind == KT_OK)
        kind = due_behind(req, secret, run->started_ms, ret_late_ms, err);
    int64_t held_ms = run->started_ms + run->settings.max_overlap_s * 1000;
    if (*ret_late_ms != 0 && *ret_late_ms < held_ms)
        *ret_late_ms = held_ms;
    return kind;
}

/* Before its first rotation a value is as old as its version. */
static enum kt_kind value_time(struct request *req, const struct rotation_secret *secret,
                               int64_t *ret_ms, struct kt_err *err)
{
    const struct mount *mount = NULL;
    const char *path = NULL;
    struct kv_secret *kv = NULL;
    *ret_ms = secret->last_done_ms;
    if (secret->last_done_ms != 0 || secret_place(req, secret->name, &mount, &path, NULL) != KT_OK)
        return KT_OK;
    struct kt_arena arena;
    kt_arena_init(&arena, KV_ARENA_MAX);
    enum kt_kind kind = kv_load(req->core, mount, req->snapshot, &arena, path, &kv, err);
    const struct kv_version *version = kind == KT_OK ? kv_version(kv, kv->current) : NULL;
    if (version != NULL)
        *ret_ms = version->created_ms;
    kt_arena_free(&arena);
    if (kind != KT_NOT_FOUND)
        return kind;
    kt_err_clear(err);
    return KT_OK;
}

/* late_ms: when it should have started; 0: that is not said. */
static void judge_times(const struct rotation_secret *secret, int64_t late_ms, int64_t grace_ms,
                        int64_t now_ms, struct overdue *ret)
{
    bool aged = ret->max_age_ms > 0 && ret->value_ms > 0;
    bool failed = secret->failures > 0 && secret->last_fire_ms > secret->last_done_ms;
    bool held = !secret->active && !secret->due && secret->held[0] != '\0';
    bool unable = secret->drill_text[0] != '\0' && !secret->drill_ok;
    bool passed = secret->fire_ms > 0 && secret->fire_ms < now_ms;
    const struct {
        enum overdue_reason why;
        bool is;
        int64_t since_ms, grace_ms;
    } rows[] = {
        {OVERDUE_AGE, aged, ret->value_ms + ret->max_age_ms, 0},
        {OVERDUE_FAILED, failed, secret->last_fire_ms, grace_ms},
        {OVERDUE_HELD, held, passed ? secret->fire_ms : now_ms, -1}, /* at once: it will not start later, either */
        {OVERDUE_LATE, late_ms != 0, late_ms, grace_ms},
        {OVERDUE_DRILL, unable, secret->drilled_ms, -1},
        {OVERDUE_DRILL, secret->drill_due_ms != 0, secret->drill_due_ms, grace_ms},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0] && ret->why == OVERDUE_NOT; i++)
        if (rows[i].is && rows[i].since_ms + rows[i].grace_ms < now_ms) {
            ret->why = rows[i].why;
            ret->since_ms = rows[i].since_ms;
        }
}

enum kt_kind overdue_judge(struct request *req, const struct rotation_secret *secret,
                           const struct rotation_classes *classes, int64_t grace_ms, struct overdue *ret,
                           struct kt_err *err)
{
    int64_t late_ms = secret->due ? secret->due_ms : 0;
    *ret = (struct overdue){.why = OVERDUE_NOT, .max_age_ms = max_age_ms(&secret->settings, classes)};
    struct kt_arena kept;
    request_scratch_begin(req, &kept);
    enum kt_kind kind = value_time(req, secret, &ret->value_ms, err);
    if (kind == KT_OK && secret->active)
        kind = judge_run(req, secret, ret, &late_ms, err);
    (void)request_scratch_end(req, &kept, NULL);
    if (kind == KT_OK)
        judge_times(secret, late_ms, grace_ms, req->now_ms, ret);
    return kind;
}

/* ---- all of them ---- */

struct row {
    const char *secret, *owner, *risk, *blocked_by;
    struct overdue overdue;
    char run[RUN_ID_TEXT]; /* under way; "": none */
};

struct listing {
    struct request *req;
    const char *paused;
    int64_t grace_ms;
    struct rotation_classes classes;
    struct key_ages keys;
    struct row *rows;
    size_t n, room; /* of rows: LIST_MAX at most */
    size_t late, checked, unreadable;
};

static enum kt_kind add(struct listing *l, const struct rotation_secret *secret,
                        const struct overdue *overdue, struct kt_err *err)
{
    const char *blocked = "";
    enum kt_kind kind = secret_blocked_by(l->req, secret, l->paused, &blocked, err);
    if (kind != KT_OK)
        return kind;
    struct row *rows = rows_room(l->req, l->rows, l->n, &l->room, sizeof *rows);
    if (rows == NULL)
        return kt_fail(err, KT_NO_MEMORY, "listing what is overdue");
    l->rows = rows;
    struct row *row = &rows[l->n++];
    *row = (struct row){.overdue = *overdue};
    row->secret = kt_arena_text(&l->req->arena, kt_str(secret->name));
    row->owner = kt_arena_text(&l->req->arena, kt_str(secret->settings.owner));
    row->risk = kt_arena_text(&l->req->arena, kt_str(secret->settings.risk));
    row->blocked_by = kt_arena_text(&l->req->arena, kt_str(blocked));
    if (secret->active)
        run_id_text(secret->run, row->run);
    return row->secret == NULL || row->owner == NULL || row->risk == NULL || row->blocked_by == NULL
               ? kt_fail(err, KT_NO_MEMORY, "listing what is overdue")
               : KT_OK;
}

static enum kt_kind look(void *arg, const struct rotation_secret *secret, struct kt_err *err)
{
    struct listing *l = arg;
    struct overdue overdue;
    enum kt_kind kind = overdue_judge(l->req, secret, &l->classes, l->grace_ms, &overdue, err);
    l->checked++;
    if (kind != KT_OK || overdue.why == OVERDUE_NOT)
        return kind;
    return l->late++ < LIST_MAX ? add(l, secret, &overdue, err) : KT_OK;
}

static int by_name(const void *a, const void *b)
{
    const struct row *x = a, *y = b;
    return strcmp(x->secret, y->secret);
}

static void show_row(const struct row *row, int64_t now_ms, struct kt_jsonw *w)
{
    int64_t age = row->overdue.value_ms == 0 ? 0 : now_ms - row->overdue.value_ms;
    kt_jsonw_object(w);
    kt_jsonw_kv_text(w, "secret", row->secret);
    kt_jsonw_kv_text(w, "why", overdue_reason_text(row->overdue.why));
    kt_jsonw_kv_time(w, "since", row->overdue.since_ms);
    kt_jsonw_kv_int(w, "overdue_s", (now_ms - row->overdue.since_ms) / 1000);
    kt_jsonw_kv_int(w, "age_s", age / 1000);
    kt_jsonw_kv_int(w, "max_age_s", row->overdue.max_age_ms / 1000);
    kt_jsonw_kv_text(w, "owner", row->owner);
    kt_jsonw_kv_text(w, "risk", row->risk);
    kt_jsonw_kv_text(w, "run", row->run);
    kt_jsonw_kv_text(w, "blocked_by", row->blocked_by);
    kt_jsonw_end(w);
}

static void show(struct listing *l, size_t limit)
{
    struct kt_jsonw w = kt_jsonw(&l->req->reply.data);
    if (l->n > 0)
        qsort(l->rows, l->n, sizeof l->rows[0], by_name);
    kt_jsonw_object(&w);
    kt_jsonw_kv_int(&w, "checked", (int64_t)l->checked);
    kt_jsonw_kv_int(&w, "count", (int64_t)l->late);
    kt_jsonw_key(&w, "overdue");
    kt_jsonw_array(&w);
    for (size_t i = 0; i < l->n && i < limit; i++)
        show_row(&l->rows[i], l->req->now_ms, &w);
    kt_jsonw_end(&w);
    key_ages_show(l->req, &l->keys, &w);
    kt_jsonw_kv_int(&w, "unreadable", (int64_t)l->unreadable);
    kt_jsonw_end(&w);
}

enum kt_kind overdue_list(struct request *req, struct kt_err *err)
{
    int64_t limit = LIST_DEFAULT, grace_s = GRACE_S;
    enum kt_kind kind = request_int(req, "limit", &limit, err);
    if (kind == KT_OK || kind == KT_NOT_FOUND)
        kind = request_duration_s(req, "grace", &grace_s, err);
    if (kind != KT_OK && kind != KT_NOT_FOUND)
        return kind;
    if (limit < 1 || limit > LIST_MAX)
        return kt_fail(err, KT_INVALID, "limit must be from 1 to %d", LIST_MAX);
    if (grace_s > INT64_C(31536000))
        return kt_fail(err, KT_INVALID, "grace must be a year at most");
    struct rotation_pause pause;
    bool on = false;
    kind = pause_load(req, &pause, &on, err);
    if (kind != KT_OK)
        return kind;
    struct secrets_part all = {.after = "", .below = "", .passes = true};
    struct listing l = {
        .req = req, .grace_ms = grace_s * 1000, .paused = pause_text(req, &pause, on)};
    if (l.paused == NULL)
        return kt_fail(err, KT_NO_MEMORY, "listing what is overdue");
    kind = classes_load(req, &l.classes, err);
    if (kind == KT_OK)
        kind = key_ages_load(req, &l.keys, err);
    if (kind == KT_OK)
        kind = secrets_each(req, &all, look, &l, err);
    if (kind != KT_OK || all.aside)
        return kind;
    l.unreadable = all.unreadable;
    show(&l, (size_t)limit);
    if (l.unreadable > 0)
        request_warn(req, "%zu more cannot be read: they do not rotate, and nobody knows how old they are", l.unreadable);
    return kind;
}
