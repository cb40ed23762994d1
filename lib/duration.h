/* lib/duration.h - durations as Vault writes and reads them.
 *
 * Reading: "90" (seconds), "90s", "5m", "1h30m", "1.5h", "250ms", "30d" (whole days, alone). Units
 *          are Go's: ns us µs ms s m h. Less than a millisecond is cut off. Overflow, a sign, a
 *          missing unit, empty text, rubbish: KT_INVALID, never saturation. No value in the error.
 * Writing: Go's form, "3h25m19s", "1.5s", "250ms", "0s".
 * Limits:  KT_DURATION_MAX_MS, what Go's int64 of nanoseconds holds (292 years): so clients can
 *          read what we accepted, and now + duration does not overflow.
 * Threads: any thread.
 * Source:  Go, time.ParseDuration and Duration.String; go-secure-stdlib
 *          parseutil.ParseDurationSecond. */
#pragma once

#include "lib/err.h"

#define KT_DURATION_MAX_MS ((uint64_t)INT64_MAX / 1000000)

enum kt_kind kt_duration_parse(struct kt_bytes text, uint64_t *ret_ms,
                               struct kt_err *err) KT_MUST_CHECK;
#define KT_DURATION_TEXT 48
void kt_duration_text(uint64_t ms, char out[KT_DURATION_TEXT]);
