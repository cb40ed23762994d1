/* With everybody well, each run comes to an end, or says what a person has to do; then all is in
 * order. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/sim/fleet.h"

#define MS        INT64_C(1000000)
#define PATIENCE  300 /* looks, ever further apart: some three hours */
#define THAWS_MAX 5u

static void get(struct world *world, struct ask *ask, const char *path)
{
    *ask = (struct ask){.method = "GET", .path = path, .token = world->root};
    ask_vault(world, ask, false);
    if (ask->status != 200)
        sim_fail("GET %s is answered %u: %s", path, ask->status, ask->answer);
}

static void post(struct world *world, struct ask *ask, const char *path, const char *body)
{
    *ask = (struct ask){.method = "POST", .path = path, .token = world->root, .body = body};
    ask_vault(world, ask, false);
}

/* True: the target accepts what this version says; the body that says it again is written. */
static bool version_works(struct world *world, struct ask *ask, unsigned secret, int64_t version,
                          char body[300])
{
    char path[100], user[64] = "", password[128] = "";
    (void)snprintf(path, sizeof path, "secret/data/%s?version=%lld", fleet_secrets[secret].path,
                   (long long)version);
    *ask = (struct ask){.method = "GET", .path = path, .token = world->root};
    ask_vault(world, ask, false);
    if (ask->status != 200 || !answer_text(ask, "data.data.username", user, sizeof user) ||
        !answer_text(ask, "data.data.password", password, sizeof password))
        return false;
    (void)snprintf(body, 300, "{\"data\":{\"username\":\"%s\",\"password\":\"%s\"}}", user, password);
    return sim_accepts(&fleet_target_of(world, secret)->sim, user, password);
}

/* What drift asks for: the run is cancelled, the password that works is put into the vault. */
static void tell_what_works(struct world *world, struct ask *ask, unsigned secret, const char *run)
{
    char path[100], body[300];
    (void)snprintf(path, sizeof path, "rotation/runs/%s/cancel", run);
    post(world, ask, path, NULL);
    (void)snprintf(path, sizeof path, "secret/metadata/%s", fleet_secrets[secret].path);
    get(world, ask, path);
    int64_t version = answer_int(ask, "data.current_version", 0);
    while (version > 0 && !version_works(world, ask, secret, version, body))
        version--;
    if (version == 0)
        sim_fail("no version of %s works at the target", fleet_secrets[secret].path);
    (void)snprintf(path, sizeof path, "secret/data/%s", fleet_secrets[secret].path);
    post(world, ask, path, body);
    if (ask->status != 200)
        sim_fail("the value of %s that works is not taken: %u %s", fleet_secrets[secret].path,
                 ask->status, ask->answer);
}

/* A frozen run says what to do; it is done. */
static void obey(struct world *world, struct ask *ask, unsigned secret, const char *run,
                 unsigned *thaws)
{
    char next[600] = "", path[100], code[32] = "";
    if (!answer_text(ask, "data.frozen.next", next, sizeof next) || next[0] == '\0')
        sim_fail("run %s is frozen and does not say what to do: %s", run, ask->answer);
    if (++*thaws > THAWS_MAX)
        sim_fail("run %s is frozen again and again with everybody well: %s", run, ask->answer);
    if (answer_text(ask, "data.frozen.code", code, sizeof code) && strcmp(code, "KT-R-010") == 0) {
        tell_what_works(world, ask, secret, run);
        return;
    }
    (void)snprintf(path, sizeof path, "rotation/runs/%s/thaw", run);
    post(world, ask, path, NULL);
}

/* True: the secret's run has ended. */
static bool has_ended(struct world *world, struct ask *ask, unsigned secret, unsigned *thaws)
{
    char path[100], run[64] = "", state[32] = "";
    (void)snprintf(path, sizeof path, "rotation/secrets/secret/%s", fleet_secrets[secret].path);
    get(world, ask, path);
    if (!answer_text(ask, "data.state.run", run, sizeof run) || run[0] == '\0' ||
        strcmp(run, "null") == 0)
        return true;
    (void)snprintf(path, sizeof path, "rotation/runs/%s", run);
    get(world, ask, path);
    (void)answer_text(ask, "data.state", state, sizeof state);
    if (strcmp(state, "frozen") == 0)
        obey(world, ask, secret, run, thaws);
    return strcmp(state, "done") == 0 || strcmp(state, "rolled_back") == 0 ||
           strcmp(state, "cancelled") == 0;
}

static void wait_for_runs(struct world *world, struct ask *ask)
{
    unsigned thaws[SECRETS] = {0};
    for (unsigned i = 0; i < SECRETS; i++) {
        if (!world->fleet->has_rotation[i])
            continue;
        unsigned looks = 0;
        while (!has_ended(world, ask, i, &thaws[i])) {
            if (++looks == PATIENCE)
                sim_fail("a run of %s is stuck with everybody well: %s", fleet_secrets[i].path,
                         ask->answer);
            sched_sleep_ns((int64_t)(looks < 20 ? 3000 : 40000) * MS);
        }
    }
}

/* Every service runs what is current, and nothing else is accepted. */
static void all_in_order(struct world *world)
{
    struct fleet_model *fleet = world->fleet;
    for (unsigned i = 0; i < AGENTS; i++)
        if (fleet->agents[i].registered && !agent_logs_in(world, &fleet->agents[i]))
            sim_fail("in the end the service of agent %u, version %u as %s, cannot log in", i,
                     fleet->agents[i].version, fleet->agents[i].user);
    fleet_look(world, "in the end");
    const struct sim_account *a = sim_account(&fleet->targets[0].sim, "app_a");
    const struct sim_account *b = sim_account(&fleet->targets[0].sim, "app_b");
    const struct sim_account *both = sim_account(&fleet->targets[1].sim, "cache_a");
    if (a->login && b->login && a->verifier[0] != '\0' && b->verifier[0] != '\0')
        sim_fail("in the end, with no run under way, both accounts accept a password");
    if (both->also[0] != '\0')
        sim_fail("in the end, with no run under way, an account accepts two passwords");
}

void fleet_settle(struct world *world)
{
    struct ask *ask = malloc(sizeof *ask);
    sched_sleep_ns(60000 * MS); /* agents come back */
    wait_for_runs(world, ask);
    sched_sleep_ns(120000 * MS);
    wait_for_runs(world, ask);
    all_in_order(world);
    free(ask);
}
