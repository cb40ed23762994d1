/* tests/fuzz/terse.c - terse lines: what expands is plain text, which expands to itself; a buffer that
 * is too small is noticed. */
#include "lib/assert.h"
#include "tests/fuzz/fuzz.h"
#include "vaultd/audit/terse.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct kt_bytes terse = kt_bytes(data, size);
    kt_autobuf struct kt_buf line, again;
    kt_buf_init(&line, (size_t)1 << 24);
    kt_buf_init(&again, (size_t)1 << 24);
    bool fine = audit_terse_expand(terse, &line);
    KT_ASSERT(kt_buf_ok(&line));
    if (!fine)
        return 0;
    for (size_t i = 0; i < line.len; i++)
        KT_ASSERT(line.at[i] >= 0x20);
    KT_ASSERT(audit_terse_expand(kt_buf_bytes(&line), &again));
    KT_ASSERT(kt_bytes_equal(kt_buf_bytes(&line), kt_buf_bytes(&again)));
    for (size_t max = line.len > 3 ? line.len - 3 : 0; max < line.len; max++) {
        kt_autobuf struct kt_buf small;
        kt_buf_init(&small, max);
        KT_ASSERT(audit_terse_expand(terse, &small) && !kt_buf_ok(&small));
    }
    return 0;
}
