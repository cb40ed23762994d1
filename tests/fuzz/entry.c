/* tests/fuzz/entry.c - what the barrier reads from the disk: an error, or exactly what was sealed.
 *
 * The first byte chooses the reader. Bytes that nobody sealed must not open; to get behind the tag,
 * three modes seal the input as the inside of a record first, as a holder of the keys could. */
#include <sodium.h>
#include <stdlib.h>

#include "lib/assert.h"
#include "vaultd/barrier/entry.h"
#include "vaultd/barrier/seal_record.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const unsigned char vault_id[VAULT_ID_BYTES] = {1, 2, 3};

static struct keyring *the_ring(void)
{
    static struct keyring *ring;
    if (ring == NULL) {
        KT_ASSERT(kt_secret_init(NULL) == KT_OK);
        KT_ASSERT(keyring_generate(vault_id, 1, &ring, NULL) == KT_OK);
    }
    return ring;
}

/* "label ‖ vault id ‖ head [‖ u32 length ‖ key]", then head ‖ nonce ‖ inside sealed. */
static void wrap(const char *label, struct kt_bytes head, struct kt_bytes key,
                 struct kt_bytes inside, const unsigned char *with, struct kt_buf *out)
{
    static const unsigned char nonce[24] = {5};
    kt_autobuf struct kt_buf aad;
    kt_buf_init(&aad, 1000);
    kt_buf_add_text(&aad, label);
    kt_buf_add(&aad, vault_id, sizeof vault_id);
    kt_buf_add_bytes(&aad, head);
    if (key.len > 0)
        kt_buf_add_field(&aad, key);
    kt_buf_add_bytes(out, head);
    kt_buf_add(out, nonce, sizeof nonce);
    unsigned char *at = kt_buf_grow(out, inside.len + 16);
    KT_ASSERT(at != NULL && kt_buf_ok(&aad));
    (void)crypto_aead_xchacha20poly1305_ietf_encrypt(at, NULL, inside.at, inside.len, aad.at,
                                                     aad.len, NULL, nonce, with);
}

static void raw_entry(struct kt_bytes input)
{
    kt_autobuf struct kt_buf out;
    kt_buf_init(&out, 1 << 20);
    KT_ASSERT(entry_open(the_ring(), NULL, kt_str("vkey"), input, &out, NULL) != KT_OK);
    KT_ASSERT(out.len == 0);
}

/* Sealed by us: opens exactly; with one byte of it changed, not at all. */
static void sealed_entry(struct kt_bytes input)
{
    kt_autobuf struct kt_buf sealed, out;
    kt_buf_init(&sealed, 1 << 20);
    kt_buf_init(&out, 1 << 20);
    KT_ASSERT(entry_seal(the_ring(), kt_str("vkey"), input, &sealed, NULL) == KT_OK);
    KT_ASSERT(entry_open(the_ring(), NULL, kt_str("vkey"), kt_buf_bytes(&sealed), &out, NULL) ==
              KT_OK);
    KT_ASSERT(kt_bytes_equal(kt_buf_bytes(&out), input));
    if (input.len < 2)
        return;
    sealed.at[input.at[0] % sealed.len] ^= (unsigned char)(input.at[1] | 1);
    kt_buf_reset(&out);
    KT_ASSERT(entry_open(the_ring(), NULL, kt_str("vkey"), kt_buf_bytes(&sealed), &out, NULL) !=
              KT_OK);
}

/* Any inside under a true tag: what opens has the one padding that sealing makes. */
static void padded_entry(struct kt_bytes input)
{
    static const unsigned char head[5] = {ENTRY_FORMAT, 1};
    kt_autobuf struct kt_buf sealed, out;
    kt_buf_init(&sealed, 1 << 20);
    kt_buf_init(&out, 1 << 20);
    wrap("kt/entry/1", kt_bytes(head, sizeof head), kt_str("vkey"), input,
         keyring_entry_key(the_ring(), 1), &sealed);
    if (entry_open(the_ring(), NULL, kt_str("vkey"), kt_buf_bytes(&sealed), &out, NULL) == KT_OK) {
        KT_ASSERT(entry_bucket(out.len) == input.len);
        KT_ASSERT(kt_bytes_equal(kt_buf_bytes(&out), kt_bytes(input.at, out.len)));
    } else {
        KT_ASSERT(out.len == 0);
    }
}

static void seal_record(struct kt_bytes input)
{
    struct seal_record seal;
    if (seal_record_read(input, &seal, NULL) != KT_OK)
        return;
    kt_autobuf struct kt_buf out;
    kt_buf_init(&out, 1000);
    seal_record_write(&seal, &out);
    KT_ASSERT(kt_bytes_equal(kt_buf_bytes(&out), input));
    unsigned char root[KT_KEY_BYTES];
    KT_ASSERT(!seal_record_open(&seal, the_ring()->key[RING_ROOT], root));
}

static void inner_keyring(struct kt_bytes input)
{
    static const unsigned char head[9] = {KEYRING_FORMAT, 1};
    kt_autobuf struct kt_buf stored;
    kt_buf_init(&stored, 1 << 20);
    wrap("kt/ring/1", kt_bytes(head, sizeof head), kt_bytes(NULL, 0), input,
         the_ring()->key[RING_ROOT], &stored);
    struct keyring *ring = NULL;
    if (keyring_load(vault_id, the_ring()->key[RING_ROOT], kt_buf_bytes(&stored), &ring, NULL) !=
        KT_OK)
        return;
    uint32_t newest = keyring_newest(ring)->number;
    KT_ASSERT(newest >= 1 && keyring_entry_key(ring, newest) == keyring_newest(ring)->entry);
    keyring_free(ring);
}

static void raw_keyring(struct kt_bytes input)
{
    struct keyring *ring = NULL;
    KT_ASSERT(keyring_load(vault_id, the_ring()->key[RING_ROOT], input, &ring, NULL) != KT_OK);
}

static void share_text(struct kt_bytes input)
{
    unsigned char share[SHAMIR_SHARE_BYTES] = {0};
    KT_ASSERT((shamir_share_parse(input, share, NULL) == KT_OK) ==
              (share[SHAMIR_SHARE_BYTES - 1] != 0));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static void (*const readers[])(struct kt_bytes) = {
        raw_entry, sealed_entry, padded_entry, seal_record, inner_keyring, raw_keyring, share_text,
    };
    if (size == 0 || size > 65536)
        return 0;
    (void)the_ring();
    readers[data[0] % (sizeof readers / sizeof readers[0])](kt_bytes(data + 1, size - 1));
    return 0;
}
