/* lib/nearest.h - what somebody who mistyped a word probably meant.
 *
 * Threads: any thread. */
#pragma once

#include <stddef.h>

/* The one of words (NULL ends) with the fewest insertions, deletions, substitutions and swaps of
 * neighbours from word: at most 2, or 1 for words shorter than 4. NULL: none is that near. */
const char *kt_nearest(const char *word, const char *const *words);
