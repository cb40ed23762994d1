#include <stdlib.h>

#include "vaultd/identity/own.h"

void write_names(struct kt_jsonw *w, const char *key, const struct string_list *list)
{
    kt_jsonw_key(w, key);
    kt_jsonw_array(w);
    for (size_t i = 0; i < list->n; i++)
        kt_jsonw_text(w, list->at[i]);
    kt_jsonw_end(w);
}

static void write_names_or_null(struct kt_jsonw *w, const char *key, const struct string_list *list)
{
    if (list->n == 0)
        kt_jsonw_kv_null(w, key);
    else
        write_names(w, key, list);
}

void write_made(struct kt_jsonw *w, const struct identity_made *made)
{
    const struct string_list *changers = &made->changers;
    write_names(w, "changed_by", changers);
    kt_jsonw_kv_bool(w, "changed_by_others", made->more);
    kt_jsonw_kv_text(w, "created_by", made->created_by);
    kt_jsonw_kv_time(w, "creation_time", made->created_ms);
    kt_jsonw_kv_time(w, "last_update_time", made->changed_ms);
    kt_jsonw_kv_text(w, "last_updated_by",
                     changers->n == 0 ? made->created_by : changers->at[changers->n - 1]);
}

void write_pairs(struct kt_jsonw *w, const char *key, struct kt_bytes pairs)
{
    kt_jsonw_key(w, key);
    if (pairs.len == 0 || kt_bytes_is(pairs, "{}"))
        kt_jsonw_null(w);
    else
        kt_jsonw_raw(w, pairs);
}

void write_mount_of(struct request *req, struct kt_jsonw *w, const struct alias *alias)
{
    const struct mount *const *all = NULL;
    const struct mount *mount = NULL;
    size_t n = mounts_all(req, &all);
    for (size_t i = 0; i < n && mount == NULL; i++)
        if (strcmp(all[i]->accessor, alias->accessor) == 0)
            mount = all[i];
    kt_jsonw_kv_text(w, "mount_accessor", alias->accessor);
    kt_jsonw_kv_text(w, "mount_path", mount == NULL ? "" : mount->path);
    kt_jsonw_kv_text(w, "mount_type", mount == NULL ? "" : mount->type);
}

void write_alias(struct request *req, struct kt_jsonw *w, const struct alias *alias,
                 const char *canonical_id)
{
    kt_jsonw_object(w);
    kt_jsonw_kv_text(w, "canonical_id", canonical_id);
    write_pairs(w, "custom_metadata", alias->custom_metadata);
    kt_jsonw_kv_text(w, "id", alias->id);
    kt_jsonw_kv_bool(w, "local", alias->local);
    write_made(w, &alias->made);
    write_names_or_null(w, "merged_from_canonical_ids", &alias->merged_from);
    write_pairs(w, "metadata", alias->metadata);
    write_mount_of(req, w, alias);
    kt_jsonw_kv_text(w, "name", alias->name);
    kt_jsonw_kv_text(w, "namespace_id", "root");
    kt_jsonw_end(w);
}

void reply_pair(struct request *req, const char *id, const char *key, const char *value)
{
    struct kt_jsonw w = kt_jsonw(&req->reply.data);
    kt_jsonw_object(&w);
    kt_jsonw_kv_text(&w, "id", id);
    kt_jsonw_kv_text(&w, key, value);
    kt_jsonw_end(&w);
}

static void write_group_ids(struct kt_jsonw *w, const char *key, const struct group *const *groups,
                            size_t from, size_t to)
{
    kt_jsonw_key(w, key);
    kt_jsonw_array(w);
    for (size_t i = from; i < to; i++)
        kt_jsonw_text(w, groups[i]->id);
    kt_jsonw_end(w);
}

static enum kt_kind write_memberships(struct request *req, struct kt_jsonw *w,
                                      const struct entity *entity, struct kt_err *err)
{
    struct groups_cache *cache = identities_groups(req->core);
    struct groups *groups = NULL;
    enum kt_kind kind = groups_get(req->core, cache, req->snapshot, &groups, err);
    if (kind != KT_OK)
        return kind;
    const struct group *const *in = NULL;
    size_t n = 0, n_direct = 0;
    if (groups_of(groups, entity, &req->arena, &in, &n, &n_direct)) {
        write_group_ids(w, "direct_group_ids", in, 0, n_direct);
        write_group_ids(w, "group_ids", in, 0, n);
        write_group_ids(w, "inherited_group_ids", in, n_direct, n);
    } else {
        kind = kt_fail(err, KT_NO_MEMORY, "reading an identity");
    }
    groups_unref(cache, groups);
    return kind;
}

enum kt_kind reply_entity(struct request *req, const struct entity *entity, struct kt_err *err)
{
    struct kt_jsonw w = kt_jsonw(&req->reply.data);
    kt_jsonw_object(&w);
    kt_jsonw_key(&w, "aliases");
    kt_jsonw_array(&w);
    for (size_t i = 0; i < entity->n_aliases; i++)
        write_alias(req, &w, &entity->aliases[i], entity->id);
    kt_jsonw_end(&w);
    kt_jsonw_kv_bool(&w, "disabled", entity->disabled);
    enum kt_kind kind = write_memberships(req, &w, entity, err);
    kt_jsonw_kv_text(&w, "id", entity->id);
    write_made(&w, &entity->made);
    write_names_or_null(&w, "merged_entity_ids", &entity->merged);
    write_pairs(&w, "metadata", entity->metadata);
    kt_jsonw_kv_text(&w, "name", entity->name);
    kt_jsonw_kv_text(&w, "namespace_id", "root");
    write_names(&w, "policies", &entity->policies);
    kt_jsonw_end(&w);
    return kind;
}

/* ---- groups ---- */

static int by_text(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* Ids of members that are still there. One that was merged is what it became, once, also where that was a
 * member already. */
static enum kt_kind find_members(struct request *req, const struct group *group, struct string_list *ret,
                                 struct kt_err *err)
{
    unsigned char key[BARRIER_NAME_KEY];
    struct entry entry;
    const char **at = kt_arena_take(&req->arena, (group->entities.n + 1) * sizeof *at);
    size_t n = 0, unique = 0;
    if (at == NULL)
        return kt_fail(err, KT_NO_MEMORY, "reading a group");
    for (size_t i = 0; i < group->entities.n; i++) {
        const char *id = group->entities.at[i];
        index_key(req->core, INDEX_ENTITY, id, key);
        enum store_error found = snapshot_get(req->snapshot, kt_bytes(key, sizeof key), &entry);
        if (found == STORE_NOT_FOUND) {
            index_key(req->core, INDEX_MERGED, id, key);
            enum kt_kind kind = index_find(req, key, &id, err);
            if (kind == KT_NOT_FOUND)
                continue;
            if (kind != KT_OK)
                return kind;
        } else if (found != STORE_OK) {
            return kt_fail(err, KT_IO, "reading a group");
        }
        at[n++] = id;
    }
    qsort(at, n, sizeof *at, by_text);
    for (size_t i = 0; i < n; i++)
        if (unique == 0 || strcmp(at[unique - 1], at[i]) != 0)
            at[unique++] = at[i];
    *ret = (struct string_list){at, unique};
    return KT_OK;
}

static enum kt_kind write_members(struct request *req, struct kt_jsonw *w, const struct group *group,
                                  bool *ret_aside, struct kt_err *err)
{
    struct string_list members = {0};
    *ret_aside = group->entities.n > LISTED_HERE && request_aside(req);
    enum kt_kind kind = *ret_aside ? KT_OK : find_members(req, group, &members, err);
    if (kind == KT_OK)
        write_names(w, "member_entity_ids", &members);
    return kind;
}

/* Those of an external group: whose newest login said so. */
struct external {
    const struct group *group;
    struct kt_jsonw *w;
};

static bool write_external(void *arg, const struct entity *entity)
{
    struct external *external = arg;
    const struct alias *alias = entity_alias_of(entity, external->group->alias.accessor);
    for (size_t i = 0; alias != NULL && i < alias->groups.n; i++)
        if (strcmp(alias->groups.at[i], external->group->alias.name) == 0)
            kt_jsonw_text(external->w, entity->id);
    return true;
}

static enum kt_kind write_external_members(struct request *req, struct kt_jsonw *w,
                                           const struct group *group, bool *ret_aside,
                                           struct kt_err *err)
{
    struct external external = {group, w};
    kt_jsonw_key(w, "member_entity_ids");
    kt_jsonw_array(w);
    enum kt_kind kind = KT_OK;
    if (group->alias.id != NULL)
        kind = entities_walk(req, write_external, &external, ret_aside, err);
    kt_jsonw_end(w);
    return kind;
}

static enum kt_kind write_other_groups(struct request *req, struct kt_jsonw *w,
                                       const struct group *group, struct kt_err *err)
{
    struct groups_cache *cache = identities_groups(req->core);
    struct groups *groups = NULL;
    enum kt_kind kind = groups_get(req->core, cache, req->snapshot, &groups, err);
    if (kind != KT_OK)
        return kind;
    kt_jsonw_key(w, "member_group_ids");
    kt_jsonw_array(w);
    for (size_t i = 0; i < group->groups.n; i++)
        if (groups_find(groups, group->groups.at[i]) != NULL)
            kt_jsonw_text(w, group->groups.at[i]);
    kt_jsonw_end(w);
    kt_jsonw_key(w, "parent_group_ids");
    kt_jsonw_array(w);
    for (size_t i = 0; i < groups->n; i++)
        for (size_t j = 0; j < groups->all[i]->groups.n; j++)
            if (strcmp(groups->all[i]->groups.at[j], group->id) == 0)
                kt_jsonw_text(w, groups->all[i]->id);
    kt_jsonw_end(w);
    groups_unref(cache, groups);
    return KT_OK;
}

enum kt_kind reply_group(struct request *req, const struct group *group, struct kt_err *err)
{
    struct kt_jsonw w = kt_jsonw(&req->reply.data);
    bool aside = false;
    kt_jsonw_object(&w);
    enum kt_kind kind = group->external ? write_external_members(req, &w, group, &aside, err)
                                        : write_members(req, &w, group, &aside, err);
    if (kind == KT_OK && aside) {
        kt_buf_reset(&req->reply.data);
        return KT_OK;
    }
    if (kind == KT_OK)
        kind = write_other_groups(req, &w, group, err);
    if (kind != KT_OK)
        return kind;
    kt_jsonw_key(&w, "alias");
    if (group->alias.id != NULL) {
        write_alias(req, &w, &group->alias, group->id);
    } else {
        kt_jsonw_object(&w);
        kt_jsonw_end(&w);
    }
    kt_jsonw_kv_text(&w, "id", group->id);
    write_made(&w, &group->made);
    write_pairs(&w, "metadata", group->metadata);
    kt_jsonw_kv_int(&w, "modify_index", (int64_t)group->modify_index);
    kt_jsonw_kv_text(&w, "name", group->name);
    kt_jsonw_kv_text(&w, "namespace_id", "root");
    write_names(&w, "policies", &group->policies);
    kt_jsonw_kv_text(&w, "type", group->external ? "external" : "internal");
    kt_jsonw_end(&w);
    return KT_OK;
}
