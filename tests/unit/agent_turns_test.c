/* What comes to a service at once: in which order it moves, what is left out, and what the vault is told where it
 * cannot. */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "agent/fetch.h"
#include "lib/log.h"
#include "tests/support/agent_scene.h"

/* ---- what comes in one answer ---- */

static void runs(const struct scene *scene, uint64_t version, uint64_t other)
{
    assert_int_equal(scene->service.values->at[0].version, version);
    assert_int_equal(scene->service.values->at[1].version, other);
}

/* What was tried beside it is tried by itself: nobody would take it back. */
static void going_back_is_alone(void **state)
{
    struct scene scene;
    (void)state;
    scene_begin_two(&scene, 7, 6);
    scene_rotates(&scene, 6, 0);
    assert_false(service_move(&scene.service, scene.wanted));
    assert_string_equal(world.started, "DB=v6 NEXT=v7 MAIL=v4;");
    assert_string_equal(world.said, "applying 7/0;healthy 6/7;");
    assert_true(scene_settles(&scene));
    assert_string_equal(world.started, "DB=v6 NEXT=v7 MAIL=v5;DB=v6 NEXT=v7 MAIL=v4;");
    assert_string_equal(world.said, "applying 4/0;unhealthy 5/0;rolled_back 4/0;");
    runs(&scene, 6, 4);
    service_free(&scene.service);
}

/* Nor is a candidate of the other one tried beside it. */
static void going_back_without_candidates(void **state)
{
    struct scene scene;
    (void)state;
    scene_begin_two(&scene, 7, 6);
    scene_rotates(&scene, 6, 0);
    scene.config.two[1] = true;
    scene.wanted[1] =
        (struct wanted){.secret = scene.other, .version = 4, .alive = {4, 0, 5}, .pending = 5, .active = true};
    assert_false(service_move(&scene.service, scene.wanted));
    assert_int_equal(world.fetches, 0);
    runs(&scene, 6, 4);
    assert_true(scene_settles(&scene));
    assert_int_equal(scene.service.values->at[1].other_version, 5);
    service_free(&scene.service);
}

/* A store that was put back wants a version that the target may have forgotten: it has to do. */
static void of_a_store_put_back(void **state)
{
    static const struct {
        const char *before, *cursor;
        bool goes_on;
    } cursors[] = {{"", "ab.7", true},      {"ab.7", "ab.7", true},  {"ab.7", "ab.10", true}, {"ab.10", "ab.9", false},
                   {"ab.7", "cd.9", false}, {"ab.7", "abc.9", false}, {"ab.7", "", false}};
    (void)state;
    for (size_t i = 0; i < sizeof cursors / sizeof cursors[0]; i++)
        assert_int_equal(cursor_goes_on(cursors[i].before, cursors[i].cursor), cursors[i].goes_on);
    for (int does = 0; does < 2; does++) {
        struct scene scene;
        scene_begin_two(&scene, 7, 0);
        scene_rotates(&scene, 5, 4);
        scene.wanted[0].active = false;
        scene.wanted[0].put_back = true;
        scene.wanted[1].version = 4;
        world.bad = does == 1 ? NULL : "DB=v5";
        assert_true(scene_settles(&scene));
        assert_string_equal(world.started, does == 1 ? "DB=v5 NEXT=v5 MAIL=v4;"
                                                     : "DB=v5 NEXT=v5 MAIL=v4;DB=v7 NEXT=v7 MAIL=v4;");
        runs(&scene, does == 1 ? 5 : 7, 4);
        service_free(&scene.service);
    }
}

/* A good one is not taken back for what somebody wrote. */
static void rotated_by_itself(void **state)
{
    struct scene scene;
    (void)state;
    scene_begin_two(&scene, 6, 0);
    scene_rotates(&scene, 7, 6);
    assert_false(service_move(&scene.service, scene.wanted));
    assert_string_equal(world.started, "DB=v7 NEXT=v6 MAIL=v4;");
    assert_string_equal(world.said, "applying 6/0;healthy 7/6;");
    assert_true(scene_settles(&scene));
    assert_null(strstr(world.said, "unhealthy 7"));
    runs(&scene, 7, 4);
    service_free(&scene.service);
}

/* What is rotated waits for the service to be well, and is not fetched before; what somebody wrote may be what it
 * lacks. */
static void written_to_mend_it(void **state)
{
    struct scene scene;
    (void)state;
    scene_begin_two(&scene, 6, 0);
    scene_rotates(&scene, 7, 6);
    scene.wanted[1].alive[0] = 5;
    world.bad = NULL;
    world.well = false;
    assert_false(service_move(&scene.service, scene.wanted));
    assert_string_equal(world.started, "DB=v6 NEXT=v6 MAIL=v5;");
    assert_string_equal(world.said, "unhealthy 6/0;applying 4/0;healthy 5/0;");
    assert_int_equal(world.fetches, 1);
    world.well = true;
    assert_true(scene_settles(&scene));
    runs(&scene, 7, 5);
    service_free(&scene.service);
}

/* The new one of a secret cannot be read; then it can. */
static void forbid(struct scene *scene, const char *secret)
{
    scene_begin_two(scene, 6, 0);
    scene_rotates(scene, 7, 6);
    world.bad = NULL;
    world.forbidden = secret;
}

static void allow(struct scene *scene)
{
    world.forbidden = NULL;
    for (size_t i = 0; i < 2; i++)
        scene->service.denied[i].again_ms = 0; /* that time is over */
}

static void held_up_by_none(void **state)
{
    struct scene scene;
    (void)state;
    forbid(&scene, OTHER);
    assert_false(scene_settles(&scene));
    assert_string_equal(world.started, "DB=v7 NEXT=v6 MAIL=v4;");
    assert_string_equal(world.said, "applying 6/0;healthy 7/6;");
    scene.service.denied[1].again_ms = INT64_MAX;
    unsigned fetches = world.fetches;
    assert_false(scene_settles(&scene));
    assert_int_equal(world.fetches, fetches);
    assert_string_equal(world.said, "");
    allow(&scene);
    assert_true(scene_settles(&scene));
    runs(&scene, 7, 5);
    service_free(&scene.service);
}

/* Neither what somebody wrote waits for it, nor another rotation. */
static void rotated_forbidden(void **state)
{
    (void)state;
    for (int rotated = 0; rotated < 2; rotated++) {
        struct scene scene;
        forbid(&scene, SECRET);
        scene.wanted[1].active = rotated == 1;
        assert_false(service_move(&scene.service, scene.wanted));
        runs(&scene, 6, 5);
        assert_int_equal(scene.service.values->at[0].other_version, 0);
        allow(&scene);
        assert_true(scene_settles(&scene));
        runs(&scene, 7, 5);
        service_free(&scene.service);
    }
}

/* No news come of what can be read at last: those that were tried without it are tried with it. */
static void pair_held_up(void **state)
{
    struct scene scene;
    (void)state;
    forbid(&scene, OTHER);
    scene.wanted[0].active = false;
    world.plain = world.pair = true;
    assert_false(scene_settles(&scene));
    assert_string_equal(world.started, "DB=v7 NEXT=v7 MAIL=v4;DB=v6 NEXT=v6 MAIL=v4;");
    allow(&scene);
    assert_true(scene_settles(&scene));
    runs(&scene, 7, 5);
    service_free(&scene.service);
}

/* Without the vault nothing could be acknowledged either: what can be had waits as well. */
static void vault_away(void **state)
{
    static const enum kt_kind kinds[] = {KT_IO, KT_TIMEOUT, KT_SEALED, KT_BUSY, KT_GONE, KT_NO_MEMORY};
    (void)state;
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
        struct scene scene;
        forbid(&scene, NULL);
        world.fetch = kinds[i];
        assert_false(service_move(&scene.service, scene.wanted));
        assert_int_equal(world.fetches, 1);
        assert_string_equal(world.started, "");
        world.fetch = KT_OK;
        assert_true(scene_settles(&scene));
        runs(&scene, 7, 5);
        service_free(&scene.service);
    }
}

/* ---- what cannot be put into the files or the environment ---- */

static const struct unfit {
    const char *name, *data; /* of version 7 */
    uint64_t runs, version, pending;
    bool both; /* a rotation of the other one made version 5 */
    bool file; /* that wants the candidate, at a place where none can be written */
    const char *started, *said;
} unfits[] = {
    {"no such field", "{}", 6, 7, 0, false, false, "", "unhealthy 7/0;rolled_back 6/0;"},
    {"beside one that is fine", "{}", 6, 7, 0, true, false, "DB=v6 NEXT=v6 MAIL=v5;",
     "unhealthy 7/0;rolled_back 6/0;applying 4/0;healthy 5/0;"},
    {"a candidate that a pipe refuses", "{\"p\":\" x\"}", 6, 6, 7, false, true, "", "healthy 6/0;"},
    {"to which it is to go back", "{}", 8, 7, 0, false, false, "", "unhealthy 7/0;rolled_back 8/0;"},
};

/* It is not tried, and the program is left alone. */
static void unfit(void **state)
{
    struct config_file file = {.path = "/nonexistent/file",
                               .source = {"the file", 0},
                               .contents = "{{ candidate \"secret/db\" \"p\" | pgService }}"};
    (void)state;
    for (size_t i = 0; i < sizeof unfits / sizeof unfits[0]; i++) {
        struct scene scene;
        scene_begin_two(&scene, unfits[i].runs, 0);
        scene_rotates(&scene, unfits[i].version, unfits[i].runs);
        scene.wanted[0].pending = unfits[i].pending;
        scene.wanted[1].active = true;
        scene.wanted[1].version = unfits[i].both ? 5 : 4;
        scene.config.files = &file;
        scene.config.n_files = unfits[i].file ? 1 : 0;
        world.bad = NULL;
        world.seven = unfits[i].data;
        if (!scene_settles(&scene) || strcmp(world.started, unfits[i].started) != 0 ||
            strcmp(world.said, unfits[i].said) != 0)
            fail_msg("%s: started %s, said %s", unfits[i].name, world.started, world.said);
        runs(&scene, unfits[i].runs, unfits[i].both ? 5 : 4);
        service_free(&scene.service);
    }
}

/* ---- what does not run is not said to ---- */

static const struct way {
    const char *name;
    uint64_t version; /* that is to run; it has 7 */
    const char *said, *then;
} ways[] = {
    {"it is to go back", 6, "applying 7/0;unhealthy 7/0;", "applying 7/0;healthy 6/0;"},
    {"it goes on", 8, "applying 7/0;unhealthy 8/0;", "unhealthy 8/0;unhealthy 7/0;"},
};

/* The file cannot be written, neither the new one nor the one of before; then it can. */
static void not_put_in_place(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof ways / sizeof ways[0]; i++) {
        struct config_file file = {.path = "/nonexistent/file", .contents = "{{ secret \"secret/db\" \"p\" }}"};
        struct scene scene;
        scene_prepare(&scene);
        scene_has(&scene, scene.name, 7, 0);
        scene.config.two[0] = false;
        scene.config.files = &file;
        scene.config.n_files = 1;
        scene_rotates(&scene, ways[i].version, 7);
        for (unsigned tried = 0; tried < 3; tried++) {
            assert_false(service_move(&scene.service, scene.wanted));
            assert_true(scene.service.place.again_ms > 0);
            scene.service.place.again_ms = INT64_MAX;
            scene.wanted[0].news = false;
            if (strcmp(world.said, ways[i].said) != 0)
                fail_msg("%s: said %s", ways[i].name, world.said);
            assert_false(report_again(&scene.service, scene.wanted));
            assert_false(service_move(&scene.service, scene.wanted)); /* later */
            assert_int_equal(scene.service.values->at[0].version, 7);
            assert_int_equal(scene.service.place.again_ms, INT64_MAX);
            scene.service.place.again_ms = 0;
            if (ways[i].version < 7) {
                world.said[0] = '\0';
                assert_int_equal(scene.service.place.pace.span_ms, 1000u << tried); /* once each time */
            }
        }
        world.said[0] = '\0';
        scene.config.n_files = 0;
        if (ways[i].version < 7) { /* news wait for no pause */
            scene.wanted[0].news = true;
            scene.service.place.again_ms = INT64_MAX;
        }
        assert_true(service_move(&scene.service, scene.wanted));
        (void)report_again(&scene.service, scene.wanted);
        if (strcmp(world.said, ways[i].then) != 0)
            fail_msg("%s: then said %s", ways[i].name, world.said);
        service_free(&scene.service);
    }
}

/* A vault that is away is not asked to wait for each word anew; one that refuses a word may take the next. */
static void words_that_wait(void **state)
{
    static const struct {
        enum kt_kind kind;
        unsigned reports;
    } tries[] = {{KT_IO, 1}, {KT_TIMEOUT, 1}, {KT_DENIED, 2}, {KT_TOO_MANY, 2}};
    (void)state;
    for (size_t i = 0; i < sizeof tries / sizeof tries[0]; i++) {
        struct scene scene;
        scene_begin_two(&scene, 6, 0);
        scene.wanted[1].version = 4;
        for (size_t secret = 0; secret < 2; secret++)
            report_later(&scene.service, secret, "healthy", NULL);
        world.report = tries[i].kind;
        assert_false(report_again(&scene.service, scene.wanted));
        assert_int_equal(world.reports, tries[i].reports);
        world.report = KT_OK;
        assert_true(report_again(&scene.service, scene.wanted));
        assert_string_equal(world.said, "healthy 6/0;healthy 4/0;");
        service_free(&scene.service);
    }
}

/* ---- a program that ends ---- */

static void ended_by_itself(void **state)
{
    static const enum activation activations[] = {ACTIVATE_NONE, ACTIVATE_RESTART};
    (void)state;
    for (size_t i = 0; i < sizeof activations / sizeof activations[0]; i++) {
        struct scene scene;
        scene_begin_two(&scene, 6, 0);
        scene_rotates(&scene, 7, 6);
        scene.config.activate = activations[i];
        world.ends = true;
        (void)service_move(&scene.service, scene.wanted);
        assert_string_equal(world.started, "");
        assert_int_equal(world.verdicts, 0);
        runs(&scene, 6, 4);
        service_free(&scene.service);
    }
}

/* Nothing could be said meanwhile: the vault hears which version killed it. */
static void killed_by_it(void **state)
{
    struct scene scene;
    (void)state;
    scene_begin(&scene);
    scene.config.two[0] = false;
    scene_rotates(&scene, 7, 6);
    world.well_with_both = world.well_after = false;
    world.hung_up = true;
    (void)service_move(&scene.service, scene.wanted);
    scene.s.state = CHILD_ENDED;
    scene.s.code = CLD_KILLED;
    scene.s.status = SIGSEGV;
    report_gone(&scene.service);
    assert_string_equal(world.said, "unhealthy 7/0;unhealthy 6/0;");
    service_free(&scene.service);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(going_back_is_alone),
        cmocka_unit_test(going_back_without_candidates),
        cmocka_unit_test(of_a_store_put_back),
        cmocka_unit_test(rotated_by_itself),
        cmocka_unit_test(written_to_mend_it),
        cmocka_unit_test(held_up_by_none),
        cmocka_unit_test(rotated_forbidden),
        cmocka_unit_test(pair_held_up),
        cmocka_unit_test(vault_away),
        cmocka_unit_test(unfit),
        cmocka_unit_test(not_put_in_place),
        cmocka_unit_test(words_that_wait),
        cmocka_unit_test(ended_by_itself),
        cmocka_unit_test(killed_by_it),
    };
    kt_log_set_level(KT_LOG_ERROR);
    return cmocka_run_group_tests_name("agent_turns", tests, NULL, NULL);
}
