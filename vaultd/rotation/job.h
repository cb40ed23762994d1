/* vaultd/rotation/job.h - driver steps that one thread of the pool carries out after each other.
 *
 * What:    A job is a short program: each part runs when the one before allows it. So a revocation
 *          follows in the same job upon the probe that permits it, and nothing of the vault waits
 *          for a target.
 * Limits:  a job at work is one connection of the target's administrative login. There are never more at
 *          a target than its `max_runs`, nor in all than there are places (places.h), whoever posts them:
 *          the others wait in the pool. What goes back does not wait, but counts.
 * Owner:   job_new() gives one to the caller; job_post() takes it until it is finished, then the
 *          engine takes it back by job_take(). job_free() wipes it.
 * Threads: job_post(), job_take(): any thread. */
#pragma once

#include "vaultd/rotation/nodes.h"
#include "vaultd/rotation/run.h"

struct rotation;
struct rotation_target;

enum job_kind {
    JOB_PREFLIGHT,
    JOB_APPLY,
    JOB_VERIFY,
    JOB_PROBE,
    JOB_REVOKE,
    JOB_REVOKE_NEW,
    JOB_RESTORE,
    JOB_SESSIONS,
    JOB_LOOK, /* of a frozen run: what would a person find now? */
    JOB_SERVED, /* does each listener show the new certificate? (served.h) */
    JOB_TRUTH, /* does the target accept what is stored? Of a secret: `run` is its id */
    JOB_DRY,   /* the same for a dry run, whose id `run` is; a JOB_CHECK once it was counted */
    JOB_CHECK  /* of a target, for a person */
};

enum job_rule {
    PART_ALWAYS,
    PART_IF_OK,      /* the part before ran and came out ok */
    PART_IF_MISSING, /* it said that there is no such account */
    PART_IF_NEW,     /* it was a probe that is evidence, and the new credential is accepted */
    PART_IF_NOT_NEW, /* the same, and it is refused */
    PART_IF_OLD      /* the same with the old one accepted */
};
struct job_part {
    struct driver_step step;
    enum job_rule rule;
    bool ran;
    struct driver_result result; /* of several servers what their answers come to together */
    struct target_node *nodes; /* those servers, in the job's arena; none: the target is the one of the step */
    size_t n_nodes;
    struct node_aim aim;
    struct target_node *sentinels; /* that are asked first (sentinels.h), in the job's arena; none: nobody is */
    size_t n_sentinels;
    const char *sentinel_master;
    struct driver_result sentinel; /* what they say */
};
#define JOB_PARTS 8u
struct job {
    struct job *next;
    enum job_kind kind;
    unsigned char run[RUN_ID];
    enum job_stage { JOB_WAITING, JOB_AT_WORK, JOB_FINISHED } stage; /* guarded by the lock */
    bool abandoned;        /* guarded by the lock; nobody waits for it any more */
    int64_t finished_ms;   /* monotonic */
    struct kt_arena arena; /* what the steps point at */
    struct job_part parts[JOB_PARTS];
    size_t n;
    const char *target;    /* that it logs in at; NULL: none */
    uint32_t at_once;      /* so many jobs may be at work there */
    bool goes_back;        /* it waits for none of them */
    const char *secret;    /* JOB_TRUTH, JOB_DRY: whose stored credential is asked for */
    uint32_t version, slot;
};

struct job *job_new(enum job_kind kind, const unsigned char run[RUN_ID]); /* NULL: no memory */
void job_free(struct job *job); /* NULL is fine */
/* The next part, zeroed; NULL: the job is full. */
struct job_part *job_add(struct job *job, enum driver_op op, enum job_rule rule);
/* A copy in the job's arena; "" when memory ran out (job->arena.failed). */
const char *job_text(struct job *job, const char *text);

void job_post(struct rotation *rotation, struct job *take_job);
/* A job at this target would not have to wait for others. */
bool job_has_room(struct rotation *rotation, const struct rotation_target *target);
/* A JOB_DRY, unless another one asks its target, or `most` jobs are there for persons. False: it was not
 * posted and is the caller's. */
bool job_post_dry(struct rotation *rotation, struct job *job, unsigned most);
/* One that job_take() gave goes to the person who waits for it. */
void job_tell(struct rotation *rotation, struct job *take_job);
/* A finished job that is not abandoned, of any run; NULL: none. */
struct job *job_take(struct rotation *rotation);
/* One of this run is waiting, at work, or finished and not taken; abandoned ones count. */
bool job_in_flight(struct rotation *rotation, const unsigned char run[RUN_ID]);
/* What is at work is left to end by itself and is then thrown away. */
void jobs_abandon(struct rotation *rotation);
/* What a person's check found; NULL: not finished. The caller frees it. */
struct job *job_take_check(struct rotation *rotation, const unsigned char id[RUN_ID]);

/* The pool's life. */
bool jobs_start(struct rotation *rotation);
void jobs_stop(struct rotation *rotation); /* waits for the steps at work */
