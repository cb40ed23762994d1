/* cli/help.c - see cli/help.h. */
#include "cli/help.h"

#include <stdio.h>

#include "cli/cli.h"
#include "cli/output.h"
#include "lib/nearest.h"

#define LEFT 30

static const enum flag_id common[] = {
    FLAG_ADDRESS, FLAG_CA_CERT, FLAG_CLIENT_CERT, FLAG_CLIENT_KEY, FLAG_TLS_SERVER_NAME,
    FLAG_NAMESPACE, FLAG_FORMAT, FLAG_CURL,
};

static void pad(struct kt_buf *out, size_t from, size_t to)
{
    do
        kt_buf_add_char(out, ' ');
    while (++from < to);
}

static void add_flag(struct kt_buf *out, enum flag_id id, const char *help)
{
    const struct flag *flag = &cli_flag_table[id];
    char left[96];
    (void)snprintf(left, sizeof left, "  -%s%s%s%s%s", flag->name, flag->other != NULL ? ", -" : "",
                   flag->other != NULL ? flag->other : "", flag->value != NULL ? "=" : "",
                   flag->value != NULL ? flag->value : "");
    kt_buf_add_text(out, left);
    pad(out, strlen(left), LEFT);
    kt_buf_printf(out, "%s\n", help != NULL ? help : flag->help);
}

/* Every line of a text with an indentation. */
static void add_lines(struct kt_buf *out, const char *text, const char *indent)
{
    while (*text != '\0') {
        size_t len = strcspn(text, "\n");
        if (len > 0)
            kt_buf_printf(out, "%s%.*s", indent, (int)len, text);
        kt_buf_add_char(out, '\n');
        text += len + (text[len] == '\n' ? 1 : 0);
    }
}

static void add_usage(struct kt_buf *out, const struct command *command)
{
    kt_buf_printf(out, "secretctl %s%s%s", command->words, command->usage[0] != '\0' ? " " : "",
                  command->usage);
}

void help_command(const struct command *command, struct kt_buf *out)
{
    add_usage(out, command);
    if (command->alias != NULL)
        kt_buf_printf(out, "      (also: secretctl %s)", command->alias);
    kt_buf_printf(out, "\n\n%s\n\n", command->summary);
    if (command->details != NULL) {
        add_lines(out, command->details, "");
        kt_buf_add_char(out, '\n');
    }
    kt_buf_add_text(out, "Examples\n");
    add_lines(out, command->examples, "  ");
    if (command->flags != NULL) {
        kt_buf_add_text(out, "\nFlags (one dash or two, before or after the words)\n");
        for (const struct command_flag *use = command->flags; use->id != FLAG_ID_COUNT; use++)
            add_flag(out, use->id, use->help);
    }
    if ((command->traits & COMMAND_LOCAL) == 0) {
        kt_buf_add_text(out, "\nFlags of every command\n");
        for (size_t i = 0; i < sizeof common / sizeof common[0]; i++)
            add_flag(out, common[i], NULL);
    }
}

static void add_row(struct kt_buf *out, const struct command *command)
{
    size_t len = strlen(command->words) + 2;
    kt_buf_printf(out, "  %s", command->words);
    if (command->alias != NULL) {
        kt_buf_printf(out, " (%s)", command->alias);
        len += strlen(command->alias) + 3;
    }
    pad(out, len, LEFT);
    kt_buf_printf(out, "%s\n", command->summary);
}

/* "a, b and c": the commands that answer a question. */
static void add_asking(struct kt_buf *out, const char *quote)
{
    size_t left = 0;
    for (size_t i = 0; i < command_count(); i++)
        left += (command_at(i)->traits & COMMAND_ASKS) != 0;
    for (size_t i = 0; i < command_count(); i++) {
        if ((command_at(i)->traits & COMMAND_ASKS) == 0)
            continue;
        left--;
        kt_buf_printf(out, "%s%s%s%s", quote, command_at(i)->words, quote,
                      left > 1    ? ", "
                      : left == 1 ? " and "
                                  : "");
    }
}

void help_all(struct kt_buf *out)
{
    kt_buf_add_text(out, "Usage: secretctl COMMAND [words] [flags]\n"
                         "       secretctl COMMAND --help      flags, examples to paste\n\n"
                         "The vault is at VAULT_ADDR (https://127.0.0.1:8200), the token in "
                         "VAULT_TOKEN or ~/.vault-token.\n");
    for (unsigned group = 0; group < GROUP_COUNT; group++) {
        kt_buf_printf(out, "\n%s\n", command_group_titles[group]);
        for (size_t i = 0; i < command_count(); i++)
            if (command_at(i)->group == (enum command_group)group &&
                (command_at(i)->traits & COMMAND_HIDDEN) == 0)
                add_row(out, command_at(i));
    }
    kt_buf_add_text(out, "\nExamples\n"
                         "  secretctl kv get secret/db/orders\n"
                         "  secretctl rotate secret/db/orders\n");
    kt_buf_add_text(out, "\nExit codes: 0 done; 1 used wrongly, or an error here; 2 the vault "
                         "refused or could not be reached.\n");
    add_asking(out, "");
    kt_buf_add_text(out, " answer a question: 2 is the bad answer, 1 an error.\n");
}

static bool begins_with_word(const char *words, const char *word)
{
    size_t len = strlen(word);
    return strncmp(words, word, len) == 0 && words[len] == ' ';
}

/* The first line of the first two. */
static void add_family_examples(struct kt_buf *out, const char *word)
{
    size_t shown = 0;
    kt_buf_add_text(out, "\nExamples\n");
    for (size_t i = 0; i < command_count() && shown < 2; i++) {
        const char *text = command_at(i)->examples;
        if (!begins_with_word(command_at(i)->words, word) ||
            (command_at(i)->traits & COMMAND_HIDDEN) != 0)
            continue;
        size_t len = strcspn(text, "\n");
        if (len > 0 && text[len - 1] == '\\')
            continue;
        kt_buf_printf(out, "  %.*s\n", (int)len, text);
        shown++;
    }
}

static size_t add_family(struct kt_buf *out, const char *word)
{
    size_t found = 0;
    for (size_t i = 0; i < command_count(); i++) {
        if (!begins_with_word(command_at(i)->words, word) ||
            (command_at(i)->traits & COMMAND_HIDDEN) != 0)
            continue;
        if (found++ == 0)
            kt_buf_printf(out, "Usage: secretctl %s COMMAND [words] [flags]\n\n", word);
        add_row(out, command_at(i));
    }
    if (found > 0) {
        add_family_examples(out, word);
        kt_buf_printf(out, "\nFlags and more examples: secretctl %s COMMAND --help\n", word);
    }
    return found;
}

/* The word that was mistyped is the last one given of a family, or the first. */
static int unknown_command(struct cli *cli)
{
    enum { NAMES_MAX = 256 };
    const char *names[NAMES_MAX + 1] = {NULL};
    size_t count = 0;
    const char *first = cli->flags.words[0];
    const char *second = cli->flags.word_count > 1 ? cli->flags.words[1] : NULL;
    for (size_t i = 0; i < command_count() && count < NAMES_MAX; i++) {
        const char *words = command_at(i)->words;
        if (second != NULL && begins_with_word(words, first))
            names[count++] = words + strlen(first) + 1;
    }
    bool family = count > 0;
    static const char *const firsts[] = {
        "kv",    "operator", "token",  "secrets", "policy", "schedule", "calendar", "target", "run", "audit",
        "agent", "consumer", "rotate", "status",  "login",  "due",      "help",   NULL,
    };
    for (size_t i = 0; !family && firsts[i] != NULL; i++)
        names[count++] = firsts[i];
    for (size_t i = 0; !family && i < command_count() && count < NAMES_MAX; i++)
        if (command_at(i)->alias != NULL)
            names[count++] = command_at(i)->alias;
    names[count] = NULL;
    const char *near = kt_nearest(family ? second : first, names);
    char hint[128];
    if (near != NULL)
        (void)snprintf(hint, sizeof hint, "secretctl %.40s%s%.60s?", family ? first : "",
                       family ? " " : "", near);
    else
        (void)snprintf(hint, sizeof hint, "secretctl %.40s%s--help", family ? first : "",
                       family ? " " : "");
    return cli_wrong(cli, hint, "no command '%.60s%s%.60s'", first, family ? " " : "",
                     family ? second : "");
}

/* "help kv get" is "kv get --help". */
static bool take_help_word(struct flags *flags)
{
    if (flags->word_count == 0 || strcmp(flags->words[0], "help") != 0)
        return false;
    flags->word_count--;
    memmove(flags->words, flags->words + 1, flags->word_count * sizeof flags->words[0]);
    return true;
}

int help_without_command(struct cli *cli)
{
    size_t used = 0;
    bool asked = take_help_word(&cli->flags);
    bool wanted = asked || flags_on(&cli->flags, FLAG_HELP);
    const struct command *command =
        asked ? command_find(cli->flags.words, cli->flags.word_count, &used) : NULL;
    if (command != NULL) {
        help_command(command, &cli->out);
        return CLI_DONE;
    }
    if (cli->flags.word_count == 0) {
        help_all(&cli->out);
        return wanted ? CLI_DONE : CLI_WRONG;
    }
    if ((cli->flags.word_count == 1 || wanted) && add_family(&cli->out, cli->flags.words[0]) > 0)
        return wanted ? CLI_DONE : CLI_WRONG;
    return unknown_command(cli);
}

/* ---- docs/secretctl.md ---- */

static void add_markdown_flags(struct kt_buf *out, const struct command *command)
{
    if (command->flags == NULL)
        return;
    kt_buf_add_text(out, "\n| flag | |\n|---|---|\n");
    for (const struct command_flag *use = command->flags; use->id != FLAG_ID_COUNT; use++) {
        const struct flag *flag = &cli_flag_table[use->id];
        kt_buf_printf(out, "| `-%s%s%s%s%s` | %s |\n", flag->name, flag->other != NULL ? ", -" : "",
                      flag->other != NULL ? flag->other : "", flag->value != NULL ? "=" : "",
                      flag->value != NULL ? flag->value : "",
                      use->help != NULL ? use->help : flag->help);
    }
}

void help_markdown(struct kt_buf *out)
{
    kt_buf_add_text(
        out,
        "# secretctl\n\n"
        "Written by `secretctl docs` from the tables of `cli/commands*.c`; do not edit it by hand.\n\n"
        "The vault is at `VAULT_ADDR` (or `-address`; default `https://127.0.0.1:8200`), the token in\n"
        "`VAULT_TOKEN` or `~/.vault-token`, the CA in `VAULT_CACERT` (or `-ca-cert`). Flags have one\n"
        "dash or two and stand before or after the words. `-o json` (also `-format=json`,\n"
        "`VAULT_FORMAT=json`) prints what the vault answered; `-output-curl-string` prints the request\n"
        "instead of sending it. A secret value is never an argument: `key=@FILE`, `key=-` (standard\n"
        "input) or `key=` (asks).\n\n"
        "Exit codes: 0 done; 1 used wrongly, or an error here; 2 the vault refused or could not be\n"
        "reached. ");
    add_asking(out, "`");
    kt_buf_add_text(out, " answer a question:\n2 is the bad answer, 1 an error. To remove what is not there is no error: "
                         "the code is 0.\n");
    for (unsigned group = 0; group < GROUP_COUNT; group++) {
        kt_buf_printf(out, "\n## %s\n", command_group_titles[group]);
        for (size_t i = 0; i < command_count(); i++) {
            const struct command *command = command_at(i);
            if (command->group != (enum command_group)group ||
                (command->traits & COMMAND_HIDDEN) != 0)
                continue;
            kt_buf_printf(out, "\n### %s\n\n", command->words);
            kt_buf_add_text(out, "`");
            add_usage(out, command);
            kt_buf_add_text(out, "`");
            if (command->alias != NULL)
                kt_buf_printf(out, " (also `%s`)", command->alias);
            kt_buf_printf(out, "\n\n%s\n", command->summary);
            if (command->details != NULL) {
                kt_buf_add_text(out, "\n```text\n");
                add_lines(out, command->details, "");
                kt_buf_add_text(out, "```\n");
            }
            kt_buf_add_text(out, "\n```sh\n");
            add_lines(out, command->examples, "");
            kt_buf_add_text(out, "```\n");
            add_markdown_flags(out, command);
        }
    }
}
