/* cli/gap_view.h - for how long a rotation in-place cuts off, and how to do without.
 *
 * `state` has the members gap_instead and last_gap... of docs/api-rotation.md. What is appended may hold what a target's
 * owner wrote: the caller makes it safe for where it goes.
 * Threads: one thread. */
#pragma once

#include "lib/buf.h"
#include "lib/json.h"

struct cli;

/* "15 s at most, 2027-01-15 08:00:15", or that it was not measured. */
void gap_view_measured(struct cli *cli, struct kt_json state, struct kt_buf *out);
/* The commands that end the gap: "secretctl schedule set SECRET strategy=overlap". False: there is none. */
bool gap_view_instead(struct kt_json state, const char *secret, struct kt_buf *out);
