/* tests/support/store_fixture.h - a store in a folder of its own, and waiting for its completions.
 *
 * What:    fixture_init() opens an engine on an empty place, fixture_reset() does so again,
 *          fixture_reopen() closes and opens on what is there.
 *          fixture_hold() stops the store thread inside a completion (of a put of its own, under
 *          "\x01hold"); what is submitted until fixture_release() becomes one fold.
 * Threads: one thread; the waits are filled on the store thread. */
#pragma once

#include <pthread.h>
#include <semaphore.h>
#include <stdatomic.h>

#include "lib/clock.h"
#include "tests/support/folder.h"
#include "vaultd/store/engine.h"

struct fixture_wait {
    sem_t sem;
    atomic_uint done;    /* how often it was called */
    unsigned order;      /* the how-manieth completion of the fixture it was */
    struct store_fixture *fixture;
    struct commit_result result;
};

struct store_fixture {
    struct store_config config;
    struct store_seam seam;
    struct store *store;
    char folder[64];
    atomic_uint completions;
    atomic_bool stop;
    sem_t held, release;
};

int fixture_init(struct store_fixture *f, enum store_engine engine); /* 0, or -1 with a message */
void fixture_done(struct store_fixture *f);
void fixture_reset(struct store_fixture *f);
void fixture_reopen(struct store_fixture *f);

void fixture_submit(struct store_fixture *f, struct batch *take_batch, struct fixture_wait *wait);
void fixture_wait(struct fixture_wait *wait);
struct commit_result fixture_commit(struct store_fixture *f, struct batch *take_batch);
enum store_error fixture_put(struct store_fixture *f, const char *key, const char *value);
/* Copies the value as text when value is not NULL; it must be short. */
enum store_error fixture_get(struct store_fixture *f, const char *key, char *value);
generation fixture_head(struct store_fixture *f);
void fixture_hold(struct store_fixture *f);
void fixture_hold_relief(struct store_fixture *f);
void fixture_release(struct store_fixture *f);

/* Runs each test on a new store of each engine, as a cmocka group; "lmdb, NAME" and "inmem, NAME".
 * Returns what main() is to return. */
struct fixture_test {
    const char *name;
    void (*run)(struct store_fixture *f);
};
int fixture_run(const char *group, const struct fixture_test *tests, size_t n);
