/* vaultd/auth/glob.h - names with stars in them, as the ways to log in take them.
 *
 * What:    '*' stands for any number of characters, none too, at any place; everything else for itself.
 * Threads: any thread. */
#pragma once

#include <stdbool.h>

/* In time that grows with the product of the lengths at most. */
bool glob_fits(const char *pattern, const char *text);
