/* lib/driver/template.h - texts with names in braces, of which the driver "http" makes its requests.
 *
 * What:    "{account}" stands for the account; "{{" and "}}" are braces. Only the names below exist, so
 *          a template cannot reach anything else. What stands for them is written as the place
 *          demands: in an address percent-encoded, in JSON escaped, never as it is.
 * Secrets: {admin} and {value}. Their place is a header or a body; an address is in every log.
 * Owner:   values are borrowed for the call.
 * Errors:  KT_INVALID names what is wrong with a template.
 * Threads: plain functions. */
#pragma once

#include "lib/buf.h"
#include "lib/err.h"
#include "lib/json.h"

#define TEMPLATE_MAX 2048u

/* name, text in braces */
#define TEMPLATE_NAMES(X)                                                                          \
    X(TEMPLATE_ACCOUNT, "account")                                                                 \
    X(TEMPLATE_RUN, "run")                                                                         \
    X(TEMPLATE_ATTEMPT, "attempt")                                                                 \
    X(TEMPLATE_ID, "id")                                                                           \
    X(TEMPLATE_ADMIN_NAME, "admin_name")                                                           \
    X(TEMPLATE_ADMIN, "admin")                                                                     \
    X(TEMPLATE_VALUE, "value")
#define X(name, text) name,
enum template_name { TEMPLATE_NAMES(X) TEMPLATE_NAME_COUNT };
#undef X
#define TEMPLATE_BIT(name) (1u << (name))
#define TEMPLATE_SECRETS   (TEMPLATE_BIT(TEMPLATE_ADMIN) | TEMPLATE_BIT(TEMPLATE_VALUE))

struct template_values {
    struct kt_bytes at[TEMPLATE_NAME_COUNT];
};

const char *kt_template_name_text(enum template_name name);
/* Adds the names that it uses to *names. */
enum kt_kind kt_template_check(const char *text, unsigned *names, struct kt_err *err) KT_MUST_CHECK;
/* The same for each string of a JSON value; names of members are no templates. */
enum kt_kind kt_template_check_json(struct kt_json value, unsigned *names, struct kt_err *err)
    KT_MUST_CHECK;

/* Of what was checked. Appends; see kt_buf_ok(). */
void kt_template_fill(const char *text, const struct template_values *values, struct kt_buf *out);
/* Percent-encoded. A value of dots alone, which would be a step in a path, fails the buffer. */
void kt_template_fill_url(const char *text, const struct template_values *values, struct kt_buf *out);
void kt_template_fill_json(struct kt_json value, const struct template_values *values,
                           struct kt_buf *out);
