/* A service and its candidates: what is tried, when it is tried again, and what the vault is told. The vault, the
 * health checks and the program are this test's own. */
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
#define OTHER  "secret/mail"
#define SOON   3 /* service_move() is called again so often, at most */

static struct {
    bool well, well_with_both, well_after; /* before; with what is tried; with the files of before again */
    enum kt_kind fetch;
    const char *forbidden; /* a secret that cannot be read */
    const char *refusal; /* of reports that say that it holds a candidate; NULL: none */
    unsigned fetches, verdicts, reports;
    char said[1024]; /* "state version/holds;" each */
    const char *bad; /* in its environment: with that it is not well, whatever was said above; NULL: nothing is */
    bool plain; /* nothing is rotated */
    bool pair; /* it is well with both new ones and with both old ones */
    char started[1024], env[256]; /* "NAME=value NAME=value;" each; the last one */
} world;

enum kt_kind __wrap_link_fetch(struct link *link, const char *secret, uint64_t version, struct value *value,
                               struct kt_err *err);
enum kt_kind __wrap_link_fetch(struct link *link, const char *secret, uint64_t version, struct value *value,
                               struct kt_err *err)
{
    (void)link;
    world.fetches++;
    if (world.forbidden != NULL && strcmp(world.forbidden, secret) == 0)
        return kt_fail(err, KT_DENIED, "fetching %s", secret);
    if (world.fetch != KT_OK)
        return kt_fail(err, world.fetch, "fetching %s", secret);
    value->version = version;
    kt_buf_printf(&value->data, "{\"p\":\"v%llu\"}", (unsigned long long)version);
    return KT_OK;
}

enum kt_kind __wrap_link_report(struct link *link, const struct report *report, bool *ret_rotating,
                                struct kt_err *err);
enum kt_kind __wrap_link_report(struct link *link, const struct report *report, bool *ret_rotating,
                                struct kt_err *err)
{
    (void)link;
    size_t n = strlen(world.said);
    *ret_rotating = !world.plain;
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

enum kt_kind __wrap_child_start(struct supervisor *s, char *const *extra_env, struct kt_err *err);
enum kt_kind __wrap_child_start(struct supervisor *s, char *const *extra_env, struct kt_err *err)
{
    (void)s;
    (void)err;
    size_t n = 0, all = strlen(world.started);
    for (size_t i = 0; extra_env[i] != NULL; i++)
        n += (size_t)snprintf(world.env + n, sizeof world.env - n, "%s%s", i == 0 ? "" : " ", extra_env[i]);
    (void)snprintf(world.started + all, sizeof world.started - all, "%s;", world.env);
    return KT_OK;
}

void __wrap_child_stop(struct supervisor *s);
void __wrap_child_stop(struct supervisor *s)
{
    (void)s;
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
    if (world.pair)
        return is_well((strstr(world.env, "DB=v6") != NULL) == (strstr(world.env, "MAIL=v4") != NULL));
    if (world.bad != NULL)
        return is_well(strstr(world.env, world.bad) == NULL);
    return is_well(world.verdicts++ % 2 == 0 ? world.well_with_both : world.well_after);
}

/* ---- a service that runs version 6 ---- */

struct scene {
    char name[16], other[16];
    struct config_env env[3];
    struct config config;
    struct supervisor s;
    struct service service;
    struct wanted wanted[2];
};

static void has(struct scene *scene, const char *secret, uint64_t version, uint64_t candidate)
{
    struct value *value = values_add(scene->service.values, secret);
    value->version = version;
    kt_buf_printf(&value->data, "{\"p\":\"v%llu\"}", (unsigned long long)version);
    kt_autobuf struct kt_buf other;
    kt_buf_init(&other, 64);
    kt_buf_printf(&other, "{\"p\":\"v%llu\"}", (unsigned long long)candidate);
    if (candidate != 0)
        value_put_other(value, candidate, kt_buf_bytes(&other));
}

/* A service that has no secret yet. */
static void prepare(struct scene *scene)
{
    struct kt_err err = {0};
    memset(&world, 0, sizeof world);
    world.well = world.well_with_both = world.well_after = true;
    *scene = (struct scene){.name = SECRET, .other = OTHER, .s = {.state = CHILD_RUNNING}};
    scene->config.service = "orders";
    scene->config.secrets[0] = scene->name;
    scene->config.n_secrets = 1;
    scene->config.two[0] = true;
    scene->config.activate = ACTIVATE_NONE;
    assert_int_equal(service_init(&scene->service, &scene->config, &scene->s, NULL, &err), KT_OK);
}

/* Its rotation made version 7. */
static void begin(struct scene *scene)
{
    prepare(scene);
    has(scene, scene->name, 6, 0);
    scene->wanted[0] =
        (struct wanted){.secret = scene->name, .version = 6, .alive = {6, 0, 7}, .pending = 7, .active = true};
}

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
    begin(&scene);
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
    begin(&scene);
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
    begin(&scene);
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
    begin(&scene);
    world.well_with_both = world.well_after = false;
    assert_false(service_move(&scene.service, scene.wanted));
    assert_string_equal(world.said, "unhealthy 6/0;");
    world.well_with_both = true;
    it_gets_both(&scene);
    service_free(&scene.service);
}

/* A token that ended, or a quota, is no word about the version, but each refusal is a line of the audit log: it is asked for after
 * pauses that grow. That there is no such version is a word. */
static void not_given(void **state)
{
    struct scene scene;
    (void)state;
    begin(&scene);
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
    begin(&scene);
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
    begin(&scene);
    world.refusal = "KT-F-003 'secret/db' has no version 7";
    assert_true(service_move(&scene.service, scene.wanted));
    assert_string_equal(world.said, "healthy 6/0;");
    assert_null(scene.service.reports.unheard[0]);
    service_free(&scene.service);
    begin(&scene);
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
    begin(&scene);
    scene.service.refused[0] = 5;
    scene.wanted[0].version = scene.wanted[0].alive[0] = 5;
    it_gets_both(&scene);
    service_free(&scene.service);
}

/* ---- a second secret, of which a version does not do ---- */

/* It runs version 4 of the other secret; the vault wants 5. */
static void begin_two(struct scene *scene, uint64_t version, uint64_t other)
{
    prepare(scene);
    has(scene, scene->name, version, other);
    has(scene, scene->other, 4, 0);
    scene->config.secrets[1] = scene->other;
    scene->config.n_secrets = 2;
    scene->env[0] = (struct config_env){"DB", scene->name, "p", false};
    scene->env[1] = (struct config_env){"NEXT", scene->name, "p", true};
    scene->env[2] = (struct config_env){"MAIL", scene->other, "p", false};
    scene->config.env = scene->env;
    scene->config.n_env = 3;
    scene->config.activate = ACTIVATE_RESTART;
    scene->wanted[0] = (struct wanted){.secret = scene->name, .version = version, .active = other != 0};
    scene->wanted[1] = (struct wanted){.secret = scene->other, .version = 5, .news = true};
    world.bad = "MAIL=v5";
}

/* As the agent calls it: at the news, and again soon for as long as something is left to be done. */
static bool settles(struct scene *scene)
{
    bool settled = false;
    world.started[0] = world.said[0] = '\0';
    for (int i = 0; i < SOON && !settled; i++) {
        settled = service_move(&scene->service, scene->wanted);
        scene->wanted[0].news = scene->wanted[1].news = false;
    }
    return settled;
}

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
    begin_two(&scene, row->now, row->other);
    scene.config.two[0] = !row->one;
    if (!row->together) {
        assert_true(settles(&scene));
        assert_int_equal(scene.service.refused[1], 5);
    }
    scene.wanted[0] = (struct wanted){.secret = scene.name,
                                      .version = row->current,
                                      .alive = {row->current, 0, row->pending},
                                      .pending = row->pending,
                                      .news = true,
                                      .active = row->active};
    bool settled = settles(&scene);
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
        begin_two(&scene, 6, 0);
        assert_true(settles(&scene));
        assert_string_equal(world.started, "DB=v6 NEXT=v6 MAIL=v5;DB=v6 NEXT=v6 MAIL=v4;");
        world.bad = "MAIL=none";
        scene.wanted[1].version = version;
        scene.wanted[1].news = true;
        assert_true(settles(&scene));
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
    begin_two(&scene, 6, 0);
    world.plain = true;
    world.bad = NULL;
    world.pair = true;
    assert_true(settles(&scene));
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
    begin_two(&scene, 6, 0);
    world.plain = true;
    scene.wanted[0].version = 7;
    scene.wanted[0].news = true;
    assert_true(settles(&scene));
    assert_string_equal(world.started, "DB=v7 NEXT=v7 MAIL=v5;DB=v6 NEXT=v6 MAIL=v4;");
    scene.wanted[1].version = 6;
    scene.wanted[1].news = true;
    assert_true(settles(&scene));
    assert_string_equal(world.started, "DB=v6 NEXT=v6 MAIL=v6;DB=v7 NEXT=v7 MAIL=v6;");
    service_free(&scene.service);
}

/* What does not do is tried once more beside what is written, and then left alone; and not beside a rotation. */
static void at_fault(void **state)
{
    for (int rotated = 0; rotated < 2; rotated++) {
        struct scene scene;
        (void)state;
        begin_two(&scene, 6, 0);
        world.plain = true;
        assert_true(settles(&scene));
        scene.wanted[0].version = 7;
        scene.wanted[0].news = true;
        scene.wanted[0].active = rotated == 1;
        assert_true(settles(&scene));
        assert_string_equal(world.started, rotated == 1 ? "DB=v7 NEXT=v6 MAIL=v4;"
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
    begin_two(&scene, 6, 0);
    world.plain = true;
    assert_true(settles(&scene));
    world.bad = "MAIL=v6";
    scene.wanted[1].version = 6;
    scene.wanted[1].news = true;
    assert_true(settles(&scene));
    assert_string_equal(world.started, "DB=v6 NEXT=v6 MAIL=v6;DB=v6 NEXT=v6 MAIL=v4;");
    service_free(&scene.service);
}

/* ---- what comes in one answer ---- */

/* The rotation of the first secret wants it to run this version. */
static void rotates(struct scene *scene, uint64_t version, uint64_t previous)
{
    scene->wanted[0] = (struct wanted){
        .secret = scene->name, .version = version, .alive = {version, previous, 0}, .news = true, .active = true};
    world.started[0] = world.said[0] = '\0';
}

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
    begin_two(&scene, 7, 6);
    rotates(&scene, 6, 0);
    assert_false(service_move(&scene.service, scene.wanted));
    assert_string_equal(world.started, "DB=v6 NEXT=v7 MAIL=v4;");
    assert_string_equal(world.said, "applying 7/0;healthy 6/7;");
    assert_true(settles(&scene));
    assert_string_equal(world.started, "DB=v6 NEXT=v7 MAIL=v5;DB=v6 NEXT=v7 MAIL=v4;");
    assert_string_equal(world.said, "applying 4/0;unhealthy 5/0;rolled_back 4/0;");
    runs(&scene, 6, 4);
    service_free(&scene.service);
}

/* A good one is not taken back for what somebody wrote. */
static void rotated_by_itself(void **state)
{
    struct scene scene;
    (void)state;
    begin_two(&scene, 6, 0);
    rotates(&scene, 7, 6);
    assert_false(service_move(&scene.service, scene.wanted));
    assert_string_equal(world.started, "DB=v7 NEXT=v6 MAIL=v4;");
    assert_string_equal(world.said, "applying 6/0;healthy 7/6;");
    assert_true(settles(&scene));
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
    begin_two(&scene, 6, 0);
    rotates(&scene, 7, 6);
    scene.wanted[1].alive[0] = 5;
    world.bad = NULL;
    world.well = false;
    assert_false(service_move(&scene.service, scene.wanted));
    assert_string_equal(world.started, "DB=v6 NEXT=v6 MAIL=v5;");
    assert_string_equal(world.said, "unhealthy 6/0;applying 4/0;healthy 5/0;");
    assert_int_equal(world.fetches, 1);
    world.well = true;
    assert_true(settles(&scene));
    runs(&scene, 7, 5);
    service_free(&scene.service);
}

/* The new one of a secret cannot be read; then it can. */
static void forbid(struct scene *scene, const char *secret)
{
    begin_two(scene, 6, 0);
    rotates(scene, 7, 6);
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
    assert_false(settles(&scene));
    assert_string_equal(world.started, "DB=v7 NEXT=v6 MAIL=v4;");
    assert_string_equal(world.said, "applying 6/0;healthy 7/6;");
    scene.service.denied[1].again_ms = INT64_MAX;
    unsigned fetches = world.fetches;
    assert_false(settles(&scene));
    assert_int_equal(world.fetches, fetches);
    assert_string_equal(world.said, "");
    allow(&scene);
    assert_true(settles(&scene));
    runs(&scene, 7, 5);
    service_free(&scene.service);
}

static void rotated_forbidden(void **state)
{
    struct scene scene;
    (void)state;
    forbid(&scene, SECRET);
    assert_false(service_move(&scene.service, scene.wanted));
    runs(&scene, 6, 5);
    allow(&scene);
    assert_true(settles(&scene));
    runs(&scene, 7, 5);
    service_free(&scene.service);
}

/* No news come of what can be read at last: those that were tried without it are tried with it. */
static void pair_held_up(void **state)
{
    struct scene scene;
    (void)state;
    forbid(&scene, OTHER);
    scene.wanted[0].active = false;
    world.plain = world.pair = true;
    assert_false(settles(&scene));
    assert_string_equal(world.started, "DB=v7 NEXT=v7 MAIL=v4;DB=v6 NEXT=v6 MAIL=v4;");
    allow(&scene);
    assert_true(settles(&scene));
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
        assert_true(settles(&scene));
        runs(&scene, 7, 5);
        service_free(&scene.service);
    }
}

/* ---- what does not run is not said to ---- */

static const struct place {
    const char *name;
    uint64_t version; /* that is to run; it has 7 */
    const char *said, *then;
} places[] = {
    {"it is to go back", 6, "applying 7/0;unhealthy 7/0;", "applying 7/0;healthy 6/0;"},
    {"it goes on", 8, "applying 7/0;unhealthy 8/0;", "unhealthy 8/0;unhealthy 7/0;"},
};

/* The file cannot be written, neither the new one nor the one of before; then it can. */
static void not_put_in_place(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof places / sizeof places[0]; i++) {
        struct config_file file = {.path = "/nonexistent/file", .contents = "{{ secret \"secret/db\" \"p\" }}"};
        struct scene scene;
        prepare(&scene);
        has(&scene, scene.name, 7, 0);
        scene.config.two[0] = false;
        scene.config.files = &file;
        scene.config.n_files = 1;
        rotates(&scene, places[i].version, 7);
        for (unsigned tried = 0; tried < 3; tried++) {
            assert_false(service_move(&scene.service, scene.wanted));
            assert_true(scene.service.again_ms > 0);
            scene.service.again_ms = INT64_MAX;
            scene.wanted[0].news = false;
            if (strcmp(world.said, places[i].said) != 0)
                fail_msg("%s: said %s", places[i].name, world.said);
            assert_false(report_again(&scene.service, scene.wanted));
            assert_false(service_move(&scene.service, scene.wanted)); /* later */
            assert_int_equal(scene.service.values->at[0].version, 7);
            assert_int_equal(scene.service.again_ms, INT64_MAX);
            scene.service.again_ms = 0;
            if (places[i].version < 7)
                world.said[0] = '\0';
        }
        world.said[0] = '\0';
        scene.config.n_files = 0;
        assert_true(service_move(&scene.service, scene.wanted));
        (void)report_again(&scene.service, scene.wanted);
        if (strcmp(world.said, places[i].then) != 0)
            fail_msg("%s: then said %s", places[i].name, world.said);
        service_free(&scene.service);
    }
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
        cmocka_unit_test(going_back_is_alone),
        cmocka_unit_test(rotated_by_itself),
        cmocka_unit_test(written_to_mend_it),
        cmocka_unit_test(held_up_by_none),
        cmocka_unit_test(rotated_forbidden),
        cmocka_unit_test(pair_held_up),
        cmocka_unit_test(vault_away),
        cmocka_unit_test(not_put_in_place),
        cmocka_unit_test(a_field_of_one),
    };
    kt_log_set_level(KT_LOG_ERROR);
    return cmocka_run_group_tests_name("agent_service", tests, NULL, NULL);
}
