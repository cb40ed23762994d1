/* A policy's text, then NUL, a path, NUL, a request's data: whatever parses can be asked
 * everything, and its answers fit together; what a pattern is said to reach, it matches. */
#include "vaultd/policy/policy.h"

#include "lib/assert.h"
#include "tests/fuzz/fuzz.h"
#include "vaultd/policy/reach.h"
#include "vaultd/policy/rule.h"

static struct kt_bytes part(struct kt_bytes *rest)
{
    const unsigned char *end = rest->len == 0 ? NULL : memchr(rest->at, '\0', rest->len);
    size_t len = end == NULL ? rest->len : (size_t)(end - rest->at);
    struct kt_bytes got = kt_bytes(rest->at, len);
    size_t skip = end == NULL ? len : len + 1;
    *rest = kt_bytes(rest->at + skip, rest->len - skip);
    return got;
}

static void ask(const struct acl *acl, enum operation op, unsigned capability, const char *path,
                struct kt_bytes data)
{
    struct acl_request request = {
        .op = op, .path = path, .path_len = strlen(path), .wrap_ttl_s = -1};
    if (kt_json_check(data, NULL, NULL) == KT_OK) {
        request.data = kt_json_value(data);
        request.has_data = kt_json_count(request.data) > 0;
    }
    struct acl_decision decision;
    acl_check(acl, &request, &decision);
    KT_ASSERT(decision.allowed == (decision.why == NULL));
    KT_ASSERT((decision.pattern == NULL) == (decision.policy == NULL));
    if (!decision.allowed)
        return;
    KT_ASSERT(decision.pattern != NULL);
    KT_ASSERT((decision.capabilities & capability) != 0);
    KT_ASSERT((decision.capabilities & CAP_DENY) == 0);
    KT_ASSERT(decision.sudo == ((decision.capabilities & CAP_SUDO) != 0));
    /* What may be done at a path shows that something can be reached there. */
    char mount[64];
    const char *slash = strchr(path, '/');
    if (slash != NULL && slash - path < 60 && op != OP_LIST) {
        memcpy(mount, path, (size_t)(slash - path) + 1);
        mount[slash - path + 1] = '\0';
        KT_ASSERT(acl_touches(acl, mount));
    }
}

static bool among(const struct acl *acl, enum operation op, const char *path, const char *pattern)
{
    const struct rule *matching[64];
    size_t n = acl_matching(acl, op, path, strlen(path), matching, 64);
    for (size_t i = 0; i < n; i++)
        if (strcmp(matching[i]->pattern, pattern) == 0)
            return true;
    return n == 64;
}

/* Whether one row answers this path, which pattern matches. */
static bool both(const struct acl *acl, enum operation op, const struct route *route,
                 const char *path, const char *pattern)
{
    const struct engine engine = {.routes = route, .n_routes = 1};
    struct request req = {.op = op};
    kt_arena_init(&req.arena, 65536);
    bool answers = route_match(&engine, path + 2, &req);
    kt_arena_free(&req.arena);
    return answers && among(acl, op, path, pattern);
}

static void reach(const struct acl *acl, const struct policy *policy, const char *asked)
{
    static const struct route routes[] = {{.pattern = "data/{path...}"},
                                          {.pattern = "metadata/{path...?}"},
                                          {.pattern = "config"},
                                          {.pattern = "mounts/{path...}/tune"},
                                          {.pattern = "a/{name}/b/{rest...}"}};
    const size_t n_routes = sizeof routes / sizeof routes[0];
    size_t n = 0;
    bool plain = strncmp(asked, "m/", 2) == 0 && strstr(asked, "//") == NULL &&
                 asked[strlen(asked) - 1] != '/' && strlen(asked) < 256;
    const struct rule *rules = policy_rules(policy, &n);
    for (size_t i = 0; i < n && i < 64; i++)
        for (size_t j = 0; j < 2 * n_routes; j++) {
            char path[REACH_PATH + 1];
            bool list = j >= n_routes;
            const struct route *route = &routes[j % n_routes];
            if (rules[i].template_form != NULL)
                continue;
            if (!reach_route(&rules[i], "m/", route, list, path)) {
                KT_ASSERT(list || !plain || !both(acl, OP_READ, route, asked, rules[i].pattern));
                continue;
            }
            KT_ASSERT(strlen(path) > 2 && memcmp(path, "m/", 2) == 0);
            if (list && path[strlen(path) - 1] != '/')
                memcpy(path + strlen(path), "/", 2); /* there is room for it */
            KT_ASSERT(both(acl, list ? OP_LIST : OP_READ, route, path, rules[i].pattern));
        }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct {
        enum operation op;
        unsigned capability;
    } ops[] = {{OP_READ, CAP_READ},     {OP_LIST, CAP_LIST},   {OP_CREATE, CAP_CREATE},
               {OP_UPDATE, CAP_UPDATE}, {OP_PATCH, CAP_PATCH}, {OP_DELETE, CAP_DELETE}};
    if (size > 16384)
        return 0;
    struct kt_bytes rest = kt_bytes(data, size);
    struct kt_bytes text = part(&rest), path = part(&rest);
    struct policy *policy = NULL;
    struct kt_err err = {0};
    if (policy_parse("f", text, &policy, &err) != KT_OK) {
        KT_ASSERT(policy == NULL && err.what[0] != '\0');
        return 0;
    }
    struct policy *const twice[] = {policy, policy};
    struct acl *acl = acl_build(twice, 1, false, NULL), *same = acl_build(twice, 2, false, NULL);
    KT_ASSERT(acl != NULL && same != NULL);
    struct kt_arena arena;
    kt_arena_init(&arena, 65536);
    const char *asked = kt_arena_text(&arena, path);
    KT_ASSERT(asked != NULL);
    for (size_t i = 0; i < sizeof ops / sizeof ops[0]; i++)
        ask(acl, ops[i].op, ops[i].capability, asked, rest);
    reach(acl, policy, asked);
    /* A policy that a token has twice is the policy. */
    unsigned once = acl_capabilities(acl, asked, NULL, strlen(asked));
    KT_ASSERT(once == acl_capabilities(same, asked, NULL, strlen(asked)));
    const char *names[8];
    KT_ASSERT(capability_names(once, names) > 0);
    acl_unref(acl);
    acl_unref(same);
    policy_unref(policy);
    kt_arena_free(&arena);
    return 0;
}
