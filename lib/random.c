#include "lib/random.h"

#include <sodium.h>
#include <string.h>

#include "lib/assert.h"

static kt_random_fn *replaced;  /* set by tests before threads start */

void kt_random_source(kt_random_fn *source)
{
    replaced = source;
}

void kt_random(void *out, size_t len)
{
    if (replaced != NULL)
        replaced(out, len);
    else
        randombytes_buf(out, len);
}

/* A system call each would be a twentieth of a read: 32 bytes of the system's randomness are drawn
 * out into a pool. */
void kt_random_id(void *out, size_t len)
{
    static _Thread_local unsigned char pool[2048];
    static _Thread_local size_t left;
    KT_ASSERT(len <= 256);
    if (left < len) {
        unsigned char seed[randombytes_SEEDBYTES];
        kt_random(seed, sizeof seed);
        randombytes_buf_deterministic(pool, sizeof pool, seed);
        sodium_memzero(seed, sizeof seed);
        left = sizeof pool;
    }
    left -= len;
    memcpy(out, pool + left, len);
    sodium_memzero(pool + left, len);
}

uint32_t kt_random_below(uint32_t bound)
{
    KT_ASSERT(bound >= 1);
    uint32_t floor = (uint32_t)(-bound) % bound;  /* 2^32 mod bound: below it would be biased */
    uint32_t v = 0;
    do
        kt_random(&v, sizeof v);
    while (v < floor);
    uint32_t below = v % bound;
    sodium_memzero(&v, sizeof v);
    return below;
}
