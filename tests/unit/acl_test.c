/* Which pattern decides: a table of Vault's rules, then many random policies against an evaluator
 * that looks at every rule, segment by segment, and knows no index. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "vaultd/policy/policy.h"

#define ROUNDS   12000u
#define RULES    6u
#define PATHS    25u
#define TEXT_MAX 64u

/* ---- the obvious evaluator ---- */

struct plain {
    char pattern[TEXT_MAX]; /* as written */
    unsigned capabilities;
};

struct split {
    char text[TEXT_MAX];
    const char *at[TEXT_MAX];
    size_t n;
};

static void split(const char *text, struct split *ret)
{
    (void)snprintf(ret->text, sizeof ret->text, "%s", text);
    ret->n = 0;
    char *rest = ret->text;
    while (rest != NULL) {
        char *slash = strchr(rest, '/');
        if (slash != NULL)
            *slash++ = '\0';
        ret->at[ret->n++] = rest;
        rest = slash;
    }
}

static bool ends_in_star(const char *text)
{
    size_t len = strlen(text);
    return len > 0 && text[len - 1] == '*';
}

static bool is_plus(const char *text)
{
    return text[0] == '+' || strstr(text, "/+") != NULL;
}

static bool plain_matches(const struct plain *rule, const char *path)
{
    char pattern[TEXT_MAX];
    (void)snprintf(pattern, sizeof pattern, "%s", rule->pattern);
    bool star = ends_in_star(pattern);
    if (star)
        pattern[strlen(pattern) - 1] = '\0';
    if (!is_plus(rule->pattern))
        return star ? strncmp(pattern, path, strlen(pattern)) == 0 : strcmp(pattern, path) == 0;
    struct split want, have;
    split(pattern, &want);
    split(path, &have);
    if (star ? have.n < want.n : have.n != want.n)
        return false;
    for (size_t i = 0; i < want.n; i++) {
        bool last = star && i + 1 == want.n;
        if (strcmp(want.at[i], "+") == 0 || strcmp(want.at[i], have.at[i]) == 0 ||
            (last && strncmp(want.at[i], have.at[i], strlen(want.at[i])) == 0))
            continue;
        return false;
    }
    return true;
}

static size_t wildcard_at(const char *pattern)
{
    const char *plus = pattern[0] == '+' ? pattern : strstr(pattern, "/+");
    if (plus != NULL)
        return (size_t)(plus - pattern) + (plus[0] == '/');
    return strlen(pattern) - (ends_in_star(pattern) ? 1 : 0);
}

static unsigned pluses(const char *pattern)
{
    struct split parts;
    unsigned n = 0;
    split(pattern, &parts);
    for (size_t i = 0; i < parts.n; i++)
        n += strcmp(parts.at[i], "+") == 0;
    return n;
}

/* vault-api 3.4: > 0 when a is more specific. */
static int compare(const struct plain *a, const struct plain *b)
{
    size_t at_a = wildcard_at(a->pattern), at_b = wildcard_at(b->pattern);
    if (at_a != at_b)
        return at_a > at_b ? 1 : -1;
    bool star_a = ends_in_star(a->pattern), star_b = ends_in_star(b->pattern);
    if (star_a != star_b)
        return star_a ? -1 : 1;
    unsigned plus_a = pluses(a->pattern), plus_b = pluses(b->pattern);
    if (plus_a != plus_b)
        return plus_a < plus_b ? 1 : -1;
    size_t len_a = strlen(a->pattern), len_b = strlen(b->pattern);
    if (len_a != len_b)
        return len_a > len_b ? 1 : -1;
    return strcmp(a->pattern, b->pattern);
}

static const struct plain *plain_decide(const struct plain *rules, size_t n, const char *path)
{
    const struct plain *best = NULL;
    for (size_t i = 0; i < n; i++)
        if (!is_plus(rules[i].pattern) && !ends_in_star(rules[i].pattern) &&
            strcmp(rules[i].pattern, path) == 0)
            return &rules[i];
    for (size_t i = 0; i < n; i++)
        if (plain_matches(&rules[i], path) && (best == NULL || compare(&rules[i], best) > 0))
            best = &rules[i];
    return best;
}

/* A folder is asked for with and without its slash: a deny of either, else a grant of either. */
static bool plain_allows(const struct plain *rules, size_t n, const char *path, unsigned wanted)
{
    const struct plain *rule = plain_decide(rules, n, path), *other = NULL;
    size_t len = strlen(path);
    if (wanted == CAP_LIST && len > 0 && path[len - 1] == '/') {
        char shorter[TEXT_MAX];
        (void)snprintf(shorter, sizeof shorter, "%.*s", (int)(len - 1), path);
        other = plain_decide(rules, n, shorter);
    }
    const struct plain *both[] = {rule, other};
    bool granted = false;
    for (size_t i = 0; i < 2; i++) {
        if (both[i] != NULL && (both[i]->capabilities & CAP_DENY) != 0)
            return false;
        granted = granted || (both[i] != NULL && (both[i]->capabilities & wanted) != 0);
    }
    return granted;
}

/* Blocks of one pattern are one rule; a deny among them is all of it. */
static size_t merge(struct plain *rules, size_t n)
{
    size_t kept = 0;
    for (size_t i = 0; i < n; i++) {
        size_t j = 0;
        while (j < kept && strcmp(rules[j].pattern, rules[i].pattern) != 0)
            j++;
        if (j == kept)
            rules[kept++] = rules[i];
        else
            rules[j].capabilities |= rules[i].capabilities;
    }
    return kept;
}

/* ---- random texts from a small alphabet ---- */

static uint64_t seed = 88172645463325252u;

static unsigned pick(unsigned n)
{
    seed ^= seed << 13;
    seed ^= seed >> 7;
    seed ^= seed << 17;
    return (unsigned)(seed % n);
}

static void make_pattern(char *out)
{
    static const char *const parts[] = {"a", "b", "ab", "+", "a+", "aa", "+", "b", "+b"};
    unsigned n = 1 + pick(4);
    size_t len = 0;
    out[0] = '\0';
    for (unsigned i = 0; i < n; i++)
        len += (size_t)snprintf(out + len, TEXT_MAX - len, "%s%s", i == 0 ? "" : "/",
                                parts[pick(sizeof parts / sizeof parts[0])]);
    unsigned tail = pick(6);
    if (tail == 0)
        (void)snprintf(out + len, TEXT_MAX - len, "/*");
    else if (tail == 1 && out[len - 1] != '+')
        (void)snprintf(out + len, TEXT_MAX - len, "*");
    else if (tail == 2)
        (void)snprintf(out + len, TEXT_MAX - len, "/");
}

static void make_path(char *out)
{
    static const char *const parts[] = {"a", "b", "ab", "aa", "c", "aab"};
    unsigned n = 1 + pick(4);
    size_t len = 0;
    for (unsigned i = 0; i < n; i++)
        len += (size_t)snprintf(out + len, TEXT_MAX - len, "%s%s", i == 0 ? "" : "/",
                                parts[pick(sizeof parts / sizeof parts[0])]);
    if (pick(3) == 0)
        (void)snprintf(out + len, TEXT_MAX - len, "/");
}

static const struct {
    const char *word;
    unsigned bit;
    enum operation op;
} capabilities[] = {
    {"read", CAP_READ, OP_READ},
    {"list", CAP_LIST, OP_LIST},
    {"deny", CAP_DENY, OP_NONE},
};

static void add_block(struct kt_buf *text, const struct plain *rule)
{
    const char *separator = "";
    kt_buf_printf(text, "path \"%s%s\" { capabilities = [", pick(4) == 0 ? "/" : "", rule->pattern);
    for (size_t i = 0; i < 3; i++)
        if ((rule->capabilities & capabilities[i].bit) != 0) {
            kt_buf_printf(text, "%s\"%s\"", separator, capabilities[i].word);
            separator = ", ";
        }
    kt_buf_add_text(text, "] }\n");
}

static struct policy *parsed(const char *name, struct kt_buf *text)
{
    struct policy *policy = NULL;
    struct kt_err err = {0};
    if (policy_parse(name, kt_buf_bytes(text), &policy, &err) != KT_OK)
        fail_msg("%s in:\n%s", err.what, kt_buf_text(text));
    return policy;
}

static void compare_decisions(const struct acl *acl, const struct plain *rules, size_t n,
                              struct kt_buf *texts)
{
    for (unsigned i = 0; i < PATHS; i++) {
        char path[TEXT_MAX];
        make_path(path);
        for (size_t j = 0; j < 2; j++) {
            const struct acl_request ask = {
                .op = capabilities[j].op, .path = path, .path_len = strlen(path), .wrap_ttl_s = -1};
            struct acl_decision decision;
            acl_check(acl, &ask, &decision);
            bool wanted = plain_allows(rules, n, path, capabilities[j].bit);
            if (decision.allowed != wanted)
                fail_msg("%s '%s': expected %d, got %d by '%s' in:\n%s", capabilities[j].word, path,
                         wanted, decision.allowed, decision.pattern == NULL ? "" : decision.pattern,
                         kt_buf_text(texts));
        }
    }
}

static void agrees_with_the_obvious_evaluator(void **state)
{
    (void)state;
    struct kt_buf first, second;
    kt_buf_init(&first, 65536);
    kt_buf_init(&second, 65536);
    for (unsigned round = 0; round < ROUNDS; round++) {
        struct plain rules[RULES];
        size_t n = 1 + pick(RULES);
        kt_buf_reset(&first);
        kt_buf_reset(&second);
        for (size_t i = 0; i < n; i++) {
            make_pattern(rules[i].pattern);
            rules[i].capabilities = (pick(2) == 0 ? CAP_READ : CAP_LIST) |
                                    (pick(3) == 0 ? CAP_READ | CAP_LIST : 0u) |
                                    (pick(5) == 0 ? CAP_DENY : 0u);
            add_block(pick(2) == 0 ? &first : &second, &rules[i]);
        }
        struct policy *policies[2] = {parsed("first", &first), parsed("second", &second)};
        struct acl *acl = acl_build(policies, 2, false);
        assert_non_null(acl);
        n = merge(rules, n);
        kt_buf_add_bytes(&first, kt_buf_bytes(&second));
        compare_decisions(acl, rules, n, &first);
        acl_unref(acl);
        policy_unref(policies[0]);
        policy_unref(policies[1]);
    }
    kt_buf_free(&first);
    kt_buf_free(&second);
}

/* Words that restrict and that nothing here would heed. */
static void refuses_what_it_cannot_keep(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "path \"a\" { capabilities = [\"read\"] mfa_methods = [\"totp\"] }",
        "path \"a\" { capabilities = [\"read\"] control_group = { factor \"x\" { } } }",
        "{\"path\":{\"a\":{\"capabilities\":[\"read\"],\"mfa_methods\":[]}}}",
    };
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        struct policy *policy = NULL;
        struct kt_err err = {0};
        assert_int_equal(policy_parse("p", kt_str(texts[i]), &policy, &err), KT_INVALID);
        assert_non_null(strstr(err.what, "cannot be kept"));
    }
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(agrees_with_the_obvious_evaluator),
        cmocka_unit_test(refuses_what_it_cannot_keep),
    };
    if (argc > 1)
        cmocka_set_test_filter(argv[1]);
    return cmocka_run_group_tests_name("acl", tests, NULL, NULL);
}
