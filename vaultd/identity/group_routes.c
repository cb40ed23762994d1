#include <stdlib.h>

#include "vaultd/core/mounts.h"
#include "vaultd/identity/own.h"

#define MEMBERS_MAX 4096u

static int by_text(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static void sort_unique(struct string_list *list)
{
    size_t unique = 0;
    if (list->n > 0)
        qsort(list->at, list->n, sizeof *list->at, by_text);
    for (size_t i = 0; i < list->n; i++)
        if (unique == 0 || strcmp(list->at[unique - 1], list->at[i]) != 0)
            list->at[unique++] = list->at[i];
    list->n = unique;
}

static enum kt_kind find_named(struct request *req, struct group *ret, struct kt_err *err)
{
    enum kt_kind kind = group_find_name(req, request_param(req, "name"), ret, err);
    return kind == KT_OK ? wish_spelled(req, ret->name, err) : kind;
}

/* ---- members ---- */

static enum kt_kind read_entities(struct request *req, struct group *group, struct kt_err *err)
{
    struct string_list ids = {0};
    enum kt_kind kind = request_list(req, "member_entity_ids", true, &ids, err);
    if (kind != KT_OK)
        return kind == KT_NOT_FOUND ? KT_OK : kind;
    if (group->external && ids.n > 0)
        return kt_fail(err, KT_INVALID,
                       "member entities can't be set manually for external groups");
    if (ids.n > MEMBERS_MAX)
        return kt_fail(err, KT_INVALID, "a group has at most %u members", MEMBERS_MAX);
    unsigned char key[BARRIER_NAME_KEY];
    struct entry entry;
    for (size_t i = 0; i < ids.n; i++) {
        index_key(req->core, INDEX_ENTITY, ids.at[i], key);
        enum store_error found = snapshot_get(req->snapshot, kt_bytes(key, sizeof key), &entry);
        if (found == STORE_NOT_FOUND)
            return kt_fail(err, KT_INVALID, "\"member_entity_ids\" names an entity that does not exist");
        if (found != STORE_OK)
            return kt_fail(err, KT_IO, "reading an entity");
    }
    sort_unique(&ids);
    group->entities = ids;
    return KT_OK;
}

static enum kt_kind check_subgroups(struct request *req, const struct group *group,
                                    const struct string_list *ids, struct kt_err *err)
{
    struct groups_cache *cache = identities_groups(req->core);
    struct groups *groups = NULL;
    enum kt_kind kind = groups_get(req->core, cache, req->snapshot, &groups, err);
    bool cyclic = false;
    for (size_t i = 0; kind == KT_OK && i < ids->n; i++)
        if (groups_find(groups, ids->at[i]) == NULL)
            kind = kt_fail(err, KT_INVALID, "\"member_group_ids\" names a group that does not exist");
    if (kind == KT_OK)
        kind = groups_contain(groups, ids, group->id, &cyclic, err);
    if (kind == KT_OK && cyclic)
        kind = kt_fail(err, KT_INVALID,
                       "cyclic relationship detected: a group of \"member_group_ids\" has this one as a member");
    groups_unref(cache, groups);
    return kind;
}

static enum kt_kind read_subgroups(struct request *req, struct group *group, struct kt_err *err)
{
    struct string_list ids = {0};
    enum kt_kind kind = request_list(req, "member_group_ids", true, &ids, err);
    if (kind != KT_OK)
        return kind == KT_NOT_FOUND ? KT_OK : kind;
    if (group->external && ids.n > 0)
        return kt_fail(err, KT_INVALID, "member groups can't be set for external groups");
    if (ids.n > MEMBERS_MAX)
        return kt_fail(err, KT_INVALID, "a group has at most %u members", MEMBERS_MAX);
    kind = check_subgroups(req, group, &ids, err);
    if (kind != KT_OK)
        return kind;
    sort_unique(&ids);
    group->groups = ids;
    return KT_OK;
}

/* ---- write ---- */

static enum kt_kind read_type(struct request *req, const struct group *old, struct group *group,
                              struct kt_err *err)
{
    const char *type = "";
    enum kt_kind kind = request_string(req, "type", &type, err);
    if (kind == KT_NOT_FOUND || (kind == KT_OK && type[0] == '\0'))
        return KT_OK;
    if (kind != KT_OK)
        return kind;
    bool external = strcmp(type, "external") == 0;
    if (!external && strcmp(type, "internal") != 0)
        return kt_fail(err, KT_INVALID, "invalid group \"type\": wanted \"internal\" or \"external\"");
    if (old != NULL && old->external != external)
        return kt_fail(err, KT_INVALID, "group type cannot be changed");
    group->external = external;
    return KT_OK;
}

static enum kt_kind check_name_free(struct request *req, const struct group *group,
                                    struct kt_err *err)
{
    struct group other = {0};
    enum kt_kind kind = group_find_name(req, group->name, &other, err);
    if (kind == KT_NOT_FOUND || (kind == KT_OK && strcmp(other.id, group->id) == 0))
        return KT_OK;
    return kind == KT_OK ? kt_fail(err, KT_INVALID, "group name is already in use") : kind;
}

static enum kt_kind write(struct request *req, const struct wish *wish, const struct group *old,
                          struct kt_err *err)
{
    struct group group = old == NULL ? (struct group){.id = identity_new_id(&req->arena)} : *old;
    if (group.id == NULL)
        return kt_fail(err, KT_NO_MEMORY, "making a group");
    if (wish->name[0] != '\0')
        group.name = wish->name;
    if (group.name == NULL)
        group.name = kt_arena_printf(&req->arena, "group_%.8s", group.id);
    if (group.name == NULL)
        return kt_fail(err, KT_NO_MEMORY, "making a group");
    if (wish->has_metadata)
        group.metadata = wish->metadata;
    if (wish->has_policies)
        group.policies = wish->policies;
    enum kt_kind kind = read_type(req, old, &group, err);
    if (kind == KT_OK)
        kind = read_entities(req, &group, err);
    if (kind == KT_OK)
        kind = read_subgroups(req, &group, err);
    if (kind == KT_OK)
        kind = check_name_free(req, &group, err);
    if (kind == KT_OK)
        kind = made_now(req, &group.made, old == NULL, err);
    if (kind != KT_OK)
        return kind;
    group.modify_index++;
    kind = group_save(req, old, &group, err);
    if (kind == KT_OK && old == NULL)
        reply_pair(req, group.id, "name", group.name);
    return kind;
}

enum kt_kind identity_group_write(struct request *req, struct kt_err *err)
{
    struct wish wish = {0};
    struct group old = {0};
    enum kt_kind kind = wish_read(req, &wish, err);
    if (kind != KT_OK)
        return kind;
    if (wish.id[0] != '\0') {
        kind = group_find(req, wish.id, &old, err);
        if (kind == KT_NOT_FOUND)
            return kt_fail(err, KT_INVALID, "group not found from id");
        if (kind == KT_OK && request_param(req, "name")[0] != '\0')
            wish.name = "";
        return kind == KT_OK ? write(req, &wish, &old, err) : kind;
    }
    if (wish.name[0] == '\0')
        return write(req, &wish, NULL, err);
    kind = group_find_name(req, wish.name, &old, err);
    if (kind == KT_NOT_FOUND)
        return write(req, &wish, NULL, err);
    if (kind == KT_OK)
        kind = wish_spelled(req, old.name, err);
    wish.name = ""; /* it found somebody, in any case, and gives him no other */
    return kind == KT_OK ? write(req, &wish, &old, err) : kind;
}

/* Policies were asked about the name in the path: another's id would make somebody else bear it. */
enum kt_kind identity_group_name_write(struct request *req, struct kt_err *err)
{
    const char *id = "";
    struct group named = {0};
    enum kt_kind kind = wish_text(req, "id", &id, err);
    if (kind == KT_OK && id[0] != '\0') {
        kind = group_find_name(req, request_param(req, "name"), &named, err);
        if (kind == KT_NOT_FOUND || (kind == KT_OK && strcmp(named.id, id) != 0))
            return kt_fail(err, KT_INVALID, "id is another's than the path's name");
        if (kind == KT_OK)
            kind = wish_spelled(req, named.name, err);
    }
    return kind == KT_OK ? identity_group_write(req, err) : kind;
}

/* ---- read, delete, list ---- */

static enum kt_kind answer(struct request *req, const struct group *group, enum kt_kind kind,
                           struct kt_err *err)
{
    if (kind == KT_NOT_FOUND)
        return kt_fail(err, KT_NOT_FOUND, "%s", "");
    return kind == KT_OK ? reply_group(req, group, err) : kind;
}

enum kt_kind identity_group_read(struct request *req, struct kt_err *err)
{
    struct group group = {0};
    enum kt_kind kind = group_find(req, request_param(req, "id"), &group, err);
    return answer(req, &group, kind, err);
}

enum kt_kind identity_group_name_read(struct request *req, struct kt_err *err)
{
    struct group group = {0};
    enum kt_kind kind = find_named(req, &group, err);
    return answer(req, &group, kind, err);
}

static enum kt_kind delete_found(struct request *req, const struct group *group, enum kt_kind kind,
                                 struct kt_err *err)
{
    if (kind != KT_OK)
        return kind == KT_NOT_FOUND ? KT_OK : kind;
    return group_save(req, group, NULL, err);
}

enum kt_kind identity_group_delete(struct request *req, struct kt_err *err)
{
    struct group group = {0};
    enum kt_kind kind = group_find(req, request_param(req, "id"), &group, err);
    return delete_found(req, &group, kind, err);
}

enum kt_kind identity_group_name_delete(struct request *req, struct kt_err *err)
{
    struct group group = {0};
    enum kt_kind kind = find_named(req, &group, err);
    return delete_found(req, &group, kind, err);
}

typedef void group_fn(struct listing *listing, const struct group *group, size_t parents);

static enum kt_kind list(struct request *req, group_fn *each, bool with_info, struct kt_err *err)
{
    struct groups_cache *cache = identities_groups(req->core);
    struct groups *groups = NULL;
    struct listing listing;
    enum kt_kind kind = groups_get(req->core, cache, req->snapshot, &groups, err);
    if (kind == KT_OK && groups->n > LISTED_HERE && request_aside(req)) {
        groups_unref(cache, groups);
        return KT_OK;
    }
    const size_t *parents = kind == KT_OK ? groups_parents(groups, &req->arena) : NULL;
    if (kind == KT_OK && parents == NULL)
        kind = kt_fail(err, KT_NO_MEMORY, "listing the groups");
    enum kt_kind begun = listing_begin(&listing, req, with_info, kind == KT_OK ? err : NULL);
    kind = kind == KT_OK ? begun : kind;
    for (size_t i = 0; kind == KT_OK && i < groups->n; i++)
        each(&listing, groups->all[i], parents[i]);
    groups_unref(cache, groups);
    return listing_end(&listing, kind, err);
}

static void list_by_id(struct listing *listing, const struct group *group, size_t parents)
{
    struct kt_jsonw w;
    if (!listing_add(listing, group->id, &w))
        return;
    kt_jsonw_kv_text(&w, "name", group->name);
    kt_jsonw_kv_int(&w, "num_member_entities", (int64_t)group->entities.n);
    kt_jsonw_kv_int(&w, "num_parent_groups", (int64_t)parents);
    listing_added(listing, &w);
}

static void list_by_name(struct listing *listing, const struct group *group, size_t parents)
{
    struct kt_jsonw w;
    (void)parents;
    if (listing_add(listing, group->name, &w))
        listing_added(listing, &w);
}

static void list_aliases(struct listing *listing, const struct group *group, size_t parents)
{
    struct kt_jsonw w;
    (void)parents;
    if (group->alias.id == NULL || !listing_add(listing, group->alias.id, &w))
        return;
    kt_jsonw_kv_text(&w, "canonical_id", group->id);
    write_mount_of(listing->req, &w, &group->alias);
    kt_jsonw_kv_text(&w, "name", group->alias.name);
    listing_added(listing, &w);
}

enum kt_kind identity_group_list(struct request *req, struct kt_err *err)
{
    return list(req, list_by_id, true, err);
}

enum kt_kind identity_group_name_list(struct request *req, struct kt_err *err)
{
    return list(req, list_by_name, false, err);
}

enum kt_kind identity_group_alias_list(struct request *req, struct kt_err *err)
{
    return list(req, list_aliases, true, err);
}

/* ---- what logins call an external group ---- */

/* The group that has the alias, else the one that is to have it. */
static enum kt_kind find_of_alias(struct request *req, const char *alias_id, const char *group_id,
                                  struct group *ret, struct kt_err *err)
{
    bool by_alias = alias_id[0] != '\0';
    if (!by_alias && group_id[0] == '\0')
        return kt_fail(err, KT_INVALID, "missing \"canonical_id\": the id of an external group");
    enum kt_kind kind = by_alias ? group_find_alias_id(req, alias_id, ret, err)
                                 : group_find(req, group_id, ret, err);
    if (kind == KT_NOT_FOUND)
        return kt_fail(err, KT_INVALID, by_alias ? "invalid group alias id" : "invalid canonical ID");
    if (kind == KT_OK && by_alias && group_id[0] != '\0' && strcmp(ret->id, group_id) != 0)
        return kt_fail(err, KT_INVALID, "a group's alias cannot be moved to another group");
    if (kind == KT_OK && !ret->external)
        return kt_fail(err, KT_INVALID, "alias can't be set on an internal group");
    return kind;
}

static enum kt_kind check_alias_free(struct request *req, const struct group *group,
                                     struct kt_err *err)
{
    struct group other = {0};
    enum kt_kind kind = group_find_alias(req, group->alias.scope, group->alias.name, &other, err);
    if (kind == KT_NOT_FOUND || (kind == KT_OK && strcmp(other.id, group->id) == 0))
        return KT_OK;
    return kind == KT_OK ? kt_fail(err, KT_INVALID, "group alias name is already in use on this mount")
                         : kind;
}

static enum kt_kind change_alias(struct request *req, struct group *group, const char *name,
                                 const struct mount *mount, struct kt_err *err)
{
    struct alias *alias = &group->alias;
    bool is_new = alias->id == NULL;
    if (is_new && (mount == NULL || name[0] == '\0'))
        return kt_fail(err, KT_INVALID, "missing \"%s\"", mount == NULL ? "mount_accessor" : "name");
    if (is_new)
        alias->id = identity_new_id(&req->arena);
    if (alias->id == NULL)
        return kt_fail(err, KT_NO_MEMORY, "making a group's alias");
    if (name[0] != '\0')
        alias->name = name;
    if (mount != NULL) {
        alias->accessor = mount->accessor;
        memcpy(alias->scope, mount->scope, sizeof alias->scope);
    }
    enum kt_kind kind = made_now(req, &alias->made, is_new, err);
    return kind == KT_OK ? check_alias_free(req, group, err) : kind;
}

enum kt_kind identity_group_alias_write(struct request *req, struct kt_err *err)
{
    const char *id = NULL, *name = NULL, *accessor = NULL, *canonical = NULL;
    const struct mount *mount = NULL;
    struct group old = {0};
    enum kt_kind kind = wish_text(req, "id", &id, err);
    if (kind == KT_OK)
        kind = wish_text(req, "name", &name, err);
    if (kind == KT_OK && name[0] != '\0')
        kind = index_check_name("name", name, err);
    if (kind == KT_OK)
        kind = wish_text(req, "mount_accessor", &accessor, err);
    if (kind == KT_OK && accessor[0] != '\0')
        kind = auth_mount_of(req, accessor, &mount, err);
    if (kind == KT_OK)
        kind = wish_text(req, "canonical_id", &canonical, err);
    if (kind == KT_OK)
        kind = find_of_alias(req, id, canonical, &old, err);
    if (kind != KT_OK)
        return kind;
    struct group group = old;
    kind = change_alias(req, &group, name, mount, err);
    if (kind == KT_OK)
        kind = made_now(req, &group.made, false, err);
    if (kind != KT_OK)
        return kind;
    group.modify_index++;
    kind = group_save(req, &old, &group, err);
    if (kind != KT_OK)
        return kind;
    mounts_require_same(req, req->batch);
    reply_pair(req, group.alias.id, "canonical_id", group.id);
    return KT_OK;
}

enum kt_kind identity_group_alias_read(struct request *req, struct kt_err *err)
{
    struct group group = {0};
    enum kt_kind kind = group_find_alias_id(req, request_param(req, "id"), &group, err);
    if (kind == KT_NOT_FOUND)
        return kt_fail(err, KT_NOT_FOUND, "%s", "");
    if (kind != KT_OK)
        return kind;
    struct kt_jsonw w = kt_jsonw(&req->reply.data);
    write_alias(req, &w, &group.alias, group.id);
    return KT_OK;
}

enum kt_kind identity_group_alias_delete(struct request *req, struct kt_err *err)
{
    struct group old = {0};
    enum kt_kind kind = group_find_alias_id(req, request_param(req, "id"), &old, err);
    if (kind != KT_OK)
        return kind == KT_NOT_FOUND ? KT_OK : kind;
    struct group group = old;
    group.alias = (struct alias){0};
    kind = made_now(req, &group.made, false, err);
    if (kind != KT_OK)
        return kind;
    group.modify_index++;
    return group_save(req, &old, &group, err);
}
