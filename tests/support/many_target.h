/* tests/support/many_target.h - a target with very many accounts, "u0" and on, for a vault that rotates them.
 *
 * What:    Carries out steps as Redis would: an account accepts up to two passwords, kept as SHA-256; the
 *          administrator is in, and whoever has another password is not. Remembers in which order accounts
 *          were first asked for, and how many were at once.
 * Owner:   many_target_init() .. many_target_free().
 * Threads: the vault's step threads and the test's; a lock inside. */
#pragma once

#include <pthread.h>

#include "vaultd/rotation/rotation.h"

#define MANY_HASH 65u

struct many_account {
    char first[MANY_HASH], second[MANY_HASH]; /* "": none */
    bool asked;
};
struct many_target {
    pthread_mutex_t lock;
    struct many_account *accounts;
    unsigned n, inside, peak;
    unsigned *order, n_order; /* numbers of accounts */
};

/* Every account accepts the password. Aborts without memory. */
void many_target_init(struct many_target *target, unsigned accounts, const char *password);
void many_target_free(struct many_target *target);
void many_target_executor(struct many_target *target, struct rotation_executor *ret);
/* How many accounts still accept the password. */
unsigned many_target_accepting(struct many_target *target, const char *password);
unsigned many_target_seen(struct many_target *target);
