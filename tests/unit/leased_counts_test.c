/* How many leases each mount has: counted bit by bit, while they come and go. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "tests/support/store_fixture.h"
#include "vaultd/auth/leased_counts.h"
#include "vaultd/barrier/tables.h"

#define ROWS      4500u /* more than two steps count */
#define IN_BATCH  90u
#define KEY_BYTES 33u

static const unsigned char scope[BARRIER_SCOPE] = {7};
static struct leased_counts *counts;
static bool step_first;

/* The next step of counting sees a fold before it is followed. */
static void step_before_it_is_followed(void *arg, const struct fold_event *event)
{
    (void)arg;
    (void)event;
    if (step_first)
        (void)leased_counts_step(counts);
    step_first = false;
}

static void key_of(unsigned number, unsigned char key[KEY_BYTES])
{
    memset(key, 0, KEY_BYTES);
    key[0] = TABLE_LEASED_IN;
    memcpy(key + 1, scope, sizeof scope);
    key[KEY_BYTES - 2] = (unsigned char)(number >> 8);
    key[KEY_BYTES - 1] = (unsigned char)number;
}

static void change(struct store_fixture *f, unsigned number, bool there)
{
    unsigned char key[KEY_BYTES];
    struct batch *batch = batch_new();
    key_of(number, key);
    if (there)
        batch_put(batch, kt_bytes(key, sizeof key), kt_str("x"));
    else
        batch_delete(batch, kt_bytes(key, sizeof key));
    assert_int_equal(fixture_commit(f, batch).error, STORE_OK);
}

/* Each second number, from 2 on. */
static void fill(struct store_fixture *f)
{
    for (unsigned i = 0; i < ROWS; i += IN_BATCH) {
        struct batch *batch = batch_new();
        for (unsigned j = i; j < i + IN_BATCH; j++) {
            unsigned char key[KEY_BYTES];
            key_of(2 * j + 2, key);
            batch_put(batch, kt_bytes(key, sizeof key), kt_str("x"));
        }
        assert_int_equal(fixture_commit(f, batch).error, STORE_OK);
    }
}

static void begin(struct store_fixture *f)
{
    fill(f);
    step_first = false;
    assert_int_equal(store_on_fold(f->store, kt_str(""), step_before_it_is_followed, NULL), STORE_OK);
    counts = leased_counts_new(f->store);
    assert_non_null(counts);
}

/* The followers go before what they count in. */
static void end(struct store_fixture *f, unsigned wanted)
{
    while (leased_counts_step(counts)) {
    }
    assert_int_equal(leased_counts_of(counts, scope), wanted);
    fixture_reset(f);
    leased_counts_free(counts);
}

static void what_comes_and_goes_is_followed(struct store_fixture *f)
{
    begin(f);
    change(f, 1, true); /* before anything is counted */
    assert_true(leased_counts_step(counts));
    change(f, 3, true);          /* in what is counted */
    change(f, 2 * ROWS, false);  /* in what is not */
    change(f, 2 * ROWS + 5, true);
    assert_true(leased_counts_step(counts));
    change(f, 2, false);
    while (leased_counts_step(counts)) {
    }
    change(f, 2 * ROWS + 7, true); /* behind all that was there */
    end(f, ROWS + 1 + 1 - 1 + 1 - 1 + 1);
}

static void one_more_between_two_steps(struct store_fixture *f)
{
    begin(f);
    assert_true(leased_counts_step(counts));
    step_first = true;
    change(f, 1, true);
    end(f, ROWS + 1);
}

static void one_less_between_two_steps(struct store_fixture *f)
{
    begin(f);
    assert_true(leased_counts_step(counts));
    step_first = true;
    change(f, 2, false);
    end(f, ROWS - 1);
}

/* What the step itself counted is not counted again. */
static void seen_by_the_step(struct store_fixture *f)
{
    begin(f);
    assert_true(leased_counts_step(counts));
    step_first = true;
    change(f, 2 * 3000 + 1, true);
    end(f, ROWS + 1);
}

static const struct fixture_test tests[] = {
    {"what comes and goes is followed", what_comes_and_goes_is_followed},
    {"one more between two steps", one_more_between_two_steps},
    {"one less between two steps", one_less_between_two_steps},
    {"seen by the step", seen_by_the_step},
};

int main(void)
{
    return fixture_run("leased_counts", tests, sizeof tests / sizeof tests[0]);
}
