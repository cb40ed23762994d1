/* cli/cmd_plan.c - plan: the secrets rotation plan, from live data. */
#include <stdio.h>
#include <stdlib.h>

#include "cli/cli.h"
#include "cli/cmd.h"
#include "cli/output.h"
#include "cli/plan_text.h"
#include "cli/walk.h"
#include "lib/jsonw.h"

#define SECRETS_MAX  100000u
#define NAME_MAX_LEN 2200
#define JSON_MAX     ((size_t)256 * 1024 * 1024)

struct plan {
    struct kt_api_reply *pages;
    size_t n_pages, room;
    struct walk walk;   /* every secret that the token may list */
    bool walked;
    size_t rotated, overdue, missing, unproven;
    size_t left, hidden; /* what nothing rotates; what may not be listed */
};

static void plan_free(struct plan *plan)
{
    for (size_t i = 0; i < plan->n_pages; i++)
        kt_api_reply_free(&plan->pages[i]);
    free(plan->pages);
    if (plan->walked)
        walk_end(&plan->walk);
}

/* ---- what is rotated ---- */

static bool page_room(struct plan *plan)
{
    if (plan->n_pages < plan->room)
        return true;
    size_t room = plan->room == 0 ? 8 : plan->room * 2;
    struct kt_api_reply *more = realloc(plan->pages, room * sizeof *more);
    if (more == NULL)
        return false;
    plan->pages = more;
    plan->room = room;
    return true;
}

static bool read_page(struct cli *cli, struct plan *plan, char after[NAME_MAX_LEN])
{
    kt_autobuf struct kt_buf query = {0};
    kt_buf_init(&query, 16384);
    kt_buf_add_text(&query, "limit=1000&after="); /* each page has the vault look through all names */
    kt_url_escape(&query, kt_str(after), false);
    if (cli->word_count == 1) {
        kt_buf_add_text(&query, "&prefix=");
        kt_url_escape(&query, kt_str(cli->words[0]), false);
    }
    if (!page_room(plan)) {
        cli->exit_code = cli_wrong(cli, "", "not enough memory for the plan");
        return false;
    }
    struct kt_api_reply *reply = &plan->pages[plan->n_pages];
    kt_api_reply_init(reply);
    plan->n_pages++;
    struct cli_call call = {.doing = "planning the rotations",
                            .method = "GET",
                            .path = "rotation/plan",
                            .query = kt_buf_text(&query)};
    after[0] = '\0';
    return cli_call(cli, &call, reply) == KT_OK &&
           (kt_api_text(reply->data, "after", after, NAME_MAX_LEN) || true);
}

static bool read_pages(struct cli *cli, struct plan *plan)
{
    char after[NAME_MAX_LEN] = "";
    size_t n = 0, before = 0;
    do {
        struct kt_json list = {0};
        before = n;
        if (!read_page(cli, plan, after))
            return false;
        if (kt_json_member(plan->pages[plan->n_pages - 1].data, "secrets", &list))
            n += kt_json_count(list);
    } while (after[0] != '\0' && n > before && n < SECRETS_MAX);
    if (after[0] == '\0')
        return true;
    /* Part of them would be a plan that says of all others: rotated by nothing. */
    cli->exit_code = n == before ? cli_wrong(cli, "", "the vault did not say what else is rotated")
                                 : cli_wrong(cli, "secretctl plan PREFIX",
                                             "more than %u secrets are rotated: too many for one plan", SECRETS_MAX);
    return false;
}

/* Every secret of the pages, in their order. */
struct pages {
    const struct plan *plan;
    size_t page;
    struct kt_json_iter it;
    bool in;
};

static bool next_secret(struct pages *pages, struct kt_json *ret)
{
    while (pages->in || pages->page < pages->plan->n_pages) {
        if (!pages->in) {
            struct kt_json list = {0};
            (void)kt_json_member(pages->plan->pages[pages->page++].data, "secrets", &list);
            pages->it = kt_json_iter(list);
            pages->in = true;
        }
        if (kt_json_next(&pages->it)) {
            *ret = pages->it.value;
            return true;
        }
        pages->in = false;
    }
    return false;
}

static bool has_some(struct kt_json secret, const char *name)
{
    struct kt_json list = {0};
    return kt_json_member(secret, name, &list) && kt_json_count(list) > 0;
}

static void count(struct plan *plan)
{
    char text[32];
    struct kt_json secret = {0};
    struct pages pages = {.plan = plan};
    while (next_secret(&pages, &secret)) {
        plan->rotated++;
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
    char name[NAME_MAX_LEN] = "";
    const char *prefix = cli->word_count == 1 ? cli->words[0] : "";
    struct kt_json secret = {0};
    struct pages pages = {.plan = plan};
    bool more = true;
    for (size_t i = 0; i < plan->walk.n; i++) {
        struct walk_finding *finding = &plan->walk.at[i];
        while (more && strcmp(name, finding->path) < 0) {
            more = next_secret(&pages, &secret);
            if (more)
                (void)kt_api_text(secret, "secret", name, sizeof name);
        }
        bool rotated = strcmp(name, finding->path) == 0;
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
    bool blind = plan->hidden > 0 || (plan->walk.n == 0 && plan->rotated > 0);
    if (blind)
        kt_buf_printf(out,
                      "**%zu of %zu rotated secrets are overdue; %zu more are rotated by nothing, of those that this "
                      "token may list.**\n",
                      plan->overdue, plan->rotated, plan->left);
    else if (plan->overdue > 0 || plan->left > 0)
        kt_buf_printf(out, "**%zu of %zu rotated secrets are overdue; %zu more are rotated by nothing.**\n",
                      plan->overdue, plan->rotated, plan->left);
    else
        kt_buf_printf(out, "**All %zu secrets are rotated, and none is overdue.**\n", plan->rotated);
    kt_buf_printf(out,
                  "Hurt: nobody by that alone. For %zu something is missing, for %zu something is unproven.\n",
                  plan->missing, plan->unproven);
    kt_buf_add_text(out, plan->overdue > 0  ? "Next: `secretctl overdue`\n"
                         : plan->left > 0   ? "Next: `secretctl schedule set SECRET ...` (--help)\n"
                         : plan->missing > 0 ? "Next: what is missing stands with each secret.\n"
                                             : "Next: nothing.\n");
}

static void print_frame(struct cli *cli, const struct plan *plan)
{
    char time[OUTPUT_TIME];
    char text[1024] = "";
    struct kt_json first = plan->pages[0].data;
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

static void print_markdown(struct cli *cli, const struct plan *plan)
{
    struct kt_json secret = {0};
    print_verdict(cli, plan);
    print_frame(cli, plan);
    plan_table_heading(&cli->out);
    for (struct pages pages = {.plan = plan}; next_secret(&pages, &secret);)
        plan_table_row(cli, secret, &cli->out);
    for (struct pages pages = {.plan = plan}; next_secret(&pages, &secret);)
        plan_page(cli, secret, &cli->out);
    print_left(cli, plan);
}

/* ---- JSON ---- */

static void add_paths(const struct plan *plan, const char *name, enum walk_state state, struct kt_jsonw *w)
{
    const struct walk_finding *finding = NULL;
    size_t at = 0;
    kt_jsonw_key(w, name);
    kt_jsonw_array(w);
    while ((finding = next_left(plan, state, &at)) != NULL)
        kt_jsonw_text(w, finding->path);
    kt_jsonw_end(w);
}

static int print_json(struct cli *cli, const struct plan *plan)
{
    kt_autobuf struct kt_buf text = {0};
    struct kt_json secret = {0};
    kt_buf_init(&text, JSON_MAX);
    struct kt_jsonw w = kt_jsonw(&text);
    kt_jsonw_object(&w);
    kt_jsonw_kv_time(&w, "now", output_time_of(plan->pages[0].data, "now"));
    kt_jsonw_kv_int(&w, "rotated", (int64_t)plan->rotated);
    kt_jsonw_kv_int(&w, "overdue", (int64_t)plan->overdue);
    kt_jsonw_kv_int(&w, "missing", (int64_t)plan->missing);
    kt_jsonw_kv_int(&w, "unproven", (int64_t)plan->unproven);
    kt_jsonw_key(&w, "secrets");
    kt_jsonw_array(&w);
    for (struct pages pages = {.plan = plan}; next_secret(&pages, &secret);)
        kt_jsonw_raw(&w, kt_json_bytes(secret));
    kt_jsonw_end(&w);
    add_paths(plan, "not_rotated", WALK_SECRET, &w);
    add_paths(plan, "not_seen", WALK_REFUSED, &w);
    kt_jsonw_end(&w);
    if (!kt_buf_ok(&text))
        return cli_wrong(cli, "secretctl plan PREFIX", "the plan is too long");
    output_json(&cli->out, kt_json_value(kt_buf_bytes(&text)));
    return CLI_DONE;
}

int cmd_plan(struct cli *cli)
{
    int code = CLI_DONE;
    KT_AUTO(plan_free) struct plan plan = {0};
    if (!read_pages(cli, &plan))
        return cli->exit_code;
    if (!look_for_others(cli, &plan))
        return cli->exit_code;
    count(&plan);
    if (cli->format == CLI_JSON)
        code = print_json(cli, &plan);
    else
        print_markdown(cli, &plan);
    return code;
}
