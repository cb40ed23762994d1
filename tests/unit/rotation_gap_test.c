/* For how long a run kept somebody from logging in: none where two credentials are accepted, in-place from the order to
 * the last consumer's word, and where nobody says anything, at least until the new value could be read. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/support/rotation_scene.h"
#include "vaultd/rotation/gap.h"

/* ---- by the steps ---- */

#define STATE(word, ms)      {.kind = STEP_STATE, .name = (word), .ok = true, .at_ms = (ms)}
#define INTENT(word, ms)     {.kind = STEP_INTENT, .name = (word), .ok = true, .at_ms = (ms)}
#define SAID(of, good, ms, stamp) \
    {.kind = STEP_ACK, .name = "healthy", .version = (of), .ok = (good), .at_ms = (ms), .stamp_ms = (stamp)}
#define ACK(good, ms, stamp) SAID(2, good, ms, stamp)
#define NOTE(word, ms)       {.kind = STEP_NOTE, .name = (word), .at_ms = (ms)}
#define STEPS                12u

struct row {
    const char *name;
    enum run_strategy strategy;
    enum run_state end;
    unsigned both_dead, mends;
    struct run_step steps[STEPS];
    enum gap_until until;
    int64_t ms;
    const char *row;
};
/* Of how many consumers, when the change was ordered. */
struct held_row {
    unsigned n_both, n_bare;
    struct row row;
};

/* clang-format off */
static const struct row rows[] = {
    {"two are accepted", STRATEGY_ALTERNATE, RUN_DONE, 0, 0,
     {INTENT("apply", 100), STATE("promoted", 300), ACK(true, 900, 0), STATE("overlapping", 901)}, GAP_NONE, 0, "- gap: none\n"},
    {"the last of two consumers", STRATEGY_IN_PLACE, RUN_DONE, 0, 0,
     {ACK(true, 50, 0), INTENT("apply", 100), STATE("promoted", 300), ACK(true, 500, 0), ACK(true, 900, 950), STATE("overlapping", 960)},
     GAP_ACKNOWLEDGED, 850, "- gap: 850 ms at most, from the order"},
    {"one starts again during the overlap", STRATEGY_IN_PLACE, RUN_DONE, 0, 0,
     {INTENT("apply", 100), STATE("promoted", 300), ACK(true, 500, 0), STATE("overlapping", 501), ACK(true, 9000, 0)},
     GAP_ACKNOWLEDGED, 400, "- gap: 400 ms"},
    {"one that had the old one again is waited for", STRATEGY_IN_PLACE, RUN_DONE, 0, 0,
     {INTENT("apply", 100), STATE("promoted", 300), ACK(true, 500, 0), STATE("overlapping", 501), STATE("acking", 600),
      ACK(true, 700, 0), STATE("overlapping", 701)}, GAP_ACKNOWLEDGED, 600, "- gap: 600 ms"},
    {"one says no, then yes", STRATEGY_IN_PLACE, RUN_DONE, 0, 0,
     {INTENT("apply", 100), STATE("promoted", 300), ACK(true, 500, 0), ACK(false, 800, 0), STATE("overlapping", 900)},
     GAP_ACKNOWLEDGED, 400, "- gap: 400 ms"},
    {"the order is the first one", STRATEGY_IN_PLACE, RUN_DONE, 0, 0,
     {INTENT("apply", 100), INTENT("apply", 200), STATE("promoted", 300), INTENT("revoke", 1000), STATE("done", 1001)},
     GAP_READABLE, 200, "- gap: 200 ms at least"},
    {"nobody says", STRATEGY_IN_PLACE, RUN_DONE, 0, 0,
     {INTENT("apply", 100), STATE("promoted", 350), STATE("overlapping", 360)}, GAP_READABLE, 250, "- gap: 250 ms at least"},
    {"back, by the last one's word", STRATEGY_IN_PLACE, RUN_ROLLED_BACK, 0, 0,
     {INTENT("apply", 100), STATE("promoted", 300), INTENT("restore_old", 400), SAID(1, true, 700, 0), STATE("rolled_back", 800)},
     GAP_BACK, 600, "- gap: 600 ms at most, from the order to the target until everybody had the old"},
    {"back, and nobody says", STRATEGY_IN_PLACE, RUN_ROLLED_BACK, 0, 0,
     {INTENT("apply", 100), INTENT("restore_old", 400), STATE("rolled_back", 800)}, GAP_BACK, 900, "- gap: 900 ms at most"},
    {"back, and what they said of the new one", STRATEGY_IN_PLACE, RUN_ROLLED_BACK, 0, 0,
     {INTENT("apply", 100), STATE("promoted", 300), ACK(true, 500, 0), INTENT("restore_old", 700), STATE("rolled_back", 900)},
     GAP_BACK, 900, "- gap: 900 ms at most"},
    {"back, and one is well with the new one until it is told", STRATEGY_IN_PLACE, RUN_ROLLED_BACK, 0, 0,
     {INTENT("apply", 100), STATE("promoted", 300), INTENT("restore_old", 400), SAID(1, true, 500, 0), ACK(true, 600, 0), STATE("rolled_back", 800)},
     GAP_BACK, 400, "- gap: 400 ms at most"},
    {"one starts with the old one meanwhile", STRATEGY_IN_PLACE, RUN_DONE, 0, 0,
     {INTENT("apply", 100), STATE("promoted", 300), ACK(true, 500, 0), SAID(1, true, 800, 0), STATE("overlapping", 901)},
     GAP_ACKNOWLEDGED, 400, "- gap: 400 ms at most"},
    {"back, and one does not go back", STRATEGY_IN_PLACE, RUN_ROLLED_BACK, 0, 0,
     {INTENT("apply", 100), STATE("promoted", 300), INTENT("restore_old", 400), SAID(1, true, 500, 0), NOTE(STEP_NAME_SILENT, 700), STATE("rolled_back", 800)},
     GAP_LEAST, 400, "- gap: 400 ms at least"},
    {"back, and nobody does", STRATEGY_IN_PLACE, RUN_ROLLED_BACK, 0, 0,
     {INTENT("apply", 100), STATE("promoted", 300), INTENT("restore_old", 400), NOTE(STEP_NAME_SILENT, 700), STATE("rolled_back", 800)},
     GAP_LEAST, 900, "- gap: 900 ms at least"},
    {"two are accepted, one is silent", STRATEGY_ALTERNATE, RUN_DONE, 0, 0,
     {INTENT("apply", 100), STATE("promoted", 300), NOTE(STEP_NAME_SILENT, 700)}, GAP_UNKNOWN, 0, "- gap: not measured\n"},
    {"two are accepted, one is not heard of", STRATEGY_OVERLAP, RUN_DONE, 0, 0,
     {INTENT("apply", 100), STATE("promoted", 300), NOTE(STEP_NAME_LOST, 700)}, GAP_UNKNOWN, 0, "- gap: not measured\n"},
    {"two are accepted, one is put aside", STRATEGY_ALTERNATE, RUN_DONE, 0, 0,
     {INTENT("apply", 100), STATE("promoted", 300), NOTE(STEP_NAME_ASIDE, 700)}, GAP_UNKNOWN, 0, "- gap: not measured\n"},
    {"two are accepted, the way back", STRATEGY_ALTERNATE, RUN_ROLLED_BACK, 0, 0,
     {INTENT("apply", 100), STATE("promoted", 300), INTENT("revoke_new", 400), STATE("rolled_back", 800)}, GAP_NONE, 0, "- gap: none\n"},
    {"two are accepted, one does not go back", STRATEGY_ALTERNATE, RUN_ROLLED_BACK, 0, 0,
     {INTENT("apply", 100), STATE("promoted", 300), NOTE(STEP_NAME_SILENT, 400), STATE("rolled_back", 800)}, GAP_UNKNOWN, 0, "- gap: not measured\n"},
    {"nothing is ended", STRATEGY_GENERATE, RUN_DONE, 0, 0,
     {STATE("promoted", 300), NOTE(STEP_NAME_SILENT, 700)}, GAP_NONE, 0, "- gap: none\n"},
    {"the new one is lost, and set again", STRATEGY_OVERLAP, RUN_DONE, 0, 0,
     {INTENT("apply", 100), STATE("promoted", 300), INTENT("apply", 500), STATE("acking", 600)}, GAP_UNKNOWN, 0, "- gap: not measured\n"},
    {"the order is given twice", STRATEGY_OVERLAP, RUN_DONE, 0, 0,
     {INTENT("apply", 100), INTENT("apply", 200), STATE("promoted", 300), STATE("acking", 600)}, GAP_NONE, 0, "- gap: none\n"},
    {"one is not heard of", STRATEGY_IN_PLACE, RUN_DONE, 0, 0,
     {INTENT("apply", 100), STATE("promoted", 300), ACK(true, 500, 0), STATE("overlapping", 501), NOTE(STEP_NAME_LOST, 700)},
     GAP_LEAST, 400, "- gap: 400 ms at least"},
    {"one is put aside", STRATEGY_IN_PLACE, RUN_DONE, 0, 0,
     {INTENT("apply", 100), STATE("promoted", 300), {.kind = STEP_NOTE, .name = STEP_NAME_ASIDE, .at_ms = 310},
      ACK(true, 500, 0), STATE("overlapping", 501)}, GAP_LEAST, 400, "- gap: 400 ms at least, from the order"},
    {"frozen for a while", STRATEGY_ALTERNATE, RUN_DONE, 0, 0,
     {INTENT("apply", 100), STATE("frozen", 300), STATE("promoted", 900)}, GAP_UNKNOWN, 0, "- gap: not measured\n"},
    {"nothing was ordered", STRATEGY_IN_PLACE, RUN_CANCELLED, 0, 0, {STATE("preflight", 100), ACK(true, 200, 0)}, GAP_NONE, 0, "- gap: none\n"},
    {"the clock is set back meanwhile", STRATEGY_IN_PLACE, RUN_DONE, 0, 0,
     {INTENT("apply", 1000), STATE("promoted", 300), ACK(true, 500, 0), STATE("overlapping", 501)}, GAP_UNKNOWN, 0, "- gap: not measured\n"},
    {"the clock is set back, and two are accepted", STRATEGY_ALTERNATE, RUN_DONE, 0, 0,
     {INTENT("apply", 1000), STATE("promoted", 300), ACK(true, 500, 0), STATE("overlapping", 501)}, GAP_NONE, 0, "- gap: none\n"},
    {"both were refused", STRATEGY_OVERLAP, RUN_DONE, 1, 0, {INTENT("apply", 100)}, GAP_UNKNOWN, 0, "- gap: not measured\n"},
    {"a drift was mended", STRATEGY_IN_PLACE, RUN_DONE, 0, 1, {INTENT("restore_old", 100)}, GAP_UNKNOWN, 0, "- gap: not measured\n"},
};
static const struct held_row held_rows[] = {
    {2, 0, {"each had both", STRATEGY_IN_PLACE, RUN_DONE, 0, 0,
     {INTENT("apply", 100), STATE("promoted", 300), ACK(true, 900, 0), STATE("overlapping", 901)},
     GAP_HELD, 0, "- gap: none: each registered consumer had both before the change\n"}},
    {2, 1, {"one of three had one", STRATEGY_IN_PLACE, RUN_DONE, 0, 0,
     {INTENT("apply", 100), STATE("promoted", 300), ACK(true, 900, 0), STATE("overlapping", 901)},
     GAP_ACKNOWLEDGED, 800, "- gap: 800 ms at most, from the order"}},
    {2, 0, {"each had both, and it went back", STRATEGY_IN_PLACE, RUN_ROLLED_BACK, 0, 0,
     {INTENT("apply", 100), STATE("promoted", 300), INTENT("restore_old", 400), SAID(1, true, 700, 0), STATE("rolled_back", 800)},
     GAP_BACK, 600, "- gap: 600 ms at most"}},
    {2, 0, {"each had both but who is put aside", STRATEGY_IN_PLACE, RUN_DONE, 0, 0,
     {INTENT("apply", 100), STATE("promoted", 300), {.kind = STEP_NOTE, .name = STEP_NAME_ASIDE, .at_ms = 310},
      ACK(true, 500, 0), STATE("overlapping", 501)}, GAP_LEAST, 400, "- gap: 400 ms at least"}},
    {2, 0, {"each had both, and the target refused both", STRATEGY_IN_PLACE, RUN_DONE, 1, 0, {INTENT("apply", 100)},
     GAP_UNKNOWN, 0, "- gap: not measured\n"}},
};
/* clang-format on */

static void judge(const struct row *row, unsigned n_both, unsigned n_bare)
{
    struct run run = {.from = 1, .to = 2, .ended_ms = 1000, .n_both = n_both, .n_bare = n_bare};
    struct kt_buf out;
    size_t n = 0;
    run.machine.strategy = row->strategy;
    run.machine.state = row->end;
    run.machine.both_dead = (uint8_t)row->both_dead;
    run.machine.mends = row->mends != 0;
    while (n < STEPS && row->steps[n].name != NULL)
        n++;
    struct gap gap = gap_of(&run, row->steps, n);
    kt_buf_init(&out, 4096);
    gap_row(&gap, &out);
    if (gap.until != row->until || gap.ms != row->ms || strstr(kt_buf_text(&out), row->row) == NULL)
        fail_msg("%s: %d, %lld ms, %s", row->name, (int)gap.until, (long long)gap.ms, kt_buf_text(&out));
    kt_buf_free(&out);
}

static void by_its_steps(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        judge(&rows[i], 0, 0);
}

/* Readers and consumers whose word stands in the run's record alone. */
static void by_who_was_left(void **state)
{
    const struct run_step steps[] = {INTENT("apply", 100), STATE("promoted", 300), ACK(true, 500, 0), STATE("overlapping", 501)};
    (void)state;
    for (unsigned i = 0; i < 6; i++) {
        struct run run = {.from = 1, .to = 2, .silent_passed = i / 2 == 1, .loose_passed = i / 2 == 2};
        run.machine.state = RUN_DONE;
        run.machine.strategy = i % 2 == 0 ? STRATEGY_ALTERNATE : STRATEGY_IN_PLACE;
        static const enum gap_until wanted[] = {GAP_NONE, GAP_ACKNOWLEDGED, GAP_UNKNOWN, GAP_LEAST, GAP_UNKNOWN, GAP_LEAST};
        assert_int_equal(gap_of(&run, steps, sizeof steps / sizeof steps[0]).until, wanted[i]);
    }
}

/* So many consumers that the words of the last ones are not noted: by then they had it, at the latest. */
static void by_more_than_are_noted(void **state)
{
    struct run_step steps[] = {INTENT("apply", 100), STATE("promoted", 300), ACK(true, 500, 0), STATE("overlapping", 800)};
    const size_t n = sizeof steps / sizeof steps[0];
    struct run run = {.from = 1, .to = 2, .ended_ms = 1000};
    (void)state;
    run.machine.strategy = STRATEGY_IN_PLACE;
    run.machine.state = RUN_DONE;
    steps[n - 1].seq = ACKS_MAX;
    assert_int_equal(gap_of(&run, steps, n).ms, 400);
    steps[n - 1].seq = ACKS_MAX + 1;
    assert_int_equal(gap_of(&run, steps, n).until, GAP_ACKNOWLEDGED);
    assert_int_equal(gap_of(&run, steps, n).ms, 700);
    run.silent_passed = true; /* at least: by what was said */
    assert_int_equal(gap_of(&run, steps, n).ms, 400);
    run.silent_passed = false;
    run.machine.state = RUN_ROLLED_BACK;
    assert_int_equal(gap_of(&run, steps, n).until, GAP_BACK);
    assert_int_equal(gap_of(&run, steps, n).ms, 900);
}

static void by_who_had_both(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof held_rows / sizeof held_rows[0]; i++)
        judge(&held_rows[i].row, held_rows[i].n_both, held_rows[i].n_bare);
}

/* ---- in a report ---- */

static void load_report(struct scene *s)
{
    char path[128];
    (void)snprintf(path, sizeof path, "rotation/runs/%s/report", s->run);
    need(s, 200, "GET", path, NULL);
}

static long gap_there(struct scene *s)
{
    const char *at = strstr(s->vault->body, "\"gap_ms\":");
    assert_non_null(at);
    return strtol(at + strlen("\"gap_ms\":"), NULL, 10);
}

/* The agent takes a quarter of a minute; what it says during the overlap makes it no longer. */
static void as_long_as_the_agent_took(void **state)
{
    struct scene *s = scene(*state);
    register_agent(s, "h1");
    rotate(s);
    soon(s, "acking");
    s->vault->now_ms += 15000;
    acknowledge(s, "h1", 2);
    soon(s, "overlapping"); /* before time goes on */
    ends_done(s);
    load_report(s);
    if (alternates(s)) {
        says(s, "\"gap_ms\":0,\"gap_until\":\"\"");
        says(s, "Nobody was cut off.");
    } else {
        assert_in_range((unsigned long)gap_there(s), 15000, 18000);
        says(s, "\"gap_until\":\"acknowledged\"");
        says(s, "new connections failed for up to 1");
        says(s, "- gap: 1");
    }
    scene_end(s);
}

static void nobody_is_registered(void **state)
{
    struct scene *s = scene(*state);
    rotate(s);
    ends_done(s);
    load_report(s);
    says(s, "\"gap_until\":\"readable\"");
    says(s, "no consumer says when it took the new one.");
    scene_end(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(by_its_steps),
        cmocka_unit_test(by_who_was_left),
        cmocka_unit_test(by_more_than_are_noted),
        cmocka_unit_test(by_who_had_both),
        IN_PLACE(as_long_as_the_agent_took),
        ALTERNATE(as_long_as_the_agent_took),
        IN_PLACE(nobody_is_registered),
    };
    return cmocka_run_group_tests_name("rotation_gap", tests, NULL, NULL);
}
