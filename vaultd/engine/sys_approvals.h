/* vaultd/engine/sys_approvals.h - what is told of a request that waits for approval; the routes' own.
 * Threads: any thread with the barrier entered. */
#pragma once

#include "vaultd/approval/approvals.h"
#include "vaultd/engine/sys.h"

/* One as data: who asks for what, until when, who approved. sent NULL: without what was sent; else its
 * fields, by value where shown says so, as the audit log's HMACs where not. Passwords, tokens and the like, and what
 * the row does not name, are never by value: what is written in a KV mount alone can be read back whole. */
enum kt_kind approval_show(struct request *req, const struct approval *approval, const struct approval_sent *sent,
                           bool shown, struct kt_err *err);
/* keys and key_info of those that `wanted` wants. KT_NOT_FOUND: there is none. What cannot be read
 * is left out with a warning, and is not none. */
typedef enum kt_kind approval_wanted_fn(struct request *req, const struct approval *approval, bool *ret,
                                        struct kt_err *err);
enum kt_kind approvals_show(struct request *req, approval_wanted_fn *wanted, struct kt_err *err);
/* KT_NOT_FOUND with a text. */
enum kt_kind approval_named(struct request *req, struct approval *ret, struct kt_err *err);
/* KT_GONE, with what became of it, where it does not wait any more. */
enum kt_kind approval_still_waits(const struct request *req, const struct approval *approval, struct kt_err *err);
