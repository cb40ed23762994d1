/* tests/support/asking.h - asking the one vault of a test program from an address, as somebody.
 *
 * What:    token NULL: root's, "": none. `says` is a piece of the answer, NULL: whatever it says.
 * Owner:   the answer is the vault's (vault->body), until the next.
 * Errors:  another answer fails the test, and shows it.
 * Threads: one test at a time. */
#pragma once

#include <stdio.h>

#include "tests/support/one_vault.h"

static inline unsigned ask_from(const char *address, const char *method, const char *path, const char *token,
                                const char *body)
{
    char target[2048]; /* paths of tests are shorter */
    (void)snprintf(target, sizeof target, "/v1/%s", path);
    const struct test_request request = {.method = kt_str(method),
                                         .target = kt_str(target),
                                         .token = kt_str(token == NULL ? vault->root : token),
                                         .body = kt_str(body),
                                         .address = address};
    return test_vault_ask(vault, &request);
}

static inline void wants(unsigned status, const char *says, const char *method, const char *path,
                         const char *token, const char *body)
{
    unsigned got = ask_from("192.0.2.1", method, path, token, body);
    if (got != status || (says != NULL && !test_vault_said(vault, says)))
        fail_msg("%s %s %s: wanted %u and %s, got %u: %s", method, path, body == NULL ? "" : body, status,
                 says == NULL ? "any text" : says, got, vault->body);
}
