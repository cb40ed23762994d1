#include "vaultd/rotation/job.h"

#include <stdlib.h>

#include "lib/failpoint.h"
#include "vaultd/rotation/engine.h"
#include "vaultd/rotation/places.h"
#include "vaultd/rotation/probe.h"

#define ARENA_MAX ((size_t)512 * 1024)

struct job *job_new(enum job_kind kind, const unsigned char run[RUN_ID])
{
    struct job *job = kt_calloc(1, sizeof *job);
    if (job == NULL)
        return NULL;
    job->kind = kind;
    memcpy(job->run, run, RUN_ID);
    kt_arena_init(&job->arena, ARENA_MAX);
    return job;
}

void job_free(struct job *job)
{
    if (job == NULL)
        return;
    kt_arena_free(&job->arena);
    free(job);
}

struct job_part *job_add(struct job *job, enum driver_op op, enum job_rule rule)
{
    if (job->n == JOB_PARTS)
        return NULL;
    struct job_part *part = &job->parts[job->n++];
    part->step.op = op;
    part->rule = rule;
    return part;
}

const char *job_text(struct job *job, const char *text)
{
    if (text == NULL || text[0] == '\0')
        return "";
    const char *copy = kt_arena_text(&job->arena, kt_str(text));
    return copy == NULL ? "" : copy;
}

/* ---- a thread of the pool ---- */

static bool asks(const struct job_part *part, enum driver_who who)
{
    return part->step.logins[who].username != NULL;
}

static enum probe_death death_of(enum job_kind kind)
{
    return kind == JOB_REVOKE       ? DEATH_OF_OLD
           : kind == JOB_REVOKE_NEW ? DEATH_OF_NEW
                                    : DEATH_OF_NONE;
}

/* What the probe before it says, if it says anything. */
static bool permits(const struct job *job, const struct job_part *probe, enum job_rule rule)
{
    struct evidence evidence;
    if (probe == NULL || !probe->ran)
        return false;
    probe_judge(&probe->result, asks(probe, DRIVER_NEW), asks(probe, DRIVER_OLD),
                death_of(job->kind), &evidence);
    if (!evidence.valid)
        return false;
    return rule == PART_IF_OLD ? evidence.old_accepted
                               : evidence.new_accepted == (rule == PART_IF_NEW);
}

static bool allowed(const struct job *job, size_t i)
{
    const struct job_part *before = i == 0 ? NULL : &job->parts[i - 1];
    switch (job->parts[i].rule) {
    case PART_ALWAYS:
        return true;
    case PART_IF_OK:
        return before != NULL && before->ran && before->result.class == DRIVER_OK;
    case PART_IF_MISSING:
        return before != NULL && before->ran && kt_driver_is_missing(&before->result);
    case PART_IF_NEW:
    case PART_IF_NOT_NEW:
    case PART_IF_OLD:
        return permits(job, before, job->parts[i].rule);
    }
    return false;
}

static void lose_reply(struct driver_result *result)
{
    *result = (struct driver_result){.class = DRIVER_UNREACH, .code = "lost"};
    memcpy(result->text, "the answer was lost", sizeof "the answer was lost");
}

static void carry_out(struct rotation *rotation, struct job *job)
{
    for (size_t i = 0; i < job->n; i++) {
        struct job_part *part = &job->parts[i];
        if (!allowed(job, i))
            continue;
        nodes_run(rotation, part, &job->arena);
        part->ran = true;
        if (part->step.op == DRIVER_APPLY && KT_FAILPOINT(run_apply_sent))
            lose_reply(&part->result);
        if (part->step.op == DRIVER_REVOKE && KT_FAILPOINT(run_revoke_sent))
            lose_reply(&part->result);
    }
}

/* Whoever keeps listeners may have them hang: they leave half of the pool to targets. */
static bool may_look(const struct rotation *rotation)
{
    unsigned n = 0;
    for (const struct job *job = rotation->jobs; job != NULL; job = job->next)
        n += job->target == NULL && job->stage == JOB_AT_WORK;
    return n == 0 || n < rotation->n_pool / 2;
}

/* Jobs at targets that are at work, or wait to be; abandoned ones are there, too, until they end. */
static unsigned count(const struct rotation *rotation, bool waiting, const char *target, unsigned *ret_here)
{
    unsigned all = 0;
    *ret_here = 0;
    for (const struct job *job = rotation->jobs; job != NULL; job = job->next) {
        bool counts = job->stage == JOB_AT_WORK || (waiting && job->stage == JOB_WAITING);
        if (job->target == NULL || !counts)
            continue;
        all++;
        *ret_here += strcmp(job->target, target) == 0;
    }
    return all;
}

static bool may_log_in(const struct rotation *rotation, const struct job *job)
{
    unsigned here = 0, all = count(rotation, false, job->target, &here);
    return job->goes_back || (here < job->at_once && all < places_most(rotation));
}

/* The oldest that waits and may be carried out. */
static struct job *next_waiting(const struct rotation *rotation)
{
    struct job *found = NULL;
    bool look = may_look(rotation);
    for (struct job *job = rotation->jobs; job != NULL; job = job->next)
        if (job->stage == JOB_WAITING && (job->target == NULL ? look : may_log_in(rotation, job)))
            found = job;
    return found;
}

static void unlink_job(struct rotation *rotation, const struct job *job)
{
    for (struct job **link = &rotation->jobs; *link != NULL; link = &(*link)->next)
        if (*link == job) {
            *link = job->next;
            return;
        }
}

static void work_on(struct rotation *rotation, struct job *job)
{
    job->stage = JOB_AT_WORK;
    bool abandoned = job->abandoned;
    (void)pthread_mutex_unlock(&rotation->lock);
    if (!abandoned)
        carry_out(rotation, job);
    (void)pthread_mutex_lock(&rotation->lock);
    job->stage = JOB_FINISHED;
    job->finished_ms = kt_mono_ms(rotation->core->clock);
    abandoned = job->abandoned;
    bool check = job->kind == JOB_CHECK;
    unsigned char run[RUN_ID];
    memcpy(run, job->run, sizeof run);
    if (abandoned)
        unlink_job(rotation, job);
    (void)pthread_mutex_unlock(&rotation->lock);
    if (abandoned)
        job_free(job);
    if (check)
        rotation_tell(rotation, run);
    rotation_wake(rotation);
    (void)pthread_mutex_lock(&rotation->lock);
}

static void *pool_thread(void *arg)
{
    struct rotation *rotation = arg;
    (void)pthread_mutex_lock(&rotation->lock);
    while (!rotation->pool_stopping) {
        struct job *job = next_waiting(rotation);
        if (job == NULL)
            (void)pthread_cond_wait(&rotation->posted, &rotation->lock);
        else
            work_on(rotation, job);
    }
    (void)pthread_mutex_unlock(&rotation->lock);
    return NULL;
}

/* ---- from outside ---- */

static void link_job(struct rotation *rotation, struct job *job)
{
    job->next = rotation->jobs;
    rotation->jobs = job;
}

void job_post(struct rotation *rotation, struct job *take_job)
{
    (void)pthread_mutex_lock(&rotation->lock);
    link_job(rotation, take_job);
    (void)pthread_cond_signal(&rotation->posted);
    (void)pthread_mutex_unlock(&rotation->lock);
}

bool job_has_room(struct rotation *rotation, const struct rotation_target *target)
{
    unsigned here = 0;
    (void)pthread_mutex_lock(&rotation->lock);
    unsigned all = count(rotation, true, target->name, &here);
    (void)pthread_mutex_unlock(&rotation->lock);
    return here < target->max_runs && all < places_most(rotation);
}

bool job_post_dry(struct rotation *rotation, struct job *job, unsigned most)
{
    bool same = false;
    unsigned n = 0;
    (void)pthread_mutex_lock(&rotation->lock);
    for (const struct job *other = rotation->jobs; other != NULL; other = other->next) {
        n += other->kind == JOB_CHECK || other->kind == JOB_DRY;
        same = same || (other->kind == JOB_DRY && strcmp(other->target, job->target) == 0);
    }
    bool posted = !same && n < most;
    if (posted) {
        link_job(rotation, job);
        (void)pthread_cond_signal(&rotation->posted);
    }
    (void)pthread_mutex_unlock(&rotation->lock);
    return posted;
}

void job_tell(struct rotation *rotation, struct job *take_job)
{
    unsigned char run[RUN_ID];
    memcpy(run, take_job->run, sizeof run);
    (void)pthread_mutex_lock(&rotation->lock);
    take_job->kind = JOB_CHECK;
    link_job(rotation, take_job);
    (void)pthread_mutex_unlock(&rotation->lock);
    rotation_tell(rotation, run);
}

struct job *job_take(struct rotation *rotation)
{
    struct job *found = NULL;
    (void)pthread_mutex_lock(&rotation->lock);
    for (struct job *job = rotation->jobs; job != NULL && found == NULL; job = job->next)
        if (job->stage == JOB_FINISHED && !job->abandoned && job->kind != JOB_CHECK)
            found = job;
    if (found != NULL)
        unlink_job(rotation, found);
    (void)pthread_mutex_unlock(&rotation->lock);
    return found;
}

bool job_in_flight(struct rotation *rotation, const unsigned char run[RUN_ID])
{
    bool found = false;
    (void)pthread_mutex_lock(&rotation->lock);
    for (struct job *job = rotation->jobs; job != NULL; job = job->next)
        found = found || memcmp(job->run, run, RUN_ID) == 0;
    (void)pthread_mutex_unlock(&rotation->lock);
    return found;
}

struct job *job_take_check(struct rotation *rotation, const unsigned char id[RUN_ID])
{
    struct job *found = NULL;
    (void)pthread_mutex_lock(&rotation->lock);
    for (struct job *job = rotation->jobs; job != NULL && found == NULL; job = job->next)
        if (job->kind == JOB_CHECK && job->stage == JOB_FINISHED &&
            memcmp(job->run, id, RUN_ID) == 0)
            found = job;
    if (found != NULL)
        unlink_job(rotation, found);
    (void)pthread_mutex_unlock(&rotation->lock);
    return found;
}

void jobs_abandon(struct rotation *rotation)
{
    struct job *free_these = NULL;
    (void)pthread_mutex_lock(&rotation->lock);
    struct job **link = &rotation->jobs;
    while (*link != NULL) {
        struct job *job = *link;
        job->abandoned = true;
        if (job->stage == JOB_AT_WORK) {
            link = &job->next;
            continue;
        }
        *link = job->next;
        job->next = free_these;
        free_these = job;
    }
    (void)pthread_mutex_unlock(&rotation->lock);
    while (free_these != NULL) {
        struct job *next = free_these->next;
        job_free(free_these);
        free_these = next;
    }
}

bool jobs_start(struct rotation *rotation)
{
    (void)pthread_mutex_lock(&rotation->lock);
    rotation->pool_stopping = false; /* threads of before a seal may be there */
    (void)pthread_mutex_unlock(&rotation->lock);
    unsigned most = rotation->core->config.rotation_max_runs;
    if (most < ROTATION_POOL_LEAST)
        most = ROTATION_POOL_LEAST;
    if (most > ROTATION_POOL_MAX)
        most = ROTATION_POOL_MAX;
    while (rotation->n_pool < most) {
        if (pthread_create(&rotation->pool[rotation->n_pool], NULL, pool_thread, rotation) != 0)
            break;
        rotation->n_pool++;
    }
    return rotation->n_pool > 0;
}

void jobs_stop(struct rotation *rotation)
{
    jobs_abandon(rotation);
    (void)pthread_mutex_lock(&rotation->lock);
    rotation->pool_stopping = true;
    (void)pthread_cond_broadcast(&rotation->posted);
    (void)pthread_mutex_unlock(&rotation->lock);
    while (rotation->n_pool > 0)
        (void)pthread_join(rotation->pool[--rotation->n_pool], NULL);
}
