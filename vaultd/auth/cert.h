/* vaultd/auth/cert.h - auth/cert: clients that show a TLS certificate. */
#pragma once

#include "vaultd/core/engine.h"

extern const struct engine cert_engine;
