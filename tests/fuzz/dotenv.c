/* What is read of a .env file is an object of texts, and what is written of it reads back as itself; what is
 * refused has its reason. */
#include "cli/dotenv.h"

#include "lib/assert.h"
#include "tests/fuzz/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct kt_err err = {0};
    kt_autobuf struct kt_buf object = {0};
    kt_autobuf struct kt_buf text = {0};
    kt_autobuf struct kt_buf again = {0};
    kt_buf_init(&object, 8 * size + 65536);
    kt_buf_init(&text, 8 * size + 65536);
    kt_buf_init(&again, 8 * size + 65536);
    if (dotenv_read(kt_bytes(data, size), &object, &err) != KT_OK) {
        KT_ASSERT(err.kind == KT_INVALID && err.what[0] != '\0');
        return 0;
    }
    KT_ASSERT(kt_json_check(kt_buf_bytes(&object), NULL, &err) == KT_OK);
    struct kt_json all = kt_json_value(kt_buf_bytes(&object));
    struct kt_json_iter it = kt_json_iter(all);
    while (kt_json_next(&it))
        KT_ASSERT(kt_json_type(it.value) == KT_JSON_STRING);
    KT_ASSERT(dotenv_write(all, &text, &err) == KT_OK);
    KT_ASSERT(dotenv_read(kt_buf_bytes(&text), &again, &err) == KT_OK);
    KT_ASSERT(kt_bytes_equal(kt_buf_bytes(&object), kt_buf_bytes(&again)));
    return 0;
}
