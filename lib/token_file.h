/* lib/token_file.h - where a program gets its token from: a variable, or a file that only its owner
 * may read.
 *
 * Owner:   the secret that is given back is the caller's: kt_secret_free().
 * Limits:  a token is 1..4096 bytes of printable ASCII without blanks; white space around it is
 *          dropped.
 * Errors:  KT_NOT_FOUND: no such file or variable. KT_DENIED: the file is not a regular one,
 *          belongs to somebody else, or others may read it. KT_INVALID: its content is no token.
 *          KT_IO.
 * Threads: kt_token_env_take(): before threads; else any thread. */
#pragma once

#include "lib/secret.h"

#define KT_TOKEN_TEXT_MAX 4096u

/* Takes a variable's value out of the environment: the bytes are wiped in place, so they are not
 * seen through /proc/PID/environ either. */
enum kt_kind kt_token_env_take(const char *name, struct kt_secret **ret,
                               struct kt_err *err) KT_MUST_CHECK;
enum kt_kind kt_token_file_read(const char *path, struct kt_secret **ret,
                                struct kt_err *err) KT_MUST_CHECK;
/* Writes it, mode 0600, over what was there, at once or not at all. */
enum kt_kind kt_token_file_write(const char *path, struct kt_bytes token,
                                 struct kt_err *err) KT_MUST_CHECK;
/* Could it be written now? Nothing is changed. */
enum kt_kind kt_token_file_try(const char *path, struct kt_err *err) KT_MUST_CHECK;
/* Trims and checks a token that came from outside; points into text. */
enum kt_kind kt_token_check(struct kt_bytes text, struct kt_bytes *ret,
                            struct kt_err *err) KT_MUST_CHECK;
