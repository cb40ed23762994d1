/* Clients that write, read, delete and destroy secrets, each its own paths. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/sim/actors.h"

#define PATHS    4u
#define VERSIONS 40u
#define KEPT     10u /* of a secret's versions, by default */
#define MS       INT64_C(1000000)

enum version_state { VERSION_GONE, VERSION_LIVE, VERSION_DELETED, VERSION_DESTROYED };

struct version {
    uint32_t value;
    enum version_state state;
};
struct secret {
    unsigned newest; /* 0: there is none */
    struct version versions[VERSIONS + 1];
};

enum kv_op { KV_NOTHING, KV_WRITE, KV_DELETE, KV_UNDELETE, KV_DESTROY, KV_REMOVE };
struct kv_change {
    enum kv_op op;
    unsigned version;
    uint32_t value;
};

struct kv_model {
    struct secret secrets[KV_CLIENTS][PATHS];
    struct kv_change pending[KV_CLIENTS][PATHS]; /* nobody knows whether it happened */
    uint32_t values;
};

void kv_begin(struct world *world)
{
    world->kv = calloc(1, sizeof *world->kv);
}

void kv_end(struct world *world)
{
    free(world->kv);
}

/* ---- what a change does ---- */

static void apply(struct secret *s, const struct kv_change *change)
{
    struct version *v = &s->versions[change->version];
    switch (change->op) {
    case KV_NOTHING:
        break;
    case KV_WRITE:
        s->newest++;
        s->versions[s->newest] = (struct version){change->value, VERSION_LIVE};
        if (s->newest > KEPT)
            s->versions[s->newest - KEPT].state = VERSION_GONE;
        break;
    case KV_DELETE:
        if (v->state == VERSION_LIVE)
            v->state = VERSION_DELETED;
        break;
    case KV_UNDELETE:
        if (v->state == VERSION_DELETED)
            v->state = VERSION_LIVE;
        break;
    case KV_DESTROY:
        if (v->state != VERSION_GONE)
            v->state = VERSION_DESTROYED;
        break;
    case KV_REMOVE:
        memset(s, 0, sizeof *s);
        break;
    }
}

/* ---- looking ---- */

/* "versions":{"1":{"created_time":...,"deletion_time":...,"destroyed":...},... */
static enum version_state state_of(const struct ask *ask, unsigned version)
{
    char name[16];
    (void)snprintf(name, sizeof name, "\"%u\":{", version);
    const char *versions = strstr(ask->answer, "\"versions\":{");
    const char *at = versions == NULL ? NULL : strstr(versions, name);
    const char *end = at == NULL ? NULL : strchr(at, '}');
    if (end == NULL)
        return VERSION_GONE;
    const char *destroyed = strstr(at, "\"destroyed\":true");
    if (destroyed != NULL && destroyed < end)
        return VERSION_DESTROYED;
    const char *live = strstr(at, "\"deletion_time\":\"\"");
    return live != NULL && live < end ? VERSION_LIVE : VERSION_DELETED;
}

static bool looks_like(const struct ask *ask, const struct secret *s)
{
    if (ask->status == 404)
        return s->newest == 0;
    if (answer_int(ask, "data.current_version", 0) != s->newest)
        return false;
    for (unsigned v = 1; v <= s->newest; v++)
        if (state_of(ask, v) != s->versions[v].state)
            return false;
    return true;
}

/* What the vault says of a version must be what was written there. */
static void check_value(const struct ask *ask, const struct secret *s, unsigned version)
{
    const struct version *v = &s->versions[version];
    if (v->state != VERSION_LIVE || version == 0) {
        if (ask->status != 404)
            sim_fail("%s: version %u is deleted or destroyed, and read: %s", ask->path, version,
                     ask->answer);
        return;
    }
    if (ask->status != 200 || answer_int(ask, "data.metadata.version", 0) != version ||
        answer_int(ask, "data.data.v", 0) != v->value)
        sim_fail("%s: version %u was written with %u and acknowledged; now: %u %s", ask->path,
                 version, v->value, ask->status, ask->answer);
}

static void path_of(unsigned client, unsigned i, const char *kind, char out[64])
{
    (void)snprintf(out, 64, "secret/%s/c%u/s%u", kind, client, i);
}

static void check_secret(struct world *world, struct ask *ask, unsigned client, unsigned i)
{
    struct secret *s = &world->kv->secrets[client][i];
    struct kv_change *pending = &world->kv->pending[client][i];
    char path[64], query[96];
    path_of(client, i, "metadata", path);
    *ask = (struct ask){.method = "GET", .path = path, .token = world->root};
    ask_vault(world, ask, false);
    if (world->dead)
        return;
    struct secret changed = *s;
    apply(&changed, pending);
    if (!looks_like(ask, s) && !looks_like(ask, &changed))
        sim_fail("%s: version %u was acknowledged (and perhaps change %u of version %u); now: %s",
                 path, s->newest, pending->op, pending->version, ask->answer);
    if (!looks_like(ask, s))
        *s = changed;
    pending->op = KV_NOTHING;
    unsigned from = s->newest > 3 ? s->newest - 2 : 1;
    for (unsigned v = from; v <= s->newest && !world->dead; v++) {
        path_of(client, i, "data", path);
        (void)snprintf(query, sizeof query, "%s?version=%u", path, v);
        *ask = (struct ask){.method = "GET", .path = query, .token = world->root};
        ask_vault(world, ask, false);
        if (!world->dead)
            check_value(ask, s, v);
    }
}

void kv_check(struct world *world)
{
    struct ask *ask = malloc(sizeof *ask);
    for (unsigned c = 0; c < KV_CLIENTS; c++)
        for (unsigned i = 0; i < PATHS && !world->dead; i++)
            check_secret(world, ask, c, i);
    free(ask);
}

/* ---- working ---- */

static struct kv_change draw(struct world *world, const struct secret *s)
{
    struct kv_change change = {.op = KV_WRITE, .value = ++world->kv->values};
    if (s->newest == VERSIONS)
        return (struct kv_change){.op = KV_REMOVE};
    if (s->newest == 0 || sim_chance(650))
        return change;
    static const enum kv_op ops[] = {KV_DELETE, KV_UNDELETE, KV_DESTROY, KV_REMOVE};
    change.op = ops[sim_chance(50) ? 3 : sim_below(3)];
    change.version =
        change.op == KV_DELETE && sim_chance(500) ? s->newest : 1 + sim_below(s->newest);
    return change;
}

static const char *fill_in(struct ask *ask, const struct secret *s, const struct kv_change *change,
                           unsigned client, unsigned i, char path[64], char body[256])
{
    bool newest = change->op == KV_DELETE && change->version == s->newest && sim_chance(500);
    static const char *const kinds[] = {[KV_WRITE] = "data",
                                        [KV_DELETE] = "delete",
                                        [KV_UNDELETE] = "undelete",
                                        [KV_DESTROY] = "destroy",
                                        [KV_REMOVE] = "metadata"};
    path_of(client, i, newest ? "data" : kinds[change->op], path);
    *ask =
        (struct ask){.method = change->op == KV_REMOVE || newest ? "DELETE" : "POST", .path = path};
    if (change->op == KV_WRITE && sim_chance(400))
        (void)snprintf(body, 256, "{\"data\":{\"v\":%u},\"options\":{\"cas\":%u}}", change->value,
                       s->newest);
    else if (change->op == KV_WRITE)
        (void)snprintf(body, 256, "{\"data\":{\"v\":%u,\"pad\":\"%0*d\"}}", change->value,
                       (int)sim_below(150), 0);
    else
        (void)snprintf(body, 256, "{\"versions\":[%u]}", change->version);
    if (ask->method[0] == 'P')
        ask->body = body;
    return path;
}

static void change_secret(struct world *world, struct ask *ask, unsigned client, unsigned i)
{
    struct secret *s = &world->kv->secrets[client][i];
    struct kv_change change = draw(world, s);
    char path[64], body[256];
    (void)fill_in(ask, s, &change, client, i, path, body);
    ask->token = world->root;
    struct secret changed = *s;
    apply(&changed, &change);
    ask->changes = memcmp(&changed, s, sizeof changed) != 0;
    world->kv->pending[client][i] = change;
    ask_vault(world, ask, true);
    if (ask->unknown)
        return;
    world->kv->pending[client][i].op = KV_NOTHING;
    if (ask->lost)
        return;
    if (ask->status < 200 || ask->status > 299)
        sim_fail("%s %s %s is answered %u: %s", ask->method, path, body, ask->status, ask->answer);
    *s = changed;
    if (change.op == KV_WRITE && answer_int(ask, "data.version", 0) != s->newest)
        sim_fail("%s: version %u is to follow; answered: %s", path, s->newest, ask->answer);
}

/* A condition that does not hold: nothing may change. */
static void wrong_cas(struct world *world, struct ask *ask, unsigned client, unsigned i)
{
    const struct secret *s = &world->kv->secrets[client][i];
    char path[64], body[256];
    path_of(client, i, "data", path);
    (void)snprintf(body, sizeof body, "{\"data\":{\"v\":0},\"options\":{\"cas\":%u}}",
                   s->newest + 1 + sim_below(3));
    *ask = (struct ask){.method = "POST", .path = path, .token = world->root, .body = body};
    ask_vault(world, ask, true);
    if (!ask->unknown && !ask->lost && ask->status != 400)
        sim_fail("%s %s is answered %u", path, body, ask->status);
}

static void read_secret(struct world *world, struct ask *ask, unsigned client, unsigned i)
{
    const struct secret *s = &world->kv->secrets[client][i];
    char path[64], query[96];
    unsigned version = s->newest == 0 ? 0 : 1 + sim_below(s->newest);
    path_of(client, i, "data", path);
    (void)snprintf(query, sizeof query, "%s?version=%u", path, version);
    *ask = (struct ask){.method = "GET", .path = query, .token = world->root};
    ask_vault(world, ask, true);
    if (!ask->unknown && !ask->lost)
        check_value(ask, s, version);
}

void kv_run(struct world *world, unsigned number)
{
    struct ask *ask = malloc(sizeof *ask);
    while (!world->dead && !world->leaving) {
        unsigned i = sim_below(PATHS), what = sim_below(10);
        if (what < 6)
            change_secret(world, ask, number, i);
        else if (what < 7)
            wrong_cas(world, ask, number, i);
        else
            read_secret(world, ask, number, i);
        if (!world->dead && sim_chance(700))
            sched_sleep_ns(sim_below(world->wants_rotation ? 8000 : 400) * MS);
    }
    free(ask);
}
