/* lib/driver/step.h - what drivers have in common when they look at their step and speak of it.
 *
 * What:    A driver checks in `prepare` that its step is whole, says in `run` what it does in the same words,
 *          and ends with what was done.
 * Owner:   texts are the run's arena's, or what was given.
 * Threads: one. */
#pragma once

#include "lib/driver/form.h"
#include "lib/driver/table.h"

/* "" for NULL. */
const char *kt_step_text(const char *maybe);
/* NULL, or empty. */
bool kt_step_lacks(const char *maybe);
/* verify and probe only log in; apply and restore send the public part. */
bool kt_step_logs_in(const struct driver_step *step);
bool kt_step_sets(const struct driver_step *step);
/* Says DRIVER_PERMANENT "step" with what it lacks. NULL of what: nothing, true. */
bool kt_step_whole(const struct driver_run *run, const char *what, struct driver_result *ret);
/* What a step of a target with a database lacks by lib/driver/driver.h; for kt_step_whole(). */
const char *kt_step_needs_database(const struct driver_step *step);
/* The same of a target whose host is a name or, where `sockets`, a path. */
const char *kt_step_needs_host(const struct driver_step *step, bool sockets);
/* The public parts have the form; the new one may be missing where nothing is set. False: `says` is told, with
 * the code, and DRIVER_PERMANENT. */
bool kt_step_parts(const struct driver_run *run, enum driver_form form, const char *code, const char *says,
                   struct driver_result *ret);

/* "closing 'app_a'"; without memory "closing". */
const char *kt_step_phrase(const struct driver_run *run, const char *doing, const char *name);
/* True, so that an operation can end with it. */
bool kt_step_done(const struct driver_run *run, const char *what, struct driver_result *ret);
/* A target is given time between two looks at it. */
void kt_step_pause(uint32_t ms);
