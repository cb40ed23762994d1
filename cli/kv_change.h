/* cli/kv_change.h - what a write takes away, before it, and the command that takes it back, after it.
 *
 * What:    Keys alone are asked for where the mount can tell them. Who may write but not read is told
 *          nothing: nothing is known.
 * Threads: one thread. */
#pragma once

#include "cli/kv_place.h"
#include "lib/json.h"

/* A put replaces the whole secret: the keys that vanish are named, and a person at a terminal has to say
 * -replace. False: said so; cli->exit_code is set. */
bool kv_change_may_drop(struct cli *cli, const struct kv_place *place, struct kt_json data);
/* What version was written, and can be undone. */
void kv_change_tell_undo(struct cli *cli, const struct kv_place *place, int64_t version);
