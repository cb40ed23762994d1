/* cli/move_kv.h - copies one secret of a KV mount from vault to vault, and compares it.
 *
 * What:    With mounts of version 2 all versions come, with their numbers, times and states, in requests
 *          of at most 20 versions, each of which adds to what is there or does nothing; so a move that
 *          broke off goes on where it was, and nothing comes twice. With version 1 the one value.
 * Errors:  told through struct move_run; nothing is returned but what stops all.
 * Threads: any thread, each with its own connections. */
#pragma once

#include "cli/move_run.h"

struct move_kv {
    struct move_run *run;
    const struct kt_api_mount *mount; /* the same name on both sides */
    struct kt_api *source, *destination;
};

void move_kv_copy(const struct move_kv *kv, const char *path);
void move_kv_compare(const struct move_kv *kv, const char *path);
