#include "vaultd/auth/approle_secret.h"

#include "lib/token_text.h"
#include "vaultd/barrier/format.h"
#include "vaultd/core/rows.h"

#define FORMAT     1u
#define RECORD_MAX ((size_t)128 * 1024)
#define HASH       16u
#define DUE_KEY    25u
#define LIST_ASIDE 2000u
#define END_COSTS  3u

/* ---- keys ---- */

static void place_key(enum table table, const unsigned char *scope, const unsigned char *role,
                      const unsigned char *hash, unsigned char key[SECRET_KEY])
{
    key[0] = (unsigned char)table;
    memcpy(key + 1, scope, BARRIER_SCOPE);
    memcpy(key + 1 + BARRIER_SCOPE, role, APPROLE_ID);
    memcpy(key + 1 + BARRIER_SCOPE + APPROLE_ID, hash, HASH);
}

static void hash_of(struct core *core, enum table table, const char *text, unsigned char out[HASH])
{
    unsigned char key[BARRIER_HASH_KEY];
    barrier_hash_key_anew(core->barrier, table, kt_str(text), key);
    memcpy(out, key + 1, HASH);
}

static void text_key(struct request *req, enum table table, const struct approle_role *role,
                     const char *text, unsigned char key[SECRET_KEY])
{
    unsigned char hash[HASH];
    hash_of(req->core, table, text, hash);
    place_key(table, role->scope, role->id, hash, key);
}

static const unsigned char *hash_in(const unsigned char key[SECRET_KEY])
{
    return key + SECRET_KEY - HASH;
}

static void accessor_key(struct core *core, const struct secret_id *secret,
                         unsigned char key[SECRET_KEY])
{
    unsigned char hash[HASH];
    hash_of(core, TABLE_SECRET_OF, secret->accessor, hash);
    place_key(TABLE_SECRET_OF, secret->key + 1, secret->key + 1 + BARRIER_SCOPE, hash, key);
}

static void due_key(const struct secret_id *secret, unsigned char key[DUE_KEY])
{
    key[0] = TABLE_SECRET_DUE;
    kt_put_be64(key + 1, (uint64_t)secret->expires_ms);
    memcpy(key + 9, hash_in(secret->key), HASH);
}

/* ---- the record ---- */

static void write_secret(const struct secret_id *secret, struct kt_buf *out)
{
    kt_buf_add_u8(out, FORMAT);
    kt_buf_add_field(out, kt_str(secret->accessor));
    const int64_t numbers[] = {secret->created_ms, secret->changed_ms, secret->expires_ms,
                               secret->ttl_s, secret->uses};
    for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++)
        kt_buf_add_i64(out, numbers[i]);
    token_params_write_list(&secret->cidrs, out);
    token_params_write_list(&secret->token_cidrs, out);
    kt_buf_add_field(out, secret->meta);
}

static void read_1(struct kt_reader *r, struct kt_arena *arena, struct secret_id *ret)
{
    ret->accessor = kt_arena_text(arena, kt_read_field(r));
    int64_t *const numbers[] = {&ret->created_ms, &ret->changed_ms, &ret->expires_ms, &ret->ttl_s,
                                &ret->uses};
    for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++)
        *numbers[i] = kt_read_i64(r);
    token_params_take_list(r, arena, &ret->cidrs);
    token_params_take_list(r, arena, &ret->token_cidrs);
    struct kt_bytes meta = kt_read_field(r);
    ret->meta = kt_bytes(kt_arena_text(arena, meta), meta.len);
}

typedef void read_fn(struct kt_reader *r, struct kt_arena *arena, struct secret_id *ret);
static read_fn *const readers[] = {[FORMAT] = read_1};

static enum kt_kind read_secret(struct kt_bytes record, struct kt_arena *arena,
                                struct secret_id *ret, struct kt_err *err)
{
    struct kt_reader r = kt_reader(record);
    unsigned format = kt_read_u8(&r);
    read_fn *read = FORMAT_ROW(readers, format);
    if (read == NULL)
        return format_refuse("a secret id", format, FORMAT, err);
    read(&r, arena, ret);
    if (arena->failed)
        return kt_fail(err, KT_NO_MEMORY, "reading a secret id");
    return kt_reader_done(&r) ? KT_OK : kt_fail(err, KT_CORRUPT, "a secret id's record is damaged");
}

/* Whatever its time. */
static enum kt_kind load(struct request *req, const unsigned char key[SECRET_KEY],
                         struct secret_id *ret, struct kt_err *err)
{
    struct kt_bytes record = {0};
    *ret = (struct secret_id){.accessor = ""};
    memcpy(ret->key, key, SECRET_KEY);
    enum kt_kind kind = request_record(req, kt_bytes(key, SECRET_KEY), &record, &ret->changed, err);
    return kind == KT_OK ? read_secret(record, &req->arena, ret, err) : kind;
}

static enum kt_kind load_alive(struct request *req, const unsigned char key[SECRET_KEY],
                               struct secret_id *ret, struct kt_err *err)
{
    enum kt_kind kind = load(req, key, ret, err);
    bool over = kind == KT_OK && ret->expires_ms != 0 && req->now_ms >= ret->expires_ms;
    return over ? KT_NOT_FOUND : kind;
}

/* ---- finding ---- */

enum kt_kind secret_id_find(struct request *req, const struct approle_role *role, const char *text,
                            struct secret_id *ret, struct kt_err *err)
{
    unsigned char key[SECRET_KEY];
    text_key(req, TABLE_SECRET_ID, role, text, key);
    return load_alive(req, key, ret, err);
}

enum kt_kind secret_id_of_accessor(struct request *req, const struct approle_role *role,
                                   const char *accessor, struct secret_id *ret, struct kt_err *err)
{
    unsigned char key[SECRET_KEY];
    struct kt_bytes hash = {0};
    text_key(req, TABLE_SECRET_OF, role, accessor, key);
    enum kt_kind kind = request_record(req, kt_bytes(key, sizeof key), &hash, NULL, err);
    if (kind != KT_OK)
        return kind;
    if (hash.len != HASH)
        return kt_fail(err, KT_CORRUPT, "a secret id's accessor is damaged");
    place_key(TABLE_SECRET_ID, role->scope, role->id, hash.at, key);
    return load_alive(req, key, ret, err);
}

/* ---- changing ---- */

void secret_id_begin(const struct mount *mount, const struct approle_role *role, int64_t now_ms,
                     struct secret_id *ret)
{
    int64_t most_s = mount_lease_ttl(mount).max_s;
    *ret = (struct secret_id){.created_ms = now_ms,
                              .changed_ms = now_ms,
                              .uses = role->secret_uses,
                              .ttl_s = role->secret_ttl_s < most_s ? role->secret_ttl_s : most_s,
                              .meta = kt_str("{}")};
    if (ret->ttl_s > 0)
        ret->expires_ms = now_ms + ret->ttl_s * 1000;
}

static enum kt_kind put_record(struct request *req, const struct secret_id *secret,
                               struct kt_err *err)
{
    kt_autobuf struct kt_buf record;
    kt_buf_init(&record, RECORD_MAX);
    write_secret(secret, &record);
    if (record.full)
        return kt_fail(err, KT_INVALID, "the secret id's metadata and addresses are too large");
    if (!kt_buf_ok(&record))
        return kt_fail(err, KT_NO_MEMORY, "writing a secret id");
    return barrier_put(req->core->barrier, req->batch, kt_bytes(secret->key, SECRET_KEY),
                       kt_buf_bytes(&record), err);
}

static enum kt_kind put_indexes(struct request *req, const struct secret_id *secret,
                                struct kt_err *err)
{
    struct barrier *barrier = req->core->barrier;
    unsigned char key[SECRET_KEY], due[DUE_KEY];
    accessor_key(req->core, secret, key);
    enum kt_kind kind = barrier_put(barrier, req->batch, kt_bytes(key, sizeof key),
                                    kt_bytes(hash_in(secret->key), HASH), err);
    if (kind != KT_OK || secret->expires_ms == 0)
        return kind;
    due_key(secret, due);
    return barrier_put(barrier, req->batch, kt_bytes(due, sizeof due),
                       kt_bytes(secret->key + 1, SECRET_KEY - 1), err);
}

enum kt_kind secret_id_create(struct request *req, const struct approle_role *role, const char *text,
                              struct secret_id *secret, struct kt_err *err)
{
    struct batch *batch = request_batch(req);
    char *accessor = kt_arena_take(&req->arena, APPROLE_UUID);
    if (batch == NULL || accessor == NULL)
        return kt_fail(err, KT_NO_MEMORY, "making a secret id");
    approle_uuid(accessor);
    secret->accessor = accessor;
    text_key(req, TABLE_SECRET_ID, role, text, secret->key);
    struct secret_id other;
    enum kt_kind kind = load(req, secret->key, &other, err);
    if (kind == KT_OK)
        return kt_fail(err, KT_INVALID, "this secret id is registered already");
    if (kind != KT_NOT_FOUND)
        return kind;
    batch_require(batch, KEY_ABSENT, kt_bytes(secret->key, SECRET_KEY), 0);
    kind = put_record(req, secret, err);
    return kind == KT_OK ? put_indexes(req, secret, err) : kind;
}

static void require_same(struct batch *batch, const struct secret_id *secret)
{
    batch_require(batch, KEY_CHANGED_AT, kt_bytes(secret->key, SECRET_KEY), secret->changed);
}

static void delete_rows(struct core *core, struct batch *batch, const struct secret_id *secret)
{
    unsigned char key[SECRET_KEY], due[DUE_KEY];
    batch_delete(batch, kt_bytes(secret->key, SECRET_KEY));
    accessor_key(core, secret, key);
    batch_delete(batch, kt_bytes(key, sizeof key));
    if (secret->expires_ms == 0)
        return;
    due_key(secret, due);
    batch_delete(batch, kt_bytes(due, sizeof due));
}

enum kt_kind secret_id_delete(struct request *req, const struct secret_id *secret,
                              struct kt_err *err)
{
    struct batch *batch = request_batch(req);
    if (batch == NULL)
        return kt_fail(err, KT_NO_MEMORY, "deleting a secret id");
    batch_relief(batch);
    require_same(batch, secret);
    delete_rows(req->core, batch, secret);
    return KT_OK;
}

enum kt_kind secret_id_use(struct request *req, const struct secret_id *secret,
                           struct kt_err *err)
{
    struct secret_id used = *secret;
    struct batch *batch = request_batch(req);
    if (batch == NULL)
        return kt_fail(err, KT_NO_MEMORY, "using a secret id");
    require_same(batch, secret);
    if (secret->uses == 0)
        return KT_OK;
    if (secret->uses == 1) {
        delete_rows(req->core, batch, secret);
        return KT_OK;
    }
    used.uses--;
    used.changed_ms = req->now_ms;
    return put_record(req, &used, err);
}

/* ---- listing ---- */

static enum kt_kind add_accessor(struct request *req, const struct entry *row, struct kt_jsonw *w,
                                 size_t *n, struct kt_err *err)
{
    kt_autobuf struct kt_buf plain;
    kt_buf_init(&plain, RECORD_MAX);
    struct secret_id secret = {.accessor = ""};
    enum kt_kind kind = rows_open(req, row, &plain, err);
    if (kind == KT_OK)
        kind = read_secret(kt_buf_bytes(&plain), &req->arena, &secret, err);
    if (kind != KT_OK || (secret.expires_ms != 0 && req->now_ms >= secret.expires_ms))
        return kind;
    kt_jsonw_text(w, secret.accessor);
    (*n)++;
    return KT_OK;
}

enum kt_kind secret_id_list(struct request *req, const struct approle_role *role,
                            struct kt_err *err)
{
    unsigned char prefix[1 + BARRIER_SCOPE + APPROLE_ID] = {TABLE_SECRET_ID};
    memcpy(prefix + 1, req->mount->scope, BARRIER_SCOPE);
    memcpy(prefix + 1 + BARRIER_SCOPE, role->id, APPROLE_ID);
    struct rows rows;
    size_t n = 0;
    bool aside = false;
    enum kt_kind kind = KT_OK;
    struct kt_jsonw w = kt_jsonw(&req->reply.data);
    kt_jsonw_object(&w);
    kt_jsonw_key(&w, "keys");
    kt_jsonw_array(&w);
    rows_begin(&rows, req, kt_bytes(prefix, sizeof prefix), kt_bytes(NULL, 0),
               "listing secret ids");
    while (kind == KT_OK && !aside && rows_next(&rows)) {
        kind = add_accessor(req, &rows.entry, &w, &n, err);
        aside = n == LIST_ASIDE && request_aside(req);
    }
    kind = rows_end(&rows, kind, err);
    if (kind != KT_OK || aside)
        return kind;
    kt_jsonw_end(&w);
    kt_jsonw_end(&w);
    if (n == 0)
        kt_buf_reset(&req->reply.data);
    return KT_OK;
}

/* ---- what is over ---- */

static void delete_row(struct job_step *step, const struct entry *row)
{
    batch_delete(step->batch, row->key);
    step->room--;
}

static enum kt_kind end_due(struct job_step *step, const struct entry *row, struct kt_err *err)
{
    kt_autobuf struct kt_buf place;
    kt_buf_init(&place, 64);
    unsigned char key[SECRET_KEY] = {TABLE_SECRET_ID};
    struct secret_id secret;
    enum kt_kind kind = rows_open(step->req, row, &place, err);
    if (kind == KT_OK && place.len != SECRET_KEY - 1)
        kind = kt_fail(err, KT_CORRUPT, "a row of secret ids by expiry is damaged");
    if (kind != KT_OK)
        return kind;
    memcpy(key + 1, place.at, SECRET_KEY - 1);
    kind = load(step->req, key, &secret, err);
    if (kind == KT_OK && secret.expires_ms != 0 && secret.expires_ms <= step->now_ms) {
        require_same(step->batch, &secret);
        delete_rows(step->req->core, step->batch, &secret);
        step->room -= END_COSTS + 1;
        return KT_OK;
    }
    if (kind != KT_OK && kind != KT_NOT_FOUND)
        return kind;
    delete_row(step, row); /* its role, or its mount, went with it */
    return KT_OK;
}

enum kt_kind secret_id_due(struct job_step *step, bool *ret_more, struct kt_err *err)
{
    const unsigned char prefix[1] = {TABLE_SECRET_DUE};
    struct rows rows;
    enum kt_kind kind = KT_OK;
    *ret_more = false;
    rows_begin(&rows, step->req, kt_bytes(prefix, 1), kt_bytes(NULL, 0),
               "reading secret ids by expiry");
    while (kind == KT_OK && rows_next(&rows)) {
        if ((int64_t)kt_get_be64(rows.entry.key.at + 1) > step->now_ms)
            break;
        *ret_more = step->room <= END_COSTS;
        if (*ret_more)
            break;
        kind = end_due(step, &rows.entry, err);
        if (kind == KT_CORRUPT) /* it must not keep the others from ending */
            kind = KT_OK;
    }
    return rows_end(&rows, kind, err);
}

bool secret_id_any_due(struct snapshot *snapshot, int64_t now_ms)
{
    const unsigned char prefix[1] = {TABLE_SECRET_DUE};
    struct cursor *cursor = NULL;
    struct entry row;
    if (cursor_open(snapshot, kt_bytes(prefix, 1), kt_bytes(NULL, 0), &cursor) != STORE_OK)
        return false;
    bool due = cursor_next(cursor, &row) == STORE_OK &&
               (int64_t)kt_get_be64(row.key.at + 1) <= now_ms;
    cursor_close(cursor);
    return due;
}
