/* cli/key_status.h - how far it is what the holders of unseal keys do together: a rekey, a root token.
 *
 * What:    Asks the vault for its status, and shows it as a table of the members that a command names.
 * Owner:   a struct key_status is the command's, constant.
 * Threads: one thread. */
#pragma once

#include "cli/cli.h"

struct key_status_row {
    const char *name, *called; /* the status's member, and what people call it */
};
struct key_status {
    const char *asking; /* "asking how far the rekey is" */
    const char *path;   /* where its status is */
    const struct key_status_row *rows;
    size_t n_rows;
    bool blanks; /* what is an empty text is shown, too */
};

/* KT_OK, or: said what failed, as cli_call() does. */
enum kt_kind key_status_ask(struct cli *cli, const struct key_status *shown,
                            struct kt_api_reply *reply) KT_MUST_CHECK;
void key_status_print(struct cli *cli, const struct key_status *shown, struct kt_json status);
/* All of -status; returns the exit code. */
int key_status_tell(struct cli *cli, const struct key_status *shown);
