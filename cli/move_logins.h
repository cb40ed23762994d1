/* cli/move_logins.h - ways to log in: the mounts, and AppRole's roles with their role ids.
 *
 * What:    A secret id and a password are shown by no vault, so none comes: how many there are is told.
 * Threads: one thread. */
#pragma once

#include "cli/move_mounts.h"

void move_logins(struct move_run *run, enum move_pass pass);
