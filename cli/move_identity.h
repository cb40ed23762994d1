/* cli/move_identity.h - entities with their aliases, and groups: found again by their names, because ids are
 * each vault's own.
 *
 * What:    An alias comes where there is a way to log in of the same path and type. Members of groups are
 *          given the ids that they have here. Entities before groups.
 * Threads: one thread. */
#pragma once

#include "cli/move_mounts.h"

void move_entities(struct move_run *run, enum move_pass pass);
void move_groups(struct move_run *run, enum move_pass pass);
