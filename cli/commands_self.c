/* cli/commands_self.c - the help's group "This program"; see cli/command_rows.h. */
#include "cli/cmd.h"
#include "cli/command_rows.h"

/* clang-format off */
static const struct command rows[] = {
    {"explain", NULL, GROUP_SELF, COMMAND_LOCAL, "Say what a code like KT-R-021 means.", "[CODE]", 0, 1, NULL, NULL,
     "secretctl explain KT-R-021", cmd_explain},
    {"completion", NULL, GROUP_SELF, COMMAND_LOCAL, "Print the completion file of a shell.", "bash", 1, 1, NULL,
     "Secrets, targets and policies are completed too: they are asked of the vault at VAULT_ADDR, with the\n"
     "token in VAULT_TOKEN or ~/.vault-token, for a second at most.",
     "secretctl completion bash > /usr/share/bash-completion/completions/secretctl",
     cmd_completion},
    {"complete", NULL, GROUP_SELF, COMMAND_HIDDEN, "Print what a word may become: kv, rotated, target, policy.",
     "KIND [WORD]", 1, 2, NULL, NULL, "secretctl complete kv secret/db/", cmd_complete},
    {"version", NULL, GROUP_SELF, COMMAND_LOCAL, "Print this program's version.", "", 0, 0, NULL, NULL,
     "secretctl version", cmd_version},
    {"docs", NULL, GROUP_SELF, COMMAND_LOCAL | COMMAND_HIDDEN, "Print docs/secretctl.md.", "", 0, 0, NULL, NULL,
     "secretctl docs > docs/secretctl.md", cmd_docs},
};
/* clang-format on */
const struct command_rows commands_self = COMMAND_ROWS(rows);
