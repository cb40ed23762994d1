#include "lib/words.h"

/* The path is the build's, which begins where the Makefile stands. */
__asm__(".section .rodata\n"
        ".globl kt_words_begin\n"
        ".globl kt_words_end\n"
        ".hidden kt_words_begin\n"
        ".hidden kt_words_end\n"
        "kt_words_begin:\n"
        ".incbin \"lib/words/eff_large_wordlist.txt\"\n"
        "kt_words_end:\n"
        ".byte 0\n"
        ".previous\n");
extern const unsigned char kt_words_begin[], kt_words_end[];

struct kt_bytes kt_words_list(void)
{
    return kt_bytes(kt_words_begin, (size_t)(kt_words_end - kt_words_begin));
}

size_t kt_word(uint32_t place, unsigned char out[KT_WORD_MAX])
{
    struct kt_bytes list = kt_words_list();
    uint32_t line = 0, at = 0, len = 0;
    bool word = false; /* behind the tab */
    memset(out, 0, KT_WORD_MAX);
    for (size_t i = 0; i < list.len; i++) {
        unsigned char c = list.at[i];
        if (c == '\n') {
            line++;
            word = false;
        } else if (c == '\t') {
            word = true;
            at = 0;
        } else if (word && at < KT_WORD_MAX) {
            uint32_t off = line ^ place;
            uint32_t mask = ((off | (0u - off)) >> 31) - 1; /* all ones where it is this line */
            out[at++] |= (unsigned char)(c & mask);
            len += 1u & mask;
        }
    }
    return len;
}
