/* vaultd/core/private.h - what core's own files share; nobody else includes it. */
#pragma once

#include <pthread.h>
#include <stdatomic.h>

#include "vaultd/barrier/seal_record.h"
#include "vaultd/core/autounseal.h"
#include "vaultd/core/core.h"
#include "vaultd/core/counts.h"
#include "vaultd/core/meter.h"
#include "vaultd/core/pipeline.h"
#include "vaultd/core/refusals.h"
#include "vaultd/policy/policy.h"

#define JOB_LANES 32u /* steps side by side while there is more than one commit holds */
struct mount_table;
struct quotas;
struct wait_entry;

/* Where a request stands between two runs of the pipeline. */
enum stage {
    STAGE_NEW,       /* nothing was looked at yet */
    STAGE_PASS,      /* a pass begins: first, after a conflict, after a wait */
    STAGE_COMMITTED, /* the store answered: own->result */
    STAGE_DEFERRED,  /* the desk did the blocking work */
    STAGE_DONE
};

/* What let a request in that now waits. */
struct look {
    bool changed;                /* it is not the same any more */
    generation at;               /* of the pass's snapshot */
    unsigned char mounts[BARRIER_NAME_KEY]; /* the mount table's key */
    generation mounts_changed;
    bool has_token;
    unsigned char token[32];     /* its hash */
    generation token_changed;
    int64_t token_expires_ms;    /* 0: never */
};

/* What a request changes besides its path: request_changes(). */
struct changed_path {
    const char *path;
    bool below;
    struct changed_path *next;
};
/* What the log says when the batch is committed: request_log(). */
struct log_line {
    enum kt_log_level level;
    const char *event, *text;
    struct log_line *next;
};
/* Whose approval it needs besides that of the rules about its paths: request_wants(). */
struct wanted_rule {
    const char *name;
    unsigned needed;
    struct wanted_rule *next;
};
struct carried; /* approve.c: the request that this one carries out */

struct request_private {
    enum stage stage;
    bool entered;            /* barrier_enter() holds */
    bool attempt_recorded;
    bool authenticated;      /* a valid token came with it */
    bool owner;              /* it needs none: ROUTE_OWNER */
    char owner_name[24];     /* of the owner in the audit log: "uid 0" */
    bool counted;            /* a quota let it in */
    bool wants_aside;        /* the handler does not go on here: request_aside() */
    bool aside;              /* it runs on the thread for long reads, its carrier suspended */
    struct acl *acl;
    bool ruled;              /* the policies were asked in this pass, and decided: */
    struct acl_decision ruling; /* its texts are acl's */
    enum operation ruled_op; /* what was asked of them */
    const char *typed;       /* the canonical path before its row lowered it; NULL: not looked at yet */
    struct mount_table *mounts;  /* the thread's, from mounts_route() to mounts_release() */
    const char *mount_type;  /* static; outlives the table */
    struct wait_list *wait_on;
    struct wait_entry *wait_entry;
    uint64_t wakes_seen;
    struct changed_path *changes;
    struct wanted_rule *wants;
    struct log_line *lines, **lines_end; /* in order; NULL: none */
    unsigned ops_before;     /* of the batch, when the handler began */
    bool kept;               /* it was not carried out, but kept for approval */
    struct carried *carried; /* NULL: it is what it was asked as */
    const char *about, *told; /* bound.h; NULL: nothing was said */
    unsigned char bound[32];
    bool quiet;              /* this pass follows a wait in which nothing was told: request_quiet() */
    struct look look;        /* what a wait stands on */
    struct kt_buf outcome;   /* sealed, as it went into the batch */
    struct commit_result result;
    handler_fn *internal;    /* ORIGIN_INTERNAL */
    enum kt_kind outcome_kind;
    struct kt_err err;       /* of the pass */
    struct kt_buf body;      /* the rendered answer */
    bool no_body;            /* memory was out: pipeline_body() has a fixed one */
    unsigned status;
    const char *content_type;
    struct request *next_deferred;
};

struct core_private {
    pthread_mutex_t lock;
    pthread_cond_t idle;        /* committing went to 0 */
    unsigned committing;        /* guarded by lock; batches whose outcome is not in the log yet */
    bool refusing;              /* guarded by lock; sealing: no new commits */
    bool accepted_by_all;       /* guarded by lock; every share of this unseal attempt came with
                                 * accept_rollback */
    struct seal_tried {
        char name[KT_CREDENTIAL_NAME];
        enum seal_outcome outcome;
    } seal_tries[SEALS_MAX];       /* guarded by lock; of the last autounseal_run(), without those changed since */
    size_t n_seal_tries;
    pthread_mutex_t sealing;    /* one init, unseal or seal at a time; ranked above lock */
    struct desk *desk;  /* what may block */
    struct desk *aside; /* long reads */
    struct desk *errands; /* what may block, and takes long: defer_long */
    pthread_t housekeeper;
    pthread_cond_t stop_signal; /* with lock */
    bool stopping, housekeeping;/* guarded by lock */
    atomic_uint_fast64_t refused_sealed; /* requests answered 503 while sealed */
    atomic_bool store_full; /* what was last said of it in our own log */
    atomic_uint_fast64_t rights_changed; /* newest fold that touched what decides on many tokens' rights */
    struct refusals *refusals, *token_refusals; /* of addresses; of valid tokens */
    struct quotas *quotas;       /* what each client may ask for */
    struct meter *unseals;       /* what each source may still send to sys/unseal */
    pthread_mutex_t tidying;     /* one jobs_run() at a time; ranked above lock */
    unsigned char jobs_from[JOB_LANES][17]; /* guarded by tidying: the job that is next, and whether jobs ... */
    bool jobs_many;              /* guarded by tidying: more is due than one step does */
    bool jobs_first;             /* ... or due tokens come first */
    int64_t jobs_not_before_ms;  /* the housekeeper's, as the next */
    int64_t autorotate_at_ms;
    unsigned approvals_damaged; /* said in the log already */
    int64_t started_ms;
    struct counts counts;
};

/* render.c */
void render_reply(struct request *req, enum kt_kind kind, const struct kt_err *err);
/* Room for the reply as it is now, so that what is committed can be answered. False: no memory. */
bool render_reserve(struct request *req);
/* The reply's body into out, its status and content type into req->own; nothing when there is nothing
 * to say. lift: as ROUTE_LIFT says. */
void render_success(struct request *req, bool lift, struct kt_buf *out);
/* An envelope without data, auth and warnings: 204, or 404 for a list. */
bool render_nothing(const struct reply *reply);
/* wrap.c: puts what the handler said under a wrapping token, where that was asked for. */
enum kt_kind wrap_reply(struct request *req, struct kt_err *err);
/* approve.c: rules of approval. */
/* After a handler that succeeded: what needs approval and has none is kept instead. */
enum kt_kind approve_gate(struct request *req, struct kt_err *err);
/* In a row that says ROUTE_CARRIES: the request becomes the one that waited. */
enum kt_kind approve_resume(struct request *req, struct kt_err *err);
/* A pass begins: it is what it was asked as again. */
void approve_restore(struct request *req);
/* For the audit log: the id of what is carried out, NULL: nothing is; and who approved it. */
const char *approve_carried(const struct request *req, const char **ret_by);
/* request.c: what request_log() was told, once it is true; or never. */
void request_log_now(struct request *req);
void request_log_forget(struct request *req);
/* pipeline.c: a batch that will not be committed; who wanted to hear of its end does. */
void pipeline_drop_batch(struct request *req);
/* look.c: whether a request that waits has to run again although nothing that it waits for was told. */
bool look_follow(struct core *core); /* once, before the first commit; false: no memory */
void look_remember(struct request *req); /* within the pass that begins to wait */
wait_look_fn look_due;
/* core.c: the clock that nobody sets (rotation.h). */
int64_t core_steady_ms(const struct core *core);
/* pass.c: one pass of a request, up to its handler. */
/* What request.h calls life_ms. */
int64_t pass_expiry_ms(const struct core *core, int64_t now_ms);
/* Before it matters whether the vault is sealed, once. */
enum kt_kind pass_prepare(struct request *req, struct kt_err *err);
/* With the barrier entered and a snapshot; the rows that answer while sealed, without either. */
enum kt_kind pass_walk(struct request *req, struct kt_err *err);
enum kt_kind pass_walk_sealed(struct request *req, struct kt_err *err);
/* A limited token's use into the request's batch. */
enum kt_kind pass_count_use(struct request *req, struct kt_err *err);
/* input.c: the body or the query into req->data. */
enum kt_kind input_read(struct request *req, struct kt_err *err);
enum kt_kind input_operation(struct request *req, struct kt_err *err);
void input_warn_unknown(struct request *req);
/* fields.c: each field that the route declares and the request has must be of its type. */
enum kt_kind input_check_fields(struct request *req, struct kt_err *err);
/* record.c: the audit records of a request. */
enum kt_kind record_attempt(struct request *req, struct kt_err *err);
enum kt_kind record_result(struct request *req, enum kt_kind kind, const struct kt_err *err_of,
                           struct kt_err *err);
enum kt_kind record_outcome(struct request *req, struct kt_err *err);
/* Writes the records of refusals that were counted: those due, or all. Inside of the barrier. */
void record_counts(struct core *core, bool all);
/* desk.c: one thread to which requests are handed; work() owes each its resume(). */
struct desk;
typedef void desk_work_fn(struct request *req);
struct desk *desk_new(desk_work_fn *work, const char *background); /* NULL: what it does cannot wait */
void desk_free(struct desk *desk);
void desk_post(struct desk *desk, struct request *req);
/* mounts.c */
/* Before the first commit: it follows what changes the table. */
struct mounts *mounts_new(struct store *store);
void mounts_free(struct mounts *mounts);
