/* tests/support/shown_policy.h - what a token is shown to have (resultant-acl), read back as a book.
 *
 * What:    Of {"exact_paths", "glob_paths"} the blocks as slow_policy.h has them; denials whose template
 *          cannot be filled in are not in it. Aborts with a message where something was not written so.
 * Owner:   the names in the book lie in `shown`, the caller's.
 * Threads: any thread. */
#pragma once

#include <jansson.h>

#include "tests/support/slow_policy.h"

/* Without the patterns that begin with one of these words; a NULL ends them, NULL: none. */
void shown_read(json_t *shown, const char *const *without, struct slow_book *ret);
