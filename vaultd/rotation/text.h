/* vaultd/rotation/text.h - what a person reads: steps, the reasons of a frozen run, what comes next.
 *
 * Texts live in the request's arena and never hold a value. */
#pragma once

#include "vaultd/rotation/target.h"
#include "vaultd/rotation/run.h"

/* As one word of a shell (lib/shell_word.h). NULL: out of memory. */
const char *text_word(struct request *req, const char *text);
/* A sentence for having got into the run's state. */
const char *text_of_state(struct request *req, const struct run *run);
/* A sentence for what is about to be sent. */
const char *text_of_intent(struct request *req, const struct run *run);
/* Fills in run->frozen_*: what is true, what is known, the exact next command. `known` is the last
 * evidence. */
void text_freeze(struct request *req, struct run *run, const char *known);
/* What goes on anyway, for a cancel that comes too late. */
const char *text_way_forward(struct request *req, const struct run *run);
/* A form of such a command, "secretctl rotate {secret}", with its names as words of a shell. */
const char *text_command(struct request *req, const struct run *run, const char *form);
/* One row a frozen code: also for `secretctl explain` and docs/rotation.md. */
struct frozen_words {
    enum frozen_code code;
    const char *text, *next;
};
/* In the texts %s stands for, in this order of letters: {run} {secret} {target} {old} {new}
 * {account_old} {account_new}. */
const struct frozen_words *frozen_words_of(enum frozen_code code);
