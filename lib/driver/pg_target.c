/* lib/driver/pg_target.c - what the PostgreSQL driver does while it may still open files: checks
 * the step, and finds the target (lib/driver/place.h). */
#include "lib/driver/pg_session.h"
#include "lib/driver/postgresql.h"
#include "lib/scram.h"
#include "lib/driver/step.h"

#define ROLE_MAX ((size_t)63)

/* A longer name is cut by the server without a word: it would be another role. */
static bool too_long(const char *name)
{
    return name != NULL && strlen(name) > ROLE_MAX;
}

static bool check_names(const struct driver_run *run, struct driver_result *ret)
{
    const struct driver_step *step = run->step;
    bool bad = too_long(step->account) || too_long(step->other_account) || too_long(step->group) ||
               too_long(step->target.database);
    for (unsigned who = 0; who < DRIVER_LOGIN_COUNT; who++)
        bad = bad || too_long(step->logins[who].username);
    return !bad || kt_driver_say(run, ret, DRIVER_PERMANENT, "step",
                                 "PostgreSQL's names have at most %zu bytes", ROLE_MAX);
}

/* PostgreSQL takes anything else for a password, hashes it, and says that all is well. */
static bool check_verifier(const struct driver_run *run, struct driver_result *ret)
{
    const struct driver_step *step = run->step;
    bool setting = step->op == DRIVER_APPLY || step->op == DRIVER_RESTORE;
    return !setting || kt_scram_is_verifier(step->public_part) ||
           kt_driver_say(run, ret, DRIVER_PERMANENT, "verifier",
                         "the public part is not a SCRAM-SHA-256 verifier; nothing was sent");
}

bool kt_postgresql_prepare(struct driver_run *run, struct driver_result *ret)
{
    struct driver_place *place = kt_arena_take(run->arena, sizeof(*place));
    if (place == NULL)
        return kt_driver_say(run, ret, DRIVER_UNREACH, "memory", "the worker ran out of memory");
    run->own = place;
    return check_names(run, ret) && kt_step_whole(run, kt_step_needs_database(run->step), ret) && check_verifier(run, ret) &&
           kt_place_find(run, place, ret);
}
