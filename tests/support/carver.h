/* tests/support/carver.h - everything that a store's file yields to somebody who has all unseal keys.
 *
 * What:    Tries each place of the file's bytes as the beginning of an LMDB node, pages that are free
 *          and the gaps within pages included, whatever the tree says. Seal records found are opened
 *          with the shares, keyrings with every root key found, entries with every term of every
 *          keyring found (now or in an earlier file), versions of secrets with every key found in
 *          any metadata. All keys stay for the next file.
 * Limits:  values that LMDB keeps within a page (below 2 KiB); the tests keep to such.
 * Owner:   carver_init() .. carver_free().
 * Source:  mdb.c of LMDB 0.9.24, "struct MDB_node"; vaultd/barrier/{seal_record,keyring,entry}.h. */
#pragma once

#include "vaultd/barrier/barrier.h"

struct carver_key {
    unsigned char at[32];
    bool from_earlier; /* an earlier file held it */
};
struct carver_keys {
    struct carver_key *of;
    size_t n, room;
};
struct carver {
    struct carver_keys roots, terms, deks;
    struct kt_buf plain;   /* of the last file: all that could be opened, one after the other */
    struct kt_buf opened;  /* fields: the sealed bytes of what was opened and of what it is */
    unsigned nodes, rings, entries, versions; /* found, or opened, in the last file */
};

void carver_init(struct carver *carver);
void carver_free(struct carver *carver);
/* shares: as many as the threshold wants. */
void carver_run(struct carver *carver, struct kt_bytes file,
                const unsigned char shares[][SHAMIR_SHARE_BYTES], unsigned n_shares);
/* Whether a text is in what could be opened. */
bool carver_found(const struct carver *carver, const char *text);
/* The sealed bytes of the opened record with this text; at NULL: none. */
struct kt_bytes carver_sealed(const struct carver *carver, const char *text);
