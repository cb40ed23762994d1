/* vaultd/worker/cell.h - the sandbox of a step: what is left to a worker when it talks to the target.
 *
 * What:    Memory, time, and one kind of socket: TCP to the target's port, or Unix sockets where the target
 *          is a socket folder. No file by its name, no thread, no other program.
 *          Where a program of the configuration does the talking: the system's folders, its own files, what its
 *          row names; sockets; programs to start, but no session or group of its own to escape into, no
 *          namespace, nobody else's memory.
 * Threads: before threads; for good.
 * Errors:  as kt_sandbox_enter(): the step must not go on. */
#pragma once

#include "lib/driver/driver.h"
#include "lib/driver/program.h"

/* *ret_missing: bits of the layers that this kernel does not offer. */
enum kt_kind cell_enter(const struct driver_target *target, uint32_t *ret_missing, struct kt_err *err)
    KT_MUST_CHECK;
enum kt_kind cell_enter_program(const struct kt_program *program, uint32_t *ret_missing, struct kt_err *err)
    KT_MUST_CHECK;
