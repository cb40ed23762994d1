/* cli/commands.h - what a person can ask for: one list, from which dispatch, help, completion and
 * docs/secretctl.md come.
 *
 * One more command: one row in its group's cli/commands_*.c and a handler in a cmd_*.c file. A
 * handler prints, or says what failed (cli_fail), and returns the exit code: 0 done, 1 used wrongly
 * or a local error, 2 the vault refused or could not be reached. A command that asks a question
 * (COMMAND_ASKS) returns 2 for the bad answer and 1 for every error.
 * Threads: constant. */
#pragma once

#include "cli/flags.h"

struct cli;

enum command_group {
    GROUP_SECRETS,
    GROUP_ROTATION,
    GROUP_FLEET,
    GROUP_AUDIT,
    GROUP_ACCESS,
    GROUP_MOVING,
    GROUP_VAULT,
    GROUP_SELF,
    GROUP_COUNT
};
extern const char *const command_group_titles[GROUP_COUNT];

enum {
    COMMAND_ASKS = 1,      /* exit code 2 is the bad answer, 1 an error */
    COMMAND_LOCAL = 2,     /* talks to no vault: takes no -address and the like */
    COMMAND_HIDDEN = 4,    /* not in the help */
    COMMAND_TOKENLESS = 8, /* needs no token */
};

struct command_flag {
    enum flag_id id;
    const char *help; /* NULL: the flag's own */
};

struct command {
    const char *words; /* "kv put" */
    const char *alias; /* "put", or NULL */
    enum command_group group;
    unsigned traits;
    const char *summary; /* one sentence */
    const char *usage;   /* the words after the command's, "" for none */
    size_t min_words, max_words;
    const struct command_flag *flags; /* FLAG_ID_COUNT ends; NULL: none of its own */
    const char *details;              /* paragraphs, or NULL */
    const char *examples;             /* lines to paste */
    int (*run)(struct cli *cli);
};
/* All of them, group by group; i is below the count. */
size_t command_count(void);
const struct command *command_at(size_t i);

/* The command that begins the words, longest first; *ret_used words are its own. NULL: none. */
const struct command *command_find(const char *const *words, size_t count, size_t *ret_used);
/* "put" is an alias of it? */
bool command_has_alias(const struct command *command, const char *word);
/* The flags that a command takes, the common ones too; at most FLAG_ID_COUNT. */
size_t command_flags(const struct command *command, enum flag_id ret[FLAG_ID_COUNT]);
