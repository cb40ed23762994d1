/* cli/move_list.h - all ids of one kind of identity, page after page.
 *
 * What:    A vault that pages its lists (Keyturn, OpenBao) tells the first of them; it is asked for those behind the
 *          last one until there are none. One that does not (Vault) says the same again, which ends it too.
 * Owner:   the caller's buffer: a JSON array of strings.
 * Threads: one thread at a time.
 * Errors:  KT_TOO_LARGE: more than the buffer takes. Nothing is left out in silence. */
#pragma once

#include "cli/move_side.h"

/* path: "identity/entity/id". An empty array: there are none. */
enum kt_kind move_list(struct kt_api *api, const char *path, struct kt_buf *ret, struct kt_err *err)
    KT_MUST_CHECK;
