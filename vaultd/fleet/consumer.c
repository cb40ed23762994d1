#include "vaultd/fleet/consumer.h"

#include "vaultd/core/rows.h"
#include "vaultd/rotation/veto.h"

#define RECORD_MAX ((size_t)16 * 1024)

#define ROW(member, type, most) RECORD_ROW(struct consumer, member, type, most)
#define ROWS_1                                                                                     \
    ROW(host, RECORD_TEXT, HOST_MAX),                                                              \
    ROW(service, RECORD_TEXT, SERVICE_MAX),                                                        \
    ROW(identity, RECORD_TEXT, 256),                                                               \
    ROW(instance, RECORD_TEXT, 512),                                                               \
    ROW(evidence, RECORD_TEXT, 64),                                                                \
    ROW(detail, RECORD_TEXT, 1024),                                                                \
    ROW(version, RECORD_U32, 0),                                                                   \
    ROW(state, RECORD_ENUM, CONSUMER_STATE_COUNT),                                                 \
    ROW(at_ms, RECORD_I64, 1),                                                                     \
    ROW(samples, RECORD_I64, 1),                                                                   \
    ROW(p95_ms, RECORD_I64, 1),                                                                    \
    ROW(baseline_p95_ms, RECORD_I64, 1),                                                           \
    ROW(failed_version, RECORD_U32, 0),                                                            \
    ROW(failed_ms, RECORD_I64, 1)
static const struct record_row rows_1[] = {ROWS_1};
static const struct record_row rows_2[] = {
    ROWS_1,
    ROW(candidates, RECORD_U32, 0),
    ROW(holds, RECORD_U32, 0),
    ROW(holds_ms, RECORD_I64, 1),
    ROW(heard_ms, RECORD_I64, 1),
    ROW(lacks_ms, RECORD_I64, 1),
};
static const struct record_form forms[] = {RECORD_FORM(2, rows_2), RECORD_FORM(1, rows_1)};
const struct record_kind consumer_kind = {"consumer", forms, 2, sizeof(struct consumer)};

#define X(name, text) [name] = (text),
static const char *const state_texts[] = {CONSUMER_STATES(X)};
#undef X

const char *consumer_state_text(enum consumer_state state)
{
    return state_texts[state];
}

bool consumer_state_parse(const char *text, enum consumer_state *ret)
{
    for (size_t i = 0; i < CONSUMER_STATE_COUNT; i++)
        if (strcmp(text, state_texts[i]) == 0) {
            *ret = (enum consumer_state)i;
            return true;
        }
    return false;
}

static enum kt_kind read_record(struct kt_bytes record, struct kt_arena *arena, struct consumer *ret, struct kt_err *err)
{
    enum kt_kind kind = record_read(&consumer_kind, record, arena, ret, err);
    if (kind == KT_OK && ret->heard_ms == 0) /* of format 1 */
        ret->heard_ms = ret->at_ms;
    return kind;
}

static enum kt_kind read_entry(struct request *req, const struct entry *entry, struct kt_buf *plain,
                               struct kt_arena *arena, struct consumer *ret, struct kt_err *err)
{
    enum kt_kind kind = rows_open(req, entry, plain, err);
    if (kind == KT_OK)
        kind = read_record(kt_buf_bytes(plain), arena, ret, err);
    if (kind == KT_OK) {
        ret->changed = entry->changed;
        ret->veto = NULL;
    }
    return kind;
}

/* The secret's consumers, the head among them. */
static void begin_rows(struct request *req, const unsigned char secret[RUN_ID], struct rows *rows,
                       unsigned char ret_head[BARRIER_NAME_KEY])
{
    unsigned char prefix[BARRIER_FOLDER_PREFIX];
    consumers_prefix(req->core, secret, prefix);
    consumers_head(req->core, secret, ret_head);
    rows_begin(rows, req, kt_bytes(prefix, sizeof prefix), kt_bytes(NULL, 0),
               "reading the consumers of a secret");
}

static bool is_aside(const struct consumer *consumer)
{
    return consumer->veto != NULL && consumer->veto->aside_ms != 0;
}

size_t consumers_counted(const struct consumer *consumers, size_t n)
{
    while (n > 0 && is_aside(&consumers[n - 1]))
        n--;
    return n;
}

static enum kt_kind move_aside(struct request *req, struct consumer *all, size_t n, struct kt_err *err)
{
    struct consumer *aside = kt_arena_take(&req->arena, n * sizeof *aside);
    size_t kept = 0, moved = 0;
    if (aside == NULL)
        return kt_fail(err, KT_NO_MEMORY, "reading the consumers of a secret");
    for (size_t i = 0; i < n; i++)
        if (is_aside(&all[i]))
            aside[moved++] = all[i];
        else
            all[kept++] = all[i];
    if (moved > 0)
        memcpy(&all[kept], aside, moved * sizeof *aside);
    return KT_OK;
}

/* Nearly always there is none. */
static enum kt_kind join_vetoes(struct request *req, const unsigned char secret[RUN_ID],
                                struct consumer *all, size_t n, struct kt_err *err)
{
    struct veto *vetoes = NULL;
    size_t n_vetoes = 0;
    enum kt_kind kind = n == 0 ? KT_OK : vetoes_load(req, secret, &vetoes, &n_vetoes, err);
    if (kind != KT_OK || n_vetoes == 0)
        return kind;
    for (size_t i = 0; i < n_vetoes; i++)
        for (size_t k = 0; k < n; k++)
            if (strcmp(vetoes[i].host, all[k].host) == 0 &&
                strcmp(vetoes[i].service, all[k].service) == 0)
                all[k].veto = &vetoes[i];
    return move_aside(req, all, n, err);
}

enum kt_kind consumers_load(struct request *req, const unsigned char secret[RUN_ID],
                            const char *host, struct consumer **ret, size_t *ret_n,
                            struct kt_err *err)
{
    kt_autobuf struct kt_buf plain;
    kt_buf_init(&plain, RECORD_MAX);
    struct consumer *all = NULL;
    size_t n = 0, room = 0;
    enum kt_kind kind = KT_OK;
    unsigned char head[BARRIER_NAME_KEY];
    struct rows rows;
    begin_rows(req, secret, &rows, head);
    while (kind == KT_OK && rows_next(&rows)) {
        if (kt_bytes_equal(rows.entry.key, kt_bytes(head, sizeof head)))
            continue;
        all = rows_room(req, all, n, &room, sizeof *all);
        kind = all == NULL ? kt_fail(err, KT_NO_MEMORY, "reading the consumers of a secret")
                           : read_entry(req, &rows.entry, &plain, &req->arena, &all[n], err);
        if (kind == KT_OK && (host == NULL || strcmp(all[n].host, host) == 0))
            n++;
    }
    kind = rows_end(&rows, kind, err);
    if (kind == KT_OK)
        kind = join_vetoes(req, secret, all, n, err);
    if (kind != KT_OK)
        return kind;
    *ret = all;
    *ret_n = n;
    return KT_OK;
}

/* Whether there is a row of it that puts it aside; plain is overwritten. */
static enum kt_kind look_aside(struct request *req, const unsigned char secret[RUN_ID], const struct consumer *consumer,
                               struct kt_buf *plain, struct kt_arena *arena, bool *ret, struct kt_err *err)
{
    unsigned char key[BARRIER_NAME_KEY];
    struct entry entry;
    struct veto veto;
    *ret = false;
    veto_key(req->core, secret, consumer->host, consumer->service, key);
    enum store_error error = snapshot_get(req->snapshot, kt_bytes(key, sizeof key), &entry);
    if (error == STORE_NOT_FOUND)
        return KT_OK;
    if (error != STORE_OK)
        return kt_fail(err, KT_IO, "reading which consumers veto: %s", store_error_text(error));
    enum kt_kind kind = rows_open(req, &entry, plain, err);
    if (kind == KT_OK)
        kind = record_read(&veto_kind, kt_buf_bytes(plain), arena, &veto, err);
    *ret = kind == KT_OK && veto.aside_ms != 0;
    return kind;
}

enum kt_kind consumers_fit(struct request *req, const unsigned char secret[RUN_ID], consumer_fits *fits,
                           const void *arg, bool *ret, struct kt_err *err)
{
    unsigned char head[BARRIER_NAME_KEY];
    struct kt_arena arena; /* of the one that is looked at */
    struct rows rows;
    bool fit = true;
    enum kt_kind kind = KT_OK;
    kt_autobuf struct kt_buf plain;
    kt_buf_init(&plain, RECORD_MAX);
    kt_arena_init(&arena, 4 * RECORD_MAX);
    begin_rows(req, secret, &rows, head);
    while (kind == KT_OK && fit && rows_next(&rows)) {
        struct consumer one;
        if (kt_bytes_equal(rows.entry.key, kt_bytes(head, sizeof head)))
            continue;
        kt_arena_reset(&arena);
        kind = read_entry(req, &rows.entry, &plain, &arena, &one, err);
        fit = kind == KT_OK && fits(arg, &one);
        if (kind == KT_OK && !fit)
            kind = look_aside(req, secret, &one, &plain, &arena, &fit, err);
    }
    kind = rows_end(&rows, kind, err);
    kt_arena_free(&arena);
    *ret = fit;
    return kind;
}

enum kt_kind consumers_count(struct request *req, const unsigned char secret[RUN_ID], size_t *ret,
                             struct kt_err *err)
{
    unsigned char head[BARRIER_NAME_KEY];
    size_t n = 0;
    struct rows rows;
    begin_rows(req, secret, &rows, head);
    while (rows_next(&rows))
        n += !kt_bytes_equal(rows.entry.key, kt_bytes(head, sizeof head));
    enum kt_kind kind = rows_end(&rows, KT_OK, err);
    if (kind == KT_OK)
        *ret = n;
    return kind;
}

enum kt_kind consumer_load(struct request *req, const unsigned char secret[RUN_ID],
                           const char *host, const char *service, struct consumer *ret,
                           struct kt_err *err)
{
    unsigned char key[BARRIER_NAME_KEY];
    consumer_key(req->core, secret, host, service, key);
    struct kt_bytes record;
    generation changed = 0;
    enum kt_kind kind = request_record(req, kt_bytes(key, sizeof key), &record, &changed, err);
    if (kind == KT_OK)
        kind = read_record(record, &req->arena, ret, err);
    if (kind == KT_OK) {
        ret->changed = changed;
        ret->veto = NULL;
    }
    return kind;
}

enum kt_kind consumer_save(struct request *req, const unsigned char secret[RUN_ID],
                           const struct consumer *consumer, struct kt_err *err)
{
    struct batch *batch = request_batch(req);
    kt_autobuf struct kt_buf record;
    kt_buf_init(&record, RECORD_MAX);
    record_write(&consumer_kind, consumer, &record);
    if (batch == NULL || !kt_buf_ok(&record))
        return kt_fail(err, KT_NO_MEMORY, "writing a consumer");
    unsigned char key[BARRIER_NAME_KEY], head[BARRIER_NAME_KEY];
    consumer_key(req->core, secret, consumer->host, consumer->service, key);
    consumers_head(req->core, secret, head);
    batch_require(batch, consumer->changed == 0 ? KEY_ABSENT : KEY_CHANGED_AT,
                  kt_bytes(key, sizeof key), consumer->changed);
    batch_put(batch, kt_bytes(head, sizeof head), kt_bytes("\x01", 1));
    if (consumer->state == CONSUMER_GONE) {
        batch_delete(batch, kt_bytes(key, sizeof key));
        return KT_OK;
    }
    return barrier_put(req->core->barrier, batch, kt_bytes(key, sizeof key), kt_buf_bytes(&record),
                       err);
}

void consumers_require(struct request *req, const unsigned char secret[RUN_ID],
                       struct batch *batch)
{
    unsigned char head[BARRIER_NAME_KEY];
    consumers_head(req->core, secret, head);
    batch_require(batch, KEY_NOT_AFTER, kt_bytes(head, sizeof head),
                  snapshot_generation(req->snapshot));
}

void consumers_touch(struct request *req, const unsigned char secret[RUN_ID], struct batch *batch)
{
    unsigned char head[BARRIER_NAME_KEY];
    consumers_head(req->core, secret, head);
    batch_put(batch, kt_bytes(head, sizeof head), kt_bytes("\x01", 1));
}
