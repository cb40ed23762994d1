/* Re-encryption beside everything else: what is on its way when it begins, who still reads when it ends,
 * and what a busy key costs. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <semaphore.h>
#include <stdio.h>
#include <stdlib.h>

#include "tests/support/rotation_scene.h"
#include "tests/support/store_queue.h"
#include "vaultd/core/reencrypt.h"
#include "vaultd/rotation/engine.h"

#define PATIENCE 30000

/* ---- a request whose answer nobody fetches before the test says so ---- */

struct asked {
    struct request req;
    sem_t resumed;
};

static void suspend(struct request *req)
{
    (void)req;
}

static void resume(struct request *req)
{
    struct asked *asked = req->carrier_data;
    (void)sem_post(&asked->resumed);
}

static const struct request_carrier carrier = {suspend, resume, NULL};

/* Returns when the beginning is in the store; nobody has heard of it yet. */
static void begin_reencryption(struct scene *s, struct asked *asked)
{
    assert_int_equal(sem_init(&asked->resumed, 0, 0), 0);
    request_init(&asked->req, s->vault->core, ORIGIN_TCP, &carrier, asked);
    asked->req.method = kt_str("POST");
    asked->req.target = kt_str("/v1/sys/storage/reencrypt");
    asked->req.token_text = kt_str(s->vault->root);
    assert_int_equal(pipeline_run(&asked->req), PIPELINE_WAIT);
    (void)sem_wait(&asked->resumed);
}

static void hear_of_it(struct asked *asked)
{
    while (pipeline_run(&asked->req) == PIPELINE_WAIT)
        (void)sem_wait(&asked->resumed);
    assert_int_equal(pipeline_status(&asked->req), 204);
    request_free(&asked->req);
    (void)sem_destroy(&asked->resumed);
}

/* ---- the store thread, stopped between two folds ---- */

struct hold {
    sem_t inside, release;
};

static void stay(void *arg, const struct commit_result *result)
{
    struct hold *hold = arg;
    (void)result;
    (void)sem_post(&hold->inside);
    (void)sem_wait(&hold->release);
    (void)sem_post(&hold->inside);
}

static void hold_store(struct scene *s, struct hold *hold)
{
    struct batch *batch = batch_new();
    assert_non_null(batch);
    assert_int_equal(sem_init(&hold->inside, 0, 0), 0);
    assert_int_equal(sem_init(&hold->release, 0, 0), 0);
    batch_put(batch, kt_str("\x01held"), kt_str("x"));
    store_commit(s->vault->store, batch, stay, hold);
    (void)sem_wait(&hold->inside);
}

/* Until something of this term waits for the store thread. */
static void until_queued(struct scene *s, uint32_t term)
{
    for (int i = 0; i < PATIENCE && !store_queue_has(s->vault->store, term); i++)
        pause_ms(1);
    assert_true(store_queue_has(s->vault->store, term));
}

static void release_store(struct hold *hold)
{
    (void)sem_post(&hold->release);
    (void)sem_wait(&hold->inside); /* it has left */
    (void)sem_destroy(&hold->inside);
    (void)sem_destroy(&hold->release);
}

static void until_it_says(struct scene *s, const char *text)
{
    for (int i = 0; i < PATIENCE; i++) {
        need(s, 200, "GET", "sys/storage/reencrypt", NULL);
        if (test_vault_said(s->vault, text))
            return;
        pause_ms(1);
    }
    fail_msg("no '%s': %s", text, s->vault->body);
}

/* Whoever read a version is in its ledger, also when his row was sealed under the old term and the
 * new one's first batches came before it. */
static void a_first_read_on_its_way_counts(void **state)
{
    (void)state;
    struct scene *s = scene("in-place");
    struct asked asked;
    struct hold hold;
    assert_int_equal(report(s, "web1", 1, "healthy"), 400);
    begin_reencryption(s, &asked);
    hold_store(s, &hold);
    read_version(s, 1);
    hear_of_it(&asked);
    until_queued(s, 1); /* the row ... */
    until_queued(s, 2); /* ... and the re-encryption's own */
    release_store(&hold);
    until_it_says(s, "\"phase\":\"done\"");
    if (report(s, "web1", 1, "healthy") != 200)
        fail_msg("%s", s->vault->body);
    scene_end(s);
}

static enum kt_kind opens(struct scene *s, struct kt_bytes key, struct kt_bytes value)
{
    struct barrier *barrier = s->vault->core->barrier;
    kt_autobuf struct kt_buf plain;
    kt_buf_init(&plain, STORE_VALUE_MAX);
    assert_true(barrier_enter(barrier));
    enum kt_kind kind = barrier_open_entry(barrier, key, value, &plain, NULL);
    barrier_leave(barrier);
    return kind;
}

/* Who holds a snapshot reads what it shows until it ends, though its term is out of the keyring. */
static void a_late_reader_is_waited_for(void **state)
{
    (void)state;
    struct scene *s = scene("in-place");
    struct asked asked;
    struct hold hold;
    struct snapshot *snapshot = NULL;
    struct cursor *cursor = NULL;
    struct entry entry;
    static const unsigned char table[] = {TABLE_TOKEN};
    kt_autobuf struct kt_buf key, sealed;
    kt_buf_init(&key, STORE_KEY_MAX);
    kt_buf_init(&sealed, STORE_VALUE_MAX);
    rotation_stop(s->vault->core->rotation); /* nobody else writes with a term */
    begin_reencryption(s, &asked);
    hold_store(s, &hold);
    hear_of_it(&asked);
    until_queued(s, 2); /* those who read when it began have been waited for */
    assert_int_equal(snapshot_begin(s->vault->store, &snapshot), STORE_OK);
    assert_int_equal(cursor_open(snapshot, kt_bytes(table, 1), kt_bytes(NULL, 0), &cursor), STORE_OK);
    assert_int_equal(cursor_next(cursor, &entry), STORE_OK);
    release_store(&hold);
    until_it_says(s, "\"phase\":\"dropping old terms\"");
    until_it_says(s, "\"end_time\":\""); /* all of it is committed */
    says(s, "\"phase\":\"dropping old terms\"");
    assert_int_equal(opens(s, entry.key, entry.value), KT_OK);
    kt_buf_add_bytes(&key, entry.key);
    kt_buf_add_bytes(&sealed, entry.value);
    cursor_close(cursor);
    snapshot_end(snapshot);
    until_it_says(s, "\"phase\":\"done\"");
    assert_int_equal(opens(s, kt_buf_bytes(&key), kt_buf_bytes(&sealed)), KT_CORRUPT);
    scene_end(s);
}

/* At each attempt fewer entries, down to one, however often somebody else is first. */
static void pieces_get_smaller(void **state)
{
    (void)state;
    unsigned last = reencrypt_piece(0);
    assert_true(last > 1);
    for (unsigned attempt = 1; attempt < 1000; attempt++) {
        unsigned piece = reencrypt_piece(attempt);
        assert_true(piece >= 1 && piece <= last);
        last = piece;
    }
    assert_int_equal(last, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_first_read_on_its_way_counts),
        cmocka_unit_test(a_late_reader_is_waited_for),
        cmocka_unit_test(pieces_get_smaller),
    };
    return cmocka_run_group_tests_name("reencrypt", tests, NULL, NULL);
}
