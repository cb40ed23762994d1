/* vaultd/store/batch.h - the inside of a batch: its operations in order, its bytes in one piece.
 * Only vaultd/store includes this. */
#pragma once

#include "vaultd/store/store.h"

enum batch_op_kind { BATCH_REQUIRE, BATCH_PUT, BATCH_DELETE };

/* Bytes are named by offset: the buffer moves while it grows. */
struct batch_op {
    generation g;
    uint32_t key_at, value_at, value_len;
    uint8_t key_len;
    uint8_t kind;      /* enum batch_op_kind */
    uint8_t condition; /* enum condition */
};

struct batch {
    uint32_t magic;
    bool failed, no_memory, relief, has_outcome;
    uint32_t age; /* the lowest that was told; 0: none */
    unsigned n, writes, puts;
    size_t counted; /* towards STORE_BATCH_BYTES */
    unsigned char *bytes;
    size_t len, room;
    uint32_t outcome_at, outcome_len;
    /* from store_commit() on */
    struct batch *next;
    store_done_fn *done;
    void *arg;
    struct commit_result result;
    struct batch_op ops[STORE_BATCH_OPS];
};
#define BATCH_MAGIC 0x4b544241u

static inline struct kt_bytes batch_key(const struct batch *batch, const struct batch_op *op)
{
    return kt_bytes(batch->bytes + op->key_at, op->key_len);
}
static inline struct kt_bytes batch_value(const struct batch *batch, const struct batch_op *op)
{
    return kt_bytes(batch->bytes + op->value_at, op->value_len);
}
static inline struct kt_bytes batch_record(const struct batch *batch)
{
    return kt_bytes(batch->bytes + batch->outcome_at, batch->outcome_len);
}
/* What a refused batch still needs is its result. */
void batch_shed(struct batch *batch);
