/* lib/ipc.c - see lib/ipc.h. */
#include "lib/ipc.h"

#include <errno.h>
#include <poll.h>
#include <sys/socket.h>

#include "lib/assert.h"
#include "lib/cleanup.h"
#include "lib/timespec.h"

int64_t kt_ipc_deadline(uint32_t timeout_ms)
{
    return kt_timespec_mono_ms() + timeout_ms;
}

enum kt_kind kt_ipc_pair(int ret[2], struct kt_err *err)
{
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ret) != 0)
        return kt_fail(err, KT_IO, "cannot make a socket pair");
    return KT_OK;
}

static enum kt_kind wait_for(int fd, short events, int64_t deadline, struct kt_err *err)
{
    for (;;) {
        int timeout = -1;
        if (deadline != KT_IPC_FOREVER) {
            int64_t left = deadline - kt_timespec_mono_ms();
            if (left < 0)
                left = 0;
            timeout = left > INT32_MAX ? INT32_MAX : (int)left;
        }
        struct pollfd entry = {.fd = fd, .events = events};
        int n = poll(&entry, 1, timeout);
        if (n > 0)
            return KT_OK; /* an error or a hang-up shows in the call that follows */
        if (n == 0)
            return kt_fail(err, KT_TIMEOUT, "no answer in time");
        if (errno != EINTR)
            return kt_fail(err, KT_IO, "cannot wait for the other process");
    }
}

union control {
    char bytes[CMSG_SPACE(KT_IPC_FDS_MAX * sizeof(int))];
    struct cmsghdr align;
};

static void attach(struct msghdr *header, union control *control, const int *fds, size_t n_fds)
{
    *control = (union control){0};
    header->msg_control = control->bytes;
    header->msg_controllen = CMSG_SPACE(n_fds * sizeof(int));
    struct cmsghdr *part = CMSG_FIRSTHDR(header);
    KT_ASSERT(part != NULL);
    part->cmsg_level = SOL_SOCKET;
    part->cmsg_type = SCM_RIGHTS;
    part->cmsg_len = CMSG_LEN(n_fds * sizeof(int));
    memcpy(CMSG_DATA(part), fds, n_fds * sizeof(int));
}

enum kt_kind kt_ipc_send(int fd, struct kt_bytes message, const int *fds, size_t n_fds,
                         int64_t deadline, struct kt_err *err)
{
    if (message.len == 0)
        return kt_fail(err, KT_INVALID, "an empty message cannot be sent");
    if (message.len > KT_IPC_MESSAGE_MAX || n_fds > KT_IPC_FDS_MAX)
        return kt_fail(err, KT_TOO_LARGE, "a message of %zu bytes, %zu descriptors is too large",
                       message.len, n_fds);
    union {
        const unsigned char *in;
        void *out;
    } bytes = {.in = message.at}; /* sendmsg() only reads */
    struct iovec part = {.iov_base = bytes.out, .iov_len = message.len};
    struct msghdr header = {.msg_iov = &part, .msg_iovlen = 1};
    union control control;
    if (n_fds > 0)
        attach(&header, &control, fds, n_fds);
    for (;;) {
        ssize_t sent = sendmsg(fd, &header, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (sent >= 0)
            return KT_OK; /* seqpacket: whole or not at all */
        if (errno == EPIPE || errno == ECONNRESET)
            return kt_fail(err, KT_GONE, "the other process has ended");
        if (errno == EINTR)
            continue;
        if (errno != EAGAIN)
            return kt_fail(err, KT_IO, "cannot send to the other process");
        enum kt_kind kind = wait_for(fd, POLLOUT, deadline, err);
        if (kind != KT_OK)
            return kind;
    }
}

/* Takes the descriptors out of the message; all are closed when they are more than wanted. */
static bool detach(struct msghdr *header, int *fds, size_t *n_fds, size_t max)
{
    bool fits = (header->msg_flags & MSG_CTRUNC) == 0;
    *n_fds = 0;
    int taken[KT_IPC_FDS_MAX];
    size_t n = 0;
    for (struct cmsghdr *part = CMSG_FIRSTHDR(header); part != NULL;
         part = CMSG_NXTHDR(header, part)) {
        if (part->cmsg_level != SOL_SOCKET || part->cmsg_type != SCM_RIGHTS)
            continue;
        size_t count = (part->cmsg_len - CMSG_LEN(0)) / sizeof(int);
        for (size_t i = 0; i < count && n < KT_IPC_FDS_MAX; i++, n++)
            memcpy(&taken[n], CMSG_DATA(part) + i * sizeof(int), sizeof(int));
    }
    fits = fits && n <= max;
    for (size_t i = 0; i < n; i++) {
        if (fits && fds != NULL)
            fds[i] = taken[i];
        else
            (void)close(taken[i]);
    }
    *n_fds = fits ? n : 0;
    return fits;
}

static ssize_t receive_some(int fd, struct msghdr *header, int64_t deadline, enum kt_kind *ret_kind,
                            struct kt_err *err)
{
    for (;;) {
        ssize_t got = recvmsg(fd, header, MSG_CMSG_CLOEXEC | MSG_DONTWAIT);
        if (got >= 0)
            return got;
        /* ECONNRESET says once that the other end closed without reading all; what it sent before
         * is still there to be received. */
        if (errno == EINTR || errno == ECONNRESET)
            continue;
        if (errno != EAGAIN) {
            *ret_kind = kt_fail(err, KT_IO, "cannot receive from the other process");
            return -1;
        }
        *ret_kind = wait_for(fd, POLLIN, deadline, err);
        if (*ret_kind != KT_OK)
            return -1;
    }
}

// NOLINTNEXTLINE(readability-non-const-parameter): recvmsg() writes into `at`
enum kt_kind kt_ipc_receive(int fd, unsigned char *at, size_t room, size_t *ret_len, int *fds,
                            size_t *ret_n_fds, int64_t deadline, struct kt_err *err)
{
    struct iovec part = {.iov_base = at, .iov_len = room};
    union control control = {0};
    struct msghdr header = {.msg_iov = &part,
                            .msg_iovlen = 1,
                            .msg_control = control.bytes,
                            .msg_controllen = sizeof(control.bytes)};
    enum kt_kind kind = KT_OK;
    ssize_t got = receive_some(fd, &header, deadline, &kind, err);
    if (got < 0)
        return kind;
    size_t n_fds = 0;
    bool fits = detach(&header, fds, &n_fds, fds == NULL ? 0 : KT_IPC_FDS_MAX);
    if (got == 0)
        kind = kt_fail(err, KT_GONE, "the other process has ended");
    else if (!fits || (header.msg_flags & MSG_TRUNC) != 0)
        kind = kt_fail(err, KT_CORRUPT, "the other process sent more than a message may hold");
    if (kind != KT_OK) {
        for (size_t i = 0; fds != NULL && i < n_fds; i++)
            (void)close(fds[i]);
        return kind;
    }
    *ret_len = (size_t)got;
    if (ret_n_fds != NULL)
        *ret_n_fds = n_fds;
    return KT_OK;
}
