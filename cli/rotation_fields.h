/* cli/rotation_fields.h - the settings of a target and of a secret's rotation, as words; from
 * docs/api-rotation.md. Threads: constant. */
#pragma once

#include "cli/input.h"

extern const struct input_field target_fields[];
extern const struct input_field schedule_fields[];
/* The length of the longest name. */
void fields_help(const struct input_field *fields, struct kt_buf *out);
