/* vaultd/store/format.h - the head record, and the readers of all its formats.
 *
 * What:    Every store has one head. It begins with u32 format number, which stands for the layout
 *          of the whole store. Older formats are read through a table by number and written anew in
 *          the newest form by the next fold; a newer one is refused by name.
 * Form:    little-endian: u32 format = 1, 16 bytes history, u64 generation, 48 bytes witness, 32
 *          bytes reserved (zero; a set hash of all entries may come here).
 * Threads: any thread; plain values. */
#pragma once

#include "vaultd/store/store.h"

#define STORE_FORMAT     1u
#define STORE_HEAD_BYTES 108u

struct store_head {
    generation at;
    unsigned char history[16];
    unsigned char witness[STORE_WITNESS_BYTES];
    unsigned char reserved[32];
};

struct store_format {
    uint32_t number;
    bool (*read)(struct kt_bytes record, struct store_head *ret); /* false: damaged */
};
extern const struct store_format store_formats[];
extern const size_t store_formats_count;

/* KT_PRECONDITION: a newer format; KT_CORRUPT: damaged. */
enum kt_kind store_head_read(struct kt_bytes record, const struct store_format *formats, size_t n,
                             struct store_head *ret, struct kt_err *err) KT_MUST_CHECK;
void store_head_write(const struct store_head *head, unsigned char out[STORE_HEAD_BYTES]);
