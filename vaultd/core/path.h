/* vaultd/core/path.h - the one function that turns a request line's path into the canonical one.
 *
 * Everything after it (routing, policies, audit, store keys) uses only its output. What is not
 * canonical is refused, never repaired: %XX is decoded once, before the path is split, so %2F is a
 * separator; '.', '..' and empty segments, NUL, controls and other characters that nobody can see
 * (turning the direction of writing, joining, odd spaces) and invalid UTF-8 are refused. A
 * trailing '/' stays: it means LIST.
 * Limits:  4 KiB, 32 segments, 255 bytes a segment.
 * Threads: any thread. */
#pragma once

#include "lib/arena.h"
#include "lib/err.h"

#define PATH_MAX_BYTES   4096u
#define PATH_MAX_DEPTH   32u
#define PATH_MAX_SEGMENT 255u

/* target: the path of the request line, "/v1/..." percent-encoded. KT_NOT_FOUND with an empty text
 * when it is not below /v1/. The result is in the arena, NUL-terminated, without "/v1/". */
enum kt_kind path_canonical(struct kt_arena *arena, struct kt_bytes target, const char **ret,
                            size_t *ret_len, struct kt_err *err) KT_MUST_CHECK;
/* A path that came another way, not encoded: KT_INVALID when it is not canonical as it is. */
enum kt_kind path_check(const char *path, struct kt_err *err) KT_MUST_CHECK;
/* Decodes one query key or value: %XX and '+'. KT_INVALID for a bad escape or a NUL. */
enum kt_kind query_decode(struct kt_arena *arena, struct kt_bytes text, struct kt_bytes *ret,
                          struct kt_err *err) KT_MUST_CHECK;
