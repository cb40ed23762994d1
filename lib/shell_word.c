#include "lib/shell_word.h"

#include <string.h>

void kt_add_shell_word(struct kt_buf *out, const char *text)
{
    static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
                                "_-./:@%+=,";
    bool quoted = text[0] == '\0' || text[strspn(text, plain)] != '\0';
    kt_buf_add_text(out, quoted ? "'" : "");
    for (; *text != '\0'; text++) {
        if (*text == '\'')
            kt_buf_add_text(out, "'\\''");
        else if ((unsigned char)*text < 0x20 || *text == 0x7f)
            kt_buf_add_char(out, '?');
        else
            kt_buf_add_char(out, *text);
    }
    kt_buf_add_text(out, quoted ? "'" : "");
}
