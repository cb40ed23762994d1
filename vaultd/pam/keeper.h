/* vaultd/pam/keeper.h - the parent of vaultd-pam: takes connections, one child each, and ends children.
 *
 * What:    PAM never runs here: a module may do as it likes with its process, and this one has to last.
 *          Whoever connects must be vaultd's user. A child ends with its login; it is killed, with all
 *          that it started, when its time is over or vaultd hung up. Then vaultd hears how it ended.
 * Limits:  PAMD_LOGINS_MAX children; whoever comes then is told BUSY. A child's memory, processor time
 *          and descriptors.
 * Threads: one. */
#pragma once

#include "vaultd/pam/ask.h"

struct keeper_rules {
    struct ask_rules ask;
    unsigned peer_uid;  /* who may connect */
    unsigned timeout_s; /* of a login */
    unsigned idle_s;    /* end when nobody came for so long; 0: never */
};

/* Until SIGTERM or SIGINT, or idle. The listener is the caller's. KT_IO: it cannot go on. */
enum kt_kind keeper_run(const struct keeper_rules *rules, int listener, struct kt_err *err)
    KT_MUST_CHECK;
