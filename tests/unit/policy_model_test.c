/* The policy evaluator against a slow one (tests/support/slow_policy.h), on 1,000,000 generated
 * questions: policies in HCL and in JSON, templates, paths, operations, parameters, wrapping; the same
 * ones at each run, others with KT_SEED=, more with KT_CASES=. Each is asked in every way in which the
 * evaluator answers: of the request itself, of capabilities, of what matches (policy explain), of the
 * mount's visibility, and of what a token is shown to have (resultant-acl), which is read back and
 * asked again. unit/policy_ways_test asks the same of a whole vault. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "lib/jsonw.h"
#include "tests/support/policy_cases.h"
#include "tests/support/shown_policy.h"
#include "vaultd/policy/rule.h"

#define CASES_PER_BOOK 50u

static bool value_of(const void *arg, struct kt_bytes directive, struct kt_arena *arena,
                     struct kt_bytes *ret)
{
    const struct cases *cases = arg;
    (void)arena;
    for (size_t i = 0; i < CASES_FACTS; i++)
        if (kt_bytes_is(directive, cases->facts[i].directive)) {
            *ret = kt_str(cases->facts[i].value == NULL ? "" : cases->facts[i].value);
            return cases->facts[i].value != NULL;
        }
    return false;
}

static struct acl *build(struct cases *cases)
{
    struct policy *policies[CASES_POLICIES] = {0};
    struct kt_err err = {0};
    for (size_t i = 0; i < CASES_POLICIES; i++)
        if (policy_parse("test", kt_buf_bytes(&cases->text[i]), &policies[i], &err) != KT_OK)
            fail_msg("'%s': %s", kt_buf_text(&cases->text[i]), err.what);
    const struct acl_source source = {.value = value_of, .arg = cases};
    struct acl *acl = acl_build(policies, CASES_POLICIES, false, &source);
    assert_non_null(acl);
    for (size_t i = 0; i < CASES_POLICIES; i++)
        policy_unref(policies[i]);
    return acl;
}

/* ---- what a token is shown, read back ---- */

/* The caller gives back what the blocks' names lie in. */
static json_t *read_shown(const struct acl *acl, struct slow_book *ret)
{
    struct kt_arena arena;
    struct kt_err err = {0};
    kt_autobuf struct kt_buf text;
    kt_arena_init(&arena, (size_t)1024 * 1024);
    kt_buf_init(&text, (size_t)1024 * 1024);
    struct kt_jsonw w = kt_jsonw(&text);
    assert_int_equal(acl_show(acl, &arena, &w, &err), KT_OK);
    json_t *shown = json_loads(kt_buf_text(&text), 0, NULL);
    assert_non_null(shown);
    shown_read(shown, NULL, ret);
    kt_arena_free(&arena);
    return shown;
}

/* ---- the questions ---- */

static struct acl_decision ask(const struct acl *acl, struct cases *cases)
{
    const struct slow_request *request = &cases->request;
    const struct acl_request asked = {.op = request->op,
                                      .path = request->path,
                                      .path_len = strlen(request->path),
                                      .data = kt_json_value(kt_buf_bytes(&cases->data)),
                                      .has_data = request->has_data,
                                      .wrap_ttl_s = request->wrap_ttl_s};
    struct acl_decision decision;
    acl_check(acl, &asked, &decision);
    return decision;
}

static void check_matching(const struct acl *acl, struct cases *cases)
{
    const struct slow_request *request = &cases->request;
    const struct rule *rules[SLOW_BLOCKS + 1];
    size_t n = acl_matching(acl, request->op, request->path, strlen(request->path), rules,
                            SLOW_BLOCKS + 1);
    size_t slow = slow_matching(&cases->filled, request->op, request->path);
    const char *decides = slow_deciding(&cases->filled, request->path);
    bool refused = slow_refuses(&cases->filled, request->path);
    bool same = n == slow;
    if (same && n > 0 && request->op != OP_LIST && !refused)
        same = decides != NULL && strcmp(rules[0]->pattern, decides) == 0;
    if (!same) {
        cases_print(cases);
        fail_msg("the rules say that %zu patterns match and %s decides; vaultd has %zu, the first is %s",
                 slow, decides == NULL ? "none" : decides, n, n == 0 ? "none" : rules[0]->pattern);
    }
}

static void check_capabilities(const struct acl *acl, struct cases *cases)
{
    const char *path = cases->request.path;
    unsigned slow = slow_capabilities(&cases->filled, path);
    unsigned fast = acl_capabilities(acl, path, NULL, strlen(path));
    char prefix[SLOW_PATTERN];
    (void)snprintf(prefix, sizeof prefix, "%.*s/", (int)strcspn(path, "/"), path);
    bool seen = slow_touches(&cases->filled, prefix), shown = acl_touches(acl, prefix);
    if (slow == fast && seen == shown)
        return;
    cases_print(cases);
    fail_msg("of its capabilities the rules say %x, vaultd %x; of a mount at %s they say %d and %d", slow,
             fast, prefix, seen, shown);
}

/* Asked with nothing that could be wrong about it; what is claimed is let through then, but for patterns
 * that want something. */
static bool plainly(const struct acl *acl, const struct slow_request *request)
{
    const struct rule *first = NULL;
    const struct acl_request plain = {.op = request->op,
                                      .path = request->path,
                                      .path_len = strlen(request->path),
                                      .wrap_ttl_s = -1};
    struct acl_decision decision;
    acl_check(acl, &plain, &decision);
    return decision.allowed || (acl_matching(acl, request->op, request->path, plain.path_len, &first, 1) == 1 &&
                                rule_restricts(first));
}

/* Of a folder's name without a list it is claimed more than a request gets, as in Vault. */
static void check_claim(const struct acl *acl, struct cases *cases, bool allowed)
{
    static const struct {
        enum operation op;
        unsigned bit;
    } bits[] = {{OP_READ, CAP_READ},     {OP_UPDATE, CAP_UPDATE}, {OP_CREATE, CAP_CREATE},
                {OP_DELETE, CAP_DELETE}, {OP_PATCH, CAP_PATCH},   {OP_LIST, CAP_LIST}};
    const char *path = cases->request.path;
    size_t len = strlen(path);
    unsigned claimed = acl_capabilities(acl, path, NULL, len);
    for (size_t i = 0; i < sizeof bits / sizeof bits[0]; i++)
        if (bits[i].op == cases->request.op && allowed && (claimed & bits[i].bit) == 0) {
            cases_print(cases);
            fail_msg("it is let through, but capabilities do not say so: %x", claimed);
        } else if (bits[i].op == cases->request.op && (claimed & bits[i].bit) != 0 &&
                   path[len - 1] != '/' && !plainly(acl, &cases->request)) {
            cases_print(cases);
            fail_msg("capabilities say so, but it is not let through: %x", claimed);
        }
}

static void disagree(struct cases *cases, uint64_t seed, const char *way, bool slow, bool fast)
{
    cases_print(cases);
    fail_msg("KT_SEED=%ju, %s: the rules say %s, vaultd %s (or sudo differs)", (uintmax_t)seed, way,
             slow ? "yes" : "no", fast ? "yes" : "no");
}

static void agrees_with_the_slow_one(void **state)
{
    (void)state;
    static struct cases cases;
    static struct slow_book shown;
    uint64_t wanted = cases_wanted(1000000), n = 0, allowed = 0, by_data = 0, refused = 0;
    cases_init(&cases, 20261125);
    while (n < wanted) {
        uint64_t seed = cases.seed;
        cases_next_book(&cases);
        struct acl *acl = build(&cases);
        json_t *held = read_shown(acl, &shown);
        for (size_t i = 0; i < CASES_PER_BOOK; i++, n++) {
            bool sudo = false, shown_sudo = false;
            cases_next_request(&cases);
            const struct slow_request *request = &cases.request;
            bool slow = slow_allows(&cases.filled, request, &sudo);
            struct acl_decision fast = ask(acl, &cases);
            allowed += slow;
            by_data += slow && request->n_members > 0 && request->op != OP_LIST &&
                       request->op != OP_DELETE;
            if (slow != fast.allowed || (slow && sudo != fast.sudo))
                disagree(&cases, seed, "the request", slow, fast.allowed);
            check_capabilities(acl, &cases);
            check_claim(acl, &cases, slow);
            check_matching(acl, &cases);
            bool meant = slow_refuses(&cases.filled, request->path);
            refused += meant;
            bool by_shown = !meant && slow_allows(&shown, request, &shown_sudo);
            if (by_shown != slow || (slow && shown_sudo != sudo))
                disagree(&cases, seed, "what it is shown to have", slow, by_shown);
        }
        json_decref(held);
        acl_unref(acl);
    }
    cases_free(&cases);
    /* Neither always yes nor always no, or the comparison would say little. */
    assert_true(allowed > n / 20 && allowed < n / 2 && by_data > n / 100);
    assert_true(refused > n / 100 && refused < n / 2);
}

int main(int argc, char **argv)
{
    static const struct CMUnitTest tests[] = {
        {.name = "1,000,000 cases", .test_func = agrees_with_the_slow_one},
    };
    if (argc > 1)
        cmocka_set_test_filter(argv[1]);
    return cmocka_run_group_tests_name("policy_model", tests, NULL, NULL);
}
