#include "tests/support/agent_scene.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#define SOON 3 /* service_move() is called again so often, at most */

struct world world;

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
    if (version == 7 && world.seven != NULL)
        kt_buf_add_text(&value->data, world.seven);
    else
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
    world.reports++;
    if (world.hung_up)
        return kt_fail(err, KT_GONE, "the service ended");
    if (world.report != KT_OK)
        return kt_fail(err, world.report, "reporting %s", report->secret);
    *ret_rotating = !world.plain;
    if (world.refusal != NULL && report->holds != 0)
        return kt_fail(err, KT_INVALID, "%s", world.refusal);
    (void)snprintf(world.said + n, sizeof world.said - n, "%s %llu/%llu;", report->state,
                   (unsigned long long)report->version, (unsigned long long)report->holds);
    return KT_OK;
}

void __wrap_link_last_word(struct link *link);
void __wrap_link_last_word(struct link *link)
{
    (void)link;
    world.hung_up = false;
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
    (void)health;
    if (world.ends)
        s->state = CHILD_ENDED;
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
    bool with_both = world.verdicts++ % 2 == 0;
    if (world.pair)
        return is_well((strstr(world.env, "DB=v6") != NULL) == (strstr(world.env, "MAIL=v4") != NULL));
    if (world.bad != NULL)
        return is_well(strstr(world.env, world.bad) == NULL);
    return is_well(with_both ? world.well_with_both : world.well_after);
}

/* ---- the service ---- */

void scene_has(struct scene *scene, const char *secret, uint64_t version, uint64_t candidate)
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

void scene_prepare(struct scene *scene)
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

void scene_begin(struct scene *scene)
{
    scene_prepare(scene);
    scene_has(scene, scene->name, 6, 0);
    scene->wanted[0] =
        (struct wanted){.secret = scene->name, .version = 6, .alive = {6, 0, 7}, .pending = 7, .active = true};
}

void scene_begin_two(struct scene *scene, uint64_t version, uint64_t other)
{
    scene_prepare(scene);
    scene_has(scene, scene->name, version, other);
    scene_has(scene, scene->other, 4, 0);
    scene->config.secrets[1] = scene->other;
    scene->config.n_secrets = 2;
    scene->env[0] = (struct config_env){.name = "DB", .secret = scene->name, .field = "p", .candidate = false};
    scene->env[1] = (struct config_env){.name = "NEXT", .secret = scene->name, .field = "p", .candidate = true};
    scene->env[2] = (struct config_env){.name = "MAIL", .secret = scene->other, .field = "p", .candidate = false};
    scene->config.env = scene->env;
    scene->config.n_env = 3;
    scene->config.activate = ACTIVATE_RESTART;
    scene->wanted[0] = (struct wanted){.secret = scene->name, .version = version, .active = other != 0};
    scene->wanted[1] = (struct wanted){.secret = scene->other, .version = 5, .news = true};
    world.bad = "MAIL=v5";
}

bool scene_settles(struct scene *scene)
{
    bool settled = false;
    world.started[0] = world.said[0] = '\0';
    for (int i = 0; i < SOON && !settled; i++) {
        settled = service_move(&scene->service, scene->wanted);
        scene->wanted[0].news = scene->wanted[1].news = false;
    }
    return settled;
}

void scene_rotates(struct scene *scene, uint64_t version, uint64_t previous)
{
    scene->wanted[0] = (struct wanted){
        .secret = scene->name, .version = version, .alive = {version, previous, 0}, .news = true, .active = true};
    world.started[0] = world.said[0] = '\0';
}
