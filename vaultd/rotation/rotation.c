#include "vaultd/rotation/rotation.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "lib/background.h"
#include "lib/failpoint.h"
#include "lib/log.h"
#include "vaultd/rotation/drill.h"
#include "vaultd/rotation/engine.h"
#include "vaultd/rotation/own.h"
#include "vaultd/rotation/spawner.h"
#include "vaultd/rotation/truth.h"

#define TICK_MS      60000
#define FAKE_TICK_MS 20     /* a test's clock may jump at any time */
#define ROUNDS_MAX   64     /* steps of one run before the others have a turn */
#define CHECK_KEEP_MS 60000 /* a check's result that nobody fetched */

/* ---- what the others use ---- */

int64_t rotation_steady_ms(const struct rotation *rotation)
{
    return kt_mono_ms(rotation->core->clock) + atomic_load(&rotation->clock.base_ms);
}

int64_t rotation_wall_of(const struct rotation *rotation, int64_t steady_ms)
{
    int64_t ahead_ms = kt_wall_ms(rotation->core->clock) - rotation_steady_ms(rotation);
    return steady_ms == 0 ? 0 : steady_ms + ahead_ms;
}

bool rotation_can_run(const struct rotation *rotation)
{
    const struct core_config *config = &rotation->core->config;
    return config->executor != NULL || config->spawner != NULL;
}

bool rotation_has_program(const struct rotation *rotation, const char *name)
{
    const struct core_config *config = &rotation->core->config;
    const struct kt_programs *programs = config->executor != NULL  ? config->executor->programs
                                         : config->spawner != NULL ? spawner_programs(config->spawner)
                                                                   : NULL;
    return kt_program_find(programs, name) != NULL && !channels_mail_by(config->notify, name);
}

static void no_answer(struct driver_result *ret, enum driver_class class, const char *code,
                      const char *text)
{
    *ret = (struct driver_result){.class = class};
    (void)snprintf(ret->code, sizeof ret->code, "%s", code);
    (void)snprintf(ret->text, sizeof ret->text, "%s", text);
}

/* An executor's own memory is not the job's. */
static enum kt_kind keep_made(struct kt_arena *arena, struct driver_result *ret, struct kt_err *err)
{
    if (ret->made.len > 0)
        ret->made.at = (const unsigned char *)kt_arena_text(arena, ret->made);
    if (ret->made_id.len > 0)
        ret->made_id.at = (const unsigned char *)kt_arena_text(arena, ret->made_id);
    return arena->failed ? kt_fail(err, KT_NO_MEMORY, "keeping what the target made") : KT_OK;
}

void rotation_run_step(struct rotation *rotation, const struct driver_step *step, struct kt_arena *arena,
                       struct driver_result *ret)
{
    const struct core_config *config = &rotation->core->config;
    struct kt_err err = {0};
    enum kt_kind kind = KT_IO;
    if (own_is(step->driver)) {
        own_run_step(rotation, step, arena, ret);
        return;
    }
    if (step->target.program != NULL && channels_mail_by(config->notify, step->target.program)) {
        no_answer(ret, DRIVER_PERMANENT, "program", "this program sends mail to people: it gets no value");
        return;
    }
    if (config->executor != NULL)
        kind = config->executor->run(config->executor->arg, step, ret, &err);
    else if (config->spawner != NULL)
        kind = spawner_run(config->spawner, step, arena, ret, &err);
    if (kind == KT_OK && config->executor != NULL)
        kind = keep_made(arena, ret, &err);
    if (kind == KT_OK)
        return;
    /* Nothing was started. A step that is not well-formed stays so however often it is tried. */
    if (kind == KT_INVALID)
        no_answer(ret, DRIVER_PERMANENT, "worker", err.what);
    else
        no_answer(ret, DRIVER_UNREACH, DRIVER_UNSENT, err.what);
}

static bool is_run(const struct request *req, void *arg)
{
    return req->handler_data != NULL && memcmp(req->handler_data, arg, RUN_ID) == 0;
}

void rotation_tell(struct rotation *rotation, const unsigned char run[RUN_ID])
{
    unsigned char id[RUN_ID];
    memcpy(id, run, sizeof id);
    (void)wait_list_wake(rotation->news, is_run, id);
}

void rotation_wake(struct rotation *rotation)
{
    uint64_t one = 1;
    if (!atomic_exchange(&rotation->poked, true))
        (void)!write(rotation->wake_fd, &one, sizeof one);
}

void rotation_note_read(struct request *req, const struct mount *mount, const char *path,
                        uint32_t version)
{
    unsigned char id[RUN_ID];
    secret_id(req->core, mount->scope, path, id);
    ledger_note(req->core->rotation->ledger, req, id, version);
}

/* ---- the thread ---- */

static void free_active(struct active *active)
{
    job_free(active->finished);
    free(active->noted);
    free(active);
}

static void drop_ended(struct rotation *rotation)
{
    (void)pthread_mutex_lock(&rotation->lock);
    struct active **link = &rotation->actives;
    while (*link != NULL) {
        struct active *active = *link;
        if (!active->ended) {
            link = &active->next;
            continue;
        }
        *link = active->next;
        free_active(active);
    }
    (void)pthread_mutex_unlock(&rotation->lock);
}

static void hand_out(struct rotation *rotation, struct job *job)
{
    if (job->kind == JOB_TRUTH || job->kind == JOB_DRY) {
        truth_finish(rotation, job);
        return;
    }
    for (struct active *a = rotation->actives; a != NULL; a = a->next)
        if (memcmp(a->id, job->run, RUN_ID) == 0 && a->working) {
            a->working = false;
            a->finished = job;
            a->wake_ms = 0;
            return;
        }
    job_free(job);
}

static void drive(struct rotation *rotation, struct active *active, bool poked)
{
    for (int i = 0; i < ROUNDS_MAX && !atomic_load(&rotation->stopping); i++) {
        int64_t now = rotation_steady_ms(rotation);
        bool due = active->wake_ms <= now || (poked && i == 0 && active->finished == NULL);
        if (active->working || active->ended || !due || active->not_before_ms > now)
            return;
        /* A step of before the last sealing may still be under way. */
        if (!active->loaded && job_in_flight(rotation, active->id)) {
            active->wake_ms = now + 200;
            return;
        }
        run_advance(rotation, active);
    }
}

static void forget_checks(struct rotation *rotation)
{
    int64_t now = kt_mono_ms(rotation->core->clock);
    struct job *old = NULL;
    (void)pthread_mutex_lock(&rotation->lock);
    struct job **link = &rotation->jobs;
    while (*link != NULL) {
        struct job *job = *link;
        if (job->kind != JOB_CHECK || job->stage != JOB_FINISHED ||
            now - job->finished_ms < CHECK_KEEP_MS) {
            link = &job->next;
            continue;
        }
        *link = job->next;
        job->next = old;
        old = job;
    }
    (void)pthread_mutex_unlock(&rotation->lock);
    while (old != NULL) {
        struct job *next = old->next;
        job_free(old);
        old = next;
    }
}

/* One look at everything. A poke means: somebody changed what a run may wait for. */
static void look(struct rotation *rotation, bool poked)
{
    rotation->distrusts = rotation_clock_look(rotation);
    if (poked)
        actives_scan(rotation);
    /* Nothing is planned by a time that is not trusted: it waits, as do the next ones. */
    if (rotation->replan.on && !rotation->distrusts && replan_some(rotation))
        rotation_wake(rotation);
    if (!rotation->distrusts &&
        (poked || kt_wall_ms(rotation->core->clock) >= rotation->next_due_ms))
        due_scan(rotation);
    for (struct job *job = job_take(rotation); job != NULL; job = job_take(rotation))
        hand_out(rotation, job);
    if (atomic_exchange(&rotation->looks_news, false))
        rotation->next_look_ms = rotation->next_drill_ms = 0;
    if (!rotation->distrusts && kt_wall_ms(rotation->core->clock) >= rotation->next_look_ms)
        truth_scan(rotation);
    if (!rotation->distrusts && kt_wall_ms(rotation->core->clock) >= rotation->next_drill_ms)
        drill_scan(rotation);
    if (!rotation->distrusts && rotation_steady_ms(rotation) >= rotation->overdue.next_ms)
        overdue_scan(rotation);
    bool ended = false;
    for (struct active *a = rotation->actives; a != NULL; a = a->next) {
        drive(rotation, a, poked);
        ended = ended || a->ended;
    }
    drop_ended(rotation);
    forget_checks(rotation);
    /* A slot came free, or a secret's next fire, look and drill were planned. */
    if (ended) {
        atomic_store(&rotation->looks_news, true);
        rotation_wake(rotation);
    }
}

static int wait_ms(struct rotation *rotation)
{
    int64_t tick = rotation->core->config.tick_ms > 0 ? rotation->core->config.tick_ms : TICK_MS;
    int64_t now = rotation_steady_ms(rotation), until = now + tick;
    for (const struct active *a = rotation->actives; a != NULL; a = a->next)
        if (!a->working && !a->ended && a->wake_ms < until)
            until = a->wake_ms;
    if (!rotation->distrusts && rotation->overdue.next_ms < until)
        until = rotation->overdue.next_ms;
    int64_t left = until > now ? until - now : 0;
    if (rotation->core->clock != &kt_system_clock && left > FAKE_TICK_MS)
        left = FAKE_TICK_MS;
    return (int)left;
}

/* What is due while the clock is not trusted starts nothing, so it wakes nobody: its time may be over,
 * and would wake the thread for ever. */
int64_t rotation_alarm_ms(const struct rotation *rotation)
{
    if (rotation->distrusts)
        return INT64_MAX;
    int64_t first = rotation->next_look_ms < rotation->next_due_ms ? rotation->next_look_ms
                                                                   : rotation->next_due_ms;
    return first < rotation->next_drill_ms ? first : rotation->next_drill_ms;
}

/* A clock that is set wakes it (ECANCELED on reading), as does the time of the next row. */
static void arm(const struct rotation *rotation)
{
    struct itimerspec at = {0};
    int64_t due = rotation_alarm_ms(rotation);
    at.it_value.tv_sec = due == INT64_MAX ? (time_t)1 << 40 : (time_t)(due / 1000);
    at.it_value.tv_nsec = due == INT64_MAX ? 0 : (long)(due % 1000) * 1000000 + 1;
    (void)timerfd_settime(rotation->timer_fd, TFD_TIMER_ABSTIME | TFD_TIMER_CANCEL_ON_SET, &at,
                          NULL);
}

static void sleep_until_news(struct rotation *rotation)
{
    arm(rotation);
    struct pollfd fds[] = {{.fd = rotation->wake_fd, .events = POLLIN},
                           {.fd = rotation->timer_fd, .events = POLLIN}};
    (void)poll(fds, 2, wait_ms(rotation));
    uint64_t count;
    (void)!read(rotation->wake_fd, &count, sizeof count);
    (void)!read(rotation->timer_fd, &count, sizeof count);
}

static void *rotation_thread(void *arg)
{
    struct rotation *rotation = arg;
    kt_background_thread("rotation");
    rotation_clock_start(rotation);
    atomic_store(&rotation->poked, true);
    while (!atomic_load(&rotation->stopping)) {
        bool poked = atomic_exchange(&rotation->poked, false);
        look(rotation, poked);
        if (!atomic_load(&rotation->stopping) && !atomic_load(&rotation->poked))
            sleep_until_news(rotation);
    }
    rotation_clock_stop(rotation);
    return NULL;
}

/* ---- birth and end ---- */

/* Rotation settings, consumers and first reads change what a run may wait for. */
static void follow(void *arg, const struct fold_event *event)
{
    (void)event;
    rotation_wake(arg);
}

static bool follow_tables(struct rotation *rotation)
{
    static const unsigned char tables[] = {TABLE_CONSUMER, TABLE_LEDGER};
    for (size_t i = 0; i < sizeof tables; i++)
        if (store_on_fold(rotation->core->store, kt_bytes(&tables[i], 1), follow, rotation) !=
            STORE_OK)
            return false;
    return true;
}

struct rotation *rotation_new(struct core *core)
{
    struct rotation *rotation = kt_calloc(1, sizeof *rotation);
    if (rotation == NULL)
        return NULL;
    rotation->core = core;
    rotation->next_due_ms = 0;
    (void)pthread_mutex_init(&rotation->lock, NULL);
    (void)pthread_cond_init(&rotation->posted, NULL);
    rotation->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    rotation->timer_fd = timerfd_create(CLOCK_REALTIME, TFD_CLOEXEC | TFD_NONBLOCK);
    rotation->ledger = ledger_new(core);
    rotation->n_starts = core->config.rotation_starts_per_minute;
    if (rotation->n_starts == 0)
        rotation->n_starts = ROTATION_STARTS_DEFAULT;
    rotation->starts = kt_calloc(rotation->n_starts, sizeof *rotation->starts);
    rotation->news = wait_list_new(core->waits);
    rotation->notifier = notifier_new(core);
    if (rotation->wake_fd < 0 || rotation->timer_fd < 0 || rotation->ledger == NULL ||
        rotation->starts == NULL || rotation->news == NULL || rotation->notifier == NULL ||
        !follow_tables(rotation)) {
        rotation_free(rotation);
        return NULL;
    }
    return rotation;
}

void rotation_free(struct rotation *rotation)
{
    if (rotation == NULL)
        return;
    const struct core_config *config = &rotation->core->config;
    if (config->executor != NULL && config->executor->interrupt != NULL)
        config->executor->interrupt(config->executor->arg);
    else if (config->executor == NULL && config->spawner != NULL)
        spawner_interrupt(config->spawner);
    notifier_free(rotation->notifier);
    jobs_stop(rotation);
    ledger_free(rotation->ledger);
    wait_list_free(rotation->news);
    free(rotation->starts);
    if (rotation->wake_fd >= 0)
        (void)close(rotation->wake_fd);
    if (rotation->timer_fd >= 0)
        (void)close(rotation->timer_fd);
    (void)pthread_cond_destroy(&rotation->posted);
    (void)pthread_mutex_destroy(&rotation->lock);
    free(rotation);
}

enum kt_kind rotation_start(struct rotation *rotation, struct kt_err *err)
{
    if (rotation->running)
        return KT_OK;
    atomic_store(&rotation->stopping, false);
    rotation->next_due_ms = rotation->next_look_ms = rotation->next_drill_ms = 0;
    memset(rotation->starts, 0, rotation->n_starts * sizeof *rotation->starts); /* actives.c finds them */
    overdue_begin(rotation);
    rotation->running = jobs_start(rotation) && pthread_create(&rotation->thread, NULL,
                                                               rotation_thread, rotation) == 0;
    if (rotation->running) {
        notifier_wake(rotation->notifier); /* what was left from before */
        return KT_OK;
    }
    jobs_stop(rotation);
    (void)kt_fail(err, KT_IO, "the threads of rotation cannot be started");
    kt_hint(err, "raise the limit of tasks (TasksMax=, ulimit -u), then unseal again");
    return KT_IO;
}

void rotation_stop(struct rotation *rotation)
{
    if (!rotation->running)
        return;
    atomic_store(&rotation->stopping, true);
    atomic_store(&rotation->poked, false);
    rotation_wake(rotation);
    (void)pthread_join(rotation->thread, NULL);
    rotation->running = false;
    waiting_free(&rotation->due_waiting);
    waiting_free(&rotation->looks_waiting);
    /* What is at work ends by itself and is looked into by probing, as after a crash. */
    jobs_abandon(rotation);
    (void)pthread_mutex_lock(&rotation->lock);
    while (rotation->actives != NULL) {
        struct active *next = rotation->actives->next;
        free_active(rotation->actives);
        rotation->actives = next;
    }
    (void)pthread_mutex_unlock(&rotation->lock);
}
