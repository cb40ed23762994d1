/* cli/plan_text.h - the rotation plan as Markdown: a verdict, a table, a page for each secret.
 *
 * Threads: one thread. */
#pragma once

#include "lib/buf.h"
#include "lib/json.h"

struct cli;

/* Text from the vault where Markdown would read it as its own: escaped, and on one line. */
void plan_safe(struct kt_buf *out, const char *text);
/* One row of the table over all secrets, and the table's heading. */
void plan_table_heading(struct kt_buf *out);
void plan_table_row(struct cli *cli, struct kt_json secret, struct kt_buf *out);
/* A secret's own page. */
void plan_page(struct cli *cli, struct kt_json secret, struct kt_buf *out);
