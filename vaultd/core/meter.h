/* vaultd/core/meter.h - how often one source may ask for work that needs no token.
 *
 * What:    A budget per source: so many at once, and so many a minute from then on. Sources that are
 *          within their budget are not kept, so the table holds only those that came often.
 * Limits:  METER_SOURCES busy sources; when more come, the one with most of its budget left is
 *          forgotten: a newcomer always gets in.
 * Owner:   the core.
 * Threads: any thread. Times are monotonic milliseconds. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "vaultd/core/refusals.h"

#define METER_SOURCES 256u

struct meter;
struct meter *meter_new(unsigned per_minute); /* NULL: out of memory; 0: everybody is admitted */
void meter_free(struct meter *meter);         /* NULL is fine */
/* False: not now; *ret_wait_ms says when one more will be. source as refusals_source() gives it. */
bool meter_admit(struct meter *meter, const char source[REFUSALS_SOURCE], unsigned at_once,
                 int64_t now_ms, int64_t *ret_wait_ms);
/* Everybody has the whole budget again. */
void meter_forget(struct meter *meter);
