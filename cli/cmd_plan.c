/* cli/cmd_plan.c - plan: the secrets rotation plan, from live data. */
#include "cli/cli.h"
#include "cli/cmd.h"
#include "cli/output.h"
#include "cli/key_age.h"
#include "cli/plan_pages.h"
#include "cli/plan_text.h"
#include "cli/walk.h"
#include "lib/jsonw.h"

#define LISTS_MAX ((size_t)256 * 1024 * 1024)
#define OUT_AT    ((size_t)1024 * 1024) /* so much output is kept, then it is written */

struct plan {
    struct plan_pages pages;
    struct walk walk;   /* every secret that the token may list */
    bool walked;
    size_t overdue, missing, unproven;
    int64_t keys_overdue; /* of what opens the vault */
    size_t left, hidden; /* what nothing rotates; what may not be listed */
};

static void plan_free(struct plan *plan)
{
    plan_pages_free(&plan->pages);
    if (plan->walked)
        walk_end(&plan->walk);
}

/* A plan may be longer than what should be kept of it. False: it cannot be written, and that was said. */
static bool write_some(struct cli *cli)
{
    return cli->out.len < OUT_AT || cli_flush(cli);
}

static bool has_some(struct kt_json secret, const char *name)
{
    struct kt_json list = {0};
    return kt_json_member(secret, name, &list) && kt_json_count(list) > 0;
}

static void count(struct plan *plan, bool whole)
{
    char text[32];
    if (whole)
        (void)kt_api_i64(plan->pages.pages[0].data, "keys_overdue", &plan->keys_overdue);
    for (size_t i = 0; i < plan->pages.n; i++) {
        struct kt_json secret = plan->pages.at[i].secret;
        plan->overdue += kt_api_text(secret, "overdue", text, sizeof text) && text[0] != '\0';
        plan->missing += has_some(secret, "missing");
        plan->unproven += has_some(secret, "unproven");
    }
}

/* ---- what nothing rotates: all that may be listed, without those ---- */

static bool is_below(const char *path, const char *prefix)
{
    size_t len = strlen(prefix);
    while (len > 0 && prefix[len - 1] == '/')
        len--;
    return strncmp(path, prefix, len) == 0 && (len == 0 || path[len] == '/' || path[len] == '\0');
}

/* Both are sorted by name. */
static void mark_rotated(struct cli *cli, struct plan *plan)
{
    const char *prefix = cli->word_count == 1 ? cli->words[0] : "";
    size_t next = 0;
    for (size_t i = 0; i < plan->walk.n; i++) {
        struct walk_finding *finding = &plan->walk.at[i];
        while (next < plan->pages.n && strcmp(plan->pages.at[next].name, finding->path) < 0)
            next++;
        bool rotated = next < plan->pages.n && strcmp(plan->pages.at[next].name, finding->path) == 0;
        if (finding->state == WALK_SECRET && (rotated || !is_below(finding->path, prefix)))
            finding->state = WALK_PASSED;
        plan->left += finding->state == WALK_SECRET;
        plan->hidden += finding->state == WALK_REFUSED;
    }
}

static bool look_for_others(struct cli *cli, struct plan *plan)
{
    struct kt_err err = {0};
    plan->walked = walk_begin_here(&plan->walk, cli, NULL, NULL);
    if (!plan->walked || !walk_from_all(&plan->walk, cli))
        return false;
    if (walk_run(&plan->walk, &err) != KT_OK) {
        cli->exit_code = cli_fail(cli, &err);
        return false;
    }
    mark_rotated(cli, plan);
    return true;
}

static const struct walk_finding *next_left(const struct plan *plan, enum walk_state state, size_t *at)
{
    while (*at < plan->walk.n)
        if (plan->walk.at[(*at)++].state == state)
            return &plan->walk.at[*at - 1];
    return NULL;
}

/* ---- Markdown ---- */

static void print_verdict(struct cli *cli, const struct plan *plan)
{
    struct kt_buf *out = &cli->out;
    kt_buf_add_text(out, "# Secrets rotation plan\n\n");
    bool blind = plan->hidden > 0 || (plan->walk.n == 0 && plan->pages.n > 0);
    if (blind)
        kt_buf_printf(out,
                      "**%zu of %zu rotated secrets are overdue; %zu more are rotated by nothing, of those that this "
                      "token may list.**\n",
                      plan->overdue, plan->pages.n, plan->left);
    else if (plan->overdue > 0 || plan->left > 0)
        kt_buf_printf(out, "**%zu of %zu rotated secrets are overdue; %zu more are rotated by nothing.**\n",
                      plan->overdue, plan->pages.n, plan->left);
    else
        kt_buf_printf(out, "**All %zu secrets are rotated, and none is overdue.**\n", plan->pages.n);
    if (plan->keys_overdue > 0)
        kt_buf_printf(out, "**Of what opens the vault itself %jd are overdue.**\n", (intmax_t)plan->keys_overdue);
    kt_buf_printf(out,
                  "Hurt: nobody by that alone. For %zu something is missing, for %zu something is unproven.\n",
                  plan->missing, plan->unproven);
    kt_buf_add_text(out, plan->overdue > 0 || plan->keys_overdue > 0 ? "Next: `secretctl overdue`\n"
                         : plan->left > 0   ? "Next: `secretctl schedule set SECRET ...` (--help)\n"
                         : plan->missing > 0 ? "Next: what is missing stands with each secret.\n"
                                             : "Next: nothing.\n");
}

static void print_frame(struct cli *cli, const struct plan *plan)
{
    char time[OUTPUT_TIME];
    char text[1024] = "";
    struct kt_json first = plan->pages.pages[0].data;
    output_time(cli, output_time_of(first, "now"), time);
    kt_buf_printf(&cli->out, "\nFrom live data of %s.", time);
    if (kt_api_text(first, "paused", text, sizeof text) && text[0] != '\0') {
        kt_buf_add_text(&cli->out, " All rotations are ");
        plan_safe(&cli->out, text);
        kt_buf_add_text(&cli->out, ": `secretctl run resume`.");
    }
    kt_buf_add_text(&cli->out, "\n\n");
}

static void print_left(struct cli *cli, const struct plan *plan)
{
    const struct walk_finding *finding = NULL;
    size_t at = 0;
    if (plan->left > 0)
        kt_buf_add_text(&cli->out, "\n## Rotated by nothing\n\n");
    while ((finding = next_left(plan, WALK_SECRET, &at)) != NULL) {
        kt_buf_add_text(&cli->out, "- ");
        plan_safe(&cli->out, finding->path);
        kt_buf_add_char(&cli->out, '\n');
    }
    at = 0;
    if (plan->hidden > 0)
        kt_buf_add_text(&cli->out, "\n## Not looked at: this token may not list it\n\n");
    while ((finding = next_left(plan, WALK_REFUSED, &at)) != NULL) {
        kt_buf_add_text(&cli->out, "- ");
        plan_safe(&cli->out, finding->path);
        kt_buf_add_char(&cli->out, '\n');
    }
}

static int print_markdown(struct cli *cli, const struct plan *plan)
{
    print_verdict(cli, plan);
    print_frame(cli, plan);
    plan_table_heading(&cli->out);
    for (size_t i = 0; i < plan->pages.n && write_some(cli); i++)
        plan_table_row(cli, plan->pages.at[i].secret, &cli->out);
    for (size_t i = 0; i < plan->pages.n && write_some(cli); i++)
        plan_page(cli, plan->pages.at[i].secret, &cli->out);
    if (cli->word_count == 0)
        key_age_section(cli, plan->pages.pages[0].data, &cli->out);
    print_left(cli, plan);
    return CLI_DONE;
}

/* ---- JSON: as output_json() of all would be, but written bit by bit ---- */

static void print_member(struct cli *cli, const char *name)
{
    kt_buf_printf(&cli->out, ",\n  \"%s\": ", name);
}

/* They are the whole vault's: not of what is below a prefix. */
static void print_keys(struct cli *cli, const struct plan *plan)
{
    struct kt_json keys = {0};
    if (cli->word_count != 0 || !kt_json_member(plan->pages.pages[0].data, "keys", &keys))
        return;
    print_member(cli, "keys_overdue");
    kt_buf_printf(&cli->out, "%jd", (intmax_t)plan->keys_overdue);
    print_member(cli, "keys");
    output_json_at(&cli->out, keys, 1);
}

static void print_secrets(struct cli *cli, const struct plan *plan)
{
    print_member(cli, "secrets");
    kt_buf_add_char(&cli->out, '[');
    for (size_t i = 0; i < plan->pages.n && write_some(cli); i++) {
        kt_buf_add_text(&cli->out, i == 0 ? "\n    " : ",\n    ");
        output_json_at(&cli->out, plan->pages.at[i].secret, 2);
    }
    kt_buf_add_text(&cli->out, plan->pages.n > 0 ? "\n  ]" : "]");
}

static bool print_paths(struct cli *cli, const struct plan *plan, const char *name, enum walk_state state)
{
    kt_autobuf struct kt_buf text = {0};
    const struct walk_finding *finding = NULL;
    size_t at = 0;
    kt_buf_init(&text, LISTS_MAX);
    struct kt_jsonw w = kt_jsonw(&text);
    kt_jsonw_array(&w);
    while ((finding = next_left(plan, state, &at)) != NULL)
        kt_jsonw_text(&w, finding->path);
    kt_jsonw_end(&w);
    if (!kt_buf_ok(&text))
        return false;
    print_member(cli, name);
    output_json_at(&cli->out, kt_json_value(kt_buf_bytes(&text)), 1);
    return true;
}

static int print_json(struct cli *cli, const struct plan *plan)
{
    const struct {
        const char *name;
        size_t n;
    } numbers[] = {{"rotated", plan->pages.n},
                   {"overdue", plan->overdue},
                   {"missing", plan->missing},
                   {"unproven", plan->unproven}};
    struct kt_json now = {0};
    (void)kt_json_member(plan->pages.pages[0].data, "now", &now);
    kt_buf_add_text(&cli->out, "{\n  \"now\": ");
    output_json_at(&cli->out, now, 1);
    for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++) {
        print_member(cli, numbers[i].name);
        kt_buf_printf(&cli->out, "%zu", numbers[i].n);
    }
    print_keys(cli, plan);
    print_secrets(cli, plan);
    if (!print_paths(cli, plan, "not_rotated", WALK_SECRET) || !print_paths(cli, plan, "not_seen", WALK_REFUSED))
        return cli_wrong(cli, "secretctl plan PREFIX", "the plan is too long");
    kt_buf_add_text(&cli->out, "\n}\n");
    return CLI_DONE;
}

int cmd_plan(struct cli *cli)
{
    KT_AUTO(plan_free) struct plan plan = {0};
    if (!plan_pages_read(cli, cli->word_count == 1 ? cli->words[0] : "", &plan.pages))
        return cli->exit_code;
    if (!look_for_others(cli, &plan))
        return cli->exit_code;
    count(&plan, cli->word_count == 0);
    return cli->format == CLI_JSON ? print_json(cli, &plan) : print_markdown(cli, &plan);
}
