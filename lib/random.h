/* lib/random.h - the one seam through which randomness comes in.
 *
 * What:    kt_random() fills from getrandom through libsodium, which aborts rather than return bad
 *          bytes. kt_random_id() gives public random bytes (request ids, nonces) out of a pool
 *          per thread, which ChaCha20 fills from a fresh seed: a system call each would cost 0.5 us
 *          on the read path. Keys and passwords always come from kt_random().
 * Threads: any thread. Tests may replace the source before threads start: kt_random_source(). */
#pragma once

#include <stddef.h>
#include <stdint.h>

void kt_random(void *out, size_t len);
void kt_random_id(void *out, size_t len);  /* len <= 256 */
/* Uniform in [0, bound), by rejection. bound >= 1. */
uint32_t kt_random_below(uint32_t bound);
/* Test seam; NULL restores the system's source. Before threads start. */
typedef void kt_random_fn(void *out, size_t len);
void kt_random_source(kt_random_fn *source);
