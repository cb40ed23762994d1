/* cli/cmd_quarantine.c - consumer quarantine, release, quarantined: services that keep rotations from
 * ending well, and those that no rotation waits for. */
#include <stdio.h>

#include "cli/cli.h"
#include "cli/cmd.h"
#include "cli/output.h"
#include "cli/secret_path.h"
#include "lib/http_client.h"
#include "lib/jsonw.h"
#include "lib/shell_word.h"

#define NAME_MOST 512
#define BODY_MAX  ((size_t)8 * 1024)
#define TEXT_MAX  1600

struct who {
    char service[NAME_MOST], host[NAME_MOST];
    char path[SECRET_API_PATH];
};

/* SERVICE@HOST SECRET, as runs and reports show them. A host has no '@', a service may have one. */
static bool find_who(struct cli *cli, struct who *ret)
{
    const char *name = cli->words[0];
    const char *at = strrchr(name, '@');
    size_t service = at == NULL ? 0 : (size_t)(at - name);
    kt_autobuf struct kt_buf prefix = {0};
    kt_buf_init(&prefix, BODY_MAX);
    if (service == 0 || at[1] == '\0' || service >= NAME_MOST || strlen(at + 1) >= NAME_MOST) {
        cli->exit_code = cli_wrong(cli, "as secretctl run show names it: orders-api@h1",
                                   "'%s' is no SERVICE@HOST", name);
        return false;
    }
    (void)snprintf(ret->service, sizeof ret->service, "%.*s", (int)service, name);
    (void)snprintf(ret->host, sizeof ret->host, "%s", at + 1);
    kt_buf_printf(&prefix, "rotation/quarantine/%s/", ret->host);
    return kt_buf_ok(&prefix) && secret_path(cli, kt_buf_text(&prefix), cli->words[1], ret->path);
}

static void add_text(struct cli *cli, struct kt_json data, const char *name)
{
    char text[TEXT_MAX] = "";
    (void)kt_api_text(data, name, text, sizeof text);
    output_safe(&cli->out, kt_str(text));
}

static void add_who(struct cli *cli, struct kt_json data)
{
    add_text(cli, data, "service");
    kt_buf_add_char(&cli->out, '@');
    add_text(cli, data, "host");
    kt_buf_add_char(&cli->out, ' ');
    add_text(cli, data, "secret");
}

/* For a command line. */
static void add_who_words(struct cli *cli, struct kt_json data)
{
    char service[TEXT_MAX] = "", host[TEXT_MAX] = "", secret[TEXT_MAX] = "";
    char who[sizeof service + sizeof host];
    (void)kt_api_text(data, "service", service, sizeof service);
    (void)kt_api_text(data, "host", host, sizeof host);
    (void)kt_api_text(data, "secret", secret, sizeof secret);
    (void)snprintf(who, sizeof who, "%s@%s", service, host);
    kt_add_shell_word(&cli->out, who);
    kt_buf_add_char(&cli->out, ' ');
    kt_add_shell_word(&cli->out, secret);
}

int cmd_consumer_quarantine(struct cli *cli)
{
    struct who who;
    int code = CLI_DONE;
    const char *reason = flags_text(&cli->flags, FLAG_REASON);
    kt_autobuf struct kt_buf body = {0};
    kt_autoapireply struct kt_api_reply reply;
    kt_buf_init(&body, BODY_MAX);
    kt_api_reply_init(&reply);
    if (reason == NULL || reason[0] == '\0')
        return cli_wrong(cli, "-reason=TEXT", "who finds it cut off wants to know why");
    if (!find_who(cli, &who))
        return cli->exit_code;
    struct kt_jsonw w = kt_jsonw(&body);
    kt_jsonw_object(&w);
    kt_jsonw_kv_text(&w, "service", who.service);
    kt_jsonw_kv_text(&w, "reason", reason);
    kt_jsonw_end(&w);
    if (!kt_buf_ok(&body))
        return cli_wrong(cli, "", "the reason is too long");
    struct cli_call call = {.doing = "putting a consumer aside",
                            .method = "POST",
                            .path = who.path,
                            .body = kt_buf_bytes(&body)};
    if (cli_call(cli, &call, &reply) != KT_OK)
        return cli->exit_code;
    if (cli_print_plain(cli, reply.data, &reply, &code))
        return code;
    kt_buf_add_text(&cli->out, "PUT ASIDE  ");
    add_who(cli, reply.data);
    kt_buf_add_text(&cli->out, ": no rotation of it waits for this service\n"
                               "hurt    the service itself, once a rotation ends the credential that it runs\n"
                               "next    mend it, then: secretctl consumer release ");
    add_who_words(cli, reply.data);
    kt_buf_add_char(&cli->out, '\n');
    return CLI_DONE;
}

int cmd_consumer_release(struct cli *cli)
{
    struct who who;
    int code = CLI_DONE;
    kt_autobuf struct kt_buf query = {0};
    kt_autoapireply struct kt_api_reply reply;
    kt_buf_init(&query, BODY_MAX);
    kt_api_reply_init(&reply);
    if (!find_who(cli, &who))
        return cli->exit_code;
    kt_buf_add_text(&query, "service=");
    kt_url_escape(&query, kt_str(who.service), false);
    if (!kt_buf_ok(&query))
        return cli_wrong(cli, "", "the service's name is too long");
    struct cli_call call = {.doing = "releasing a consumer",
                            .method = "DELETE",
                            .path = who.path,
                            .query = kt_buf_text(&query)};
    if (cli_call(cli, &call, &reply) != KT_OK)
        return cli->exit_code;
    if (cli_print_plain(cli, reply.data, &reply, &code))
        return code;
    kt_buf_add_text(&cli->out, "RELEASED  ");
    add_who(cli, reply.data);
    kt_buf_add_text(&cli->out, ": rotations wait for it again\n");
    return CLI_DONE;
}

static void add_row(struct cli *cli, struct table *table, struct kt_json row)
{
    static const char *const members[] = {"service", "host", "secret", "vetoes", "why"};
    char text[TEXT_MAX] = "";
    char time[OUTPUT_TIME];
    for (size_t i = 0; i < sizeof members / sizeof members[0]; i++) {
        struct kt_json value = {0};
        (void)kt_json_member(row, members[i], &value);
        table_json(table, value);
    }
    int64_t since = output_time_of(row, "since");
    output_time(cli, since, time);
    table_text(table, since == 0 ? "no" : time);
    for (size_t i = 0; i < 2; i++) {
        (void)kt_api_text(row, i == 0 ? "by" : "reason", text, sizeof text);
        table_text(table, text);
    }
}

int cmd_consumer_quarantined(struct cli *cli)
{
    static const char *const names[] = {"Service", "Host",       "Secret", "Vetoes",
                                        "Why",     "Put aside", "By",     "Reason"};
    int code = CLI_DONE;
    struct kt_json rows = {0};
    KT_AUTO(table_free) struct table table = {0};
    kt_autoapireply struct kt_api_reply reply;
    kt_api_reply_init(&reply);
    struct cli_call call = {.doing = "listing the consumers that are put aside",
                            .method = "GET",
                            .path = "rotation/quarantine"};
    if (cli_call(cli, &call, &reply) != KT_OK)
        return cli->exit_code;
    if (cli_print_plain(cli, reply.data, &reply, &code))
        return code;
    (void)kt_json_member(reply.data, "consumers", &rows);
    table_init(&table, 8, names);
    struct kt_json_iter it = kt_json_iter(rows);
    while (kt_json_next(&it))
        add_row(cli, &table, it.value);
    if (table_rows(&table) == 0)
        kt_buf_add_text(&cli->out, "no consumer is put aside, and none keeps rotations from ending well\n");
    else
        table_print(&table, 0, &cli->out);
    return CLI_DONE;
}
