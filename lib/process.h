/* lib/process.h - what each of our programs does first in main.
 *
 * What:    kt_process_start(): umask 077; descriptors 0 to 2 open (on /dev/null if need be), all
 *          others close-on-exec; an environment of named variables only; no core files, not even
 *          through a pipe (undumpable, which also closes /proc/PID to other processes of the same
 *          user); no new privileges through exec. An exec makes a process dumpable again, so each
 *          program calls this itself.
 * Threads: before threads, before libraries are initialised that read the environment.
 * Source:  core(5), "Piping core dumps to a program"; prctl(2), PR_SET_DUMPABLE. */
#pragma once

#include "lib/err.h"

struct kt_process_options {
    const char *const *keep_env; /* names that stay, NULL ends; NULL: none stays */
    unsigned inherited_fds;      /* descriptors 3, 4, ... that an exec may pass on */
    bool may_gain_privileges;    /* for programs that start others which need setuid */
};

enum kt_kind kt_process_start(const struct kt_process_options *options, struct kt_err *err)
    KT_MUST_CHECK;
/* Gives up root for uid and gid, groups included, for good. KT_IO when not root or refused. */
enum kt_kind kt_process_become(unsigned uid, unsigned gid, struct kt_err *err) KT_MUST_CHECK;
