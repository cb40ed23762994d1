/* cli/cmd_seals.c - operator seal-status, seal-add, seal-remove: what opens the vault besides its key shares. */
#include <stdio.h>

#include "cli/cli.h"
#include "cli/cmd.h"
#include "cli/output.h"

#define PATH_MAX_BYTES 256

/* ---- which there are ---- */

/* What mends it, by how it went when it was last tried (vaultd/core/autounseal.h). %s: the seal's name. */
static const struct {
    const char *outcome, *next;
} mends[] = {
    {"missing", "LoadCredentialEncrypted=%s:/etc/credstore.encrypted/%s in vaultd's unit, then systemctl restart vaultd"},
    {"not configured", "seal \"credential\" { name = \"%s\" } in vaultd's configuration, then systemctl restart vaultd"},
    {"changed", "put the old credential back; or secretctl operator unseal, then secretctl operator seal-add %s"},
    {"exposed", "let systemd hand it over: LoadCredentialEncrypted=%s:... in vaultd's unit"},
    {"refused", "%s opens it, but what is on the disk was not taken: journalctl -u vaultd says why and what to do"},
    {"failed", "journalctl -u vaultd says why the credential %s could not be read"},
};

static void tell_mend(struct cli *cli, const char *name, const char *outcome)
{
    for (size_t i = 0; i < sizeof mends / sizeof mends[0]; i++)
        if (strcmp(outcome, mends[i].outcome) == 0) {
            kt_autobuf struct kt_buf next = {0};
            kt_buf_init(&next, 1024);
            for (const char *at = mends[i].next; *at != '\0'; at++) {
                bool here = at[0] == '%' && at[1] == 's';
                kt_buf_printf(&next, here ? "%s" : "%.1s", here ? name : at);
                at += here;
            }
            cli_note(cli, "next   %s: %s", name, kt_buf_text(&next));
            return;
        }
}

static void copy_member(struct kt_json object, const char *name, char out[128])
{
    struct kt_json value = {0};
    out[0] = '\0';
    if (kt_json_member(object, name, &value) && value.len >= 2 && value.at[0] == '"')
        (void)snprintf(out, 128, "%.*s", (int)value.len - 2, value.at + 1);
}

static void add_row(struct cli *cli, struct table *table, struct kt_json seal)
{
    char type[128], text[128], time[OUTPUT_TIME];
    struct kt_json t = {0}, n = {0};
    copy_member(seal, "type", type);
    table_text(table, type);
    copy_member(seal, "name", text);
    if (text[0] == '\0' && kt_json_member(seal, "t", &t) && kt_json_member(seal, "n", &n))
        table_printf(table, "%.*s of %.*s keys", (int)t.len, t.at, (int)n.len, n.at);
    else
        table_text(table, text);
    int64_t made = output_time_of(seal, "made");
    output_time(cli, made, time);
    table_text(table, time);
    copy_member(seal, "last_try", text);
    table_text(table, text[0] == '\0' ? "-" : text);
    copy_member(seal, "id", text);
    table_text(table, text);
}

static void print_seals(struct cli *cli, struct kt_json status)
{
    static const char *const names[] = {"Type", "Name", "Made", "Last Try", "ID"};
    struct kt_json seals = {0};
    char by[128];
    bool sealed = true;
    KT_AUTO(table_free) struct table table = {0};
    table_init(&table, 5, names);
    if (!kt_json_member(status, "seals", &seals))
        return;
    struct kt_json_iter it = kt_json_iter(seals);
    while (kt_json_next(&it))
        add_row(cli, &table, it.value);
    table_print(&table, 0, &cli->out);
    (void)kt_api_bool(status, "sealed", &sealed);
    copy_member(status, "unsealed_by", by);
    kt_buf_printf(&cli->out, "\n%s%s\n", sealed ? "The vault is sealed." : "Unsealed by: ", sealed ? "" : by);
    it = kt_json_iter(seals);
    while (kt_json_next(&it)) {
        char name[128], outcome[128];
        copy_member(it.value, "name", name);
        copy_member(it.value, "last_try", outcome);
        if (sealed && strcmp(outcome, "opened") == 0)
            cli_note(cli, "next   %s opened it, and it was sealed since: secretctl operator unseal, or as root on its "
                          "machine with -by-credential", name);
        tell_mend(cli, name, outcome);
    }
}

int cmd_operator_seal_status(struct cli *cli)
{
    bool sealed = true;
    int code = CLI_DONE;
    kt_autoapireply struct kt_api_reply reply;
    kt_api_reply_init(&reply);
    const struct cli_call call = {.doing = "asking for the seals", .method = "GET", .path = "sys/seal-status"};
    if (cli_call(cli, &call, &reply) != KT_OK)
        return cli->exit_code;
    (void)kt_api_bool(reply.data, "sealed", &sealed);
    if (!cli_print_plain(cli, reply.data, &reply, &code))
        print_seals(cli, reply.data);
    return code != CLI_DONE ? code : sealed ? CLI_REFUSED : CLI_DONE;
}

/* ---- coming and going ---- */

int cmd_operator_seal_add(struct cli *cli)
{
    char path[PATH_MAX_BYTES];
    (void)snprintf(path, sizeof path, "sys/seals/%.200s", cli->words[0]);
    if (!cli_do(cli, "making the seal", "POST", path))
        return cli->exit_code;
    cli_success(cli, "the credential %s opens this vault when vaultd starts; key shares still do", cli->words[0]);
    return CLI_DONE;
}

int cmd_operator_seal_remove(struct cli *cli)
{
    char path[PATH_MAX_BYTES];
    (void)snprintf(path, sizeof path, "sys/seals/%.200s", cli->words[0]);
    if (!cli_do(cli, "removing the seal", "DELETE", path))
        return cli->exit_code;
    cli_success(cli, "the credential %s does not open this vault any more; key shares do", cli->words[0]);
    cli_note(cli, "note   copies of the data folder that were made before still open with it: destroy it where "
                  "they matter");
    return CLI_DONE;
}
