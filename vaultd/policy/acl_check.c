#include <stdlib.h>

#include "vaultd/policy/merged.h"

unsigned capability_needed(enum operation op)
{
    static const struct {
        enum operation op;
        unsigned capability;
    } rows[] = {{OP_READ, CAP_READ},     {OP_LIST, CAP_LIST},   {OP_CREATE, CAP_CREATE},
                {OP_UPDATE, CAP_UPDATE}, {OP_PATCH, CAP_PATCH}, {OP_DELETE, CAP_DELETE}};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        if (rows[i].op == op)
            return rows[i].capability;
    return 0;
}

const char acl_why_sudo[] = "the deciding pattern does not grant sudo, which this path needs";

static const char *why_not(const struct rule *rule, const struct acl_request *request)
{
    if (rule == NULL)
        return "no pattern matches";
    if (rule_denies(rule))
        return "the deciding pattern denies";
    unsigned capability = capability_needed(request->op);
    if (capability == 0 || (rule->capabilities & capability) == 0)
        return "the deciding pattern does not grant this capability";
    int64_t wrap = request->wrap_ttl_s;
    if (rule->max_wrap_s > 0 && (wrap < 0 || wrap > rule->max_wrap_s))
        return "the deciding pattern wants the answer wrapped for less";
    if (rule->min_wrap_s > 0 && wrap < rule->min_wrap_s)
        return "the deciding pattern wants the answer wrapped for longer";
    unsigned with_data = OP_READ | OP_CREATE | OP_UPDATE | OP_PATCH;
    if (((unsigned)request->op & with_data) != 0) {
        struct kt_json data = request->has_data ? request->data : (struct kt_json){0};
        if (!rule_allows_data(rule, data))
            return "the deciding pattern does not allow these parameters";
    }
    return NULL;
}

/* A folder is named with and without its slash: an explicit deny deciding either wins, otherwise a
 * grant of either is enough, the one that has sudo as well before the other. What does not let this
 * very request through grants nothing. */
static const struct rule *decide_list(const struct acl *acl, const struct acl_request *request)
{
    const char *path = request->path;
    size_t len = request->path_len;
    const struct rule *with = acl_decide(acl, path, len);
    const struct rule *without =
        len > 0 && path[len - 1] == '/' ? acl_decide(acl, path, len - 1) : NULL;
    if (rule_denies(with))
        return with;
    if (rule_denies(without))
        return without;
    bool with_grants = why_not(with, request) == NULL;
    bool without_grants = why_not(without, request) == NULL;
    if (with_grants && without_grants)
        return (with->capabilities & CAP_SUDO) != 0 ? with : without;
    if (with_grants || without_grants)
        return with_grants ? with : without;
    return with != NULL ? with : without;
}

static void check_spelling(const struct acl *acl, const struct acl_request *request,
                           struct acl_decision *ret)
{
    if (acl->root) {
        *ret = (struct acl_decision){
            .allowed = true, .capabilities = ~0u, .sudo = true, .policy = "root"};
        return;
    }
    const struct rule *rule = acl_may_deny(acl, request->path, request->path_len);
    const char *why = "a denial whose template cannot be filled in may be meant";
    if (rule == NULL) {
        rule = request->op == OP_LIST ? decide_list(acl, request)
                                      : acl_decide(acl, request->path, request->path_len);
        why = why_not(rule, request);
    }
    *ret = (struct acl_decision){.allowed = why == NULL, .why = why};
    if (rule != NULL) {
        ret->capabilities = rule->capabilities;
        ret->sudo = (rule->capabilities & CAP_SUDO) != 0;
        ret->pattern = rule->pattern;
        ret->policy = rule->policy;
        ret->sources = rule->sources;
    }
}

/* One thing under several spellings: who restricts one of them means the thing. */
void acl_check(const struct acl *acl, const struct acl_request *request, struct acl_decision *ret)
{
    check_spelling(acl, request, ret);
    if (!ret->allowed || request->other == NULL)
        return;
    struct acl_request other = *request;
    struct acl_decision ruling;
    other.path = request->other;
    check_spelling(acl, &other, &ruling);
    if (ruling.pattern == NULL)
        return;
    if (!ruling.allowed)
        *ret = ruling;
    else
        ret->sudo = ret->sudo && ruling.sudo;
}

/* What a list of the folder would be granted, whatever it may want besides: both forms of the name are
 * looked at, as by the request. undecided: what it is where no pattern decides. */
static unsigned list_capabilities(const struct acl *acl, const char *path, size_t len,
                                  unsigned undecided)
{
    bool slash = len > 0 && path[len - 1] == '/';
    size_t bare = slash ? len - 1 : len;
    char *folder = malloc(bare + 1);
    if (folder == NULL)
        return 0; /* what cannot be looked at is not granted */
    if (bare > 0)
        memcpy(folder, path, bare);
    folder[bare] = '/';
    const struct rule *forms[] = {acl_decide(acl, folder, bare + 1), acl_decide(acl, folder, bare)};
    bool denied = acl_may_deny(acl, folder, bare + 1) != NULL || rule_denies(forms[0]) ||
                  rule_denies(forms[1]);
    free(folder);
    unsigned granted = forms[0] == NULL && forms[1] == NULL && !denied ? undecided : 0;
    for (size_t i = 0; i < 2 && !denied; i++)
        if (forms[i] != NULL && (forms[i]->capabilities & CAP_LIST) != 0)
            granted |= forms[i]->capabilities & (CAP_LIST | CAP_SUDO);
    return granted;
}

static unsigned spelling_capabilities(const struct acl *acl, const char *path, size_t len,
                                      unsigned undecided)
{
    const struct rule *rule = acl_decide(acl, path, len);
    if (rule == NULL && len > 0 && path[len - 1] == '/')
        rule = acl_decide(acl, path, len - 1);
    if (acl_may_deny(acl, path, len) != NULL || rule_denies(rule))
        return 0;
    unsigned list = list_capabilities(acl, path, len, undecided & (CAP_LIST | CAP_SUDO));
    if (rule == NULL)
        return list | (undecided & ~(unsigned)CAP_LIST);
    return (rule->capabilities & ~(unsigned)CAP_LIST) | (list & CAP_LIST);
}

unsigned acl_capabilities(const struct acl *acl, const char *path, const char *other,
                          size_t path_len)
{
    if (acl->root)
        return ~0u;
    unsigned granted = spelling_capabilities(acl, path, path_len, 0);
    if (other != NULL)
        granted &= spelling_capabilities(acl, other, path_len, ~(unsigned)CAP_DENY);
    return granted == 0 ? CAP_DENY : granted;
}
