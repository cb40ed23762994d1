/* tests/fuzz/driver_step.c - what vaultd-worker reads: a step that is written again as the same
 * bytes, or an error. */
#include "lib/assert.h"
#include "lib/driver/driver.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct kt_bytes input = kt_bytes(data, size);
    struct driver_step step = {0};
    struct kt_err err = {0};
    struct kt_arena arena;
    if (size > DRIVER_MESSAGE_MAX)
        return 0;
    kt_arena_init(&arena, (size_t)1 << 20);
    if (kt_driver_step_decode(input, &arena, &step, &err) == KT_OK) {
        kt_autobuf struct kt_buf out;
        kt_buf_init(&out, DRIVER_MESSAGE_MAX);
        KT_ASSERT(kt_driver_step_encode(&step, &out, NULL) == KT_OK);
        KT_ASSERT(kt_bytes_equal(kt_buf_bytes(&out), input));
        KT_ASSERT(step.op < DRIVER_OP_COUNT && step.timeout_ms > 0 && step.account != NULL);
    } else {
        KT_ASSERT(err.what[0] != '\0' && step.driver == NULL);
    }
    kt_arena_free(&arena);
    return 0;
}
