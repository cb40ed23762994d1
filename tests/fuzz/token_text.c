/* tests/fuzz/token_text.c - token texts: whatever is ours stays so only unchanged. */
#include "lib/assert.h"
#include "lib/token_text.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct kt_bytes text = kt_bytes(data, size);
    enum kt_token_form form = kt_token_form(text);
    if (form == KT_TOKEN_FOREIGN)
        return 0;
    KT_ASSERT(size == KT_TOKEN_CHARS && kt_bytes_starts(text, KT_TOKEN_PREFIX));
    if (form != KT_TOKEN_OURS)
        return 0;
    char changed[KT_TOKEN_CHARS];
    for (size_t at = 4; at < KT_TOKEN_CHARS; at++) {
        memcpy(changed, data, sizeof changed);
        changed[at] = changed[at] == 'a' ? 'b' : 'a';
        KT_ASSERT(kt_token_form(kt_bytes(changed, sizeof changed)) == KT_TOKEN_DAMAGED);
    }
    return 0;
}
