/* tests/fuzz/redact.c - the first line is the secret: it must not be left in the rest. */
#include "lib/assert.h"
#include "lib/redact.h"
#include "lib/secret.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Could the mark with its surroundings make up the value? */
static bool shares_with_mark(struct kt_bytes value)
{
    for (size_t i = 0; i < value.len; i++)
        if (memchr(KT_REDACTED, value.at[i], sizeof KT_REDACTED - 1) != NULL)
            return true;
    return false;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const uint8_t *end = size == 0 ? NULL : memchr(data, '\n', size);
    if (end == NULL || size > 4096 || kt_secret_init(NULL) != KT_OK)
        return 0;
    struct kt_bytes value = kt_bytes(data, (size_t)(end - data));
    struct kt_bytes text = kt_bytes(end + 1, size - value.len - 1);
    kt_autoredactor struct kt_redactor *redactor = kt_redactor_new();
    kt_autobuf struct kt_buf out;
    kt_buf_init(&out, 65536);
    KT_ASSERT(redactor != NULL && kt_redactor_add(redactor, value, NULL) == KT_OK);
    KT_ASSERT(kt_redact(redactor, text, &out, NULL) == KT_OK);
    if (value.len > 0 && out.len > 0 && !shares_with_mark(value))
        KT_ASSERT(memmem(out.at, out.len, value.at, value.len) == NULL);
    return 0;
}
