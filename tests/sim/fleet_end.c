/* With everybody well, each run comes to an end, or says what a person has to do; then all is in
 * order. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/sim/fleet.h"

#define MS        INT64_C(1000000)
#define PATIENCE  300 /* looks, ever further apart: some three hours */
#define LOOKS_MAX 60u /* half an hour: the vault looks each minute, and in a quarter of an hour again */
#define THAWS_MAX 5u

unsigned long put_back_counts[TARGETS][PUT_BACK_END_COUNT];

bool fleet_print(bool must_be_full)
{
#define X(name, text) text,
    static const char *const texts[] = {PUT_BACK_ENDS(X)};
#undef X
    bool full = true;
    (void)printf("%-46s", "a target is put back to a backup");
    for (unsigned t = 0; t < TARGETS; t++)
        (void)printf(" %8s", fleet_kinds[t].name);
    (void)printf("\n");
    for (unsigned e = 0; e < PUT_BACK_END_COUNT; e++) {
        (void)printf("%-46s", texts[e]);
        for (unsigned t = 0; t < TARGETS; t++) {
            full = full && put_back_counts[t][e] > 0;
            (void)printf(" %8lu", put_back_counts[t][e]);
        }
        (void)printf("\n");
    }
    if (must_be_full)
        (void)printf("%s - each target was put back, with each end of it\n", full ? "ok" : "not ok");
    return full || !must_be_full;
}

static void count(struct world *world, unsigned secret, enum put_back_end end)
{
    const struct fleet_target *target = fleet_target_of(world, secret);
    put_back_counts[target->kind][end] += target->put_back ? 1 : 0;
}

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

/* True: a run has the target accept what is stored. */
static bool reconcile(struct world *world, struct ask *ask, unsigned secret)
{
    char path[100];
    (void)snprintf(path, sizeof path, "rotation/reconcile/secret/%s", fleet_secrets[secret].path);
    post(world, ask, path, "{\"reason\":\"sim\"}");
    world_say(world, "reconcile %s: %u", fleet_secrets[secret].path, ask->status);
    return ask->status == 200;
}

/* What drift asks for: the run is cancelled, and the password that works is put into the vault, or
 * that of the vault to work. */
static void end_drift(struct world *world, struct ask *ask, unsigned secret, const char *run)
{
    char path[100], body[300];
    (void)snprintf(path, sizeof path, "rotation/runs/%s/cancel", run);
    post(world, ask, path, NULL);
    if (sim_chance(500)) {
        if (!reconcile(world, ask, secret))
            sim_fail("%s is not reconciled: %u %s", fleet_secrets[secret].path, ask->status,
                     ask->answer);
        count(world, secret, PUT_BACK_RECONCILED);
        return;
    }
    count(world, secret, PUT_BACK_TOLD);
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
        end_drift(world, ask, secret, run);
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

/* ---- what was put back ---- */

static bool current_works(struct world *world, struct ask *ask, unsigned secret)
{
    char body[300];
    return version_works(world, ask, secret, 0, body);
}

/* The vault looks by itself, and does not believe what is not. */
static void see_drift(struct world *world, struct ask *ask, unsigned secret)
{
    char path[100], truth[32] = "";
    (void)snprintf(path, sizeof path, "rotation/secrets/secret/%s", fleet_secrets[secret].path);
    for (unsigned looks = 0; strcmp(truth, "drifted") != 0; looks++) {
        if (looks == LOOKS_MAX)
            sim_fail("the target refuses what is current of %s, and the vault does not see it: %s",
                     fleet_secrets[secret].path, ask->answer);
        sched_sleep_ns((int64_t)(looks < 20 ? 5000 : 40000) * MS);
        get(world, ask, path);
        (void)answer_text(ask, "data.state.truth", truth, sizeof truth);
    }
}

static void mend(struct world *world, struct ask *ask, unsigned secret)
{
    if (current_works(world, ask, secret)) {
        count(world, secret, PUT_BACK_STILL_WORKS);
        return;
    }
    see_drift(world, ask, secret);
    if (!reconcile(world, ask, secret))
        sim_fail("%s is not reconciled: %u %s", fleet_secrets[secret].path, ask->status, ask->answer);
    wait_for_runs(world, ask);
    if (!current_works(world, ask, secret))
        sim_fail("%s is reconciled, and its target refuses what is current", fleet_secrets[secret].path);
    count(world, secret, PUT_BACK_SEEN);
}

/* What was accepted when the backup was made is accepted again, unseen: the next rotation ends it. */
static void rotate_again(struct world *world, struct ask *ask, unsigned secret)
{
    char path[100];
    (void)snprintf(path, sizeof path, "rotation/rotate/secret/%s", fleet_secrets[secret].path);
    post(world, ask, path, "{\"reason\":\"sim\"}");
    if (ask->status != 200)
        sim_fail("%s is not rotated: %u %s", fleet_secrets[secret].path, ask->status, ask->answer);
    wait_for_runs(world, ask);
}

static void mend_what_was_put_back(struct world *world, struct ask *ask)
{
    for (unsigned i = 0; i < SECRETS; i++)
        if (world->fleet->has_rotation[i] && fleet_target_of(world, i)->put_back)
            mend(world, ask, i);
    sched_sleep_ns(120000 * MS); /* services get in again, agents say so */
    for (unsigned i = 0; i < SECRETS; i++)
        if (world->fleet->has_rotation[i] && fleet_target_of(world, i)->put_back)
            rotate_again(world, ask, i);
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
    mend_what_was_put_back(world, ask);
    all_in_order(world);
    free(ask);
}
