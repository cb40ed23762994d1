/* tests/sim/fleet.h - targets, services that log in there, their agents, and who rotates.
 *
 * What:    A PostgreSQL with a secret that alternates between two accounts and one that is changed in
 *          place; a Redis with one whose account accepts two passwords for a time, and which has only
 *          what it has written down after it was started again. Agents register, watch, fetch, apply, check by logging in, and report; some are
 *          down for a while, lie, or refuse a version. A person starts, cancels and turns back
 *          runs. The targets are slow, unreachable, lose questions and answers, and changes; now and
 *          then one is put back to a backup of itself, while the vault is up or down.
 * Always:  after each change at a target one of the values that the vault has durably stored
 *          works there, but in place it is the current one, and what every service runs whose
 *          agent is up works (fleet_target.c), but for what a target forgot that was put back. In
 *          the end, with everybody well, each run ends, or is frozen and says what to do; what a
 *          target refuses that was put back has drifted, and is mended (fleet_end.c).
 * Threads: the world's. */
#pragma once

#include "tests/sim/actors.h"
#include "tests/support/sim_target.h"

#define SECRETS       3u
#define AGENTS        4u
#define TARGETS       2u
#define VERSIONS_READ 512u

struct fleet_secret {
    const char *path; /* in secret/ */
    unsigned target;
    bool two; /* the old one is accepted until it is ended */
    const char *account, *body;
};
struct fleet_kind {
    const char *name, *driver, *body;
    bool hashes, writes_down;
};
/* What became of targets that were put back, over all worlds of the process. */
#define PUT_BACK_ENDS(X)                                                                           \
    X(UP, "put back while the vault is up")                                                        \
    X(DOWN, "put back while the vault is down")                                                    \
    X(STILL_WORKS, "what is current works all the same")                                           \
    X(SEEN, "refused, seen and reconciled")                                                        \
    X(RECONCILED, "a run froze, reconciled")                                                       \
    X(TOLD, "a run froze, told what works")
#define X(name, text) PUT_BACK_##name,
enum put_back_end { PUT_BACK_ENDS(X) PUT_BACK_END_COUNT };
#undef X
extern unsigned long put_back_counts[TARGETS][PUT_BACK_END_COUNT];
extern const struct fleet_kind fleet_kinds[TARGETS];
extern const struct fleet_secret fleet_secrets[SECRETS];

struct agent {
    char token[32], cursor[96];
    unsigned version; /* that the service runs; 0: none yet */
    char user[64], password[128];
    bool registered; /* the vault acknowledged it */
    unsigned owed;   /* this version is not reported yet; 0: none */
    const char *owed_state;
    bool read[VERSIONS_READ]; /* by version: the vault gave it out, heard or not */
    bool unwell;              /* so it said last */
    unsigned refused;         /* a version that it says does not do */
    int64_t down_until_ns;    /* the host is off */
    int64_t excused_until_ns; /* it was off, or lied: the vault may have gone on without it */
    bool cut_off;             /* its target was put back, and it has not got in since */
};

struct fleet_target {
    unsigned kind; /* of fleet_kinds */
    struct sim sim;
    struct rotation_executor inner;
    bool there;              /* the vault acknowledged it */
    int64_t down_until_ns;
    int64_t applied_ms; /* true time of the last change, if it set a password; 0: it did not */
    int64_t forgets_ns;      /* not before that does it forget again */
    bool lost;               /* it forgot that, as with synchronous_commit = off and a crash */
    struct sim_account written[4]; /* what it has written down */
    struct sim_account backup[4];
    bool has_backup;
    unsigned changes;        /* since the backup */
    int64_t restored_ns;     /* put back last; 0: never */
    bool put_back;           /* ever */
};

struct fleet_model {
    struct fleet_target targets[TARGETS];
    struct rotation_executor executor;
    struct agent agents[AGENTS];
    bool has_agent_policy, has_token[AGENTS], has_secret[SECRETS], has_rotation[SECRETS];
    bool calm; /* everybody is well */
    unsigned rotations;
};

extern const unsigned agent_uses[AGENTS]; /* which secret */
bool agent_logs_in(struct world *world, const struct agent *agent);
void fleet_look(struct world *world, const char *when);
struct fleet_target *fleet_target_of(struct world *world, unsigned secret);
/* A backup is made of a target, or a target put back to its own. */
void fleet_back_up(struct world *world);
void fleet_put_back(struct world *world, bool up);
/* A target crashes just now and loses what it said was done a moment ago, or did not write down. */
void fleet_forget(struct world *world);
