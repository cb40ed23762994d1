/* Agents: what secret-agent does, with a simulated service that logs in at the target. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/sim/fleet.h"

#define MS        INT64_C(1000000)
#define EXCUSE_NS (INT64_C(300000) * MS)

static void excuse(struct agent *agent)
{
    agent->excused_until_ns = sched_now_ns() + EXCUSE_NS;
}

static bool heard(const struct ask *ask)
{
    return !ask->lost && !ask->unheard;
}

/* ---- one thing at a time ---- */

static bool report(struct world *world, struct ask *ask, unsigned i, unsigned version,
                   const char *state)
{
    char path[80], body[160];
    struct agent *agent = &world->fleet->agents[i];
    (void)snprintf(path, sizeof path, "fleet/consumers/h%u/secret/%s", i,
                   fleet_secrets[agent_uses[i]].path);
    (void)snprintf(body, sizeof body,
                   "{\"service\":\"s%u\",\"version\":%u,\"state\":\"%s\",\"detail\":\"sim\"}", i,
                   version, state);
    *ask = (struct ask){.method = "POST", .path = path, .token = agent->token, .body = body};
    ask_vault(world, ask, !world->fleet->calm);
    return heard(ask) && ask->status == 200;
}

/* Fetches a version, 0: the current one, and starts the service with it. */
static bool apply(struct world *world, struct ask *ask, unsigned i, unsigned version)
{
    char path[80], user[64], password[128];
    struct agent *agent = &world->fleet->agents[i];
    (void)snprintf(path, sizeof path, "secret/data/%s?version=%u",
                   fleet_secrets[agent_uses[i]].path, version);
    *ask = (struct ask){.method = "GET", .path = path, .token = agent->token};
    ask_vault(world, ask, !world->fleet->calm);
    unsigned got = ask->status == 200 ? (unsigned)answer_int(ask, "data.metadata.version", 0) : 0;
    agent->read[got % VERSIONS_READ] = true;
    if (!heard(ask) || ask->status != 200)
        return false;
    if (!answer_text(ask, "data.data.username", user, sizeof user) ||
        !answer_text(ask, "data.data.password", password, sizeof password) || got == 0)
        sim_fail("agent %u reads no credential: %s", i, ask->answer);
    /* As secret-agent does: said before it is done, and done also if nobody hears it. */
    if (agent->version != 0 && agent->version != got)
        (void)report(world, ask, i, got, "applying");
    agent->version = got;
    memcpy(agent->user, user, sizeof user);
    memcpy(agent->password, password, sizeof password);
    world_say(world, "agent %u runs version %u as %s", i, got, user);
    return true;
}

/* Begins anew with what is current. */
static void come_down(struct agent *agent)
{
    agent->owed = 0;
    agent->cursor[0] = '\0';
    agent->down_until_ns = 1;
}

static void owe(struct agent *agent, const char *state)
{
    agent->owed = agent->version;
    agent->owed_state = state;
}

/* The health check; a moody one does not like a version whatever the target says. */
static bool is_well(struct world *world, const struct agent *agent)
{
    return agent->refused != agent->version && agent_logs_in(world, agent);
}

static void check(struct world *world, unsigned i)
{
    struct agent *agent = &world->fleet->agents[i];
    if (!world->fleet->calm && sim_chance(40)) {
        agent->refused = agent->version;
        excuse(agent);
    }
    owe(agent, is_well(world, agent) ? "healthy" : "unhealthy");
}

/* What it read did not get into the vault's ledger before the power went: it reads again. */
static void reread(struct world *world, struct ask *ask, unsigned i)
{
    struct agent *agent = &world->fleet->agents[i];
    if (apply(world, ask, i, agent->owed))
        owe(agent, agent->owed_state);
    else if (heard(ask))
        come_down(agent);
}

static void pay(struct world *world, struct ask *ask, unsigned i)
{
    struct agent *agent = &world->fleet->agents[i];
    if (report(world, ask, i, agent->owed, agent->owed_state)) {
        agent->unwell = strcmp(agent->owed_state, "healthy") != 0;
        if (!agent->unwell)
            agent->registered = true;
        agent->owed = 0;
    } else if (heard(ask) && strstr(ask->answer, "KT-F-002") != NULL) {
        reread(world, ask, i);
    } else if (heard(ask)) {
        come_down(agent);
    }
}

/* It says that it runs what it never read: nobody may believe it. */
static void lie(struct world *world, struct ask *ask, unsigned i)
{
    struct agent *agent = &world->fleet->agents[i];
    unsigned version = agent->version + 1;
    if (agent->read[version % VERSIONS_READ])
        return;
    if (report(world, ask, i, version, "healthy"))
        sim_fail(
            "agent %u says that it runs version %u, which it did not read, and is believed: %s", i,
            version, ask->answer);
}

/* ---- its life ---- */

static void watch(struct world *world, struct ask *ask, unsigned i)
{
    char path[160];
    struct agent *agent = &world->fleet->agents[i];
    (void)snprintf(path, sizeof path, "fleet/watch/h%u?wait=%u&since=%s", i, 1 + sim_below(20),
                   agent->cursor);
    *ask = (struct ask){.method = "GET", .path = path, .token = agent->token, .waits = true};
    ask_vault(world, ask, !world->fleet->calm);
    if (!heard(ask) || ask->status != 200)
        return;
    (void)answer_text(ask, "data.cursor", agent->cursor, sizeof agent->cursor);
    const char *at = strstr(ask->answer, "\"want\":");
    unsigned want = at == NULL ? 0 : (unsigned)strtoul(at + strlen("\"want\":"), NULL, 10);
    if (want == 0 || want == agent->version)
        return;
    if (apply(world, ask, i, want))
        check(world, i);
    else
        agent->cursor[0] = '\0'; /* it asks again for all */
}

static void begin(struct world *world, struct ask *ask, unsigned i)
{
    struct agent *agent = &world->fleet->agents[i];
    if (!apply(world, ask, i, 0))
        return;
    if (!agent->registered && !report(world, ask, i, agent->version, "registered"))
        return;
    check(world, i);
}

/* The host was off: its service starts with what is current. */
static void come_back(struct world *world, struct ask *ask, unsigned i)
{
    struct agent *agent = &world->fleet->agents[i];
    agent->cursor[0] = '\0';
    if (apply(world, ask, i, 0)) {
        agent->down_until_ns = 0;
        check(world, i);
    }
}

static void step(struct world *world, struct ask *ask, unsigned i)
{
    struct agent *agent = &world->fleet->agents[i];
    if (agent->down_until_ns > 0)
        come_back(world, ask, i);
    else if (agent->version == 0)
        begin(world, ask, i);
    else if (agent->owed != 0)
        pay(world, ask, i);
    else if (agent->unwell && is_well(world, agent) && sim_chance(500))
        owe(agent, "healthy");
    else if (!world->fleet->calm && sim_chance(20))
        lie(world, ask, i);
    else
        watch(world, ask, i);
    if (!world->fleet->calm && sim_chance(5)) {
        agent->down_until_ns = sched_now_ns() + (int64_t)sim_below(90000) * MS;
        excuse(agent);
    }
}

void fleet_agent(struct world *world, unsigned i)
{
    struct ask *ask = malloc(sizeof *ask);
    struct agent *agent = &world->fleet->agents[i];
    while (!world->dead && !world->leaving && world->fleet->has_rotation[agent_uses[i]]) {
        if (agent->down_until_ns > sched_now_ns())
            sched_sleep_ns(200 * MS);
        else
            step(world, ask, i);
        if (!world->dead)
            sched_sleep_ns((int64_t)(1 + sim_below(100)) * MS);
    }
    free(ask);
}
