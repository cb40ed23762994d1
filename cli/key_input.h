/* cli/key_input.h - key shares from people: asked for without echo, or lines of the standard input.
 *
 * What:    Never an argument: others see those in the list of processes. Shares are asked for one after
 *          the other until the vault has enough, or an empty line says that somebody else goes on.
 * Owner:   shares lie in the caller's buffers, which wipe.
 * Threads: one thread. */
#pragma once

#include "cli/cli.h"

/* The command's only word, if there is one, is "-". Else says why not, and what to do. */
bool key_input_allowed(struct cli *cli);
/* The next share, trimmed, in the buffer. KT_GONE: there are no more. */
enum kt_kind key_input_next(struct cli *cli, struct kt_buf *share, struct kt_bytes *ret,
                            struct kt_err *err) KT_MUST_CHECK;

/* At most one of these flags was given (FLAG_ID_COUNT ends them). Else says so. */
bool key_input_one_action(struct cli *cli, const enum flag_id *actions);
/* What a share is given for: -nonce; at a terminal else the status's, which is shown, so that it can be
 * compared. False: said what is missing. */
bool key_input_nonce(struct cli *cli, struct kt_json status, char *out, size_t size);

/* Shares for what is in progress at a path of sys/, "rekey/update". */
struct key_giving {
    const char *doing; /* "giving an unseal key" */
    const char *path, *nonce;
};
/* Gives them until the answer says "complete", or there are no more; *ret_complete. False: said why,
 * cli->exit_code is set. */
bool key_input_give(struct cli *cli, const struct key_giving *giving, struct kt_api_reply *reply,
                    bool *ret_complete);
