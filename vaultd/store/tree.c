#include "vaultd/store/tree.h"

#include <stdlib.h>

#include "lib/assert.h"
#include "lib/failpoint.h"
#include "vaultd/store/engine.h"

/* A heap by `order` (random), a search tree by key. */
struct tree_node {
    atomic_uint refs;
    uint64_t order;
    struct tree_node *left, *right;
    struct tree_record *record;
};

static uint64_t cost(const struct tree_record *record)
{
    return (uint64_t)record->key_len + record->value_len + sizeof *record +
           sizeof(struct tree_node);
}

/* ---- references ---- */

static void unref_record(struct tree_record *record)
{
    if (atomic_fetch_sub_explicit(&record->refs, 1, memory_order_acq_rel) == 1)
        free(record);
}

/* A treap of n nodes is some 2 log n deep, so recursion is bounded.
 * NOLINTNEXTLINE(misc-no-recursion) */
static void unref_node(struct tree_node *node)
{
    if (node == NULL || atomic_fetch_sub_explicit(&node->refs, 1, memory_order_acq_rel) != 1)
        return;
    unref_node(node->left);
    unref_node(node->right);
    unref_record(node->record);
    free(node);
}

static struct tree_node *ref_node(struct tree_node *node)
{
    if (node != NULL)
        atomic_fetch_add_explicit(&node->refs, 1, memory_order_relaxed);
    return node;
}

struct tree store_tree_share(const struct tree *tree)
{
    struct tree shared = *tree;
    (void)ref_node(shared.root);
    return shared;
}

void store_tree_drop(struct tree *tree)
{
    unref_node(tree->root);
    tree->root = NULL;
}

/* Makes *at ours alone. Going down from the root this is exact: what a shared parent points at has
 * got a second reference when the parent was copied. */
static bool own(struct tree_node **at)
{
    struct tree_node *node = *at;
    if (atomic_load_explicit(&node->refs, memory_order_acquire) == 1)
        return true;
    struct tree_node *copy = kt_malloc(sizeof *copy);
    if (copy == NULL)
        return false;
    atomic_init(&copy->refs, 1);
    copy->order = node->order;
    copy->left = ref_node(node->left);
    copy->right = ref_node(node->right);
    copy->record = node->record;
    atomic_fetch_add_explicit(&copy->record->refs, 1, memory_order_relaxed);
    unref_node(node);
    *at = copy;
    return true;
}

/* ---- reading ---- */

const struct tree_record *store_tree_get(const struct tree *tree, struct kt_bytes key)
{
    const struct tree_node *node = tree->root;
    while (node != NULL) {
        int order = store_key_order(key, store_tree_key(node->record));
        if (order == 0)
            return node->record;
        node = order < 0 ? node->left : node->right;
    }
    return NULL;
}

const struct tree_record *store_tree_from(const struct tree *tree, struct kt_bytes key, bool after)
{
    const struct tree_node *node = tree->root;
    const struct tree_record *best = NULL;
    while (node != NULL) {
        int order = store_key_order(key, store_tree_key(node->record));
        if (order < 0 || (order == 0 && !after)) {
            best = node->record;
            node = node->left;
        } else {
            node = node->right;
        }
    }
    return best;
}

/* ---- changing ---- */

static void lift_left(struct tree_node **at)
{
    struct tree_node *node = *at, *child = node->left;
    node->left = child->right;
    child->right = node;
    *at = child;
}

static void lift_right(struct tree_node **at)
{
    struct tree_node *node = *at, *child = node->right;
    node->right = child->left;
    child->left = node;
    *at = child;
}

static uint64_t next_random(struct tree *tree)
{
    uint64_t x = tree->random += UINT64_C(0x9e3779b97f4a7c15); /* splitmix64 */
    x = (x ^ (x >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    x = (x ^ (x >> 27)) * UINT64_C(0x94d049bb133111eb);
    return x ^ (x >> 31);
}

/* Takes the record when it returns true.
 * NOLINTNEXTLINE(misc-no-recursion): as above. */
static bool insert(struct tree *tree, struct tree_node **at, struct tree_record *record)
{
    if (*at == NULL) {
        struct tree_node *node = kt_malloc(sizeof *node);
        if (node == NULL)
            return false;
        atomic_init(&node->refs, 1);
        node->order = next_random(tree);
        node->left = node->right = NULL;
        node->record = record;
        tree->bytes += cost(record);
        tree->entries++;
        *at = node;
        return true;
    }
    if (!own(at))
        return false;
    struct tree_node *node = *at;
    int order = store_key_order(store_tree_key(record), store_tree_key(node->record));
    if (order == 0) {
        tree->bytes += cost(record) - cost(node->record);
        unref_record(node->record);
        node->record = record;
        return true;
    }
    if (!insert(tree, order < 0 ? &node->left : &node->right, record))
        return false;
    if (order < 0 && node->left->order > node->order)
        lift_left(at);
    else if (order > 0 && node->right->order > node->order)
        lift_right(at);
    return true;
}

bool store_tree_put(struct tree *tree, struct kt_bytes key, generation changed,
                    struct kt_bytes value)
{
    struct tree_record *record = kt_malloc(sizeof *record + key.len + value.len);
    if (record == NULL)
        return false;
    atomic_init(&record->refs, 1);
    record->key_len = (uint8_t)key.len;
    record->value_len = (uint32_t)value.len;
    record->changed = changed;
    memcpy(record->bytes, key.at, key.len);
    if (value.len != 0)
        memcpy(record->bytes + key.len, value.at, value.len);
    if (insert(tree, &tree->root, record))
        return true;
    free(record);
    return false;
}

/* Lets the node sink until it has at most one child, then puts that in its place. */
static bool remove_node(struct tree_node **at)
{
    struct tree_node *node = *at;
    while (node->left != NULL && node->right != NULL) {
        bool left = node->left->order > node->right->order;
        if (!own(left ? &node->left : &node->right))
            return false;
        if (left)
            lift_left(at);
        else
            lift_right(at);
        at = left ? &(*at)->right : &(*at)->left;
    }
    *at = node->left != NULL ? node->left : node->right;
    node->left = node->right = NULL;
    unref_node(node);
    return true;
}

bool store_tree_delete(struct tree *tree, struct kt_bytes key)
{
    struct tree_node **at = &tree->root;
    for (;;) {
        KT_ASSERT(*at != NULL);
        if (!own(at))
            return false;
        int order = store_key_order(key, store_tree_key((*at)->record));
        if (order == 0)
            break;
        at = order < 0 ? &(*at)->left : &(*at)->right;
    }
    uint64_t freed = cost((*at)->record);
    if (!remove_node(at))
        return false;
    tree->bytes -= freed;
    tree->entries--;
    return true;
}
