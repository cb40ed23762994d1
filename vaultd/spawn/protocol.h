/* vaultd/spawn/protocol.h - what vaultd and vaultd-spawn say to each other.
 *
 * vaultd-spawn has the path of the worker as its first argument and the socket to vaultd as
 * descriptor 3 (lib/ipc.h). What other arguments it has are each worker's, as they are: the programs of
 * vaultd's configuration (lib/driver/program.h). All messages have SPAWN_MESSAGE bytes: a letter, u32 id, u32 number.
 *
 *   vaultd-spawn:  HELLO 0 errno   once: is the worker there?
 *   vaultd:        START id 0      answered by
 *   vaultd-spawn:  START id errno  with the worker's socket when errno is 0
 *   vaultd:        KILL id 0       not answered
 *
 * On the worker's socket comes the step (vaultd), then the result (the worker), and, when it ended,
 * ENDED id status (wait(2)) from vaultd-spawn, which keeps the worker's end open until then. A
 * result never begins with that letter. The socket closing without ENDED means that vaultd-spawn
 * itself is gone. When the socket to vaultd closes, vaultd-spawn kills its workers and ends. */
#pragma once

#include "lib/bytes.h"

#define SPAWN_FD      3
#define SPAWN_MESSAGE 9u
#define SPAWN_WORKERS_MAX 32u /* at a time; a START over it is answered EAGAIN */

enum spawn_letter { SPAWN_HELLO = 'H', SPAWN_START = 'S', SPAWN_KILL = 'K', SPAWN_ENDED = 'E' };

static inline void spawn_message(unsigned char out[SPAWN_MESSAGE], enum spawn_letter letter,
                                 uint32_t id, uint32_t number)
{
    out[0] = (unsigned char)letter;
    kt_put_u32(out + 1, id);
    kt_put_u32(out + 5, number);
}
