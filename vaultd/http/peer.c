#include "vaultd/http/peer.h"

#include <stdlib.h>
#include <sys/socket.h>

#include "lib/failpoint.h"

_Static_assert(sizeof(gid_t) == sizeof(uint32_t), "what SO_PEERGROUPS fills in");

/* The others of a process that is in `primary`; NULL: too many, or not known. */
static struct peer_groups *read_groups(int socket, uint32_t primary)
{
    socklen_t size = 0;
    struct peer_groups *groups = NULL;
    /* Without room the kernel says how much it takes: ERANGE. */
    (void)getsockopt(socket, SOL_SOCKET, SO_PEERGROUPS, NULL, &size);
    size_t n = size / sizeof(uint32_t);
    if (n >= PEER_GROUPS_MAX)
        return NULL;
    groups = kt_calloc(1, sizeof *groups + (n + 1) * sizeof groups->at[0]);
    if (groups == NULL)
        return NULL;
    groups->at[0] = primary;
    groups->n = n + 1;
    if (getsockopt(socket, SOL_SOCKET, SO_PEERGROUPS, &groups->at[1], &size) == 0 &&
        size == n * sizeof(uint32_t))
        return groups;
    free(groups);
    return NULL;
}

void peer_read(int socket, uint32_t *ret_uid, struct peer_groups **ret_groups)
{
    struct ucred peer;
    socklen_t size = sizeof peer;
    *ret_uid = UINT32_MAX;
    *ret_groups = NULL;
    if (getsockopt(socket, SOL_SOCKET, SO_PEERCRED, &peer, &size) != 0 || size != sizeof peer)
        return;
    *ret_uid = peer.uid;
    *ret_groups = read_groups(socket, peer.gid);
}
