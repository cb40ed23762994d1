/* cli/help.h - everything that a person reads of the table of commands: help, the manual's page.
 * Threads: one thread. */
#pragma once

#include "lib/buf.h"

struct cli;
struct command;

void help_command(const struct command *command, struct kt_buf *out);
/* All commands, grouped by what a person wants to do. */
void help_all(struct kt_buf *out);
/* The words name no command: all of it, one group's ("kv"), or the nearest; the exit code. */
int help_without_command(struct cli *cli);
/* docs/secretctl.md */
void help_markdown(struct kt_buf *out);
