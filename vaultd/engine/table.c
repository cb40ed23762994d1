#include "vaultd/auth/approle.h"
#include "vaultd/auth/cert.h"
#include "vaultd/auth/jwt.h"
#include "vaultd/auth/pam.h"
#include "vaultd/auth/token_routes.h"
#include "vaultd/auth/unix.h"
#include "vaultd/auth/userpass.h"
#include "vaultd/engine/cubbyhole.h"
#include "vaultd/engine/kv_routes.h"
#include "vaultd/engine/sys.h"
#include "vaultd/fleet/fleet.h"
#include "vaultd/identity/routes.h"
#include "vaultd/rotation/rotation.h"

const struct engine *const engines[] = {
    &approle_engine, &cert_engine,  &cubbyhole_engine, &fleet_engine, &identity_engine,
    &jwt_engine,     &kv_v1_engine, &kv_v2_engine,     &pam_engine,   &rotation_engine,
    &system_engine,  &token_engine, &unix_engine,      &userpass_engine,
};
const size_t n_engines = sizeof engines / sizeof engines[0];
