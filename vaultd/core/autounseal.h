/* vaultd/core/autounseal.h - the vault opens itself with the credentials that it was given.
 *
 * What:    Tries each seal of the record that the configuration names, and remembers of each how it
 *          went; with the first that opens, the vault unseals. Once, when vaultd starts, and when root
 *          on the host asks for it: what a person sealed stays sealed until then. A rollback is never
 *          accepted so: that takes key shares.
 * Owner:   credentials are read into guarded memory, and wiped at once.
 * Errors:  each seal that does not open is logged, with what mends it; vaultd goes on sealed.
 * Threads: any thread, outside of the barrier; it may block. */
#pragma once

#include "lib/credential.h"
#include "lib/jsonw.h"
#include "vaultd/core/core.h"

/* name, the word in sys/seal-status and the log */
#define SEAL_OUTCOMES(X)                                                                           \
    X(SEAL_UNTRIED, "")                                                                            \
    X(SEAL_OPENED, "opened")                                                                       \
    X(SEAL_NOT_CONFIGURED, "not configured") /* no seal block names it */                          \
    X(SEAL_MISSING, "missing")               /* no such credential was handed over */              \
    X(SEAL_CHANGED, "changed")               /* it is not the one that the seal was made with */   \
    X(SEAL_EXPOSED, "exposed")               /* others could read or change it */                  \
    X(SEAL_FAILED, "failed")                 /* it could not be read, or is no key: see the log */ \
    X(SEAL_REFUSED, "refused")               /* it opens, but what is on disk is not taken: see the log */

#define X(name, word) name,
enum seal_outcome { SEAL_OUTCOMES(X) SEAL_OUTCOMES_N };
#undef X
const char *seal_outcome_word(enum seal_outcome outcome);

/* What became of a seal when it was last tried. */
enum seal_outcome autounseal_outcome(struct core *core, const char *name);
/* How many did not open then. */
unsigned autounseal_failing(struct core *core);
/* The seal was made anew or removed: how the one before it went says nothing any more. */
void autounseal_forget(struct core *core, const char *name);
/* KT_OK: it is unsealed. KT_NOT_FOUND: there is no seal to try; KT_SEALED: none opens; or why it could not
 * be unsealed although one opened. */
enum kt_kind autounseal_run(struct core *core, struct kt_err *err) KT_MUST_CHECK;
/* The credential of that name, for a seal that is made. KT_INVALID: the configuration names none such. */
enum kt_kind autounseal_read(const struct core *core, const char *name, struct kt_secret **ret,
                             struct kt_err *err) KT_MUST_CHECK;
/* The member "seals": the shares and each further seal, as an array. */
void autounseal_write(struct core *core, struct kt_jsonw *w);
