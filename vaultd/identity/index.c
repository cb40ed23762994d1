#include "vaultd/identity/index.h"

#include "vaultd/barrier/format.h"

#define FORMAT  1u
#define ROW_MAX 256u
#define SLASH   '\x01' /* no name has it: a '/' would begin a folder */

static const char *const scopes[INDEX_COUNT] = {
    [INDEX_ENTITY] = "ident entity",       [INDEX_GROUP] = "ident group",
    [INDEX_ENTITY_NAME] = "ident entname", [INDEX_GROUP_NAME] = "ident grpname",
    [INDEX_ALIAS_ID] = "ident alias",      [INDEX_GROUP_ALIAS_ID] = "ident grpalias",
    [INDEX_MERGED] = "ident merged",       [INDEX_GROUPS] = "ident groups",
};

static void scope_of(enum index index, unsigned char out[BARRIER_SCOPE])
{
    memset(out, 0, BARRIER_SCOPE);
    memcpy(out, scopes[index], strlen(scopes[index]));
}

/* before: a byte that tells kinds of one scope apart; 0: none. */
static void key_of(struct core *core, const unsigned char scope[BARRIER_SCOPE], char before,
                   const char *name, unsigned char out[BARRIER_NAME_KEY])
{
    char path[IDENTITY_NAME_MAX + 2];
    size_t len = 0;
    if (before != '\0')
        path[len++] = before;
    for (; *name != '\0' && len < sizeof path; name++)
        path[len++] = *name == '/' ? SLASH : *name;
    barrier_name_key(core->barrier, TABLE_IDENTITY, scope, kt_bytes(path, len), out);
}

void index_key(struct core *core, enum index index, const char *name,
               unsigned char out[BARRIER_NAME_KEY])
{
    unsigned char scope[BARRIER_SCOPE];
    scope_of(index, scope);
    key_of(core, scope, '\0', name, out);
}

void index_alias_key(struct core *core, enum index index, const unsigned char scope[BARRIER_SCOPE],
                     const char *name, unsigned char out[BARRIER_NAME_KEY])
{
    key_of(core, scope, index == INDEX_ALIAS ? 'e' : 'g', name, out);
}

void index_prefix(struct core *core, enum index index, unsigned char out[BARRIER_FOLDER_PREFIX])
{
    unsigned char scope[BARRIER_SCOPE];
    scope_of(index, scope);
    index_mount_prefix(core, scope, out);
}

void index_mount_prefix(struct core *core, const unsigned char scope[BARRIER_SCOPE],
                        unsigned char out[BARRIER_FOLDER_PREFIX])
{
    barrier_folder_prefix(core->barrier, TABLE_IDENTITY, scope, kt_str(""), out);
}

/* ---- rows ---- */

struct row {
    unsigned index;
    struct kt_bytes id;
};

static void read_1(struct kt_reader *r, void *ret)
{
    struct row *row = ret;
    row->index = kt_read_u8(r);
    row->id = kt_read_field(r);
}

static format_reader *const readers[] = {[FORMAT] = read_1};

enum kt_kind index_read(struct kt_bytes record, enum index *ret_index, struct kt_bytes *ret_id,
                        struct kt_err *err)
{
    struct row row = {0};
    enum kt_kind kind = FORMAT_READ("a row of an identity's index", record, readers, &row, err);
    if (kind == KT_OK && (row.index == 0 || row.index >= INDEX_COUNT))
        kind = kt_fail(err, KT_CORRUPT, "a row of an identity's index is damaged");
    if (kind != KT_OK)
        return kind;
    *ret_index = (enum index)row.index;
    *ret_id = row.id;
    return KT_OK;
}

enum kt_kind index_find(struct request *req, const unsigned char key[BARRIER_NAME_KEY],
                        const char **ret_id, struct kt_err *err)
{
    struct kt_bytes record = {0}, id = {0};
    enum index index = INDEX_COUNT;
    enum kt_kind kind = request_record(req, kt_bytes(key, BARRIER_NAME_KEY), &record, NULL, err);
    if (kind == KT_OK)
        kind = index_read(record, &index, &id, err);
    if (kind != KT_OK)
        return kind;
    *ret_id = kt_arena_text(&req->arena, id);
    return *ret_id == NULL ? kt_fail(err, KT_NO_MEMORY, "reading an identity") : KT_OK;
}

enum kt_kind index_put(struct core *core, struct batch *batch,
                       const unsigned char key[BARRIER_NAME_KEY], enum index index, const char *id,
                       struct kt_err *err)
{
    kt_autobuf struct kt_buf record;
    kt_buf_init(&record, ROW_MAX);
    kt_buf_add_u8(&record, FORMAT);
    kt_buf_add_u8(&record, (uint8_t)index);
    kt_buf_add_field(&record, kt_str(id));
    if (!kt_buf_ok(&record))
        return kt_fail(err, KT_NO_MEMORY, "writing an identity");
    return barrier_put(core->barrier, batch, kt_bytes(key, BARRIER_NAME_KEY), kt_buf_bytes(&record),
                       err);
}

/* ---- names ---- */

char *index_lowered(struct kt_arena *arena, const char *name)
{
    char *copy = kt_arena_text(arena, kt_str(name));
    for (char *c = copy; c != NULL && *c != '\0'; c++)
        if (*c >= 'A' && *c <= 'Z')
            *c = (char)(*c - 'A' + 'a');
    return copy;
}

enum kt_kind index_check_name(const char *what, const char *name, struct kt_err *err)
{
    size_t len = strlen(name);
    bool ok = len > 0 && len <= IDENTITY_NAME_MAX;
    for (size_t i = 0; i < len; i++)
        ok = ok && (unsigned char)name[i] >= ' ' && name[i] != 0x7f;
    if (ok)
        return KT_OK;
    return kt_fail(err, KT_INVALID, "\"%s\" must be 1 to %u bytes without control characters", what,
                   IDENTITY_NAME_MAX);
}
