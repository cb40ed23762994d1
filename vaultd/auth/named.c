#include "vaultd/auth/named.h"

#include <ctype.h>
#include <stdlib.h>

#include "vaultd/core/rows.h"

#define LIST_ASIDE 2000u /* names that are opened where a read would be held up */

static bool is_word_character(char c)
{
    return isalnum((unsigned char)c) || c == '_';
}

bool named_is_name(const char *name)
{
    size_t len = strlen(name);
    if (len == 0 || len > NAMED_MAX || !is_word_character(name[0]) ||
        !is_word_character(name[len - 1]))
        return false;
    for (size_t i = 0; i < len; i++)
        if ((!is_word_character(name[i]) && name[i] != '-' && name[i] != '.') ||
            isupper((unsigned char)name[i]))
            return false;
    return true;
}

void named_lower(char *name)
{
    for (; *name != '\0'; name++)
        *name = (char)tolower((unsigned char)*name);
}

enum kt_kind named_param(struct request *req, const char *param, const char **ret, struct kt_err *err)
{
    const char *name = request_param(req, param);
    if (!named_is_name(name))
        return kt_fail(err, KT_NOT_FOUND, "1 error occurred:\n\t* unsupported path\n\n");
    *ret = name;
    return KT_OK;
}

/* A mount's scope is random: one that differs in a byte is nobody's. */
static void scope_of(const unsigned char *mount, enum named_kind kind,
                     unsigned char out[BARRIER_SCOPE])
{
    memcpy(out, mount, BARRIER_SCOPE);
    out[BARRIER_SCOPE - 1] ^= (unsigned char)kind;
}

static void key_of(struct core *core, const struct named *which, unsigned char key[BARRIER_NAME_KEY])
{
    unsigned char scope[BARRIER_SCOPE];
    scope_of(which->scope, which->kind, scope);
    barrier_name_key(core->barrier, TABLE_NAMED, scope, kt_str(which->name), key);
}

void named_prefix(struct core *core, const unsigned char scope[BARRIER_SCOPE], enum named_kind kind,
                  unsigned char prefix[BARRIER_FOLDER_PREFIX])
{
    unsigned char of_kind[BARRIER_SCOPE];
    scope_of(scope, kind, of_kind);
    barrier_folder_prefix(core->barrier, TABLE_NAMED, of_kind, kt_bytes(NULL, 0), prefix);
}

enum kt_kind named_get(struct request *req, const struct named *which, struct kt_bytes *ret,
                       generation *ret_changed, struct kt_err *err)
{
    unsigned char key[BARRIER_NAME_KEY];
    key_of(req->core, which, key);
    *ret_changed = 0;
    return request_record(req, kt_bytes(key, sizeof key), ret, ret_changed, err);
}

enum kt_kind named_get_or_nobody(struct request *req, const struct named *which,
                                 struct kt_bytes *ret, generation *ret_changed, bool *ret_known,
                                 struct kt_err *err)
{
    const struct named nobody = {which->scope, NAMED_NOBODY, which->kind};
    unsigned char key[BARRIER_NAME_KEY], key_of_nobody[BARRIER_NAME_KEY];
    struct entry entry, entry_of_nobody;
    key_of(req->core, which, key);
    key_of(req->core, &nobody, key_of_nobody);
    enum store_error found = snapshot_get(req->snapshot, kt_bytes(key, sizeof key), &entry);
    enum store_error other =
        snapshot_get(req->snapshot, kt_bytes(key_of_nobody, sizeof key_of_nobody), &entry_of_nobody);
    if ((found != STORE_OK && found != STORE_NOT_FOUND) ||
        (other != STORE_OK && other != STORE_NOT_FOUND))
        return kt_fail(err, KT_IO, "reading a record");
    *ret_known = found == STORE_OK;
    *ret_changed = 0;
    const unsigned char *at = *ret_known ? key : key_of_nobody;
    if (!*ret_known && other != STORE_OK)
        return KT_NOT_FOUND;
    return request_record(req, kt_bytes(at, BARRIER_NAME_KEY), ret, ret_changed, err);
}

enum kt_kind named_require(struct request *req, const struct named *which, generation changed,
                           struct kt_err *err)
{
    unsigned char key[BARRIER_NAME_KEY];
    struct batch *batch = request_batch(req);
    if (batch == NULL)
        return kt_fail(err, KT_NO_MEMORY, "writing a record");
    key_of(req->core, which, key);
    batch_require(batch, changed == 0 ? KEY_ABSENT : KEY_CHANGED_AT, kt_bytes(key, sizeof key),
                  changed);
    return KT_OK;
}

enum kt_kind named_put(struct request *req, const struct named *which, generation changed,
                       const struct kt_buf *record, struct kt_err *err)
{
    unsigned char key[BARRIER_NAME_KEY];
    if (record->full)
        return kt_fail(err, KT_INVALID, "the record would be larger than %zu bytes", record->max);
    if (!kt_buf_ok(record))
        return kt_fail(err, KT_NO_MEMORY, "writing a record");
    enum kt_kind kind = named_require(req, which, changed, err);
    if (kind != KT_OK)
        return kind;
    key_of(req->core, which, key);
    return barrier_put(req->core->barrier, req->batch, kt_bytes(key, sizeof key),
                       kt_buf_bytes(record), err);
}

enum kt_kind named_delete(struct request *req, const struct named *which, generation changed,
                          struct kt_err *err)
{
    unsigned char key[BARRIER_NAME_KEY];
    enum kt_kind kind = named_require(req, which, changed, err);
    if (kind != KT_OK)
        return kind;
    key_of(req->core, which, key);
    batch_delete(req->batch, kt_bytes(key, sizeof key));
    return KT_OK;
}

void named_begin(struct kt_buf *record, unsigned format, const char *name)
{
    kt_buf_add_u8(record, (uint8_t)format);
    kt_buf_add_field(record, kt_str(name));
}

/* ---- listing ---- */

static int by_text(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

struct names {
    const char **at;
    size_t n, room;
};

static enum kt_kind add_name(struct request *req, struct kt_bytes record, void *arg, struct kt_err *err)
{
    struct names *names = arg;
    struct kt_reader r = kt_reader(record);
    (void)kt_read_u8(&r); /* the name stands at the same place in every format */
    const char *name = kt_arena_text(&req->arena, kt_read_field(&r));
    if (r.failed)
        return kt_fail(err, KT_CORRUPT, "the record of a name is damaged");
    if (name == NULL)
        return kt_fail(err, KT_NO_MEMORY, "listing names");
    if (name[0] == '\0') /* a record without a name is shown to nobody */
        return KT_OK;
    const char **more = rows_room(req, names->at, names->n, &names->room, sizeof *more);
    if (more == NULL)
        return kt_fail(err, KT_NO_MEMORY, "listing names");
    names->at = more;
    names->at[names->n++] = name;
    return KT_OK;
}

static void write_keys(struct request *req, const char *const *names, size_t n)
{
    struct kt_jsonw w = kt_jsonw(&req->reply.data);
    kt_jsonw_object(&w);
    kt_jsonw_key(&w, "keys");
    kt_jsonw_array(&w);
    for (size_t i = 0; i < n; i++)
        kt_jsonw_text(&w, names[i]);
    kt_jsonw_end(&w);
    kt_jsonw_end(&w);
}

enum kt_kind named_each(struct request *req, const unsigned char *scope, enum named_kind kind_of,
                        named_fn *fn, void *arg, bool *ret_aside, struct kt_err *err)
{
    unsigned char prefix[BARRIER_FOLDER_PREFIX];
    named_prefix(req->core, scope, kind_of, prefix);
    enum kt_kind kind = KT_OK;
    struct rows rows;
    size_t n = 0;
    *ret_aside = false;
    rows_begin(&rows, req, kt_bytes(prefix, sizeof prefix), kt_bytes(NULL, 0), "looking through names");
    while (kind == KT_OK && !*ret_aside && rows_next(&rows)) {
        kt_autobuf struct kt_buf record;
        kt_buf_init(&record, NAMED_RECORD_MAX);
        kind = rows_open(req, &rows.entry, &record, err);
        if (kind == KT_OK)
            kind = fn(req, kt_buf_bytes(&record), arg, err);
        *ret_aside = kind == KT_OK && ++n == LIST_ASIDE && request_aside(req);
    }
    return rows_end(&rows, kind, err);
}

enum kt_kind named_list(struct request *req, const unsigned char *scope, enum named_kind kind_of,
                        struct kt_err *err)
{
    struct names names = {0};
    bool aside = false;
    enum kt_kind kind = named_each(req, scope, kind_of, add_name, &names, &aside, err);
    if (kind != KT_OK || aside || names.at == NULL)
        return kind;
    qsort(names.at, names.n, sizeof *names.at, by_text);
    write_keys(req, names.at, names.n);
    return KT_OK;
}
