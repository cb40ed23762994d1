#include "vaultd/core/approve.h"
#include "vaultd/core/bound.h"
#include "vaultd/core/mounts.h"
#include "vaultd/identity/entity.h"
#include "vaultd/identity/groups.h"

#define ENTITY_PATH "identity/entity/id/"
#define GROUP_PATH  "identity/group/id/"
#define RULE_PATH   "sys/approvals/rules/"

void request_changes(struct request *req, const char *path, bool below)
{
    struct changed_path *changed = kt_arena_take(&req->arena, sizeof *changed);
    const char *copy = kt_arena_text(&req->arena, kt_str(path));
    if (changed == NULL || copy == NULL)
        return; /* the arena has failed, and the request with it */
    *changed = (struct changed_path){copy, below, req->own->changes};
    req->own->changes = changed;
}

void request_wants(struct request *req, const char *rule, unsigned needed)
{
    struct wanted_rule *wanted = kt_arena_take(&req->arena, sizeof *wanted);
    const char *name = kt_arena_text(&req->arena, kt_str(rule));
    if (wanted == NULL || name == NULL)
        return; /* the arena has failed, and the request with it */
    *wanted = (struct wanted_rule){name, needed, req->own->wants};
    req->own->wants = wanted;
}

/* ---- all that a request touches ---- */

static bool begins(const char *path, const char *with)
{
    return strncmp(path, with, strlen(with)) == 0;
}

/* What is said of a secret, at whatever row, is said of its value. */
static enum kt_kind add_secret(struct request *req, const char *path, bool has_row, struct kt_err *err)
{
    static const char *const rows[] = {"data/",    "metadata/", "delete/", "undelete/",
                                       "destroy/", "import/",   "copy/",   "move/"};
    const char *rest = NULL;
    const struct mount *mount = mounts_find(req, path, &rest);
    if (mount == NULL || mount->engine == NULL || strcmp(mount->type, "kv") != 0 ||
        mount->engine->version == NULL || strcmp(mount->engine->version, "2") != 0)
        return KT_OK;
    for (size_t i = 0; has_row && i < sizeof rows / sizeof rows[0]; i++)
        if (begins(rest, rows[i])) {
            rest += strlen(rows[i]);
            has_row = false;
        }
    if (has_row)
        return KT_OK;
    const char *data = kt_arena_printf(&req->arena, "%sdata/%s", mount->path, rest);
    if (data == NULL)
        return kt_fail(err, KT_NO_MEMORY, "looking for rules of approval");
    request_changes(req, data, false);
    return KT_OK;
}

static enum kt_kind gather(struct request *req, struct kt_err *err)
{
    struct changed_path *said = req->own->changes;
    request_changes(req, req->path, false);
    if ((req->route->flags & ROUTE_OF_MOUNT) != 0)
        request_changes(req, req->mount->path, true);
    enum kt_kind kind = add_secret(req, req->path, true, err);
    for (; kind == KT_OK && said != NULL; said = said->next)
        kind = add_secret(req, said->path, true, err);
    if (kind == KT_OK && req->destination != NULL)
        kind = add_secret(req, req->destination, false, err);
    if (kind == KT_OK && req->destination != NULL)
        request_changes(req, req->destination, false);
    return kind;
}

/* ---- what a rule is about ---- */

static bool covers(const struct approval_rule *rule, const struct changed_path *changed)
{
    for (size_t i = 0; i < rule->paths.n; i++)
        if (approval_covers(rule->paths.at[i], changed->path, changed->below))
            return true;
    return false;
}

static bool is_of(const char *path, const char *folder, const char *name)
{
    return begins(path, folder) && strcmp(path + strlen(folder), name) == 0;
}

/* Its entities, as they are and as they are called in the group's list. */
static bool has_member(const struct group *group, const char *path)
{
    for (size_t i = 0; begins(path, ENTITY_PATH) && i < group->entities.n; i++)
        if (strcmp(group->entities.at[i], path + strlen(ENTITY_PATH)) == 0)
            return true;
    return false;
}

static bool in_mount(const struct changed_path *changed, const struct mount *mount)
{
    return begins(changed->path, mount->path);
}

static bool touches_mount(const struct request *req, const struct mount *mount)
{
    for (const struct changed_path *at = req->own->changes; at != NULL; at = at->next)
        if (in_mount(at, mount))
            return true;
    return false;
}

/* Whoever sets a password, or changes how logins are let in, is who logs in. */
static enum kt_kind touches_way(struct request *req, const char *entity_id, bool *ret, struct kt_err *err)
{
    struct entity entity = {0};
    enum kt_kind kind = entity_find(req, entity_id, true, &entity, err);
    for (size_t i = 0; kind == KT_OK && !*ret && i < entity.n_aliases; i++) {
        const struct mount *mount = mounts_of_scope(req, entity.aliases[i].scope);
        *ret = mount != NULL && touches_mount(req, mount);
    }
    return kind == KT_NOT_FOUND ? KT_OK : kind;
}

static bool touches_logins(const struct request *req)
{
    for (const struct changed_path *at = req->own->changes; at != NULL; at = at->next)
        if (begins(at->path, "auth/") && !begins(at->path, "auth/token/"))
            return true;
    return false;
}

static bool touches_identity(const struct request *req)
{
    for (const struct changed_path *at = req->own->changes; at != NULL; at = at->next)
        if (begins(at->path, ENTITY_PATH))
            return true;
    return false;
}

static enum kt_kind stands_on(struct request *req, const struct approval_rule *rule, bool *ret, struct kt_err *err)
{
    bool logins = touches_logins(req), identity = touches_identity(req);
    struct group group = {0};
    if (!logins && !identity)
        return KT_OK;
    enum kt_kind kind = group_find(req, rule->group, &group, err);
    if (kind != KT_OK)
        return kind == KT_NOT_FOUND ? KT_OK : kind;
    for (const struct changed_path *at = req->own->changes; identity && at != NULL && !*ret; at = at->next)
        *ret = has_member(&group, at->path);
    for (size_t i = 0; kind == KT_OK && logins && !*ret && i < group.entities.n; i++)
        kind = touches_way(req, group.entities.at[i], ret, err);
    return kind;
}

static enum kt_kind is_about(struct request *req, const struct approval_rule *rule, bool *ret, struct kt_err *err)
{
    *ret = false;
    for (const struct changed_path *at = req->own->changes; at != NULL && !*ret; at = at->next)
        *ret = covers(rule, at) || is_of(at->path, GROUP_PATH, rule->group) || is_of(at->path, RULE_PATH, rule->name);
    return *ret ? KT_OK : stands_on(req, rule, ret, err);
}

/* As it was asked: what a later rule is about is looked up as if it were asked now. A full list may have been cut:
 * then each rule may be about it. */
enum kt_kind approval_about(struct request *req, const struct approval_rule *rule, const struct approval *approval,
                            bool *ret, struct kt_err *err)
{
    struct changed_path *own = req->own->changes;
    *ret = approval->n_touched >= APPROVAL_TOUCHED_MAX;
    if (*ret)
        return KT_OK;
    req->own->changes = NULL;
    for (size_t i = 0; i < approval->n_touched; i++)
        request_changes(req, approval->touched[i].path, approval->touched[i].below);
    if (approval->n_touched == 0)
        request_changes(req, approval->path, false);
    enum kt_kind kind = is_about(req, rule, ret, err);
    req->own->changes = own;
    for (size_t i = 0; i < approval->rules.n && !*ret; i++)
        *ret = strcmp(approval->rules.at[i], rule->name) == 0;
    return kind;
}

/* ---- what a handler wants ---- */

static bool has_rule(const struct approval_rule *const *at, size_t n, const char *name)
{
    for (size_t i = 0; i < n; i++)
        if (strcmp(at[i]->name, name) == 0)
            return true;
    return false;
}

/* Of a rule that is gone: nobody is in its group. */
static enum kt_kind one_of_nobody(struct request *req, const char *name, struct approval_rule **ret, struct kt_err *err)
{
    struct approval_rule *rule = kt_arena_take(&req->arena, sizeof *rule);
    if (rule == NULL)
        return kt_fail(err, KT_NO_MEMORY, "looking for rules of approval");
    *rule = (struct approval_rule){.name = name, .group = "", .ttl_s = APPROVAL_TTL_S};
    *ret = rule;
    return KT_OK;
}

/* Its number alone counts where the rule is not about the request by its paths. */
static enum kt_kind add_wanted(struct request *req, const struct approval_rules *rules, const struct wanted_rule *wanted,
                               const struct approval_rule **ret, size_t *ret_n, struct kt_err *err)
{
    struct approval_rule *rule = approval_rules_find(rules, wanted->name);
    bool there = has_rule(ret, *ret_n, wanted->name);
    enum kt_kind kind = KT_OK;
    if (there && rule == NULL)
        return KT_OK; /* it is gone: no number is reached */
    if (!there && *ret_n >= APPROVAL_RULES_OF_MAX)
        return kt_fail(err, KT_INVALID, "more than %u rules of approval are about this", APPROVAL_RULES_OF_MAX);
    if (rule == NULL)
        kind = one_of_nobody(req, wanted->name, &rule, err);
    if (kind != KT_OK)
        return kind;
    rule->needed = there && rule->needed > wanted->needed ? rule->needed : wanted->needed;
    if (!there)
        ret[(*ret_n)++] = rule;
    return KT_OK;
}

enum kt_kind approve_rules_of(struct request *req, struct approval_rules *rules,
                              const struct approval_rule **ret, size_t *ret_n, struct kt_err *err)
{
    *ret_n = 0;
    enum kt_kind kind = gather(req, err);
    for (size_t i = 0; kind == KT_OK && i < rules->n; i++) {
        bool about = false;
        kind = is_about(req, &rules->at[i], &about, err);
        if (about)
            ret[(*ret_n)++] = &rules->at[i];
    }
    for (const struct wanted_rule *at = req->own->wants; kind == KT_OK && at != NULL; at = at->next)
        kind = add_wanted(req, rules, at, ret, ret_n, err);
    return kind;
}
