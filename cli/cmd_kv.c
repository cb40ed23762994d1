/* cli/cmd_kv.c - kv get, put, patch: the secrets themselves. */
#include <stdio.h>

#include "cli/cli.h"
#include "cli/cmd.h"
#include "cli/input.h"
#include "cli/kv_change.h"
#include "cli/kv_place.h"
#include "cli/output.h"
#include "lib/cleanup.h"
#include "lib/jsonw.h"

/* ---- get ---- */

static void print_heading(struct cli *cli, const struct kv_place *place, struct kt_json metadata)
{
    char time[OUTPUT_TIME];
    char age[OUTPUT_TIME];
    int64_t version = 0;
    int64_t ms = output_time_of(metadata, "created_time");
    (void)kt_api_i64(metadata, "version", &version);
    output_time(cli, ms, time);
    output_age(cli, ms, age);
    output_safe(&cli->out, kt_str(place->secret));
    kt_buf_printf(&cli->out, "   version %jd, written %s (%s)\n", (intmax_t)version, time, age);
}

static int tell_deleted(struct cli *cli, const struct kv_place *place, struct kt_json metadata)
{
    char time[OUTPUT_TIME];
    int64_t version = 0;
    bool destroyed = false;
    (void)kt_api_i64(metadata, "version", &version);
    (void)kt_api_bool(metadata, "destroyed", &destroyed);
    output_time(cli, output_time_of(metadata, "deletion_time"), time);
    if (destroyed) {
        cli_note(cli, "Error: version %jd of %s was destroyed: its value is gone for good",
                 (intmax_t)version, place->secret);
        cli_note(cli, "next   secretctl kv history %s", place->secret);
    } else {
        cli_note(cli, "Error: version %jd of %s was deleted at %s", (intmax_t)version,
                 place->secret, time);
        cli_note(cli, "next   secretctl kv undelete -versions=%jd %s", (intmax_t)version,
                 place->secret);
    }
    return CLI_REFUSED;
}

static int get_failed(struct cli *cli, const struct kv_place *place, const struct cli_call *call,
                      const struct kt_api_reply *reply, const struct kt_err *err)
{
    struct kt_json metadata = {0};
    if (err->kind == KT_OK)
        return cli->exit_code;
    if (err->kind == KT_NOT_FOUND && kt_json_member(reply->data, "metadata", &metadata))
        return tell_deleted(cli, place, metadata);
    if (cli_is_empty(reply, err) && call->query[0] != '\0') {
        cli_note(cli, "Error: there is no version %ju of %s",
                 (uintmax_t)flags_number(&cli->flags, FLAG_VERSION, 0), place->secret);
        cli_note(cli, "next   secretctl kv history %s", place->secret);
        return CLI_REFUSED;
    }
    if (cli_is_empty(reply, err)) {
        cli_note(cli, "Error: there is no %s", place->secret);
        cli_note(cli, "next   secretctl kv list %s", place->mount.path);
        return CLI_REFUSED;
    }
    return cli_refused(cli, call, reply, err);
}

static int print_secret(struct cli *cli, const struct kv_place *place,
                        const struct kt_api_reply *reply)
{
    struct kt_json data = {0};
    struct kt_json metadata = {0};
    struct kt_json found = {0};
    int code = CLI_DONE;
    bool versioned = place->mount.version == 2;
    if (versioned)
        (void)(kt_json_member(reply->data, "data", &data) &&
               kt_json_member(reply->data, "metadata", &metadata));
    else
        data = reply->data;
    const char *field = flags_text(&cli->flags, FLAG_FIELD);
    bool of_metadata = field != NULL && !kt_json_member(data, field, &found) &&
                       kt_json_member(metadata, field, &found);
    if (cli_print_plain(cli, of_metadata ? metadata : data, reply, &code))
        return code;
    if (versioned)
        print_heading(cli, place, metadata);
    static const char *const names[] = {"Key", "Value"};
    KT_AUTO(table_free) struct table table = {0};
    table_init(&table, 2, names);
    table_members(&table, data);
    if (versioned)
        kt_buf_add_char(&cli->out, '\n');
    table_print(&table, 0, &cli->out);
    return CLI_DONE;
}

int cmd_kv_get(struct cli *cli)
{
    struct kv_place place;
    char path[KV_API_PATH];
    char query[40] = "";
    struct kt_err err = {0};
    bool number = flags_has(&cli->flags, FLAG_VERSION);
    if (!(number ? kv_place_find_versioned : kv_place_find)(cli, cli->words[0], &place))
        return cli->exit_code;
    kv_place_path(&place, "data", path);
    if (number)
        (void)snprintf(query, sizeof query, "version=%ju",
                       (uintmax_t)flags_number(&cli->flags, FLAG_VERSION, 0));
    kt_autoapireply struct kt_api_reply reply;
    kt_api_reply_init(&reply);
    struct cli_call call = {.doing = "reading the secret",
                            .method = "GET",
                            .path = path,
                            .query = query,
                            .wraps = true,
                            .err = &err};
    int code = CLI_DONE;
    if (cli_call(cli, &call, &reply) != KT_OK)
        return get_failed(cli, &place, &call, &reply, &err);
    if (cli_print_wrapped(cli, &reply, &code))
        return code;
    return print_secret(cli, &place, &reply);
}

/* ---- put ---- */

static void write_body(struct cli *cli, const struct kv_place *place, struct kt_bytes data,
                       struct kt_buf *body)
{
    if (place->mount.version != 2) {
        kt_buf_add_bytes(body, data);
        return;
    }
    struct kt_jsonw w = kt_jsonw(body);
    kt_jsonw_object(&w);
    kt_jsonw_kv_raw(&w, "data", data);
    kt_jsonw_key(&w, "options");
    kt_jsonw_object(&w);
    if (flags_has(&cli->flags, FLAG_CAS))
        kt_jsonw_kv_int(&w, "cas", (int64_t)flags_number(&cli->flags, FLAG_CAS, 0));
    kt_jsonw_end(&w);
    kt_jsonw_end(&w);
}

static int write_secret(struct cli *cli, const struct kv_place *place, const char *method,
                        struct kt_bytes data)
{
    char path[KV_API_PATH];
    int code = CLI_DONE;
    int64_t version = 0;
    kt_autobuf struct kt_buf body = {0};
    kt_autoapireply struct kt_api_reply reply;
    kt_buf_init(&body, 2 * INPUT_ALL_MAX);
    kt_api_reply_init(&reply);
    kv_place_path(place, "data", path);
    write_body(cli, place, data, &body);
    struct cli_call call = {.doing = "writing the secret",
                            .method = method,
                            .path = path,
                            .body = kt_buf_bytes(&body),
                            .secret_body = true};
    if (cli_call(cli, &call, &reply) != KT_OK)
        return cli->exit_code;
    if (cli_print_plain(cli, reply.data, &reply, &code))
        return code;
    if (!kt_api_i64(reply.data, "version", &version)) {
        cli_success(cli, "%s is written", place->secret);
        return CLI_DONE;
    }
    cli_success(cli, "%s is version %jd now", place->secret, (intmax_t)version);
    if (cli->format == CLI_TABLE)
        kv_change_tell_undo(cli, place, version);
    return CLI_DONE;
}

int cmd_kv_put(struct cli *cli)
{
    struct kv_place place;
    struct kt_err err = {0};
    kt_autobuf struct kt_buf data = {0};
    char line[KT_API_PATH_MAX + 16];
    kt_buf_init(&data, INPUT_ALL_MAX * 2);
    (void)snprintf(line, sizeof line, "kv put %.*s", (int)KT_API_PATH_MAX - 1, cli->words[0]);
    if (input_secrets(cli, cli->words + 1, cli->word_count - 1, &(struct input_of){line, NULL}, &data, &err) != KT_OK)
        return cli_fail(cli, &err);
    bool cas = flags_has(&cli->flags, FLAG_CAS);
    if (!(cas ? kv_place_find_versioned : kv_place_find)(cli, cli->words[0], &place))
        return cli->exit_code;
    if (!flags_on(&cli->flags, FLAG_CURL) &&
        !kv_change_may_drop(cli, &place, kt_json_value(kt_buf_bytes(&data))))
        return cli->exit_code;
    return write_secret(cli, &place, "PUT", kt_buf_bytes(&data));
}

/* ---- patch ---- */

/* {"a": ...} and -remove-data=b become {"a": ..., "b": null}. */
static void add_removals(struct cli *cli, struct kt_bytes data, struct kt_buf *ret)
{
    size_t at = 0;
    struct kt_jsonw w = kt_jsonw(ret);
    kt_jsonw_object(&w);
    struct kt_json_iter it = kt_json_iter(kt_json_value(data));
    while (kt_json_next(&it)) {
        kt_autobuf struct kt_buf key = {0};
        kt_buf_init(&key, INPUT_ALL_MAX);
        (void)kt_json_string(it.key, &key);
        kt_jsonw_key_bytes(&w, kt_buf_bytes(&key));
        kt_jsonw_raw(&w, kt_json_bytes(it.value));
    }
    for (;;) {
        const char *key = flags_next(&cli->flags, FLAG_REMOVE, &at);
        if (key == NULL)
            break;
        kt_jsonw_kv_null(&w, key);
    }
    kt_jsonw_end(&w);
}

int cmd_kv_patch(struct cli *cli)
{
    struct kv_place place;
    struct kt_err err = {0};
    kt_autobuf struct kt_buf data = {0};
    kt_autobuf struct kt_buf patch = {0};
    char line[KT_API_PATH_MAX + 16];
    kt_buf_init(&data, INPUT_ALL_MAX * 2);
    kt_buf_init(&patch, INPUT_ALL_MAX * 2);
    if (cli->word_count == 1 && !flags_has(&cli->flags, FLAG_REMOVE))
        return cli_wrong(cli, "secretctl kv patch PATH key=@FILE, or -remove-data=KEY",
                         "nothing to change is given");
    (void)snprintf(line, sizeof line, "kv patch %.*s", (int)KT_API_PATH_MAX - 1, cli->words[0]);
    if (input_secrets(cli, cli->words + 1, cli->word_count - 1, &(struct input_of){line, NULL}, &data, &err) != KT_OK)
        return cli_fail(cli, &err);
    add_removals(cli, kt_buf_bytes(&data), &patch);
    if (!kt_buf_ok(&patch))
        return cli_wrong(cli, "", "the values are too large");
    if (!kv_place_find_versioned(cli, cli->words[0], &place))
        return cli->exit_code;
    return write_secret(cli, &place, "PATCH", kt_buf_bytes(&patch));
}
