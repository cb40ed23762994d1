/* cli/cmd_self.c - version, docs: about this program. */
#include "cli/cli.h"
#include "cli/cmd.h"
#include "cli/help.h"
#include "cli/output.h"

int cmd_version(struct cli *cli)
{
    if (cli->format == CLI_JSON) {
        output_json(&cli->out, kt_json_value(kt_str("{\"version\":\"" KT_VERSION "\"}")));
        return CLI_DONE;
    }
    kt_buf_add_text(&cli->out, "secretctl (Keyturn) v" KT_VERSION "\n");
    return CLI_DONE;
}

int cmd_docs(struct cli *cli)
{
    help_markdown(&cli->out);
    return CLI_DONE;
}
