/* vaultd/findings.h - what is wrong or odd about a configuration, all of it at once.
 *
 * Threads: one thread at a time; plain values. */
#pragma once

#include "lib/err.h"

#define FINDINGS_MAX 64u

struct finding {
    bool error; /* else: a warning, vaultd goes on */
    struct kt_err text;
};
struct findings {
    struct finding at[FINDINGS_MAX];
    size_t n, errors, dropped; /* dropped: found beyond the maximum */
};
void findings_add(struct findings *findings, bool error, const struct kt_err *text);
/* hint may be NULL. */
void findings_addf(struct findings *findings, bool error, const char *hint, const char *format, ...)
    KT_PRINTF(4, 5);
