/* vaultd/audit/devices.h - all audit devices of a log.
 *
 * What:    At least one has to work, or no record is made. One that fails is left out while another
 *          works.
 * Owner:   audit_devices_close().
 * Threads: any thread.
 * Errors:  KT_IO and KT_BUSY when devices are configured and none works; KT_INVALID for an unknown
 *          type. */
#pragma once

#include "vaultd/audit/device.h"

struct audit_devices;

/* Waits until each works or does not, at most its timeout. */
enum kt_kind audit_devices_open(const struct audit_device_config *configs, size_t n,
                                struct audit_log *log, uint64_t start, struct audit_devices **ret,
                                struct kt_err *err) KT_MUST_CHECK;
void audit_devices_close(struct audit_devices *devices); /* NULL is fine */
/* Before a record is made: at least one works (or none is configured). */
enum kt_kind audit_devices_ready(struct audit_devices *devices, struct kt_err *err) KT_MUST_CHECK;
/* Record seq, line with its newline: KT_OK if at least one has it, with all before it. */
enum kt_kind audit_devices_write(struct audit_devices *devices, uint64_t seq,
                                 struct kt_bytes line, struct kt_err *err) KT_MUST_CHECK;
/* enum audit_device_work, for each. Does not wait. */
void audit_devices_ask(struct audit_devices *devices, unsigned work);
/* Until what was asked of each is done; at most as long as the slowest may take. */
void audit_devices_settle(struct audit_devices *devices);
void audit_devices_count(struct audit_devices *devices, unsigned *ret_all, unsigned *ret_failing);
