#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <sodium.h>
#include <string.h>

#include "lib/aead.h"

#define LEN_MAX 1500u

static unsigned char key[KT_AEAD_KEY], nonce[KT_AEAD_NONCE], plain[LEN_MAX], aad[700];

static size_t theirs(size_t len, size_t aad_len, unsigned char *out)
{
    unsigned long long sealed = 0;
    assert_int_equal(crypto_aead_xchacha20poly1305_ietf_encrypt(out, &sealed, plain, len, aad,
                                                                aad_len, NULL, nonce, key),
                     0);
    return (size_t)sealed;
}

/* The same bytes as libsodium's own, at every length; each opens. */
static void same_bytes(void **state)
{
    (void)state;
    static unsigned char ours[LEN_MAX + KT_AEAD_TAG], other[LEN_MAX + KT_AEAD_TAG], out[LEN_MAX];
    static const size_t aads[] = {0, 1, 15, 16, 17, 63, 100, 128, 129, 143, 144, 145, 600};
    for (size_t len = 0; len <= LEN_MAX; len++) {
        size_t aad_len = aads[len % (sizeof aads / sizeof aads[0])];
        randombytes_buf(key, sizeof key);
        randombytes_buf(nonce, sizeof nonce);
        kt_aead_seal(key, nonce, kt_bytes(aad, aad_len), kt_bytes(plain, len), ours);
        size_t sealed = theirs(len, aad_len, other);
        assert_int_equal(sealed, len + KT_AEAD_TAG);
        assert_memory_equal(ours, other, sealed);
        memset(out, 0xaa, sizeof out);
        assert_true(
            kt_aead_open(key, nonce, kt_bytes(aad, aad_len), kt_bytes(other, sealed), out));
        assert_memory_equal(out, plain, len);
    }
    for (size_t i = 0; i < 16 * sizeof aads / sizeof aads[0]; i++) {
        size_t len = i % 16 * 61, aad_len = aads[i / 16];
        kt_aead_seal(key, nonce, kt_bytes(aad, aad_len), kt_bytes(plain, len), ours);
        assert_memory_equal(ours, other, theirs(len, aad_len, other));
    }
}

/* In place, as entries are sealed. */
static void in_place(void **state)
{
    (void)state;
    static unsigned char at[LEN_MAX + KT_AEAD_TAG], want[LEN_MAX + KT_AEAD_TAG];
    for (size_t len = 0; len <= LEN_MAX; len += 31) {
        size_t sealed = theirs(len, 20, want);
        memcpy(at, plain, len);
        kt_aead_seal(key, nonce, kt_bytes(aad, 20), kt_bytes(at, len), at);
        assert_memory_equal(at, want, sealed);
        assert_true(kt_aead_open(key, nonce, kt_bytes(aad, 20), kt_bytes(at, sealed), at));
        assert_memory_equal(at, plain, len);
    }
}

/* draft-irtf-cfrg-xchacha-03, appendix A.3.1. */
static void vector(void **state)
{
    (void)state;
    static const char text[] =
        "Ladies and Gentlemen of the class of '99: If I could offer you only one tip for the future, "
        "sunscreen would be it.";
    static const unsigned char with[] = {0x50, 0x51, 0x52, 0x53, 0xc0, 0xc1,
                                         0xc2, 0xc3, 0xc4, 0xc5, 0xc6, 0xc7};
    static const unsigned char tag[] = {0xc0, 0x87, 0x59, 0x24, 0xc1, 0xc7, 0x98, 0x79,
                                        0x47, 0xde, 0xaf, 0xd8, 0x78, 0x0a, 0xcf, 0x49};
    unsigned char k[KT_AEAD_KEY], n[KT_AEAD_NONCE], out[sizeof text + KT_AEAD_TAG];
    for (unsigned i = 0; i < sizeof k; i++)
        k[i] = (unsigned char)(0x80 + i);
    for (unsigned i = 0; i < sizeof n; i++)
        n[i] = (unsigned char)(0x40 + i);
    kt_aead_seal(k, n, kt_bytes(with, sizeof with), kt_str(text), out);
    assert_int_equal(out[0], 0xbd);
    assert_int_equal(out[1], 0x6d);
    assert_memory_equal(out + sizeof text - 1, tag, sizeof tag);
}

/* Any bit that is turned, anywhere, and any cut: refused, and nothing is written. */
static void refuses(void **state)
{
    (void)state;
    static unsigned char at[300 + KT_AEAD_TAG], out[300], untouched[300];
    memset(untouched, 0x55, sizeof untouched);
    for (size_t len = 0; len <= 300; len += 50) {
        size_t sealed = theirs(len, 33, at);
        memcpy(out, untouched, sizeof out);
        for (size_t bit = 0; bit < sealed * 8; bit += len < 100 ? 1 : 37) {
            at[bit / 8] ^= (unsigned char)(1u << bit % 8);
            assert_false(kt_aead_open(key, nonce, kt_bytes(aad, 33), kt_bytes(at, sealed), out));
            at[bit / 8] ^= (unsigned char)(1u << bit % 8);
        }
        for (size_t cut = 0; cut < sealed; cut++)
            assert_false(kt_aead_open(key, nonce, kt_bytes(aad, 33), kt_bytes(at, cut), out));
        assert_false(kt_aead_open(key, nonce, kt_bytes(aad, 32), kt_bytes(at, sealed), out));
        for (unsigned bit = 0; bit < 256; bit += 17) {
            key[bit / 8] ^= (unsigned char)(1u << bit % 8);
            assert_false(kt_aead_open(key, nonce, kt_bytes(aad, 33), kt_bytes(at, sealed), out));
            key[bit / 8] ^= (unsigned char)(1u << bit % 8);
        }
        for (unsigned bit = 0; bit < 192; bit += 13) {
            nonce[bit / 8] ^= (unsigned char)(1u << bit % 8);
            assert_false(kt_aead_open(key, nonce, kt_bytes(aad, 33), kt_bytes(at, sealed), out));
            nonce[bit / 8] ^= (unsigned char)(1u << bit % 8);
        }
        assert_memory_equal(out, untouched, sizeof out);
        assert_true(kt_aead_open(key, nonce, kt_bytes(aad, 33), kt_bytes(at, sealed), out));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(same_bytes), cmocka_unit_test(in_place),
                                       cmocka_unit_test(vector), cmocka_unit_test(refuses)};
    if (sodium_init() < 0)
        return 1;
    randombytes_buf(plain, sizeof plain);
    randombytes_buf(aad, sizeof aad);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
