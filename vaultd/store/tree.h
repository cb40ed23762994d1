/* vaultd/store/tree.h - an ordered map whose old versions stay readable: a persistent treap.
 *
 * What:    A change copies the path to it and shares the rest, so sharing a whole tree costs one
 *          reference. Nodes that nobody else holds are changed in place.
 * Owner:   store_tree_share() gives a second owner, store_tree_drop() ends one. Records live as
 *          long as any tree that holds them.
 * Threads: one thread changes a tree; others read and drop the ones shared with them.
 * Errors:  false is out of memory; the tree is then whole, but may lack the change. */
#pragma once

#include <stdatomic.h>

#include "vaultd/store/store.h"

struct tree_record {
    atomic_uint refs;
    uint8_t key_len;
    uint32_t value_len;
    generation changed;
    unsigned char bytes[]; /* key, value */
};

struct tree_node;
struct tree {
    struct tree_node *root;
    uint64_t bytes;  /* keys, values, and what a node costs */
    uint64_t entries;
    uint64_t random; /* for the shape; any start will do */
};

static inline struct kt_bytes store_tree_key(const struct tree_record *record)
{
    return kt_bytes(record->bytes, record->key_len);
}
static inline struct kt_bytes store_tree_value(const struct tree_record *record)
{
    return kt_bytes(record->bytes + record->key_len, record->value_len);
}

struct tree store_tree_share(const struct tree *tree);
void store_tree_drop(struct tree *tree);
const struct tree_record *store_tree_get(const struct tree *tree, struct kt_bytes key);
/* The first with a key >= key, or > key when after. NULL: none. */
const struct tree_record *store_tree_from(const struct tree *tree, struct kt_bytes key, bool after);
bool store_tree_put(struct tree *tree, struct kt_bytes key, generation changed,
                    struct kt_bytes value) KT_MUST_CHECK;
/* The key must be there. */
bool store_tree_delete(struct tree *tree, struct kt_bytes key) KT_MUST_CHECK;
