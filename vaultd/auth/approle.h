/* vaultd/auth/approle.h - auth/approle: machines that log in with a role id and a secret id. */
#pragma once

#include "vaultd/core/engine.h"

extern const struct engine approle_engine;

/* approle_secret_routes.c */
handler_fn approle_secret_create, approle_secret_list, approle_secret_custom;
handler_fn approle_secret_lookup, approle_secret_destroy;
handler_fn approle_accessor_lookup, approle_accessor_destroy;
handler_fn approle_tidy;
