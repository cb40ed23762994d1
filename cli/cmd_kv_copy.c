/* cli/cmd_kv_copy.c - kv cp and kv mv: a secret with its versions elsewhere, in one step of the vault's.
 *
 * A refusal says nothing of why; what the token may do with the paths that it takes is asked, and told. */
#include <stdio.h>

#include "cli/cli.h"
#include "cli/cmd.h"
#include "cli/kv_place.h"
#include "cli/output.h"
#include "lib/cleanup.h"
#include "lib/jsonw.h"

struct kv_copy {
    struct kv_place from, to;
    bool moves;
    bool back; /* asked of the way back: from and to have changed places */
};

/* "secret/team/" takes it under its own last name, as a shell's cp does. */
static bool find_places(struct cli *cli, struct kv_copy *c)
{
    char word[KV_API_PATH];
    const char *to = cli->words[1];
    size_t len = strlen(to);
    if (!kv_place_find_versioned(cli, cli->words[0], &c->from))
        return false;
    const char *slash = strrchr(c->from.path, '/');
    bool folder = len > 0 && to[len - 1] == '/';
    int n = snprintf(word, sizeof word, "%s%s", to,
                     !folder ? "" : slash == NULL ? c->from.path : slash + 1);
    if (n < 0 || (size_t)n >= sizeof word) {
        cli->exit_code = cli_wrong(cli, "", "the path is too long");
        return false;
    }
    return kv_place_find_versioned(cli, word, &c->to);
}

/* ---- why not ---- */

/* Each right that the vault asks for (docs/everyday.md); where: an alternative to another one. */
static const struct right {
    bool at_destination, only_moves;
    const char *part, *capability;
    const char *note;
} rights[] = {
    {false, false, NULL, "update", ""},
    {false, false, "metadata", "read", ""},
    {false, false, "data", "read", ", or sudo beside update above"},
    {false, true, "metadata", "delete", ""},
    {true, false, "data", "create", ""},
    {true, false, "metadata", "create", ""},
};
#define N_RIGHTS (sizeof rights / sizeof rights[0])

static void right_path(const struct kv_copy *c, const struct right *right, char out[KV_API_PATH])
{
    const char *part = right->part == NULL ? (c->moves ? "move" : "copy") : right->part;
    kv_place_path(right->at_destination != c->back ? &c->to : &c->from, part, out);
}

static bool ask_capabilities(struct cli *cli, const struct kv_copy *c, struct kt_api_reply *reply)
{
    char paths[N_RIGHTS][KV_API_PATH];
    const char *words[N_RIGHTS];
    for (size_t i = 0; i < N_RIGHTS; i++) {
        right_path(c, &rights[i], paths[i]);
        words[i] = paths[i];
    }
    return cli_capabilities(cli, words, N_RIGHTS, reply);
}

static int tell_missing(struct cli *cli, const struct kv_copy *c)
{
    char path[KV_API_PATH];
    unsigned missing = 0;
    kt_autoapireply struct kt_api_reply reply;
    kt_api_reply_init(&reply);
    cli_note(cli, "Error: this token may not %s %s to %s", c->moves ? "move" : "copy",
             c->from.secret, c->to.secret);
    if (!ask_capabilities(cli, c, &reply)) {
        cli_note(cli, "next   what it takes: secretctl kv %s --help", c->moves ? "mv" : "cp");
        return CLI_REFUSED;
    }
    right_path(c, &rights[0], path);
    bool sudo = cli_has_capability(&reply, path, "sudo");
    for (size_t i = 0; i < N_RIGHTS; i++) {
        const struct right *right = &rights[i];
        right_path(c, right, path);
        bool needless = (right->only_moves && !c->moves) || (right->note[0] != '\0' && sudo);
        if (needless || cli_has_capability(&reply, path, right->capability))
            continue;
        cli_note(cli, "%s   %s on %s%s", missing++ == 0 ? "lacks" : "     ", right->capability, path,
                 right->note);
    }
    if (missing == 0)
        cli_note(cli, "why    it could read there, or bring back, what it may not here; or a right that it "
                      "has stands under conditions");
    return CLI_REFUSED;
}

/* ---- the way back ---- */

/* Needs what a move needs the other way round; told only to whom it is open. */
static void tell_undo_move(struct cli *cli, struct kv_copy *c)
{
    char path[KV_API_PATH];
    kt_autoapireply struct kt_api_reply reply;
    kt_api_reply_init(&reply);
    c->back = true;
    if (!ask_capabilities(cli, c, &reply))
        return;
    right_path(c, &rights[0], path);
    bool sudo = cli_has_capability(&reply, path, "sudo");
    for (size_t i = 0; i < N_RIGHTS; i++) {
        right_path(c, &rights[i], path);
        bool needless = rights[i].note[0] != '\0' && sudo;
        if (!needless && !cli_has_capability(&reply, path, rights[i].capability))
            return;
    }
    cli_note(cli, "undo   secretctl kv mv %s %s", c->to.secret, c->from.secret);
}

static void tell_undo_copy(struct cli *cli, const struct kv_copy *c)
{
    char path[KV_API_PATH];
    const char *const paths[] = {path};
    kt_autoapireply struct kt_api_reply reply;
    kt_api_reply_init(&reply);
    kv_place_path(&c->to, "metadata", path);
    if (cli_capabilities(cli, paths, 1, &reply) && cli_has_capability(&reply, path, "delete"))
        cli_note(cli, "undo   secretctl kv metadata delete %s", c->to.secret);
}

/* ---- doing it ---- */

static int run(struct cli *cli, bool moves)
{
    struct kv_copy c = {.moves = moves};
    char path[KV_API_PATH];
    struct kt_err err = {0};
    int64_t versions = 0;
    int code = CLI_DONE;
    kt_autobuf struct kt_buf body = {0};
    kt_autoapireply struct kt_api_reply reply;
    kt_buf_init(&body, (size_t)KV_API_PATH * 6);
    kt_api_reply_init(&reply);
    if (!find_places(cli, &c))
        return cli->exit_code;
    struct kt_jsonw w = kt_jsonw(&body);
    kt_jsonw_object(&w);
    kt_jsonw_kv_text(&w, "to", c.to.secret);
    kt_jsonw_end(&w);
    kv_place_path(&c.from, moves ? "move" : "copy", path);
    struct cli_call call = {.doing = moves ? "moving the secret" : "copying the secret",
                            .method = "POST",
                            .path = path,
                            .body = kt_buf_bytes(&body),
                            .err = &err};
    enum kt_kind kind = cli_call(cli, &call, &reply);
    if (kind == KT_DENIED && cli->token != NULL && strstr(err.what, "invalid token") == NULL)
        return tell_missing(cli, &c);
    if (kind == KT_NOT_FOUND && cli_is_empty(&reply, &err)) {
        cli_note(cli, "Error: there is no %s", c.from.secret);
        cli_note(cli, "next   secretctl kv list %s", c.from.mount.path);
        return CLI_REFUSED;
    }
    if (kind != KT_OK)
        return err.kind == KT_OK ? cli->exit_code : cli_refused(cli, &call, &reply, &err);
    if (cli_print_plain(cli, reply.data, &reply, &code))
        return code;
    (void)kt_api_i64(reply.data, "versions", &versions);
    cli_success(cli, "%s is %s%s, with %jd version%s", c.from.secret, moves ? "" : "also ", c.to.secret,
                (intmax_t)versions, versions == 1 ? "" : "s");
    if (moves)
        tell_undo_move(cli, &c);
    else
        tell_undo_copy(cli, &c);
    return CLI_DONE;
}

int cmd_kv_cp(struct cli *cli)
{
    return run(cli, false);
}

int cmd_kv_mv(struct cli *cli)
{
    return run(cli, true);
}
