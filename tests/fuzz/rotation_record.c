/* tests/fuzz/rotation_record.c - the stored records of rotation and fleet.
 *
 * The first byte chooses the kind. What can be read is written as exactly the bytes that were read;
 * of an older format, as something that can be read. */
#include "lib/assert.h"
#include "vaultd/fleet/consumer.h"
#include "vaultd/rotation/classes.h"
#include "vaultd/rotation/ledger.h"
#include "vaultd/rotation/pause.h"
#include "vaultd/rotation/revoked.h"
#include "vaultd/rotation/run.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define SIZE_MOST ((size_t)64 * 1024)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct record_kind *const kinds[] = {
        &target_kind, &secret_kind, &run_kind, &step_kind, &reader_kind, &consumer_kind,
        &host_kind,   &pause_kind,  &classes_kind, &revoked_kind,
    };
    if (size == 0)
        return 0;
    const struct record_kind *kind = kinds[data[0] % (sizeof kinds / sizeof kinds[0])];
    static unsigned char object[SIZE_MOST] __attribute__((aligned(16)));
    KT_ASSERT(kind->size <= sizeof object);
    struct kt_arena arena;
    kt_arena_init(&arena, (size_t)8 * 1024 * 1024);
    struct kt_bytes record = kt_bytes(data + 1, size - 1);
    if (record_read(kind, record, &arena, object, NULL) == KT_OK) {
        kt_autobuf struct kt_buf again;
        kt_buf_init(&again, (size_t)8 * 1024 * 1024);
        record_write(kind, object, &again);
        KT_ASSERT(kt_buf_ok(&again));
        /* One of an older format is written in the newest. */
        if (record.at[0] == kind->forms[0].format)
            KT_ASSERT(kt_bytes_equal(kt_buf_bytes(&again), record));
        else
            KT_ASSERT(record_read(kind, kt_buf_bytes(&again), &arena, object, NULL) == KT_OK);
    }
    kt_arena_free(&arena);
    return 0;
}
