#include "vaultd/approval/rules.h"

#include "vaultd/barrier/format.h"

#define FORMAT     1u
#define RECORD_MAX ((size_t)640 * 1024)

static void record_key(struct core *core, unsigned char key[BARRIER_NAME_KEY])
{
    static const unsigned char no_scope[BARRIER_SCOPE];
    barrier_name_key(core->barrier, TABLE_CONFIG, no_scope, kt_str("approvals"), key);
}

/* ---- the record ---- */

struct reading {
    struct kt_arena *arena;
    struct approval_rules *rules;
};

static const char *read_text(struct kt_reader *r, struct kt_arena *arena)
{
    return kt_arena_text(arena, kt_read_field(r));
}

static void read_rule(struct kt_reader *r, struct kt_arena *arena, struct approval_rule *ret)
{
    ret->name = read_text(r, arena);
    size_t n = kt_read_u16(r);
    ret->paths.at = kt_arena_take(arena, (n + 1) * sizeof(char *));
    for (size_t i = 0; i < n && !r->failed && ret->paths.at != NULL; i++)
        ret->paths.at[ret->paths.n++] = read_text(r, arena);
    ret->group = read_text(r, arena);
    ret->needed = kt_read_u16(r);
    ret->ttl_s = kt_read_i64(r);
}

static void read_format_1(struct kt_reader *r, void *ret)
{
    struct reading *reading = ret;
    struct approval_rules *rules = reading->rules;
    size_t n = kt_read_u16(r);
    for (size_t i = 0; i < n && i < APPROVAL_RULES_MAX && !r->failed; i++)
        read_rule(r, reading->arena, &rules->at[rules->n++]);
}

static format_reader *const readers[] = {[FORMAT] = read_format_1};

enum kt_kind approval_rules_load(struct request *req, struct approval_rules *ret, struct kt_err *err)
{
    unsigned char key[BARRIER_NAME_KEY];
    struct kt_bytes record = {0};
    *ret = (struct approval_rules){0};
    record_key(req->core, key);
    enum kt_kind kind = request_record(req, kt_bytes(key, sizeof key), &record, &ret->changed, err);
    if (kind != KT_OK && kind != KT_NOT_FOUND)
        return kind;
    ret->at = kt_arena_take(&req->arena, APPROVAL_RULES_MAX * sizeof *ret->at);
    if (ret->at == NULL)
        return kt_fail(err, KT_NO_MEMORY, "reading the rules of approval");
    if (kind == KT_NOT_FOUND)
        return KT_OK;
    struct reading reading = {&req->arena, ret};
    kind = FORMAT_READ("the rules of approval", record, readers, &reading, err);
    if (kind == KT_OK && req->arena.failed)
        kind = kt_fail(err, KT_NO_MEMORY, "reading the rules of approval");
    return kind;
}

static void write_rules(const struct approval_rules *rules, struct kt_buf *out)
{
    kt_buf_add_u8(out, FORMAT);
    kt_buf_add_u16(out, (uint16_t)rules->n);
    for (size_t i = 0; i < rules->n; i++) {
        const struct approval_rule *rule = &rules->at[i];
        kt_buf_add_field(out, kt_str(rule->name));
        kt_buf_add_u16(out, (uint16_t)rule->paths.n);
        for (size_t j = 0; j < rule->paths.n; j++)
            kt_buf_add_field(out, kt_str(rule->paths.at[j]));
        kt_buf_add_field(out, kt_str(rule->group));
        kt_buf_add_u16(out, (uint16_t)rule->needed);
        kt_buf_add_i64(out, rule->ttl_s);
    }
}

enum kt_kind approval_rules_save(struct request *req, const struct approval_rules *rules,
                                 struct kt_err *err)
{
    unsigned char key[BARRIER_NAME_KEY];
    struct batch *batch = request_batch(req);
    if (batch == NULL)
        return kt_fail(err, KT_NO_MEMORY, "writing the rules of approval");
    record_key(req->core, key);
    struct kt_bytes at = kt_bytes(key, sizeof key);
    batch_require(batch, rules->changed == 0 ? KEY_ABSENT : KEY_CHANGED_AT, at, rules->changed);
    if (rules->n == 0) {
        batch_delete(batch, at);
        return KT_OK;
    }
    kt_autobuf struct kt_buf record;
    kt_buf_init(&record, RECORD_MAX);
    write_rules(rules, &record);
    if (!kt_buf_ok(&record))
        return record.full ? kt_fail(err, KT_INVALID, "the rules of approval have too many and too long paths")
                           : kt_fail(err, KT_NO_MEMORY, "writing the rules of approval");
    return barrier_put(req->core->barrier, batch, at, kt_buf_bytes(&record), err);
}

struct approval_rule *approval_rules_find(const struct approval_rules *rules, const char *name)
{
    for (size_t i = 0; i < rules->n; i++)
        if (strcmp(rules->at[i].name, name) == 0)
            return &rules->at[i];
    return NULL;
}

/* ---- which paths a rule is about ---- */

static char lowered(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}

static bool is_plus(const char *pattern, const char *at)
{
    return at[0] == '+' && (at == pattern || at[-1] == '/') && (at[1] == '/' || at[1] == '\0');
}

bool approval_covers(const char *pattern, const char *path, bool below)
{
    const char *at = pattern;
    while (*at != '\0') {
        if (at[0] == '*' && at[1] == '\0')
            return true;
        if (*path == '\0')
            return below && (*at == '/' || at == pattern || at[-1] == '/');
        if (is_plus(pattern, at)) {
            size_t len = strcspn(path, "/");
            if (len == 0)
                return false;
            path += len;
            at++;
            continue;
        }
        if (lowered(*at) != lowered(*path))
            return false;
        at++;
        path++;
    }
    return *path == '\0' || (path[0] == '/' && path[1] == '\0');
}
