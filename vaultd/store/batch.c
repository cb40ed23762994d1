#include "vaultd/store/batch.h"

#include <stdlib.h>

#include "lib/assert.h"
#include "lib/failpoint.h"

struct batch *batch_new(void)
{
    struct batch *batch = kt_malloc(sizeof *batch);
    if (batch == NULL)
        return NULL;
    /* The operations are written before they are read. */
    memset(batch, 0, offsetof(struct batch, ops));
    batch->magic = BATCH_MAGIC;
    return batch;
}

void batch_free(struct batch *batch)
{
    if (batch == NULL)
        return;
    KT_ASSERT(batch->magic == BATCH_MAGIC);
    batch->magic = 0;
    free(batch->bytes);
    free(batch);
}

void batch_shed(struct batch *batch)
{
    free(batch->bytes);
    batch->bytes = NULL;
    batch->len = batch->room = 0;
    batch->n = batch->writes = 0;
}

static bool make_room(struct batch *batch, size_t len)
{
    if (batch->bytes != NULL && batch->room - batch->len >= len)
        return true;
    size_t room = batch->room == 0 ? 1024 : batch->room;
    while (room - batch->len < len)
        room *= 2;
    unsigned char *bytes = kt_malloc(room);
    if (bytes == NULL) {
        batch->failed = batch->no_memory = true;
        return false;
    }
    if (batch->bytes != NULL)
        memcpy(bytes, batch->bytes, batch->len);
    free(batch->bytes);
    batch->bytes = bytes;
    batch->room = room;
    return true;
}

/* The caller has made room. */
static uint32_t copy_in(struct batch *batch, struct kt_bytes from)
{
    uint32_t at = (uint32_t)batch->len;
    if (from.len != 0)
        memcpy(batch->bytes + at, from.at, from.len);
    batch->len += from.len;
    return at;
}

/* Byte 0 is the engine's own table. STORE_GENERATION has no key. */
static bool key_ok(struct kt_bytes key)
{
    return key.len >= 1 && key.len <= STORE_KEY_MAX && key.at[0] != 0;
}

static struct batch_op *add(struct batch *batch, enum batch_op_kind kind, struct kt_bytes key,
                            struct kt_bytes value)
{
    KT_ASSERT(batch != NULL && batch->magic == BATCH_MAGIC);
    if (batch->failed)
        return NULL;
    if (batch->n >= STORE_BATCH_OPS || value.len > STORE_VALUE_MAX ||
        key.len + value.len > STORE_BATCH_BYTES - batch->counted) {
        batch->failed = true;
        return NULL;
    }
    if (!make_room(batch, key.len + value.len))
        return NULL;
    batch->counted += key.len + value.len;
    struct batch_op *op = &batch->ops[batch->n++];
    *op = (struct batch_op){.kind = (uint8_t)kind,
                            .key_len = (uint8_t)key.len,
                            .key_at = copy_in(batch, key),
                            .value_len = (uint32_t)value.len};
    op->value_at = copy_in(batch, value);
    return op;
}

void batch_require(struct batch *batch, enum condition condition, struct kt_bytes key, generation g)
{
    if (condition == STORE_GENERATION)
        key = kt_bytes(NULL, 0);
    else if (!key_ok(key))
        batch->failed = true;
    struct batch_op *op = add(batch, BATCH_REQUIRE, key, kt_bytes(NULL, 0));
    if (op == NULL)
        return;
    op->condition = (uint8_t)condition;
    op->g = g;
}

void batch_put(struct batch *batch, struct kt_bytes key, struct kt_bytes value)
{
    if (!key_ok(key))
        batch->failed = true;
    if (add(batch, BATCH_PUT, key, value) == NULL)
        return;
    batch->writes++;
    batch->puts++;
}

void batch_delete(struct batch *batch, struct kt_bytes key)
{
    if (!key_ok(key))
        batch->failed = true;
    if (add(batch, BATCH_DELETE, key, kt_bytes(NULL, 0)) != NULL)
        batch->writes++;
}

void batch_age(struct batch *batch, uint32_t age)
{
    if (batch->age == 0 || age < batch->age)
        batch->age = age;
}

void batch_relief(struct batch *batch)
{
    KT_ASSERT(batch != NULL && batch->magic == BATCH_MAGIC);
    batch->relief = true;
}

void batch_outcome(struct batch *batch, struct kt_bytes record)
{
    KT_ASSERT(batch != NULL && batch->magic == BATCH_MAGIC);
    if (batch->failed)
        return;
    if (batch->has_outcome || record.len > STORE_OUTCOME_MAX) {
        batch->failed = true;
        return;
    }
    if (!make_room(batch, record.len))
        return;
    batch->has_outcome = true;
    batch->outcome_at = copy_in(batch, record);
    batch->outcome_len = (uint32_t)record.len;
}

unsigned batch_ops(const struct batch *batch)
{
    return batch->writes == 0 && batch->failed ? 1 : batch->writes;
}

bool batch_failed(const struct batch *batch)
{
    return batch->failed;
}
