/* cli/move_plain.h - a secret's versions made anew by plain writes, for a Vault or OpenBao that has no other way.
 *
 * What:    Numbers, values, metadata and which versions are deleted or destroyed come along, and when one is to
 *          delete itself, to the second. Other times do not: they are those of the writes. A number that the source has no more is written empty and destroyed. A
 *          write says which version it follows, so nothing comes twice.
 * Threads: any thread, each with its own connections. */
#pragma once

#include "cli/move_history.h"
#include "cli/move_kv.h"

/* Is what stands there what a move would have put there? Only then may it be added to or destroyed. */
enum kt_kind move_plain_check(const struct move_kv *kv, const char *path, const struct move_history *source,
                              const struct move_history *there, int64_t now_ms, bool *ret_same,
                              struct kt_err *err) KT_MUST_CHECK;
/* In the place of another secret, which is deleted when all values that come are at hand. KT_TOO_LARGE: more than
 * 64 MiB of them. */
enum kt_kind move_plain_replace(const struct move_kv *kv, const char *path, const struct move_history *source,
                                struct kt_err *err) KT_MUST_CHECK;
enum kt_kind move_plain_append(const struct move_kv *kv, const char *path, const struct move_history *source,
                               const struct move_history *there, struct kt_err *err) KT_MUST_CHECK;
