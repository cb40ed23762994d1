/* cli/walk.h - everything below a folder of a KV mount: the vault's LIST, folder by folder.
 *
 * What:    Some requests are in flight at a time, each on a thread and a connection of its own. What may
 *          not be listed is among the findings, so that a list that is not whole says so. Whatever else
 *          fails ends the walk, unless trouble() is there to be told. A name in a list that is more than one
 *          part of a path, or "." or "..", is no name: no answer of a vault leads outside of what was asked for.
 * Owner:   walk_begin() .. walk_end(). Findings live until then, sorted by path after walk_run().
 * Limits:  WALK_MOST names that are kept at a time: findings, and what is still to be looked at. The newest
 *          folder is looked at first, so few wait.
 * Threads: walk_*(): the command's own; look() and trouble(): several at a time. */
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
/* A secret that is looked at. */
struct walk_place {
    struct kt_api *api; /* the worker's own */
    unsigned worker;    /* below WALK_WORKERS */
    const struct kt_api_mount *mount;
    const char *path;   /* inside the mount */
};
/* KT_OK and *ret; an error ends the walk. */
typedef enum kt_kind walk_look_fn(const struct walk_place *place, void *arg, enum walk_state *ret, struct kt_err *err);

struct walk_how {
    const struct kt_api_options *options; /* of walk_begin() alone */
    walk_look_fn *look;                   /* NULL: every secret is wanted */
    /* Of a folder (inside its mount) that cannot be listed, or not whole: it is passed over, and the walk waits
     * while the vault is away. NULL: it ends, but for what may not be listed. What ends all, ends it. */
    void (*trouble)(void *arg, const char *folder, const struct kt_err *err);
    void *arg;
};

struct walk {
    struct walk_finding *at;
    size_t n;
    struct walk_own *own;
};
enum kt_kind walk_begin(struct walk *walk, const struct walk_how *how, struct kt_err *err) KT_MUST_CHECK;
/* With the command's own vault and token. False: said what failed; cli->exit_code is set. */
bool walk_begin_here(struct walk *walk, struct cli *cli, walk_look_fn *look, void *arg);
/* One more place; folder inside the mount, "" or ending in '/'. */
bool walk_from(struct walk *walk, const struct kt_api_mount *mount, const char *folder);
/* The same, or "db": a secret, a folder, or both of that name. */
enum kt_kind walk_from_any(struct walk *walk, const struct kt_api_mount *mount, const char *path,
                           struct kt_err *err) KT_MUST_CHECK;
/* Every KV mount in which the command's token has something. False: said what failed; cli->exit_code is set. */
bool walk_from_all(struct walk *walk, struct cli *cli);
enum kt_kind walk_run(struct walk *walk, struct kt_err *err) KT_MUST_CHECK;
void walk_end(struct walk *walk);

/* The secrets, as a list. */
void walk_print_json(struct cli *cli, const struct walk *walk);
/* What was left out, on stderr: it may not WHAT by this token. How many. */
size_t walk_tell_refused(struct cli *cli, const struct walk *walk, const char *what);
