/* agent/values.h - a service's secrets as they were fetched: one frozen set, versions included.
 *
 * What:    For each secret its version and its data (JSON text), in guarded buffers. Everything
 *          that is rendered or injected comes from one such set, so a file never mixes versions
 *          unawares: of a secret of which the program tries two credentials it may have the candidate,
 *          another version that is accepted, or is about to be.
 * Owner:   values_new() .. values_free(), which wipes; NULL is fine.
 * Threads: one thread at a time. */
#pragma once

#include "lib/buf.h"
#include "lib/json.h"

#define VALUES_MAX 64u

struct value {
    const char *secret; /* "secret/db/orders"; borrowed from the configuration */
    uint64_t version;
    struct kt_buf data; /* the JSON object */
    uint64_t other_version; /* the candidate; 0: there is none */
    struct kt_buf other;
};
struct values {
    struct value at[VALUES_MAX];
    size_t n;
};

struct values *values_new(void);
void values_free(struct values *values);
/* Adds an empty one; NULL when there are VALUES_MAX already. */
struct value *values_add(struct values *values, const char *secret);
const struct value *values_find(const struct values *values, const char *secret);
/* Of two sets of the same secrets: has any another version? */
bool values_differ(const struct values *a, const struct values *b);
/* A field as text: strings decoded, numbers and booleans as JSON writes them, objects and arrays as
 * JSON. KT_NOT_FOUND: no such secret or field, or null. The error names both, never a value. */
typedef enum kt_kind values_field_fn(const struct values *values, const char *secret, const char *field,
                                     struct kt_buf *out, struct kt_err *err);
enum kt_kind values_field(const struct values *values, const char *secret, const char *field,
                          struct kt_buf *out, struct kt_err *err) KT_MUST_CHECK;
/* Of the candidate; without one the same as values_field(). */
enum kt_kind values_candidate(const struct values *values, const char *secret, const char *field,
                              struct kt_buf *out, struct kt_err *err) KT_MUST_CHECK;
/* The candidate of a value: another version's data. The caller looks whether there was memory (kt_buf_ok). */
void value_put_other(struct value *value, uint64_t version, struct kt_bytes data);
