/* vaultd/auth/unix.h - auth/unix: processes of this host, known by the Unix socket that they came over. */
#pragma once

#include "vaultd/core/engine.h"

extern const struct engine unix_engine;
