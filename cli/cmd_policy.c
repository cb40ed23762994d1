/* cli/cmd_policy.c - policy explain (can-i), policy lint: what policies decide, and what in one is a
 * mistake. The vault is asked both, so that it is its own engine, routes and mounts that answer. */
#include <stdio.h>

#include "cli/cli.h"
#include "cli/cmd.h"
#include "cli/input.h"
#include "cli/output.h"
#include "lib/hcl/hcl.h"
#include "lib/jsonw.h"

#define BODY_MAX ((size_t)4 * 1024 * 1024)

/* ---- the words: [POLICY ...] CAPABILITY PATH, or the capability as -can ---- */

struct question {
    const char *const *policies;
    size_t count;
    const char *capability, *path;
};

/* Where policies are named the vault itself refuses others; what the token may do it shows without being told
 * for what. */
static bool is_capability(const char *text)
{
    static const char *const known[] = {"create", "read", "update", "patch", "delete", "list", "sudo"};
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++)
        if (strcmp(known[i], text) == 0)
            return true;
    return false;
}

static bool read_question(struct cli *cli, struct question *ret)
{
    const char *can = flags_text(&cli->flags, FLAG_CAN);
    size_t behind = can != NULL ? 1 : 2;
    if (cli->word_count < behind) {
        cli->exit_code = cli_wrong(cli, "secretctl policy explain POLICY -can read secret/data/x",
                                   "which capability, and which path?");
        return false;
    }
    ret->policies = cli->words;
    ret->count = cli->word_count - behind;
    ret->capability = can != NULL ? can : cli->words[ret->count];
    ret->path = cli->words[cli->word_count - 1];
    return true;
}

static void add_policy_text(struct kt_jsonw *w, struct kt_bytes text)
{
    kt_jsonw_key(w, "policy");
    kt_jsonw_bytes(w, text);
}

/* False: said why not. */
static bool post(struct cli *cli, const char *doing, const char *path, const struct kt_buf *body,
                 struct kt_api_reply *reply)
{
    const struct cli_call call = {
        .doing = doing, .method = "POST", .path = path, .body = kt_buf_bytes(body)};
    return cli_call(cli, &call, reply) == KT_OK;
}

/* ---- what the token in use may do ---- */

static bool has_capability(struct kt_json list, const char *wanted)
{
    struct kt_json_iter it = kt_json_iter(list);
    bool found = false;
    while (kt_json_next(&it))
        found = found || kt_json_is(it.value, wanted) || kt_json_is(it.value, "root");
    return found;
}

static int tell_own(struct cli *cli, const struct question *ask, struct kt_json data,
                    const char *folder)
{
    struct kt_json exact = {0};
    struct kt_json listed = {0};
    (void)kt_json_member(data, ask->path, &exact);
    (void)kt_json_member(data, folder, &listed);
    bool list = strcmp(ask->capability, "list") == 0;
    bool yes = has_capability(exact, ask->capability) || (list && has_capability(listed, ask->capability));
    if (cli->format == CLI_JSON) {
        kt_buf_printf(&cli->out, "{\"allowed\": %s}\n", yes ? "true" : "false");
        return yes ? CLI_DONE : CLI_REFUSED;
    }
    kt_buf_printf(&cli->out, "%s   %s ", yes ? "yes" : "no", ask->capability);
    output_safe(&cli->out, kt_str(ask->path));
    kt_buf_add_text(&cli->out, "\n");
    if (!yes)
        cli_note(cli, "next   which rule decides: secretctl policy explain POLICY %s %s, by who may ask that",
                 ask->capability, ask->path);
    return yes ? CLI_DONE : CLI_REFUSED;
}

static int explain_own(struct cli *cli, const struct question *ask)
{
    char folder[KT_API_PATH_MAX + 2];
    kt_autobuf struct kt_buf body = {0};
    kt_autoapireply struct kt_api_reply reply;
    kt_buf_init(&body, BODY_MAX);
    kt_api_reply_init(&reply);
    size_t len = strlen(ask->path);
    if (!is_capability(ask->capability))
        return cli_wrong(cli, "create, read, update, patch, delete, list or sudo", "there is no capability '%.40s'",
                         ask->capability);
    if (len == 0 || len >= KT_API_PATH_MAX)
        return cli_wrong(cli, "", "the path is too long");
    (void)snprintf(folder, sizeof folder, "%s%s", ask->path, ask->path[len - 1] == '/' ? "" : "/");
    struct kt_jsonw w = kt_jsonw(&body);
    kt_jsonw_object(&w);
    kt_jsonw_key(&w, "paths");
    kt_jsonw_array(&w);
    kt_jsonw_text(&w, ask->path);
    kt_jsonw_text(&w, folder);
    kt_jsonw_end(&w);
    kt_jsonw_end(&w);
    if (!post(cli, "asking for capabilities", "sys/capabilities-self", &body, &reply))
        return cli->exit_code;
    return tell_own(cli, ask, reply.data, folder);
}

/* ---- what policies decide ---- */

static void print_matching(struct cli *cli, struct kt_json data)
{
    static const char *const names[] = {"", "Pattern", "Policy", "Capabilities"};
    struct kt_json matching = {0};
    struct kt_json value = {0};
    KT_AUTO(table_free) struct table table = {0};
    table_init(&table, 4, names);
    (void)kt_json_member(data, "matching", &matching);
    struct kt_json_iter rules = kt_json_iter(matching);
    for (bool first = true; kt_json_next(&rules); first = false) {
        struct kt_json blocks = {0};
        (void)kt_json_member(rules.value, "blocks", &blocks);
        struct kt_json_iter it = kt_json_iter(blocks);
        for (bool top = true; kt_json_next(&it); top = false) {
            table_text(&table, first && top ? "decides" : "");
            value = (struct kt_json){0};
            (void)kt_json_member(rules.value, "pattern", &value);
            table_json(&table, value);
            value = (struct kt_json){0};
            (void)kt_json_member(it.value, "policy", &value);
            table_json(&table, value);
            value = (struct kt_json){0};
            (void)kt_json_member(it.value, "capabilities", &value);
            table_list(&table, value);
        }
    }
    if (table_rows(&table) > 0) {
        kt_buf_add_char(&cli->out, '\n');
        table_print(&table, 0, &cli->out);
    }
}

/* What the answer leaves to be known: no such policy, no such path, a capability that is never asked. */
static void tell_more(struct cli *cli, const struct question *ask, struct kt_json data)
{
    struct kt_json value = {0};
    struct kt_json list = {0};
    struct kt_json_iter it;
    if (kt_json_member(data, "unknown_policies", &value)) {
        it = kt_json_iter(value);
        while (kt_json_next(&it)) {
            kt_autobuf struct kt_buf name = {0};
            kt_buf_init(&name, 4096);
            output_value(&name, it.value);
            cli_note(cli, "note   there is no policy '%s': it grants nothing", kt_buf_text(&name));
        }
    }
    if (!kt_json_member(data, "route", &value))
        return;
    if (kt_json_type(value) != KT_JSON_OBJECT)
        cli_note(cli, "note   nothing there answers such a path: a request gets 404 at best");
    else if (kt_json_member(value, "capabilities", &list) && !has_capability(list, ask->capability) &&
             kt_json_count(list) > 0)
        cli_note(cli, "note   no request there asks for '%s'", ask->capability);
}

static int tell(struct cli *cli, const struct question *ask, const struct kt_api_reply *reply)
{
    struct kt_json reason = {0};
    bool allowed = false;
    (void)kt_api_bool(reply->data, "allowed", &allowed);
    if (cli->format == CLI_JSON) {
        output_json(&cli->out, reply->data);
        return allowed ? CLI_DONE : CLI_REFUSED;
    }
    (void)kt_json_member(reply->data, "reason", &reason);
    kt_buf_printf(&cli->out, "%s   %s ", allowed ? "yes" : "no", ask->capability);
    output_safe(&cli->out, kt_str(ask->path));
    kt_buf_add_text(&cli->out, ": ");
    output_value(&cli->out, reason);
    kt_buf_add_char(&cli->out, '\n');
    print_matching(cli, reply->data);
    tell_more(cli, ask, reply->data);
    return allowed ? CLI_DONE : CLI_REFUSED;
}

int cmd_policy_explain(struct cli *cli)
{
    struct question ask = {0};
    struct kt_err err = {0};
    const char *file = flags_text(&cli->flags, FLAG_FILE);
    const char *entity = flags_text(&cli->flags, FLAG_ENTITY);
    kt_autobuf struct kt_buf text = {0};
    kt_autobuf struct kt_buf body = {0};
    kt_autoapireply struct kt_api_reply reply;
    kt_buf_init(&text, KT_HCL_MAX_BYTES);
    kt_buf_init(&body, BODY_MAX);
    kt_api_reply_init(&reply);
    if (!read_question(cli, &ask))
        return cli->exit_code;
    if (ask.count == 0 && file == NULL && entity == NULL)
        return explain_own(cli, &ask);
    if (file != NULL && input_file(cli, file, KT_HCL_MAX_BYTES, &text, &err) != KT_OK)
        return cli_fail(cli, &err);
    struct kt_jsonw w = kt_jsonw(&body);
    kt_jsonw_object(&w);
    kt_jsonw_key(&w, "policies");
    kt_jsonw_array(&w);
    for (size_t i = 0; i < ask.count; i++)
        kt_jsonw_text(&w, ask.policies[i]);
    kt_jsonw_end(&w);
    if (file != NULL)
        add_policy_text(&w, kt_buf_bytes(&text));
    if (entity != NULL)
        kt_jsonw_kv_text(&w, "entity", entity);
    kt_jsonw_kv_text(&w, "capability", ask.capability);
    kt_jsonw_kv_text(&w, "path", ask.path);
    kt_jsonw_end(&w);
    bool answered = post(cli, "explaining policies", "sys/policies/explain", &body, &reply);
    return answered ? tell(cli, &ask, &reply) : cli->exit_code;
}

/* ---- lint ---- */

int cmd_policy_lint(struct cli *cli)
{
    struct kt_err err = {0};
    struct kt_json findings = {0};
    kt_autobuf struct kt_buf text = {0};
    kt_autobuf struct kt_buf body = {0};
    kt_autoapireply struct kt_api_reply reply;
    kt_buf_init(&text, KT_HCL_MAX_BYTES);
    kt_buf_init(&body, BODY_MAX);
    kt_api_reply_init(&reply);
    if (input_file(cli, cli->words[0], KT_HCL_MAX_BYTES, &text, &err) != KT_OK)
        return cli_fail(cli, &err);
    struct kt_jsonw w = kt_jsonw(&body);
    kt_jsonw_object(&w);
    add_policy_text(&w, kt_buf_bytes(&text));
    kt_jsonw_end(&w);
    if (!post(cli, "looking at the policy", "sys/policies/lint", &body, &reply))
        return cli->exit_code;
    (void)kt_json_member(reply.data, "findings", &findings);
    bool clean = kt_json_count(findings) == 0;
    if (cli->format == CLI_JSON) {
        output_json(&cli->out, reply.data);
        return clean ? CLI_DONE : CLI_REFUSED;
    }
    struct kt_json_iter it = kt_json_iter(findings);
    while (kt_json_next(&it)) {
        struct kt_json line = {0};
        bool wrong = false;
        (void)kt_api_bool(it.value, "wrong", &wrong);
        (void)kt_json_member(it.value, "text", &line);
        kt_buf_add_text(&cli->out, wrong ? "wrong  " : "note   ");
        output_value(&cli->out, line);
        kt_buf_add_char(&cli->out, '\n');
    }
    bool whole = true;
    (void)kt_api_bool(reply.data, "whole", &whole);
    if (!whole)
        cli_note(cli, "note   the policy is too large to be looked at whole");
    if (clean)
        cli_success(cli, "nothing to say about %s", cli->words[0]);
    return clean ? CLI_DONE : CLI_REFUSED;
}
