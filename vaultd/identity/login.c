#include "vaultd/identity/login.h"

#include <stdlib.h>

#include "lib/aead.h"
#include "vaultd/core/engine.h"
#include "vaultd/identity/entity.h"

static int by_text(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* Sorted, each once. */
static enum kt_kind sort_groups(struct request *req, const struct string_list *groups,
                                struct string_list *ret, struct kt_err *err)
{
    const char **list = kt_arena_take(&req->arena, (groups->n + 1) * sizeof *list);
    if (list == NULL)
        return kt_fail(err, KT_NO_MEMORY, "logging in");
    size_t unique = 0;
    if (groups->n > 0)
        memcpy(list, groups->at, groups->n * sizeof *list);
    qsort(list, groups->n, sizeof *list, by_text);
    for (size_t i = 0; i < groups->n; i++)
        if (unique == 0 || strcmp(list[unique - 1], list[i]) != 0)
            list[unique++] = list[i];
    *ret = (struct string_list){list, unique};
    return KT_OK;
}

static bool same_list(const struct string_list *a, const struct string_list *b)
{
    for (size_t i = 0; i < a->n && a->n == b->n; i++)
        if (strcmp(a->at[i], b->at[i]) != 0)
            return false;
    return a->n == b->n;
}

/* What a login says is no change that somebody made: who changed the alias stays. */
static enum kt_kind refresh(struct request *req, const struct identity_login *login,
                            const struct string_list *groups, struct entity *entity,
                            struct alias *alias, struct kt_err *err)
{
    bool same = kt_bytes_equal(alias->metadata, login->metadata) &&
                (!login->has_groups || same_list(&alias->groups, groups));
    if (same)
        return KT_OK;
    struct entity old = *entity;
    old.aliases = kt_arena_take(&req->arena, (old.n_aliases + 1) * sizeof *old.aliases);
    if (old.aliases == NULL)
        return kt_fail(err, KT_NO_MEMORY, "logging in");
    memcpy(old.aliases, entity->aliases, old.n_aliases * sizeof *old.aliases);
    alias->metadata = login->metadata;
    if (login->has_groups)
        alias->groups = *groups;
    return entity_save(req, &old, 1, entity, err);
}

/* "entity_1a2b3c4d"; with more digits where somebody has that name. */
static enum kt_kind choose_name(struct request *req, const char *id, const char **ret,
                                struct kt_err *err)
{
    enum kt_kind kind = KT_OK;
    struct entity other = {0};
    for (int digits = 8; kind == KT_OK && digits < 37; digits += 14) {
        *ret = kt_arena_printf(&req->arena, "entity_%.*s", digits, id);
        if (*ret == NULL)
            return kt_fail(err, KT_NO_MEMORY, "logging in");
        kind = entity_find_name(req, *ret, &other, err);
    }
    if (kind == KT_NOT_FOUND)
        return KT_OK;
    return kind == KT_OK ? kt_fail(err, KT_INTERNAL, "no name is left for a new entity") : kind;
}

static enum kt_kind make(struct request *req, const struct identity_login *login,
                         const struct string_list *groups, struct entity *entity, struct kt_err *err)
{
    const struct identity_made made = {req->now_ms, req->now_ms, "", {0}, false};
    *entity = (struct entity){.id = identity_new_id(&req->arena), .made = made};
    struct alias *alias = NULL;
    enum kt_kind kind = entity_add_alias(req, entity, &alias, err);
    if (kind != KT_OK)
        return kind;
    *alias = (struct alias){.id = identity_new_id(&req->arena),
                            .accessor = login->mount->accessor,
                            .name = login->name,
                            .metadata = login->metadata,
                            .groups = *groups,
                            .made = made,
                            .local = login->mount->local};
    memcpy(alias->scope, login->mount->scope, sizeof alias->scope);
    if (entity->id == NULL || alias->id == NULL)
        return kt_fail(err, KT_NO_MEMORY, "logging in");
    kind = choose_name(req, entity->id, &entity->name, err);
    return kind == KT_OK ? entity_save(req, NULL, 0, entity, err) : kind;
}

enum kt_kind identity_login(struct request *req, const struct identity_login *login,
                            const char **ret_entity_id, struct kt_err *err)
{
    struct entity entity = {0};
    struct alias *alias = NULL;
    struct string_list groups = {0};
    enum kt_kind kind = index_check_name("alias name", login->name, err);
    if (kind == KT_OK)
        kind = sort_groups(req, &login->groups, &groups, err);
    if (kind == KT_OK)
        kind = entity_find_alias(req, login->mount->scope, login->name, &entity, &alias, err);
    if (kind == KT_NOT_FOUND)
        kind = make(req, login, &groups, &entity, err);
    else if (kind == KT_OK && entity.disabled)
        kind = kt_fail(err, KT_DENIED, "permission denied");
    else if (kind == KT_OK)
        kind = refresh(req, login, &groups, &entity, alias, err);
    if (kind != KT_OK)
        return kind;
    identity_unref(req->identity);
    req->identity = NULL;
    *ret_entity_id = entity.id;
    return identity_of(req->core, req->snapshot, &entity, &req->identity, err);
}

enum kt_kind identity_regroup(struct request *req, const struct mount *mount, const char *name,
                              const struct string_list *groups, struct kt_err *err)
{
    struct entity entity = {0};
    struct alias *alias = NULL;
    struct string_list sorted = {0};
    enum kt_kind kind = sort_groups(req, groups, &sorted, err);
    if (kind == KT_OK)
        kind = entity_find_alias(req, mount->scope, name, &entity, &alias, err);
    if (kind == KT_NOT_FOUND)
        return KT_OK;
    if (kind != KT_OK)
        return kind;
    const struct identity_login same = {.mount = mount, .name = name, .metadata = alias->metadata, .has_groups = true};
    return refresh(req, &same, &sorted, &entity, alias, err);
}

/* Whoever never came here costs what an entity does: two records, as large as they usually are, and a
 * look more. PAM's users are asked about before their password is. */
static enum kt_kind find_nobody(struct request *req, struct kt_err *err)
{
    static const unsigned char key[KT_AEAD_KEY], nonce[KT_AEAD_NONCE], row[64], record[512];
    unsigned char out[sizeof record];
    struct entity nobody;
    (void)!kt_aead_open(key, nonce, kt_bytes(NULL, 0), kt_bytes(row, sizeof row), out);
    (void)!kt_aead_open(key, nonce, kt_bytes(NULL, 0), kt_bytes(record, sizeof record), out);
    return entity_find(req, "", false, &nobody, err);
}

enum kt_kind identity_barred(struct request *req, const unsigned char scope[BARRIER_SCOPE],
                             const char *name, bool *ret, struct kt_err *err)
{
    struct entity entity = {0};
    struct alias *alias = NULL;
    enum kt_kind kind = entity_find_alias(req, scope, name, &entity, &alias, err);
    if (kind == KT_NOT_FOUND)
        kind = find_nobody(req, err);
    *ret = kind == KT_OK && entity.disabled;
    return kind;
}
