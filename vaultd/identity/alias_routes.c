#include "vaultd/core/mounts.h"
#include "vaultd/identity/own.h"

/* An alias belongs to its entity for good: moving it would make one person another one. Who is meant to
 * be the same is merged, which is a route of its own that wants sudo. */

/* What the request names: the alias of that id, else that of the mount and name. */
struct target {
    const char *id, *name, *accessor, *canonical;
    const struct mount *mount; /* of accessor */
    bool found;
    struct entity entity;      /* its own, or the one that it is to be of */
    struct alias *alias;       /* within entity; NULL: a new one */
};

static enum kt_kind read_target(struct request *req, struct target *t, struct kt_err *err)
{
    *t = (struct target){0};
    enum kt_kind kind = wish_text(req, "id", &t->id, err);
    if (kind == KT_OK)
        kind = wish_text(req, "name", &t->name, err);
    if (kind == KT_OK)
        kind = wish_text(req, "mount_accessor", &t->accessor, err);
    if (kind == KT_OK)
        kind = wish_text(req, "canonical_id", &t->canonical, err);
    if (kind == KT_OK && t->canonical[0] == '\0')
        kind = wish_text(req, "entity_id", &t->canonical, err);
    if (kind == KT_OK && t->name[0] != '\0')
        kind = index_check_name("name", t->name, err);
    if (kind == KT_OK && t->accessor[0] != '\0')
        kind = auth_mount_of(req, t->accessor, &t->mount, err);
    return kind;
}

static enum kt_kind find_target(struct request *req, struct target *t, struct kt_err *err)
{
    if (t->id[0] != '\0') {
        enum kt_kind kind = entity_find_alias_id(req, t->id, &t->entity, &t->alias, err);
        t->found = kind == KT_OK;
        return kind == KT_NOT_FOUND ? kt_fail(err, KT_INVALID, "invalid alias id") : kind;
    }
    if (t->name[0] == '\0')
        return kt_fail(err, KT_INVALID, "missing alias name: \"name\"");
    if (t->mount == NULL)
        return kt_fail(err, KT_INVALID, "missing mount_accessor");
    enum kt_kind kind =
        entity_find_alias(req, t->mount->scope, t->name, &t->entity, &t->alias, err);
    t->found = kind == KT_OK;
    return kind == KT_NOT_FOUND ? KT_OK : kind;
}

static enum kt_kind refuse_move(struct kt_err *err)
{
    (void)kt_fail(err, KT_INVALID, "an alias cannot be moved to another entity");
    kt_hint(err, "merge the entities (identity/entity/merge), or delete the alias and make it anew");
    return KT_INVALID;
}

/* Another alias of the mount that has the new name, of whomever. */
static enum kt_kind check_free(struct request *req, const struct target *t, const struct alias *wanted,
                               struct kt_err *err)
{
    struct entity other = {0};
    struct alias *taken = NULL;
    enum kt_kind kind = entity_find_alias(req, wanted->scope, wanted->name, &other, &taken, err);
    if (kind == KT_NOT_FOUND)
        return KT_OK;
    if (kind != KT_OK || (t->alias != NULL && strcmp(taken->id, t->alias->id) == 0))
        return kind;
    return kt_fail(err, KT_INVALID, "alias name is already in use on this mount");
}

static struct alias *copy_aliases(struct request *req, struct entity *entity)
{
    struct alias *copy = kt_arena_take(&req->arena, (entity->n_aliases + 1) * sizeof *copy);
    if (copy != NULL && entity->n_aliases > 0)
        memcpy(copy, entity->aliases, entity->n_aliases * sizeof *copy);
    return copy;
}

static bool same(const struct alias *a, const struct alias *b)
{
    return strcmp(a->name, b->name) == 0 && kt_bytes_equal(a->custom_metadata, b->custom_metadata);
}

/* The name, and what an operator says of it. */
static enum kt_kind update(struct request *req, struct target *t, struct kt_err *err)
{
    if (t->canonical[0] != '\0' && strcmp(t->canonical, t->entity.id) != 0)
        return refuse_move(err);
    if (t->mount != NULL && memcmp(t->mount->scope, t->alias->scope, BARRIER_SCOPE) != 0)
        return kt_fail(err, KT_INVALID, "an alias cannot be moved to another mount");
    struct entity new_ = t->entity;
    new_.aliases = copy_aliases(req, &t->entity);
    if (new_.aliases == NULL)
        return kt_fail(err, KT_NO_MEMORY, "changing an alias");
    struct alias *alias = &new_.aliases[t->alias - t->entity.aliases];
    if (t->name[0] != '\0')
        alias->name = t->name;
    enum kt_kind kind = wish_pairs(req, "custom_metadata", &alias->custom_metadata, err);
    if (kind == KT_OK || kind == KT_NOT_FOUND)
        kind = check_free(req, t, alias, err);
    if (kind != KT_OK || same(alias, t->alias))
        return kind;
    kind = made_now(req, &alias->made, false, err);
    if (kind == KT_OK)
        kind = entity_save(req, &t->entity, 1, &new_, err);
    if (kind == KT_OK)
        reply_pair(req, alias->id, "canonical_id", new_.id);
    return kind;
}

/* The entity that a new alias is to be of: the named one, else a new one. */
static enum kt_kind choose_entity(struct request *req, struct target *t, bool *ret_is_new,
                                  struct kt_err *err)
{
    *ret_is_new = t->canonical[0] == '\0';
    if (!*ret_is_new) {
        enum kt_kind kind = entity_find(req, t->canonical, false, &t->entity, err);
        return kind == KT_NOT_FOUND ? kt_fail(err, KT_INVALID, "invalid canonical ID") : kind;
    }
    t->entity = (struct entity){.id = identity_new_id(&req->arena)};
    if (t->entity.id != NULL)
        t->entity.name = kt_arena_printf(&req->arena, "entity_%.8s", t->entity.id);
    if (t->entity.name == NULL)
        return kt_fail(err, KT_NO_MEMORY, "making an entity");
    struct entity other = {0};
    enum kt_kind kind = made_now(req, &t->entity.made, true, err);
    if (kind == KT_OK)
        kind = entity_find_name(req, t->entity.name, &other, err);
    return kind == KT_NOT_FOUND ? KT_OK
           : kind == KT_OK      ? kt_fail(err, KT_INVALID, "entity name is already in use")
                                : kind;
}

static enum kt_kind create(struct request *req, struct target *t, struct kt_err *err)
{
    bool is_new = false;
    enum kt_kind kind = choose_entity(req, t, &is_new, err);
    if (kind != KT_OK)
        return kind;
    if (entity_alias_of(&t->entity, t->mount->accessor) != NULL)
        return kt_fail(err, KT_INVALID,
                       "alias already exists for requested entity and mount accessor");
    struct entity new_ = t->entity;
    struct alias *alias = NULL;
    kind = entity_add_alias(req, &new_, &alias, err);
    if (kind != KT_OK)
        return kind;
    *alias = (struct alias){.id = identity_new_id(&req->arena),
                            .accessor = t->mount->accessor,
                            .name = t->name,
                            .local = t->mount->local};
    memcpy(alias->scope, t->mount->scope, sizeof alias->scope);
    if (alias->id == NULL)
        return kt_fail(err, KT_NO_MEMORY, "making an alias");
    kind = made_now(req, &alias->made, true, err);
    if (kind == KT_OK)
        kind = wish_pairs(req, "custom_metadata", &alias->custom_metadata, err);
    if (kind != KT_OK && kind != KT_NOT_FOUND)
        return kind;
    kind = entity_save(req, &t->entity, is_new ? 0 : 1, &new_, err);
    if (kind != KT_OK)
        return kind;
    mounts_require_same(req, req->batch);
    reply_pair(req, alias->id, "canonical_id", new_.id);
    return KT_OK;
}

enum kt_kind identity_alias_write(struct request *req, struct kt_err *err)
{
    struct target t = {0};
    enum kt_kind kind = read_target(req, &t, err);
    if (kind == KT_OK)
        kind = find_target(req, &t, err);
    if (kind != KT_OK)
        return kind;
    return t.found ? update(req, &t, err) : create(req, &t, err);
}

enum kt_kind identity_alias_read(struct request *req, struct kt_err *err)
{
    struct entity entity = {0};
    struct alias *alias = NULL;
    enum kt_kind kind = entity_find_alias_id(req, request_param(req, "id"), &entity, &alias, err);
    if (kind == KT_NOT_FOUND)
        return kt_fail(err, KT_NOT_FOUND, "%s", "");
    if (kind != KT_OK)
        return kind;
    struct kt_jsonw w = kt_jsonw(&req->reply.data);
    write_alias(req, &w, alias, entity.id);
    return KT_OK;
}

enum kt_kind identity_alias_delete(struct request *req, struct kt_err *err)
{
    struct entity old = {0};
    struct alias *alias = NULL;
    enum kt_kind kind = entity_find_alias_id(req, request_param(req, "id"), &old, &alias, err);
    if (kind != KT_OK)
        return kind == KT_NOT_FOUND ? KT_OK : kind;
    struct entity new_ = old;
    size_t at = (size_t)(alias - old.aliases);
    new_.aliases = copy_aliases(req, &old);
    if (new_.aliases == NULL)
        return kt_fail(err, KT_NO_MEMORY, "deleting an alias");
    new_.n_aliases--;
    memmove(&new_.aliases[at], &new_.aliases[at + 1], (new_.n_aliases - at) * sizeof *new_.aliases);
    kind = made_now(req, &new_.made, false, err);
    return kind == KT_OK ? entity_save(req, &old, 1, &new_, err) : kind;
}
