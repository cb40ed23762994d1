#include "lib/merkle.h"

#include <gnutls/crypto.h>
#include <gnutls/gnutls.h>
#include <sodium.h>

#include "lib/assert.h"

#define NODE_BYTES (1u + 2u * KT_HASH_BYTES)

void kt_sha256(struct kt_bytes bytes, unsigned char out[KT_HASH_BYTES])
{
    /* A library policy may refuse GnuTLS's; libsodium's needs no permission and is four times
     * slower. */
    if (gnutls_hash_fast(GNUTLS_DIG_SHA256, bytes.at, bytes.len, out) < 0)
        (void)crypto_hash_sha256(out, bytes.at, bytes.len); /* always 0 */
}

void kt_merkle_leaf_in_place(unsigned char *bytes, size_t len, unsigned char out[KT_HASH_BYTES])
{
    bytes[0] = 0x00;
    kt_sha256(kt_bytes(bytes, len + 1), out);
}

void kt_merkle_leaf(struct kt_bytes leaf, unsigned char out[KT_HASH_BYTES])
{
    crypto_hash_sha256_state state;
    unsigned char zero = 0x00;
    unsigned char small[1024];
    if (leaf.len < sizeof small) {
        if (leaf.len > 0)
            memcpy(small + 1, leaf.at, leaf.len);
        kt_merkle_leaf_in_place(small, leaf.len, out);
        return;
    }
    gnutls_hash_hd_t hash;
    if (gnutls_hash_init(&hash, GNUTLS_DIG_SHA256) == 0) {
        bool done = gnutls_hash(hash, &zero, 1) == 0 && gnutls_hash(hash, leaf.at, leaf.len) == 0;
        gnutls_hash_deinit(hash, out);
        if (done)
            return;
    }
    (void)crypto_hash_sha256_init(&state);
    (void)crypto_hash_sha256_update(&state, &zero, 1);
    (void)crypto_hash_sha256_update(&state, leaf.at, leaf.len);
    (void)crypto_hash_sha256_final(&state, out);
}

void kt_merkle_node(const unsigned char left[KT_HASH_BYTES],
                    const unsigned char right[KT_HASH_BYTES], unsigned char out[KT_HASH_BYTES])
{
    unsigned char node[NODE_BYTES];
    node[0] = 0x01;
    memcpy(node + 1, left, KT_HASH_BYTES);
    memcpy(node + 1 + KT_HASH_BYTES, right, KT_HASH_BYTES);
    kt_sha256(kt_bytes(node, sizeof node), out);
}

/* ---- the growing tree ---- */

void kt_merkle_init(struct kt_merkle *tree)
{
    memset(tree, 0, sizeof *tree);
}

void kt_merkle_push(struct kt_merkle *tree, const unsigned char leaf_hash[KT_HASH_BYTES],
                    kt_merkle_done_fn *done, void *arg)
{
    unsigned char hash[KT_HASH_BYTES];
    memcpy(hash, leaf_hash, sizeof hash);
    KT_ASSERT(tree->size < UINT64_MAX);
    unsigned level = 0;
    if (done != NULL)
        done(arg, 0, tree->size, hash);
    for (; (tree->size >> level) & 1; level++) {
        kt_merkle_node(tree->edge[level], hash, hash);
        if (done != NULL)
            done(arg, level + 1, tree->size >> (level + 1), hash);
    }
    memcpy(tree->edge[level], hash, sizeof hash);
    tree->size++;
}

void kt_merkle_root(const struct kt_merkle *tree, unsigned char out[KT_HASH_BYTES])
{
    bool any = false;
    unsigned char hash[KT_HASH_BYTES] = {0};
    for (unsigned level = 0; level < KT_MERKLE_LEVELS; level++) {
        if (((tree->size >> level) & 1) == 0)
            continue;
        if (any)
            kt_merkle_node(tree->edge[level], hash, hash);
        else
            memcpy(hash, tree->edge[level], sizeof hash);
        any = true;
    }
    if (any)
        memcpy(out, hash, sizeof hash);
    else
        kt_sha256(kt_bytes(NULL, 0), out);
}

/* ---- stored trees ---- */

/* The root of leaves [start, start + n), n >= 1; start is a multiple of every power of two that n
 * needs, as all ranges are into which the RFC splits a tree. */
static enum kt_kind range_root(const struct kt_merkle_source *source, uint64_t start, uint64_t n,
                               unsigned char out[KT_HASH_BYTES], struct kt_err *err)
{
    uint64_t end = start + n;
    bool any = false;
    unsigned char hash[KT_HASH_BYTES] = {0}, peak[KT_HASH_BYTES];
    for (unsigned level = 0; level < KT_MERKLE_LEVELS; level++) {
        if (((n >> level) & 1) == 0)
            continue;
        end -= (uint64_t)1 << level;
        enum kt_kind kind = source->get(source->arg, level, end >> level, peak, err);
        if (kind != KT_OK)
            return kind;
        if (any)
            kt_merkle_node(peak, hash, hash);
        else
            memcpy(hash, peak, sizeof hash);
        any = true;
    }
    memcpy(out, hash, sizeof hash);
    return KT_OK;
}

enum kt_kind kt_merkle_root_at(const struct kt_merkle_source *source, uint64_t size,
                               unsigned char out[KT_HASH_BYTES], struct kt_err *err)
{
    if (size > 0)
        return range_root(source, 0, size, out, err);
    kt_sha256(kt_bytes(NULL, 0), out);
    return KT_OK;
}

enum kt_kind kt_merkle_edge_at(const struct kt_merkle_source *source, uint64_t size,
                               struct kt_merkle *ret, struct kt_err *err)
{
    struct kt_merkle tree;
    kt_merkle_init(&tree);
    tree.size = size;
    uint64_t end = size;
    for (unsigned level = 0; level < KT_MERKLE_LEVELS; level++) {
        if (((size >> level) & 1) == 0)
            continue;
        end -= (uint64_t)1 << level;
        enum kt_kind kind = source->get(source->arg, level, end >> level, tree.edge[level], err);
        if (kind != KT_OK)
            return kind;
    }
    *ret = tree;
    return KT_OK;
}

/* The largest power of two below n, n >= 2. */
static uint64_t split(uint64_t n)
{
    return (uint64_t)1 << (63 - __builtin_clzll(n - 1));
}

struct range {
    uint64_t start, n;
};

/* The siblings were found from the root down; a proof lists them from the leaf up. */
static enum kt_kind add_reversed(const struct kt_merkle_source *source, const struct range *ranges,
                                 unsigned n, struct kt_buf *out, struct kt_err *err)
{
    while (n-- > 0) {
        unsigned char hash[KT_HASH_BYTES];
        enum kt_kind kind = range_root(source, ranges[n].start, ranges[n].n, hash, err);
        if (kind != KT_OK)
            return kind;
        kt_buf_add(out, hash, sizeof hash);
    }
    return kt_buf_ok(out) ? KT_OK : kt_fail(err, KT_NO_MEMORY, "writing a proof");
}

enum kt_kind kt_merkle_prove_inclusion(const struct kt_merkle_source *source, uint64_t index,
                                       uint64_t size, struct kt_buf *out, struct kt_err *err)
{
    if (index >= size)
        return kt_fail(err, KT_INVALID, "record %ju is not in a log of %ju records",
                       (uintmax_t)index, (uintmax_t)size);
    struct range ranges[KT_MERKLE_LEVELS];
    unsigned n_ranges = 0;
    uint64_t start = 0, n = size;
    while (n > 1) {
        uint64_t k = split(n);
        if (index - start < k) {
            ranges[n_ranges++] = (struct range){start + k, n - k};
            n = k;
        } else {
            ranges[n_ranges++] = (struct range){start, k};
            start += k;
            n -= k;
        }
    }
    return add_reversed(source, ranges, n_ranges, out, err);
}

enum kt_kind kt_merkle_prove_consistency(const struct kt_merkle_source *source, uint64_t old_size,
                                         uint64_t size, struct kt_buf *out, struct kt_err *err)
{
    if (old_size > size)
        return kt_fail(err, KT_INVALID, "a log of %ju records does not follow from one of %ju",
                       (uintmax_t)size, (uintmax_t)old_size);
    if (old_size == 0 || old_size == size)
        return KT_OK;
    struct range ranges[KT_MERKLE_LEVELS + 1];
    unsigned n_ranges = 0;
    uint64_t start = 0, n = size;
    bool whole = true; /* the old tree is exactly what is left: its root is known to the reader */
    while (start + n != old_size) {
        uint64_t k = split(n);
        if (old_size <= start + k) {
            ranges[n_ranges++] = (struct range){start + k, n - k};
            n = k;
        } else {
            ranges[n_ranges++] = (struct range){start, k};
            start += k;
            n -= k;
            whole = false;
        }
    }
    if (!whole)
        ranges[n_ranges++] = (struct range){start, n};
    return add_reversed(source, ranges, n_ranges, out, err);
}

/* ---- checks ---- */

static bool same(const unsigned char a[KT_HASH_BYTES], const unsigned char b[KT_HASH_BYTES])
{
    return memcmp(a, b, KT_HASH_BYTES) == 0;
}

/* One step of both checks: true when the proof's hash stands to the left of the path. */
static bool climbs_left(uint64_t *fn, uint64_t *sn)
{
    bool left = (*fn & 1) != 0 || *fn == *sn;
    while (left && (*fn & 1) == 0 && *fn != 0) {
        *fn >>= 1;
        *sn >>= 1;
    }
    *fn >>= 1;
    *sn >>= 1;
    return left;
}

bool kt_merkle_check_inclusion(uint64_t index, uint64_t size,
                               const unsigned char leaf_hash[KT_HASH_BYTES], struct kt_bytes proof,
                               const unsigned char root[KT_HASH_BYTES])
{
    if (index >= size || proof.len % KT_HASH_BYTES != 0)
        return false;
    uint64_t fn = index, sn = size - 1;
    unsigned char hash[KT_HASH_BYTES];
    memcpy(hash, leaf_hash, sizeof hash);
    for (size_t at = 0; at < proof.len; at += KT_HASH_BYTES) {
        if (sn == 0)
            return false;
        if (climbs_left(&fn, &sn))
            kt_merkle_node(proof.at + at, hash, hash);
        else
            kt_merkle_node(hash, proof.at + at, hash);
    }
    return sn == 0 && same(hash, root);
}

bool kt_merkle_check_consistency(uint64_t old_size, uint64_t size,
                                 const unsigned char old_root[KT_HASH_BYTES],
                                 const unsigned char root[KT_HASH_BYTES], struct kt_bytes proof)
{
    if (old_size > size || proof.len % KT_HASH_BYTES != 0)
        return false;
    if (old_size == size)
        return proof.len == 0 && same(old_root, root);
    if (old_size == 0) {
        unsigned char empty[KT_HASH_BYTES];
        kt_sha256(kt_bytes(NULL, 0), empty);
        return proof.len == 0 && same(old_root, empty);
    }
    if (proof.len == 0)
        return false;
    bool power = (old_size & (old_size - 1)) == 0; /* then the old root itself starts the path */
    uint64_t fn = old_size - 1, sn = size - 1;
    while ((fn & 1) != 0) {
        fn >>= 1;
        sn >>= 1;
    }
    unsigned char from_old[KT_HASH_BYTES], from_new[KT_HASH_BYTES];
    memcpy(from_old, power ? old_root : proof.at, KT_HASH_BYTES);
    memcpy(from_new, from_old, KT_HASH_BYTES);
    for (size_t at = power ? 0 : KT_HASH_BYTES; at < proof.len; at += KT_HASH_BYTES) {
        if (sn == 0)
            return false;
        if (climbs_left(&fn, &sn)) {
            kt_merkle_node(proof.at + at, from_old, from_old);
            kt_merkle_node(proof.at + at, from_new, from_new);
        } else {
            kt_merkle_node(from_new, proof.at + at, from_new);
        }
    }
    return sn == 0 && same(from_old, old_root) && same(from_new, root);
}
