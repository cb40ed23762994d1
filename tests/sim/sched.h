/* tests/sim/sched.h - a vault's threads, one at a time, in an order and at times that a seed gives.
 *
 * What:    The program is linked with --wrap for everything in which a thread can wait or look at a
 *          clock (tests/sim/wraps): pthread's mutexes, conditions, creation and joining, clocks,
 *          sleeping, eventfd, timerfd and poll. The threads are fibers (tests/sim/fiber.h): one goes
 *          on until it waits, or the seed says that it is another one's turn: whenever it takes or
 *          gives back a lock. When nobody can go on, the clock is set to the next deadline. Nobody
 *          waiting for a deadline is a deadlock, and reported with who waits for what.
 * Time:    virtual, in nanoseconds; it passes only here. Each look at a clock costs 1 us, so that
 *          no loop that waits for time to pass is endless.
 * Owner:   sched_begin() makes the calling thread the first task; sched_end() when all others
 *          ended.
 * Threads: only tasks call this. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

void sched_begin(uint64_t seed);
void sched_end(void);
bool sched_active(void);

/* ---- chance; every draw is part of the seed's story ---- */
uint64_t sim_random(void);
uint32_t sim_below(uint32_t bound);
bool sim_chance(unsigned per_mille);

/* ---- time ---- */
int64_t sched_now_ns(void);
void sched_sleep_ns(int64_t ns);
/* The machine was off, or its clock is set: what the clocks show from now on. */
void sched_set_clocks(int64_t wall_ns, int64_t mono_ns);
int64_t sched_wall_ms(void);
/* Somebody sets the wall clock by so much. */
void sched_set_wall(int64_t by_ns);
/* What the wall clock would show if nobody had ever set it; and by how much it was set in all, either way. */
int64_t sched_true_ms(void);
int64_t sched_moved_ms(void);

/* ---- switching ---- */
/* Here somebody else may go on first. */
void sched_point(void);
/* How often a point is a switch. */
void sched_set_preempt(unsigned per_mille);
/* Called at each point, before anybody switches; may switch itself. */
void sched_on_point(void (*fn)(void *arg), void *arg);
/* Wakes who waits for the object in sched_wait(). */
void sched_wait(const void *object, int64_t deadline_ns); /* INT64_MAX: none */
void sched_wake(const void *object);
unsigned sched_tasks(void);
uint64_t sched_switches(void);
/* A number of everything decided and noted so far: the same seed gives the same one. */
uint64_t sched_story(void);
void sched_note(uint64_t value);

/* Says what is wrong and where the story stands, and ends the process. */
_Noreturn void sim_fail(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* Called by sim_fail() first: says how to come here again. */
void sim_on_fail(void (*fn)(void));
