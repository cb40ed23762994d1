/* vaultd/rotation/secret.h - one secret's rotation: its settings, and where it is in time.
 *
 * Stored:  TABLE_ROTATION under the mount's scope and the path, sealed; TABLE_DUE has a row at
 *          due_ms while one is due; TABLE_LOCK has a claim for each account, so that no two secrets
 *          rotate the same one.
 * Threads: any thread with the barrier entered. */
#pragma once

#include "vaultd/engine/kv.h"
#include "vaultd/rotation/names.h"
#include "vaultd/rotation/settings.h"
#include "vaultd/rotation/target.h"

#define REFUSALS_KEPT TARGET_REFUSALS_MAX
#define LOOK_TEXT_MAX 1024u
#define DRILL_TEXT_MAX 512u
#define GAP_UNTIL_MAX 32u

/* What an account was asked lately: probing must not lock it. */
struct probe_budget {
    int64_t last_ms;
    int64_t refused_ms[REFUSALS_KEPT]; /* a ring; 0: free */
};

struct rotation_calendar;
struct rotation_secret {
    unsigned char id[RUN_ID]; /* consumers, first reads and runs hang from it */
    const char *name;         /* "secret/db/orders" */
    struct rotation_settings settings;

    bool active;              /* there is a run that has not ended */
    unsigned char run[RUN_ID]; /* that one, else the last; zero: none yet */
    bool due;                 /* TABLE_DUE has a row at due_ms */
    int64_t fire_ms, due_ms, closes_ms;
    enum kt_due_reason reason;
    int64_t last_fire_ms;
    int64_t last_done_ms;     /* last success, or the adoption */
    enum run_state last_state; /* of the last run that ended; RUN_PLANNED: none */
    uint32_t failures;        /* runs that did not end in done, in a row */
    uint32_t done_from, done_to; /* versions of the last run that was done */
    const char *held;         /* why nothing starts; "" */
    struct probe_budget budgets[2]; /* of accounts[0], accounts[1] */

    /* Whether the target accepts what is stored (truth.h). */
    int64_t look_due_ms;      /* TABLE_LOOK has a row then; 0: none */
    int64_t looked_ms, verified_ms; /* the last look; the last that saw it accepted */
    int64_t drifted_ms;       /* since when it is seen refused; 0: it is not */
    uint32_t look_version;    /* which version these are of */
    const char *look;         /* what the last look found; "" */

    /* Going back, for its objective, and drills (drill.h). */
    int64_t backed_ms;        /* when it was last measured how long going back takes; 0: never */
    int64_t back_took_ms;
    int64_t drill_fire_ms, drill_due_ms; /* TABLE_DRILL has a row at the latter; 0: none */
    int64_t drilled_ms;       /* when the last drill ended, or could not start; 0: there was none */
    int64_t drill_took_ms;    /* of going back; -1: it did not come so far */
    bool drill_ok;
    const char *drill_text;   /* what came of it; "" */
    uint32_t overdue_told;    /* which causes of being overdue (overdue.h) people know: 1 << enum */
    const char *led_by;       /* the secret whose `together` names this one; "": none */
    /* Of the newest run in-place whose gap was measured (gap.h). */
    int64_t gap_at_ms;        /* when that ended; 0: there was none */
    int64_t gap_ms;
    const char *gap_until;    /* the word of gap.h; "" */
    generation changed;       /* not stored */

    /* Not stored. */
    const struct mount *mount;
    const char *path; /* inside the mount */
};
extern const struct record_kind secret_kind;

/* The mount and path of a logical name. KT_NOT_FOUND: no such mount, or it is no KV. */
enum kt_kind secret_place(struct request *req, const char *name, const struct mount **ret_mount,
                          const char **ret_path, struct kt_err *err) KT_MUST_CHECK;
/* KT_NOT_FOUND, no text: it has no rotation; *ret then has name, mount, path and defaults. With one: the mount, which
 * is NULL, can have none. */
enum kt_kind secret_load(struct request *req, const char *name, struct rotation_secret *ret,
                         struct kt_err *err) KT_MUST_CHECK;
enum kt_kind secret_save(struct request *req, const struct rotation_secret *secret,
                         struct kt_err *err) KT_MUST_CHECK;

/* ---- due.c ---- */
/* Takes the row out of the index, or puts the next one in; both change *secret only, and batch. */
enum kt_kind due_remove(struct request *req, struct rotation_secret *secret, struct kt_err *err)
    KT_MUST_CHECK;
/* after_ms: fires up to then are passed over. Removes an old row. */
enum kt_kind due_plan(struct request *req, struct rotation_secret *secret, int64_t after_ms,
                      struct kt_err *err) KT_MUST_CHECK;
/* The same fire in its next window, unless the next fire comes before that closes; without a window when
 * the calendar lets it start. */
enum kt_kind due_plan_again(struct request *req, struct rotation_secret *secret,
                            struct kt_err *err) KT_MUST_CHECK;
/* Now, or since when it is: what it is made of changed (KT_DUE_NEWS). It stays so until it was made. */
enum kt_kind due_news(struct request *req, struct rotation_secret *secret, struct kt_err *err) KT_MUST_CHECK;
bool due_for_news(const struct rotation_secret *secret);
/* Its fire is used up. One that starts before it has it yet. */
void due_began(struct rotation_secret *secret, int64_t now_ms);
/* It could not start: it is tried again, after a pause. */
enum kt_kind due_refused(struct request *req, struct rotation_secret *secret, struct kt_err *err) KT_MUST_CHECK;
/* Its fire had a run, which was too late for its window, and waits for the next one. */
bool due_had_run(const struct rotation_secret *secret, int64_t now_ms);
/* The row anew, from what it rests on now: the clock was set back, time zones have other rules. Times
 * in the future at which it last ran become now. What is due stays so, and what waits for its window is
 * not lost. *ret_changed: the secret is to be saved. */
enum kt_kind due_replan(struct request *req, struct rotation_secret *secret, bool *ret_changed,
                        struct kt_err *err) KT_MUST_CHECK;
/* The fire behind the one that is due, should that one start when it is and end well at once. */
bool due_second(struct request *req, const struct rotation_secret *secret,
                const struct kt_schedule *schedule, struct kt_due *ret);
/* The next time, should the run that began then have ended well at once; 0: none,
 * or it cannot be read. */
enum kt_kind due_behind(struct request *req, const struct rotation_secret *secret, int64_t began_ms,
                        int64_t *ret_ms, struct kt_err *err) KT_MUST_CHECK;
/* When it will be due by its schedule and calendar as they are; instead: calendar.h. What is due already
 * stays so. *ret_found false: by hand only, or it cannot be read (secret->held). */
enum kt_kind due_ahead(struct request *req, struct rotation_secret *secret,
                       const struct rotation_calendar *instead, struct kt_due *ret,
                       bool *ret_found, struct kt_err *err) KT_MUST_CHECK;
/* The members next_due, next_reason, moved_from, moved_by; NULL: there is none. */
void due_show(struct kt_jsonw *w, const struct kt_due *due);
/* The row at another time: the window opens then, or the caps bind. */
enum kt_kind due_move(struct request *req, struct rotation_secret *secret, int64_t due_ms,
                      struct kt_err *err) KT_MUST_CHECK;
/* A row that names a secret, for TABLE_DUE, TABLE_LOOK, TABLE_DRIFT; and the name in it. */
enum kt_kind due_row_put(struct request *req, struct kt_bytes key, const char *name,
                         struct kt_err *err) KT_MUST_CHECK;
enum kt_kind due_row_name(struct request *req, const struct entry *entry, const char **ret,
                          struct kt_err *err) KT_MUST_CHECK;

/* ---- claims.c ---- */
/* From the accounts and target that `before` names to those of secret->settings (no target: none).
 * KT_INVALID (KT-R-007): another secret rotates one of them. */
enum kt_kind claims_move(struct request *req, const struct rotation_settings *before,
                         const struct rotation_secret *secret, struct kt_err *err) KT_MUST_CHECK;

/* The secret that rotates the account at the target; "": none. */
enum kt_kind claims_owner(struct request *req, const char *target, const char *account, const char **ret,
                          struct kt_err *err) KT_MUST_CHECK;

/* ---- secret_routes.c ---- */
/* Why it would not start if it were due; "": it would. paused: pause_text(). */
enum kt_kind secret_blocked_by(struct request *req, const struct rotation_secret *secret,
                               const char *paused, const char **ret, struct kt_err *err)
    KT_MUST_CHECK;

/* Routes (secret_routes.c, secret_write.c). */
enum kt_kind secrets_list(struct request *req, struct kt_err *err);
enum kt_kind secret_read(struct request *req, struct kt_err *err);
enum kt_kind secret_write(struct request *req, struct kt_err *err);
enum kt_kind secret_delete(struct request *req, struct kt_err *err);
enum kt_kind secret_exists(struct request *req, bool *ret_exists, struct kt_err *err);
enum kt_kind due_list(struct request *req, struct kt_err *err);
