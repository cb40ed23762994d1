/* vaultd/rotation/each.h - every secret that is rotated, one after the other.
 *
 * What:    A walk over the rotations of all mounts in the order of the store, however many there are: only
 *          one is in memory at a time.
 * Owner:   a visited secret and its texts live until the visit returns; mount and path are not set.
 * Threads: any thread with the barrier entered. */
#pragma once

#include "vaultd/rotation/secret.h"

typedef enum kt_kind secret_visit(void *arg, const struct rotation_secret *secret,
                                  struct kt_err *err);
/* *ret_aside true: it takes long and goes aside (request_aside()): say nothing, return KT_OK. */
enum kt_kind secrets_each(struct request *req, secret_visit *visit, void *arg, bool *ret_aside,
                          struct kt_err *err) KT_MUST_CHECK;
