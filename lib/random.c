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

void kt_random_id(void *out, size_t len)
{
    static _Thread_local unsigned char pool[1024];
    static _Thread_local size_t left;
    KT_ASSERT(len <= 256);
    if (left < len) {
        kt_random(pool, sizeof pool);
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
