/* cli/audit_source.h - the vault's audit log as its API gives it out.
 *
 * Errors:  false: it was said what failed; cli->exit_code is set.
 * Threads: one thread. */
#pragma once

#include "lib/api.h"
#include "lib/checkpoint.h"

struct cli;

struct audit_source {
    uint64_t size; /* records that the newest checkpoint covers */
    char public_key[KT_NOTE_KEY_TEXT];
    struct kt_buf note; /* that checkpoint */
};
/* Has a checkpoint of everything so far made; with a token that may not, takes the last one. */
bool audit_source_open(struct cli *cli, struct audit_source *ret);
void audit_source_close(struct audit_source *log);
/* Records from on, up to to (0: as far as there are) or 8 MiB: reply->http.body, a line each. */
bool audit_source_records(struct cli *cli, uint64_t from, uint64_t to, struct kt_api_reply *reply);
/* At most 100,000 leaf hashes, decoded into out. */
bool audit_source_leaves(struct cli *cli, uint64_t from, uint64_t to, struct kt_buf *out);
/* All signed notes, one after the other. */
bool audit_source_checkpoints(struct cli *cli, struct kt_buf *out);
