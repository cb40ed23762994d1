/* lib/duration.h - durations as Vault writes and reads them.
 *
 * Reading: "90" (seconds), "90s", "5m", "1h30m", "1.5h", "250ms", "30d" (days stand alone). Overflow,
 * a negative sign, a missing unit inside a compound, rubbish: an error, never saturation.
 * Writing: Go's form, "3h25m19s", "0s". Threads: any thread. */
#pragma once

#include "lib/err.h"

enum kt_kind kt_duration_parse(struct kt_bytes text, uint64_t *ret_ms, struct kt_err *err)
    KT_MUST_CHECK;
#define KT_DURATION_TEXT 48
void kt_duration_text(uint64_t ms, char out[KT_DURATION_TEXT]);
