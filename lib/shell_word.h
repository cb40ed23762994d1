/* lib/shell_word.h - a name as one word of a shell's command line, for commands that people paste.
 *
 * What:    Names of secrets, services and targets may hold what a shell acts upon; some are chosen by who
 *          reports them. What needs it stands in single quotes (POSIX.1-2017, Shell Command Language, 2.2.2).
 *          Control characters become '?': no shell would read them from a screen.
 * Owner:   the buffer is the caller's.
 * Threads: any. */
#pragma once

#include "lib/buf.h"

void kt_add_shell_word(struct kt_buf *out, const char *text);
