/* vaultd/rotation/sentinels.h - a target's list of servers, compared with what its Sentinels know.
 *
 * What:    Users of a Redis are not replicated. A server that the target does not name would go on accepting the old
 *          password and refuse the new one, so before a run changes anything (but for one that sets the stored one
 *          again: who is cut off does not wait for them), and when a person has the target checked, the Sentinels that the target names are asked, one after the other until one of them has an answer:
 *            the target names all that it knows:   well
 *            the target names others, too:         a finding, where no other Sentinel has another answer: one that was
 *                                                  reset just now knows few
 *            it knows another one:                 the run is cancelled, and a person told which
 *            none has an answer:                   waited for, and given up like a server that is away
 *            all say no (no such master, a login): cancelled
 *          They only check. What servers there are, and so where the administrative login goes, is what people wrote:
 *          whoever answers for a Sentinel can hold a run up, or hide a server, and lead it nowhere.
 * Owner:   as nodes.h.
 * Threads: a thread of the pool.
 * Time:    all of them together no longer than one server's connect_timeout and statement_timeout, but for the start of
 *          their workers. */
#pragma once

#include "vaultd/rotation/nodes.h"

struct rotation;
struct job_part;

/* Into part->sentinel; its class is ok, permanent or unreach. */
void sentinels_ask(struct rotation *rotation, struct job_part *part, struct kt_arena *arena);
/* What they said becomes part of what the servers said. */
void sentinels_weigh(struct job_part *part);
