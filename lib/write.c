#include "lib/write.h"

#include <errno.h>
#include <unistd.h>

bool kt_write_all(int fd, struct kt_bytes bytes)
{
    while (bytes.len > 0) {
        ssize_t n = write(fd, bytes.at, bytes.len);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0) { /* 0: POSIX leaves open what it means, and trying again could go on for ever */
            errno = n == 0 ? EIO : errno;
            return false;
        }
        bytes = kt_bytes(bytes.at + n, bytes.len - (size_t)n);
    }
    return true;
}
