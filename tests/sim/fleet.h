/* tests/sim/fleet.h - targets, services that log in there, their agents, and who rotates.
 *
 * What:    A PostgreSQL with a secret that alternates between two accounts and one that is changed in
 *          place; a Redis with one whose account accepts two passwords for a time, and which has only
 *          what it has written down after it was started again. Agents register, watch, fetch, apply, check by logging in, and report; some are
 *          down for a while, lie, or refuse a version. A person starts, cancels and turns back
 *          runs. The targets are slow, unreachable, lose questions and answers, and changes.
 * Always:  after each change at a target one of the values that the vault has durably stored
 *          works there, but in place it is the current one, and what every service runs whose
 *          agent is up works (fleet_target.c). In the end, with everybody well, each run
 *          ends, or is frozen and says what to do (fleet_end.c).
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
};

struct fleet_target {
    struct sim sim;
    struct rotation_executor inner;
    bool there;              /* the vault acknowledged it */
    int64_t down_until_ns;
    int64_t applied_wall_ms; /* the last change, if it set a password; 0: it did not */
    int64_t forgets_ns;      /* not before that does it forget again */
    bool lost;               /* it forgot that, as with synchronous_commit = off and a crash */
    struct sim_account written[4]; /* what it has written down */
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
/* A target crashes just now and loses what it said was done a moment ago, or did not write down. */
void fleet_forget(struct world *world);
