#include "tests/support/slow_policy.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* clang-format off */
const struct slow_value slow_values[] = {
    { "\"\"",              "\"\"",              SLOW_TEXT,      "" },
    { "\"a\"",             "\"a\"",             SLOW_TEXT,      "a" },
    { "\"ab\"",            "\"a\\u0062\"",      SLOW_TEXT,      "ab" },
    { "\"b\"",             "\"b\"",             SLOW_TEXT,      "b" },
    { "\"bab\"",           "\"bab\"",           SLOW_TEXT,      "bab" },
    { "\"A\"",             "\"A\"",             SLOW_TEXT,      "A" },
    { "\"a*\"",            "\"a*\"",            SLOW_TEXT,      "a*" },
    { "\"*b\"",            "\"*b\"",            SLOW_TEXT,      "*b" },
    { "\"*a*\"",           "\"*a*\"",           SLOW_TEXT,      "*a*" },
    { "\"*\"",             "\"*\"",             SLOW_TEXT,      "*" },
    { "\"**\"",            "\"**\"",            SLOW_TEXT,      "**" },
    { "\"a*b\"",           "\"a*b\"",           SLOW_TEXT,      "a*b" },
    { "\"3\"",             "\"3\"",             SLOW_TEXT,      "3" },
    { "\"true\"",          "\"true\"",          SLOW_TEXT,      "true" },
    { "true",              "true",              SLOW_TRUTH,     "true" },
    { "false",             "false",             SLOW_TRUTH,     "false" },
    { "3",                 "3",                 SLOW_NEVER,     "3" },
    { NULL,                "null",              SLOW_NEVER,     "null" },
    { "[]",                "[ ]",               SLOW_COMPOSITE, "[]" },
    { "[\"a\", \"b\"]",    "[\"a\",\"b\"]",     SLOW_COMPOSITE, "[a,b]" },
    { "[\"b\", \"a\"]",    "[\"b\",\"\\u0061\"]", SLOW_COMPOSITE, "[b,a]" },
    { "[\"a*\", \"b\"]",   "[\"a*\",\"b\"]",    SLOW_COMPOSITE, "[a*,b]" },
    { "[true, \"b\"]",     "[true,\"b\"]",      SLOW_COMPOSITE, "[true,b]" },
    { "[3]",               "[3]",               SLOW_NEVER,     "[3]" },
    { NULL,                "{\"k\":\"a\",\"l\":[\"b\"]}", SLOW_COMPOSITE, "{k:a,l:[b]}" },
    { NULL,                "{\"l\":[\"b\"],\"k\":\"a\"}", SLOW_COMPOSITE, "{k:a,l:[b]}" },
    { NULL,                "{}",                SLOW_COMPOSITE, "{}" },
};
/* clang-format on */
const size_t slow_n_values = sizeof slow_values / sizeof slow_values[0];

/* ---- templates ---- */

static bool may_stand_in_a_path(const char *value)
{
    if (strcmp(value, "") == 0 || strcmp(value, ".") == 0 || strcmp(value, "..") == 0)
        return false;
    for (const char *c = value; *c != '\0'; c++)
        if (iscntrl((unsigned char)*c) || strchr("/*+,{}", *c) != NULL)
            return false;
    return true;
}

static const char *fact_of(const struct slow_fact *facts, size_t n, const char *name, size_t len)
{
    for (size_t i = 0; i < n; i++)
        if (strlen(facts[i].directive) == len && strncmp(facts[i].directive, name, len) == 0)
            return facts[i].value;
    return NULL;
}

struct filling {
    char text[SLOW_PATTERN], regex[4 * SLOW_PATTERN];
    bool whole;
};

static void append(char *to, size_t size, const char *text)
{
    size_t len = strlen(to);
    if (len + strlen(text) >= size)
        abort();
    (void)snprintf(to + len, size - len, "%s", text);
}

static void append_literal(struct filling *filling, const char *text)
{
    append(filling->text, sizeof filling->text, text);
    for (const char *c = text; *c != '\0'; c++) {
        const char one[] = {'[', *c, ']', '\0'};
        append(filling->regex, sizeof filling->regex, *c == '^' ? "\\^" : one);
    }
}

static void fill_directive(struct filling *filling, const struct slow_fact *facts, size_t n,
                           const char *from, const char *to)
{
    while (from < to && *from == ' ')
        from++;
    while (to > from && to[-1] == ' ')
        to--;
    const char *value = fact_of(facts, n, from, (size_t)(to - from));
    if (value != NULL && may_stand_in_a_path(value)) {
        append_literal(filling, value);
        return;
    }
    filling->whole = false;
    append(filling->regex, sizeof filling->regex, value == NULL ? "[^/]*" : ".*");
}

static void fill_pattern(struct filling *filling, const char *pattern, const struct slow_fact *facts,
                         size_t n)
{
    *filling = (struct filling){.regex = "^", .whole = true};
    for (const char *at = pattern; *at != '\0'; at++) {
        bool segment = at == pattern || at[-1] == '/';
        const char one[] = {*at, '\0'};
        if (strncmp(at, "{{", 2) == 0) {
            const char *close = strstr(at, "}}");
            fill_directive(filling, facts, n, at + 2, close);
            at = close + 1;
        } else if (*at == '*' && at[1] == '\0') {
            append(filling->text, sizeof filling->text, "*");
            return; /* the rest is free */
        } else if (*at == '+' && segment && (at[1] == '/' || strcmp(at + 1, "") == 0)) {
            append(filling->text, sizeof filling->text, "+");
            append(filling->regex, sizeof filling->regex, "[^/]*");
        } else {
            append_literal(filling, one);
        }
    }
    append(filling->regex, sizeof filling->regex, "$");
}

void slow_fill(const struct slow_book *written, const struct slow_fact *facts, size_t n_facts,
               struct slow_book *ret)
{
    struct filling filling;
    ret->n = ret->n_refused = 0;
    for (size_t i = 0; i < written->n; i++) {
        fill_pattern(&filling, written->blocks[i].pattern, facts, n_facts);
        if (filling.whole) {
            ret->blocks[ret->n] = written->blocks[i];
            memcpy(ret->blocks[ret->n++].pattern, filling.text, sizeof filling.text);
        } else if ((written->blocks[i].capabilities & CAP_DENY) != 0 &&
                   regcomp(&ret->refused[ret->n_refused++], filling.regex, REG_EXTENDED | REG_NOSUB) != 0) {
            abort();
        }
    }
}

void slow_forget(struct slow_book *book)
{
    while (book->n_refused > 0)
        regfree(&book->refused[--book->n_refused]);
}

bool slow_refuses(const struct slow_book *book, const char *path)
{
    char bare[SLOW_PATTERN];
    size_t len = strlen(path);
    (void)snprintf(bare, sizeof bare, "%.*s", (int)len - (len > 0 && path[len - 1] == '/'), path);
    for (size_t i = 0; i < book->n_refused; i++)
        if (regexec(&book->refused[i], path, 0, NULL, 0) == 0 ||
            regexec(&book->refused[i], bare, 0, NULL, 0) == 0)
            return true;
    return false;
}

/* ---- patterns ---- */

struct parts {
    char text[SLOW_PATTERN];
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
    char bare[2][SLOW_PATTERN];
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

const char *slow_deciding(const struct slow_book *book, const char *path)
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

/* ---- the blocks of one pattern, as one ---- */

static bool of_pattern(const struct slow_book *book, size_t i, const char *pattern)
{
    return strcmp(book->blocks[i].pattern, pattern) == 0;
}

static int64_t smaller(int64_t a, int64_t b)
{
    return a == 0 ? b : b == 0 ? a : a < b ? a : b;
}

/* CAP_DENY alone if any block denies, or if what is left for wrapping is impossible at some block. */
static unsigned merged(const struct slow_book *book, const char *pattern, int64_t *ret_min,
                       int64_t *ret_max)
{
    unsigned capabilities = 0;
    *ret_min = *ret_max = 0;
    for (size_t i = 0; i < book->n; i++) {
        if (!of_pattern(book, i, pattern))
            continue;
        capabilities |= book->blocks[i].capabilities;
        *ret_min = smaller(*ret_min, book->blocks[i].min_wrap_s);
        *ret_max = smaller(*ret_max, book->blocks[i].max_wrap_s);
        if (*ret_max != 0 && *ret_max < *ret_min)
            capabilities |= CAP_DENY;
    }
    return (capabilities & CAP_DENY) != 0 ? CAP_DENY : capabilities;
}

/* ---- parameters ---- */

static void lower(const char *text, char out[32])
{
    size_t i = 0;
    for (; text[i] != '\0' && i < 31; i++)
        out[i] = (char)tolower((unsigned char)text[i]);
    out[i] = '\0';
}

static bool same_lowered(const char *a, const char *b)
{
    char x[32], y[32];
    lower(a, x);
    lower(b, y);
    return strcmp(x, y) == 0;
}

static bool glob(const char *pattern, const char *text)
{
    char middle[32];
    size_t len = strlen(pattern), text_len = strlen(text);
    if (len < 2)
        return strcmp(pattern, text) == 0;
    bool before = pattern[0] == '*', after = pattern[len - 1] == '*';
    (void)snprintf(middle, sizeof middle, "%.*s", (int)(len - before - after), pattern + before);
    size_t middle_len = strlen(middle);
    if (before && after)
        return strstr(text, middle) != NULL;
    if (before)
        return text_len >= middle_len && strcmp(text + text_len - middle_len, middle) == 0;
    if (after)
        return strncmp(text, middle, middle_len) == 0;
    return strcmp(text, middle) == 0;
}

static bool equals(const struct slow_value *written, const struct slow_value *sent)
{
    if (written->kind != sent->kind || written->kind == SLOW_NEVER)
        return false;
    return written->kind == SLOW_TEXT ? glob(written->says, sent->says)
                                      : strcmp(written->says, sent->says) == 0;
}

enum named { NOT_NAMED, NAMED_WITH_ANY, NAMED_WITH_IT, NAMED_WITH_OTHERS };

static const struct slow_names *names_of(const struct slow_block *block, bool denied)
{
    return denied ? &block->denied : &block->allowed;
}

/* What the pattern's blocks together say of a name: an empty list anywhere is any value. */
static enum named named(const struct slow_book *book, const char *pattern, bool denied,
                        const char *name, const struct slow_value *sent)
{
    bool found = false, any = false, with = false;
    for (size_t i = 0; i < book->n; i++) {
        const struct slow_names *names = names_of(&book->blocks[i], denied);
        for (size_t j = 0; of_pattern(book, i, pattern) && j < names->n; j++) {
            if (!same_lowered(names->at[j].name, name))
                continue;
            found = true;
            any = any || names->at[j].n == 0;
            for (size_t k = 0; sent != NULL && k < names->at[j].n; k++)
                with = with || equals(&slow_values[names->at[j].values[k]], sent);
        }
    }
    return !found ? NOT_NAMED : any ? NAMED_WITH_ANY : with ? NAMED_WITH_IT : NAMED_WITH_OTHERS;
}

/* Some name besides "*" is on the list of allowed ones. */
static bool allows_by_name(const struct slow_book *book, const char *pattern)
{
    for (size_t i = 0; i < book->n; i++)
        for (size_t j = 0; of_pattern(book, i, pattern) && j < book->blocks[i].allowed.n; j++)
            if (strcmp(book->blocks[i].allowed.at[j].name, "*") != 0)
                return true;
    return false;
}

static bool has_required(const struct slow_book *book, const char *pattern,
                         const struct slow_request *request)
{
    for (size_t i = 0; i < 2 * book->n; i++) {
        const char *required = book->blocks[i / 2].required[i % 2];
        if (!of_pattern(book, i / 2, pattern) || required == NULL)
            continue;
        char name[32];
        lower(required, name);
        bool found = false;
        for (size_t j = 0; request->has_data && j < request->n_members; j++)
            found = found || strcmp(request->members[j].name, name) == 0;
        if (!found)
            return false;
    }
    return true;
}

static bool parameters_pass(const struct slow_book *book, const char *pattern,
                            const struct slow_request *request)
{
    if (!has_required(book, pattern, request))
        return false;
    if (!request->has_data || request->n_members == 0)
        return true;
    if (named(book, pattern, true, "*", NULL) != NOT_NAMED)
        return false;
    bool by_name = allows_by_name(book, pattern);
    bool star = named(book, pattern, false, "*", NULL) != NOT_NAMED;
    for (size_t i = 0; i < request->n_members; i++) {
        const char *name = request->members[i].name;
        const struct slow_value *sent = &slow_values[request->members[i].value];
        enum named no = named(book, pattern, true, name, sent);
        if (no == NAMED_WITH_ANY || no == NAMED_WITH_IT)
            return false;
        enum named yes = named(book, pattern, false, name, sent);
        if (by_name && (yes == NOT_NAMED ? !star : yes == NAMED_WITH_OTHERS))
            return false;
    }
    return true;
}

/* ---- the answer ---- */

struct answer {
    bool denied, allowed, sudo;
};

static unsigned capability_for(enum operation op)
{
    switch (op) {
    case OP_READ:
        return CAP_READ;
    case OP_LIST:
        return CAP_LIST;
    case OP_CREATE:
        return CAP_CREATE;
    case OP_UPDATE:
        return CAP_UPDATE;
    case OP_PATCH:
        return CAP_PATCH;
    case OP_DELETE:
        return CAP_DELETE;
    case OP_NONE:
    case OP_HEAD:
    case OP_HELP:
        break;
    }
    return 0;
}

static struct answer ask(const struct slow_book *book, const struct slow_request *request,
                         const char *path)
{
    struct answer answer = {0};
    const char *pattern = slow_deciding(book, path);
    if (pattern == NULL)
        return answer;
    int64_t min = 0, max = 0, wrap = request->wrap_ttl_s;
    unsigned capabilities = merged(book, pattern, &min, &max);
    answer.denied = capabilities == CAP_DENY;
    answer.sudo = (capabilities & CAP_SUDO) != 0;
    bool with_data = request->op != OP_LIST && request->op != OP_DELETE;
    answer.allowed = (capabilities & capability_for(request->op)) != 0 &&
                     (max == 0 || (wrap >= 0 && wrap <= max)) &&
                     (min == 0 || (wrap >= 0 && wrap >= min)) &&
                     (!with_data || parameters_pass(book, pattern, request));
    return answer;
}

bool slow_allows(const struct slow_book *book, const struct slow_request *request, bool *ret_sudo)
{
    *ret_sudo = false;
    if (slow_refuses(book, request->path))
        return false;
    struct answer answer = ask(book, request, request->path);
    *ret_sudo = answer.allowed && answer.sudo;
    if (request->op != OP_LIST)
        return answer.allowed;
    char without[SLOW_PATTERN];
    (void)snprintf(without, sizeof without, "%.*s", (int)strlen(request->path) - 1, request->path);
    struct answer other = ask(book, request, without);
    bool allowed = !answer.denied && !other.denied && (answer.allowed || other.allowed);
    *ret_sudo = allowed && ((answer.allowed && answer.sudo) || (other.allowed && other.sudo));
    return allowed;
}

/* ---- other ways of asking ---- */

static unsigned of_path(const struct slow_book *book, const char *path)
{
    int64_t min = 0, max = 0;
    const char *pattern = slow_deciding(book, path);
    return pattern == NULL ? 0 : merged(book, pattern, &min, &max);
}

unsigned slow_capabilities(const struct slow_book *book, const char *path)
{
    char folder[SLOW_PATTERN + 1], bare[SLOW_PATTERN];
    size_t len = strlen(path);
    bool slash = len > 0 && path[len - 1] == '/';
    (void)snprintf(bare, sizeof bare, "%.*s", (int)len - slash, path);
    (void)snprintf(folder, sizeof folder, "%s/", bare);
    if (slow_refuses(book, path))
        return CAP_DENY;
    unsigned with = of_path(book, folder), without = of_path(book, bare);
    bool listed = ((with | without) & CAP_LIST) != 0 && ((with | without) & CAP_DENY) == 0 &&
                  !slow_refuses(book, folder);
    const char *decides = slow_deciding(book, path);
    unsigned says = 0;
    if (decides != NULL || (slash && slow_deciding(book, bare) != NULL))
        says = decides != NULL && slash ? with : without;
    else if (listed) /* nothing but the list, and its sudo, comes from the other form */
        says = (with | without) & CAP_SUDO;
    says = listed ? says | CAP_LIST : says & ~(unsigned)CAP_LIST;
    return says == 0 || (says & CAP_DENY) != 0 ? CAP_DENY : says;
}

static bool matches(const char *pattern, const char *path)
{
    if (is_plus_pattern(pattern))
        return plus_matches(pattern, path);
    return ends_in_star(pattern) ? strncmp(path, pattern, strlen(pattern) - 1) == 0
                                 : strcmp(path, pattern) == 0;
}

size_t slow_matching(const struct slow_book *book, enum operation op, const char *path)
{
    char bare[SLOW_PATTERN];
    (void)snprintf(bare, sizeof bare, "%.*s", (int)strlen(path) - 1, path);
    size_t n = 0;
    for (size_t i = 0; i < book->n; i++) {
        const char *pattern = book->blocks[i].pattern;
        bool first = true;
        for (size_t j = 0; j < i; j++)
            first = first && !of_pattern(book, j, pattern);
        n += first && (matches(pattern, path) || (op == OP_LIST && matches(pattern, bare)));
    }
    return n + (slow_refuses(book, path) ? 1 : 0);
}

/* Is there anything below the prefix that it matches? The first segment of both, then the others. */
static bool plus_reaches(const char *pattern, const char *prefix)
{
    if (*prefix == '\0')
        return true;
    size_t a = strcspn(pattern, "/"), b = strcspn(prefix, "/");
    if (pattern[a] == '\0' && !ends_in_star(pattern))
        return false;
    bool last = pattern[a] == '\0';
    size_t text = a - (last ? 1 : 0); /* without the '*' */
    bool any = text == 1 && pattern[0] == '+';
    bool same = strncmp(pattern, prefix, text) == 0 && (last ? text <= b : text == b);
    return (any || same) && (last || plus_reaches(pattern + a + 1, prefix + b + 1));
}

bool slow_touches(const struct slow_book *book, const char *prefix)
{
    if (slow_capabilities(book, prefix) != CAP_DENY)
        return true;
    for (size_t i = 0; i < book->n; i++) {
        int64_t min = 0, max = 0;
        const char *pattern = book->blocks[i].pattern;
        unsigned capabilities = merged(book, pattern, &min, &max);
        if (capabilities == CAP_DENY || capabilities == 0)
            continue;
        size_t fixed = strlen(pattern) - ends_in_star(pattern);
        if (is_plus_pattern(pattern) ? plus_reaches(pattern, prefix)
                                     : fixed >= strlen(prefix) && strncmp(pattern, prefix, strlen(prefix)) == 0)
            return true;
    }
    return false;
}
