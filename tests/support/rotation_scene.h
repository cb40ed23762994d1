/* tests/support/rotation_scene.h - a secret at a simulated target, and one agent: the words in which
 * whole runs are told.
 *
 * What:    A vault with the target "pg", the secret db/orders that it rotates by a strategy, and a
 *          token for agents. What is asked and answered otherwise than wanted fails the test.
 * Owner:   scene() .. scene_end(). The latter also fails when the target ever accepted nothing that
 *          was stored.
 * Threads: the test's own; the vault's time stands still but for until(), goes_by(), let_go() and report(). */
#pragma once

#include "tests/support/sim_target.h"

#define SECRET "secret/db/orders"
/* Rounds of at least 1 ms: only what hangs needs so many. */
#define PATIENCE 30000

struct scene {
    struct sim sim;
    struct rotation_executor executor;
    struct test_vault *vault;
    char agent[128];
    const char *service; /* that its agents run; NULL: orders */
    char run[64];
    const char *strategy;
};

void need(struct scene *s, unsigned wanted, const char *method, const char *path, const char *body);
void text_at(struct scene *s, const char *dotted, char *out, size_t size);
void load_run(struct scene *s);
void pause_ms(long ms);
bool is_in(struct scene *s, const char *state);
/* So much of the vault's time passes, but only when its threads have done what they had to do by now; true: it did.
 * One that is stopped for half a second must not find that its limits are over. */
bool goes_by(struct scene *s, int64_t ms);
/* Lets the vault's time pass until the run is there. */
void until(struct scene *s, const char *state);
/* The same without letting time pass: only what needs no waiting. */
void soon(struct scene *s, const char *state);
/* max_overlap passes. */
void let_go(struct scene *s);
void says(struct scene *s, const char *text);
void soon_says(struct scene *s, const char *text);
/* A partial update. */
void change_rotation(struct scene *s, const char *body);
struct scene *scene(const char *strategy);
/* In-place from now on without allow_gap, as it stands when that was not asked for yet. */
void gap_unsaid(struct scene *s);
/* With people that are told. */
struct notify_channels;
struct scene *scene_telling(const char *strategy, const struct notify_channels *channels);
void scene_end(struct scene *s);
void rotate(struct scene *s);
unsigned as_agent(struct scene *s, const char *method, const char *path, const char *body);
unsigned report(struct scene *s, const char *host, unsigned version, const char *state);
void read_version(struct scene *s, unsigned version);
/* An agent that runs version 1 and is well. */
void register_agent(struct scene *s, const char *host);
void acknowledge(struct scene *s, const char *host, unsigned version);
unsigned current(struct scene *s, char user[64], char password[128]);
/* The value that everybody gets is the one that works. */
void current_is(struct scene *s, unsigned version, const char *user);
/* What no test can bring about here is put into the record of the run `id`, between two of its steps. */
struct run;
void put_into_run(struct scene *s, const char *id, void (*change)(struct run *run));
/* Its record as a vaultd of before wrote it: the newest that has this number. */
void put_as_format(struct scene *s, const char *id, unsigned format);
/* For it: as where the target makes the values, and was seen to refuse the old one before its time. */
void no_way_back(struct run *run);
bool alternates(const struct scene *s);
/* Setting the new one does not end the old one. */
bool revokes(const struct scene *s);
void ends_done(struct scene *s);
void ends_back(struct scene *s);
void cancel(struct scene *s, unsigned wanted);

/* A row of cmocka's table for each strategy; the test gives its state to scene(). */
extern char scene_alternate[], scene_in_place[], scene_overlap[];
#define ALTERNATE(fn) {#fn " (alternate)", fn, NULL, NULL, scene_alternate}
#define IN_PLACE(fn)  {#fn " (in-place)", fn, NULL, NULL, scene_in_place}
#define OVERLAP(fn)   {#fn " (overlap)", fn, NULL, NULL, scene_overlap}
#define BOTH(fn)      ALTERNATE(fn), IN_PLACE(fn)
#define EACH(fn)      BOTH(fn), OVERLAP(fn)
