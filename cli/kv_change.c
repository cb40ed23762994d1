/* cli/kv_change.c - see cli/kv_change.h. */
#include "cli/kv_change.h"

#include <stdio.h>

#include "cli/cli.h"
#include "cli/input.h"

#define KEYS_SHOWN 2048u /* bytes of their names */

static bool has_member(struct kt_json object, struct kt_json key)
{
    kt_autobuf struct kt_buf name = {0};
    struct kt_json found = {0};
    kt_buf_init(&name, INPUT_ALL_MAX);
    return kt_json_string(key, &name) && kt_json_member(object, kt_buf_text(&name), &found);
}

/* An object with the keys that are there now: of a mount without versions it has the values, too. */
static bool ask_keys(struct cli *cli, const struct kv_place *place, const char *query,
                     struct kt_api_reply *reply, struct kt_json *ret)
{
    char path[KV_API_PATH];
    bool versioned = place->mount.version == 2;
    kv_place_path(place, "subkeys", path);
    struct cli_call call = {.doing = "looking at the keys",
                            .method = "GET",
                            .path = path,
                            .query = versioned ? query : NULL,
                            .aside = true};
    if (cli_call(cli, &call, reply) != KT_OK)
        return false;
    if (versioned)
        return kt_json_member(reply->data, "subkeys", ret) && kt_json_type(*ret) == KT_JSON_OBJECT;
    *ret = reply->data;
    return kt_json_type(*ret) == KT_JSON_OBJECT;
}

static void list_missing(struct kt_json before, struct kt_json after, struct kt_buf *names)
{
    struct kt_json_iter it = kt_json_iter(before);
    while (kt_json_next(&it)) {
        if (has_member(after, it.key))
            continue;
        if (names->len > 0)
            kt_buf_add_text(names, ", ");
        (void)kt_json_string(it.key, names);
    }
}

bool kv_change_may_drop(struct cli *cli, const struct kv_place *place, struct kt_json data)
{
    struct kt_json keys = {0};
    kt_autoapireply struct kt_api_reply reply;
    kt_autobuf struct kt_buf gone = {0};
    kt_api_reply_init(&reply);
    kt_buf_init(&gone, KEYS_SHOWN);
    if (!ask_keys(cli, place, "depth=1", &reply, &keys))
        return true;
    list_missing(keys, data, &gone);
    if (gone.len == 0)
        return true;
    const char *names = kt_buf_ok(&gone) ? kt_buf_text(&gone) : "many";
    bool versioned = place->mount.version == 2;
    if (!cli->in_terminal || flags_on(&cli->flags, FLAG_REPLACE)) {
        cli_note(cli, "note   no longer in %s: %s%s", place->secret, names,
                 versioned ? "" : "   (a mount of version 1 keeps no old values)");
        return true;
    }
    cli_note(cli, "Error: this would drop from %s: %s", place->secret, names);
    if (versioned)
        cli_note(cli, "next   only change what is given: secretctl kv patch %s ...", place->secret);
    cli_note(cli, "%s   drop them: the same again with --replace", versioned ? "    " : "next");
    cli->exit_code = CLI_WRONG;
    return false;
}

/* Nobody is told of a way back that is closed to him. */
static bool may(struct cli *cli, const struct kv_place *place, const char *first, const char *second)
{
    char path[KV_API_PATH];
    const char *const paths[] = {path};
    kt_autoapireply struct kt_api_reply reply;
    kt_api_reply_init(&reply);
    kv_place_path(place, "data", path);
    return cli_capabilities(cli, paths, 1, &reply) && cli_has_capability(&reply, path, first) &&
           cli_has_capability(&reply, path, second);
}

void kv_change_tell_undo(struct cli *cli, const struct kv_place *place, int64_t version)
{
    char query[48];
    struct kt_json keys = {0};
    kt_autoapireply struct kt_api_reply reply;
    kt_api_reply_init(&reply);
    if (version == 1) {
        if (may(cli, place, "delete", "delete"))
            cli_note(cli, "undo   secretctl kv delete %s", place->secret);
        return;
    }
    /* The one before may be deleted, destroyed, or pushed out; or none of this token's business. */
    (void)snprintf(query, sizeof query, "version=%jd&depth=1", (intmax_t)version - 1);
    if (ask_keys(cli, place, query, &reply, &keys) &&
        may(cli, place, "read", "update")) /* a rollback reads the old value and writes it */
        cli_note(cli, "undo   secretctl kv rollback -version=%jd %s", (intmax_t)version - 1,
                 place->secret);
}
