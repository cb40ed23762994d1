/* cli/cmd_lease.c - lease list, lookup, renew, revoke: what ends by itself, and ends sooner. */
#include <stdio.h>

#include "cli/cli.h"
#include "cli/cmd.h"
#include "cli/output.h"
#include "lib/duration.h"
#include "lib/jsonw.h"

#define BODY_MAX ((size_t)64 * 1024)
#define PATH_ROOM 4200u

static bool lease_path(struct cli *cli, const char *before, const char *id, char out[PATH_ROOM])
{
    int n = snprintf(out, PATH_ROOM, "%s%s", before, id);
    if (n > 0 && n < (int)PATH_ROOM)
        return true;
    cli->exit_code = cli_wrong(cli, "secretctl lease list shows those that there are", "the lease's name is too long");
    return false;
}

int cmd_lease_list(struct cli *cli)
{
    char path[PATH_ROOM];
    const char *prefix = cli->word_count > 0 ? cli->words[0] : "";
    if (!lease_path(cli, "sys/leases/lookup/", prefix, path))
        return cli->exit_code;
    return cli_list_keys(cli, "listing leases", path, "There are no leases there.", "");
}

static void print_lease(struct cli *cli, struct kt_json data)
{
    static const char *const shown[] = {"id",           "lease_id",    "path",      "issue_time", "expire_time",
                                        "last_renewal", "renewable",   "ttl",       "lease_duration"};
    static const char *const names[] = {"Key", "Value"};
    KT_AUTO(table_free) struct table table = {0};
    table_init(&table, 2, names);
    for (size_t i = 0; i < sizeof shown / sizeof shown[0]; i++) {
        struct kt_json value = {0};
        char text[OUTPUT_TIME];
        char span[KT_DURATION_TEXT];
        int64_t seconds = 0;
        if (!kt_json_member(data, shown[i], &value))
            continue;
        table_text(&table, shown[i]);
        if (strstr(shown[i], "_time") != NULL || strcmp(shown[i], "last_renewal") == 0) {
            int64_t ms = output_time_of(data, shown[i]);
            output_time(cli, ms, text);
            table_text(&table, ms == 0 ? "never" : text);
        } else if (kt_json_i64(value, &seconds)) {
            kt_duration_text(seconds < 0 ? 0 : (uint64_t)seconds * 1000, span);
            table_text(&table, span);
        } else {
            table_list(&table, value);
        }
    }
    table_print(&table, 0, &cli->out);
}

static void write_id(const struct cli *cli, struct kt_buf *body)
{
    struct kt_jsonw w = kt_jsonw(body);
    kt_jsonw_object(&w);
    kt_jsonw_kv_text(&w, "lease_id", cli->words[0]);
    if (flags_has(&cli->flags, FLAG_INCREMENT))
        kt_jsonw_kv_text(&w, "increment", flags_text(&cli->flags, FLAG_INCREMENT));
    kt_jsonw_end(&w);
}

/* PUT sys/leases/WHAT with the id in the body, as Vault's command does. */
static bool ask(struct cli *cli, const char *doing, const char *path, struct kt_api_reply *reply)
{
    kt_autobuf struct kt_buf body = {0};
    kt_buf_init(&body, BODY_MAX);
    write_id(cli, &body);
    if (!kt_buf_ok(&body)) {
        cli->exit_code = cli_wrong(cli, "secretctl lease list shows those that there are", "the lease's name is too long");
        return false;
    }
    struct cli_call call = {.doing = doing, .method = "PUT", .path = path, .body = kt_buf_bytes(&body)};
    return cli_call(cli, &call, reply) == KT_OK;
}

static int show(struct cli *cli, const char *doing, const char *path, bool renewed)
{
    int code = CLI_DONE;
    kt_autoapireply struct kt_api_reply reply;
    kt_api_reply_init(&reply);
    if (!ask(cli, doing, path, &reply))
        return cli->exit_code;
    struct kt_json object = renewed ? reply.root : reply.data;
    if (!cli_print_plain(cli, object, &reply, &code))
        print_lease(cli, object);
    return code;
}

int cmd_lease_lookup(struct cli *cli)
{
    return show(cli, "looking a lease up", "sys/leases/lookup", false);
}

int cmd_lease_renew(struct cli *cli)
{
    return show(cli, "renewing a lease", "sys/leases/renew", true);
}

/* ---- revoke ---- */

static bool send_revoke(struct cli *cli, const char *path)
{
    static const char *const bodies[] = {"{\"sync\":false}", "{\"sync\":true}"};
    kt_autoapireply struct kt_api_reply reply;
    kt_api_reply_init(&reply);
    struct cli_call call = {.doing = "revoking leases",
                            .method = "PUT",
                            .path = path,
                            .body = kt_str(bodies[flags_on(&cli->flags, FLAG_SYNC)])};
    return cli_call(cli, &call, &reply) == KT_OK;
}

int cmd_lease_revoke(struct cli *cli)
{
    char path[PATH_ROOM];
    bool prefix = flags_on(&cli->flags, FLAG_PREFIX), force = flags_on(&cli->flags, FLAG_FORCE);
    const char *id = cli->words[0];
    if (force && !prefix)
        return cli_wrong(cli, "secretctl lease revoke -prefix -force PREFIX", "-force is only for a -prefix");
    const char *before = force ? "sys/leases/revoke-force/" : prefix ? "sys/leases/revoke-prefix/" : "sys/leases/revoke/";
    if (!lease_path(cli, before, id, path) || !send_revoke(cli, path))
        return cli->exit_code;
    if (!flags_on(&cli->flags, FLAG_SYNC))
        cli_success(cli, "the revocation is under way, if there was any: %s", id);
    else if (force)
        cli_success(cli, "force revoked, if there were any, all leases below: %s", id);
    else
        cli_success(cli, "revoked, if there was any: %s", id);
    return CLI_DONE;
}
