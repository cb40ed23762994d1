/* vaultd/identity/routes.h - the engine of identity/: entities, aliases, groups. */
#pragma once

#include "vaultd/core/engine.h"

extern const struct engine identity_engine;
