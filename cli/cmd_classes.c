/* cli/cmd_classes.c - classes show, classes write: how old a secret may get, and who approves, by its risk. */
#include "cli/cli.h"
#include "cli/cmd.h"
#include "cli/input.h"
#include "cli/output.h"
#include "lib/hcl/hcl.h"
#include "lib/jsonw.h"
#include "lib/schedule.h"

#define BODY_MAX ((size_t)64 * 1024)

static const char *const names[] = {"critical", "high", "medium", "low", NULL};

static size_t index_of(const char *name)
{
    size_t i = 0;
    while (names[i] != NULL && strcmp(names[i], name) != 0)
        i++;
    return i;
}

/* ---- the file ---- */

static enum kt_kind write_class(const struct kt_hcl_block *block, bool *seen, struct kt_jsonw *w,
                                struct kt_err *err)
{
    static const char *const known[] = {"max_age", "description", "approvals", "approvers", NULL};
    const char *max_age = "";
    const char *description = "";
    const char *approvers = "";
    int64_t approvals = 0;
    int64_t ms = 0;
    size_t i = index_of(block->labels[0]);
    if (names[i] == NULL)
        return kt_hcl_fail(block->pos, err, "class \"%s\": there are critical, high, medium and low",
                           block->labels[0]);
    if (seen[i])
        return kt_hcl_fail(block->pos, err, "class \"%s\" stands there twice", names[i]);
    seen[i] = true;
    enum kt_kind kind = kt_hcl_check_known(block->body, known, NULL, NULL, err);
    if (kind == KT_OK)
        kind = kt_hcl_get_text(block->body, "max_age", &max_age, err);
    if (kind == KT_OK)
        kind = kt_hcl_get_text(block->body, "description", &description, err);
    if (kind == KT_OK)
        kind = kt_hcl_get_int(block->body, "approvals", 0, 16, &approvals, err);
    if (kind == KT_OK)
        kind = kt_hcl_get_text(block->body, "approvers", &approvers, err);
    if (kind == KT_OK && max_age[0] != '\0')
        kind = kt_schedule_duration("max_age", max_age, &ms, err);
    kt_jsonw_key(w, names[i]);
    kt_jsonw_object(w);
    kt_jsonw_kv_text(w, "max_age", max_age);
    kt_jsonw_kv_text(w, "description", description);
    kt_jsonw_kv_int(w, "approvals", approvals);
    kt_jsonw_kv_text(w, "approvers", approvers);
    kt_jsonw_end(w);
    return kind;
}

/* What is left out has no max_age: a class that was forgotten is an error, not one without a limit. */
static enum kt_kind all_there(const bool *seen, const char *file, struct kt_err *err)
{
    for (size_t i = 0; names[i] != NULL; i++)
        if (!seen[i]) {
            (void)kt_fail(err, KT_INVALID, "%s: class \"%s\" is missing", file, names[i]);
            kt_hint(err, "class \"%s\" { max_age = \"90d\" }; without max_age: it has none", names[i]);
            return KT_INVALID;
        }
    return KT_OK;
}

static enum kt_kind read_classes(struct kt_bytes text, const char *file, struct kt_buf *ret,
                                 struct kt_err *err)
{
    static const char *const known[] = {"class", NULL};
    kt_autohcl struct kt_hcl_body *root = NULL;
    struct kt_hcl_block block;
    bool seen[4] = {false};
    enum kt_kind kind = kt_hcl_parse(text, file, &root, err);
    if (kind == KT_OK)
        kind = kt_hcl_check_known(root, known, NULL, NULL, err);
    if (kind != KT_OK)
        return kind;
    struct kt_jsonw w = kt_jsonw(ret);
    struct kt_hcl_blocks it = kt_hcl_blocks(root, "class", 1);
    kt_jsonw_object(&w);
    while (kind == KT_OK && kt_hcl_next(&it, &block, err))
        kind = write_class(&block, seen, &w, err);
    kt_jsonw_end(&w);
    if (kind == KT_OK)
        kind = it.kind;
    if (kind == KT_OK)
        kind = all_there(seen, file, err);
    return kind != KT_OK || kt_buf_ok(ret) ? kind : kt_fail(err, KT_TOO_LARGE, "%s is too long", file);
}

int cmd_classes_write(struct cli *cli)
{
    struct kt_err err = {0};
    kt_autobuf struct kt_buf text = {0};
    kt_autobuf struct kt_buf body = {0};
    kt_autoapireply struct kt_api_reply reply;
    kt_buf_init(&text, KT_HCL_MAX_BYTES);
    kt_buf_init(&body, BODY_MAX);
    kt_api_reply_init(&reply);
    const char *file = cli->words[0];
    if (input_file(cli, file, KT_HCL_MAX_BYTES, &text, &err) != KT_OK ||
        read_classes(kt_buf_bytes(&text), file, &body, &err) != KT_OK)
        return cli_fail(cli, &err);
    struct cli_call call = {.doing = "writing the risk classes",
                            .method = "POST",
                            .path = "rotation/classes",
                            .body = kt_buf_bytes(&body)};
    if (cli_call(cli, &call, &reply) != KT_OK)
        return cli->exit_code;
    cli_success(cli, "the risk classes are set; what is too old by them: secretctl overdue");
    return CLI_DONE;
}

/* "2 of dba" */
static void add_approvals(struct kt_json class, struct table *table)
{
    char approvers[200] = "";
    char text[256];
    int64_t approvals = 0;
    (void)kt_api_i64(class, "approvals", &approvals);
    (void)kt_api_text(class, "approvers", approvers, sizeof approvers);
    (void)snprintf(text, sizeof text, "%jd of %s", (intmax_t)approvals, approvers);
    table_text(table, approvals > 0 ? text : "-");
}

int cmd_classes_show(struct cli *cli)
{
    static const char *const headings[] = {"Class", "Oldest", "Approvals", "For"};
    int code = CLI_DONE;
    kt_autoapireply struct kt_api_reply reply;
    kt_api_reply_init(&reply);
    struct cli_call call = {
        .doing = "reading the risk classes", .method = "GET", .path = "rotation/classes"};
    if (cli_call(cli, &call, &reply) != KT_OK)
        return cli->exit_code;
    if (cli_print_plain(cli, reply.data, &reply, &code))
        return code;
    KT_AUTO(table_free) struct table table = {0};
    table_init(&table, 4, headings);
    for (size_t i = 0; names[i] != NULL; i++) {
        struct kt_json class = {0};
        char text[600] = "";
        (void)kt_json_member(reply.data, names[i], &class);
        table_text(&table, names[i]);
        (void)kt_api_text(class, "max_age", text, sizeof text);
        table_text(&table, text[0] != '\0' ? text : "-");
        add_approvals(class, &table);
        text[0] = '\0';
        (void)kt_api_text(class, "description", text, sizeof text);
        table_text(&table, text);
    }
    table_print(&table, 0, &cli->out);
    return CLI_DONE;
}
