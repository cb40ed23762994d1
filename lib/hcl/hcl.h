/* lib/hcl/hcl.h - reads HCL as Vault's policies and configuration use it, and its JSON form.
 *
 * What:    Text to a tree of items. An item is an attribute (key = value) or a block (key "label" {
 *          ... }); an object value has a body just as a block has one. Text whose first character
 *          is '{' is the JSON form; it gives the same tree, in which everything is an attribute.
 *          kt_hcl_blocks() reads both: `path "a" { ... }` and `{"path": {"a": { ... }}}`.
 * Grammar: keys and labels bare (ASCII letter or _, then letters, digits, _ - .) or quoted; strings
 *          with \n \t \r \a \b \f \v \" \\ \uXXXX \UXXXXXXXX; heredocs <<EOF and <<-EOF (which
 *          takes the closing line's indentation off every line, if every line has it); numbers
 *          (decimal, fraction, exponent, 0x hex, leading 0 octal); true, false; lists; objects;
 *          comments # // and slash-star. New lines mean nothing outside strings; a comma may follow
 *          each item. No interpolation, functions or includes: "${x}" and "{{x}}" are just
 *          characters.
 * Refused: duplicate attributes in one body, an attribute named like a block of the same body,
 *          invalid UTF-8, NUL, null (JSON form), and what passes a limit.
 * Limits:  1 MiB, 32 levels (the file itself is one), 10,000 keys, labels and values.
 * Owner:   kt_hcl_parse() gives the root, which owns everything below it, texts included;
 *          kt_hcl_free() wipes and frees it all; NULL is fine.
 * Errors:  KT_TOO_LARGE, KT_NO_MEMORY, else KT_INVALID with "file:line:column: ..." in front. Keys
 *          may be quoted, values never are.
 * Threads: any thread; a parsed tree is only read.
 * Source:  github.com/hashicorp/hcl v1: parser/, scanner/, json/, decoder.go. */
#pragma once

#include "lib/buf.h"
#include "lib/err.h"

#define KT_HCL_MAX_BYTES  ((size_t)1024 * 1024)
#define KT_HCL_MAX_DEPTH  32u
#define KT_HCL_MAX_NODES  10000u
#define KT_HCL_MAX_LABELS 4u

/* Column counts characters, both from 1. The file name belongs to the tree. */
struct kt_hcl_pos {
    const char *file;
    unsigned line, column;
};

enum kt_hcl_type { KT_HCL_STRING, KT_HCL_NUMBER, KT_HCL_BOOL, KT_HCL_LIST, KT_HCL_OBJECT };

struct kt_hcl_value {
    enum kt_hcl_type type;
    struct kt_hcl_pos pos;
    bool truth;                       /* BOOL */
    const char *text;                 /* STRING: decoded; NUMBER: as written */
    const struct kt_hcl_value *first; /* LIST: its elements, linked by next */
    size_t count;                     /* LIST */
    const char *const *texts;         /* LIST of strings only: them, NULL at the end; else NULL */
    const struct kt_hcl_body *object; /* OBJECT */
    const struct kt_hcl_value *next;
};

struct kt_hcl_item {
    const char *key;
    struct kt_hcl_pos pos; /* of the key */
    bool block;            /* key label... { }; its body is value.object */
    size_t label_count;    /* 0 for attributes */
    const char *labels[KT_HCL_MAX_LABELS];
    struct kt_hcl_value value;
    const struct kt_hcl_item *next;
};

struct kt_hcl_body {
    struct kt_hcl_pos pos;
    const struct kt_hcl_item *first; /* in the order of the file, linked by next */
    size_t count;
};

/* file: the name for errors, copied. */
enum kt_kind kt_hcl_parse(struct kt_bytes text, const char *file, struct kt_hcl_body **ret,
                          struct kt_err *err) KT_MUST_CHECK;
void kt_hcl_free(struct kt_hcl_body *root);

/* ---- finding ---- */
/* The attribute (never a block) of that name, or NULL. */
const struct kt_hcl_item *kt_hcl_find(const struct kt_hcl_body *body, const char *key);

/* Blocks of one type with exactly `label_count` labels, in order, however they were written: as
 * blocks, as nested objects, as lists of objects.
 *     struct kt_hcl_blocks it = kt_hcl_blocks(root, "path", 1);
 *     while (kt_hcl_next(&it, &block, err))  ... block.labels[0], block.body
 *     if (it.kind != KT_OK) return it.kind;   what was written is not a block: err says where */
struct kt_hcl_block {
    struct kt_hcl_pos pos;
    const char *labels[KT_HCL_MAX_LABELS];
    const struct kt_hcl_body *body;
};
#define KT_HCL_FRAMES (2u * KT_HCL_MAX_LABELS + 4u)
struct kt_hcl_blocks {
    enum kt_kind kind;
    const char *type;
    size_t label_count, depth;
    struct kt_hcl_frame {
        const struct kt_hcl_item *item;   /* the next one to look at, or */
        const struct kt_hcl_value *value; /* the next list element */
        size_t labels;                    /* known above this frame */
    } frames[KT_HCL_FRAMES];
    const char *labels[KT_HCL_MAX_LABELS];
};
struct kt_hcl_blocks kt_hcl_blocks(const struct kt_hcl_body *body, const char *type,
                                   size_t label_count);
bool kt_hcl_next(struct kt_hcl_blocks *it, struct kt_hcl_block *ret,
                 struct kt_err *err) KT_MUST_CHECK;
/* The only block of its type without labels; *ret is NULL when there is none; two are an error. */
enum kt_kind kt_hcl_only_block(const struct kt_hcl_body *body, const char *type,
                               const struct kt_hcl_body **ret, struct kt_err *err) KT_MUST_CHECK;

/* ---- typed values: an error names the place and the expected form ---- */
/* Exactly a string. */
enum kt_kind kt_hcl_as_text(const struct kt_hcl_value *value, const char **ret,
                            struct kt_err *err) KT_MUST_CHECK;
/* true, false, 1, 0, and as strings "true" "t" "1" "false" "f" "0" in Go's ParseBool spellings. */
enum kt_kind kt_hcl_as_bool(const struct kt_hcl_value *value, bool *ret,
                            struct kt_err *err) KT_MUST_CHECK;
/* A whole number or a string that holds one; min..max is named in the error. */
enum kt_kind kt_hcl_as_int(const struct kt_hcl_value *value, int64_t min, int64_t max, int64_t *ret,
                           struct kt_err *err) KT_MUST_CHECK;
/* Whole seconds or a string for lib/duration.h. */
enum kt_kind kt_hcl_as_duration(const struct kt_hcl_value *value, uint64_t *ret_ms,
                                struct kt_err *err) KT_MUST_CHECK;
/* A list of strings: *ret is NULL-terminated and belongs to the tree. */
enum kt_kind kt_hcl_as_texts(const struct kt_hcl_value *value, const char *const **ret,
                             size_t *ret_count, struct kt_err *err) KT_MUST_CHECK;

/* The same for an attribute of a body. Absent: KT_OK and *ret untouched, so preset the default. */
enum kt_kind kt_hcl_get_text(const struct kt_hcl_body *body, const char *key, const char **ret,
                             struct kt_err *err) KT_MUST_CHECK;
enum kt_kind kt_hcl_get_bool(const struct kt_hcl_body *body, const char *key, bool *ret,
                             struct kt_err *err) KT_MUST_CHECK;
enum kt_kind kt_hcl_get_int(const struct kt_hcl_body *body, const char *key, int64_t min,
                            int64_t max, int64_t *ret, struct kt_err *err) KT_MUST_CHECK;
enum kt_kind kt_hcl_get_duration(const struct kt_hcl_body *body, const char *key, uint64_t *ret_ms,
                                 struct kt_err *err) KT_MUST_CHECK;
enum kt_kind kt_hcl_get_texts(const struct kt_hcl_body *body, const char *key,
                              const char *const **ret, size_t *ret_count,
                              struct kt_err *err) KT_MUST_CHECK;

/* ---- errors at a place ---- */
/* "file:line:column: " and the text, as KT_INVALID. */
enum kt_kind kt_hcl_fail(struct kt_hcl_pos pos, struct kt_err *err, const char *format, ...)
    KT_PRINTF(3, 4);
/* For each item whose key is not among `known` (NULL at the end): fn(item, the nearest known key or
 * NULL, arg), and the answer is KT_OK. fn NULL: the first one is the error. */
typedef void kt_hcl_unknown_fn(const struct kt_hcl_item *item, const char *nearest, void *arg);
enum kt_kind kt_hcl_check_known(const struct kt_hcl_body *body, const char *const *known,
                                kt_hcl_unknown_fn *fn, void *arg, struct kt_err *err) KT_MUST_CHECK;

/* ---- writing ---- */
/* Canonical text: one item a line, two spaces of indentation. Parsing it gives the same tree (if it
 * is within KT_HCL_MAX_BYTES), and printing that the same text. Check kt_buf_ok(). */
void kt_hcl_print(const struct kt_hcl_body *body, struct kt_buf *out);

static inline void kt_hcl_free_at(struct kt_hcl_body **root)
{
    kt_hcl_free(*root);
}
#define kt_autohcl __attribute__((cleanup(kt_hcl_free_at)))
