/* vaultd/auth/userpass.h - auth/userpass: people who log in with a name and a password. */
#pragma once

#include "vaultd/core/engine.h"

extern const struct engine userpass_engine;
