/* vaultd/rotation/nodes.h - a step at a target of several servers, and what their answers come to.
 *
 * What:    Such a target is one to everybody above: nodes_run() has the step carried out at one server after the
 *          other, each by a worker of its own with that server's address and identity, and makes one result of
 *          theirs. So the rules of a run (machine.h) know nothing of servers.
 *
 *          What a step came to (nodes_class(), pair by pair): a server that is another one, then an administrative
 *          login that is refused: a person has to look, and nothing else is proven meanwhile. Then no answer,
 *          for that it may have happened; it is asked again, and a "no" that stands beside it is heard again
 *          then. Then a "no". Done only when all are. That a value is not allowed is so only
 *          where all said so: where one may have taken it, it must not be thrown away as one that nobody took.
 *
 *          What a login came to (nodes_reply()): accepted when all accept it, refused when all refuse it. Where
 *          some accept it and all others refuse it, the machine is told what has it do the same step again, since
 *          each sets a state:
 *            one that is wanted everywhere is not there yet (refused): it is set again, nobody is sent to it;
 *            one that is wanted nowhere is still there (accepted): it is ended again, and not called dead.
 *          Else nothing is known, but that it is not dead where one accepts it (`barred`). One server that lets
 *          the wrong password in, or that never asks for one, makes the whole target one that proves nothing; one
 *          that refuses the administrative login has it refused.
 *
 *          A change before the new version is current ends at the first server that did not say yes: what it
 *          did not reach need not be taken back. All else goes on past a server that is away or says no.
 * Owner:   nodes are in the job's arena; names outlive it.
 * Threads: nodes_run(): a thread of the pool. The rest are plain functions.
 * Time:    nodes_run() takes no longer than the step's timeout_ms, and what Sentinels take before it (sentinels.h);
 *          each server has what is left but for what those behind it need to be reached and asked, or an even share
 *          where that is more. A second is the least, for its worker has to start: so much longer it may take for each
 *          server that is asked when nothing is left. */
#pragma once

#include "lib/driver/driver.h"
#include "lib/driver/server.h"

struct rotation;

struct target_node {
    const char *name, *host; /* lib/driver/server.h */
    uint32_t port;
    const char *server_id;
    bool ran;
    struct driver_result result;
};

/* What is wanted of a login. */
enum node_wish {
    WISH_EVERYWHERE,
    WISH_NOWHERE,
    WISH_BESIDE /* of the old one, ahead: of use as long as the new one is not everywhere, and then
                   no way back to where some refuse it */
};
struct node_aim {
    enum node_wish new_, old;
    bool all; /* a change goes on past a server that did not say yes */
    bool one; /* the account has one value at a time: who accepts two lets anything in */
};

enum driver_class nodes_class(enum driver_class a, enum driver_class b);
struct driver_reply nodes_reply(const struct target_node *nodes, size_t n, enum driver_who who, enum node_wish wish,
                                bool new_everywhere);
/* Of the nodes that ran; at least one did. */
void nodes_combine(const struct driver_step *step, struct node_aim aim, const struct target_node *nodes, size_t n,
                   struct driver_result *ret);

struct job_part;
void nodes_run(struct rotation *rotation, struct job_part *part, struct kt_arena *arena);
