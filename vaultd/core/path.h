/* vaultd/core/path.h - the one function that turns a request line's path into the canonical one.
 *
 * Everything after it (routing, policies, audit, store keys) uses only its output. What is not
 * canonical is refused, never repaired: %XX is decoded once, before the path is split, so %2F is a
 * separator; '.', '..' and empty segments, NUL, controls and other characters that nobody can see
 * (turning the direction of writing, joining, odd spaces) and invalid UTF-8 are refused. A
 * trailing '/' stays: it means LIST.
 * Limits:  5 KiB, 48 segments, 255 bytes a segment. A mount's path and a name in a mount have bounds of
 *          their own, so that what was written is reached wherever its mount moves to and whatever its
 *          engine's next version puts between the two ("data/"), percent-encoded byte by byte too.
 * Threads: any thread. */
#pragma once

#include "lib/arena.h"
#include "lib/err.h"

#define PATH_MAX_BYTES   5120u
#define PATH_MAX_DEPTH   48u
#define PATH_MAX_SEGMENT 255u
#define PATH_MOUNT_BYTES 255u /* its last '/' included */
#define PATH_MOUNT_DEPTH 8u
#define PATH_NAME_BYTES  1024u
#define PATH_NAME_DEPTH  30u

/* target: the path of the request line, "/v1/..." percent-encoded. KT_NOT_FOUND with an empty text
 * when it is not below /v1/. The result is in the arena, NUL-terminated, without "/v1/". */
enum kt_kind path_canonical(struct kt_arena *arena, struct kt_bytes target, const char **ret,
                            size_t *ret_len, struct kt_err *err) KT_MUST_CHECK;
/* A path that came another way, not encoded: KT_INVALID when it is not canonical as it is. */
enum kt_kind path_check(const char *path, struct kt_err *err) KT_MUST_CHECK;
/* KT_INVALID when a new mount's path, or a new name in a mount, is beyond its bounds. */
enum kt_kind path_check_mount(const char *path, struct kt_err *err) KT_MUST_CHECK;
enum kt_kind path_check_name(const char *path, struct kt_err *err) KT_MUST_CHECK;
/* Decodes one query key or value: %XX and '+'. KT_INVALID for a bad escape or a NUL. */
enum kt_kind query_decode(struct kt_arena *arena, struct kt_bytes text, struct kt_bytes *ret,
                          struct kt_err *err) KT_MUST_CHECK;
