/* lib/ssh_wire.h - the integers and strings of SSH's messages, keys and certificates.
 *
 * What:    Big-endian numbers, and strings with their length in front, written to a kt_buf and read by a
 *          kt_reader; what was read points into the input, and its errors stick.
 * Owner:   the buffer's, the input's.
 * Threads: plain values.
 * Source:  RFC 4251, section 5. */
#pragma once

#include "lib/buf.h"

static inline void kt_ssh_put_u32(struct kt_buf *out, uint32_t v)
{
    unsigned char at[4] = {(unsigned char)(v >> 24), (unsigned char)(v >> 16), (unsigned char)(v >> 8),
                           (unsigned char)v};
    kt_buf_add(out, at, sizeof at);
}

static inline void kt_ssh_put_u64(struct kt_buf *out, uint64_t v)
{
    kt_ssh_put_u32(out, (uint32_t)(v >> 32));
    kt_ssh_put_u32(out, (uint32_t)v);
}

static inline void kt_ssh_put(struct kt_buf *out, struct kt_bytes bytes)
{
    kt_ssh_put_u32(out, (uint32_t)bytes.len);
    kt_buf_add_bytes(out, bytes);
}

static inline void kt_ssh_put_text(struct kt_buf *out, const char *text)
{
    kt_ssh_put(out, kt_str(text));
}

static inline uint32_t kt_ssh_get_u32(struct kt_reader *r)
{
    struct kt_bytes b = kt_read_bytes(r, 4);
    return b.len != 4 ? 0
                      : (uint32_t)b.at[0] << 24 | (uint32_t)b.at[1] << 16 | (uint32_t)b.at[2] << 8 |
                            b.at[3];
}

static inline uint64_t kt_ssh_get_u64(struct kt_reader *r)
{
    uint64_t high = kt_ssh_get_u32(r);
    return high << 32 | kt_ssh_get_u32(r);
}

static inline struct kt_bytes kt_ssh_get(struct kt_reader *r)
{
    return kt_read_bytes(r, kt_ssh_get_u32(r));
}
