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

/* ---- for cli/move_plain.c ---- */
struct move_history;
struct move_version;
struct kt_jsonw;
/* A version's value. KT_NOT_FOUND: the vault does not show it. */
enum kt_kind move_kv_value(struct kt_api *api, const struct kt_api_mount *mount, const char *path, uint32_t number,
                           struct kt_api_reply *reply, struct kt_json *ret, struct kt_err *err) KT_MUST_CHECK;
/* Of the source: absent when it is destroyed, or deleted and not shown any more. */
enum kt_kind move_kv_fetch(const struct move_kv *kv, const char *path, const struct move_version *version,
                           struct kt_api_reply *reply, struct kt_json *ret, struct kt_err *err) KT_MUST_CHECK;
/* Members of a body: limits and custom metadata. */
void move_kv_settings(struct kt_jsonw *w, const struct move_history *history);

void move_kv_copy(const struct move_kv *kv, const char *path);
void move_kv_compare(const struct move_kv *kv, const char *path);
