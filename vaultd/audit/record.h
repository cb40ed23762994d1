/* vaultd/audit/record.h - what a record says: JSON lines with Vault's field names.
 *
 * What:    Turns events into lines. Tokens, accessors and every string value in request and response
 *          data, at any depth, become "hmac-sha256:" and 64 hex digits; keys, numbers, booleans, null
 *          and RFC 3339 times stay. Data that would not fit the line becomes one HMAC of its text.
 *          Ours beside Vault's fields: status, salt (16 random bytes, where there is no request id),
 *          generation and place of an outcome, seq.
 * Format:  a line in the making (line.h): the object without its closing brace (what log.h wants).
 *          "time" stands first. Outcomes and notes are plain text, their own terse form.
 *          a packed outcome: i64 time ‖ u16 status ‖ u8 flags ‖ accessor's HMAC 32 ‖ new token's HMAC
 *          32 ‖ of a wrapped answer (i64 ttl, creation time ‖ HMACs of token, accessor, accessor
 *          inside ‖ text creation path, if another's) ‖ texts (u16 length each, or 16 bytes where a
 *          flag says UUID): request id, entity id, display name, operation, path, error. The HMACs
 *          and the wrapped answer only if their flag says so.
 * Owner:   caller's buffers.
 * Threads: any thread. */
#pragma once

#include "vaultd/audit/audit.h"
#include "vaultd/audit/hasher.h"
#include "vaultd/audit/sealed.h"

#define AUDIT_PLAIN_USUAL 2048u /* bytes that nearly every outcome's line needs at most */

/* line is emptied first. */
enum kt_kind audit_line_event(struct audit_hasher *hasher, const struct audit_event *event,
                              struct audit_line *line, struct kt_err *err) KT_MUST_CHECK;
/* The outcome of an event, packed, appended to out; and the bytes that its record may take. */
enum kt_kind audit_outcome_pack(struct audit_hasher *hasher, const struct audit_event *event,
                                struct kt_buf *out, uint16_t *ret_room, struct kt_err *err)
    KT_MUST_CHECK;
/* KT_CORRUPT: not a packed outcome. */
enum kt_kind audit_line_outcome(struct kt_bytes packed, struct audit_mark mark,
                                struct kt_buf *line, struct kt_err *err) KT_MUST_CHECK;

/* The log's own records. */
struct audit_note {
    const char *type; /* "init", "recovery", "history" */
    int64_t time_ms;
    struct kt_bytes body; /* JSON object, put under the type's name */
};
enum kt_kind audit_line_note(const struct audit_note *note, struct kt_buf *line,
                             struct kt_err *err) KT_MUST_CHECK;
