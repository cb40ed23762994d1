/* lib/json.h - strict JSON for a server that gives back values as the text it got.
 *
 * What:    kt_json_check() validates a document in one pass and bounds it; the span readers then
 *          walk the checked text without making a tree, so numbers keep every digit. kt_json_load()
 *          makes a jansson tree; tests hold the span readers against it.
 * Limits:  struct kt_json_limits. Values count as nodes, keys do not; strings and keys are measured
 *          decoded; depth is 256 at most.
 * Refused: everything RFC 8259 refuses, invalid UTF-8, lone surrogates, \u0000, duplicate keys, and
 *          what passes a limit. An error gives line and column and a phrase, never content.
 * Errors:  KT_INVALID; KT_TOO_LARGE for the whole text; KT_NO_MEMORY.
 * Owner:   a struct kt_json is a span of somebody's text; it lives as long as that.
 * Threads: any thread. kt_json_init() before threads.
 * Source:  RFC 8259, RFC 7396 (merge patch). */
#pragma once

#include <jansson.h>

#include "lib/arena.h"
#include "lib/buf.h"
#include "lib/err.h"

struct kt_json_limits {
    size_t bytes, depth, nodes, keys, string_bytes, number_bytes;
};
/* 32 MiB, 64, 20,000, 1,024, 1 MiB, 64 */
extern const struct kt_json_limits kt_json_default_limits;

/* Seeds jansson's hash tables; once, before threads. */
void kt_json_init(void);
/* limits NULL: the defaults. Leading and trailing white space is fine; one value. */
enum kt_kind kt_json_check(struct kt_bytes text, const struct kt_json_limits *limits,
                           struct kt_err *err) KT_MUST_CHECK;
/* The same for callers that word the error themselves: KT_OK, or *ret says what is wrong and where.
 */
struct kt_json_fault {
    size_t offset;
    const char *problem; /* a phrase; static */
    size_t limit;        /* the limit that was passed, 0: none */
};
enum kt_kind kt_json_find_fault(struct kt_bytes text, const struct kt_json_limits *limits,
                                struct kt_json_fault *ret) KT_MUST_CHECK;

/* ---- spans of checked text ---- */
enum kt_json_type {
    KT_JSON_NONE, /* the empty span: absent */
    KT_JSON_NULL,
    KT_JSON_BOOL,
    KT_JSON_NUMBER,
    KT_JSON_STRING,
    KT_JSON_ARRAY,
    KT_JSON_OBJECT
};
struct kt_json {
    const char *at; /* first character of the value; NULL: absent */
    size_t len;     /* without surrounding white space */
};
/* The value of a checked document. */
struct kt_json kt_json_value(struct kt_bytes checked);
enum kt_json_type kt_json_type(struct kt_json value);
/* False: not an object, or no such member. */
bool kt_json_member(struct kt_json object, const char *name, struct kt_json *ret);
/* Iteration: struct kt_json_iter it = kt_json_iter(value); while (kt_json_next(&it)) ... it.key (a
 * string span with its quotes; absent in arrays), it.value. */
struct kt_json_iter {
    const char *at, *end;
    struct kt_json key, value;
    bool object;
};
struct kt_json_iter kt_json_iter(struct kt_json container);
bool kt_json_next(struct kt_json_iter *it);
size_t kt_json_count(struct kt_json container);
/* Decodes a string; false if it is none (or out is full). */
bool kt_json_string(struct kt_json value, struct kt_buf *out);
/* NUL-terminated copy in the arena, NULL if it is no string or memory is out. */
char *kt_json_text(struct kt_json value, struct kt_arena *arena);
bool kt_json_is(struct kt_json string, const char *text); /* equal after decoding; public values */
bool kt_json_bool(struct kt_json value, bool *ret);
/* An integer exactly: false for fractions, exponents, out of range, other types. */
bool kt_json_i64(struct kt_json value, int64_t *ret);
struct kt_bytes kt_json_bytes(struct kt_json value);
/* The same but for the order of members and the spelling of strings; numbers by their text. Out of memory:
 * false. */
bool kt_json_equal(struct kt_json a, struct kt_json b);

/* ---- text to text; the input is checked text, the output is compact ---- */
bool kt_json_compact(struct kt_json value, struct kt_buf *out);
bool kt_json_merge_patch(struct kt_json target, struct kt_json patch, struct kt_buf *out);
/* Leaves, arrays and empty objects become null, below depth levels too (0: all levels). */
bool kt_json_subkeys(struct kt_json value, unsigned depth, struct kt_buf *out);

/* Passes the value on in pieces, in order and without white space: keep() gets what may stay as it is,
 * replace() each string that is not a key, whatever is no JSON scalar, and each container below
 * `depth` levels. One pass. What is kept holds no byte below 0x20. */
struct kt_json_replacer {
    void (*keep)(void *arg, struct kt_bytes text);
    void (*replace)(void *arg, struct kt_json value);
};
void kt_json_replace(struct kt_json value, unsigned depth, const struct kt_json_replacer *to,
                     void *arg);

/* ---- a tree, for the clients' side ---- */
/* json_decref() it. Numbers out of int64 are an error here. */
json_t *kt_json_load(struct kt_bytes text, const struct kt_json_limits *limits,
                     struct kt_err *err) KT_MUST_CHECK;
