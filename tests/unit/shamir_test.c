#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>
#include <sodium.h>

#include "lib/num.h"
#include "lib/random.h"
#include "vaultd/barrier/shamir.h"

typedef unsigned char share_bytes[SHAMIR_SHARE_BYTES];

static const unsigned char zero[SHAMIR_SECRET_BYTES];

/* Every choice of k of 5 shares gives the secret, in any order. */
static void any_k_of_n(void **state)
{
    (void)state;
    unsigned char secret[SHAMIR_SECRET_BYTES], back[SHAMIR_SECRET_BYTES];
    kt_random(secret, sizeof secret);
    for (unsigned k = 2; k <= 5; k++) {
        share_bytes shares[5];
        assert_int_equal(shamir_split(secret, k, 5, shares, NULL), KT_OK);
        for (unsigned chosen = 1; chosen < 32; chosen++) {
            share_bytes some[5];
            unsigned n = 0;
            for (unsigned i = 5; i-- > 0;)
                if (chosen & (1u << i))
                    memcpy(some[n++], shares[i], sizeof some[0]);
            assert_int_equal(shamir_combine((const share_bytes *)some, n, back, NULL), KT_OK);
            assert_int_equal(memcmp(back, secret, sizeof back) == 0, n >= k);
        }
    }
}

static void one_of_one(void **state)
{
    (void)state;
    unsigned char secret[SHAMIR_SECRET_BYTES], back[SHAMIR_SECRET_BYTES];
    share_bytes share[1];
    kt_random(secret, sizeof secret);
    assert_int_equal(shamir_split(secret, 1, 1, share, NULL), KT_OK);
    assert_int_equal(shamir_combine((const share_bytes *)share, 1, back, NULL), KT_OK);
    assert_memory_equal(back, secret, sizeof back);
}

static void largest(void **state)
{
    (void)state;
    static share_bytes shares[SHAMIR_SHARES_MAX];
    unsigned char secret[SHAMIR_SECRET_BYTES], back[SHAMIR_SECRET_BYTES];
    kt_random(secret, sizeof secret);
    assert_int_equal(shamir_split(secret, 255, 255, shares, NULL), KT_OK);
    assert_int_equal(shamir_combine((const share_bytes *)shares, 255, back, NULL), KT_OK);
    assert_memory_equal(back, secret, sizeof back);
    assert_int_equal(shamir_combine((const share_bytes *)shares, 254, back, NULL), KT_OK);
    assert_memory_not_equal(back, secret, sizeof back);
}

/* Against a schoolbook field: with the coefficients all 1 and threshold 3, y = s + x + x^2. */
static unsigned slow_multiply(unsigned a, unsigned b)
{
    unsigned product = 0;
    for (unsigned i = 0; i < 8; i++)
        if (b & (1u << i))
            product ^= a << i;
    for (unsigned i = 15; i >= 8; i--)
        if (product & (1u << i))
            product ^= 0x11Bu << (i - 8);
    return product;
}

static void ones(void *out, size_t len)
{
    memset(out, 1, len);
}

static void known_polynomial(void **state)
{
    (void)state;
    static share_bytes shares[SHAMIR_SHARES_MAX];
    unsigned char secret[SHAMIR_SECRET_BYTES];
    for (size_t i = 0; i < sizeof secret; i++)
        secret[i] = (unsigned char)(i * 7);
    kt_random_source(ones);
    enum kt_kind kind = shamir_split(secret, 3, 255, shares, NULL);
    kt_random_source(NULL);
    assert_int_equal(kind, KT_OK);
    for (unsigned x = 1; x <= 255; x++) {
        assert_int_equal(shares[x - 1][32], x);
        for (size_t i = 0; i < sizeof secret; i++)
            assert_int_equal(shares[x - 1][i], secret[i] ^ x ^ slow_multiply(x, x));
    }
    unsigned char back[SHAMIR_SECRET_BYTES];
    for (unsigned n = 0; n + 3 <= 255; n++) {
        assert_int_equal(shamir_combine((const share_bytes *)shares + n, 3, back, NULL), KT_OK);
        assert_memory_equal(back, secret, sizeof back);
    }
}

/* Shares numbered as Vault numbers them, anyhow in 1..255; y = s + c*x with c = 0x53 throughout. */
static void shares_with_any_number(void **state)
{
    (void)state;
    share_bytes shares[2];
    unsigned char back[SHAMIR_SECRET_BYTES];
    const unsigned char numbers[2] = {0xC4, 0x1F};
    for (size_t n = 0; n < 2; n++) {
        for (size_t i = 0; i < 32; i++)
            shares[n][i] = (unsigned char)(i ^ slow_multiply(0x53, numbers[n]));
        shares[n][32] = numbers[n];
    }
    assert_int_equal(shamir_combine((const share_bytes *)shares, 2, back, NULL), KT_OK);
    for (size_t i = 0; i < 32; i++)
        assert_int_equal(back[i], i);
}

/* One share fewer than the threshold fits every secret: with k-1 shares fixed, each value of a
 * secret's byte has exactly one further point. Seen from outside: the first share of 2-of-2 is
 * uniform whatever the secret. */
static void below_threshold_says_nothing(void **state)
{
    (void)state;
    unsigned counts[256] = {0};
    for (unsigned round = 0; round < 2048; round++) {
        share_bytes shares[2];
        assert_int_equal(shamir_split(zero, 2, 2, shares, NULL), KT_OK);
        for (size_t i = 0; i < 32; i++)
            counts[shares[0][i]]++;
    }
    double chi = 0;
    for (unsigned v = 0; v < 256; v++)
        chi += (counts[v] - 256.0) * (counts[v] - 256.0) / 256.0;
    assert_true(chi < 360); /* 255 degrees of freedom: p > 0.00001 */
}

static const struct counts_row {
    const char *name;
    unsigned threshold, shares;
    const char *what;
} counts_rows[] = {
    {"refuses 0 of 0", 0, 0, "shares must be at least one"},
    {"refuses 0 of 3", 0, 3, "threshold must be at least one"},
    {"refuses 4 of 3", 4, 3, "threshold cannot be larger than shares"},
    {"refuses 1 of 2", 1, 2, "threshold must be greater than one for multiple shares"},
    {"refuses 2 of 256", 2, 256, "shares must be at most 255"},
};

static void refuses_counts(void **state)
{
    const struct counts_row *row = *state;
    static share_bytes shares[300];
    struct kt_err err = {0};
    assert_int_equal(shamir_split(zero, row->threshold, row->shares, shares, &err), KT_INVALID);
    assert_string_equal(err.what, row->what);
}

static void refuses_combinations(void **state)
{
    (void)state;
    share_bytes shares[3] = {{0}};
    unsigned char back[SHAMIR_SECRET_BYTES];
    struct kt_err err = {0};
    assert_int_equal(shamir_combine((const share_bytes *)shares, 0, back, &err), KT_INVALID);
    assert_int_equal(shamir_combine((const share_bytes *)shares, 1, back, &err), KT_INVALID);
    shares[0][32] = 5;
    shares[1][32] = 6;
    shares[2][32] = 5;
    assert_int_equal(shamir_combine((const share_bytes *)shares, 2, back, &err), KT_OK);
    assert_int_equal(shamir_combine((const share_bytes *)shares, 3, back, &err), KT_INVALID);
    assert_non_null(strstr(err.what, "same number"));
}

static void reads_hex_and_base64(void **state)
{
    (void)state;
    unsigned char share[SHAMIR_SHARE_BYTES], back[SHAMIR_SHARE_BYTES];
    char text[80];
    for (unsigned round = 0; round < 64; round++) {
        kt_random(share, sizeof share);
        share[32] = (unsigned char)(share[32] | 1);
        kt_hex_encode(share, sizeof share, text);
        assert_int_equal(shamir_share_parse(kt_str(text), back, NULL), KT_OK);
        assert_memory_equal(back, share, sizeof share);
        for (char *c = text; *c != '\0'; c++)
            *c = (char)(*c >= 'a' ? *c - 32 : *c);
        assert_int_equal(shamir_share_parse(kt_str(text), back, NULL), KT_OK);
        (void)sodium_bin2base64(text, sizeof text, share, sizeof share,
                                sodium_base64_VARIANT_ORIGINAL);
        assert_int_equal(strlen(text), 44);
        assert_int_equal(shamir_share_parse(kt_str(text), back, NULL), KT_OK);
        assert_memory_equal(back, share, sizeof share);
    }
}

static const struct text_row {
    const char *name, *text;
} text_rows[] = {
    {"refuses an empty share", ""},
    {"refuses a short hex share", "0102"},
    {"refuses 65 hex characters",
     "00000000000000000000000000000000000000000000000000000000000000000"},
    {"refuses a blank in hex",
     "00000000000000000000000000000000000000000000000000000000000000 001"},
    {"refuses number 0 in hex",
     "111111111111111111111111111111111111111111111111111111111111111100"},
    {"refuses number 0 in base64", "EREREREREREREREREREREREREREREREREREREREREREA"},
    {"refuses a newline at the end", "ERERERERERERERERERERERERERERERERERERERERERER\n"},
    {"refuses the URL alphabet", "_RERERERERERERERERERERERERERERERERERERERERER"},
    {"refuses bytes over 0x7f in base64", "ERERERERER\xb0\xb9"
                                          "RERERERERERERERERERERERERERERERE"},
    {"refuses 32 bytes of base64", "ERERERERERERERERERERERERERERERERERERERERERE="},
    {"refuses 34 bytes of base64", "ERERERERERERERERERERERERERERERERERERERERERERERE="},
};

static void refuses_text(void **state)
{
    const struct text_row *row = *state;
    unsigned char share[SHAMIR_SHARE_BYTES];
    memset(share, 0xAA, sizeof share);
    struct kt_err err = {0};
    assert_int_equal(shamir_share_parse(kt_str(row->text), share, &err), KT_INVALID);
    assert_int_equal(share[0], 0xAA);
    if (row->text[0] != '\0') {
        assert_null(strstr(err.what, row->text));
        assert_null(strstr(err.hint, row->text));
    }
}

#define ROWS(rows) (sizeof(rows) / sizeof((rows)[0]))

int main(void)
{
    static struct CMUnitTest tests[8 + ROWS(counts_rows) + ROWS(text_rows)] = {
        cmocka_unit_test(any_k_of_n),
        cmocka_unit_test(one_of_one),
        cmocka_unit_test(largest),
        cmocka_unit_test(known_polynomial),
        cmocka_unit_test(shares_with_any_number),
        cmocka_unit_test(below_threshold_says_nothing),
        cmocka_unit_test(refuses_combinations),
        cmocka_unit_test(reads_hex_and_base64),
    };
    if (sodium_init() < 0)
        return 1;
    size_t n = 8;
    for (size_t i = 0; i < ROWS(counts_rows); i++, n++)
        tests[n] = (struct CMUnitTest){counts_rows[i].name, refuses_counts, NULL, NULL,
                                       (void *)(uintptr_t)&counts_rows[i]};
    for (size_t i = 0; i < ROWS(text_rows); i++, n++)
        tests[n] = (struct CMUnitTest){text_rows[i].name, refuses_text, NULL, NULL,
                                       (void *)(uintptr_t)&text_rows[i]};
    return cmocka_run_group_tests_name("shamir", tests, NULL, NULL);
}
