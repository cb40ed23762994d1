#include "vaultd/policy/reach.h"

#include <stdio.h>
#include <string.h>

#define FREE "\001any" /* no path has it */

/* A segment of a row, or of a pattern: text, or anything. */
enum segment_kind {
    SEGMENT_TEXT,
    SEGMENT_ANY,      /* one */
    SEGMENT_REST,     /* one or more, of a row */
    SEGMENT_MAYBE_REST
};
struct segment {
    enum segment_kind kind;
    struct kt_bytes text;
};
struct segments {
    struct segment at[REACH_SEGMENTS];
    size_t n;
    bool star; /* the last one is the beginning of something: of a pattern */
};

static bool add(struct segments *to, enum segment_kind kind, struct kt_bytes text)
{
    if (to->n == REACH_SEGMENTS)
        return false;
    to->at[to->n++] = (struct segment){kind, text};
    return true;
}

static bool ends_with(struct kt_bytes text, const char *end)
{
    size_t len = strlen(end);
    return text.len >= len && memcmp(text.at + text.len - len, end, len) == 0;
}

/* What a template becomes is one segment, or a part of one. */
static enum segment_kind kind_of(struct kt_bytes text, bool of_row)
{
    if (of_row && text.len > 0 && text.at[0] == '{')
        return ends_with(text, "...?}") ? SEGMENT_MAYBE_REST
               : ends_with(text, "...}") ? SEGMENT_REST
                                         : SEGMENT_ANY;
    bool any = !of_row && (kt_bytes_is(text, "+") || memmem(text.at, text.len, "{{", 2) != NULL);
    return any ? SEGMENT_ANY : SEGMENT_TEXT;
}

static bool split(struct segments *to, struct kt_bytes text, bool of_row)
{
    for (;;) {
        const unsigned char *slash = text.len == 0 ? NULL : memchr(text.at, '/', text.len);
        size_t len = slash == NULL ? text.len : (size_t)(slash - text.at);
        struct kt_bytes part = kt_bytes(text.at, len);
        if (!add(to, kind_of(part, of_row), part))
            return false;
        if (slash == NULL)
            return true;
        text = kt_bytes(slash + 1, text.len - len - 1);
    }
}

/* ---- one path that is in both ---- */

struct walk {
    const struct segments *pattern, *row;
    bool list;
    struct kt_bytes path[REACH_SEGMENTS * 2]; /* its segments */
    size_t n;
};

static bool put(struct walk *walk, struct kt_bytes segment)
{
    if (walk->n == sizeof walk->path / sizeof walk->path[0])
        return false;
    walk->path[walk->n++] = segment;
    return true;
}

static struct kt_bytes filled(const struct segment *segment)
{
    return segment->kind == SEGMENT_TEXT ? segment->text : kt_str(FREE);
}

/* The row's segments from j on, as they are; a rest that may be empty is. */
static bool put_row(struct walk *walk, size_t j)
{
    for (; j < walk->row->n; j++)
        if (!put(walk, filled(&walk->row->at[j])))
            return false;
    return true;
}

/* The final segment of a pattern with '*', against what the row has from j on. */
static bool meet_star(struct walk *walk, const struct segment *last, size_t j)
{
    const struct segments *row = walk->row;
    if (j == row->n) /* "x/" in front of a '*': a folder's own name */
        return walk->list && last->text.len == 0 && last->kind == SEGMENT_TEXT;
    const struct segment *first = &row->at[j];
    if (last->kind == SEGMENT_ANY || last->text.len == 0)
        return put_row(walk, j);
    if (first->kind == SEGMENT_TEXT) {
        bool begins = first->text.len >= last->text.len &&
                      memcmp(first->text.at, last->text.at, last->text.len) == 0;
        return begins && put_row(walk, j);
    }
    return put(walk, last->text) && put_row(walk, j + 1);
}

static bool meet(struct walk *walk, size_t i, size_t j);

/* A row's rest takes one segment of the pattern after the other, and lets the others try. */
static bool meet_rest(struct walk *walk, size_t i, size_t j)
{
    const struct segments *pattern = walk->pattern;
    size_t before = walk->n;
    if (walk->row->at[j].kind == SEGMENT_MAYBE_REST && i + 1 == pattern->n &&
        pattern->at[i].kind == SEGMENT_TEXT && pattern->at[i].text.len == 0)
        return put(walk, kt_bytes(NULL, 0)); /* "metadata/" and nothing behind it */
    for (; i < pattern->n; i++) {
        const struct segment *part = &pattern->at[i];
        if (pattern->star && i + 1 == pattern->n)
            return meet_star(walk, part, j);
        if ((part->kind == SEGMENT_TEXT && part->text.len == 0) || !put(walk, filled(part)))
            break;
        size_t here = walk->n;
        if (meet(walk, i + 1, j + 1))
            return true;
        walk->n = here;
    }
    walk->n = before;
    return false;
}

static bool meet_one(struct walk *walk, const struct segment *part, const struct segment *of_row)
{
    bool fixed = part->kind == SEGMENT_TEXT;
    if (of_row->kind == SEGMENT_ANY)
        return (!fixed || part->text.len > 0) && put(walk, filled(part));
    if (fixed && (part->text.len != of_row->text.len ||
                  memcmp(part->text.at, of_row->text.at, part->text.len) != 0))
        return false;
    return put(walk, of_row->text);
}

/* From the pattern's segment i and the row's segment j on. */
static bool meet(struct walk *walk, size_t i, size_t j)
{
    const struct segments *pattern = walk->pattern, *row = walk->row;
    for (; i < pattern->n; i++, j++) {
        const struct segment *part = &pattern->at[i];
        if (pattern->star && i + 1 == pattern->n)
            return meet_star(walk, part, j);
        if (j == row->n) /* a folder's name with its '/' */
            return walk->list && i + 1 == pattern->n && part->kind == SEGMENT_TEXT &&
                   part->text.len == 0;
        if (row->at[j].kind >= SEGMENT_REST)
            return meet_rest(walk, i, j);
        if (!meet_one(walk, part, &row->at[j]))
            return false;
    }
    return j == row->n;
}

static bool write_path(const struct walk *walk, char out[REACH_PATH])
{
    size_t len = 0;
    for (size_t i = 0; i < walk->n; i++) {
        size_t part = walk->path[i].len;
        if (len + part + 2 > REACH_PATH)
            return false;
        if (i > 0)
            out[len++] = '/';
        if (part > 0)
            memcpy(out + len, walk->path[i].at, part);
        len += part;
    }
    out[len] = '\0';
    return true;
}

bool reach_route(const struct rule *rule, const char *mount, const struct route *route, bool list,
                 char out[REACH_PATH])
{
    struct segments pattern = {.star = rule->star}, row = {0};
    size_t len = strlen(mount);
    if (len > 0 && mount[len - 1] == '/')
        len--;
    if (!split(&pattern, kt_bytes(rule->pattern, rule->len), false) ||
        !split(&row, kt_bytes(mount, len), true) || !split(&row, kt_str(route->pattern), true))
        return false;
    struct walk walk = {.pattern = &pattern, .row = &row, .list = list};
    return meet(&walk, 0, 0) && write_path(&walk, out);
}

unsigned reach_open(const struct route *route)
{
    static const struct {
        enum operation op;
        unsigned capabilities;
    } rows[] = {{OP_READ, CAP_READ},
                {OP_LIST, CAP_LIST},
                {OP_UPDATE, CAP_UPDATE | CAP_CREATE},
                {OP_PATCH, CAP_PATCH},
                {OP_DELETE, CAP_DELETE}};
    unsigned open = 0;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        if ((route->open & (unsigned)rows[i].op) != 0)
            open |= rows[i].capabilities;
    return open;
}

unsigned reach_capabilities(const struct route *route)
{
    if ((route->flags & (ROUTE_PUBLIC | ROUTE_ANY_TOKEN)) != 0)
        return 0;
    unsigned asked = 0;
    asked |= route->read != NULL ? CAP_READ : 0u;
    asked |= route->list != NULL ? CAP_LIST : 0u;
    asked |= route->write != NULL ? CAP_UPDATE : 0u;
    asked |= route->write != NULL && route->exists != NULL ? CAP_CREATE : 0u;
    asked |= route->patch != NULL ? CAP_PATCH : 0u;
    asked |= route->delete_ != NULL ? CAP_DELETE : 0u;
    return asked & ~reach_open(route);
}

const struct mount *reach_mount(const struct rule *rule, const struct mount *const *mounts, size_t n)
{
    size_t fixed = 0; /* up to the first wildcard or template */
    while (fixed < rule->len && rule->pattern[fixed] != '+' && rule->pattern[fixed] != '{')
        fixed++;
    const struct mount *found = NULL;
    for (size_t i = 0; i < n; i++) {
        size_t len = strlen(mounts[i]->path);
        bool inside = len <= fixed && memcmp(mounts[i]->path, rule->pattern, len) == 0;
        bool itself = len == fixed + 1 && fixed == rule->len && !rule->star &&
                      memcmp(mounts[i]->path, rule->pattern, fixed) == 0;
        if ((inside || itself) && (found == NULL || len > strlen(found->path)))
            found = mounts[i];
    }
    return found;
}
