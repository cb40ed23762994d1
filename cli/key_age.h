/* cli/key_age.h - how old is what opens the vault, as the vault says it, in words.
 *
 * Threads: one thread. */
#pragma once

#include "lib/buf.h"
#include "lib/json.h"

struct cli;

/* Of the member "keys" the table of those that are too old; nothing where there are none. */
void key_age_table(struct cli *cli, struct kt_json data);
/* What mends the first of them; "" where none is too old. */
void key_age_next(struct kt_json data, char *out, size_t room);
/* All of them as a section of the plan. */
void key_age_section(struct cli *cli, struct kt_json data, struct kt_buf *out);
