#include "vaultd/audit/segment.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/assert.h"
#include "lib/cleanup.h"
#include "lib/failpoint.h"
#include "vaultd/audit/terse.h"

void audit_segment_name(uint32_t number, char out[AUDIT_SEGMENT_NAME])
{
    (void)snprintf(out, AUDIT_SEGMENT_NAME, "%06u.seg", number);
}

enum kt_kind audit_disk_error(struct kt_err *err, const char *doing)
{
    bool full = errno == ENOSPC || errno == EDQUOT || errno == EFBIG;
    if (!full)
        return kt_fail(err, KT_IO, "%s", doing);
    int saved = errno;
    (void)kt_fail(err, KT_FULL, "%s: %s", doing, kt_errno_text(saved));
    kt_hint(err, "make room in the data folder's file system (or raise its limit); "
                 "requests go on by themselves as soon as the audit log can grow");
    errno = saved;
    return KT_FULL;
}

/* ---- files ---- */

static enum kt_kind map(struct audit_segment *segment, int *take_fd, struct kt_err *err)
{
    void *at = mmap(NULL, segment->bytes, PROT_READ | PROT_WRITE, MAP_SHARED, *take_fd, 0);
    if (at == MAP_FAILED)
        return kt_fail(err, errno == ENOMEM ? KT_NO_MEMORY : KT_IO,
                       "cannot map a segment of the audit log");
    segment->map = at;
    segment->fd = KT_TAKE_FD(*take_fd);
    return KT_OK;
}

static enum kt_kind write_zeroes(int fd, size_t from, size_t to, struct kt_err *err)
{
    static const unsigned char zeroes[256 * 1024];
    while (from < to) {
        size_t n = to - from < sizeof zeroes ? to - from : sizeof zeroes;
        ssize_t done = pwrite(fd, zeroes, n, (off_t)from);
        if (done < 0 && errno == EINTR)
            continue;
        if (done <= 0)
            return audit_disk_error(err, "cannot empty a segment of the audit log");
        from += (size_t)done;
    }
    return KT_OK;
}

static enum kt_kind zero(int fd, size_t from, size_t to, struct kt_err *err)
{
    if (from >= to ||
        fallocate(fd, FALLOC_FL_ZERO_RANGE, (off_t)from, (off_t)(to - from)) == 0)
        return KT_OK;
    return write_zeroes(fd, from, to, err); /* a file system without that call */
}

enum kt_kind audit_segment_create(int folder, uint32_t number, size_t bytes,
                                  struct audit_segment *ret, struct kt_err *err)
{
    char name[AUDIT_SEGMENT_NAME];
    audit_segment_name(number, name);
    kt_autoclose int fd =
        openat(folder, name, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NOCTTY, 0600);
    if (fd < 0)
        return audit_disk_error(err, "cannot make a segment of the audit log");
    struct stat st;
    if (fstat(fd, &st) != 0)
        return kt_fail(err, KT_IO, "cannot look at a segment of the audit log");
    size_t there = st.st_size > 0 ? (size_t)st.st_size : 0;
    enum kt_kind kind = KT_OK;
    errno = posix_fallocate(fd, 0, (off_t)bytes);
    if (errno != 0)
        kind = audit_disk_error(err, "no room for the next segment of the audit log");
    /* The pages that records are sealed into are in memory before, and large: a third of the price
     * of faulting each in as an append meets it. */
    if (kind == KT_OK)
        kind = write_zeroes(fd, 0, bytes, err);
    struct audit_segment segment = {.number = number, .bytes = bytes, .fd = -1};
    if (kind == KT_OK)
        kind = map(&segment, &fd, err);
    if (kind == KT_OK)
        *ret = segment;
    else if (there == 0)
        (void)unlinkat(folder, name, 0); /* half a segment is of no use and takes room */
    return kind;
}

enum kt_kind audit_segment_open(int folder, uint32_t number, size_t bytes,
                                struct audit_segment *ret, struct kt_err *err)
{
    char name[AUDIT_SEGMENT_NAME];
    audit_segment_name(number, name);
    kt_autoclose int fd = openat(folder, name, O_RDWR | O_CLOEXEC | O_NOFOLLOW | O_NOCTTY);
    if (fd < 0 && errno == ENOENT)
        return kt_fail(err, KT_NOT_FOUND, "the audit log has no segment %s", name);
    if (fd < 0)
        return kt_fail(err, KT_IO, "cannot open segment %s of the audit log", name);
    /* A file that was cut short must be whole again before it is mapped. */
    errno = posix_fallocate(fd, 0, (off_t)bytes);
    if (errno != 0)
        return audit_disk_error(err, "no room for a segment of the audit log");
    struct audit_segment segment = {.number = number, .bytes = bytes, .fd = -1};
    enum kt_kind kind = map(&segment, &fd, err);
    if (kind == KT_OK)
        *ret = segment;
    return kind;
}

void audit_segment_close(struct audit_segment *segment)
{
    if (segment->map == NULL)
        return;
    (void)munmap(segment->map, segment->bytes);
    (void)close(segment->fd);
    segment->map = NULL;
    segment->fd = -1;
}

enum kt_kind audit_segment_cut(const struct audit_segment *segment, size_t from, struct kt_err *err)
{
    enum kt_kind kind = zero(segment->fd, from, segment->bytes, err);
    if (kind != KT_OK)
        return kind;
    if (fdatasync(segment->fd) != 0)
        return kt_fail(err, KT_IO, "cannot sync a segment of the audit log");
    return KT_OK;
}

/* ---- reading ---- */

void audit_reader_init(struct audit_reader *reader, int folder, size_t segment_bytes, size_t chunk)
{
    *reader =
        (struct audit_reader){.folder = folder, .fd = -1, .bytes = segment_bytes, .chunk = chunk};
    kt_buf_init(&reader->terse, AUDIT_LINE_MAX);
}

static void forget(struct audit_reader *reader)
{
    if (reader->fd >= 0)
        (void)close(reader->fd);
    reader->fd = -1;
    reader->window_len = 0;
}

void audit_reader_done(struct audit_reader *reader)
{
    forget(reader);
    kt_buf_free(&reader->terse);
    free(reader->window);
    reader->window = NULL;
    reader->window_room = 0;
}

void audit_reader_seek(struct audit_reader *reader, uint32_t number, size_t offset)
{
    if (number != reader->number)
        forget(reader);
    reader->number = number;
    reader->offset = offset;
    reader->window_len = 0; /* what was read before may have grown */
}

static enum kt_kind open_file(struct audit_reader *reader, struct kt_err *err)
{
    if (reader->fd >= 0)
        return KT_OK;
    char name[AUDIT_SEGMENT_NAME];
    audit_segment_name(reader->number, name);
    reader->fd = openat(reader->folder, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NOCTTY);
    if (reader->fd >= 0)
        return KT_OK;
    if (errno == ENOENT)
        return KT_NOT_FOUND;
    return kt_fail(err, KT_IO, "cannot open segment %s of the audit log", name);
}

/* len bytes from offset, in the window. KT_NOT_FOUND: the file ends before. */
static enum kt_kind fetch(struct audit_reader *reader, size_t offset, size_t len,
                          const unsigned char **ret, struct kt_err *err)
{
    if (offset >= reader->window_at && offset + len <= reader->window_at + reader->window_len) {
        *ret = reader->window + (offset - reader->window_at);
        return KT_OK;
    }
    size_t want = len > reader->chunk ? len : reader->chunk;
    if (want > reader->window_room) {
        unsigned char *window = kt_malloc(want);
        if (window == NULL)
            return kt_fail(err, KT_NO_MEMORY, "reading the audit log");
        free(reader->window);
        reader->window = window;
        reader->window_room = want;
    }
    size_t got = 0;
    reader->window_len = 0;
    while (got < want) {
        ssize_t n = pread(reader->fd, reader->window + got, want - got, (off_t)(offset + got));
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return kt_fail(err, KT_IO, "cannot read the audit log");
        if (n == 0)
            break;
        got += (size_t)n;
    }
    reader->window_at = offset;
    reader->window_len = got;
    if (got < len)
        return KT_NOT_FOUND;
    *ret = reader->window;
    return KT_OK;
}

/* What opened is ours: if it does not expand, a newer vaultd knows more pieces. */
static enum kt_kind expand(const struct audit_reader *reader, struct kt_buf *line,
                           struct kt_err *err)
{
    size_t before = line->len;
    if (audit_terse_expand(kt_buf_bytes(&reader->terse), line))
        return kt_buf_ok(line) ? KT_OK : kt_fail(err, KT_NO_MEMORY, "reading the audit log");
    line->len = before;
    (void)kt_fail(err, KT_CORRUPT, "a record of the audit log is of a form that is not known here");
    kt_hint(err, "it was written by a newer vaultd: install that version");
    return KT_CORRUPT;
}

/* The record at (number, offset). KT_NOT_FOUND: none with that sequence number opens there. */
static enum kt_kind read_here(struct audit_reader *reader, const struct audit_sealer *sealer,
                              uint64_t seq, struct kt_buf *line, struct kt_err *err)
{
    struct audit_header header;
    const unsigned char *at = NULL;
    enum kt_kind kind = open_file(reader, err);
    if (kind != KT_OK)
        return kind;
    if (reader->offset + AUDIT_RECORD_MIN > reader->bytes)
        return KT_NOT_FOUND;
    kind = fetch(reader, reader->offset, AUDIT_HEADER_BYTES, &at, err);
    if (kind != KT_OK)
        return kind;
    if (!audit_header_read(at, &header))
        return KT_NOT_FOUND;
    size_t size = AUDIT_OVERHEAD + header.len;
    if (size > reader->bytes - reader->offset)
        return KT_NOT_FOUND;
    kind = fetch(reader, reader->offset, size, &at, err);
    if (kind != KT_OK)
        return kind;
    kt_buf_reset(&reader->terse);
    unsigned char *to = kt_buf_grow(&reader->terse, header.len);
    if (to == NULL)
        return kt_fail(err, KT_NO_MEMORY, "reading the audit log");
    if (!audit_record_open(sealer, seq, kt_bytes(at, size), to))
        return KT_NOT_FOUND;
    kind = expand(reader, line, err);
    if (kind != KT_OK)
        return kind;
    reader->header = header;
    reader->record_number = reader->number;
    reader->record_offset = reader->offset;
    reader->offset += size;
    return KT_OK;
}

enum kt_kind audit_reader_next(struct audit_reader *reader, const struct audit_sealer *sealer,
                               uint64_t seq, struct kt_buf *line, struct kt_err *err)
{
    enum kt_kind kind = read_here(reader, sealer, seq, line, err);
    if (kind != KT_NOT_FOUND)
        return kind;
    uint32_t number = reader->number;
    size_t offset = reader->offset;
    audit_reader_seek(reader, number + 1, 0);
    kind = read_here(reader, sealer, seq, line, err);
    if (kind == KT_NOT_FOUND)
        audit_reader_seek(reader, number, offset);
    return kind;
}
