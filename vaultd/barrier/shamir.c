#include "vaultd/barrier/shamir.h"

#include <sodium.h>

#include "lib/num.h"
#include "lib/random.h"

#define POLYNOMIAL 0x11Bu
#define HEX_CHARS  ((size_t)2 * SHAMIR_SHARE_BYTES)
#define X_AT       SHAMIR_SECRET_BYTES

/* All ones if the bit is set, else zero: what a branch would decide, without one. */
static unsigned mask_of(unsigned bit)
{
    return 0u - (bit & 1u);
}

static unsigned char multiply(unsigned char a, unsigned char b)
{
    unsigned x = a, product = 0;
    for (unsigned i = 0; i < 8; i++) {
        product ^= x & mask_of((unsigned)b >> i);
        x = (x << 1) ^ (POLYNOMIAL & mask_of(x >> 7));
    }
    return (unsigned char)product;
}

/* a^254, which is 1/a, and 0 for 0. */
static unsigned char invert(unsigned char a)
{
    unsigned char power = multiply(a, a); /* a^2 */
    unsigned char inverse = power;
    for (int i = 0; i < 6; i++) { /* a^4, a^8 .. a^128 */
        power = multiply(power, power);
        inverse = multiply(inverse, power);
    }
    return inverse;
}

static enum kt_kind check_counts(unsigned threshold, unsigned shares, struct kt_err *err)
{
    if (shares < 1)
        return kt_fail(err, KT_INVALID, "shares must be at least one");
    if (shares > SHAMIR_SHARES_MAX)
        return kt_fail(err, KT_INVALID, "shares must be at most %u", SHAMIR_SHARES_MAX);
    if (threshold < 1)
        return kt_fail(err, KT_INVALID, "threshold must be at least one");
    if (threshold > shares)
        return kt_fail(err, KT_INVALID, "threshold cannot be larger than shares");
    if (threshold == 1 && shares > 1)
        return kt_fail(err, KT_INVALID, "threshold must be greater than one for multiple shares");
    return KT_OK;
}

enum kt_kind shamir_split(const unsigned char secret[SHAMIR_SECRET_BYTES], unsigned threshold,
                          unsigned shares, unsigned char ret[][SHAMIR_SHARE_BYTES],
                          struct kt_err *err)
{
    enum kt_kind kind = check_counts(threshold, shares, err);
    if (kind != KT_OK)
        return kind;

    /* The coefficients of x^1 .. x^(threshold-1). The highest may be zero: excluding it would tell
     * whoever holds threshold-1 shares one value that the secret is not. */
    unsigned char coefficients[SHAMIR_SHARES_MAX - 1][SHAMIR_SECRET_BYTES] = {{0}};
    if (threshold > 1)
        kt_random(coefficients, (threshold - 1) * sizeof coefficients[0]);
    for (unsigned n = 0; n < shares; n++) {
        unsigned char x = (unsigned char)(n + 1);
        for (size_t i = 0; i < SHAMIR_SECRET_BYTES; i++) {
            unsigned char y = 0;
            for (unsigned k = threshold - 1; k > 0; k--)
                y = multiply((unsigned char)(y ^ coefficients[k - 1][i]), x);
            ret[n][i] = (unsigned char)(y ^ secret[i]);
        }
        ret[n][X_AT] = x;
    }
    sodium_memzero(coefficients, sizeof coefficients);
    return KT_OK;
}

/* The numbers of shares are public; only y is not. */
static enum kt_kind check_numbers(const unsigned char shares[][SHAMIR_SHARE_BYTES], unsigned count,
                                  struct kt_err *err)
{
    bool seen[SHAMIR_SHARES_MAX + 1] = {false};
    if (count < 1 || count > SHAMIR_SHARES_MAX)
        return kt_fail(err, KT_INVALID, "between 1 and %u key shares are needed",
                       SHAMIR_SHARES_MAX);
    for (unsigned n = 0; n < count; n++) {
        unsigned char x = shares[n][X_AT];
        if (x == 0)
            return kt_fail(err, KT_INVALID, "this is not a key share: its number is 0");
        if (seen[x]) {
            (void)kt_fail(err, KT_INVALID, "two of the key shares have the same number");
            kt_hint(err, "give each share once, and only shares of one vault");
            return KT_INVALID;
        }
        seen[x] = true;
    }
    return KT_OK;
}

enum kt_kind shamir_combine(const unsigned char shares[][SHAMIR_SHARE_BYTES], unsigned count,
                            unsigned char ret[SHAMIR_SECRET_BYTES], struct kt_err *err)
{
    enum kt_kind kind = check_numbers(shares, count, err);
    if (kind != KT_OK)
        return kind;

    unsigned char sum[SHAMIR_SECRET_BYTES] = {0};
    for (unsigned n = 0; n < count; n++) {
        /* Lagrange's basis polynomial of this share at 0; minus is xor. */
        unsigned char above = 1, below = 1;
        for (unsigned m = 0; m < count; m++) {
            if (m == n)
                continue;
            above = multiply(above, shares[m][X_AT]);
            below = multiply(below, (unsigned char)(shares[m][X_AT] ^ shares[n][X_AT]));
        }
        unsigned char weight = multiply(above, invert(below));
        for (size_t i = 0; i < sizeof sum; i++)
            sum[i] ^= multiply(shares[n][i], weight);
    }
    memcpy(ret, sum, sizeof sum);
    sodium_memzero(sum, sizeof sum);
    return KT_OK;
}

static bool decode(struct kt_bytes text, unsigned char share[SHAMIR_SHARE_BYTES])
{
    size_t len = 0;
    if (text.len == HEX_CHARS)
        return kt_hex_decode(text, share, SHAMIR_SHARE_BYTES);
    return text.len > 0 && kt_base64_decode(text, share, SHAMIR_SHARE_BYTES, &len) &&
           len == SHAMIR_SHARE_BYTES;
}

enum kt_kind shamir_share_parse(struct kt_bytes text, unsigned char ret[SHAMIR_SHARE_BYTES],
                                struct kt_err *err)
{
    unsigned char share[SHAMIR_SHARE_BYTES] = {0};
    bool good = decode(text, share) && share[X_AT] != 0;
    if (good)
        memcpy(ret, share, sizeof share);
    sodium_memzero(share, sizeof share);
    if (good)
        return KT_OK;
    (void)kt_fail(err, KT_INVALID, "'key' must be a valid hex or base64 string");
    kt_hint(err,
            "a key share has %zu hex or %u base64 characters, as 'operator init' printed it; "
            "look for a missing or doubled character",
            HEX_CHARS, 4 * SHAMIR_SHARE_BYTES / 3);
    return KT_INVALID;
}
