#include <stdlib.h>

#include "vaultd/barrier/format.h"
#include "vaultd/core/path.h"
#include "vaultd/engine/kv_record.h"

#define FORMAT   1u
#define NAME_MAX_BYTES 512u
#define NAMES_HERE     2000u /* listed on the carrier's thread: a millisecond or two */

/* One small sealed record a child, file or folder. A folder's record is put anew whenever a child
 * is added below it: so who removes the last child, and with it the folder, finds out that it was
 * not the last ("the prefix is empty" cannot be a condition of a batch, "the folder's record is as
 * it was" can). And who removes a child and leaves the folder because of another one makes it a
 * condition that the other one is still there: of two who remove the last two, one finds out. */

static void name_key(struct core *core, const struct mount *mount, struct kt_bytes path,
                     unsigned char key[BARRIER_NAME_KEY])
{
    barrier_name_key(core->barrier, TABLE_KV_NAME, mount->scope, path, key);
}

/* "a/b/" of "a/b/c" and "a/" of "a/b/"; empty for "c" and "a/". */
static struct kt_bytes parent_of(struct kt_bytes path)
{
    size_t len = path.len;
    if (len > 0 && path.at[len - 1] == '/')
        len--;
    while (len > 0 && path.at[len - 1] != '/')
        len--;
    return kt_bytes(path.at, len);
}

static enum kt_kind put_name(struct core *core, struct batch *batch,
                             const unsigned char key[BARRIER_NAME_KEY], struct kt_bytes path,
                             struct kt_err *err)
{
    struct kt_bytes parent = parent_of(path);
    kt_autobuf struct kt_buf record;
    kt_buf_init(&record, NAME_MAX_BYTES);
    kt_buf_add_u8(&record, FORMAT);
    kt_buf_add_field(&record, kt_bytes(path.at + parent.len, path.len - parent.len));
    if (!kt_buf_ok(&record))
        return kt_fail(err, KT_NO_MEMORY, "writing a name");
    return barrier_put(core->barrier, batch, kt_bytes(key, BARRIER_NAME_KEY),
                       kt_buf_bytes(&record), err);
}

enum kt_kind kv_name_add(struct core *core, const struct mount *mount, struct snapshot *snapshot,
                         struct batch *batch, const char *path, struct kt_err *err)
{
    unsigned char key[BARRIER_NAME_KEY];
    struct kt_bytes name = kt_str(path);
    enum kt_kind kind = path_check_name(path, err);
    if (kind != KT_OK)
        return kind;
    name_key(core, mount, name, key);
    kind = put_name(core, batch, key, name, err);
    for (struct kt_bytes folder = parent_of(name); kind == KT_OK && folder.len > 0;
         folder = parent_of(folder)) {
        name_key(core, mount, folder, key);
        struct entry entry;
        enum store_error found = snapshot_get(snapshot, kt_bytes(key, sizeof key), &entry);
        if (found != STORE_OK && found != STORE_NOT_FOUND)
            return kt_fail(err, KT_IO, "reading names");
        bool there = found == STORE_OK;
        if (there)
            batch_require(batch, KEY_PRESENT, kt_bytes(key, sizeof key), 0);
        kind = put_name(core, batch, key, folder, err);
        if (there)
            break;
    }
    return kind;
}

/* Whether a folder has a child besides the one with this key, and the key of one such. */
static enum kt_kind find_other_child(struct core *core, const struct mount *mount,
                                     struct snapshot *snapshot, struct kt_bytes folder,
                                     const unsigned char key[BARRIER_NAME_KEY], bool *ret,
                                     unsigned char ret_other[BARRIER_NAME_KEY], struct kt_err *err)
{
    unsigned char prefix[BARRIER_FOLDER_PREFIX];
    barrier_folder_prefix(core->barrier, TABLE_KV_NAME, mount->scope, folder, prefix);
    struct cursor *cursor = NULL;
    if (cursor_open(snapshot, kt_bytes(prefix, sizeof prefix), kt_bytes(NULL, 0), &cursor) !=
        STORE_OK)
        return kt_fail(err, KT_IO, "reading names");
    struct entry entry;
    enum store_error found = STORE_OK;
    *ret = false;
    while (!*ret && (found = cursor_next(cursor, &entry)) == STORE_OK)
        *ret = entry.key.len == BARRIER_NAME_KEY &&
               !kt_bytes_equal(entry.key, kt_bytes(key, BARRIER_NAME_KEY));
    if (*ret)
        memcpy(ret_other, entry.key.at, BARRIER_NAME_KEY);
    cursor_close(cursor);
    return found == STORE_OK || found == STORE_NOT_FOUND ? KT_OK
                                                         : kt_fail(err, KT_IO, "reading names");
}

enum kt_kind kv_name_remove(struct core *core, const struct mount *mount,
                            struct snapshot *snapshot, struct batch *batch, const char *path,
                            const char *keeps, struct kt_err *err)
{
    unsigned char key[BARRIER_NAME_KEY];
    struct kt_bytes name = kt_str(path);
    name_key(core, mount, name, key);
    batch_delete(batch, kt_bytes(key, sizeof key));
    for (struct kt_bytes folder = parent_of(name); folder.len > 0; folder = parent_of(folder)) {
        if (keeps != NULL && strncmp(keeps, (const char *)folder.at, folder.len) == 0)
            return KT_OK;
        bool other = false;
        unsigned char other_key[BARRIER_NAME_KEY];
        enum kt_kind kind =
            find_other_child(core, mount, snapshot, folder, key, &other, other_key, err);
        if (kind != KT_OK)
            return kind;
        if (other) {
            batch_require(batch, KEY_PRESENT, kt_bytes(other_key, sizeof other_key), 0);
            return KT_OK;
        }
        name_key(core, mount, folder, key);
        batch_require(batch, KEY_NOT_AFTER, kt_bytes(key, sizeof key),
                      snapshot_generation(snapshot));
        batch_delete(batch, kt_bytes(key, sizeof key));
    }
    return KT_OK;
}

/* ---- listing ---- */

struct child {
    uint64_t head; /* the first eight bytes, so that most comparisons stay in one place */
    const char *text;
};

struct names {
    struct child *at;
    size_t n, room;
};

static uint64_t head_of(const char *text)
{
    uint64_t head = 0;
    for (unsigned i = 0; i < sizeof head && text[i] != '\0'; i++)
        head |= (uint64_t)(unsigned char)text[i] << (56 - 8 * i);
    return head;
}

static bool add_name(struct kt_arena *arena, struct names *names, struct kt_bytes name)
{
    if (names->n == names->room) {
        size_t room = names->room == 0 ? 64 : names->room * 2;
        struct child *at = kt_arena_take(arena, room * sizeof *at);
        if (at == NULL)
            return false;
        if (names->n > 0)
            memcpy(at, names->at, names->n * sizeof *at);
        names->at = at;
        names->room = room;
    }
    const char *text = kt_arena_text(arena, name);
    if (text == NULL)
        return false;
    names->at[names->n++] = (struct child){head_of(text), text};
    return true;
}

static void read_name_1(struct kt_reader *r, void *ret)
{
    struct kt_bytes *name = ret;
    *name = kt_read_field(r);
}

static format_reader *const name_readers[] = {[FORMAT] = read_name_1};

/* The name in a record that was opened; it points into it. */
static enum kt_kind parse_name(const struct kt_buf *record, struct kt_bytes *ret, struct kt_err *err)
{
    return FORMAT_READ("a name record", kt_buf_bytes(record), name_readers, ret, err);
}

enum kt_kind kv_name_read(struct core *core, const struct entry *entry, struct kt_arena *arena,
                          struct kt_bytes *ret, struct kt_err *err)
{
    kt_autobuf struct kt_buf record;
    kt_buf_init(&record, NAME_MAX_BYTES);
    struct kt_bytes name = {0};
    enum kt_kind kind = barrier_open_entry(core->barrier, entry->key, entry->value, &record, err);
    if (kind == KT_OK)
        kind = parse_name(&record, &name, err);
    if (kind != KT_OK)
        return kind;
    const char *copy = kt_arena_text(arena, name);
    if (copy == NULL)
        return kt_fail(err, KT_NO_MEMORY, "reading a name");
    *ret = kt_bytes(copy, name.len);
    return KT_OK;
}

/* *ret_whole: false: there are more than `most`. */
static enum kt_kind read_names(struct core *core, struct cursor *cursor, struct kt_arena *arena,
                               size_t most, struct names *names, bool *ret_whole,
                               struct kt_err *err)
{
    kt_autobuf struct kt_buf record;
    kt_buf_init(&record, NAME_MAX_BYTES);
    struct entry entry;
    enum store_error found = STORE_OK;
    *ret_whole = true;
    while ((found = cursor_next(cursor, &entry)) == STORE_OK) {
        if (names->n == most) {
            *ret_whole = false;
            return KT_OK;
        }
        kt_buf_reset(&record);
        struct kt_bytes name = {0};
        enum kt_kind kind =
            barrier_open_entry(core->barrier, entry.key, entry.value, &record, err);
        if (kind == KT_OK)
            kind = parse_name(&record, &name, err);
        if (kind != KT_OK)
            return kind;
        if (!add_name(arena, names, name))
            return kt_fail(err, KT_NO_MEMORY, "listing secrets");
    }
    return found == STORE_NOT_FOUND ? KT_OK : kt_fail(err, KT_IO, "listing secrets");
}

static int by_text(const void *a, const void *b)
{
    const struct child *x = a, *y = b;
    if (x->head != y->head)
        return x->head < y->head ? -1 : 1;
    return strcmp(x->text, y->text);
}

/* A folder of more names than a carrier's thread has time for is read on another one. */
static enum kt_kind collect(struct request *req, const struct mount *mount, const char *folder,
                            size_t most, struct names *names, bool *ret_whole, struct kt_err *err)
{
    unsigned char prefix[BARRIER_FOLDER_PREFIX];
    barrier_folder_prefix(req->core->barrier, TABLE_KV_NAME, mount->scope, kt_str(folder), prefix);
    struct cursor *cursor = NULL;
    if (cursor_open(req->snapshot, kt_bytes(prefix, sizeof prefix), kt_bytes(NULL, 0), &cursor) !=
        STORE_OK)
        return kt_fail(err, KT_IO, "listing secrets");
    enum kt_kind kind = read_names(req->core, cursor, &req->arena, most, names, ret_whole, err);
    cursor_close(cursor);
    return kind;
}

enum kt_kind kv_name_list(struct request *req, const struct mount *mount, const char *folder,
                          struct kt_err *err)
{
    struct names names = {0};
    bool whole = false;
    enum kt_kind kind = collect(req, mount, folder, NAMES_HERE, &names, &whole, err);
    if (kind == KT_OK && !whole) {
        if (request_aside(req))
            return KT_OK;
        names = (struct names){0};
        kind = collect(req, mount, folder, SIZE_MAX, &names, &whole, err);
    }
    if (kind != KT_OK || names.n == 0)
        return kind;
    qsort(names.at, names.n, sizeof *names.at, by_text);
    struct kt_jsonw w = kt_jsonw(&req->reply.data);
    kt_jsonw_object(&w);
    kt_jsonw_key(&w, "keys");
    kt_jsonw_array(&w);
    for (size_t i = 0; i < names.n; i++)
        kt_jsonw_text(&w, names.at[i].text);
    kt_jsonw_end(&w);
    kt_jsonw_end(&w);
    return KT_OK;
}
