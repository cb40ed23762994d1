/* lib/driver/table.h - what a driver is, for the worker that runs it.
 *
 * What:    A driver is one row of lib/driver/table.c and one of lib/driver/info.c. `prepare` does
 *          what needs files or name look-ups; then the worker enters its sandbox; then `run` talks
 *          to the target and fills in the result. A driver that starts a program has one chosen in
 *          `prepare`: the sandbox is then that program's, and the worker's own as well.
 * Owner:   everything lives until the process ends, which is after one step.
 * Threads: one. */
#pragma once

#include "lib/arena.h"
#include "lib/driver/driver.h"
#include "lib/driver/program.h"
#include "lib/redact.h"

struct driver_run {
    const struct driver_step *step;
    struct kt_arena *arena;
    const struct kt_redactor *redactor; /* knows every value of the step */
    int64_t deadline;                   /* kt_ipc_deadline() of the whole step */
    const struct kt_programs *programs; /* NULL: none; whoever starts one has `program` set in prepare */
    const struct kt_program *program;
    void *own;                          /* the driver's, from prepare to run */
};

struct driver {
    const char *name;
    bool starts_program;
    /* False: *ret says why, run is not called. */
    bool (*prepare)(struct driver_run *run, struct driver_result *ret);
    void (*run)(const struct driver_run *run, struct driver_result *ret);
};

const struct driver *kt_driver_find(const char *name);
/* A redactor that knows the step's values; NULL without memory. */
struct kt_redactor *kt_driver_redactor(const struct driver_step *step);
/* Writes class, code and text. The text passes the redactor, whatever was put into it; what is not
 * printable becomes '?'. Returns false, so that a driver can end with it. */
bool kt_driver_say(const struct driver_run *run, struct driver_result *ret,
                   enum driver_class class, const char *code, const char *format, ...)
    KT_PRINTF(5, 6);
/* A text from the target as evidence: redacted, printable, cut to size. */
void kt_driver_evidence(const struct driver_run *run, const char *text, char *ret, size_t size);
/* The next free finding; beyond DRIVER_FINDINGS_MAX they are dropped. */
void kt_driver_finding(const struct driver_run *run, struct driver_result *ret, const char *format,
                       ...) KT_PRINTF(3, 4);
