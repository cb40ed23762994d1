/* lib/driver/listener.h - the driver "tls": which certificate does a TLS server show? It has no targets; vaultd's
 * runs of certificates ask by it (vaultd/rotation/served.h).
 *
 * What:    DRIVER_INSPECT alone. target.host and target.port say where, `account` the name that is asked for (SNI;
 *          "": none), `digest` which certificate is looked for: SHA-256, hexadecimal. Each address of the
 *          host is asked (STREAM_ADDRESSES_MAX), but for those that this machine has no route to where another
 *          answers: a name is often one of several machines.
 * Result:  DRIVER_OK: server_id has the SHA-256 of what is shown, server_version until when it lasts (Unix time in
 *          milliseconds), of the first that does not show what is looked for, else of all; `sessions` how many were
 *          asked. DRIVER_UNREACH with a code: "resolve", "near" (lib/may_connect.h), "connect", "timeout", "tls".
 *          Nothing else that a server says is told.
 * Threads: the worker's one. */
#pragma once

#include "lib/driver/table.h"

bool kt_listener_prepare(struct driver_run *run, struct driver_result *ret);
void kt_listener_run(const struct driver_run *run, struct driver_result *ret);
