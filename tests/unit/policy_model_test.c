/* The policy evaluator against a slow one (tests/support/slow_policy.h), on 1,000,000 generated
 * questions: policies in HCL and in JSON, paths, operations, parameters, wrapping; the same ones at
 * each run, others with KT_SEED=, more with KT_CASES=. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "lib/num.h"
#include "tests/support/slow_policy.h"

#define POLICIES        3u
#define CASES_PER_BOOK  50u

static uint64_t next(uint64_t *state, uint64_t below)
{
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return (*state >> 11) % below;
}

static uint64_t from_environment(const char *name, uint64_t number)
{
    const char *text = secure_getenv(name);
    if (text != NULL)
        assert_true(kt_u64_parse(kt_str(text), UINT64_MAX, &number));
    return number;
}

/* ---- paths and patterns ---- */

static void make_path(uint64_t *seed, char *out, size_t size, bool pattern)
{
    static const char *const words[] = {"a", "b", "ab", "c", "+x", "a+", "", "+", "+", "+"};
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
    bool refused = end[0] == '*' && out[0] != '\0' && out[strlen(out) - 1] == '+';
    if (!refused)
        (void)snprintf(out + strlen(out), size - strlen(out), "%s", end);
    /* A leading slash of a pattern is not part of it; the generator writes one of its own. */
    if (pattern && out[0] == '/')
        out[0] = 'a';
}

/* ---- policies ---- */

static size_t writable_value(uint64_t *seed)
{
    size_t at = next(seed, slow_n_values);
    while (slow_values[at].policy == NULL)
        at = next(seed, slow_n_values);
    return at;
}

static void make_names(uint64_t *seed, struct slow_names *ret)
{
    static const char *const names[] = {"ttl", "Opt", "data", "x", "*"};
    ret->n = next(seed, 3) == 0 ? 1 + next(seed, SLOW_NAMES) : 0;
    size_t first = next(seed, 5);
    for (size_t i = 0; i < ret->n; i++) {
        ret->at[i].name = names[(first + i) % 5];
        ret->at[i].n = next(seed, SLOW_VALUES + 1);
        for (size_t j = 0; j < ret->at[i].n; j++)
            ret->at[i].values[j] = writable_value(seed);
    }
}

static void make_block(uint64_t *seed, const struct slow_book *book, struct slow_block *block)
{
    static const unsigned bits[] = {CAP_READ,  CAP_UPDATE, CAP_CREATE, CAP_DELETE,
                                    CAP_PATCH, CAP_LIST,   CAP_SUDO};
    *block = (struct slow_block){0};
    /* Blocks of one pattern are merged: without help that would hardly happen. */
    if (book->n > 0 && next(seed, 3) == 0)
        memcpy(block->pattern, book->blocks[next(seed, book->n)].pattern, sizeof block->pattern);
    else
        make_path(seed, block->pattern, sizeof block->pattern, true);
    for (size_t i = 0; i < sizeof bits / sizeof bits[0]; i++)
        if (next(seed, 3) != 0)
            block->capabilities |= bits[i];
    if (next(seed, 10) == 0)
        block->capabilities |= CAP_DENY;
    make_names(seed, &block->allowed);
    make_names(seed, &block->denied);
    if (next(seed, 8) == 0)
        block->required = next(seed, 2) == 0 ? "ttl" : "OPT";
    if (next(seed, 8) == 0)
        block->min_wrap_s = (int64_t)(1 + next(seed, 4)) * 10;
    if (next(seed, 8) == 0)
        block->max_wrap_s = block->min_wrap_s + (int64_t)(1 + next(seed, 4)) * 10;
}

static void write_names(struct kt_buf *out, const char *key, const struct slow_names *names,
                        bool json)
{
    if (names->n == 0)
        return;
    const char *is = json ? ": " : " = ";
    kt_buf_printf(out, json ? ", \"%s\": {" : "  %s = {", key);
    for (size_t i = 0; i < names->n; i++) {
        kt_buf_printf(out, "%s\"%s\"%s[", i == 0 ? "" : ", ", names->at[i].name, is);
        for (size_t j = 0; j < names->at[i].n; j++)
            kt_buf_printf(out, "%s%s", j == 0 ? "" : ", ",
                          slow_values[names->at[i].values[j]].policy);
        kt_buf_add_text(out, "]");
    }
    kt_buf_add_text(out, json ? "}" : "}\n");
}

static void write_block(struct kt_buf *out, const struct slow_block *block, bool json)
{
    const char *names[8];
    kt_buf_printf(out, json ? "{\"/%s\": {\"capabilities\": [" : "path \"/%s\" {\n  capabilities = [",
                  block->pattern);
    unsigned bits = block->capabilities & ~(unsigned)CAP_DENY;
    size_t n = bits == 0 ? 0 : capability_names(bits, names);
    for (size_t i = 0; i < n; i++)
        kt_buf_printf(out, "%s\"%s\"", i == 0 ? "" : ", ", names[i]);
    if ((block->capabilities & CAP_DENY) != 0)
        kt_buf_printf(out, "%s\"deny\"", n == 0 ? "" : ", ");
    kt_buf_add_text(out, json ? "]" : "]\n");
    write_names(out, "allowed_parameters", &block->allowed, json);
    write_names(out, "denied_parameters", &block->denied, json);
    if (block->required != NULL)
        kt_buf_printf(out, json ? ", \"required_parameters\": [\"%s\"]"
                                : "  required_parameters = [\"%s\"]\n",
                      block->required);
    if (block->min_wrap_s != 0)
        kt_buf_printf(out, json ? ", \"min_wrapping_ttl\": \"%ds\"" : "  min_wrapping_ttl = \"%ds\"\n",
                      (int)block->min_wrap_s);
    if (block->max_wrap_s != 0)
        kt_buf_printf(out, json ? ", \"max_wrapping_ttl\": %d" : "  max_wrapping_ttl = %d\n",
                      (int)block->max_wrap_s);
    kt_buf_add_text(out, json ? "}}" : "}\n");
}

/* Blocks in the order of their policies; each policy as HCL or as JSON. */
static void make_book(uint64_t *seed, struct slow_book *book, struct kt_buf text[POLICIES])
{
    size_t n = 1 + next(seed, SLOW_BLOCKS);
    book->n = 0;
    for (size_t i = 0; i < POLICIES; i++) {
        bool json = next(seed, 2) == 0;
        size_t until = i == POLICIES - 1 ? n : book->n + next(seed, n - book->n + 1);
        kt_buf_reset(&text[i]);
        if (book->n == until) {
            kt_buf_add_text(&text[i], "# nothing\n");
            continue;
        }
        kt_buf_add_text(&text[i], json ? "{\"path\": [" : "");
        for (size_t first = book->n; book->n < until; book->n++) {
            struct slow_block *block = &book->blocks[book->n];
            make_block(seed, book, block);
            kt_buf_add_text(&text[i], json && book->n > first ? ",\n" : "");
            write_block(&text[i], block, json);
        }
        kt_buf_add_text(&text[i], json ? "]}" : "");
    }
}

static struct acl *build(struct kt_buf text[POLICIES])
{
    struct policy *policies[POLICIES] = {0};
    struct kt_err err = {0};
    for (size_t i = 0; i < POLICIES; i++)
        if (policy_parse("test", kt_buf_bytes(&text[i]), &policies[i], &err) != KT_OK)
            fail_msg("'%s': %s", kt_buf_text(&text[i]), err.what);
    struct acl *acl = acl_build(policies, POLICIES, false, NULL);
    assert_non_null(acl);
    for (size_t i = 0; i < POLICIES; i++)
        policy_unref(policies[i]);
    return acl;
}

/* ---- requests ---- */

static void make_request(uint64_t *seed, struct slow_request *ret, char *path, size_t size,
                         struct kt_buf *data)
{
    static const enum operation ops[] = {OP_READ,   OP_UPDATE, OP_CREATE,
                                         OP_DELETE, OP_PATCH,  OP_LIST};
    /* The second of each pair is the same name, or another one, spelt differently. */
    static const char *const names[][2] = {{"ttl", "ttl"},  {"TTL", "TTL"}, {"opt", "o\\u0070t"},
                                           {"OPT", "OPT"},  {"data", "data"}, {"x", "x"},
                                           {"*", "*"},      {"other", "other"}};
    *ret = (struct slow_request){.op = ops[next(seed, 6)], .path = path, .wrap_ttl_s = -1};
    make_path(seed, path, size, false);
    size_t len = strlen(path);
    if (ret->op == OP_LIST && path[len - 1] != '/')
        (void)snprintf(path + len, size - len, "/");
    if (next(seed, 3) == 0)
        ret->wrap_ttl_s = (int64_t)next(seed, 8) * 10;
    ret->has_data = next(seed, 4) != 0;
    ret->n_members = ret->has_data ? next(seed, SLOW_MEMBERS + 1) : 0;
    kt_buf_reset(data);
    kt_buf_add_text(data, "{");
    size_t first = next(seed, 8);
    for (size_t i = 0; i < ret->n_members; i++) {
        const char *const *name = names[(first + i * 3) % 8];
        ret->members[i].name = name[0];
        ret->members[i].value = next(seed, slow_n_values);
        kt_buf_printf(data, "%s\"%s\": %s", i == 0 ? "" : ", ", name[1],
                      slow_values[ret->members[i].value].request);
    }
    kt_buf_add_text(data, "}");
}

static struct acl_decision ask(const struct acl *acl, const struct slow_request *request,
                               struct kt_buf *data)
{
    const struct acl_request asked = {.op = request->op,
                                      .path = request->path,
                                      .path_len = strlen(request->path),
                                      .data = kt_json_value(kt_buf_bytes(data)),
                                      .has_data = request->has_data,
                                      .wrap_ttl_s = request->wrap_ttl_s};
    struct acl_decision decision;
    acl_check(acl, &asked, &decision);
    return decision;
}

static void disagree(uint64_t seed, const struct slow_request *request, struct kt_buf *data,
                     struct kt_buf text[POLICIES], bool slow, bool fast)
{
    /* A failure's own message is cut off after 1,024 bytes. */
    for (size_t i = 0; i < POLICIES; i++)
        print_message("%s\n", kt_buf_text(&text[i]));
    fail_msg("KT_SEED=%ju: %s %s with %s wrapped for %d: the rules say %s, vaultd %s (or sudo differs)",
             (uintmax_t)seed, operation_name(request->op), request->path,
             request->has_data ? kt_buf_text(data) : "nothing", (int)request->wrap_ttl_s,
             slow ? "yes" : "no", fast ? "yes" : "no");
}

static void agrees_with_the_slow_one(void **state)
{
    (void)state;
    uint64_t seed = from_environment("KT_SEED", 20261125) | 1;
    uint64_t wanted = from_environment("KT_CASES", 1000000), cases = 0, allowed = 0, by_data = 0;
    struct kt_buf text[POLICIES], data;
    kt_buf_init(&data, 4096);
    for (size_t i = 0; i < POLICIES; i++)
        kt_buf_init(&text[i], 65536);
    while (cases < wanted) {
        uint64_t book_seed = seed;
        struct slow_book book;
        make_book(&seed, &book, text);
        struct acl *acl = build(text);
        for (size_t i = 0; i < CASES_PER_BOOK; i++, cases++) {
            struct slow_request request;
            char path[SLOW_PATTERN];
            bool sudo = false;
            make_request(&seed, &request, path, sizeof path, &data);
            bool slow = slow_allows(&book, &request, &sudo);
            struct acl_decision fast = ask(acl, &request, &data);
            allowed += slow;
            by_data += slow && request.n_members > 0 && request.op != OP_LIST &&
                       request.op != OP_DELETE;
            if (slow != fast.allowed || (slow && sudo != fast.sudo))
                disagree(book_seed, &request, &data, text, slow, fast.allowed);
        }
        acl_unref(acl);
    }
    for (size_t i = 0; i < POLICIES; i++)
        kt_buf_free(&text[i]);
    kt_buf_free(&data);
    /* Neither always yes nor always no, or the comparison would say little. */
    assert_true(allowed > cases / 20 && allowed < cases / 2 && by_data > cases / 100);
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
