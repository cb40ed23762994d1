/* cli/cmd_explain.c - explain CODE: what the stable codes of errors and runs mean, what to do. */
#include <stdio.h>
#include <strings.h>

#include "cli/cli.h"
#include "cli/cmd.h"
#include "cli/output.h"
#include "lib/jsonw.h"

/* clang-format off */
static const struct code {
    const char *code, *name, *meaning, *hurt, *next;
} codes[] = {
    {"KT-F-001", "no-such-secret",
     "A consumer registered for a secret that the vault does not have.",
     "That consumer: its agent is told of no change. Nothing was changed.",
     "The path is mount and path, as in secret/db/orders, without data/. secretctl kv list secret/"},
    {"KT-F-002", "read-first",
     "A consumer acknowledged a version that its identity never read from the vault. An\n"
     "acknowledgement counts only together with such a read.",
     "Nobody now; but the rotation goes on waiting for that consumer.",
     "The agent reads the version and acknowledges again by itself. By hand: read MOUNT/data/PATH\n"
     "with ?version=N and the same token, then report again."},
    {"KT-F-003", "no-such-version",
     "A consumer acknowledged a version that the secret does not have (any more).",
     "Nobody now; but the rotation goes on waiting for that consumer.",
     "The agent reads the current version by itself. secretctl kv history SECRET"},
    {"KT-F-004", "too-many-consumers",
     "A secret has as many consumers as a rotation can wait for.",
     "The consumer that was one too many: no rotation waits for it.",
     "Remove those that are gone: secretctl agent list, then DELETE fleet/consumers/HOST/SECRET; or\n"
     "give some of the services a secret of their own."},
    {"KT-R-003", "run-active",
     "A rotation of this secret is under way; a second one cannot start beside it.",
     "Nobody: the run that is under way goes on.",
     "secretctl run watch RUN, or secretctl rotate --join SECRET; going back: secretctl run cancel RUN"},
    {"KT-R-004", "cannot-rotate",
     "The secret cannot be rotated as it is set up: it has no version, no rotation, or its target or\n"
     "its data do not fit the strategy.",
     "Nobody now; the value gets older until that is mended.",
     "secretctl schedule show SECRET and secretctl target list; what is missing stands in the message"},
    {"KT-R-005", "run-in-the-way",
     "What was asked for would change a secret behind the back of its rotation: the version may be the\n"
     "one that the target accepts.",
     "Nobody: nothing was changed.",
     "Wait for the run (secretctl run watch RUN), go back first (secretctl run cancel RUN), or end the\n"
     "rotation: secretctl schedule remove SECRET"},
    {"KT-R-006", "nothing-to-go-back-to",
     "There is no finished rotation to go back from, or the version before it cannot be read any more.",
     "Nobody by that; who needs the old value does not get it.",
     "Make a new value instead: secretctl rotate SECRET"},
    {"KT-R-007", "account-taken",
     "Another secret rotates the same account at the same target; two would undo each other.",
     "Nobody: nothing was changed.",
     "Name other accounts, or end the other rotation: secretctl schedule remove OTHER"},
    {"KT-R-008", "too-late",
     "The run is past the point from which it can be taken back: the old value is being ended, or was\n"
     "dead before and is not set again.",
     "Nobody by that: the new value is in use, and works.",
     "It goes on by itself: secretctl run watch RUN. Afterwards: secretctl rotate --back SECRET"},
    {"KT-R-009", "not-frozen",
     "Only a frozen run can be thawed; this one goes on by itself, or has ended.",
     "Nobody: nothing was changed.",
     "secretctl run show RUN"},
    {"KT-R-010", "drift",
     "The target refuses the password that the vault has as current: somebody changed it by other\n"
     "means. Nothing was changed.",
     "Whoever has the stored password: new connections fail, open ones go on.",
     "secretctl run cancel RUN; then secretctl reconcile SECRET, where the stored one is the right one.\n"
     "Else the password that works goes into the vault:\n"
     "secretctl kv patch SECRET password=- and secretctl rotate SECRET. If the old one is meant to be\n"
     "dead: secretctl schedule set SECRET old_is_dead=true"},
    {"KT-R-011", "admin",
     "The administrative login of the target is refused, or lacks a right that the step needs.\n"
     "Nothing was changed.",
     "Nobody now: services go on with what they have.",
     "secretctl target check TARGET; a new password: secretctl target set TARGET admin_password=\n"
     "then secretctl run thaw RUN"},
    {"KT-R-012", "target-accepts-anything",
     "The target accepted a password that was never issued (trust in pg_hba.conf, for example). No\n"
     "probe proves anything there, so nothing was changed.",
     "Nobody is cut off; but anybody gets in there.",
     "Make the target ask for passwords for these accounts, then secretctl run thaw RUN"},
    {"KT-R-013", "wrong-server",
     "Behind the target's address is another server than before: its identity changed.",
     "Nobody by the run; services may have trouble of their own with another server.",
     "If the move was meant: secretctl target set TARGET server_id= and secretctl run thaw RUN, which\n"
     "probes before it does anything"},
    {"KT-R-021", "both-dead",
     "The target refuses the old and the new password, while the administrative login works. Services\n"
     "cannot open new connections; open ones go on.",
     "Everybody who connects anew.",
     "Look for who changed the role at the target. secretctl run thaw RUN sets the new password\n"
     "again, probes it and goes on; it is safe to repeat. Where the old one was meant to be dead, and\n"
     "nobody has the new one yet, secretctl run cancel RUN gives it up."},
    {"KT-R-022", "old-still-alive",
     "All consumers use the new version, but some server still accepts the old one (a standby behind,\n"
     "often). Nobody is hurt; it is a matter of security.",
     "Nobody is cut off.",
     "Wait until the server caught up, then secretctl run thaw RUN"},
    {"KT-R-023", "new-is-dead",
     "The target refuses the new password, which all consumers run. New connections fail.",
     "Every consumer that connects anew.",
     "Look at the new account at the target, then secretctl run thaw RUN: it sets the version again,\n"
     "probes and goes on; it is safe to repeat"},
    {"KT-R-024", "cannot-revoke",
     "The old account cannot be shut: the target refuses the step for good.",
     "Nobody is cut off.",
     "secretctl run show RUN has the target's words; mend the right it names, then\n"
     "secretctl run thaw RUN. Until then the old password works."},
    {"KT-R-025", "rollback-failed",
     "Going back failed too: the target does not take the old state again.",
     "That depends on which of both works: the run says so.",
     "secretctl run show RUN says which of both passwords works now. Mend the target, then\n"
     "secretctl run thaw RUN"},
    {"KT-R-026", "store-disagrees",
     "The vault does not have the version that this run needs, as after putting a backup back.",
     "Nobody by the run; whoever reads the secret may get a password that does not work.",
     "secretctl kv metadata get SECRET; secretctl run cancel RUN gives the run up, wherever it is. Then\n"
     "the password that the target accepts goes into the vault: secretctl kv patch SECRET password=-"},
    {"KT-R-027", "not-mended",
     "A reconciliation set the stored password at the target again, which said no, or refuses it all the\n"
     "same. New connections fail; open ones go on.",
     "Whoever has the stored password and connects anew.",
     "Look at the account at the target: locked, expired, changed again by a program? Then\n"
     "secretctl run thaw RUN, which is safe to repeat, or secretctl run cancel RUN"},
    {"KT-R-030", "paused",
     "Somebody paused all rotations: nothing starts by schedule, and none by hand without --force.\n"
     "Who, when and why stands in the message.",
     "Nobody now; what is due gets older.",
     "secretctl run resume lets everything go on; only one: secretctl rotate --force SECRET. Going\n"
     "back (rotate --back, run cancel) is not held up."},
    {"KT-R-031", "gap",
     "In-place there is one password at a time: a drill changes it twice, and who connects in between is\n"
     "refused. Nothing was changed.",
     "Nobody: nothing was changed.",
     "If that may be: secretctl drill --allow-gap SECRET, or secretctl schedule set SECRET allow_gap=true.\n"
     "Without a gap: strategy=alternate (two accounts) or strategy=overlap, where the target has it"},
    {"KT-R-032", "avoidable-gap",
     "In-place there is one password at a time: from its change until a consumer has reloaded, he cannot\n"
     "connect. The target can have two accepted at a time, so that nobody is cut off. Nothing was changed.",
     "Nobody: nothing was changed.",
     "strategy=alternate (a second account) or strategy=overlap, as the message says; if consumers may be\n"
     "cut off at each rotation: secretctl schedule set SECRET strategy=in-place allow_gap=true ..."},
};
/* clang-format on */

static void print_code(struct cli *cli, const struct code *code)
{
    kt_buf_printf(&cli->out, "%s  %s\n\n%s\n\nhurt  %s\nnext  %s\n", code->code, code->name, code->meaning,
                  code->hurt, code->next);
}

static void write_code(struct kt_jsonw *w, const struct code *code)
{
    kt_jsonw_object(w);
    kt_jsonw_kv_text(w, "code", code->code);
    kt_jsonw_kv_text(w, "name", code->name);
    kt_jsonw_kv_text(w, "meaning", code->meaning);
    kt_jsonw_kv_text(w, "hurt", code->hurt);
    kt_jsonw_kv_text(w, "next", code->next);
    kt_jsonw_end(w);
}

/* One code as an object; NULL: all of them, as a list. */
static int print_json(struct cli *cli, const struct code *one)
{
    kt_autobuf struct kt_buf text = {0};
    kt_buf_init(&text, 65536);
    struct kt_jsonw w = kt_jsonw(&text);
    if (one != NULL) {
        write_code(&w, one);
    } else {
        kt_jsonw_array(&w);
        for (size_t i = 0; i < sizeof codes / sizeof codes[0]; i++)
            write_code(&w, &codes[i]);
        kt_jsonw_end(&w);
    }
    if (!kt_buf_ok(&text))
        return cli_wrong(cli, "", "not enough memory for the codes");
    output_json(&cli->out, kt_json_value(kt_buf_bytes(&text)));
    return CLI_DONE;
}

static const struct code *find(const char *word)
{
    for (size_t i = 0; i < sizeof codes / sizeof codes[0]; i++)
        if (strcasecmp(codes[i].code, word) == 0 || strcasecmp(codes[i].name, word) == 0)
            return &codes[i];
    return NULL;
}

int cmd_explain(struct cli *cli)
{
    const struct code *one = cli->word_count == 1 ? find(cli->words[0]) : NULL;
    if (cli->word_count == 1 && one == NULL)
        return cli_wrong(cli, "all of them: secretctl explain", "there is no code '%.60s'",
                         cli->words[0]);
    if (cli->format == CLI_JSON)
        return print_json(cli, one);
    if (one != NULL) {
        print_code(cli, one);
        return CLI_DONE;
    }
    for (size_t i = 0; i < sizeof codes / sizeof codes[0]; i++)
        kt_buf_printf(&cli->out, "%s  %s\n", codes[i].code, codes[i].name);
    kt_buf_add_text(&cli->out, "\nwhat one means: secretctl explain CODE\n");
    return CLI_DONE;
}
