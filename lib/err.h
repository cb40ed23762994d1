/* lib/err.h - what failed, on what, why, and what to do next.
 *
 * What:    The kind is the return value, so it cannot be overlooked; the story goes into the
 *          caller's struct kt_err, always the last parameter, NULL when nobody wants it.
 * Owner:   Fixed size, no allocation. It never holds a secret: callers put names, numbers and
 *          places into it, not values that came from outside.
 * Use:     return kt_fail(err, KT_IO, "cannot open '%s'", path);   saves errno first
 *          kt_hint(err, "set storage.path to a folder that keyturn may write");
 *          kt_context(err, "unsealing");                            adds "unsealing: " in front
 *          A zeroed struct means success. A later kt_fail replaces an earlier one.
 * Threads: one thread at a time per struct.
 * lib/ never logs; a program logs an error once, where it stops travelling. */
#pragma once

#include "lib/bytes.h"

/* kind, HTTP status, the sentence when nothing better is known */
#define KT_ERROR_KINDS(X)                                                                          \
    X(KT_OK, 200, "ok")                                                                            \
    X(KT_INVALID, 400, "the request is not valid")                                                 \
    X(KT_DENIED, 403, "permission denied")                                                         \
    X(KT_NOT_FOUND, 404, "no such thing")                                                          \
    X(KT_METHOD, 405, "unsupported operation")                                                     \
    X(KT_CONFLICT, 409, "someone else changed it first")                                           \
    X(KT_GONE, 410, "no longer available")                                                         \
    X(KT_PRECONDITION, 412, "a precondition does not hold")                                        \
    X(KT_TOO_LARGE, 413, "http: request body too large")                                           \
    X(KT_MEDIA_TYPE, 415, "unsupported media type")                                                \
    X(KT_TOO_MANY, 429, "too many requests")                                                       \
    X(KT_INTERNAL, 500, "internal error")                                                          \
    X(KT_NO_MEMORY, 500, "out of memory")                                                          \
    X(KT_IO, 500, "the disk or the network failed")                                                \
    X(KT_UNKNOWN, 500, "outcome unknown")                                                          \
    X(KT_CORRUPT, 500, "stored data is damaged")                                                   \
    X(KT_SEALED, 503, "Vault is sealed")                                                           \
    X(KT_BUSY, 503, "try again later")                                                             \
    X(KT_FULL, 500, "no space left for the data")                                                  \
    X(KT_TIMEOUT, 504, "timed out")

#define X(name, http, text) name,
enum kt_kind { KT_ERROR_KINDS(X) KT_KIND_COUNT };
#undef X
_Static_assert(KT_OK == 0, "a zeroed struct kt_err means success");

struct kt_err {
    enum kt_kind kind;
    int saved_errno;  /* errno when it happened, 0 if it says nothing */
    char what[384];
    char hint[320];   /* the command or setting that mends it; may be empty */
};

/* Returns kind. errno is appended as ": text" for KT_IO when it is not 0, ": out of memory" for
 * KT_NO_MEMORY when the text does not say it. */
enum kt_kind kt_fail(struct kt_err *err, enum kt_kind kind, const char *format, ...)
    KT_PRINTF(3, 4);
/* Success, without touching all of the texts. */
static inline void kt_err_clear(struct kt_err *err)
{
    err->kind = KT_OK;
    err->saved_errno = 0;
    err->what[0] = err->hint[0] = '\0';
}
void kt_hint(struct kt_err *err, const char *format, ...) KT_PRINTF(2, 3);
void kt_context(struct kt_err *err, const char *format, ...) KT_PRINTF(2, 3);
/* "KT_IO" and the HTTP status and sentence of a kind. */
const char *kt_kind_name(enum kt_kind kind);
unsigned kt_kind_http(enum kt_kind kind);
const char *kt_kind_text(enum kt_kind kind);
/* Thread-safe strerror; the text is static. */
const char *kt_errno_text(int error);
