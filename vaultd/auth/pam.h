/* vaultd/auth/pam.h - the way to log in "pam": the host's own accounts. */
#pragma once

#include "vaultd/core/engine.h"

extern const struct engine pam_engine;
