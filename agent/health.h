/* agent/health.h - is the service well? Probes, and the judgement over several of them.
 *
 * What:    health_probe() asks once: a command's exit status, an HTTP status on this machine, or a
 *          TCP connection. health_baseline() asks before anything is touched; health_verdict() asks
 *          after a change until `pass` in a row succeeded, `fail` in a row failed, or the window
 *          ended.
 * Numbers: nearest-rank percentiles; p95 judges only with a latency_factor and enough samples.
 * Threads: one; events are taken care of meanwhile. */
#pragma once

#include "agent/child.h"

#define HEALTH_SAMPLES_MAX 256u

struct health_result {
    bool healthy;
    unsigned samples; /* probes that succeeded */
    unsigned p50_ms, p95_ms;
    char detail[160]; /* why not; "" when healthy */
};

struct health_result health_baseline(struct supervisor *s, const struct config_health *health);
/* Is it still well? Over at the first probe that succeeds, or when `fail` in a row failed. */
struct health_result health_glance(struct supervisor *s, const struct config_health *health);
struct health_result health_verdict(struct supervisor *s, const struct config_health *health,
                                    const struct health_result *baseline);
/* A p95 above both bounds, the factor's and the floor's, is a regression. Without a factor, or with a
 * baseline of too few probes, none is. */
bool health_is_slower(const struct config_health *health, const struct health_result *baseline,
                      const struct health_result *now);
