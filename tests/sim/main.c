/* Runs simulated worlds: sim --seed N --crashes N [-v]. Prints where they crashed, and how.
 *
 *     sim --seed 7 --crashes 20000    world after world until so many crashes
 *     sim --world 123456 -v           one world, with its story: how a failure is repeated
 *     sim --world 123456 --steps 900  the same, stopped at that switch of threads */
#include <malloc.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "lib/json.h"
#include "lib/log.h"
#include "lib/num.h"
#include "lib/secret.h"
#include "tests/sim/actors.h"

#define LIVES 24u /* of a world: it stays small */

/* Worlds that found something: run first, each time. What they tell changes with the code; that
 * they are cheap does not. */
static const uint64_t found[] = {
    109,    /* a short read of the log's identity was taken for damage */
    100083, /* after a long outage a run went back without asking anybody */
    114,    /* a run that went back cut off a consumer that had not been heard */
    20001336, /* a target lost the new one between the proof of it and the end of the old one */
    85,     /* a run that went back sent consumers to what the target refused since it was put back */
};

static struct world_options now; /* the world that runs; for the message of a failure */
static char *program;

static void say_how_to_repeat(void)
{
    (void)fprintf(stderr, "again: %s --world %ju --lives %u -v\n", program, (uintmax_t)now.seed,
                  now.lives);
}

/* ---- the seed's randomness in place of the system's ---- */

static const char *random_name(void)
{
    return "sim";
}

static uint32_t random_word(void)
{
    return (uint32_t)sim_random();
}

static void random_bytes(void *const out, const size_t len)
{
    unsigned char *at = out;
    for (size_t i = 0; i < len; i += 8) {
        uint64_t word = sim_random();
        memcpy(at + i, &word, len - i < 8 ? len - i : 8);
    }
}

static struct randombytes_implementation randomness = {
    .implementation_name = random_name, .random = random_word, .buf = random_bytes};

/* ---- the table ---- */

static bool print_hits(bool must_be_full)
{
    bool full = true;
    (void)printf("%-46s", "crashed at");
    for (unsigned f = 0; f < DISK_FAULTS; f++)
        (void)printf(" %8s", fault_text((enum disk_fault)f));
    (void)printf("\n");
    for (unsigned p = 0; p < PLACE_COUNT; p++) {
        (void)printf("%-46s", place_text((enum place)p));
        for (unsigned f = 0; f < DISK_FAULTS; f++) {
            full = full && world_hits[p][f] > 0;
            (void)printf(" %8lu", world_hits[p][f]);
        }
        (void)printf("\n");
    }
    if (must_be_full && !full)
        (void)printf("not ok - every place is hit with every fault: a cell is empty\n");
    else if (must_be_full)
        (void)printf("ok - every place is hit with every fault\n");
    return full || !must_be_full;
}

/* ---- running ---- */

static bool same_twice(uint64_t seed)
{
    unsigned crashes = 0;
    unsigned long hits[PLACE_COUNT][DISK_FAULTS];
    now = (struct world_options){.seed = seed, .lives = LIVES};
    memcpy(hits, world_hits, sizeof hits);
    uint64_t first = world_run(&now, &crashes), second = world_run(&now, &crashes);
    memcpy(world_hits, hits, sizeof hits);
    (void)printf("%s - a seed tells the same story twice\n", first == second ? "ok" : "not ok");
    return first == second;
}

static int run_many(uint64_t seed, uint64_t wanted, unsigned minutes)
{
    struct timespec begun, at;
    uint64_t crashes = 0, worlds = 0, next = seed;
    (void)clock_gettime(CLOCK_MONOTONIC, &begun);
    bool good = same_twice(seed);
    for (size_t i = 0; i < sizeof found / sizeof found[0]; i++) {
        unsigned some = 0;
        now = (struct world_options){.seed = found[i], .lives = LIVES};
        (void)world_run(&now, &some);
    }
    for (bool more = true; more;) {
        unsigned some = 0;
        now = (struct world_options){.seed = next++, .lives = LIVES};
        (void)world_run(&now, &some);
        crashes += some;
        worlds++;
        (void)clock_gettime(CLOCK_MONOTONIC, &at);
        more = minutes > 0 ? at.tv_sec - begun.tv_sec < (time_t)minutes * 60 : crashes < wanted;
    }
    good = print_hits(crashes >= 10000) && good;
    good = fleet_print(crashes >= 10000) && good;
    (void)printf("ok - %ju crashes in %ju worlds from seed %ju, %ld s\n", (uintmax_t)crashes,
                 (uintmax_t)worlds, (uintmax_t)seed, (long)(at.tv_sec - begun.tv_sec));
    return good ? 0 : 1;
}

static int run_one(const struct world_options *options)
{
    unsigned crashes = 0;
    now = *options;
    uint64_t story = world_run(&now, &crashes);
    (void)printf("ok - world %ju: %u crashes, story %016jx\n", (uintmax_t)options->seed, crashes,
                 (uintmax_t)story);
    return 0;
}

/* ---- the command line ---- */

struct words {
    uint64_t seed, crashes, minutes, world, lives, steps;
    bool one, verbose;
};

static bool read_words(int argc, char **argv, struct words *w)
{
    const struct {
        const char *name;
        uint64_t *to;
    } numbers[] = {{"--seed", &w->seed},   {"--crashes", &w->crashes}, {"--minutes", &w->minutes},
                   {"--world", &w->world}, {"--lives", &w->lives},     {"--steps", &w->steps}};
    for (int i = 1; i < argc; i++) {
        bool known = strcmp(argv[i], "-v") == 0;
        w->verbose = w->verbose || known;
        for (size_t n = 0; n < sizeof numbers / sizeof numbers[0] && !known; n++)
            if (strcmp(argv[i], numbers[n].name) == 0 && i + 1 < argc) {
                known = kt_u64_parse(kt_str(argv[++i]), UINT64_MAX, numbers[n].to);
                w->one = w->one || numbers[n].to == &w->world;
            }
        if (!known)
            return false;
    }
    return true;
}

/* A life takes what the last one gave back, instead of asking the system anew. */
static void keep_memory(void)
{
    (void)mallopt(M_ARENA_MAX, 1);
    (void)mallopt(M_MMAP_THRESHOLD, 32 << 20);
    (void)mallopt(M_TRIM_THRESHOLD, 512 << 20);
}

int main(int argc, char **argv)
{
    struct words w = {.seed = 1, .crashes = 20000, .lives = LIVES};
    program = argv[0];
    if (!read_words(argc, argv, &w)) {
        (void)fprintf(stderr,
                      "usage: %s [--seed N] [--crashes N | --minutes N]\n"
                      "       %s --world N [--lives N] [--steps N] [-v]\n",
                      argv[0], argv[0]);
        return 1;
    }
    keep_memory();
    (void)randombytes_set_implementation(&randomness);
    if (kt_secret_init(NULL) != KT_OK)
        return 1;
    kt_json_init();
    /* Of errors it has plenty, that a run froze for one: they are part of the story. */
    kt_log_set_level(w.verbose ? KT_LOG_INFO : (enum kt_log_level)(KT_LOG_ERROR - 1));
    sim_on_fail(say_how_to_repeat);
    const struct world_options one = {
        .seed = w.world, .lives = (unsigned)w.lives, .stop_at = w.steps, .verbose = w.verbose};
    return w.one ? run_one(&one) : run_many(w.seed, w.crashes, (unsigned)w.minutes);
}
