#include <stdlib.h>

#include "vaultd/identity/own.h"

/* Several entities become one: their aliases, group memberships and tokens are its from then on. Policies
 * and metadata of those that go are not taken over. */

#define FROM_MAX 16u

struct merge {
    struct entity old[FROM_MAX + 1]; /* those that go, then the one that stays */
    size_t n_from;
    struct entity new_;
};

static bool named_twice(const struct string_list *ids, const char *to)
{
    for (size_t i = 0; i < ids->n; i++) {
        if (strcmp(ids->at[i], to) == 0)
            return true;
        for (size_t j = 0; j < i; j++)
            if (strcmp(ids->at[i], ids->at[j]) == 0)
                return true;
    }
    return false;
}

static enum kt_kind check_disabled(const struct merge *m, struct kt_err *err)
{
    for (size_t i = 0; i < m->n_from; i++)
        if (m->old[i].disabled != m->old[m->n_from].disabled) {
            (void)kt_fail(err, KT_INVALID, "of the entities some are disabled: their logins would be let in again, or "
                                           "others' be shut out");
            kt_hint(err, "disable all of them, or none, and merge then");
            return KT_INVALID;
        }
    return KT_OK;
}

static enum kt_kind load(struct request *req, struct merge *m, struct kt_err *err)
{
    struct string_list from = {0};
    const char *to = NULL;
    enum kt_kind kind = request_list(req, "from_entity_ids", true, &from, err);
    if (kind == KT_NOT_FOUND || (kind == KT_OK && from.n == 0))
        return kt_fail(err, KT_INVALID, "missing entity ids to merge from: \"from_entity_ids\"");
    if (kind == KT_OK)
        kind = wish_text(req, "to_entity_id", &to, err);
    if (kind != KT_OK)
        return kind;
    if (to[0] == '\0')
        return kt_fail(err, KT_INVALID, "missing entity id to merge to: \"to_entity_id\"");
    if (from.n > FROM_MAX)
        return kt_fail(err, KT_INVALID, "at most %u entities are merged at once", FROM_MAX);
    if (named_twice(&from, to))
        return kt_fail(err, KT_INVALID, "an entity is named twice");
    m->n_from = from.n;
    for (size_t i = 0; i <= from.n; i++) {
        const char *id = i < from.n ? from.at[i] : to;
        kind = entity_find(req, id, false, &m->old[i], err);
        if (kind == KT_NOT_FOUND)
            return kt_fail(err, KT_INVALID, "\"%s\" names an entity that does not exist",
                           i < from.n ? "from_entity_ids" : "to_entity_id");
        if (kind != KT_OK)
            return kind;
    }
    return check_disabled(m, err);
}

/* Two ways to log in on one mount: nobody could say which of them a policy's path means. One is left
 * out where the caller says which is kept. */
static enum kt_kind take_alias(struct request *req, struct merge *m, const struct entity *from,
                               const struct alias *alias, const struct string_list *keep,
                               struct kt_err *err)
{
    struct alias *rival = entity_alias_of(&m->new_, alias->accessor);
    if (rival != NULL) {
        bool keeps_rival = false, keeps_this = false;
        for (size_t i = 0; i < keep->n; i++) {
            keeps_rival = keeps_rival || strcmp(keep->at[i], rival->id) == 0;
            keeps_this = keeps_this || strcmp(keep->at[i], alias->id) == 0;
        }
        if (keeps_rival == keeps_this) {
            (void)kt_fail(err, KT_INVALID,
                          "toEntity and at least one fromEntity have aliases of the same mount");
            kt_hint(err, "name the one that stays in conflicting_alias_ids_to_keep");
            return KT_INVALID;
        }
        if (keeps_rival)
            return KT_OK;
    }
    if (rival == NULL) {
        enum kt_kind kind = entity_add_alias(req, &m->new_, &rival, err);
        if (kind != KT_OK)
            return kind;
    }
    *rival = *alias;
    const char **ids = kt_arena_take(&req->arena, (alias->merged_from.n + 1) * sizeof *ids);
    if (ids == NULL)
        return kt_fail(err, KT_NO_MEMORY, "merging entities");
    if (alias->merged_from.n > 0)
        memcpy(ids, alias->merged_from.at, alias->merged_from.n * sizeof *ids);
    ids[alias->merged_from.n] = from->id;
    rival->merged_from = (struct string_list){ids, alias->merged_from.n + 1};
    return made_now(req, &rival->made, false, err);
}

static enum kt_kind take_ids(struct request *req, struct merge *m, struct kt_err *err)
{
    const struct entity *to = &m->old[m->n_from];
    size_t n = to->merged.n + m->n_from;
    for (size_t i = 0; i < m->n_from; i++)
        n += m->old[i].merged.n;
    if (n > ENTITY_MERGED_MAX)
        return kt_fail(err, KT_INVALID, "an entity can stand for at most %u others",
                       ENTITY_MERGED_MAX);
    const char **ids = kt_arena_take(&req->arena, (n + 1) * sizeof *ids);
    if (ids == NULL)
        return kt_fail(err, KT_NO_MEMORY, "merging entities");
    size_t at = 0;
    for (size_t i = 0; i <= m->n_from; i++) {
        for (size_t j = 0; j < m->old[i].merged.n; j++)
            ids[at++] = m->old[i].merged.at[j];
        if (i < m->n_from)
            ids[at++] = m->old[i].id;
    }
    m->new_.merged = (struct string_list){ids, n};
    return KT_OK;
}

enum kt_kind identity_merge(struct request *req, struct kt_err *err)
{
    struct merge *m = kt_arena_take(&req->arena, sizeof *m);
    if (m == NULL)
        return kt_fail(err, KT_NO_MEMORY, "merging entities");
    struct string_list keep = {0};
    enum kt_kind kind = load(req, m, err);
    if (kind == KT_OK)
        kind = request_list(req, "conflicting_alias_ids_to_keep", true, &keep, err);
    if (kind != KT_OK && kind != KT_NOT_FOUND)
        return kind;
    const struct entity *to = &m->old[m->n_from];
    m->new_ = *to;
    m->new_.aliases = kt_arena_take(&req->arena, (to->n_aliases + 1) * sizeof *to->aliases);
    if (m->new_.aliases == NULL)
        return kt_fail(err, KT_NO_MEMORY, "merging entities");
    if (to->n_aliases > 0)
        memcpy(m->new_.aliases, to->aliases, to->n_aliases * sizeof *to->aliases);
    kind = take_ids(req, m, err);
    for (size_t i = 0; i < m->n_from; i++)
        for (size_t j = 0; kind == KT_OK && j < m->old[i].n_aliases; j++)
            kind = take_alias(req, m, &m->old[i], &m->old[i].aliases[j], &keep, err);
    if (kind != KT_OK)
        return kind;
    kind = made_now(req, &m->new_.made, false, err);
    return kind == KT_OK ? entity_save(req, m->old, m->n_from + 1, &m->new_, err) : kind;
}
