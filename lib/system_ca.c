/* lib/system_ca.c - see lib/system_ca.h. */
#include "lib/system_ca.h"

#include <fcntl.h>
#include <unistd.h>

#include "lib/cleanup.h"
#include "lib/write.h"

bool kt_system_ca_copy(int to)
{
    kt_autoclose int from = open(KT_SYSTEM_CA, O_RDONLY | O_CLOEXEC);
    char part[16384];
    ssize_t n = 0;
    while (from >= 0 && (n = read(from, part, sizeof(part))) > 0) {
        if (!kt_write_all(to, kt_bytes(part, (size_t)n)))
            return false;
    }
    return from >= 0 && n == 0;
}
