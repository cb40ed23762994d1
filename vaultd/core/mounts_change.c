#include "lib/random.h"
#include "vaultd/core/jobs.h"
#include "vaultd/core/mount_table.h"
#include "vaultd/core/mounts.h"
#include "vaultd/core/private.h"

static enum kt_kind put_table(struct request *req, const struct mount *rows, size_t n,
                              struct kt_err *err)
{
    struct batch *batch = request_batch(req);
    if (batch == NULL)
        return kt_fail(err, KT_NO_MEMORY, "writing the mount table");
    kt_autobuf struct kt_buf record;
    kt_buf_init(&record, MOUNT_RECORD_MAX);
    mount_table_write(rows, n, &record);
    if (!kt_buf_ok(&record) && !record.full)
        return kt_fail(err, KT_NO_MEMORY, "writing the mount table");
    if (record.full)
        return kt_fail(err, KT_INVALID, "the mount table would be larger than %zu bytes",
                       MOUNT_RECORD_MAX);
    unsigned char key[BARRIER_NAME_KEY];
    mount_table_key(req->core, key);
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
    kt_buf_init(&record, MOUNT_RECORD_MAX);
    const struct mount_wish wish = {.path = "secret/",
                                    .type = "kv",
                                    .version = "2",
                                    .description = "key/value secret storage"};
    struct mount row;
    enum kt_kind kind = KT_OK;
    if (with_secret)
        kind = make_row(&arena, &wish, &row, err);
    if (kind == KT_OK)
        mount_table_write(&row, with_secret ? 1 : 0, &record);
    unsigned char key[BARRIER_NAME_KEY];
    mount_table_key(core, key);
    if (kind == KT_OK)
        kind = barrier_put(core->barrier, batch, kt_bytes(key, sizeof key), kt_buf_bytes(&record),
                           err);
    kt_arena_free(&arena);
    return kind;
}
