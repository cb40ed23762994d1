/* tests/support/leasing_engine.h - an engine whose secrets have leases, and which takes them back as a test says.
 *
 * What:    The type "leasing", which no vaultd has: programs that want it are linked with -Wl,--wrap=engine_find
 *          (Makefile). GET creds/NAME makes a secret; ttl, max_ttl and renewable are fields. A secret whose name begins
 *          with "bad" cannot be taken back, one that begins with "held" only when the test says so, one that begins
 *          with "stiff" refuses to be renewed, and one that begins with "large" keeps as much as a lease may.
 * Threads: any; a program has one of them. */
#pragma once

#include "tests/support/vault.h"

/* Mounts it at leasing/. */
void leasing_mount(struct test_vault *vault);
/* Nothing was asked, nothing is held; "bad" ones are bad. */
void leasing_reset(void);
/* From now on "bad" ones are taken back as all others. */
void leasing_mend(void);
/* How often the engine was asked to take one back, since leasing_reset(). */
unsigned leasing_asked(void);
/* How many are held. */
unsigned leasing_held(void);
/* Answers for all that are held. */
void leasing_release(struct test_vault *vault, enum kt_kind kind, const char *why);
