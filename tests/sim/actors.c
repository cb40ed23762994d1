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
};

static const struct {
    void (*run)(struct world *world, unsigned number);
    unsigned number;
} tasks[] = {
    {kv_run, 0},
    {kv_run, 1},
    {tokens_run, 0},
    {audit_run, 0},
};

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

unsigned actors_list(struct world *world, struct actor *actors, unsigned max)
{
    (void)world;
    unsigned n = 0;
    for (size_t i = 0; i < COUNT(tasks) && n < max; i++)
        actors[n++] = (struct actor){.run = tasks[i].run, .number = tasks[i].number};
    return n;
}

const struct rotation_executor *fleet_executor(struct world *world)
{
    (void)world;
    return NULL;
}
