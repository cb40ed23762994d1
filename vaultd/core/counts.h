/* vaultd/core/counts.h - how many requests were answered, by operation and class of status.
 *
 * What:    One tally for each pair, so that counting a request touches a cache line of the thread's own.
 *          The vault's own work is not counted.
 * Owner:   the core; zeroed is empty. It counts from the process's start, sealed or not.
 * Threads: any thread. */
#pragma once

#include <strings.h>

#include "lib/tally.h"
#include "vaultd/core/request.h"

#define COUNTS_OPERATIONS 9u /* none, and enum operation's bits */
#define COUNTS_CLASSES    6u /* of status: 1xx is [1] */

struct counts {
    struct kt_tally answered[COUNTS_OPERATIONS][COUNTS_CLASSES];
};

static inline void counts_add(struct counts *counts, enum operation op, unsigned status)
{
    unsigned row = (unsigned)ffs((int)op), class = status / 100;
    if (row < COUNTS_OPERATIONS && class < COUNTS_CLASSES)
        kt_tally_add(&counts->answered[row][class], 1);
}
/* The operation of a row. */
static inline enum operation counts_operation(unsigned row)
{
    return row == 0 ? OP_NONE : (enum operation)(1u << (row - 1));
}
