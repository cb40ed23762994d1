#include "lib/words.h"

#include <pthread.h>
#include <sodium.h>

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

/* A word filled up with zeros; so wide that it is compared with no other by pieces. */
struct row {
    uint64_t at[2];
};
static struct row rows[KT_WORDS];
static pthread_once_t once = PTHREAD_ONCE_INIT;

static void take_apart(void)
{
    struct kt_bytes list = kt_words_list();
    const unsigned char *at = list.at, *end = list.at + list.len;
    for (size_t n = 0; n < KT_WORDS && at < end; n++) {
        const unsigned char *word = memchr(at, '\t', (size_t)(end - at));
        const unsigned char *line = word == NULL ? NULL : memchr(word, '\n', (size_t)(end - word));
        if (line == NULL || line - word - 1 > (ptrdiff_t)KT_WORD_MAX)
            return; /* another file: the build refuses it */
        memcpy(rows[n].at, word + 1, (size_t)(line - word - 1));
        at = line + 1;
    }
}

size_t kt_word(uint32_t place, unsigned char out[KT_WORD_MAX])
{
    struct row found = {{0, 0}};
    unsigned char text[sizeof found];
    size_t len = 0;
    (void)pthread_once(&once, take_apart);
    for (uint32_t i = 0; i < KT_WORDS; i++) {
        uint64_t off = i ^ place;
        uint64_t mask = ((off | (0u - off)) >> 63) - 1; /* all ones where it is this word */
        found.at[0] |= rows[i].at[0] & mask;
        found.at[1] |= rows[i].at[1] & mask;
    }
    memcpy(text, &found, sizeof text);
    memcpy(out, text, KT_WORD_MAX);
    for (size_t i = 0; i < KT_WORD_MAX; i++)
        len += text[i] != 0;
    sodium_memzero(text, sizeof text);
    sodium_memzero(&found, sizeof found);
    return len;
}
