/* cli/rotation_fields.h - the settings of a target and of a secret's rotation, as words.
 *
 * Each list ends with a row whose name is NULL.
 * Threads: constant.
 * Source:  docs/api-rotation.md. */
#pragma once

#include "cli/input.h"

extern const struct input_field cli_target_fields[];
extern const struct input_field cli_schedule_fields[];
extern const struct input_field cli_calendar_fields[];
