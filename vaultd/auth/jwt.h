/* vaultd/auth/jwt.h - auth/jwt: workloads and people that show a token somebody else signed. */
#pragma once

#include "vaultd/core/engine.h"

extern const struct engine jwt_engine;
