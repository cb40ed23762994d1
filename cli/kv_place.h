/* cli/kv_place.h - where a secret is: its mount, and its path inside it.
 *
 * What:    Vault's preflight: the vault says to which KV mount a path belongs. With -mount the
 *          words are already inside it. A word copied out of a policy ("secret/data/db") is put
 *          right, with a note.
 * Owner:   a plain value.
 * Threads: one thread. */
#pragma once

#include "lib/api.h"

struct cli;

struct kv_place {
    struct kt_api_mount mount;
    char path[KT_API_PATH_MAX];         /* "db/orders" */
    char secret[KT_API_PATH_MAX + 256]; /* "secret/db/orders" */
};
/* False: said what failed; cli->exit_code is set. Of either version of KV. */
bool kv_place_find(struct cli *cli, const char *word, struct kv_place *ret);
/* For what only version 2 has: versions, metadata. */
bool kv_place_find_versioned(struct cli *cli, const char *word, struct kv_place *ret);
/* "db" becomes the folder "db/"; false: too long. */
bool kv_place_enter(struct kv_place *place);
/* "secret/data/db/orders"; in a mount of version 1, which has no parts, "kv/db/orders". */
#define KV_API_PATH (KT_API_PATH_MAX + 300u)
void kv_place_path(const struct kv_place *place, const char *part, char out[KV_API_PATH]);
