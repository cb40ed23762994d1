/* The rules of approval: sys/approvals/rules. What a rule is about, and that it protects itself, is
 * vaultd/core/approve_rules.c. */
#include <stdlib.h>

#include "vaultd/approval/rules.h"
#include "vaultd/engine/sys.h"
#include "vaultd/identity/groups.h"

static int by_name(const void *a, const void *b)
{
    return strcmp(((const struct approval_rule *)a)->name, ((const struct approval_rule *)b)->name);
}

enum kt_kind sys_approval_rules_list(struct request *req, struct kt_err *err)
{
    struct approval_rules rules;
    enum kt_kind kind = approval_rules_load(req, &rules, err);
    if (kind == KT_OK && rules.n == 0)
        return kt_fail(err, KT_NOT_FOUND, "%s", "");
    if (kind != KT_OK)
        return kind;
    qsort(rules.at, rules.n, sizeof *rules.at, by_name);
    struct kt_jsonw w = kt_jsonw(&req->reply.data);
    kt_jsonw_object(&w);
    kt_jsonw_key(&w, "keys");
    kt_jsonw_array(&w);
    for (size_t i = 0; i < rules.n; i++)
        kt_jsonw_text(&w, rules.at[i].name);
    kt_jsonw_end(&w);
    kt_jsonw_end(&w);
    return KT_OK;
}

enum kt_kind sys_approval_rule_read(struct request *req, struct kt_err *err)
{
    struct approval_rules rules;
    struct group group = {0};
    enum kt_kind kind = approval_rules_load(req, &rules, err);
    if (kind != KT_OK)
        return kind;
    const struct approval_rule *rule = approval_rules_find(&rules, request_param(req, "name"));
    if (rule == NULL)
        return kt_fail(err, KT_NOT_FOUND, "%s", "");
    kind = group_find(req, rule->group, &group, err);
    if (kind != KT_OK && kind != KT_NOT_FOUND)
        return kind;
    if (kind == KT_NOT_FOUND)
        request_warn(req, "the group is gone: nobody can approve, only break-glass lets a change pass");
    struct kt_jsonw w = kt_jsonw(&req->reply.data);
    kt_jsonw_object(&w);
    kt_jsonw_kv_text(&w, "group", kind == KT_OK ? group.name : "");
    kt_jsonw_kv_text(&w, "group_id", rule->group);
    kt_jsonw_kv_text(&w, "name", rule->name);
    kt_jsonw_kv_int(&w, "needed", rule->needed);
    kt_jsonw_key(&w, "paths");
    kt_jsonw_array(&w);
    for (size_t i = 0; i < rule->paths.n; i++)
        kt_jsonw_text(&w, rule->paths.at[i]);
    kt_jsonw_end(&w);
    kt_jsonw_kv_int(&w, "ttl", rule->ttl_s);
    kt_jsonw_end(&w);
    return KT_OK;
}

/* ---- writing ---- */

static bool is_word(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_' || c == '-' || c == '.';
}

static enum kt_kind read_name(struct request *req, const char **ret, struct kt_err *err)
{
    *ret = request_param(req, "name");
    size_t len = strlen(*ret);
    bool fine = len > 0 && len <= APPROVAL_NAME_MAX;
    for (size_t i = 0; i < len; i++)
        fine = fine && is_word((*ret)[i]);
    if (fine)
        return KT_OK;
    (void)kt_fail(err, KT_INVALID, "not a rule's name");
    kt_hint(err, "a name is 1 to %u of a-z 0-9 _ - .", APPROVAL_NAME_MAX);
    return KT_INVALID;
}

/* What no request's path is: a rule of it would hold nothing back, and say so to nobody. */
static enum kt_kind check_meaning(const char *path, struct kt_err *err)
{
    size_t len = strlen(path);
    if (strncasecmp(path, "v1/", 3) == 0) {
        (void)kt_fail(err, KT_INVALID, "\"paths\" has one that begins with \"v1/\"");
        kt_hint(err, "as in policies, without it: %.100s", path + 3);
        return KT_INVALID;
    }
    if (path[len - 1] == '/') {
        (void)kt_fail(err, KT_INVALID, "\"paths\" has one that ends in '/', and so is about nothing below it");
        kt_hint(err, "all below it is %.100s*", path);
        return KT_INVALID;
    }
    return KT_OK;
}

static enum kt_kind check_path(const char *path, struct kt_err *err)
{
    size_t len = strlen(path);
    const char *star = strchr(path, '*');
    if (len == 0 || path[0] == '/')
        return kt_fail(err, KT_INVALID, "\"paths\" has one that is empty or begins with '/'");
    if (len > APPROVAL_PATH_MAX)
        return kt_fail(err, KT_INVALID, "\"paths\" has one of more than %u bytes", APPROVAL_PATH_MAX);
    if (star != NULL && star[1] != '\0')
        return kt_fail(err, KT_INVALID, "\"paths\" has one with a '*' that is not its end");
    for (const char *c = path; *c != '\0'; c++)
        if ((unsigned char)*c < 0x20 || *c == 0x7f)
            return kt_fail(err, KT_INVALID, "\"paths\" has one with control characters");
    return check_meaning(path, err);
}

static enum kt_kind read_paths(struct request *req, struct string_list *ret, struct kt_err *err)
{
    enum kt_kind kind = request_list(req, "paths", true, ret, err);
    if (kind == KT_NOT_FOUND || (kind == KT_OK && ret->n == 0))
        return kt_fail(err, KT_INVALID, "missing \"paths\": what needs approval");
    if (kind == KT_OK && ret->n > APPROVAL_PATHS_MAX)
        return kt_fail(err, KT_INVALID, "\"paths\" has more than %u", APPROVAL_PATHS_MAX);
    for (size_t i = 0; kind == KT_OK && i < ret->n; i++)
        kind = check_path(ret->at[i], err);
    return kind;
}

static enum kt_kind read_group(struct request *req, struct group *ret, struct kt_err *err)
{
    const char *name = "";
    enum kt_kind kind = request_string(req, "group", &name, err);
    if (kind == KT_NOT_FOUND || (kind == KT_OK && name[0] == '\0'))
        return kt_fail(err, KT_INVALID, "missing \"group\": whose approval it needs");
    if (kind == KT_OK)
        kind = group_find_name(req, name, ret, err);
    if (kind == KT_NOT_FOUND)
        kind = group_find(req, name, ret, err);
    if (kind == KT_NOT_FOUND) {
        (void)kt_fail(err, KT_INVALID, "\"group\" names no group");
        kt_hint(err, "its name or its id; the groups: secretctl list identity/group/name");
        return KT_INVALID;
    }
    if (kind == KT_OK && ret->external) {
        (void)kt_fail(err, KT_INVALID, "\"group\" is an external group: who is in it is decided by logins");
        kt_hint(err, "make an internal one, with the entities of those who approve");
        return KT_INVALID;
    }
    if (kind == KT_OK && ret->entities.n > APPROVAL_GROUP_MAX) {
        (void)kt_fail(err, KT_INVALID, "\"group\" has %zu entities, more than %u", ret->entities.n, APPROVAL_GROUP_MAX);
        kt_hint(err, "make one of those who approve");
        return KT_INVALID;
    }
    return kind;
}

static enum kt_kind read_needed(struct request *req, const struct group *group, unsigned *ret, struct kt_err *err)
{
    int64_t needed = 1;
    enum kt_kind kind = request_int(req, "needed", &needed, err);
    if (kind != KT_OK && kind != KT_NOT_FOUND)
        return kind;
    if (needed < 1 || needed > (int64_t)APPROVAL_NEEDED_MAX)
        return kt_fail(err, KT_INVALID, "\"needed\" is between 1 and %u", APPROVAL_NEEDED_MAX);
    if ((uint64_t)needed > group->entities.n)
        return kt_fail(err, KT_INVALID, "\"needed\" is more than the group has entities: nobody could ever approve");
    if ((uint64_t)needed == group->entities.n)
        request_warn(req, "all who are in the group have to approve: nobody of them can ask");
    *ret = (unsigned)needed;
    return KT_OK;
}

static enum kt_kind read_ttl(struct request *req, int64_t *ret, struct kt_err *err)
{
    *ret = APPROVAL_TTL_S;
    enum kt_kind kind = request_duration_s(req, "ttl", ret, err);
    if (kind != KT_OK && kind != KT_NOT_FOUND)
        return kind;
    if (*ret == 0)
        *ret = APPROVAL_TTL_S;
    return *ret > APPROVAL_TTL_MAX_S ? kt_fail(err, KT_INVALID, "\"ttl\" is at most 720h") : KT_OK;
}

static bool any_covers(const struct approval_rules *rules, const char *path)
{
    for (size_t i = 0; i < rules->n; i++)
        for (size_t j = 0; j < rules->at[i].paths.n; j++)
            if (approval_covers(rules->at[i].paths.at[j], path, false))
                return true;
    return false;
}

/* Who may make a way to log in, or somebody who does, asks through him: who made that one nobody knows. */
static void warn_of_ways(struct request *req, const struct approval_rules *rules)
{
    const char *missing = !any_covers(rules, "sys/auth/ANY")         ? "sys/auth/*"
                          : !any_covers(rules, "auth/ANY/users/ANY") ? "auth/+/users/*"
                                                                     : NULL;
    if (missing != NULL)
        request_warn(req, "no rule is about %s: an approver who may write there can make somebody who asks in his "
                          "stead (docs/approvals.md)", missing);
}

enum kt_kind sys_approval_rule_write(struct request *req, struct kt_err *err)
{
    struct approval_rules rules;
    struct approval_rule rule = {0};
    struct group group = {0};
    enum kt_kind kind = read_name(req, &rule.name, err);
    if (kind == KT_OK)
        kind = read_paths(req, &rule.paths, err);
    if (kind == KT_OK)
        kind = read_group(req, &group, err);
    if (kind == KT_OK)
        kind = read_needed(req, &group, &rule.needed, err);
    if (kind == KT_OK)
        kind = read_ttl(req, &rule.ttl_s, err);
    if (kind == KT_OK)
        kind = approval_rules_load(req, &rules, err);
    if (kind != KT_OK)
        return kind;
    rule.group = group.id;
    struct approval_rule *old = approval_rules_find(&rules, rule.name);
    if (old == NULL && rules.n == APPROVAL_RULES_MAX)
        return kt_fail(err, KT_INVALID, "there are %u rules already: delete one first", APPROVAL_RULES_MAX);
    *(old != NULL ? old : &rules.at[rules.n++]) = rule;
    warn_of_ways(req, &rules);
    return approval_rules_save(req, &rules, err);
}

enum kt_kind sys_approval_rule_delete(struct request *req, struct kt_err *err)
{
    struct approval_rules rules;
    enum kt_kind kind = approval_rules_load(req, &rules, err);
    struct approval_rule *rule =
        kind == KT_OK ? approval_rules_find(&rules, request_param(req, "name")) : NULL;
    if (rule == NULL)
        return kind;
    *rule = rules.at[--rules.n];
    return approval_rules_save(req, &rules, err);
}
