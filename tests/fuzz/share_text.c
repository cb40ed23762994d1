/* tests/fuzz/share_text.c - a key share's text: refused, or exactly what its bytes encode to. */
#include <sodium.h>
#include <strings.h>

#include "lib/assert.h"
#include "lib/num.h"
#include "vaultd/barrier/shamir.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    unsigned char share[SHAMIR_SHARE_BYTES] = {0};
    struct kt_err err = {0};
    if (shamir_share_parse(kt_bytes(data, size), share, &err) != KT_OK) {
        KT_ASSERT(err.kind == KT_INVALID && share[0] == 0 && share[SHAMIR_SHARE_BYTES - 1] == 0);
        return 0;
    }
    char hex[2 * SHAMIR_SHARE_BYTES + 1], base64[4 * SHAMIR_SHARE_BYTES / 3 + 1];
    kt_hex_encode(share, sizeof share, hex);
    (void)sodium_bin2base64(base64, sizeof base64, share, sizeof share,
                            sodium_base64_VARIANT_ORIGINAL);
    KT_ASSERT(share[SHAMIR_SHARE_BYTES - 1] != 0);
    KT_ASSERT((size == 66 && strncasecmp(hex, (const char *)data, size) == 0) ||
              (size == 44 && memcmp(base64, data, size) == 0));
    return 0;
}
