/* lib/driver/http.h - the driver "http": keys and passwords that an HTTP API keeps.
 *
 * What:    docs/driver-http.md. What is sent stands in the target's `api` (lib/driver/http_api.h).
 *          Where the API makes the value, apply first deletes what bears this run's tag: keys whose
 *          answers were lost. So it sets a state (one live key of this run) however often it is
 *          repeated, and touches no key of anybody else.
 * Secrets: a made value goes into the result alone: no text, no log.
 * Threads: one; see lib/driver/table.h. */
#pragma once

#include "lib/driver/table.h"

bool kt_http_driver_prepare(struct driver_run *run, struct driver_result *ret);
void kt_http_driver_run(const struct driver_run *run, struct driver_result *ret);
