/* cli/rotation_fields.h - the settings of a target and of a secret's rotation, as words; from
 * docs/api-rotation.md. Each ends with a row whose name is NULL. Threads: constant. */
#pragma once

#include "cli/input.h"

extern const struct input_field cli_target_fields[];
extern const struct input_field cli_schedule_fields[];
