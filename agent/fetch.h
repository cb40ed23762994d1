/* agent/fetch.h - which versions a service is to have, in which order, and getting them.
 *
 * What:    What the vault takes back is to work as it did: it moves alone. What is rotated has to do by itself: it
 *          moves before what somebody wrote, so that no rotation is taken back for that. What is written without a
 *          rotation moves together: it may belong together. Candidates (candidates.h) come beside any but the
 *          first, and last by themselves.
 *          fetch_first() waits for the vault, since there is nothing else to run yet; later on a secret that is not to
 *          be had holds up no other one.
 * Owner:   borrowed.
 * Threads: one. */
#pragma once

#include "agent/service.h"

/* Fetches all secrets, waiting up to wait_ms for the vault. */
enum kt_kind fetch_first(struct service *service, int64_t wait_ms, struct kt_err *err) KT_MUST_CHECK;
/* The version to run: the one that does now where nothing else is known to be wanted, or where what is wanted was
 * tried and did not do: no move of another secret takes it along. */
uint64_t version_to_run(const struct service *service, const struct wanted *wanted, size_t i);
/* The vault takes a rotation back: what is put in place is known to have worked. A lower version of a store that was
 * put back is not: the target may have forgotten it. */
bool version_goes_back(const struct service *service, size_t i, uint64_t version);
enum turn { TURN_BACK, TURN_ROTATED, TURN_WRITTEN, TURN_CANDIDATES, TURN_COUNT };

/* The set that the service is to have after a turn, without its data yet. NULL: the turn has nothing that the service
 * does not have, or there is no memory. */
struct values *fetch_plan(const struct service *service, const struct wanted *wanted, enum turn turn);
/* Fills it in; what the service has already needs no vault. What the vault does not give stays as it is, and is asked
 * for later (denied.h). An error: nothing can be had now (link_is_away). */
enum kt_kind fetch_planned(struct service *service, struct values *values, struct kt_err *err) KT_MUST_CHECK;
