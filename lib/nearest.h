/* lib/nearest.h - what somebody who mistyped a word probably meant.
 *
 * Threads: any thread. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

/* The one of words (NULL ends) with the fewest insertions, deletions, substitutions and swaps of
 * neighbours from word: at most 2, or 1 for words shorter than 4. NULL: none is that near. */
const char *kt_nearest(const char *word, const char *const *words);
/* One of these slips, no more: hardly another word that somebody meant. */
bool kt_one_slip(const char *word, const char *other);
