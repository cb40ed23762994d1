/* cli/cmd_mount.c - secrets tune, secrets move, kv enable-versioning: changing a mount. */
#include <stdio.h>

#include "cli/cli.h"
#include "cli/cmd.h"
#include "cli/input.h"
#include "lib/cleanup.h"
#include "lib/jsonw.h"

#define MOUNT_BODY ((size_t)64 * 1024)
#define MOUNT_PATH 512u

/* "sys/mounts/team-a/tune" of "team-a/". */
static bool tune_path(struct cli *cli, const char *mount, char out[MOUNT_PATH])
{
    size_t len = strlen(mount);
    while (len > 0 && mount[len - 1] == '/')
        len--;
    int n = snprintf(out, MOUNT_PATH, "sys/mounts/%.*s/tune", (int)len, mount);
    if (len > 0 && n > 0 && n < (int)MOUNT_PATH)
        return true;
    cli->exit_code = cli_wrong(cli, "secretctl secrets list", len == 0 ? "which mount?" : "the name is too long");
    return false;
}

static int tune(struct cli *cli, const char *doing, struct kt_bytes body)
{
    char path[MOUNT_PATH];
    kt_autoapireply struct kt_api_reply reply;
    kt_api_reply_init(&reply);
    if (!tune_path(cli, cli->words[0], path))
        return cli->exit_code;
    struct cli_call call = {.doing = doing, .method = "POST", .path = path, .body = body};
    if (cli_call(cli, &call, &reply) != KT_OK)
        return cli->exit_code;
    cli_success(cli, "Tuned the secrets engine at: %s", cli->words[0]);
    return CLI_DONE;
}

/* What each flag sets. */
static const struct {
    enum flag_id flag;
    const char *field;
} settings[] = {
    {FLAG_DESCRIPTION, "description"},
    {FLAG_DEFAULT_LEASE, "default_lease_ttl"},
    {FLAG_MAX_LEASE, "max_lease_ttl"},
    {FLAG_VISIBILITY, "listing_visibility"},
};

static void write_version(struct kt_jsonw *w, uint64_t version)
{
    char text[24];
    (void)snprintf(text, sizeof text, "%ju", (uintmax_t)version);
    kt_jsonw_key(w, "options");
    kt_jsonw_object(w);
    kt_jsonw_kv_text(w, "version", text);
    kt_jsonw_end(w);
}

int cmd_secrets_tune(struct cli *cli)
{
    unsigned given = 0;
    kt_autobuf struct kt_buf body = {0};
    kt_buf_init(&body, MOUNT_BODY);
    struct kt_jsonw w = kt_jsonw(&body);
    kt_jsonw_object(&w);
    for (size_t i = 0; i < sizeof settings / sizeof settings[0]; i++) {
        if (!flags_has(&cli->flags, settings[i].flag))
            continue;
        kt_jsonw_kv_text(&w, settings[i].field, flags_text(&cli->flags, settings[i].flag));
        given++;
    }
    if (flags_has(&cli->flags, FLAG_VERSION)) {
        write_version(&w, flags_number(&cli->flags, FLAG_VERSION, 0));
        given++;
    }
    kt_jsonw_end(&w);
    if (given == 0)
        return cli_wrong(cli, "secretctl secrets tune --help; what it is now: secretctl read "
                              "sys/mounts/MOUNT/tune",
                         "nothing to change is given");
    return tune(cli, "changing the mount", kt_buf_bytes(&body));
}

int cmd_kv_enable_versioning(struct cli *cli)
{
    kt_autobuf struct kt_buf body = {0};
    kt_buf_init(&body, MOUNT_BODY);
    struct kt_jsonw w = kt_jsonw(&body);
    kt_jsonw_object(&w);
    write_version(&w, 2);
    kt_jsonw_end(&w);
    return tune(cli, "enabling versions", kt_buf_bytes(&body));
}

int cmd_secrets_move(struct cli *cli)
{
    kt_autobuf struct kt_buf body = {0};
    kt_autoapireply struct kt_api_reply reply;
    kt_buf_init(&body, MOUNT_BODY);
    kt_api_reply_init(&reply);
    struct kt_jsonw w = kt_jsonw(&body);
    kt_jsonw_object(&w);
    kt_jsonw_kv_text(&w, "from", cli->words[0]);
    kt_jsonw_kv_text(&w, "to", cli->words[1]);
    kt_jsonw_end(&w);
    struct cli_call call = {.doing = "moving the mount",
                            .method = "POST",
                            .path = "sys/remount",
                            .body = kt_buf_bytes(&body)};
    if (cli_call(cli, &call, &reply) != KT_OK)
        return cli->exit_code;
    cli_success(cli, "Moved the secrets engine at %s to: %s", cli->words[0], cli->words[1]);
    return CLI_DONE;
}
