/* lib/ipc.h - messages between our own processes, with descriptors, over a Unix seqpacket pair.
 *
 * What:    One send is one receive: the kernel keeps message borders, so there is no framing to
 *          get wrong. What a message means is the caller's.
 * Owner:   descriptors are the caller's; all are close-on-exec and non-blocking. Received ones too.
 * Limits:  KT_IPC_MESSAGE_MAX bytes, KT_IPC_FDS_MAX descriptors; more is KT_TOO_LARGE when sent and
 *          KT_CORRUPT (with every descriptor closed) when received.
 * Errors:  KT_GONE: the other end closed. KT_TIMEOUT: the deadline passed. KT_IO.
 * Threads: any thread; one sender and one receiver at a time per descriptor. */
#pragma once

#include "lib/err.h"

#define KT_IPC_MESSAGE_MAX ((size_t)64 * 1024)
#define KT_IPC_FDS_MAX     4u

/* deadline: kt_ipc_deadline(ms from now), or KT_IPC_FOREVER. CLOCK_MONOTONIC, ms. */
#define KT_IPC_FOREVER INT64_MAX
int64_t kt_ipc_deadline(uint32_t timeout_ms);

enum kt_kind kt_ipc_pair(int ret[2], struct kt_err *err) KT_MUST_CHECK;
/* Empty messages are refused (KT_INVALID): they look like the end. */
enum kt_kind kt_ipc_send(int fd, struct kt_bytes message, const int *fds, size_t n_fds,
                         int64_t deadline, struct kt_err *err) KT_MUST_CHECK;
/* fds and ret_n_fds may be NULL: then any descriptor is too many. fds holds KT_IPC_FDS_MAX. */
enum kt_kind kt_ipc_receive(int fd, unsigned char *at, size_t room, size_t *ret_len, int *fds,
                            size_t *ret_n_fds, int64_t deadline, struct kt_err *err) KT_MUST_CHECK;
