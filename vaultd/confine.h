/* vaultd/confine.h - vaultd's own sandbox: what it still needs once everything is bound and
 * started.
 *
 * What:    From the configuration the few folders that stay reachable; then system calls, files and
 *          connections are limited (lib/sandbox.h). What this kernel lacks is logged and kept as
 *          notes for sys/health; with sandbox = "required" it is an error instead.
 * Owner:   struct confinement owns its texts; it lives as long as the process.
 * Threads: before threads. */
#pragma once

#include <limits.h>

#include "lib/sandbox.h"
#include "vaultd/config.h"

#define CONFINE_PATHS_MAX 96u

struct confinement {
    char *paths[CONFINE_PATHS_MAX]; /* every text below */
    size_t n_paths;
    const char *read[CONFINE_PATHS_MAX + 1], *write[CONFINE_PATHS_MAX + 1];
    size_t n_read, n_write;
    const char *notes[KT_LAYER_COUNT + 1]; /* NULL ends */
};

/* config_file may be NULL; folder: of the data. */
enum kt_kind confine(struct confinement *confinement, const struct config *config,
                     const char *config_file, const char *folder, struct kt_err *err) KT_MUST_CHECK;
