/* vaultd/rotation/pass.h - one look at one run: what it leaves behind; for advance.c and its parts.
 *
 * What:    One request decides what a run needs next, stores at most one change, and may leave a job
 *          for the pool, sent only after the change is stored. The request may be run again when
 *          somebody else changed what it rests on, so all that it leaves is in struct pass until it
 *          was committed.
 * Threads: the rotation thread's. */
#pragma once

#include "vaultd/rotation/engine.h"
#include "vaultd/rotation/work.h"

#define PASS_ACKS_MAX 30u /* consumers' words that become steps in one commit */

/* After a restart every wait for somebody has at least this left: nobody could be heard meanwhile. */
#define PASS_RESTART_MS ((int64_t)30 * 1000)

struct pass {
    struct rotation *rotation;
    struct active *active;
    int64_t now_ms;
    /* left behind */
    struct job *job;
    bool moved;         /* look again at once */
    int64_t wake_ms;
    char waits_for[300];
    int64_t waits_until_ms;
    int64_t held_ms;
    int64_t blamed_ms;
    bool had_both;
    int64_t lost_ms;
    enum run_state before, state;
    enum back_step before_back, back;
    enum run_intent intent;
    enum frozen_code frozen;
    unsigned fx;
    bool fresh, doubt, intended, touches;
    bool rests; /* it waits without a place at its target: others go first */
    int64_t settle_ms, recheck_ms; /* the target's */
    bool together; /* there are others that go with it */
    bool readers_left;
    unsigned char secret[RUN_ID];
    uint32_t version; /* that the secret has now */
    char target[TARGET_NAME_MAX + 1];
    struct noted noted[PASS_ACKS_MAX];
    size_t n_noted;
};

/* ---- advance.c ---- */
/* Nothing is to be done before until_ms (0: unless there is news); a person reads why. */
void pass_wait(struct pass *p, int64_t until_ms, const char *format, ...) KT_PRINTF(3, 4);
enum kt_kind pass_event(struct pass *p, struct work *w, enum run_event event, const char *why,
                        struct kt_err *err) KT_MUST_CHECK;
/* The target's limits allow what the job asks of a login; else the pass waits until they do. */
bool pass_allows(struct pass *p, const struct work *w, enum job_kind job_kind);
/* Leaves the job behind, or waits for the target's limits, or freezes without the versions. */
enum kt_kind pass_job(struct pass *p, struct work *w, enum job_kind job_kind,
                      struct kt_err *err) KT_MUST_CHECK;
/* The target's administrative login could be read; else the pass waits, and says why not. */
bool pass_has_login(struct pass *p, const struct work *w);
/* A look that decides nothing is made when it keeps no run from its turn at the target. */
bool pass_may_look(const struct pass *p, const struct work *w);
/* When a wait that may last until `at` (0: for ever) is over, since it is too late to begin then. */
int64_t pass_or_window(const struct pass *p, const struct work *w, int64_t at);
/* The state's deadline, not before what a restart leaves it; true: it is over. */
bool pass_deadline_over(const struct pass *p, const struct run *run, int64_t *ret_at);

/* ---- noted.c: consumers' words become steps, each once ---- */
enum kt_kind pass_note_acks(struct pass *p, struct work *w, struct kt_err *err) KT_MUST_CHECK;
/* After the commit. */
void noted_add(struct active *active, const struct noted *noted);
/* After a restart: those that are steps already. */
enum kt_kind noted_load(struct active *active, struct request *req, const struct run *run,
                        struct kt_err *err) KT_MUST_CHECK;

/* ---- await.c: waiting for people and programs ---- */
/* In-place: *ret_held: consumers that try two credentials are to have the new one before the target. */
enum kt_kind await_candidates(struct pass *p, struct work *w, bool *ret_held, struct kt_err *err) KT_MUST_CHECK;
enum kt_kind await_acks(struct pass *p, struct work *w, struct kt_err *err) KT_MUST_CHECK;
enum kt_kind await_overlap(struct pass *p, struct work *w, struct kt_err *err) KT_MUST_CHECK;
enum kt_kind await_person(struct pass *p, struct work *w, struct kt_err *err) KT_MUST_CHECK;
enum kt_kind await_served(struct pass *p, struct work *w, struct kt_err *err) KT_MUST_CHECK; /* served_look.c */
/* max_overlap since the new version was given out; after a restart, who could not be heard meanwhile has a moment. */
int64_t await_most(const struct pass *p, const struct run *run);
/* The same since from_ms. */
int64_t await_most_from(const struct pass *p, const struct run *run, int64_t from_ms);
/* Held until `most` for n consumers that nobody hears of, `first` among them? Else who is cut off is noted. */
bool await_lost(struct pass *p, size_t n, const struct consumer *first, int64_t most);
enum kt_kind await_note_lost(struct work *w, const struct consumer *lost, struct kt_err *err) KT_MUST_CHECK;
enum kt_kind await_return(struct pass *p, struct work *w, struct kt_err *err) KT_MUST_CHECK;
