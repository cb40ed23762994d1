#include "vaultd/core/mount_table.h"

#include <sodium.h>
#include <stdlib.h>

#include "lib/failpoint.h"
#include "vaultd/barrier/format.h"
#include "vaultd/core/mounts.h"

#define FORMAT 1u

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

void mount_table_write(const struct mount *rows, size_t n, struct kt_buf *out)
{
    uint32_t stored = 0;
    for (size_t i = 0; i < n; i++)
        stored += !rows[i].builtin;
    kt_buf_add_u8(out, FORMAT);
    kt_buf_add_u32(out, stored);
    for (size_t i = 0; i < n; i++)
        if (!rows[i].builtin)
            write_row(&rows[i], out);
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
