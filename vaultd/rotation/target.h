/* vaultd/rotation/target.h - a system that accepts a credential, and the login that may change it.
 *
 * Stored:  TABLE_TARGET, sealed. The administrative password never leaves it but for a worker.
 * Threads: any thread with the barrier entered. */
#pragma once

#include "lib/driver/driver.h"
#include "vaultd/core/core.h"
#include "vaultd/rotation/names.h"
#include "vaultd/rotation/nodes.h"
#include "vaultd/rotation/record.h"

#define TARGET_NAME_MAX     128u
#define TARGET_SECRET_MAX   1024u
#define TARGET_REFUSALS_MAX 16
#define TARGET_RUNS_MAX     16u  /* there, and in all */
#define TARGET_STARTS_MAX   600u

struct rotation_target {
    const char *name;
    const char *driver;
    const char *host, *database, *sslmode, *ca;
    const char *keys_file; /* ssh-key: where the account's keys are */
    const char *program; /* exec: of vaultd's configuration; else "" */
    const char *api;     /* http: the declared requests; else "" */
    uint32_t port;
    const char *admin_username, *admin_password;
    const char *admin_secret; /* its current version is the administrative login, and then these two are filled in by
                                 target_login() alone; "": they are the target's own */
    int64_t connect_timeout_s, statement_timeout_s;
    int64_t max_refusals_per_hour; /* 0: no limit; else at most TARGET_REFUSALS_MAX */
    int64_t probe_spacing_s;
    int64_t settle_s;  /* between two looks for sessions of an account that is no longer used */
    int64_t recheck_s; /* between two looks at what a frozen run froze at; 0: none */
    uint32_t max_runs;          /* that do something there at the same time; at least 1 */
    uint32_t starts_per_minute; /* of schedules; 0: what vaultd's configuration allows in all */
    const char *server_id;  /* what it said when it was first reached */
    /* Of several servers: their names (lib/driver/server.h), and what each said; host, port and server_id are the
     * first one's. Of one: none. */
    struct record_list nodes, node_ids;
    struct record_list sentinels; /* whom to ask whether those are all: sentinels.h; none: nobody */
    const char *sentinel_master;  /* what they call the primary; "" without them */
    uint32_t users;         /* secrets that name it */
    uint32_t failures;      /* runs that did not end well, in a row */
    generation changed;     /* not stored */
};
extern const struct record_kind target_kind;

/* KT_NOT_FOUND: no such target, no text. */
enum kt_kind target_load(struct request *req, const char *name, struct rotation_target *ret,
                         struct kt_err *err) KT_MUST_CHECK;
/* The one that the request's path names, with a text and a hint where there is none. */
enum kt_kind target_load_named(struct request *req, struct rotation_target *ret, struct kt_err *err) KT_MUST_CHECK;
/* Into req's batch, on condition that it is as it was loaded (changed 0: absent). */
enum kt_kind target_save(struct request *req, const struct rotation_target *target,
                         struct kt_err *err) KT_MUST_CHECK;
/* ---- target_admin.c: an administrative login that is a secret's ---- */
/* Before a step is planned. KT_INVALID: the secret has no version that could be one. */
enum kt_kind target_login(struct request *req, struct rotation_target *target, struct kt_err *err) KT_MUST_CHECK;
/* A step used that login, and was refused. Of a target that target_login() filled: is it another one now, or about
 * to be, so that the next step is worth a try? */
bool target_login_moves(struct request *req, const struct rotation_target *target, const struct driver_login *used);
/* Of what is written: the right to read the secret, what it holds, its strategy, and no circle; and no other secret
 * rotates the login. */
enum kt_kind target_admin_check(struct request *req, const struct rotation_target *before,
                                const struct rotation_target *target, struct kt_err *err) KT_MUST_CHECK;
/* Does it name the secret with this id? */
bool target_admin_is(struct request *req, const struct rotation_target *target, const unsigned char id[RUN_ID]);
/* KT_INVALID: the secret is the login of its own target, and its strategy would end it. */
struct rotation_secret;
enum kt_kind target_admin_strategy(struct request *req, const struct rotation_target *target,
                                   const struct rotation_secret *secret, struct kt_err *err) KT_MUST_CHECK;
/* Of a target that target_login() filled. KT_INVALID: one of the secret's accounts is its login, and the next step
 * would look for the new credential elsewhere. */
enum kt_kind target_login_free(struct request *req, const struct rotation_target *target,
                               const struct rotation_secret *secret, struct kt_err *err) KT_MUST_CHECK;

/* How a step reaches it; texts are borrowed. */
void target_step(const struct rotation_target *target, struct driver_step *step);

/* ---- target_nodes.c: a target of several servers ---- */
/* As many as the target has, 0 or 2 to DRIVER_SERVERS_MAX, all in the arena. 0 and arena->failed: no memory. */
size_t target_nodes(const struct rotation_target *target, struct kt_arena *arena, struct target_node **ret);
/* The same of its Sentinels. */
size_t target_sentinels(const struct rotation_target *target, struct kt_arena *arena, struct target_node **ret);
/* Their names with commas, in the arena; "" of one. Where memory ran out arena->failed says so. */
const char *target_nodes_text(const struct rotation_target *target, struct kt_arena *arena);
/* Of what was read from the store. */
enum kt_kind target_nodes_check(const struct rotation_target *target, struct kt_arena *arena, struct kt_err *err)
    KT_MUST_CHECK;
/* One of them said who it is; sets *news when that was not known. */
enum kt_kind target_learn(struct request *req, struct rotation_target *target, const char *name,
                          const char *server_id, bool *news, struct kt_err *err) KT_MUST_CHECK;
/* The request's `hosts` and `server_id`, once the other texts and numbers are read. */
enum kt_kind target_nodes_read(struct request *req, const struct rotation_target *before,
                               struct rotation_target *t, struct kt_err *err) KT_MUST_CHECK;
bool target_same_nodes(const struct rotation_target *a, const struct rotation_target *b);
bool target_same_sentinels(const struct rotation_target *a, const struct rotation_target *b);
/* "hosts": names; "servers": with what each said. */
void target_nodes_show(const struct rotation_target *target, struct kt_jsonw *w);
void target_servers_show(const struct rotation_target *target, struct kt_jsonw *w);

/* ---- target_sentinels.c ---- */
/* The request's `sentinels` and `sentinel_master`, once its servers are read. */
enum kt_kind target_sentinels_read(struct request *req, const struct rotation_target *before,
                                   struct rotation_target *t, struct kt_err *err) KT_MUST_CHECK;
void target_sentinels_show(const struct rotation_target *target, struct kt_jsonw *w);

/* Routes. */
enum kt_kind targets_list(struct request *req, struct kt_err *err);
enum kt_kind target_read(struct request *req, struct kt_err *err);
enum kt_kind target_write(struct request *req, struct kt_err *err);
enum kt_kind target_delete(struct request *req, struct kt_err *err);
enum kt_kind target_check(struct request *req, struct kt_err *err);
enum kt_kind target_exists(struct request *req, bool *ret_exists, struct kt_err *err);
extern const struct field target_fields[];
