/* agent/config.h - what one service needs, as its file says.
 *
 * What:    HCL (or JSON):
 *            host = "web1"                          # default: the host's name
 *            vault { address ca_file token_file namespace }
 *            service "orders" {
 *              candidates = 2                            # the program tries another one when one is refused
 *              env "PGPASSWORD" { secret = "secret/db/orders"  field = "password" }   # or candidate = true
 *              file "/run/orders/pg_service.conf" {
 *                template = "/etc/orders/service.tpl"      # or contents = "..."
 *                owner group mode                          # mode = "0400"
 *              }
 *              activate = "none" | "signal" | "command" | "restart"
 *              signal = "HUP"   command = ["/path", "arg"]   stop_timeout = "30s"   settle = "3s"
 *              health "command" { command = ["/path"]  interval timeout pass fail window samples }
 *              health "http"    { url = "http://127.0.0.1:8080/healthz"  expect = 200 }
 *              health "tcp"     { address = "127.0.0.1:5432" }
 *            }
 *          Unknown keys are errors with file:line and the nearest known key.
 * Owner:   agent_config_read() gives one, agent_config_free() takes it; every text in it lives as
 *          long.
 * Threads: before threads. */
#pragma once

#include <sys/types.h>

#include "agent/template.h"
#include "lib/arena.h"
#include "lib/err.h"
#include "lib/hcl/hcl.h"

#define CONFIG_SECRETS_MAX 64u
/* Of a baseline, before its latency says anything. */
#define CONFIG_SAMPLES_TO_COMPARE 10u

struct config_env {
    const char *name, *secret, *field;
    bool candidate; /* of the other version */
    struct kt_hcl_pos pos; /* file NULL: from --env */
};
struct config_file {
    const char *path, *contents;
    struct template_place source; /* of contents */
    uid_t owner;
    gid_t group;
    mode_t mode;
};
enum activation { ACTIVATE_NONE, ACTIVATE_SIGNAL, ACTIVATE_COMMAND, ACTIVATE_RESTART };
enum health_kind { HEALTH_NONE, HEALTH_COMMAND, HEALTH_HTTP, HEALTH_TCP };
struct config_health {
    enum health_kind kind;
    char *const *command; /* NULL ends */
    const char *url;      /* HEALTH_HTTP; HEALTH_TCP: "host:port" */
    unsigned expect;      /* HTTP status */
    int64_t interval_ms, timeout_ms, window_ms, grace_ms;
    int64_t settle_ms;   /* without a check: who lives so long after a start is well */
    unsigned pass, fail; /* in a row */
    unsigned samples;    /* of the baseline */
    int64_t latency_floor_ms;
    double latency_factor; /* 0: latency does not judge */
};
struct config {
    struct kt_arena arena;
    const char *host, *service;
    const char *address, *ca_file, *token_file, *namespace_path;
    const char *token_from; /* for people: a path, or a variable's name; NULL: not looked for yet */
    bool says_address, says_ca_file; /* the file does; else they are of the environment */
    struct kt_hcl_pos pos, activate_pos, candidates_pos; /* of the service, and in it; file NULL: not said */
    struct config_env *env;
    size_t n_env;
    struct config_file *files;
    size_t n_files;
    const char *secrets[CONFIG_SECRETS_MAX]; /* all that env and files name, each once */
    bool two[CONFIG_SECRETS_MAX]; /* of which the candidate is named, too */
    unsigned candidates;          /* 1, 2: the program tries so many */
    size_t n_secrets;
    enum activation activate;
    int signal;
    char *const *command;
    int64_t stop_timeout_ms;
    int64_t debounce_ms;    /* changes closer than this are one activation */
    int64_t restart_gap_ms; /* least time between two restarts */
    bool allow_unsafe_env;
    struct config_health health;
};

/* path NULL: an empty one, for --env alone. service NULL: the only one of the file. */
enum kt_kind agent_config_read(const char *path, const char *service, struct config **ret,
                               struct kt_err *err) KT_MUST_CHECK;
void agent_config_free(struct config *config);
/* "--env NAME=secret/db/orders#password" */
enum kt_kind agent_config_add_env(struct config *config, const char *text,
                                  struct kt_err *err) KT_MUST_CHECK;
/* What only makes sense together: at least one secret, a signal with "signal", ... */
enum kt_kind agent_config_check(const struct config *config, struct kt_err *err) KT_MUST_CHECK;
/* What is named and not there now, and has to be when the program is started: missing(arg, what, path). */
typedef void config_missing_fn(void *arg, const char *what, const char *path);
void agent_config_missing(const struct config *config, config_missing_fn *missing, void *arg);
