/* vaultd/worker/mail.h - gives one message to a program of vaultd's configuration, as to sendmail.
 *
 * What:    The program gets the message on its standard input, in the sandbox of the driver "exec"
 *          (cell_enter_program()); it did its work when it ended with status 0 in time. What it says is thrown
 *          away: nobody could be sure of it.
 * Threads: one; once a process. */
#pragma once

#include "lib/driver/program.h"
#include "lib/fetch.h"

/* message: an order that names a program (kt_fetch_is_call()). False: there is no answer. */
bool mail_serve(struct kt_bytes message, const struct kt_programs *programs, struct kt_arena *arena,
                struct kt_buf *out);
