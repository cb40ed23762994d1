/* vaultd/policy/reach.h - which routes a policy's pattern can decide about.
 *
 * What:    A pattern and a row of a route table are both sets of paths; this finds one path that is in
 *          both. Free parts ("+", "*", "{name}") are filled with a word that no policy has, so that
 *          a narrower pattern of the same policy does not match the path by chance.
 * Limits:  patterns and rows of more than REACH_SEGMENTS segments reach nothing.
 * Threads: any thread. */
#pragma once

#include "vaultd/core/engine.h"
#include "vaultd/policy/rule.h"

#define REACH_SEGMENTS 48u
#define REACH_PATH     1024u

/* out: a path below the mount that the row answers and the pattern matches; for a list as the row has
 * it, without its final '/' (both forms are asked). False: there is none. */
bool reach_route(const struct rule *rule, const char *mount, const struct route *route, bool list,
                 char out[REACH_PATH]);
/* The operations that a row has a handler for, as the capabilities that they ask: of a write "update",
 * and "create" where the row can tell. 0: the row asks for no policy. */
unsigned reach_capabilities(const struct route *route);
/* Those that it would ask for, if it were not open to everybody for these operations. */
unsigned reach_open(const struct route *route);
/* The mount that all paths of the pattern are in, as far as its text says; NULL: none. The longest. */
const struct mount *reach_mount(const struct rule *rule, const struct mount *const *mounts, size_t n);
