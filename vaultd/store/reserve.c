#include "vaultd/store/reserve.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

static bool empty(const struct store_reserve *reserve)
{
    return ftruncate(reserve->fd, 0) == 0;
}

void store_reserve_open(int folder, const char *name, struct store_reserve *ret)
{
    ret->fd = openat(folder, name, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NOCTTY, 0600);
    ret->held = false;
    (void)store_reserve_take(ret);
}

void store_reserve_close(struct store_reserve *reserve)
{
    if (reserve->fd >= 0)
        (void)close(reserve->fd);
    reserve->fd = -1;
    reserve->held = false;
}

bool store_reserve_take(struct store_reserve *reserve)
{
    if (reserve->held || reserve->fd < 0)
        return true;
    int error = posix_fallocate(reserve->fd, 0, RESERVE_BYTES);
    reserve->held = error == 0;
    if (error != 0)
        (void)empty(reserve); /* a part of it would lack those who make room */
    /* What ails the disk else, the write itself finds out and names. */
    return error != ENOSPC && error != EDQUOT && error != EFBIG;
}

bool store_reserve_give(struct store_reserve *reserve)
{
    bool held = reserve->held;
    reserve->held = false;
    return held && empty(reserve);
}
