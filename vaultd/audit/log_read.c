#include <stdlib.h>
#include <unistd.h>

#include "lib/assert.h"
#include "vaultd/audit/log_own.h"

uint64_t audit_log_size(struct audit_log *log)
{
    return atomic_load_explicit(&log->published, memory_order_acquire);
}

struct audit_mark audit_log_mark(struct audit_log *log)
{
    (void)pthread_mutex_lock(&log->lock);
    struct audit_mark mark = log->mark;
    (void)pthread_mutex_unlock(&log->lock);
    return mark;
}

void audit_log_synced(struct audit_log *log, struct audit_synced *ret)
{
    (void)pthread_mutex_lock(&log->lock);
    *ret = log->synced;
    (void)pthread_mutex_unlock(&log->lock);
}

uint64_t audit_log_bytes(struct audit_log *log)
{
    (void)pthread_mutex_lock(&log->lock);
    uint64_t bytes = (uint64_t)log->current.number * log->segment_bytes + log->at +
                     log->next * AUDIT_ENTRY_BYTES;
    (void)pthread_mutex_unlock(&log->lock);
    return bytes;
}

int audit_log_folder(struct audit_log *log)
{
    return log->folder;
}

enum kt_kind audit_log_reader(struct audit_log *log, uint64_t seq, size_t chunk,
                              struct audit_reader *ret, struct kt_err *err)
{
    struct audit_entry entry;
    if (seq >= audit_log_size(log))
        return kt_fail(err, KT_INVALID, "the audit log has no record %ju", (uintmax_t)seq);
    enum kt_kind kind = audit_index_get(&log->index, seq, &entry, err);
    if (kind != KT_OK)
        return kind;
    audit_reader_init(ret, log->folder, log->segment_bytes, chunk);
    audit_reader_seek(ret, entry.segment, entry.offset);
    return KT_OK;
}

enum kt_kind audit_log_read(struct audit_log *log, struct audit_reader *reader, uint64_t seq,
                            struct kt_buf *line, struct kt_err *err)
{
    enum kt_kind kind = audit_reader_next(reader, &log->sealer, seq, line, err);
    if (kind == KT_NOT_FOUND) {
        (void)kt_fail(err, KT_CORRUPT, "record %ju of the audit log does not open", (uintmax_t)seq);
        kt_hint(err,
                "segment %06u at byte %zu was altered or damaged, or the index was: removed while "
                "vaultd is stopped, it is made anew; an export up to there and 'secretctl audit "
                "verify' still prove the rest",
                reader->number, reader->offset);
        return KT_CORRUPT;
    }
    return kind;
}

enum kt_kind audit_log_leaves(struct audit_log *log, uint64_t from, uint64_t n, unsigned char *out,
                              struct kt_err *err)
{
    return audit_index_leaves(&log->index, from, n, out, err);
}

/* The tree up to what is published; keep_lock is held. */
static enum kt_kind grow(struct audit_log *log, uint64_t size, struct kt_err *err)
{
    if (size > audit_log_size(log))
        return kt_fail(err, KT_INVALID, "the audit log has %ju records, not %ju",
                       (uintmax_t)audit_log_size(log), (uintmax_t)size);
    return audit_tree_grow(&log->tree, size, err);
}

enum kt_kind audit_log_root(struct audit_log *log, uint64_t size, unsigned char out[KT_HASH_BYTES],
                            struct kt_err *err)
{
    (void)pthread_mutex_lock(&log->keep_lock);
    enum kt_kind kind = grow(log, size, err);
    struct kt_merkle_source source = audit_tree_source(&log->tree);
    if (kind == KT_OK)
        kind = kt_merkle_root_at(&source, size, out, err);
    (void)pthread_mutex_unlock(&log->keep_lock);
    return kind;
}

enum kt_kind audit_log_inclusion(struct audit_log *log, uint64_t index, uint64_t size,
                                 struct kt_buf *out, struct kt_err *err)
{
    (void)pthread_mutex_lock(&log->keep_lock);
    enum kt_kind kind = grow(log, size, err);
    struct kt_merkle_source source = audit_tree_source(&log->tree);
    if (kind == KT_OK)
        kind = kt_merkle_prove_inclusion(&source, index, size, out, err);
    (void)pthread_mutex_unlock(&log->keep_lock);
    return kind;
}

enum kt_kind audit_log_consistency(struct audit_log *log, uint64_t old_size, uint64_t size,
                                   struct kt_buf *out, struct kt_err *err)
{
    (void)pthread_mutex_lock(&log->keep_lock);
    enum kt_kind kind = grow(log, size, err);
    struct kt_merkle_source source = audit_tree_source(&log->tree);
    if (kind == KT_OK)
        kind = kt_merkle_prove_consistency(&source, old_size, size, out, err);
    (void)pthread_mutex_unlock(&log->keep_lock);
    return kind;
}
