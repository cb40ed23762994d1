/* tests/fuzz/fetch.c - messages about fetching: whatever is read is written as the same bytes. */
#include "lib/assert.h"
#include "lib/fetch.h"
#include "tests/fuzz/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const struct kt_bytes message = kt_bytes(data, size);
    struct fetch_order order;
    struct fetch_result result;
    struct kt_arena arena;
    struct kt_buf out;
    kt_arena_init(&arena, (size_t)256 * 1024);
    kt_buf_init(&out, (size_t)256 * 1024);
    if (kt_fetch_order_decode(message, &arena, &order, NULL) == KT_OK) {
        KT_ASSERT(kt_fetch_is_order(message) && kt_fetch_order_encode(&order, &out, NULL) == KT_OK);
        KT_ASSERT(kt_bytes_equal(kt_buf_bytes(&out), message));
    }
    kt_buf_reset(&out);
    if (kt_fetch_result_decode(message, &result, NULL) == KT_OK) {
        KT_ASSERT(!kt_fetch_is_order(message) && kt_fetch_result_encode(&result, &out, NULL) == KT_OK);
        KT_ASSERT(kt_bytes_equal(kt_buf_bytes(&out), message));
    }
    kt_buf_free(&out);
    kt_arena_free(&arena);
    return 0;
}
