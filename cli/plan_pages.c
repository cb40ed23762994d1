/* cli/plan_pages.c - see cli/plan_pages.h. */
#include "cli/plan_pages.h"

#include <stdlib.h>
#include <string.h>

#include "cli/cli.h"
#include "cli/cmd.h"

#define NAMES_MAX ((size_t)256 * 1024 * 1024)

void plan_pages_free(struct plan_pages *pages)
{
    for (size_t i = 0; i < pages->n_pages; i++)
        kt_api_reply_free(&pages->pages[i]);
    kt_arena_free(&pages->names);
    free(pages->pages);
    free(pages->at);
    *pages = (struct plan_pages){0};
}

static bool no_memory(struct cli *cli)
{
    cli->exit_code = cli_wrong(cli, "secretctl plan PREFIX", "not enough memory for the plan");
    return false;
}

/* Room for one more behind n; NULL: out of memory, and nothing changed. */
static void *grown(void *all, size_t n, size_t *room, size_t size)
{
    if (n < *room)
        return all;
    size_t more = *room == 0 ? 64 : *room * 2;
    void *ret = realloc(all, more * size);
    if (ret != NULL)
        *room = more;
    return ret;
}

static bool take_secrets(struct cli *cli, struct plan_pages *pages, struct kt_json page)
{
    struct kt_json list = {0};
    (void)kt_json_member(page, "secrets", &list);
    struct kt_json_iter it = kt_json_iter(list);
    while (kt_json_next(&it)) {
        char name[PLAN_NAME] = "";
        struct plan_secret *at = grown(pages->at, pages->n, &pages->room, sizeof *at);
        if (at == NULL)
            return no_memory(cli);
        pages->at = at;
        (void)kt_api_text(it.value, "secret", name, sizeof name);
        const char *kept = kt_arena_text(&pages->names, kt_str(name));
        if (kept == NULL)
            return no_memory(cli);
        at[pages->n++] = (struct plan_secret){.secret = it.value, .name = kept};
    }
    return true;
}

/* `after` becomes the one of the next page; "": there is none. */
static bool read_page(struct cli *cli, const char *prefix, struct plan_pages *pages, char after[PLAN_NAME])
{
    kt_autobuf struct kt_buf query = {0};
    kt_buf_init(&query, 16384);
    kt_buf_add_text(&query, "limit=1000&after=");
    kt_url_escape(&query, kt_str(after), false);
    if (prefix[0] != '\0') {
        kt_buf_add_text(&query, "&prefix=");
        kt_url_escape(&query, kt_str(prefix), false);
    }
    struct kt_api_reply *all = grown(pages->pages, pages->n_pages, &pages->pages_room, sizeof *all);
    if (all == NULL)
        return no_memory(cli);
    pages->pages = all;
    struct kt_api_reply *reply = &all[pages->n_pages++];
    kt_api_reply_init(reply);
    struct cli_call call = {.doing = "planning the rotations",
                            .method = "GET",
                            .path = "rotation/plan",
                            .query = kt_buf_text(&query)};
    after[0] = '\0';
    if (cli_call(cli, &call, reply) != KT_OK)
        return false;
    (void)kt_api_text(reply->data, "after", after, PLAN_NAME);
    return take_secrets(cli, pages, reply->data);
}

static int by_name(const void *a, const void *b)
{
    const struct plan_secret *x = a, *y = b;
    return strcmp(x->name, y->name);
}

bool plan_pages_read(struct cli *cli, const char *prefix, struct plan_pages *ret)
{
    char after[PLAN_NAME] = "";
    size_t before = 0;
    *ret = (struct plan_pages){0};
    kt_arena_init(&ret->names, NAMES_MAX);
    do {
        before = ret->n;
        if (!read_page(cli, prefix, ret, after))
            return false;
    } while (after[0] != '\0' && ret->n > before && ret->n < PLAN_SECRETS);
    if (after[0] == '\0') {
        if (ret->n > 0)
            qsort(ret->at, ret->n, sizeof ret->at[0], by_name);
        return true;
    }
    /* Part of them would be a plan that says of all others: rotated by nothing. */
    cli->exit_code = ret->n == before
                         ? cli_wrong(cli, "", "the vault did not say what else is rotated")
                         : cli_wrong(cli, "secretctl plan PREFIX",
                                     "more than %u secrets are rotated: too many for one plan", PLAN_SECRETS);
    return false;
}
