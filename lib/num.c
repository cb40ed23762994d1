#include "lib/num.h"

#include <sodium.h>

bool kt_u64_parse(struct kt_bytes text, uint64_t max, uint64_t *ret)
{
    if (text.len == 0)
        return false;
    uint64_t v = 0;
    for (size_t i = 0; i < text.len; i++) {
        if (text.at[i] < '0' || text.at[i] > '9')
            return false;
        if (__builtin_mul_overflow(v, (uint64_t)10, &v) ||
            __builtin_add_overflow(v, (uint64_t)(text.at[i] - '0'), &v))
            return false;
    }
    if (v > max)
        return false;
    *ret = v;
    return true;
}

bool kt_i64_parse(struct kt_bytes text, int64_t min, int64_t max, int64_t *ret)
{
    bool negative = text.len > 0 && text.at[0] == '-';
    if (negative)
        text = kt_bytes(text.at + 1, text.len - 1);
    uint64_t v = 0;
    if (!kt_u64_parse(text, (uint64_t)INT64_MAX, &v))
        return false;
    int64_t signed_v = negative ? -(int64_t)v : (int64_t)v;
    if (signed_v < min || signed_v > max)
        return false;
    *ret = signed_v;
    return true;
}

bool kt_hex_decode(struct kt_bytes text, unsigned char *out, size_t out_len)
{
    size_t len = 0;
    if (text.len != out_len * 2)
        return false;
    return sodium_hex2bin(out, out_len, (const char *)text.at, text.len, NULL, &len, NULL) == 0 &&
           len == out_len;
}

void kt_hex_encode(const unsigned char *at, size_t len, char *out)
{
    (void)sodium_bin2hex(out, 2 * len + 1, at, len);
}

static bool decode(struct kt_bytes text, int variant, unsigned char *out, size_t out_max, size_t *ret_len)
{
    unsigned all = 0;
    size_t len = 0;
    for (size_t i = 0; i < text.len; i++)
        all |= text.at[i];
    if ((all & 0x80) != 0 || sodium_base642bin(out, out_max, (const char *)text.at, text.len, NULL,
                                               &len, NULL, variant) != 0)
        return false;
    *ret_len = len;
    return true;
}

bool kt_base64_decode(struct kt_bytes text, unsigned char *out, size_t out_max, size_t *ret_len)
{
    return decode(text, sodium_base64_VARIANT_ORIGINAL, out, out_max, ret_len);
}

bool kt_base64url_decode(struct kt_bytes text, unsigned char *out, size_t out_max, size_t *ret_len)
{
    return decode(text, sodium_base64_VARIANT_URLSAFE_NO_PADDING, out, out_max, ret_len);
}
