/* cli/walk.h - everything below a folder of a KV mount: the vault's LIST, folder by folder.
 *
 * What:    Some requests are in flight at a time, each on a thread and a connection of its own. What may
 *          not be listed is among the findings, so that a list that is not whole says so. Whatever else
 *          fails ends the walk.
 * Owner:   walk_begin() .. walk_end(). Findings live until then, sorted by path after walk_run().
 * Limits:  WALK_MOST secrets and folders.
 * Threads: walk_*(): the command's own; look(): several at a time, each with its own connection. */
#pragma once

#include "lib/api.h"

struct cli;

#define WALK_WORKERS 8u
#define WALK_MOST    ((size_t)1000000)

enum walk_state {
    WALK_SECRET,  /* it is there, and look() wants it */
    WALK_REFUSED, /* a folder (its path ends in '/') that may not be listed, or a secret not be looked at */
    WALK_PASSED   /* look() does not want it: not among the findings */
};
struct walk_finding {
    char *path; /* with its mount: "secret/db/orders" */
    enum walk_state state;
};
/* path: inside the mount. KT_OK and *ret; an error ends the walk. NULL: every secret is wanted. */
typedef enum kt_kind walk_look_fn(struct kt_api *api, const struct kt_api_mount *mount, const char *path,
                                  void *arg, enum walk_state *ret, struct kt_err *err);

struct walk {
    struct walk_finding *at;
    size_t n;
    struct walk_own *own;
};
/* False: said what failed; cli->exit_code is set. */
bool walk_begin(struct walk *walk, struct cli *cli, walk_look_fn *look, void *arg);
/* One more place; folder inside the mount, "" or ending in '/'. */
bool walk_from(struct walk *walk, const struct kt_api_mount *mount, const char *folder);
enum kt_kind walk_run(struct walk *walk, struct kt_err *err) KT_MUST_CHECK;
void walk_end(struct walk *walk);

/* The secrets, as a list. */
void walk_print_json(struct cli *cli, const struct walk *walk);
/* What was left out, on stderr: it may not WHAT by this token. How many. */
size_t walk_tell_refused(struct cli *cli, const struct walk *walk, const char *what);
