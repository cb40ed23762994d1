/* tests/fuzz/driver_result.c - what vaultd reads from a worker that may have been taken over: a
 * result with printable texts that survives being written again, or an error. */
#include "lib/assert.h"
#include "lib/driver/driver.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_text(const char *text, size_t size)
{
    size_t len = strnlen(text, size);
    KT_ASSERT(len < size);
    for (size_t i = 0; i < len; i++)
        KT_ASSERT(text[i] >= 0x20 && text[i] < 0x7f);
}

static void encode(const struct driver_result *result, struct kt_buf *out)
{
    kt_buf_init(out, DRIVER_MESSAGE_MAX);
    KT_ASSERT(kt_driver_result_encode(result, out, NULL) == KT_OK);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct driver_result result = {0}, again = {0};
    struct kt_arena arena;
    kt_arena_init(&arena, (size_t)16 * 1024);
    if (size > DRIVER_MESSAGE_MAX ||
        kt_driver_result_decode(kt_bytes(data, size), &arena, &result, NULL) != KT_OK) {
        kt_arena_free(&arena);
        return 0;
    }
    KT_ASSERT(result.class < DRIVER_CLASS_COUNT);
    check_text(result.code, sizeof(result.code));
    check_text(result.text, sizeof(result.text));
    check_text(result.server_id, sizeof(result.server_id));
    for (size_t i = 0; i < DRIVER_FINDINGS_MAX; i++)
        check_text(result.findings[i], sizeof(result.findings[i]));
    kt_autobuf struct kt_buf once;
    kt_autobuf struct kt_buf twice;
    encode(&result, &once);
    KT_ASSERT(kt_driver_result_decode(kt_buf_bytes(&once), &arena, &again, NULL) == KT_OK);
    encode(&again, &twice);
    KT_ASSERT(kt_bytes_equal(kt_buf_bytes(&once), kt_buf_bytes(&twice)));
    KT_ASSERT(result.made.len < DRIVER_PASSWORD_MAX && result.made_id.len < DRIVER_NAME_MAX);
    kt_arena_free(&arena);
    return 0;
}
