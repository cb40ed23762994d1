#include "vaultd/audit/index.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "lib/assert.h"
#include "vaultd/audit/segment.h"

#define WINDOW_ENTRIES 65536u
#define WINDOW_BYTES   ((size_t)WINDOW_ENTRIES * AUDIT_ENTRY_BYTES) /* a whole number of pages */
#define ROOM_STEP      4096u                                        /* entries, 160 KiB */
#define LEAVES_AT_ONCE ((size_t)512)

_Static_assert(WINDOW_BYTES % 4096 == 0, "windows are mapped");

enum kt_kind audit_read_at(int fd, uint64_t offset, void *to, size_t len, const char *what,
                           struct kt_err *err)
{
    unsigned char *at = to;
    while (len > 0) {
        ssize_t n = pread(fd, at, len, (off_t)offset);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return kt_fail(err, KT_IO, "cannot read the audit log's %s", what);
        if (n == 0)
            return kt_fail(err, KT_CORRUPT, "the audit log's %s ends too early", what);
        at += n;
        len -= (size_t)n;
        offset += (uint64_t)n;
    }
    return KT_OK;
}

enum kt_kind audit_write_at(int fd, uint64_t offset, const void *from, size_t len, const char *what,
                            struct kt_err *err)
{
    const unsigned char *at = from;
    while (len > 0) {
        ssize_t n = pwrite(fd, at, len, (off_t)offset);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0) {
            enum kt_kind kind = audit_disk_error(err, "cannot write the audit log");
            kt_context(err, "%s", what);
            return kind;
        }
        at += n;
        len -= (size_t)n;
        offset += (uint64_t)n;
    }
    return KT_OK;
}

enum kt_kind audit_index_open(int folder, struct audit_index *index, struct kt_err *err)
{
    int fd = openat(folder, "index", O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NOCTTY, 0600);
    if (fd < 0)
        return audit_disk_error(err, "cannot open the audit log's index");
    index->fd = fd;
    index->window = NULL;
    atomic_init(&index->room, 0);
    return KT_OK;
}

void audit_index_close(struct audit_index *index)
{
    if (index->window != NULL)
        (void)munmap(index->window, WINDOW_BYTES);
    if (index->fd >= 0)
        (void)close(index->fd);
    index->fd = -1;
    index->window = NULL;
}

enum kt_kind audit_index_room(struct audit_index *index, uint64_t entries, struct kt_err *err)
{
    uint64_t room = atomic_load(&index->room);
    if (entries <= room)
        return KT_OK;
    uint64_t upto = (entries + ROOM_STEP - 1) / ROOM_STEP * ROOM_STEP;
    errno = posix_fallocate(index->fd, (off_t)(room * AUDIT_ENTRY_BYTES),
                            (off_t)((upto - room) * AUDIT_ENTRY_BYTES));
    if (errno != 0)
        return audit_disk_error(err, "no room for the audit log's index");
    atomic_store(&index->room, upto);
    return KT_OK;
}

static void encode(const struct audit_entry *entry, unsigned char *out)
{
    memcpy(out, entry->leaf, KT_HASH_BYTES);
    kt_put_u32(out + KT_HASH_BYTES, entry->segment);
    kt_put_u32(out + KT_HASH_BYTES + 4, entry->offset);
}

enum kt_kind audit_index_put(struct audit_index *index, uint64_t seq,
                             const struct audit_entry *entry, struct kt_err *err)
{
    KT_ASSERT(seq < atomic_load_explicit(&index->room, memory_order_relaxed));
    uint64_t number = seq / WINDOW_ENTRIES;
    if (index->window == NULL || index->window_number != number) {
        if (index->window != NULL)
            (void)munmap(index->window, WINDOW_BYTES);
        /* Beyond the file's end the mapping stays untouched: nothing is put without room. */
        void *at = mmap(NULL, WINDOW_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, index->fd,
                        (off_t)(number * WINDOW_BYTES));
        index->window = at == MAP_FAILED ? NULL : at;
        index->window_number = number;
    }
    unsigned char bytes[AUDIT_ENTRY_BYTES];
    encode(entry, bytes);
    if (index->window == NULL) /* no memory for a mapping: the slow way still has its room */
        return audit_write_at(index->fd, seq * AUDIT_ENTRY_BYTES, bytes, sizeof bytes, "index",
                              err);
    memcpy(index->window + seq % WINDOW_ENTRIES * AUDIT_ENTRY_BYTES, bytes, sizeof bytes);
    return KT_OK;
}

enum kt_kind audit_index_get(const struct audit_index *index, uint64_t seq, struct audit_entry *ret,
                             struct kt_err *err)
{
    unsigned char bytes[AUDIT_ENTRY_BYTES];
    enum kt_kind kind =
        audit_read_at(index->fd, seq * AUDIT_ENTRY_BYTES, bytes, sizeof bytes, "index", err);
    if (kind != KT_OK)
        return kind;
    memcpy(ret->leaf, bytes, KT_HASH_BYTES);
    ret->segment = kt_get_u32(bytes + KT_HASH_BYTES);
    ret->offset = kt_get_u32(bytes + KT_HASH_BYTES + 4);
    return KT_OK;
}

enum kt_kind audit_index_leaves(const struct audit_index *index, uint64_t from, uint64_t n,
                                unsigned char *out, struct kt_err *err)
{
    unsigned char bytes[LEAVES_AT_ONCE * AUDIT_ENTRY_BYTES];
    while (n > 0) {
        size_t some = n < LEAVES_AT_ONCE ? (size_t)n : LEAVES_AT_ONCE;
        enum kt_kind kind = audit_read_at(index->fd, from * AUDIT_ENTRY_BYTES, bytes,
                                          some * AUDIT_ENTRY_BYTES, "index", err);
        if (kind != KT_OK)
            return kind;
        for (size_t i = 0; i < some; i++, out += KT_HASH_BYTES)
            memcpy(out, bytes + i * AUDIT_ENTRY_BYTES, KT_HASH_BYTES);
        from += some;
        n -= some;
    }
    return KT_OK;
}

enum kt_kind audit_index_sync(const struct audit_index *index, struct kt_err *err)
{
    if (fdatasync(index->fd) != 0)
        return kt_fail(err, KT_IO, "cannot sync the audit log's index");
    return KT_OK;
}
