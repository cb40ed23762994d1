/* cli/move_fields.h - the members of an API object that two vaults both know.
 *
 * What:    Nothing, null, an empty list, map or text, 0 and false are the same: a vault that does not know a
 *          field leaves it out. Lists are compared without their order.
 *          What the source has no more, is written empty, so that it goes at the destination, too.
 * Threads: any thread. */
#pragma once

#include "lib/json.h"
#include "lib/jsonw.h"

struct move_field {
    const char *name;
    const char *empty; /* written where there is nothing, or null; NULL: then it is left out */
};

bool move_field_is_empty(struct kt_json value);
/* fields end with a name that is NULL. */
void move_fields_write(struct kt_jsonw *w, struct kt_json data, const struct move_field *fields);
bool move_fields_equal(struct kt_json a, struct kt_json b, const struct move_field *fields);
