/* vaultd/pam/account.h - what the host says of an account: whether it may log in to a vault at all, and
 * its groups.
 *
 * What:    Accounts below the lowest uid of people (system accounts, root) are refused, unless named. One
 *          that the host does not know is left to PAM to refuse.
 * Source:  the host's name service (passwd, group), whatever answers there.
 * Threads: a child of vaultd-pam alone: it uses libc's static records. */
#pragma once

#include "lib/arena.h"
#include "vaultd/pam/message.h"

#define ACCOUNT_NAMED_MAX 64u

struct account_rules {
    unsigned min_uid;
    const char *named[ACCOUNT_NAMED_MAX]; /* whom it does not bind */
    size_t n_named;
};

/* Whether PAM may be asked about him. */
bool account_may(const struct account_rules *rules, const char *name);
/* After PAM let him in: he is on this host, and may. Fills in name and groups of the verdict, in the
 * arena. False: he is not, or may not, or is in more groups than a message holds: *why says it. */
bool account_describe(const struct account_rules *rules, const char *name, struct kt_arena *arena,
                      struct pamd_message *verdict, const char **why);
