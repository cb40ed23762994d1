/* vaultd/audit/tree.h - the log's hash tree on disk, over the leaves in the index.
 *
 * Format:  files "tree.8", "tree.16", "tree.24": the hashes of complete subtrees of 2^8, 2^16, 2^24
 *          records, 32 bytes each. They only save work and can be rebuilt from the index.
 * What:    Constant memory: the right edge. A root or proof of any size reads a few blocks of at
 *          most 256 hashes.
 * Threads: one thread at a time. */
#pragma once

#include "vaultd/audit/index.h"

#define AUDIT_TREE_FILES 3u

struct audit_tree {
    const struct audit_index *index; /* borrowed */
    int fds[AUDIT_TREE_FILES];
    uint64_t room; /* records that the files have blocks for */
    struct kt_merkle edge;
    bool dirty;    /* something was written since the last sync */
};
/* Empty: call audit_tree_set() or audit_tree_grow(). */
enum kt_kind audit_tree_open(int folder, const struct audit_index *index, struct audit_tree *ret,
                             struct kt_err *err) KT_MUST_CHECK;
void audit_tree_close(struct audit_tree *tree);
enum kt_kind audit_tree_room(struct audit_tree *tree, uint64_t records, struct kt_err *err)
    KT_MUST_CHECK;
/* Takes the edge of the first `size` records from the files, as they are. */
enum kt_kind audit_tree_set(struct audit_tree *tree, uint64_t size, struct kt_err *err)
    KT_MUST_CHECK;
/* Adds the records up to `size` from the index. After an error it can be called again. */
enum kt_kind audit_tree_grow(struct audit_tree *tree, uint64_t size, struct kt_err *err)
    KT_MUST_CHECK;
enum kt_kind audit_tree_sync(struct audit_tree *tree, struct kt_err *err) KT_MUST_CHECK;
/* For lib/merkle.h; sizes up to tree->edge.size. Valid as long as the tree. */
struct kt_merkle_source audit_tree_source(struct audit_tree *tree);
