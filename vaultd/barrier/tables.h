/* vaultd/barrier/tables.h - the store's tables: the first byte of every key, in one list.
 *
 * A name never stands in a key. Key forms:
 *   NAME    table ‖ parent16 ‖ child16            barrier_name_key(); children of a folder adjoin
 *   NAMEn   the same ‖ a fixed suffix             versions of one secret adjoin their metadata
 *   HASH    table ‖ 32 bytes                      barrier_hash_key(); of a token, an accessor, an id
 *   TIME    table ‖ u64 big-endian ms ‖ 16 bytes  scanned from the front: what is due first
 *   ID      table ‖ 16 random or ordered bytes    (‖ u32 big-endian sequence)
 *   FIXED   table ‖ a constant word of this file; no user's name is in it
 *
 * How the values are sealed decides what re-encryption rewrites (vaultd/barrier/reseal.h):
 *   TERM    an entry under a term of the keyring, or one byte that only says that the key is there
 *   META    suffix 0 as TERM, each other suffix under a key of its own that stands in suffix 0
 *   OWN     under a key that only a token's holder has
 *   ROOT    by the root or the unseal key
 *   CLEAR   holds nothing secret */
#pragma once

enum table_sealing { SEALED_TERM, SEALED_META, SEALED_OWN, SEALED_ROOT, SEALED_CLEAR };

#define TABLES(X)                                                                                  \
    X(TABLE_BARRIER, 'B', SEALED_ROOT, "FIXED: seal record, keyring; sealed by the root key, not by a term")\
    X(TABLE_CONFIG, 'c', SEALED_TERM, "NAME: mount table, audit settings, and other single records")\
    X(TABLE_POLICY, 'p', SEALED_TERM, "NAME: policies, listed by name")                            \
    X(TABLE_TOKEN, 't', SEALED_TERM, "HASH: tokens")                                               \
    X(TABLE_ACCESSOR, 'a', SEALED_TERM, "HASH: accessor to token hash")                            \
    X(TABLE_CHILD, 'k', SEALED_TERM, "HASH of the parent ‖ first 16 of the child's: a token's children")\
    X(TABLE_TOKEN_DUE, 'x', SEALED_TERM, "TIME: tokens by expiry")                                 \
    X(TABLE_LEASE, 'e', SEALED_TERM, "NAME: leases of tokens, by where they were made")             \
    X(TABLE_LEASE_PATH, 'E', SEALED_TERM, "NAME: where tokens were made that have leases")         \
    X(TABLE_LEASED, 'D', SEALED_TERM, "NAME: leases of secrets, by where they were made")           \
    X(TABLE_LEASED_DUE, 'X', SEALED_TERM, "TIME: the same by when they are to be revoked")         \
    X(TABLE_LEASED_OF, 'O', SEALED_TERM, "HASH of a token ‖ 16 bytes: its leases of secrets")      \
    X(TABLE_LEASED_IN, 'N', SEALED_CLEAR, "scope16 ‖ 16 bytes: a mount's leases of secrets")       \
    X(TABLE_LEASED_STUCK, 'G', SEALED_TERM, "ID: leases of secrets that could not be revoked")     \
    X(TABLE_KV_NAME, 'n', SEALED_TERM, "NAME: names in a KV mount, for listing")                   \
    X(TABLE_KV, 'v', SEALED_META, "NAMEn: suffix 0 metadata, suffix u32be version: one version")   \
    X(TABLE_CUBBY, 'u', SEALED_OWN, "NAME: cubbyholes, scope is the token's hash")                 \
    X(TABLE_NAMED, 'U', SEALED_TERM, "NAME: users, roles ... of the ways to log in: scope is mount, kind") \
    X(TABLE_ROLE_ID, 'I', SEALED_TERM, "scope16 ‖ first 16 of a HASH: a role id to its role's name")  \
    X(TABLE_SECRET_ID, 'S', SEALED_TERM, "scope16 ‖ role16 ‖ first 16 of a HASH: secret ids")          \
    X(TABLE_SECRET_OF, 'y', SEALED_TERM, "the same of an accessor: to its secret id's hash16")         \
    X(TABLE_SECRET_DUE, 'z', SEALED_TERM, "TIME: secret ids by expiry")                               \
    X(TABLE_WRAPPED, 'w', SEALED_OWN, "HASH of the wrapping token: the answer that waits for it")    \
    X(TABLE_HELD, 'H', SEALED_CLEAR, "HASH of a token ‖ 16 bytes: the size of what it keeps, see auth/held.h")\
    X(TABLE_IDENTITY, 'i', SEALED_TERM, "NAME: entities, groups, and what finds them; a scope each, see identity/index.h")\
    X(TABLE_TARGET, 'g', SEALED_TERM, "NAME: rotation targets")                                    \
    X(TABLE_CALENDAR, 'C', SEALED_TERM, "NAME: calendars of blackouts")                            \
    X(TABLE_ROTATION, 'r', SEALED_TERM, "NAME: a secret's rotation settings and state")            \
    X(TABLE_DUE, 'd', SEALED_TERM, "TIME: secrets by the time their rotation is due")              \
    X(TABLE_LOOK, 'V', SEALED_TERM, "TIME: secrets by when the target is asked whether it accepts them") \
    X(TABLE_DRIFT, 'M', SEALED_TERM, "ID: secrets whose stored credential the target refuses")     \
    X(TABLE_DRILL, 'K', SEALED_TERM, "TIME: secrets by when going back is tried")                  \
    X(TABLE_RUN, 'R', SEALED_TERM, "ID, complemented: runs, the newest first")                     \
    X(TABLE_RUN_OF, 'q', SEALED_CLEAR, "ID of a secret ‖ a run's ID, complemented: its runs, the newest first")\
    X(TABLE_ACTIVE, 'A', SEALED_CLEAR, "ID: runs that have not ended")                             \
    X(TABLE_STEP, 's', SEALED_TERM, "ID ‖ u32be: steps of a run")                                  \
    X(TABLE_LOCK, 'l', SEALED_TERM, "HASH: target and account group locks")                        \
    X(TABLE_CONSUMER, 'f', SEALED_TERM, "NAME: consumers, scope is the secret")                    \
    X(TABLE_VETO, 'Q', SEALED_TERM, "NAME: consumers that keep runs from ending, scope is the secret") \
    X(TABLE_NOTICE, 'W', SEALED_TERM, "TIME: messages to people by when they are to be sent")         \
    X(TABLE_LEDGER, 'L', SEALED_TERM, "NAMEn: first reads of a version by an identity")            \
    X(TABLE_REVOKED, 'Y', SEALED_TERM, "NAME: revoked certificates and the lists of them, scope is the issuer") \
    X(TABLE_APPROVAL, 'o', SEALED_TERM, "ID ‖ u32be: requests that wait for approval; 0: what is known, 1: what was sent") \
    X(TABLE_JOB, 'j', SEALED_TERM, "ID: durable jobs that need more than one batch")               \
    X(TABLE_CHECKPOINT, 'h', SEALED_CLEAR, "FIXED: the newest signed checkpoint of the audit log")

#define X(name, byte, sealing, text) name = byte,
enum table { TABLES(X) };
#undef X
