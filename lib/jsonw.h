/* lib/jsonw.h - writes JSON into a kt_buf: commas and escapes are its business.
 *
 * What:    Strings are escaped as Go's encoder does ('<', '>', '&' as \u003c ..., U+2028 and
 *          U+2029), invalid UTF-8 becomes U+FFFD, so what Vault's clients compare is equal. Check
 *          kt_buf_ok() of the buffer once at the end.
 * Limits:  32 levels.
 * Threads: one thread at a time. */
#pragma once

#include "lib/buf.h"

#define KT_JSONW_DEPTH 32u

struct kt_jsonw {
    struct kt_buf *out;
    unsigned depth;
    bool comma[KT_JSONW_DEPTH]; /* something stands on this level already */
    char close[KT_JSONW_DEPTH];
    bool after_key;
};

struct kt_jsonw kt_jsonw(struct kt_buf *out);
void kt_jsonw_object(struct kt_jsonw *w);
void kt_jsonw_array(struct kt_jsonw *w);
void kt_jsonw_end(struct kt_jsonw *w); /* of the innermost object or array */
void kt_jsonw_key(struct kt_jsonw *w, const char *key);
void kt_jsonw_key_bytes(struct kt_jsonw *w, struct kt_bytes key);
void kt_jsonw_text(struct kt_jsonw *w, const char *text); /* NULL: null */
void kt_jsonw_bytes(struct kt_jsonw *w, struct kt_bytes text);
void kt_jsonw_int(struct kt_jsonw *w, int64_t value);
void kt_jsonw_bool(struct kt_jsonw *w, bool value);
void kt_jsonw_null(struct kt_jsonw *w);
void kt_jsonw_raw(struct kt_jsonw *w, struct kt_bytes json); /* one whole JSON value */

/* A key that is a literal and needs no escapes, put together at compile time: for what is written
 * with every read. */
#define KT_JSONW_NAME(w, name)                                                                     \
    kt_jsonw_name((w), ",\"" name "\":", sizeof(",\"" name "\":") - 1)
void kt_jsonw_name(struct kt_jsonw *w, const char *quoted, size_t len);

/* The string alone, quoted and escaped the same way, without a writer. */
void kt_json_quote(struct kt_buf *out, struct kt_bytes text);

/* key and value in one call */
static inline void kt_jsonw_kv_text(struct kt_jsonw *w, const char *key, const char *text)
{
    kt_jsonw_key(w, key);
    kt_jsonw_text(w, text);
}
static inline void kt_jsonw_kv_int(struct kt_jsonw *w, const char *key, int64_t value)
{
    kt_jsonw_key(w, key);
    kt_jsonw_int(w, value);
}
static inline void kt_jsonw_kv_bool(struct kt_jsonw *w, const char *key, bool value)
{
    kt_jsonw_key(w, key);
    kt_jsonw_bool(w, value);
}
static inline void kt_jsonw_kv_null(struct kt_jsonw *w, const char *key)
{
    kt_jsonw_key(w, key);
    kt_jsonw_null(w);
}
static inline void kt_jsonw_kv_raw(struct kt_jsonw *w, const char *key, struct kt_bytes json)
{
    kt_jsonw_key(w, key);
    kt_jsonw_raw(w, json);
}
/* RFC 3339, "" for 0. */
void kt_jsonw_time(struct kt_jsonw *w, int64_t ms);
void kt_jsonw_kv_time(struct kt_jsonw *w, const char *key, int64_t ms);
