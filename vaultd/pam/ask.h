/* vaultd/pam/ask.h - one login: what the host's PAM stack asks is asked of vaultd, and its verdict told.
 *
 * What:    The whole life of a child of vaultd-pam. It reads BEGIN, says whom the host takes that for, and
 *          when vaultd lets him have a guess calls pam_authenticate() and pam_acct_mgmt() (an expired account passes the first), tells prompts and takes answers, and
 *          sends the verdict; of an account alone it calls the second only. What modules say besides prompts is not passed on: a refusal has one text
 *          for all causes.
 * Service: --service, "keyturn": /etc/pam.d/keyturn. Without that file PAM would take /etc/pam.d/other,
 *          which is somebody else's: then there is no login.
 * Secrets: answers come into guarded memory and go to PAM in libc's, which its modules wipe or do not;
 *          the process ends right after.
 * Limits:  PAMD_PROMPTS_MAX prompts. Time is the parent's to watch.
 * Threads: one, as PAM wants it.
 * Source:  pam_conv(3), pam_authenticate(3), pam_acct_mgmt(3), pam_fail_delay(3). */
#pragma once

#include "lib/err.h"
#include "vaultd/pam/account.h"

struct ask_rules {
    const char *service;
    struct account_rules accounts;
};

/* KT_NOT_FOUND, with a hint, when the service has no file. */
enum kt_kind ask_check(const char *service, struct kt_err *err) KT_MUST_CHECK;
void ask(const struct ask_rules *rules, int socket);
