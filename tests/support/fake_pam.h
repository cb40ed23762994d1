/* tests/support/fake_pam.h - a vaultd-pam of a test's own process: the name that logs in says what happens.
 *
 *   alice      one prompt, "right" is right; groups "ops" and "Web"
 *   al, ca, ex the host's other names for alice, carol, expired
 *   became     one prompt, and is alice afterwards
 *   many       the same as alice, in FAKE_GROUPS groups more: "g0" ...
 *   carol      one prompt; in no group
 *   two        a password, then a code that is typed in sight: "right", "123456"
 *   both       the two in one message
 *   none       let in without a prompt
 *   capital    let in as "Capital"
 *   expired, broken, silent (no verdict), busy, nonsense: after the right password
 *   late       refused, FAKE_DELAY_MS later
 *   stuck      nothing comes until vaultd hangs up
 *
 * Owner:   fake_pam_start() .. fake_pam_stop(), which waits until nobody is connected.
 * Threads: the test's; it has threads of its own. */
#pragma once

#include "vaultd/pam/message.h"

#define FAKE_DELAY_MS 700u
#define FAKE_GROUPS   5000u

struct fake_pam;
/* folder: where its socket is made. */
struct fake_pam *fake_pam_start(const char *folder);
void fake_pam_stop(struct fake_pam *pam);
const char *fake_pam_socket(const struct fake_pam *pam);
/* How many logins reached PAM. */
unsigned fake_pam_count(const struct fake_pam *pam);
/* From now on no account is good any more, when it is asked about alone; false: as before. */
void fake_pam_close(struct fake_pam *pam, bool closed);
/* From now on nobody is in a group. */
void fake_pam_leave(struct fake_pam *pam);
/* The address that the last one was said to come from. */
void fake_pam_address(struct fake_pam *pam, char out[PAMD_NAME_MAX + 1]);
