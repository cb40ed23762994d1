/* The validating scan. One loop over values with an explicit stack of open containers, no
 * recursion. Keys go into one hash table for the whole document, each entry marked with the number
 * of its object, so closing an object costs nothing. The table starts on the stack and moves to the
 * heap only beyond KEYS_INLINE keys. */
#include "lib/json_scan.h"

#include <stdlib.h>

#include "lib/assert.h"
#include "lib/failpoint.h"
#include "lib/utf8.h"

#define DEPTH_MAX   256u
#define KEYS_INLINE ((size_t)128) /* keys; the table has twice as many slots */

const struct kt_json_limits kt_json_default_limits = {
    .bytes = (size_t)32 * 1024 * 1024,
    .depth = 64,
    .nodes = 20000,
    .keys = 1024,
    .string_bytes = (size_t)1024 * 1024,
    .number_bytes = 64,
};

struct key {
    uint64_t hash;
    uint32_t object; /* number of its object, from 1; 0: a free slot */
    uint32_t at;     /* offset of its first character */
};
struct open {
    uint32_t object; /* 0: an array */
    uint32_t keys;
};
struct scan {
    const unsigned char *start, *at, *end;
    const struct kt_json_limits *limits;
    size_t nodes;
    uint32_t objects;
    /* the failure */
    enum kt_kind kind;
    const char *problem;
    size_t limit; /* named in the message, if not 0 */
    /* keys seen */
    struct key *table, *heap;
    size_t room, used;
    unsigned depth;
    struct open stack[DEPTH_MAX];
    struct key table_inline[2 * KEYS_INLINE];
};

static bool fail(struct scan *s, const char *problem)
{
    s->kind = KT_INVALID;
    s->problem = problem;
    return false;
}

static bool fail_limit(struct scan *s, const char *problem, size_t limit)
{
    s->limit = limit;
    return fail(s, problem);
}

static void skip_space(struct scan *s)
{
    s->at = json_skip_space(s->at, s->end);
}

/* ---- strings ---- */

/* Four hex digits at `at` that are no lone surrogate; a pair is taken as one. */
static bool unicode_escape(struct scan *s, size_t *ret_written, size_t *ret_decoded)
{
    uint32_t unit[2] = {0, 0};
    for (unsigned i = 0; i < 2; i++) {
        const unsigned char *at = s->at + (size_t)6 * i;
        if (s->end - at < 6 || at[0] != '\\' || at[1] != 'u')
            return fail(s, i == 0 ? "\\u needs four hexadecimal digits" : "a lone surrogate");
        for (unsigned j = 2; j < 6; j++) {
            unsigned char c = at[j];
            unsigned char letter = (unsigned char)((c | 0x20) - 'a');
            if (!(c >= '0' && c <= '9') && letter >= 6)
                return fail(s, "\\u needs four hexadecimal digits");
            unit[i] = unit[i] << 4 | (uint32_t)(letter < 6 && c > '9' ? letter + 10 : c - '0');
        }
        if (i == 1 && (unit[1] < 0xdc00 || unit[1] > 0xdfff))
            return fail(s, "a lone surrogate");
        if (i == 0 && unit[0] >= 0xdc00 && unit[0] <= 0xdfff)
            return fail(s, "a lone surrogate");
        if (unit[0] < 0xd800 || unit[0] > 0xdfff)
            break;
    }
    if (unit[0] == 0)
        return fail(s, "\\u0000 is not accepted");
    *ret_written = unit[1] != 0 ? 12 : 6;
    *ret_decoded = unit[1] != 0 ? 4 : unit[0] < 0x80 ? 1 : unit[0] < 0x800 ? 2 : 3;
    return true;
}

/* Steps over one escape; *shrink grows by what decoding saves. */
static bool escape(struct scan *s, size_t *shrink)
{
    if (s->end - s->at < 2)
        return fail(s, "a string does not end");
    unsigned char c = s->at[1];
    if (c == 'u') {
        size_t written, decoded;
        if (!unicode_escape(s, &written, &decoded))
            return false;
        s->at += written;
        *shrink += written - decoded;
        return true;
    }
    if (c == '\0' || strchr("\"\\/bfnrt", c) == NULL)
        return fail(s, "an unknown escape");
    s->at += 2;
    *shrink += 1;
    return true;
}

/* From the opening quote to past the closing one. */
static bool string(struct scan *s)
{
    const unsigned char *start = ++s->at;
    size_t shrink = 0;
    for (;;) {
        s->at = json_plain_end(s->at, s->end);
        if (s->at >= s->end)
            return fail(s, "a string does not end");
        unsigned char c = *s->at;
        if (c == '"')
            break;
        if (c == '\\') {
            if (!escape(s, &shrink))
                return false;
        } else if (c < 0x20) {
            return fail(s, "a control character in a string must be escaped");
        } else {
            do {
                size_t step = kt_utf8_step(s->at, (size_t)(s->end - s->at));
                if (step == 0)
                    return fail(s, "invalid UTF-8");
                s->at += step;
            } while (s->at < s->end && *s->at >= 0x80);
        }
    }
    if ((size_t)(s->at - start) - shrink > s->limits->string_bytes) {
        s->at = start - 1;
        return fail_limit(s, "a string is longer than the limit, in bytes",
                          s->limits->string_bytes);
    }
    s->at++;
    return true;
}

/* ---- keys ---- */

static struct key *slot_for(const struct scan *s, uint64_t hash, uint32_t object)
{
    uint64_t mixed = (hash + object) * UINT64_C(0x9e3779b97f4a7c15);
    size_t i = (size_t)(mixed >> 32) & (s->room - 1);
    while (s->table[i].object != 0 && (s->table[i].object != object || s->table[i].hash != hash))
        i = (i + 1) & (s->room - 1);
    return &s->table[i];
}

static bool grow_table(struct scan *s)
{
    struct key *old = s->table, *old_heap = s->heap;
    size_t old_room = s->room;
    struct key *bigger = kt_calloc(old_room * 4, sizeof *bigger);
    if (bigger == NULL) {
        s->kind = KT_NO_MEMORY;
        s->problem = "out of memory";
        return false;
    }
    s->table = s->heap = bigger;
    s->room = old_room * 4;
    for (size_t i = 0; i < old_room; i++) {
        if (old[i].object != 0)
            *slot_for(s, old[i].hash, old[i].object) = old[i];
    }
    free(old_heap);
    return true;
}

static bool remember_key(struct scan *s, const unsigned char *start)
{
    struct open *top = &s->stack[s->depth - 1];
    if (++top->keys > s->limits->keys)
        return fail_limit(s, "an object has more keys than the limit", s->limits->keys);
    if (s->used * 2 >= s->room && !grow_table(s))
        return false;
    struct kt_bytes raw = kt_bytes(start, (size_t)(s->at - 1 - start));
    uint64_t hash = kt_json_key_hash(raw);
    struct key *slot = slot_for(s, hash, top->object);
    if (slot->object != 0) {
        /* Equal hashes of different keys do not happen (1 in 2^60), but the answer stays right:
         * probe on with a changed hash. */
        const unsigned char *other = s->start + slot->at - 1;
        while (slot->object != 0) {
            struct kt_json seen = {(const char *)other,
                                   (size_t)(kt_json_value_end(other, s->end) - other)};
            if (kt_json_raw_equal(raw, kt_json_raw(seen))) {
                s->at = start - 1;
                return fail(s, "a key stands twice in one object");
            }
            slot = slot_for(s, ++hash, top->object);
            other = s->start + slot->at - 1;
        }
    }
    *slot = (struct key){hash, top->object, (uint32_t)(start - s->start)};
    s->used++;
    return true;
}

/* "key" : */
static bool member_key(struct scan *s)
{
    skip_space(s);
    if (s->at >= s->end)
        return fail(s, "the text ends inside an object");
    if (*s->at != '"')
        return fail(s, "expected a key in double quotes");
    const unsigned char *start = s->at + 1;
    if (!string(s) || !remember_key(s, start))
        return false;
    skip_space(s);
    if (s->at >= s->end || *s->at != ':')
        return fail(s, "expected ':' after a key");
    s->at++;
    return true;
}

/* ---- values ---- */

static bool digits(struct scan *s)
{
    const unsigned char *start = s->at;
    while (s->at < s->end && *s->at >= '0' && *s->at <= '9')
        s->at++;
    return s->at > start || fail(s, "a number lacks a digit");
}

static bool at_char(const struct scan *s, unsigned char c)
{
    return s->at < s->end && *s->at == c;
}

static bool number(struct scan *s)
{
    const unsigned char *start = s->at;
    if (at_char(s, '-'))
        s->at++;
    if (at_char(s, '0')) {
        s->at++;
        if (s->at < s->end && *s->at >= '0' && *s->at <= '9')
            return fail(s, "a number begins with 0");
    } else if (!digits(s)) {
        return false;
    }
    if (at_char(s, '.')) {
        s->at++;
        if (!digits(s))
            return false;
    }
    if (at_char(s, 'e') || at_char(s, 'E')) {
        s->at++;
        if (at_char(s, '+') || at_char(s, '-'))
            s->at++;
        if (!digits(s))
            return false;
    }
    if ((size_t)(s->at - start) > s->limits->number_bytes) {
        s->at = start;
        return fail_limit(s, "a number has more characters than the limit",
                          s->limits->number_bytes);
    }
    return true;
}

static bool word(struct scan *s, const char *text)
{
    size_t len = strlen(text);
    if ((size_t)(s->end - s->at) < len || memcmp(s->at, text, len) != 0)
        return fail(s, "expected a value");
    s->at += len;
    return true;
}

static bool scalar(struct scan *s)
{
    switch (*s->at) {
    case '"':
        return string(s);
    case 't':
        return word(s, "true");
    case 'f':
        return word(s, "false");
    case 'n':
        return word(s, "null");
    default:
        if (*s->at == '-' || (*s->at >= '0' && *s->at <= '9'))
            return number(s);
        return fail(s, "expected a value");
    }
}

/* Opens a container. *ret_empty: it was closed at once. */
static bool open_container(struct scan *s, bool *ret_empty)
{
    bool object = *s->at == '{';
    size_t depth_max = s->limits->depth < DEPTH_MAX ? s->limits->depth : DEPTH_MAX;
    if (s->depth >= depth_max)
        return fail_limit(s, "nested deeper than the limit", depth_max);
    s->at++;
    skip_space(s);
    *ret_empty = at_char(s, object ? '}' : ']');
    if (*ret_empty) {
        s->at++;
        return true;
    }
    s->stack[s->depth++] = (struct open){object ? ++s->objects : 0, 0};
    return !object || member_key(s);
}

/* After a value: closes what ends here. *ret_more: another value follows. */
static bool after_value(struct scan *s, bool *ret_more)
{
    *ret_more = false;
    while (s->depth > 0) {
        bool object = s->stack[s->depth - 1].object != 0;
        skip_space(s);
        if (s->at >= s->end)
            return fail(s, object ? "the text ends inside an object"
                                  : "the text ends inside an array");
        unsigned char c = *s->at;
        if (c == ',') {
            s->at++;
            *ret_more = true;
            return !object || member_key(s);
        }
        if (c != (object ? '}' : ']'))
            return fail(s, object ? "expected ',' or '}'" : "expected ',' or ']'");
        s->at++;
        s->depth--;
    }
    skip_space(s);
    return s->at == s->end || fail(s, "something follows the value");
}

static bool document(struct scan *s)
{
    for (bool more = true; more;) {
        skip_space(s);
        if (s->at >= s->end)
            return fail(s, s->depth == 0 ? "empty" : "the text ends where a value was expected");
        if (++s->nodes > s->limits->nodes)
            return fail_limit(s, "more values than the limit", s->limits->nodes);
        if (*s->at == '{' || *s->at == '[') {
            bool empty = false;
            if (!open_container(s, &empty))
                return false;
            if (!empty)
                continue;
        } else if (!scalar(s)) {
            return false;
        }
        if (!after_value(s, &more))
            return false;
    }
    return true;
}

enum kt_kind kt_json_find_fault(struct kt_bytes text, const struct kt_json_limits *limits,
                                struct kt_json_fault *ret)
{
    if (limits == NULL)
        limits = &kt_json_default_limits;
    if (text.len > limits->bytes || text.len > UINT32_MAX) {
        *ret =
            (struct kt_json_fault){0, "the text is longer than the limit, in bytes", limits->bytes};
        return KT_TOO_LARGE;
    }
    if (text.len == 0)
        text = kt_str("");
    struct scan s;
    s.start = s.at = text.at;
    s.end = text.at + text.len;
    s.limits = limits;
    s.nodes = s.used = s.limit = 0;
    s.objects = s.depth = 0;
    s.kind = KT_OK;
    s.problem = NULL;
    s.heap = NULL;
    s.table = s.table_inline;
    s.room = 2 * KEYS_INLINE;
    memset(s.table_inline, 0, sizeof s.table_inline);
    bool ok = document(&s);
    free(s.heap);
    if (ok)
        return KT_OK;
    KT_ASSERT(s.kind != KT_OK && s.problem != NULL);
    *ret = (struct kt_json_fault){(size_t)(s.at - s.start), s.problem, s.limit};
    return s.kind;
}

enum kt_kind kt_json_check(struct kt_bytes text, const struct kt_json_limits *limits,
                           struct kt_err *err)
{
    struct kt_json_fault fault;
    enum kt_kind kind = kt_json_find_fault(text, limits, &fault);
    if (kind == KT_OK)
        return KT_OK;
    if (kind != KT_INVALID)
        return kind == KT_TOO_LARGE ? kt_fail(err, kind, "%s (%zu)", fault.problem, fault.limit)
                                    : kt_fail(err, kind, "%s", fault.problem);
    unsigned line, column;
    kt_text_place(text, fault.offset, &line, &column);
    if (fault.limit != 0)
        return kt_fail(err, kind, "line %u, column %u: %s (%zu)", line, column, fault.problem,
                       fault.limit);
    return kt_fail(err, kind, "line %u, column %u: %s", line, column, fault.problem);
}
