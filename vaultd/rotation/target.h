/* vaultd/rotation/target.h - a system that accepts a credential, and the login that may change it.
 *
 * Stored:  TABLE_TARGET, sealed. The administrative password never leaves it but for a worker.
 * Threads: any thread with the barrier entered. */
#pragma once

#include "lib/driver/driver.h"
#include "vaultd/core/core.h"
#include "vaultd/rotation/record.h"

#define TARGET_NAME_MAX     128u
#define TARGET_REFUSALS_MAX 16
#define TARGET_RUNS_MAX     16u  /* there, and in all */
#define TARGET_STARTS_MAX   600u

struct rotation_target {
    const char *name;
    const char *driver;
    const char *host, *database, *sslmode, *ca;
    const char *keys_file; /* ssh-key: where the account's keys are */
    const char *program; /* exec: of vaultd's configuration; else "" */
    uint32_t port;
    const char *admin_username, *admin_password;
    int64_t connect_timeout_s, statement_timeout_s;
    int64_t max_refusals_per_hour; /* 0: no limit; else at most TARGET_REFUSALS_MAX */
    int64_t probe_spacing_s;
    int64_t settle_s;  /* between two looks for sessions of an account that is no longer used */
    int64_t recheck_s; /* between two looks at what a frozen run froze at; 0: none */
    uint32_t max_runs;          /* that do something there at the same time; at least 1 */
    uint32_t starts_per_minute; /* of schedules; 0: what vaultd's configuration allows in all */
    const char *server_id;  /* what it said when it was first reached */
    uint32_t users;         /* secrets that name it */
    uint32_t failures;      /* runs that did not end well, in a row */
    generation changed;     /* not stored */
};
extern const struct record_kind target_kind;

/* KT_NOT_FOUND: no such target, no text. */
enum kt_kind target_load(struct request *req, const char *name, struct rotation_target *ret,
                         struct kt_err *err) KT_MUST_CHECK;
/* Into req's batch, on condition that it is as it was loaded (changed 0: absent). */
enum kt_kind target_save(struct request *req, const struct rotation_target *target,
                         struct kt_err *err) KT_MUST_CHECK;
/* How a step reaches it; texts are borrowed. */
void target_step(const struct rotation_target *target, struct driver_step *step);

/* Routes. */
enum kt_kind targets_list(struct request *req, struct kt_err *err);
enum kt_kind target_read(struct request *req, struct kt_err *err);
enum kt_kind target_write(struct request *req, struct kt_err *err);
enum kt_kind target_delete(struct request *req, struct kt_err *err);
enum kt_kind target_check(struct request *req, struct kt_err *err);
enum kt_kind target_exists(struct request *req, bool *ret_exists, struct kt_err *err);
extern const struct field target_fields[];
