/* tests/fuzz/jwks.c - key sets, and public keys as PEM: none of them signed a token of zeros, whatever it is. */
#include "lib/assert.h"
#include "tests/fuzz/fuzz.h"
#include "vaultd/auth/jwt_keys.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const unsigned char zeros[512];
    static const size_t sizes[] = {0, 64, 96, 132, 256, 512};
    struct kt_err err = {0};
    const struct kt_bytes text = kt_bytes(data, size);
    bool set = jwt_set_check(text, &err) == KT_OK;
    bool pem = !set && jwt_pem_check(text, &err) == KT_OK;
    for (unsigned alg = 0; (set || pem) && alg < JWT_ALG_COUNT; alg++)
        for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
            const struct jwt_text token = {.alg = (enum jwt_alg)alg,
                                           .kid = i == 0 ? "example" : NULL,
                                           .input = kt_str("e30.e30"),
                                           .signature = kt_bytes(zeros, sizes[i])};
            KT_ASSERT((set ? jwt_set_verify(text, &token, &err) : jwt_pem_verify(text, &token, &err)) != KT_OK);
        }
    return 0;
}
