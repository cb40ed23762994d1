/* vaultd/barrier/tables.h - the store's tables: the first byte of every key, in one list.
 *
 * A name never stands in a key. Key forms:
 *   NAME    table ‖ parent16 ‖ child16            barrier_name_key(); children of a folder adjoin
 *   NAMEn   the same ‖ a fixed suffix             versions of one secret adjoin their metadata
 *   HASH    table ‖ 32 bytes                      barrier_hash_key(); of a token, an accessor, an id
 *   TIME    table ‖ u64 big-endian ms ‖ 16 bytes  scanned from the front: what is due first
 *   ID      table ‖ 16 random or ordered bytes    (‖ u32 big-endian sequence)
 *   FIXED   table ‖ a constant word of this file; no user's name is in it */
#pragma once

#define TABLES(X)                                                                                  \
    X(TABLE_BARRIER, 'B', "FIXED: seal record, keyring; sealed by the root key, not by a term")   \
    X(TABLE_CONFIG, 'c', "NAME: mount table, audit settings, and other single records")           \
    X(TABLE_POLICY, 'p', "NAME: policies, listed by name")                                        \
    X(TABLE_TOKEN, 't', "HASH: tokens")                                                           \
    X(TABLE_ACCESSOR, 'a', "HASH: accessor to token hash")                                        \
    X(TABLE_CHILD, 'k', "HASH of the parent ‖ first 16 of the child's: a token's children")       \
    X(TABLE_TOKEN_DUE, 'x', "TIME: tokens by expiry")                                             \
    X(TABLE_KV_NAME, 'n', "NAME: names in a KV mount, for listing")                               \
    X(TABLE_KV, 'v', "NAMEn: suffix 0 metadata, suffix u32be version: one version")               \
    X(TABLE_CUBBY, 'u', "NAME: cubbyholes, scope is the token's hash")                            \
    X(TABLE_TARGET, 'g', "NAME: rotation targets")                                                \
    X(TABLE_ROTATION, 'r', "NAME: a secret's rotation settings and state")                        \
    X(TABLE_DUE, 'd', "TIME: secrets by the time their rotation is due")                          \
    X(TABLE_RUN, 'R', "ID, complemented: runs, the newest first")                                 \
    X(TABLE_RUN_OF, 'q', "ID of a secret ‖ a run's ID, complemented: its runs, the newest first") \
    X(TABLE_ACTIVE, 'A', "ID: runs that have not ended")                                          \
    X(TABLE_STEP, 's', "ID ‖ u32be: steps of a run")                                              \
    X(TABLE_LOCK, 'l', "HASH: target and account group locks")                                    \
    X(TABLE_CONSUMER, 'f', "NAME: consumers, scope is the secret")                                \
    X(TABLE_LEDGER, 'L', "NAMEn: first reads of a version by an identity")                        \
    X(TABLE_JOB, 'j', "ID: durable jobs that need more than one batch")                           \
    X(TABLE_CHECKPOINT, 'h', "FIXED: the newest signed checkpoint of the audit log")

#define X(name, byte, text) name = byte,
enum table { TABLES(X) };
#undef X
