#include "tests/sim/world.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/sim/actors.h"
#include "tests/support/store_image.h"
#include "tests/sim/wrapped.h"
#include "vaultd/store/inmem.h"

#define MS         INT64_C(1000000)
#define SEGMENT    ((size_t)48 * 1024)
#define ACTORS_MAX 16u

unsigned long world_hits[PLACE_COUNT][DISK_FAULTS];

const char *place_text(enum place place)
{
#define X(name, text) text,
    static const char *const texts[] = {WORLD_PLACES(X)};
#undef X
    return texts[place];
}

const char *fault_text(enum disk_fault fault)
{
    static const char *const texts[] = {"kill", "lost", "reorder", "torn"};
    return texts[fault];
}

void world_say(const struct world *world, const char *format, ...)
{
    if (!world->options.verbose)
        return;
    va_list args;
    va_start(args, format);
    (void)printf("%12.6f life %u%s  ", (double)sched_now_ns() / 1e9, world->life,
                 world->dead ? " (dead)" : "");
    (void)vprintf(format, args);
    (void)printf("\n");
    va_end(args);
}

/* ---- the wall clock ---- */

static int64_t later(int64_t a, int64_t b)
{
    return a > b ? a : b;
}

int64_t world_life_least_ms(const struct world *world)
{
    return later(sched_wall_ms(), sched_true_ms() + world->offset_ms) - WORLD_CUT_MS;
}

int64_t world_life_most_ms(const struct world *world)
{
    return later(sched_wall_ms(), sched_true_ms() + world->most_offset_ms);
}

static void set_clock(struct world *world, int64_t by_ms)
{
    tokens_look(world);
    sched_set_wall(by_ms * MS);
    events_clock_was_set();
    world->ahead_ms = later(world->ahead_ms, sched_wall_ms() - sched_true_ms());
    world_say(world, "the wall clock is set by %lld ms", (long long)by_ms);
}

void world_set_clock(struct world *world)
{
    if (!world->sets_clock)
        return;
    int64_t by_ms = (int64_t)sim_below(sim_chance(500) ? 7200000 : 5000);
    by_ms = sim_chance(600) ? -by_ms : by_ms;
    set_clock(world, by_ms);
}

/* What was planned while it was ahead waits for it, which may be hours. */
static void set_clock_ahead(struct world *world)
{
    set_clock(world, world->ahead_ms - (sched_wall_ms() - sched_true_ms()));
}

/* ---- dying ---- */

static void die(struct world *world, enum place place)
{
    world->dead = true;
    world->crashes++;
    world->died_at = place;
    world->died_wall_ms = sched_wall_ms();
    world->died_of_power = world->fault != DISK_KILL;
    world_hits[place][world->fault]++;
    store_image_freeze(world->image);
    disk_crash(world->fault);
    sched_wake(world); /* who waits in live() */
    world_say(world, "crash (%s) at: %s", fault_text(world->fault), place_text(place));
}

void world_place(struct world *world, enum place place)
{
    if (world->dead || place != world->at || world->countdown == 0)
        return;
    if (--world->countdown == 0)
        die(world, place);
}

static void on_disk(void *arg, enum disk_what what, bool done)
{
    static const enum place places[] = {
        [DISK_WRITE] = PLACE_LOG_WRITE,         [DISK_SYNC_SEGMENT] = PLACE_SEGMENT_SYNC,
        [DISK_SYNC_INDEX] = PLACE_INDEX_SYNC,   [DISK_SYNC_TREE] = PLACE_TREE_SYNC,
        [DISK_SYNC_NOTES] = PLACE_NOTES_SYNC,   [DISK_SYNC_OTHER] = PLACE_IDENTITY_SYNC,
        [DISK_SYNC_FOLDER] = PLACE_FOLDER_SYNC, [DISK_CREATE] = PLACE_FILE_CREATE,
        [DISK_UNLINK] = PLACE_FILE_UNLINK,      [DISK_RENAME] = PLACE_FILE_RENAME,
        [DISK_ALLOCATE] = PLACE_ALLOCATE};
    world_place(arg, (enum place)(places[what] + (done ? 1 : 0)));
    sched_point();
}

/* What is on its way to the disk takes a while, and so does word of it. */
static void on_fold(void *arg, bool durable)
{
    struct world *world = arg;
    if (!durable)
        sched_sleep_ns(sim_below(3000) * INT64_C(1000));
    world_place(world, durable ? PLACE_FOLD_DURABLE : PLACE_FOLD_BEGUN);
    if (durable && sim_chance(100))
        sched_sleep_ns(sim_below(40) * MS);
}

static void on_point(void *arg)
{
    struct world *world = arg;
    if (world->options.stop_at != 0 && sched_switches() >= world->options.stop_at)
        sim_fail("stopped after %ju switches, as wished", (uintmax_t)world->options.stop_at);
    world_place(world, PLACE_STEP);
}

/* ---- the plan ---- */

static bool is_rare(enum place place)
{
    return place == PLACE_FILE_RENAME || place == PLACE_FILE_RENAMED ||
           place == PLACE_IDENTITY_SYNC || place == PLACE_IDENTITY_SYNCED;
}

/* A life that is to end there mostly does not come to it: few are tried, since they take long. */
static bool is_seldom(enum place place)
{
    return place == PLACE_RESTORE_BEFORE || place == PLACE_RESTORE_AFTER;
}

static bool is_at_target(enum place place)
{
    return place >= PLACE_APPLY_BEFORE && place <= PLACE_RESTORE_AFTER;
}

static void plan(struct world *world)
{
    bool first = !world->initialized;
    do
        world->at = (enum place)sim_below(PLACE_COUNT);
    while ((first ? !is_rare(world->at) && sim_chance(600) : is_rare(world->at)) ||
           (is_seldom(world->at) && sim_chance(600)));
    world->fault = (enum disk_fault)sim_below(DISK_FAULTS);
    bool target = is_at_target(world->at);
    unsigned most = world->at == PLACE_STEP ? 12 : is_rare(world->at) ? 1 : target ? 2 : 6;
    world->countdown = 1 + sim_below(1u << sim_below(most));
    world->clean =
        sim_chance(150) || world->at == PLACE_FILE_UNLINK || world->at == PLACE_FILE_UNLINKED;
    if (world->clean)
        world->countdown = 1 + sim_below(world->at == PLACE_STEP ? 200 : 2);
    world->ends_ns = sched_now_ns() + (200 + (int64_t)sim_below(1u << (8 + sim_below(6)))) * MS;
    world->wants_rotation = target;
    if (target)
        world->ends_ns += 9000 * MS;
    world->dead = world->leaving = false;
    world_say(world, "plan: %s, %s, time %u%s", place_text(world->at), fault_text(world->fault),
              world->countdown, world->clean ? ", else stops in order" : "");
    if (world->clean && !first)
        return;
    sched_set_preempt(20u << sim_below(4));
}

/* ---- a life ---- */

static void open_vault(struct world *world)
{
    struct kt_err err = {0};
    if (image_open(world->image, &world->store, &err) != KT_OK)
        sim_fail("the store does not open: %s", err.what);
    const struct core_config config = {.cluster_name = "sim",
                                       .data_folder = DISK_ROOT,
                                       .storage_type = "inmem",
                                       .executor = fleet_executor(world),
                                       .audit_segment_bytes = SEGMENT,
                                       .dev = true};
    world->offset_ms = sched_wall_ms() - sched_true_ms();
    world->most_offset_ms = later(world->most_offset_ms, world->offset_ms);
    if (core_new(&config, world->store, &kt_system_clock, &world->core, &err) != KT_OK)
        sim_fail("the vault does not open: %s", err.what);
}

static void make_vault(struct world *world)
{
    struct kt_err err = {0};
    struct kt_buf root;
    unsigned char share[1][SHAMIR_SHARE_BYTES];
    bool was_dead = world->dead;
    kt_buf_init(&root, sizeof world->root - 1);
    if (core_init(world->core, 1, 1, share, &root, &err) != KT_OK)
        sim_fail("init: %s", err.what);
    /* Died meanwhile: perhaps made, perhaps not. Its share is good for whichever came out of it. */
    if (!was_dead) {
        memcpy(world->share, share, sizeof share);
        memcpy(world->root, root.at, root.len);
        world->root[root.len] = '\0';
    }
    kt_buf_free(&root);
}

static void unseal(struct world *world)
{
    struct kt_err err = {0};
    bool unsealed = false, all = false;
    if (!barrier_initialized(world->core->barrier))
        make_vault(world);
    if (world->dead)
        return;
    world->initialized = true;
    if (core_unseal_share(world->core, world->share[0], false, &unsealed, &all, &err) != KT_OK ||
        !unsealed)
        sim_fail("unseal: %s", err.what);
    if (core_unsealed(world->core, false, &err) != KT_OK)
        sim_fail("the vault refuses what a crash left: %s; %s", err.what, err.hint);
}

static void *act(void *arg)
{
    struct actor *actor = arg;
    actor->run(actor->world, actor->number);
    return NULL;
}

static unsigned start_actors(struct world *world, struct actor *actors)
{
    unsigned n = world->last ? actors_list_last(world, actors, ACTORS_MAX)
                             : actors_list(world, actors, ACTORS_MAX);
    for (unsigned i = 0; i < n; i++) {
        actors[i].world = world;
        if (pthread_create(&actors[i].thread, NULL, act, &actors[i]) != 0)
            sim_fail("no thread");
    }
    return n;
}

static void live(struct world *world)
{
    struct actor actors[ACTORS_MAX];
    unsigned n = start_actors(world, actors);
    if (world->last)
        fleet_settle(world);
    while (!world->dead && sched_now_ns() < world->ends_ns)
        sched_wait(world, world->ends_ns);
    if (!world->dead && !world->clean) {
        world->at = PLACE_STEP;
        world->countdown = 1;
        world_place(world, PLACE_STEP);
    }
    world->leaving = true;
    bool sealed = world->dead; /* ends what waits for news */
    if (sealed)
        core_seal(world->core, "sim");
    for (unsigned i = 0; i < n; i++)
        (void)pthread_join(actors[i].thread, NULL);
    if (!sealed)
        core_seal(world->core, "sim");
}

static void close_vault(struct world *world)
{
    core_free(world->core);
    store_close(world->store);
    world->core = NULL;
    world->store = NULL;
    if (sched_tasks() != 1)
        sim_fail("the vault left %u threads", sched_tasks() - 1);
    if (disk_open_files() != 0)
        sim_fail("the vault left %u files open", disk_open_files());
}

/* Nothing goes wrong any more: what was begun comes to an end. */
static void plan_last(struct world *world)
{
    plan(world);
    if (world->sets_clock)
        set_clock_ahead(world);
    fleet_calm(world);
    world->countdown = 0;
    world->clean = world->last = true;
    world->ends_ns = 0;
}

static void one_life(struct world *world, bool last)
{
    if (last)
        plan_last(world);
    else
        plan(world);
    open_vault(world);
    unseal(world);
    if (!world->dead)
        actors_check(world);
    if (!world->dead)
        live(world);
    close_vault(world);
    int64_t mono = INT64_C(100000000000);
    if (world->dead)
        disk_revive();
    else
        world->died_wall_ms = sched_wall_ms();
    if (!world->dead || !world->died_of_power)
        mono = 0; /* goes on */
    int64_t wall = world->died_wall_ms + (int64_t)sim_below(sim_chance(100) ? 7200000 : 5000);
    sched_set_clocks(wall * MS, mono != 0 ? mono : sched_now_ns());
    tokens_look(world);
    if (sim_chance(50))
        world_set_clock(world);
    if (world->dead)
        actors_crashed(world);
    world->life++;
}

/* ---- all of it ---- */

struct running {
    const struct world_options *options;
    unsigned crashes;
    uint64_t story;
};

/* In a thread of its own, so that what a thread keeps begins anew, too. */
static void *run(void *arg)
{
    struct running *running = arg;
    struct world *world = calloc(1, sizeof *world);
    if (world == NULL)
        sim_fail("no memory");
    world->options = *running->options;
    sched_begin(world->options.seed);
    disk_format(on_disk, world);
    world->image = store_image_new();
    store_image_watch(world->image, on_fold, world);
    sched_on_point(on_point, world);
    world->sets_clock = sim_chance(400);
    actors_begin(world);
    while (world->crashes < world->options.lives)
        one_life(world, false);
    one_life(world, true);
    actors_end(world);
    store_image_free(world->image);
    sched_note(disk_sum());
    running->crashes = world->crashes;
    running->story = sched_story();
    sched_end();
    free(world);
    return NULL;
}

uint64_t world_run(const struct world_options *options, unsigned *ret_crashes)
{
    struct running running = {.options = options};
    pthread_t thread;
    if (__real_pthread_create(&thread, NULL, run, &running) != 0)
        sim_fail("no thread");
    (void)__real_pthread_join(thread, NULL);
    *ret_crashes = running.crashes;
    return running.story;
}
