/* vaultd/audit/plain.h - records in plain text, their own terse form: how each begins and ends; notes.
 *
 * What:    Notes are the log's own records; outcomes (outcome.h) are written with the same hands.
 * Form:    "time" first; "salt" where there is no request id; no closing brace (what log.h wants).
 * Owner:   caller's buffers; a line is emptied first.
 * Threads: any thread. */
#pragma once

#include "lib/jsonw.h"
#include "vaultd/audit/audit.h"

#define AUDIT_PLAIN_USUAL 2048u /* bytes that nearly every such line needs at most */

struct audit_note {
    const char *type; /* "init", "recovery", "history" */
    int64_t time_ms;
    struct kt_bytes body; /* JSON object, put under the type's name */
};
enum kt_kind audit_line_note(const struct audit_note *note, struct kt_buf *line,
                             struct kt_err *err) KT_MUST_CHECK;

/* ---- for who writes one ---- */
void audit_plain_begin(struct kt_buf *line);
enum kt_kind audit_plain_end(const struct kt_buf *line, struct kt_err *err) KT_MUST_CHECK;
void audit_plain_time(struct kt_jsonw *w, int64_t ms);
void audit_plain_salt(struct kt_jsonw *w);
