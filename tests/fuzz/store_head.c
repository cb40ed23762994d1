/* Any bytes as a store's head record: it is read, or refused with a reason; what is read and
 * written again is what was there. */
#include <stdlib.h>

#include "vaultd/store/format.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct store_head head;
    struct kt_err err = {0};
    enum kt_kind kind =
        store_head_read(kt_bytes(data, size), store_formats, store_formats_count, &head, &err);
    unsigned char again[STORE_HEAD_BYTES];
    if (kind != KT_OK) {
        if (err.what[0] == '\0' || err.hint[0] == '\0')
            abort();
        return 0;
    }
    store_head_write(&head, again);
    if (!kt_bytes_equal(kt_bytes(data, size), kt_bytes(again, sizeof again)))
        abort();
    return 0;
}
