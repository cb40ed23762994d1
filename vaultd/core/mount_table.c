#include "vaultd/core/mount_table.h"

#include <stdlib.h>

#include "lib/failpoint.h"
#include "lib/uuid.h"
#include "vaultd/barrier/format.h"

#define FORMAT 2u

enum row_flag { ROW_LOCAL = 1, ROW_SEAL_WRAP = 2, ROW_NO_CACHE = 4 };

/* ---- the built-in mounts: always there, not in the record ---- */

static const struct {
    const char *path, *type, *description;
} builtin[] = {
    {"auth/token/", "token", "token based credentials"},
    {"cubbyhole/", "cubbyhole", "per-token private secret storage"},
    {"fleet/", "fleet", "consumers of secrets: who runs which version"},
    {"identity/", "identity", "identity store"},
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
                          .listing_visibility = "",
                          .token_type = "",
                          .builtin = true};
    memcpy(ret->scope, builtin[i].type, strnlen(builtin[i].type, sizeof ret->scope));
}

/* ---- the record ---- */

void mount_table_key(struct core *core, unsigned char key[BARRIER_NAME_KEY])
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
    kt_buf_add_u8(out, (uint8_t)((mount->local ? ROW_LOCAL : 0) |
                                 (mount->seal_wrap ? ROW_SEAL_WRAP : 0) |
                                 (mount->force_no_cache ? ROW_NO_CACHE : 0)));
    kt_buf_add_field(out, kt_str(mount->listing_visibility));
    kt_buf_add_field(out, kt_str(mount->token_type));
    for (size_t i = 0; i < MOUNT_LISTS; i++) {
        kt_buf_add_u16(out, (uint16_t)mount->lists[i].n);
        for (size_t k = 0; k < mount->lists[i].n; k++)
            kt_buf_add_field(out, kt_str(mount->lists[i].at[k]));
    }
}

static size_t move_bytes(const struct mount_move *move)
{
    return 3 * sizeof(uint32_t) + strlen(move->id) + strlen(move->from) + strlen(move->to);
}

static void write_moves(const struct mount_moves *moves, struct kt_buf *out)
{
    size_t n = moves == NULL ? 0 : moves->n, first = n, bytes = 1;
    while (first > 0 && (bytes += move_bytes(&moves->at[first - 1])) <= MOUNT_MOVES_MAX)
        first--;
    kt_buf_add_u8(out, (uint8_t)(n - first));
    for (size_t i = first; i < n; i++) {
        kt_buf_add_field(out, kt_str(moves->at[i].id));
        kt_buf_add_field(out, kt_str(moves->at[i].from));
        kt_buf_add_field(out, kt_str(moves->at[i].to));
    }
}

static const char *text(struct kt_reader *r, struct kt_arena *arena)
{
    const char *copy = kt_arena_text(arena, kt_read_field(r));
    return copy == NULL ? "" : copy;
}

static const char *uuid_text(struct kt_arena *arena, const unsigned char b[16])
{
    char *uuid = kt_arena_take(arena, KT_UUID_TEXT);
    if (uuid == NULL)
        return "";
    kt_uuid_text(b, uuid);
    return uuid;
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
    ret->local = (flags & ROW_LOCAL) != 0;
    ret->seal_wrap = (flags & ROW_SEAL_WRAP) != 0;
    ret->force_no_cache = (flags & ROW_NO_CACHE) != 0;
    ret->listing_visibility = "";
    ret->token_type = "";
    ret->engine = engine_find(ret->type, ret->version);
}

static void read_list(struct kt_reader *r, struct kt_arena *arena, struct string_list *ret)
{
    size_t n = kt_read_u16(r);
    const char **at = kt_arena_take(arena, (n + 1) * sizeof *at);
    if (at == NULL)
        return;
    for (size_t i = 0; i < n; i++)
        at[i] = text(r, arena);
    *ret = (struct string_list){at, n};
}

static void read_row_2(struct kt_reader *r, struct kt_arena *arena, struct mount *ret)
{
    read_row_1(r, arena, ret);
    ret->listing_visibility = text(r, arena);
    ret->token_type = text(r, arena);
    for (size_t i = 0; i < MOUNT_LISTS; i++)
        read_list(r, arena, &ret->lists[i]);
}

static void read_moves_2(struct kt_reader *r, struct kt_arena *arena, struct mount_moves *ret)
{
    size_t n = kt_read_u8(r);
    r->failed = r->failed || n > MOUNT_MOVES;
    for (size_t i = 0; i < n && !r->failed; i++) {
        ret->at[i].id = text(r, arena);
        ret->at[i].from = text(r, arena);
        ret->at[i].to = text(r, arena);
    }
    ret->n = r->failed ? 0 : n;
}

struct table_reader {
    void (*row)(struct kt_reader *r, struct kt_arena *arena, struct mount *ret);
    void (*moves)(struct kt_reader *r, struct kt_arena *arena, struct mount_moves *ret);
};
static const struct table_reader reader_1 = {.row = read_row_1};
static const struct table_reader reader_2 = {.row = read_row_2, .moves = read_moves_2};
static const struct table_reader *const readers[] = {[1] = &reader_1, [FORMAT] = &reader_2};

static int by_path(const void *a, const void *b)
{
    const struct mount *x = a, *y = b;
    return strcmp(x->path, y->path);
}

static enum kt_kind fill_table(struct mount_table *table, struct kt_bytes record, struct kt_err *err)
{
    struct kt_reader r = kt_reader(record);
    size_t n = 0;
    const struct table_reader *reader = &reader_1;
    if (record.len > 0) {
        unsigned format = kt_read_u8(&r);
        reader = FORMAT_ROW(readers, format);
        if (reader == NULL)
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
        reader->row(&r, &table->arena, &table->rows[N_BUILTIN + i]);
    if (reader->moves != NULL)
        reader->moves(&r, &table->arena, &table->moves);
    if (!kt_reader_done(&r) || table->arena.failed)
        return kt_fail(err, KT_CORRUPT, "the mount table is damaged");
    qsort(table->rows, table->n, sizeof *table->rows, by_path);
    for (size_t i = 0; i < table->n; i++)
        table->sorted[i] = &table->rows[i];
    return KT_OK;
}

enum kt_kind mount_table_read(struct kt_bytes record, generation changed, struct mount_table **ret,
                              struct kt_err *err)
{
    struct mount_table *table = kt_calloc(1, sizeof *table);
    if (table == NULL)
        return kt_fail(err, KT_NO_MEMORY, "reading the mount table");
    kt_arena_init(&table->arena, (size_t)16 * 1024 * 1024);
    table->changed = changed;
    enum kt_kind kind = fill_table(table, record, err);
    if (kind != KT_OK) {
        mount_table_free(table);
        return kind;
    }
    *ret = table;
    return KT_OK;
}

void mount_table_free(struct mount_table *table)
{
    kt_arena_free(&table->arena);
    free(table);
}

void mount_table_write(const struct mount *rows, size_t n, const struct mount_moves *moves,
                       struct kt_buf *out)
{
    uint32_t stored = 0;
    for (size_t i = 0; i < n; i++)
        stored += !rows[i].builtin;
    kt_buf_add_u8(out, FORMAT);
    kt_buf_add_u32(out, stored);
    for (size_t i = 0; i < n; i++)
        if (!rows[i].builtin)
            write_row(&rows[i], out);
    if (out->len > MOUNT_ROWS_MAX)
        out->failed = out->full = true;
    write_moves(moves, out);
}

/* ---- finding ---- */

/* Below 0, 0 or above 0: the path stands before, in, behind the mount in the order of the rows. What
 * lacks its last '/' is compared as if it had one. */
static int side_of(const char *path, size_t len, const char *mount)
{
    size_t slashed = len + (len == 0 || path[len - 1] != '/');
    for (size_t i = 0; mount[i] != '\0'; i++) {
        if (i >= slashed)
            return -1;
        unsigned char ours = i < len ? (unsigned char)path[i] : '/';
        if (ours != (unsigned char)mount[i])
            return ours < (unsigned char)mount[i] ? -1 : 1;
    }
    return 0;
}

const struct mount *mount_table_find(const struct mount_table *table, const char *path,
                                     const char **ret_rest)
{
    size_t len = strlen(path), low = 0, high = table->n;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        const struct mount *mount = &table->rows[middle];
        int side = side_of(path, len, mount->path);
        if (side == 0) {
            size_t mount_len = strlen(mount->path);
            *ret_rest = path + (mount_len < len ? mount_len : len);
            return mount;
        }
        if (side < 0)
            high = middle;
        else
            low = middle + 1;
    }
    return NULL;
}
