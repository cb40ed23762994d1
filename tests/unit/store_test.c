/* One suite for every engine: what vaultd/store/store.h promises must not depend on where the bytes
 * lie. Hooks and the end are in store_hooks_test.c, what only one engine has in store_lmdb_test.c
 * and store_inmem_test.c, crashes in store_crash_test.c. */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdio.h>
#include <cmocka.h>

#include "tests/support/store_fixture.h"

/* ---- conditions ---- */

static const struct condition_row {
    const char *what;
    enum condition condition;
    bool present; /* the key was put by generation 1; generation 2 followed */
    generation g;
    bool holds;
    generation found;
} condition_rows[] = {
    {"absent: it is", KEY_ABSENT, false, 0, true, 0},
    {"absent: it is not", KEY_ABSENT, true, 0, false, 1},
    {"present: it is", KEY_PRESENT, true, 0, true, 0},
    {"present: it is not", KEY_PRESENT, false, 0, false, 0},
    {"changed at: exactly", KEY_CHANGED_AT, true, 1, true, 0},
    {"changed at: before", KEY_CHANGED_AT, true, 2, false, 1},
    {"changed at: after", KEY_CHANGED_AT, true, 0, false, 1},
    {"changed at: absent", KEY_CHANGED_AT, false, 0, false, 0},
    {"not after: at it", KEY_NOT_AFTER, true, 1, true, 0},
    {"not after: before it", KEY_NOT_AFTER, true, 9, true, 0},
    {"not after: after it", KEY_NOT_AFTER, true, 0, false, 1},
    {"not after: absent", KEY_NOT_AFTER, false, 0, true, 0},
    {"generation: this one", STORE_GENERATION, true, 2, true, 0},
    {"generation: an older one", STORE_GENERATION, true, 1, false, 2},
};

static void conditions(struct store_fixture *f)
{
    for (size_t i = 0; i < sizeof condition_rows / sizeof condition_rows[0]; i++) {
        const struct condition_row *row = &condition_rows[i];
        fixture_reset(f);
        assert_int_equal(fixture_put(f, row->present ? "\x01key" : "\x01other", "1"), STORE_OK);
        assert_int_equal(fixture_put(f, "\x01more", "2"), STORE_OK);
        struct batch *batch = batch_new();
        batch_require(batch, KEY_PRESENT, kt_str("\x01more"), 0);
        batch_require(batch, row->condition, kt_str("\x01key"), row->g);
        batch_put(batch, kt_str("\x01written"), kt_str("x"));
        struct commit_result result = fixture_commit(f, batch);
        enum store_error want = row->holds ? STORE_OK : STORE_CONFLICT;
        if (result.error != want || (!row->holds && result.found != row->found) ||
            (!row->holds && result.condition != 1) || (row->holds && result.at != 3))
            fail_msg("%s: error %s, condition %u, found %ju, at %ju", row->what,
                     store_error_text(result.error), result.condition, (uintmax_t)result.found,
                     (uintmax_t)result.at);
        assert_int_equal(fixture_get(f, "\x01written", NULL),
                         row->holds ? STORE_OK : STORE_NOT_FOUND);
    }
}

/* Conditions see every earlier batch of the same fold; a conflict leaves its neighbours alone. */
static void conditions_inside_a_fold(struct store_fixture *f)
{
    struct fixture_wait waits[5] = {0};
    fixture_hold(f);
    struct batch *batch = batch_new();
    batch_require(batch, KEY_ABSENT, kt_str("\x01k"), 0);
    batch_put(batch, kt_str("\x01k"), kt_str("first"));
    fixture_submit(f, batch, &waits[0]);
    batch = batch_new(); /* two conditions, the second fails; its first put must not show */
    batch_require(batch, KEY_PRESENT, kt_str("\x01k"), 0);
    batch_put(batch, kt_str("\x01spoilt"), kt_str("x"));
    batch_require(batch, KEY_ABSENT, kt_str("\x01k"), 0);
    fixture_submit(f, batch, &waits[1]);
    batch = batch_new();
    batch_require(batch, KEY_NOT_AFTER, kt_str("\x01k"), 1);
    fixture_submit(f, batch, &waits[2]);
    batch = batch_new();
    batch_require(batch, STORE_GENERATION, kt_bytes(NULL, 0), 1);
    fixture_submit(f, batch, &waits[3]);
    batch = batch_new();
    batch_require(batch, KEY_PRESENT, kt_str("\x01k"), 0);
    batch_delete(batch, kt_str("\x01k"));
    batch_put(batch, kt_str("\x01last"), kt_str("x"));
    fixture_submit(f, batch, &waits[4]);
    fixture_release(f);
    for (size_t i = 0; i < 5; i++)
        fixture_wait(&waits[i]);

    assert_int_equal(waits[0].result.error, STORE_OK);
    assert_int_equal(waits[0].result.at, 2); /* 1 is the fixture's own */
    assert_int_equal(waits[1].result.error, STORE_CONFLICT);
    assert_int_equal(waits[1].result.condition, 1);
    assert_int_equal(waits[1].result.found, 2);
    assert_int_equal(waits[2].result.error, STORE_CONFLICT);
    assert_int_equal(waits[3].result.error, STORE_CONFLICT);
    assert_int_equal(waits[3].result.found, 2);
    assert_int_equal(waits[4].result.error, STORE_OK);
    assert_int_equal(waits[4].result.at, 2); /* one fold */
    assert_int_equal(fixture_get(f, "\x01k", NULL), STORE_NOT_FOUND);
    assert_int_equal(fixture_get(f, "\x01spoilt", NULL), STORE_NOT_FOUND);
    assert_int_equal(fixture_get(f, "\x01last", NULL), STORE_OK);
}

static void only_conditions_cost_no_generation(struct store_fixture *f)
{
    assert_int_equal(fixture_put(f, "\x01k", "1"), STORE_OK);
    struct batch *batch = batch_new();
    batch_require(batch, KEY_PRESENT, kt_str("\x01k"), 0);
    assert_int_equal(batch_ops(batch), 0);
    struct commit_result result = fixture_commit(f, batch);
    assert_int_equal(result.error, STORE_OK);
    assert_int_equal(result.at, 1);
    result = fixture_commit(f, batch_new());
    assert_int_equal(result.error, STORE_OK);
    assert_int_equal(result.at, 1);
    assert_int_equal(fixture_put(f, "\x01k", "2"), STORE_OK);
    assert_int_equal(fixture_head(f), 2);
}

/* ---- order, isolation ---- */

static void commit_order(struct store_fixture *f)
{
    enum { N = 300 };
    static struct fixture_wait waits[N];
    memset(waits, 0, sizeof waits);
    for (unsigned i = 0; i < N; i++) {
        char text[16];
        (void)snprintf(text, sizeof text, "%u", i);
        struct batch *batch = batch_new();
        batch_put(batch, kt_str("\x01k"), kt_str(text));
        fixture_submit(f, batch, &waits[i]);
    }
    for (unsigned i = 0; i < N; i++) {
        fixture_wait(&waits[i]);
        assert_int_equal(waits[i].result.error, STORE_OK);
        if (i > 0) {
            assert_true(waits[i].order > waits[i - 1].order);
            assert_true(waits[i].result.at >= waits[i - 1].result.at);
        }
    }
    char value[16];
    assert_int_equal(fixture_get(f, "\x01k", value), STORE_OK);
    assert_string_equal(value, "299");
}

static void last_write_of_a_key_wins(struct store_fixture *f)
{
    struct batch *batch = batch_new();
    batch_put(batch, kt_str("\x01" "a"), kt_str("1"));
    batch_delete(batch, kt_str("\x01" "a"));
    batch_put(batch, kt_str("\x01" "b"), kt_str("1"));
    batch_put(batch, kt_str("\x01" "b"), kt_str("2"));
    batch_delete(batch, kt_str("\x01never there"));
    assert_int_equal(batch_ops(batch), 5);
    assert_int_equal(fixture_commit(f, batch).error, STORE_OK);
    char value[16];
    assert_int_equal(fixture_get(f, "\x01" "a", NULL), STORE_NOT_FOUND);
    assert_int_equal(fixture_get(f, "\x01" "b", value), STORE_OK);
    assert_string_equal(value, "2");
}

static void snapshots_stand_still(struct store_fixture *f)
{
    assert_int_equal(fixture_put(f, "\x01k", "old"), STORE_OK);
    struct snapshot *before = NULL, *after = NULL;
    assert_int_equal(snapshot_begin(f->store, &before), STORE_OK);
    assert_int_equal(fixture_put(f, "\x01k", "new"), STORE_OK);
    assert_int_equal(fixture_put(f, "\x01other", "new"), STORE_OK);
    assert_int_equal(snapshot_begin(f->store, &after), STORE_OK);
    assert_int_equal(snapshot_generation(before), 1);
    assert_int_equal(snapshot_generation(after), 3);
    struct entry entry;
    assert_int_equal(snapshot_get(before, kt_str("\x01k"), &entry), STORE_OK);
    assert_true(kt_bytes_is(entry.value, "old"));
    assert_int_equal(entry.changed, 1);
    assert_int_equal(snapshot_get(before, kt_str("\x01other"), &entry), STORE_NOT_FOUND);
    assert_int_equal(entry.changed, 1); /* untouched */
    assert_int_equal(snapshot_get(after, kt_str("\x01k"), &entry), STORE_OK);
    assert_true(kt_bytes_is(entry.value, "new"));
    assert_int_equal(entry.changed, 2);
    snapshot_end(before);
    snapshot_end(after);
    snapshot_end(NULL);
}

/* Two keys always written together are never seen apart, and never below the generation said. */
static void *watch_pairs(void *arg)
{
    struct store_fixture *f = arg;
    uintptr_t bad = 0;
    while (!atomic_load(&f->stop)) {
        struct snapshot *snapshot = NULL;
        if (snapshot_begin(f->store, &snapshot) != STORE_OK) {
            bad++;
            break;
        }
        struct entry a = {0}, b = {0};
        enum store_error error_a = snapshot_get(snapshot, kt_str("\x01" "a"), &a);
        enum store_error error_b = snapshot_get(snapshot, kt_str("\x01" "b"), &b);
        if (error_a != error_b || a.changed != b.changed || !kt_bytes_equal(a.value, b.value) ||
            (error_a == STORE_OK && a.changed != snapshot_generation(snapshot)))
            bad++;
        snapshot_end(snapshot);
    }
    return (void *)bad;
}

static void readers_beside_the_writer(struct store_fixture *f)
{
    pthread_t threads[3];
    for (size_t i = 0; i < 3; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, watch_pairs, f), 0);
    for (unsigned i = 0; i < 150; i++) {
        char text[16];
        (void)snprintf(text, sizeof text, "%u", i);
        struct batch *batch = batch_new();
        batch_put(batch, kt_str("\x01" "a"), kt_str(text));
        batch_put(batch, kt_str("\x01" "b"), kt_str(text));
        assert_int_equal(fixture_commit(f, batch).error, STORE_OK);
    }
    atomic_store(&f->stop, true);
    for (size_t i = 0; i < 3; i++) {
        void *bad = NULL;
        assert_int_equal(pthread_join(threads[i], &bad), 0);
        assert_int_equal((uintptr_t)bad, 0);
    }
}

static void oldest_snapshot_is_known(struct store_fixture *f)
{
    struct store_status status;
    store_status(f->store, &status);
    assert_int_equal(status.oldest_snapshot_ms, 0);
    struct snapshot *snapshot = NULL;
    assert_int_equal(snapshot_begin(f->store, &snapshot), STORE_OK);
    int64_t start = kt_mono_ms(&kt_system_clock);
    while (kt_mono_ms(&kt_system_clock) < start + 30)
        ;
    store_status(f->store, &status);
    assert_true(status.oldest_snapshot_ms >= 10); /* a tick of the coarse clock is at most 10 ms */
    snapshot_end(snapshot);
    store_status(f->store, &status);
    assert_int_equal(status.oldest_snapshot_ms, 0);
}

static void snapshots_are_bounded(struct store_fixture *f)
{
    static struct snapshot *snapshots[STORE_SNAPSHOTS];
    for (size_t i = 0; i < STORE_SNAPSHOTS; i++)
        assert_int_equal(snapshot_begin(f->store, &snapshots[i]), STORE_OK);
    struct snapshot *more = NULL;
    assert_int_equal(snapshot_begin(f->store, &more), STORE_BUSY);
    assert_null(more);
    for (size_t i = 0; i < STORE_SNAPSHOTS; i++)
        snapshot_end(snapshots[i]);
    assert_int_equal(snapshot_begin(f->store, &more), STORE_OK);
    snapshot_end(more);
}

/* ---- scans ---- */

static const struct scan_row {
    const char *prefix, *from, *want; /* the keys found, joined */
} scan_rows[] = {
    {"\x02", "", "a aa ab b c"},
    {"\x02" "a", "", "a aa ab"},
    {"\x02" "aa", "", "aa"},
    {"\x02" "a", "\x02" "aa", "aa ab"},
    {"\x02" "a", "\x02" "aaa", "ab"},
    {"\x02" "a", "\x01", "a aa ab"},
    {"\x02" "a", "\x02" "b", ""},
    {"\x02" "x", "", ""},
    {"\x03", "", "z"},
    {"\x04", "", ""},
    {"", "\x02" "b", "b c z"},
};

static void scans(struct store_fixture *f)
{
    static const char *const keys[] = {"\x02" "b", "\x02" "ab", "\x02" "a",  "\x03" "z",
                                       "\x02" "c", "\x02" "aa", "\x01" "zz"};
    struct batch *batch = batch_new();
    for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++)
        batch_put(batch, kt_str(keys[i]), kt_str(keys[i] + 1));
    assert_int_equal(fixture_commit(f, batch).error, STORE_OK);
    struct snapshot *snapshot = NULL;
    assert_int_equal(snapshot_begin(f->store, &snapshot), STORE_OK);
    for (size_t i = 0; i < sizeof scan_rows / sizeof scan_rows[0]; i++) {
        struct cursor *cursor = NULL;
        assert_int_equal(cursor_open(snapshot, kt_str(scan_rows[i].prefix),
                                     kt_str(scan_rows[i].from), &cursor),
                         STORE_OK);
        char found[64] = "";
        size_t len = 0;
        struct entry entry;
        while (cursor_next(cursor, &entry) == STORE_OK) {
            assert_int_equal(entry.changed, 1);
            assert_true(kt_bytes_equal(kt_bytes(entry.key.at + 1, entry.key.len - 1),
                                       entry.value));
            len += (size_t)snprintf(found + len, sizeof found - len, "%s%.*s",
                                    len == 0 ? "" : " ", (int)entry.value.len, entry.value.at);
        }
        assert_int_equal(cursor_next(cursor, &entry), STORE_NOT_FOUND);
        cursor_close(cursor);
        if (strcmp(found, scan_rows[i].want) != 0)
            fail_msg("row %zu: wanted '%s', found '%s'", i, scan_rows[i].want, found);
    }
    unsigned char longer[STORE_KEY_MAX + 1] = {1};
    struct cursor *cursor = NULL;
    assert_int_equal(cursor_open(snapshot, kt_bytes(longer, sizeof longer), kt_str(""), &cursor),
                     STORE_TOO_LARGE);
    cursor_close(NULL);
    snapshot_end(snapshot);
}

static void cursors_in_parallel(struct store_fixture *f)
{
    enum { N = 500 };
    for (unsigned i = 0; i < N;) {
        struct batch *batch = batch_new();
        for (unsigned j = 0; j < 100; j++, i++) {
            unsigned char key[5] = {7};
            kt_put_be32(key + 1, i * 7919 % N);
            batch_put(batch, kt_bytes(key, sizeof key), kt_bytes(key, sizeof key));
        }
        assert_int_equal(fixture_commit(f, batch).error, STORE_OK);
    }
    struct snapshot *snapshot = NULL;
    assert_int_equal(snapshot_begin(f->store, &snapshot), STORE_OK);
    struct cursor *cursors[3];
    for (size_t c = 0; c < 3; c++)
        assert_int_equal(cursor_open(snapshot, kt_str("\x07"), kt_str(""), &cursors[c]), STORE_OK);
    for (unsigned i = 0; i < N; i++)
        for (size_t c = 0; c < 3; c++) {
            struct entry entry;
            assert_int_equal(cursor_next(cursors[c], &entry), STORE_OK);
            assert_int_equal(kt_get_be32(entry.key.at + 1), i);
        }
    for (size_t c = 0; c < 3; c++)
        cursor_close(cursors[c]);
    snapshot_end(snapshot);
}

/* ---- limits ---- */

enum limit_case { L_OPS, L_OPS_OVER, L_VALUE, L_VALUE_OVER, L_BYTES_OVER, L_KEY, L_KEY_OVER,
                  L_KEY_EMPTY, L_KEY_ZERO, L_OUTCOME, L_OUTCOME_OVER, L_OUTCOME_TWICE, L_COUNT };

static struct batch *limit_batch(enum limit_case which)
{
    static unsigned char big[STORE_BATCH_BYTES];
    unsigned char key[STORE_KEY_MAX + 1];
    memset(key, 1, sizeof key);
    struct batch *batch = batch_new();
    unsigned ops = which == L_OPS ? STORE_BATCH_OPS : which == L_OPS_OVER ? STORE_BATCH_OPS + 1 : 0;
    for (unsigned i = 0; i < ops; i++) {
        key[1] = (unsigned char)(i + 1);
        if (i % 2 == 0)
            batch_put(batch, kt_bytes(key, 2), kt_str("x"));
        else
            batch_require(batch, KEY_ABSENT, kt_bytes(key, 2), 0);
    }
    switch (which) {
    case L_OPS:
    case L_OPS_OVER:
    case L_COUNT:
        break;
    case L_VALUE:
        batch_put(batch, kt_str("\x01"), kt_bytes(big, STORE_VALUE_MAX));
        break;
    case L_VALUE_OVER:
        batch_put(batch, kt_str("\x01"), kt_bytes(big, STORE_VALUE_MAX + 1));
        break;
    case L_BYTES_OVER:
        batch_put(batch, kt_str("\x01"), kt_bytes(big, STORE_BATCH_BYTES / 2));
        batch_put(batch, kt_str("\x02"), kt_bytes(big, STORE_BATCH_BYTES / 2));
        break;
    case L_KEY:
        batch_put(batch, kt_bytes(key, STORE_KEY_MAX), kt_str("x"));
        break;
    case L_KEY_OVER:
        batch_put(batch, kt_bytes(key, STORE_KEY_MAX + 1), kt_str("x"));
        break;
    case L_KEY_EMPTY:
        batch_delete(batch, kt_str(""));
        break;
    case L_KEY_ZERO:
        batch_put(batch, kt_bytes("\0x", 2), kt_str("x"));
        break;
    case L_OUTCOME:
        batch_outcome(batch, kt_bytes(big, STORE_OUTCOME_MAX));
        break;
    case L_OUTCOME_OVER:
        batch_outcome(batch, kt_bytes(big, STORE_OUTCOME_MAX + 1));
        break;
    case L_OUTCOME_TWICE:
        batch_outcome(batch, kt_str("a"));
        batch_outcome(batch, kt_str("b"));
        break;
    }
    return batch;
}

static void limits(struct store_fixture *f)
{
    static const bool passes[L_COUNT] = {
        [L_OPS] = true, [L_VALUE] = true, [L_KEY] = true, [L_OUTCOME] = true};
    for (unsigned i = 0; i < L_COUNT; i++) {
        fixture_reset(f);
        struct batch *batch = limit_batch((enum limit_case)i);
        if (batch_failed(batch) == passes[i])
            fail_msg("case %u", i);
        batch_put(batch, kt_str("\x01tail"), kt_str("x")); /* a batch that failed stays so */
        struct commit_result result = fixture_commit(f, batch);
        enum store_error want =
            passes[i] && i != L_OPS ? STORE_OK : STORE_TOO_LARGE;
        if (result.error != want)
            fail_msg("case %u: %s", i, store_error_text(result.error));
        assert_int_equal(fixture_get(f, "\x01tail", NULL),
                         want == STORE_OK ? STORE_OK : STORE_NOT_FOUND);
    }
    struct snapshot *snapshot = NULL;
    struct entry entry;
    assert_int_equal(snapshot_begin(f->store, &snapshot), STORE_OK);
    unsigned char longer[STORE_KEY_MAX + 1] = {1};
    assert_int_equal(snapshot_get(snapshot, kt_bytes(longer, sizeof longer), &entry),
                     STORE_NOT_FOUND);
    assert_int_equal(snapshot_get(snapshot, kt_str(""), &entry), STORE_NOT_FOUND);
    snapshot_end(snapshot);
}

static void values_of_all_sizes(struct store_fixture *f)
{
    static const size_t sizes[] = {0, 1, 7, 8, 2000, 2030, 4096, 65537, STORE_VALUE_MAX};
    static unsigned char value[STORE_VALUE_MAX];
    for (size_t i = 0; i < sizeof value; i++)
        value[i] = (unsigned char)(i * 31 + i / 256);
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        struct batch *batch = batch_new();
        batch_put(batch, kt_bytes(&"\x01\x02\x03\x04\x05\x06\x07\x08\x09"[i], 1),
                  kt_bytes(value, sizes[i]));
        assert_int_equal(fixture_commit(f, batch).error, STORE_OK);
    }
    fixture_reopen(f);
    struct snapshot *snapshot = NULL;
    assert_int_equal(snapshot_begin(f->store, &snapshot), STORE_OK);
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        struct entry entry;
        assert_int_equal(snapshot_get(snapshot,
                                      kt_bytes(&"\x01\x02\x03\x04\x05\x06\x07\x08\x09"[i], 1),
                                      &entry),
                         STORE_OK);
        assert_true(kt_bytes_equal(entry.value, kt_bytes(value, sizes[i])));
        assert_int_equal(entry.changed, i + 1);
    }
    snapshot_end(snapshot);
}

/* Ordinary batches end at their limit; relief, and what only deletes, go on. */
static void a_reserve_is_kept(struct store_fixture *f)
{
    f->config.max_bytes = 4 * 1024 * 1024;
    fixture_reset(f);
    static unsigned char value[64 * 1024];
    enum store_error error = STORE_OK;
    unsigned n = 0;
    for (; n < 200 && error == STORE_OK; n++) {
        unsigned char key[5] = {1};
        kt_put_be32(key + 1, n);
        struct batch *batch = batch_new();
        batch_put(batch, kt_bytes(key, sizeof key), kt_bytes(value, sizeof value));
        error = fixture_commit(f, batch).error;
    }
    assert_int_equal(error, STORE_FULL);
    assert_in_range(n, 30, 60);
    struct store_status status;
    store_status(f->store, &status);
    assert_int_equal(status.bytes_max, 4 * 1024 * 1024);
    assert_in_range(status.bytes_used, status.bytes_max / 2, status.bytes_max);

    struct fixture_wait waits[4] = {0};
    fixture_hold_relief(f);
    for (size_t i = 0; i < 4; i++) {
        struct batch *batch = batch_new();
        if (i == 1)
            batch_relief(batch);
        if (i == 2)
            batch_require(batch, KEY_PRESENT, kt_str("\x02" "1"), 0); /* what relief wrote */
        else if (i == 3)
            batch_delete(batch, kt_bytes("\x01\0\0\0\0", 5));
        else
            batch_put(batch, kt_bytes((const char[]){2, (char)('0' + i)}, 2),
                      kt_bytes(value, sizeof value));
        fixture_submit(f, batch, &waits[i]);
    }
    fixture_release(f);
    static const enum store_error want[] = {STORE_FULL, STORE_OK, STORE_OK, STORE_OK};
    for (size_t i = 0; i < 4; i++) {
        fixture_wait(&waits[i]);
        assert_int_equal(waits[i].result.error, want[i]);
    }
    /* Relief has an end too. */
    error = STORE_OK;
    for (n = 0; n < 100 && error == STORE_OK; n++) {
        unsigned char key[5] = {3};
        kt_put_be32(key + 1, n);
        struct batch *batch = batch_new();
        batch_relief(batch);
        batch_put(batch, kt_bytes(key, sizeof key), kt_bytes(value, sizeof value));
        error = fixture_commit(f, batch).error;
    }
    assert_int_equal(error, STORE_FULL);
    store_status(f->store, &status);
    assert_in_range(status.bytes_used, 0, status.bytes_max);
    f->config.max_bytes = 0;
}

static void busy_when_the_queue_is_full(struct store_fixture *f)
{
    f->seam.queue_max = 4;
    fixture_reset(f);
    struct fixture_wait waits[6] = {0};
    fixture_hold(f);
    for (size_t i = 0; i < 6; i++) {
        struct batch *batch = batch_new();
        batch_put(batch, kt_bytes((const char[]){1, (char)('0' + i)}, 2), kt_str("x"));
        fixture_submit(f, batch, &waits[i]);
        assert_int_equal(atomic_load(&waits[i].done), 0); /* never from inside the call */
    }
    struct store_status status;
    store_status(f->store, &status);
    assert_int_equal(status.queued, 4);
    assert_int_equal(status.queue_max, 4);
    fixture_release(f);
    for (size_t i = 0; i < 6; i++) {
        fixture_wait(&waits[i]);
        assert_int_equal(waits[i].result.error, i < 4 ? STORE_OK : STORE_BUSY);
    }
    f->seam.queue_max = 0;
    f->seam.queue_bytes_max = 1000;
    fixture_reset(f);
    static unsigned char value[600];
    fixture_hold(f);
    memset(waits, 0, sizeof waits);
    for (size_t i = 0; i < 2; i++) {
        struct batch *batch = batch_new();
        batch_put(batch, kt_str("\x01"), kt_bytes(value, sizeof value));
        fixture_submit(f, batch, &waits[i]);
    }
    fixture_release(f);
    fixture_wait(&waits[0]);
    fixture_wait(&waits[1]);
    assert_int_equal(waits[0].result.error, STORE_OK);
    assert_int_equal(waits[1].result.error, STORE_BUSY);
    f->seam.queue_bytes_max = 0;
}

static void folds_are_bounded(struct store_fixture *f)
{
    f->seam.fold_ops = 100;
    fixture_reset(f);
    struct fixture_wait waits[6] = {0};
    fixture_hold(f);
    for (size_t i = 0; i < 6; i++) {
        struct batch *batch = batch_new();
        for (unsigned j = 0; j < 40; j++)
            batch_put(batch, kt_bytes((const char[]){1, (char)i, (char)j}, 3), kt_str("x"));
        fixture_submit(f, batch, &waits[i]);
    }
    fixture_release(f);
    for (size_t i = 0; i < 6; i++) {
        fixture_wait(&waits[i]);
        assert_int_equal(waits[i].result.at, 2 + i / 2);
    }
    f->seam.fold_ops = 0;
}

static const struct fixture_test tests[] = {
    {"conditions", conditions},
    {"conditions inside a fold", conditions_inside_a_fold},
    {"only conditions cost no generation", only_conditions_cost_no_generation},
    {"commit order", commit_order},
    {"last write of a key wins", last_write_of_a_key_wins},
    {"snapshots stand still", snapshots_stand_still},
    {"readers beside the writer", readers_beside_the_writer},
    {"oldest snapshot is known", oldest_snapshot_is_known},
    {"snapshots are bounded", snapshots_are_bounded},
    {"scans", scans},
    {"cursors in parallel", cursors_in_parallel},
    {"limits", limits},
    {"values of all sizes", values_of_all_sizes},
    {"a reserve is kept", a_reserve_is_kept},
    {"busy when the queue is full", busy_when_the_queue_is_full},
    {"folds are bounded", folds_are_bounded},
};

int main(void)
{
    return fixture_run("store", tests, sizeof tests / sizeof tests[0]);
}
