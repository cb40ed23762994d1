/* tests/sim/disk.h - a folder "/sim" in memory that forgets what was not synced.
 *
 * What:    libc's calls on files below "/sim" end here (tests/sim/wraps). Each file has two
 *          contents: `now`, what a process sees, mapped pages included, and `kept`, what the disk
 *          holds. A sync makes them the same; what is written while it runs may be in it or not.
 *          Names are kept when their folder is synced.
 * Crash:   disk_crash() settles what the next life finds, at that instant; the vault that still
 *          runs goes on upon what it sees, and disk_revive() then puts the settled state in its
 *          place.
 *            KILL     the process alone: all that was written is there, and still not synced
 *            LOST     the power: nothing unsynced is there
 *            REORDER  each page and each name by chance (names of a folder in their order)
 *            TORN     as REORDER, and pages mixed from sectors
 * Limits:  DISK_FILE_BYTES a file, 160 files; all in one process-wide disk, made anew by
 *          disk_format(). */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define DISK_ROOT "/sim"
#define DISK_FILE_BYTES                                                                            \
    ((size_t)8 << 20) /* room in address space; memory is used as it is written */

enum disk_fault { DISK_KILL, DISK_LOST, DISK_REORDER, DISK_TORN, DISK_FAULTS };

/* What a call on a file does to it, for who wants to crash there. */
enum disk_what {
    DISK_WRITE,
    DISK_SYNC_SEGMENT,
    DISK_SYNC_INDEX,
    DISK_SYNC_TREE,
    DISK_SYNC_NOTES,
    DISK_SYNC_OTHER,
    DISK_SYNC_FOLDER,
    DISK_CREATE,
    DISK_UNLINK,
    DISK_RENAME,
    DISK_ALLOCATE
};
/* Called before (done false) and after each; may call disk_crash(). */
typedef void disk_event_fn(void *arg, enum disk_what what, bool done);

void disk_format(disk_event_fn *event, void *arg);
void disk_crash(enum disk_fault fault);
void disk_revive(void);
/* How many descriptors are open: a vault that ended leaves none. */
unsigned disk_open_files(void);
/* A number of everything that is on it. */
uint64_t disk_sum(void);
