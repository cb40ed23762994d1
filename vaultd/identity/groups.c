#include "vaultd/identity/groups.h"

#include <pthread.h>
#include <stdlib.h>

#include "lib/assert.h"
#include "lib/failpoint.h"

#define TABLE_MAX ((size_t)1024 * 1024 * 1024)

struct groups_cache {
    pthread_mutex_t lock;
    struct groups *newest; /* guarded by lock, as its references; NULL: nothing read yet */
};

struct groups_cache *groups_cache_new(void)
{
    struct groups_cache *cache = kt_calloc(1, sizeof *cache);
    if (cache != NULL)
        (void)pthread_mutex_init(&cache->lock, NULL);
    return cache;
}

static void groups_free(struct groups *groups)
{
    kt_arena_free(&groups->arena);
    free(groups);
}

void groups_unref(struct groups_cache *cache, struct groups *groups)
{
    if (groups == NULL)
        return;
    (void)pthread_mutex_lock(&cache->lock);
    bool last = --groups->refs == 0;
    (void)pthread_mutex_unlock(&cache->lock);
    if (last)
        groups_free(groups);
}

void groups_cache_free(struct groups_cache *cache)
{
    if (cache == NULL)
        return;
    groups_unref(cache, cache->newest);
    (void)pthread_mutex_destroy(&cache->lock);
    free(cache);
}

/* ---- reading all of them ---- */

static int by_id(const void *a, const void *b)
{
    return strcmp((*(const struct group *const *)a)->id, (*(const struct group *const *)b)->id);
}

static enum kt_kind read_row(struct core *core, const struct entry *entry, struct groups *groups,
                             struct kt_err *err)
{
    kt_autobuf struct kt_buf plain;
    kt_buf_init(&plain, IDENTITY_RECORD_MAX);
    struct group *group = kt_arena_take(&groups->arena, sizeof *group);
    enum kt_kind kind = group == NULL ? kt_fail(err, KT_NO_MEMORY, "reading the groups")
                                      : barrier_open_entry(core->barrier, entry->key, entry->value,
                                                           &plain, err);
    if (kind == KT_OK)
        kind = group_read(kt_buf_bytes(&plain), &groups->arena, group, err);
    if (kind != KT_OK)
        return kind;
    group->changed = entry->changed;
    if ((groups->n & (groups->n + 1)) == 0) { /* 0, 1, 3, 7 ...: room for twice as many */
        const struct group **more =
            kt_arena_take(&groups->arena, (groups->n + 1) * 2 * sizeof(struct group *));
        if (more == NULL)
            return kt_fail(err, KT_NO_MEMORY, "reading the groups");
        if (groups->n > 0)
            memcpy(more, groups->all, groups->n * sizeof(struct group *));
        groups->all = more;
    }
    groups->all[groups->n++] = group;
    return KT_OK;
}

static enum kt_kind read_all(struct core *core, struct snapshot *snapshot, struct groups *groups,
                             struct kt_err *err)
{
    unsigned char prefix[BARRIER_FOLDER_PREFIX];
    struct cursor *cursor = NULL;
    index_prefix(core, INDEX_GROUP, prefix);
    if (cursor_open(snapshot, kt_bytes(prefix, sizeof prefix), kt_bytes(NULL, 0), &cursor) != STORE_OK)
        return kt_fail(err, KT_IO, "reading the groups");
    struct entry entry;
    enum store_error found = STORE_OK;
    enum kt_kind kind = KT_OK;
    while (kind == KT_OK && (found = cursor_next(cursor, &entry)) == STORE_OK)
        kind = read_row(core, &entry, groups, err);
    cursor_close(cursor);
    if (kind == KT_OK && found != STORE_NOT_FOUND)
        return kt_fail(err, KT_IO, "reading the groups");
    if (kind == KT_OK && groups->n > 0)
        qsort(groups->all, groups->n, sizeof(struct group *), by_id);
    return kind;
}

static enum kt_kind make(struct core *core, struct snapshot *snapshot, generation changed,
                         struct groups **ret, struct kt_err *err)
{
    struct groups *groups = kt_calloc(1, sizeof *groups);
    if (groups == NULL)
        return kt_fail(err, KT_NO_MEMORY, "reading the groups");
    kt_arena_init(&groups->arena, TABLE_MAX);
    groups->refs = 1;
    groups->changed = changed;
    enum kt_kind kind = read_all(core, snapshot, groups, err);
    if (kind == KT_OK)
        *ret = groups;
    else
        groups_free(groups);
    return kind;
}

/* What is newest is kept; who reads an older snapshot makes his own. */
static void keep(struct groups_cache *cache, struct groups *groups)
{
    struct groups *old = NULL;
    (void)pthread_mutex_lock(&cache->lock);
    if (cache->newest == NULL || cache->newest->changed < groups->changed) {
        old = cache->newest;
        cache->newest = groups;
        groups->refs++;
    }
    (void)pthread_mutex_unlock(&cache->lock);
    groups_unref(cache, old);
}

enum kt_kind groups_get(struct core *core, struct groups_cache *cache, struct snapshot *snapshot,
                        struct groups **ret, struct kt_err *err)
{
    unsigned char key[BARRIER_NAME_KEY];
    struct entry entry = {0};
    index_key(core, INDEX_GROUPS, "", key);
    enum store_error found = snapshot_get(snapshot, kt_bytes(key, sizeof key), &entry);
    if (found != STORE_OK && found != STORE_NOT_FOUND)
        return kt_fail(err, KT_IO, "reading the groups");
    struct groups *groups = NULL;
    (void)pthread_mutex_lock(&cache->lock);
    if (cache->newest != NULL && cache->newest->changed == entry.changed) {
        groups = cache->newest;
        groups->refs++;
    }
    (void)pthread_mutex_unlock(&cache->lock);
    if (groups == NULL) {
        enum kt_kind kind = make(core, snapshot, entry.changed, &groups, err);
        if (kind != KT_OK)
            return kind;
        keep(cache, groups);
    }
    *ret = groups;
    return KT_OK;
}

/* ---- asking them ---- */

static int id_against(const void *id, const void *group)
{
    return strcmp(id, (*(const struct group *const *)group)->id);
}

const struct group *groups_find(const struct groups *groups, const char *id)
{
    const struct group *const *found =
        groups->n == 0 ? NULL
                       : bsearch(id, groups->all, groups->n, sizeof(struct group *), id_against);
    return found == NULL ? NULL : *found;
}

static int by_text(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static bool has(const struct string_list *sorted, const char *text)
{
    return sorted->n > 0 &&
           bsearch(&text, sorted->at, sorted->n, sizeof *sorted->at, by_text) != NULL;
}

/* An external group's members are those whose newest login said so. */
static bool is_direct(const struct group *group, const struct entity *entity)
{
    for (size_t i = 0; group->external && group->alias.id != NULL && i < entity->n_aliases; i++)
        if (strcmp(entity->aliases[i].accessor, group->alias.accessor) == 0 &&
            has(&entity->aliases[i].groups, group->alias.name))
            return true;
    if (group->external)
        return false;
    bool is = has(&group->entities, entity->id);
    for (size_t i = 0; !is && i < entity->merged.n; i++)
        is = has(&group->entities, entity->merged.at[i]);
    return is;
}

bool groups_of(const struct groups *groups, const struct entity *entity, struct kt_arena *arena,
               const struct group *const **ret, size_t *ret_n, size_t *ret_direct)
{
    const struct group **in = kt_arena_take(arena, (groups->n + 1) * sizeof(struct group *));
    bool *seen = kt_arena_take(arena, groups->n + 1);
    if (in == NULL || seen == NULL)
        return false;
    size_t n = 0;
    for (size_t i = 0; i < groups->n; i++)
        if (is_direct(groups->all[i], entity)) {
            seen[i] = true;
            in[n++] = groups->all[i];
        }
    *ret_direct = n;
    /* Each that is found may be a member of others; each is looked at once, so cycles end, too. */
    for (size_t at = 0; at < n; at++)
        for (size_t i = 0; i < groups->n; i++)
            if (!seen[i] && has(&groups->all[i]->groups, in[at]->id)) {
                seen[i] = true;
                in[n++] = groups->all[i];
            }
    *ret = in;
    *ret_n = n;
    return true;
}

/* Those that are there and were not seen yet, behind the n that are known. */
static size_t add_members(const struct groups *groups, const struct string_list *ids, bool *seen,
                          const struct group **into, size_t n)
{
    for (size_t i = 0; i < ids->n && groups->n > 0; i++) {
        const struct group *const *at =
            bsearch(ids->at[i], groups->all, groups->n, sizeof(struct group *), id_against);
        if (at == NULL || seen[at - groups->all])
            continue;
        seen[at - groups->all] = true;
        into[n++] = *at;
    }
    return n;
}

const size_t *groups_parents(const struct groups *groups, struct kt_arena *arena)
{
    size_t *counts = kt_arena_take(arena, (groups->n + 1) * sizeof *counts);
    for (size_t i = 0; counts != NULL && i < groups->n; i++)
        for (size_t j = 0; j < groups->all[i]->groups.n; j++) {
            const struct group *const *at = bsearch(groups->all[i]->groups.at[j], groups->all, groups->n,
                                                    sizeof(struct group *), id_against);
            if (at != NULL)
                counts[at - groups->all]++;
        }
    return counts;
}

/* Each is looked at once, however deep they stand and however often one is met. */
enum kt_kind groups_contain(const struct groups *groups, const struct string_list *members, const char *id,
                            bool *ret, struct kt_err *err)
{
    bool *seen = kt_calloc(groups->n + 1, sizeof *seen);
    const struct group **below = kt_calloc(groups->n + 1, sizeof(struct group *));
    bool memory = seen != NULL && below != NULL;
    *ret = false;
    size_t n = memory ? add_members(groups, members, seen, below, 0) : 0;
    for (size_t at = 0; at < n && !*ret; at++) {
        *ret = strcmp(below[at]->id, id) == 0;
        n = add_members(groups, &below[at]->groups, seen, below, n);
    }
    free(seen);
    free(below);
    return memory ? KT_OK : kt_fail(err, KT_NO_MEMORY, "looking at the members of a group");
}

/* ---- in the store ---- */

enum kt_kind group_find(struct request *req, const char *id, struct group *ret, struct kt_err *err)
{
    unsigned char key[BARRIER_NAME_KEY];
    struct kt_bytes record = {0};
    generation changed = 0;
    if (strlen(id) > IDENTITY_NAME_MAX)
        return KT_NOT_FOUND;
    index_key(req->core, INDEX_GROUP, id, key);
    enum kt_kind kind = request_record(req, kt_bytes(key, sizeof key), &record, &changed, err);
    if (kind == KT_OK)
        kind = group_read(record, &req->arena, ret, err);
    if (kind == KT_OK)
        ret->changed = changed;
    return kind;
}

static enum kt_kind find_by(struct request *req, const unsigned char key[BARRIER_NAME_KEY],
                            struct group *ret, struct kt_err *err)
{
    const char *id = NULL;
    enum kt_kind kind = index_find(req, key, &id, err);
    return kind == KT_OK ? group_find(req, id, ret, err) : kind;
}

enum kt_kind group_find_name(struct request *req, const char *name, struct group *ret,
                             struct kt_err *err)
{
    unsigned char key[BARRIER_NAME_KEY];
    const char *lowered = index_lowered(&req->arena, name);
    if (lowered == NULL)
        return kt_fail(err, KT_NO_MEMORY, "reading a group");
    if (strlen(lowered) > IDENTITY_NAME_MAX)
        return KT_NOT_FOUND;
    index_key(req->core, INDEX_GROUP_NAME, lowered, key);
    return find_by(req, key, ret, err);
}

enum kt_kind group_find_alias_id(struct request *req, const char *id, struct group *ret,
                                 struct kt_err *err)
{
    unsigned char key[BARRIER_NAME_KEY];
    if (strlen(id) > IDENTITY_NAME_MAX)
        return KT_NOT_FOUND;
    index_key(req->core, INDEX_GROUP_ALIAS_ID, id, key);
    return find_by(req, key, ret, err);
}

enum kt_kind group_find_alias(struct request *req, const unsigned char scope[BARRIER_SCOPE],
                              const char *name, struct group *ret, struct kt_err *err)
{
    unsigned char key[BARRIER_NAME_KEY];
    if (strlen(name) > IDENTITY_NAME_MAX)
        return KT_NOT_FOUND;
    index_alias_key(req->core, INDEX_GROUP_ALIAS, scope, name, key);
    return find_by(req, key, ret, err);
}

static enum kt_kind save_row(struct request *req, struct batch *batch, const unsigned char *before,
                             const unsigned char *after, enum index index, const char *id,
                             struct kt_err *err)
{
    if (before != NULL && after != NULL && memcmp(before, after, BARRIER_NAME_KEY) == 0)
        return KT_OK;
    if (before != NULL)
        batch_delete(batch, kt_bytes(before, BARRIER_NAME_KEY));
    if (after == NULL)
        return KT_OK;
    batch_require(batch, KEY_NOT_AFTER, kt_bytes(after, BARRIER_NAME_KEY),
                  snapshot_generation(req->snapshot));
    return index_put(req->core, batch, after, index, id, err);
}

/* The keys of the rows that lead to a group; those of its alias only if it has one. */
struct group_keys {
    unsigned char name[BARRIER_NAME_KEY], alias_id[BARRIER_NAME_KEY], alias[BARRIER_NAME_KEY];
    const unsigned char *at[3];
};
static const enum index group_rows[3] = {INDEX_GROUP_NAME, INDEX_GROUP_ALIAS_ID, INDEX_GROUP_ALIAS};

static bool keys_of(struct request *req, const struct group *group, struct group_keys *ret)
{
    *ret = (struct group_keys){0};
    if (group == NULL)
        return true;
    const char *lowered = index_lowered(&req->arena, group->name);
    if (lowered == NULL)
        return false;
    index_key(req->core, INDEX_GROUP_NAME, lowered, ret->name);
    ret->at[0] = ret->name;
    if (group->alias.id == NULL)
        return true;
    index_key(req->core, INDEX_GROUP_ALIAS_ID, group->alias.id, ret->alias_id);
    index_alias_key(req->core, INDEX_GROUP_ALIAS, group->alias.scope, group->alias.name, ret->alias);
    ret->at[1] = ret->alias_id;
    ret->at[2] = ret->alias;
    return true;
}

static enum kt_kind save_record(struct request *req, struct batch *batch, const struct group *old,
                                const struct group *new_, struct kt_err *err)
{
    unsigned char key[BARRIER_NAME_KEY];
    index_key(req->core, INDEX_GROUP, (new_ == NULL ? old : new_)->id, key);
    batch_require(batch, old == NULL ? KEY_ABSENT : KEY_CHANGED_AT, kt_bytes(key, sizeof key),
                  old == NULL ? 0 : old->changed);
    if (new_ == NULL) {
        batch_delete(batch, kt_bytes(key, sizeof key));
        return KT_OK;
    }
    kt_autobuf struct kt_buf record;
    kt_buf_init(&record, IDENTITY_RECORD_MAX);
    group_write(new_, &record);
    if (!kt_buf_ok(&record))
        return record.full ? kt_fail(err, KT_INVALID, "a group is at most %zu bytes with its members",
                                     IDENTITY_RECORD_MAX)
                           : kt_fail(err, KT_NO_MEMORY, "writing a group");
    return barrier_put(req->core->barrier, batch, kt_bytes(key, sizeof key), kt_buf_bytes(&record),
                       err);
}

static void tell_changed(struct request *req, const struct group *group)
{
    char path[sizeof "identity/group/name/" + IDENTITY_NAME_MAX];
    (void)snprintf(path, sizeof path, "identity/group/name/%s", group->name);
    request_changes(req, path, false);
    (void)snprintf(path, sizeof path, "identity/group/id/%s", group->id);
    request_changes(req, path, false);
}

enum kt_kind group_save(struct request *req, const struct group *old, const struct group *new_,
                        struct kt_err *err)
{
    KT_ASSERT(old != NULL || new_ != NULL);
    if (old != NULL)
        tell_changed(req, old);
    if (new_ != NULL)
        tell_changed(req, new_);
    struct batch *batch = request_batch(req);
    struct group_keys before, after;
    if (batch == NULL || !keys_of(req, old, &before) || !keys_of(req, new_, &after))
        return kt_fail(err, KT_NO_MEMORY, "writing a group");
    enum kt_kind kind = save_record(req, batch, old, new_, err);
    const char *id = (new_ == NULL ? old : new_)->id;
    for (size_t i = 0; i < 3 && kind == KT_OK; i++)
        kind = save_row(req, batch, before.at[i], after.at[i], group_rows[i], id, err);
    if (kind != KT_OK)
        return kind;
    unsigned char key[BARRIER_NAME_KEY];
    index_key(req->core, INDEX_GROUPS, "", key);
    batch_require(batch, KEY_NOT_AFTER, kt_bytes(key, sizeof key), snapshot_generation(req->snapshot));
    return index_put(req->core, batch, key, INDEX_GROUPS, id, err);
}
