/* vaultd/rotation/engine.h - what the rotation thread works with; for vaultd/rotation/ only.
 *
 * Time:    waits of runs are measured on a steady clock: the wall time when this process was first unsealed plus
 *          monotonic time since. It does not jump; after a restart it is the wall time again, but not before what
 *          unended runs note.
 * Threads: see the fields. */
#pragma once

#include <pthread.h>
#include <stdatomic.h>

#include "vaultd/fleet/consumer.h"
#include "vaultd/notify/notifier.h"
#include "vaultd/rotation/job.h"
#include "vaultd/rotation/ledger.h"
#include "vaultd/rotation/rotation.h"
#include "vaultd/rotation/waiting.h"

#define ROTATION_POOL_LEAST   4u
#define ROTATION_POOL_MAX     TARGET_RUNS_MAX
#define ROTATION_RUNS_DEFAULT 4u  /* that have a place at a target, in all */
#define ROTATION_STARTS_DEFAULT 10u /* scheduled ones a minute */
#define ROTATION_BREAKER 3u /* runs in a row that failed at a target: no scheduled start there */

/* A consumer's word that is among the run's steps already. */
struct noted {
    unsigned char digest[16];
    int64_t at_ms;
};

/* A run that has not ended, in memory. */
struct active {
    struct active *next;
    unsigned char id[RUN_ID];
    char text[RUN_ID_TEXT];
    /* The rotation thread's own. */
    bool loaded, fresh, doubt, ended;
    bool counted;           /* among the starts of the minute */
    struct job *finished;  /* its outcome is to be stored */
    bool working;          /* a job is in flight */
    int64_t wake_ms;       /* steady; 0: now */
    int64_t not_before_ms; /* steady; after a failure nobody's news makes it try earlier */
    int64_t pause_ms;      /* the last back-off */
    int64_t look_ms;       /* steady; not before that are sessions looked at again */
    int64_t recheck_ms;    /* steady; nor, before that, what a frozen run froze at */
    int64_t since_ms;      /* steady; this vault drives it since then */
    int64_t floor_ms, floor_of_ms; /* after a restart: this deadline is not over before floor_ms */
    int64_t held_ms;       /* steady; since then it may not go on: all is paused, or it has no place; 0: it may */
    int64_t blamed_ms;     /* consumers' words up to then were looked into */
    bool had_both;         /* in-place: each that tries two had both at the last look (candidates.h) */
    int64_t lost_ms;       /* steady; since then one had not any more; 0: never */
    struct noted *noted;
    size_t n_noted, noted_room;
    enum run_state state;
    bool touches;          /* it has a place (places.h); changed under rotation->lock, as are the next */
    char target[TARGET_NAME_MAX + 1];
    char waits_for[300];
    int64_t waits_until_ms;
};

struct rotation_clock {
    _Atomic int64_t base_ms; /* wall minus monotonic when this process was first unsealed, or more (clock.c) */
    bool set;             /* the unsealing thread's: base_ms is */
    int64_t offset_ms;    /* the same when last trusted */
    bool alarm;           /* guarded by rotation->lock, as is text */
    char text[200];
    int64_t right_ahead_ms; /* with an alarm: it is right again when it is at most so far ahead */
    int64_t saved_ms;     /* wall time of the last look at zones; stored */
    int64_t apart_ms;     /* monotonic; when the steady clock was stored last because it is ahead of the wall's */
    char zones[KT_ZONE_VERSION_TEXT]; /* whose rules what is planned was planned by */
    atomic_bool accept, replan;
};

/* Everything is planned anew, some secrets at a time; until it came to its end this is in the store. */
struct replan {
    bool on, has_from;
    unsigned char from[BARRIER_NAME_KEY];
};

/* A run that a schedule started. */
struct start {
    int64_t at_ms; /* steady; 0: none */
    char target[TARGET_NAME_MAX + 1];
};

/* How far the walk over what may be overdue has come (overdue_scan.c). */
struct overdue_walk {
    unsigned char from[BARRIER_NAME_KEY];
    bool has_from, many; /* many: it was said that there are more */
    unsigned told;       /* one by one */
    size_t late, unreadable;
    int64_t next_ms, spent_ms; /* steady */
};

struct rotation {
    struct core *core;
    struct ledger *ledger;
    struct notifier *notifier;
    struct wait_list *news; /* requests that wait for a run's next step, or for a check */
    pthread_mutex_t lock;
    pthread_cond_t posted;
    struct job *jobs;       /* guarded by lock; all that exist: waiting, at work, finished */
    bool pool_stopping;     /* guarded by lock */
    pthread_t pool[ROTATION_POOL_MAX];
    unsigned n_pool;
    pthread_t thread;
    bool running;
    atomic_bool stopping, poked;
    int wake_fd, timer_fd;
    struct active *actives; /* guarded by lock; changed by the rotation thread only */
    struct rotation_clock clock;
    struct replan replan;   /* the rotation thread's */
    bool distrusts;         /* the rotation thread's; the last look at the clock */
    int64_t next_due_ms;    /* the rotation thread's; INT64_MAX: nothing */
    int64_t next_look_ms;   /* the same of truth.h */
    int64_t next_drill_ms;  /* and of drill.h */
    struct overdue_walk overdue; /* the rotation thread's */
    atomic_size_t overdue_seen;  /* of the last walk that came to its end */
    atomic_size_t unreadable_seen;
    atomic_size_t keys_overdue;  /* the same of what opens the vault (key_age.h) */
    atomic_bool looks_news; /* a secret's next look or drill was planned anew, or may start now */
    struct waiting_line due_waiting, looks_waiting; /* the rotation thread's */
    struct start *starts;   /* the rotation thread's, as are the next */
    unsigned n_starts, next_start;
};

/* What carries out steps: the executor of a test, or the spawner; false: none. */
bool rotation_can_run(const struct rotation *rotation);
/* Is it in vaultd's configuration? */
bool rotation_has_program(const struct rotation *rotation, const char *name);
/* What the target made is put into the arena. */
void rotation_run_step(struct rotation *rotation, const struct driver_step *step, struct kt_arena *arena,
                       struct driver_result *ret);
/* When the wall clock has to wake the thread; INT64_MAX: not. */
int64_t rotation_alarm_ms(const struct rotation *rotation);
/* Tells who waits for this run. */
void rotation_tell(struct rotation *rotation, const unsigned char run[RUN_ID]);

/* clock.c: notices a wall clock that jumps; true: nothing scheduled may start. */
bool rotation_clock_look(struct rotation *rotation);
/* Is this time one that the last look trusts? The clock may jump between a look and a start. Only while
 * the rotation thread looks at what is due. */
bool rotation_clock_trusts(const struct rotation *rotation, int64_t wall_ms);
void rotation_clock_start(struct rotation *rotation);
void rotation_clock_stop(struct rotation *rotation);
/* Into req's batch: when it is committed, all is to be planned anew, even over a crash. Then
 * rotation_replan(), by any thread, has it begin. */
enum kt_kind rotation_clock_want_replan(struct request *req, struct kt_err *err) KT_MUST_CHECK;
void rotation_replan(struct rotation *rotation);
/* Notes in the store that all was planned anew; false: not yet, it is to be tried again. */
bool rotation_clock_replanned(struct rotation *rotation);

/* replan.c: plans some secrets anew; true: there are more. */
bool replan_some(struct rotation *rotation);

/* advance.c (pass.h): one step of one run: at most one commit, at most one job. */
void run_advance(struct rotation *rotation, struct active *active);
/* scan.c: starts what is due. */
void due_scan(struct rotation *rotation);
/* Nothing may start by schedule now where this secret's target is, or another run has its account. */
bool start_is_held(struct rotation *rotation, struct request *req, const struct rotation_secret *secret);
/* A run that was just started by schedule counts against the caps from now on. */
void start_counted(struct rotation *rotation, const unsigned char run[RUN_ID], const char *target);
/* overdue_scan.c: tells of some that got overdue, when the walk's time has come; a start begins anew. */
void overdue_begin(struct rotation *rotation);
void overdue_scan(struct rotation *rotation);
/* actives.c: takes in the runs that have not ended and are not known yet. */
void actives_scan(struct rotation *rotation);
/* The newest of what runs that have not ended note by the steady clock; 0: there is none. The barrier is entered. */
int64_t actives_newest_ms(const struct core *core);
