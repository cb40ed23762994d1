/* cli/cmd_complete.c - completion: a shell's file; complete: the words it asks the vault for.
 *
 * Nobody waits for a key press, and nobody reads what went wrong: each question has COMPLETE_MS,
 * and when the vault is away, sealed or says no, there are no words. */
#include <stdio.h>

#include "cli/cli.h"
#include "cli/cmd.h"
#include "cli/completion.h"
#include "cli/output.h"

#define COMPLETE_MS  1000u
#define PATH_MAX_LEN (KT_API_PATH_MAX + 320u)

int cmd_completion(struct cli *cli)
{
    if (strcmp(cli->words[0], "bash") != 0)
        return cli_wrong(cli, "secretctl completion bash", "no completion for '%.40s'",
                         cli->words[0]);
    completion_bash(&cli->out);
    return CLI_DONE;
}

static bool ask(struct cli *cli, const char *method, const char *path, struct kt_api_reply *reply)
{
    struct cli_call call = {.doing = "completing",
                            .method = method,
                            .path = path,
                            .aside = true,
                            .timeout_ms = COMPLETE_MS};
    return cli_call(cli, &call, reply) == KT_OK;
}

/* before and key, when the word begins like that. Nothing that would end the line early. */
static void offer(struct cli *cli, const char *before, struct kt_json key, const char *word)
{
    kt_autobuf struct kt_buf text = {0};
    kt_buf_init(&text, PATH_MAX_LEN);
    kt_buf_add_text(&text, before);
    (void)kt_json_string(key, &text);
    const char *whole = kt_buf_text(&text);
    if (whole[0] == '\0' || strncmp(whole, word, strlen(word)) != 0 || strchr(whole, '\n') != NULL)
        return;
    output_safe(&cli->out, kt_buf_bytes(&text));
    kt_buf_add_char(&cli->out, '\n');
}

static void offer_keys(struct cli *cli, const char *before, const char *path, const char *word)
{
    struct kt_json keys = {0};
    kt_autoapireply struct kt_api_reply reply;
    kt_api_reply_init(&reply);
    if (!ask(cli, "LIST", path, &reply) || !kt_json_member(reply.data, "keys", &keys))
        return;
    struct kt_json_iter it = kt_json_iter(keys);
    while (kt_json_next(&it))
        offer(cli, before, it.value, word);
}

static bool is_kv(struct kt_json mount)
{
    char type[16];
    return kt_api_text(mount, "type", type, sizeof type) && strcmp(type, "kv") == 0;
}

/* The mounts that begin like the word; or, when it is inside one, what its folder holds. */
static void offer_paths(struct cli *cli, const char *word)
{
    struct kt_json mounts = {0};
    char mount[256] = "";
    char path[PATH_MAX_LEN];
    char folder[PATH_MAX_LEN];
    kt_autoapireply struct kt_api_reply reply;
    kt_api_reply_init(&reply);
    if (!ask(cli, "GET", "sys/internal/ui/mounts", &reply) ||
        !kt_json_member(reply.data, "secret", &mounts))
        return;
    struct kt_json_iter it = kt_json_iter(mounts);
    while (kt_json_next(&it)) {
        kt_autobuf struct kt_buf name = {0};
        kt_buf_init(&name, sizeof mount - 1);
        if (!is_kv(it.value) || !kt_json_string(it.key, &name))
            continue;
        offer(cli, "", it.key, word);
        if (name.len > strlen(mount) && strncmp(word, kt_buf_text(&name), name.len) == 0)
            (void)snprintf(mount, sizeof mount, "%s", kt_buf_text(&name));
    }
    size_t len = strlen(mount);
    if (len == 0)
        return;
    const char *slash = strrchr(word, '/'); /* there is one: the mount's */
    int inside = (int)((size_t)(slash + 1 - word) - len);
    int n = snprintf(path, sizeof path, "%smetadata/%.*s", mount, inside, word + len);
    if (n < 0 || (size_t)n >= sizeof path || (size_t)(slash - word) >= KT_API_PATH_MAX)
        return;
    (void)snprintf(folder, sizeof folder, "%.*s", (int)(slash + 1 - word), word);
    kt_buf_reset(&cli->out); /* the mount itself is no news */
    offer_keys(cli, folder, path, word);
}

int cmd_complete(struct cli *cli)
{
    static const struct {
        const char *kind, *path;
    } lists[] = {
        {"rotated", "rotation/secrets"},
        {"target", "rotation/targets"},
        {"policy", "sys/policies/acl"},
    };
    const char *word = cli->word_count == 2 ? cli->words[1] : "";
    if (!cli_open(cli))
        return cli->exit_code;
    if (cli->token == NULL)
        return CLI_DONE;
    if (strcmp(cli->words[0], "kv") == 0)
        offer_paths(cli, word);
    for (size_t i = 0; i < sizeof lists / sizeof lists[0]; i++)
        if (strcmp(cli->words[0], lists[i].kind) == 0)
            offer_keys(cli, "", lists[i].path, word);
    return CLI_DONE;
}
