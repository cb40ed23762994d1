/* lib/utf8.h - UTF-8, strictly: no overlong forms, no surrogates, nothing above U+10FFFF.
 *
 * Threads: any thread.
 * Source:  RFC 3629; The Unicode Standard, table 3-7. */
#pragma once

#include "lib/bytes.h"

/* Bytes of the character that begins at `at`, or 0 if none does. left >= 1. */
static inline size_t kt_utf8_step(const unsigned char *at, size_t left)
{
    unsigned char c = at[0];
    if (c < 0x80)
        return 1;
    size_t len = c < 0xe0 ? 2 : c < 0xf0 ? 3 : 4;
    if (c < 0xc2 || c > 0xf4 || len > left)
        return 0;
    unsigned char low = c == 0xe0 ? 0xa0 : c == 0xf0 ? 0x90 : 0x80;
    unsigned char high = c == 0xed ? 0x9f : c == 0xf4 ? 0x8f : 0xbf;
    if (at[1] < low || at[1] > high)
        return 0;
    for (size_t i = 2; i < len; i++) {
        if ((at[i] & 0xc0) != 0x80)
            return 0;
    }
    return len;
}

/* The number of the character in those n bytes. */
static inline uint32_t kt_utf8_code(const unsigned char *at, size_t n)
{
    uint32_t code = n == 1 ? at[0] : at[0] & (0x7fu >> n);
    for (size_t i = 1; i < n; i++)
        code = code << 6 | (at[i] & 0x3fu);
    return code;
}

/* Returns the bytes written, 1..4; 0 for a surrogate or a number beyond Unicode. */
static inline size_t kt_utf8_write(uint32_t c, unsigned char out[4])
{
    if (c > 0x10ffff || (c >= 0xd800 && c <= 0xdfff))
        return 0;
    size_t len = c < 0x80 ? 1 : c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;
    static const unsigned char first[5] = {0, 0, 0xc0, 0xe0, 0xf0};
    for (size_t i = len; i > 1; i--) {
        out[i - 1] = (unsigned char)(0x80 | (c & 0x3f));
        c >>= 6;
    }
    out[0] = (unsigned char)(first[len] | c);
    return len;
}

/* Line and column (in characters, both from 1) of an offset. */
static inline void kt_text_place(struct kt_bytes text, size_t offset, unsigned *ret_line,
                                 unsigned *ret_column)
{
    unsigned line = 1, column = 1;
    for (size_t i = 0; i < offset && i < text.len; i++) {
        if (text.at[i] == '\n') {
            line++;
            column = 1;
        } else if ((text.at[i] & 0xc0) != 0x80) {
            column++;
        }
    }
    *ret_line = line;
    *ret_column = column;
}
