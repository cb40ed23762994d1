/* vaultd/audit/segment.h - the files that hold the records, and reading them in order.
 *
 * What:    NNNNNN.seg, all of one size, allocated whole before they are mapped, so that a full disk
 *          is an error of audit_segment_create() and never a SIGBUS in the middle of a record, and
 *          written with zeroes, so that no record waits for a page.
 *          Records stand one after the other from offset 0; none crosses an end. Zeroes follow.
 * Owner:   audit_segment_close() unmaps and closes. A reader is freed by audit_reader_done().
 * Threads: one thread at a time per struct. Writing into a mapping is the log's business (log.h).
 * Errors:  KT_FULL: no room on the disk (or a limit); KT_IO. */
#pragma once

#include "vaultd/audit/sealed.h"

#define AUDIT_SEGMENT_BYTES ((size_t)8 * 1024 * 1024)
#define AUDIT_SEGMENT_MIN   ((size_t)32 * 1024)
#define AUDIT_SEGMENT_NAME  16u

struct audit_segment {
    uint32_t number;
    int fd;
    unsigned char *map; /* NULL: not open */
    size_t bytes;
};
void audit_segment_name(uint32_t number, char out[AUDIT_SEGMENT_NAME]);
/* A new one, or an unused one that is there already (it is emptied). Does not sync the folder. */
enum kt_kind audit_segment_create(int folder, uint32_t number, size_t bytes,
                                  struct audit_segment *ret, struct kt_err *err) KT_MUST_CHECK;
enum kt_kind audit_segment_open(int folder, uint32_t number, size_t bytes,
                                struct audit_segment *ret, struct kt_err *err) KT_MUST_CHECK;
void audit_segment_close(struct audit_segment *segment);
/* Zeroes from `from` to the end and syncs, without needing new blocks. */
enum kt_kind audit_segment_cut(const struct audit_segment *segment, size_t from,
                               struct kt_err *err) KT_MUST_CHECK;
/* KT_FULL for what more room would mend, else KT_IO; with errno's text and a hint. */
enum kt_kind audit_disk_error(struct kt_err *err, const char *doing);

/* Reads records in order. chunk: how much is read from the file at a time. */
struct audit_reader {
    int folder, fd;
    size_t bytes;       /* of a segment */
    uint32_t number;    /* where the next record is looked for */
    size_t offset;
    unsigned char *window;
    size_t window_at, window_len, window_room, chunk;
    struct kt_buf terse; /* the record that was read last, before it was expanded */
    /* the record that was read last */
    struct audit_header header;
    uint32_t record_number;
    size_t record_offset;
};
void audit_reader_init(struct audit_reader *reader, int folder, size_t segment_bytes, size_t chunk);
void audit_reader_done(struct audit_reader *reader);
void audit_reader_seek(struct audit_reader *reader, uint32_t number, size_t offset);
/* The record with that number at the reader's place, or at the start of the next segment: its line
 * is appended to line and the reader moves behind it. KT_NOT_FOUND: none opens there, nothing
 * moved. */
enum kt_kind audit_reader_next(struct audit_reader *reader, const struct audit_sealer *sealer,
                               uint64_t seq, struct kt_buf *line, struct kt_err *err)
    KT_MUST_CHECK;
