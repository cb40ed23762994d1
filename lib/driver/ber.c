/* lib/driver/ber.c - see lib/driver/ber.h. */
#include "lib/driver/ber.h"

#define LONG_LENGTH 0x80u
#define LENGTH_MAX  4u /* bytes of a length behind its first */
#define INT_BYTES   4u

/* Tag and length; *ret_head: how many bytes they are. */
static enum ber_state head_of(struct kt_bytes bytes, size_t *ret_head, size_t *ret_size)
{
    if (bytes.len > 0 && (bytes.at[0] & 0x1f) == 0x1f)
        return BER_BAD; /* a tag of several bytes */
    if (bytes.len < 2)
        return BER_MORE;
    size_t size = bytes.at[1], more = 0;
    if (size >= LONG_LENGTH) {
        more = size - LONG_LENGTH;
        if (more == 0 || more > LENGTH_MAX)
            return BER_BAD;
        if (bytes.len - 2 < more)
            return BER_MORE;
        size = 0;
        for (size_t i = 0; i < more; i++)
            size = size << 8 | bytes.at[2 + i];
    }
    if (size > BER_MAX)
        return BER_BAD;
    *ret_head = 2 + more;
    *ret_size = size;
    return BER_WHOLE;
}

enum ber_state kt_ber_whole(struct kt_bytes bytes, size_t *ret_len)
{
    size_t head = 0, size = 0;
    enum ber_state state = head_of(bytes, &head, &size);
    if (state != BER_WHOLE)
        return state;
    if (bytes.len - head < size)
        return BER_MORE;
    *ret_len = head + size;
    return BER_WHOLE;
}

bool kt_ber_next(struct kt_bytes *rest, struct ber *ret)
{
    size_t head = 0, size = 0;
    if (head_of(*rest, &head, &size) != BER_WHOLE || rest->len - head < size)
        return false;
    *ret = (struct ber){rest->at[0], kt_bytes(rest->at + head, size)};
    *rest = kt_bytes(rest->at + head + size, rest->len - head - size);
    return true;
}

bool kt_ber_take(struct kt_bytes *rest, unsigned tag, struct kt_bytes *ret_body)
{
    struct kt_bytes behind = *rest;
    struct ber element;
    if (!kt_ber_next(&behind, &element) || element.tag != tag)
        return false;
    *ret_body = element.body;
    *rest = behind;
    return true;
}

bool kt_ber_take_int(struct kt_bytes *rest, unsigned tag, int32_t *ret)
{
    struct kt_bytes behind = *rest, body;
    if (!kt_ber_take(&behind, tag, &body) || body.len == 0 || body.len > INT_BYTES)
        return false;
    uint32_t bits = (body.at[0] & 0x80) != 0 ? UINT32_MAX : 0;
    for (size_t i = 0; i < body.len; i++)
        bits = bits << 8 | body.at[i];
    *ret = (int32_t)bits;
    *rest = behind;
    return true;
}

size_t kt_ber_begin(struct kt_buf *out, unsigned tag)
{
    /* A length of a fixed size is written into when it is known: the rules have no shortest form. */
    static const unsigned char length[] = {LONG_LENGTH + LENGTH_MAX, 0, 0, 0, 0};
    kt_buf_add_u8(out, (uint8_t)tag);
    kt_buf_add(out, length, sizeof(length));
    return out->len;
}

void kt_ber_end(struct kt_buf *out, size_t begun)
{
    if (!kt_buf_ok(out))
        return;
    size_t size = out->len - begun;
    for (size_t i = 0; i < LENGTH_MAX; i++)
        out->at[begun - 1 - i] = (unsigned char)(size >> (8 * i));
}

void kt_ber_add(struct kt_buf *out, unsigned tag, struct kt_bytes body)
{
    size_t begun = kt_ber_begin(out, tag);
    kt_buf_add_bytes(out, body);
    kt_ber_end(out, begun);
}

void kt_ber_add_int(struct kt_buf *out, unsigned tag, int32_t number)
{
    uint32_t bits = (uint32_t)number;
    unsigned char body[INT_BYTES] = {(unsigned char)(bits >> 24), (unsigned char)(bits >> 16),
                                     (unsigned char)(bits >> 8), (unsigned char)bits};
    size_t first = 0; /* the shortest form of a number is demanded */
    while (first + 1 < INT_BYTES && ((body[first] == 0 && body[first + 1] < 0x80) ||
                                     (body[first] == 0xff && body[first + 1] >= 0x80)))
        first++;
    kt_ber_add(out, tag, kt_bytes(body + first, INT_BYTES - first));
}
