/* Policies: what parses, which pattern decides, how blocks merge, what parameters are let through.
 * policy_model_test.c has the fast evaluator against a slow one. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "vaultd/policy/policy.h"

static struct policy *parse(const char *text)
{
    struct policy *policy = NULL;
    struct kt_err err = {0};
    if (policy_parse("test", kt_str(text), &policy, &err) != KT_OK)
        fail_msg("'%s': %s", text, err.what);
    return policy;
}

/* The acl of up to three policies; texts end at the first NULL. */
static struct acl *build(const char *const *texts, size_t n)
{
    struct policy *policies[3] = {0};
    size_t used = 0;
    for (size_t i = 0; i < n && texts[i] != NULL; i++)
        policies[used++] = parse(texts[i]);
    struct acl *acl = acl_build(policies, used, false, NULL);
    assert_non_null(acl);
    for (size_t i = 0; i < used; i++)
        policy_unref(policies[i]);
    return acl;
}

static struct acl_decision ask(const struct acl *acl, enum operation op, const char *path,
                               const char *data)
{
    struct acl_request request = {
        .op = op, .path = path, .path_len = strlen(path), .wrap_ttl_s = -1};
    if (data != NULL) {
        assert_int_equal(kt_json_check(kt_str(data), NULL, NULL), KT_OK);
        request.data = kt_json_value(kt_str(data));
        request.has_data = kt_json_count(request.data) > 0;
    }
    struct acl_decision decision;
    acl_check(acl, &request, &decision);
    return decision;
}

/* ---- what parses ---- */

/* clang-format off */
static const struct text_row {
    const char *name, *text;
    const char *refusal; /* NULL: it is fine */
} texts[] = {
    {"nothing", "", NULL},
    {"only a comment", "# none", NULL},
    {"every capability", "path \"a\" { capabilities = [\"create\",\"read\",\"update\",\"delete\",\"list\",\"sudo\",\"patch\",\"deny\"] }", NULL},
    {"no capability", "path \"a\" { capabilities = [] }", NULL},
    {"an empty block", "path \"a\" { }", NULL},
    {"name is ignored", "name = \"x\"\npath \"a\" { policy = \"write\" }", NULL},
    {"JSON", "{\"path\":{\"a\":{\"capabilities\":[\"read\"]}}}", NULL},
    {"JSON with a list", "{\"path\":[{\"a\":{\"capabilities\":[\"read\"]}},{\"b\":{\"policy\":\"deny\"}}]}", NULL},
    {"durations", "path \"a\" { min_wrapping_ttl = \"1m\" max_wrapping_ttl = 90 }", NULL},
    {"a template", "path \"a/{{identity.entity.id}}/*\" { capabilities = [\"read\"] }", NULL},
    {"an unknown capability", "path \"a\" { capabilities = [\"raed\"] }", "invalid capability \"raed\""},
    {"root as a capability", "path \"a\" { capabilities = [\"root\"] }", "invalid capability"},
    {"a capability without its list", "path \"a\" { capabilities = \"read\" }", "list of strings"},
    {"an unknown key", "path \"a\" { capabilites = [\"read\"] }", "did you mean 'capabilities'"},
    {"an unknown block", "pth \"a\" { }", "did you mean 'path'"},
    {"an unknown old word", "path \"a\" { policy = \"raed\" }", "invalid policy word"},
    {"plus and star", "path \"a/+*\" { capabilities = [\"read\"] }", "wildcards"},
    {"wrapping the wrong way round", "path \"a\" { min_wrapping_ttl = \"2m\" max_wrapping_ttl = \"1m\" }", "max_wrapping_ttl"},
    {"a parameter without its list", "path \"a\" { allowed_parameters = { \"x\" = \"y\" } }", "must be a list"},
    {"parameters that are no map", "path \"a\" { denied_parameters = [\"x\"] }", "map of lists"},
    {"a second factor", "path \"a\" { capabilities = [\"read\"] mfa_methods = [\"totp\"] }", "cannot be kept"},
    {"a second factor in JSON", "{\"path\":{\"a\":{\"capabilities\":[\"read\"],\"mfa_methods\":[]}}}", "cannot be kept"},
    {"a control group", "path \"a\" { capabilities = [\"read\"] control_group = { factor \"x\" { } } }", "cannot be kept"},
    {"braces that do not close", "path \"a/{{identity.entity.id\" { }", "braces"},
    {"braces that only close", "path \"a/}}\" { }", "braces"},
    {"braces in braces", "path \"a/{{x{{y}}\" { }", "braces"},
    {"a block without its end", "path \"a\" {", "'}' is missing"},
};
/* clang-format on */

static void parses(void **state)
{
    const struct text_row *row = *state;
    struct policy *policy = NULL;
    struct kt_err err = {0};
    enum kt_kind kind = policy_parse("test", kt_str(row->text), &policy, &err);
    if ((kind == KT_OK) != (row->refusal == NULL) ||
        (kind != KT_OK && strstr(err.what, row->refusal) == NULL))
        fail_msg("'%s': expected %s, got %s %s", row->text,
                 row->refusal == NULL ? "a policy" : row->refusal, kt_kind_name(kind), err.what);
    policy_unref(policy);
}

/* ---- which pattern decides ---- */

#define CAPS(path, list) "path \"" path "\" { capabilities = [" list "] }\n"
#define READ             "\"read\""
#define LIST             "\"list\""
#define DENY             "\"deny\""

/* clang-format off */
static const struct decision_row {
    const char *name, *policies[3];
    enum operation op;
    const char *path;
    bool allowed;
} decisions[] = {
    {"exact", {CAPS("a/b", READ)}, OP_READ, "a/b", true},
    {"exact is not a prefix", {CAPS("a/b", READ)}, OP_READ, "a/bc", false},
    {"exact is not a folder", {CAPS("a/b", READ)}, OP_READ, "a/b/", false},
    {"a leading slash is nothing", {CAPS("/a", READ)}, OP_READ, "a", true},
    {"prefix", {CAPS("a/*", READ)}, OP_READ, "a/b/c", true},
    {"prefix matches nothing more", {CAPS("a/*", READ)}, OP_READ, "a/", true},
    {"prefix needs its slash", {CAPS("a/*", READ)}, OP_READ, "a", false},
    {"star alone", {CAPS("*", READ)}, OP_READ, "anything/at/all", true},
    {"star inside is a star", {CAPS("a*c", READ)}, OP_READ, "abc", false},
    {"star inside, literally", {CAPS("a*c", READ)}, OP_READ, "a*c", true},
    {"exact beats prefix", {CAPS("a/*", READ) CAPS("a/b", DENY)}, OP_READ, "a/b", false},
    {"and not its neighbour", {CAPS("a/*", READ) CAPS("a/b", DENY)}, OP_READ, "a/bb", true},
    {"longer prefix decides", {CAPS("a/*", READ) CAPS("a/b/*", LIST)}, OP_READ, "a/b/c", false},
    {"deny on a shorter prefix", {CAPS("a/*", DENY) CAPS("a/b/*", READ)}, OP_READ, "a/b/c", true},
    {"policies do not add up", {CAPS("a/*", READ), CAPS("a/b", LIST)}, OP_READ, "a/b", false},
    {"one pattern of two policies", {CAPS("a", READ), CAPS("a", LIST)}, OP_LIST, "a/", true},
    {"deny in one of two policies", {CAPS("a", READ), CAPS("a", DENY)}, OP_READ, "a", false},
    {"deny among others", {CAPS("a", READ "," DENY)}, OP_READ, "a", false},
    {"plus", {CAPS("a/+/c", READ)}, OP_READ, "a/b/c", true},
    {"plus is one segment", {CAPS("a/+/c", READ)}, OP_READ, "a/b/b/c", false},
    {"plus is a segment", {CAPS("a/+/c", READ)}, OP_READ, "a/c", false},
    {"plus may be empty", {CAPS("a/+", READ)}, OP_READ, "a/", true},
    {"plus at the end is one", {CAPS("a/+", READ)}, OP_READ, "a/b/c", false},
    {"plus at the beginning", {CAPS("+/b", READ)}, OP_READ, "a/b", true},
    {"plus alone", {CAPS("+", READ)}, OP_READ, "a", true},
    {"plus alone, two segments", {CAPS("+", READ)}, OP_READ, "a/b", false},
    {"plus in a segment is a plus", {CAPS("a+b", READ)}, OP_READ, "axb", false},
    {"plus in a segment, literally", {CAPS("a+b", READ)}, OP_READ, "a+b", true},
    {"plus before letters, literally", {CAPS("a/+b", READ)}, OP_READ, "a/+b", true},
    {"plus before letters, at the start", {CAPS("+b", READ)}, OP_READ, "+b", true},
    {"plus and star", {CAPS("a/+/c*", READ)}, OP_READ, "a/b/cd/e", true},
    {"plus and star, the rest must fit", {CAPS("a/+/c*", READ)}, OP_READ, "a/b/d", false},
    {"plus, then star", {CAPS("a/+/*", READ)}, OP_READ, "a/b/c/d", true},
    {"plus, then star, nothing more", {CAPS("a/+/*", READ)}, OP_READ, "a/b/", true},
    {"plus, then star, too short", {CAPS("a/+/*", READ)}, OP_READ, "a/b", false},
    {"later wildcard wins", {CAPS("a/+/*", LIST) CAPS("a/b*", READ)}, OP_READ, "a/b/c", true},
    {"star at the same place loses", {CAPS("a/+/x", READ) CAPS("a/*", DENY)}, OP_READ, "a/b/x", true},
    {"more plus loses", {CAPS("a/+/+", DENY) CAPS("a/+/c", READ)}, OP_READ, "a/b/c", true},
    {"longer text wins", {CAPS("a/+/b*", DENY) CAPS("a/+/bc*", READ)}, OP_READ, "a/x/bcd", true},
    {"list with the slash", {CAPS("a/", LIST)}, OP_LIST, "a/", true},
    {"list without the slash", {CAPS("a", LIST)}, OP_LIST, "a/", true},
    {"list below a prefix", {CAPS("a/*", LIST)}, OP_LIST, "a/", true},
    {"list of a plus", {CAPS("+", LIST)}, OP_LIST, "a/", true},
    {"list is not read", {CAPS("a", READ)}, OP_LIST, "a/", false},
    {"list: deny without the slash", {CAPS("a/*", LIST) CAPS("a", DENY)}, OP_LIST, "a/", false},
    {"list: deny with the slash", {CAPS("a", LIST) CAPS("a/", DENY)}, OP_LIST, "a/", false},
    {"a template is void", {CAPS("a/{{identity.entity.id}}", READ)}, OP_READ, "a/{{identity.entity.id}}", false},
    {"a void template leaves the others", {CAPS("a/{{identity.entity.id}}", READ) CAPS("a/*", READ)}, OP_READ, "a/b", true},
    {"a template that denies", {CAPS("a/{{identity.entity.id}}", DENY) CAPS("a/*", READ)}, OP_READ, "a/b", false},
    {"and whatever is more specific", {CAPS("a/{{identity.entity.id}}", DENY) CAPS("a/b", READ)}, OP_READ, "a/b", false},
    {"in another policy", {CAPS("a/b", READ), CAPS("a/{{identity.entity.id}}", DENY)}, OP_READ, "a/b", false},
    {"a value is one segment", {CAPS("a/{{identity.entity.id}}", DENY) CAPS("a/*", READ)}, OP_READ, "a/b/c", true},
    {"a denial of a prefix", {CAPS("a/{{identity.entity.id}}/*", DENY) CAPS("a/*", READ)}, OP_READ, "a/b/c/d", false},
    {"not what it can never be", {CAPS("a/{{identity.entity.id}}/*", DENY) CAPS("b", READ)}, OP_READ, "b", true},
    {"text around it stands", {CAPS("a/x-{{identity.entity.id}}-y", DENY) CAPS("a/*", READ)}, OP_READ, "a/x-1-z", true},
    {"text around it, twice", {CAPS("a/x-{{identity.entity.id}}-y", DENY) CAPS("a/*", READ)}, OP_READ, "a/x-y-y", false},
    {"two of them in a segment", {CAPS("a/{{x}}.{{y}}", DENY) CAPS("a/*", READ)}, OP_READ, "a/b.c.d", false},
    {"two of them, no dot", {CAPS("a/{{x}}.{{y}}", DENY) CAPS("a/*", READ)}, OP_READ, "a/bcd", true},
    {"beside a plus", {CAPS("+/{{x}}/c", DENY) CAPS("a/*", READ)}, OP_READ, "a/b/c", false},
    {"beside a plus, another end", {CAPS("+/{{x}}/c", DENY) CAPS("a/*", READ)}, OP_READ, "a/b/d", true},
    {"a denial of a listing", {CAPS("a/{{x}}", DENY) CAPS("a/*", LIST)}, OP_LIST, "a/b/", false},
    {"create", {CAPS("a", "\"create\"")}, OP_CREATE, "a", true},
    {"create is not update", {CAPS("a", "\"create\"")}, OP_UPDATE, "a", false},
    {"update is not create", {CAPS("a", "\"update\"")}, OP_CREATE, "a", false},
    {"update is not patch", {CAPS("a", "\"update\"")}, OP_PATCH, "a", false},
    {"sudo alone grants nothing", {CAPS("a", "\"sudo\"")}, OP_READ, "a", false},
    {"head is granted by nothing", {CAPS("a", "\"read\",\"list\",\"sudo\"")}, OP_HEAD, "a", false},
    {"the old write", {"path \"a\" { policy = \"write\" }"}, OP_DELETE, "a", true},
    {"the old write is not sudo", {"path \"a\" { policy = \"write\" }"}, OP_PATCH, "a", false},
    {"no policy", {NULL}, OP_READ, "a", false},
};
/* clang-format on */

static void decides(void **state)
{
    const struct decision_row *row = *state;
    struct acl *acl = build(row->policies, 3);
    struct acl_decision got = ask(acl, row->op, row->path, NULL);
    if (got.allowed != row->allowed || (got.why == NULL) != got.allowed)
        fail_msg("%s %s: expected %d, got %d by '%s' (%s)", operation_name(row->op), row->path,
                 row->allowed, got.allowed, got.pattern == NULL ? "" : got.pattern,
                 got.why == NULL ? "" : got.why);
    acl_unref(acl);
}

/* ---- parameters ---- */

#define WITH(block) "path \"a\" { capabilities = [\"update\",\"list\",\"delete\"] " block " }\n"

/* clang-format off */
static const struct data_row {
    const char *policies[3], *data;
    bool allowed;
} data_rows[] = {
    {{WITH("required_parameters = [\"ttl\"]")}, "{\"ttl\":1}", true},
    {{WITH("required_parameters = [\"TTL\"]")}, "{\"ttl\":1}", true},
    {{WITH("required_parameters = [\"ttl\"]")}, "{\"TTL\":1}", false},
    {{WITH("required_parameters = [\"ttl\"]")}, NULL, false},
    {{WITH("required_parameters = [\"ttl\"]"), WITH("required_parameters = [\"x\"]")}, "{\"ttl\":1}", false},
    {{WITH("allowed_parameters = { \"ttl\" = [\"1h\"] }")}, "{\"ttl\":\"1h\"}", true},
    {{WITH("allowed_parameters = { \"ttl\" = [\"1h\"] }")}, "{\"TTL\":\"1h\"}", true},
    {{WITH("allowed_parameters = { \"ttl\" = [\"1h\"] }")}, "{\"ttl\":\"2h\"}", false},
    {{WITH("allowed_parameters = { \"ttl\" = [\"1h\"] }")}, "{\"ttl\":\"1h\",\"x\":1}", false},
    {{WITH("allowed_parameters = { \"ttl\" = [\"1h\"] \"*\" = [] }")}, "{\"ttl\":\"1h\",\"x\":1}", true},
    {{WITH("allowed_parameters = { \"ttl\" = [\"1h\"] \"*\" = [] }")}, "{\"ttl\":\"2h\"}", false},
    {{WITH("allowed_parameters = { \"*\" = [] }")}, "{\"x\":1}", true},
    {{WITH("allowed_parameters = { \"n\" = [1, \"1\"] }")}, "{\"n\":1}", false},
    {{WITH("allowed_parameters = { \"n\" = [1, \"1\"] }")}, "{\"n\":\"1\"}", true},
    {{WITH("allowed_parameters = { \"b\" = [true] }")}, "{\"b\":true}", true},
    {{WITH("allowed_parameters = { \"b\" = [true] }")}, "{\"b\":\"true\"}", false},
    {{WITH("allowed_parameters = { \"s\" = [\"a*\"] }")}, "{\"s\":\"ab\"}", true},
    {{WITH("allowed_parameters = { \"s\" = [\"*a\"] }")}, "{\"s\":\"ba\"}", true},
    {{WITH("allowed_parameters = { \"s\" = [\"*a*\"] }")}, "{\"s\":\"bab\"}", true},
    {{WITH("allowed_parameters = { \"s\" = [\"*a*\"] }")}, "{\"s\":\"b\"}", false},
    {{WITH("allowed_parameters = { \"s\" = [\"*\"] }")}, "{\"s\":\"b\"}", false},
    {{WITH("allowed_parameters = { \"s\" = [\"*\"] }")}, "{\"s\":\"*\"}", true},
    {{WITH("allowed_parameters = { \"s\" = [\"**\"] }")}, "{\"s\":\"b\"}", true},
    {{WITH("allowed_parameters = { \"s\" = [\"**\"] }")}, "{\"s\":\"\"}", true},
    {{WITH("allowed_parameters = { \"s\" = [\"\"] }")}, "{\"s\":\"\"}", true},
    {{WITH("allowed_parameters = { \"l\" = [[\"a\"], {\"k\" = true}] }")}, "{\"l\":[\"a\"]}", true},
    {{WITH("allowed_parameters = { \"l\" = [[\"a\"], {\"k\" = true}] }")}, "{\"l\":{\"k\":true}}", true},
    {{WITH("allowed_parameters = { \"l\" = [[\"a\"], {\"k\" = true}] }")}, "{\"l\":[\"a\",\"b\"]}", false},
    {{WITH("allowed_parameters = { \"l\" = [[\"a\"], {\"k\" = true}] }")}, "{\"l\":\"\"}", false},
    {{WITH("allowed_parameters = { \"l\" = [[1]] }")}, "{\"l\":[1]}", false},
    {{WITH("denied_parameters = { \"x\" = [] }")}, "{\"x\":1}", false},
    {{WITH("denied_parameters = { \"x\" = [] }")}, "{\"X\":1}", false},
    {{WITH("denied_parameters = { \"x\" = [] }")}, "{\"y\":1}", true},
    {{WITH("denied_parameters = { \"x\" = [\"a*\"] }")}, "{\"x\":\"b\"}", true},
    {{WITH("denied_parameters = { \"*\" = [] }")}, "{\"x\":1}", false},
    {{WITH("denied_parameters = { \"*\" = [] }")}, NULL, true},
    {{WITH("allowed_parameters = { \"x\" = [\"a\"] }"), WITH("")}, "{\"x\":\"b\"}", false},
    {{WITH("allowed_parameters = { \"x\" = [\"a\"] }"), WITH("allowed_parameters = { \"x\" = [\"b\"] }")}, "{\"x\":\"b\"}", true},
    {{WITH("allowed_parameters = { \"x\" = [\"a\"] }"), WITH("allowed_parameters = { \"x\" = [] }")}, "{\"x\":\"c\"}", true},
    {{WITH("allowed_parameters = { \"x\" = [\"a\"] }"), WITH("allowed_parameters = { \"y\" = [] }")}, "{\"y\":1}", true},
    {{WITH("denied_parameters = { \"x\" = [\"a\"] }"), WITH("denied_parameters = { \"x\" = [\"b\"] }")}, "{\"x\":\"b\"}", false},
};
/* clang-format on */

static void parameters(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof data_rows / sizeof data_rows[0]; i++) {
        const struct data_row *row = &data_rows[i];
        struct acl *acl = build(row->policies, 3);
        if (ask(acl, OP_UPDATE, "a", row->data).allowed != row->allowed)
            fail_msg("row %zu: %s of %s: expected %d", i, row->policies[0],
                     row->data == NULL ? "nothing" : row->data, row->allowed);
        assert_true(ask(acl, OP_LIST, "a/", row->data).allowed);
        assert_true(ask(acl, OP_DELETE, "a", row->data).allowed);
        acl_unref(acl);
    }
}

static void wrapping(void **state)
{
    (void)state;
    static const char *const texts_of[] = {
        "path \"a\" { capabilities = [\"read\"] min_wrapping_ttl = \"1m\" max_wrapping_ttl = \"5m\" }",
        NULL};
    static const struct {
        int64_t ttl_s;
        bool allowed;
    } asked[] = {{-1, false}, {0, false}, {59, false}, {60, true}, {300, true}, {301, false}};
    struct acl *acl = build(texts_of, 1);
    for (size_t i = 0; i < sizeof asked / sizeof asked[0]; i++) {
        const struct acl_request request = {
            .op = OP_READ, .path = "a", .path_len = 1, .wrap_ttl_s = asked[i].ttl_s};
        struct acl_decision decision;
        acl_check(acl, &request, &decision);
        assert_int_equal(decision.allowed, asked[i].allowed);
    }
    acl_unref(acl);
}

/* ---- capabilities, the preflight ---- */

static void capabilities(void **state)
{
    (void)state;
    static const char *const of[] = {CAPS("a", "\"update\",\"read\",\"create\"") CAPS("b/", LIST)
                                         CAPS("c", DENY)
                                             CAPS("d/*", "\"sudo\",\"patch\",\"delete\""),
                                     NULL};
    static const struct {
        const char *path, *names;
    } rows[] = {{"a", "create read update"},
                {"a/", "create read update"},
                {"b", "list"},
                {"b/", "list"},
                {"c", "deny"},
                {"d/x", "delete patch sudo"},
                {"none", "deny"}};
    struct acl *acl = build(of, 1);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        const char *names[8];
        char got[128] = "";
        size_t n =
            capability_names(acl_capabilities(acl, rows[i].path, NULL, strlen(rows[i].path)), names);
        for (size_t j = 0; j < n; j++)
            (void)snprintf(got + strlen(got), sizeof got - strlen(got), "%s%s", j == 0 ? "" : " ",
                           names[j]);
        if (strcmp(got, rows[i].names) != 0)
            fail_msg("%s: expected '%s', got '%s'", rows[i].path, rows[i].names, got);
    }
    acl_unref(acl);
    acl = acl_build(NULL, 0, true, NULL);
    const char *names[8];
    assert_int_equal(capability_names(acl_capabilities(acl, "x", NULL, 1), names), 1);
    assert_string_equal(names[0], "root");
    assert_true(ask(acl, OP_DELETE, "anything", NULL).allowed);
    acl_unref(acl);
}

static void preflight(void **state)
{
    (void)state;
    static const struct {
        const char *policy[2], *mount;
        bool touches;
    } rows[] = {
        {{CAPS("kv/data/a", READ)}, "kv/", true},
        {{CAPS("kv", READ)}, "kv/", true},
        {{CAPS("kv/", LIST)}, "kv/", true},
        {{CAPS("k*", READ)}, "kv/", true},
        {{CAPS("*", READ)}, "kv/", true},
        {{CAPS("+/data/a", READ)}, "kv/", true},
        {{CAPS("kv/+/a", READ)}, "kv/", true},
        {{CAPS("kvx/*", READ)}, "kv/", false},
        {{CAPS("k", READ)}, "kv/", false},
        {{CAPS("kv/*", DENY)}, "kv/", false},
        {{CAPS("other/*", READ)}, "kv/", false},
        /* What a shorter pattern grants counts only where it decides. */
        {{CAPS("*", LIST), CAPS("kv/*", DENY)}, "kv/", false},
        {{CAPS("*", LIST), CAPS("kv/", DENY)}, "kv/", false},
        {{CAPS("kv/*", DENY), CAPS("kv/data/a", READ)}, "kv/", true},
        {{CAPS("*", DENY), CAPS("kv/data/*", READ)}, "kv/", true},
        {{CAPS("k*", DENY), CAPS("*", READ)}, "kv/", false},
        {{"path \"kv/*\" { }"}, "kv/", false},
        {{"# none"}, "kv/", false},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct acl *acl = build(rows[i].policy, 2);
        if (acl_touches(acl, rows[i].mount) != rows[i].touches)
            fail_msg("%s: expected %d", rows[i].policy[0], rows[i].touches);
        acl_unref(acl);
    }
}

/* Whose block it was: "a", "b" and "c" are the policies, in that order. */
static void deciders(void **state)
{
    (void)state;
    static const struct {
        const char *policies[3];
        enum operation op;
        const char *path, *names;
    } rows[] = {
        {{CAPS("x", READ), CAPS("x", READ), CAPS("y", READ)}, OP_READ, "x", "a b"},
        {{CAPS("x", READ), CAPS("x", LIST), CAPS("*", READ)}, OP_READ, "x", "a"},
        {{CAPS("x", READ), CAPS("x", LIST), CAPS("*", READ)}, OP_READ, "y", "c"},
        {{CAPS("x", READ), CAPS("x", DENY), CAPS("x", READ)}, OP_READ, "x", "b"},
        {{CAPS("x", READ), CAPS("x", LIST), CAPS("*", "\"update\"")}, OP_UPDATE, "x", "a b"},
        {{CAPS("x", READ) CAPS("x", READ), CAPS("y", READ)}, OP_READ, "x", "a"},
        {{CAPS("x", READ), CAPS("y", READ)}, OP_READ, "z", ""},
        {{CAPS("x", DENY) CAPS("+", READ), CAPS("+", READ)}, OP_READ, "z", "a b"},
        {{CAPS("x/", LIST), CAPS("x", DENY)}, OP_LIST, "x/", "b"},
        {{"path \"x\" { capabilities = [\"read\"] min_wrapping_ttl = \"2m\" }",
          "path \"x\" { capabilities = [\"read\"] max_wrapping_ttl = \"1m\" }"},
         OP_READ, "x", "a b"},
    };
    static const char *const names[] = {"a", "b", "c"};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct policy *policies[3] = {0};
        size_t n = 0;
        for (; n < 3 && rows[i].policies[n] != NULL; n++)
            assert_int_equal(policy_parse(names[n], kt_str(rows[i].policies[n]), &policies[n], NULL),
                             KT_OK);
        struct acl *acl = acl_build(policies, n, false, NULL);
        struct acl_decision decision = ask(acl, rows[i].op, rows[i].path, NULL);
        const char *out[8];
        char got[64] = "";
        size_t count = acl_deciders(&decision, rows[i].op, out, 8);
        for (size_t j = 0; j < count; j++)
            (void)snprintf(got + strlen(got), sizeof got - strlen(got), "%s%s", j == 0 ? "" : " ",
                           out[j]);
        if (strcmp(got, rows[i].names) != 0)
            fail_msg("row %zu: expected '%s', got '%s'", i, rows[i].names, got);
        if (count > 1)
            assert_int_equal(acl_deciders(&decision, rows[i].op, out, 1), 1);
        acl_unref(acl);
        for (size_t j = 0; j < n; j++)
            policy_unref(policies[j]);
    }
    struct acl *root = acl_build(NULL, 0, true, NULL);
    struct acl_decision decision = ask(root, OP_READ, "x", NULL);
    const char *out[8];
    assert_int_equal(acl_deciders(&decision, OP_READ, out, 8), 1);
    assert_string_equal(out[0], "root");
    acl_unref(root);
}

/* Time must not grow with the rules that do not match. */
static void thousands_of_rules(void **state)
{
    (void)state;
    struct kt_buf text;
    kt_buf_init(&text, 1024 * 1024);
    for (unsigned i = 0; i < 1900; i++)
        kt_buf_printf(&text, "path \"secret/data/%u/*\" { capabilities = [\"read\"] }\n", i);
    const char *const of[] = {kt_buf_text(&text)};
    struct acl *acl = build(of, 1);
    for (unsigned i = 0; i < 1900; i++) {
        char path[64];
        (void)snprintf(path, sizeof path, "secret/data/%u/x", i);
        assert_true(ask(acl, OP_READ, path, NULL).allowed);
        assert_false(ask(acl, OP_UPDATE, path, NULL).allowed);
    }
    assert_false(ask(acl, OP_READ, "secret/data/1900/x", NULL).allowed);
    acl_unref(acl);
    kt_buf_free(&text);
}

#define N_TEXTS     (sizeof texts / sizeof texts[0])
#define N_DECISIONS (sizeof decisions / sizeof decisions[0])
#define N_OTHERS    6u

int main(int argc, char **argv)
{
    struct CMUnitTest tests[N_OTHERS + N_TEXTS + N_DECISIONS] = {
        {.name = "parameters", .test_func = parameters},
        {.name = "wrapping", .test_func = wrapping},
        {.name = "capabilities", .test_func = capabilities},
        {.name = "preflight", .test_func = preflight},
        {.name = "deciders", .test_func = deciders},
        {.name = "thousands of rules", .test_func = thousands_of_rules},
    };
    for (size_t i = 0; i < N_TEXTS; i++)
        tests[N_OTHERS + i] = (struct CMUnitTest){.name = texts[i].name,
                                                  .test_func = parses,
                                                  .initial_state = (void *)(uintptr_t)&texts[i]};
    for (size_t i = 0; i < N_DECISIONS; i++)
        tests[N_OTHERS + N_TEXTS + i] =
            (struct CMUnitTest){.name = decisions[i].name,
                                .test_func = decides,
                                .initial_state = (void *)(uintptr_t)&decisions[i]};
    if (argc > 1)
        cmocka_set_test_filter(argv[1]);
    return cmocka_run_group_tests_name("policy", tests, NULL, NULL);
}
