#include "vaultd/rotation/places.h"

#include <stdio.h>

#define MINUTE_MS ((int64_t)60 * 1000)

unsigned places_most(const struct rotation *rotation)
{
    unsigned most = rotation->core->config.rotation_max_runs;
    return most == 0 ? ROTATION_RUNS_DEFAULT : most;
}

static unsigned taken(const struct rotation *rotation, const struct active *self,
                      const char *target, unsigned *ret_here)
{
    unsigned all = 0;
    *ret_here = 0;
    for (const struct active *a = rotation->actives; a != NULL; a = a->next) {
        if (a == self || !a->touches)
            continue;
        all++;
        *ret_here += strcmp(a->target, target) == 0;
    }
    return all;
}

bool place_free(const struct rotation *rotation, const struct active *self,
                const struct rotation_target *target)
{
    unsigned here = 0, all = taken(rotation, self, target->name, &here);
    return here < target->max_runs && all < places_most(rotation);
}

bool places_taken(const struct rotation *rotation)
{
    unsigned here = 0;
    return taken(rotation, NULL, "", &here) >= places_most(rotation);
}

bool state_has_place(enum run_state state)
{
    return state != RUN_PLANNED && state != RUN_PROMOTED && state != RUN_ACKING &&
           state != RUN_OVERLAPPING && state != RUN_FROZEN && !run_state_ended(state);
}

bool state_has_begun(enum run_state state)
{
    return state != RUN_PLANNED && state != RUN_PREFLIGHT && state != RUN_GENERATED;
}

/* ---- starts: a ring, the oldest at `next` ---- */

bool starts_left(const struct rotation *rotation, int64_t now_ms, int64_t *ret_when)
{
    const struct start *oldest = &rotation->starts[rotation->next_start];
    *ret_when = oldest->at_ms + MINUTE_MS;
    return oldest->at_ms == 0 || *ret_when <= now_ms;
}

/* Those of the minute; target NULL: any. *ret_first: when the oldest was, if there is one. */
static unsigned started(const struct rotation *rotation, const char *target, int64_t now_ms,
                        int64_t *ret_first)
{
    unsigned n = 0;
    for (unsigned i = 0; i < rotation->n_starts; i++) {
        const struct start *start =
            &rotation->starts[(rotation->next_start + i) % rotation->n_starts];
        if (start->at_ms == 0 || start->at_ms + MINUTE_MS <= now_ms ||
            (target != NULL && strcmp(start->target, target) != 0))
            continue;
        if (n++ == 0)
            *ret_first = start->at_ms;
    }
    return n;
}

bool starts_left_at(const struct rotation *rotation, const struct rotation_target *target,
                    int64_t now_ms, int64_t *ret_when)
{
    int64_t first_ms = now_ms;
    unsigned n = started(rotation, target->name, now_ms, &first_ms);
    *ret_when = first_ms + MINUTE_MS;
    return target->starts_per_minute == 0 || n < target->starts_per_minute;
}

void start_count(struct rotation *rotation, const char *target, int64_t at_ms)
{
    struct start *start = &rotation->starts[rotation->next_start];
    (void)pthread_mutex_lock(&rotation->lock);
    rotation->next_start = (rotation->next_start + 1) % rotation->n_starts;
    start->at_ms = at_ms;
    (void)snprintf(start->target, sizeof start->target, "%s", target);
    (void)pthread_mutex_unlock(&rotation->lock);
}

void places_seen(struct rotation *rotation, const char *target, struct places_seen *ret)
{
    int64_t now_ms = rotation_steady_ms(rotation), first_ms = 0;
    (void)pthread_mutex_lock(&rotation->lock);
    ret->all = taken(rotation, NULL, target, &ret->here);
    ret->starts = started(rotation, NULL, now_ms, &first_ms);
    ret->starts_here = started(rotation, target, now_ms, &first_ms);
    (void)pthread_mutex_unlock(&rotation->lock);
    ret->most = places_most(rotation);
    ret->starts_most = rotation->n_starts;
}

const char *places_why(struct request *req, const struct rotation_target *target)
{
    struct places_seen seen;
    struct kt_arena *arena = &req->arena;
    places_seen(req->core->rotation, target->name, &seen);
    if (seen.here >= target->max_runs)
        return kt_arena_printf(arena, "its turn at target %s: %u of %u runs at a time are under way (max_runs)",
                               target->name, seen.here, target->max_runs);
    if (seen.all >= seen.most)
        return kt_arena_printf(arena, "its turn: %u of %u runs at a time are under way at targets", seen.all,
                               seen.most);
    if (target->starts_per_minute != 0 && seen.starts_here >= target->starts_per_minute)
        return kt_arena_printf(arena, "its turn at target %s: schedules start %u runs a minute there",
                               target->name, target->starts_per_minute);
    return seen.starts < seen.starts_most
               ? ""
               : kt_arena_printf(arena, "its turn: schedules start %u runs a minute", seen.starts_most);
}
