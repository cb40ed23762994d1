/* vaultd/auth/token_record.h - the stored form of a token.
 *
 * Format 1: u8 format ‖ u8 flags ‖ parent32 ‖ i64 created, expires, creation ttl, explicit max ttl,
 * period, last renewal, uses left ‖ fields accessor, display name, entity id, path, meta ‖ u16 n ‖ n
 * policy fields.
 * Format 2: the same ‖ i64 most that its role gave ‖ field role ‖ u16 n ‖ n fields bound_cidrs.
 * Readers are a table by format number; a newer one is refused by name.
 * Threads: any thread. */
#pragma once

#include "vaultd/auth/token.h"

#define TOKEN_RECORD_MAX ((size_t)256 * 1024)

void token_record_write(const struct token *token, struct kt_buf *out);
/* Strings are copied into the arena. hash and changed are the caller's to set. */
enum kt_kind token_record_read(struct kt_bytes record, struct kt_arena *arena, struct token *ret,
                               struct kt_err *err) KT_MUST_CHECK;
