/* cli/write_settings.h - what of the API's fields may stand on a command line: settings that are no secret.
 *
 * What:    "secretctl write" takes any path, and does not know what a field holds. A name that is in this
 *          table below its path is a setting (who is in a group, how long a token lives), and is taken as a
 *          word; every other value is one that only a file, the standard input or a prompt may give.
 *          tests/unit/write_settings_test.c holds the names against the API's own tables.
 * Threads: plain functions over a constant table. */
#pragma once

#include <stdbool.h>

/* path: as it is typed, also with "/v1/" or "/" in front. */
bool write_setting_is_public(const char *path, const char *name);
/* The table's row number i: where, and the names, until NULL. False: there is no such row. */
bool write_settings_row(unsigned i, const char **ret_prefix, const char *const **ret_names);
