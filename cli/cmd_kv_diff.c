/* cli/cmd_kv_diff.c - kv diff: which keys two versions of a secret differ in; values only when asked for. */
#include <stdio.h>

#include "cli/cli.h"
#include "cli/cmd.h"
#include "cli/input.h"
#include "cli/kv_place.h"
#include "cli/output.h"
#include "lib/cleanup.h"
#include "lib/jsonw.h"
#include "lib/num.h"

enum change { SAME, REMOVED, ADDED, CHANGED, CHANGES };

struct side {
    uint64_t version; /* 0: the current one */
    struct kt_api_reply reply;
    struct kt_json data;
};

/* ---- the two versions ---- */

/* "2,5"; not given: the one before the current, and that. */
static bool read_versions(struct cli *cli, struct side sides[2])
{
    const char *text = flags_text(&cli->flags, FLAG_VERSIONS);
    if (text == NULL)
        return true;
    size_t len = strcspn(text, ",");
    const char *second = text[len] == ',' ? text + len + 1 : "";
    if (kt_u64_parse(kt_bytes(text, len), INT64_MAX, &sides[0].version) && sides[0].version > 0 &&
        kt_u64_parse(kt_str(second), INT64_MAX, &sides[1].version) && sides[1].version > 0)
        return true;
    cli->exit_code = cli_wrong(cli, "-versions=2,5; which there are: secretctl kv history PATH",
                               "-versions are two numbers from 1 on");
    return false;
}

static bool read_side(struct cli *cli, const struct kv_place *place, struct side *side)
{
    char path[KV_API_PATH];
    char query[40] = "";
    struct kt_err err = {0};
    struct kt_json metadata = {0};
    int64_t version = 0;
    kv_place_path(place, "data", path);
    if (side->version > 0)
        (void)snprintf(query, sizeof query, "version=%ju", (uintmax_t)side->version);
    struct cli_call call = {
        .doing = "reading a version", .method = "GET", .path = path, .query = query, .err = &err};
    if (cli_call(cli, &call, &side->reply) == KT_OK) {
        (void)kt_json_member(side->reply.data, "data", &side->data);
        if (kt_json_member(side->reply.data, "metadata", &metadata) &&
            kt_api_i64(metadata, "version", &version) && version > 0)
            side->version = (uint64_t)version;
        return true;
    }
    if (err.kind == KT_OK)
        return false;
    if (err.kind != KT_NOT_FOUND) {
        cli->exit_code = cli_refused(cli, &call, &side->reply, &err);
        return false;
    }
    if (side->version > 0)
        cli_note(cli, "Error: version %ju of %s has no value: deleted, destroyed or never there",
                 (uintmax_t)side->version, place->secret);
    else
        cli_note(cli, "Error: there is no value at %s", place->secret);
    cli_note(cli, "next   secretctl kv history %s", place->secret);
    cli->exit_code = CLI_WRONG;
    return false;
}

static bool read_sides(struct cli *cli, const struct kv_place *place, struct side sides[2])
{
    bool given = sides[1].version > 0;
    if (!read_side(cli, place, &sides[1]))
        return false;
    if (!given && sides[1].version == 1) {
        cli->exit_code =
            cli_wrong(cli, "secretctl kv history PATH", "%s has only one version", place->secret);
        return false;
    }
    if (!given)
        sides[0].version = sides[1].version - 1;
    return read_side(cli, place, &sides[0]);
}

/* ---- comparing ---- */

static bool find(struct kt_json object, struct kt_json key, struct kt_json *ret)
{
    kt_autobuf struct kt_buf name = {0};
    kt_buf_init(&name, INPUT_ALL_MAX);
    return kt_json_string(key, &name) && kt_json_member(object, kt_buf_text(&name), ret);
}

/* One key, and its value in either version. */
typedef void told_fn(void *arg, enum change change, struct kt_json key, struct kt_json before,
                     struct kt_json after);

static size_t each_change(const struct side sides[2], told_fn *told, void *arg)
{
    size_t n = 0;
    struct kt_json other = {0};
    struct kt_json_iter it = kt_json_iter(sides[0].data);
    while (kt_json_next(&it)) {
        bool there = find(sides[1].data, it.key, &other);
        if (there && kt_json_equal(it.value, other))
            continue;
        told(arg, there ? CHANGED : REMOVED, it.key, it.value, other);
        n++;
    }
    it = kt_json_iter(sides[1].data);
    while (kt_json_next(&it)) {
        if (find(sides[0].data, it.key, &other))
            continue;
        told(arg, ADDED, it.key, (struct kt_json){0}, it.value);
        n++;
    }
    return n;
}

/* ---- telling ---- */

static void print_line(struct cli *cli, char sign, struct kt_json key, const struct kt_json *value)
{
    kt_autobuf struct kt_buf text = {0};
    kt_buf_init(&text, 2 * INPUT_ALL_MAX);
    kt_buf_printf(&text, "%c %s", sign, "");
    output_value(&text, key);
    if (value != NULL) {
        kt_buf_add_text(&text, ": ");
        output_value(&text, *value);
    }
    output_safe(&cli->out, kt_buf_bytes(&text));
    kt_buf_add_char(&cli->out, '\n');
}

static void print_change(void *arg, enum change change, struct kt_json key, struct kt_json before,
                         struct kt_json after)
{
    struct cli *cli = arg;
    bool values = flags_on(&cli->flags, FLAG_VALUES);
    if (change == CHANGED && !values) {
        print_line(cli, '~', key, NULL);
        return;
    }
    if (change != ADDED)
        print_line(cli, '-', key, values ? &before : NULL);
    if (change != REMOVED)
        print_line(cli, '+', key, values ? &after : NULL);
}

struct group {
    struct kt_jsonw *w;
    enum change wanted;
    bool values;
};

static void write_change(void *arg, enum change change, struct kt_json key, struct kt_json before,
                         struct kt_json after)
{
    struct group *group = arg;
    kt_autobuf struct kt_buf name = {0};
    kt_buf_init(&name, INPUT_ALL_MAX);
    if (change != group->wanted || !kt_json_string(key, &name))
        return;
    if (!group->values) {
        kt_jsonw_raw(group->w, kt_json_bytes(key));
        return;
    }
    kt_jsonw_key_bytes(group->w, kt_buf_bytes(&name));
    if (change != CHANGED) {
        kt_jsonw_raw(group->w, kt_json_bytes(change == ADDED ? after : before));
        return;
    }
    kt_jsonw_object(group->w);
    kt_jsonw_kv_raw(group->w, "from", kt_json_bytes(before));
    kt_jsonw_kv_raw(group->w, "to", kt_json_bytes(after));
    kt_jsonw_end(group->w);
}

static void print_json(struct cli *cli, const struct side sides[2])
{
    static const char *const names[CHANGES] = {
        [REMOVED] = "removed", [ADDED] = "added", [CHANGED] = "changed"};
    kt_autobuf struct kt_buf text = {0};
    kt_buf_init(&text, 8 * INPUT_ALL_MAX);
    struct kt_jsonw w = kt_jsonw(&text);
    bool values = flags_on(&cli->flags, FLAG_VALUES);
    kt_jsonw_object(&w);
    kt_jsonw_kv_int(&w, "from", (int64_t)sides[0].version);
    kt_jsonw_kv_int(&w, "to", (int64_t)sides[1].version);
    for (enum change change = REMOVED; change < CHANGES; change++) {
        struct group group = {&w, change, values};
        kt_jsonw_key(&w, names[change]);
        if (values)
            kt_jsonw_object(&w);
        else
            kt_jsonw_array(&w);
        (void)each_change(sides, write_change, &group);
        kt_jsonw_end(&w);
    }
    kt_jsonw_end(&w);
    output_json(&cli->out, kt_json_value(kt_buf_bytes(&text)));
}

static void count_change(void *arg, enum change change, struct kt_json key, struct kt_json before,
                         struct kt_json after)
{
    (void)arg, (void)change, (void)key, (void)before, (void)after;
}

static int tell(struct cli *cli, const struct kv_place *place, const struct side sides[2])
{
    size_t n = each_change(sides, count_change, NULL);
    if (cli->format == CLI_JSON) {
        print_json(cli, sides);
        return n == 0 ? CLI_DONE : CLI_REFUSED;
    }
    output_safe(&cli->out, kt_str(place->secret));
    kt_buf_printf(&cli->out, "   version %ju to %ju%s\n", (uintmax_t)sides[0].version,
                  (uintmax_t)sides[1].version, n == 0 ? ": the same" : "");
    (void)each_change(sides, print_change, cli);
    return n == 0 ? CLI_DONE : CLI_REFUSED;
}

int cmd_kv_diff(struct cli *cli)
{
    struct kv_place place;
    struct side sides[2] = {{0}, {0}};
    if (!read_versions(cli, sides) || !kv_place_find_versioned(cli, cli->words[0], &place))
        return cli->exit_code;
    for (size_t i = 0; i < 2; i++)
        kt_api_reply_init(&sides[i].reply);
    int code = read_sides(cli, &place, sides) ? tell(cli, &place, sides) : cli->exit_code;
    for (size_t i = 0; i < 2; i++)
        kt_api_reply_free(&sides[i].reply);
    return code;
}
