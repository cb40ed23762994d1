/* cli/cmd_explain.c - explain CODE: what the stable codes in errors and runs mean, and what to do.
 * */
#include <stdio.h>
#include <strings.h>

#include "cli/cli.h"
#include "cli/cmd.h"

/* clang-format off */
static const struct code {
    const char *code, *name, *meaning, *next;
} codes[] = {
    {"KT-F-002", "read-first",
     "A consumer acknowledged a version that its identity never read from the vault. An\n"
     "acknowledgement counts only together with such a read.",
     "The agent reads the version and acknowledges again by itself. By hand: read MOUNT/data/PATH\n"
     "with ?version=N and the same token, then report again."},
    {"KT-R-003", "run-active",
     "A rotation of this secret is under way; a second one cannot start beside it.",
     "secretctl run watch RUN, or secretctl rotate --join SECRET; going back: secretctl run cancel RUN"},
    {"KT-R-010", "drift",
     "What the target has is not what the vault left there: somebody changed the account, its group\n"
     "or its password by other means.",
     "secretctl run show RUN says what differs. Put it right at the target, then\n"
     "secretctl run thaw RUN. If the old value is known to be dead: schedule set SECRET old_is_dead=true"},
    {"KT-R-011", "admin",
     "The administrative login of the target is refused, or lacks a right that the step needs.\n"
     "Nothing was changed.",
     "secretctl target check TARGET; a new password: secretctl target set TARGET admin_password=\n"
     "then secretctl run thaw RUN"},
    {"KT-R-012", "target-accepts-anything",
     "The target accepted a password that was never issued (trust in pg_hba.conf, for example). No\n"
     "probe proves anything there, so nothing was changed.",
     "Make the target ask for passwords for these accounts, then secretctl run thaw RUN"},
    {"KT-R-013", "wrong-server",
     "Behind the target's address is another server than before: its identity changed.",
     "If that is right (rebuilt, failed over to another cluster): secretctl target set TARGET host=...\n"
     "again, then secretctl run thaw RUN"},
    {"KT-R-021", "both-dead",
     "The target refuses the old and the new password, while the administrative login works. Services\n"
     "cannot open new connections; open ones go on.",
     "Look for who changed the role at the target. secretctl run thaw RUN sets the new password\n"
     "again, probes it and goes on; it is safe to repeat."},
    {"KT-R-022", "old-still-alive",
     "All consumers use the new version, but some server still accepts the old one (a standby behind,\n"
     "often). Nobody is hurt; it is a matter of security.",
     "Wait until the server caught up, then secretctl run thaw RUN"},
    {"KT-R-023", "new-is-dead",
     "The target accepted the new password before and refuses it now; the old one works.",
     "secretctl run cancel RUN goes back to the old one; secretctl run thaw RUN sets the new one again"},
    {"KT-R-024", "cannot-revoke",
     "The old account cannot be shut: the target refuses the step for good.",
     "secretctl run show RUN has the target's words; mend the right it names, then\n"
     "secretctl run thaw RUN. Until then the old password works."},
    {"KT-R-025", "rollback-failed",
     "Going back failed too: the target does not take the old state again.",
     "secretctl run show RUN says which of both passwords works now. Mend the target, then\n"
     "secretctl run thaw RUN"},
    {"KT-R-026", "store-disagrees",
     "The vault's store and the target disagree about the versions, as after putting a backup back.",
     "secretctl kv history SECRET, secretctl run show RUN; the value that the target accepts has to be\n"
     "written into the secret by hand, then secretctl run thaw RUN"},
};
/* clang-format on */

static void print_code(struct cli *cli, const struct code *code)
{
    kt_buf_printf(&cli->out, "%s  %s\n\n%s\n\nnext  %s\n", code->code, code->name, code->meaning,
                  code->next);
}

int cmd_explain(struct cli *cli)
{
    for (size_t i = 0; i < sizeof codes / sizeof codes[0]; i++) {
        if (cli->word_count == 0)
            kt_buf_printf(&cli->out, "%s  %s\n", codes[i].code, codes[i].name);
        else if (strcasecmp(codes[i].code, cli->words[0]) == 0 ||
                 strcasecmp(codes[i].name, cli->words[0]) == 0) {
            print_code(cli, &codes[i]);
            return CLI_DONE;
        }
    }
    if (cli->word_count == 0) {
        kt_buf_add_text(&cli->out, "\nwhat one means: secretctl explain CODE\n");
        return CLI_DONE;
    }
    return cli_wrong(cli, "all of them: secretctl explain", "there is no code '%.60s'",
                     cli->words[0]);
}
