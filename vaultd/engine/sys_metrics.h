/* vaultd/engine/sys_metrics.h - the numbers of sys/metrics, one row each.
 *
 * What:    docs/metrics.md explains the same rows; unit/metrics_test holds them against each other.
 * Add one: a row, its number in sys_metrics_sample(), and a line in docs/metrics.md.
 * Source:  Prometheus' text format 0.0.4. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

struct metric {
    const char *name;
    bool counter; /* only grows while the process lives; else it goes up and down */
    const char *help;
};
extern const struct metric sys_metric_rows[];
extern const size_t sys_n_metric_rows;
/* What is counted by operation and class of status, before the rows. */
extern const struct metric sys_metric_requests;
