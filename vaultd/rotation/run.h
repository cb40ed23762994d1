/* vaultd/rotation/run.h - one rotation of one secret, as it stands in the store.
 *
 * What:    The machine (machine.h), the settings of the moment it was made, both public parts (a
 *          verifier has a random salt: applying the same one again is what can be repeated), and
 *          what a person wants to know.
 * Stored:  TABLE_RUN, sealed; TABLE_ACTIVE while it has not ended; TABLE_RUN_OF by secret.
 * Time:    deadlines are wall times of the engine's steady clock (engine.h); after a restart at
 *          least 30 s, or their whole span, remain.
 * Threads: any thread with the barrier entered. */
#pragma once

#include "vaultd/core/path.h"
#include "vaultd/rotation/secret.h"

#define RUN_TRIGGERS(X)                                                                            \
    X(TRIGGER_SCHEDULE, "schedule")                                                                \
    X(TRIGGER_OPERATOR, "operator")                                                                \
    X(TRIGGER_MAX_AGE, "max_age")                                                                  \
    X(TRIGGER_BACK, "back")                                                                        \
    X(TRIGGER_RECONCILE, "reconcile")                                                              \
    X(TRIGGER_DRILL, "drill")
#define X(name, text) name,
enum run_trigger { RUN_TRIGGERS(X) RUN_TRIGGER_COUNT };
#undef X
const char *run_trigger_text(enum run_trigger trigger);

#define STEP_KINDS(X)                                                                              \
    X(STEP_STATE, "state")                                                                         \
    X(STEP_INTENT, "intent")                                                                       \
    X(STEP_OUTCOME, "outcome")                                                                     \
    X(STEP_PROBE, "probe")                                                                         \
    X(STEP_ACK, "ack")                                                                             \
    X(STEP_NOTE, "note")
#define X(name, text) name,
enum step_kind { STEP_KINDS(X) STEP_KIND_COUNT };
#undef X
const char *step_kind_text(enum step_kind kind);
/* Names of notes: a consumer whose acknowledgement was counted all the same; one that nobody waited for;
 * one that kept several runs in a row from ending well; what one that is not healthy says; a secret that goes
 * first, and was not waited for; consumers that did not acknowledge a run which cannot go back; who had both
 * credentials before the change. */
#define STEP_NAME_LOST  "not heard of"
#define STEP_NAME_ASIDE "put aside"
#define STEP_NAME_VETO  "veto"
#define STEP_NAME_SICK  "not healthy"
#define STEP_NAME_ORDER "went ahead"
#define STEP_NAME_TOGETHER "together"
#define STEP_NAME_SILENT "passed over"
#define STEP_NAME_BOTH   "candidates"
/* What happened, for people. */
struct run_step {
    uint32_t seq;
    enum step_kind kind;
    const char *name; /* the state or the operation */
    bool ok;
    const char *text; /* a sentence without any value */
    int64_t at_ms;
    uint32_t took_ms;
    uint32_t count;   /* how often in a row; 0 is 1 */
    const char *host, *service; /* of an acknowledgement */
    uint32_t version;
    int64_t stamp_ms; /* of the acknowledgement */
};
#define STEPS_MAX   4000u
#define ACKS_MAX    3000u /* none is noted behind it: who talks much leaves room for proofs */
#define STEPS_ADDED 48u /* in one request */

#define RUN_WHO_MAX    256u /* bytes of a name; the records' rows have room for both and some words */
#define RUN_REASON_MAX 500u
#define RUN_SERVER_ID_MAX 256u
/* Commands that name the secret, four times at most: with the longest name that there is, each of its bytes quoted. */
#define RUN_NEXT_MAX   24576u
_Static_assert(4 * (4 * (PATH_MOUNT_BYTES + PATH_NAME_BYTES) + 2) + 2048 <= RUN_NEXT_MAX, "no command is cut");

/* What a listener showed when it was last asked: name, word in API and records, for people. A record has the
 * number: new ones are added at the end. */
#define LISTENER_SHOWS(X)                                                                          \
    X(SHOWS_UNASKED, "unasked", "was not asked yet")                                               \
    X(SHOWS_NEW, "new", "shows it")                                                                \
    X(SHOWS_OLD, "old", "shows the certificate of before")                                         \
    X(SHOWS_ANOTHER, "another", "shows another certificate")                                       \
    X(SHOWS_NO_ADDRESS, "no-address", "has a name without an address")                             \
    X(SHOWS_NEAR, "near", "has no address that vaultd connects to")                                \
    X(SHOWS_NO_ANSWER, "unreached", "cannot be reached")                                           \
    X(SHOWS_LATE, "late", "does not answer in time")                                               \
    X(SHOWS_NO_TLS, "no-tls", "does not shake hands")                                              \
    X(SHOWS_UNKNOWN, "unknown", "could not be asked")
#define X(name, word, text) name,
enum listener_shows { LISTENER_SHOWS(X) LISTENER_SHOWS_COUNT };
#undef X
#define RUN_LISTENERS_MAX 8u
#define RUN_CERT_MARK     8u /* bytes of a certificate's SHA-256, for people to tell two apart */
struct run_listener {
    enum listener_shows shows;
    unsigned char mark[RUN_CERT_MARK]; /* of what it shows */
    int64_t until_ms;                  /* so long that lasts */
    int64_t since_ms;                  /* since when that is what it shows */
};

struct run {
    unsigned char id[RUN_ID];
    unsigned char secret_id[RUN_ID];
    const char *name;                    /* "secret/db/orders" */
    unsigned char scope[BARRIER_SCOPE];  /* of its mount */
    const char *driver;
    struct rotation_settings settings;
    struct machine machine;
    uint32_t from, to;                   /* versions; to 0: not made yet */
    uint32_t back_to;                    /* the value of this version again; 0: a new one */
    uint32_t slot_old, slot_new;         /* which of the accounts */
    const char *public_old, *public_new; /* verifiers */
    enum run_trigger trigger;
    const char *reason, *by;
    bool cancel;                         /* somebody asked it, or one that goes with it, to go back */
    const char *cancel_why;
    const char *because;                 /* why it went back, was cancelled or froze; "" */
    int64_t started_ms, ended_ms;
    int64_t closes_ms;                   /* by schedule: nothing begins after, for its window closes
                                            or a blackout begins; 0: none */
    bool fire_waits;                     /* beside a fire that had its run and waits for a window: it
                                            waits again when this one comes to nothing */
    bool anothers_fire;                  /* by schedule, that of one that it goes with: its own secret was not due */
    bool window_closed;                  /* closes_ms passed before it, or one that it goes with, could begin */
    int64_t audit_from;                  /* the audit log's size when the run was made */
    int64_t state_ms;                    /* when this state began */
    int64_t promoted_ms;                 /* since when consumers may run the new version: it was
                                            promoted, or the target got it once more */
    int64_t given_ms;                    /* the same by the steady clock, as the other waits; 0: not noted */
    int64_t acked_ms;                    /* since when all are in, or not waited for any more */
    int64_t deadline_ms, span_ms;        /* of this state; 0: none */
    uint32_t next_seq, attempt, tries;
    uint32_t last_step;                  /* seq of the last step, for counting repeats */
    unsigned char last_digest[16];
    uint32_t repeats;
    const char *frozen_text, *frozen_known, *frozen_next;
    const char *frozen_now;              /* what a look found since; "" */
    int64_t looked_ms;
    struct probe_budget budgets[2];      /* of accounts[0], accounts[1] */
    uint32_t sessions;                   /* of the old account, when last looked */
    int64_t unused_ms;                   /* when it was seen without any; 0: not yet */
    bool drained;                        /* that was enough, or waiting for it ended */
    bool loose_passed;                   /* readers held it until max_overlap */
    bool silent_passed;                  /* consumers did not acknowledge until then, and it could not go back:
                                            nobody waits for them, unless the target gets it once more */
    const char *server_id, *server_version;
    int64_t back_asked_ms;               /* back.h; steady. When going back was ordered, or began by itself */
    int64_t back_ready_ms;               /* since when the old one is current and everybody has it; 0: not so */

    struct record_list mates;            /* "ID NAME" of runs that go together with it (together.h) */
    bool ready;                          /* it has come where it waits for them */
    uint32_t back_with;                  /* went back because that one of them did, counted from 1; 0: not so */
    uint32_t n_both, n_bare;             /* consumers that had both credentials when the change was ordered, in-place,
                                            and that did not */

    /* Of a certificate with listeners, in the order of settings.served_at (served.h). */
    struct run_listener listeners[RUN_LISTENERS_MAX];
    unsigned char cert_new[32], cert_old[32]; /* SHA-256; cert_old zeros: the version before has none */
    const char *serial_old;              /* hexadecimal; "" */
    int64_t old_until_ms;                /* so long the one before lasts */
    bool served_passed;                  /* not all showed it when max_overlap ended, and it could not go back */

    /* Not stored. */
    generation changed;
    struct run_step added[STEPS_ADDED];  /* by this request: not in its snapshot yet */
    unsigned n_added;
};
extern const struct record_kind run_kind;

enum kt_kind run_load(struct request *req, const unsigned char id[RUN_ID], struct run *ret,
                      struct kt_err *err) KT_MUST_CHECK;
enum kt_kind run_save(struct request *req, const struct run *run, struct kt_err *err)
    KT_MUST_CHECK;
/* The secret of one of its mates; "" when there is none. */
const char *run_mate_name(const struct run *run, size_t i);
/* The account of a slot; "" when the run has none. */
const char *run_account(const struct run *run, uint32_t slot);
bool run_touches_target(const struct run *run);
/* Since when consumers may run the new version, by the steady clock; 0: not yet. */
int64_t run_given_ms(const struct run *run);

/* ---- steps: what happened, for people; run->next_seq grows ---- */
extern const struct record_kind step_kind;
/* Fills in seq and at_ms; a repeat of the last step is counted in it. KT_OK and nothing written when
 * the run has STEPS_MAX already, or ACKS_MAX and it is an acknowledgement. */
enum kt_kind step_add(struct request *req, struct run *run, struct run_step step,
                      struct kt_err *err) KT_MUST_CHECK;
/* Steps with seq > since, ascending, into arena memory. */
enum kt_kind steps_load(struct request *req, const unsigned char id[RUN_ID], uint32_t since,
                        struct run_step **ret, size_t *ret_n, struct kt_err *err) KT_MUST_CHECK;
void step_show(const struct run_step *step, struct kt_jsonw *w);

/* ---- start.c: making one ---- */
struct run_wish {
    enum run_trigger trigger;
    const char *reason, *by;
    int64_t closes_ms; /* see struct run */
    const char *approved_by; /* NULL: it needed nobody */
    const unsigned char *id;   /* that the run is to have; NULL: any */
    struct record_list mates;  /* see struct run */
    const char *went_ahead; /* of whom it did not wait for (order.h); NULL, "": nobody */
    bool allow_gap;    /* a drill may cut consumers off (KT-R-031) */
};
/* Puts a new run of the secret into req's batch, with its lock and without its due row; a run
 * without target is done in the same batch. KT_INVALID (KT-R-003) when one is active: its id is
 * secret->run. */
enum kt_kind run_start(struct request *req, struct rotation_secret *secret,
                       const struct run_wish *wish, struct run *ret, struct kt_err *err)
    KT_MUST_CHECK;
/* What a run with these settings keeps from all others while it lasts: its account, or the group that it is a pair in. */
const char *run_lock_name(const struct rotation_settings *settings);
void run_lock_key(struct core *core, const struct rotation_settings *settings, unsigned char out[BARRIER_HASH_KEY]);
/* The run that has it, into *ret. KT_NOT_FOUND: none has. */
enum kt_kind run_lock_holder(struct request *req, const struct rotation_settings *settings,
                             unsigned char ret[RUN_ID], struct kt_err *err) KT_MUST_CHECK;

/* ---- run_routes.c: what a person says of himself and of what he asks ---- */
/* His name, cut to what records have room for. */
enum kt_kind run_who(struct request *req, const char **ret, struct kt_err *err) KT_MUST_CHECK;
/* The field "reason"; "" without one. */
enum kt_kind run_reason(struct request *req, const char **ret, struct kt_err *err) KT_MUST_CHECK;

/* Routes (run_routes.c). */
enum kt_kind runs_list(struct request *req, struct kt_err *err);
enum kt_kind run_read(struct request *req, struct kt_err *err);
enum kt_kind run_cancel(struct request *req, struct kt_err *err);
enum kt_kind run_thaw(struct request *req, struct kt_err *err);
enum kt_kind run_report(struct request *req, struct kt_err *err);
enum kt_kind rotate_write(struct request *req, struct kt_err *err);
enum kt_kind reconcile_write(struct request *req, struct kt_err *err);
enum kt_kind drill_write(struct request *req, struct kt_err *err);
/* KT_INVALID (KT-R-030): everything is paused. */
enum kt_kind run_refuse_paused(struct request *req, const char *name, struct kt_err *err)
    KT_MUST_CHECK;
enum kt_kind dry_run_write(struct request *req, struct kt_err *err); /* dry_run.c */
/* Of the route's path. KT_INVALID (KT-R-004): it is not rotated. */
enum kt_kind secret_load_rotated(struct request *req, struct rotation_secret *ret,
                                 struct kt_err *err) KT_MUST_CHECK;
