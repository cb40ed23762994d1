/* cli/command_rows.h - the commands of one group of the help: what the files cli/commands_*.c share.
 *
 * What:    each of them has the rows of its group, in the help's order, and the flags that those
 *          take; cli/commands.c makes one list of all.
 * Threads: constant. */
#pragma once

#include "cli/commands.h"

#define MANY CLI_WORDS_MAX
#define END                                                                                        \
    {                                                                                              \
        FLAG_ID_COUNT, NULL                                                                        \
    }

struct command_rows {
    const struct command *rows;
    size_t count;
};
#define COMMAND_ROWS(rows)                                                                         \
    {                                                                                              \
        rows, sizeof(rows) / sizeof(*(rows))                                                       \
    }

/* One for each row of enum command_group. */
extern const struct command_rows commands_secrets, commands_rotation, commands_fleet,
    commands_audit, commands_access, commands_moving, commands_vault, commands_self;

/* What commands of several groups take. */
extern const struct command_flag field_flags[], verify_flags[];
