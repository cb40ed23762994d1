/* vaultd/core/approve.h - which rules of approval are about a request, from all that it touches. core's own.
 *
 * What:    A rule is about a request when one of its paths covers the request's own path, one that the
 *          handler asked policies about as well (request_also()), or one that it said to change
 *          (request_changes()): so it does not matter by which row something is changed. Of a secret in a KV
 *          mount of version 2 all rows count as data/PATH, too.
 *          And without saying so each rule is about what it stands on: itself; its group; the entities that
 *          are in it, with their aliases; the mounts through which those log in.
 *          And a handler may want the approval of a rule's group by itself (request_wants(), bound.h).
 * Threads: any thread with the barrier entered. */
#pragma once

#include "vaultd/approval/approvals.h"
#include "vaultd/core/private.h"

/* Those of *rules that are about the request, into ret[APPROVAL_RULES_OF_MAX]; how many to *ret_n. What a handler wants
 * changes how many they need, in *rules. */
enum kt_kind approve_rules_of(struct request *req, struct approval_rules *rules,
                              const struct approval_rule **ret, size_t *ret_n, struct kt_err *err) KT_MUST_CHECK;
