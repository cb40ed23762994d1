/* lib/driver/step.c - see lib/driver/step.h. */
#include "lib/driver/step.h"

#include <time.h>

#include "lib/timespec.h"

const char *kt_step_text(const char *maybe)
{
    return maybe == NULL ? "" : maybe;
}

bool kt_step_lacks(const char *maybe)
{
    return maybe == NULL || maybe[0] == '\0';
}

bool kt_step_logs_in(const struct driver_step *step)
{
    return step->op == DRIVER_VERIFY || step->op == DRIVER_PROBE;
}

bool kt_step_sets(const struct driver_step *step)
{
    return step->op == DRIVER_APPLY || step->op == DRIVER_RESTORE;
}

bool kt_step_whole(const struct driver_run *run, const char *what, struct driver_result *ret)
{
    return what == NULL || kt_driver_say(run, ret, DRIVER_PERMANENT, "step", "the step lacks %s", what);
}

static const char *needs_logins(const struct driver_step *step)
{
    if (!kt_step_logs_in(step) &&
        (kt_step_lacks(step->account) || step->logins[DRIVER_ADMIN].username == NULL))
        return "the account or the administrative login";
    if (step->op == DRIVER_VERIFY && step->logins[DRIVER_NEW].username == NULL)
        return "the login to verify";
    return NULL;
}

const char *kt_step_needs_database(const struct driver_step *step)
{
    if (kt_step_lacks(step->target.host) || kt_step_lacks(step->target.database) || step->target.port == 0)
        return "the target's host, port or database";
    if (kt_step_sets(step) && (kt_step_lacks(step->run) || kt_step_lacks(step->digest)))
        return "the run or the digest of the public part";
    return needs_logins(step);
}

const char *kt_step_needs_host(const struct driver_step *step, bool sockets)
{
    bool is_path = sockets && !kt_step_lacks(step->target.host) && step->target.host[0] == '/';
    if (kt_step_lacks(step->target.host) || (!is_path && step->target.port == 0))
        return "the target's host or port";
    return needs_logins(step);
}

bool kt_step_parts(const struct driver_run *run, enum driver_form form, const char *code, const char *says,
                   struct driver_result *ret)
{
    const struct driver_step *step = run->step;
    bool new_fits = kt_form_is(form, step->public_part) ||
                    (step->public_part.len == 0 && !kt_step_sets(step));
    if (new_fits && (step->keep_part.len == 0 || kt_form_is(form, step->keep_part)))
        return true;
    return kt_driver_say(run, ret, DRIVER_PERMANENT, code, "%s", says);
}

const char *kt_step_phrase(const struct driver_run *run, const char *doing, const char *name)
{
    const char *made = kt_arena_printf(run->arena, "%s '%s'", doing, kt_step_text(name));
    return made == NULL ? doing : made;
}

bool kt_step_done(const struct driver_run *run, const char *what, struct driver_result *ret)
{
    (void)kt_driver_say(run, ret, DRIVER_OK, "", "%s", what);
    return true;
}

void kt_step_pause(uint32_t ms)
{
    struct timespec left = kt_timespec_of_ms(ms);
    while (nanosleep(&left, &left) != 0)
        continue;
}
