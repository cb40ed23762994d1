#include "vaultd/approval/approvals.h"
#include "vaultd/auth/token.h"
#include "vaultd/identity/entity.h"
#include "vaultd/identity/groups.h"
#include "vaultd/identity/identity.h"

/* Who may approve, and which approvals count. */

static bool among(const struct string_list *list, const char *text)
{
    for (size_t i = 0; i < list->n; i++)
        if (strcmp(list->at[i], text) == 0)
            return true;
    return false;
}

/* By his id, or by one that became him. */
static bool is_member(const struct group *group, const struct entity *entity)
{
    bool found = among(&group->entities, entity->id);
    for (size_t i = 0; i < entity->merged.n && !found; i++)
        found = among(&group->entities, entity->merged.at[i]);
    return found;
}

/* *ret_there false: it is gone, or logins decide who is in it. */
static enum kt_kind find_group(struct request *req, const struct approval_rule *rule, struct group *ret,
                               bool *ret_there, struct kt_err *err)
{
    enum kt_kind kind = group_find(req, rule->group, ret, err);
    *ret_there = kind == KT_OK && !ret->external;
    return kind == KT_NOT_FOUND ? KT_OK : kind;
}

/* *ret_there false: there was none, or it is gone. */
static enum kt_kind find_asker(struct request *req, const struct approval *approval, struct entity *ret,
                               bool *ret_there, struct kt_err *err)
{
    *ret_there = false;
    if (approval->entity_id[0] == '\0')
        return KT_OK;
    enum kt_kind kind = entity_find(req, approval->entity_id, true, ret, err);
    *ret_there = kind == KT_OK;
    return kind == KT_NOT_FOUND ? KT_OK : kind;
}

enum kt_kind approval_is_asker(struct request *req, const struct approval *approval, bool *ret,
                               struct kt_err *err)
{
    const struct token *token = req->token;
    struct entity asker = {0};
    bool there = false;
    *ret = token != NULL && memcmp(token->hash, approval->token, sizeof approval->token) == 0;
    if (*ret || token == NULL || req->identity == NULL)
        return KT_OK;
    enum kt_kind kind = find_asker(req, approval, &asker, &there, err);
    *ret = there && strcmp(asker.id, req->identity->entity->id) == 0;
    return kind;
}

/* ---- may he ---- */

static bool touched_by(const struct identity_made *made, const char *who)
{
    return strcmp(made->created_by, who) == 0 || among(&made->changers, who);
}

/* Whoever else changed it is only known as far as the list goes. */
static bool perhaps_his(const struct identity_made *made, const struct approval *approval, const struct entity *asker)
{
    bool touched = made->more || touched_by(made, asker->id) || touched_by(made, approval->accessor);
    for (size_t i = 0; i < asker->merged.n && !touched; i++)
        touched = touched_by(made, asker->merged.at[i]);
    return touched;
}

/* Who made or changed him asks through him. */
static bool is_creature_of(const struct identity_made *made, const struct entity *approver, const char *accessor)
{
    bool touched = touched_by(made, approver->id) || (accessor != NULL && touched_by(made, accessor));
    for (size_t i = 0; i < approver->merged.n && !touched; i++)
        touched = touched_by(made, approver->merged.at[i]);
    return touched;
}

/* He, or a way by which he logs in. */
static bool asks_for(const struct entity *asker, const struct entity *approver, const char *accessor)
{
    bool creature = is_creature_of(&asker->made, approver, accessor);
    for (size_t i = 0; i < asker->n_aliases && !creature; i++)
        creature = is_creature_of(&asker->aliases[i].made, approver, accessor);
    return creature;
}

/* Then each approver may be among those who are not remembered. */
static bool forgets_changers(const struct entity *asker)
{
    bool more = asker->made.more;
    for (size_t i = 0; i < asker->n_aliases && !more; i++)
        more = asker->aliases[i].made.more;
    return more;
}

/* Older than the request, as it was then, and nothing of the asker's. */
static bool stands_alone(const struct identity_made *made, const struct approval *approval,
                         const struct entity *asker)
{
    return made->created_ms < approval->created_ms && made->changed_ms < approval->created_ms &&
           !perhaps_his(made, approval, asker);
}

static const struct alias *alias_of_login(const struct request *req)
{
    unsigned char scope[BARRIER_SCOPE];
    const struct entity *entity = req->identity->entity;
    token_way(req->token, scope);
    for (size_t i = 0; i < entity->n_aliases; i++)
        if (memcmp(entity->aliases[i].scope, scope, sizeof scope) == 0)
            return &entity->aliases[i];
    return NULL;
}

static const char *nobody(const struct request *req)
{
    const struct token *token = req->token;
    if (token == NULL || token->is_root || token->entity_id[0] == '\0' || req->identity == NULL)
        return "root and tokens without an entity approve nothing: log in as yourself";
    if (!token->logged_in)
        return "only who has logged in approves: this token was made by another one";
    return NULL;
}

static const char *hinders(const struct request *req, const struct group *group, const struct approval *approval,
                           const struct entity *asker)
{
    const struct entity *entity = req->identity->entity;
    const struct alias *alias = alias_of_login(req);
    if (strcmp(entity->id, asker->id) == 0)
        return "nobody approves what he asked for himself";
    if (asks_for(asker, entity, req->token->accessor))
        return "who asked, or a login of his, was made or changed by you";
    if (forgets_changers(asker))
        return "who asked, or a login of his, was changed by more people than are remembered, or by a token without an "
               "entity: only break-glass lets it pass";
    if (!is_member(group, entity))
        return "you are not a direct member of the group whose approval it needs";
    if (alias == NULL)
        return "the way by which you logged in is none of your entity's any more";
    if (!stands_alone(&entity->made, approval, asker))
        return "your entity is not older than the request, was changed since, or was made or changed by who asked";
    if (!stands_alone(&alias->made, approval, asker))
        return "the alias by which you logged in is not older than the request, was changed since, or was made or "
               "changed by who asked";
    if (!stands_alone(&group->made, approval, asker))
        return "the group is not older than the request, was changed since, or was made or changed by who asked";
    return NULL;
}

enum kt_kind approval_hinders(struct request *req, const struct approval_rule *rule,
                              const struct approval *approval, const char **ret, struct kt_err *err)
{
    struct group group = {0};
    struct entity asker = {0};
    bool has_group = false, has_asker = false;
    *ret = nobody(req);
    if (*ret != NULL)
        return KT_OK;
    enum kt_kind kind = find_group(req, rule, &group, &has_group, err);
    if (kind == KT_OK)
        kind = find_asker(req, approval, &asker, &has_asker, err);
    if (kind != KT_OK)
        return kind;
    if (!has_group)
        *ret = "the group whose approval it needs is gone";
    else if (!has_asker)
        *ret = "who asked has no entity, or it is gone: only break-glass lets it pass";
    else
        *ret = hinders(req, &group, approval, &asker);
    return KT_OK;
}

/* ---- what counts ---- */

static enum kt_kind counted(struct request *req, const struct group *group, const struct entity *asker,
                            const char *entity_id, struct string_list *seen, struct kt_err *err)
{
    struct entity entity = {0};
    enum kt_kind kind = entity_find(req, entity_id, true, &entity, err);
    if (kind == KT_NOT_FOUND)
        return KT_OK;
    if (kind == KT_OK && !entity.disabled && is_member(group, &entity) && strcmp(entity.id, asker->id) != 0 &&
        !asks_for(asker, &entity, NULL) && !among(seen, entity.id))
        seen->at[seen->n++] = entity.id;
    return kind;
}

enum kt_kind approval_count(struct request *req, const struct approval_rule *rule,
                            const struct approval *approval, unsigned *ret, struct kt_err *err)
{
    struct group group = {0};
    struct entity asker = {0};
    bool has_group = false, has_asker = false;
    *ret = 0;
    enum kt_kind kind = find_group(req, rule, &group, &has_group, err);
    if (kind == KT_OK)
        kind = find_asker(req, approval, &asker, &has_asker, err);
    /* Who may approve for another rule's group has no say in a group that who asked has filled. */
    if (kind != KT_OK || !has_group || !has_asker || forgets_changers(&asker) ||
        perhaps_his(&group.made, approval, &asker))
        return kind;
    struct string_list seen = {kt_arena_take(&req->arena, (approval->n_approvers + 1) * sizeof(char *)), 0};
    if (seen.at == NULL)
        return kt_fail(err, KT_NO_MEMORY, "counting approvals");
    for (size_t i = 0; kind == KT_OK && i < approval->n_approvers; i++)
        kind = counted(req, &group, &asker, approval->approvers[i].entity_id, &seen, err);
    *ret = (unsigned)seen.n;
    return kind;
}
