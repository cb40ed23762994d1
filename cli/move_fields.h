/* cli/move_fields.h - the members of an API object that two vaults both know.
 *
 * What:    Nothing, null, an empty list, map or text, 0 and false are the same: a vault that does not know a
 *          field leaves it out. Lists are compared without their order.
 * Threads: any thread. */
#pragma once

#include "lib/json.h"
#include "lib/jsonw.h"

/* names ends with NULL. */
void move_fields_write(struct kt_jsonw *w, struct kt_json data, const char *const *names);
bool move_fields_equal(struct kt_json a, struct kt_json b, const char *const *names);
