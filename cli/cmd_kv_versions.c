/* cli/cmd_kv_versions.c - kv delete, undelete, destroy, history, rollback, metadata: the versions
 * of a secret and what stands beside it. */
#include <stdio.h>

#include "cli/cli.h"
#include "cli/cmd.h"
#include "cli/input.h"
#include "cli/kv_place.h"
#include "cli/output.h"
#include "lib/cleanup.h"
#include "lib/jsonw.h"
#include "lib/num.h"

/* {"versions": [1, 2]} of "1,2". */
static bool write_versions(struct cli *cli, struct kt_buf *body)
{
    const char *text = flags_text(&cli->flags, FLAG_VERSIONS);
    struct kt_jsonw w = kt_jsonw(body);
    kt_jsonw_object(&w);
    kt_jsonw_key(&w, "versions");
    kt_jsonw_array(&w);
    while (text != NULL && *text != '\0') {
        uint64_t version = 0;
        size_t len = strcspn(text, ",");
        if (!kt_u64_parse(kt_bytes(text, len), INT64_MAX, &version) || version == 0) {
            cli->exit_code =
                cli_wrong(cli, "-versions=3, -versions=1,2,3", "-versions are numbers from 1 on");
            return false;
        }
        kt_jsonw_int(&w, (int64_t)version);
        text += len + (text[len] == ',' ? 1 : 0);
    }
    kt_jsonw_end(&w);
    kt_jsonw_end(&w);
    return true;
}

static int change_versions(struct cli *cli, const char *part, const char *doing, const char *done)
{
    struct kv_place place;
    char path[KV_API_PATH];
    kt_autobuf struct kt_buf body = {0};
    kt_autoapireply struct kt_api_reply reply;
    kt_buf_init(&body, 65536);
    kt_api_reply_init(&reply);
    const char *versions = flags_text(&cli->flags, FLAG_VERSIONS);
    if (versions == NULL || versions[0] == '\0')
        return cli_wrong(cli, "-versions=3; which there are: secretctl kv history PATH",
                         "which versions?");
    if (!write_versions(cli, &body) || !kv_place_find_versioned(cli, cli->words[0], &place))
        return cli->exit_code;
    kv_place_path(&place, part, path);
    struct cli_call call = {
        .doing = doing, .method = "PUT", .path = path, .body = kt_buf_bytes(&body)};
    if (cli_call(cli, &call, &reply) != KT_OK)
        return cli->exit_code;
    cli_success(cli, "%s: version %s %s", place.secret, versions, done);
    return CLI_DONE;
}

int cmd_kv_delete(struct cli *cli)
{
    struct kv_place place;
    char path[KV_API_PATH];
    if (flags_has(&cli->flags, FLAG_VERSIONS))
        return change_versions(cli, "delete", "deleting versions",
                               "deleted; kv undelete brings it back");
    if (!kv_place_find(cli, cli->words[0], &place))
        return cli->exit_code;
    kv_place_path(&place, "data", path);
    bool versioned = place.mount.version == 2;
    if (!cli_do(cli, versioned ? "deleting the current version" : "deleting the secret", "DELETE", path))
        return cli->exit_code;
    if (versioned)
        cli_success(cli, "the current version of %s is deleted; kv undelete brings it back",
                    place.secret);
    else
        cli_success(cli, "%s is deleted", place.secret);
    return CLI_DONE;
}

int cmd_kv_undelete(struct cli *cli)
{
    return change_versions(cli, "undelete", "bringing versions back", "is back");
}

int cmd_kv_destroy(struct cli *cli)
{
    return change_versions(cli, "destroy", "destroying versions", "is gone for good");
}

/* ---- history ---- */

static void history_row(struct cli *cli, struct table *table, int64_t version, int64_t current,
                        struct kt_json info)
{
    char time[OUTPUT_TIME];
    char age[OUTPUT_TIME];
    bool destroyed = false;
    int64_t ms = output_time_of(info, "created_time");
    int64_t deleted = output_time_of(info, "deletion_time");
    (void)kt_api_bool(info, "destroyed", &destroyed);
    output_time(cli, ms, time);
    output_age(cli, ms, age);
    table_printf(table, "%jd", (intmax_t)version);
    table_text(table, time);
    table_text(table, age);
    if (destroyed) {
        table_text(table, "destroyed");
    } else if (deleted != 0 && deleted <= cli->now_ms) {
        output_age(cli, deleted, age);
        table_printf(table, "deleted %s", age);
    } else {
        table_text(table, version == current ? "current" : "");
    }
}

int cmd_kv_history(struct cli *cli)
{
    struct kv_place place;
    char path[KV_API_PATH];
    int code = CLI_DONE;
    int64_t current = 0;
    int64_t oldest = 1;
    struct kt_json versions = {0};
    if (!kv_place_find_versioned(cli, cli->words[0], &place))
        return cli->exit_code;
    kt_autoapireply struct kt_api_reply reply;
    kt_api_reply_init(&reply);
    kv_place_path(&place, "metadata", path);
    struct cli_call call = {.doing = "reading the history", .method = "GET", .path = path};
    if (cli_call(cli, &call, &reply) != KT_OK)
        return cli->exit_code;
    if (cli_print_plain(cli, reply.data, &reply, &code))
        return code;
    static const char *const names[] = {"Version", "Written", "Age", "State"};
    KT_AUTO(table_free) struct table table = {0};
    table_init(&table, 4, names);
    (void)kt_json_member(reply.data, "versions", &versions);
    (void)kt_api_i64(reply.data, "current_version", &current);
    (void)kt_api_i64(reply.data, "oldest_version", &oldest);
    for (int64_t version = current; version >= oldest && version > 0; version--) {
        char number[24];
        struct kt_json info = {0};
        (void)snprintf(number, sizeof number, "%jd", (intmax_t)version);
        if (kt_json_member(versions, number, &info))
            history_row(cli, &table, version, current, info);
    }
    table_print(&table, 0, &cli->out);
    return CLI_DONE;
}

/* ---- rollback ---- */

/* A secret that a driver rotates must not get an old value: its target would not accept it. */
static bool has_driver(struct cli *cli, const struct kv_place *place)
{
    char path[KV_API_PATH];
    char target[8] = "";
    (void)snprintf(path, sizeof path, "rotation/secrets/%s", place->secret);
    kt_autoapireply struct kt_api_reply reply;
    kt_api_reply_init(&reply);
    struct cli_call call = {
        .doing = "asking for the rotation", .method = "GET", .path = path, .aside = true};
    enum kt_kind kind = cli_call(cli, &call, &reply);
    if (kind == KT_DENIED)
        cli_note(cli, "note   this token may not see whether %s is rotated by a driver",
                 place->secret);
    if (kind != KT_OK)
        return false;
    (void)kt_api_text(reply.data, "target", target, sizeof target);
    return target[0] != '\0';
}

static int copy_forward(struct cli *cli, const struct kv_place *place, struct kt_json data,
                        int64_t current, int64_t from)
{
    char path[KV_API_PATH];
    int64_t version = 0;
    int code = CLI_DONE;
    kt_autobuf struct kt_buf body = {0};
    kt_autoapireply struct kt_api_reply reply;
    kt_buf_init(&body, 2 * INPUT_ALL_MAX);
    kt_api_reply_init(&reply);
    struct kt_jsonw w = kt_jsonw(&body);
    kt_jsonw_object(&w);
    kt_jsonw_kv_raw(&w, "data", kt_json_bytes(data));
    kt_jsonw_key(&w, "options");
    kt_jsonw_object(&w);
    kt_jsonw_kv_int(&w, "cas", current);
    kt_jsonw_end(&w);
    kt_jsonw_end(&w);
    kv_place_path(place, "data", path);
    struct cli_call call = {.doing = "writing the old version again",
                            .method = "PUT",
                            .path = path,
                            .body = kt_buf_bytes(&body),
                            .secret_body = true};
    if (cli_call(cli, &call, &reply) != KT_OK)
        return cli->exit_code;
    if (cli_print_plain(cli, reply.data, &reply, &code))
        return code;
    (void)kt_api_i64(reply.data, "version", &version);
    cli_success(cli, "%s is version %jd now, with what version %jd held", place->secret,
                (intmax_t)version, (intmax_t)from);
    return CLI_DONE;
}

int cmd_kv_rollback(struct cli *cli)
{
    struct kv_place place;
    char path[KV_API_PATH];
    char query[40];
    int64_t current = 0;
    struct kt_json data = {0};
    uint64_t from = flags_number(&cli->flags, FLAG_VERSION, 0);
    if (from == 0)
        return cli_wrong(cli, "-version=N; which there are: secretctl kv history PATH",
                         "back to which version?");
    if (!kv_place_find_versioned(cli, cli->words[0], &place))
        return cli->exit_code;
    if (has_driver(cli, &place)) {
        cli_note(cli, "Error: a driver rotates %s: its target would not accept the old value",
                 place.secret);
        cli_note(cli, "next   secretctl rotate --back %s", place.secret);
        return CLI_WRONG;
    }
    kt_autoapireply struct kt_api_reply metadata;
    kt_autoapireply struct kt_api_reply old;
    kt_api_reply_init(&metadata);
    kt_api_reply_init(&old);
    kv_place_path(&place, "metadata", path);
    struct cli_call ask = {.doing = "reading the history", .method = "GET", .path = path};
    if (cli_call(cli, &ask, &metadata) != KT_OK)
        return cli->exit_code;
    (void)kt_api_i64(metadata.data, "current_version", &current);
    kv_place_path(&place, "data", path);
    (void)snprintf(query, sizeof query, "version=%ju", (uintmax_t)from);
    struct kt_err err = {0};
    struct cli_call read = {
        .doing = "reading the old version", .method = "GET", .path = path, .query = query, .err = &err};
    enum kt_kind kind = cli_call(cli, &read, &old);
    if (kind != KT_OK && cli_is_empty(&old, &err)) {
        (void)cli_wrong(cli, "", "there is no version %ju of %s, or it has no value", (uintmax_t)from, place.secret);
        cli_note(cli, "next   secretctl kv history %s", place.secret);
        return CLI_REFUSED;
    }
    if (kind != KT_OK)
        return err.kind == KT_OK ? cli->exit_code : cli_refused(cli, &read, &old, &err);
    if (!kt_json_member(old.data, "data", &data) || kt_json_type(data) != KT_JSON_OBJECT)
        return cli_wrong(cli, "secretctl kv history PATH", "version %ju has no value",
                         (uintmax_t)from);
    return copy_forward(cli, &place, data, current, (int64_t)from);
}

/* ---- metadata ---- */

static void metadata_table(struct cli *cli, struct kt_json data)
{
    static const struct {
        const char *name, *shown;
        bool time;
    } rows[] = {
        {"current_version", "current version", false},
        {"oldest_version", "oldest version", false},
        {"created_time", "created", true},
        {"updated_time", "updated", true},
        {"max_versions", "versions kept (0: the mount's)", false},
        {"cas_required", "writes must say -cas", false},
        {"delete_version_after", "versions deleted after", false},
    };
    KT_AUTO(table_free) struct table table = {0};
    static const char *const names[] = {"Key", "Value"};
    table_init(&table, 2, names);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct kt_json value = {0};
        char time[OUTPUT_TIME];
        if (!kt_json_member(data, rows[i].name, &value))
            continue;
        table_text(&table, rows[i].shown);
        output_time(cli, output_time_of(data, rows[i].name), time);
        if (rows[i].time)
            table_text(&table, time);
        else
            table_json(&table, value);
    }
    struct kt_json custom = {0};
    if (kt_json_member(data, "custom_metadata", &custom))
        table_members(&table, custom);
    table_print(&table, 0, &cli->out);
}

int cmd_kv_metadata_get(struct cli *cli)
{
    struct kv_place place;
    char path[KV_API_PATH];
    int code = CLI_DONE;
    if (!kv_place_find_versioned(cli, cli->words[0], &place))
        return cli->exit_code;
    kt_autoapireply struct kt_api_reply reply;
    kt_api_reply_init(&reply);
    kv_place_path(&place, "metadata", path);
    struct cli_call call = {.doing = "reading the metadata", .method = "GET", .path = path};
    if (cli_call(cli, &call, &reply) != KT_OK)
        return cli->exit_code;
    if (cli_print_plain(cli, reply.data, &reply, &code))
        return code;
    metadata_table(cli, reply.data);
    return CLI_DONE;
}

static int write_metadata(struct cli *cli, const char *method)
{
    struct kv_place place;
    char path[KV_API_PATH];
    struct kt_err err = {0};
    kt_autobuf struct kt_buf body = {0};
    kt_autobuf struct kt_buf custom = {0};
    kt_autoapireply struct kt_api_reply reply;
    kt_buf_init(&body, INPUT_ALL_MAX);
    kt_buf_init(&custom, INPUT_ALL_MAX);
    kt_api_reply_init(&reply);
    struct kt_jsonw w = kt_jsonw(&body);
    kt_jsonw_object(&w);
    if (flags_has(&cli->flags, FLAG_MAX_VERSIONS))
        kt_jsonw_kv_int(&w, "max_versions",
                        (int64_t)flags_number(&cli->flags, FLAG_MAX_VERSIONS, 0));
    if (flags_has(&cli->flags, FLAG_CAS_REQUIRED))
        kt_jsonw_kv_bool(&w, "cas_required", flags_on(&cli->flags, FLAG_CAS_REQUIRED));
    if (flags_has(&cli->flags, FLAG_DELETE_AFTER))
        kt_jsonw_kv_text(&w, "delete_version_after", flags_text(&cli->flags, FLAG_DELETE_AFTER));
    if (flags_has(&cli->flags, FLAG_CUSTOM)) {
        if (input_pairs(cli, FLAG_CUSTOM, &custom, &err) != KT_OK)
            return cli_fail(cli, &err);
        kt_jsonw_kv_raw(&w, "custom_metadata", kt_buf_bytes(&custom));
    }
    kt_jsonw_end(&w);
    if (!kv_place_find_versioned(cli, cli->words[0], &place))
        return cli->exit_code;
    kv_place_path(&place, "metadata", path);
    struct cli_call call = {.doing = "writing the metadata",
                            .method = method,
                            .path = path,
                            .body = kt_buf_bytes(&body)};
    if (cli_call(cli, &call, &reply) != KT_OK)
        return cli->exit_code;
    cli_success(cli, "the metadata of %s is written", place.secret);
    return CLI_DONE;
}

int cmd_kv_metadata_put(struct cli *cli)
{
    return write_metadata(cli, "PUT");
}

int cmd_kv_metadata_patch(struct cli *cli)
{
    return write_metadata(cli, "PATCH");
}

int cmd_kv_metadata_delete(struct cli *cli)
{
    struct kv_place place;
    char path[KV_API_PATH];
    if (!kv_place_find_versioned(cli, cli->words[0], &place))
        return cli->exit_code;
    if (cli->in_terminal && !flags_on(&cli->flags, FLAG_FORCE))
        return cli_wrong(cli, "if that is meant: the same again with -force",
                         "this would remove every version of %.200s for good", place.secret);
    kv_place_path(&place, "metadata", path);
    if (!cli_do(cli, "removing the secret", "DELETE", path))
        return cli->exit_code;
    cli_success(cli, "%s and all its versions are gone", place.secret);
    return CLI_DONE;
}
