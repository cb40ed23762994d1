/* cli/walk_all.c - walk_from_all(): see cli/walk.h. */
#include <stdio.h>

#include "cli/cli.h"
#include "cli/walk.h"

static bool add_mount(struct walk *walk, struct kt_json name, struct kt_json info)
{
    struct kt_api_mount mount = {.version = 1};
    struct kt_json options = {0};
    char version[8] = "";
    kt_autobuf struct kt_buf path = {0};
    kt_buf_init(&path, sizeof mount.path - 1);
    (void)kt_api_text(info, "type", mount.type, sizeof mount.type);
    if (strcmp(mount.type, "kv") != 0)
        return true;
    if (!kt_json_string(name, &path))
        return false;
    (void)snprintf(mount.path, sizeof mount.path, "%s", kt_buf_text(&path));
    if (kt_json_member(info, "options", &options) &&
        kt_api_text(options, "version", version, sizeof version) && strcmp(version, "2") == 0)
        mount.version = 2;
    return walk_from(walk, &mount, "");
}

bool walk_from_all(struct walk *walk, struct cli *cli)
{
    struct kt_json mounts = {0};
    kt_autoapireply struct kt_api_reply reply;
    kt_api_reply_init(&reply);
    struct cli_call call = {
        .doing = "looking for the mounts", .method = "GET", .path = "sys/internal/ui/mounts"};
    if (cli_call(cli, &call, &reply) != KT_OK)
        return false;
    (void)kt_json_member(reply.data, "secret", &mounts);
    bool ok = true;
    struct kt_json_iter it = kt_json_iter(mounts);
    while (ok && kt_json_next(&it))
        ok = add_mount(walk, it.key, it.value);
    if (!ok)
        cli->exit_code = cli_wrong(cli, "", "not enough memory");
    return ok;
}
