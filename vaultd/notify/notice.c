#include "vaultd/notify/notice.h"

#include "lib/log.h"
#include "vaultd/core/rows.h"

#define RECORD_MAX   ((size_t)16 * 1024)
#define DROPPED_MOST 16u /* of a batch's 100 operations each takes two */

#define ROW(member, type, most) RECORD_ROW(struct notice, member, type, most)
static const struct record_row rows_1[] = {
    ROW(id, RECORD_TEXT, 64),
    ROW(channel, RECORD_TEXT, NOTIFY_NAME_MAX),
    ROW(event, RECORD_ENUM, NOTICE_EVENT_COUNT),
    ROW(secret, RECORD_TEXT, 4096),
    ROW(run, RECORD_TEXT, 64),
    ROW(verdict, RECORD_TEXT, NOTICE_TEXT),
    ROW(hurt, RECORD_TEXT, NOTICE_TEXT),
    ROW(next, RECORD_TEXT, NOTICE_TEXT),
    ROW(at_ms, RECORD_I64, 1),
    ROW(tries, RECORD_U32, 0),
};
static const struct record_form forms[] = {RECORD_FORM(1, rows_1)};
const struct record_kind notice_kind = {"message to people", forms, 1, sizeof(struct notice)};

const char *notice_event_text(enum notice_event event)
{
#define X(name, text, level) text,
    static const char *const texts[] = {NOTICE_EVENTS(X)};
#undef X
    return texts[event];
}

static enum kt_log_level level_of(enum notice_event event)
{
#define X(name, text, level) level,
    static const enum kt_log_level levels[] = {NOTICE_EVENTS(X)};
#undef X
    return levels[event];
}

/* ---- telling ---- */

/* Not within a character. */
static const char *cut(struct request *req, const char *text)
{
    size_t len = strnlen(text == NULL ? "" : text, NOTICE_TEXT + 1);
    if (len > NOTICE_TEXT) {
        len = NOTICE_TEXT;
        while (len > 0 && ((unsigned char)text[len] & 0xc0) == 0x80)
            len--;
    }
    return kt_arena_text(&req->arena, kt_bytes(text, len));
}

static enum kt_kind put(struct request *req, const struct notice *notice, int64_t due_ms, struct kt_err *err)
{
    struct batch *batch = request_batch(req);
    kt_autobuf struct kt_buf record;
    kt_buf_init(&record, RECORD_MAX);
    record_write(&notice_kind, notice, &record);
    if (batch == NULL || !kt_buf_ok(&record))
        return kt_fail(err, KT_NO_MEMORY, "writing a message to people");
    unsigned char id[RUN_ID], key[DUE_KEY];
    run_id_make(req->now_ms, id);
    notice_key(due_ms, id, key);
    return barrier_put(req->core->barrier, batch, kt_bytes(key, sizeof key), kt_buf_bytes(&record), err);
}

/* Each channel has a line of its own: one that is deaf keeps nothing from the others. all: how many wait
 * together; rows are opened only where those are many. */
static enum kt_kind put_if_room(struct request *req, const struct notice *notice, size_t all, struct kt_err *err)
{
    size_t waiting = all;
    enum kt_kind kind = all < NOTICES_MAX ? KT_OK : notices_count(req, notice->channel, &waiting, err);
    if (kind != KT_OK)
        return kind;
    if (waiting < NOTICES_MAX)
        return put(req, notice, req->now_ms, err);
    kt_log(KT_LOG_ERROR, "notice-dropped", "channel=%s id=%s waiting=%zu next=\"secretctl notify list\"",
           notice->channel, notice->id, waiting);
    return KT_OK;
}

static enum kt_kind put_all(struct request *req, struct notice *notice, const char *words, struct kt_err *err)
{
    const struct notify_channels *channels = req->core->config.notify;
    bool named = channels_named(channels, words);
    size_t all = 0;
    enum kt_kind kind = notices_count(req, NULL, &all, err);
    for (size_t i = 0; i < channels->n && kind == KT_OK; i++) {
        notice->channel = channels->at[i].name;
        if (!named || channel_is_named(notice->channel, words))
            kind = put_if_room(req, notice, all, err);
    }
    return kind;
}

enum kt_kind notify_tell(struct request *req, const struct notice *notice, const char *words,
                         const char **ret_id, struct kt_err *err)
{
    unsigned char id[RUN_ID];
    char text[RUN_ID_TEXT];
    const struct notify_channels *channels = req->core->config.notify;
    run_id_make(req->now_ms, id);
    run_id_text(id, text);
    struct notice full = {.id = kt_arena_text(&req->arena, kt_str(text)), .event = notice->event,
                          .secret = notice->secret == NULL ? "" : notice->secret,
                          .run = notice->run == NULL ? "" : notice->run,
                          .verdict = cut(req, notice->verdict), .hurt = cut(req, notice->hurt),
                          .next = cut(req, notice->next), .at_ms = req->now_ms};
    if (full.id == NULL || full.verdict == NULL || full.hurt == NULL || full.next == NULL)
        return kt_fail(err, KT_NO_MEMORY, "writing a message to people");
    if (ret_id != NULL)
        *ret_id = full.id;
    /* Names stay out of the log. */
    kt_log(level_of(full.event), "notice", "event=%s id=%s run=%s", notice_event_text(full.event), full.id,
           full.run);
    if (channels == NULL || channels->n == 0)
        return KT_OK;
    return put_all(req, &full, words, err);
}

/* ---- the rows ---- */

static enum kt_kind read_row(struct request *req, const struct entry *entry, struct kt_buf *plain,
                             struct notice *ret, struct kt_err *err)
{
    enum kt_kind kind = rows_open(req, entry, plain, err);
    if (kind == KT_OK)
        kind = record_read(&notice_kind, kt_buf_bytes(plain), &req->arena, ret, err);
    if (kind == KT_OK && entry->key.len == sizeof ret->key) {
        memcpy(ret->key, entry->key.at, sizeof ret->key);
        ret->changed = entry->changed;
    }
    return kind;
}

/* Of a channel that the configuration has no more, and old. */
static bool is_nobodys(const struct request *req, const struct notice *notice)
{
    return req->now_ms - notice->at_ms > NOTIFY_OLD_MS &&
           channel_find(req->core->config.notify, notice->channel) == NULL;
}

enum kt_kind notice_first(struct request *req, const char *channel, struct notice *ret,
                          int64_t *ret_next_ms, struct kt_err *err)
{
    unsigned char table = TABLE_NOTICE;
    kt_autobuf struct kt_buf plain;
    kt_buf_init(&plain, RECORD_MAX);
    enum kt_kind kind = KT_OK;
    bool found = false;
    unsigned dropped = 0;
    struct rows rows;
    *ret_next_ms = INT64_MAX;
    rows_begin(&rows, req, kt_bytes(&table, 1), kt_bytes(NULL, 0), "reading messages to people");
    while (kind == KT_OK && !found && *ret_next_ms == INT64_MAX && rows_next(&rows)) {
        kind = read_row(req, &rows.entry, &plain, ret, err);
        if (kind == KT_OK && dropped < DROPPED_MOST && is_nobodys(req, ret)) {
            notice_end(req, ret);
            dropped++;
        }
        if (kind != KT_OK || strcmp(ret->channel, channel) != 0)
            continue;
        int64_t due = due_time_of_key(rows.entry.key);
        found = due <= req->now_ms;
        if (!found)
            *ret_next_ms = due;
    }
    kind = rows_end(&rows, kind, err);
    return kind != KT_OK || found ? kind : KT_NOT_FOUND;
}

enum kt_kind notices_count(struct request *req, const char *channel, size_t *ret, struct kt_err *err)
{
    unsigned char table = TABLE_NOTICE;
    kt_autobuf struct kt_buf plain;
    kt_buf_init(&plain, RECORD_MAX);
    enum kt_kind kind = KT_OK;
    size_t n = 0;
    struct rows rows;
    rows_begin(&rows, req, kt_bytes(&table, 1), kt_bytes(NULL, 0), "counting messages to people");
    while (kind == KT_OK && rows_next(&rows)) {
        struct notice notice = {.channel = ""};
        if (channel != NULL)
            kind = read_row(req, &rows.entry, &plain, &notice, err);
        n += channel == NULL || strcmp(notice.channel, channel) == 0;
    }
    *ret = n;
    return rows_end(&rows, kind, err);
}

void notice_end(struct request *req, const struct notice *notice)
{
    struct batch *batch = request_batch(req);
    if (batch == NULL)
        return;
    batch_require(batch, KEY_CHANGED_AT, kt_bytes(notice->key, sizeof notice->key), notice->changed);
    batch_delete(batch, kt_bytes(notice->key, sizeof notice->key));
}

enum kt_kind notice_again(struct request *req, const struct notice *notice, int64_t due_ms,
                          struct kt_err *err)
{
    struct notice later = *notice;
    later.tries = notice->tries == UINT32_MAX ? UINT32_MAX : notice->tries + 1;
    notice_end(req, notice);
    return put(req, &later, due_ms, err);
}
