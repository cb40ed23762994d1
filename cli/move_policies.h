/* cli/move_policies.h - copies and compares the policies of two vaults.
 *
 * What:    A policy of the same name and another text is left as it is, unless it is to be replaced;
 *          "default", which every vault has its own of, in any case.
 * Threads: one thread. */
#pragma once

#include "cli/move_mounts.h"

void move_policies(struct move_run *run, enum move_pass pass);
