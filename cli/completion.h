/* cli/completion.h - the completion of shells, written from the table of commands.
 *
 * What:    completion_bash() prints a script. Commands and flags stand in it; paths, targets and
 *          policies it asks of the vault at each press of the key: secretctl complete KIND -- WORD.
 * Threads: one thread. */
#pragma once

#include "lib/buf.h"

void completion_bash(struct kt_buf *out);
