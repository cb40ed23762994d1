#include "tests/sim/sched.h"

#include <errno.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "tests/sim/fiber.h"
#include "tests/sim/wrapped.h"

#define TASKS_MAX 64u
#define KEYS_MAX  32u
#define NS_MS     INT64_C(1000000)

enum task_state { TASK_FREE, TASK_READY, TASK_WAITS, TASK_ENDED };

struct task {
    enum task_state state;
    struct fiber *fiber;
    void *(*run)(void *arg);
    void *arg, *returned;
    const void *kept[KEYS_MAX]; /* by key */
    const void *object; /* waited for */
    int64_t deadline_ns;
    bool late;
    const char *what; /* is it waiting in */
    unsigned number;
};

static struct sched {
    bool active;
    struct task tasks[TASKS_MAX];
    unsigned started;
    int64_t now_ns, wall_at_ns, wall_ns, mono_at_ns, mono_ns;
    int64_t set_ns, moved_ns; /* how the wall clock was set: in sum, and either way */
    uint64_t random, story, switches;
    unsigned preempt;
    void (*on_point)(void *arg);
    void *on_point_arg;
    void (*on_fail)(void);
} sched;

static struct task *self;

/* The keys that the vault made; they outlive worlds, as what is made once does. */
static struct {
    bool used;
    void (*free)(void *kept);
} keys[KEYS_MAX];

/* ---- failing ---- */

void sim_on_fail(void (*fn)(void))
{
    sched.on_fail = fn;
}

_Noreturn void sim_fail(const char *format, ...)
{
    char text[2000];
    va_list args;
    va_start(args, format);
    (void)vsnprintf(text, sizeof text, format, args);
    va_end(args);
    (void)fflush(stdout);
    (void)fprintf(stderr, "\nnot ok - simulated world: %s\n", text);
    if (sched.on_fail != NULL)
        sched.on_fail();
    (void)fflush(stderr);
    _exit(1);
}

/* ---- chance ---- */

void sched_note(uint64_t value)
{
    sched.story = (sched.story ^ value) * UINT64_C(0x100000001b3);
}

/* splitmix64 */
uint64_t sim_random(void)
{
    uint64_t z = sched.random += UINT64_C(0x9e3779b97f4a7c15);
    z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
    return z ^ z >> 31;
}

uint32_t sim_below(uint32_t bound)
{
    return (uint32_t)(((sim_random() >> 32) * bound) >> 32);
}

bool sim_chance(unsigned per_mille)
{
    return sim_below(1000) < per_mille;
}

uint64_t sched_story(void)
{
    return sched.story;
}

uint64_t sched_switches(void)
{
    return sched.switches;
}

/* ---- whose turn it is ---- */

static void make_ready(struct task *task, bool late)
{
    task->state = TASK_READY;
    task->late = late;
    task->object = NULL;
    task->deadline_ns = INT64_MAX;
}

static _Noreturn void deadlock(void)
{
    char text[1500];
    size_t at = 0;
    for (unsigned i = 0; i < TASKS_MAX; i++) {
        const struct task *task = &sched.tasks[i];
        if (task->state == TASK_WAITS && at < sizeof text)
            at += (size_t)snprintf(text + at, sizeof text - at, " [task %u: %s %p]", task->number,
                                   task->what, task->object);
    }
    sim_fail("nobody can go on:%s", text);
}

/* Time passes until somebody's wait is over. */
static void pass_time(void)
{
    int64_t next = INT64_MAX;
    for (unsigned i = 0; i < TASKS_MAX; i++)
        if (sched.tasks[i].state == TASK_WAITS && sched.tasks[i].deadline_ns < next)
            next = sched.tasks[i].deadline_ns;
    if (next == INT64_MAX)
        deadlock();
    if (next > sched.now_ns)
        sched.now_ns = next;
    for (unsigned i = 0; i < TASKS_MAX; i++)
        if (sched.tasks[i].state == TASK_WAITS && sched.tasks[i].deadline_ns <= sched.now_ns)
            make_ready(&sched.tasks[i], true);
}

static struct task *choose(void)
{
    for (;;) {
        struct task *ready[TASKS_MAX];
        unsigned n = 0;
        for (unsigned i = 0; i < TASKS_MAX; i++)
            if (sched.tasks[i].state == TASK_READY)
                ready[n++] = &sched.tasks[i];
        if (n > 0)
            return ready[n == 1 ? 0 : sim_below(n)];
        pass_time();
    }
}

/* The caller's state is set; returns when it is its turn again. */
static void switch_away(void)
{
    struct task *next = choose();
    sched_note(next->number);
    if (next == self)
        return;
    sched.switches++;
    struct task *me = self;
    self = next;
    fiber_switch(me->fiber, next->fiber);
}

void sched_point(void)
{
    if (!sched.active || self == NULL)
        return;
    if (sched.on_point != NULL)
        sched.on_point(sched.on_point_arg);
    if (sched.preempt != 0 && sim_chance(sched.preempt))
        switch_away();
}

static void wait_for(const char *what, const void *object, int64_t deadline_ns)
{
    self->what = what;
    self->object = object;
    self->deadline_ns = deadline_ns;
    self->state = TASK_WAITS;
    switch_away();
}

void sched_wait(const void *object, int64_t deadline_ns)
{
    wait_for("event", object, deadline_ns);
}

void sched_wake(const void *object)
{
    for (unsigned i = 0; i < TASKS_MAX; i++)
        if (sched.tasks[i].state == TASK_WAITS && sched.tasks[i].object == object)
            make_ready(&sched.tasks[i], false);
}

void sched_set_preempt(unsigned per_mille)
{
    sched.preempt = per_mille;
}

void sched_on_point(void (*fn)(void *arg), void *arg)
{
    sched.on_point = fn;
    sched.on_point_arg = arg;
}

bool sched_active(void)
{
    return sched.active && self != NULL;
}

unsigned sched_tasks(void)
{
    unsigned n = 0;
    for (unsigned i = 0; i < TASKS_MAX; i++)
        n += sched.tasks[i].state == TASK_READY || sched.tasks[i].state == TASK_WAITS;
    return n;
}

/* ---- birth and end ---- */

static struct task *new_task(void)
{
    for (unsigned i = 0; i < TASKS_MAX; i++)
        if (sched.tasks[i].state == TASK_FREE) {
            struct task *task = &sched.tasks[i];
            memset(task, 0, sizeof *task);
            task->state = TASK_READY;
            task->deadline_ns = INT64_MAX;
            task->number = ++sched.started;
            return task;
        }
    sim_fail("more than %u threads", TASKS_MAX);
}

/* pthread takes it as const and gives it back as it was. */
static void *writable(const void *kept)
{
    void *same;
    memcpy(&same, &kept, sizeof same);
    return same;
}

/* As pthread's threads do: what a destructor kept anew is freed in another round. */
static void free_kept(struct task *task)
{
    bool more = true;
    for (int round = 0; round < PTHREAD_DESTRUCTOR_ITERATIONS && more; round++) {
        more = false;
        for (unsigned i = 0; i < KEYS_MAX; i++) {
            void *kept = writable(task->kept[i]);
            task->kept[i] = NULL;
            if (kept == NULL || !keys[i].used || keys[i].free == NULL)
                continue;
            keys[i].free(kept);
            more = true;
        }
    }
}

static void live(void *arg)
{
    struct task *task = arg;
    task->returned = task->run(task->arg);
    free_kept(task);
    task->state = TASK_ENDED;
    sched_wake(task);
    switch_away();
}

void sched_begin(uint64_t seed)
{
    void (*on_fail)(void) = sched.on_fail;
    memset(&sched, 0, sizeof sched);
    sched.on_fail = on_fail;
    sched.active = true;
    sched.random = seed;
    sched.story = UINT64_C(0xcbf29ce484222325);
    sched.now_ns = INT64_C(1000000000);
    sched_set_clocks(INT64_C(1800000000000000000), INT64_C(100000000000));
    sched.preempt = 60;
    self = new_task();
    self->fiber = fiber_of_thread();
}

void sched_end(void)
{
    if (sched_tasks() != 1)
        sim_fail("%u threads are left", sched_tasks() - 1);
    free_kept(self);
    sched.active = false;
    self->state = TASK_FREE;
    fiber_free(self->fiber);
    self = NULL;
}

/* ---- time ---- */

int64_t sched_now_ns(void)
{
    return sched.now_ns;
}

void sched_sleep_ns(int64_t ns)
{
    if (ns > 0)
        wait_for("sleep", NULL, sched.now_ns + ns);
}

void sched_set_clocks(int64_t wall_ns, int64_t mono_ns)
{
    sched.wall_at_ns = sched.mono_at_ns = sched.now_ns;
    sched.wall_ns = wall_ns;
    sched.mono_ns = mono_ns;
}

static int64_t clock_ns(clockid_t id)
{
    return id == CLOCK_REALTIME ? sched.wall_ns + sched.now_ns - sched.wall_at_ns
                                : sched.mono_ns + sched.now_ns - sched.mono_at_ns;
}

int64_t sched_wall_ms(void)
{
    return clock_ns(CLOCK_REALTIME) / NS_MS;
}

void sched_set_wall(int64_t by_ns)
{
    sched.wall_ns += by_ns;
    sched.set_ns += by_ns;
    sched.moved_ns += by_ns < 0 ? -by_ns : by_ns;
}

int64_t sched_true_ms(void)
{
    return (clock_ns(CLOCK_REALTIME) - sched.set_ns) / NS_MS;
}

int64_t sched_moved_ms(void)
{
    return (sched.moved_ns + NS_MS - 1) / NS_MS;
}

static int64_t when_ns(clockid_t id, const struct timespec *at)
{
    int64_t ns = (int64_t)at->tv_sec * 1000000000 + at->tv_nsec;
    return sched.now_ns + (ns - clock_ns(id));
}

int __wrap_clock_gettime(clockid_t id, struct timespec *ret)
{
    if (!sched_active())
        return __real_clock_gettime(id, ret);
    sched.now_ns += 1000;
    int64_t ns = clock_ns(id);
    ret->tv_sec = ns / 1000000000;
    ret->tv_nsec = ns % 1000000000;
    return 0;
}

int __wrap_nanosleep(const struct timespec *time, struct timespec *left)
{
    if (!sched_active())
        return __real_nanosleep(time, left);
    sched_sleep_ns((int64_t)time->tv_sec * 1000000000 + time->tv_nsec);
    return 0;
}

int __wrap_sched_yield(void)
{
    if (!sched_active())
        return __real_sched_yield();
    switch_away();
    return 0;
}

/* ---- mutexes: their own bytes say whether they are taken ---- */

struct lock {
    uint32_t taken; /* 0: as PTHREAD_MUTEX_INITIALIZER says; else the task's number */
};
_Static_assert(sizeof(struct lock) <= sizeof(pthread_mutex_t), "it has room");

static struct lock *lock_of(pthread_mutex_t *mutex)
{
    return (struct lock *)(void *)mutex;
}

int __wrap_pthread_mutex_init(pthread_mutex_t *mutex, const pthread_mutexattr_t *attributes)
{
    (void)attributes;
    memset(mutex, 0, sizeof *mutex);
    return 0;
}

int __wrap_pthread_mutex_destroy(pthread_mutex_t *mutex)
{
    if (lock_of(mutex)->taken != 0)
        sim_fail("a mutex is destroyed while task %u holds it", lock_of(mutex)->taken);
    return 0;
}

static void lock_it(pthread_mutex_t *mutex)
{
    struct lock *lock = lock_of(mutex);
    if (self == NULL)
        return; /* before the first world: one thread */
    if (lock->taken == self->number)
        sim_fail("task %u takes a mutex that it holds", self->number);
    while (lock->taken != 0)
        wait_for("mutex", mutex, INT64_MAX);
    lock->taken = self->number;
}

static void unlock_it(pthread_mutex_t *mutex)
{
    struct lock *lock = lock_of(mutex);
    if (self == NULL)
        return;
    if (lock->taken != self->number)
        sim_fail("task %u gives back a mutex that task %u holds", self->number, lock->taken);
    lock->taken = 0;
    sched_wake(mutex);
}

int __wrap_pthread_mutex_lock(pthread_mutex_t *mutex)
{
    sched_point();
    lock_it(mutex);
    return 0;
}

int __wrap_pthread_mutex_unlock(pthread_mutex_t *mutex)
{
    unlock_it(mutex);
    sched_point();
    return 0;
}

/* ---- conditions ---- */

struct condition {
    uint32_t clock;
};
_Static_assert(sizeof(struct condition) <= sizeof(pthread_cond_t), "it has room");

static struct condition *condition_of(pthread_cond_t *cond)
{
    return (struct condition *)(void *)cond;
}

int __wrap_pthread_condattr_init(pthread_condattr_t *attributes)
{
    memset(attributes, 0, sizeof *attributes);
    return 0;
}

int __wrap_pthread_condattr_destroy(pthread_condattr_t *attributes)
{
    (void)attributes;
    return 0;
}

int __wrap_pthread_condattr_setclock(pthread_condattr_t *attributes, clockid_t id)
{
    const int clock = id;
    memcpy(attributes, &clock, sizeof clock);
    return 0;
}

int __wrap_pthread_cond_init(pthread_cond_t *cond, const pthread_condattr_t *attributes)
{
    int clock = CLOCK_REALTIME;
    memset(cond, 0, sizeof *cond);
    if (attributes != NULL)
        memcpy(&clock, attributes, sizeof clock);
    condition_of(cond)->clock = (uint32_t)clock;
    return 0;
}

int __wrap_pthread_cond_destroy(pthread_cond_t *cond)
{
    for (unsigned i = 0; i < TASKS_MAX; i++)
        if (sched.tasks[i].state == TASK_WAITS && sched.tasks[i].object == cond)
            sim_fail("a condition is destroyed while task %u waits", sched.tasks[i].number);
    return 0;
}

int __wrap_pthread_cond_wait(pthread_cond_t *cond, pthread_mutex_t *mutex)
{
    unlock_it(mutex);
    if (sim_chance(4))
        switch_away(); /* spurious, as POSIX allows */
    else
        wait_for("condition", cond, INT64_MAX);
    lock_it(mutex);
    return 0;
}

int __wrap_pthread_cond_timedwait(pthread_cond_t *cond, pthread_mutex_t *mutex,
                                  const struct timespec *until)
{
    int64_t deadline = when_ns((clockid_t)condition_of(cond)->clock, until);
    if (deadline <= sched.now_ns) {
        unlock_it(mutex);
        sched_point();
        lock_it(mutex);
        return ETIMEDOUT;
    }
    unlock_it(mutex);
    wait_for("condition", cond, deadline);
    bool late = self->late;
    lock_it(mutex);
    return late ? ETIMEDOUT : 0;
}

int __wrap_pthread_cond_signal(pthread_cond_t *cond)
{
    struct task *waiting[TASKS_MAX];
    unsigned n = 0;
    for (unsigned i = 0; i < TASKS_MAX; i++)
        if (sched.tasks[i].state == TASK_WAITS && sched.tasks[i].object == cond)
            waiting[n++] = &sched.tasks[i];
    if (n > 0)
        make_ready(waiting[n == 1 ? 0 : sim_below(n)], false);
    sched_point();
    return 0;
}

int __wrap_pthread_cond_broadcast(pthread_cond_t *cond)
{
    sched_wake(cond);
    sched_point();
    return 0;
}

/* ---- threads ---- */

static pthread_t name_of(const struct task *task)
{
    return (pthread_t)(uintptr_t)task;
}

pthread_t __wrap_pthread_self(void)
{
    return sched_active() ? name_of(self) : __real_pthread_self();
}

int __wrap_pthread_setname_np(pthread_t thread, const char *name)
{
    return sched_active() ? 0 : __real_pthread_setname_np(thread, name);
}

int __wrap_pthread_create(pthread_t *ret, const pthread_attr_t *attributes, void *(*run)(void *),
                          void *arg)
{
    if (!sched_active())
        return __real_pthread_create(ret, attributes, run, arg);
    struct task *task = new_task();
    task->run = run;
    task->arg = arg;
    task->fiber = fiber_new(live, task);
    *ret = name_of(task);
    sched_point();
    return 0;
}

int __wrap_pthread_join(pthread_t thread, void **ret)
{
    if (!sched_active())
        return __real_pthread_join(thread, ret);
    for (unsigned i = 0; i < TASKS_MAX; i++) {
        struct task *task = &sched.tasks[i];
        if (task->state == TASK_FREE || name_of(task) != thread || task == self)
            continue;
        while (task->state != TASK_ENDED)
            wait_for("join", task, INT64_MAX);
        if (ret != NULL)
            *ret = task->returned;
        fiber_free(task->fiber);
        task->state = TASK_FREE;
        return 0;
    }
    sim_fail("a thread is joined that is not there");
}

/* ---- what a thread keeps ---- */

int __wrap_pthread_key_create(pthread_key_t *ret, void (*free_fn)(void *kept))
{
    for (unsigned i = 0; i < KEYS_MAX; i++)
        if (!keys[i].used) {
            keys[i].used = true;
            keys[i].free = free_fn;
            for (unsigned t = 0; t < TASKS_MAX; t++)
                sched.tasks[t].kept[i] = NULL;
            *ret = i;
            return 0;
        }
    sim_fail("more than %u keys", KEYS_MAX);
}

int __wrap_pthread_key_delete(pthread_key_t key)
{
    keys[key].used = false;
    return 0;
}

void *__wrap_pthread_getspecific(pthread_key_t key)
{
    return self == NULL ? NULL : writable(self->kept[key]);
}

int __wrap_pthread_setspecific(pthread_key_t key, const void *kept)
{
    if (self == NULL)
        return ENOMEM; /* before the first world: nothing is kept */
    self->kept[key] = kept;
    return 0;
}
