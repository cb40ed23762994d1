#include "vaultd/auth/token_record.h"

#include "vaultd/barrier/format.h"

#define FORMAT 2u

enum flag {
    FLAG_PARENT = 1,
    FLAG_RENEWABLE = 2,
    FLAG_ROOT = 4,
    FLAG_REVOKED = 8,
    FLAG_WRAPS = 16,
    FLAG_LOGGED_IN = 32
};

void token_record_write(const struct token *token, struct kt_buf *out)
{
    unsigned flags = (token->has_parent ? FLAG_PARENT : 0u) |
                     (token->renewable ? FLAG_RENEWABLE : 0u) | (token->is_root ? FLAG_ROOT : 0u) |
                     (token->revoked ? FLAG_REVOKED : 0u) | (token->wraps ? FLAG_WRAPS : 0u) |
                     (token->logged_in ? FLAG_LOGGED_IN : 0u);
    kt_buf_add_u8(out, FORMAT);
    kt_buf_add_u8(out, (uint8_t)flags);
    kt_buf_add(out, token->parent, sizeof token->parent);
    const int64_t numbers[] = {token->created_ms, token->expires_ms, token->creation_ttl_s,
                               token->explicit_max_ttl_s, token->period_s, token->last_renewal_ms,
                               token->num_uses};
    for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++)
        kt_buf_add_i64(out, numbers[i]);
    kt_buf_add_field(out, kt_str(token->accessor));
    kt_buf_add_field(out, kt_str(token->display_name));
    kt_buf_add_field(out, kt_str(token->entity_id));
    kt_buf_add_field(out, kt_str(token->path));
    kt_buf_add_field(out, token->meta);
    kt_buf_add_u16(out, (uint16_t)token->n_policies);
    for (size_t i = 0; i < token->n_policies; i++)
        kt_buf_add_field(out, kt_str(token->policies[i]));
    kt_buf_add_i64(out, token->role_max_ttl_s);
    kt_buf_add_field(out, kt_str(token->role));
    kt_buf_add_u16(out, (uint16_t)token->bound_cidrs.n);
    for (size_t i = 0; i < token->bound_cidrs.n; i++)
        kt_buf_add_field(out, kt_str(token->bound_cidrs.at[i]));
}

static const char *text(struct kt_reader *r, struct kt_arena *arena)
{
    const char *copy = kt_arena_text(arena, kt_read_field(r));
    return copy == NULL ? "" : copy;
}

static void read_texts(struct kt_reader *r, struct kt_arena *arena, struct string_list *ret)
{
    size_t n = kt_read_u16(r);
    const char **at = kt_arena_take(arena, (n + 1) * sizeof *at);
    if (at == NULL)
        return;
    for (size_t i = 0; i < n; i++)
        at[i] = text(r, arena);
    *ret = (struct string_list){at, n};
}

static void read_format_1(struct kt_reader *r, struct kt_arena *arena, struct token *token)
{
    unsigned flags = kt_read_u8(r);
    token->has_parent = (flags & FLAG_PARENT) != 0;
    token->renewable = (flags & FLAG_RENEWABLE) != 0;
    token->is_root = (flags & FLAG_ROOT) != 0;
    token->revoked = (flags & FLAG_REVOKED) != 0;
    token->wraps = (flags & FLAG_WRAPS) != 0;
    token->logged_in = (flags & FLAG_LOGGED_IN) != 0;
    struct kt_bytes parent = kt_read_bytes(r, sizeof token->parent);
    if (parent.at != NULL)
        memcpy(token->parent, parent.at, parent.len);
    int64_t *const numbers[] = {&token->created_ms,      &token->expires_ms,
                                &token->creation_ttl_s,  &token->explicit_max_ttl_s,
                                &token->period_s,        &token->last_renewal_ms,
                                &token->num_uses};
    for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++)
        *numbers[i] = kt_read_i64(r);
    token->accessor = text(r, arena);
    token->display_name = text(r, arena);
    token->entity_id = text(r, arena);
    token->path = text(r, arena);
    token->meta = kt_str(text(r, arena));
    struct string_list policies = {0};
    read_texts(r, arena, &policies);
    token->policies = policies.at;
    token->n_policies = policies.n;
    token->role = "";
}

static void read_format_2(struct kt_reader *r, struct kt_arena *arena, struct token *token)
{
    read_format_1(r, arena, token);
    token->role_max_ttl_s = kt_read_i64(r);
    token->role = text(r, arena);
    read_texts(r, arena, &token->bound_cidrs);
}

typedef void read_fn(struct kt_reader *r, struct kt_arena *arena, struct token *token);
static read_fn *const readers[] = {[1] = read_format_1, [FORMAT] = read_format_2};

enum kt_kind token_record_read(struct kt_bytes record, struct kt_arena *arena, struct token *ret,
                               struct kt_err *err)
{
    struct kt_reader r = kt_reader(record);
    unsigned format = kt_read_u8(&r);
    read_fn *read = FORMAT_ROW(readers, format);
    if (read == NULL)
        return format_refuse("a token record", format, FORMAT, err);
    struct token token = {0};
    read(&r, arena, &token);
    if (arena->failed) /* what was not read then is no damage */
        return kt_fail(err, KT_NO_MEMORY, "reading a token record");
    if (!kt_reader_done(&r))
        return kt_fail(err, KT_CORRUPT, "a token record is damaged");
    *ret = token;
    return KT_OK;
}
