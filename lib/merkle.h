/* lib/merkle.h - the hash tree of an append-only log: roots, proofs, and their checks.
 *
 * What:    SHA-256; a leaf is hashed with 0x00 before it, a node with 0x01; a tree of n leaves is
 *          split at the largest power of two below n; the empty tree is SHA-256 of nothing.
 * Owner:   plain values. A struct kt_merkle is the right edge of a growing tree: constant memory.
 * Threads: any thread; one struct at a time.
 * Errors:  checks return false for a wrong proof and for one that is longer or shorter than it has
 *          to be. Proving and kt_merkle_root_at() pass on what the getter returned.
 * Source:  RFC 6962 section 2.1; RFC 9162 sections 2.1.3.2 and 2.1.4.2 (the checks). */
#pragma once

#include "lib/buf.h"
#include "lib/err.h"

#define KT_HASH_BYTES        32u
#define KT_MERKLE_LEVELS     64u
#define KT_MERKLE_PROOF_MAX  (2u * KT_MERKLE_LEVELS) /* hashes in a proof */

/* SHA-256 with the processor's instructions where there are any. */
void kt_sha256(struct kt_bytes bytes, unsigned char out[KT_HASH_BYTES]);
/* bytes[0] must be room that the caller left before the leaf: it is set to 0x00 and hashed with
 * the len bytes after it. Saves a copy of each record. */
void kt_merkle_leaf_in_place(unsigned char *bytes, size_t len, unsigned char out[KT_HASH_BYTES]);
void kt_merkle_leaf(struct kt_bytes leaf, unsigned char out[KT_HASH_BYTES]);
void kt_merkle_node(const unsigned char left[KT_HASH_BYTES],
                    const unsigned char right[KT_HASH_BYTES], unsigned char out[KT_HASH_BYTES]);

/* A growing tree: the hashes of the complete subtrees that make up its size, one per set bit. */
struct kt_merkle {
    uint64_t size;
    unsigned char edge[KT_MERKLE_LEVELS][KT_HASH_BYTES];
};
void kt_merkle_init(struct kt_merkle *tree);
/* Called for each complete subtree that the new leaf finished, from level 0 (the leaf) upwards. */
typedef void kt_merkle_done_fn(void *arg, unsigned level, uint64_t index,
                               const unsigned char hash[KT_HASH_BYTES]);
/* done may be NULL. */
void kt_merkle_push(struct kt_merkle *tree, const unsigned char leaf_hash[KT_HASH_BYTES],
                    kt_merkle_done_fn *done, void *arg);
void kt_merkle_root(const struct kt_merkle *tree, unsigned char out[KT_HASH_BYTES]);

/* The hash of the complete subtree over leaves [index << level, (index + 1) << level). */
typedef enum kt_kind kt_merkle_get_fn(void *arg, unsigned level, uint64_t index,
                                      unsigned char out[KT_HASH_BYTES], struct kt_err *err);
struct kt_merkle_source {
    kt_merkle_get_fn *get;
    void *arg;
};
enum kt_kind kt_merkle_root_at(const struct kt_merkle_source *source, uint64_t size,
                               unsigned char out[KT_HASH_BYTES], struct kt_err *err) KT_MUST_CHECK;
/* The right edge of a tree of that size, to go on pushing. */
enum kt_kind kt_merkle_edge_at(const struct kt_merkle_source *source, uint64_t size,
                               struct kt_merkle *ret, struct kt_err *err) KT_MUST_CHECK;
/* Proofs are appended to out, 32 bytes a hash. KT_INVALID: index >= size, or old > size. */
enum kt_kind kt_merkle_prove_inclusion(const struct kt_merkle_source *source, uint64_t index,
                                       uint64_t size, struct kt_buf *out, struct kt_err *err)
    KT_MUST_CHECK;
/* Empty for old = size and for old = 0. */
enum kt_kind kt_merkle_prove_consistency(const struct kt_merkle_source *source, uint64_t old_size,
                                         uint64_t size, struct kt_buf *out, struct kt_err *err)
    KT_MUST_CHECK;

bool kt_merkle_check_inclusion(uint64_t index, uint64_t size,
                               const unsigned char leaf_hash[KT_HASH_BYTES], struct kt_bytes proof,
                               const unsigned char root[KT_HASH_BYTES]) KT_MUST_CHECK;
/* From the empty tree every tree follows, whatever old_root says: only an empty proof and the empty
 * tree's root are accepted for old_size = 0. */
bool kt_merkle_check_consistency(uint64_t old_size, uint64_t size,
                                 const unsigned char old_root[KT_HASH_BYTES],
                                 const unsigned char root[KT_HASH_BYTES], struct kt_bytes proof)
    KT_MUST_CHECK;
