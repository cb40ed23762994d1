/* agent/denied.h - a version that could not be read: when it is asked for again.
 *
 * What:    No news say that a policy was mended, that a quota has room or that a record can be read again, so it is
 *          asked for after pauses that grow (lib/pace.h), at last once or twice a minute: each refusal is a line of the
 *          audit log. The agent's log has one of each version.
 * Owner:   plain values; zeroed: nothing was refused.
 * Threads: one. */
#pragma once

#include "lib/err.h"
#include "lib/pace.h"

struct denied {
    uint64_t version; /* 0: none; the log says it already */
    struct kt_pace pace;
    int64_t again_ms; /* monotonic; it is not asked for before */
};

/* It is not asked for now. */
bool denied_lasts(const struct denied *denied, uint64_t version);
void denied_note(struct denied *denied, uint64_t version, const struct kt_err *why);
/* It was read at last. False: it was never denied. */
bool denied_ends(struct denied *denied, uint64_t version);
