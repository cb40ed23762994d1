/* cli/names.h - a vault's LIST: every name in it, or an error; never a part that looks like the whole.
 *
 * What:    A list that says that it is not whole (a warning), and one that comes in pages (OpenBao's
 *          after=NAME), is asked for on. Where the vault does not know pages, `rest` says that more may be there.
 *          A name leads nowhere else: what has a part that is empty, "." or ".." is only counted.
 * Owner:   names_free(); none of them needs it after an error, all may have it.
 * Limits:  WALK_MOST names (cli/walk.h), NAMES_BYTES of them together: more is an error, and none of them is given.
 * Errors:  of kt_api_call(); KT_TOO_LARGE; KT_NO_MEMORY. A list that is empty or not there (404 that names no error) is none.
 * Threads: one thread at a time per connection. */
#pragma once

#include "lib/api.h"

#define NAMES_BYTES ((size_t)64 * 1024 * 1024)

struct names_ask {
    const char *path;
    bool patient; /* waits while the vault is away: move_call() */
    bool folder;  /* of one: a name has one part, with a '/' behind it where it is a folder */
};
struct names {
    char **at;
    size_t count, room, bytes;
    size_t bad;         /* what stood among them and is no name */
    struct kt_err rest; /* of a kind: there may be more, and why */
};

enum kt_kind names_read(struct kt_api *api, const struct names_ask *ask, struct names *ret,
                        struct kt_err *err) KT_MUST_CHECK;
void names_free(struct names *names);
