/* vaultd/audit/index.h - by sequence number: a record's leaf hash, and where it stands.
 *
 * Format:  file "index", 40 bytes a record: leaf hash 32 ‖ u32 segment ‖ u32 offset. What is in it
 *          can be rebuilt from the records.
 * What:    Room is allocated ahead together with segments; entries are written through a mapped
 *          window of 65,536 of them, in order.
 * Threads: audit_index_put(): one thread at a time; reading: any thread, of what was put before.
 *          audit_index_room(): one thread at a time, beside the others. */
#pragma once

#include <stdatomic.h>

#include "lib/merkle.h"

#define AUDIT_ENTRY_BYTES 40u

struct audit_index {
    int fd;
    atomic_uint_fast64_t room; /* entries that have blocks */
    unsigned char *window; /* mapped; NULL before the first put */
    uint64_t window_number;
};
struct audit_entry {
    unsigned char leaf[KT_HASH_BYTES];
    uint32_t segment, offset;
};
enum kt_kind audit_index_open(int folder, struct audit_index *index, struct kt_err *err)
    KT_MUST_CHECK;
void audit_index_close(struct audit_index *index);
/* Blocks for at least that many entries. KT_FULL, KT_IO. */
enum kt_kind audit_index_room(struct audit_index *index, uint64_t entries, struct kt_err *err)
    KT_MUST_CHECK;
/* There must be room. Fails only if the disk does. */
enum kt_kind audit_index_put(struct audit_index *index, uint64_t seq,
                             const struct audit_entry *entry, struct kt_err *err) KT_MUST_CHECK;
enum kt_kind audit_index_get(const struct audit_index *index, uint64_t seq,
                             struct audit_entry *ret, struct kt_err *err) KT_MUST_CHECK;
/* Leaf hashes [from, from + n), one behind the other. KT_CORRUPT: the index ends before. */
enum kt_kind audit_index_leaves(const struct audit_index *index, uint64_t from, uint64_t n,
                                unsigned char *out, struct kt_err *err) KT_MUST_CHECK;
enum kt_kind audit_index_sync(const struct audit_index *index, struct kt_err *err) KT_MUST_CHECK;

/* Exactly len bytes at offset. KT_CORRUPT "WHAT ends too early", KT_IO. */
enum kt_kind audit_read_at(int fd, uint64_t offset, void *to, size_t len, const char *what,
                           struct kt_err *err) KT_MUST_CHECK;
enum kt_kind audit_write_at(int fd, uint64_t offset, const void *from, size_t len,
                            const char *what, struct kt_err *err) KT_MUST_CHECK;
