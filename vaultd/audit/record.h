/* vaultd/audit/record.h - what a record says: JSON lines with Vault's field names.
 *
 * What:    Turns events into lines. Tokens, accessors and every string value in request and response
 *          data, at any depth, become "hmac-sha256:" and 64 hex digits; keys, numbers, booleans, null
 *          and RFC 3339 times stay. Data that would not fit the line becomes one HMAC of its text.
 *          Ours beside Vault's fields: status, salt (16 random bytes, where there is no request id),
 *          generation and place of an outcome (outcome.h), seq.
 * Format:  a line in the making (line.h): the object without its closing brace (what log.h wants).
 *          "time" stands first. Outcomes and notes are plain text (plain.h).
 * Owner:   caller's buffers.
 * Threads: any thread. */
#pragma once

#include "vaultd/audit/audit.h"
#include "vaultd/audit/hasher.h"

#define AUDIT_SUFFIX_ROOM 32u /* what the log adds to a line: seq and the brace */

/* line is emptied first. */
enum kt_kind audit_line_event(struct audit_hasher *hasher, const struct audit_event *event,
                              struct audit_line *line, struct kt_err *err) KT_MUST_CHECK;

#define AUDIT_SALT_TEXT 33u
void audit_salt_text(char hex[AUDIT_SALT_TEXT]);
