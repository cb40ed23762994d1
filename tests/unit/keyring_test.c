/* A keyring that opens with the root key, and yet is none: what was written by no vaultd is refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <sodium.h>
#include <stdio.h>

#include "tests/support/rows.h"
#include "vaultd/barrier/keyring.h"

#define HEADER 9u  /* format, epoch */
#define NONCE  crypto_aead_xchacha20poly1305_ietf_NPUBBYTES
#define TAG    crypto_aead_xchacha20poly1305_ietf_ABYTES
#define KEYS   (3u * KT_KEY_BYTES)
#define TERM   (4u + 8u + KT_KEY_BYTES)
#define PLAIN_MAX 1024u

static const unsigned char vault_id[VAULT_ID_BYTES] = "sixteen bytes id";

/* What is inside of the stored form, and where its terms stand. */
struct inside {
    unsigned char plain[PLAIN_MAX];
    size_t len;
};

static unsigned char *term(struct inside *inside, unsigned i)
{
    return inside->plain + KEYS + 4 + (size_t)i * TERM;
}

static void nothing(struct inside *inside)
{
    (void)inside;
}
static void same_number_twice(struct inside *inside)
{
    memcpy(term(inside, 1), term(inside, 0), 4);
}
static void descending(struct inside *inside)
{
    unsigned char first[4];
    memcpy(first, term(inside, 0), 4);
    memcpy(term(inside, 0), term(inside, 1), 4);
    memcpy(term(inside, 1), first, 4);
}
static void number_of_none(struct inside *inside)
{
    memset(term(inside, 0), 0, 4);
}
static void no_terms(struct inside *inside)
{
    memset(inside->plain + KEYS, 0, 4);
    inside->len = KEYS + 4;
}
static void one_term_less(struct inside *inside)
{
    inside->len -= TERM;
}
static void cut(struct inside *inside)
{
    inside->len--;
}
static void longer(struct inside *inside)
{
    inside->plain[inside->len++] = 0;
}
static void keys_cut(struct inside *inside)
{
    inside->len = KEYS - 1;
}

static const struct change {
    const char *name;
    void (*make)(struct inside *inside);
    enum kt_kind kind;
} changes[] = {
    {"as it was stored", nothing, KT_OK},
    {"two terms of one number", same_number_twice, KT_CORRUPT},
    {"terms that descend", descending, KT_CORRUPT},
    {"a term without a number", number_of_none, KT_CORRUPT},
    {"no terms", no_terms, KT_CORRUPT},
    {"fewer terms than it says", one_term_less, KT_CORRUPT},
    {"a byte less", cut, KT_CORRUPT},
    {"a byte more", longer, KT_CORRUPT},
    {"the keys themselves cut", keys_cut, KT_CORRUPT},
};

static size_t aad_of(const unsigned char *stored, unsigned char out[64])
{
    static const char what[] = "kt/ring/1";
    memcpy(out, what, sizeof what - 1);
    memcpy(out + sizeof what - 1, vault_id, sizeof vault_id);
    memcpy(out + sizeof what - 1 + sizeof vault_id, stored, HEADER);
    return sizeof what - 1 + sizeof vault_id + HEADER;
}

/* Opens it with the root key, has it changed, and seals it as vaultd would. */
static void alter(const unsigned char root[KT_KEY_BYTES], struct kt_buf *stored,
                  void (*make)(struct inside *inside))
{
    struct inside inside;
    unsigned char aad[64], head[HEADER + NONCE];
    struct kt_bytes all = kt_buf_bytes(stored);
    unsigned long long len = 0;
    size_t aad_len = aad_of(all.at, aad);
    memcpy(head, all.at, sizeof head);
    assert_true(all.len - sizeof head - TAG < PLAIN_MAX - TERM);
    assert_int_equal(crypto_aead_xchacha20poly1305_ietf_decrypt(
                         inside.plain, &len, NULL, all.at + sizeof head, all.len - sizeof head, aad,
                         aad_len, head + HEADER, root),
                     0);
    inside.len = (size_t)len;
    make(&inside);
    unsigned char sealed[PLAIN_MAX + TAG];
    (void)crypto_aead_xchacha20poly1305_ietf_encrypt(sealed, &len, inside.plain, inside.len, aad,
                                                     aad_len, NULL, head + HEADER, root);
    kt_buf_reset(stored);
    kt_buf_add(stored, head, sizeof head);
    kt_buf_add(stored, sealed, (size_t)len);
}

static void is_read(void **state)
{
    const struct change *row = *state;
    struct keyring *ring = NULL, *again = NULL;
    unsigned char root[KT_KEY_BYTES];
    kt_autobuf struct kt_buf stored;
    kt_buf_init(&stored, 4096);
    assert_int_equal(keyring_generate(vault_id, 1, &ring, NULL), KT_OK);
    assert_int_equal(keyring_stage(ring, 2, NULL), KT_OK);
    keyring_settle(ring, true);
    assert_int_equal(keyring_store(ring, &stored, NULL), KT_OK);
    memcpy(root, ring->key[RING_ROOT], sizeof root);
    keyring_free(ring);
    alter(root, &stored, row->make);
    struct kt_err err = {0};
    assert_int_equal(keyring_load(vault_id, root, kt_buf_bytes(&stored), &again, &err), row->kind);
    if (row->kind == KT_OK)
        assert_int_equal(atomic_load(&again->count), 2);
    else
        assert_non_null(strstr(err.hint, "restore it whole from one backup"));
    keyring_free(again);
}

int main(int argc, char **argv)
{
    static struct CMUnitTest tests[sizeof changes / sizeof changes[0]];
    size_t n = add_rows(tests, 0, changes, sizeof changes / sizeof changes[0], sizeof changes[0], is_read);
    if (kt_secret_init(NULL) != KT_OK)
        return 1;
    if (argc > 1)
        cmocka_set_test_filter(argv[1]);
    return _cmocka_run_group_tests("keyring", tests, n, NULL, NULL);
}
