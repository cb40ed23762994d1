/* agent/fetch.h - which versions a service is to have, and getting them.
 *
 * What:    fetch_first() waits for the vault, since there is nothing else to run yet; later on what is not to be had
 *          leaves the service as it is.
 * Owner:   borrowed.
 * Threads: one. */
#pragma once

#include "agent/service.h"

/* Fetches all secrets, waiting up to wait_ms for the vault. */
enum kt_kind fetch_first(struct service *service, int64_t wait_ms, struct kt_err *err) KT_MUST_CHECK;
/* The version to run: the one that does now where nothing else is known to be wanted, or where what is wanted was
 * tried and did not do: no move of another secret takes it along. */
uint64_t version_to_run(const struct service *service, const struct wanted *wanted, size_t i);
/* The running set with the secrets that differ replaced by their wanted versions, into empty *values. */
enum kt_kind fetch_wanted(struct service *service, const struct wanted *wanted, struct values *values,
                          struct kt_err *err) KT_MUST_CHECK;
