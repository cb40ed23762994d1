/* A service and its candidates: what is tried, when it is tried again, and what the vault is told. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "lib/log.h"
#include "tests/support/agent_scene.h"

static uint64_t candidate(const struct scene *scene)
{
    return scene->service.values->at[0].other_version;
}

static void it_gets_both(struct scene *scene)
{
    world.said[0] = '\0';
    assert_true(service_move(&scene->service, scene->wanted));
    assert_int_equal(candidate(scene), 7);
    assert_string_equal(world.said, "healthy 6/7;");
}

static void both(void **state)
{
    struct scene scene;
    (void)state;
    scene_begin(&scene);
    it_gets_both(&scene);
    assert_true(service_move(&scene.service, scene.wanted));
    assert_int_equal(world.fetches, 1);
    service_free(&scene.service);
}

/* Not well for another reason it is left alone, and gets the candidate once it is well. */
static void not_well_before(void **state)
{
    struct scene scene;
    (void)state;
    scene_begin(&scene);
    world.well = world.well_with_both = world.well_after = false;
    for (int i = 0; i < 3; i++)
        assert_false(service_move(&scene.service, scene.wanted));
    assert_int_equal(world.verdicts, 0);
    assert_int_equal(world.fetches, 0);
    assert_int_equal(candidate(&scene), 0);
    world.well = world.well_with_both = world.well_after = true;
    it_gets_both(&scene);
    service_free(&scene.service);
}

/* Not well with both, and well without: it does without. */
static void not_well_with_both(void **state)
{
    struct scene scene;
    (void)state;
    scene_begin(&scene);
    world.well_with_both = false;
    assert_true(service_move(&scene.service, scene.wanted));
    assert_string_equal(world.said, "healthy 6/0;");
    assert_true(service_move(&scene.service, scene.wanted));
    assert_int_equal(world.verdicts, 2);
    assert_int_equal(candidate(&scene), 0);
    service_free(&scene.service);
}

/* Nor well without: that was not the candidate. */
static void not_well_ever_since(void **state)
{
    struct scene scene;
    (void)state;
    scene_begin(&scene);
    world.well_with_both = world.well_after = false;
    assert_false(service_move(&scene.service, scene.wanted));
    assert_string_equal(world.said, "unhealthy 6/0;");
    world.well_with_both = true;
    it_gets_both(&scene);
    service_free(&scene.service);
}

/* A token that ended, or a quota, is no word about the version, but each refusal is a line of the audit log: it is
 * asked for after pauses that grow. That there is no such version is a word. */
static void not_given(void **state)
{
    struct scene scene;
    (void)state;
    scene_begin(&scene);
    struct denied *denied = &scene.service.denied_other[0];
    static const enum kt_kind kinds[] = {KT_DENIED, KT_TOO_MANY, KT_INTERNAL, KT_CORRUPT};
    for (unsigned asked = 1; asked <= 8; asked++) {
        world.fetch = kinds[asked % (sizeof kinds / sizeof kinds[0])];
        denied->again_ms = 0; /* that time is over */
        assert_false(service_move(&scene.service, scene.wanted));
        assert_int_equal(world.fetches, asked);
        assert_true(denied->again_ms > 0);
        denied->again_ms = INT64_MAX;
        assert_false(service_move(&scene.service, scene.wanted));
        assert_int_equal(world.fetches, asked);
    }
    assert_int_equal(denied->pace.span_ms, 60000);
    assert_int_equal(world.verdicts, 0);
    assert_string_equal(world.said, "");
    world.fetch = KT_OK;
    denied->again_ms = 0;
    it_gets_both(&scene);
    service_free(&scene.service);
    scene_begin(&scene);
    world.fetch = KT_NOT_FOUND;
    assert_true(service_move(&scene.service, scene.wanted));
    assert_true(service_move(&scene.service, scene.wanted));
    assert_int_equal(world.fetches, 1);
    service_free(&scene.service);
}

/* What is said of the version that runs is not lost where the other one is gone; refused for anything else it was not
 * heard, and is said again as it is. */
static void refused_reports(void **state)
{
    struct scene scene;
    (void)state;
    scene_begin(&scene);
    world.refusal = "KT-F-003 'secret/db' has no version 7";
    assert_true(service_move(&scene.service, scene.wanted));
    assert_string_equal(world.said, "healthy 6/0;");
    assert_null(scene.service.reports.unheard[0]);
    service_free(&scene.service);
    scene_begin(&scene);
    world.refusal = "the body is no JSON";
    assert_true(service_move(&scene.service, scene.wanted));
    assert_string_equal(world.said, "");
    assert_string_equal(scene.service.reports.unheard[0], "healthy");
    world.refusal = NULL;
    (void)report_again(&scene.service, scene.wanted);
    assert_string_equal(world.said, "healthy 6/7;");
    assert_null(scene.service.reports.unheard[0]);
    service_free(&scene.service);
}

/* The version that is to run did not do, and what is made in its place comes beside the one that runs. */
static void after_one_that_did_not_do(void **state)
{
    struct scene scene;
    (void)state;
    scene_begin(&scene);
    scene.service.refused[0] = 5;
    scene.wanted[0].version = scene.wanted[0].alive[0] = 5;
    it_gets_both(&scene);
    service_free(&scene.service);
}

/* ---- a second secret, of which a version does not do ---- */

static const struct meeting {
    const char *name;
    bool one, together; /* no candidate of it is asked for; the other's news came with it, else before */
    uint64_t now, other;
    uint64_t current, pending;
    bool active;
    const char *started, *said;
    uint64_t then, then_other;
} meetings[] = {
    {"a candidate comes", false, false, 6, 0, 6, 7, true, "DB=v6 NEXT=v7 MAIL=v4;", "healthy 6/7;", 6, 7},
    {"a candidate ends", false, false, 7, 6, 7, 0, false, "", "healthy 7/0;", 7, 0},
    {"it moves", false, false, 6, 7, 7, 0, true, "DB=v7 NEXT=v6 MAIL=v4;", "applying 6/7;healthy 7/6;", 7, 6},
    {"it moves, with one", true, false, 6, 0, 7, 0, true, "DB=v7 NEXT=v7 MAIL=v4;", "applying 6/0;healthy 7/0;", 7, 0},
    {"it goes back", false, false, 7, 6, 6, 0, true, "DB=v6 NEXT=v7 MAIL=v4;", "applying 7/6;healthy 6/7;", 6, 7},
    {"a candidate comes with it", false, true, 6, 0, 6, 7, true,
     "DB=v6 NEXT=v7 MAIL=v5;DB=v6 NEXT=v6 MAIL=v4;DB=v6 NEXT=v7 MAIL=v4;",
     "applying 4/0;unhealthy 5/0;healthy 6/0;rolled_back 4/0;healthy 6/7;", 6, 7},
    {"a candidate ends with it", false, true, 7, 6, 7, 0, false, "DB=v7 NEXT=v7 MAIL=v5;DB=v7 NEXT=v6 MAIL=v4;",
     "applying 4/0;unhealthy 5/0;rolled_back 4/0;healthy 7/0;", 7, 0},
};

static void they_meet(const struct meeting *row)
{
    struct scene scene;
    scene_begin_two(&scene, row->now, row->other);
    scene.config.two[0] = !row->one;
    if (!row->together) {
        assert_true(scene_settles(&scene));
        assert_int_equal(scene.service.refused[1], 5);
    }
    scene.wanted[0] = (struct wanted){.secret = scene.name,
                                      .version = row->current,
                                      .alive = {row->current, 0, row->pending},
                                      .pending = row->pending,
                                      .news = true,
                                      .active = row->active};
    bool settled = scene_settles(&scene);
    const struct value *at = scene.service.values->at;
    if (!settled || strcmp(world.started, row->started) != 0 || strcmp(world.said, row->said) != 0)
        fail_msg("%s: settled %d, started %s, said %s", row->name, settled, world.started, world.said);
    if (at[0].version != row->then || at[0].other_version != row->then_other || at[1].version != 4)
        fail_msg("%s: it has %llu/%llu", row->name, (unsigned long long)at[0].version,
                 (unsigned long long)at[0].other_version);
    assert_int_equal(scene.service.refused[0], 0);
    assert_int_equal(scene.service.refused_other[0], 0);
    service_free(&scene.service);
}

/* What is to be done of one secret is done once, and without the version of the other that did not do. */
static void not_along_with_another(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof meetings / sizeof meetings[0]; i++)
        they_meet(&meetings[i]);
}

/* It is tried again when the vault speaks of it again, and so is the version after it. */
static void tried_again(void **state)
{
    struct scene scene;
    (void)state;
    for (uint64_t version = 5; version <= 6; version++) {
        scene_begin_two(&scene, 6, 0);
        assert_true(scene_settles(&scene));
        assert_string_equal(world.started, "DB=v6 NEXT=v6 MAIL=v5;DB=v6 NEXT=v6 MAIL=v4;");
        world.bad = "MAIL=none";
        scene.wanted[1].version = version;
        scene.wanted[1].news = true;
        assert_true(scene_settles(&scene));
        assert_string_equal(world.started, version == 5 ? "DB=v6 NEXT=v6 MAIL=v5;" : "DB=v6 NEXT=v6 MAIL=v6;");
        assert_int_equal(scene.service.values->at[1].version, version);
        assert_int_equal(scene.service.refused[1], 0);
        service_free(&scene.service);
    }
}

/* DB v7 and MAIL v5 belong together and do not do alone; each is written by itself. */
static void together_in_the_end(void **state)
{
    struct scene scene;
    (void)state;
    scene_begin_two(&scene, 6, 0);
    world.plain = true;
    world.bad = NULL;
    world.pair = true;
    assert_true(scene_settles(&scene));
    assert_string_equal(world.started, "DB=v6 NEXT=v6 MAIL=v5;DB=v6 NEXT=v6 MAIL=v4;");
    scene.wanted[0].version = 7;
    scene.wanted[0].news = true;
    world.started[0] = '\0';
    assert_true(service_move(&scene.service, scene.wanted)); /* before there is other news */
    assert_string_equal(world.started, "DB=v7 NEXT=v7 MAIL=v4;DB=v6 NEXT=v6 MAIL=v4;DB=v7 NEXT=v7 MAIL=v5;");
    service_free(&scene.service);
}

/* It came with one that did not do, and comes when that one is mended. */
static void not_at_fault(void **state)
{
    struct scene scene;
    (void)state;
    scene_begin_two(&scene, 6, 0);
    world.plain = true;
    scene.wanted[0].version = 7;
    scene.wanted[0].news = true;
    assert_true(scene_settles(&scene));
    assert_string_equal(world.started, "DB=v7 NEXT=v7 MAIL=v5;DB=v6 NEXT=v6 MAIL=v4;");
    scene.wanted[1].version = 6;
    scene.wanted[1].news = true;
    assert_true(scene_settles(&scene));
    assert_string_equal(world.started, "DB=v6 NEXT=v6 MAIL=v6;DB=v7 NEXT=v7 MAIL=v6;");
    service_free(&scene.service);
}

/* What does not do is tried once more beside what is written, and then left alone; and not beside a rotation. */
static void at_fault(void **state)
{
    for (int rotated = 0; rotated < 2; rotated++) {
        struct scene scene;
        (void)state;
        scene_begin_two(&scene, 6, 0);
        world.plain = true;
        assert_true(scene_settles(&scene));
        scene.wanted[0].version = 7;
        scene.wanted[0].news = true;
        scene.wanted[0].active = rotated == 1;
        assert_true(scene_settles(&scene));
        assert_string_equal(world.started,
                            rotated == 1 ? "DB=v7 NEXT=v6 MAIL=v4;"
                                         : "DB=v7 NEXT=v7 MAIL=v4;DB=v7 NEXT=v7 MAIL=v5;DB=v7 NEXT=v7 MAIL=v4;");
        assert_int_equal(scene.service.refused[1], 5);
        service_free(&scene.service);
    }
}

/* Its own version before is no other one. */
static void a_bad_one_after_a_bad_one(void **state)
{
    struct scene scene;
    (void)state;
    scene_begin_two(&scene, 6, 0);
    world.plain = true;
    assert_true(scene_settles(&scene));
    world.bad = "MAIL=v6";
    scene.wanted[1].version = 6;
    scene.wanted[1].news = true;
    assert_true(scene_settles(&scene));
    assert_string_equal(world.started, "DB=v6 NEXT=v6 MAIL=v6;DB=v6 NEXT=v6 MAIL=v4;");
    service_free(&scene.service);
}

/* A field that only one of both has cannot be tried twice, and spoils no file. */
static void a_field_of_one(void **state)
{
    static const struct {
        const char *field, *is;
    } rows[] = {{"p", "two"}, {"host", "h"}, {"nothing", NULL}};
    (void)state;
    struct values *values = values_new();
    struct value *value = values_add(values, SECRET);
    value->version = 6;
    kt_buf_add_text(&value->data, "{\"p\":\"one\",\"host\":\"h\"}");
    value_put_other(value, 7, kt_str("{\"p\":\"two\"}"));
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct kt_err err = {0};
        kt_autobuf struct kt_buf out;
        kt_buf_init(&out, 64);
        enum kt_kind kind = values_candidate(values, SECRET, rows[i].field, &out, &err);
        assert_int_equal(kind, rows[i].is == NULL ? KT_NOT_FOUND : KT_OK);
        assert_string_equal(kt_buf_text(&out), rows[i].is == NULL ? "" : rows[i].is);
        if (kind != KT_OK)
            assert_non_null(strstr(err.what, "\"nothing\" in version 6"));
    }
    values_free(values);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(both),
        cmocka_unit_test(not_well_before),
        cmocka_unit_test(not_well_with_both),
        cmocka_unit_test(not_well_ever_since),
        cmocka_unit_test(not_given),
        cmocka_unit_test(refused_reports),
        cmocka_unit_test(after_one_that_did_not_do),
        cmocka_unit_test(not_along_with_another),
        cmocka_unit_test(tried_again),
        cmocka_unit_test(together_in_the_end),
        cmocka_unit_test(not_at_fault),
        cmocka_unit_test(at_fault),
        cmocka_unit_test(a_bad_one_after_a_bad_one),
        cmocka_unit_test(a_field_of_one),
    };
    kt_log_set_level(KT_LOG_ERROR);
    return cmocka_run_group_tests_name("agent_service", tests, NULL, NULL);
}
