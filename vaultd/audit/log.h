/* vaultd/audit/log.h - one log: a folder of segments, an index and a tree, and appending to it.
 *
 * What:    Takes finished JSON lines, numbers, seals and hashes them; syncs; answers with records,
 *          leaf hashes and the tree. Knows nothing of the store, of requests or of devices.
 * Format:  folder/log: u8 format ‖ vault id 16 ‖ u64 log ‖ u32 bytes of a segment. folder/running is
 *          there while a log is open: found at the next opening, the last stop was not clean.
 * Append:  a number and a place are taken under the lock; the record is sealed into the mapped page
 *          and hashed outside it; records are published in order; audit_log_append() returns when
 *          its own is. So a record that was acknowledged has no gap before it.
 * Room:    one whole segment is kept allocated beside the current one, and what was promised to
 *          outcomes stays free; else appends fail with KT_FULL, and go on once there is room.
 * Owner:   audit_log_close().
 * Threads: appends and reading: any thread. audit_log_sync(), audit_log_prepare(): any thread.
 * Errors:  a failed sync breaks the log for good (what the kernel dropped cannot be known): every
 *          append then fails until the log is opened anew. */
#pragma once

#include "vaultd/audit/line.h"
#include "vaultd/audit/segment.h"
#include "vaultd/audit/tree.h"

#define AUDIT_LOG_FORMAT 1u

struct audit_log;

struct audit_trust { /* what the store knows: a synced size, and its root */
    uint64_t size;
    unsigned char root[KT_HASH_BYTES];
};
enum audit_trouble {
    AUDIT_FINE,
    AUDIT_NO_LOG,     /* no such folder, or nothing in it */
    AUDIT_OTHER_VAULT,
    AUDIT_SHORT,      /* fewer records than trusted */
    AUDIT_OTHER_ROOT  /* the trusted size has another root */
};
#define AUDIT_TIME_TEXT 40u
struct audit_found {
    enum audit_trouble trouble;
    uint64_t size;
    unsigned char root[KT_HASH_BYTES]; /* at the trusted size for OTHER_ROOT, else of all */
    struct audit_mark mark;            /* last outcome in it */
    char last_time[AUDIT_TIME_TEXT];   /* "time" of the last record; "" if empty */
    uint64_t after_trust;              /* records found behind what was trusted */
    uint64_t bytes_cut;                /* at its end, that did not open */
    bool rebuilt;                      /* index or tree had to be made anew */
    bool running;                      /* the last stop was not clean */
};

/* Makes a new, empty log. The folder must not hold one. */
enum kt_kind audit_log_create(int parent, const char *name, const struct audit_sealer *sealer,
                              size_t segment_bytes, struct audit_log **ret, struct kt_err *err)
    KT_MUST_CHECK;
/* Opens, checks and mends. KT_PRECONDITION with found->trouble: no record was changed. The log is
 * synced when this returns. */
enum kt_kind audit_log_open(int parent, const char *name, const struct audit_sealer *sealer,
                            const struct audit_trust *trust, struct audit_log **ret,
                            struct audit_found *found, struct kt_err *err) KT_MUST_CHECK;
/* Does not sync. clean: removes the mark of a running log. NULL is fine. */
void audit_log_close(struct audit_log *log, bool clean);

/* ---- appending ---- */
/* line: terse (terse.h), a JSON object without its closing brace. It gets ,"seq":N} and is then
 * sealed; the leaf is the hash of what it expands to. */
enum kt_kind audit_log_append(struct audit_log *log, struct kt_buf *line, uint64_t *ret_seq,
                              struct kt_err *err) KT_MUST_CHECK;
/* The same for a line that was made in both forms. */
enum kt_kind audit_log_append_line(struct audit_log *log, struct audit_line *line,
                                   uint64_t *ret_seq, struct kt_err *err) KT_MUST_CHECK;
/* Sets room aside for one outcome's record of at most that many bytes, overhead included. */
enum kt_kind audit_log_promise(struct audit_log *log, size_t room, struct kt_err *err)
    KT_MUST_CHECK;
void audit_log_release(struct audit_log *log, size_t room);
/* Only one thread, in the order of marks. Uses the promised room. Marks that are not after the last
 * one are in the log already: KT_CONFLICT, nothing was written. */
enum kt_kind audit_log_outcome(struct audit_log *log, struct kt_buf *line, struct audit_mark mark,
                               size_t room, uint64_t *ret_seq, struct kt_err *err) KT_MUST_CHECK;

/* ---- keeping ---- */
/* Allocates the next segment if there is none. */
enum kt_kind audit_log_prepare(struct audit_log *log, struct kt_err *err) KT_MUST_CHECK;
struct audit_synced {
    uint64_t size;
    unsigned char root[KT_HASH_BYTES];
    struct audit_mark mark; /* last outcome among them */
};
/* Everything published when it was called is on the disk when it returns. */
enum kt_kind audit_log_sync(struct audit_log *log, struct audit_synced *ret, struct kt_err *err)
    KT_MUST_CHECK;

/* Something that must not be passed over went wrong: every append fails from now on. */
void audit_log_break(struct audit_log *log, const struct kt_err *why);

/* ---- reading ---- */
/* The root of the first `size` records. */
enum kt_kind audit_log_root(struct audit_log *log, uint64_t size,
                            unsigned char out[KT_HASH_BYTES], struct kt_err *err) KT_MUST_CHECK;
uint64_t audit_log_size(struct audit_log *log); /* published records */
struct audit_mark audit_log_mark(struct audit_log *log);
void audit_log_synced(struct audit_log *log, struct audit_synced *ret);
uint64_t audit_log_bytes(struct audit_log *log);
/* Cheap: whether audit_log_prepare() has something to do. */
bool audit_log_wants_segment(struct audit_log *log);
/* A reader placed at a record; audit_reader_done() it. seq < size. */
enum kt_kind audit_log_reader(struct audit_log *log, uint64_t seq, size_t chunk,
                              struct audit_reader *ret, struct kt_err *err) KT_MUST_CHECK;
/* The line of record seq, appended to line. The reader has to stand there. KT_CORRUPT. */
enum kt_kind audit_log_read(struct audit_log *log, struct audit_reader *reader, uint64_t seq,
                            struct kt_buf *line, struct kt_err *err) KT_MUST_CHECK;
enum kt_kind audit_log_leaves(struct audit_log *log, uint64_t from, uint64_t n, unsigned char *out,
                              struct kt_err *err) KT_MUST_CHECK;
enum kt_kind audit_log_inclusion(struct audit_log *log, uint64_t index, uint64_t size,
                                 struct kt_buf *out, struct kt_err *err) KT_MUST_CHECK;
enum kt_kind audit_log_consistency(struct audit_log *log, uint64_t old_size, uint64_t size,
                                   struct kt_buf *out, struct kt_err *err) KT_MUST_CHECK;
/* The folder, for the files of others (checkpoints). Borrowed. */
int audit_log_folder(struct audit_log *log);
