/* vaultd/barrier/entry.h - one record, sealed to the place where it stands.
 *
 * Format:  barrier.h. The plaintext of format 1 is: data ‖ zeros ‖ u32 length of data, its size a
 *          bucket: multiples of 64 up to 2 KiB, then of a sixteenth of the power of two below, so
 *          at most 6.25% larger from 1 KiB on; hence sizes tell little of what is stored.
 * Threads: any thread that keeps the keyring alive. */
#pragma once

#include "vaultd/barrier/barrier.h"
#include "vaultd/barrier/keyring.h"

#define ENTRY_FORMAT    1u
#define ENTRY_PLAIN_MAX (STORE_VALUE_MAX - BARRIER_OVERHEAD - 4u)

/* A reader of one format. Readers append to out, or leave it as it was. */
struct entry_format {
    uint8_t number;
    enum kt_kind (*open)(const struct keyring *ring, struct kt_bytes key, struct kt_bytes sealed,
                         struct kt_buf *out, struct kt_err *err);
};

/* plain must not lie in out's memory. */
enum kt_kind entry_seal(struct keyring *ring, struct kt_bytes key, struct kt_bytes plain,
                        struct kt_buf *out, struct kt_err *err) KT_MUST_CHECK;
/* extra: one more format, for the test that readers are a table; else NULL. */
enum kt_kind entry_open(const struct keyring *ring, const struct entry_format *extra,
                        struct kt_bytes key, struct kt_bytes sealed, struct kt_buf *out,
                        struct kt_err *err) KT_MUST_CHECK;
/* What a sealed record says of its term; 0: it is none. */
uint32_t entry_term(struct kt_bytes sealed);
/* The size of the plaintext, padded, for so much data. */
size_t entry_bucket(size_t len);
