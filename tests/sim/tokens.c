/* Tokens are made, used up, renewed, left to expire and revoked; what is dead never gets in again.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/sim/actors.h"

#define TOKENS 40
#define MS     INT64_C(1000000)
#define ROOT   (-1)
#define NOBODY (-2)

#define WATCH_ENDS_MS                                                                              \
    3000 /* after its token was revoked; folds and followers take a while here                     \
          */

static const char policy[] =
    "path \"auth/token/create\" { capabilities = [\"create\", \"update\", \"sudo\"] }\n"
    "path \"auth/token/lookup-self\" { capabilities = [\"read\"] }\n"
    "path \"auth/token/renew-self\" { capabilities = [\"update\"] }\n"
    "path \"auth/token/revoke-self\" { capabilities = [\"update\"] }\n"
    "path \"fleet/watch/*\" { capabilities = [\"read\"] }\n";

struct sim_token {
    bool used;
    char text[32];
    int parent; /* ROOT, NOBODY: an orphan */
    /* what it may be: both are possible while nobody knows what became of a change */
    bool may_live, may_die;
    bool may_follow; /* nobody knows whether it was made an orphan: it may end with whose child it was */
    int64_t ttl_ms, expires_min_ms, expires_max_ms;
    int64_t max_ms, born_min_ms, born_max_ms; /* since it was born it lives no longer than that; 0: as long as it is renewed */
    unsigned uses, used_min, used_max; /* uses 0: any number */
    unsigned asking;                   /* requests with it that are under way */
    int64_t revoked_ms;                /* when the vault said that it is; 0: it did not */
};

struct token_model {
    struct sim_token tokens[TOKENS];
    unsigned made;
    bool has_policy;
};

void tokens_begin(struct world *world)
{
    world->tokens = calloc(1, sizeof *world->tokens);
}

void tokens_end(struct world *world)
{
    free(world->tokens);
}

/* ---- what is certain ---- */

static bool surely_dead(const struct token_model *model, int i, int64_t life_ms)
{
    const struct sim_token *t = &model->tokens[i];
    return !t->may_live || life_ms >= t->expires_max_ms ||
           (t->uses != 0 && t->used_min >= t->uses) ||
           (t->parent >= 0 && surely_dead(model, t->parent, life_ms));
}

static bool surely_alive(const struct token_model *model, int i, int64_t life_ms)
{
    const struct sim_token *t = &model->tokens[i];
    return !t->may_die && !t->may_follow && life_ms < t->expires_min_ms && (t->uses == 0 || t->used_max < t->uses) &&
           (t->parent < 0 || surely_alive(model, t->parent, life_ms));
}

static bool may_be_over(const struct token_model *model, int i, int64_t life_ms)
{
    const struct sim_token *t = &model->tokens[i];
    return life_ms >= t->expires_min_ms || (t->parent >= 0 && may_be_over(model, t->parent, life_ms));
}

/* What is over now may not be by another clock, but be gone. */
void tokens_look(struct world *world)
{
    int64_t life_ms = world_life_most_ms(world);
    for (int i = 0; i < TOKENS; i++) {
        struct sim_token *t = &world->tokens->tokens[i];
        t->may_die = t->may_die || (t->used && life_ms >= t->expires_min_ms);
    }
}

static int find(const struct token_model *model, const char *text)
{
    for (int i = 0; i < TOKENS; i++)
        if (model->tokens[i].used && strcmp(model->tokens[i].text, text) == 0)
            return i;
    return -1;
}

/* ---- whatever is asked ---- */

void tokens_before_pass(struct world *world, struct ask *ask)
{
    struct token_model *model = world->tokens;
    int i = ask->token == NULL ? -1 : find(model, ask->token);
    ask->token_number = i;
    if (i < 0)
        return;
    bool first = !ask->passed;
    ask->passed = true;
    if (first || ask->waits)
        ask->token_dead_now = surely_dead(model, i, world_life_least_ms(world));
    ask->token_alive = (first || ask->token_alive) && surely_alive(model, i, world_life_most_ms(world));
    if (!first)
        return;
    model->tokens[i].used_max++;
    model->tokens[i].asking++;
}

void tokens_looked_at(struct ask *ask)
{
    ask->token_dead = ask->token_dead_now;
}

void tokens_after_pass(struct world *world, const struct ask *ask)
{
    struct token_model *model = world->tokens;
    if (ask->token_number < 0)
        return;
    struct sim_token *t = &model->tokens[ask->token_number];
    t->asking--;
    if (ask->unknown)
        return;
    bool refused = ask->status == 403;
    if (ask->token_dead && !refused)
        sim_fail("%s %s with %s, which is revoked, expired or used up, is answered %u: %s",
                 ask->method, ask->path, t->text, ask->status, ask->answer);
    bool sure = surely_alive(model, ask->token_number, ask->most_ms) ||
                (t->uses != 0 && t->used_max == t->uses && !t->may_die && !t->may_follow &&
                 ask->most_ms < t->expires_min_ms); /* this was its last use */
    if (ask->token_alive && sure && refused)
        sim_fail("%s %s with %s, which is alive, is refused: %s", ask->method, ask->path, t->text,
                 ask->answer);
    int64_t since_ms = t->revoked_ms > ask->begun_ms ? t->revoked_ms : ask->begun_ms;
    if (ask->waits && t->revoked_ms != 0 && ask->ended_ms - since_ms > WATCH_ENDS_MS)
        sim_fail("token %s was revoked, and its watch went on for %lld ms", t->text,
                 (long long)(ask->ended_ms - since_ms));
    if (refused)
        t->used_max--;
    else
        t->used_min++;
}

/* ---- looking ---- */

static void settle(struct world *world, struct ask *ask, int i)
{
    struct token_model *model = world->tokens;
    struct sim_token *t = &model->tokens[i];
    char body[80];
    (void)snprintf(body, sizeof body, "{\"token\":\"%s\"}", t->text);
    *ask = (struct ask){
        .method = "POST", .path = "auth/token/lookup", .token = world->root, .body = body};
    ask_vault(world, ask, false);
    if (world->dead)
        return;
    if (ask->status == 200 && surely_dead(model, i, ask->least_ms))
        sim_fail("token %s was revoked, expired or used up, and is alive: %s", t->text,
                 ask->answer);
    if (ask->status == 403 && surely_alive(model, i, ask->most_ms))
        sim_fail("token %s was made and nobody ended it, and is not alive: %s", t->text,
                 ask->answer);
    if (ask->status != 200 && ask->status != 403)
        sim_fail("token %s is looked up: %u %s", t->text, ask->status, ask->answer);
    if (ask->status == 403) {
        t->may_live = may_be_over(model, i, ask->most_ms); /* alive again where a crash undoes that the clock was set */
        t->may_die = true;
        return;
    }
    t->may_live = true;
    t->may_die = false;
    unsigned left = (unsigned)answer_int(ask, "data.num_uses", 0);
    if (t->uses == 0)
        return;
    if (left > t->uses - t->used_min || left + t->used_max < t->uses)
        sim_fail("token %s of %u uses was used %u to %u times, and has %u left", t->text, t->uses,
                 t->used_min, t->used_max, left);
    t->used_min = t->used_max = t->uses - left;
}

static void put_policy(struct world *world, struct ask *ask)
{
    char body[1024];
    struct kt_buf text;
    kt_buf_init(&text, sizeof body);
    struct kt_jsonw w = kt_jsonw(&text);
    kt_jsonw_object(&w);
    kt_jsonw_kv_text(&w, "policy", policy);
    kt_jsonw_end(&w);
    (void)snprintf(body, sizeof body, "%s", kt_buf_text(&text));
    kt_buf_free(&text);
    *ask = (struct ask){.method = "PUT",
                        .path = "sys/policies/acl/maker",
                        .token = world->root,
                        .body = body,
                        .changes = true};
    ask_vault(world, ask, false);
    world->tokens->has_policy = ask->effect;
}

void tokens_check(struct world *world)
{
    struct ask *ask = malloc(sizeof *ask);
    for (int i = 0; i < TOKENS && !world->dead; i++)
        if (world->tokens->tokens[i].used)
            settle(world, ask, i);
    if (!world->dead && !world->tokens->has_policy)
        put_policy(world, ask);
    free(ask);
}

/* ---- working ---- */

static bool has_child(const struct token_model *model, int i)
{
    for (int c = 0; c < TOKENS; c++)
        if (model->tokens[c].used && model->tokens[c].parent == i)
            return true;
    return false;
}

/* A free place, or that of one that is dead for good; -1: none. */
static int place(const struct world *world)
{
    const struct token_model *model = world->tokens;
    int64_t now_ms = world_life_least_ms(world);
    for (int i = 0; i < TOKENS; i++)
        if (!model->tokens[i].used)
            return i;
    int start = (int)sim_below(TOKENS);
    for (int n = 0; n < TOKENS; n++) {
        int i = (start + n) % TOKENS;
        if (surely_dead(model, i, now_ms) && !has_child(model, i) && model->tokens[i].asking == 0)
            return i;
    }
    return -1;
}

static int somebody(const struct token_model *model)
{
    int start = (int)sim_below(TOKENS);
    for (int n = 0; n < TOKENS; n++)
        if (model->tokens[(start + n) % TOKENS].used)
            return (start + n) % TOKENS;
    return -1;
}

static void make(struct world *world, struct ask *ask)
{
    struct token_model *model = world->tokens;
    int i = place(world), parent = sim_chance(500) ? ROOT : somebody(model);
    if (i < 0 || parent == i)
        return;
    if (parent >= 0 && model->tokens[parent].uses != 0)
        parent = ROOT;
    bool orphan = sim_chance(150);
    struct sim_token *t = &model->tokens[i];
    *t = (struct sim_token){.used = true,
                            .parent = orphan ? NOBODY : parent,
                            .may_live = true,
                            .may_die = true,
                            .ttl_ms = (int64_t)(2 + sim_below(1u << (2 + sim_below(8)))) * 1000,
                            .uses = sim_chance(300) ? 1 + sim_below(4) : 0,
                            .max_ms = sim_chance(200),
                            .expires_max_ms = INT64_MAX};
    t->max_ms *= t->ttl_ms * (int64_t)(1 + sim_below(4));
    (void)snprintf(t->text, sizeof t->text, "simtok-%u", ++model->made);
    char body[256];
    (void)snprintf(body, sizeof body,
                   "{\"id\":\"%s\",\"policies\":[\"maker\"],\"ttl\":\"%lld\",\"explicit_max_ttl\":\"%lld\",\"num_uses\":%u,"
                   "\"no_parent\":%s}",
                   t->text, (long long)t->ttl_ms / 1000, (long long)t->max_ms / 1000, t->uses, orphan ? "true" : "false");
    *ask = (struct ask){.method = "POST",
                        .path = "auth/token/create",
                        .token = parent >= 0 ? model->tokens[parent].text : world->root,
                        .body = body,
                        .changes = true};
    ask_vault(world, ask, true);
    t->expires_max_ms = world_life_most_ms(world) + t->ttl_ms;
    t->born_min_ms = ask->least_ms;
    t->born_max_ms = world_life_most_ms(world);
    if (ask->unknown) {
        t->expires_min_ms = ask->least_ms + t->ttl_ms;
        return;
    }
    if (ask->lost || !ask->effect) {
        t->used = false;
        return;
    }
    t->may_die = false;
    t->expires_min_ms = ask->least_ms + t->ttl_ms;
    t->expires_max_ms = ask->most_ms + t->ttl_ms;
}

static void use(struct world *world, struct ask *ask)
{
    int i = somebody(world->tokens);
    if (i < 0)
        return;
    *ask = (struct ask){
        .method = "GET", .path = "auth/token/lookup-self", .token = world->tokens->tokens[i].text};
    ask_vault(world, ask, true);
}

static int64_t no_later(const struct sim_token *t, int64_t expires_ms, int64_t born_ms)
{
    return t->max_ms != 0 && born_ms + t->max_ms < expires_ms ? born_ms + t->max_ms : expires_ms;
}

static void renew(struct world *world, struct ask *ask)
{
    int i = somebody(world->tokens);
    if (i < 0)
        return;
    struct sim_token *t = &world->tokens->tokens[i];
    int64_t before_ms = t->expires_max_ms;
    t->expires_max_ms = INT64_MAX;
    *ask = (struct ask){
        .method = "POST", .path = "auth/token/renew-self", .token = t->text, .changes = true};
    ask_vault(world, ask, true);
    int64_t renewed_ms = no_later(t, world_life_most_ms(world) + t->ttl_ms, t->born_max_ms);
    if (ask->unknown) {
        t->expires_max_ms = renewed_ms > before_ms ? renewed_ms : before_ms;
        return;
    }
    t->expires_max_ms = before_ms;
    if (ask->lost || !ask->effect)
        return;
    t->expires_min_ms = no_later(t, ask->least_ms + t->ttl_ms, t->born_min_ms - 1000); /* what is left is whole seconds */
    t->expires_max_ms = no_later(t, ask->most_ms + t->ttl_ms, t->born_max_ms);
}

/* Its children live on by themselves. */
static void orphan_children(struct token_model *model, int i, bool sure)
{
    for (int c = 0; c < TOKENS; c++)
        if (model->tokens[c].used && model->tokens[c].parent == i) {
            model->tokens[c].may_follow = model->tokens[c].may_follow || !sure;
            model->tokens[c].parent = NOBODY;
        }
}

static void revoke(struct world *world, struct ask *ask)
{
    struct token_model *model = world->tokens;
    int i = somebody(model);
    if (i < 0)
        return;
    struct sim_token *t = &model->tokens[i];
    bool self = sim_chance(300), alone = !self && sim_chance(200);
    char body[80];
    (void)snprintf(body, sizeof body, "{\"token\":\"%s\"}", t->text);
    bool could_die = t->may_die;
    bool alive = surely_alive(model, i, world_life_most_ms(world) + 60000);
    t->may_die = true;
    *ask = (struct ask){.method = "POST",
                        .path = self    ? "auth/token/revoke-self"
                                : alone ? "auth/token/revoke-orphan"
                                        : "auth/token/revoke",
                        .token = self ? t->text : world->root,
                        .body = self ? NULL : body,
                        .changes = alive && (self || t->uses == 0)};
    ask_vault(world, ask, true);
    if (ask->unknown) {
        if (alone)
            orphan_children(model, i, false);
        return;
    }
    if (ask->lost || ask->status >= 300) {
        t->may_die = could_die;
        return;
    }
    if (alone)
        orphan_children(model, i, true);
    t->may_live = false;
    t->revoked_ms = ask->ended_ms;
}

/* Long polls with any token: it may end meanwhile. */
void tokens_watch(struct world *world, unsigned number)
{
    struct ask *ask = malloc(sizeof *ask);
    char cursor[96] = "", path[160];
    (void)number;
    while (!world->dead && !world->leaving) {
        sched_sleep_ns((int64_t)(1 + sim_below(800)) * MS);
        int i = somebody(world->tokens);
        if (i < 0 || world->dead || world->leaving)
            continue;
        (void)snprintf(path, sizeof path, "fleet/watch/w?wait=%u&since=%s", 1 + sim_below(15),
                       cursor);
        *ask = (struct ask){
            .method = "GET", .path = path, .token = world->tokens->tokens[i].text, .waits = true};
        ask_vault(world, ask, false);
        if (ask->status == 200 && !answer_text(ask, "data.cursor", cursor, sizeof cursor))
            sim_fail("a watch without a cursor: %s", ask->answer);
    }
    free(ask);
}

void tokens_run(struct world *world, unsigned number)
{
    static void (*const what[])(struct world *, struct ask *) = {make, make, use,   use,
                                                                 use,  use,  renew, revoke};
    struct ask *ask = malloc(sizeof *ask);
    (void)number;
    while (!world->dead && !world->leaving) {
        what[sim_below(sizeof what / sizeof what[0])](world, ask);
        if (!world->dead && sim_chance(700))
            sched_sleep_ns(sim_below(world->wants_rotation ? 8000 : 500) * MS);
    }
    free(ask);
}
