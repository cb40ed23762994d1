/* lib/driver/exec.h - the driver of programs that vaultd's configuration names: its row's functions.
 *
 * What:    Asks the program that the target picked, once for each login of a probe and once for all else
 *          (docs/driver-exec.md). The rules of a probe are kept here, not there: the administrative login
 *          first, then the control, which must be refused. A program that crashes, hangs, is silent or says
 *          what the protocol does not have: DRIVER_UNREACH, what it did may have had effect.
 * Threads: one; a process runs one step. */
#pragma once

#include "lib/driver/table.h"

bool kt_exec_prepare(struct driver_run *run, struct driver_result *ret);
void kt_exec_run(const struct driver_run *run, struct driver_result *ret);
