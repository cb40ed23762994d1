/* What is accepted is within bounds, and what is written of it reads back as itself. */
#include "lib/duration.h"

#include "lib/assert.h"
#include "tests/fuzz/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    uint64_t ms = UINT64_MAX, back = 0;
    struct kt_err err = {0};
    enum kt_kind kind = kt_duration_parse(kt_bytes(data, size), &ms, &err);
    if (kind != KT_OK) {
        KT_ASSERT(kind == KT_INVALID && ms == UINT64_MAX && err.what[0] != '\0');
        return 0;
    }
    KT_ASSERT(ms <= KT_DURATION_MAX_MS);
    char text[KT_DURATION_TEXT], again[KT_DURATION_TEXT];
    kt_duration_text(ms, text);
    KT_ASSERT(kt_duration_parse(kt_str(text), &back, NULL) == KT_OK && back == ms);
    kt_duration_text(back, again);
    KT_ASSERT(strcmp(text, again) == 0);
    return 0;
}
