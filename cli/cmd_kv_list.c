/* cli/cmd_kv_list.c - kv list, with -r, and kv tree: what is in a folder, and below it. */
#include <stdio.h>

#include "cli/cli.h"
#include "cli/cmd.h"
#include "cli/kv_place.h"
#include "cli/output.h"
#include "cli/walk.h"
#include "lib/cleanup.h"
#include "lib/jsonw.h"

static bool find_folder(struct cli *cli, struct kv_place *ret)
{
    const char *mount = flags_text(&cli->flags, FLAG_MOUNT);
    if (cli->word_count == 0 && mount == NULL) {
        char hint[120];
        (void)snprintf(hint, sizeof hint, "secretctl %s secret/; the mounts: secretctl secrets list", cli->command->words);
        cli->exit_code = cli_wrong(cli, hint, "which mount, or which folder?");
        return false;
    }
    return kv_place_find(cli, cli->word_count > 0 ? cli->words[0] : "", ret);
}

static int nothing_below(struct cli *cli, const struct kv_place *place)
{
    cli_note(cli, "there is nothing below %s", place->secret);
    if (cli->format == CLI_JSON)
        kt_buf_add_text(&cli->out, "[]\n");
    return CLI_REFUSED;
}

static int list_folder(struct cli *cli, const struct kv_place *place)
{
    char path[KV_API_PATH];
    struct kt_err err = {0};
    kt_autoapireply struct kt_api_reply reply;
    kt_api_reply_init(&reply);
    kv_place_path(place, "metadata", path);
    struct cli_call call = {.doing = "listing", .method = "LIST", .path = path, .err = &err};
    enum kt_kind kind = cli_call(cli, &call, &reply);
    if (kind != KT_OK && err.kind == KT_OK)
        return cli->exit_code;
    if (kind != KT_OK && cli_is_empty(&reply, &err))
        return nothing_below(cli, place);
    if (kind != KT_OK)
        return cli_refused(cli, &call, &reply, &err);
    cli_print_keys(cli, &reply);
    return CLI_DONE;
}

/* ---- everything below ---- */

typedef void print_fn(struct cli *cli, const struct walk *walk, size_t skip);

static void print_lines(struct cli *cli, const struct walk *walk, size_t skip)
{
    (void)skip;
    for (size_t i = 0; i < walk->n; i++) {
        if (walk->at[i].state == WALK_REFUSED)
            continue;
        output_safe(&cli->out, kt_str(walk->at[i].path));
        kt_buf_add_char(&cli->out, '\n');
    }
}

#define TREE_DEPTH 64u /* paths have at most 32 segments */

struct branch {
    struct cli *cli;
    const struct walk *walk;
    bool last[TREE_DEPTH]; /* of each level above */
};

/* How many findings from i on have the first len bytes of its path. */
static size_t same_folder(const struct walk *walk, size_t i, size_t end, size_t len)
{
    size_t n = 1;
    while (i + n < end && strncmp(walk->at[i + n].path, walk->at[i].path, len) == 0)
        n++;
    return n;
}

static void print_name(struct branch *b, unsigned depth, const char *name, size_t len, const char *remark)
{
    struct kt_buf *out = &b->cli->out;
    for (unsigned i = 0; i < depth; i++)
        kt_buf_add_text(out, b->last[i] ? "    " : "│   ");
    kt_buf_add_text(out, b->last[depth] ? "└── " : "├── ");
    output_safe(out, kt_bytes(name, len));
    kt_buf_printf(out, "%s\n", remark);
}

/* The findings from begin to end, which have their first skip bytes in common. */
// NOLINTNEXTLINE(misc-no-recursion): as deep as a path has segments
static void print_branches(struct branch *b, size_t begin, size_t end, size_t skip, unsigned depth)
{
    const struct walk *walk = b->walk;
    for (size_t i = begin; i < end && depth + 1 < TREE_DEPTH;) {
        const char *name = walk->at[i].path + skip;
        const char *slash = strchr(name, '/');
        size_t len = slash == NULL ? strlen(name) : (size_t)(slash - name) + 1;
        size_t n = slash == NULL ? 1 : same_folder(walk, i, end, skip + len);
        bool refused = slash != NULL && slash[1] == '\0';
        b->last[depth] = i + n == end;
        print_name(b, depth, name, len, refused ? "   (may not be listed)" : "");
        if (slash != NULL && !refused)
            print_branches(b, i, i + n, skip + len, depth + 1);
        i += n;
    }
}

static void print_tree(struct cli *cli, const struct walk *walk, size_t skip)
{
    struct branch branch = {.cli = cli, .walk = walk};
    output_safe(&cli->out, kt_bytes(walk->at[0].path, skip));
    kt_buf_add_char(&cli->out, '\n');
    print_branches(&branch, 0, walk->n, skip, 0);
}

static bool is_folder_itself(const struct walk *walk, const char *folder)
{
    return walk->n == 1 && walk->at[0].state == WALK_REFUSED && strcmp(walk->at[0].path, folder) == 0;
}

static int list_below(struct cli *cli, struct kv_place *place, print_fn *print)
{
    struct kt_err err = {0};
    KT_AUTO(walk_end) struct walk walk = {0};
    size_t len = strlen(place->path);
    if (len > 0 && place->path[len - 1] != '/' && !kv_place_enter(place))
        return cli_wrong(cli, "", "the path is too long");
    if (!walk_begin_here(&walk, cli, NULL, NULL))
        return cli->exit_code;
    if (!walk_from(&walk, &place->mount, place->path))
        return cli_wrong(cli, "", "not enough memory");
    if (walk_run(&walk, &err) != KT_OK) {
        (void)cli_fail(cli, &err);
        return CLI_REFUSED;
    }
    if (walk.n == 0)
        return nothing_below(cli, place);
    if (is_folder_itself(&walk, place->secret)) {
        cli_note(cli, "Error: this token may not list %s", place->secret);
        return CLI_REFUSED;
    }
    if (cli->format == CLI_JSON)
        walk_print_json(cli, &walk);
    else
        print(cli, &walk, strlen(place->secret));
    walk_tell_refused(cli, &walk, "be listed");
    return CLI_DONE;
}

int cmd_kv_list(struct cli *cli)
{
    struct kv_place place;
    if (!find_folder(cli, &place))
        return cli->exit_code;
    return flags_on(&cli->flags, FLAG_RECURSIVE) ? list_below(cli, &place, print_lines)
                                                 : list_folder(cli, &place);
}

int cmd_kv_tree(struct cli *cli)
{
    struct kv_place place;
    return find_folder(cli, &place) ? list_below(cli, &place, print_tree) : cli->exit_code;
}
