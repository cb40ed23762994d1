/* vaultd/audit/device.h - one audit device: a clear copy of the log for other tools.
 *
 * What:    A thread of its own writes every record as one line, in order; nobody else ever waits for
 *          the device longer than its timeout. The log itself is what a device is filled from: it
 *          knows the number of the record that it needs next. So a device that failed, hung, was
 *          deleted or rotated misses nothing, and lines never swap.
 *          One that fails, or keeps somebody waiting, counts again when it has caught up, quickly.
 * Start:   a device that ends with a record of this log goes on behind it; an empty or foreign one
 *          begins with what is new.
 * Owner:   audit_device_start() .. audit_device_stop(). A thread that the device never lets go is
 *          left to itself, with its memory, and touches nothing else any more.
 * Threads: any thread.
 * Errors:  KT_IO and KT_BUSY with the device's path, the cause and the way on; KT_INVALID for an
 *          unknown type. */
#pragma once

#include "vaultd/audit/audit.h"
#include "vaultd/audit/log.h"

struct audit_device;

/* What a type works on. Only the device's thread touches it. */
struct audit_place {
    const char *path;
    int fd;        /* -1: closed */
    bool torn;     /* the last line has no end */
    uint64_t size; /* bytes that must be in it */
};
struct audit_look {
    bool same; /* what is open is still what the configuration names */
    bool lost; /* it is gone: what was written since the last look is lost */
    bool cut;  /* somebody took lines out */
};
/* One row in device.c, one file. */
struct audit_device_type {
    const char *name;
    /* Opens it (again). It is closed. */
    enum kt_kind (*open)(struct audit_place *place, struct kt_err *err);
    void (*close)(struct audit_place *place);
    /* The last whole line that is in it, appended to line; nothing when there is none. */
    enum kt_kind (*last_line)(struct audit_place *place, struct kt_buf *line, struct kt_err *err);
    /* All of it, or an error; what an error leaves of a line is closed before the next. */
    enum kt_kind (*write)(struct audit_place *place, struct kt_bytes bytes, struct kt_err *err);
    void (*look)(struct audit_place *place, struct audit_look *ret);
};
extern const struct audit_device_type audit_device_file;

/* start: the first record that a new device gets. It begins to open; audit_device_ready() waits. */
enum kt_kind audit_device_start(const struct audit_device_config *config, struct audit_log *log,
                                uint64_t start, struct audit_device **ret, struct kt_err *err)
    KT_MUST_CHECK;
/* NULL is fine. Waits for its thread, at most the timeout. */
void audit_device_stop(struct audit_device *device);

/* KT_OK if it works; else it is tried once, waiting at most the timeout, and not at all if it hangs. */
enum kt_kind audit_device_ready(struct audit_device *device, struct kt_err *err) KT_MUST_CHECK;
/* Record seq is in the log; line with its newline. Does not wait. */
void audit_device_offer(struct audit_device *device, uint64_t seq, struct kt_bytes line);
/* Until all records below upto are in it, or until that time (CLOCK_MONOTONIC, ms): then it fails. */
enum kt_kind audit_device_wait(struct audit_device *device, uint64_t upto, int64_t deadline_ms,
                               struct kt_err *err) KT_MUST_CHECK;
int64_t audit_device_deadline_ms(const struct audit_device *device);

enum audit_device_work {
    DEVICE_FILL = 1,  /* bring it up to date */
    DEVICE_LOOK = 2,  /* and look whether it is still the configured one; try again if it fails */
    DEVICE_REOPEN = 4 /* and open it anew */
};
/* Does not wait. */
void audit_device_ask(struct audit_device *device, unsigned work);
/* Until what was asked is done; at most the timeout. */
void audit_device_settle(struct audit_device *device);
bool audit_device_failing(struct audit_device *device);
