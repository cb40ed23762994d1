#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/cleanup.h"
#include "vaultd/audit/device.h"
#include "vaultd/audit/index.h"

#define TAIL_BYTES (2 * AUDIT_LINE_MAX) /* holds the last whole line and a torn one */

static bool ends_torn(int fd, off_t size)
{
    char last = '\n';
    return size > 0 && pread(fd, &last, 1, size - 1) == 1 && last != '\n';
}

static enum kt_kind file_open(struct audit_place *place, struct kt_err *err)
{
    /* Not blocking: opening a pipe that nobody reads would stop every request. */
    kt_autoclose int fd =
        open(place->path,
             O_RDWR | O_APPEND | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NOCTTY | O_NONBLOCK, 0600);
    struct stat st;
    if (fd < 0 || fstat(fd, &st) != 0) {
        (void)kt_fail(err, KT_IO, "cannot open the audit device '%s'", place->path);
        kt_hint(err, "its folder must be there and belong to vaultd's user; a symbolic link is "
                     "refused");
        return KT_IO;
    }
    if (!S_ISREG(st.st_mode) && !S_ISCHR(st.st_mode)) {
        errno = 0;
        return kt_fail(err, KT_IO, "the audit device '%s' is not a file", place->path);
    }
    place->torn = S_ISREG(st.st_mode) && ends_torn(fd, st.st_size);
    place->size = S_ISREG(st.st_mode) ? (uint64_t)st.st_size : 0;
    place->fd = KT_TAKE_FD(fd);
    return KT_OK;
}

static void file_close(struct audit_place *place)
{
    if (place->fd >= 0)
        (void)close(place->fd);
    place->fd = -1;
}

static enum kt_kind file_last_line(struct audit_place *place, struct kt_buf *line,
                                   struct kt_err *err)
{
    struct stat st;
    if (fstat(place->fd, &st) != 0)
        return kt_fail(err, KT_IO, "cannot look at the audit device '%s'", place->path);
    if (!S_ISREG(st.st_mode) || st.st_size == 0)
        return KT_OK;
    size_t size = (size_t)st.st_size, n = size < TAIL_BYTES ? size : TAIL_BYTES;
    kt_autobuf struct kt_buf tail;
    kt_buf_init(&tail, TAIL_BYTES);
    unsigned char *at = kt_buf_grow(&tail, n);
    if (at == NULL)
        return kt_fail(err, KT_NO_MEMORY, "reading the audit device '%s'", place->path);
    enum kt_kind kind = audit_read_at(place->fd, size - n, at, n, "device", err);
    if (kind != KT_OK)
        return kind;
    const unsigned char *end = memrchr(at, '\n', n);
    if (end == NULL)
        return KT_OK;
    const unsigned char *before = memrchr(at, '\n', (size_t)(end - at));
    const unsigned char *start = before == NULL ? at : before + 1;
    kt_buf_add(line, start, (size_t)(end - start));
    return kt_buf_ok(line) ? KT_OK : kt_fail(err, KT_NO_MEMORY, "reading an audit device");
}

static enum kt_kind write_all(struct audit_place *place, struct kt_bytes bytes,
                              struct kt_err *err)
{
    while (bytes.len > 0) {
        ssize_t n = write(place->fd, bytes.at, bytes.len);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0) {
            (void)kt_fail(err, KT_IO, "cannot write to the audit device '%s'", place->path);
            kt_hint(err, "make room there, or take the device out of the configuration; vaultd "
                         "goes on by itself when it can write");
            return KT_IO;
        }
        place->torn = bytes.at[n - 1] != '\n';
        place->size += (uint64_t)n;
        bytes.at += n;
        bytes.len -= (size_t)n;
    }
    return KT_OK;
}

static enum kt_kind file_write(struct audit_place *place, struct kt_bytes bytes,
                               struct kt_err *err)
{
    enum kt_kind kind = place->torn ? write_all(place, kt_str("\n"), err) : KT_OK;
    return kind == KT_OK ? write_all(place, bytes, err) : kind;
}

static void file_look(struct audit_place *place, struct audit_look *ret)
{
    struct stat open_one, named;
    *ret = (struct audit_look){.same = false};
    if (fstat(place->fd, &open_one) != 0)
        return;
    ret->lost = open_one.st_nlink == 0;
    ret->same = fstatat(AT_FDCWD, place->path, &named, AT_SYMLINK_NOFOLLOW) == 0 &&
                named.st_dev == open_one.st_dev && named.st_ino == open_one.st_ino;
    uint64_t size = (uint64_t)open_one.st_size;
    ret->cut = !ret->lost && S_ISREG(open_one.st_mode) && size < place->size;
    place->size = size;
    place->torn = S_ISREG(open_one.st_mode) && ends_torn(place->fd, open_one.st_size);
}

const struct audit_device_type audit_device_file = {
    .name = "file",
    .open = file_open,
    .close = file_close,
    .last_line = file_last_line,
    .write = file_write,
    .look = file_look,
};
