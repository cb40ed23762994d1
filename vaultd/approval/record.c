#include "vaultd/approval/record.h"

#include "vaultd/barrier/format.h"

#define FORMAT      4u
#define FORMAT_SENT 1u
#define BREAK_GLASS 1u

void approval_key(const unsigned char id[KT_UUID_BYTES], uint32_t part, unsigned char key[APPROVAL_KEY])
{
    key[0] = TABLE_APPROVAL;
    memcpy(key + 1, id, KT_UUID_BYTES);
    for (unsigned i = 0; i < 4; i++)
        key[1 + KT_UUID_BYTES + i] = (unsigned char)(part >> (24 - 8 * i));
}

/* ---- writing ---- */

static void add_text(struct kt_buf *out, const char *text)
{
    kt_buf_add_field(out, kt_str(text == NULL ? "" : text));
}

void approval_write(const struct approval *a, struct kt_buf *out)
{
    kt_buf_add_u8(out, FORMAT);
    kt_buf_add_u8(out, (uint8_t)a->kind);
    kt_buf_add_u8(out, (uint8_t)a->state);
    kt_buf_add_u8(out, a->break_glass ? BREAK_GLASS : 0);
    kt_buf_add_i64(out, a->created_ms);
    kt_buf_add_i64(out, a->expires_ms);
    kt_buf_add_i64(out, a->ended_ms);
    kt_buf_add(out, a->token, sizeof a->token);
    add_text(out, a->entity_id);
    add_text(out, a->name);
    add_text(out, a->accessor);
    kt_buf_add_u16(out, (uint16_t)a->op);
    kt_buf_add_i64(out, a->wrap_ttl_s);
    add_text(out, a->path);
    add_text(out, a->reason);
    kt_buf_add_u16(out, (uint16_t)a->rules.n);
    for (size_t i = 0; i < a->rules.n; i++)
        add_text(out, a->rules.at[i]);
    kt_buf_add_u16(out, (uint16_t)a->n_approvers);
    for (size_t i = 0; i < a->n_approvers; i++) {
        add_text(out, a->approvers[i].entity_id);
        add_text(out, a->approvers[i].name);
        kt_buf_add_i64(out, a->approvers[i].at_ms);
    }
    add_text(out, a->ended_by);
    add_text(out, a->why);
    add_text(out, a->about);
    kt_buf_add(out, a->bound, sizeof a->bound);
    add_text(out, a->told);
    for (size_t i = 0; i < a->rules.n; i++)
        kt_buf_add_u16(out, (uint16_t)(a->needed == NULL ? 0 : a->needed[i]));
    kt_buf_add_u16(out, (uint16_t)a->n_touched);
    for (size_t i = 0; i < a->n_touched; i++) {
        add_text(out, a->touched[i].path);
        kt_buf_add_u8(out, a->touched[i].below);
    }
}

void approval_sent_write(const struct approval_sent *sent, struct kt_buf *out)
{
    kt_buf_add_u8(out, FORMAT_SENT);
    kt_buf_add_field(out, sent->query);
    kt_buf_add_field(out, sent->content_type);
    kt_buf_add_u8(out, sent->content_type.at != NULL);
    kt_buf_add_field(out, sent->body);
}

/* ---- reading ---- */

struct reading {
    struct kt_arena *arena;
    struct approval *to;
    struct approval_sent *sent;
};

static const char *read_text(struct kt_reader *r, struct kt_arena *arena)
{
    return kt_arena_text(arena, kt_read_field(r));
}

static void read_rules(struct kt_reader *r, struct kt_arena *arena, struct string_list *ret)
{
    size_t n = kt_read_u16(r);
    r->failed = r->failed || n > APPROVAL_RULES_OF_MAX;
    ret->at = r->failed ? NULL : kt_arena_take(arena, (n + 1) * sizeof(char *));
    for (size_t i = 0; i < n && ret->at != NULL; i++)
        ret->at[ret->n++] = read_text(r, arena);
}

static void read_approvers(struct kt_reader *r, struct kt_arena *arena, struct approval *to)
{
    size_t n = kt_read_u16(r);
    r->failed = r->failed || n > APPROVERS_MAX;
    to->approvers = r->failed ? NULL : kt_arena_take(arena, (n + 1) * sizeof *to->approvers);
    for (size_t i = 0; i < n && to->approvers != NULL; i++) {
        struct approver *one = &to->approvers[to->n_approvers++];
        one->entity_id = read_text(r, arena);
        one->name = read_text(r, arena);
        one->at_ms = kt_read_i64(r);
    }
}

static void read_format_1(struct kt_reader *r, void *ret)
{
    struct reading *reading = ret;
    struct kt_arena *arena = reading->arena;
    struct approval *to = reading->to;
    to->kind = (enum approval_kind)kt_read_u8(r);
    unsigned state = kt_read_u8(r);
    r->failed = r->failed || state < APPROVAL_WAITING || state > APPROVAL_WITHDRAWN;
    to->state = (enum approval_state)state;
    to->break_glass = (kt_read_u8(r) & BREAK_GLASS) != 0;
    to->created_ms = kt_read_i64(r);
    to->expires_ms = kt_read_i64(r);
    to->ended_ms = kt_read_i64(r);
    struct kt_bytes token = kt_read_bytes(r, sizeof to->token);
    if (token.len == sizeof to->token)
        memcpy(to->token, token.at, token.len);
    to->entity_id = read_text(r, arena);
    to->name = read_text(r, arena);
    to->accessor = read_text(r, arena);
    to->op = (enum operation)kt_read_u16(r);
    to->wrap_ttl_s = kt_read_i64(r);
    to->path = read_text(r, arena);
    to->reason = read_text(r, arena);
    read_rules(r, arena, &to->rules);
    read_approvers(r, arena, to);
    to->ended_by = read_text(r, arena);
    to->why = read_text(r, arena);
}

static void read_format_2(struct kt_reader *r, void *ret)
{
    struct reading *reading = ret;
    read_format_1(r, ret);
    reading->to->about = read_text(r, reading->arena);
    struct kt_bytes bound = kt_read_bytes(r, sizeof reading->to->bound);
    if (bound.len == sizeof reading->to->bound)
        memcpy(reading->to->bound, bound.at, bound.len);
}

static void read_format_3(struct kt_reader *r, void *ret)
{
    struct reading *reading = ret;
    struct approval *to = reading->to;
    read_format_2(r, ret);
    to->told = read_text(r, reading->arena);
    to->needed = r->failed ? NULL : kt_arena_take(reading->arena, (to->rules.n + 1) * sizeof *to->needed);
    for (size_t i = 0; i < to->rules.n && to->needed != NULL; i++)
        to->needed[i] = kt_read_u16(r);
}

static void read_format_4(struct kt_reader *r, void *ret)
{
    struct reading *reading = ret;
    struct approval *to = reading->to;
    read_format_3(r, ret);
    size_t n = kt_read_u16(r);
    r->failed = r->failed || n > APPROVAL_TOUCHED_MAX;
    to->touched = r->failed ? NULL : kt_arena_take(reading->arena, (n + 1) * sizeof *to->touched);
    for (size_t i = 0; i < n && to->touched != NULL; i++) {
        struct touched *one = &to->touched[to->n_touched++];
        one->path = read_text(r, reading->arena);
        one->below = kt_read_u8(r) != 0;
    }
}

static format_reader *const readers[] = {
    [1] = read_format_1, [2] = read_format_2, [3] = read_format_3, [FORMAT] = read_format_4};

enum kt_kind approval_read(struct kt_bytes record, struct kt_arena *arena, struct approval *ret,
                           struct kt_err *err)
{
    struct reading reading = {.arena = arena, .to = ret};
    *ret = (struct approval){.about = "", .told = ""};
    enum kt_kind kind = FORMAT_READ("a request that waits for approval", record, readers, &reading, err);
    if (arena->failed) /* what it had no room for was not read, and reads as a surplus */
        kind = kt_fail(err, KT_NO_MEMORY, "reading a request that waits for approval");
    return kind;
}

static void read_sent_1(struct kt_reader *r, void *ret)
{
    struct reading *reading = ret;
    struct approval_sent *to = reading->sent;
    to->query = kt_read_field(r);
    struct kt_bytes type = kt_read_field(r);
    to->content_type = kt_read_u8(r) != 0 ? type : kt_bytes(NULL, 0);
    to->body = kt_read_field(r);
}

static format_reader *const sent_readers[] = {[FORMAT_SENT] = read_sent_1};

enum kt_kind approval_sent_read(struct kt_bytes record, struct kt_arena *arena, struct approval_sent *ret,
                                struct kt_err *err)
{
    const char *copy = kt_arena_text(arena, record);
    if (copy == NULL)
        return kt_fail(err, KT_NO_MEMORY, "reading a request that waits for approval");
    struct reading reading = {.arena = arena, .sent = ret};
    *ret = (struct approval_sent){0};
    return FORMAT_READ("what was sent by a request that waits for approval", kt_bytes(copy, record.len),
                       sent_readers, &reading, err);
}
