/* vaultd/core/bound.h - what an approval is given for, beside what was sent.
 *
 * What:    A change may rest on what somebody else can change meanwhile: a rotation on its target and its
 *          settings. Its handler says so; a request that waits for approval keeps it, and where it is something
 *          else when it is carried out, what was approved is not done.
 * Threads: the request's. */
#pragma once

#include "vaultd/core/request.h"

#define BOUND_DIGEST 32u
#define BOUND_TEXT   1024u

/* Called by a handler, each time that it runs. about: a sentence for who approves, cut to BOUND_TEXT, without any
 * value; it is part of what has to stay. told: the channels that are told of it (vaultd/notify/); "": all. */
void request_binds(struct request *req, struct kt_bytes plan, const char *about, const char *told);
/* What the request does needs the approval of so many people of a rule's group, whichever paths the rule has; where a
 * rule of approval is about it as well, the larger number counts. A rule that is gone has nobody who could approve:
 * break-glass alone lets the request pass. Called by a handler, each time that it runs. */
void request_wants(struct request *req, const char *rule, unsigned needed);
/* Who approved what is carried out now; NULL: it needed nobody. */
const char *request_approved_by(const struct request *req);
