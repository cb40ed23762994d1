/* cli/audit_source.c - see cli/audit_source.h. */
#include "cli/audit_source.h"

#include <sodium.h>
#include <stdio.h>

#include "cli/cli.h"

bool audit_source_open(struct cli *cli, struct audit_source *ret)
{
    struct kt_err err = {0};
    int64_t size = 0;
    kt_autoapireply struct kt_api_reply reply;
    kt_api_reply_init(&reply);
    struct cli_call make = {.doing = "making a checkpoint",
                            .method = "POST",
                            .path = "sys/audit-log/checkpoint",
                            .err = &err};
    enum kt_kind kind = cli_call(cli, &make, &reply);
    if (kind != KT_OK && err.kind == KT_OK)
        return false;
    if (kind == KT_DENIED || kind == KT_METHOD) {
        struct cli_call read = {.doing = "reading the last checkpoint",
                                .method = "GET",
                                .path = "sys/audit-log/checkpoint"};
        if (cli_call(cli, &read, &reply) != KT_OK)
            return false;
    } else if (kind != KT_OK) {
        cli->exit_code = cli_refused(cli, &make, &reply, &err);
        return false;
    }
    struct kt_json note = {0};
    *ret = (struct audit_source){0};
    kt_buf_init(&ret->note, KT_CHECKPOINT_NOTE_MAX);
    if (kt_json_member(reply.data, "checkpoint", &note))
        (void)kt_json_string(note, &ret->note);
    (void)kt_api_i64(reply.data, "size", &size);
    (void)kt_api_text(reply.data, "public_key", ret->public_key, sizeof ret->public_key);
    ret->size = size > 0 ? (uint64_t)size : 0;
    return true;
}

void audit_source_close(struct audit_source *log)
{
    kt_buf_free(&log->note);
}

static void range(uint64_t from, uint64_t to, char out[64])
{
    int n = snprintf(out, 64, "from=%ju", (uintmax_t)from);
    if (to != 0)
        (void)snprintf(out + n, 64 - (size_t)n, "&to=%ju", (uintmax_t)to);
}

bool audit_source_records(struct cli *cli, uint64_t from, uint64_t to, struct kt_api_reply *reply)
{
    char query[64];
    range(from, to, query);
    struct cli_call call = {.doing = "reading records",
                            .method = "GET",
                            .path = "sys/audit-log/export",
                            .query = query,
                            .raw = true};
    return cli_call(cli, &call, reply) == KT_OK;
}

bool audit_source_leaves(struct cli *cli, uint64_t from, uint64_t to, struct kt_buf *out)
{
    char query[64];
    struct kt_json leaves = {0};
    kt_autoapireply struct kt_api_reply reply;
    kt_autobuf struct kt_buf text = {0};
    kt_api_reply_init(&reply);
    range(from, to, query);
    struct cli_call call = {.doing = "reading leaf hashes",
                            .method = "GET",
                            .path = "sys/audit-log/leaves",
                            .query = query};
    if (cli_call(cli, &call, &reply) != KT_OK)
        return false;
    (void)kt_json_member(reply.data, "leaves", &leaves);
    kt_buf_init(&text, reply.http.body.len + 1);
    size_t len = 0;
    size_t room = text.max;
    unsigned char *at = kt_json_string(leaves, &text) ? kt_buf_grow(out, room) : NULL;
    if (at == NULL || sodium_base642bin(at, room, kt_buf_text(&text), text.len, NULL, &len, NULL,
                                        sodium_base64_VARIANT_ORIGINAL) != 0) {
        cli->exit_code = cli_wrong(cli, "", "the vault's leaf hashes cannot be read");
        return false;
    }
    out->len -= room - len;
    return true;
}

bool audit_source_checkpoints(struct cli *cli, struct kt_buf *out)
{
    struct kt_json notes;
    kt_autoapireply struct kt_api_reply reply;
    kt_api_reply_init(&reply);
    struct cli_call call = {
        .doing = "reading the checkpoints", .method = "GET", .path = "sys/audit-log/checkpoints"};
    if (cli_call(cli, &call, &reply) != KT_OK)
        return false;
    if (!kt_json_member(reply.data, "checkpoints", &notes) || !kt_json_string(notes, out)) {
        cli->exit_code = cli_wrong(cli, "", "the vault's checkpoints cannot be read");
        return false;
    }
    return true;
}
