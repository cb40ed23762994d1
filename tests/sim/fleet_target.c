/* The targets: slow, sometimes unreachable, deaf to the dead; and what is looked at when it changed.
 */
#include <stdio.h>
#include <string.h>

#include "tests/sim/fleet.h"
#include "vaultd/core/mounts.h"
#include "vaultd/engine/kv.h"

#define MS INT64_C(1000000)

/* ---- looking into the vault ---- */

struct look {
    struct world *world;
    unsigned secret;
    bool any, current, at_rest;
    char text[200];
};

static bool value_works(struct look *look, struct request *req, const struct mount *mount,
                        const struct kv_version *version)
{
    struct kt_buf value;
    struct kt_json member;
    char user[64] = "", password[128] = "";
    kt_buf_init(&value, 65536);
    bool works = false;
    if (kv_value(req->core, mount, req->snapshot, fleet_secrets[look->secret].path, version, &value,
                 NULL) == KT_OK) {
        struct kt_json object = kt_json_value(kt_buf_bytes(&value));
        const char *u =
            kt_json_member(object, "username", &member) ? kt_json_text(member, &req->arena) : NULL;
        (void)snprintf(user, sizeof user, "%s", u == NULL ? "" : u);
        const char *p =
            kt_json_member(object, "password", &member) ? kt_json_text(member, &req->arena) : NULL;
        (void)snprintf(password, sizeof password, "%s", p == NULL ? "" : p);
        works = sim_accepts(&fleet_target_of(look->world, look->secret)->sim, user, password);
    }
    kt_buf_free(&value);
    return works;
}

static enum kt_kind look_handler(struct request *req, struct kt_err *err)
{
    struct look *look = req->handler_data;
    const char *rest = NULL;
    const struct mount *mount = mounts_find(req, "secret/x", &rest);
    struct kv_secret *secret = NULL;
    enum kt_kind kind = kv_load(req->core, mount, req->snapshot, &req->arena,
                                fleet_secrets[look->secret].path, &secret, err);
    if (kind != KT_OK)
        return kind;
    uint32_t current = secret->current != 0 ? secret->current : secret->newest;
    look->any = look->current = false;
    look->at_rest = secret->pending == 0 && secret->previous == 0;
    for (size_t i = 0; i < secret->n_versions; i++) {
        bool works = value_works(look, req, mount, &secret->versions[i]);
        look->any = look->any || works;
        look->current = look->current || (works && secret->versions[i].number == current);
    }
    (void)snprintf(look->text, sizeof look->text,
                   "%u versions, current %u, pending %u, previous %u", secret->newest,
                   secret->current, secret->pending, secret->previous);
    return KT_OK;
}

static bool is_as(const struct sim_account *has, const struct sim_account *had)
{
    return strcmp(has->verifier, had->verifier) == 0 && strcmp(has->also, had->also) == 0 &&
           has->login == had->login;
}

/* All that it accepts it accepts when it is started again. */
static bool lasts(const struct fleet_target *target)
{
    bool same = true;
    if (!fleet_kinds[target->kind].writes_down)
        return true;
    for (unsigned i = 0; i < target->sim.n_accounts; i++)
        same = same && is_as(&target->sim.accounts[i], &target->written[i]);
    return same;
}

static void look_at(struct world *world, unsigned secret, const char *when)
{
    struct look look = {.world = world, .secret = secret};
    struct kt_err err = {0};
    if (!world->fleet->has_rotation[secret])
        return;
    enum kt_kind kind = request_internal(world->core, "sim/look", look_handler, &look, &err);
    if (world->dead || kind == KT_SEALED)
        return;
    if (kind != KT_OK)
        sim_fail("%s the vault does not tell what it has of %s: %s", when,
                 fleet_secrets[secret].path, err.what);
    if (!look.any)
        sim_fail("%s only the target knows a credential of %s: the vault has none that works (%s)",
                 when, fleet_secrets[secret].path, look.text);
    struct fleet_target *target = fleet_target_of(world, secret);
    /* As long as a run is on, it may send everybody to another one, which was lost, too. */
    if (fleet_secrets[secret].two && look.current && look.at_rest && lasts(target))
        target->lost = false;
    if (fleet_secrets[secret].two && !look.current && !target->lost)
        sim_fail("%s the current version of %s does not work (%s)", when,
                 fleet_secrets[secret].path, look.text);
}

struct fleet_target *fleet_target_of(struct world *world, unsigned secret)
{
    return &world->fleet->targets[fleet_secrets[secret].target];
}

static struct fleet_target *target_of(struct world *world, const struct agent *agent)
{
    return fleet_target_of(world, agent_uses[agent - world->fleet->agents]);
}

bool agent_logs_in(struct world *world, const struct agent *agent)
{
    return sim_accepts(&target_of(world, agent)->sim, agent->user, agent->password);
}

void fleet_look(struct world *world, const char *when)
{
    for (unsigned i = 0; i < SECRETS && !world->dead; i++)
        look_at(world, i, when);
    for (unsigned i = 0; i < AGENTS && !world->dead; i++) {
        struct agent *agent = &world->fleet->agents[i];
        bool in = agent_logs_in(world, agent);
        agent->cut_off = agent->cut_off && !in;
        if (agent->registered && fleet_secrets[agent_uses[i]].two && !agent->cut_off &&
            agent->excused_until_ns < sched_now_ns() && !target_of(world, agent)->lost && !in)
            sim_fail("%s the service of agent %u, which runs version %u as %s, cannot log in", when,
                     i, agent->version, agent->user);
    }
}

/* Its accounts are as they were. True: they had changed. */
static bool go_back_to(struct fleet_target *target, const struct sim_account *then)
{
    bool changed = false;
    for (unsigned i = 0; i < target->sim.n_accounts; i++) {
        struct sim_account *has = &target->sim.accounts[i];
        changed = changed || !is_as(has, &then[i]);
        memcpy(has->verifier, then[i].verifier, sizeof has->verifier);
        memcpy(has->also, then[i].also, sizeof has->also);
        has->login = then[i].login;
    }
    return changed;
}

/* What it did not write down was not confirmed either: nobody is excused, and nothing it promised lost. */
static void start_again(struct world *world, struct fleet_target *target)
{
    if (go_back_to(target, target->written))
        world_say(world, "the target is started again, without what it did not write down");
}

static void lose_confirmed(struct world *world, struct fleet_target *target)
{
    /* By the true time: the target goes on, and makes it durable, while the vault is down. */
    if (target->applied_ms == 0 || sched_true_ms() - target->applied_ms > 1000 ||
        sched_now_ns() < target->forgets_ns)
        return;
    target->forgets_ns = sched_now_ns() + 60000 * MS; /* twice in one run is for a person */
    sim_lose_last(&target->sim);
    target->applied_ms = 0;
    target->lost = true;
    /* Who logged in with it is cut off by the target, and has to be told by the vault. */
    for (unsigned i = 0; i < AGENTS; i++)
        if (target_of(world, &world->fleet->agents[i]) == target)
            world->fleet->agents[i].excused_until_ns = sched_now_ns() + 300000 * MS;
    world_say(world, "the target forgets its last change");
}

void fleet_forget(struct world *world)
{
    for (unsigned i = 0; i < TARGETS; i++)
        if (fleet_kinds[i].writes_down)
            start_again(world, &world->fleet->targets[i]);
        else
            lose_confirmed(world, &world->fleet->targets[i]);
}

/* ---- backups ---- */

/* The vault keeps ten versions; what is older than they are only the target knows, and nobody can help. */
#define CHANGES_MAX 6u
#define QUIET_NS    (INT64_C(20000) * MS) /* twice in one run is for a person */

void fleet_back_up(struct world *world)
{
    struct fleet_target *target = &world->fleet->targets[sim_below(TARGETS)];
    memcpy(target->backup, target->sim.accounts, sizeof target->backup);
    target->has_backup = true;
    target->changes = 0;
}

void fleet_put_back(struct world *world, bool up)
{
    struct fleet_target *target = &world->fleet->targets[sim_below(TARGETS)];
    if (!target->has_backup || target->changes > CHANGES_MAX ||
        (target->restored_ns != 0 && sched_now_ns() < target->restored_ns + QUIET_NS) ||
        !go_back_to(target, target->backup))
        return;
    memcpy(target->written, target->sim.accounts, sizeof target->written);
    target->restored_ns = sched_now_ns();
    target->applied_ms = 0;
    target->lost = target->put_back = true;
    put_back_counts[target->kind][up ? PUT_BACK_UP : PUT_BACK_DOWN]++;
    for (unsigned i = 0; i < AGENTS; i++)
        if (target_of(world, &world->fleet->agents[i]) == target)
            world->fleet->agents[i].cut_off = true;
    world_say(world, "the target %s is put back to a backup, %u changes ago",
              fleet_kinds[target->kind].name, target->changes);
}

/* ---- steps ---- */

static enum kt_kind unreachable(struct driver_result *ret, const char *why)
{
    *ret = (struct driver_result){.class = DRIVER_UNREACH};
    (void)snprintf(ret->code, sizeof ret->code, "timeout");
    (void)snprintf(ret->text, sizeof ret->text, "%s", why);
    return KT_OK;
}

static bool place_of(enum driver_op op, enum place *ret)
{
    switch (op) {
    case DRIVER_APPLY:
        *ret = PLACE_APPLY_BEFORE;
        return true;
    case DRIVER_REVOKE:
        *ret = PLACE_REVOKE_BEFORE;
        return true;
    case DRIVER_RESTORE:
        *ret = PLACE_RESTORE_BEFORE;
        return true;
    case DRIVER_INSPECT:
    case DRIVER_CREATE:
    case DRIVER_VERIFY:
    case DRIVER_PROBE:
    case DRIVER_OP_COUNT:
        return false;
    }
    return false;
}

static struct fleet_target *target_named(struct world *world, const char *driver)
{
    unsigned i = 0;
    while (strcmp(fleet_kinds[i].driver, driver) != 0)
        i++;
    return &world->fleet->targets[i];
}

/* The change is made; what would make it last fails now and then. False: nobody confirms it. */
static bool writes_down(struct world *world, struct fleet_target *target)
{
    if (!fleet_kinds[target->kind].writes_down)
        return true;
    if (!world->fleet->calm && sim_chance(100))
        return false;
    memcpy(target->written, target->sim.accounts, sizeof target->written);
    return true;
}

static enum kt_kind run(void *arg, const struct driver_step *step, struct driver_result *ret,
                        struct kt_err *err)
{
    struct world *world = arg;
    const struct fleet_model *fleet = world->fleet;
    struct fleet_target *target = target_named(world, step->driver);
    enum place place = PLACE_STEP;
    bool changes = place_of(step->op, &place), rough = !fleet->calm, lasts = true;
    sched_sleep_ns((int64_t)(1 + sim_below(rough && sim_chance(50) ? 3000 : 30)) * MS);
    if (rough && sim_chance(4))
        target->down_until_ns = sched_now_ns() + (int64_t)sim_below(20000) * MS;
    if (world->dead || (rough && (target->down_until_ns > sched_now_ns() || sim_chance(30))))
        return unreachable(ret, "no answer");
    if (changes)
        world_place(world, place);
    if (world->dead)
        return unreachable(ret, "no answer");
    enum kt_kind kind = target->inner.run(target->inner.arg, step, ret, err);
    world_say(world, "%s: %s %s -> %s %s", step->driver, kt_driver_op_text(step->op),
              step->account == NULL ? "" : step->account, kt_driver_class_text(ret->class),
              ret->text);
    if (changes) {
        target->changes++;
        lasts = writes_down(world, target);
        target->applied_ms =
            place == PLACE_APPLY_BEFORE && ret->class == DRIVER_OK ? sched_true_ms() : 0;
        fleet_look(world, kt_driver_op_text(step->op));
        world_place(world, (enum place)(place + 1));
    }
    sched_sleep_ns((int64_t)(1 + sim_below(20)) * MS);
    if (!lasts)
        return unreachable(ret, "done, and not written down");
    return world->dead || (rough && sim_chance(30)) ? unreachable(ret, "the answer was lost")
                                                    : kind;
}

const struct rotation_executor *fleet_executor(struct world *world)
{
    world->fleet->executor = (struct rotation_executor){.run = run, .arg = world};
    return &world->fleet->executor;
}
