#include "lib/buf.h"

#include <sodium.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "lib/failpoint.h"

#define ROOM_MIN 512u /* most answers and records fit without growing twice */

void kt_buf_init(struct kt_buf *buf, size_t max)
{
    *buf = (struct kt_buf){.max = max};
}

void kt_buf_init_in(struct kt_buf *buf, size_t max, void *memory, size_t size)
{
    *buf = (struct kt_buf){
        .at = memory, .room = size > max + 1 ? max + 1 : size, .max = max, .lent = true};
}

static void give_back(struct kt_buf *buf)
{
    sodium_memzero(buf->at, buf->len);
    if (!buf->lent)
        free(buf->at);
}

void kt_buf_free(struct kt_buf *buf)
{
    if (buf == NULL || buf->at == NULL)
        return;
    give_back(buf);
    *buf = (struct kt_buf){.max = buf->max};
}

void kt_buf_reset(struct kt_buf *buf)
{
    if (buf->at != NULL)
        sodium_memzero(buf->at, buf->len);
    buf->len = 0;
    buf->failed = buf->full = false;
}

bool kt_buf_ok(const struct kt_buf *buf)
{
    return !buf->failed;
}

/* realloc would leave the old bytes behind unwiped. */
static bool make_room(struct kt_buf *buf, size_t len)
{
    if (!buf->failed && (len > buf->max || buf->len > buf->max - len))
        buf->failed = buf->full = true;
    if (buf->failed)
        return false;
    size_t need = buf->len + len + 1;  /* one spare for kt_buf_text's NUL */
    if (need <= buf->room)
        return true;
    size_t room = buf->room < ROOM_MIN ? ROOM_MIN : buf->room;
    while (room < need)
        room *= 2;
    if (room > buf->max + 1)
        room = buf->max + 1;
    unsigned char *at = kt_malloc(room);
    if (at == NULL) {
        buf->failed = true;
        return false;
    }
    if (buf->at != NULL) {
        memcpy(at, buf->at, buf->len);
        give_back(buf);
    }
    buf->at = at;
    buf->room = room;
    buf->lent = false;
    return true;
}

unsigned char *kt_buf_grow_more(struct kt_buf *buf, size_t len)
{
    if (!make_room(buf, len))
        return NULL;
    unsigned char *at = buf->at + buf->len;
    buf->len += len;
    return at;
}

void kt_buf_add_decimal(struct kt_buf *buf, uint64_t v)
{
    char text[20];
    size_t at = sizeof text;
    do
        text[--at] = (char)('0' + v % 10);
    while ((v /= 10) != 0);
    kt_buf_add(buf, text + at, sizeof text - at);
}

void kt_buf_printf(struct kt_buf *buf, const char *format, ...)
{
    va_list args, again;
    va_start(args, format);
    va_copy(again, args);
    int n = vsnprintf(NULL, 0, format, args);
    va_end(args);
    if (n < 0) {
        buf->failed = true;
    } else if (make_room(buf, (size_t)n)) {
        (void)vsnprintf((char *)buf->at + buf->len, (size_t)n + 1, format, again);
        buf->len += (size_t)n;
    }
    va_end(again);
}

void kt_buf_add_u8(struct kt_buf *buf, uint8_t v)
{
    kt_buf_add(buf, &v, 1);
}

void kt_buf_add_u16(struct kt_buf *buf, uint16_t v)
{
    unsigned char *at = kt_buf_grow(buf, 2);
    if (at != NULL)
        kt_put_u16(at, v);
}

void kt_buf_add_u32(struct kt_buf *buf, uint32_t v)
{
    unsigned char *at = kt_buf_grow(buf, 4);
    if (at != NULL)
        kt_put_u32(at, v);
}

void kt_buf_add_u64(struct kt_buf *buf, uint64_t v)
{
    unsigned char *at = kt_buf_grow(buf, 8);
    if (at != NULL)
        kt_put_u64(at, v);
}

void kt_buf_add_i64(struct kt_buf *buf, int64_t v)
{
    kt_buf_add_u64(buf, (uint64_t)v);
}

void kt_buf_add_field(struct kt_buf *buf, struct kt_bytes bytes)
{
    if (bytes.len > UINT32_MAX) {
        buf->failed = true;
        return;
    }
    kt_buf_add_u32(buf, (uint32_t)bytes.len);
    kt_buf_add_bytes(buf, bytes);
}

const char *kt_buf_text(struct kt_buf *buf)
{
    if (buf->failed || buf->len == 0)
        return "";
    buf->at[buf->len] = '\0';
    return (const char *)buf->at;
}

struct kt_bytes kt_buf_bytes(const struct kt_buf *buf)
{
    return buf->failed ? kt_bytes(NULL, 0) : kt_bytes(buf->at, buf->len);
}

struct kt_reader kt_reader(struct kt_bytes bytes)
{
    return (struct kt_reader){bytes.at, bytes.len, false};
}

struct kt_bytes kt_read_bytes(struct kt_reader *r, size_t len)
{
    if (r->failed || len > r->left) {
        r->failed = true;
        return kt_bytes(NULL, 0);
    }
    struct kt_bytes bytes = kt_bytes(r->at, len);
    r->at += len;
    r->left -= len;
    return bytes;
}

uint8_t kt_read_u8(struct kt_reader *r)
{
    struct kt_bytes b = kt_read_bytes(r, 1);
    return b.at == NULL ? 0 : b.at[0];
}

uint16_t kt_read_u16(struct kt_reader *r)
{
    struct kt_bytes b = kt_read_bytes(r, 2);
    return b.at == NULL ? 0 : kt_get_u16(b.at);
}

uint32_t kt_read_u32(struct kt_reader *r)
{
    struct kt_bytes b = kt_read_bytes(r, 4);
    return b.at == NULL ? 0 : kt_get_u32(b.at);
}

uint64_t kt_read_u64(struct kt_reader *r)
{
    struct kt_bytes b = kt_read_bytes(r, 8);
    return b.at == NULL ? 0 : kt_get_u64(b.at);
}

int64_t kt_read_i64(struct kt_reader *r)
{
    return (int64_t)kt_read_u64(r);
}

struct kt_bytes kt_read_field(struct kt_reader *r)
{
    uint32_t len = kt_read_u32(r);
    return kt_read_bytes(r, len);
}

bool kt_reader_done(const struct kt_reader *r)
{
    return !r->failed && r->left == 0;
}
