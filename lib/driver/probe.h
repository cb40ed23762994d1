/* lib/driver/probe.h - a batch of logins, in the order that makes it evidence.
 *
 * What:    A driver has one function that tries one login; what follows from the answers, and that
 *          nothing is tried which would prove nothing (DRIVER_LOGINS in driver.h), is said here once.
 * Owner:   the prober is the caller's.
 * Threads: one.
 * Errors:  in the result: class, code and text of the first login that ended the batch. */
#pragma once

#include "lib/driver/table.h"

struct driver_prober {
    /* Tries step->logins[who] and fills in all of *reply but took_ms. False: nothing would be proven by
     * what follows; the driver said why. So it is for the administrative login that did not get in, or got
     * in to another server. A control that was neither accepted nor refused has to be told about, too. */
    bool (*try)(void *own, enum driver_who who, struct driver_reply *reply);
    void *own;
    const char *open_door; /* where to look when a random password is accepted */
};

void kt_driver_probe(const struct driver_run *run, const struct driver_prober *prober,
                     struct driver_result *ret);
/* Before a step ends one of two accounts: is the login of the other one accepted, which stays? To be asked while the
 * administrative connection is open: it ends with the server that was asked, so a standby that takes over, or
 * a restored server, cannot come between the answer and the change. True too where the step names none. False: the
 * driver said why, and nothing may be ended. The prober must leave that connection open. */
bool kt_driver_stays(const struct driver_run *run, const struct driver_prober *prober,
                     struct driver_result *ret);
