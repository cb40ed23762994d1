/* lib/buf.h - a growing byte buffer with its maximum given at birth and a sticky error.
 *
 * What:    Append without checking each call; check kt_buf_ok() once at the end. After a failure
 *          (maximum passed, out of memory) further appends do nothing.
 * Owner:   kt_buf_init() starts, kt_buf_free() ends; the buffer owns its memory. Whatever it held
 *          is wiped before it is given back, also when it grows, so it may hold secrets.
 * Threads: one thread at a time. */
#pragma once

#include "lib/bytes.h"

struct kt_buf {
    unsigned char *at;
    size_t len, room, max;
    bool failed;
    bool full; /* it failed because max was passed; else memory ran out */
    bool lent; /* `at` is somebody else's: wiped, not freed */
};

void kt_buf_init(struct kt_buf *buf, size_t max);
/* Begins in memory of the caller's (a stack's, usually), which has to live until kt_buf_free(); what
 * does not fit goes to the heap. */
void kt_buf_init_in(struct kt_buf *buf, size_t max, void *memory, size_t size);
void kt_buf_free(struct kt_buf *buf);   /* NULL and zeroed buffers are fine; may be init'ed again */
void kt_buf_reset(struct kt_buf *buf);  /* empties and wipes, keeps the room, clears the error */
bool kt_buf_ok(const struct kt_buf *buf);
/* The slow half of kt_buf_grow(). */
unsigned char *kt_buf_grow_more(struct kt_buf *buf, size_t len);
/* Room for len more bytes, counted as added and left for the caller to fill; NULL on failure.
 * Always leaves a byte for kt_buf_text's NUL. */
static inline unsigned char *kt_buf_grow(struct kt_buf *buf, size_t len)
{
    if (buf->failed || len >= buf->room - buf->len)
        return kt_buf_grow_more(buf, len);
    unsigned char *at = buf->at + buf->len;
    buf->len += len;
    return at;
}
static inline void kt_buf_add(struct kt_buf *buf, const void *at, size_t len)
{
    unsigned char *to = len == 0 ? NULL : kt_buf_grow(buf, len);
    if (to != NULL)
        memcpy(to, at, len);
}
static inline void kt_buf_add_bytes(struct kt_buf *buf, struct kt_bytes bytes)
{
    kt_buf_add(buf, bytes.at, bytes.len);
}
static inline void kt_buf_add_text(struct kt_buf *buf, const char *text)
{
    kt_buf_add(buf, text, strlen(text));
}
static inline void kt_buf_add_char(struct kt_buf *buf, char c)
{
    unsigned char *to = kt_buf_grow(buf, 1);
    if (to != NULL)
        *to = (unsigned char)c;
}
void kt_buf_printf(struct kt_buf *buf, const char *format, ...) KT_PRINTF(2, 3);
void kt_buf_add_u8(struct kt_buf *buf, uint8_t v);
void kt_buf_add_u16(struct kt_buf *buf, uint16_t v);   /* little-endian */
void kt_buf_add_u32(struct kt_buf *buf, uint32_t v);
void kt_buf_add_u64(struct kt_buf *buf, uint64_t v);
void kt_buf_add_i64(struct kt_buf *buf, int64_t v);
/* u32 length, then the bytes: the field form of this project's stored records. */
void kt_buf_add_field(struct kt_buf *buf, struct kt_bytes bytes);
void kt_buf_add_decimal(struct kt_buf *buf, uint64_t v);
/* The content with a NUL after it (not counted); "" when failed or empty. Valid until next add. */
const char *kt_buf_text(struct kt_buf *buf);
struct kt_bytes kt_buf_bytes(const struct kt_buf *buf);

/* Reading what the adders wrote: a cursor with a sticky error. Fields point into the input. */
struct kt_reader {
    const unsigned char *at;
    size_t left;
    bool failed;
};
struct kt_reader kt_reader(struct kt_bytes bytes);
uint8_t kt_read_u8(struct kt_reader *r);
uint16_t kt_read_u16(struct kt_reader *r);
uint32_t kt_read_u32(struct kt_reader *r);
uint64_t kt_read_u64(struct kt_reader *r);
int64_t kt_read_i64(struct kt_reader *r);
struct kt_bytes kt_read_field(struct kt_reader *r);
struct kt_bytes kt_read_bytes(struct kt_reader *r, size_t len);
/* True when nothing failed and everything was read. */
bool kt_reader_done(const struct kt_reader *r);

static inline void kt_buf_free_at(struct kt_buf *buf)
{
    kt_buf_free(buf);
}
#define kt_autobuf __attribute__((cleanup(kt_buf_free_at)))
