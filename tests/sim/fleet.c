/* Setting the fleet up, and the people who rotate. */
#include "tests/sim/fleet.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MS INT64_C(1000000)

#define ADMIN                                                                                      \
    "\"host\":\"/run/sim\",\"sslmode\":\"disable\",\"admin_username\":\"kt\","                     \
    "\"admin_password\":\"admin\",\"max_refusals_per_hour\":0,\"probe_spacing\":0}"

const struct fleet_kind fleet_kinds[TARGETS] = {
    {.name = "pg", .driver = "postgresql",
     .body = "{\"driver\":\"postgresql\",\"database\":\"d\"," ADMIN},
    {.name = "cache", .driver = "redis", .body = "{\"driver\":\"redis\"," ADMIN,
     .hashes = true, .writes_down = true},
};
const struct fleet_secret fleet_secrets[SECRETS] = {
    {"db/orders", 0, true, "app_a",
     "\"strategy\":\"alternate\",\"accounts\":[\"app_a\",\"app_b\"],\"group\":\"app\""},
    {"db/web", 0, false, "web_a", "\"strategy\":\"in-place\",\"allow_gap\":true,\"accounts\":[\"web_a\"]"},
    {"db/cache", 1, true, "cache_a", "\"strategy\":\"overlap\",\"accounts\":[\"cache_a\"]"},
};
const unsigned agent_uses[AGENTS] = {0, 0, 1, 2};

static const char agent_policy[] = "path \"secret/data/*\" { capabilities = [\"read\"] }\n"
                                   "path \"fleet/consumers/*\" { capabilities = [\"update\"] }\n"
                                   "path \"fleet/watch/*\" { capabilities = [\"read\"] }\n";

/* ---- setting up: each step again until the vault acknowledged it ---- */

static bool put(struct world *world, struct ask *ask, const char *method, const char *path,
                const char *body)
{
    if (world->dead)
        return false;
    *ask = (struct ask){.method = method, .path = path, .token = world->root, .body = body};
    ask_vault(world, ask, false);
    return !ask->unknown && !ask->lost && ask->status < 300;
}

static bool put_policy(struct world *world, struct ask *ask)
{
    char body[1024];
    struct kt_buf text;
    kt_buf_init(&text, sizeof body);
    struct kt_jsonw w = kt_jsonw(&text);
    kt_jsonw_object(&w);
    kt_jsonw_kv_text(&w, "policy", agent_policy);
    kt_jsonw_end(&w);
    (void)snprintf(body, sizeof body, "%s", kt_buf_text(&text));
    kt_buf_free(&text);
    return put(world, ask, "PUT", "sys/policies/acl/agent", body);
}

static bool put_token(struct world *world, struct ask *ask, const char *id)
{
    char body[128];
    (void)snprintf(body, sizeof body, "{\"token\":\"%s\"}", id);
    if (put(world, ask, "POST", "auth/token/lookup", body))
        return true; /* the vault died before it could say so */
    (void)snprintf(body, sizeof body, "{\"id\":\"%s\",\"policies\":[\"agent\"],\"ttl\":\"760h\"}",
                   id);
    return put(world, ask, "POST", "auth/token/create", body);
}

static bool put_secret(struct world *world, struct ask *ask, unsigned i)
{
    char path[64], body[128];
    (void)snprintf(path, sizeof path, "secret/data/%s", fleet_secrets[i].path);
    (void)snprintf(body, sizeof body,
                   "{\"data\":{\"username\":\"%s\",\"password\":\"first-password\"}}",
                   fleet_secrets[i].account);
    return put(world, ask, "POST", path, body);
}

static bool put_rotation(struct world *world, struct ask *ask, unsigned i)
{
    char path[64], body[320];
    (void)snprintf(path, sizeof path, "rotation/secrets/secret/%s", fleet_secrets[i].path);
    (void)snprintf(body, sizeof body,
                   "{\"target\":\"%s\",%s,\"overlap\":2,\"soak\":1,\"max_overlap\":60,"
                   "\"ack_timeout\":30,\"drain\":5,\"verify_every\":60}",
                   fleet_kinds[fleet_secrets[i].target].name, fleet_secrets[i].body);
    return put(world, ask, "POST", path, body);
}

static void set_up(struct world *world, struct ask *ask)
{
    struct fleet_model *fleet = world->fleet;
    if (!fleet->has_agent_policy)
        fleet->has_agent_policy = put_policy(world, ask);
    for (unsigned i = 0; i < AGENTS; i++)
        if (!fleet->has_token[i])
            fleet->has_token[i] = put_token(world, ask, fleet->agents[i].token);
    for (unsigned i = 0; i < TARGETS; i++) {
        char path[64];
        (void)snprintf(path, sizeof path, "rotation/targets/%s", fleet_kinds[i].name);
        if (!fleet->targets[i].there)
            fleet->targets[i].there = put(world, ask, "POST", path, fleet_kinds[i].body);
    }
    for (unsigned i = 0; i < SECRETS; i++) {
        if (!fleet->has_secret[i])
            fleet->has_secret[i] = put_secret(world, ask, i);
        if (fleet_target_of(world, i)->there && fleet->has_secret[i] && !fleet->has_rotation[i])
            fleet->has_rotation[i] = put_rotation(world, ask, i);
    }
}

void fleet_begin(struct world *world)
{
    struct fleet_model *fleet = calloc(1, sizeof *fleet);
    world->fleet = fleet;
    for (unsigned i = 0; i < TARGETS; i++) {
        struct sim *sim = &fleet->targets[i].sim;
        fleet->targets[i].kind = i;
        sim_init(sim);
        sim_executor(sim, &fleet->targets[i].inner);
        if (fleet_kinds[i].hashes)
            sim_keep_hashes(sim);
    }
    for (unsigned i = 0; i < SECRETS; i++)
        sim_add(&fleet_target_of(world, i)->sim, fleet_secrets[i].account, "first-password");
    sim_add(&fleet->targets[0].sim, "app_b", NULL);
    for (unsigned i = 0; i < TARGETS; i++)
        memcpy(fleet->targets[i].written, fleet->targets[i].sim.accounts,
               sizeof fleet->targets[i].written);
    for (unsigned i = 0; i < AGENTS; i++)
        (void)snprintf(fleet->agents[i].token, sizeof fleet->agents[i].token, "simagent-%u", i);
}

void fleet_calm(struct world *world)
{
    struct fleet_model *fleet = world->fleet;
    fleet->calm = true;
    for (unsigned i = 0; i < TARGETS; i++)
        fleet->targets[i].down_until_ns = 0;
    for (unsigned i = 0; i < AGENTS; i++) {
        fleet->agents[i].refused = 0;
        if (fleet->agents[i].down_until_ns > sched_now_ns())
            fleet->agents[i].down_until_ns = 1; /* it comes back now */
    }
}

void fleet_end(struct world *world)
{
    for (unsigned i = 0; i < TARGETS; i++)
        sim_free(&world->fleet->targets[i].sim);
    free(world->fleet);
}

void fleet_check(struct world *world)
{
    struct ask *ask = malloc(sizeof *ask);
    set_up(world, ask);
    free(ask);
    if (!world->dead)
        fleet_look(world, "after a crash");
}

void fleet_crashed(struct world *world)
{
    if (!world->fleet->calm && sim_chance(200))
        fleet_put_back(world, false);
}

/* ---- who rotates ---- */

static void rotate(struct world *world, struct ask *ask)
{
    char path[80];
    bool back = sim_chance(100);
    (void)snprintf(path, sizeof path, "rotation/rotate/secret/%s",
                   fleet_secrets[sim_below(SECRETS)].path);
    *ask =
        (struct ask){.method = "POST",
                     .path = path,
                     .token = world->root,
                     .body = back ? "{\"reason\":\"sim\",\"back\":true}" : "{\"reason\":\"sim\"}"};
    ask_vault(world, ask, true);
    world->fleet->rotations += ask->status == 200;
}

/* The first of the secret's runs that has not ended; its path behind "rotation/runs/". */
static bool active_run(struct world *world, struct ask *ask, unsigned secret, char out[64])
{
    char path[64];
    (void)snprintf(path, sizeof path, "rotation/secrets/secret/%s", fleet_secrets[secret].path);
    *ask = (struct ask){.method = "GET", .path = path, .token = world->root};
    ask_vault(world, ask, false);
    return !world->dead && ask->status == 200 && answer_text(ask, "data.state.run", out, 64) &&
           out[0] != '\0' && strcmp(out, "null") != 0;
}

static void meddle(struct world *world, struct ask *ask, const char *what)
{
    char run[64], path[100];
    if (!active_run(world, ask, sim_below(SECRETS), run))
        return;
    (void)snprintf(path, sizeof path, "rotation/runs/%s/%s", run, what);
    *ask = (struct ask){
        .method = "POST", .path = path, .token = world->root, .body = "{\"reason\":\"sim\"}"};
    ask_vault(world, ask, true);
}

void fleet_person(struct world *world, unsigned number)
{
    struct ask *ask = malloc(sizeof *ask);
    (void)number;
    while (!world->dead && !world->leaving && !world->fleet->calm) {
        sched_sleep_ns((int64_t)(1 + sim_below(2500)) * MS);
        if (world->dead || world->leaving)
            break;
        if (sim_chance(200))
            fleet_forget(world);
        if (sim_chance(200))
            fleet_back_up(world);
        if (sim_chance(150))
            fleet_put_back(world, true);
        if (sim_chance(60))
            world_set_clock(world);
        bool back = world->at == PLACE_RESTORE_BEFORE || world->at == PLACE_RESTORE_AFTER;
        unsigned what = sim_below(10);
        if (what < (back ? 5 : 7))
            rotate(world, ask);
        else
            meddle(world, ask, what < 8 ? "cancel" : "thaw");
    }
    free(ask);
}
