/* vaultd/audit/device.h - clear copies of the log for other tools.
 *
 * What:    Each device gets every record as one line, in order. The log itself is what a device is
 *          filled from: it knows the number of the record that it needs next, and whoever writes a
 *          later one brings it up to date first. So a device that failed, was deleted or rotated
 *          misses nothing, and lines never swap.
 *          A device that fails is left out while another works, is tried again by
 *          audit_devices_keep(), and counts only once it has caught up.
 * Start:   a device that ends with a record of this log goes on behind it; an empty or foreign one
 *          begins with what is new.
 * Owner:   audit_devices_close(). Threads: any thread.
 * Errors:  KT_IO when devices are configured and none works; KT_INVALID for an unknown type. */
#pragma once

#include <pthread.h>
#include <stdatomic.h>

#include "vaultd/audit/audit.h"
#include "vaultd/audit/log.h"

struct audit_device;
struct audit_devices;

/* One row in device.c, one file. */
struct audit_device_type {
    const char *name;
    /* Opens it (again). The device is closed. */
    enum kt_kind (*open)(struct audit_device *device, struct kt_err *err);
    void (*close)(struct audit_device *device);
    /* The last whole line that is in it, appended to line; nothing when there is none. */
    enum kt_kind (*last_line)(struct audit_device *device, struct kt_buf *line,
                              struct kt_err *err);
    /* All of it, or an error; what an error leaves of a line is closed before the next. */
    enum kt_kind (*write)(struct audit_device *device, struct kt_bytes bytes, struct kt_err *err);
    /* Whether what is open is still what the configuration names. *ret_lost: what was written since
     * the last look is gone with it. */
    bool (*same)(struct audit_device *device, bool *ret_lost);
};
extern const struct audit_device_type audit_device_file;

struct audit_device {
    const struct audit_device_type *type;
    char *name, *path;
    pthread_mutex_t lock;
    /* guarded by lock */
    int fd;
    bool torn;             /* the last line has no end */
    uint64_t next;         /* record it needs next */
    uint64_t next_at_look; /* when it was last seen to be the same */
    bool placed;           /* next was found out from what the device holds */
    atomic_bool failing;   /* written under lock */
};

enum kt_kind audit_devices_open(const struct audit_device_config *configs, size_t n,
                                struct audit_log *log, uint64_t start, struct audit_devices **ret,
                                struct kt_err *err) KT_MUST_CHECK;
void audit_devices_close(struct audit_devices *devices); /* NULL is fine */
/* Before a record is made: at least one works (or none is configured). */
enum kt_kind audit_devices_ready(struct audit_devices *devices, struct kt_err *err) KT_MUST_CHECK;
/* Record seq, line with its newline, and what is missing before it. */
enum kt_kind audit_devices_write(struct audit_devices *devices, uint64_t seq,
                                 struct kt_bytes line, struct kt_err *err) KT_MUST_CHECK;
/* Brings them up to date; look: also checks that they are still the configured ones. */
void audit_devices_keep(struct audit_devices *devices, bool look);
void audit_devices_reopen(struct audit_devices *devices);
void audit_devices_count(struct audit_devices *devices, unsigned *ret_all, unsigned *ret_failing);
