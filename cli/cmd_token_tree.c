/* cli/cmd_token_tree.c - token tree: which tokens end with which.
 *
 * The vault gives them in one answer, each with its parent's accessor; what has no parent, or one that is not
 * in the answer, stands at the left. */
#include <stdio.h>
#include <stdlib.h>

#include "cli/cli.h"
#include "cli/cmd.h"
#include "cli/output.h"
#include "lib/cleanup.h"

#define ACCESSOR_TEXT 80u
#define DEPTH_MAX     256u

struct node {
    char accessor[ACCESSOR_TEXT], parent[ACCESSOR_TEXT];
    struct kt_json token;
    size_t first, last, next; /* its children, and who comes after it; SIZE_MAX: none */
};
struct tree {
    struct cli *cli;
    struct node *at;
    size_t n, room;
    struct node root;
};

static bool add(struct tree *tree, struct kt_json token)
{
    if (tree->n == tree->room) {
        size_t room = tree->room == 0 ? 256 : tree->room * 2;
        struct node *at = reallocarray(tree->at, room, sizeof *at);
        if (at == NULL)
            return false;
        tree->at = at;
        tree->room = room;
    }
    struct node *node = &tree->at[tree->n++];
    *node = (struct node){.token = token, .first = SIZE_MAX, .last = SIZE_MAX, .next = SIZE_MAX};
    (void)kt_api_text(token, "accessor", node->accessor, sizeof node->accessor);
    (void)kt_api_text(token, "parent", node->parent, sizeof node->parent);
    return true;
}

static int by_accessor(const void *a, const void *b)
{
    return strcmp(((const struct node *)a)->accessor, ((const struct node *)b)->accessor);
}

static struct node *find(struct tree *tree, const char *accessor)
{
    struct node wanted = {0};
    (void)snprintf(wanted.accessor, sizeof wanted.accessor, "%s", accessor);
    return tree->n == 0 ? NULL : bsearch(&wanted, tree->at, tree->n, sizeof *tree->at, by_accessor);
}

static void link_all(struct tree *tree)
{
    tree->root = (struct node){.first = SIZE_MAX, .last = SIZE_MAX, .next = SIZE_MAX};
    if (tree->n > 0)
        qsort(tree->at, tree->n, sizeof *tree->at, by_accessor);
    for (size_t i = 0; i < tree->n; i++) {
        struct node *parent = tree->at[i].parent[0] == '\0' ? NULL : find(tree, tree->at[i].parent);
        if (parent == NULL)
            parent = &tree->root;
        if (parent->last == SIZE_MAX)
            parent->first = i;
        else
            tree->at[parent->last].next = i;
        parent->last = i;
    }
}

static void print_token(struct tree *tree, const struct node *node)
{
    struct kt_buf *out = &tree->cli->out;
    char life[OUTPUT_TIME] = "for ever";
    int64_t ttl_s = 0;
    struct kt_json policies = {0};
    kt_autobuf struct kt_buf name = {0};
    kt_buf_init(&name, 4096);
    struct kt_json display = {0};
    if (kt_json_member(node->token, "display_name", &display))
        output_value(&name, display);
    if (kt_api_i64(node->token, "ttl", &ttl_s) && ttl_s > 0)
        output_span(ttl_s * 1000, life);
    output_safe(out, kt_str(node->accessor));
    kt_buf_add_text(out, "  ");
    output_safe(out, kt_buf_bytes(&name));
    kt_buf_add_text(out, "  [");
    size_t n = 0;
    (void)kt_json_member(node->token, "policies", &policies);
    struct kt_json_iter it = kt_json_iter(policies);
    while (kt_json_next(&it)) {
        kt_autobuf struct kt_buf policy = {0};
        kt_buf_init(&policy, 4096);
        output_value(&policy, it.value);
        kt_buf_add_text(out, n++ == 0 ? "" : ", ");
        output_safe(out, kt_buf_bytes(&policy));
    }
    kt_buf_printf(out, "]  %s\n", life);
}

/* Depth first without recursion: tokens may stand in a long line. */
static void print_below(struct tree *tree, size_t from)
{
    size_t stack[DEPTH_MAX];
    unsigned depth = 0;
    size_t at = from;
    while (at != SIZE_MAX || depth > 0) {
        if (at == SIZE_MAX) {
            at = tree->at[stack[--depth]].next;
            continue;
        }
        kt_buf_printf(&tree->cli->out, "%*s", (int)(depth * 2), "");
        print_token(tree, &tree->at[at]);
        if (tree->at[at].first != SIZE_MAX && depth < DEPTH_MAX) {
            stack[depth++] = at;
            at = tree->at[at].first;
        } else {
            at = tree->at[at].next;
        }
    }
}

static int print_tree(struct tree *tree)
{
    struct cli *cli = tree->cli;
    if (cli->word_count == 0) {
        print_below(tree, tree->root.first);
        return CLI_DONE;
    }
    struct node *node = find(tree, cli->words[0]);
    if (node == NULL) {
        cli_note(cli, "Error: there is no token with this accessor");
        cli_note(cli, "next   all of them, with their accessors: secretctl token tree");
        return CLI_REFUSED;
    }
    node->next = SIZE_MAX; /* it and what ends with it, not who stands beside it */
    print_below(tree, (size_t)(node - tree->at));
    return CLI_DONE;
}

int cmd_token_tree(struct cli *cli)
{
    struct tree tree = {.cli = cli};
    struct kt_json tokens = {0};
    kt_autoapireply struct kt_api_reply reply;
    kt_api_reply_init(&reply);
    struct cli_call call = {.doing = "reading the tokens", .method = "GET", .path = "auth/token/tree"};
    if (cli_call(cli, &call, &reply) != KT_OK)
        return cli->exit_code;
    (void)kt_json_member(reply.data, "tokens", &tokens);
    if (cli->format == CLI_JSON) {
        output_json(&cli->out, tokens);
        return CLI_DONE;
    }
    bool ok = true;
    struct kt_json_iter it = kt_json_iter(tokens);
    while (ok && kt_json_next(&it))
        ok = add(&tree, it.value);
    link_all(&tree);
    int code = ok ? print_tree(&tree) : cli_wrong(cli, "", "not enough memory");
    free(tree.at);
    return code;
}
