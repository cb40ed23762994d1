/* lib/redact.h - takes known secret values out of a text before it is logged, stored or shown.
 *
 * What:    Finds every registered value and puts "[redacted]" in its place, in these forms: as it is;
 *          URL-encoded (any choice of escaped characters, '+' for a blank); escaped as in JSON, C
 *          and connection strings (\" \n \u00e4 \x2f \057 \'); with SQL's doubled quotes; in hex;
 *          in base64 at any of its three alignments (both alphabets, also when wrapped). Not one
 *          encoding inside another, and not a value that was cut. With a value of at most 7 bytes go
 *          the letters and digits that touch it, with one of at most 3 the whole text: of a message
 *          that people know, what is left would tell the value.
 * Owner:   kt_redactor_new() gives one, kt_redactor_free() takes it and wipes its copies; NULL is fine.
 *          The copies live in guarded memory.
 * Limits:  64 values of 1..4096 bytes; text of 64 KiB. Hex and base64 under 4 characters are not
 *          looked for, since they would be everywhere.
 * Errors:  when kt_redact() fails the text must be dropped, not shown.
 * Threads: adding: one thread; kt_redact(): any thread once all are added. */
#pragma once

#include "lib/buf.h"
#include "lib/err.h"

#define KT_REDACT_VALUES_MAX 64u
#define KT_REDACT_VALUE_MAX  4096u
#define KT_REDACT_TEXT_MAX   ((size_t)64 * 1024)
#define KT_REDACTED          "[redacted]"

struct kt_redactor;
/* NULL when memory does not suffice. */
struct kt_redactor *kt_redactor_new(void);
void kt_redactor_free(struct kt_redactor *redactor);
/* An empty value is ignored. */
enum kt_kind kt_redactor_add(struct kt_redactor *redactor, struct kt_bytes value,
                             struct kt_err *err) KT_MUST_CHECK;
/* Appends the text without the values. A NULL redactor copies. */
enum kt_kind kt_redact(const struct kt_redactor *redactor, struct kt_bytes text,
                       struct kt_buf *out, struct kt_err *err) KT_MUST_CHECK;

static inline void kt_redactor_free_at(struct kt_redactor **redactor)
{
    kt_redactor_free(*redactor);
}
#define kt_autoredactor __attribute__((cleanup(kt_redactor_free_at)))
