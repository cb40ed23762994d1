#include "lib/random.h"
#include "vaultd/auth/leased.h"
#include "vaultd/core/jobs.h"
#include "vaultd/core/mount_table.h"
#include "vaultd/core/path.h"
#include "vaultd/core/private.h"
#include "vaultd/identity/login.h"

static enum kt_kind put_table(struct request *req, const struct mount *rows, size_t n,
                              const struct mount_moves *moves, struct kt_err *err)
{
    struct batch *batch = request_batch(req);
    if (batch == NULL)
        return kt_fail(err, KT_NO_MEMORY, "writing the mount table");
    kt_autobuf struct kt_buf record;
    kt_buf_init(&record, MOUNT_RECORD_MAX);
    mount_table_write(rows, n, moves, &record);
    if (!kt_buf_ok(&record) && !record.full)
        return kt_fail(err, KT_NO_MEMORY, "writing the mount table");
    if (record.full) {
        (void)kt_fail(err, KT_INVALID, "the mount table would be larger than %zu bytes", MOUNT_ROWS_MAX);
        kt_hint(err, "shorten descriptions and lists (sys/mounts/PATH/tune), or remove mounts");
        return KT_INVALID;
    }
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

static bool is_auth(const char *path)
{
    return strncmp(path, "auth/", 5) == 0;
}

/* "approle, userpass": the ways to log in that there are. */
static const char *ways(struct kt_arena *arena)
{
    const char *text = "";
    for (size_t i = 0; i < n_engines && text != NULL; i++)
        if (engines[i]->auth != NULL)
            text = kt_arena_printf(arena, "%s%s%s", text, text[0] == '\0' ? "" : ", ",
                                   engines[i]->type);
    return text == NULL ? "" : text;
}

static enum kt_kind make_row(struct kt_arena *arena, const struct mount *wish, struct mount *ret,
                             struct kt_err *err)
{
    bool auth = is_auth(wish->path);
    const struct engine *engine = engine_find(wish->type, wish->version);
    if (engine == NULL || (engine->auth != NULL) != auth) {
        (void)kt_fail(err, KT_INVALID, "plugin not found in the catalog: %s%s%s",
                      is_word(wish->type) ? wish->type : "\"type\" is no engine's name",
                      is_word(wish->version) ? " version " : "",
                      is_word(wish->version) ? wish->version : "");
        kt_hint(err, "this version offers: %s",
                auth ? ways(arena) : "kv (versions 1 and 2)");
        return KT_INVALID;
    }
    unsigned char suffix[4];
    kt_random_id(suffix, sizeof suffix);
    *ret = *wish;
    ret->engine = engine;
    kt_random_id(ret->scope, sizeof ret->scope);
    ret->accessor = kt_arena_printf(arena, "%s%s_%02x%02x%02x%02x", auth ? "auth_" : "", wish->type,
                                    suffix[0], suffix[1], suffix[2], suffix[3]);
    if (ret->accessor == NULL)
        return kt_fail(err, KT_NO_MEMORY, "adding a mount");
    return KT_OK;
}

/* What stands in the way of a mount at this path: another one that is the same, above or below it. */
static const struct mount *in_the_way(const struct mount_table *table, const char *path)
{
    size_t len = strlen(path);
    for (size_t i = 0; i < table->n; i++) {
        const char *other = table->rows[i].path;
        size_t other_len = strlen(other);
        if (memcmp(path, other, len < other_len ? len : other_len) == 0)
            return &table->rows[i];
    }
    return NULL;
}

/* Kept for what is not mounted but will be, or for ways to log in; NULL: it is free. */
static const char *reserved(const char *path)
{
    static const char *const rows[] = {"auth/", "audit/", "identity/", "playbooks/"};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        if (strncmp(path, rows[i], strlen(rows[i])) == 0)
            return rows[i];
    return NULL;
}

static enum kt_kind check_free(const struct mount_table *table, const char *path, struct kt_err *err)
{
    const struct mount *other = in_the_way(table, path);
    size_t hidden = is_auth(path) ? 5 : 0; /* the names of ways to log in are without "auth/" */
    if (other != NULL && strcmp(other->path, path) == 0)
        return kt_fail(err, KT_INVALID, "path is already in use at %s", path + hidden);
    if (other != NULL)
        return kt_fail(err, KT_INVALID, "existing mount at %s", other->path + hidden);
    if (reserved(path) != NULL && !is_auth(path))
        return kt_fail(err, KT_INVALID, "cannot mount under existing mount \"%s\"", reserved(path));
    return KT_OK;
}

/* The mount with all that is below it, and its row below sys/. */
static enum kt_kind tell_changed(struct request *req, const char *path, struct kt_err *err)
{
    int len = (int)strlen(path) - 1;
    const char *row = is_auth(path) ? kt_arena_printf(&req->arena, "sys/%.*s", len, path)
                                    : kt_arena_printf(&req->arena, "sys/mounts/%.*s", len, path);
    if (row == NULL)
        return kt_fail(err, KT_NO_MEMORY, "changing the mount table");
    request_changes(req, row, true);
    request_changes(req, path, true);
    return KT_OK;
}

enum kt_kind mounts_add(struct request *req, const struct mount *wish, struct kt_err *err)
{
    const struct mount_table *table = req->own->mounts;
    enum kt_kind kind = check_free(table, wish->path, err);
    if (kind == KT_OK)
        kind = path_check_mount(wish->path, err);
    if (kind != KT_OK)
        return kind;
    if (table->n >= MOUNTS_MAX)
        return kt_fail(err, KT_INVALID, "there are %u mounts already", MOUNTS_MAX);
    struct mount *rows = kt_arena_take(&req->arena, (table->n + 1) * sizeof *rows);
    if (rows == NULL)
        return kt_fail(err, KT_NO_MEMORY, "adding a mount");
    memcpy(rows, table->rows, table->n * sizeof *rows);
    kind = make_row(&req->arena, wish, &rows[table->n], err);
    if (kind == KT_OK)
        kind = tell_changed(req, wish->path, err);
    return kind == KT_OK ? put_table(req, rows, table->n + 1, &table->moves, err) : kind;
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

/* ---- names that others keep ---- */

void mounts_kept_key(struct core *core, const unsigned char scope[BARRIER_SCOPE],
                     unsigned char key[BARRIER_NAME_KEY])
{
    barrier_name_key(core->barrier, TABLE_CONFIG, scope, kt_str("names kept"), key);
}

enum kt_kind mounts_keep_name(struct request *req, const struct mount *mount, struct kt_err *err)
{
    static const unsigned char there = 1;
    struct batch *batch = request_batch(req);
    if (batch == NULL)
        return kt_fail(err, KT_NO_MEMORY, "keeping a secret's name");
    unsigned char key[BARRIER_NAME_KEY];
    mount_table_key(req->core, key);
    batch_require(batch, KEY_CHANGED_AT, kt_bytes(key, sizeof key), req->own->mounts->changed);
    mounts_kept_key(req->core, mount->scope, key);
    batch_put(batch, kt_bytes(key, sizeof key), kt_bytes(&there, 1));
    return KT_OK;
}

void mounts_require_names(struct request *req, const struct mount *mount, struct batch *batch)
{
    unsigned char key[BARRIER_NAME_KEY];
    mounts_kept_key(req->core, mount->scope, key);
    batch_require(batch, KEY_NOT_AFTER, kt_bytes(key, sizeof key),
                  snapshot_generation(req->snapshot));
}

/* A secret under rotation is a live account at a target, and its schedule and runs have its name: its
 * mount stays what and where it is until the schedule is gone. */
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
        return kt_fail(err, KT_IO, "looking for rotated secrets");
    enum store_error found = cursor_next(cursor, &entry);
    cursor_close(cursor);
    if (found == STORE_NOT_FOUND)
        return KT_OK;
    if (found != STORE_OK)
        return kt_fail(err, KT_IO, "looking for rotated secrets");
    (void)kt_fail(err, KT_INVALID, "secrets in \"%s\" are rotated", mount->path);
    kt_hint(err, "end their rotation first: secretctl schedule remove PATH");
    return KT_INVALID;
}

/* What leases stand for can be taken back only by what made them, and their ids have the mount's path. */
static enum kt_kind check_no_lease(struct request *req, const struct mount *mount, struct kt_err *err)
{
    bool any = false;
    enum kt_kind kind = leased_any_in(req, mount->scope, &any, err);
    if (kind != KT_OK || !any)
        return kind;
    (void)kt_fail(err, KT_INVALID, "there are leases of \"%s\"", mount->path);
    kt_hint(err, "revoke them first: secretctl lease revoke -prefix %s; what cannot be revoked is forgotten with -force",
            mount->path);
    return KT_INVALID;
}

static enum kt_kind require_no_name(struct request *req, const struct mount *mount,
                                    struct kt_err *err)
{
    enum kt_kind kind = check_not_rotated(req, mount, err);
    if (kind == KT_OK)
        kind = check_no_lease(req, mount, err);
    struct batch *batch = kind == KT_OK ? request_batch(req) : NULL;
    if (kind == KT_OK && batch == NULL)
        return kt_fail(err, KT_NO_MEMORY, "changing the mount table");
    if (kind != KT_OK)
        return kind;
    mounts_require_names(req, mount, batch);
    return KT_OK;
}

/* ---- removing, tuning, moving ---- */

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
    kind = require_no_name(req, &rows[at], err);
    if (kind == KT_OK)
        kind = job_put(req->core, request_batch(req), is_auth(path) ? JOB_WAY : JOB_MOUNT,
                       rows[at].scope, kt_bytes(rows[at].scope, sizeof rows[at].scope), err);
    if (kind == KT_OK && is_auth(path))
        kind = identity_mount_removed(req->core, req->batch, rows[at].scope, err);
    if (kind == KT_OK)
        kind = tell_changed(req, path, err);
    if (kind != KT_OK)
        return kind;
    size_t n = req->own->mounts->n;
    memmove(&rows[at], &rows[at + 1], (n - at - 1) * sizeof *rows);
    return put_table(req, rows, n - 1, &req->own->mounts->moves, err);
}

enum kt_kind mounts_tune(struct request *req, const struct mount *wish, struct kt_err *err)
{
    struct mount *rows = NULL;
    size_t at = 0;
    enum kt_kind kind = copy_rows(req, wish->path, &rows, &at, err);
    if (kind == KT_NOT_FOUND)
        return kt_fail(err, KT_INVALID, "No secret engine mount at %s", wish->path);
    if (kind != KT_OK)
        return kind;
    if (rows[at].builtin)
        return kt_fail(err, KT_INVALID, "cannot tune \"%s\"", wish->path);
    const struct mount before = rows[at];
    rows[at] = *wish;
    rows[at].type = before.type;
    rows[at].accessor = before.accessor;
    memcpy(rows[at].scope, before.scope, sizeof before.scope);
    kind = tell_changed(req, wish->path, err);
    return kind == KT_OK ? put_table(req, rows, req->own->mounts->n, &req->own->mounts->moves, err) : kind;
}

static const char *new_id(struct kt_arena *arena)
{
    unsigned char b[16];
    kt_random_id(b, sizeof b);
    return kt_arena_printf(arena,
                           "%02x%02x%02x%02x-%02x%02x-%02x%02x-%02x%02x-%02x%02x%02x%02x%02x%02x",
                           b[0], b[1], b[2], b[3], b[4], b[5], b[6], b[7], b[8], b[9], b[10], b[11],
                           b[12], b[13], b[14], b[15]);
}

/* The moves that are remembered, with one more. */
static struct mount_moves *add_move(struct request *req, const char *from, const char *to)
{
    struct mount_moves *moves = kt_arena_take(&req->arena, sizeof *moves);
    const char *id = new_id(&req->arena);
    if (moves == NULL || id == NULL)
        return NULL;
    *moves = req->own->mounts->moves;
    if (moves->n == MOUNT_MOVES)
        memmove(moves->at, moves->at + 1, --moves->n * sizeof *moves->at);
    moves->at[moves->n++] = (struct mount_move){id, from, to};
    return moves;
}

static enum kt_kind check_destination(const struct mount_table *table, const char *to,
                                      struct kt_err *err)
{
    size_t len = strlen(to);
    if (to[0] == ' ' || (len > 1 && to[len - 2] == ' '))
        return kt_fail(err, KT_INVALID, "'to' path cannot contain trailing whitespace");
    enum kt_kind kind = path_check(to, err);
    if (kind == KT_OK)
        kind = path_check_mount(to, err);
    if (kind != KT_OK)
        return kind;
    const struct mount *other = in_the_way(table, to);
    if (reserved(to) != NULL || (other != NULL && other->builtin))
        return kt_fail(err, KT_INVALID, "cannot remount to destination \"%s\"", to);
    if (other != NULL)
        return kt_fail(err, KT_INVALID, "path already in use at \"%s\"", other->path);
    return KT_OK;
}

static enum kt_kind check_source(const struct mount *mount, struct kt_err *err)
{
    if (mount->builtin)
        return kt_fail(err, KT_INVALID, "cannot remount \"%s\"", mount->path);
    if (!is_auth(mount->path))
        return KT_OK;
    (void)kt_fail(err, KT_INVALID, "cannot remount \"%s\": a way to log in does not move",
                  mount->path);
    kt_hint(err, "enable it under the new path: POST sys/auth/PATH");
    return KT_INVALID;
}

enum kt_kind mounts_move(struct request *req, const char *from, const char *to, const char **ret_id,
                         struct kt_err *err)
{
    struct mount *rows = NULL;
    size_t at = 0;
    enum kt_kind kind = copy_rows(req, from, &rows, &at, err);
    if (kind == KT_NOT_FOUND)
        return kt_fail(err, KT_INVALID, "no matching mount at \"%s\"", from);
    if (kind == KT_OK)
        kind = check_source(&rows[at], err);
    if (kind == KT_OK)
        kind = check_destination(req->own->mounts, to, err);
    if (kind == KT_OK)
        kind = require_no_name(req, &rows[at], err);
    if (kind != KT_OK)
        return kind;
    struct mount_moves *moves = add_move(req, from, to);
    if (moves == NULL)
        return kt_fail(err, KT_NO_MEMORY, "moving a mount");
    rows[at].path = to;
    *ret_id = moves->at[moves->n - 1].id;
    kind = tell_changed(req, from, err);
    if (kind == KT_OK)
        kind = tell_changed(req, to, err);
    if (kind != KT_OK)
        return kind;
    return put_table(req, rows, req->own->mounts->n, moves, err);
}

enum kt_kind mounts_init(struct core *core, struct batch *batch, bool with_secret,
                         struct kt_err *err)
{
    struct kt_arena arena;
    kt_arena_init(&arena, 65536);
    kt_autobuf struct kt_buf record;
    kt_buf_init(&record, MOUNT_RECORD_MAX);
    const struct mount wish = {.path = "secret/",
                               .type = "kv",
                               .version = "2",
                               .description = "key/value secret storage"};
    struct mount row;
    enum kt_kind kind = KT_OK;
    if (with_secret)
        kind = make_row(&arena, &wish, &row, err);
    if (kind == KT_OK)
        mount_table_write(&row, with_secret ? 1 : 0, NULL, &record);
    unsigned char key[BARRIER_NAME_KEY];
    mount_table_key(core, key);
    if (kind == KT_OK)
        kind = barrier_put(core->barrier, batch, kt_bytes(key, sizeof key), kt_buf_bytes(&record),
                           err);
    kt_arena_free(&arena);
    return kind;
}
