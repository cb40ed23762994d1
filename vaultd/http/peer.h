/* vaultd/http/peer.h - who is at the other end of a Unix socket, as the kernel saw it connect.
 *
 * What:    The user and all groups of the process that called connect(); what it becomes later, or hands
 *          the socket on to, does not count.
 * Owner:   peer_read() gives groups that the caller frees with free().
 * Limits:  PEER_GROUPS_MAX groups: of who has more none are known.
 * Threads: any thread.
 * Source:  unix(7), socket(7): SO_PEERCRED, SO_PEERGROUPS. */
#pragma once

#include "vaultd/core/request.h"

#define PEER_GROUPS_MAX 1024u

/* *ret_uid UINT32_MAX, *ret_groups NULL: not known. */
void peer_read(int socket, uint32_t *ret_uid, struct peer_groups **ret_groups);
