/* vaultd/core/upkeep.h - the long works on the store, one after the other on a thread of their own.
 *
 * What:    Compacting the store, once for each time that it was asked for; and re-encryption, as long
 *          as its record says that something is left, also after a restart. A compaction that was
 *          asked for goes before the next piece of a re-encryption.
 * Owner:   upkeep_new() gives one; upkeep_free() gives up a compaction, ends the thread; NULL is fine.
 * Threads: any thread. */
#pragma once

#include "vaultd/core/core.h"

struct upkeep;

struct upkeep *upkeep_new(struct core *core);
void upkeep_free(struct upkeep *upkeep);
/* Look whether there is something to do: the vault was unsealed, a re-encryption was begun. */
void upkeep_wake(struct upkeep *upkeep);
/* Asks for a compaction. False: one is under way, and its end will do. */
bool upkeep_compact(struct upkeep *upkeep);
/* Gives it up, if its file is not in place yet. False: there is none. */
bool upkeep_compact_stop(struct upkeep *upkeep);

struct upkeep_compaction {
    struct store_compact_state state; /* of the one that is under way, or of the last one */
    bool active;
    int64_t asked_ms, ended_ms; /* wall time; 0: never, not yet */
    struct kt_err err;          /* why the last one failed */
};
void upkeep_compaction(struct upkeep *upkeep, struct upkeep_compaction *ret);
/* Why the last piece of a re-encryption could not be done; kind KT_OK: it could. */
void upkeep_reencrypt_trouble(struct upkeep *upkeep, struct kt_err *ret);
