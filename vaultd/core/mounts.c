#include "vaultd/core/mounts.h"

#include <pthread.h>
#include <sodium.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

#include "lib/assert.h"
#include "lib/cleanup.h"
#include "lib/failpoint.h"
#include "lib/random.h"
#include "vaultd/barrier/format.h"
#include "vaultd/core/jobs.h"
#include "vaultd/core/private.h"

#define FORMAT     1u
#define RECORD_MAX (512u * 1024u)

/* Immutable once published. */
struct mount_table {
    unsigned refs; /* guarded by mounts->lock */
    generation changed;
    struct kt_arena arena;
    struct mount *rows;          /* sorted by path */
    const struct mount **sorted; /* the same, for mounts_all() */
    size_t n;
};

/* What a thread's requests use, one after the other: good for every snapshot between which no
 * configuration record changed. */
struct thread_mounts {
    struct mounts *mounts;
    struct mount_table *table; /* one reference */
    generation checked_at;
};

struct mounts {
    pthread_key_t thread;
    atomic_uint_fast64_t last_change; /* newest fold that touched a configuration record */
    pthread_mutex_t lock;
    struct mount_table *table; /* guarded by lock; NULL: nothing read yet */
};

static void table_unref(struct mounts *mounts, struct mount_table *table)
{
    if (table == NULL)
        return;
    (void)pthread_mutex_lock(&mounts->lock);
    bool last = --table->refs == 0;
    (void)pthread_mutex_unlock(&mounts->lock);
    if (!last)
        return;
    kt_arena_free(&table->arena);
    free(table);
}

static void thread_mounts_free(void *at)
{
    struct thread_mounts *own = at;
    if (own == NULL)
        return;
    table_unref(own->mounts, own->table);
    free(own);
}

/* Followers run before anybody hears of the commit. */
static void config_changed(void *arg, const struct fold_event *event)
{
    struct mounts *mounts = arg;
    atomic_store(&mounts->last_change, event->at);
}

struct mounts *mounts_new(struct store *store)
{
    struct mounts *mounts = kt_calloc(1, sizeof *mounts);
    if (mounts == NULL)
        return NULL;
    if (pthread_key_create(&mounts->thread, thread_mounts_free) != 0) {
        free(mounts);
        return NULL;
    }
    (void)pthread_mutex_init(&mounts->lock, NULL);
    const unsigned char prefix[1] = {TABLE_CONFIG};
    if (store_on_fold(store, kt_bytes(prefix, 1), config_changed, mounts) != STORE_OK) {
        mounts_free(mounts);
        return NULL;
    }
    return mounts;
}

void mounts_free(struct mounts *mounts)
{
    if (mounts == NULL)
        return;
    thread_mounts_free(pthread_getspecific(mounts->thread));
    (void)pthread_setspecific(mounts->thread, NULL);
    (void)pthread_key_delete(mounts->thread);
    table_unref(mounts, mounts->table);
    (void)pthread_mutex_destroy(&mounts->lock);
    free(mounts);
}

/* ---- the built-in mounts: always there, not in the record ---- */

static const struct {
    const char *path, *type, *description;
} builtin[] = {
    {"auth/token/", "token", "token based credentials"},
    {"cubbyhole/", "cubbyhole", "per-token private secret storage"},
    {"fleet/", "fleet", "consumers of secrets: who runs which version"},
    {"rotation/", "rotation", "rotation of credentials: targets, schedules, runs"},
    {"sys/", "system", "system endpoints used for control, policy and debugging"},
};
#define N_BUILTIN (sizeof builtin / sizeof builtin[0])

static void builtin_row(size_t i, struct mount *ret)
{
    *ret = (struct mount){.path = builtin[i].path,
                          .engine = engine_find(builtin[i].type, NULL),
                          .type = builtin[i].type,
                          .description = builtin[i].description,
                          .accessor = builtin[i].type,
                          .uuid = "",
                          .builtin = true};
    memcpy(ret->scope, builtin[i].type, strnlen(builtin[i].type, sizeof ret->scope));
}

/* ---- the record ---- */

static void key_of_table(struct core *core, unsigned char key[BARRIER_NAME_KEY])
{
    static const unsigned char no_scope[BARRIER_SCOPE];
    barrier_name_key(core->barrier, TABLE_CONFIG, no_scope, kt_str("mounts"), key);
}

static void write_row(const struct mount *mount, struct kt_buf *out)
{
    kt_buf_add_field(out, kt_str(mount->path));
    kt_buf_add_field(out, kt_str(mount->type));
    kt_buf_add_field(out, kt_str(mount->version));
    kt_buf_add_field(out, kt_str(mount->description));
    kt_buf_add_field(out, kt_str(mount->accessor));
    kt_buf_add(out, mount->scope, sizeof mount->scope);
    kt_buf_add_i64(out, mount->default_lease_ttl_s);
    kt_buf_add_i64(out, mount->max_lease_ttl_s);
    kt_buf_add_u8(out, (uint8_t)((mount->local ? 1 : 0) | (mount->seal_wrap ? 2 : 0)));
}

static const char *text(struct kt_reader *r, struct kt_arena *arena)
{
    const char *copy = kt_arena_text(arena, kt_read_field(r));
    return copy == NULL ? "" : copy;
}

static const char *uuid_text(struct kt_arena *arena, const unsigned char b[16])
{
    char hex[33];
    (void)sodium_bin2hex(hex, sizeof hex, b, 16);
    const char *uuid = kt_arena_printf(arena, "%.8s-%.4s-%.4s-%.4s-%.12s", hex, hex + 8, hex + 12,
                                       hex + 16, hex + 20);
    return uuid == NULL ? "" : uuid;
}

static void read_row_1(struct kt_reader *r, struct kt_arena *arena, struct mount *ret)
{
    ret->path = text(r, arena);
    ret->type = text(r, arena);
    ret->version = text(r, arena);
    if (ret->version[0] == '\0')
        ret->version = NULL;
    ret->description = text(r, arena);
    ret->accessor = text(r, arena);
    struct kt_bytes scope = kt_read_bytes(r, sizeof ret->scope);
    if (scope.at != NULL)
        memcpy(ret->scope, scope.at, scope.len);
    ret->uuid = uuid_text(arena, ret->scope);
    ret->default_lease_ttl_s = kt_read_i64(r);
    ret->max_lease_ttl_s = kt_read_i64(r);
    uint8_t flags = kt_read_u8(r);
    ret->local = (flags & 1) != 0;
    ret->seal_wrap = (flags & 2) != 0;
    ret->engine = engine_find(ret->type, ret->version);
}

typedef void read_row_fn(struct kt_reader *r, struct kt_arena *arena, struct mount *ret);
static read_row_fn *const row_readers[] = {[FORMAT] = read_row_1};

static int by_path(const void *a, const void *b)
{
    const struct mount *x = a, *y = b;
    return strcmp(x->path, y->path);
}

static enum kt_kind fill_table(struct mount_table *table, struct kt_bytes record, struct kt_err *err)
{
    struct kt_reader r = kt_reader(record);
    size_t n = 0;
    read_row_fn *read_row = NULL;
    if (record.len > 0) {
        unsigned format = kt_read_u8(&r);
        read_row = FORMAT_ROW(row_readers, format);
        if (read_row == NULL)
            return format_refuse("the mount table", format, FORMAT, err);
        n = kt_read_u32(&r);
    }
    if (n > MOUNTS_MAX)
        return kt_fail(err, KT_CORRUPT, "the mount table is damaged");
    table->n = n + N_BUILTIN;
    table->rows = kt_arena_take(&table->arena, table->n * sizeof *table->rows);
    table->sorted = kt_arena_take(&table->arena, table->n * sizeof(struct mount *));
    if (table->rows == NULL || table->sorted == NULL)
        return kt_fail(err, KT_NO_MEMORY, "reading the mount table");
    for (size_t i = 0; i < N_BUILTIN; i++)
        builtin_row(i, &table->rows[i]);
    for (size_t i = 0; i < n && !r.failed; i++)
        read_row(&r, &table->arena, &table->rows[N_BUILTIN + i]);
    if (!kt_reader_done(&r) || table->arena.failed)
        return kt_fail(err, KT_CORRUPT, "the mount table is damaged");
    qsort(table->rows, table->n, sizeof *table->rows, by_path);
    for (size_t i = 0; i < table->n; i++)
        table->sorted[i] = &table->rows[i];
    return KT_OK;
}

static enum kt_kind load_table(struct request *req, struct kt_bytes key, struct mount_table **ret,
                               struct kt_err *err)
{
    kt_autobuf struct kt_buf record;
    kt_buf_init(&record, RECORD_MAX);
    generation changed = 0;
    enum kt_kind kind =
        barrier_get(req->core->barrier, req->snapshot, key, &record, &changed, err);
    if (kind != KT_OK && kind != KT_NOT_FOUND)
        return kind;
    struct mount_table *table = kt_calloc(1, sizeof *table);
    if (table == NULL)
        return kt_fail(err, KT_NO_MEMORY, "reading the mount table");
    kt_arena_init(&table->arena, (size_t)16 * 1024 * 1024);
    table->changed = changed;
    kind = fill_table(table, kt_buf_bytes(&record), err);
    if (kind != KT_OK) {
        kt_arena_free(&table->arena);
        free(table);
        return kind;
    }
    *ret = table;
    return KT_OK;
}

static struct thread_mounts *thread_mounts(struct mounts *mounts)
{
    struct thread_mounts *own = pthread_getspecific(mounts->thread);
    if (own == NULL) {
        own = kt_calloc(1, sizeof *own);
        if (own != NULL && pthread_setspecific(mounts->thread, own) != 0) {
            free(own);
            return NULL;
        }
        if (own != NULL)
            own->mounts = mounts;
    }
    return own;
}

/* The one that all threads share, if it is that of the record's `changed`; with a reference. */
static struct mount_table *shared_table(struct mounts *mounts, generation changed)
{
    struct mount_table *table = NULL;
    (void)pthread_mutex_lock(&mounts->lock);
    if (mounts->table != NULL && mounts->table->changed == changed) {
        table = mounts->table;
        table->refs++;
    }
    (void)pthread_mutex_unlock(&mounts->lock);
    return table;
}

/* Makes the thread's table that of the request's snapshot. */
static enum kt_kind refresh(struct request *req, struct thread_mounts *own, struct kt_err *err)
{
    struct mounts *mounts = req->core->mounts;
    unsigned char key[BARRIER_NAME_KEY];
    key_of_table(req->core, key);
    struct entry entry = {0};
    enum store_error found = snapshot_get(req->snapshot, kt_bytes(key, sizeof key), &entry);
    if (found != STORE_OK && found != STORE_NOT_FOUND)
        return kt_fail(err, KT_IO, "reading the mount table");
    if (own->table == NULL || own->table->changed != entry.changed) {
        struct mount_table *table = shared_table(mounts, entry.changed), *old = NULL;
        if (table == NULL) {
            enum kt_kind kind = load_table(req, kt_bytes(key, sizeof key), &table, err);
            if (kind != KT_OK)
                return kind;
            table->refs = 2; /* the shared one and this thread's */
            (void)pthread_mutex_lock(&mounts->lock);
            old = mounts->table;
            mounts->table = table;
            (void)pthread_mutex_unlock(&mounts->lock);
        }
        table_unref(mounts, old);
        table_unref(mounts, own->table);
        own->table = table;
    }
    own->checked_at = snapshot_generation(req->snapshot);
    return KT_OK;
}

static enum kt_kind hold_table(struct request *req, struct kt_err *err)
{
    struct mounts *mounts = req->core->mounts;
    struct thread_mounts *own = thread_mounts(mounts);
    if (own == NULL)
        return kt_fail(err, KT_NO_MEMORY, "reading the mount table");
    generation last_change = atomic_load(&mounts->last_change);
    enum kt_kind kind = KT_OK;
    if (own->table == NULL || last_change > own->checked_at ||
        last_change > snapshot_generation(req->snapshot))
        kind = refresh(req, own, err);
    if (kind == KT_OK)
        req->own->mounts = own->table;
    return kind;
}

void mounts_release(struct request *req)
{
    req->own->mounts = NULL;
}

/* ---- finding ---- */

/* No mount is the prefix of another, so at most one matches; "secret" alone means "secret/". */
static const struct mount *find(const struct mount_table *table, const char *path, const char **ret_rest)
{
    size_t path_len = strlen(path);
    for (size_t i = 0; i < table->n; i++) {
        const struct mount *mount = &table->rows[i];
        size_t len = strlen(mount->path);
        if (path_len >= len && memcmp(path, mount->path, len) == 0) {
            *ret_rest = path + len;
            return mount;
        }
        if (path_len + 1 == len && memcmp(path, mount->path, path_len) == 0) {
            *ret_rest = path + path_len;
            return mount;
        }
    }
    return NULL;
}

const struct mount *mounts_find(struct request *req, const char *path, const char **ret_rest)
{
    if (req->own->mounts == NULL && hold_table(req, NULL) != KT_OK)
        return NULL;
    return find(req->own->mounts, path, ret_rest);
}

size_t mounts_all(struct request *req, const struct mount *const **ret)
{
    if (req->own->mounts == NULL && hold_table(req, NULL) != KT_OK)
        return 0;
    *ret = req->own->mounts->sorted;
    return req->own->mounts->n;
}

enum kt_kind mounts_route(struct request *req, struct kt_err *err)
{
    req->mount = NULL;
    req->route = NULL;
    req->rest = req->path;
    mounts_release(req);
    enum kt_kind kind = hold_table(req, err);
    if (kind != KT_OK)
        return kind;
    const char *rest = NULL;
    const struct mount *mount = find(req->own->mounts, req->path, &rest);
    if (mount == NULL)
        return KT_OK;
    req->mount = mount;
    req->rest = rest;
    if (mount->engine == NULL)
        return KT_OK; /* a newer vaultd's: who may know of it is told later */
    req->own->mount_type = mount->engine->type;
    (void)route_match(mount->engine, rest, req);
    return KT_OK;
}

enum kt_kind mounts_route_sealed(struct request *req)
{
    req->mount = NULL;
    req->route = NULL;
    if (strncmp(req->path, "sys/", 4) != 0)
        return KT_SEALED;
    const struct engine *sys = engine_find("system", NULL);
    req->rest = req->path + 4;
    if (!route_match(sys, req->rest, req) || (req->route->flags & ROUTE_WHILE_SEALED) == 0)
        return KT_SEALED;
    return KT_OK;
}

/* ---- changing ---- */

static enum kt_kind put_table(struct request *req, const struct mount *rows, size_t n,
                              struct kt_err *err)
{
    struct batch *batch = request_batch(req);
    if (batch == NULL)
        return kt_fail(err, KT_NO_MEMORY, "writing the mount table");
    kt_autobuf struct kt_buf record;
    kt_buf_init(&record, RECORD_MAX);
    size_t stored = 0;
    for (size_t i = 0; i < n; i++)
        stored += !rows[i].builtin;
    kt_buf_add_u8(&record, FORMAT);
    kt_buf_add_u32(&record, (uint32_t)stored);
    for (size_t i = 0; i < n; i++)
        if (!rows[i].builtin)
            write_row(&rows[i], &record);
    if (!kt_buf_ok(&record) && !record.full)
        return kt_fail(err, KT_NO_MEMORY, "writing the mount table");
    if (record.full)
        return kt_fail(err, KT_INVALID, "the mount table would be larger than %u bytes",
                       RECORD_MAX);
    unsigned char key[BARRIER_NAME_KEY];
    key_of_table(req->core, key);
    generation changed = req->own->mounts->changed;
    batch_require(batch, changed == 0 ? KEY_ABSENT : KEY_CHANGED_AT, kt_bytes(key, sizeof key),
                  changed);
    return barrier_put(req->core->barrier, batch, kt_bytes(key, sizeof key), kt_buf_bytes(&record),
                       err);
}

/* What is repeated in an error may be a name, and not a secret in the wrong place. */
static bool is_word(const char *text)
{
    static const char allowed[] = "abcdefghijklmnopqrstuvwxyz0123456789-";
    return text != NULL && strlen(text) <= 24 && text[strspn(text, allowed)] == '\0';
}

static enum kt_kind make_row(struct kt_arena *arena, const struct mount_wish *wish,
                             struct mount *ret, struct kt_err *err)
{
    const struct engine *engine = engine_find(wish->type, wish->version);
    if (engine == NULL) {
        (void)kt_fail(err, KT_INVALID, "plugin not found in the catalog: %s%s%s",
                      is_word(wish->type) ? wish->type : "\"type\" is no engine's name",
                      is_word(wish->version) ? " version " : "",
                      is_word(wish->version) ? wish->version : "");
        kt_hint(err, "this version offers: kv (version 2)");
        return KT_INVALID;
    }
    unsigned char suffix[4];
    kt_random_id(suffix, sizeof suffix);
    *ret = (struct mount){.path = wish->path,
                          .engine = engine,
                          .type = wish->type,
                          .version = wish->version,
                          .description = wish->description,
                          .default_lease_ttl_s = wish->default_lease_ttl_s,
                          .max_lease_ttl_s = wish->max_lease_ttl_s,
                          .local = wish->local,
                          .seal_wrap = wish->seal_wrap};
    kt_random_id(ret->scope, sizeof ret->scope);
    ret->accessor = kt_arena_printf(arena, "%s_%02x%02x%02x%02x", wish->type, suffix[0], suffix[1],
                                    suffix[2], suffix[3]);
    if (ret->accessor == NULL)
        return kt_fail(err, KT_NO_MEMORY, "adding a mount");
    return KT_OK;
}

static enum kt_kind check_free(const struct mount_table *table, const char *path, struct kt_err *err)
{
    size_t len = strlen(path);
    for (size_t i = 0; i < table->n; i++) {
        const char *other = table->rows[i].path;
        size_t other_len = strlen(other);
        size_t shorter = len < other_len ? len : other_len;
        if (memcmp(path, other, shorter) != 0)
            continue;
        if (len == other_len)
            return kt_fail(err, KT_INVALID, "path is already in use at %s", other);
        return kt_fail(err, KT_INVALID, "existing mount at %s", other);
    }
    static const char *const reserved[] = {"auth/", "audit/", "identity/", "playbooks/"};
    for (size_t i = 0; i < sizeof reserved / sizeof reserved[0]; i++)
        if (strncmp(path, reserved[i], strlen(reserved[i])) == 0)
            return kt_fail(err, KT_INVALID, "cannot mount under existing mount \"%s\"",
                           reserved[i]);
    return KT_OK;
}

enum kt_kind mounts_add(struct request *req, const struct mount_wish *wish, struct kt_err *err)
{
    const struct mount_table *table = req->own->mounts;
    enum kt_kind kind = check_free(table, wish->path, err);
    if (kind != KT_OK)
        return kind;
    if (table->n >= MOUNTS_MAX)
        return kt_fail(err, KT_INVALID, "there are %u mounts already", MOUNTS_MAX);
    struct mount *rows = kt_arena_take(&req->arena, (table->n + 1) * sizeof *rows);
    if (rows == NULL)
        return kt_fail(err, KT_NO_MEMORY, "adding a mount");
    memcpy(rows, table->rows, table->n * sizeof *rows);
    kind = make_row(&req->arena, wish, &rows[table->n], err);
    return kind == KT_OK ? put_table(req, rows, table->n + 1, err) : kind;
}

/* KT_NOT_FOUND: no such mount. */
static enum kt_kind copy_rows(struct request *req, const char *path, struct mount **ret_rows,
                              size_t *ret_at, struct kt_err *err)
{
    const struct mount_table *table = req->own->mounts;
    struct mount *rows = kt_arena_take(&req->arena, table->n * sizeof *rows);
    if (rows == NULL)
        return kt_fail(err, KT_NO_MEMORY, "changing the mount table");
    memcpy(rows, table->rows, table->n * sizeof *rows);
    for (size_t i = 0; i < table->n; i++)
        if (strcmp(rows[i].path, path) == 0) {
            *ret_rows = rows;
            *ret_at = i;
            return KT_OK;
        }
    return KT_NOT_FOUND;
}

/* A secret under rotation is a live account at a target: its mount stays until its schedule is gone. */
static enum kt_kind check_not_rotated(struct request *req, const struct mount *mount,
                                      struct kt_err *err)
{
    unsigned char prefix[BARRIER_FOLDER_PREFIX];
    barrier_folder_prefix(req->core->barrier, TABLE_ROTATION, mount->scope, kt_bytes(NULL, 0),
                          prefix);
    struct cursor *cursor = NULL;
    struct entry entry;
    if (cursor_open(req->snapshot, kt_bytes(prefix, sizeof prefix), kt_bytes(NULL, 0), &cursor) !=
        STORE_OK)
        return kt_fail(err, KT_IO, "removing a mount");
    enum store_error found = cursor_next(cursor, &entry);
    cursor_close(cursor);
    if (found == STORE_NOT_FOUND)
        return KT_OK;
    if (found != STORE_OK)
        return kt_fail(err, KT_IO, "removing a mount");
    (void)kt_fail(err, KT_INVALID, "secrets in \"%s\" are rotated", mount->path);
    kt_hint(err, "end their rotation first: secretctl schedule remove PATH");
    return KT_INVALID;
}

void mounts_require(struct request *req, struct batch *batch)
{
    if (req->mount == NULL || req->mount->builtin)
        return;
    unsigned char key[BARRIER_NAME_KEY];
    key_of_table(req->core, key);
    batch_require(batch, KEY_CHANGED_AT, kt_bytes(key, sizeof key), req->own->mounts->changed);
}

/* What was in it goes bit by bit: a mount of the same path made later has another scope. */
enum kt_kind mounts_remove(struct request *req, const char *path, struct kt_err *err)
{
    struct mount *rows = NULL;
    size_t at = 0;
    enum kt_kind kind = copy_rows(req, path, &rows, &at, err);
    if (kind == KT_NOT_FOUND)
        return KT_OK;
    if (kind != KT_OK)
        return kind;
    if (rows[at].builtin)
        return kt_fail(err, KT_INVALID, "cannot unmount \"%s\"", path);
    kind = check_not_rotated(req, &rows[at], err);
    struct batch *batch = request_batch(req);
    if (kind == KT_OK && batch == NULL)
        kind = kt_fail(err, KT_NO_MEMORY, "removing a mount");
    if (kind == KT_OK)
        kind = job_put(req->core, batch, JOB_MOUNT, rows[at].scope,
                       kt_bytes(rows[at].scope, sizeof rows[at].scope), err);
    if (kind != KT_OK)
        return kind;
    size_t n = req->own->mounts->n;
    memmove(&rows[at], &rows[at + 1], (n - at - 1) * sizeof *rows);
    return put_table(req, rows, n - 1, err);
}

enum kt_kind mounts_tune(struct request *req, const char *path, const struct mount_wish *wish,
                         struct kt_err *err)
{
    struct mount *rows = NULL;
    size_t at = 0;
    enum kt_kind kind = copy_rows(req, path, &rows, &at, err);
    if (kind == KT_NOT_FOUND || (kind == KT_OK && rows[at].builtin))
        return kt_fail(err, KT_INVALID, "No secret engine mount at %s", path);
    if (kind != KT_OK)
        return kind;
    rows[at].description = wish->description;
    rows[at].default_lease_ttl_s = wish->default_lease_ttl_s;
    rows[at].max_lease_ttl_s = wish->max_lease_ttl_s;
    return put_table(req, rows, req->own->mounts->n, err);
}

enum kt_kind mounts_init(struct core *core, struct batch *batch, bool with_secret,
                         struct kt_err *err)
{
    struct kt_arena arena;
    kt_arena_init(&arena, 65536);
    kt_autobuf struct kt_buf record;
    kt_buf_init(&record, RECORD_MAX);
    const struct mount_wish wish = {.path = "secret/",
                                    .type = "kv",
                                    .version = "2",
                                    .description = "key/value secret storage"};
    struct mount row;
    enum kt_kind kind = KT_OK;
    kt_buf_add_u8(&record, FORMAT);
    kt_buf_add_u32(&record, with_secret ? 1 : 0);
    if (with_secret)
        kind = make_row(&arena, &wish, &row, err);
    if (with_secret && kind == KT_OK)
        write_row(&row, &record);
    unsigned char key[BARRIER_NAME_KEY];
    key_of_table(core, key);
    if (kind == KT_OK)
        kind = barrier_put(core->barrier, batch, kt_bytes(key, sizeof key), kt_buf_bytes(&record),
                           err);
    kt_arena_free(&arena);
    return kind;
}
