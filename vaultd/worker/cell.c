#include "vaultd/worker/cell.h"

#include "lib/sandbox.h"

enum kt_kind cell_enter(const struct driver_target *target, uint32_t *ret_missing, struct kt_err *err)
{
    uint16_t port = (uint16_t)target->port;
    bool local = target->host[0] == '/';
    const struct kt_sandbox sandbox = {
        .calls = local ? KT_CALLS_LOCAL_CLIENT : KT_CALLS_CLIENT,
        .limit_files = true,
        .limit_connect = true,
        .connect_ports = &port,
        .n_connect_ports = local ? 0 : 1,
        .limit_scope = true,
    };
    return kt_sandbox_enter(&sandbox, ret_missing, err);
}
