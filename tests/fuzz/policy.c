/* A policy's text, then NUL, a path, NUL, a request's data: whatever parses can be asked
 * everything, and its answers fit together. */
#include "vaultd/policy/policy.h"

#include "lib/assert.h"
#include "tests/fuzz/fuzz.h"

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
    struct acl *acl = acl_build(twice, 1, false), *same = acl_build(twice, 2, false);
    KT_ASSERT(acl != NULL && same != NULL);
    struct kt_arena arena;
    kt_arena_init(&arena, 65536);
    const char *asked = kt_arena_text(&arena, path);
    KT_ASSERT(asked != NULL);
    for (size_t i = 0; i < sizeof ops / sizeof ops[0]; i++)
        ask(acl, ops[i].op, ops[i].capability, asked, rest);
    /* A policy that a token has twice is the policy. */
    unsigned once = acl_capabilities(acl, asked, strlen(asked));
    KT_ASSERT(once == acl_capabilities(same, asked, strlen(asked)));
    const char *names[8];
    KT_ASSERT(capability_names(once, names) > 0);
    acl_unref(acl);
    acl_unref(same);
    policy_unref(policy);
    kt_arena_free(&arena);
    return 0;
}
