#include "vaultd/identity/record.h"

#include "vaultd/barrier/format.h"

#define FORMAT 1u

enum flag { FLAG_DISABLED = 1, FLAG_EXTERNAL = 2, FLAG_ALIAS = 4, FLAG_LOCAL = 8 };

/* ---- writing ---- */

static void write_list(struct kt_buf *out, const struct string_list *list)
{
    kt_buf_add_u16(out, (uint16_t)list->n);
    for (size_t i = 0; i < list->n; i++)
        kt_buf_add_field(out, kt_str(list->at[i]));
}

static void write_made(struct kt_buf *out, const struct identity_made *made)
{
    kt_buf_add_i64(out, made->created_ms);
    kt_buf_add_i64(out, made->changed_ms);
    kt_buf_add_field(out, kt_str(made->created_by));
    kt_buf_add_u8(out, made->more);
    write_list(out, &made->changers);
}

static void write_alias(struct kt_buf *out, const struct alias *alias)
{
    kt_buf_add_u8(out, alias->local ? FLAG_LOCAL : 0);
    kt_buf_add_field(out, kt_str(alias->id));
    kt_buf_add_field(out, kt_str(alias->accessor));
    kt_buf_add(out, alias->scope, sizeof alias->scope);
    kt_buf_add_field(out, kt_str(alias->name));
    kt_buf_add_field(out, alias->metadata);
    kt_buf_add_field(out, alias->custom_metadata);
    write_list(out, &alias->merged_from);
    write_list(out, &alias->groups);
    write_made(out, &alias->made);
}

void entity_write(const struct entity *entity, struct kt_buf *out)
{
    kt_buf_add_u8(out, FORMAT);
    kt_buf_add_u8(out, entity->disabled ? FLAG_DISABLED : 0);
    kt_buf_add_field(out, kt_str(entity->id));
    kt_buf_add_field(out, kt_str(entity->name));
    kt_buf_add_field(out, entity->metadata);
    write_list(out, &entity->policies);
    write_list(out, &entity->merged);
    write_made(out, &entity->made);
    kt_buf_add_u16(out, (uint16_t)entity->n_aliases);
    for (size_t i = 0; i < entity->n_aliases; i++)
        write_alias(out, &entity->aliases[i]);
}

void group_write(const struct group *group, struct kt_buf *out)
{
    bool has_alias = group->alias.id != NULL;
    kt_buf_add_u8(out, FORMAT);
    kt_buf_add_u8(out, (uint8_t)((group->external ? FLAG_EXTERNAL : 0) | (has_alias ? FLAG_ALIAS : 0)));
    kt_buf_add_field(out, kt_str(group->id));
    kt_buf_add_field(out, kt_str(group->name));
    kt_buf_add_field(out, group->metadata);
    write_list(out, &group->policies);
    write_list(out, &group->entities);
    write_list(out, &group->groups);
    write_made(out, &group->made);
    kt_buf_add_u64(out, group->modify_index);
    if (has_alias)
        write_alias(out, &group->alias);
}

/* ---- reading ---- */

struct reading {
    struct kt_reader r;
    struct kt_arena *arena;
};

static const char *text(struct reading *in)
{
    const char *copy = kt_arena_text(in->arena, kt_read_field(&in->r));
    return copy == NULL ? "" : copy;
}

static struct kt_bytes json(struct reading *in)
{
    struct kt_bytes field = kt_read_field(&in->r);
    const char *copy = kt_arena_text(in->arena, field);
    return kt_bytes(copy, copy == NULL ? 0 : field.len);
}

static struct string_list list(struct reading *in)
{
    size_t n = kt_read_u16(&in->r);
    /* A field takes four bytes at least: what says that it has more is damaged. */
    if (n > in->r.left / 4) {
        in->r.failed = true;
        return (struct string_list){0};
    }
    const char **at = kt_arena_take(in->arena, (n + 1) * sizeof *at);
    for (size_t i = 0; at != NULL && i < n; i++)
        at[i] = text(in);
    return (struct string_list){at, at == NULL ? 0 : n};
}

static struct identity_made made(struct reading *in)
{
    struct identity_made ret;
    ret.created_ms = kt_read_i64(&in->r);
    ret.changed_ms = kt_read_i64(&in->r);
    ret.created_by = text(in);
    ret.more = kt_read_u8(&in->r) != 0;
    ret.changers = list(in);
    return ret;
}

static void read_alias(struct reading *in, struct alias *ret)
{
    ret->local = (kt_read_u8(&in->r) & FLAG_LOCAL) != 0;
    ret->id = text(in);
    ret->accessor = text(in);
    struct kt_bytes scope = kt_read_bytes(&in->r, sizeof ret->scope);
    if (scope.at != NULL)
        memcpy(ret->scope, scope.at, sizeof ret->scope);
    ret->name = text(in);
    ret->metadata = json(in);
    ret->custom_metadata = json(in);
    ret->merged_from = list(in);
    ret->groups = list(in);
    ret->made = made(in);
}

static void read_entity_1(struct reading *in, void *at)
{
    struct entity *ret = at;
    ret->disabled = (kt_read_u8(&in->r) & FLAG_DISABLED) != 0;
    ret->id = text(in);
    ret->name = text(in);
    ret->metadata = json(in);
    ret->policies = list(in);
    ret->merged = list(in);
    ret->made = made(in);
    size_t n = kt_read_u16(&in->r);
    if (n > in->r.left / 4) {
        in->r.failed = true;
        return;
    }
    ret->aliases = kt_arena_take(in->arena, (n + 1) * sizeof *ret->aliases);
    for (size_t i = 0; ret->aliases != NULL && i < n; i++)
        read_alias(in, &ret->aliases[i]);
    ret->n_aliases = ret->aliases == NULL ? 0 : n;
}

static void read_group_1(struct reading *in, void *at)
{
    struct group *ret = at;
    unsigned flags = kt_read_u8(&in->r);
    ret->external = (flags & FLAG_EXTERNAL) != 0;
    ret->id = text(in);
    ret->name = text(in);
    ret->metadata = json(in);
    ret->policies = list(in);
    ret->entities = list(in);
    ret->groups = list(in);
    ret->made = made(in);
    ret->modify_index = kt_read_u64(&in->r);
    if ((flags & FLAG_ALIAS) != 0)
        read_alias(in, &ret->alias);
}

typedef void read_fn(struct reading *in, void *at);
static read_fn *const entity_readers[] = {[FORMAT] = read_entity_1};
static read_fn *const group_readers[] = {[FORMAT] = read_group_1};

static enum kt_kind read_record(const char *what, read_fn *const *readers, size_t n_readers,
                                struct kt_bytes record, struct kt_arena *arena, void *at,
                                struct kt_err *err)
{
    struct reading in = {kt_reader(record), arena};
    unsigned format = kt_read_u8(&in.r);
    read_fn *read = format < n_readers ? readers[format] : NULL;
    if (read == NULL)
        return format_refuse(what, format, (unsigned)n_readers - 1, err);
    read(&in, at);
    if (arena->failed) /* what was not read then is no damage */
        return kt_fail(err, KT_NO_MEMORY, "reading %s", what);
    return kt_reader_done(&in.r) ? KT_OK : kt_fail(err, KT_CORRUPT, "%s is damaged", what);
}

enum kt_kind entity_read(struct kt_bytes record, struct kt_arena *arena, struct entity *ret,
                         struct kt_err *err)
{
    *ret = (struct entity){0};
    return read_record("an entity's record", entity_readers,
                       sizeof entity_readers / sizeof entity_readers[0], record, arena, ret, err);
}

enum kt_kind group_read(struct kt_bytes record, struct kt_arena *arena, struct group *ret,
                        struct kt_err *err)
{
    *ret = (struct group){0};
    return read_record("a group's record", group_readers,
                       sizeof group_readers / sizeof group_readers[0], record, arena, ret, err);
}
