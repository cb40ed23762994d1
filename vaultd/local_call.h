/* vaultd/local_call.h - a request that vaultd makes of itself, through the pipeline like any other.
 *
 * Threads: any thread that may block. */
#pragma once

#include "lib/buf.h"

struct core;

/* token and body may be NULL. Returns the status; the answer's body is added to out. */
unsigned local_call(struct core *core, const char *method, const char *target, const char *token,
                    const char *body, struct kt_buf *out);
