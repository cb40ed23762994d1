/* lib/hcl/tree.h - what the two readers of lib/hcl/ share; not for others.
 *
 * Owner:   everything lives in the tree's arena.
 * Threads: one thread at a time per tree. */
#pragma once

#include "lib/arena.h"
#include "lib/hcl/hcl.h"

/* Room for the largest tree that the limits admit, some eight times over. */
#define HCL_TREE_BYTES ((size_t)32 * 1024 * 1024)

struct hcl_tree {
    struct kt_hcl_body root; /* first: kt_hcl_free() gets back from it */
    struct kt_arena arena;
    const char *file;
    struct kt_bytes text;
    size_t nodes;
    /* Where counting lines and columns has arrived; places are asked for in ascending order. */
    const unsigned char *mark;
    unsigned line, column;
    struct kt_err *err; /* of the parse that is going on */
};

/* at must not lie before the place of the last call. */
struct kt_hcl_pos kt_hcl_place(struct hcl_tree *tree, const unsigned char *at);
/* Counts a key, a label or a value. */
enum kt_kind kt_hcl_count(struct hcl_tree *tree, struct kt_hcl_pos pos) KT_MUST_CHECK;
enum kt_kind kt_hcl_no_memory(struct hcl_tree *tree) KT_MUST_CHECK;
/* A new item or value at the end of its list; NULL: no memory. *tail is the list's last link. */
struct kt_hcl_item *kt_hcl_add_item(struct hcl_tree *tree, struct kt_hcl_body *body,
                                    const struct kt_hcl_item ***tail);
/* After the last item: duplicates. */
enum kt_kind kt_hcl_finish_body(struct hcl_tree *tree,
                                const struct kt_hcl_body *body) KT_MUST_CHECK;
/* After the last element: sets `texts` if all are strings. */
enum kt_kind kt_hcl_finish_list(struct hcl_tree *tree, struct kt_hcl_value *list) KT_MUST_CHECK;
struct kt_hcl_body *kt_hcl_new_body(struct hcl_tree *tree, struct kt_hcl_pos pos);

enum kt_kind kt_hcl_read_native(struct hcl_tree *tree) KT_MUST_CHECK;
enum kt_kind kt_hcl_read_json(struct hcl_tree *tree) KT_MUST_CHECK;

/* A key as it may stand in a message: short, without control characters. */
#define HCL_SHOWN 68
const char *kt_hcl_shown(const char *key, char out[HCL_SHOWN]);
