#include "tests/sim/actors.h"

static const struct {
    void (*begin)(struct world *world);
    void (*end)(struct world *world);
    void (*check)(struct world *world);
    void (*crashed)(struct world *world);
} models[] = {
    {audit_begin, audit_end, audit_check, audit_crashed},
    {tokens_begin, tokens_end, tokens_check, NULL},
    {kv_begin, kv_end, kv_check, NULL},
    {fleet_begin, fleet_end, fleet_check, fleet_crashed},
};

struct task {
    void (*run)(struct world *world, unsigned number);
    unsigned number;
};
static const struct task tasks[] = {
    {kv_run, 0},       {kv_run, 1},      {tokens_run, 0},  {audit_run, 0},   {tokens_watch, 0},
    {fleet_person, 0}, {fleet_agent, 0}, {fleet_agent, 1}, {fleet_agent, 2},
    {fleet_agent, 3},
};
static const struct task last_tasks[] = {{fleet_agent, 0}, {fleet_agent, 1}, {fleet_agent, 2}, {fleet_agent, 3}};

#define COUNT(list) (sizeof(list) / sizeof(list)[0])

void actors_begin(struct world *world)
{
    for (size_t i = 0; i < COUNT(models); i++)
        models[i].begin(world);
}

void actors_end(struct world *world)
{
    for (size_t i = 0; i < COUNT(models); i++)
        models[i].end(world);
}

void actors_check(struct world *world)
{
    for (size_t i = 0; i < COUNT(models) && !world->dead; i++)
        models[i].check(world);
}

void actors_crashed(struct world *world)
{
    for (size_t i = 0; i < COUNT(models); i++)
        if (models[i].crashed != NULL)
            models[i].crashed(world);
}

static unsigned list(const struct task *all, size_t count, struct actor *actors, unsigned max)
{
    unsigned n = 0;
    for (size_t i = 0; i < count && n < max; i++)
        actors[n++] = (struct actor){.run = all[i].run, .number = all[i].number};
    return n;
}

unsigned actors_list(struct world *world, struct actor *actors, unsigned max)
{
    (void)world;
    return list(tasks, COUNT(tasks), actors, max);
}

unsigned actors_list_last(struct world *world, struct actor *actors, unsigned max)
{
    (void)world;
    return list(last_tasks, COUNT(last_tasks), actors, max);
}
