#include "lib/plain_text.h"

#include <string.h>

#include "lib/utf8.h"

bool kt_is_plain(uint32_t code)
{
    static const struct {
        uint32_t first, last;
    } rows[] = {
        {0x0000, 0x001f}, {0x007f, 0x009f}, {0x061c, 0x061c}, {0x200e, 0x200f},
        {0x2028, 0x202e}, {0x2066, 0x2069},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0] && rows[i].first <= code; i++)
        if (code <= rows[i].last)
            return false;
    return true;
}

/* The bytes of what begins at `at`, and whether it is plain. left >= 1. */
static size_t look(const unsigned char *at, size_t left, bool *ret_plain)
{
    size_t n = kt_utf8_step(at, left);
    *ret_plain = n != 0 && kt_is_plain(kt_utf8_code(at, n));
    return n == 0 ? 1 : n;
}

bool kt_text_is_plain(const char *text)
{
    size_t len = strlen(text);
    bool plain = true;
    for (size_t i = 0; i < len && plain;)
        i += look((const unsigned char *)text + i, len - i, &plain);
    return plain;
}

enum kt_kind kt_text_check(const char *name, const char *text, struct kt_err *err)
{
    return kt_text_is_plain(text) ? KT_OK : kt_fail(err, KT_INVALID, "%s has a control character", name);
}

void kt_make_plain(char *text, size_t len)
{
    for (size_t i = 0; i < len;) {
        bool plain = true;
        size_t n = look((const unsigned char *)text + i, len - i, &plain);
        if (!plain)
            memset(text + i, ' ', n);
        i += n;
    }
}

size_t kt_text_cut(const char *text, size_t most)
{
    size_t len = strnlen(text, most);
    while (len > 0 && text[len] != '\0' && ((unsigned char)text[len] & 0xc0) == 0x80)
        len--;
    return len;
}
