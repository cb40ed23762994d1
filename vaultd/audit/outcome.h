/* vaultd/audit/outcome.h - the outcome of a write: packed into its commit, and the record made of it.
 *
 * What:    A write's outcome is stored with what it wrote, and becomes a record of the log once that is
 *          known to have happened, also by whoever opens the store after a crash.
 * Format:  i64 time ‖ u16 status ‖ u8 flags ‖ accessor's HMAC 32 ‖ new token's HMAC 32 ‖ of a wrapped
 *          answer (i64 ttl, creation time ‖ HMACs of token, accessor, accessor inside ‖ text creation
 *          path, if another's) ‖ texts (u16 length each, or 16 bytes where a flag says UUID): request id,
 *          entity id, display name, operation, path, error. The HMACs and the wrapped answer only if
 *          their flag says so.
 * Limits:  a path that leaves no room in AUDIT_OUTCOME_ROOM_MAX is named by its HMAC.
 * Owner:   caller's buffers.
 * Threads: any thread. */
#pragma once

#include "vaultd/audit/audit.h"
#include "vaultd/audit/hasher.h"
#include "vaultd/audit/sealed.h"

/* The outcome of an event, packed, appended to out; and the bytes that its record may take. */
enum kt_kind audit_outcome_pack(struct audit_hasher *hasher, const struct audit_event *event,
                                struct kt_buf *out, uint16_t *ret_room, struct kt_err *err)
    KT_MUST_CHECK;
/* Plain text (plain.h); line is emptied first. KT_CORRUPT: not a packed outcome. */
enum kt_kind audit_line_outcome(struct kt_bytes packed, struct audit_mark mark,
                                struct kt_buf *line, struct kt_err *err) KT_MUST_CHECK;
