/* agent/args.h - secret-agent's command line: one row a flag, one row a verb.
 *
 * What:    secret-agent run [--config F] [--service NAME] [--env N=secret/path#field] [--wait 30s]
 *              -- cmd ...
 *          secret-agent check --config F
 * Errors:  KT_INVALID names the word and the nearest known one.
 * Threads: before threads. */
#pragma once

#include "lib/err.h"

#define ARGS_ENV_MAX 64u

enum verb { VERB_RUN, VERB_CHECK };
struct args {
    enum verb verb;
    bool help, version;
    const char *config, *service;
    const char *env[ARGS_ENV_MAX];
    size_t n_env;
    int64_t wait_ms;
    char **command; /* NULL ends */
};
enum kt_kind agent_args_parse(int argc, char **argv, struct args *ret,
                              struct kt_err *err) KT_MUST_CHECK;
/* --help or --version on standard output. */
void agent_args_print(const struct args *args);
