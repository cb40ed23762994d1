/* lib/driver/ssh_session.h - one connection to an SSH server, logged in with one key.
 *
 * What:    kt_ssh_open() connects, looks whether the server's key is one of those that the target names,
 *          and only then offers the login's key: that one, no other, no agent's, no password, nothing
 *          from a file or a setting of the machine.
 * Owner:   kt_ssh_open() begins a session, kt_ssh_close() ends it, also after a failure and twice.
 * Secrets: the login's key is in libssh's own heap until the process ends; a server never sees it.
 * Limits:  connecting has the target's connect_timeout, logging in its statement_timeout.
 * Errors:  false, and `code` is a row of ssh_session.c's table, `detail` a sentence or "".
 * Threads: one.
 * Source:  RFC 4252, 4253; libssh 0.10's own documentation. */
#pragma once

#include <libssh/libssh.h>

#include "lib/driver/stream.h"

#define SSH_FINGERPRINT 64u

struct kt_ssh {
    const struct driver_run *run; /* run->own is a struct kt_stream_place */
    struct kt_stream stream;
    ssh_session session;
    /* lib/driver/sftp.h */
    ssh_channel channel;
    struct kt_buf in, out;
    uint32_t last_id, status;
    char said[128];

    char host_key[SSH_FINGERPRINT]; /* "SHA256:...", as ssh-keygen -l shows it; "" when not seen */
    char version[64];               /* what the server calls itself */
    char code[9];                   /* of the last failure; "" when none */
    char detail[300];               /* passes the redactor in kt_ssh_fail() */
};

/* Without a session: libssh's own settings, for which files are read, while they still can be. */
bool kt_ssh_prepare(struct driver_run *run, struct driver_result *ret);
bool kt_ssh_open(const struct driver_run *run, const struct driver_login *login, struct kt_ssh *s);
void kt_ssh_close(struct kt_ssh *s);
/* For who finds something out by itself: as the functions here fail. */
bool kt_ssh_set_failure(struct kt_ssh *s, const char *code, const char *detail);

/* The result of the last failure: "DOING: what it means (details)". Always false. */
bool kt_ssh_fail(const struct kt_ssh *s, struct driver_result *ret, const char *doing);
/* A login attempt as evidence: only that the server did not take the key says that it is wrong. */
void kt_ssh_answer(const struct kt_ssh *s, struct driver_reply *ret);
