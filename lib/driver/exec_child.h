/* lib/driver/exec_child.h - starts a program, gives it an order, takes its answer, and ends it with all that it
 * started.
 *
 * What:    The order goes to its standard input, which is then closed; its answer comes from its standard output;
 *          standard error is thrown away, because nobody could be sure that no piece of a value is in it. It has
 *          no other descriptor, a small fixed environment, and its command from the configuration alone.
 *          Before this returns, nothing that it started lives.
 * Secrets: the order is in the caller's buffer and in a pipe.
 * Limits:  EXEC_ANSWER_MAX bytes of answer; the deadline.
 * Errors:  enum exec_end. Whatever is not EXEC_ANSWERED or EXEC_NOT_STARTED: what it did may have had effect.
 * Threads: one, and no other children in the process. SIGPIPE has to be ignored. */
#pragma once

#include "lib/buf.h"
#include "lib/driver/program.h"

enum exec_end {
    EXEC_ANSWERED,    /* it ended with status 0; whether the answer is one is not looked at */
    EXEC_NOT_STARTED, /* number: errno */
    EXEC_STATUS,      /* number: its exit status */
    EXEC_SIGNAL,      /* number: the signal */
    EXEC_LATE,        /* it was killed when its time was over */
    EXEC_TOO_LONG,    /* it was killed when its answer passed the limit */
    EXEC_LOST         /* the machine failed: number: errno */
};
struct exec_outcome {
    enum exec_end end;
    int number;
};

/* Once, before the first program: orphans of programs become children of this process. False: they would not,
 * or children cannot be seen here, so that not all could be ended. */
bool kt_exec_adopt_orphans(void);
/* deadline: kt_ipc_deadline(). out: the answer, of whatever bytes. */
void kt_exec_call(const struct kt_program *program, struct kt_bytes order, int64_t deadline,
                  struct kt_buf *out, struct exec_outcome *ret);
