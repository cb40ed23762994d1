/* The stored forms of rotation and fleet: what was written is read, every truncation and every
 * surplus is damage, a newer format is refused by name, an older one is another list of rows. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>

#include "tests/support/records.h"
#include "vaultd/rotation/run.h"
#include "vaultd/rotation/secret.h"

#define ROOM ((size_t)1 << 20)

struct tried {
    struct kt_arena arena;
    unsigned char *object, *read;
    struct kt_buf written, again;
};

static void begin(struct tried *t, const struct record_kind *kind, unsigned seed)
{
    kt_arena_init(&t->arena, ROOM);
    kt_buf_init(&t->written, ROOM);
    kt_buf_init(&t->again, ROOM);
    t->object = calloc(1, kind->size);
    t->read = calloc(1, kind->size);
    assert_non_null(t->object);
    assert_non_null(t->read);
    record_fill(kind, t->object, seed);
    record_write(kind, t->object, &t->written);
    assert_true(kt_buf_ok(&t->written));
}

static void end(struct tried *t)
{
    kt_arena_free(&t->arena);
    kt_buf_free(&t->written);
    kt_buf_free(&t->again);
    free(t->object);
    free(t->read);
}

static void round_trip(void **state)
{
    const struct record_kind *kind = *state;
    for (unsigned seed = 0; seed < 12; seed++) {
        struct tried t;
        begin(&t, kind, seed);
        struct kt_err err = {0};
        if (record_read(kind, kt_buf_bytes(&t.written), &t.arena, t.read, &err) != KT_OK)
            fail_msg("%s: %s", kind->name, err.what);
        record_write(kind, t.read, &t.again);
        assert_int_equal(t.again.len, t.written.len);
        assert_memory_equal(t.again.at, t.written.at, t.written.len);
        end(&t);
    }
}

static void truncated(void **state)
{
    const struct record_kind *kind = *state;
    struct tried t;
    begin(&t, kind, 2);
    for (size_t len = 0; len < t.written.len; len++) {
        struct kt_err err = {0};
        assert_int_equal(record_read(kind, kt_bytes(t.written.at, len), &t.arena, t.read, &err),
                         KT_CORRUPT);
        kt_arena_reset(&t.arena);
    }
    kt_buf_add_u8(&t.written, 0);
    assert_int_equal(record_read(kind, kt_buf_bytes(&t.written), &t.arena, t.read, NULL),
                     KT_CORRUPT);
    /* Nothing was written into the object. */
    for (size_t i = 0; i < kind->size; i++)
        assert_int_equal(t.read[i], 0);
    end(&t);
}

static void newer_format(void **state)
{
    const struct record_kind *kind = *state;
    struct tried t;
    begin(&t, kind, 1);
    t.written.at[0]++;
    struct kt_err err = {0};
    assert_int_equal(record_read(kind, kt_buf_bytes(&t.written), &t.arena, t.read, &err),
                     KT_CORRUPT);
    assert_non_null(strstr(err.what, kind->name));
    char number[24];
    (void)snprintf(number, sizeof number, "format %u", kind->forms[0].format + 1u);
    assert_non_null(strstr(err.what, number));
    assert_non_null(strstr(err.hint, "newer vaultd"));
    end(&t);
}

static void flipped_bytes_do_no_harm(void **state)
{
    const struct record_kind *kind = *state;
    struct tried t;
    begin(&t, kind, 5);
    for (size_t i = 1; i < t.written.len; i++) {
        t.written.at[i] ^= 0xff;
        if (record_read(kind, kt_buf_bytes(&t.written), &t.arena, t.read, NULL) == KT_OK) {
            kt_buf_reset(&t.again);
            record_write(kind, t.read, &t.again);
            assert_memory_equal(t.again.at, t.written.at, t.written.len);
        }
        t.written.at[i] ^= 0xff;
        kt_arena_reset(&t.arena);
    }
    end(&t);
}

/* What a vaultd of before wrote is read: what it knew is there, the rest is zero, and "". */
static void each_older_form(void **state)
{
    (void)state;
    unsigned n = 0;
    for (size_t k = 0; k < RECORD_KINDS; k++)
        for (size_t f = 1; f < record_kinds[k]->n; f++, n++) {
            const struct record_form *form = &record_kinds[k]->forms[f];
            const struct record_kind before = {record_kinds[k]->name, form, 1, record_kinds[k]->size};
            struct tried t;
            begin(&t, &before, 7);
            if (record_read(record_kinds[k], kt_buf_bytes(&t.written), &t.arena, t.read, NULL) != KT_OK)
                fail_msg("%s, format %u", record_kinds[k]->name, before.forms[0].format);
            record_write(record_kinds[k], t.read, &t.again); /* no text is NULL */
            assert_true(kt_buf_ok(&t.again));
            if (form->complete != NULL)
                assert_int_equal(record_read_rows(record_kinds[k], form, kt_buf_bytes(&t.written), &t.arena, t.read), KT_OK);
            kt_buf_reset(&t.again);
            record_write(&before, t.read, &t.again);
            assert_int_equal(t.again.len, t.written.len);
            assert_memory_equal(t.again.at, t.written.at, t.written.len);
            end(&t);
        }
    assert_true(n >= 2);
}

/* Where one number was given to two lists of rows, no record of one is taken for one of the other. */
static void each_number_of_two_forms(void **state)
{
    (void)state;
    unsigned pairs = 0;
    for (size_t k = 0; k < RECORD_KINDS; k++)
        for (size_t f = 0; f < record_kinds[k]->n; f++)
            for (size_t g = 0; g < record_kinds[k]->n; g++) {
                const struct record_form *of = &record_kinds[k]->forms[f], *as = &record_kinds[k]->forms[g];
                if (f == g || of->format != as->format)
                    continue;
                const struct record_kind writes = {record_kinds[k]->name, of, 1, record_kinds[k]->size};
                const struct record_kind reads = {record_kinds[k]->name, as, 1, record_kinds[k]->size};
                for (unsigned seed = 0; seed < 64; seed++) {
                    struct tried t;
                    begin(&t, &writes, seed);
                    assert_int_equal(record_read(&reads, kt_buf_bytes(&t.written), &t.arena, t.read, NULL),
                                     KT_CORRUPT);
                    end(&t);
                }
                pairs++;
            }
    assert_int_equal(pairs, 6);
}

/* That run, as each format before 4 has it; the first knew of no mending. */
static bool is_believed_dead(const struct run *was)
{
    bool dead = false;
    for (size_t f = 1; run_kind.forms[f].format > 1; f++) {
        const struct record_kind before = {run_kind.name, run_kind.forms + f, 1, run_kind.size};
        struct tried t;
        begin(&t, &before, 0);
        memcpy(t.object, was, sizeof *was);
        kt_buf_reset(&t.written);
        record_write(&before, t.object, &t.written);
        assert_int_equal(record_read(&run_kind, kt_buf_bytes(&t.written), &t.arena, t.read, NULL), KT_OK);
        const struct run *run = (void *)t.read;
        assert_true(f == 1 || dead == run->machine.old_dead);
        dead = run->machine.old_dead;
        assert_false(dead && run->cancel);
        end(&t);
    }
    return dead;
}

/* What preflight saw stands in none before 4. A run that is on its way back has set it again, perhaps. */
static void the_dead_one_of_before(void **state)
{
    (void)state;
    struct tried t;
    begin(&t, &run_kind, 0);
    struct run *run = (void *)t.object;
    run->machine = (struct machine){.strategy = STRATEGY_OVERLAP};
    run->settings.old_is_dead = run->cancel = true;
    for (unsigned at = 0; at < RUN_STATE_COUNT; at++) {
        enum run_state in = (enum run_state)at;
        bool asks = in == RUN_PLANNED || in == RUN_PREFLIGHT;
        bool goes = !asks && in != RUN_ROLLING_BACK && !run_state_ended(in);
        if (in == RUN_FROZEN)
            continue;
        run->machine.state = in;
        assert_int_equal(is_believed_dead(run), goes);
        run->machine.state = RUN_FROZEN;
        run->machine.frozen_in = in;
        assert_int_equal(is_believed_dead(run), goes);
    }
    run->machine.state = RUN_ACKING;
    run->machine.bound = run->machine.past = true;
    assert_true(is_believed_dead(run));
    run->machine.mends = true;
    assert_false(is_believed_dead(run));
    run->machine.mends = false;
    run->settings.old_is_dead = false;
    assert_false(is_believed_dead(run));
    end(&t);
}

/* The two that differ in their middle: whatever stands in the last text, up to its most. */
static void a_drill_is_no_other_secret(void **state)
{
    (void)state;
    const struct record_kind earlier = {"setting", &secret_kind.forms[2], 1, secret_kind.size};
    const struct record_kind later = {"setting", &secret_kind.forms[1], 1, secret_kind.size};
    char text[DRILL_TEXT_MAX + 1];
    assert_int_equal(earlier.forms[0].format, later.forms[0].format);
    for (int letter = 1; letter < 256; letter++)
        for (size_t len = 0; len <= DRILL_TEXT_MAX; len++) {
            struct tried t;
            begin(&t, &earlier, 0);
            struct rotation_secret *secret = (void *)t.object;
            memset(text, letter, len);
            text[len] = '\0';
            secret->drill_text = text;
            secret->backed_ms = secret->back_took_ms = secret->drill_fire_ms = secret->drill_due_ms = 0;
            secret->drilled_ms = secret->drill_took_ms = 0;
            secret->drill_ok = letter % 2;
            kt_buf_reset(&t.written);
            record_write(&earlier, secret, &t.written);
            assert_int_equal(record_read(&later, kt_buf_bytes(&t.written), &t.arena, t.read, NULL), KT_CORRUPT);
            struct rotation_secret *read = (void *)t.read;
            assert_int_equal(record_read(&secret_kind, kt_buf_bytes(&t.written), &t.arena, read, NULL), KT_OK);
            assert_string_equal(read->drill_text, text);
            assert_string_equal(read->led_by, "");
            end(&t);
        }
}

static void older_format(void **state)
{
    (void)state;
    /* Format 0 of a kind knew fewer fields: they are zero, and "". */
    struct small {
        const char *name, *later;
        int64_t number, added;
    };
    static const struct record_row now[] = {
        RECORD_ROW(struct small, name, RECORD_TEXT, 20),
        RECORD_ROW(struct small, number, RECORD_I64, 1),
        RECORD_ROW(struct small, later, RECORD_TEXT, 20),
        RECORD_ROW(struct small, added, RECORD_I64, 1),
    };
    static const struct record_row before[] = {
        RECORD_ROW(struct small, number, RECORD_I64, 1),
        RECORD_ROW(struct small, name, RECORD_TEXT, 20),
    };
    static const struct record_form forms[] = {RECORD_FORM(1, now), RECORD_FORM(0, before)};
    static const struct record_kind kind = {"small thing", forms, 2, sizeof(struct small)};
    struct kt_arena arena;
    struct kt_buf record;
    kt_arena_init(&arena, 4096);
    kt_buf_init(&record, 4096);
    kt_buf_add_u8(&record, 0);
    kt_buf_add_i64(&record, -7);
    kt_buf_add_field(&record, kt_str("old"));
    struct small read = {.name = "?"};
    assert_int_equal(record_read(&kind, kt_buf_bytes(&record), &arena, &read, NULL), KT_OK);
    assert_string_equal(read.name, "old");
    assert_int_equal(read.number, -7);
    assert_string_equal(read.later, "");
    assert_int_equal(read.added, 0);
    kt_buf_free(&record);
    kt_arena_free(&arena);
}

static void without_memory(void **state)
{
    const struct record_kind *kind = *state;
    struct tried t;
    begin(&t, kind, 4);
    kt_arena_free(&t.arena);
    kt_arena_init(&t.arena, 16);
    assert_int_equal(record_read(kind, kt_buf_bytes(&t.written), &t.arena, t.read, NULL),
                     KT_NO_MEMORY);
    end(&t);
}

/* What a reader would refuse is not written: it could never be read again. What is for people alone is cut. */
static void too_long(void **state)
{
    const struct record_kind *kind = *state;
    struct tried t;
    static char text[RECORD_TEXT_MAX + 2];
    begin(&t, kind, 3);
    for (size_t i = 0; i < kind->forms[0].n; i++) {
        const struct record_row *row = &kind->forms[0].rows[i];
        bool words = row->type == RECORD_WORDS;
        if (row->type != RECORD_TEXT && !words)
            continue;
        const char *now = text, *before = NULL;
        memcpy(&before, t.object + row->offset, sizeof before);
        memcpy(t.object + row->offset, &now, sizeof now);
        for (uint32_t more = 0; more < 2; more++) {
            memset(text, 'x', row->most + more);
            text[row->most + more] = '\0';
            kt_buf_reset(&t.again);
            record_write(kind, t.object, &t.again);
            assert_int_equal(kt_buf_ok(&t.again), words || more == 0);
            assert_int_equal(t.again.full, !words && more == 1);
            if (words)
                assert_int_equal(record_read(kind, kt_buf_bytes(&t.again), &t.arena, t.read, NULL), KT_OK);
        }
        memcpy(t.object + row->offset, &before, sizeof before);
    }
    end(&t);
}

/* ---- ids ---- */

static void ids(void **state)
{
    (void)state;
    unsigned char id[RUN_ID], back[RUN_ID];
    char text[RUN_ID_TEXT], before[RUN_ID_TEXT] = "";
    for (int64_t ms = 0; ms < (int64_t)1 << 47; ms = ms * 3 + 1) {
        run_id_make(ms, id);
        run_id_text(id, text);
        assert_int_equal(strlen(text), RUN_ID_TEXT - 1);
        assert_true(run_id_parse(text, back));
        assert_memory_equal(id, back, sizeof id);
        assert_true(strcmp(text, before) > 0);
        memcpy(before, text, sizeof text);
        for (char *at = text; *at != '\0'; at++)
            if (*at >= 'A' && *at <= 'Z')
                *at = (char)(*at - 'A' + 'a');
        assert_true(run_id_parse(text, back));
        assert_memory_equal(id, back, sizeof id);
    }
    static const char *const wrong[] = {
        "", "01JD7K", "01JD7KAAAAAAAAAAAAAAAAAAAAA", "81JD7KAAAAAAAAAAAAAAAAAAAA",
        "01JD7KAAAAAAAAAAAAAAAAAAAU", "01JD7KAAAAAAAAAAAAAAAAAA/A",
    };
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++)
        assert_false(run_id_parse(wrong[i], back));
}

static void newest_first(void **state)
{
    (void)state;
    unsigned char a[RUN_ID], b[RUN_ID], key_a[RUN_KEY], key_b[RUN_KEY], back[RUN_ID];
    run_id_make(1000, a);
    run_id_make(2000, b);
    run_key(a, key_a);
    run_key(b, key_b);
    assert_true(memcmp(key_b, key_a, sizeof key_a) < 0);
    run_id_of_key(kt_bytes(key_a, sizeof key_a), back);
    assert_memory_equal(back, a, sizeof a);
    unsigned char soon[DUE_KEY], later[DUE_KEY];
    due_key(5, b, soon);
    due_key(6, a, later);
    assert_true(memcmp(soon, later, sizeof soon) < 0);
    assert_int_equal(due_time_of_key(kt_bytes(later, sizeof later)), 6);
}

int main(void)
{
    static const struct {
        const char *name;
        CMUnitTestFunction fn;
    } each[] = {
        {"round trip", round_trip},
        {"truncated", truncated},
        {"newer format", newer_format},
        {"flipped bytes", flipped_bytes_do_no_harm},
        {"without memory", without_memory},
        {"too long", too_long},
    };
    enum { EACH = sizeof each / sizeof each[0], MORE = 6 };
    struct CMUnitTest tests[RECORD_KINDS * EACH + MORE] = {
        cmocka_unit_test(older_format),
        cmocka_unit_test(each_older_form),
        cmocka_unit_test(each_number_of_two_forms),
        cmocka_unit_test(the_dead_one_of_before),
        cmocka_unit_test(a_drill_is_no_other_secret),
        cmocka_unit_test(ids),
        cmocka_unit_test(newest_first),
    };
    static char names[RECORD_KINDS * EACH][64];
    for (size_t k = 0; k < RECORD_KINDS; k++)
        for (size_t e = 0; e < EACH; e++) {
            size_t i = k * EACH + e;
            (void)snprintf(names[i], sizeof names[i], "%s: %s", record_kinds[k]->name, each[e].name);
            tests[MORE + i] = (struct CMUnitTest){
                names[i], each[e].fn, NULL, NULL, (void *)(uintptr_t)record_kinds[k]};
        }
    return cmocka_run_group_tests_name("rotation_record", tests, NULL, NULL);
}
