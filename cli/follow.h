/* cli/follow.h - follows a run to its end.
 *
 * What:    On a terminal the run's picture is drawn anew, once a second and at each step; else a
 *          line is written for each step; with JSON nothing until the whole run at the end. A vault
 *          that goes away meanwhile does not end the run, so it is waited for (FOLLOW_AWAY_MS).
 * Returns: the exit code: 0 done, or a drill that went well; 2 rolled back, cancelled, frozen, or out of sight.
 * Threads: one thread. */
#pragma once

#include <stdbool.h>

struct cli;

#define FOLLOW_AWAY_MS ((int64_t)10 * 60 * 1000)

/* patient: the vault was there just now, so that even the first question may have to wait for it.
 * */
int follow_run(struct cli *cli, const char *id, bool patient);
