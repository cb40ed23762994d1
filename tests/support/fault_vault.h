/* tests/support/fault_vault.h - a vault on a disk that stops when it has to, and is started again.
 *
 * What:    A test vault over LMDB in a folder of its own, with simulated time. When its store or its
 *          audit log says that it stopped, fault_vault_mend() does what an operator would: ends it,
 *          starts it on the same folder, unseals with the shares of the set that it names. It has the
 *          credential "seal" at hand, in a folder of its own; no seal is made of it yet.
 * Owner:   fault_vault_new() .. fault_vault_end(), which removes the folder.
 * Errors:  what must work and does not fails the cmocka test.
 * Threads: one thread. */
#pragma once

#include <stdatomic.h>

#include "tests/support/vault.h"

struct rotation_executor;
struct fault_vault {
    char folder[64], credentials[80];
    struct test_vault *vault;
    const struct rotation_executor *executor;
    char root[256];
    unsigned char shares[5][SHAMIR_SHARE_BYTES];
    int64_t now_ms;
    atomic_uint stopped; /* how often store or log said that they stopped */
    char why[256];       /* what was said last */
    unsigned starts;
    bool stays_sealed; /* a restart does not unseal it */
    /* Another set of shares, that may be the vault's by now: sys/seal-status tells which set is. */
    char other_id[37]; /* "": none */
    unsigned char other_shares[5][SHAMIR_SHARE_BYTES];
};

/* initialised: with its five shares, of which three unseal, and open. */
void fault_vault_new(struct fault_vault *v, const struct rotation_executor *executor,
                     bool initialised);
void fault_vault_end(struct fault_vault *v);
void fault_vault_close(struct fault_vault *v);
void fault_vault_open(struct fault_vault *v); /* sealed */
void fault_vault_unseal(struct fault_vault *v);
/* Closes, opens, unseals. */
void fault_vault_restart(struct fault_vault *v);
/* Restarts if it stopped. True: it had. */
bool fault_vault_mend(struct fault_vault *v);
/* Waits until it says that it stopped; false: it does not. */
bool fault_vault_stops(struct fault_vault *v);
/* Every record is there, hashed as the tree has it; each id has its record. ids: of requests that
 * were answered with success. */
void fault_vault_check_log(struct fault_vault *v, const char (*ids)[37], size_t n);
