#include "vaultd/identity/own.h"

static enum kt_kind absent(enum kt_kind kind, struct kt_err *err)
{
    return kind == KT_NOT_FOUND ? kt_fail(err, KT_NOT_FOUND, "%s", "") : kind;
}

static enum kt_kind find_named(struct request *req, struct entity *ret, struct kt_err *err)
{
    enum kt_kind kind = entity_find_name(req, request_param(req, "name"), ret, err);
    return kind == KT_OK ? wish_spelled(req, ret->name, err) : kind;
}

/* ---- write ---- */

static enum kt_kind check_name_free(struct request *req, const struct entity *entity,
                                    struct kt_err *err)
{
    struct entity other = {0};
    enum kt_kind kind = entity_find_name(req, entity->name, &other, err);
    if (kind == KT_NOT_FOUND || (kind == KT_OK && strcmp(other.id, entity->id) == 0))
        return KT_OK;
    return kind == KT_OK ? kt_fail(err, KT_INVALID, "entity name is already in use") : kind;
}

static enum kt_kind write(struct request *req, const struct wish *wish, const struct entity *old,
                          struct kt_err *err)
{
    struct entity entity = old == NULL ? (struct entity){.id = identity_new_id(&req->arena)} : *old;
    if (entity.id == NULL)
        return kt_fail(err, KT_NO_MEMORY, "making an entity");
    if (wish->name[0] != '\0')
        entity.name = wish->name;
    if (entity.name == NULL)
        entity.name = kt_arena_printf(&req->arena, "entity_%.8s", entity.id);
    if (entity.name == NULL)
        return kt_fail(err, KT_NO_MEMORY, "making an entity");
    if (wish->has_metadata)
        entity.metadata = wish->metadata;
    if (wish->has_policies)
        entity.policies = wish->policies;
    enum kt_kind kind = request_bool(req, "disabled", &entity.disabled, err);
    if (kind == KT_OK || kind == KT_NOT_FOUND)
        kind = check_name_free(req, &entity, err);
    if (kind == KT_OK)
        kind = made_now(req, &entity.made, old == NULL, err);
    if (kind == KT_OK)
        kind = entity_save(req, old, old == NULL ? 0 : 1, &entity, err);
    if (kind != KT_OK || old != NULL)
        return kind;
    struct kt_jsonw w = kt_jsonw(&req->reply.data);
    kt_jsonw_object(&w);
    kt_jsonw_kv_null(&w, "aliases");
    kt_jsonw_kv_text(&w, "id", entity.id);
    kt_jsonw_kv_text(&w, "name", entity.name);
    kt_jsonw_end(&w);
    return KT_OK;
}

/* By id it has to be there; by name it is made. */
enum kt_kind identity_entity_write(struct request *req, struct kt_err *err)
{
    struct wish wish = {0};
    struct entity old = {0};
    enum kt_kind kind = wish_read(req, &wish, err);
    if (kind != KT_OK)
        return kind;
    if (wish.id[0] != '\0') {
        kind = entity_find(req, wish.id, false, &old, err);
        if (kind == KT_NOT_FOUND)
            return kt_fail(err, KT_INVALID, "entity not found from id");
        if (kind == KT_OK && request_param(req, "name")[0] != '\0')
            wish.name = "";
        return kind == KT_OK ? write(req, &wish, &old, err) : kind;
    }
    if (wish.name[0] == '\0')
        return write(req, &wish, NULL, err);
    kind = entity_find_name(req, wish.name, &old, err);
    if (kind == KT_NOT_FOUND)
        return write(req, &wish, NULL, err);
    if (kind == KT_OK)
        kind = wish_spelled(req, old.name, err);
    wish.name = ""; /* it found somebody, in any case, and gives him no other */
    return kind == KT_OK ? write(req, &wish, &old, err) : kind;
}

/* Policies were asked about the name in the path: another's id would make somebody else bear it. */
enum kt_kind identity_entity_name_write(struct request *req, struct kt_err *err)
{
    const char *id = "";
    struct entity named = {0};
    enum kt_kind kind = wish_text(req, "id", &id, err);
    if (kind == KT_OK && id[0] != '\0') {
        kind = entity_find_name(req, request_param(req, "name"), &named, err);
        if (kind == KT_NOT_FOUND || (kind == KT_OK && strcmp(named.id, id) != 0))
            return kt_fail(err, KT_INVALID, "id is another's than the path's name");
        if (kind == KT_OK)
            kind = wish_spelled(req, named.name, err);
    }
    return kind == KT_OK ? identity_entity_write(req, err) : kind;
}

/* ---- read ---- */

enum kt_kind identity_entity_read(struct request *req, struct kt_err *err)
{
    struct entity entity = {0};
    enum kt_kind kind = entity_find(req, request_param(req, "id"), false, &entity, err);
    return kind == KT_OK ? reply_entity(req, &entity, err) : absent(kind, err);
}

enum kt_kind identity_entity_name_read(struct request *req, struct kt_err *err)
{
    struct entity entity = {0};
    enum kt_kind kind = find_named(req, &entity, err);
    return kind == KT_OK ? reply_entity(req, &entity, err) : absent(kind, err);
}

/* ---- delete ---- */

/* Its id stays in groups' lists, where nobody takes it for a member any more: ids are not used again. */
enum kt_kind identity_entity_delete(struct request *req, struct kt_err *err)
{
    struct entity entity = {0};
    enum kt_kind kind = entity_find(req, request_param(req, "id"), false, &entity, err);
    if (kind != KT_OK)
        return kind == KT_NOT_FOUND ? KT_OK : kind;
    return entity_save(req, &entity, 1, NULL, err);
}

enum kt_kind identity_entity_name_delete(struct request *req, struct kt_err *err)
{
    struct entity entity = {0};
    enum kt_kind kind = find_named(req, &entity, err);
    if (kind != KT_OK)
        return kind == KT_NOT_FOUND ? KT_OK : kind;
    return entity_save(req, &entity, 1, NULL, err);
}

/* ---- list ---- */

static bool list_by_id(void *arg, const struct entity *entity)
{
    struct listing *listing = arg;
    struct kt_jsonw w;
    if (!listing_add(listing, entity->id, &w))
        return !listing->req->arena.failed;
    kt_jsonw_key(&w, "aliases");
    kt_jsonw_array(&w);
    for (size_t i = 0; i < entity->n_aliases; i++) {
        kt_jsonw_object(&w);
        kt_jsonw_kv_text(&w, "id", entity->aliases[i].id);
        write_mount_of(listing->req, &w, &entity->aliases[i]);
        kt_jsonw_kv_text(&w, "name", entity->aliases[i].name);
        kt_jsonw_end(&w);
    }
    kt_jsonw_end(&w);
    kt_jsonw_kv_text(&w, "name", entity->name);
    listing_added(listing, &w);
    return true;
}

static bool list_by_name(void *arg, const struct entity *entity)
{
    struct listing *listing = arg;
    struct kt_jsonw w;
    if (!listing_add(listing, entity->name, &w))
        return !listing->req->arena.failed;
    listing_added(listing, &w);
    return true;
}

static enum kt_kind list(struct request *req, entity_fn *each, bool with_info, struct kt_err *err)
{
    struct listing listing;
    bool aside = false;
    enum kt_kind kind = listing_begin(&listing, req, with_info, err);
    if (kind == KT_OK)
        kind = entities_walk(req, each, &listing, &aside, err);
    if (kind == KT_OK && aside) {
        kt_buf_free(&listing.info);
        return KT_OK;
    }
    return listing_end(&listing, kind, err);
}

enum kt_kind identity_entity_list(struct request *req, struct kt_err *err)
{
    return list(req, list_by_id, true, err);
}

enum kt_kind identity_entity_name_list(struct request *req, struct kt_err *err)
{
    return list(req, list_by_name, false, err);
}

static bool list_aliases(void *arg, const struct entity *entity)
{
    struct listing *listing = arg;
    struct kt_jsonw w;
    for (size_t i = 0; i < entity->n_aliases; i++) {
        const struct alias *alias = &entity->aliases[i];
        if (!listing_add(listing, alias->id, &w))
            continue;
        kt_jsonw_kv_text(&w, "canonical_id", entity->id);
        write_pairs(&w, "custom_metadata", alias->custom_metadata);
        kt_jsonw_kv_bool(&w, "local", alias->local);
        write_mount_of(listing->req, &w, alias);
        kt_jsonw_kv_text(&w, "name", alias->name);
        listing_added(listing, &w);
    }
    return !listing->req->arena.failed;
}

enum kt_kind identity_alias_list(struct request *req, struct kt_err *err)
{
    return list(req, list_aliases, true, err);
}
