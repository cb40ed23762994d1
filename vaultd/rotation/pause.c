#include "vaultd/rotation/pause.h"

#include "lib/log.h"
#include "vaultd/core/rows.h"
#include "vaultd/notify/notice.h"
#include "vaultd/rotation/engine.h"
#include "vaultd/rotation/run.h"

#define RECORD_MAX ((size_t)8 * 1024)
#define COUNT_MOST 1000u /* late ones, for people: more is "1000 at least" */

#define ROW(member, type, most) RECORD_ROW(struct rotation_pause, member, type, most)
static const struct record_row rows_1[] = {
    ROW(by, RECORD_TEXT, RUN_WHO_MAX),
    ROW(reason, RECORD_TEXT, RUN_REASON_MAX),
    ROW(since_ms, RECORD_I64, 1),
};
static const struct record_form forms[] = {RECORD_FORM(1, rows_1)};
const struct record_kind pause_kind = {"pause of all rotations", forms, 1,
                                       sizeof(struct rotation_pause)};

/* ---- the record ---- */

static enum kt_kind load(struct request *req, struct rotation_pause *ret, bool *ret_on,
                         generation *ret_changed, struct kt_err *err)
{
    unsigned char key[BARRIER_NAME_KEY];
    struct kt_bytes record;
    pause_key(req->core, key);
    *ret = (struct rotation_pause){.by = "", .reason = ""};
    *ret_on = false;
    *ret_changed = 0;
    enum kt_kind kind = request_record(req, kt_bytes(key, sizeof key), &record, ret_changed, err);
    if (kind == KT_NOT_FOUND)
        return KT_OK;
    if (kind == KT_OK)
        kind = record_read(&pause_kind, record, &req->arena, ret, err);
    *ret_on = kind == KT_OK;
    return kind;
}

enum kt_kind pause_load(struct request *req, struct rotation_pause *ret, bool *ret_on,
                        struct kt_err *err)
{
    generation changed = 0;
    return load(req, ret, ret_on, &changed, err);
}

void pause_require_off(struct request *req, struct batch *batch)
{
    unsigned char key[BARRIER_NAME_KEY];
    pause_key(req->core, key);
    batch_require(batch, KEY_ABSENT, kt_bytes(key, sizeof key), 0);
}

static enum kt_kind save(struct request *req, const struct rotation_pause *pause, struct kt_err *err)
{
    struct batch *batch = request_batch(req);
    kt_autobuf struct kt_buf record;
    kt_buf_init(&record, RECORD_MAX);
    record_write(&pause_kind, pause, &record);
    if (batch == NULL || !kt_buf_ok(&record))
        return kt_fail(err, KT_NO_MEMORY, "pausing all rotations");
    unsigned char key[BARRIER_NAME_KEY];
    pause_key(req->core, key);
    batch_require(batch, KEY_ABSENT, kt_bytes(key, sizeof key), 0);
    return barrier_put(req->core->barrier, batch, kt_bytes(key, sizeof key), kt_buf_bytes(&record),
                       err);
}

/* ---- in words ---- */

const char *pause_text(struct request *req, const struct rotation_pause *pause, bool on)
{
    char since[KT_TIME_TEXT];
    if (!on)
        return "";
    kt_time_text(pause->since_ms, since);
    return kt_arena_printf(&req->arena, "paused by %s since %s: %s", pause->by, since,
                           pause->reason);
}

static void members(const struct rotation_pause *pause, struct kt_jsonw *w)
{
    kt_jsonw_kv_text(w, "by", pause->by);
    kt_jsonw_kv_time(w, "since", pause->since_ms);
    kt_jsonw_kv_text(w, "reason", pause->reason);
}

void pause_show(const struct rotation_pause *pause, bool on, struct kt_jsonw *w)
{
    kt_jsonw_key(w, "paused");
    if (!on) {
        kt_jsonw_null(w);
        return;
    }
    kt_jsonw_object(w);
    members(pause, w);
    kt_jsonw_end(w);
}

/* How many would have started by now. */
static enum kt_kind count_late(struct request *req, unsigned *ret, struct kt_err *err)
{
    unsigned char table = TABLE_DUE;
    struct rows rows;
    *ret = 0;
    rows_begin(&rows, req, kt_bytes(&table, 1), kt_bytes(NULL, 0), "counting what is late");
    while (*ret < COUNT_MOST && rows_next(&rows) && due_time_of_key(rows.entry.key) <= req->now_ms)
        (*ret)++;
    return rows_end(&rows, KT_OK, err);
}

static unsigned count_active(struct rotation *rotation)
{
    unsigned n = 0;
    (void)pthread_mutex_lock(&rotation->lock);
    for (const struct active *a = rotation->actives; a != NULL; a = a->next)
        n += !a->ended;
    (void)pthread_mutex_unlock(&rotation->lock);
    return n;
}

static enum kt_kind answer(struct request *req, const struct rotation_pause *pause, bool on,
                           struct kt_err *err)
{
    unsigned late = 0;
    enum kt_kind kind = count_late(req, &late, err);
    if (kind != KT_OK)
        return kind;
    struct kt_jsonw w = kt_jsonw(&req->reply.data);
    kt_jsonw_object(&w);
    kt_jsonw_kv_bool(&w, "paused", on);
    members(pause, &w);
    kt_jsonw_kv_int(&w, "late", late);
    kt_jsonw_kv_int(&w, "active", count_active(req->core->rotation));
    kt_jsonw_end(&w);
    return KT_OK;
}

/* ---- routes ---- */

enum kt_kind pause_read(struct request *req, struct kt_err *err)
{
    struct rotation_pause pause;
    bool on = false;
    enum kt_kind kind = pause_load(req, &pause, &on, err);
    return kind == KT_OK ? answer(req, &pause, on, err) : kind;
}

static void paused(struct request *req, const struct commit_result *result)
{
    if (result->error != STORE_OK)
        return;
    kt_log(KT_LOG_WARNING, "rotation-paused", "%s", "next=\"secretctl run resume\"");
    rotation_wake(req->core->rotation);
}

static void resumed(struct request *req, const struct commit_result *result)
{
    if (result->error != STORE_OK)
        return;
    kt_log(KT_LOG_NOTICE, "rotation-resumed", "%s", "schedules=on");
    atomic_store(&req->core->rotation->looks_news, true); /* drills are looked for, too */
    rotation_wake(req->core->rotation);
}

/* All channels: it is about everything. */
static enum kt_kind tell(struct request *req, enum notice_event event, const struct rotation_pause *pause,
                         struct kt_err *err)
{
    bool on = event == NOTICE_PAUSED;
    const struct notice notice = {
        .event = event,
        .verdict = kt_arena_printf(&req->arena, "%s  all rotations; by %s: %s", on ? "PAUSED" : "RESUMED",
                                   pause->by, pause->reason),
        .hurt = on ? "nobody now; what is due gets late" : "nobody",
        .next = on ? "secretctl run resume" : "secretctl due",
    };
    if (notice.verdict == NULL)
        return kt_fail(err, KT_NO_MEMORY, "telling people");
    return notify_tell(req, &notice, NULL, NULL, err);
}

enum kt_kind pause_write(struct request *req, struct kt_err *err)
{
    struct rotation_pause pause, wish = {.since_ms = req->now_ms};
    bool on = false;
    enum kt_kind kind = run_reason(req, &wish.reason, err);
    if (kind == KT_OK && wish.reason[0] == '\0') {
        (void)kt_fail(err, KT_INVALID, "reason is missing: who finds nothing rotated wants to know why");
        kt_hint(err, "secretctl run pause --all --reason=\"...\"");
        return KT_INVALID;
    }
    if (kind == KT_OK)
        kind = run_who(req, &wish.by, err);
    if (kind == KT_OK)
        kind = pause_load(req, &pause, &on, err);
    if (kind != KT_OK)
        return kind;
    if (on) {
        const char *text = pause_text(req, &pause, on);
        request_warn(req, "it is %s; that stays as it is", text == NULL ? "paused already" : text);
        return answer(req, &pause, on, err);
    }
    req->after_commit = paused;
    kind = save(req, &wish, err);
    if (kind == KT_OK)
        kind = tell(req, NOTICE_PAUSED, &wish, err);
    return kind == KT_OK ? answer(req, &wish, true, err) : kind;
}

enum kt_kind pause_delete(struct request *req, struct kt_err *err)
{
    struct rotation_pause pause;
    unsigned char key[BARRIER_NAME_KEY];
    generation changed = 0;
    bool on = false;
    enum kt_kind kind = load(req, &pause, &on, &changed, err);
    if (kind != KT_OK || !on)
        return kind;
    struct batch *batch = request_batch(req);
    if (batch == NULL)
        return kt_fail(err, KT_NO_MEMORY, "letting rotations go on");
    pause_key(req->core, key);
    batch_require(batch, KEY_CHANGED_AT, kt_bytes(key, sizeof key), changed);
    batch_delete(batch, kt_bytes(key, sizeof key));
    req->after_commit = resumed;
    struct rotation_pause over = {.reason = pause.reason};
    kind = run_who(req, &over.by, err);
    if (kind == KT_OK)
        kind = tell(req, NOTICE_RESUMED, &over, err);
    return kind == KT_OK ? answer(req, &pause, false, err) : kind;
}
