/* The suite's second half, on every engine: outcomes, witness, head, followers, close and
 * reopen. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdio.h>
#include <cmocka.h>

#include <semaphore.h>

#include "tests/support/store_fixture.h"

/* ---- outcomes, witness, head ---- */

struct seen {
    char text[400];
    size_t len;
};

static void note_outcome(void *arg, generation at, unsigned place, struct kt_bytes record)
{
    struct seen *seen = arg;
    int n = snprintf(seen->text + seen->len, sizeof seen->text - seen->len, "%ju.%u=%.*s ",
                     (uintmax_t)at, place, (int)record.len, record.at);
    seen->len += (size_t)n;
}

static const char *outcomes(struct store_fixture *f, generation after, struct seen *seen)
{
    *seen = (struct seen){0};
    assert_int_equal(store_outcomes(f->store, after, note_outcome, seen), STORE_OK);
    return seen->text;
}

static void put_with_outcome(struct store_fixture *f, const char *record, bool conflict,
                             struct fixture_wait *wait)
{
    struct batch *batch = batch_new();
    if (conflict)
        batch_require(batch, KEY_PRESENT, kt_str("\x09nowhere"), 0);
    batch_put(batch, kt_str("\x01k"), kt_str(record));
    batch_outcome(batch, kt_str(record));
    fixture_submit(f, batch, wait);
}

static void outcomes_in_order(struct store_fixture *f)
{
    struct fixture_wait waits[5] = {0};
    struct seen seen;
    assert_string_equal(outcomes(f, 0, &seen), "");
    fixture_hold(f); /* generation 1, without an outcome */
    put_with_outcome(f, "one", false, &waits[0]);
    put_with_outcome(f, "lost", true, &waits[1]);
    struct batch *batch = batch_new(); /* without an outcome */
    batch_put(batch, kt_str("\x01z"), kt_str("x"));
    fixture_submit(f, batch, &waits[2]);
    put_with_outcome(f, "two", false, &waits[3]);
    fixture_release(f);
    for (size_t i = 0; i < 4; i++)
        fixture_wait(&waits[i]);
    assert_int_equal(waits[0].result.place, 0);
    assert_int_equal(waits[1].result.error, STORE_CONFLICT);
    assert_int_equal(waits[3].result.place, 1);
    put_with_outcome(f, "three", false, &waits[4]);
    fixture_wait(&waits[4]);
    batch = batch_new(); /* an outcome alone is worth a fold */
    batch_outcome(batch, kt_str("four"));
    assert_int_equal(fixture_commit(f, batch).at, 4);
    assert_string_equal(outcomes(f, 0, &seen), "2.0=one 2.1=two 3.0=three 4.0=four ");
    assert_string_equal(outcomes(f, 2, &seen), "3.0=three 4.0=four ");
    assert_string_equal(outcomes(f, 4, &seen), "");
    assert_string_equal(outcomes(f, UINT64_MAX, &seen), "");
    fixture_reopen(f);
    assert_string_equal(outcomes(f, 0, &seen), "2.0=one 2.1=two 3.0=three 4.0=four ");
}

static void outcomes_are_dropped(struct store_fixture *f)
{
    struct seen seen;
    struct fixture_wait wait;
    for (unsigned i = 0; i < 4; i++) {
        char text[2] = {(char)('a' + i), 0};
        put_with_outcome(f, text, false, &wait);
        fixture_wait(&wait);
    }
    store_outcomes_synced(f->store, 2);
    store_outcomes_synced(f->store, 1); /* never backwards */
    struct store_status status;
    store_status(f->store, &status);
    assert_int_equal(status.folds, 4); /* no fold of its own */
    assert_string_equal(outcomes(f, 0, &seen), "1.0=a 2.0=b 3.0=c 4.0=d ");
    put_with_outcome(f, "e", false, &wait);
    fixture_wait(&wait);
    assert_string_equal(outcomes(f, 0, &seen), "3.0=c 4.0=d 5.0=e ");
    store_outcomes_synced(f->store, 5);
    fixture_reopen(f); /* the close drops the rest, without a generation */
    assert_string_equal(outcomes(f, 0, &seen), "");
    assert_int_equal(fixture_head(f), 5);
    put_with_outcome(f, "f", false, &wait);
    fixture_wait(&wait);
    assert_int_equal(wait.result.at, 6);
    assert_string_equal(outcomes(f, 0, &seen), "6.0=f ");
}

static void many_outcomes_are_dropped_bit_by_bit(struct store_fixture *f)
{
    struct fixture_wait wait;
    for (unsigned i = 0; i < 150; i++) {
        put_with_outcome(f, "x", false, &wait);
        fixture_wait(&wait);
    }
    store_outcomes_synced(f->store, 150);
    for (unsigned i = 0; i < 40; i++)
        assert_int_equal(fixture_put(f, "\x01k", "y"), STORE_OK);
    struct seen seen;
    assert_string_equal(outcomes(f, 0, &seen), "");
}

static void witness(void *arg, unsigned char out[STORE_WITNESS_BYTES])
{
    unsigned *asked = arg;
    memset(out, (int)++*asked, STORE_WITNESS_BYTES);
}

static void head_says_what_the_witness_said(struct store_fixture *f)
{
    unsigned char head[STORE_WITNESS_BYTES], history[16], other[16], zero[48] = {0}, want[48];
    generation at = 99;
    store_head(f->store, head, &at, history);
    assert_int_equal(at, 0);
    assert_memory_equal(head, zero, sizeof head);
    assert_memory_not_equal(history, zero, sizeof history);
    assert_int_equal(fixture_put(f, "\x01k", "1"), STORE_OK);
    store_head(f->store, head, &at, NULL);
    assert_int_equal(at, 1);
    assert_memory_equal(head, zero, sizeof head);
    unsigned asked = 0;
    store_set_witness(f->store, witness, &asked);
    assert_int_equal(fixture_put(f, "\x01k", "2"), STORE_OK);
    assert_int_equal(fixture_put(f, "\x01k", "3"), STORE_OK);
    assert_int_equal(asked, 2);
    store_set_witness(f->store, NULL, NULL);
    assert_int_equal(fixture_put(f, "\x01k", "4"), STORE_OK); /* it goes on saying so */
    memset(want, 2, sizeof want);
    for (unsigned i = 0; i < 2; i++) {
        store_head(f->store, head, &at, other);
        assert_int_equal(at, 4);
        assert_memory_equal(head, want, sizeof head);
        assert_memory_equal(other, history, sizeof history);
        fixture_reopen(f);
    }
    store_head(f->store, NULL, NULL, NULL);
}

/* ---- followers ---- */

static void note_fold(void *arg, const struct fold_event *event)
{
    struct seen *seen = arg;
    seen->len += (size_t)snprintf(seen->text + seen->len, sizeof seen->text - seen->len, "%ju:",
                                  (uintmax_t)event->at);
    for (size_t i = 0; i < event->n; i++)
        seen->len += (size_t)snprintf(seen->text + seen->len, sizeof seen->text - seen->len,
                                      "%s%.*s", event->of[i].deleted ? "-" : "+",
                                      (int)(event->of[i].key.len - 1), event->of[i].key.at + 1);
    seen->len += (size_t)snprintf(seen->text + seen->len, sizeof seen->text - seen->len, " ");
}

static void followers(struct store_fixture *f)
{
    struct seen all = {0}, two = {0}, deep = {0};
    assert_int_equal(store_on_fold(f->store, kt_str(""), note_fold, &all), STORE_OK);
    assert_int_equal(store_on_fold(f->store, kt_str("\x02"), note_fold, &two), STORE_OK);
    assert_int_equal(store_on_fold(f->store, kt_str("\x02" "ab"), note_fold, &deep), STORE_OK);
    struct fixture_wait waits[4] = {0};
    fixture_hold(f);
    struct batch *batch = batch_new();
    batch_put(batch, kt_str("\x01" "x"), kt_str("1"));
    batch_put(batch, kt_str("\x02" "a"), kt_str("1"));
    fixture_submit(f, batch, &waits[0]);
    batch = batch_new();
    batch_require(batch, KEY_ABSENT, kt_str("\x02" "a"), 0);
    batch_put(batch, kt_str("\x02" "never"), kt_str("1"));
    fixture_submit(f, batch, &waits[1]);
    batch = batch_new();
    batch_put(batch, kt_str("\x02" "abc"), kt_str("1"));
    batch_delete(batch, kt_str("\x02" "a"));
    fixture_submit(f, batch, &waits[2]);
    fixture_release(f);
    for (size_t i = 0; i < 3; i++)
        fixture_wait(&waits[i]);
    /* Followers hear of a fold before its completions: who was answered finds no old cache. */
    assert_int_equal(fixture_put(f, "\x01" "y", "2"), STORE_OK);
    assert_string_equal(all.text, "1:+hold 2:+x+a+abc-a 3:+y ");
    assert_string_equal(two.text, "2:+a+abc-a ");
    assert_string_equal(deep.text, "2:+abc ");
}

/* ---- the end, and after it ---- */

static void close_finishes_the_queue(struct store_fixture *f)
{
    enum { N = 40 };
    static struct fixture_wait waits[N];
    memset(waits, 0, sizeof waits);
    for (unsigned i = 0; i < N; i++) {
        unsigned char key[5] = {1};
        kt_put_be32(key + 1, i);
        struct batch *batch = batch_new();
        batch_put(batch, kt_bytes(key, sizeof key), kt_str("x"));
        fixture_submit(f, batch, &waits[i]);
    }
    fixture_reopen(f);
    for (unsigned i = 0; i < N; i++) {
        assert_int_equal(atomic_load(&waits[i].done), 1);
        assert_int_equal(waits[i].result.error, STORE_OK);
        unsigned char key[5] = {1};
        kt_put_be32(key + 1, i);
        struct snapshot *snapshot = NULL;
        struct entry entry;
        assert_int_equal(snapshot_begin(f->store, &snapshot), STORE_OK);
        assert_int_equal(snapshot_get(snapshot, kt_bytes(key, sizeof key), &entry), STORE_OK);
        assert_int_equal(entry.changed, waits[i].result.at);
        snapshot_end(snapshot);
    }
}

struct chain {
    struct store *store;
    unsigned left;
    generation at;
    sem_t end;
};

static void commit_again(void *arg, const struct commit_result *result)
{
    struct chain *chain = arg;
    chain->at = result->at;
    if (result->error != STORE_OK || chain->left-- == 0) {
        (void)sem_post(&chain->end);
        return;
    }
    struct batch *batch = batch_new();
    batch_put(batch, kt_str("\x01k"), kt_str("x"));
    store_commit(chain->store, batch, commit_again, chain);
}

static void a_completion_may_commit(struct store_fixture *f)
{
    struct chain chain = {.store = f->store, .left = 11};
    assert_int_equal(sem_init(&chain.end, 0, 0), 0);
    commit_again(&chain, &(struct commit_result){.error = STORE_OK});
    while (sem_wait(&chain.end) != 0)
        ;
    assert_int_equal(chain.at, 11);
}

static void generations_go_on(struct store_fixture *f)
{
    for (unsigned i = 1; i <= 6; i++) {
        struct batch *batch = batch_new();
        batch_put(batch, kt_str("\x01k"), kt_str("x"));
        assert_int_equal(fixture_commit(f, batch).at, i);
        if (i % 2 == 0)
            fixture_reopen(f);
    }
    struct snapshot *snapshot = NULL;
    assert_int_equal(snapshot_begin(f->store, &snapshot), STORE_OK);
    assert_int_equal(snapshot_generation(snapshot), 6);
    snapshot_end(snapshot);
    struct leadership leadership;
    store_leader(f->store, &leadership);
    assert_true(leadership.leads);
    assert_int_equal(leadership.fence, 1);
}

static void a_second_store_is_refused(struct store_fixture *f)
{
    struct store *second = NULL;
    struct kt_err err = {0};
    assert_int_equal(store_open_seamed(&f->config, &f->seam, &second, &err), KT_BUSY);
    assert_null(second);
    assert_non_null(strstr(err.what, "another vaultd"));
    assert_int_equal(fixture_put(f, "\x01k", "x"), STORE_OK);
}

/* What tells one database from another, were their generations the same. */
static void each_store_has_its_own_history(struct store_fixture *f)
{
    unsigned char first[16], second[16];
    store_head(f->store, NULL, NULL, first);
    fixture_reset(f);
    store_head(f->store, NULL, NULL, second);
    assert_memory_not_equal(first, second, sizeof first);
}

static const struct fixture_test tests[] = {
    {"outcomes in order", outcomes_in_order},
    {"outcomes are dropped", outcomes_are_dropped},
    {"many outcomes are dropped bit by bit", many_outcomes_are_dropped_bit_by_bit},
    {"head says what the witness said", head_says_what_the_witness_said},
    {"followers", followers},
    {"close finishes the queue", close_finishes_the_queue},
    {"a completion may commit", a_completion_may_commit},
    {"generations go on", generations_go_on},
    {"a second store is refused", a_second_store_is_refused},
    {"each store has its own history", each_store_has_its_own_history},
};

int main(void)
{
    return fixture_run("store_hooks", tests, sizeof tests / sizeof tests[0]);
}
