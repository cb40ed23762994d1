/* cli/plan_pages.h - every secret that is rotated, as the vault's plan tells of it, sorted by name.
 *
 * What:    The vault gives its plan in pages, in an order of its own that costs it nothing.
 * Owner:   plan_pages_read() .. plan_pages_free(), whatever the former returned; the secrets point into the
 *          pages.
 * Limits:  PLAN_SECRETS; all of them are kept (some 3 KiB each), because they are to be sorted.
 * Threads: one thread. */
#pragma once

#include "lib/api.h"
#include "lib/arena.h"

struct cli;

#define PLAN_SECRETS  100000u
#define PLAN_NAME     2200 /* room for a name */

struct plan_secret {
    struct kt_json secret;
    const char *name;
};
struct plan_pages {
    struct kt_api_reply *pages; /* at least one */
    size_t n_pages, pages_room;
    struct kt_arena names;
    struct plan_secret *at;
    size_t n, room;
};
/* prefix "": all. False: said what failed; cli->exit_code is set. */
bool plan_pages_read(struct cli *cli, const char *prefix, struct plan_pages *ret);
void plan_pages_free(struct plan_pages *pages);
