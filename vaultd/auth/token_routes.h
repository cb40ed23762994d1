/* vaultd/auth/token_routes.h - auth/token/: make, look up, renew, revoke. */
#pragma once

#include "vaultd/core/engine.h"

extern const struct engine token_engine;

/* token_create_route.c */
handler_fn token_route_create, token_route_create_orphan, token_route_create_role;
