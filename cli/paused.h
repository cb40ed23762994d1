/* cli/paused.h - the lines that say that all rotations are paused, above what is listed.
 *
 * Nothing is printed while they go on, or to whom the vault does not tell.
 * Threads: one thread. */
#pragma once

struct cli;

void paused_banner(struct cli *cli);
