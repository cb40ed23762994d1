#include "tests/support/store_fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>


#include "lib/secret.h"
#include "vaultd/store/inmem.h"

static void end_test(const char *what, const struct kt_err *err)
{
    (void)fprintf(stderr, "store fixture: %s: %s\n", what, err == NULL ? "" : err->what);
    abort();
}

static void open_store(struct store_fixture *f)
{
    struct kt_err err = {0};
    if (store_open_seamed(&f->config, &f->seam, &f->store, &err) != KT_OK)
        end_test("cannot open", &err);
}

static void make_place(struct store_fixture *f)
{
    if (f->config.engine == STORE_LMDB) {
        if (folder_make(f->folder) != 0)
            end_test("cannot make a folder", NULL);
        f->config.path = f->folder;
    } else {
        f->seam.image = store_image_new();
    }
}

static void remove_place(struct store_fixture *f)
{
    if (f->config.engine == STORE_LMDB)
        folder_remove(f->folder);
    store_image_free(f->seam.image);
    f->seam.image = NULL;
}

int fixture_init(struct store_fixture *f, enum store_engine engine)
{
    *f = (struct store_fixture){.config = {.engine = engine}};
    (void)sem_init(&f->held, 0, 0);
    (void)sem_init(&f->release, 0, 0);
    make_place(f);
    open_store(f);
    return 0;
}

void fixture_done(struct store_fixture *f)
{
    store_close(f->store);
    f->store = NULL;
    remove_place(f);
    (void)sem_destroy(&f->held);
    (void)sem_destroy(&f->release);
}

void fixture_reset(struct store_fixture *f)
{
    store_close(f->store);
    remove_place(f);
    make_place(f);
    open_store(f);
}

void fixture_reopen(struct store_fixture *f)
{
    store_close(f->store);
    open_store(f);
}

static void note_done(void *arg, const struct commit_result *result)
{
    struct fixture_wait *wait = arg;
    wait->result = *result;
    wait->order = atomic_fetch_add(&wait->fixture->completions, 1);
    (void)atomic_fetch_add(&wait->done, 1);
    (void)sem_post(&wait->sem);
}

void fixture_submit(struct store_fixture *f, struct batch *take_batch, struct fixture_wait *wait)
{
    *wait = (struct fixture_wait){.fixture = f};
    (void)sem_init(&wait->sem, 0, 0);
    store_commit(f->store, take_batch, note_done, wait);
}

void fixture_wait(struct fixture_wait *wait)
{
    while (sem_wait(&wait->sem) != 0)
        ;
}

struct commit_result fixture_commit(struct store_fixture *f, struct batch *take_batch)
{
    struct fixture_wait wait;
    fixture_submit(f, take_batch, &wait);
    fixture_wait(&wait);
    return wait.result;
}

enum store_error fixture_put(struct store_fixture *f, const char *key, const char *value)
{
    struct batch *batch = batch_new();
    batch_put(batch, kt_str(key), kt_str(value));
    return fixture_commit(f, batch).error;
}

enum store_error fixture_get(struct store_fixture *f, const char *key, char *value)
{
    struct snapshot *snapshot = NULL;
    enum store_error error = snapshot_begin(f->store, &snapshot);
    if (error != STORE_OK)
        return error;
    struct entry entry;
    error = snapshot_get(snapshot, kt_str(key), &entry);
    if (error == STORE_OK && value != NULL) {
        memcpy(value, entry.value.at, entry.value.len);
        value[entry.value.len] = '\0';
    }
    snapshot_end(snapshot);
    return error;
}

generation fixture_head(struct store_fixture *f)
{
    generation at = 0;
    store_head(f->store, NULL, &at, NULL);
    return at;
}

static void hold_here(void *arg, const struct commit_result *result)
{
    struct store_fixture *f = arg;
    (void)result;
    (void)sem_post(&f->held);
    while (sem_wait(&f->release) != 0)
        ;
}

static void hold(struct store_fixture *f, bool relief)
{
    struct batch *batch = batch_new();
    if (relief)
        batch_relief(batch);
    batch_put(batch, kt_str("\x01hold"), kt_str("x"));
    store_commit(f->store, batch, hold_here, f);
    while (sem_wait(&f->held) != 0)
        ;
}

void fixture_hold(struct store_fixture *f)
{
    hold(f, false);
}

void fixture_hold_relief(struct store_fixture *f)
{
    hold(f, true);
}

void fixture_release(struct store_fixture *f)
{
    (void)sem_post(&f->release);
}

/* ---- a suite on both engines ---- */

struct run {
    const struct fixture_test *test;
    enum store_engine engine;
    struct store_fixture f;
    char name[80];
};

static int set_up(void **state)
{
    struct run *run = *state;
    return fixture_init(&run->f, run->engine);
}

static int tear_down(void **state)
{
    struct run *run = *state;
    fixture_done(&run->f);
    return 0;
}

static void run_one(void **state)
{
    struct run *run = *state;
    run->test->run(&run->f);
}

int fixture_run(const char *group, const struct fixture_test *tests, size_t n)
{
    struct run *runs = calloc(2 * n, sizeof *runs);
    struct CMUnitTest *units = calloc(2 * n, sizeof *units);
    if (runs == NULL || units == NULL || kt_secret_init(NULL) != KT_OK)
        return 1;
    for (size_t i = 0; i < 2 * n; i++) {
        bool lmdb = i < n;
        runs[i].test = &tests[i % n];
        runs[i].engine = lmdb ? STORE_LMDB : STORE_INMEM;
        (void)snprintf(runs[i].name, sizeof runs[i].name, "%s, %s", lmdb ? "lmdb" : "inmem",
                       runs[i].test->name);
        units[i] = (struct CMUnitTest){.name = runs[i].name,
                                       .test_func = run_one,
                                       .setup_func = set_up,
                                       .teardown_func = tear_down,
                                       .initial_state = &runs[i]};
    }
    int failed = _cmocka_run_group_tests(group, units, 2 * n, NULL, NULL);
    free(units);
    free(runs);
    return failed;
}
