/* lib/json_scan.h - the pieces that lib/json*.c share; not for others.
 *
 * Threads: any thread. Strings here are raw: the characters between the quotes. */
#pragma once

#include "lib/json.h"

static inline bool json_space(unsigned char c)
{
    return c == ' ' || c == '\n' || c == '\r' || c == '\t';
}

static inline const unsigned char *json_skip_space(const unsigned char *at,
                                                   const unsigned char *end)
{
    while (at < end && json_space(*at))
        at++;
    return at;
}

/* Bytes that end a run of plain characters in a string: quote, backslash, controls, non-ASCII. */
static inline bool json_plain(unsigned char c)
{
    return c >= 0x20 && c < 0x80 && c != '"' && c != '\\';
}

/* Eight bytes at once: long plain strings are what makes documents large. */
static inline const unsigned char *json_plain_end(const unsigned char *at, const unsigned char *end)
{
    const uint64_t ones = UINT64_C(0x0101010101010101), highs = ones * 0x80;
    while (end - at >= 8) {
        uint64_t x;
        memcpy(&x, at, 8);
        uint64_t quote = x ^ (ones * '"'), slash = x ^ (ones * '\\');
        uint64_t low = x - ones * 0x20;
        if (((low | (quote - ones) | (slash - ones) | x) & highs) != 0)
            break;
        at += 8;
    }
    while (at < end && json_plain(*at))
        at++;
    return at;
}

/* Decodes a checked raw string piece by piece. */
struct json_chars {
    const unsigned char *at, *end;
};
/* The next piece: a run of the text itself, or up to 4 decoded bytes in `store`. Empty: the end. */
struct kt_bytes kt_json_chars_next(struct json_chars *chars, unsigned char store[4]);

/* Of the decoded characters, so that differently escaped spellings are equal. */
uint64_t kt_json_key_hash(struct kt_bytes raw);
bool kt_json_raw_equal(struct kt_bytes a, struct kt_bytes b);
/* A string span without its quotes. */
struct kt_bytes kt_json_raw(struct kt_json string);
/* The first character after the value at `at`. */
const unsigned char *kt_json_value_end(const unsigned char *at, const unsigned char *end);
