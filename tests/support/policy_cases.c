#include "tests/support/policy_cases.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/num.h"

#define MADE_NAMES  3u /* parameters of a block */
#define MADE_VALUES 3u /* and values of one */

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
    if (text != NULL && !kt_u64_parse(kt_str(text), UINT64_MAX, &number))
        abort();
    return number;
}

/* ---- paths and patterns ---- */

#define N "{{identity.entity.metadata.n}}"
#define AM "a{{ identity.entity.metadata.m }}"
#define MB "{{ identity.entity.metadata.m }}b"
#define O "{{identity.entity.metadata.o}}"

static void make_path(uint64_t *seed, char *out, size_t size, bool pattern)
{
    static const char *const words[] = {"a", "b", "ab", "c", "+x", "a+", "", "+", "+", "+", N, N, AM, MB, O};
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
    ret->n = next(seed, 3) == 0 ? 1 + next(seed, MADE_NAMES) : 0;
    size_t first = next(seed, 5);
    for (size_t i = 0; i < ret->n; i++) {
        ret->at[i].name = names[(first + i) % 5];
        ret->at[i].n = next(seed, MADE_VALUES + 1);
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
        block->required[0] = next(seed, 2) == 0 ? "ttl" : "OPT";
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
    if (block->required[0] != NULL)
        kt_buf_printf(out, json ? ", \"required_parameters\": [\"%s\"]"
                                : "  required_parameters = [\"%s\"]\n",
                      block->required[0]);
    if (block->min_wrap_s != 0)
        kt_buf_printf(out, json ? ", \"min_wrapping_ttl\": \"%ds\"" : "  min_wrapping_ttl = \"%ds\"\n",
                      (int)block->min_wrap_s);
    if (block->max_wrap_s != 0)
        kt_buf_printf(out, json ? ", \"max_wrapping_ttl\": %d" : "  max_wrapping_ttl = %d\n",
                      (int)block->max_wrap_s);
    kt_buf_add_text(out, json ? "}}" : "}\n");
}

/* Blocks in the order of their policies; each policy as HCL or as JSON. */
static void make_book(uint64_t *seed, struct slow_book *book,
                      struct kt_buf text[CASES_POLICIES])
{
    size_t n = 1 + next(seed, SLOW_BLOCKS);
    book->n = 0;
    for (size_t i = 0; i < CASES_POLICIES; i++) {
        bool json = next(seed, 2) == 0;
        size_t until = i == CASES_POLICIES - 1 ? n : book->n + next(seed, n - book->n + 1);
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

/* ---- who asks ---- */

/* Most have a value, most values may stand in a path. */
static void make_facts(uint64_t *seed, struct slow_fact facts[CASES_FACTS])
{
    static const char *const directives[CASES_FACTS] = {
        "identity.entity.metadata.n", "identity.entity.metadata.m", "identity.entity.metadata.o"};
    static const char *const values[] = {"a",  "a",   "b",  "b", "ab", "c",   "+x",
                                         NULL, "..",  "a/b", "*", "+",  "b*",  "a,b",
                                         "{c", "a\tb", "c",  "a", "b",  NULL,  "\xc3\xa4"};
    for (size_t i = 0; i < CASES_FACTS; i++)
        facts[i] = (struct slow_fact){directives[i],
                                      values[next(seed, sizeof values / sizeof values[0])]};
}

/* ---- all of it ---- */

void cases_init(struct cases *cases, uint64_t seed)
{
    *cases = (struct cases){.seed = from_environment("KT_SEED", seed) | 1};
    for (size_t i = 0; i < CASES_POLICIES; i++)
        kt_buf_init(&cases->text[i], 65536);
    kt_buf_init(&cases->data, 4096);
}

void cases_free(struct cases *cases)
{
    slow_forget(&cases->filled);
    for (size_t i = 0; i < CASES_POLICIES; i++)
        kt_buf_free(&cases->text[i]);
    kt_buf_free(&cases->data);
}

uint64_t cases_wanted(uint64_t number)
{
    return from_environment("KT_CASES", number);
}

uint64_t cases_draw(struct cases *cases, uint64_t below)
{
    return next(&cases->seed, below);
}

void cases_next_book(struct cases *cases)
{
    slow_forget(&cases->filled);
    make_book(&cases->seed, &cases->written, cases->text);
    make_facts(&cases->seed, cases->facts);
    slow_fill(&cases->written, cases->facts, CASES_FACTS, &cases->filled);
}

void cases_next_request(struct cases *cases)
{
    make_request(&cases->seed, &cases->request, cases->path, sizeof cases->path, &cases->data);
}

void cases_print(struct cases *cases)
{
    for (size_t i = 0; i < CASES_POLICIES; i++)
        (void)fprintf(stderr, "%s\n", kt_buf_text(&cases->text[i]));
    for (size_t i = 0; i < CASES_FACTS; i++)
        (void)fprintf(stderr, "%s is %s\n", cases->facts[i].directive,
                      cases->facts[i].value == NULL ? "nothing" : cases->facts[i].value);
    (void)fprintf(stderr, "%s %s with %s wrapped for %d\n", operation_name(cases->request.op),
                  cases->path, cases->request.has_data ? kt_buf_text(&cases->data) : "nothing",
                  (int)cases->request.wrap_ttl_s);
}
