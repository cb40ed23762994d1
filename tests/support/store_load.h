/* tests/support/store_load.h - a row of batches of which any part of the front can be checked.
 *
 * What:    Batch i (from 1) puts three keys and "last" = i, deletes the third key of batch i - 20,
 *          and has an outcome. store_load_check() opens a folder and proves that some batches 1..L
 *          are there, each whole and in its right form, that L >= acknowledged, that the outcomes
 *          kept are those of the newest batches without a gap, and that the head is at the newest
 *          change.
 * Threads: the check: one thread. */
#pragma once

#include "vaultd/store/store.h"

#define STORE_LOAD_BACK 20u

struct batch *store_load_batch(uint32_t i);
/* NULL: all is well, *ret_last is L. Else what is wrong, in `text`. */
const char *store_load_check(const char *folder, uint32_t acknowledged, uint32_t *ret_last,
                             char text[400]);
