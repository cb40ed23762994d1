#include "vaultd/barrier/format.h"
#include "vaultd/rotation/secret.h"

/* The index of what is due: one sealed row per secret, scanned from the front. A run that did not
 * end well comes again after a pause that doubles, however near its schedule's next fire is. */
#define FORMAT        1u
#define PAUSE_MS      ((int64_t)60 * 1000)
#define PAUSE_MOST_MS ((int64_t)60 * 60 * 1000)

static enum kt_kind put_row(struct request *req, struct rotation_secret *secret,
                            struct kt_err *err)
{
    struct batch *batch = request_batch(req);
    kt_autobuf struct kt_buf row;
    kt_buf_init(&row, 16384);
    kt_buf_add_u8(&row, FORMAT);
    kt_buf_add_field(&row, kt_str(secret->name));
    if (batch == NULL || !kt_buf_ok(&row))
        return kt_fail(err, KT_NO_MEMORY, "planning a rotation");
    unsigned char key[DUE_KEY];
    due_key(secret->due_ms, secret->id, key);
    secret->due = true;
    return barrier_put(req->core->barrier, batch, kt_bytes(key, sizeof key), kt_buf_bytes(&row),
                       err);
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

enum kt_kind due_plan(struct request *req, struct rotation_secret *secret, int64_t after_ms,
                      struct kt_err *err)
{
    enum kt_kind kind = due_remove(req, secret, err);
    if (kind != KT_OK)
        return kind;
    struct kt_schedule_text text;
    settings_schedule(&secret->settings, &text);
    kt_autoschedule struct kt_schedule *schedule = NULL;
    struct kt_err why = {0};
    kind = kt_schedule_parse(&text, &schedule, &why);
    if (kind == KT_INVALID || kind == KT_NOT_FOUND) {
        /* It was right when it was written: a time zone is gone, say. No run may hang on that. */
        const char *held = kt_arena_text(&req->arena, kt_str(why.what));
        secret->held = held == NULL ? "its schedule cannot be read any more" : held;
        return KT_OK;
    }
    if (kind != KT_OK)
        return kt_fail(err, kind, "%s", why.what);
    unsigned char jitter_key[32];
    barrier_derive(req->core->barrier, "rotation jitter", kt_bytes(NULL, 0), jitter_key);
    const struct kt_schedule_seed seed = {.key = kt_bytes(jitter_key, sizeof jitter_key),
                                          .id = kt_bytes(secret->id, sizeof secret->id)};
    struct kt_due due;
    if (!kt_schedule_next(schedule, &seed, after_ms, secret->last_fire_ms, secret->last_done_ms,
                          &due))
        return KT_OK;
    secret->fire_ms = due.fire_ms;
    secret->due_ms = due.due_ms;
    secret->closes_ms = due.closes_ms;
    secret->reason = due.reason;
    int64_t earliest = req->now_ms + pause_after(secret->failures);
    if (secret->failures > 0 && secret->due_ms < earliest)
        secret->due_ms = earliest;
    return put_row(req, secret, err);
}
