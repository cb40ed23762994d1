#include "lib/uuid.h"

#include "lib/num.h"

/* Bytes in each group of the text. */
static const unsigned char groups[] = {4, 2, 2, 2, 6};
#define GROUPS (sizeof groups / sizeof groups[0])

void kt_uuid_mark(unsigned char id[KT_UUID_BYTES])
{
    id[6] = (unsigned char)((id[6] & 0x0F) | 0x40);
    id[8] = (unsigned char)((id[8] & 0x3F) | 0x80);
}

void kt_uuid_text(const unsigned char id[KT_UUID_BYTES], char out[KT_UUID_TEXT])
{
    for (size_t i = 0; i < GROUPS; i++) {
        if (i > 0)
            *out++ = '-';
        kt_hex_encode(id, groups[i], out);
        id += groups[i];
        out += 2 * (size_t)groups[i];
    }
}

bool kt_uuid_parse(struct kt_bytes text, unsigned char out[KT_UUID_BYTES])
{
    if (text.len != KT_UUID_TEXT - 1)
        return false;
    for (size_t i = 0; i < text.len; i++)
        if (text.at[i] >= 'A' && text.at[i] <= 'F')
            return false;
    for (size_t i = 0, at = 0; i < GROUPS; i++) {
        size_t len = 2 * (size_t)groups[i];
        if (i > 0 && text.at[at++] != '-')
            return false;
        if (!kt_hex_decode(kt_bytes(text.at + at, len), out, groups[i]))
            return false;
        out += groups[i];
        at += len;
    }
    return true;
}
