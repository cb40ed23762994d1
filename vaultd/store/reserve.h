/* vaultd/store/reserve.h - room on the disk, kept for those who make room.
 *
 * What:    A file of RESERVE_BYTES beside the database that holds nothing but blocks. On a full disk
 *          it is emptied, so that revoking, deleting, expiring and sealing still find room; until it
 *          could be filled again nothing else is written.
 * Owner:   store_reserve_open() .. store_reserve_close().
 * Threads: the store thread, and opening. */
#pragma once

#include <stdbool.h>

/* Some hundred changed pages of a large tree, twice: what a commit frees can be used by the one
 * after the next. */
#define RESERVE_BYTES ((off_t)4 * 1024 * 1024)

struct store_reserve {
    int fd; /* -1: there is none, which is no error */
    bool held;
};

/* Never fails: a disk that is full already, or no file, is a reserve that is not held. */
void store_reserve_open(int folder, const char *name, struct store_reserve *ret);
void store_reserve_close(struct store_reserve *reserve);
/* True: it is held, or could be filled again. */
bool store_reserve_take(struct store_reserve *reserve);
/* True: there is room now that was not there before. */
bool store_reserve_give(struct store_reserve *reserve);
