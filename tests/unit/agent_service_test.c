/* A service and its candidates: what is tried, when it is tried again, and what the vault is told. The vault and the
 * health checks are this test's own. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#include "agent/candidates.h"
#include "lib/log.h"

#define SECRET "secret/db"

static struct {
    bool well, well_with_both, well_after; /* before; with what is tried; with the files of before again */
    enum kt_kind fetch;
    const char *refusal; /* of reports that say that it holds a candidate; NULL: none */
    unsigned fetches, verdicts, reports;
    char said[1024]; /* "state version/holds;" each */
} world;

enum kt_kind __wrap_link_fetch(struct link *link, const char *secret, uint64_t version, struct value *value,
                               struct kt_err *err);
enum kt_kind __wrap_link_fetch(struct link *link, const char *secret, uint64_t version, struct value *value,
                               struct kt_err *err)
{
    (void)link;
    world.fetches++;
    if (world.fetch != KT_OK)
        return kt_fail(err, world.fetch, "fetching %s", secret);
    value->version = version;
    kt_buf_add_text(&value->data, "{\"p\":\"two\"}");
    return KT_OK;
}

enum kt_kind __wrap_link_report(struct link *link, const struct report *report, bool *ret_rotating,
                                struct kt_err *err);
enum kt_kind __wrap_link_report(struct link *link, const struct report *report, bool *ret_rotating,
                                struct kt_err *err)
{
    (void)link;
    size_t n = strlen(world.said);
    *ret_rotating = true;
    world.reports++;
    if (world.refusal != NULL && report->holds != 0)
        return kt_fail(err, KT_INVALID, "%s", world.refusal);
    (void)snprintf(world.said + n, sizeof world.said - n, "%s %llu/%llu;", report->state,
                   (unsigned long long)report->version, (unsigned long long)report->holds);
    return KT_OK;
}

static struct health_result is_well(bool well)
{
    struct health_result result = {.healthy = well};
    (void)snprintf(result.detail, sizeof result.detail, "%s", well ? "" : "the disk is full");
    return result;
}

struct health_result __wrap_health_baseline(struct supervisor *s, const struct config_health *health);
struct health_result __wrap_health_baseline(struct supervisor *s, const struct config_health *health)
{
    (void)s;
    (void)health;
    return is_well(world.well);
}

/* The files of before come after those that did not do. */
struct health_result __wrap_health_verdict(struct supervisor *s, const struct config_health *health,
                                           const struct health_result *baseline);
struct health_result __wrap_health_verdict(struct supervisor *s, const struct config_health *health,
                                           const struct health_result *baseline)
{
    (void)s;
    (void)health;
    (void)baseline;
    return is_well(world.verdicts++ % 2 == 0 ? world.well_with_both : world.well_after);
}

/* ---- a service that runs version 6 ---- */

struct scene {
    char name[16];
    struct config config;
    struct supervisor s;
    struct service service;
    struct wanted wanted;
};

static void begin(struct scene *scene)
{
    struct kt_err err = {0};
    memset(&world, 0, sizeof world);
    world.well = world.well_with_both = world.well_after = true;
    *scene = (struct scene){.name = SECRET, .s = {.state = CHILD_RUNNING}};
    scene->config.service = "orders";
    scene->config.secrets[0] = scene->name;
    scene->config.n_secrets = 1;
    scene->config.two[0] = true;
    scene->config.activate = ACTIVATE_NONE;
    assert_int_equal(service_init(&scene->service, &scene->config, &scene->s, NULL, &err), KT_OK);
    struct value *value = values_add(scene->service.values, scene->name);
    value->version = 6;
    kt_buf_add_text(&value->data, "{\"p\":\"one\"}");
    scene->wanted = (struct wanted){.secret = scene->name, .version = 6, .alive = {6, 0, 7}, .pending = 7, .active = true};
}

static uint64_t candidate(const struct scene *scene)
{
    return scene->service.values->at[0].other_version;
}

static void it_gets_both(struct scene *scene)
{
    world.said[0] = '\0';
    assert_true(service_move(&scene->service, &scene->wanted));
    assert_int_equal(candidate(scene), 7);
    assert_string_equal(world.said, "healthy 6/7;");
}

static void both(void **state)
{
    struct scene scene;
    (void)state;
    begin(&scene);
    it_gets_both(&scene);
    assert_true(service_move(&scene.service, &scene.wanted));
    assert_int_equal(world.fetches, 1);
    service_free(&scene.service);
}

/* Not well for another reason it is left alone, and gets the candidate once it is well. */
static void not_well_before(void **state)
{
    struct scene scene;
    (void)state;
    begin(&scene);
    world.well = world.well_with_both = world.well_after = false;
    for (int i = 0; i < 3; i++)
        assert_false(service_move(&scene.service, &scene.wanted));
    assert_int_equal(world.verdicts, 0);
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
    begin(&scene);
    world.well_with_both = false;
    assert_true(service_move(&scene.service, &scene.wanted));
    assert_string_equal(world.said, "healthy 6/0;");
    assert_true(service_move(&scene.service, &scene.wanted));
    assert_int_equal(world.verdicts, 2);
    assert_int_equal(candidate(&scene), 0);
    service_free(&scene.service);
}

/* Nor well without: that was not the candidate. */
static void not_well_ever_since(void **state)
{
    struct scene scene;
    (void)state;
    begin(&scene);
    world.well_with_both = world.well_after = false;
    assert_false(service_move(&scene.service, &scene.wanted));
    assert_string_equal(world.said, "unhealthy 6/0;");
    world.well_with_both = true;
    it_gets_both(&scene);
    service_free(&scene.service);
}

/* A token that ended is no word about the version; that there is none is. */
static void not_given(void **state)
{
    struct scene scene;
    (void)state;
    begin(&scene);
    world.fetch = KT_DENIED;
    for (int i = 0; i < 3; i++)
        assert_false(service_move(&scene.service, &scene.wanted));
    assert_int_equal(world.verdicts, 0);
    assert_string_equal(world.said, "");
    world.fetch = KT_OK;
    it_gets_both(&scene);
    service_free(&scene.service);
    begin(&scene);
    world.fetch = KT_NOT_FOUND;
    assert_true(service_move(&scene.service, &scene.wanted));
    assert_true(service_move(&scene.service, &scene.wanted));
    assert_int_equal(world.fetches, 1);
    service_free(&scene.service);
}

/* What is said of the version that runs is not lost where the other one is gone; refused for anything else it was not
 * heard, and is said again as it is. */
static void refused_reports(void **state)
{
    struct scene scene;
    (void)state;
    begin(&scene);
    world.refusal = "KT-F-003 'secret/db' has no version 7";
    assert_true(service_move(&scene.service, &scene.wanted));
    assert_string_equal(world.said, "healthy 6/0;");
    assert_null(scene.service.unreported[0]);
    service_free(&scene.service);
    begin(&scene);
    world.refusal = "the body is no JSON";
    assert_true(service_move(&scene.service, &scene.wanted));
    assert_string_equal(world.said, "");
    assert_string_equal(scene.service.unreported[0], "healthy");
    world.refusal = NULL;
    (void)service_report_again(&scene.service, &scene.wanted);
    assert_string_equal(world.said, "healthy 6/7;");
    assert_null(scene.service.unreported[0]);
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
        cmocka_unit_test(a_field_of_one),
    };
    kt_log_set_level(KT_LOG_ERROR);
    return cmocka_run_group_tests_name("agent_service", tests, NULL, NULL);
}
