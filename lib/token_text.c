#include "lib/token_text.h"

#include <sodium.h>

#include "lib/random.h"

#define BASE          62u
#define PREFIX_CHARS  (sizeof KT_TOKEN_PREFIX - 1)
#define CHECKED_CHARS (PREFIX_CHARS + KT_TOKEN_RANDOM_CHARS)
_Static_assert(PREFIX_CHARS == 4, "KT_TOKEN_CHARS counts the prefix");

/* Arithmetic instead of a table or a branch: the digit is secret. */
static char digit_char(unsigned digit)
{
    unsigned upper = (9u - digit) >> 31, lower = (35u - digit) >> 31; /* 1 from that digit on */
    return (char)('0' + digit + upper * ('A' - '9' - 1) + lower * ('a' - 'Z' - 1));
}

/* Uniform: of the 256 values of a byte the last 8 are drawn again. */
static void random_chars(char *out, size_t len)
{
    unsigned char pool[64];
    size_t left = 0;
    for (size_t i = 0; i < len;) {
        if (left == 0) {
            kt_random(pool, sizeof pool);
            left = sizeof pool;
        }
        unsigned char drawn = pool[--left];
        if (drawn < 256 - 256 % BASE)
            out[i++] = digit_char(drawn % BASE);
    }
    sodium_memzero(pool, sizeof pool);
}

void kt_base62_random(char *out, size_t len)
{
    random_chars(out, len);
}

/* CRC-32 of ISO 3309, bit by bit: no table whose index would be secret. */
static uint32_t crc32_of(const unsigned char *at, size_t len)
{
    uint32_t crc = 0xFFFFFFFFu;
    for (size_t i = 0; i < len; i++) {
        crc ^= at[i];
        for (int bit = 0; bit < 8; bit++)
            crc = (crc >> 1) ^ (0xEDB88320u & (0u - (crc & 1u)));
    }
    return ~crc;
}

static void checksum_chars(const unsigned char *text, char out[KT_TOKEN_CHECKSUM_CHARS])
{
    uint32_t crc = crc32_of(text, CHECKED_CHARS);
    for (size_t i = KT_TOKEN_CHECKSUM_CHARS; i-- > 0; crc /= BASE)
        out[i] = digit_char(crc % BASE);
}

void kt_token_make(struct kt_buf *out)
{
    char text[KT_TOKEN_CHARS] = KT_TOKEN_PREFIX;
    random_chars(text + PREFIX_CHARS, KT_TOKEN_RANDOM_CHARS);
    checksum_chars((const unsigned char *)text, text + CHECKED_CHARS);
    kt_buf_add(out, text, sizeof text);
    sodium_memzero(text, sizeof text);
}

void kt_accessor_make(char out[KT_ACCESSOR_CHARS + 1])
{
    random_chars(out, KT_ACCESSOR_CHARS);
    out[KT_ACCESSOR_CHARS] = '\0';
}

static bool is_base62(struct kt_bytes text)
{
    unsigned others = 0;
    for (size_t i = 0; i < text.len; i++) {
        unsigned c = text.at[i];
        unsigned digit = c - '0', upper = c - 'A', lower = c - 'a';
        others |= !((digit < 10) | (upper < 26) | (lower < 26));
    }
    return others == 0;
}

enum kt_token_form kt_token_form(struct kt_bytes text)
{
    if (text.len != KT_TOKEN_CHARS || !kt_bytes_starts(text, KT_TOKEN_PREFIX) ||
        !is_base62(kt_bytes(text.at + PREFIX_CHARS, text.len - PREFIX_CHARS)))
        return KT_TOKEN_FOREIGN;
    char wanted[KT_TOKEN_CHECKSUM_CHARS];
    checksum_chars(text.at, wanted);
    bool same = sodium_memcmp(wanted, text.at + CHECKED_CHARS, sizeof wanted) == 0;
    sodium_memzero(wanted, sizeof wanted);
    return same ? KT_TOKEN_OURS : KT_TOKEN_DAMAGED;
}
