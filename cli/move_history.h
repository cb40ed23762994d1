/* cli/move_history.h - what a KV vault of version 2 tells of a secret without its values, and how two
 * vaults' words about it compare.
 *
 * Owner:   move_history_free(). A struct that is zeroed is "no such secret".
 * Source:  GET MOUNT/metadata/PATH of Vault's API.
 * Threads: one thread at a time. */
#pragma once

#include "lib/api.h"

#define MOVE_VERSIONS_MAX 4096u

struct move_version {
    uint32_t number;
    int64_t created_ms, deletion_ms; /* 0: none */
    bool destroyed;
};
struct move_history {
    bool exists;
    uint32_t current;
    struct move_version *versions; /* ascending */
    size_t count;
    int64_t created_ms, updated_ms, max_versions;
    int64_t delete_after_ms; /* -1: disabled */
    bool cas_required;
    struct kt_buf custom; /* JSON object; "{}" for none */
};

/* Of an answer's data. KT_CORRUPT: no such thing. */
enum kt_kind move_history_read(struct kt_json data, struct move_history *ret,
                               struct kt_err *err) KT_MUST_CHECK;
void move_history_free(struct move_history *history);
const struct move_version *move_history_find(const struct move_history *history, uint32_t number);
bool move_version_deleted(const struct move_version *version, int64_t now_ms);

enum move_relation {
    MOVE_NOTHING, /* there is none at the destination */
    MOVE_EQUAL,
    MOVE_BEHIND, /* the same secret: versions, states or settings are still to come */
    MOVE_OTHER   /* another one of that name */
};
/* Settings under which nothing is pruned while versions are written one by one, and the next one deletes itself
 * after so long (-1: never). All but the limits stays the source's, and belongs to it. */
void move_history_first_settings(const struct move_history *source, int64_t after_ms, struct move_history *ret);
/* A secret here that has metadata alone is the same one only if it says the same, or has the same time of creation
 * (plain: is what a move begins with).
 * plain: versions at the destination were made by plain writes, so their times are not compared, and a
 * number that the source has no more is MOVE_BEHIND unless it is destroyed. */
enum move_relation move_history_compare(const struct move_history *source, const struct move_history *here,
                                        bool plain, int64_t now_ms);
/* Do limits and custom metadata say the same? */
bool move_history_same_settings(const struct move_history *a, const struct move_history *b);
