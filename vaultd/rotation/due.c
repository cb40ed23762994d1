#include "vaultd/barrier/format.h"
#include "vaultd/rotation/calendar.h"
#include "vaultd/rotation/secret.h"

/* The index of what is due: one sealed row per secret, scanned from the front. A run that did not
 * end well comes again after a pause that doubles, however near its schedule's next fire is. */
#define FORMAT        1u
#define PAUSE_MS      ((int64_t)60 * 1000)
#define PAUSE_MOST_MS ((int64_t)60 * 60 * 1000)

enum kt_kind due_row_put(struct request *req, struct kt_bytes key, const char *name,
                         struct kt_err *err)
{
    struct batch *batch = request_batch(req);
    kt_autobuf struct kt_buf row;
    kt_buf_init(&row, 16384);
    kt_buf_add_u8(&row, FORMAT);
    kt_buf_add_field(&row, kt_str(name));
    if (batch == NULL || !kt_buf_ok(&row))
        return kt_fail(err, KT_NO_MEMORY, "planning a rotation");
    return barrier_put(req->core->barrier, batch, key, kt_buf_bytes(&row), err);
}

static enum kt_kind put_row(struct request *req, struct rotation_secret *secret,
                            struct kt_err *err)
{
    unsigned char key[DUE_KEY];
    due_key(secret->due_ms, secret->id, key);
    secret->due = true;
    return due_row_put(req, kt_bytes(key, sizeof key), secret->name, err);
}

static void read_1(struct kt_reader *r, void *ret)
{
    struct kt_bytes *name = ret;
    *name = kt_read_field(r);
}

static format_reader *const readers[] = {[FORMAT] = read_1};

enum kt_kind due_row_name(struct request *req, const struct entry *entry, const char **ret,
                          struct kt_err *err)
{
    kt_autobuf struct kt_buf plain;
    kt_buf_init(&plain, 16384);
    enum kt_kind kind =
        barrier_open_entry(req->core->barrier, entry->key, entry->value, &plain, err);
    struct kt_bytes name = {0};
    if (kind == KT_OK)
        kind = FORMAT_READ("a due row", kt_buf_bytes(&plain), readers, &name, err);
    if (kind != KT_OK)
        return kind;
    *ret = kt_arena_text(&req->arena, name);
    return *ret == NULL ? kt_fail(err, KT_NO_MEMORY, "reading what is due") : KT_OK;
}

enum kt_kind due_remove(struct request *req, struct rotation_secret *secret, struct kt_err *err)
{
    if (!secret->due)
        return KT_OK;
    struct batch *batch = request_batch(req);
    if (batch == NULL)
        return kt_fail(err, KT_NO_MEMORY, "planning a rotation");
    unsigned char key[DUE_KEY];
    due_key(secret->due_ms, secret->id, key);
    batch_delete(batch, kt_bytes(key, sizeof key));
    secret->due = false;
    return KT_OK;
}

enum kt_kind due_move(struct request *req, struct rotation_secret *secret, int64_t due_ms,
                      struct kt_err *err)
{
    enum kt_kind kind = due_remove(req, secret, err);
    if (kind != KT_OK)
        return kind;
    secret->due_ms = due_ms;
    return put_row(req, secret, err);
}

static int64_t pause_after(uint32_t failures)
{
    int64_t pause = PAUSE_MS;
    for (uint32_t i = 1; i < failures && pause < PAUSE_MOST_MS; i++)
        pause *= 2;
    return pause < PAUSE_MOST_MS ? pause : PAUSE_MOST_MS;
}

static struct kt_due due_of(const struct rotation_secret *secret)
{
    return (struct kt_due){.fire_ms = secret->fire_ms,
                           .due_ms = secret->due_ms,
                           .closes_ms = secret->closes_ms,
                           .reason = secret->reason};
}

static bool next_fire(struct request *req, const struct rotation_secret *secret,
                      const struct kt_schedule *schedule, int64_t after_ms, int64_t last_fire_ms,
                      int64_t last_done_ms, struct kt_due *ret)
{
    unsigned char jitter_key[32];
    barrier_derive(req->core->barrier, "rotation jitter", kt_bytes(NULL, 0), jitter_key);
    const struct kt_schedule_seed seed = {.key = kt_bytes(jitter_key, sizeof jitter_key),
                                          .id = kt_bytes(secret->id, sizeof secret->id)};
    return kt_schedule_next(schedule, &seed, after_ms, last_fire_ms, last_done_ms, ret);
}

bool due_second(struct request *req, const struct rotation_secret *secret,
                const struct kt_schedule *schedule, struct kt_due *ret)
{
    int64_t first = secret->due_ms > req->now_ms ? secret->due_ms : req->now_ms;
    int64_t after = secret->fire_ms > req->now_ms ? secret->fire_ms : req->now_ms;
    return secret->due && next_fire(req, secret, schedule, after, secret->fire_ms, first, ret);
}

enum kt_kind due_behind(struct request *req, const struct rotation_secret *secret, int64_t began_ms,
                        int64_t *ret_ms, struct kt_err *err)
{
    kt_autowhen struct rotation_when when = {0};
    struct kt_err why = {0};
    struct kt_due due;
    *ret_ms = 0;
    enum kt_kind kind = when_load(req, &secret->settings, NULL, &when, &why);
    if (kind == KT_INVALID || kind == KT_NOT_FOUND || kind == KT_CORRUPT)
        return KT_OK;
    if (kind != KT_OK)
        return kt_fail(err, kind, "%s", why.what);
    if (next_fire(req, secret, when.schedule, began_ms, secret->last_fire_ms, began_ms, &due))
        *ret_ms = due.due_ms;
    return KT_OK;
}

/* False in *ret_found: there is none, or the schedule cannot be read any more (held says so). */
static enum kt_kind next_due(struct request *req, struct rotation_secret *secret,
                             const struct rotation_calendar *instead, int64_t after_ms,
                             struct kt_due *ret, bool *ret_found, struct kt_err *err)
{
    kt_autowhen struct rotation_when when = {0};
    struct kt_err why = {0};
    *ret_found = false;
    enum kt_kind kind = when_load(req, &secret->settings, instead, &when, &why);
    if (kind == KT_INVALID || kind == KT_NOT_FOUND) {
        /* It was right when it was written: a time zone is gone, say. No run may hang on that. */
        const char *held = kt_arena_text(&req->arena, kt_str(why.what));
        secret->held = held == NULL ? "its schedule cannot be read any more" : held;
        return KT_OK;
    }
    if (kind != KT_OK)
        return kt_fail(err, kind, "%s", why.what);
    *ret_found = next_fire(req, secret, when.schedule, after_ms, secret->last_fire_ms,
                           secret->last_done_ms, ret);
    if (*ret_found && ret->moved_by != NULL) /* the calendar goes */
        ret->moved_by = kt_arena_text(&req->arena, kt_str(ret->moved_by));
    if (*ret_found && ret->moved_ms != 0 && ret->moved_by == NULL)
        return kt_fail(err, KT_NO_MEMORY, "planning a rotation");
    int64_t earliest = req->now_ms + pause_after(secret->failures);
    if (*ret_found && secret->failures > 0 && ret->due_ms < earliest)
        ret->due_ms = earliest;
    return KT_OK;
}

static enum kt_kind put_due(struct request *req, struct rotation_secret *secret,
                            const struct kt_due *due, struct kt_err *err)
{
    secret->fire_ms = due->fire_ms;
    secret->due_ms = due->due_ms;
    secret->closes_ms = due->closes_ms;
    secret->reason = due->reason;
    return put_row(req, secret, err);
}

enum kt_kind due_plan(struct request *req, struct rotation_secret *secret, int64_t after_ms,
                      struct kt_err *err)
{
    struct kt_due due;
    bool found = false;
    enum kt_kind kind = due_remove(req, secret, err);
    if (kind == KT_OK)
        kind = next_due(req, secret, NULL, after_ms, &due, &found, err);
    return kind == KT_OK && found ? put_due(req, secret, &due, err) : kind;
}

/* KT_NOT_FOUND, no text: there is no window that it could wait for. */
static enum kt_kind next_window(struct request *req, const struct rotation_secret *secret,
                                const struct rotation_calendar *instead, struct kt_due *ret)
{
    kt_autowhen struct rotation_when when = {0};
    enum kt_kind kind = when_load(req, &secret->settings, instead, &when, NULL);
    if (kind != KT_OK)
        return kind == KT_NO_MEMORY ? kind : KT_NOT_FOUND;
    *ret = due_of(secret);
    ret->due_ms = req->now_ms;
    /* First when its window opens, then when the calendar lets it start in one. */
    for (int i = 0; i < 2; i++)
        if (kt_schedule_judge(when.schedule, ret, ret->due_ms, &ret->due_ms) == KT_DUE_MISSED)
            return KT_NOT_FOUND;
    return KT_OK;
}

static enum kt_kind due_again(struct request *req, struct rotation_secret *secret,
                              const struct rotation_calendar *instead, struct kt_due *ret,
                              bool *ret_found, struct kt_err *err)
{
    struct kt_due again;
    enum kt_kind window = next_window(req, secret, instead, &again);
    if (window == KT_NO_MEMORY)
        return kt_fail(err, window, "planning a rotation");
    enum kt_kind kind = next_due(req, secret, instead, req->now_ms, ret, ret_found, err);
    if (kind != KT_OK || window != KT_OK)
        return kind;
    int64_t until_ms = again.closes_ms == INT64_MAX ? again.due_ms : again.closes_ms;
    if (!*ret_found || ret->due_ms >= until_ms) {
        *ret = again;
        *ret_found = true;
    }
    return kind;
}

enum kt_kind due_plan_again(struct request *req, struct rotation_secret *secret,
                            struct kt_err *err)
{
    struct kt_due due;
    bool found = false;
    enum kt_kind kind = due_remove(req, secret, err);
    if (kind == KT_OK)
        kind = due_again(req, secret, NULL, &due, &found, err);
    return kind == KT_OK && found ? put_due(req, secret, &due, err) : kind;
}

enum kt_kind due_news(struct request *req, struct rotation_secret *secret, struct kt_err *err)
{
    int64_t now = req->now_ms;
    const struct kt_due due = {.fire_ms = now,
                               .due_ms = secret->due && secret->due_ms < now ? secret->due_ms : now,
                               .closes_ms = INT64_MAX,
                               .reason = KT_DUE_NEWS};
    enum kt_kind kind = due_remove(req, secret, err);
    return kind == KT_OK ? put_due(req, secret, &due, err) : kind;
}

bool due_for_news(const struct rotation_secret *secret)
{
    return secret->due && secret->reason == KT_DUE_NEWS;
}

void due_began(struct rotation_secret *secret, int64_t now_ms)
{
    if (secret->fire_ms <= now_ms && secret->reason != KT_DUE_NEWS)
        secret->last_fire_ms = secret->fire_ms;
}

enum kt_kind due_refused(struct request *req, struct rotation_secret *secret, struct kt_err *err)
{
    if (secret->reason == KT_DUE_NEWS) /* no schedule brings them again */
        return due_move(req, secret, req->now_ms + pause_after(secret->failures), err);
    due_began(secret, req->now_ms);
    return due_plan(req, secret, req->now_ms, err);
}

bool due_had_run(const struct rotation_secret *secret, int64_t now_ms)
{
    return secret->due && secret->fire_ms <= now_ms && secret->fire_ms <= secret->last_fire_ms;
}

enum kt_kind due_ahead(struct request *req, struct rotation_secret *secret,
                       const struct rotation_calendar *instead, struct kt_due *ret,
                       bool *ret_found, struct kt_err *err)
{
    int64_t now = req->now_ms;
    *ret = due_of(secret);
    *ret_found = secret->due;
    if (secret->active || due_for_news(secret) || (secret->due && secret->due_ms <= now))
        return KT_OK;
    if (due_had_run(secret, now))
        return due_again(req, secret, instead, ret, ret_found, err);
    /* A fire that has passed and waits for its window is not lost. */
    int64_t after = secret->due && secret->fire_ms <= now ? secret->fire_ms - 1 : now;
    return next_due(req, secret, instead, after, ret, ret_found, err);
}

void due_show(struct kt_jsonw *w, const struct kt_due *due)
{
    bool moved = due != NULL && due->moved_by != NULL;
    kt_jsonw_kv_time(w, "next_due", due == NULL ? 0 : due->due_ms);
    kt_jsonw_kv_text(w, "next_reason", due == NULL ? "" : kt_due_reason_text(due->reason));
    kt_jsonw_kv_time(w, "moved_from", moved ? due->moved_ms : 0);
    kt_jsonw_kv_text(w, "moved_by", moved ? due->moved_by : "");
}

enum kt_kind due_replan(struct request *req, struct rotation_secret *secret, bool *ret_changed,
                        struct kt_err *err)
{
    int64_t now = req->now_ms;
    *ret_changed = secret->last_fire_ms > now || secret->last_done_ms > now;
    if (secret->last_fire_ms > now)
        secret->last_fire_ms = now;
    if (secret->last_done_ms > now)
        secret->last_done_ms = now;
    if (secret->active || (secret->due && secret->due_ms <= now))
        return KT_OK;
    if (due_for_news(secret)) { /* what they waited for may be gone: judged anew, but for the pause after a failure */
        int64_t soon_ms = now + (secret->failures > 0 ? pause_after(secret->failures) : 0);
        bool sooner = soon_ms < secret->due_ms;
        *ret_changed = *ret_changed || sooner;
        return sooner ? due_move(req, secret, soon_ms, err) : KT_OK;
    }
    struct kt_due due = {0};
    bool found = false;
    enum kt_kind kind = due_ahead(req, secret, NULL, &due, &found, err);
    /* The pause after a failure is as long as it was, not anew from now. */
    bool pauses = secret->failures > 0 && due.due_ms == now + pause_after(secret->failures);
    if (kind != KT_OK || (found && secret->due && due.fire_ms == secret->fire_ms &&
                          due.closes_ms == secret->closes_ms && due.reason == secret->reason &&
                          (due.due_ms == secret->due_ms || pauses)))
        return kind;
    *ret_changed = *ret_changed || found || secret->due;
    kind = due_remove(req, secret, err);
    return kind == KT_OK && found ? put_due(req, secret, &due, err) : kind;
}
