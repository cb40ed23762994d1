/* vaultd/scratch.h - a folder that goes away with the process, however the process ends.
 *
 * What:    Makes a private folder below /tmp and a tiny child that waits for this process to end
 *          and then removes the folder: after SIGKILL too, and though the sandbox forbids us to.
 * Owner:   scratch_new() gives one; scratch_free() removes the folder and waits for that.
 * Threads: scratch_new(): before threads, before any key, before the sandbox. */
#pragma once

#include <sys/types.h>

#include "lib/err.h"

struct scratch {
    char path[64];
    int leash; /* the child lives as long as this end is open */
    pid_t child;
};

enum kt_kind scratch_new(struct scratch *ret, struct kt_err *err) KT_MUST_CHECK;
void scratch_free(struct scratch *scratch);
