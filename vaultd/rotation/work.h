/* vaultd/rotation/work.h - a run with everything around it, inside one request.
 *
 * What:    Loads what a decision rests on from the request's snapshot, moves the machine, and puts
 *          what that means into the request's batch. Each record is put on condition that it is
 *          still the one that was read. What is done inside the vault, going back first of all, needs
 *          no administrative login: without one a run is loaded all the same.
 * Owner:   everything lives in the request's arena.
 * Threads: any thread with the barrier entered. */
#pragma once

#include "vaultd/rotation/acks.h"
#include "vaultd/rotation/credential.h"

struct work {
    struct request *req;
    struct run run;
    struct rotation_secret secret;
    struct kv_secret *kv;
    struct rotation_target target; /* without one: name "" */
    bool has_login;                /* the target's administrative one could be read, or there is no target */
    struct kt_err no_login;        /* why not */
    struct consumer *consumers;
    size_t n_consumers; /* that are waited for; those that are put aside stand behind them */
    size_t n_all;
    bool target_news;  /* the target's record is to be put */
    bool readers_left; /* first reads of dead versions are still there */
    bool blameless;    /* should the run end now, it says nothing about the target */
    enum run_state before;
    enum back_step before_back;
    unsigned fx; /* of all that was put into the batch */
    const struct driver_result *made; /* what the target made, while that is settled; borrowed */
};

enum kt_kind work_load(struct request *req, const unsigned char id[RUN_ID], struct work *ret,
                       struct kt_err *err) KT_MUST_CHECK;
/* Both move the machine and store everything: run, stages, steps, and at the end the report. `why`
 * (NULL: keep) becomes run.because. KT_INVALID: the pair is refused. now_ms: the steady clock. */
enum kt_kind work_event(struct work *w, enum run_event event, int64_t now_ms, const char *why,
                        struct kt_err *err) KT_MUST_CHECK;
enum kt_kind work_answers(struct work *w, bool new_accepted, bool old_accepted, int64_t now_ms,
                          const char *why, struct kt_err *err) KT_MUST_CHECK;
/* Without storing: for several moves in one commit; then work_commit() with the effects of all. */
void work_mark(struct work *w);
enum kt_kind work_commit(struct work *w, unsigned fx, int64_t now_ms, const char *why,
                         struct kt_err *err) KT_MUST_CHECK;
/* A step, and the run with it. */
enum kt_kind work_note(struct work *w, enum step_kind kind, const char *name, bool ok,
                       const char *text, uint32_t took_ms, struct kt_err *err) KT_MUST_CHECK;

/* The run's consumers, with both counts. */
enum kt_kind work_load_consumers(struct work *w, struct kt_err *err) KT_MUST_CHECK;

/* ---- blame.c ---- */
/* The run moved: notes which consumers kept it from ending well, which do not any more, and for whom
 * nobody waited. */
enum kt_kind work_blame(struct work *w, int64_t now_ms, struct kt_err *err) KT_MUST_CHECK;

/* ---- start.c ---- */
/* The run that run_start() would make, into *ret; nothing is put. KT_INVALID: it could not start now;
 * *ret then has the run's settings at least. */
enum kt_kind run_plan(struct request *req, const struct rotation_secret *secret,
                      const struct run_wish *wish, struct work *ret, struct kt_err *err)
    KT_MUST_CHECK;

/* ---- finish.c ---- */
/* FX_END: report, lock, secret, target, next due. */
enum kt_kind work_finish(struct work *w, struct kt_err *err) KT_MUST_CHECK;

/* ---- report.c ---- */
/* How many records the audit log has; 0 without one. */
int64_t audit_size_now(const struct request *req);
/* All of the run's steps, with those that are in the batch alone. */
enum kt_kind work_steps(struct work *w, struct run_step **ret, size_t *ret_n, struct kt_err *err) KT_MUST_CHECK;
enum kt_kind report_write(struct work *w, struct kt_err *err) KT_MUST_CHECK;
/* KT_NOT_FOUND: there is none yet. */
enum kt_kind report_load(struct request *req, const unsigned char id[RUN_ID],
                         struct kt_bytes *ret_json, const char **ret_text, struct kt_err *err)
    KT_MUST_CHECK;

/* The members of a run, into an open object; consumers, readers and steps are the caller's. */
void run_show(const struct rotation *rotation, const struct run *run, const char *waits_for, int64_t waits_until_ms,
              int64_t eta_s, struct kt_jsonw *w);
void consumer_show(const struct consumer *consumer, struct kt_jsonw *w);
