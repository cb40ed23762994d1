/* tests/support/routes.h - every row of every engine's table, and a path that reaches it.
 *
 * What:    For tests that hold of all routes, so that a new one cannot escape them. An engine that is
 *          not in the table of mounts (routes.c) ends the program with a message.
 * Threads: one thread at a time. */
#pragma once

#include "tests/support/vault.h"
#include "vaultd/core/engine.h"

#define ROUTE_METHODS 7u
extern const char *const route_methods[ROUTE_METHODS]; /* "GET", "HEAD", "LIST", "POST", ... */

/* Mounts what a new --dev vault does not have. */
void routes_mount_all(struct test_vault *vault);
/* Where the engine is mounted: "secret/". */
const char *routes_mount(const struct engine *engine);
/* A path that the pattern matches: each "{...}" is "x", or what routes.c says. */
void routes_example(const struct engine *engine, const struct route *route, char *out, size_t size);
/* The row's handler for a method, NULL: there is none. */
handler_fn *routes_handler(const struct route *route, const char *method);
/* No token is needed for that method of the row, and one that is dead counts as none. */
bool routes_open(const struct route *route, const char *method);
/* Nothing can be written to a folder; that is said of every path before anything is looked at. */
bool routes_folder_refused(const struct route *route, const char *method, const char *path);

/* Calls fn for each row. Returns how many there are. */
size_t routes_each(void (*fn)(void *arg, const struct engine *engine, const struct route *route),
                   void *arg);
