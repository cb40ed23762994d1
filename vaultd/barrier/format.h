/* vaultd/barrier/format.h - stored records by the number of their format.
 *
 * What:    Every stored record begins with a format number, and whoever reads records has a table of
 *          readers by that number. What the table lacks is refused here, by name.
 * Errors:  KT_CORRUPT; the hint says whether to install another version of vaultd or to restore. */
#pragma once

#include "lib/buf.h"
#include "lib/err.h"

/* what: "a token record"; newest: the highest number in the table. */
enum kt_kind format_refuse(const char *what, unsigned number, unsigned newest, struct kt_err *err);
/* The row of a table of readers; NULL: none of that number. */
#define FORMAT_ROW(readers, number)                                                                \
    ((number) < sizeof(readers) / sizeof(readers)[0] ? (readers)[number] : NULL)

/* Reads what follows the number, all of it, into *ret, a struct of the record's own. */
typedef void format_reader(struct kt_reader *r, void *ret);
/* The whole of it for a record whose first byte is its number: finds the row, reads, and is satisfied
 * only when nothing is left over. After an error *ret is not to be used. */
enum kt_kind format_read(const char *what, struct kt_bytes record, format_reader *const *readers,
                         size_t n, void *ret, struct kt_err *err) KT_MUST_CHECK;
#define FORMAT_READ(what, record, readers, ret, err)                                               \
    format_read((what), (record), (readers), sizeof(readers) / sizeof(readers)[0], (ret), (err))
