/* tests/support/vault_state.h - is all that was acknowledged in a vault's folder?
 *
 * What:    Opens a folder as vaultd does at a start, unseals it, and compares it with a list of
 *          requests in the order in which their answers left: of the first `count` of them each must
 *          be answered for (its effect is asked for) and have its outcome in the audit log; the log
 *          must verify with the public key, also against the newest checkpoint that had left.
 * Form:    the list is a text file, fields separated by tabs:
 *              shares TAB hex TAB hex ...           as many as the threshold
 *              token  TAB text
 *              need   TAB request id TAB path TAB text   GET path answers 200 and the body has it
 *              note   TAB the checkpoint with \n for line feeds   is a need too: it has its place
 * Threads: one thread at a time. */
#pragma once

#include <stddef.h>

struct vault_state;

/* NULL: not readable or not of that form. */
struct vault_state *vault_state_load(const char *path);
void vault_state_free(struct vault_state *state);
/* count: how many of the needs had been answered. recent: of so many the effect is asked for, the
 * newest ones; outcomes are always looked for. NULL: all is well, else what is wrong, in `text`. */
#define VAULT_STATE_TEXT 1200u
const char *vault_state_check(const struct vault_state *state, const char *folder, size_t count,
                              size_t recent, char text[VAULT_STATE_TEXT]);
