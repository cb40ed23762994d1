/* The policy evaluator against a slow one that says Vault's rules word by word, on generated
 * policies and paths; the same ones at each run. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "vaultd/policy/policy.h"

/* ---- the slow one ---- */

#define BLOCKS 12u

struct block {
    char pattern[64];
    unsigned caps;
};
struct book {
    struct block blocks[BLOCKS];
    size_t n;
};

struct parts {
    char text[64];
    const char *at[16];
    size_t n;
};

static void split(const char *text, size_t len, struct parts *ret)
{
    memcpy(ret->text, text, len);
    ret->text[len] = '\0';
    ret->n = 0;
    char *at = ret->text;
    for (;;) {
        ret->at[ret->n++] = at;
        char *slash = strchr(at, '/');
        if (slash == NULL)
            return;
        *slash = '\0';
        at = slash + 1;
    }
}

static bool ends_in_star(const char *pattern)
{
    size_t len = strlen(pattern);
    return len > 0 && pattern[len - 1] == '*';
}

static bool is_plus_pattern(const char *pattern)
{
    return strcmp(pattern, "+") == 0 || strncmp(pattern, "+/", 2) == 0 ||
           strstr(pattern, "/+") != NULL;
}

static bool plus_matches(const char *pattern, const char *path)
{
    bool star = ends_in_star(pattern);
    struct parts p, s;
    split(pattern, strlen(pattern) - star, &p);
    split(path, strlen(path), &s);
    if (star ? s.n < p.n : s.n != p.n)
        return false;
    for (size_t i = 0; i < p.n; i++) {
        bool last = star && i == p.n - 1;
        bool same = strcmp(p.at[i], s.at[i]) == 0;
        bool begins = last && strncmp(s.at[i], p.at[i], strlen(p.at[i])) == 0;
        if (strcmp(p.at[i], "+") != 0 && !same && !begins)
            return false;
    }
    return true;
}

/* Greater is more specific; in the order in which they are compared. */
static int more_specific(const char *a, const char *b)
{
    const char *both[2] = {a, b};
    long keys[2][4];
    char bare[2][64];
    for (int i = 0; i < 2; i++) {
        bool star = ends_in_star(both[i]), plus = is_plus_pattern(both[i]);
        (void)snprintf(bare[i], sizeof bare[i], "%.*s", (int)strlen(both[i]) - star, both[i]);
        struct parts p;
        split(bare[i], strlen(bare[i]), &p);
        long count = 0;
        for (size_t j = 0; j < p.n; j++)
            count += plus && strcmp(p.at[j], "+") == 0;
        keys[i][0] = plus ? (long)(strchr(both[i], '+') - both[i]) : (long)strlen(bare[i]);
        keys[i][1] = star ? 0 : 1;
        keys[i][2] = -count;
        keys[i][3] = (long)strlen(bare[i]);
    }
    for (int k = 0; k < 4; k++)
        if (keys[0][k] != keys[1][k])
            return keys[0][k] > keys[1][k] ? 1 : -1;
    return strcmp(bare[0], bare[1]);
}

static unsigned merged(const struct book *book, const char *pattern)
{
    unsigned caps = 0;
    for (size_t i = 0; i < book->n; i++)
        if (strcmp(book->blocks[i].pattern, pattern) == 0)
            caps |= book->blocks[i].caps;
    return (caps & CAP_DENY) != 0 ? CAP_DENY : caps;
}

static const char *slow_decide(const struct book *book, const char *path)
{
    const char *best = NULL, *prefix = NULL;
    for (size_t i = 0; i < book->n; i++) {
        const char *pattern = book->blocks[i].pattern;
        if (!is_plus_pattern(pattern) && !ends_in_star(pattern) && strcmp(pattern, path) == 0)
            return pattern;
        if (!is_plus_pattern(pattern) && ends_in_star(pattern) &&
            strncmp(path, pattern, strlen(pattern) - 1) == 0 &&
            (prefix == NULL || strlen(pattern) > strlen(prefix)))
            prefix = pattern;
    }
    best = prefix;
    for (size_t i = 0; i < book->n; i++) {
        const char *pattern = book->blocks[i].pattern;
        if (is_plus_pattern(pattern) && plus_matches(pattern, path) &&
            (best == NULL || more_specific(pattern, best) > 0))
            best = pattern;
    }
    return best;
}

static unsigned slow_caps(const struct book *book, const char *path)
{
    const char *pattern = slow_decide(book, path);
    return pattern == NULL ? 0 : merged(book, pattern);
}

static bool slow_allows(const struct book *book, enum operation op, const char *path)
{
    static const struct {
        enum operation op;
        unsigned cap;
    } needs[] = {{OP_READ, CAP_READ},
                 {OP_UPDATE, CAP_UPDATE},
                 {OP_CREATE, CAP_CREATE},
                 {OP_DELETE, CAP_DELETE},
                 {OP_PATCH, CAP_PATCH}};
    unsigned caps = slow_caps(book, path);
    if (op == OP_LIST) {
        char without[64];
        (void)snprintf(without, sizeof without, "%.*s", (int)strlen(path) - 1, path);
        unsigned other = slow_caps(book, without);
        return ((caps | other) & CAP_DENY) == 0 && ((caps | other) & CAP_LIST) != 0;
    }
    for (size_t i = 0; i < sizeof needs / sizeof needs[0]; i++)
        if (needs[i].op == op)
            return (caps & needs[i].cap) != 0;
    return false;
}

/* ---- generated cases, the same at each run ---- */

static uint64_t next(uint64_t *state, uint64_t below)
{
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return *state % below;
}

static void make_path(uint64_t *seed, char *out, size_t size, bool pattern)
{
    static const char *const words[] = {"a", "b", "ab", "c", "+x", "a+", "+", "+", "+"};
    size_t n_words = pattern ? sizeof words / sizeof words[0] : 6;
    size_t n = 1 + next(seed, 4);
    out[0] = '\0';
    for (size_t i = 0; i < n; i++)
        (void)snprintf(out + strlen(out), size - strlen(out), "%s%s", i == 0 ? "" : "/",
                       words[next(seed, n_words)]);
    static const char *const ends[] = {"", "", "*", "/", "/*"};
    const char *end = ends[next(seed, pattern ? 5 : 2)];
    if (!pattern)
        end = next(seed, 4) == 0 ? "/" : "";
    bool refused = end[0] == '*' && out[strlen(out) - 1] == '+';
    if (!refused)
        (void)snprintf(out + strlen(out), size - strlen(out), "%s", end);
}

static void make_book(uint64_t *seed, struct book *book, struct kt_buf text[3])
{
    static const char *const names[] = {"read",  "update", "create", "delete",
                                        "patch", "list",   "deny"};
    static const unsigned bits[] = {CAP_READ,  CAP_UPDATE, CAP_CREATE, CAP_DELETE,
                                    CAP_PATCH, CAP_LIST,   CAP_DENY};
    book->n = 1 + next(seed, BLOCKS - 1);
    for (size_t i = 0; i < 3; i++)
        kt_buf_reset(&text[i]);
    for (size_t i = 0; i < book->n; i++) {
        struct block *block = &book->blocks[i];
        make_path(seed, block->pattern, sizeof block->pattern, true);
        block->caps = 0;
        struct kt_buf *out = &text[next(seed, 3)];
        kt_buf_printf(out, "path \"%s\" { capabilities = [", block->pattern);
        for (size_t j = 0; j < 7; j++)
            if (next(seed, j == 6 ? 8 : 2) == 0) {
                kt_buf_printf(out, "%s\"%s\"", block->caps == 0 ? "" : ", ", names[j]);
                block->caps |= bits[j];
            }
        kt_buf_add_text(out, "] }\n");
    }
}

/* The acl of the texts, each a policy. */
static struct acl *build(const char *const texts[3])
{
    struct policy *policies[3] = {0};
    struct kt_err err = {0};
    for (size_t i = 0; i < 3; i++)
        if (policy_parse("test", kt_str(texts[i]), &policies[i], &err) != KT_OK)
            fail_msg("'%s': %s", texts[i], err.what);
    struct acl *acl = acl_build(policies, 3, false);
    assert_non_null(acl);
    for (size_t i = 0; i < 3; i++)
        policy_unref(policies[i]);
    return acl;
}

static bool allows(const struct acl *acl, enum operation op, const char *path)
{
    const struct acl_request request = {
        .op = op, .path = path, .path_len = strlen(path), .wrap_ttl_s = -1};
    struct acl_decision decision;
    acl_check(acl, &request, &decision);
    return decision.allowed;
}

static void agrees_with_the_slow_one(void **state)
{
    (void)state;
    static const enum operation ops[] = {OP_READ,   OP_UPDATE, OP_CREATE,
                                         OP_DELETE, OP_PATCH,  OP_LIST};
    uint64_t seed = 20261125;
    struct kt_buf text[3];
    for (size_t i = 0; i < 3; i++)
        kt_buf_init(&text[i], 65536);
    size_t allowed = 0, cases = 0;
    for (size_t round = 0; round < 4000; round++) {
        struct book book;
        make_book(&seed, &book, text);
        const char *const of[3] = {kt_buf_text(&text[0]), kt_buf_text(&text[1]),
                                   kt_buf_text(&text[2])};
        struct acl *acl = build(of);
        for (size_t i = 0; i < 25; i++, cases++) {
            char path[64];
            enum operation op = ops[next(&seed, 6)];
            make_path(&seed, path, sizeof path, false);
            size_t len = strlen(path);
            if (op == OP_LIST && path[len - 1] != '/')
                (void)snprintf(path + len, sizeof path - len, "/");
            bool wanted = slow_allows(&book, op, path), got = allows(acl, op, path);
            allowed += got;
            if (wanted != got)
                fail_msg("round %zu: %s %s: expected %d, got %d with\n%s%s%s", round,
                         operation_name(op), path, wanted, got, of[0], of[1], of[2]);
        }
        acl_unref(acl);
    }
    for (size_t i = 0; i < 3; i++)
        kt_buf_free(&text[i]);
    assert_int_equal(cases, 100000);
    /* Neither always yes nor always no, or the comparison would say little. */
    assert_true(allowed > cases / 20 && allowed < cases / 2);
}

int main(int argc, char **argv)
{
    static const struct CMUnitTest tests[] = {
        {.name = "100,000 cases", .test_func = agrees_with_the_slow_one},
    };
    if (argc > 1)
        cmocka_set_test_filter(argv[1]);
    return cmocka_run_group_tests_name("policy_model", tests, NULL, NULL);
}
