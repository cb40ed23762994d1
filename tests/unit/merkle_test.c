#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "lib/merkle.h"
#include "lib/num.h"

/* Eight leaves and their roots: the vectors of the Certificate Transparency reference
 * implementation (merkle_tree_test.cc), which other implementations of RFC 6962 use too. */
static const char *const leaves[8] = {
    "", "00", "10", "2021", "3031", "40414243", "5051525354555657",
    "606162636465666768696a6b6c6d6e6f"};
static const struct {
    const char *name;
    unsigned size;
    const char *root;
} roots[] = {
    {"0", 0, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"},
    {"1", 1, "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d"},
    {"2", 2, "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125"},
    {"3", 3, "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77"},
    {"4", 4, "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7"},
    {"5", 5, "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4"},
    {"6", 6, "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef"},
    {"7", 7, "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c"},
    {"8", 8, "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328"},
};

static void leaf_hash(unsigned i, unsigned char out[KT_HASH_BYTES])
{
    unsigned char leaf[16];
    size_t len = strlen(leaves[i]) / 2;
    assert_true(kt_hex_decode(kt_str(leaves[i]), leaf, len));
    kt_merkle_leaf(kt_bytes(leaf, len), out);
}

/* A tree that keeps all its leaves: what stored trees are compared with. */
#define PLAIN_MAX 600
struct plain {
    unsigned n;
    unsigned char leaf[PLAIN_MAX][KT_HASH_BYTES];
};

static void plain_root(const struct plain *plain, uint64_t from, uint64_t n,
                       unsigned char out[KT_HASH_BYTES])
{
    if (n == 1) {
        memcpy(out, plain->leaf[from], KT_HASH_BYTES);
        return;
    }
    uint64_t k = 1;
    while (2 * k < n)
        k *= 2;
    unsigned char left[KT_HASH_BYTES], right[KT_HASH_BYTES];
    plain_root(plain, from, k, left);
    plain_root(plain, from + k, n - k, right);
    kt_merkle_node(left, right, out);
}

static enum kt_kind plain_get(void *arg, unsigned level, uint64_t index,
                              unsigned char out[KT_HASH_BYTES], struct kt_err *err)
{
    const struct plain *plain = arg;
    (void)err;
    uint64_t n = (uint64_t)1 << level;
    assert_true((index + 1) * n <= plain->n);
    plain_root(plain, index * n, n, out);
    return KT_OK;
}

static struct plain *plain_new(unsigned n)
{
    struct plain *plain = calloc(1, sizeof *plain);
    assert_non_null(plain);
    plain->n = n;
    for (unsigned i = 0; i < n; i++)
        kt_merkle_leaf(kt_bytes(&i, sizeof i), plain->leaf[i]);
    return plain;
}

static void root_vectors(void **state)
{
    (void)state;
    struct kt_merkle tree;
    kt_merkle_init(&tree);
    for (unsigned size = 0; size <= 8; size++) {
        unsigned char want[KT_HASH_BYTES], got[KT_HASH_BYTES], leaf[KT_HASH_BYTES];
        assert_true(kt_hex_decode(kt_str(roots[size].root), want, sizeof want));
        kt_merkle_root(&tree, got);
        assert_memory_equal(got, want, sizeof got);
        if (size == 8)
            break;
        leaf_hash(size, leaf);
        kt_merkle_push(&tree, leaf, NULL, NULL);
    }
}

/* The reference implementation's paths for these leaves. */
static const struct {
    const char *name;
    uint64_t a, size; /* index and size, or old size and size */
    bool consistency;
    const char *proof;
} proofs[] = {
    {"inclusion 0 of 1", 0, 1, false, ""},
    {"inclusion 0 of 8", 0, 8, false,
     "96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7"
     "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e"
     "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4"},
    {"inclusion 5 of 8", 5, 8, false,
     "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b"
     "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0"
     "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7"},
    {"inclusion 2 of 3", 2, 3, false,
     "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125"},
    {"inclusion 1 of 5", 1, 5, false,
     "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d"
     "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e"
     "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b"},
    {"consistency 1 to 1", 1, 1, true, ""},
    {"consistency 1 to 8", 1, 8, true,
     "96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7"
     "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e"
     "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4"},
    {"consistency 6 to 8", 6, 8, true,
     "0ebc5d3437fbe2db158b9f126a1d118e308181031d0a949f8dededebc558ef6a"
     "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0"
     "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7"},
    {"consistency 2 to 5", 2, 5, true,
     "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e"
     "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b"},
};

static void proof_vectors(void **state)
{
    (void)state;
    struct plain *plain = plain_new(8);
    for (unsigned i = 0; i < 8; i++)
        leaf_hash(i, plain->leaf[i]);
    struct kt_merkle_source source = {plain_get, plain};
    for (size_t i = 0; i < sizeof proofs / sizeof proofs[0]; i++) {
        unsigned char want[KT_HASH_BYTES * 8];
        size_t len = strlen(proofs[i].proof) / 2;
        assert_true(kt_hex_decode(kt_str(proofs[i].proof), want, len));
        struct kt_buf got;
        kt_buf_init(&got, 4096);
        enum kt_kind kind =
            proofs[i].consistency
                ? kt_merkle_prove_consistency(&source, proofs[i].a, proofs[i].size, &got, NULL)
                : kt_merkle_prove_inclusion(&source, proofs[i].a, proofs[i].size, &got, NULL);
        if (kind != KT_OK || got.len != len || (len > 0 && memcmp(got.at, want, len) != 0))
            fail_msg("%s: another proof", proofs[i].name);
        kt_buf_free(&got);
    }
    free(plain);
}

/* Changes each hash, drops the last, adds one: none of it may pass. */
static void refuses_others(struct kt_bytes proof, uint64_t a, uint64_t size, bool consistency,
                           const unsigned char *first, const unsigned char *root)
{
    unsigned char changed[KT_HASH_BYTES * (KT_MERKLE_PROOF_MAX + 1)] = {0};
    for (size_t i = 0; i <= proof.len / KT_HASH_BYTES + 1; i++) {
        if (proof.len > 0)
            memcpy(changed, proof.at, proof.len);
        size_t len = proof.len;
        if (i < proof.len / KT_HASH_BYTES)
            changed[i * KT_HASH_BYTES + i % KT_HASH_BYTES] ^= 0x40;
        else if (i == proof.len / KT_HASH_BYTES && len > 0)
            len -= KT_HASH_BYTES;
        else
            len += KT_HASH_BYTES;
        struct kt_bytes other = kt_bytes(changed, len);
        bool good = consistency ? kt_merkle_check_consistency(a, size, first, root, other)
                                : kt_merkle_check_inclusion(a, size, first, other, root);
        if (good)
            fail_msg("%ju of %ju: a changed proof passes (%zu)", (uintmax_t)a, (uintmax_t)size, i);
        memset(changed, 0, sizeof changed);
    }
    struct kt_bytes odd = kt_bytes(changed, proof.len + 1);
    assert_false(consistency ? kt_merkle_check_consistency(a, size, first, root, odd)
                             : kt_merkle_check_inclusion(a, size, first, odd, root));
}

static void all_inclusions(void **state)
{
    (void)state;
    struct plain *plain = plain_new(70);
    struct kt_merkle_source source = {plain_get, plain};
    for (uint64_t size = 1; size <= plain->n; size++) {
        unsigned char root[KT_HASH_BYTES], other[KT_HASH_BYTES];
        plain_root(plain, 0, size, root);
        for (uint64_t index = 0; index < size; index++) {
            struct kt_buf proof;
            kt_buf_init(&proof, 4096);
            assert_int_equal(kt_merkle_prove_inclusion(&source, index, size, &proof, NULL), KT_OK);
            struct kt_bytes bytes = kt_buf_bytes(&proof);
            assert_true(
                kt_merkle_check_inclusion(index, size, plain->leaf[index], bytes, root));
            memcpy(other, root, sizeof other);
            other[7] ^= 1;
            assert_false(
                kt_merkle_check_inclusion(index, size, plain->leaf[index], bytes, other));
            if (index % 5 == 0)
                refuses_others(bytes, index, size, false, plain->leaf[index], root);
            kt_buf_free(&proof);
        }
    }
    assert_false(kt_merkle_check_inclusion(0, 0, plain->leaf[0], kt_bytes(NULL, 0), plain->leaf[0]));
    assert_false(kt_merkle_check_inclusion(1, 1, plain->leaf[0], kt_bytes(NULL, 0), plain->leaf[0]));
    assert_true(kt_merkle_check_inclusion(0, 1, plain->leaf[0], kt_bytes(NULL, 0), plain->leaf[0]));
    struct kt_buf out;
    kt_buf_init(&out, 4096);
    assert_int_equal(kt_merkle_prove_inclusion(&source, 8, 8, &out, NULL), KT_INVALID);
    assert_int_equal(kt_merkle_prove_inclusion(&source, 0, 0, &out, NULL), KT_INVALID);
    free(plain);
}

static void all_consistencies(void **state)
{
    (void)state;
    struct plain *plain = plain_new(70);
    struct kt_merkle_source source = {plain_get, plain};
    unsigned char empty[KT_HASH_BYTES];
    kt_sha256(kt_bytes(NULL, 0), empty);
    for (uint64_t size = 0; size <= plain->n; size++) {
        unsigned char root[KT_HASH_BYTES], old_root[KT_HASH_BYTES];
        assert_int_equal(kt_merkle_root_at(&source, size, root, NULL), KT_OK);
        for (uint64_t old = 0; old <= size; old++) {
            struct kt_buf proof;
            kt_buf_init(&proof, 4096);
            assert_int_equal(kt_merkle_root_at(&source, old, old_root, NULL), KT_OK);
            assert_int_equal(kt_merkle_prove_consistency(&source, old, size, &proof, NULL), KT_OK);
            struct kt_bytes bytes = kt_buf_bytes(&proof);
            assert_true(kt_merkle_check_consistency(old, size, old_root, root, bytes));
            if (old != size)
                assert_false(kt_merkle_check_consistency(old, size, root, root, bytes) &&
                             memcmp(old_root, root, sizeof root) != 0);
            if (old % 5 == 1)
                refuses_others(bytes, old, size, true, old_root, root);
            kt_buf_free(&proof);
        }
    }
    struct kt_bytes nothing = kt_bytes(NULL, 0);
    assert_true(kt_merkle_check_consistency(0, 5, empty, plain->leaf[0], nothing));
    assert_false(kt_merkle_check_consistency(0, 5, plain->leaf[1], plain->leaf[0], nothing));
    assert_false(kt_merkle_check_consistency(5, 4, empty, empty, nothing));
    assert_false(kt_merkle_check_consistency(4, 4, empty, plain->leaf[0], nothing));
    struct kt_buf out;
    kt_buf_init(&out, 4096);
    assert_int_equal(kt_merkle_prove_consistency(&source, 9, 8, &out, NULL), KT_INVALID);
    free(plain);
}

struct seen {
    struct plain *plain;
    unsigned n;
};
static void subtree_done(void *arg, unsigned level, uint64_t index,
                         const unsigned char hash[KT_HASH_BYTES])
{
    struct seen *seen = arg;
    unsigned char want[KT_HASH_BYTES];
    plain_root(seen->plain, index << level, (uint64_t)1 << level, want);
    assert_memory_equal(hash, want, sizeof want);
    seen->n++;
}

/* Growing and stored trees agree at each size, and every complete subtree is announced once. */
static void growing_equals_stored(void **state)
{
    (void)state;
    struct seen seen = {plain_new(512), 0};
    struct kt_merkle_source source = {plain_get, seen.plain};
    struct kt_merkle tree, edge;
    kt_merkle_init(&tree);
    for (unsigned i = 0; i < 512; i++) {
        kt_merkle_push(&tree, seen.plain->leaf[i], subtree_done, &seen);
        unsigned char a[KT_HASH_BYTES], b[KT_HASH_BYTES];
        kt_merkle_root(&tree, a);
        assert_int_equal(kt_merkle_root_at(&source, i + 1, b, NULL), KT_OK);
        assert_memory_equal(a, b, sizeof a);
        if (i % 37 == 0) {
            assert_int_equal(kt_merkle_edge_at(&source, i + 1, &edge, NULL), KT_OK);
            kt_merkle_root(&edge, b);
            assert_memory_equal(a, b, sizeof a);
        }
    }
    assert_int_equal(seen.n, 2 * 512 - 1);
    free(seen.plain);
}

static void long_leaves(void **state)
{
    (void)state;
    static unsigned char leaf[5001];
    unsigned char a[KT_HASH_BYTES], b[KT_HASH_BYTES];
    for (size_t len = 1000; len < 1050; len++) {
        memset(leaf, 'x', sizeof leaf);
        kt_merkle_leaf(kt_bytes(leaf + 1, len), a);
        kt_merkle_leaf_in_place(leaf, len, b);
        assert_memory_equal(a, b, sizeof a);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(root_vectors),       cmocka_unit_test(proof_vectors),
        cmocka_unit_test(all_inclusions),     cmocka_unit_test(all_consistencies),
        cmocka_unit_test(growing_equals_stored), cmocka_unit_test(long_leaves),
    };
    return cmocka_run_group_tests_name("merkle", tests, NULL, NULL);
}
