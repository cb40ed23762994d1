/* vaultd/rotation/candidates.h - in-place without a gap: consumers that have both credentials before the change.
 *
 * What:    A consumer may declare that it tries another credential when one is refused (CONSUMER_TWO). An in-place
 *          run has each of those get the new version while that is `pending`, waits until it says that it has it
 *          besides its own, and then for the overlap: who got the old one alone a moment ago has logged in by then.
 *          Whoever does not declare it delays nothing, and is cut off as ever.
 * Rules:   it has both when it says so, is healthy, and its identity read the new version (vaultd/fleet/report.c).
 *          One that does not within `ack_timeout`, or had it and does not again within that (at most for
 *          `max_overlap`), ends the run before anything was changed (`on_ack_timeout=hold`: it is waited for). Meanwhile others may be at the target. No one is overlooked: the change is ordered on condition that no consumer changed.
 * Threads: plain functions. */
#pragma once

#include "vaultd/rotation/work.h"

/* Would this run wait for such consumers? */
bool candidates_matter(const struct run *run);
/* It declared it. Who is not well where that need not be (require_healthy) is not waited for: it is cut off as ever. */
bool candidates_tries_two(const struct run *run, const struct consumer *consumer);
bool candidates_has_both(const struct run *run, const struct consumer *consumer);
/* Just before the change is ordered, in its batch: how many have both, and who does not, as a note. */
enum kt_kind candidates_note(struct work *w, struct kt_err *err) KT_MUST_CHECK;
