/* lib/driver/redis_sentinel.h - one Sentinel is asked whether a target names all servers of its master.
 *
 * What:    A step whose target has a `sentinel_master` (inspect, and nothing else) is not about a Redis: its host and
 *          port are a Sentinel's. It is sent no login, and what it says leads nowhere: no server is connected to
 *          because a Sentinel names it. Its list is compared with target.servers, by address and port, or by name
 *          where it announces names.
 *            all named:                    ok; what only the target names is a finding
 *            it knows another one:         permanent, DRIVER_UNFIT
 *            it does not know that master, wants a login, is none: permanent
 *            no answer:                    unreach
 * Owner:   as any driver's step.
 * Threads: one; a process runs one step. */
#pragma once

#include "lib/driver/table.h"

bool kt_redis_is_sentinel(const struct driver_step *step);
bool kt_redis_sentinel_prepare(struct driver_run *run, struct driver_result *ret);
void kt_redis_sentinel_run(const struct driver_run *run, struct driver_result *ret);
