/* agent/run.h - `secret-agent run`: the whole life of one supervised service.
 *
 * Threads: one. */
#pragma once

#include "agent/config.h"
#include "lib/secret.h"

#define RUN_FAILED (-1) /* the agent's own failure: err says what */

struct run_options {
    const struct config *config;
    const struct kt_secret *token;
    char *const *argv;
    char **base_env;
    mode_t umask;
    int64_t wait_ms;
};
/* Returns the exit status: the program's, 126, 127, or RUN_FAILED. */
int run_service(const struct run_options *options, struct kt_err *err);
