#include "vaultd/notify/notice.h"

#include "lib/cleanup.h"
#include "lib/plain_text.h"
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

static char *cut(struct request *req, const char *text)
{
    size_t len = text == NULL ? 0 : kt_text_cut(text, NOTICE_TEXT);
    return kt_arena_text(&req->arena, kt_bytes(text, len));
}

/* Commands have lines of their own; what is made of anybody's words has not. */
static const char *line(struct request *req, const char *text)
{
    char *copy = cut(req, text);
    if (copy != NULL)
        kt_make_plain(copy, strlen(copy));
    return copy;
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

/* How many wait of each channel of the configuration. */
struct lines {
    size_t waiting[NOTIFY_CHANNELS_MAX];
};

/* Who asks for approvals can ask for many. */
static size_t most_of(enum notice_event event)
{
    return event == NOTICE_ASKED ? NOTICES_MAX / 2 : NOTICES_MAX;
}

/* Each channel has a line of its own: one that is deaf keeps nothing from the others. */
static enum kt_kind put_if_room(struct request *req, const struct notice *notice, size_t waiting, struct kt_err *err)
{
    if (waiting < most_of(notice->event))
        return put(req, notice, req->now_ms, err);
    request_log(req, KT_LOG_ERROR, "notice-dropped", "channel=%s id=%s waiting=%zu next=\"secretctl notify list\"",
                notice->channel, notice->id, waiting);
    return KT_OK;
}

/* Rows are opened only where those of all together are many. */
static enum kt_kind count_lines(struct request *req, size_t many, struct lines *ret, struct kt_err *err)
{
    size_t all = 0;
    *ret = (struct lines){{0}};
    enum kt_kind kind = notices_count(req, &all, err);
    return kind != KT_OK || all < many ? kind : notices_count_each(req, ret->waiting, err);
}

static enum kt_kind put_all(struct request *req, struct notice *notice, const char *words, struct kt_err *err)
{
    const struct notify_channels *channels = req->core->config.notify;
    bool named = channels_named(channels, words);
    struct lines lines;
    enum kt_kind kind = count_lines(req, most_of(notice->event), &lines, err);
    for (size_t i = 0; i < channels->n && kind == KT_OK; i++) {
        notice->channel = channels->at[i].name;
        if (!named || channel_is_named(notice->channel, words))
            kind = put_if_room(req, notice, lines.waiting[i], err);
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
                          .verdict = line(req, notice->verdict), .hurt = line(req, notice->hurt),
                          .next = cut(req, notice->next), .at_ms = req->now_ms};
    if (full.id == NULL || full.verdict == NULL || full.hurt == NULL || full.next == NULL)
        return kt_fail(err, KT_NO_MEMORY, "writing a message to people");
    if (ret_id != NULL)
        *ret_id = full.id;
    /* Names stay out of the log. */
    request_log(req, level_of(full.event), "notice", "event=%s id=%s run=%s", notice_event_text(full.event),
                full.id, full.run);
    if (channels == NULL || channels->n == 0)
        return KT_OK;
    return put_all(req, &full, words, err);
}

void notify_warn(struct request *req, const char *words)
{
    const struct notify_channels *channels = req->core->config.notify;
    if (words[0] == '\0' || channels == NULL || channels->n == 0 || channels_named(channels, words))
        return;
    kt_autobuf struct kt_buf names;
    kt_buf_init(&names, 1024);
    for (size_t i = 0; i < channels->n; i++)
        kt_buf_printf(&names, "%s%s", i == 0 ? "" : ", ", channels->at[i].name);
    request_warn(req, "notify names none of the channels of vaultd's configuration (%s): all of them are told of this "
                      "secret",
                 kt_buf_ok(&names) ? kt_buf_text(&names) : "secretctl notify list");
}

/* ---- the rows ---- */

static enum kt_kind read_row(struct request *req, struct kt_arena *arena, const struct entry *entry,
                             struct kt_buf *plain, struct notice *ret, struct kt_err *err)
{
    enum kt_kind kind = rows_open(req, entry, plain, err);
    if (kind == KT_OK)
        kind = record_read(&notice_kind, kt_buf_bytes(plain), arena, ret, err);
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

/* One that cannot be opened is a message that nobody gets; the others do not wait for it. Nobody can say whose it
 * is. */
static bool is_damaged(enum kt_kind kind, struct kt_err *err)
{
    if (kind != KT_CORRUPT && kind != KT_INVALID)
        return false;
    kt_err_clear(err);
    return true;
}

static void drop_damaged(struct request *req, const struct entry *entry)
{
    struct notice old = {.changed = entry->changed};
    if (entry->key.len != sizeof old.key || due_time_of_key(entry->key) + NOTIFY_OLD_MS > req->now_ms)
        return;
    memcpy(old.key, entry->key.at, sizeof old.key);
    notice_end(req, &old);
}

/* No message is put further ahead than a channel rests: where one is, the clock was ahead then. It would wait for
 * as long as the clock was set back. */
static int64_t due_of(const struct request *req, struct kt_bytes key)
{
    int64_t due_ms = due_time_of_key(key);
    return due_ms > req->now_ms + NOTIFY_REST_MS ? req->now_ms : due_ms;
}

/* look->found: it is the channel's, and due; look->next_ms is set when it is not due yet. */
static enum kt_kind judge_row(struct request *req, const struct entry *entry, const char *channel,
                              struct kt_buf *plain, struct notice *ret, struct notices_look *look,
                              struct kt_err *err)
{
    enum kt_kind kind = read_row(req, &req->arena, entry, plain, ret, err);
    if (is_damaged(kind, err)) {
        if (look->damaged++ + look->dropped < DROPPED_MOST)
            drop_damaged(req, entry);
        return KT_OK;
    }
    if (kind != KT_OK)
        return kind;
    if (look->dropped + look->damaged < DROPPED_MOST && is_nobodys(req, ret)) {
        notice_end(req, ret);
        look->dropped++;
    }
    if (strcmp(ret->channel, channel) != 0)
        return KT_OK;
    int64_t due_ms = due_of(req, entry->key);
    look->found = due_ms <= req->now_ms;
    if (!look->found && due_ms < look->next_ms)
        look->next_ms = due_ms;
    return KT_OK;
}

enum kt_kind notice_first(struct request *req, const char *channel, struct notice *ret,
                          struct notices_look *ret_look, struct kt_err *err)
{
    unsigned char table = TABLE_NOTICE;
    kt_autobuf struct kt_buf plain;
    kt_buf_init(&plain, RECORD_MAX);
    enum kt_kind kind = KT_OK;
    struct rows rows;
    *ret_look = (struct notices_look){.next_ms = INT64_MAX};
    rows_begin(&rows, req, kt_bytes(&table, 1), kt_bytes(NULL, 0), "reading messages to people");
    while (kind == KT_OK && !ret_look->found && rows_next(&rows))
        kind = judge_row(req, &rows.entry, channel, &plain, ret, ret_look, err);
    return rows_end(&rows, kind, err);
}

enum kt_kind notices_count(struct request *req, size_t *ret, struct kt_err *err)
{
    unsigned char table = TABLE_NOTICE;
    struct rows rows;
    *ret = 0;
    rows_begin(&rows, req, kt_bytes(&table, 1), kt_bytes(NULL, 0), "counting messages to people");
    while (rows_next(&rows))
        ++*ret;
    return rows_end(&rows, KT_OK, err);
}

/* Its text is read into memory of its own: a request tells several things, and rows may be many. */
static enum kt_kind count_row(struct request *req, struct rows *rows, struct kt_arena *arena,
                              struct kt_buf *plain, size_t ret[NOTIFY_CHANNELS_MAX], struct kt_err *err)
{
    const struct notify_channels *channels = req->core->config.notify;
    struct notice notice = {.channel = ""};
    enum kt_kind kind = read_row(req, arena, &rows->entry, plain, &notice, err);
    for (size_t i = 0; kind == KT_OK && i < channels->n; i++)
        ret[i] += strcmp(notice.channel, channels->at[i].name) == 0;
    kt_arena_reset(arena);
    return is_damaged(kind, err) ? KT_OK : kind;
}

enum kt_kind notices_count_each(struct request *req, size_t ret[NOTIFY_CHANNELS_MAX], struct kt_err *err)
{
    unsigned char table = TABLE_NOTICE;
    kt_autobuf struct kt_buf plain;
    KT_AUTO(kt_arena_free) struct kt_arena arena;
    kt_buf_init(&plain, RECORD_MAX);
    kt_arena_init(&arena, 2 * RECORD_MAX);
    enum kt_kind kind = KT_OK;
    struct rows rows;
    memset(ret, 0, NOTIFY_CHANNELS_MAX * sizeof *ret);
    rows_begin(&rows, req, kt_bytes(&table, 1), kt_bytes(NULL, 0), "counting messages to people");
    while (kind == KT_OK && rows_next(&rows))
        kind = count_row(req, &rows, &arena, &plain, ret, err);
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
    if (later.at_ms > req->now_ms) /* the clock was ahead: else it would get old only when that comes again */
        later.at_ms = req->now_ms;
    notice_end(req, notice);
    return put(req, &later, due_ms, err);
}
