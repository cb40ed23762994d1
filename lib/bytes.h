/* lib/bytes.h - borrowed bytes: a pointer and a length, owned by somebody else.
 *
 * A struct kt_bytes never owns what it points at; the header that hands one out says until when
 * it lives. It is not NUL-terminated. The empty value is { NULL, 0 }.
 * Threads: any thread; plain values. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define KT_MUST_CHECK   __attribute__((warn_unused_result))
#define KT_PRINTF(f, a) __attribute__((format(printf, f, a)))

struct kt_bytes {
    const unsigned char *at;
    size_t len;
};

/* A list of texts, borrowed as well. */
struct kt_words {
    const char *const *at;
    size_t n;
};

static inline struct kt_bytes kt_bytes(const void *at, size_t len)
{
    return (struct kt_bytes){(const unsigned char *)at, len};
}

/* The characters of a C string, without its NUL. NULL gives the empty value. */
static inline struct kt_bytes kt_str(const char *text)
{
    return kt_bytes(text, text == NULL ? 0 : strlen(text));
}

/* For public values only: not constant time. Secrets go through sodium_memcmp. */
static inline bool kt_bytes_equal(struct kt_bytes a, struct kt_bytes b)
{
    return a.len == b.len && (a.len == 0 || memcmp(a.at, b.at, a.len) == 0);
}

static inline bool kt_bytes_is(struct kt_bytes a, const char *text)
{
    return kt_bytes_equal(a, kt_str(text));
}

static inline bool kt_bytes_starts(struct kt_bytes a, const char *prefix)
{
    size_t n = strlen(prefix);
    return a.len >= n && memcmp(a.at, prefix, n) == 0;
}

/* Little-endian integers at any alignment: the stored forms of this project. Spelt out byte by byte,
 * for then compilers see one load or store in it; in a loop they do not. */
static inline void kt_put_u16(unsigned char *at, uint16_t v)
{
    at[0] = (unsigned char)v;
    at[1] = (unsigned char)(v >> 8);
}
static inline void kt_put_u32(unsigned char *at, uint32_t v)
{
    at[0] = (unsigned char)v;
    at[1] = (unsigned char)(v >> 8);
    at[2] = (unsigned char)(v >> 16);
    at[3] = (unsigned char)(v >> 24);
}
static inline void kt_put_u64(unsigned char *at, uint64_t v)
{
    at[0] = (unsigned char)v;
    at[1] = (unsigned char)(v >> 8);
    at[2] = (unsigned char)(v >> 16);
    at[3] = (unsigned char)(v >> 24);
    at[4] = (unsigned char)(v >> 32);
    at[5] = (unsigned char)(v >> 40);
    at[6] = (unsigned char)(v >> 48);
    at[7] = (unsigned char)(v >> 56);
}
static inline uint16_t kt_get_u16(const unsigned char *at)
{
    return (uint16_t)(at[0] | (uint16_t)(at[1] << 8));
}
static inline uint32_t kt_get_u32(const unsigned char *at)
{
    return (uint32_t)at[0] | (uint32_t)at[1] << 8 | (uint32_t)at[2] << 16 | (uint32_t)at[3] << 24;
}
static inline uint64_t kt_get_u64(const unsigned char *at)
{
    return (uint64_t)at[0] | (uint64_t)at[1] << 8 | (uint64_t)at[2] << 16 | (uint64_t)at[3] << 24 |
           (uint64_t)at[4] << 32 | (uint64_t)at[5] << 40 | (uint64_t)at[6] << 48 |
           (uint64_t)at[7] << 56;
}
/* Big-endian: only inside store keys, whose byte order must be the numbers' order. */
static inline void kt_put_be64(unsigned char *at, uint64_t v)
{
    for (int i = 0; i < 8; i++)
        at[i] = (unsigned char)(v >> (56 - 8 * i));
}
static inline uint64_t kt_get_be64(const unsigned char *at)
{
    uint64_t v = 0;
    for (int i = 0; i < 8; i++)
        v = (v << 8) | at[i];
    return v;
}
static inline void kt_put_be32(unsigned char *at, uint32_t v)
{
    for (int i = 0; i < 4; i++)
        at[i] = (unsigned char)(v >> (24 - 8 * i));
}
static inline uint32_t kt_get_be32(const unsigned char *at)
{
    uint32_t v = 0;
    for (int i = 0; i < 4; i++)
        v = (v << 8) | at[i];
    return v;
}
