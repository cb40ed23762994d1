/* vaultd/engine/kv_routes.h - KV as Vault's clients know it. */
#pragma once

#include "vaultd/core/engine.h"

extern const struct engine kv_v1_engine, kv_v2_engine;
