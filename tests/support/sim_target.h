/* tests/support/sim_target.h - a database's logins in memory, for a vault that rotates them.
 *
 * What:    Carries out driver steps as PostgreSQL would, and as Redis where an account accepts two
 *          passwords, with faults on demand. After each step that
 *          changed something it looks into the vault as if that had died just now: is there a value
 *          in the store that is accepted? If ever not, `locked_out` says when.
 * Owner:   plain memory of the test; sim_init() .. sim_free().
 * Threads: the vault's step threads and the test's; a lock inside. */
#pragma once

#include <pthread.h>

#include "tests/support/vault.h"
#include "vaultd/rotation/rotation.h"

#define SIM_ACCOUNTS 16u

struct sim_account {
    char name[64];
    char verifier[160]; /* "": no password */
    char also[160];     /* the other one that is accepted, overlapping */
    bool login;
    uint32_t sessions;
    unsigned refusals;            /* logins that were refused */
    int64_t asked_ms, least_gap_ms; /* between two probe batches, by the vault's clock */
};

struct sim {
    pthread_mutex_t lock;
    struct test_vault *vault; /* whose store is looked into; NULL: not */
    const char *secret;       /* "db/orders", in secret/ */
    bool may_stop;            /* a store that stopped meanwhile is looked into after its restart */
    struct sim_account accounts[SIM_ACCOUNTS];
    unsigned n_accounts;
    char admin_password[64];
    bool admins;              /* administrative logins are accounts, with passwords of theirs */
    char server_id[32];
    /* faults */
    bool hashes;              /* keeps SHA-256, as Redis does */
    bool trust;               /* lets anybody in */
    bool bars;                /* has no connection free for a right password */
    unsigned unsure;          /* cannot say of the old password whether it is right, so many more times */
    bool down;
    bool unfit;               /* cannot be changed as it is */
    bool no_revoke;           /* says no to revocations */
    bool says_no;             /* says no to changes */
    unsigned bad_values;      /* its rules do not allow so many more */
    bool ignores;             /* says yes to changes and does nothing */
    unsigned lose_reply;      /* of so many changes the answer is lost */
    bool late;                /* no change is answered before sim_answer() */
    bool slow;                /* none begins before that */
    pthread_cond_t answers;
    bool loses_then;          /* the last change is lost just before the next revocation */
    bool old_survives;        /* revoking has no effect */
    bool misplaced;           /* a login with the new one works, and is not what it should be */
    /* counts */
    unsigned kept;            /* applied beside another one */
    unsigned timeout_ms;      /* of the last step */
    unsigned ops[DRIVER_OP_COUNT], refusals, undo_n;
    struct sim_account undo[SIM_ACCOUNTS]; /* before the last change */
    char locked_out[128];
};

void sim_init(struct sim *sim);
void sim_free(struct sim *sim);
/* A fault, or another text, from the next step on: threads that carry out steps read them. */
#define SIM_SET(sim, member, value)                                                                \
    do {                                                                                           \
        (void)pthread_mutex_lock(&(sim)->lock);                                                    \
        (sim)->member = (value);                                                                   \
        (void)pthread_mutex_unlock(&(sim)->lock);                                                  \
    } while (0)
#define SIM_SAY(sim, member, text) sim_say(sim, (sim)->member, sizeof(sim)->member, text)
void sim_say(struct sim *sim, char *at, size_t size, const char *text);
void sim_answer(struct sim *sim);
/* How often a login of the account was refused. */
unsigned sim_refusals(struct sim *sim, const char *name);
/* The account as it is; NULL: none. */
struct sim_account *sim_account(struct sim *sim, const char *name);
void sim_add(struct sim *sim, const char *name, const char *password);
/* Passwords are kept as hashes from now on. */
void sim_keep_hashes(struct sim *sim);
bool sim_accepts(struct sim *sim, const char *name, const char *password);
/* The last change is lost, as with synchronous_commit = off and a crash. */
void sim_lose_last(struct sim *sim);
unsigned sim_ops(struct sim *sim, enum driver_op op);
unsigned sim_timeout(struct sim *sim); /* of the last step, ms */
void sim_executor(struct sim *sim, struct rotation_executor *ret);
