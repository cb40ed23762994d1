/* vaultd/core/rows.h - a request's walk over the rows below a prefix.
 *
 * What:    A walk that the store breaks off looks, row by row, like one that came to its end; who takes
 *          it for that overlooks the rest. So the end is a step of its own:
 *              rows_begin(&rows, req, prefix, from, "reading the hosts");
 *              while (kind == KT_OK && rows_next(&rows))
 *                  kind = look(&rows.entry);
 *              kind = rows_end(&rows, kind, err);
 * Owner:   the caller; rows_end() must be called, in the snapshot in which it began.
 * Threads: one thread at a time. */
#pragma once

#include "vaultd/core/request.h"

struct rows {
    struct entry entry; /* after rows_next() was true */
    struct cursor *cursor;
    enum store_error error;
    const char *doing;
};

/* From the first key with the prefix that is not before `from` (empty: the first). Failures are kept
 * for rows_end(). */
void rows_begin(struct rows *rows, struct request *req, struct kt_bytes prefix, struct kt_bytes from,
                const char *doing);
/* False: there is none any more, or the walk failed. */
bool rows_next(struct rows *rows);
/* Closes the walk. Returns kind when that is a failure, else how the walk itself went: KT_IO. */
enum kt_kind rows_end(struct rows *rows, enum kt_kind kind, struct kt_err *err) KT_MUST_CHECK;

/* The row's bytes, opened, into plain. */
enum kt_kind rows_open(struct request *req, const struct entry *entry, struct kt_buf *plain,
                       struct kt_err *err) KT_MUST_CHECK;
/* Room in the arena for one more element behind n; the elements move. NULL: out of memory. */
void *rows_room(struct request *req, void *all, size_t n, size_t *room, size_t size) KT_MUST_CHECK;
