/* vaultd/pam/account.h - what the host says of an account: whether it may log in to a vault at all, and
 * its groups.
 *
 * What:    Accounts below the lowest uid of people (system accounts, root) are refused, unless named. One
 *          that the host does not know is left to PAM to refuse.
 * Names:   a host may know one account by several (a directory's, in any case, with and without its domain).
 *          The one that its name service answers with is the account's own: PAM is asked about it, guesses
 *          count for it, and who it is says it. So no spelling is another person, or has guesses of its own.
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

/* The account's own name, in the arena; the one given where the host knows none, or one that is no message's.
 * *ret_may: whether PAM may be asked about him. NULL: out of memory. */
const char *account_named(const struct account_rules *rules, const char *name, struct kt_arena *arena,
                          bool *ret_may);

struct account {
    const char *name;
    struct kt_bytes *groups;
    size_t n_groups;
};
/* After PAM let him in: he is on this host, and may. What is filled in lies in the arena. False: he is not,
 * or may not, or is in more groups than are told: *why says it. */
bool account_describe(const struct account_rules *rules, const char *name, struct kt_arena *arena,
                      struct account *ret, const char **why);
