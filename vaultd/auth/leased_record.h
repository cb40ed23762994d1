/* vaultd/auth/leased_record.h - the stored form of a secret's lease; vaultd/auth/leased.h has its format.
 *
 * Errors:  KT_CORRUPT: damaged, or of a newer format. KT_NO_MEMORY.
 * Threads: any thread. */
#pragma once

#include "vaultd/auth/leased.h"

#define LEASED_RECORD_MAX (LEASED_DATA_MAX + 16384u)

void leased_record_write(const struct leased *lease, struct kt_buf *out);
/* Texts are copied into the arena. key and changed are the caller's to set. */
enum kt_kind leased_record_read(struct kt_bytes record, struct kt_arena *arena, struct leased *ret,
                                struct kt_err *err) KT_MUST_CHECK;
