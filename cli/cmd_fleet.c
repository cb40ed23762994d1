/* cli/cmd_fleet.c - agent list, consumer list: who runs which version where. */
#include <stdio.h>

#include "cli/cli.h"
#include "cli/cmd.h"
#include "cli/output.h"
#include "cli/secret_path.h"
#include "lib/cleanup.h"
#include "lib/jsonw.h"

#define PATH_MAX_LEN 512
#define TEXT_MAX     ((size_t)256 * 1024 * 1024)

/* LIST of something that may be empty. False: all was said; *ret_code is the exit code. */
static bool list(struct cli *cli, const char *doing, const char *path, const char *nothing,
                 const char *json, struct kt_api_reply *reply, int *ret_code)
{
    struct kt_err err = {0};
    struct cli_call call = {.doing = doing, .method = "LIST", .path = path, .err = &err};
    if (cli_call(cli, &call, reply) == KT_OK)
        return true;
    if (cli_is_empty(reply, &err)) {
        cli_note(cli, "%s", nothing);
        if (cli->format == CLI_JSON)
            kt_buf_printf(&cli->out, "%s\n", json);
        *ret_code = CLI_DONE;
        return false;
    }
    *ret_code = err.kind == KT_OK ? cli->exit_code : cli_refused(cli, &call, reply, &err);
    return false;
}

int cmd_agent_list(struct cli *cli)
{
    static const char *const names[] = {"Host", "State", "Last seen", "", "Consumers"};
    int code = CLI_DONE;
    struct kt_json keys = {0};
    struct kt_json all = {0};
    kt_autoapireply struct kt_api_reply reply;
    kt_api_reply_init(&reply);
    if (!list(cli, "listing the agents", "fleet/agents", "no agent has reported yet", "{}", &reply,
              &code) ||
        cli_print_plain(cli, reply.data, &reply, &code))
        return code;
    (void)kt_json_member(reply.data, "keys", &keys);
    (void)kt_json_member(reply.data, "key_info", &all);
    KT_AUTO(table_free) struct table table = {0};
    table_init(&table, 5, names);
    struct kt_json_iter it = kt_json_iter(keys);
    while (kt_json_next(&it)) {
        char text[256];
        char time[OUTPUT_TIME];
        struct kt_json info = {0};
        struct kt_json count = {0};
        kt_autobuf struct kt_buf host = {0};
        kt_buf_init(&host, 4096);
        (void)kt_json_string(it.value, &host);
        (void)kt_json_member(all, kt_buf_text(&host), &info);
        table_json(&table, it.value);
        (void)kt_api_text(info, "state", text, sizeof text);
        table_text(&table, text);
        int64_t seen = output_time_of(info, "last_seen");
        output_time(cli, seen, time);
        table_text(&table, time);
        output_age(cli, seen, time);
        table_text(&table, seen != 0 ? time : "");
        (void)kt_json_member(info, "consumers", &count);
        if (kt_json_type(count) == KT_JSON_ARRAY)
            table_printf(&table, "%zu", kt_json_count(count));
        else
            table_json(&table, count);
    }
    table_print(&table, 0, &cli->out);
    return CLI_DONE;
}

/* ---- consumers ---- */

/* The services of an answer stand in a list "services" or "consumers", or in "keys" and "key_info".
 * */
static void service_rows(struct cli *cli, struct table *table, const char *host, const char *secret,
                         struct kt_json data)
{
    static const char *const lists[] = {"services", "consumers"};
    struct kt_json services = {0};
    for (size_t i = 0; i < 2 && kt_json_type(services) == KT_JSON_NONE; i++)
        (void)kt_json_member(data, lists[i], &services);
    struct kt_json_iter it = kt_json_iter(services);
    while (kt_json_next(&it)) {
        static const char *const members[] = {"service", "version", "state"};
        char age[OUTPUT_TIME];
        table_text(table, host);
        table_text(table, secret);
        if (it.object)
            table_json(table, it.key);
        for (size_t i = it.object ? 1 : 0; i < 3; i++) {
            struct kt_json value = {0};
            (void)kt_json_member(it.value, members[i], &value);
            table_json(table, value);
        }
        int64_t at = output_time_of(it.value, "at");
        output_age(cli, at, age);
        table_text(table, at != 0 ? age : "-");
        struct kt_json detail = {0};
        (void)kt_json_member(it.value, "detail", &detail);
        table_json(table, detail);
    }
}

/* What "consumer list" collects: rows, or a list of {host, secret, consumers}. */
struct consumers {
    struct table table;
    struct kt_buf text;
    struct kt_jsonw json;
};

static void consumers_free(struct consumers *all)
{
    table_free(&all->table);
    kt_buf_free(&all->text);
}

static bool services_path(struct cli *cli, const char *host, const char *secret,
                          char path[SECRET_API_PATH])
{
    kt_autobuf struct kt_buf prefix = {0};
    kt_buf_init(&prefix, PATH_MAX_LEN);
    kt_buf_printf(&prefix, "fleet/consumers/%s/", host);
    if (kt_buf_ok(&prefix))
        return secret_path(cli, kt_buf_text(&prefix), secret, path);
    cli->exit_code = cli_wrong(cli, "secretctl agent list", "the host's name is too long");
    return false;
}

static bool read_services(struct cli *cli, struct consumers *all, const char *host,
                          const char *secret)
{
    char path[SECRET_API_PATH];
    kt_autoapireply struct kt_api_reply reply;
    kt_api_reply_init(&reply);
    if (!services_path(cli, host, secret, path))
        return false;
    struct cli_call call = {.doing = "reading the consumers", .method = "GET", .path = path};
    if (cli_call(cli, &call, &reply) != KT_OK)
        return false;
    if (cli->format == CLI_TABLE) {
        service_rows(cli, &all->table, host, secret, reply.data);
        return true;
    }
    kt_jsonw_object(&all->json);
    kt_jsonw_kv_text(&all->json, "host", host);
    kt_jsonw_kv_text(&all->json, "secret", secret);
    kt_jsonw_kv_raw(&all->json, "consumers", kt_json_bytes(reply.data));
    kt_jsonw_end(&all->json);
    return true;
}

/* The secrets of one host. */
static bool host_rows(struct cli *cli, struct consumers *all, const char *host, int *ret_code)
{
    char path[PATH_MAX_LEN];
    struct kt_json keys = {0};
    kt_autoapireply struct kt_api_reply reply;
    kt_api_reply_init(&reply);
    (void)snprintf(path, sizeof path, "fleet/consumers/%.400s", host);
    if (!list(cli, "listing the consumers", path, "this host has no consumers", "[]", &reply,
              ret_code))
        return false;
    (void)kt_json_member(reply.data, "keys", &keys);
    struct kt_json_iter it = kt_json_iter(keys);
    while (kt_json_next(&it)) {
        kt_autobuf struct kt_buf secret = {0};
        kt_buf_init(&secret, 4096);
        (void)kt_json_string(it.value, &secret);
        if (!read_services(cli, all, host, kt_buf_text(&secret))) {
            *ret_code = cli->exit_code;
            return false;
        }
    }
    return true;
}

static bool all_rows(struct cli *cli, struct consumers *all, int *ret_code)
{
    struct kt_json keys = {0};
    kt_autoapireply struct kt_api_reply reply;
    kt_api_reply_init(&reply);
    if (!list(cli, "listing the agents", "fleet/agents", "no agent has reported yet", "[]", &reply,
              ret_code))
        return false;
    (void)kt_json_member(reply.data, "keys", &keys);
    struct kt_json_iter it = kt_json_iter(keys);
    while (kt_json_next(&it)) {
        kt_autobuf struct kt_buf host = {0};
        kt_buf_init(&host, 4096);
        (void)kt_json_string(it.value, &host);
        if (!host_rows(cli, all, kt_buf_text(&host), ret_code))
            return false;
    }
    return true;
}

static int print_consumers(struct cli *cli, struct consumers *all)
{
    if (cli->format == CLI_TABLE) {
        table_print(&all->table, 0, &cli->out);
        return CLI_DONE;
    }
    kt_jsonw_end(&all->json);
    if (!kt_buf_ok(&all->text))
        return cli_wrong(cli, "name a host", "the consumers are too many");
    output_json(&cli->out, kt_json_value(kt_buf_bytes(&all->text)));
    return CLI_DONE;
}

int cmd_consumer_list(struct cli *cli)
{
    static const char *const names[] = {"Host",  "Secret", "Service", "Version",
                                        "State", "Since",  "Detail"};
    int code = CLI_DONE;
    bool good = false;
    KT_AUTO(consumers_free) struct consumers all = {0};
    table_init(&all.table, 7, names);
    kt_buf_init(&all.text, TEXT_MAX);
    all.json = kt_jsonw(&all.text);
    kt_jsonw_array(&all.json);
    if (cli->word_count == 0)
        good = all_rows(cli, &all, &code);
    else if (cli->word_count == 1)
        good = host_rows(cli, &all, cli->words[0], &code);
    else if (!(good = read_services(cli, &all, cli->words[0], cli->words[1])))
        code = cli->exit_code;
    return good ? print_consumers(cli, &all) : code;
}
