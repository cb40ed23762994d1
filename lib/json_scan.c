#include "lib/json_scan.h"

#include <sodium.h>

#include "lib/utf8.h"

/* The base of the key hash, a polynomial modulo 2^61-1. Secret, so that nobody can prepare keys
 * that collide: two given keys of n bytes do so with probability n/7 / 2^61. Written once before
 * threads, as jansson's own seed is. */
static uint64_t hash_base = UINT64_C(0x0f1e2d3c4b5a6978);
#define HASH_PRIME ((UINT64_C(1) << 61) - 1)
__extension__ typedef unsigned __int128 wide;

void kt_json_init(void)
{
    uint64_t base;
    randombytes_buf(&base, sizeof base);
    hash_base = base % (HASH_PRIME - 1) + 1;
    json_object_seed((size_t)randombytes_random() | 1u);
}

static uint64_t hash_step(uint64_t h, uint64_t chunk)
{
    wide product = (wide)h * hash_base;
    uint64_t sum = (uint64_t)(product & HASH_PRIME) + (uint64_t)(product >> 61) + chunk;
    return (sum & HASH_PRIME) + (sum >> 61);
}

uint64_t kt_json_key_hash(struct kt_bytes raw)
{
    struct json_chars chars = {raw.at, raw.at + raw.len};
    unsigned char store[4];
    uint64_t h = 1, chunk = 0;
    unsigned in_chunk = 0;
    for (;;) {
        struct kt_bytes piece = kt_json_chars_next(&chars, store);
        if (piece.len == 0)
            break;
        for (size_t i = 0; i < piece.len; i++) {
            chunk = chunk << 8 | piece.at[i];
            if (++in_chunk == 7) {
                h = hash_step(h, chunk);
                chunk = in_chunk = 0;
            }
        }
    }
    /* The marker tells "a" from "\0a"; the last step spreads a short key over all bits. */
    h = hash_step(h, chunk | UINT64_C(1) << (8 * in_chunk));
    return hash_step(h, 0);
}

static uint32_t hex4(const unsigned char *at)
{
    uint32_t v = 0;
    for (int i = 0; i < 4; i++) {
        unsigned char c = at[i];
        v = v << 4 | (uint32_t)(c <= '9' ? c - '0' : (c | 0x20) - 'a' + 10);
    }
    return v;
}

struct kt_bytes kt_json_chars_next(struct json_chars *chars, unsigned char store[4])
{
    const unsigned char *at = chars->at;
    size_t left = (size_t)(chars->end - at);
    if (left == 0)
        return kt_bytes(NULL, 0);
    if (*at != '\\') {
        const unsigned char *slash = memchr(at, '\\', left);
        chars->at = slash != NULL ? slash : chars->end;
        return kt_bytes(at, (size_t)(chars->at - at));
    }
    static const char letters[] = "bfnrt", meant[] = "\b\f\n\r\t";
    if (left < 2 || (at[1] == 'u' && left < 6)) { /* not checked text */
        chars->at = chars->end;
        return kt_bytes(NULL, 0);
    }
    if (at[1] != 'u') {
        const char *letter = memchr(letters, at[1], sizeof letters - 1);
        store[0] = letter != NULL ? (unsigned char)meant[letter - letters] : at[1];
        chars->at = at + 2;
        return kt_bytes(store, 1);
    }
    uint32_t c = hex4(at + 2);
    chars->at = at + 6;
    if (c >= 0xd800 && c < 0xdc00 && left >= 12) {
        c = 0x10000 + ((c - 0xd800) << 10) + (hex4(at + 8) - 0xdc00);
        chars->at = at + 12;
    }
    return kt_bytes(store, kt_utf8_write(c, store));
}

bool kt_json_raw_equal(struct kt_bytes a, struct kt_bytes b)
{
    struct json_chars left = {a.at, a.at + a.len}, right = {b.at, b.at + b.len};
    unsigned char left_store[4], right_store[4];
    struct kt_bytes l = kt_bytes(NULL, 0), r = l;
    for (;;) {
        if (l.len == 0)
            l = kt_json_chars_next(&left, left_store);
        if (r.len == 0)
            r = kt_json_chars_next(&right, right_store);
        size_t len = l.len < r.len ? l.len : r.len;
        if (len == 0)
            return l.len == r.len;
        if (memcmp(l.at, r.at, len) != 0)
            return false;
        l = kt_bytes(l.at + len, l.len - len);
        r = kt_bytes(r.at + len, r.len - len);
    }
}

struct kt_bytes kt_json_raw(struct kt_json string)
{
    return kt_bytes(string.at + 1, string.len - 2);
}

/* To the next quote or backslash; other than json_plain_end() it runs through non-ASCII. */
static const unsigned char *string_stop(const unsigned char *at, const unsigned char *end)
{
    const uint64_t ones = UINT64_C(0x0101010101010101), highs = ones * 0x80;
    while (end - at >= 8) {
        uint64_t x;
        memcpy(&x, at, 8);
        uint64_t quote = x ^ (ones * '"'), slash = x ^ (ones * '\\');
        if ((((quote - ones) & ~quote) | ((slash - ones) & ~slash)) & highs)
            break;
        at += 8;
    }
    while (at < end && *at != '"' && *at != '\\')
        at++;
    return at;
}

static const unsigned char *string_end(const unsigned char *at, const unsigned char *end)
{
    at++;
    for (;;) {
        at = string_stop(at, end);
        if (at >= end)
            return end;
        if (*at == '"')
            return at + 1;
        at += end - at > 1 ? 2 : 1;
    }
}

static bool scalar_char(unsigned char c)
{
    return c != ',' && c != ']' && c != '}' && c != ':' && !json_space(c);
}

const unsigned char *kt_json_value_end(const unsigned char *at, const unsigned char *end)
{
    size_t depth = 0;
    while (at < end) {
        if (*at == '"') {
            at = string_end(at, end);
        } else if (*at == '{' || *at == '[') {
            depth++;
            at++;
            continue;
        } else if (*at == '}' || *at == ']') {
            if (depth > 0)
                depth--;
            at++;
        } else if (scalar_char(*at)) {
            while (at < end && scalar_char(*at))
                at++;
        } else {
            at++;
            continue;
        }
        if (depth == 0)
            return at;
    }
    return end;
}
