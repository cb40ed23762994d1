#include "vaultd/audit/tree.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include "lib/assert.h"
#include "vaultd/audit/segment.h"

#define LEVELS_A_FILE 8u
#define GROW_AT_ONCE  256u

enum kt_kind audit_tree_open(int folder, const struct audit_index *index, struct audit_tree *ret,
                             struct kt_err *err)
{
    struct audit_tree tree = {.index = index, .fds = {-1, -1, -1}};
    kt_merkle_init(&tree.edge);
    for (unsigned i = 0; i < AUDIT_TREE_FILES; i++) {
        char name[16];
        (void)snprintf(name, sizeof name, "tree.%u", (i + 1) * LEVELS_A_FILE);
        tree.fds[i] =
            openat(folder, name, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NOCTTY, 0600);
        if (tree.fds[i] < 0) {
            enum kt_kind kind = audit_disk_error(err, "cannot open the audit log's tree");
            audit_tree_close(&tree);
            return kind;
        }
    }
    *ret = tree;
    return KT_OK;
}

void audit_tree_close(struct audit_tree *tree)
{
    for (unsigned i = 0; i < AUDIT_TREE_FILES; i++) {
        if (tree->fds[i] >= 0)
            (void)close(tree->fds[i]);
        tree->fds[i] = -1;
    }
}

enum kt_kind audit_tree_room(struct audit_tree *tree, uint64_t records, struct kt_err *err)
{
    if (records <= tree->room)
        return KT_OK;
    uint64_t upto = (records + 0xFFFF) & ~(uint64_t)0xFFFF;
    for (unsigned i = 0; i < AUDIT_TREE_FILES; i++) {
        unsigned level = (i + 1) * LEVELS_A_FILE;
        uint64_t from = (tree->room >> level) * KT_HASH_BYTES;
        uint64_t to = (upto >> level) * KT_HASH_BYTES;
        errno = to > from ? posix_fallocate(tree->fds[i], (off_t)from, (off_t)(to - from)) : 0;
        if (errno != 0)
            return audit_disk_error(err, "no room for the audit log's tree");
    }
    tree->room = upto;
    return KT_OK;
}

/* ---- reading ---- */

/* The hash of 2^levels hashes that stand one behind the other; at is overwritten. */
static void reduce(unsigned char (*at)[KT_HASH_BYTES], unsigned levels)
{
    for (size_t n = (size_t)1 << levels; n > 1; n /= 2)
        for (size_t i = 0; i < n / 2; i++)
            kt_merkle_node(at[2 * i], at[2 * i + 1], at[i]);
}

static enum kt_kind get(void *arg, unsigned level, uint64_t index, unsigned char out[KT_HASH_BYTES],
                        struct kt_err *err)
{
    struct audit_tree *tree = arg;
    unsigned file = level / LEVELS_A_FILE; /* 0: the leaves */
    if (file > AUDIT_TREE_FILES)
        file = AUDIT_TREE_FILES;
    unsigned above = level - file * LEVELS_A_FILE; /* levels that no file holds */
    if (above > LEVELS_A_FILE) {
        unsigned char left[KT_HASH_BYTES], right[KT_HASH_BYTES];
        enum kt_kind kind = get(arg, level - 1, 2 * index, left, err);
        if (kind == KT_OK)
            kind = get(arg, level - 1, 2 * index + 1, right, err);
        if (kind == KT_OK)
            kt_merkle_node(left, right, out);
        return kind;
    }
    unsigned char hashes[(size_t)1 << LEVELS_A_FILE][KT_HASH_BYTES];
    size_t n = (size_t)1 << above;
    uint64_t first = index << above;
    enum kt_kind kind = file == 0 ? audit_index_leaves(tree->index, first, n, hashes[0], err)
                                  : audit_read_at(tree->fds[file - 1], first * KT_HASH_BYTES,
                                                  hashes, n * KT_HASH_BYTES, "tree", err);
    if (kind != KT_OK)
        return kind;
    reduce(hashes, above);
    memcpy(out, hashes[0], KT_HASH_BYTES);
    return KT_OK;
}

struct kt_merkle_source audit_tree_source(struct audit_tree *tree)
{
    return (struct kt_merkle_source){get, tree};
}

enum kt_kind audit_tree_set(struct audit_tree *tree, uint64_t size, struct kt_err *err)
{
    struct kt_merkle_source source = audit_tree_source(tree);
    return kt_merkle_edge_at(&source, size, &tree->edge, err);
}

/* ---- growing ---- */

struct growing {
    struct audit_tree *tree;
    enum kt_kind kind;
    struct kt_err *err;
};

static void subtree_done(void *arg, unsigned level, uint64_t index,
                         const unsigned char hash[KT_HASH_BYTES])
{
    struct growing *growing = arg;
    unsigned file = level / LEVELS_A_FILE;
    if (level == 0 || level % LEVELS_A_FILE != 0 || file > AUDIT_TREE_FILES ||
        growing->kind != KT_OK)
        return;
    growing->kind = audit_write_at(growing->tree->fds[file - 1], index * KT_HASH_BYTES, hash,
                                   KT_HASH_BYTES, "tree", growing->err);
    growing->tree->dirty = true;
}

enum kt_kind audit_tree_grow(struct audit_tree *tree, uint64_t size, struct kt_err *err)
{
    unsigned char leaves[GROW_AT_ONCE][KT_HASH_BYTES];
    struct growing growing = {tree, KT_OK, err};
    while (tree->edge.size < size && growing.kind == KT_OK) {
        uint64_t left = size - tree->edge.size;
        size_t n = left < GROW_AT_ONCE ? (size_t)left : GROW_AT_ONCE;
        enum kt_kind kind = audit_index_leaves(tree->index, tree->edge.size, n, leaves[0], err);
        if (kind != KT_OK)
            return kind;
        struct kt_merkle before = tree->edge;
        for (size_t i = 0; i < n; i++)
            kt_merkle_push(&tree->edge, leaves[i], subtree_done, &growing);
        if (growing.kind != KT_OK)
            tree->edge = before;
    }
    return growing.kind;
}

enum kt_kind audit_tree_sync(struct audit_tree *tree, struct kt_err *err)
{
    if (!tree->dirty)
        return KT_OK;
    for (unsigned i = 0; i < AUDIT_TREE_FILES; i++)
        if (fdatasync(tree->fds[i]) != 0)
            return kt_fail(err, KT_IO, "cannot sync the audit log's tree");
    tree->dirty = false;
    return KT_OK;
}
