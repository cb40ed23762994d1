/* lib/words.h - a list of words that are easy to type and to say, for new secret values.
 *
 * What:    The Electronic Frontier Foundation's large list: 7,776 words of 3 to 9 characters, of which none
 *          is the beginning of another. So words one behind the other can be told apart whatever stands
 *          between them, and each that is drawn counts whole: log2(7776) = 12.92 bits.
 * Kept:    in the program, as the EFF published it (lib/words/); the build refuses a file with another
 *          SHA-256.
 * Source:  https://www.eff.org/files/2016/07/18/eff_large_wordlist.txt, (c) 2016 Electronic Frontier
 *          Foundation, CC BY 3.0; unchanged.
 * Threads: any. */
#pragma once

#include "lib/bytes.h"

#define KT_WORDS         7776u
#define KT_WORD_MAX      9u
#define KT_WORDS_SOURCE  "the EFF's large list"

/* The word of this place, below KT_WORDS, into out; returns its length. All words are gone through, so that
 * what is touched in memory does not tell which one it was. */
size_t kt_word(uint32_t place, unsigned char out[KT_WORD_MAX]);
/* The whole list as it is in the program: lines of a number, a tab and a word. */
struct kt_bytes kt_words_list(void);
