/* vaultd/rotation/machine.h - the rules of a run, free of store, target and clock.
 *
 * What:    A run is a durable state machine: what is about to happen is committed (an intent) before
 *          it happens at the target, its outcome after it. struct machine is where a run stands;
 *          machine_want() says what it needs next; machine_event() and machine_answers() move it by
 *          the two tables (transitions.c, resume.c) and say what the same commit has to change
 *          (FX_*). The engine carries these out on a real vault, tests/unit/rotation_model_test.c on
 *          a simulated one, exhaustively.
 * Rules:   (a) a credential is revoked only when a probe batch in the same worker step says that the
 *          other one is accepted; (b) a consumer is blamed only when the target still accepts
 *          the new version; (c) in-place, promoting follows applying in one step; (d) an old credential that was
 *          dead before, and meant to be, is never set again: nobody is sent back to it.
 * Threads: plain values. */
#pragma once

#include "lib/bytes.h"
#include "lib/driver/driver.h"

/* name, text in API and records, what it waits for */
#define RUN_STATES(X)                                                                              \
    X(RUN_PLANNED, "planned", "its turn")                                                          \
    X(RUN_PREFLIGHT, "preflight", "the target's answers, and healthy consumers")                   \
    X(RUN_GENERATED, "generated", "consumers that try two credentials to have the new one")        \
    X(RUN_APPLYING, "applying", "the target to take the new credential")                           \
    X(RUN_APPLIED, "applied", "nothing: the target said yes")                                      \
    X(RUN_VERIFYING, "verifying", "a login with the new credential")                               \
    X(RUN_PROMOTED, "promoted", "nothing: the new version is current")                             \
    X(RUN_ACKING, "acking", "consumers to run the new version and be healthy")                     \
    X(RUN_OVERLAPPING, "overlapping", "the overlap, soak, and readers of the old version")         \
    X(RUN_REVOKING, "revoking", "the target to end the old credential")                            \
    X(RUN_CONFIRMING, "confirming", "the proof that the old credential is refused")                \
    X(RUN_DONE, "done", "")                                                                        \
    X(RUN_ROLLING_BACK, "rolling_back", "the way back to the old version")                         \
    X(RUN_ROLLED_BACK, "rolled_back", "")                                                          \
    X(RUN_CANCELLED, "cancelled", "")                                                              \
    X(RUN_FROZEN, "frozen", "a person")                                                            \
    X(RUN_MENDING, "mending", "the target to take the stored credential again")
#define X(name, text, waits) name,
enum run_state { RUN_STATES(X) RUN_STATE_COUNT };
#undef X
const char *run_state_text(enum run_state state);
const char *run_state_waits(enum run_state state);
bool run_state_ended(enum run_state state);

/* Records have the number: new ones are added at the end. */
enum run_strategy {
    STRATEGY_GENERATE,  /* no target: a run waits for listeners (served.h), or is done in its first commit */
    STRATEGY_ALTERNATE, /* two accounts, in turn */
    STRATEGY_IN_PLACE,  /* one account that accepts one credential */
    STRATEGY_OVERLAP,   /* one account that accepts two at a time */
    STRATEGY_COUNT
};
const char *run_strategy_text(enum run_strategy strategy);
bool run_strategy_parse(const char *text, enum run_strategy *ret);

/* The ways back; which of them a run takes depends on strategy and on how far it was. Records have the number:
 * new ones are added at the end, and BACK_ASK_OLD comes before the others. */
#define BACK_STEPS(X)                                                                              \
    X(BACK_NONE, "")                                                                               \
    X(BACK_RESTORE_OLD, "restore_old")   /* the old public part is set again */                    \
    X(BACK_DEMOTE, "demote")             /* current = the old version */                           \
    X(BACK_REDISTRIBUTE, "redistribute") /* consumers go back */                                   \
    X(BACK_REVOKE_NEW, "revoke_new")                                                               \
    X(BACK_CONFIRM_OLD, "confirm_old")                                                             \
    X(BACK_ASK_OLD, "ask_old")           /* before anybody is sent back to it */
#define X(name, text) name,
enum back_step { BACK_STEPS(X) BACK_STEP_COUNT };
#undef X
const char *back_step_text(enum back_step step);

#define RUN_INTENTS(X)                                                                             \
    X(INTENT_NONE, "")                                                                             \
    X(INTENT_APPLY, "apply")                                                                       \
    X(INTENT_REVOKE, "revoke")                                                                     \
    X(INTENT_REVOKE_NEW, "revoke_new")                                                             \
    X(INTENT_RESTORE, "restore_old")
#define X(name, text) name,
enum run_intent { RUN_INTENTS(X) RUN_INTENT_COUNT };
#undef X
const char *run_intent_text(enum run_intent intent);

#define RUN_EVENTS(X)                                                                              \
    X(EV_OK, "ok")                                                                                 \
    X(EV_REFUSED, "refused")         /* the credential that had to be accepted was refused */      \
    X(EV_ADMIN, "admin refused")     /* the administrative login was */                            \
    X(EV_OPEN, "control accepted")   /* a wrong password was accepted */                           \
    X(EV_SERVER, "wrong server")                                                                   \
    X(EV_PERMANENT, "permanent")     /* the target said no for another reason */                   \
    X(EV_VALUE, "value refused")     /* the target's rules do not allow this value */              \
    X(EV_UNREACH, "unreachable")     /* no answer, or one that says nothing */                     \
    X(EV_TIMEOUT, "given up")        /* it took too long or failed too often */                    \
    X(EV_CRASH, "restart")                                                                         \
    X(EV_CANCEL, "cancel")                                                                         \
    X(EV_UNHEALTHY, "unhealthy consumer")                                                          \
    X(EV_SILENT, "silent consumer")  /* no acknowledgement in time */                              \
    X(EV_LATE, "late consumer")      /* one more that does not run the new version */              \
    X(EV_THAW, "thaw")
#define X(name, text) name,
enum run_event { RUN_EVENTS(X) RUN_EVENT_COUNT };
#undef X
const char *run_event_text(enum run_event event);

/* name, code, word */
#define FROZEN_CODES(X)                                                                            \
    X(FROZEN_NOT, "", "")                                                                          \
    X(FROZEN_DRIFT, "KT-R-010", "drift")                                                           \
    X(FROZEN_ADMIN, "KT-R-011", "admin")                                                           \
    X(FROZEN_OPEN, "KT-R-012", "target-accepts-anything")                                          \
    X(FROZEN_SERVER, "KT-R-013", "wrong-server")                                                   \
    X(FROZEN_BOTH_DEAD, "KT-R-021", "both-dead")                                                   \
    X(FROZEN_OLD_ALIVE, "KT-R-022", "old-still-alive")                                             \
    X(FROZEN_NEW_DEAD, "KT-R-023", "new-is-dead")                                                  \
    X(FROZEN_CANNOT_REVOKE, "KT-R-024", "cannot-revoke")                                           \
    X(FROZEN_ROLLBACK, "KT-R-025", "rollback-failed")                                              \
    X(FROZEN_STORE, "KT-R-026", "store-disagrees")                                                 \
    X(FROZEN_UNMENDED, "KT-R-027", "not-mended")
#define X(name, code, word) name,
enum frozen_code { FROZEN_CODES(X) FROZEN_CODE_COUNT };
#undef X
const char *frozen_code_text(enum frozen_code code); /* "KT-R-010" */
const char *frozen_code_word(enum frozen_code code); /* "drift" */

enum run_act {
    ACT_UNKNOWN, /* the pair cannot happen: refused */
    ACT_STAY,    /* nothing changes; it goes on where it is */
    ACT_GO,      /* to `next` */
    ACT_RETRY,   /* the same again after a pause */
    ACT_PROBE,   /* ask the target, then decide by resume.c */
    ACT_BACK,    /* begin to go back */
    ACT_FREEZE,  /* with `code` */
    ACT_CANCEL,  /* end: nothing ever happened outside */
    ACT_THAW,    /* back to the state in which it froze */
    ACT_REFUSE   /* it is asked for, and it is too late */
};
const char *run_act_text(enum run_act act);
struct transition {
    enum run_act act;
    enum run_state next;
    enum frozen_code code;
};
const struct transition *transition_find(enum run_state state, enum run_event event);

/* What a probe batch decides, by the last intent and the answers (new, old). */
enum decision {
    DECIDE_APPLIED,    /* it is in place */
    DECIDE_APPLY,      /* it is not (any more): the same public part again */
    DECIDE_PROMOTE,    /* the old one is dead already: promote now */
    DECIDE_REAPPLY,    /* both dead: the new one again, once */
    DECIDE_REVOKE,     /* both alive: revoke the old one (again) */
    DECIDE_REVOKED,    /* as it has to be in the end */
    DECIDE_REVOKE_NEW, /* both alive on the way back: revoke the new one (again) */
    DECIDE_RETURNED,   /* as it has to be after going back */
    DECIDE_RESTORE     /* the old one is dead on the way back: its public part again */
};
const char *decision_text(enum decision decision);
enum decision resume_decide(enum run_strategy strategy, enum run_intent intent, bool new_accepted,
                            bool old_accepted);

/* What the commit that moves the machine has to do besides. */
enum run_effect {
    FX_VALUE = 1 << 0,    /* the new version: value and public part, stage pending */
    FX_MARK_NEW = 1 << 1, /* the target may accept the new version from now on */
    FX_PROMOTE = 1 << 2,
    FX_DEMOTE = 1 << 3,
    FX_DROP_NEW = 1 << 4, /* destroy the new version: it never left the vault */
    FX_DEAD_NEW = 1 << 5, /* the target was seen to refuse it */
    FX_DEAD_OLD = 1 << 6,
    FX_END = 1 << 7,      /* report, lock, next due */
    FX_PAGE = 1 << 8,     /* somebody should know now */
    FX_INTENT = 1 << 9,   /* an intent is recorded: something is about to be sent */
    FX_AGAIN = 1 << 10,   /* consumers that gave the new version up may try it again */
    FX_ALONE = 1 << 11,   /* promoted, and the old version is refused already */
    FX_OTHER = 1 << 12,   /* the new version is thrown away, and another one made in its place */
    FX_PUBLIC = 1 << 13,  /* the public part of the stored version is made, unless it is there */
    FX_GIVE_UP = 1 << 14  /* whatever is current stays so, and nobody is to take another; none is dead by that */
};

struct machine {
    enum run_strategy strategy;
    enum run_state state;
    enum back_step back;
    enum run_intent intent; /* the last one */
    bool open;              /* its outcome is not known */
    bool promoted;          /* current is the new version */
    bool past;              /* the point of no return */
    bool hold_unhealthy;    /* an unhealthy consumer holds the run, it does not go back */
    bool hold_silent;       /* so does one that does not acknowledge in time */
    bool said_no;           /* the target did not take the new one for a reason of its own */
    bool bad_value;         /* it does not allow the value */
    bool fixed_value;       /* there is no other one to try */
    bool given;             /* the target makes the value: there is none before it said yes, and what it
                               made cannot be set once more */
    bool mends;             /* no new version: the target is to accept the stored one again */
    bool drills;            /* once everybody runs the new one it goes back: it ends no old credential */
    bool bound;             /* others that go together with it have come as far: it goes back no more */
    bool turned;            /* a drill that came so far */
    bool old_dead;          /* before anything was changed the old one was seen refused, as somebody had said that it
                               would be: it is never set again, so there is nothing to go back to */
    bool alone;             /* the old one was refused when the target was last asked, since the new one was promoted */
    uint8_t values;         /* how many were made in place of others */
    uint8_t applied_again, both_dead, revoked_again, restored, refused_back; /* how often */
    enum frozen_code frozen;
    enum run_state frozen_in;
    /* Not stored; false after a restart. */
    bool fresh; /* the intent was committed just now and nothing of it was sent yet */
    bool doubt; /* a consumer is in trouble: ask the target before anyone is blamed */
};

enum machine_want {
    WANT_NOTHING,    /* ended */
    WANT_PERSON,     /* frozen */
    WANT_COMMIT,     /* nothing outside: EV_OK */
    WANT_PREFLIGHT,  /* probe admin, control, old; then EV_* */
    WANT_PROBE,      /* probe admin, control, new, old; then machine_answers() */
    WANT_ASK_OLD,    /* probe admin and old, once; then machine_answers(), of which the new one's counts for
                        nothing; EV_OK where it may not be asked now, EV_* where it did not say */
    WANT_VERIFY,     /* the same, and the login's own check */
    WANT_APPLY,      /* send; then EV_OK, EV_UNREACH, EV_PERMANENT */
    WANT_RESTORE,    /* the same */
    WANT_REVOKE,     /* probe, and only when the other one is accepted send, even if this one is dead
                        already: its sessions may live; else machine_answers() */
    WANT_REVOKE_NEW, /* the same */
    WANT_ACKS,       /* wait for consumers; EV_OK, EV_UNHEALTHY, EV_SILENT */
    WANT_OVERLAP,    /* wait; EV_OK, EV_UNHEALTHY, EV_LATE */
    WANT_RETURN      /* wait until no consumer runs the new version; EV_OK */
};
enum machine_want machine_want(const struct machine *m);

/* False: the pair is refused (ACT_UNKNOWN, ACT_REFUSE) and nothing changed. Sets *ret_fx. */
bool machine_event(struct machine *m, enum run_event event, unsigned *ret_fx);
/* A batch in which the admin got in and the control was refused, and both answers are evidence. */
void machine_answers(struct machine *m, bool new_accepted, bool old_accepted, unsigned *ret_fx);
/* The engine found what the tables do not know (a version that is gone, say). */
void machine_freeze(struct machine *m, enum frozen_code code, unsigned *ret_fx);
/* As read from the store after a restart. */
void machine_resumed(struct machine *m);
/* It ends the old credential, or froze over that. `past` alone may be earlier: what has no way back goes ahead. */
bool machine_ends_old(const struct machine *m);
/* Nothing has it go back any more. */
bool machine_only_ahead(const struct machine *m);
/* If neither of these is so, a cancel is answered with "too late". The second: frozen, it has no way to go (the vault
 * lacks a version that each step needs), or need not go on: a cancel ends it where it is, and what the target accepts is
 * not known. */
bool machine_can_go_back(const struct machine *m);
bool machine_can_give_up(const struct machine *m);
/* It ended so. */
bool machine_gave_up(const struct machine *m);
/* Preflight saw it. A drill becomes a rotation. */
void machine_old_is_dead(struct machine *m);
/* Preflight is over, and what it saw is not known. False, and nothing changed: it is of no use any more, or it was set
 * again already. */
bool machine_believe_old_is_dead(struct machine *m);
