/* cli/cmd_find.c - find: secrets by name, by a key that they have, by a note beside them; never by value.
 *
 * What a token may not list or look at is left out, and said to be. */
#include <fnmatch.h>
#include <stdio.h>

#include "cli/cli.h"
#include "cli/cmd.h"
#include "cli/kv_place.h"
#include "cli/move_side.h"
#include "cli/output.h"
#include "cli/walk.h"
#include "lib/cleanup.h"

#define NOTES_MAX 16u

struct wanted {
    const char *name;  /* part of the path, or a pattern; NULL: any */
    const char *key;   /* of a key that it has; NULL: any */
    const char *notes[NOTES_MAX]; /* "owner" or "owner=team-a", patterns */
    size_t n_notes;
};

/* "db" is a part of the path; with a star it is a pattern for all of it, or for its last name. */
static bool name_fits(const char *wanted, const char *path)
{
    if (wanted == NULL)
        return true;
    if (strpbrk(wanted, "*?[") == NULL)
        return strcasestr(path, wanted) != NULL;
    const char *slash = strrchr(path, '/');
    return fnmatch(wanted, path, FNM_CASEFOLD) == 0 ||
           (slash != NULL && fnmatch(wanted, slash + 1, FNM_CASEFOLD) == 0);
}

/* ---- what is asked of each secret ---- */

static enum kt_kind ask(const struct walk_place *at, const char *part, struct kt_api_reply *reply,
                        enum walk_state *ret, struct kt_err *err)
{
    struct kv_place place = {.mount = *at->mount};
    char full[KV_API_PATH];
    if ((size_t)snprintf(place.path, sizeof place.path, "%s", at->path) >= sizeof place.path)
        return kt_fail(err, KT_INVALID, "a path is too long");
    kv_place_path(&place, part, full);
    struct kt_api_request request = {.method = "GET", .path = full};
    enum kt_kind kind = move_call_quota(at->api, &request, reply, err);
    *ret = kind == KT_OK ? WALK_SECRET : kind == KT_DENIED ? WALK_REFUSED : WALK_PASSED;
    /* Not there, or its newest version is deleted. */
    return kind == KT_DENIED || kind == KT_NOT_FOUND ? KT_OK : kind;
}

/* KT_OK and *ret, or KT_NO_MEMORY: nothing is passed over for want of it. */
static enum kt_kind text_fits(const char *pattern, size_t len, struct kt_json value, bool *ret, struct kt_err *err)
{
    kt_autobuf struct kt_buf text = {0};
    kt_autobuf struct kt_buf wanted = {0};
    kt_buf_init(&text, value.len + 1);
    kt_buf_init(&wanted, len + 1);
    kt_buf_add(&wanted, pattern, len);
    bool is_text = kt_json_string(value, &text);
    if (!kt_buf_ok(&text) || !kt_buf_ok(&wanted))
        return kt_fail(err, KT_NO_MEMORY, "not enough memory");
    *ret = is_text && fnmatch(kt_buf_text(&wanted), kt_buf_text(&text), 0) == 0;
    return KT_OK;
}

static enum kt_kind has_key(struct kt_json object, const char *pattern, bool *ret, struct kt_err *err)
{
    enum kt_kind kind = KT_OK;
    struct kt_json_iter it = kt_json_iter(object);
    *ret = false;
    while (kind == KT_OK && !*ret && kt_json_next(&it))
        kind = text_fits(pattern, strlen(pattern), it.key, ret, err);
    return kind;
}

static enum kt_kind has_note(struct kt_json notes, const char *wanted, bool *ret, struct kt_err *err)
{
    size_t len = strcspn(wanted, "=");
    const char *value = wanted[len] == '=' ? wanted + len + 1 : NULL;
    enum kt_kind kind = KT_OK;
    struct kt_json_iter it = kt_json_iter(notes);
    *ret = false;
    while (kind == KT_OK && !*ret && kt_json_next(&it)) {
        kind = text_fits(wanted, len, it.key, ret, err);
        if (kind == KT_OK && *ret && value != NULL)
            kind = text_fits(value, strlen(value), it.value, ret, err);
    }
    return kind;
}

/* The names of its keys alone; a mount of version 1 has no such request, and gives the values, too. */
static enum kt_kind look_at_keys(const struct walk_place *at, const struct wanted *wanted, enum walk_state *ret,
                                 struct kt_err *err)
{
    bool has = false;
    kt_autoapireply struct kt_api_reply reply;
    kt_api_reply_init(&reply);
    enum kt_kind kind = ask(at, "subkeys", &reply, ret, err);
    struct kt_json keys = reply.data;
    if (kind != KT_OK || *ret != WALK_SECRET)
        return kind;
    if (at->mount->version == 2 && !kt_json_member(reply.data, "subkeys", &keys))
        keys = (struct kt_json){0};
    kind = has_key(keys, wanted->key, &has, err);
    if (!has)
        *ret = WALK_PASSED;
    return kind;
}

static enum kt_kind look_at_notes(const struct walk_place *at, const struct wanted *wanted, enum walk_state *ret,
                                  struct kt_err *err)
{
    kt_autoapireply struct kt_api_reply reply;
    struct kt_json notes = {0};
    kt_api_reply_init(&reply);
    *ret = WALK_PASSED; /* there are none in a mount of version 1 */
    enum kt_kind kind = at->mount->version == 2 ? ask(at, "metadata", &reply, ret, err) : KT_OK;
    if (kind != KT_OK || *ret != WALK_SECRET)
        return kind;
    (void)kt_json_member(reply.data, "custom_metadata", &notes);
    for (size_t i = 0; kind == KT_OK && i < wanted->n_notes; i++) {
        bool has = false;
        kind = has_note(notes, wanted->notes[i], &has, err);
        if (!has)
            *ret = WALK_PASSED;
    }
    return kind;
}

/* From what costs nothing to what has to be asked. */
static enum kt_kind look(const struct walk_place *at, void *arg, enum walk_state *ret, struct kt_err *err)
{
    const struct wanted *wanted = arg;
    char name[KV_API_PATH];
    (void)snprintf(name, sizeof name, "%s%s", at->mount->path, at->path);
    *ret = name_fits(wanted->name, name) ? WALK_SECRET : WALK_PASSED;
    enum kt_kind kind = KT_OK;
    if (*ret == WALK_SECRET && wanted->n_notes > 0)
        kind = look_at_notes(at, wanted, ret, err);
    if (kind == KT_OK && *ret == WALK_SECRET && wanted->key != NULL)
        kind = look_at_keys(at, wanted, ret, err);
    return kind;
}

/* ---- where ---- */

static bool from_folder(struct cli *cli, struct walk *walk, const char *in)
{
    struct kv_place place;
    if (!kv_place_find(cli, in, &place))
        return false;
    size_t len = strlen(place.path);
    bool ok = len == 0 || place.path[len - 1] == '/' || kv_place_enter(&place);
    if (ok && walk_from(walk, &place.mount, place.path))
        return true;
    cli->exit_code = cli_wrong(cli, "", ok ? "not enough memory" : "the path is too long");
    return false;
}

static bool read_wanted(struct cli *cli, struct wanted *ret)
{
    size_t at = 0;
    ret->name = cli->word_count > 0 ? cli->words[0] : NULL;
    ret->key = flags_text(&cli->flags, FLAG_KEY);
    for (;;) {
        const char *note = flags_next(&cli->flags, FLAG_METADATA, &at);
        if (note == NULL)
            break;
        if (ret->n_notes == NOTES_MAX) {
            cli->exit_code = cli_wrong(cli, "", "at most %u notes at once", NOTES_MAX);
            return false;
        }
        ret->notes[ret->n_notes++] = note;
    }
    if (ret->name != NULL || ret->key != NULL || ret->n_notes > 0)
        return true;
    cli->exit_code = cli_wrong(cli, "a part of its name, -key=NAME, -metadata=NAME=VALUE; all there is: "
                                    "secretctl kv list -r MOUNT",
                               "find what?");
    return false;
}

int cmd_find(struct cli *cli)
{
    struct wanted wanted = {0};
    struct kt_err err = {0};
    KT_AUTO(walk_end) struct walk walk = {0};
    const char *in = flags_text(&cli->flags, FLAG_IN);
    if (!read_wanted(cli, &wanted) || !walk_begin_here(&walk, cli, look, &wanted) ||
        !(in != NULL ? from_folder(cli, &walk, in) : walk_from_all(&walk, cli)))
        return cli->exit_code;
    if (walk_run(&walk, &err) != KT_OK)
        return cli_fail(cli, &err);
    size_t found = 0;
    for (size_t i = 0; i < walk.n; i++)
        found += walk.at[i].state == WALK_SECRET;
    if (cli->format == CLI_JSON)
        walk_print_json(cli, &walk);
    for (size_t i = 0; cli->format != CLI_JSON && i < walk.n; i++) {
        if (walk.at[i].state != WALK_SECRET)
            continue;
        output_safe(&cli->out, kt_str(walk.at[i].path));
        kt_buf_add_char(&cli->out, '\n');
    }
    size_t refused = walk_tell_refused(cli, &walk, "be listed, or looked at,");
    if (found == 0)
        cli_note(cli, "nothing is found%s", refused > 0 ? " in what this token may see" : "");
    if (refused > 0 && in == NULL)
        cli_note(cli, "next   -in=FOLDER looks there alone");
    return found > 0 ? CLI_DONE : CLI_REFUSED;
}
