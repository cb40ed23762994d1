/* tests/support/meanwhile.h - what somebody else asks while a request is about to commit.
 *
 * What:    When the request has looked at everything and asks for its last condition (mounts_require()), others'
 *          requests are made and answered; then it goes on. The program is linked with
 *          -Wl,--wrap=mounts_require (Makefile).
 * Owner:   the vault and the visits are the caller's, until meanwhile_over().
 * Errors:  a visit that is answered otherwise than it says ends the program, and says how.
 * Threads: one test at a time. */
#pragma once

#include "tests/support/vault.h"

/* In their order; path NULL: no more. */
struct visit {
    const char *method, *path; /* without "/v1/", perhaps with "?query" */
    const char *token;         /* NULL: root's */
    const char *body;
    unsigned status;
    unsigned more; /* so many times more */
};

/* Before the next commit of a request for which meant() is true, on whichever thread; NULL: of the calling
 * thread's own next one, for the vault's threads write, too. */
void meanwhile(struct test_vault *vault, const struct visit *visits,
               bool (*meant)(const struct request *req));
/* True: it was made. Else it will not be any more. */
bool meanwhile_over(void);
