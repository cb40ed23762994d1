#include "lib/write.h"

#include <errno.h>
#include <unistd.h>

bool kt_write_all(int fd, struct kt_bytes bytes)
{
    while (bytes.len > 0) {
        ssize_t n = write(fd, bytes.at, bytes.len);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return false;
        bytes = kt_bytes(bytes.at + n, bytes.len - (size_t)n);
    }
    return true;
}
