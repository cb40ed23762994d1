#include "vaultd/core/quota_table.h"

#include <stdlib.h>

#include "lib/failpoint.h"
#include "vaultd/barrier/format.h"

#define FORMAT        1u
#define AUDIT_LOGGING 1u
#define HEADERS       2u
#define EXEMPT_SET    4u
#define OF_MOUNT      1u

/* Vault's. */
static const char *always_exempt[] = {
    "sys/generate-recovery-token/attempt", "sys/generate-recovery-token/update",
    "sys/generate-root/attempt", "sys/generate-root/update",
    "sys/health", "sys/seal-status", "sys/unseal",
};

void quota_table_key(struct core *core, unsigned char key[BARRIER_NAME_KEY])
{
    static const unsigned char no_scope[BARRIER_SCOPE];
    barrier_name_key(core->barrier, TABLE_CONFIG, no_scope, kt_str("quotas"), key);
}

void quota_table_free(struct quota_table *table)
{
    if (table == NULL)
        return;
    kt_arena_free(&table->arena);
    free(table);
}

/* ---- the record ---- */

static const char *read_text(struct kt_reader *r, struct kt_arena *arena)
{
    return kt_arena_text(arena, kt_read_field(r));
}

static void read_exempt(struct kt_reader *r, struct quota_table *table)
{
    size_t n = kt_read_u16(r);
    table->exempt.at = kt_arena_take(&table->arena, (n + 1) * sizeof(char *));
    for (size_t i = 0; i < n && table->exempt.at != NULL; i++)
        table->exempt.at[table->exempt.n++] = read_text(r, &table->arena);
}

static void read_quota(struct kt_reader *r, struct kt_arena *arena, struct quota *ret)
{
    ret->name = read_text(r, arena);
    ret->of_mount = (kt_read_u8(r) & OF_MOUNT) != 0;
    struct kt_bytes scope = kt_read_bytes(r, BARRIER_SCOPE);
    if (scope.len == BARRIER_SCOPE)
        memcpy(ret->scope, scope.at, BARRIER_SCOPE);
    ret->suffix = read_text(r, arena);
    ret->rate = kt_read_i64(r);
    ret->interval_s = kt_read_i64(r);
    ret->block_s = kt_read_i64(r);
    ret->id = kt_read_u64(r);
}

static void read_format_1(struct kt_reader *r, void *ret)
{
    struct quota_table *table = ret;
    unsigned flags = kt_read_u8(r);
    table->audit_logging = (flags & AUDIT_LOGGING) != 0;
    table->headers = (flags & HEADERS) != 0;
    table->exempt_set = (flags & EXEMPT_SET) != 0;
    read_exempt(r, table);
    size_t n = kt_read_u16(r);
    for (size_t i = 0; i < n && i < QUOTAS_MAX; i++)
        read_quota(r, &table->arena, &table->rows[table->n++]);
}

static format_reader *const readers[] = {[FORMAT] = read_format_1};

/* Numbers that the limiter can count with; a record that has others was not written here. */
static bool sound(const struct quota_table *table)
{
    for (size_t i = 0; i < table->n; i++) {
        const struct quota *row = &table->rows[i];
        if (row->rate < QUOTA_RATE_MIN || row->rate > QUOTA_RATE_MAX || row->interval_s < 1 ||
            row->interval_s > QUOTA_TIME_MAX_S || row->block_s < 0 || row->block_s > QUOTA_TIME_MAX_S)
            return false;
    }
    return true;
}

enum kt_kind quota_table_read(struct kt_bytes record, generation changed, struct quota_table **ret,
                              struct kt_err *err)
{
    struct quota_table *table = kt_calloc(1, sizeof *table);
    if (table == NULL)
        return kt_fail(err, KT_NO_MEMORY, "reading the quotas");
    kt_arena_init(&table->arena, QUOTA_RECORD_MAX * 4);
    table->changed = changed;
    table->rows = kt_arena_take(&table->arena, QUOTAS_MAX * sizeof *table->rows);
    enum kt_kind kind = KT_OK;
    if (table->rows != NULL && record.len > 0)
        kind = FORMAT_READ("the rate-limit quotas", record, readers, table, err);
    if (table->arena.failed) /* what could not be kept looks like a damaged record */
        kind = kt_fail(err, KT_NO_MEMORY, "reading the quotas");
    if (kind == KT_OK && !sound(table))
        kind = kt_fail(err, KT_CORRUPT, "the rate-limit quotas are damaged");
    if (kind != KT_OK) {
        quota_table_free(table);
        return kind;
    }
    if (!table->exempt_set)
        table->exempt = (struct string_list){always_exempt,
                                             sizeof always_exempt / sizeof always_exempt[0]};
    *ret = table;
    return KT_OK;
}

void quota_table_write(const struct quota_table *table, struct kt_buf *out)
{
    kt_buf_add_u8(out, FORMAT);
    kt_buf_add_u8(out, (uint8_t)((table->audit_logging ? AUDIT_LOGGING : 0) | (table->headers ? HEADERS : 0) |
                                 (table->exempt_set ? EXEMPT_SET : 0)));
    size_t n_exempt = table->exempt_set ? table->exempt.n : 0;
    kt_buf_add_u16(out, (uint16_t)n_exempt);
    for (size_t i = 0; i < n_exempt; i++)
        kt_buf_add_field(out, kt_str(table->exempt.at[i]));
    kt_buf_add_u16(out, (uint16_t)table->n);
    for (size_t i = 0; i < table->n; i++) {
        const struct quota *row = &table->rows[i];
        kt_buf_add_field(out, kt_str(row->name));
        kt_buf_add_u8(out, row->of_mount ? OF_MOUNT : 0);
        kt_buf_add(out, row->scope, sizeof row->scope);
        kt_buf_add_field(out, kt_str(row->suffix));
        kt_buf_add_i64(out, row->rate);
        kt_buf_add_i64(out, row->interval_s);
        kt_buf_add_i64(out, row->block_s);
        kt_buf_add_u64(out, row->id);
    }
}

/* ---- which one governs ---- */

/* A path as its row takes it: where names have no case behind the mount, `lowered` is where that begins. */
struct taken {
    const char *path;
    size_t lowered; /* SIZE_MAX: nothing is */
};

static unsigned char at(const char *text, size_t i, bool lowered)
{
    unsigned char c = (unsigned char)text[i];
    return lowered && c >= 'A' && c <= 'Z' ? (unsigned char)(c - 'A' + 'a') : c;
}

/* Whether the path from `from` on begins with the first len bytes of `text`. */
static bool begins(const struct taken *taken, size_t from, const char *text, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        bool lowered = from + i >= taken->lowered;
        if (taken->path[from + i] == '\0' ||
            at(taken->path, from + i, lowered) != at(text, i, lowered))
            return false;
    }
    return true;
}

/* The path, or what lies below it; with '*', whatever begins so. */
static bool covers(const char *exempt, const struct taken *taken)
{
    size_t len = strlen(exempt);
    if (len == 0)
        return false;
    if (exempt[len - 1] == '*')
        return begins(taken, 0, exempt, len - 1);
    return begins(taken, 0, exempt, len) &&
           (taken->path[len] == '\0' || taken->path[len] == '/' || exempt[len - 1] == '/');
}

static bool is_exempt(const struct quota_table *table, const struct taken *taken)
{
    for (size_t i = 0; i < table->exempt.n; i++)
        if (covers(table->exempt.at[i], taken))
            return true;
    return false;
}

/* How closely a quota governs; 0: not at all. rest: where the path is behind its mount. */
static size_t closeness(const struct quota *row, const struct mount *mount, const struct taken *taken,
                        size_t rest)
{
    if (!row->of_mount)
        return 1;
    if (mount == NULL || memcmp(row->scope, mount->scope, BARRIER_SCOPE) != 0)
        return 0;
    size_t len = strlen(row->suffix);
    if (len == 0)
        return 2;
    if (row->suffix[len - 1] == '*')
        return begins(taken, rest, row->suffix, len - 1) ? 2 + len : 0;
    size_t rest_len = strlen(taken->path + rest);
    while (rest_len > 0 && taken->path[rest + rest_len - 1] == '/') /* of a list */
        rest_len--;
    return rest_len == len && begins(taken, rest, row->suffix, len) ? SIZE_MAX : 0;
}

const struct quota *quota_table_find(const struct quota_table *table, const char *path,
                                     const struct mount *mount, const char *rest, bool lowered)
{
    const struct quota *closest = NULL;
    size_t most = 0, behind = (size_t)(rest - path);
    const struct taken taken = {path, lowered ? behind : SIZE_MAX};
    for (size_t i = 0; i < table->n; i++) {
        size_t close = closeness(&table->rows[i], mount, &taken, behind);
        if (close > most) {
            most = close;
            closest = &table->rows[i];
        }
    }
    return closest != NULL && is_exempt(table, &taken) ? NULL : closest;
}
