/* vaultd/barrier/format.h - refusing a stored record by the number of its format.
 *
 * What:    Every stored record begins with a format number, and whoever reads records has a table of
 *          readers by that number. What the table lacks is refused here, by name.
 * Errors:  KT_CORRUPT always; the hint says whether to install the newer vaultd or to restore. */
#pragma once

#include "lib/err.h"

/* what: "a token record"; newest: the highest number in the table. */
enum kt_kind format_refuse(const char *what, unsigned number, unsigned newest, struct kt_err *err);
/* The row of a table of readers; NULL: none of that number. */
#define FORMAT_ROW(readers, number)                                                                \
    ((number) < sizeof(readers) / sizeof(readers)[0] ? (readers)[number] : NULL)
